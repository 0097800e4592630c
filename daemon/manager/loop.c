/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/loop.h"

#include <syslog.h>
#include <time.h>

usec_t loop_monotonic(const Manager *m)
{
    uint64_t now;

    return sd_event_now(m->event, CLOCK_MONOTONIC, &now) < 0 ? 0 : now;
}

usec_t loop_realtime(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

void loop_schedule(Manager *m, sd_event_source **source, usec_t delay, sd_event_time_handler_t handler)
{
    int enabled = SD_EVENT_OFF;
    usec_t due;

    if (*source && sd_event_source_get_enabled(*source, &enabled) > 0 &&
        sd_event_source_get_time(*source, &due) >= 0 && due <= loop_monotonic(m) + delay)
        return; /* the earlier request serves this one, too */
    *source = sd_event_source_unref(*source);
    int r = sd_event_add_time_relative(m->event, source, CLOCK_MONOTONIC, delay, USEC_PER_MSEC, handler, m);
    if (r < 0)
        eventlog_line(LOG_ERR, "Cannot set a timer: %s.", strerror(-r));
}
