/* SPDX-License-Identifier: BSD-3-Clause */
/* What systemd says of one unit (org.freedesktop.systemd1(5)), as values. Pure; io/systemd1 reads it. */
#pragma once

#include "core/util.h"

typedef enum ActiveState {
    ACTIVE_INACTIVE,
    ACTIVE_ACTIVE,
    ACTIVE_RELOADING,
    ACTIVE_ACTIVATING,
    ACTIVE_DEACTIVATING,
    ACTIVE_FAILED,
    ACTIVE_OTHER,
} ActiveState;

/* How a job of a unit ended. */
typedef enum JobResult {
    JOB_DONE,
    JOB_CANCELED, /* somebody else's job took its place */
    JOB_SKIPPED,
    JOB_TIMEOUT,
    JOB_FAILED,
    JOB_DEPENDENCY,
    JOB_REFUSED, /* systemd took no job at all: the unit was not touched */
    _JOB_RESULT_MAX,
    _JOB_RESULT_INVALID = -1,
} JobResult;
const char *job_result_to_string(JobResult r);
JobResult job_result_from_string(const char *s); /* systemd's words: "done", "canceled", … */

typedef struct UnitInfo {
    char *unit;
    bool exists; /* LoadState is neither "not-found" nor "error" nor "bad-setting" */
    char *load_state, *sub_state;
    ActiveState active;
    char *type;             /* of the service: "notify", "oneshot", …; NULL: not known */
    bool remain_after_exit; /* it stays active when its processes have ended */
    char *result;           /* of the service: "success", "exit-code", "signal", … */
    bool wanted;            /* another unit wants or requires it */
    uint32_t main_pid, n_restarts;
    int32_t exit_code, exit_status; /* of the main process that ended last: CLD_EXITED, … and its status or
                                       signal (waitid(2)); 0, 0: none has */
    int32_t kill_signal;            /* KillSignal=: by which it is stopped */
    int32_t pre_start_signal;       /* that ended a pre-start command of its last start; 0: none */
    bool unmet; /* ConditionPathExists= or the like did not hold when it was to start last, or it never was */
    uint64_t sandbox;    /* the same for units whose processes may see and load the same; 0: not known */
    char invocation[33]; /* hex; "" when it never ran */
    uint32_t job;        /* id of the queued job; 0: none */
    usec_t timeout_start, timeout_stop; /* USEC_INFINITY: none */
    /* When it last left inactive, became active, left active, became inactive, changed at all; and when its
     * main process ended. µs monotonic, 0: never */
    usec_t inactive_exit, active_enter, active_exit, inactive_enter, state_change, main_exit;
    char **environment;       /* merged Environment= */
    char **environment_files; /* paths, "-" in front when it may be missing */
    char **dropins;           /* DropInPaths, in systemd's order */
    char *fragment;           /* FragmentPath */
    char **verify_config;     /* strv: its pre-start command that verifies its configuration; NULL: none */
} UnitInfo;
UnitInfo *unit_info_free(UnitInfo *info);
DEFINE_CLEANUP(UnitInfo, unit_info_free)

/* The unit of a process by the text of its /proc/PID/cgroup (proc(5)), with a suffix as in "tor@x.service";
 * NULL: it is no service's. Owned by the caller. */
char *unit_of_cgroup(const char *text);

/* How long its last start and its last stop took; 0: not known. */
usec_t unit_start_took(const UnitInfo *info);
usec_t unit_stop_took(const UnitInfo *info);
/* For how long it has been active, so ready by its own word, at `now` (µs monotonic); 0: it is not, or not
 * known. */
usec_t unit_active_for(const UnitInfo *info, usec_t now);
/* Is the unit masked: linked to /dev/null, so that nothing can start it? */
bool unit_masked(const UnitInfo *info);
/* Why a relay that runs is left alone then. */
#define UNIT_IS_MASKED "its unit is masked (systemctl unmask)"
/* Does it wait to be started again by systemd, after a failure? */
bool unit_auto_restarts(const UnitInfo *info);
/* Was it stopped by request, whatever its result? A stop kills the pre-start commands, and a process that
 * takes too long to end; and a process may crash on its way out: systemd says "failed" of all three. One that
 * waited to be started again is inactive, and keeps the result of its failure as long as anything refers to
 * the unit. */
bool unit_stopped_for_sure(const UnitInfo *info);
/* Was it stopped so, or did it end with success, or is it stopping? (not: it failed by itself, or it is
 * starting) */
bool unit_stopped(const UnitInfo *info);
/* Was it up, and was to be started again, and systemd has not done so because a condition of its unit does
 * not hold? The job is "done" then, and the unit inactive, with success, as after a stop. */
bool unit_kept_down(const UnitInfo *info);
/* Had it failed by itself, and that was reset since (`systemctl reset-failed`)? It is inactive then, with
 * success, as after a stop. */
bool unit_failure_forgotten(const UnitInfo *info);
/* Does systemd want it up, and it is not: failed, waiting to be started again after a crash or being so (a
 * start by anybody else counts from 0 again), or reloading without a main process (systemd 257 stays so for
 * minutes when a reload of the unit fails)? */
bool unit_failed(const UnitInfo *info);
/* Is it on its way up: it starts, or a job to start it waits? (not: it crashed and is to be started again) */
bool unit_starting(const UnitInfo *info);
/* Does it serve: active (or reloading), with a main process? `info` may be NULL. */
bool unit_up(const UnitInfo *info);
