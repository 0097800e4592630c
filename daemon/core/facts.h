/* SPDX-License-Identifier: BSD-3-Clause */
/* One relay as it was found, and what follows from it: does it count, which group takes it, what did it fail
 * before, does it run what it should, what has to be done, which state is it in. The daemon and the command
 * line without the daemon fill in the same facts and ask the same questions, so that what one announces is
 * what the other does. Pure: whoever fills in the facts has read them. */
#pragma once

#include "core/assign.h"
#include "core/forecast.h"
#include "core/memory.h"
#include "core/plan.h"
#include "core/state.h"
#include "core/unit.h"
#include "core/verdict.h"

#include <sys/types.h>

/* ---- what all relays of a host have in common ---- */

/* An allocator of the configuration as it is on this host (io/allocators). */
typedef struct AllocatorFacts {
    char *path;     /* to preload; NULL: none, or the library was refused before it was found */
    bool gone;      /* it was there, and is not any more: seen before the next reload */
    char *realpath; /* with all links resolved, as /proc/PID/maps shows it; NULL likewise */
    char *build;    /* identity of this build, to remember failures by; never NULL */
    char *version;  /* "" unknown; never NULL */
    Family family;
    char *refusal;   /* why it must not be used here, a sentence without full stop; NULL: fine */
    bool untested;   /* the refusal is the host's trouble (no descriptors, memory, processes for a moment) and
                        says nothing of the allocator: looked at again with each sample */
    bool unresolved; /* no library could be found by its name that may be used: the dynamic linker is asked
                        again with each sample, since it may find it without anything else that changes */
    bool unsafe;    /* the refusal is of the library, which is there: others than root could change it, or the
                       like */
    char **looked;  /* strv: the paths that decided whether the library is safe */
    char *guard;    /* library_guard() of them when they were looked at */
    char *warnings; /* what it or ld.so printed when it was tried, lines; NULL */
    char *remark;   /* a fault of it that no relay meets; NULL */
    char **settings; /* strv: what it does not understand of its environment, sentences without full stop */
    bool tried;      /* the probe ran with it and its environment */
} AllocatorFacts;
void allocator_facts_clear(AllocatorFacts *facts);

/* Everything here belongs to others and outlives the call that it is handed to. */
typedef struct HostFacts {
    const Config *config;
    const char *config_path; /* as drop-ins name it: that of the file, or where a draft is going to be */
    const AllocatorFacts *allocators; /* one for each of config->allocators */
    const State *state;
    char *const
        *manager_environment; /* strv of what systemd gives to every service; NULL: nothing, or not known */
    usec_t now;               /* realtime */
} HostFacts;

/* "FILE-LIBRARIES": changes when the text of the file or the build of a library in use changes. Owned by the
 * caller. */
char *facts_identity(const Config *config, const AllocatorFacts *allocators);
bool facts_allocator_in_use(const Config *config, size_t allocator);
/* Is it shown and tried? One under a former name only where a group uses it. */
bool facts_allocator_offered(const Config *config, size_t allocator);
size_t facts_allocators_offered(const Config *config); /* how many */

/* ---- one relay ---- */

/* Its main process, as read from /proc. */
typedef struct ProcessFacts {
    pid_t pid;      /* 0: none, or it could not be opened */
    usec_t started; /* realtime */
    bool readable;  /* its maps and its environment could be read: what follows holds */
    int error;      /* why not, a negative errno; -EACCES: we have no right to; 0: it is, or there is none */
    MappedLibrary running;
    char **environ;
    char *label; /* AppArmor's; NULL: none, or not known */
    /* what preloads libraries into it, and would into its successor */
    char **not_loaded;      /* strv: entries of its LD_PRELOAD by which nothing came */
    char *system_allocator; /* the entry of /etc/ld.so.preload that brings an allocator; NULL: none */
    char *program;          /* the path of what it runs; NULL: not known */
    SecureMode secure;
} ProcessFacts;

