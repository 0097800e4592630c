/* SPDX-License-Identifier: BSD-3-Clause */
/* What must outlive a crash or a restart of the daemon because it cannot be read back: which relays are in
 * progress, what failed and is not tried again, what an operator requested. Pure; io/state-file reads and
 * writes it. */
#pragma once

#include "core/util.h"

/* A pause is another thing: it neither ends a hold nor ends with one. */
typedef enum Hold {
    HOLD_NONE,
    HOLD_HALTED,  /* by failures; until the configuration or a library changes, or resume */
    HOLD_ABORTED, /* by an operator; the same */
    _HOLD_MAX,
    _HOLD_INVALID = -1,
} Hold;
const char *hold_to_string(Hold h);
Hold hold_from_string(const char *s);

/* A relay between its first write and the end of its settling. */
typedef struct Flight {
    char *relay;
    char *unit;              /* NULL: not known, saved by a version that did not say */
    char *previous;          /* text of the drop-in before; NULL: there was none */
    char *before;            /* library that it ran before; NULL: glibc */
    char *allocator, *build; /* what it is moved to, "" for one that loses our drop-in; NULL: not known, saved
                                by a version that did not say */
    bool canary;             /* it goes as one */
    bool ready;              /* it was bootstrapped before it was restarted */
    bool left;               /* by an earlier run of the daemon, and not looked at since */
    bool stuck;  /* its way back could not be written: tried again; not saved, for a restart tries it, too */
    bool unread; /* with stuck: it was, and systemd did not read it */
} Flight;

/* A move that failed: not tried again while relay, allocator and library build are the same. Allocator and
 * build are "" for one that was to lose our drop-in. */
typedef struct Refusal {
    char *relay, *allocator, *build, *reason;
    bool untouched; /* a gate stopped it before anything was done to the relay: looking again costs nothing,
                       so it is not saved, and forgotten at each reload */
} Refusal;

/* A relay that an operator took out of its group. */
typedef struct Revert {
    char *relay;
    char *group,
        *allocator; /* what the file gave it then; "" none; NULL: saved by a version that did not say */
} Revert;

/* What the configuration in force gives to a relay; "" where it gives nothing. */
typedef struct Assignment {
    const char *relay, *group, *allocator, *build; /* build: as in refusals */
} Assignment;

typedef struct State {
    Hold hold;
    bool paused; /* by an operator; until resume */
    char *hold_reason;
    char *config_id;   /* of the configuration that was loaded last */
    char *reviewed_id; /* of the one that hold, refusals and reverts belong to (memory_review()) */
    Refusal *causes;   /* of a halt: what failed, without reasons */
    size_t n_causes, c_causes;
    uint64_t rollout_id;
    Flight *flights;
    size_t n_flights, c_flights;
    Refusal *refusals;
    size_t n_refusals, c_refusals;
    char **written;   /* strv of relays whose drop-in is this installation's work */
    bool from_before; /* saved by a version that had no such list: what is there is taken for its work */
    char **waiting;   /* strv of relays that somebody stopped before their turn in a rollout came */
    char **restarts;  /* strv of "INVOCATION RELAY": an operator requested a restart of that process of the
                         relay */
    Revert *reverts;
    size_t n_reverts, c_reverts;
    char **proved;     /* strv of facts_recipe(): a relay of this host has settled with each */
    char *metrics;     /* the metrics file that was written last, and is to go; NULL */
    char *started_for; /* the daemon started itself again for new mounts of this directory, and may have done
                          so in vain; NULL */
} State;

State *memory_free(State *state);
DEFINE_CLEANUP(State, memory_free)

Flight *memory_find_flight(const State *state, const char *relay);
/* Its texts are copied; it replaces the one of the same relay. */
void memory_add_flight(State *state, const Flight *flight);
void memory_remove_flight(State *state, const char *relay);

/* The configuration names units by this template now: a relay whose unit is of another goes by its unit, as
 * in RelayFacts.old_unit, and one of this template by its name. */
void memory_name_flights(State *state, const char *unit_template);

const Refusal *memory_find_refusal(const State *state, const char *relay, const char *allocator,
                                   const char *build);
void memory_add_refusal(State *state, const char *relay, const char *allocator, const char *build,
                        const char *reason, bool untouched);
void memory_remove_refusal(State *state, const char *relay, const char *allocator, const char *build);
void memory_clear_refusals(State *state);
void memory_clear_untouched(State *state); /* those of relays that nothing was done to */

/* For a relay that was up before its turn, and that somebody has stopped since. Nothing is written ahead for
 * it: else a fleet that is stopped in mid-rollout would come up on what has not been proved. true: that is
 * new. */
bool memory_set_waiting(State *state, const char *relay, bool waiting);

/* Whether the relay's drop-in is this installation's work. true: that is new. */
bool memory_set_written(State *state, const char *relay, bool written);

/* A relay has settled with what this stands for (facts_recipe()); the oldest of many is forgotten. true: that
 * is new. */
bool memory_set_proved(State *state, const char *recipe);

/* An operator requested a restart of the relay; one that has another process since (another invocation of its
 * unit, as systemd names it) has been restarted. */
bool memory_restart_wanted(const State *state, const char *relay, const char *invocation);
/* true: that is new. */
bool memory_want_restart(State *state, const char *relay, const char *invocation);
bool memory_end_restart(State *state, const char *relay); /* true: there was a request */

const Revert *memory_find_revert(const State *state, const char *relay);
void memory_add_revert(State *state, const char *relay, const char *group, const char *allocator);
bool memory_remove_revert(State *state, const char *relay); /* true: it was there */
/* Of this relay, whatever it failed with; true: there was one. */
bool memory_forget_failures(State *state, const char *relay);

/* What failed when a rollout halted; the halt lasts as long as one of them is still to be had. Only while the
 * hold is HOLD_HALTED: another hold forgets them. */
void memory_add_cause(State *state, const char *relay, const char *allocator, const char *build);

/* Replaces the hold and its reason (copied; NULL: none). */
void memory_hold(State *state, Hold hold, const char *reason);
static inline bool memory_held(const State *state)
{
    return state->paused || state->hold != HOLD_NONE;
}

/* Replaces the path of the metrics file (copied; NULL: none). true: it was another. */
bool memory_metrics(State *state, const char *path);
bool memory_started_for(State *state, const char *directory); /* the same of the directory */

/* The configuration with this identity (facts_identity(): "FILE-LIBRARIES") was loaded. An abort lasts until
 * the file changes, which an upgrade of a library does not; a pause lasts. true: it is another. */
bool memory_adopt(State *state, const char *id);

typedef struct Review {
    bool changed;    /* something is to be saved */
    bool regrouped;  /* relays have come back to their groups */
    bool halt_ended; /* what failed is not to be had any more */
} Review;

/* The configuration with this identity is in force, and gives this to the relays there are. Where it is
 * another one than at the last review:
 * - a revert ends for a relay to which the file gives another group or allocator;
 * - what failed gets a new chance where the file gives the relay something else;
 * - a halt ends when nothing of what failed is to be had any more: the file gives those relays something
 *   else, or the library is another build. A relay that is gone is not something else.
 *
 * Groups that change without the file, because relays come and go, end nothing. */
Review memory_review(State *state, const char *id, const Assignment *assigned, size_t n);
