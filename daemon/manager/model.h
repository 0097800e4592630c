/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon holds while it runs, and how its parts report to the one that conducts them. The parts,
 * from below:
 *
 *   loop.c       the clock and timers
 *   window.c     the time of day in which a rollout may begin waves
 *   memory.c     holds and saves of what must outlive a crash
 *   setup.c      a configuration and its allocators as they are on this host
 *   config-watch.c  notices that the configuration was saved
 *   alert.c      starts the operator's alerts
 *   relay.c      one relay: its unit, its process, the proof
 *   tor.c        what a relay says of itself
 *   relays.c     the table of relays: which there are, and which group takes them
 *   plan.c       from the table to a plan, and the relays' states
 *   left-over.c  what the log says of drop-ins that nobody answers for
 *   reload.c     asks systemd to read all unit files again
 *   run.c        carries out the commands of core/rollout, and answers them; with it
 *     examine.c    preflights of one relay before it is touched
 *     gate.c       runs the unit of rollout.gate
 *     file.c       the drop-in of one relay: written, put back
 *     operation.c  restarts of one relay; with operation-check.c before and operation-verify.c after them
 *     notice.c     what is logged and remembered of a rollout
 *   read-only.c  notices that only another start makes a directory writable again
 *   watch.c      says when memory is going to run out
 *   sampler.c    measures the relays
 *   status.c     shows systemd and the view how the daemon stands
 *   operator.c   what operators request
 *   connection.c the bus: opened, lost, opened again; what systemd announces
 *   manager.c    conducts: start, reload, stop, and what follows from what the parts report
 *
 * A part calls those before it in this list, and reports to manager.c by `reports`. bus/ is above all of them
 * and is notified by `view`. */
#pragma once

#include "core/alert.h"
#include "core/budget.h"
#include "core/facts.h"
#include "core/rss.h"
#include "core/traffic.h"
#include "io/dropin-store.h"
#include "io/eventlog.h"
#include "io/process.h"
#include "io/systemd1.h"
#include "io/tor-control.h"
#include "report/outlook.h"

#include <sys/types.h>
#include <systemd/sd-event.h>

typedef struct Manager Manager;
typedef struct Relay Relay;
typedef struct ConfigWatch ConfigWatch;
typedef struct Run Run;

typedef struct RunCounts {
    size_t wave, waves, total, done, skipped, failed;
} RunCounts;

/* Who need not wait for the window, because an operator says so, until nothing of it is left to be done. */
typedef enum Outside {
    OUTSIDE_NOBODY,
    OUTSIDE_REVERTED,
    OUTSIDE_ALL,
} Outside;

typedef struct Setup { /* replaced as a whole by a reload */
    Config *config;
    AllocatorFacts *allocators; /* one for each of config->allocators */
    char **libraries;           /* strv of their real paths */
    char *id;                   /* facts_identity() */
    char *stamp;                /* allocators_stamp() when it was loaded */
    usec_t loaded;              /* realtime */
} Setup;

/* What its present process says of itself (tor.c). */
typedef struct RelayTor {
    TorControl *asking;
    TorView view;    /* its last answer; progress -1: none */
    usec_t told;     /* monotonic, of that; 0 */
    int error;       /* of the last try */
    bool complained; /* of one; once a process */
    usec_t heard;    /* monotonic: when `read` bytes had been received; 0: not known */
    uint64_t read;
    unsigned asked_since; /* so many times, which adds to them */
    bool silent;          /* it received nothing from the network in the span before that */
    /* for the samples */
    usec_t sample_asked; /* monotonic: when it was last asked for one; 0 */
    usec_t flags_told;   /* monotonic, of the flags in `view`; 0: never */
    bool flags_unlogged, fingerprint_logged;
    TrafficDay day;
    usec_t end_logged; /* monotonic: when traffic was last logged at the end of a process; 0 */
} RelayTor;

