/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the verdict on growth. Must never call steady what cannot be judged for lack of data. */
#include "report/growth.h"

#include <errno.h>
#include <math.h>

static const char *const trend_names[_TREND_MAX] = {
    [TREND_STEADY] = "steady",
    [TREND_GROWING] = "growing",
    [TREND_SHRINKING] = "shrinking",
    [TREND_TOO_SHORT] = "too short",
};

const char *trend_to_string(Trend trend)
{
    return trend >= 0 && trend < _TREND_MAX ? trend_names[trend] : NULL;
}

/* Do the points of one process cover most of a day? Memory follows the time of day, and what a few hours of
 * it do is no growth. `seconds`: what each point stands for. */
static bool covers_a_day(const Point *points, const double *seconds, size_t n)
{
    for (size_t i = 0, first = 0; i < n; i++) {
        if (points[i].run != points[first].run)
            first = i;
        if (i > first && points[i].x - points[first].x + seconds[i] / 86400 >= GROWTH_RUN_MIN)
            return true;
    }
    return false;
}

/* Bytes a day of one track between `from` and the end. 0; -ENODATA: no process has two slices that cover most
 * of a day. Two are enough: how much a slope can be trusted shows in how much those of the relays differ. */
static int growth_of_track(const Track *track, usec_t from, double *ret)
{
    _cleanup_(freep) Point *points = xcalloc(track->n_slices, sizeof(*points));
    _cleanup_(freep) double *seconds = xcalloc(track->n_slices, sizeof(*seconds));
    const double begin = (double)from / (double)USEC_PER_SEC;
    size_t n = 0;

    for (size_t i = 0; i < track->n_slices; i++) {
        const Slice *s = &track->slices[i];
        if (s->warm || s->seconds <= 0 || s->moment / s->seconds < begin)
            continue;
        seconds[n] = s->seconds;
        points[n++] =
            (Point){ .x = (s->moment / s->seconds - begin) / 86400, .y = s->sum / s->seconds, .run = s->run };
    }
    return covers_a_day(points, seconds, n) ? stats_theil_sen(points, n, ret, NULL) : -ENODATA;
}

static void judge(Growth *g, double average)
{
    const double notable = GROWTH_NOTABLE * average;
    const bool surely_up = g->interval.low > 0, surely_down = g->interval.high < 0;

    if (g->per_day > notable && surely_up)
        g->trend = TREND_GROWING;
    else if (g->per_day < -notable && surely_down)
        g->trend = TREND_SHRINKING;
    else if (fabs(g->per_day) > notable || (g->interval.low < -notable && g->interval.high > notable)) {
        g->trend = TREND_TOO_SHORT;
        g->reason = "the relays differ too much to tell";
    } else
        g->trend = TREND_STEADY;
}

Growth growth_of_tracks(const Series *series, const size_t *tracks, size_t n, double average,
                        double *ret_slopes)
{
    Growth g = { .trend = TREND_TOO_SHORT, .per_day = (double)NAN, .interval = INTERVAL_NONE };
    _cleanup_(freep) double *slopes = xcalloc(n, sizeof(*slopes));
    usec_t first = USEC_INFINITY, last = 0;

    for (size_t i = 0; i < n; i++) {
        const Track *t = &series->tracks[tracks[i]];
        if (ret_slopes)
            ret_slopes[i] = (double)NAN;
        if (t->counted == 0)
            continue;
        first = t->first < first ? t->first : first;
        last = t->last > last ? t->last : last;
    }
    if (last <= first) {
        g.reason = "nothing counted";
        return g;
    }
    g.to = last;
    g.from = first + (last - first) / 2;
    if (last - g.from < GROWTH_SPAN_MIN)
        g.from = last - first > GROWTH_SPAN_MIN ? last - GROWTH_SPAN_MIN : first;
    for (size_t i = 0; i < n; i++) {
        double slope;
        if (growth_of_track(&series->tracks[tracks[i]], g.from, &slope) < 0)
            continue;
        slopes[g.relays++] = slope;
        if (ret_slopes)
            ret_slopes[i] = slope;
    }
    if (g.relays > 0)
        g.per_day = stats_mean(slopes, g.relays);
    g.interval = stats_mean_interval(slopes, g.relays);
    if (last - first < GROWTH_SPAN_MIN)
        g.reason = "less than a day counted";
    else if (g.relays < GROWTH_RELAYS_MIN)
        g.reason = "fewer than three relays with enough data";
    else
        judge(&g, average);
    return g;
}
