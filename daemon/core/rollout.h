/* SPDX-License-Identifier: BSD-3-Clause */
/* The rollout as a pure state machine: events and the time go in, commands come out. It owns the order of
 * things (waves, canaries, gates, put-backs, halting) and never touches the world: its caller carries out
 * each command and answers with exactly one event. Item indices are those of the array given to
 * rollout_new().
 *
 * A relay's way:
 * - WRITE → (one RELOAD for all that is written) → CHECK → RESTART → VERIFY → ASK until it is ready → settle
 *   → VERIFY → done;
 * - at a failed gate RESTORE → RELOAD → START → VERIFY_BACK → failed (put back) or lost.
 *
 * One that somebody stops on the way gets its old file back, and is skipped: it must not come
 * up with what nobody has proved.
 *
 * What always holds (tests/unit/core/test-rollout.c drives random sequences of events against it):
 * - at most `parallel` relays are between RESTART and the end of their settling;
 * - a relay gets RESTART at most once, and START at most once; none when CHECK shows that it is needless;
 * - no wave begins while a relay that was ready before its restart is not ready again;
 * - with a gate from outside, each wave has an answer of its own that lets it begin; what is put back or was
 *   left by a crash never asks for one;
 * - once the rollout ends (halted, aborted, superseded), nobody gets RESTART any more: who was only written
 *   gets RESTORE, and waits again;
 * - the file of a relay that was stopped changes only while it is: one that somebody starts before systemd
 * has read its file gets its old one back, and is skipped;
 * - nothing is written for a relay whose wave has not come, or whose allocator is not known to work in its
 *   sandbox, or whose configuration is not known to be valid, as of when its turn came;
 * - with an answer to every command and a tick at every deadline, it ends. */
#pragma once

#include "core/unit.h"

#define ROLLOUT_NO_ALLOCATOR SIZE_MAX         /* a relay that loses our drop-in: no canary, no preflight */
#define ROLLOUT_RESETTLE_MAX 3                /* restarts by somebody else that one settling bears */
#define ROLLOUT_GATE_INTERVAL USEC_PER_MINUTE /* after which a shut gate is tried again */

typedef struct RolloutPolicy {
    size_t parallel; /* ≥ 1 */
    unsigned canary; /* relays of each allocator that go first and alone */
    usec_t settle, canary_settle;
    unsigned max_failed;  /* ≥ 1 */
    bool put_back;        /* false: a failed relay is left as it is, and the rollout halts */
    usec_t ready_timeout; /* how long a relay may take to be ready, not counting the time without a network */
    bool gate;            /* somebody outside is asked before each wave */
} RolloutPolicy;

typedef struct RolloutItem {
    size_t allocator; /* any numbering the caller likes, or ROLLOUT_NO_ALLOCATOR */
    uint64_t sandbox; /* likewise: what an allocator can do in it, it can do for all with the same number */
    bool restart;  /* false: only its file changes: its process already runs the right thing, or it is stopped
                    */
    bool verifies; /* with restart: its unit has a command that verifies its configuration before a start */
    bool stopped; /* it has no process: its turn comes last, when the allocator has proved itself on others */
    bool unproved; /* with stopped: no relay of this host is known to have settled with its allocator. It has
                      no turn before one of this rollout has. */
    bool recover;  /* an earlier run of the daemon has restarted it and not seen it settle: its first step is
                      VERIFY. When it is up by then, but does not run what it should, or was stopped meanwhile,
                      it gets its old file back and is skipped: the next plan has it like any other. When it
                      runs what it should, it settles for what is left of its time. */
    bool canary;   /* with recover: it went as one, and settles as one */
    bool ready; /* with recover: it was ready before its restart, and has to be so again before it settles */
    bool as_is; /* its file stays as it is, and its process is replaced all the same: there is nothing to put
                   back, so it is left as it is when it fails, and the rollout halts */
    bool outdated; /* with recover: it was on its way to something that it is not assigned any more. When it
                      fails, it is put back as any other, but that speaks against nothing that is planned now:
                      it is no strike, and halts nothing. */
} RolloutItem;

