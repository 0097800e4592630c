/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/forecast.h"

#include <assert.h>

size_t forecast_waves(const RolloutPolicy *policy, const RolloutItem *items, size_t n, size_t *ret_waves)
{
    _cleanup_(rollout_freep) Rollout *r = rollout_new(policy, items, n);
    RolloutNow now = { .window_open = true };
    RolloutEvent answer = { .kind = EVENT_TICK };
    RolloutCommand c;

    for (size_t i = 0; i < n; i++)
        ret_waves[i] = items[i].recover ? 1 : 0;
    rollout_event(r, &answer, now);
    while (!rollout_over(r)) {
        bool any = false;

        while (rollout_next(r, &c)) {
            answer = (RolloutEvent){ .item = c.item, .ok = true, .pid = 1 };
            switch (c.kind) {
            case COMMAND_PREFLIGHT:
                answer.kind = EVENT_PREFLIGHT;
                break;
            case COMMAND_VERIFY_CONFIG:
                answer.kind = EVENT_CONFIG;
                break;
            case COMMAND_WRITE:
                ret_waves[c.item] = rollout_wave_of(r, c.item);
                answer.kind = EVENT_WRITTEN;
                break;
            case COMMAND_RELOAD:
                answer.kind = EVENT_RELOADED;
                break;
            case COMMAND_CHECK:
                answer.kind = EVENT_CHECKED;
                break;
            case COMMAND_RESTART:
                answer.kind = EVENT_JOB;
                break;
            case COMMAND_VERIFY:
                answer.kind = EVENT_VERIFIED;
                break;
            default:
                continue;
            }
            any = true;
            rollout_event(r, &answer, now);
        }
        if (!any && !rollout_over(r)) {
            now.monotonic = rollout_deadline(r);
            assert(now.monotonic != USEC_INFINITY);
            rollout_event(r, &(RolloutEvent){ .kind = EVENT_TICK }, now);
        }
    }
    return rollout_wave(r);
}
