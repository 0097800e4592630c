/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/window.h"

#include "manager/loop.h"

#include <time.h>

usec_t window_clock(void)
{
    usec_t now = loop_realtime();
    time_t seconds = (time_t)(now / USEC_PER_SEC);
    struct tm tm;

    tzset(); /* localtime_r(3) need not notice that the host's time zone was changed */
    localtime_r(&seconds, &tm);
    return (usec_t)(tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec) * USEC_PER_SEC + now % USEC_PER_SEC;
}

static unsigned minutes_left(const Manager *m)
{
    const Window w = m->setup->config->rollout.window;

    return w.set ? window_opens_in(w, (unsigned)(window_clock() / USEC_PER_MINUTE)) : 0;
}

bool window_opened(const Manager *m)
{
    return minutes_left(m) == 0;
}

bool window_open(const Manager *m)
{
    return m->outside_window != OUTSIDE_NOBODY || window_opened(m);
}

usec_t window_opens(const Manager *m)
{
    usec_t now = loop_realtime();
    unsigned minutes = m->outside_window != OUTSIDE_NOBODY ? 0 : minutes_left(m);

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
