/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of growth and report feed a Series with: relays whose memory is a function of time. */
#pragma once

#include "report/series.h"
#include "test.h"

#define HOUR USEC_PER_HOUR
#define DAY USEC_PER_DAY
#define MIB 1048576.0
#define T0 ((usec_t)20000 * DAY)

typedef struct FeedRelay {
    const char *name, *group, *allocator, *version;
    double start, per_day; /* MiB at T0, MiB a day */
    usec_t from, to;       /* offsets from T0 of the first sample and behind the last */
    usec_t up;             /* how long it had run at `from` */
    usec_t restart;        /* so long after `from` it restarts, and its memory starts again; 0: never */
} FeedRelay;

static inline Span feed_span(const char *s)
{
    return (Span){ s, s ? strlen(s) : 0 };
}

/* One sample of each relay every `step`. */
static inline void feed(Series *series, const FeedRelay *relays, size_t n, usec_t step)
{
    usec_t end = 0;
    size_t host = series_host(series, "host");

    for (size_t i = 0; i < n; i++)
        end = relays[i].to > end ? relays[i].to : end;
    for (usec_t t = 0; t < end; t += step)
        for (size_t i = 0; i < n; i++) {
            const FeedRelay *r = &relays[i];
            if (t < r->from || t >= r->to)
                continue;
            usec_t begin = r->from - r->up + T0, base = r->from;
            if (r->restart > 0 && t >= r->from + r->restart) {
                base = r->from + (t - r->from) / r->restart * r->restart;
                begin = T0 + base;
            }
            double mib = r->start + r->per_day * (double)(t - base) / (double)DAY;
            SampleRow row = { .relay = feed_span(r->name),
                              .group = feed_span(r->group),
                              .allocator = feed_span(r->allocator),
                              .version = feed_span(r->version),
                              .since = begin,
                              .memory.rss = (uint64_t)(mib * MIB) };
            assert_int_equal(series_add(series, host, T0 + t, &row), 0);
        }
    series_finish(series);
}
