/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/unit.h"

static const char *const job_result_names[_JOB_RESULT_MAX] = {
    [JOB_DONE] = "done",       [JOB_CANCELED] = "canceled", [JOB_SKIPPED] = "skipped",
    [JOB_TIMEOUT] = "timeout", [JOB_FAILED] = "failed",     [JOB_DEPENDENCY] = "dependency",
    [JOB_REFUSED] = "refused",
};

const char *job_result_to_string(JobResult r)
{
    return job_result_names[r];
}

JobResult job_result_from_string(const char *s)
{
    for (int i = 0; i < _JOB_RESULT_MAX; i++)
        if (streq(s, job_result_names[i]))
            return (JobResult)i;
    return _JOB_RESULT_INVALID;
}

UnitInfo *unit_info_free(UnitInfo *info)
{
    if (info) {
        free(info->unit);
        free(info->load_state);
        free(info->sub_state);
        free(info->type);
        free(info->result);
        free(info->fragment);
        strv_free(info->environment);
        strv_free(info->environment_files);
        strv_free(info->dropins);
        strv_free(info->verify_config);
        free(info);
    }
    return NULL;
}

bool unit_masked(const UnitInfo *info)
{
    return info && streq_null(info->load_state, "masked");
}

bool unit_up(const UnitInfo *info)
{
    return info && (info->active == ACTIVE_ACTIVE || info->active == ACTIVE_RELOADING) && info->main_pid > 0;
}

bool unit_auto_restarts(const UnitInfo *info)
{
    return info->active == ACTIVE_ACTIVATING && streq_null(info->sub_state, "auto-restart");
}

/* Nothing else kills these by that very signal, but their time limit, with the result "timeout". */
static bool pre_start_killed(const UnitInfo *info)
{
    return info->pre_start_signal != 0 && info->pre_start_signal == info->kill_signal;
}

static bool stopped_in_pre_start(const UnitInfo *info)
{
    return streq_null(info->result, "signal") && pre_start_killed(info);
}

/* It did not fail on its way up. */
static bool was_active(const UnitInfo *info)
{
    return info->active_enter > 0 && info->active_enter >= info->inactive_exit &&
           info->active_exit >= info->active_enter;
}

/* What took too long after that was its stop, and not a start. */
static bool stop_timed_out(const UnitInfo *info)
{
    return streq_null(info->result, "timeout") && was_active(info);
}

/* It began to stop before its process ended, so that this was not the reason. */
static bool ended_by_stop(const UnitInfo *info)
{
    return was_active(info) && info->main_exit > info->active_exit;
}

/* (A start that systemd refuses after that, as the second half of a restart, leaves the result as it is, and
 * changes the unit once more.) */
static bool stop_crashed(const UnitInfo *info)
{
    return (streq_null(info->result, "exit-code") || streq_null(info->result, "signal") ||
            streq_null(info->result, "core-dump")) &&
           ended_by_stop(info) && info->state_change <= info->inactive_enter;
}

/* Who fails for good stays "failed": it waited to be started again. */
static bool stopped_in_auto_restart(const UnitInfo *info)
{
    return info->active == ACTIVE_INACTIVE && info->result && !streq(info->result, "success") &&
           !streq(info->result, "exec-condition");
}

bool unit_stopped_for_sure(const UnitInfo *info)
{
    return info->job == 0 && (stopped_in_auto_restart(info) ||
                              (info->active == ACTIVE_FAILED &&
                               (stopped_in_pre_start(info) || stop_timed_out(info) || stop_crashed(info))));
}

bool unit_stopped(const UnitInfo *info)
{
    return info &&
           (info->active == ACTIVE_DEACTIVATING || unit_stopped_for_sure(info) ||
            (info->active == ACTIVE_INACTIVE && streq_null(info->result, "success") && info->job == 0));
}

bool unit_kept_down(const UnitInfo *info)
{
    return info->active == ACTIVE_INACTIVE && info->job == 0 && info->unmet && info->active_enter > 0;
}

/* For systemd the time when it became inactive is that of its failure. */
bool unit_failure_forgotten(const UnitInfo *info)
{
    return info->active == ACTIVE_INACTIVE && streq_null(info->result, "success") && info->job == 0 &&
           info->inactive_enter > 0 && info->state_change > info->inactive_enter && !ended_by_stop(info) &&
           !pre_start_killed(info);
}

bool unit_failed(const UnitInfo *info)
{
    if (!info)
        return false;
    return info->active == ACTIVE_FAILED || unit_auto_restarts(info) ||
           (info->active == ACTIVE_ACTIVATING && info->n_restarts > 0) ||
           (info->active == ACTIVE_RELOADING && info->main_pid == 0);
}

bool unit_starting(const UnitInfo *info)
{
    if (!info || unit_failed(info))
        return false;
    return info->active == ACTIVE_ACTIVATING || (info->active == ACTIVE_INACTIVE && info->job != 0);
}

/* A line is "HIERARCHY:CONTROLLERS:PATH". systemd's own hierarchy is the one without controllers, or, beside
 * those of cgroup v1, the one named after it; below a unit that manages its own groups are others. */
char *unit_of_cgroup(const char *text)
{
    static const char suffix[] = ".service";

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *controllers = strchr(line, ':'), *end = line + strcspn(line, "\n");
        if (!controllers ||
            (strncmp(controllers, "::/", 3) != 0 && strncmp(controllers, ":name=systemd:/", 15) != 0))
            continue;
        for (const char *p = strchr(controllers, '/'); p && p < end;) {
            const size_t n = strcspn(++p, "/\n"), m = sizeof(suffix) - 1;
            if (n > m && strncmp(p + n - m, suffix, m) == 0)
                return xstrndup(p, n);
            p += n;
        }
    }
    return NULL;
}

static usec_t between(usec_t from, usec_t to)
{
    return from > 0 && to > from ? to - from : 0;
}

usec_t unit_start_took(const UnitInfo *info)
{
    return info ? between(info->inactive_exit, info->active_enter) : 0;
}

usec_t unit_stop_took(const UnitInfo *info)
{
    return info ? between(info->active_exit, info->inactive_enter) : 0;
}

usec_t unit_active_for(const UnitInfo *info, usec_t now)
{
    return info && info->active == ACTIVE_ACTIVE ? between(info->active_enter, now) : 0;
}