typedef enum Step {
    STEP_WAITING,
    STEP_WRITING,
    STEP_WRITTEN, /* waits for the reload */
    STEP_CHECKING,
    STEP_RESTARTING,
    STEP_VERIFYING,
    STEP_BOOTSTRAPPING, /* it is up and proved, and not ready yet */
    STEP_SETTLING,
    STEP_BACK_WRITING,
    STEP_BACK_WRITTEN,
    STEP_BACK_RESTARTING,
    STEP_BACK_VERIFYING,
    /* from here on: ended */
    STEP_DONE,
    STEP_SKIPPED, /* stopped by somebody else, or gone, or recovered but still to be moved, or handed over:
                     not a failure */
    STEP_FAILED,  /* put back, or never touched */
    STEP_LOST,    /* could not be put back, or was left as it is by policy */
    _STEP_MAX,
} Step;
static inline bool step_ended(Step s)
{
    return s >= STEP_DONE;
}

typedef enum Gate {
    GATE_NONE,
    GATE_PREFLIGHT,
    GATE_VERIFY_CONFIG, /* it would not come up again, whatever its allocator: its configuration is broken */
    GATE_WRITE,
    GATE_RELOAD,
    GATE_SETTINGS, /* what systemd has loaded would not give it what it is assigned */
    GATE_JOB,
    GATE_ACTIVE,
    GATE_PROOF,
    GATE_READY,
    GATE_SETTLE,
    _GATE_MAX,
} Gate;
const char *gate_to_string(Gate gate);

typedef enum Proof {
    PROOF_OK,      /* up, and runs what it should */
    PROOF_WRONG,   /* up, runs something else */
    PROOF_FAILED,  /* not up, and not because somebody stopped it */
    PROOF_STOPPED, /* cleanly stopped: by request */
    PROOF_GONE,    /* the unit does not exist any more */
} Proof;

typedef enum Readiness {
    READINESS_YES,
    READINESS_NOT_YET,
    READINESS_NO_NETWORK, /* nor would another relay of this host be: it says nothing about this one */
} Readiness;

typedef enum RolloutEventKind {
    EVENT_PREFLIGHT, /* item, ok, untested: holds for all items of the same allocator and sandbox */
    EVENT_CONFIG,    /* item, ok: answers VERIFY_CONFIG */
    EVENT_GATE,      /* ok: answers GATE */
    EVENT_WRITTEN,   /* item, ok: answers WRITE and RESTORE */
    EVENT_RELOADED,  /* ok */
    EVENT_CHECKED,   /* item, ok, needless, restarted, ready: answers CHECK */
    EVENT_JOB,       /* item, job: answers RESTART and START */
    EVENT_VERIFIED,  /* item, proof, pid, n_restarts, age, crashing: answers VERIFY and VERIFY_BACK */
    EVENT_READY,     /* item, readiness: answers ASK */
    EVENT_UNIT,      /* item, down, up: its unit changed, by itself or by somebody else */
    EVENT_PAUSE,
    EVENT_RESUME,
    EVENT_ABORT,
    EVENT_SUPERSEDE, /* there is a new plan: end soon, another rollout follows */
    EVENT_HAND_OVER, /* the same, and sooner: who is only watched is watched on by that one, as after a crash
                      */
    EVENT_TICK,      /* time has come, or the window has opened or closed */
} RolloutEventKind;

typedef struct RolloutEvent {
    RolloutEventKind kind;
    size_t item;
    bool ok;
    bool untested; /* not ok, because it could not be tried: that is no failure of anybody */
    JobResult job;
    Proof proof;
    bool ready; /* it is ready now, and has to be so again before it settles */
    Readiness readiness;
    uint32_t pid, n_restarts;
    usec_t age;    /* for how long it has been active */
    bool crashing; /* it crashed again and again before it was restarted: no way back leads to anything better
                    */
    bool needless; /* it runs what a restart would give it */
    bool restarted; /* somebody else has done it, and it runs what it should: it settles as after ours */
    bool down;      /* somebody has stopped it: its turn does not come until it is up again */
    bool up;        /* it has a process: if it had none, it is not what was planned for any more */
} RolloutEvent;

