/* SPDX-License-Identifier: BSD-3-Clause */
/* A table of bandwidth (bytes in a second, at moments) as what was moved in the time around each moment.
 * Pure. */
#pragma once

#include "report/series.h"

typedef struct Rate {
    size_t relay; /* of the series */
    usec_t time;
    double written; /* bytes in a second */
} Rate;

typedef struct Rates {
    Rate *items;
    size_t n, capacity;
} Rates;

/* That relay of `series` (finished), whichever host it is on; of others, and of two of one name, nothing is
 * taken. 0, or -E2BIG: SERIES_DAYS_MAX were taken. */
int rates_add(Rates *rates, const Series *series, const SampleRow *who, usec_t time, double written);
/* Adds them all to the days of `series`, which is then about what was written only, and clears them. */
void rates_finish(Rates *rates, Series *series);
void rates_clear(Rates *rates);