struct Relay {
    Manager *manager;
    RelayFacts facts;
    bool found;        /* by the scan in progress */
    unsigned standing; /* when the groups were last formed: 1 it counts, 2 and draws; else 0 */

    /* its unit */
    sd_bus_slot *watch;
    Systemd1Call *refresh;
    bool refresh_again;
    bool unanswered;             /* systemd is there, and has not said how it stands */
    bool look_again;             /* what is read next is proved even if it says nothing new */
    usec_t signalled;            /* monotonic: when it was last read because it said that it changed */
    usec_t signal_pause;         /* so long it is not read again for that */
    sd_event_source *signal_due; /* and is then; NULL: nothing has changed since */
    bool read_by_run; /* an operation of the rollout is in progress, which ends by reading its unit */

    /* its process */
    Process *process;       /* NULL: none, or not active */
    bool is_new;            /* process_is_new() at the last plan: to be proved again */
    bool too_new;           /* facts_too_new() at the last plan */
    int open_error;         /* why it could not be opened; 0 */
    unsigned open_failures; /* of this one, in a row */
    int told_unreadable;    /* why the files of this one could not be read, as last logged; 0 */
    char *logged;           /* what was last logged of its proof, so that it is logged once */
    char **conflicts_told;  /* likewise of files of others that set what ours sets */
    Budget log_budget;      /* for that; a relay can change as often as it likes */
    char *unlogged;         /* what was found instead and too soon to be logged; NULL */
    unsigned n_unlogged;    /* how often since the last time */

    /* how it stands */
    RelayState state;
    RelayState shown; /* what was last sent to the bus, and the properties with it */
    char *shown_properties;

    /* the rollout in progress, as far as it concerns this relay */
    size_t run_item;        /* its index there; SIZE_MAX: it is not in it */
    Step step;              /* with a run_item */
    const char *run_reason; /* why it failed; belongs to the rollout; NULL */

    RelayTor tor;

    /* its samples */
    Memory memory; /* of the last one */
    usec_t sampled;
    bool measured;     /* at the last one */
    Growing growing;   /* of its present process */
    usec_t told_large; /* monotonic: when it was last logged that it is; 0 */
    bool seen_up;      /* by a sample or between two: when it goes down, that is logged */
    bool told_down;    /* and not up since */
    bool alerted_down; /* likewise, because it is down by itself */
};

/* Reports of the parts to manager.c. Each is the last thing that its caller does, so that anything may follow
 * from it. */
typedef struct ManagerReports {
    void (*relay_changed)(Relay *relay,
                          bool was_up); /* its unit is in another state, or has another process */
    void (*relay_read)(Relay *relay);   /* an answer about its unit came, or an error */
    void (*table_read)(Manager *m);     /* systemd and the directories were looked through */
    void (*table_complete)(Manager *m); /* the same for the first time, and every unit was read */
    void (*plan_outdated)(
        Manager *m); /* what the rollout in progress is doing is no longer what the table asks for */
    void (*asked)(Manager *m);        /* an operator's request is remembered; a plan follows */
    void (*restart_next)(Manager *m); /* a relay is about to load what is on disk */
    void (*run_moved)(Manager *m);    /* the rollout has come further */
    void (*run_over)(Manager *m);     /* not from within the rollout's own calls */
    void (*relay_told)(Relay *relay); /* tor_ask() is answered, or cannot be */
    void (*sampled)(Manager *m);
    void (*looks_again)(Manager *m);    /* all units are about to be read and proved again */
    void (*config_changed)(Manager *m); /* config_watch_changed() */
    void (*config_saved)(Manager *m);   /* it is to be read */
} ManagerReports;

/* Who shows the manager to others: the bus. */
typedef struct ManagerView {
    int (*start)(Manager *m);         /* m->bus is there */
    void (*stop)(Manager *m);         /* it is about to go */
    bool (*served)(const Manager *m); /* who calls us is answered: our names are on the bus */
    void (*relay_changed)(Relay *relay);
    void (*manager_changed)(Manager *m);
} ManagerView;