typedef enum RolloutCommandKind {
    COMMAND_PREFLIGHT,     /* item: can its allocator be used in its sandbox? */
    COMMAND_VERIFY_CONFIG, /* item: would it start at all? */
    COMMAND_GATE,          /* may the next wave begin? */
    COMMAND_WRITE,         /* item: its new drop-in, or its removal */
    COMMAND_RELOAD,
    COMMAND_CHECK,       /* item: would a restart give it what it is assigned, by what systemd has loaded? */
    COMMAND_RESTART,     /* item */
    COMMAND_VERIFY,      /* item: does it run what it is assigned? */
    COMMAND_ASK,         /* item: is it ready? */
    COMMAND_RESTORE,     /* item: the drop-in it had before */
    COMMAND_START,       /* item: bring it back up */
    COMMAND_VERIFY_BACK, /* item: is it as it was before? */
    /* Notices: to log and to show; they want no answer. */
    NOTE_WAVE,        /* wave, count */
    NOTE_ENDED,       /* item: its step and gate say how; STEP_WAITING: taken back before its restart */
    NOTE_FAILED_GATE, /* item failed at `gate`; a put-back may follow */
    NOTE_OVER,        /* the rollout's state says how */
} RolloutCommandKind;

typedef struct RolloutCommand {
    RolloutCommandKind kind;
    size_t item;
    size_t wave, count;
    Gate gate;
} RolloutCommand;

typedef enum RolloutState {
    ROLLOUT_RUNNING,
    ROLLOUT_WAITING, /* outside its window, or at its gate, shut or not known yet */
    ROLLOUT_PAUSED,
    ROLLOUT_ENDING, /* aborted, halted or superseded: relays already restarted are finished first */
    /* from here on: over */
    ROLLOUT_DONE,
    ROLLOUT_HALTED,
    ROLLOUT_ABORTED,
    ROLLOUT_SUPERSEDED,
    _ROLLOUT_STATE_MAX,
} RolloutState;
const char *rollout_state_to_string(RolloutState s);

typedef struct RolloutNow {
    usec_t monotonic;
    bool window_open;
} RolloutNow;

typedef struct Rollout Rollout;

Rollout *rollout_new(const RolloutPolicy *policy, const RolloutItem *items, size_t n);
Rollout *rollout_free(Rollout *r);
DEFINE_CLEANUP(Rollout, rollout_free)

/* Takes one event (the first: EVENT_TICK). An answer that was not asked for is ignored. */
void rollout_event(Rollout *r, const RolloutEvent *event, RolloutNow now);

/* The next command, in order; false: none for now. */
bool rollout_next(Rollout *r, RolloutCommand *ret);

/* When EVENT_TICK is due (monotonic), USEC_INFINITY: not by time. In ROLLOUT_WAITING the caller ticks when
 * the window opens, which it knows by itself. */
usec_t rollout_deadline(const Rollout *r);

RolloutState rollout_state(const Rollout *r);
static inline bool rollout_over(const Rollout *r)
{
    return rollout_state(r) >= ROLLOUT_DONE;
}
bool rollout_halts(const Rollout *r); /* it has halted, or will when the relays in progress are finished */
Step rollout_step(const Rollout *r, size_t item);
/* An item that is, or was meanwhile, in another step than when it was last told here; at first none is, but
 * for those that are recovered. In any order; false: no other. */
bool rollout_next_moved(Rollout *r, size_t *ret);
Gate rollout_gate(const Rollout *r, size_t item);     /* where it failed; GATE_NONE */
usec_t rollout_settle(const Rollout *r, size_t item); /* how long it must stay up; a canary perhaps longer */
bool rollout_canary(const Rollout *r, size_t item);
bool rollout_handed_over(const Rollout *r, size_t item); /* SKIPPED, and to be recovered by the next one */
size_t rollout_wave(const Rollout *r);                   /* the last that began */
/* The gate is shut: when it is tried again (monotonic). USEC_INFINITY: it is not, as far as is known. */
usec_t rollout_gate_again(const Rollout *r);
bool rollout_at_gate(const Rollout *r);                /* a GATE is out */
size_t rollout_wave_of(const Rollout *r, size_t item); /* in which it went; 0: its turn has not come */
typedef struct RolloutCounts {
    size_t total;
    size_t done;    /* as planned, and proved */
    size_t skipped; /* stopped by somebody, gone, handed over, or to be planned again */
    size_t failed;  /* and lost */
} RolloutCounts;
RolloutCounts rollout_counts(const Rollout *r);
/* For forecasts: one that stands as this does. Commands that are out without an answer are to be taken from
 * it once more, and what settles has pid 1 and no restart. */
Rollout *rollout_copy(const Rollout *r);
