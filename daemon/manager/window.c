/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/window.h"

#include "manager/loop.h"

#include <time.h>

static unsigned minutes_left(const Manager *m, usec_t now)
{
    time_t seconds = (time_t)(now / USEC_PER_SEC);
    struct tm tm;

    if (!m->setup->config->rollout.window.set)
        return 0;
    tzset(); /* localtime_r(3) need not notice that the host's time zone was changed */
    localtime_r(&seconds, &tm);
    return window_opens_in(m->setup->config->rollout.window, (unsigned)(tm.tm_hour * 60 + tm.tm_min));
}

bool window_opened(const Manager *m)
{
    return minutes_left(m, loop_realtime()) == 0;
}

bool window_open(const Manager *m)
{
    return m->outside_window != OUTSIDE_NOBODY || window_opened(m);
}

usec_t window_opens(const Manager *m)
{
    usec_t now = loop_realtime();
    unsigned minutes = m->outside_window != OUTSIDE_NOBODY ? 0 : minutes_left(m, now);

    return minutes == 0 ? 0 : now - now % USEC_PER_MINUTE + minutes * USEC_PER_MINUTE;
}

char *window_words(const Manager *m)
{
    usec_t opens = window_opens(m);
    char window[WINDOW_TEXT_MAX], span[FORMAT_SPAN_MAX];

    if (opens == 0)
        return xstrdup("");
    return xasprintf("; waiting for the window %s, which opens in %s",
                     window_to_string(window, m->setup->config->rollout.window),
                     format_span(span, opens - loop_realtime()));
}
