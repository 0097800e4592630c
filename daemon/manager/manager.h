/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's middle: owns the event loop, the bus, the configuration in force, the table of relays and the
 * rollout under way. It decides nothing that core decides, and touches the world only through io.
 *
 *   manager.c          life: start, bus, reload, stop, what is shown to systemd
 *   setup.c   the configuration and its allocators as they are on this host
 *   relays.c   the table of relays: which there are, and which group takes them
 *   relay.c    one of them: its unit, its process, the proof
 *   plan.c     from the table to a plan, and to a rollout when there is something to do
 *   run.c  carries out the commands of core/rollout, and answers them
 *   operation.c  its restarts and proofs
 *   notice.c   what is told of it, and remembered
 *   preflight.c  tries a library in a relay's sandbox
 *   sampler.c          measures the relays
 *   bus/api.c          what is offered on the bus
 */
#pragma once

#include "core/plan.h"
#include "core/state.h"
#include "io/dropin-store.h"
#include "io/eventlog.h"
#include "io/library.h"
#include "io/procfs.h"
#include "io/state-file.h"
#include "io/systemd1.h"

#include <systemd/sd-event.h>

typedef struct Manager Manager;
typedef struct Relay Relay;
typedef struct Run Run;

typedef struct RunCounts {
    size_t wave, waves, total, done, failed;
} RunCounts;

/* An allocator of the configuration as it is on this host. */
typedef struct Resolved {
    Library library; /* path NULL: none to preload */
    char *refusal;   /* why it must not be used; NULL: fine */
    char *version;   /* "" unknown */
    char *build;     /* identity of this build, to remember failures by */
    Family family;
    bool tried; /* the probe ran with it and its environment */
} Resolved;

typedef struct Setup { /* a configuration with its allocators; replaced as a whole by a reload */
    Config *config;
    Resolved *resolved; /* one for each of config->allocators */
    char **libraries;   /* strv of their real paths */
    char *id;           /* "FILE-LIBRARIES": changes when the file or a library changes */
    char *stamp;        /* setup_stamp() when it was loaded */
    usec_t loaded;      /* realtime */
} Setup;

struct Relay {
    Manager *manager;
    char *name, *unit;
    size_t group;    /* by the file; GROUP_NONE */
    bool reverted;   /* an operator took it out: treated as if no group took it */
    bool found;      /* by the scan under way */
    bool has_file;   /* a unit file of its own, or enabled */
    bool counted;    /* when the groups were last formed */
    bool has_folder; /* among the instances */

    UnitInfo *info; /* NULL: not read yet */
    sd_bus_slot *watch;
    Systemd1Call *refresh;
    bool refresh_again;
    bool unread; /* reading its unit failed; it is tried again */

    Process *process; /* NULL: none, or not active */
    bool readable;    /* maps and environ of the process could be read */
    bool young;       /* relay_too_young() at the last plan: to be proved again */
    MappedLibrary running;
    char **environ;
    char *label;        /* AppArmor */
    char *running_name; /* allocator that it runs, as the configuration calls it, or the family; "" */
    char *version;
    Verdict verdict;        /* against its assignment; CAUSE_NONE without one */
    char *fresh_invocation; /* one that is known to have begun after our drop-in was loaded; NULL */
    char *told;             /* what was last logged of its proof, so that it is logged once */

    char *present; /* text of our drop-in on disk; NULL: none */
    char *foreign; /* why the file that is there must not be touched; NULL */
    Action action;
    char *reason; /* of the action, or of the failure */
    bool refused; /* a failure that is remembered */
    RelayState state;
    RelayState shown; /* what the bus was last told, and the properties with it */
    char *shown_properties;
    size_t run_item; /* index in the rollout under way; SIZE_MAX */

    Memory memory; /* of the last sample */
    usec_t sampled;
    bool measured;  /* at the last sample */
    bool seen_up;   /* by a sample or between two: when it goes down, that is told */
    bool told_down; /* and not up since */
};