/* How long the last of each took; 0: there was none. */
typedef struct RunTook {
    usec_t reload, preflight, verify_config, gate, ready;
} RunTook;

typedef struct Alerting {
    Alerts past;
    char **queue;       /* strv of units that are still to be started */
    Systemd1Call *call; /* of the first of them */
    int error;          /* of the last one */
} Alerting;

struct Manager {
    /* given at the start */
    char *config_path, *state_dir, *proc, *probe;
    int meminfo; /* kept open; -1 */
    const ManagerReports *reports;
    const ManagerView *view;
    /* life */
    sd_event *event;
    sd_bus *bus;
    Systemd1 *systemd;
    sd_event_source *reconnect, *saving, *rescan, *reread, *reopen, *look_again, *replan, *sampling, *looking,
        *run_over, *retry;
    sd_event_source *instances_watch, *clock_watch, *watch_clock_again;
    bool ready; /* READY=1 was sent */
    bool stopping;
    usec_t began;     /* monotonic */
    char **read_only; /* strv of directories that it writes to, and that were read-only on the host then */
    char **only_ours_read_only; /* and of those that were so for us and not, or no more, on the host */
    bool bus_lost;              /* and nothing found on it since */
    char *status;               /* what systemd was last shown */
    bool scanned;               /* the table is complete */
    bool look_at_libraries; /* before the next plan: a process has started, and may have mapped other ones */
    bool look_at_groups;    /* the configuration is new: say which names in it match no relay */
    /* what is in force */
    Setup *setup;
    Setup *next_setup;    /* comes into force when the rollout in progress is over; NULL */
    char *tried_stamp;    /* of the libraries, when they were last found changed */
    usec_t refused_again; /* monotonic: when those that were refused when they were tried are tried again */
    ConfigWatch *config_watch;
    char *config_error;    /* problems of the last refused file; NULL */
    char *config_warnings; /* assign_judge() of the one in force, lines; NULL: nothing */
    ElfCache *elf_cache;
    DropinStore *dropins;
    State *state;
    int state_error; /* of its last save */
    /* the table */
    Relay **relays; /* sorted by name */
    size_t n_relays, c_relays;
    size_t n_in_state[_RELAY_STATE_MAX]; /* so many of them are in each state */
    char **environment;                  /* strv of what systemd gives to every service */
    Systemd1Call *scan, *environment_read;
    char **scan_units, **scan_files;
    bool scan_again, scan_done, table_changed;
    dev_t instances_device; /* of the directory that instances_watch watches */
    ino_t instances_inode;
    usec_t looked_again;       /* monotonic: when all units were last read again; 0: never */
    bool look_again_after_run; /* systemd read all unit files for the rollout in progress */
    unsigned scan_failures;    /* in a row */
    int instances_error, dropins_error, watch_error, clock_error; /* of the last try: each is logged once */
    /* the rollout */
    Plan *plan;
    Run *run;
    struct Reload *put_back_reload; /* of what it put back and systemd has not read; NULL */
    RolloutState last_result;       /* ROLLOUT_RUNNING: none yet */
    char *last_reason;
    RunCounts last_counts;
    usec_t run_started; /* realtime */
    RunTook took;       /* for forecasts */
    Outside outside_window;
    usec_t not_before;     /* monotonic: no rollout starts earlier */
    int metrics_error;     /* of the last write */
    Outlook outlook;       /* as of the last sample; without the names */
    char **watched;        /* strv of what watch.c tells now, sentences without full stop */
    char *growth_rows;     /* what was saved of the relays' growth, in the first hour; NULL */
    usec_t growth_hour;    /* of the last sample, monotonic; 0: there was none */
    usec_t told_short;     /* monotonic: when the outlook was last logged; 0 */
    uint64_t n_preflights; /* started so far */
    Alerting alerting;
    /* the view */
    struct Api *api; /* what bus/ holds; NULL: stopped */
};
