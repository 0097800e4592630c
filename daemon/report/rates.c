/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/rates.h"

#include "report/stats.h"

#include <errno.h>

/* Whichever host a relay of that fingerprint or name is on; of two of one name it is nobody's. */
static size_t find_anywhere(const Series *series, const SampleRow *who)
{
    size_t found = SERIES_NONE;

    for (size_t host = 0; host < series->n_hosts; host++) {
        const size_t relay = series_find(series, host, who);
        if (relay != SERIES_NONE && found != SERIES_NONE && relay != found)
            return SERIES_NONE;
        found = relay != SERIES_NONE ? relay : found;
    }
    return found;
}

int rates_add(Rates *rates, const Series *series, const SampleRow *who, usec_t time, double written)
{
    const size_t relay = find_anywhere(series, who);

    if (relay == SERIES_NONE)
        return 0;
    if (rates->n == SERIES_DAYS_MAX)
        return -E2BIG;
    GROW(rates->items, rates->capacity, rates->n);
    rates->items[rates->n++] = (Rate){ relay, time, written };
    return 0;
}

static int rate_compare(const void *a, const void *b)
{
    const Rate *x = a, *y = b;

    if (x->relay != y->relay)
        return x->relay < y->relay ? -1 : 1;
    return x->time < y->time ? -1 : x->time > y->time;
}

/* Each value is the mean of the time around it, as far as the next one; a day where that cannot be told. */
static usec_t width_of(const Rates *rates)
{
    _cleanup_(freep) double *distances = xcalloc(rates->n, sizeof(*distances));
    size_t n = 0;

    for (size_t i = 1; i < rates->n; i++)
        if (rates->items[i].relay == rates->items[i - 1].relay &&
            rates->items[i].time > rates->items[i - 1].time)
            distances[n++] = (double)(rates->items[i].time - rates->items[i - 1].time);
    return n > 0 ? (usec_t)stats_median(distances, n) : USEC_PER_DAY;
}

void rates_finish(Rates *rates, Series *series)
{
    if (rates->n > 0)
        qsort(rates->items, rates->n, sizeof(*rates->items), rate_compare);
    const usec_t width = width_of(rates);
    for (size_t i = 0; i < rates->n; i++) {
        const Rate *rate = &rates->items[i];
        const usec_t from = rate->time > width / 2 ? rate->time - width / 2 : 0;
        (void)series_add_day(series, rate->relay, from, from + width,
                             rate->written * (double)width / (double)USEC_PER_SEC);
    }
    series->only_written = true;
    rates_clear(rates);
}

void rates_clear(Rates *rates)
{
    free(rates->items);
    *rates = (Rates){ 0 };
}