struct Manager {
    /* given at the start */
    char *config_path, *state_dir, *proc, *probe;
    /* life */
    sd_event *event;
    sd_bus *bus;
    Systemd1 *systemd;
    sd_event_source *reconnect, *rescan, *reread, *replan, *sampling, *run_over, *retry, *manager_changed;
    sd_event_source *instances_watch, *clock_watch;
    bool ready; /* READY=1 was sent */
    bool stopping;
    bool bus_lost;       /* and nobody found on it since */
    char *status;        /* what systemd was last shown */
    bool scanned;        /* the table is complete */
    bool look_at_groups; /* the configuration is new: say which groups take no relay */
    /* what is in force */
    Setup *setup;
    Setup *next_setup;  /* comes into force when the rollout under way has ended; NULL */
    char *tried_stamp;  /* of the libraries, when they were last found changed */
    char *config_error; /* problems of the last refused file; NULL */
    DropinStore *dropins;
    State *state;
    int state_error; /* of its last save */
    /* the table */
    Relay **relays; /* sorted by name */
    size_t n_relays, c_relays;
    Systemd1Call *scan;
    char **scan_units, **scan_files;
    bool scan_again, scan_done, table_changed;
    unsigned scan_failures;                          /* in a row */
    int instances_error, dropins_error, watch_error; /* of the last try: each is told once */
    /* the rollout */
    Plan *plan;
    Run *run;
    RolloutState last_result; /* ROLLOUT_RUNNING: none yet */
    char *last_reason;
    RunCounts last_counts;
    usec_t run_started;    /* realtime */
    usec_t not_before;     /* monotonic: no rollout begins earlier */
    int metrics_error;     /* of the last write */
    uint64_t n_preflights; /* started so far */
    /* bus-api */
    sd_bus_slot *api_slots[8];
    sd_bus_slot *name_slot;
};

/* ---- manager.c ---- */
int manager_new(const char *config_path, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager, manager_free)
int manager_run(Manager *m);
/* Reads the file again; -EINVAL: it has problems (logged, and in m->config_error), what runs stays. */
int manager_reload(Manager *m);
/* Puts a loaded configuration in force that had to wait for the end of a rollout; true: there was one. */
bool manager_adopt_next(Manager *m);
/* Reloads when a library of the configuration was installed, removed or replaced since. Costs a stat(2) for
 * each. */
void manager_check_libraries(Manager *m);
void manager_show_status(Manager *m); /* STATUS= and the bus */
/* Runs `handler` once, soon: several wishes within `delay` become one. */
void manager_schedule(Manager *m, sd_event_source **source, usec_t delay, sd_event_time_handler_t handler);
usec_t now_monotonic(const Manager *m);
usec_t now_realtime(void);
void manager_ready(Manager *m);                               /* READY=1, once */
void manager_hold(Manager *m, Hold hold, const char *reason); /* to be saved by the caller; reason or NULL */
/* State that a crash must not lose; the error was logged. */
int manager_save_state(Manager *m);

/* ---- setup.c ---- */
/* 0; -EINVAL with the problems as lines in *ret_problems. Logs refused libraries. */
int setup_load(const Manager *m, const char *path, Setup **ret, char **ret_problems);
Setup *setup_free(Setup *setup);
DEFINE_CLEANUP(Setup, setup_free)
/* What the libraries look like from outside: differs when one was installed, removed or replaced. Owned by
 * the caller. */
char *setup_stamp(const Setup *setup);
const Group *setup_group(const Setup *setup, size_t group); /* NULL: GROUP_NONE */

/* ---- relays.c ---- */
void relays_scan(Manager *m); /* looks for relays anew; debounced */
void relays_watch_instances(Manager *m);
void relays_drop_vanished(Manager *m); /* those that the last look did not find, and no rollout holds */
void relays_forget(Manager *m);        /* all of them: the configuration looks for other units now */
void relays_free(Manager *m);
void relays_forget_bus(Manager *m); /* the bus is gone: slots and calls with it */
void relays_bus_back(Manager *m);
/* Groups by the configuration in force, then proves all. Relays in the rollout under way keep what they have
 * until it has ended; if theirs would change, it is asked to make way. */
void relays_assign(Manager *m);
void relays_prove_all(Manager *m);
Relay *relays_find(Manager *m, const char *name);
Relay *relays_find_unit(Manager *m, const char *unit);
void relays_check_scanned(Manager *m); /* one more unit was read: is the table complete now? */

/* ---- relay.c ---- */
Relay *relay_new(Manager *m, const char *name, const char *unit);
Relay *relay_free(Relay *r);
void relay_watch(Relay *r);                          /* reads its unit, now and whenever it changes */
void relay_unit_changed(Relay *r);                   /* reads its unit again */
void relay_take_info(Relay *r, UnitInfo *take_info); /* what was read; notices new processes */
void relay_prove(Relay *r);                          /* reads the process again and judges */
bool relay_up(const Relay *r);
#define RELAY_GROWN_UP (3 * USEC_PER_SEC)
/* Its process is so young that what it does not show may still come, its environment or a library: tor says
 * READY when all is loaded, but the unit of another template may be "active" from its first instruction on.
 */