typedef struct RelayFacts {
    char *name, *unit;
    bool old_unit; /* of another template than `unit` of the configuration, with a drop-in of ours: what a
                      former `unit` left. It is no relay; its name is that of the unit */
    /* as found */
    bool has_instance; /* among the instances */
    bool has_file;     /* a unit file of its own, or enabled */
    UnitInfo *info;    /* NULL: not read yet */
    bool unread;       /* reading its unit failed the last time */
    ProcessFacts process;
    char *dropin;  /* path of our drop-in, whether it is there or not */
    char *present; /* its text; NULL: none of ours */
    char *foreign; /* why the file that is there must not be touched; NULL */
    char *removed; /* text of ours that was removed when nobody knew of a process that has it: one that was
                      just starting may have it all the same; NULL */
    bool dropin_unread;    /* it could not be read for a moment: `present` is what was known of it before */
    char **own_settings;   /* strv of verdict_own_settings(); NULL: none, or not known */
    char **kept;           /* strv of what others preload besides an allocator: our drop-in keeps it */
    char *kept_from;       /* the file that says so; NULL: systemd's own environment */
    char *settings_unread; /* why what others set for it could not be read for a moment: the three above are
                              what was known before, and nothing is done about it meanwhile; NULL: it was */
    char *config_fault;    /* it would not come up again, whatever its allocator; NULL: not known to be so */
    uint64_t config_stamp; /* with it: torrc_stamp() of the configuration that was verified */
    /* as concluded */
    size_t group;        /* by the file; GROUP_NONE */
    bool reverted;       /* an operator took it out: treated as if no group took it */
    bool dropin_unknown; /* nobody remembers our drop-in, as he does others: it was copied with the files of
                            another relay, or is left over */
    char *reverted_from; /* the group that it had then; "" none; NULL: also when that is not known */
    char *running; /* the allocator that runs as the configuration calls it, or its family; "" not known */
    char *version; /* of what runs; "" not known */
    char *fresh_invocation; /* one that is known to have started after our drop-in was loaded; NULL */
    char *fresh_dropin;     /* with it: the text of that drop-in */
    Verdict verdict;
    char **conflicts; /* strv of verdict_conflicts() while our drop-in is there; NULL: none, or not known */
    Action action;
    char *down;         /* why systemd says that it is not up; NULL: it is, or is not meant to be */
    char *reason;       /* of the action, or of the failure that is remembered; NULL */
    bool failed_before; /* the action is refused because of a failure that is remembered */
} RelayFacts;

/* A relay of which nothing is known yet; free of it by relay_facts_clear(). One whose name is its unit is of
 * an old_unit. */
RelayFacts relay_facts_new(const char *name, const char *unit);
void relay_facts_clear(RelayFacts *relay);

/* ---- who counts, and whose it is ---- */

/* Debian ships tor@default.service: while it does not run, it is a unit file and not a relay, and takes no
 * place of `size` or `share`; but one that the configuration names is meant, and one that has our drop-in was
 * a relay once. A masked unit that does not run is never a relay. */
bool facts_counts(const Config *config, const RelayFacts *relay);
/* May it take a place of `size` or `share`? Not when its unit says that it has never run since the host was
 * started, nothing wants it, and neither a file of ours nor a revert says that it has one (a copy of an
 * instance's directory): it must not push out one that runs. */
bool facts_draws(const Config *config, const RelayFacts *relay);
/* What is remembered of the place that it has; to be told before facts_assign(). */
void facts_take_memory(RelayFacts *relay, const State *state);
/* What the configuration says of a rollout on a host with these; a share is of those that count. */
RolloutPolicy facts_policy(const Config *config, RelayFacts *const *relays, size_t n);
/* The group of each of the n relays, into ret[]; GROUP_NONE also for those that do not count. */
void facts_assign(const Config *config, const RelayFacts *const *relays, size_t n, size_t *ret);
/* assign_judge() of those that count. */
void facts_judge_names(const Config *config, const RelayFacts *const *relays, size_t n, Problems *problems);

/* The group whose allocator it should run now, its allocator, and that as it is here: NULL when no group
 * takes it or an operator took it out. */
const Group *facts_target(const HostFacts *host, const RelayFacts *relay);
const Allocator *facts_allocator(const HostFacts *host, const RelayFacts *relay);
const AllocatorFacts *facts_resolved(const HostFacts *host, const RelayFacts *relay);
/* What a failure with the allocator is remembered by: its build, and what it sets. Owned by the caller. */
char *facts_failure_build(const Allocator *allocator, const AllocatorFacts *resolved);
/* What the file gives to each relay, into ret[] and, owned by the caller, the builds; memory_review(). */
char **facts_assigned(const HostFacts *host, const RelayFacts *const *relays, size_t n, Assignment *ret);
/* What its drop-in should say; NULL: there should be none. Owned by the caller. */
char *facts_wanted(const HostFacts *host, const RelayFacts *relay);

/* The same for relays whose processes may see and load the same (RolloutItem.sandbox). */
uint64_t facts_sandbox(const RelayFacts *relay);

