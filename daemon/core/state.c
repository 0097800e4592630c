/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/state.h"

static const char *const names[_RELAY_STATE_MAX] = {
    [RELAY_OK] = "ok",
    [RELAY_PENDING] = "pending",
    [RELAY_RESTARTING] = "restarting",
    [RELAY_SETTLING] = "settling",
    [RELAY_FAILED] = "failed",
    [RELAY_DRIFTED] = "drifted",
    [RELAY_DOWN] = "down",
    [RELAY_STOPPED] = "stopped",
    [RELAY_OBSERVED] = "observed",
    [RELAY_REVERTED] = "reverted",
};

const char *relay_state_to_string(RelayState s)
{
    return names[s];
}

RelayState relay_state_from_string(const char *s)
{
    for (int i = 0; i < _RELAY_STATE_MAX; i++)
        if (streq(s, names[i]))
            return (RelayState)i;
    return _RELAY_STATE_INVALID;
}

char *relay_states_summary(size_t n, const char *noun, const size_t counts[_RELAY_STATE_MAX])
{
    char *text = NULL;
    size_t size = 0;
    const char *separator = ": ";

    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    fprintf(f, "%zu relay%s%s", n, n == 1 ? "" : "s", noun);
    for (RelayState s = 0; s < _RELAY_STATE_MAX; s++) {
        if (counts[s] == 0)
            continue;
        fprintf(f, "%s%zu %s", separator, counts[s], names[s]);
        separator = ", ";
    }
    fclose(f);
    return text;
}

/* It is assigned something that it is not proved to run, and nothing is going to be done about it. */
static RelayState not_as_assigned(const StateFacts *f)
{
    return f->untested || f->never_moved ? RELAY_PENDING : f->too_new ? RELAY_RESTARTING : RELAY_DRIFTED;
}

RelayState relay_state(const StateFacts *f)
{
    const bool waits = f->under_way && f->step == STEP_WAITING;

    if (f->under_way && !waits && !step_ended(f->step))
        return f->step == STEP_SETTLING || f->step == STEP_BOOTSTRAPPING ? RELAY_SETTLING : RELAY_RESTARTING;
    if (waits && f->up)
        return RELAY_PENDING;
    if (f->down) /* whatever else is wrong with it */
        return RELAY_DOWN;
    if (f->remembered_failure)
        return RELAY_FAILED;
    if (!f->up)
        return f->starting ? RELAY_RESTARTING : RELAY_STOPPED;
    switch (f->action) {
    case ACTION_RESTART:
        return RELAY_PENDING;
    case ACTION_REFUSED:
        return f->assigned && f->cause == CAUSE_NONE ? RELAY_OK : not_as_assigned(f);
    case ACTION_WRITE:
    case ACTION_REMOVE:
        return RELAY_PENDING;
    default:
        break;
    }
    if (!f->assigned)
        return f->reverted ? RELAY_REVERTED : RELAY_OBSERVED;
    return f->cause == CAUSE_NONE ? RELAY_OK : not_as_assigned(f);
}

bool relay_state_fine(RelayState s)
{
    return s == RELAY_OK || s == RELAY_SETTLING || s == RELAY_STOPPED || s == RELAY_OBSERVED ||
           s == RELAY_REVERTED;
}