bool relay_too_young(const Relay *r);
/* The group whose allocator it should run now: NULL when none takes it, or an operator took it out. */
const Group *relay_target(const Relay *r);
const Resolved *relay_resolved(const Relay *r); /* NULL without a target */
char *relay_wanted_text(const Relay *r);        /* of its drop-in; NULL: there should be none */
void relay_read_dropin(Relay *r);               /* from disk, into present and foreign */
/* The last lines that the relay's unit left in the journal; NULL: none. */
char *relay_unit_log(const Relay *r);
/* Others' files that set what its drop-in sets: a strv of sentences. */
char **relay_conflicts(const Relay *r);
Event relay_event(const Relay *r); /* the fields that every event about it has */

/* ---- plan.c ---- */
void plan_soon(Manager *m); /* a fact has changed */
void plan_now(
    Manager *m); /* makes the plan, updates states, starts a rollout when there is something to do */
void plan_make(Manager *m); /* only that */
void plan_one(Relay *r);    /* what should be done about it by now; the plan itself stays as it is */
void plan_update_states(Manager *m);
const char *relay_reason(const Relay *r); /* why it is not as assigned; NULL: it is, or nothing is known */
RolloutPolicy plan_policy(const Manager *m);

/* ---- run.c ---- */
/* From m->plan and the flights that a crash left. While the rollout is on hold, only what cannot wait: relays
 * that a crash left down, and those that an operator reverts. 0 also when there was nothing to do. */
int run_start(Manager *m);
Run *run_free(Run *run);
void run_event(Manager *m,
               RolloutEventKind kind); /* pause, resume, abort, supersede; without a rollout nothing */
void run_unit_changed(Relay *r);
bool run_item_waits(const Run *run, size_t item); /* its turn has not come */
bool run_reads_unit(const Relay *r); /* an operation on it is under way, which ends by reading its unit */
void run_job_removed(Manager *m, const char *job, const char *unit, JobResult result);
void run_forget_bus(Manager *m);
void run_bus_back(Manager *m); /* what was under way when the bus went is asked again */
const Rollout *run_rollout(const Run *run);
uint64_t run_id(const Manager *m);
/* "idle", "running", "waiting", "paused", "ending" (what is under way is seen through, nothing else begins),
 * "halted", "aborted": of the rollout under way, or of what holds the next. */
const char *run_word(const Manager *m);
const char *run_reason(const Manager *m); /* why it ended or ends, or the last one did; "" while one goes */
RunCounts run_counts(const Manager *m);   /* of the rollout under way, else of the last one */
usec_t run_ends(const Manager *m);        /* estimate, realtime; 0: none */
/* The wave of a new plan, counted as the rollout under way counts: that of the relay's turn in it, or, when
 * it is not in it, one behind its end. 0 stays: no turn. */
size_t run_plan_wave(const Relay *r, size_t planned);
const char *run_item_reason(const Run *run, size_t item);

/* ---- preflight.c ---- */
typedef struct Preflight Preflight;
typedef void (*PreflightCallback)(void *userdata, bool ok, const char *reason);
/* Tries the allocator in the sandbox of the relay's unit; answers once unless freed. -ENOTCONN: the bus is
 * gone; when it goes later, no answer comes. */
int preflight_start(const Relay *relay, size_t allocator, PreflightCallback callback, void *userdata,
                    Preflight **ret);
Preflight *preflight_free(Preflight *p);

/* ---- an operator's wishes (manager.c) ---- */
void manager_pause(Manager *m);
int manager_resume(Manager *m); /* goes on; unless it was paused, what failed is tried again. -ENOENT: nothing
                                   is held, and nothing failed */
int manager_abort(Manager *m);  /* -ENOENT: no rollout under way */
int manager_revert(Manager *m, char *const *relays,
                   size_t *ret_n); /* none named: all. -ENOENT: no such relay */

/* ---- sampler.c ---- */
int sampler_start(Manager *m); /* also after a reload that changed the interval */

/* ---- bus/api.c ---- */
int bus_api_start(Manager *m);
void bus_api_stop(Manager *m);
void bus_api_relay_changed(Relay *r); /* tells the bus, if it was told otherwise before */
void bus_api_manager_changed(Manager *m);
