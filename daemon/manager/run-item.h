/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the rollout in progress, shared by the files that carry it out: run.c (the commands),
 * examine.c (preflights), gate.c (rollout.gate), file.c (drop-ins), operation.c and those that
 * share operation-private.h (restarts and proofs), notice.c (what is logged and remembered of it). No other
 * file includes this. */
#pragma once

#include "io/preflight.h"
#include "manager/reload.h"
#include "manager/run.h"

typedef struct GateRun GateRun;

typedef enum Operation {
    OPERATION_NONE,
    OPERATION_CHECK,
    OPERATION_RESTART,
    OPERATION_START,
    OPERATION_VERIFY,
    OPERATION_ASK,
    OPERATION_VERIFY_BACK,
} Operation;

typedef struct RunItem {
    Run *run;
    size_t index;
    Relay *relay;
    RolloutItem item;
    size_t allocator;       /* index in the configuration; ROLLOUT_NO_ALLOCATOR */
    char *moves_to, *build; /* what it is moved to and its build, as in Refusal; with item.outdated those of
                               the flight, and not what it is assigned now */
    size_t wave;            /* in which its turn comes, as forecast at the start */
    char *wanted;           /* text to write; NULL: remove */
    char *previous;         /* text to put back; NULL: there was none */
    char *before;           /* library that it ran before; NULL: glibc */
    char **carried;         /* strv of what the old drop-in set */
    char *reason;           /* why it failed */
    char *unit_log;
    Preflight *preflight;
    bool preflight_config;  /* it is of its configuration, and not of its allocator */
    usec_t preflight_begun; /* monotonic */
    bool preflight_again;   /* the bus was lost while it was in progress */
    uint64_t config_stamp;  /* torrc_stamp() of what is being verified */
    /* the operation in progress */
    Operation operation;
    Systemd1Call *call;
    sd_event_source *timer;
    usec_t deadline;
    char *job;       /* object path, once systemd has sent it */
    char *early_job; /* a job of its unit that ended before we knew ours */
    JobResult early_result;
    char replaces[33];   /* the invocation that it was planned for */
    bool checked;        /* a restart would do: it is only asked yet whether it is ready */
    bool told;           /* that is answered: its unit is read once more */
    unsigned questions;  /* so many of these got no answer */
    bool asked;          /* systemd may have been asked for it */
    char invocation[33]; /* when the restart was asked for first */
    bool was_down;       /* then it was not up, and has not been since: its failure is none of ours */
    uint32_t
        n_restarts; /* then: systemd does not count from 0 again for a unit that waits to be started again */
    uint32_t first_restarts; /* at the first look of a proof; UINT32_MAX: before that */
    bool crashing;           /* then it crashed again and again with a drop-in of ours: that is no way back */
    usec_t begun;            /* monotonic, when its restart or start was asked for; 0: that is over */
    usec_t asked_ready;      /* monotonic, since when it has been asked whether it is ready; 0: not yet */
    bool needless;           /* it ran what a restart would have given it */
    bool failed_alive; /* when it failed, or since, it was up, or systemd was about to start it again: if it
                          is stopped then, that was not us */
    bool canceled; /* somebody's stop took the place of its restart, and nobody has started it since, … */
    bool ended;    /* …and it has been seen not to start any more */
    bool moved;    /* it is in Run.moved */
    bool not_back; /* its old drop-in could not be put back, and what it was to get instead stands there */
    bool back_unread; /* it was put back, and systemd did not read it */
} RunItem;

struct Run {
    Manager *manager;
    Rollout *rollout;
    RunItem *items;
    size_t n;
    size_t *moved, n_moved; /* items of whose relays other things may have to be shown */
    Reload *reload;         /* one is out; NULL: none */
    GateRun *gate;          /* likewise */
    char *gate_fault;       /* what it was found to be last, to follow "it"; NULL: open */
    char *waits;            /* run_reason()'s words of it */
    sd_event_source *timer;
    size_t waves;     /* as forecast at its start */
    bool told_silent; /* it was logged that a relay does not say whether it is bootstrapped */
    bool no_network;  /* the last that was asked: nothing reaches this host */
    bool unsafe;      /* the state could not be saved: nothing may be written */
    bool pumping;
    bool recovery; /* of what an earlier run of the daemon left, and nothing else */
};

/* Gives the machine an event, and carries out what follows. */
void run_send(Run *run, RolloutEvent e);

/* Also shown as the relay's; NULL: none. */
void item_set_reason(RunItem *i, char *take_reason);
/* While it is put back, what goes wrong is appended to what went wrong before. */
void item_add_reason(RunItem *i, char *take_reason);
/* Its allocator for people: "jemalloc", or "the settings of its own unit". */
const char *item_allocator_name(const RunItem *i);

/* ---- examine.c: what has to be known before the relay is touched; each is answered by one event ---- */
void examine_allocator(RunItem *i);
void examine_config(RunItem *i);
void examine_end(RunItem *i); /* no event follows */
void examine_forget_bus(RunItem *i);
void examine_bus_back(RunItem *i);

/* ---- gate.c: rollout.gate; answered by one event ---- */
void gate_start(Run *run);
GateRun *gate_free(GateRun *g); /* no event follows */
void gate_job_removed(Manager *m, const char *job, const char *unit, JobResult result);
void gate_forget_bus(GateRun *g);
void gate_bus_back(GateRun *g);
/* "waiting for the gate UNIT: it failed (exit status 1); tried again in 43s"; NULL: it is not waited for.
 * Owned by the caller. */
char *gate_words(const Run *run);

/* ---- file.c: false: it was not done, and the item has the reason ---- */
bool file_write(RunItem *i);    /* as the item wants it; what stood there before is kept */
bool file_put_back(RunItem *i); /* as it was before; or, where the disk does not let that, none of ours */
void file_settled(RunItem *i);  /* what stood there before is not needed any more */
bool file_put_back_again(Relay *relay,
                         Flight *flight); /* one that is stuck; nothing is logged when it still is */

/* ---- operation.c: each start is answered by one event, unless it is ended first ---- */
void operation_start(RunItem *i, Operation operation);
void operation_end(RunItem *i); /* cancels all of it; no event follows */
void operation_bus_back(RunItem *i);
void operation_job_removed(Manager *m, const char *job, const char *unit, JobResult result);
void operation_told(RunItem *i); /* its relay has said something, or has no process any more that could */

/* ---- notice.c ---- */
void notice_wave(Run *run, const RolloutCommand *c);
void notice_failed_gate(Run *run, const RolloutCommand *c);
/* The preflight of `asked` refuses it, and all that share its allocator and sandbox: logged and remembered.
 * When no relay is left that could use the allocator, the allocator itself is refused. */
void notice_refused(RunItem *asked, const char *reason);
/* It could not be tried: their turn comes when it can. */
void notice_untested(RunItem *asked, const char *reason);
/* It would not come up again, whatever its allocator: logged, and remembered until its configuration changes.
 */
void notice_config_refused(RunItem *i, const char *reason);
/* The gate was tried; `fault`: why it is shut, NULL: it is open. Logged when that is new. */
void notice_gate(Run *run, const char *fault);
void notice_ended(Run *run, const RolloutCommand *c);
void notice_over(Run *run);
