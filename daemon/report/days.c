/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns which day counts for what. Must never count one for an allocator that the relay ran for a part of it.
 */
#include "report/series.h"

#include <assert.h>
#include <errno.h>

/* So much of a day may be another track's, or warm-up: a slice reaches over the edge of the day. */
#define DAY_EDGE 0.1
/* So much of it must have been sampled. */
#define DAY_SAMPLED 0.5

int series_add_day(Series *series, size_t relay, usec_t from, usec_t to, double moved)
{
    assert(relay < series->n_relays);
    if (from >= to || !(moved >= 0))
        return -EINVAL;
    if (series->n_days == SERIES_DAYS_MAX)
        return -E2BIG;
    GROW(series->days, series->days_capacity, series->n_days);
    series->days[series->n_days++] =
        (SeriesDay){ .relay = relay, .from = from, .to = to, .moved = moved, .track = SERIES_NONE };
    return 0;
}

static int day_compare(const void *a, const void *b)
{
    const SeriesDay *x = a, *y = b;

    if (x->relay != y->relay)
        return x->relay < y->relay ? -1 : 1;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return x->to < y->to ? -1 : x->to > y->to;
}

/* Copies of a file, and two sources of one thing, say the same time twice: the first of each counts. */
static void drop_repeated(Series *series)
{
    size_t kept = 0;

    for (size_t i = 0; i < series->n_days; i++) {
        const SeriesDay *last = kept > 0 ? &series->days[kept - 1] : NULL, *day = &series->days[i];
        if (last && last->relay == day->relay && day->from < last->to &&
            last->to - day->from > (day->to - day->from) / 10)
            continue;
        series->days[kept++] = *day;
    }
    series->n_days = kept;
}

/* How long the track was sampled in that time, by its slices, and how much of that was warm-up. */
static double sampled_within(const Track *track, double from, double to, double *ret_warm)
{
    double seconds = 0;

    *ret_warm = 0;
    for (size_t i = 0; i < track->n_slices; i++) {
        const Slice *s = &track->slices[i];
        if (s->seconds <= 0 || s->moment < from * s->seconds || s->moment > to * s->seconds)
            continue;
        seconds += s->seconds;
        *ret_warm += s->warm ? s->seconds : 0;
    }
    return seconds;
}

static void settle_day(const Series *series, SeriesDay *day)
{
    const double edge = (double)series->options.slice / 2;
    const double from = ((double)day->from - edge) / (double)USEC_PER_SEC;
    const double to = ((double)day->to + edge) / (double)USEC_PER_SEC;
    double total = 0, most = 0, warm_most = 0;

    for (size_t t = series->relays[day->relay].tracks; t != SERIES_NONE; t = series->tracks[t].next) {
        double warm, seconds = sampled_within(&series->tracks[t], from, to, &warm);
        total += seconds;
        if (seconds <= most)
            continue;
        most = seconds;
        warm_most = warm;
        day->track = t;
    }
    const double length = (double)(day->to - day->from) / (double)USEC_PER_SEC;
    if (most < (1 - DAY_EDGE) * total || most < DAY_SAMPLED * length)
        day->track = SERIES_NONE;
    day->warm = warm_most > DAY_EDGE * most;
}

void series_settle_days(Series *series)
{
    if (series->n_days == 0)
        return;
    qsort(series->days, series->n_days, sizeof(*series->days), day_compare);
    drop_repeated(series);
    for (size_t i = 0; i < series->n_days; i++) {
        SeriesRelay *relay = &series->relays[series->days[i].relay];
        if (relay->n_days++ == 0)
            relay->first_day = i;
        settle_day(series, &series->days[i]);
    }
}