/* What a process gets by this allocator: its library's build and its settings, as State.proved names them.
 * NULL: no allocator, or nothing but what it has by itself. Owned by the caller. */
char *facts_recipe(const Allocator *allocator, const AllocatorFacts *resolved);
/* Has it settled with what it is assigned? */
bool facts_proves(const HostFacts *host, const RelayFacts *relay);

/* ---- its drop-in ---- */

/* What reading our drop-in at `path` gave: 0 and its text, or a negative errno (-ENOENT: none; -EEXIST: a
 * file that is not ours). Trouble that may pass (error_is_passing()) says nothing of it: what was known
 * stands. */
void facts_take_dropin(RelayFacts *relay, char *take_path, int error, char *take_text);

/* ---- what others set for it ---- */

/* Takes over what the files say (all that set its environment, as in VerdictFacts), and returns what others
 * preload: which of that brings no allocator, the files of those entries tell. Owned by the caller; NULL:
 * nothing. */
char *facts_take_settings(const HostFacts *host, RelayFacts *relay, const SettingFile *files, size_t n_files);
void facts_take_kept(RelayFacts *relay, char **take_kept);
/* The file `path` of others could not be read for trouble that may pass: what was known stands. NULL: all
 * could be. */
void facts_take_unread(RelayFacts *relay, const char *path, int error);
/* Of an entry of relay->kept: "FILE preloads LIBRARY". Owned by the caller. */
char *facts_kept_words(const RelayFacts *relay, const char *entry);
/* The first of our drop-in's variables (`ours`, a strv of NAME=VALUE) that its process has as ours sets it,
 * and that its unit's own settings would give it otherwise, or not at all; NULL: none. Belongs to `ours`. */
const char *facts_carried(const RelayFacts *relay, char *const *ours);

/* `reason` NULL: none any more. */
void facts_take_config_fault(RelayFacts *relay, const char *reason, uint64_t stamp);

/* ---- what it runs ---- */

/* A process may be so new that what it does not show may still come, its environment or a library: tor says
 * READY when everything is loaded, but the unit of another template may be "active" from its first
 * instruction on. */
#define PROCESS_NEW (3 * USEC_PER_SEC)
bool process_is_new(usec_t started, usec_t now);

/* Takes over a new look at its process (or none: all zero), and names what it runs. What could not be read
 * this time stays as it was last seen, but proves nothing. */
void facts_take_process(const HostFacts *host, RelayFacts *relay, ProcessFacts *take);
/* The verdict on what it runs, and its conflicts; none when it is down or unassigned. `files`: all that set
 * its environment, as in VerdictFacts. */
void facts_judge(const HostFacts *host, RelayFacts *relay, const SettingFile *files, size_t n_files);
/* Its process is new, and what is wrong with it may come right by itself. */
bool facts_too_new(const HostFacts *host, const RelayFacts *relay);
/* Others' files that set what its drop-in sets (verdict_conflicts()). */
char **facts_conflicts(const HostFacts *host, const RelayFacts *relay, const SettingFile *files,
                       size_t n_files);

/* How well it is known what it runs, behind "relay1 runs jemalloc, ": "proved", or by its file names only. */
const char *facts_proof(const RelayFacts *relay);
/* What else should be known of it, and of the process that it runs: a strv of sentences without full stop,
 * NULL: nothing. Owned by the caller. */
char **facts_notes(const RelayFacts *relay);

/* Is it down so that its turn must wait until it is up again: stopped by somebody, or failed by itself? (Not
 * with a drop-in of ours that has to be replaced: that may be what made it fail.) */
bool facts_down(const RelayFacts *relay);

/* ---- what is to be done, and how it stands ---- */

/* How long a plan of facts_plan() takes if it begins now and all goes well, the window included;
 * USEC_INFINITY: there is nothing in it to do. `times`: all but the restarts. */
usec_t facts_plan_length(const HostFacts *host, RelayFacts *const *relays, size_t n, const Plan *plan,
                         ForecastTimes times);

/* Into action, reason and failed_before of this relay. */
void facts_plan_one(const HostFacts *host, RelayFacts *relay);
/* The same for all, and the plan for them; its items name relays by their index here. */
Plan *facts_plan(const HostFacts *host, RelayFacts *const *relays, size_t n);
/* Why it is not as assigned; NULL: it is, or nothing is known. Belongs to the relay. */
const char *facts_reason(const RelayFacts *relay);
/* `step`: NULL, or how far the rollout has come with it. */
RelayState facts_state(const HostFacts *host, const RelayFacts *relay, const Step *step);
