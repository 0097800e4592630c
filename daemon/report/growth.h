/* SPDX-License-Identifier: BSD-3-Clause */
/* Is the memory of a set of relays still growing? Judged on the later half of the time that was counted, but
 * at least a day of it: each relay's Theil–Sen slope over its slices, pairs within one process only; then the
 * mean over relays, which is the growth of their average, with Student's 95 % interval. Relays are
 * independent, and however different their errors are, Student's t does not find a mean other than 0 more
 * often than it may (Bakirov and Székely 2005): so two samples of a relay will do if there are relays enough.
 * tests/oracle simulates it. Pure. */
#pragma once

#include "report/series.h"
#include "report/stats.h"

typedef enum Trend {
    TREND_STEADY,
    TREND_GROWING,
    TREND_SHRINKING,
    TREND_TOO_SHORT,
    _TREND_MAX,
    _TREND_INVALID = -1,
} Trend;
const char *trend_to_string(Trend trend); /* "steady", "growing", "shrinking", "too short" */

/* More than this part of the average per day is growth: at 1 %, memory is up by a third after a month. */
#define GROWTH_NOTABLE 0.01
/* Memory follows the time of day; less than a day says nothing. */
#define GROWTH_SPAN_MIN USEC_PER_DAY
#define GROWTH_RELAYS_MIN 3
/* Of one process, in days: a relay with less has no slope. */
#define GROWTH_RUN_MIN 0.75

typedef struct Growth {
    Trend trend;
    const char *reason; /* why it is too short, a constant; else NULL */
    double per_day;     /* bytes; NAN: none */
    Interval interval;  /* 95 %, bytes a day */
    size_t relays;      /* with a slope */
    usec_t from, to;    /* the time looked at; 0: none */
} Growth;

/* Is there a figure to show? One that nobody may rely on is none. */
static inline bool growth_is_told(const Growth *growth)
{
    return growth->trend != TREND_TOO_SHORT && growth->per_day == growth->per_day;
}

/* `average`: bytes, of the same relays. `ret_slopes` (room for n, may be NULL): each track's, or NAN. */
Growth growth_of_tracks(const Series *series, const size_t *tracks, size_t n, double average,
                        double *ret_slopes);
