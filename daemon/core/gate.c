/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate.h"

#include <signal.h>
#include <string.h>

#define NO_GATE "a gate is a service with Type=oneshot and without RemainAfterExit="

char *gate_unfit(const UnitInfo *info)
{
    if (streq_null(info->load_state, "not-found"))
        return xstrdup("does not exist");
    if (unit_masked(info))
        return xstrdup("is masked");
    if (!info->exists)
        return xasprintf("cannot be loaded by systemd (%s)", info->load_state ? info->load_state : "error");
    if (!streq_null(info->type, "oneshot") || info->remain_after_exit)
        return xstrdup("is not run: " NO_GATE);
    if (info->active != ACTIVE_INACTIVE && info->active != ACTIVE_FAILED && info->active != ACTIVE_ACTIVATING)
        return xstrdup("is active, so that it cannot be run");
    return NULL;
}

/* How its process ended, by systemd's word for it (Result= of org.freedesktop.systemd1(5)). */
static char *result_words(const UnitInfo *end)
{
    const char *result = end->result ? end->result : "";
    const bool signalled = end->exit_code == CLD_KILLED || end->exit_code == CLD_DUMPED;
    const char *signal_name = signalled ? sigabbrev_np(end->exit_status) : NULL;

    if (streq(result, "exit-code"))
        return xasprintf("failed (exit status %d)", (int)end->exit_status);
    if (signal_name)
        return xasprintf("was killed (signal %s)", signal_name);
    if (streq(result, "timeout"))
        return xstrdup("did not end in time");
    return isempty(result) || streq(result, "success") ? xstrdup("failed") : xasprintf("failed (%s)", result);
}

char *gate_fault(JobResult job, const char *before, const UnitInfo *end)
{
    switch (job) {
    case JOB_DONE:
        break;
    case JOB_CANCELED:
        return xstrdup("was stopped before it ended");
    case JOB_DEPENDENCY:
        return xstrdup("was not run, because a unit that it requires failed");
    default:
        return result_words(end);
    }
    if (end->active == ACTIVE_ACTIVE || end->active == ACTIVE_RELOADING)
        return xstrdup("stays active: " NO_GATE);
    if (end->active == ACTIVE_FAILED)
        return result_words(end);
    if (before && streq(before, end->invocation))
        return xstrdup("was not run, because a condition of it is not met");
    return NULL;
}
