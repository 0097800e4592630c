/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the division into groups. Must never let anything but memory, age and the seed choose. */
#include "report/balance.h"
#include "report/rng.h"

#include <errno.h>
#include <math.h>

static double distance(const BalanceRelay *relays, const size_t *group, size_t n, size_t groups, bool age)
{
    _cleanup_(freep) double *sums = xcalloc(groups, sizeof(*sums));
    _cleanup_(freep) size_t *counts = xcalloc(groups, sizeof(*counts));
    _cleanup_(freep) double *values = xcalloc(n, sizeof(*values));
    double least = INFINITY, most = -(double)INFINITY;
    size_t taken = 0, filled = 0;

    for (size_t i = 0; i < n; i++) {
        double value = age ? relays[i].age : relays[i].memory;
        if (group[i] == BALANCE_NONE)
            continue;
        values[taken++] = value;
        sums[group[i]] += value;
        counts[group[i]]++;
    }
    for (size_t g = 0; g < groups; g++) {
        if (counts[g] == 0)
            continue;
        filled++;
        least = fmin(least, sums[g] / (double)counts[g]);
        most = fmax(most, sums[g] / (double)counts[g]);
    }
    if (filled < 2)
        return (double)NAN;
    /* Relays that are all alike are not distinguished by tiny differences. */
    double trifle = age ? 3600 : 0.01 * fabs(stats_mean(values, taken));
    double deviation = fmax(sqrt(stats_variance(values, taken)), trifle);
    return deviation > 0 ? (most - least) / deviation : 0;
}

Balance balance_of(const BalanceRelay *relays, const size_t *group, size_t n, size_t groups)
{
    return (Balance){ .memory = distance(relays, group, n, groups, false),
                      .age = distance(relays, group, n, groups, true) };
}

static double worst(Balance b)
{
    return fmax(isnan(b.memory) ? 0 : b.memory, isnan(b.age) ? 0 : b.age);
}

typedef struct Ranked {
    size_t relay;
    double memory;
} Ranked;

static int ranked_compare(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;

    if (x->memory < y->memory || x->memory > y->memory)
        return x->memory < y->memory ? -1 : 1;
    return x->relay < y->relay ? -1 : x->relay > y->relay;
}

/* The relays that take part, least memory first. */
static Ranked *choose(Rng *rng, const BalanceRelay *relays, size_t n, size_t wanted)
{
    _cleanup_(freep) size_t *order = xcalloc(n, sizeof(*order));
    Ranked *chosen = xcalloc(wanted, sizeof(*chosen));

    for (size_t i = 0; i < n; i++)
        order[i] = i;
    rng_shuffle(rng, order, n);
    for (size_t i = 0; i < wanted; i++)
        chosen[i] = (Ranked){ order[i], relays[order[i]].memory };
    qsort(chosen, wanted, sizeof(*chosen), ranked_compare);
    return chosen;
}

int balance_plan(const BalanceRelay *relays, size_t n, size_t groups, size_t size, uint64_t seed,
                 size_t *ret_group, Balance *ret)
{
    size_t wanted;
    if (groups == 0 || size == 0 || __builtin_mul_overflow(groups, size, &wanted) || wanted > n)
        return -ERANGE;
    Rng rng = rng_new(seed);
    _cleanup_(freep) Ranked *chosen = choose(&rng, relays, n, wanted);
    _cleanup_(freep) size_t *group = xcalloc(n, sizeof(*group));
    _cleanup_(freep) size_t *within = xcalloc(groups, sizeof(*within));
    Balance best = { 0 };

    for (size_t i = 0; i < n; i++)
        group[i] = BALANCE_NONE;
    for (size_t draw = 0; draw < BALANCE_DRAWS; draw++) {
        for (size_t block = 0; block < size; block++) {
            for (size_t g = 0; g < groups; g++)
                within[g] = g;
            rng_shuffle(&rng, within, groups);
            for (size_t g = 0; g < groups; g++)
                group[chosen[block * groups + g].relay] = within[g];
        }
        Balance balance = balance_of(relays, group, n, groups);
        if (draw > 0 && worst(balance) >= worst(best))
            continue;
        best = balance;
        memcpy(ret_group, group, n * sizeof(*group));
    }
    *ret = best;
    return 0;
}
