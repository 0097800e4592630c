/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/status.h"

#include "manager/run.h"

#include <systemd/sd-daemon.h>

void status_show(Manager *m)
{
    _cleanup_(freep) char *rollout = NULL;

    if (m->run) {
        RolloutCounts c = rollout_counts(run_rollout(m->run));

        rollout = xasprintf("; rollout %s, wave %zu, %zu of %zu relays",
                            rollout_state_to_string(rollout_state(run_rollout(m->run))),
                            rollout_wave(run_rollout(m->run)), c.done + c.skipped + c.failed, c.total);
    } else if (memory_held(m->state)) {
        rollout = xasprintf("; rollout %s", run_word(m));
    }
    _cleanup_(freep) char *summary = relay_states_summary(m->n_relays, "", m->n_in_state);
    _cleanup_(freep) char *status =
        xasprintf("STATUS=%s%s%s%s%s", summary, rollout ? rollout : "",
                  m->state->paused && m->state->hold != HOLD_NONE ? ", and paused" : "",
                  m->config_error ? "; the new configuration file is invalid" : "",
                  m->state_error < 0 ? "; the state cannot be saved" : "");
    /* Only what is new: sd_notify(3) waits while systemd reads none, as in a reload of its own. */
    if (m->scanned && !streq_null(status, m->status)) {
        sd_notify(0, status);
        free(m->status);
        m->status = TAKE_PTR(status);
    }
    m->view->manager_changed(m);
}
