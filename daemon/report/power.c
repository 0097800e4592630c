/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the outlook of an experiment. Must never promise: everything is at the current difference and spread.
 */
#include "report/power.h"

#include <math.h>

PowerSide power_side(const double *means, const double *first_halves, const double *second_halves, size_t n)
{
    PowerSide side = { .n = n, .mean = stats_mean(means, n) };
    double total = stats_variance(means, n), sum = 0;

    /* A mean is that of its halves, so half of their difference varies as the mean does around the true one.
     */
    for (size_t i = 0; i < n; i++) {
        double half = (first_halves[i] - second_halves[i]) / 2;
        sum += half * half;
    }
    side.within = n > 0 ? sum / (double)n : (double)NAN;
    side.between = fmax(total - side.within, 0);
    side.within = fmin(side.within, total);
    return side;
}

Power power_needed(const PowerSide *a, const PowerSide *b, double error)
{
    if (a->n < STATS_SUBJECTS_MIN || b->n < STATS_SUBJECTS_MIN)
        return (Power){ .kind = POWER_UNKNOWN };
    const double n_a = (double)a->n, n_b = (double)b->n, difference = a->mean - b->mean;
    const double errors = stats_t_quantile(1 - error / 2, 1e6) + POWER_ERRORS;
    const double allowed = difference * difference / (errors * errors);
    const double lasting = a->between / n_a + b->between / n_b, passing = a->within / n_a + b->within / n_b;

    if (!(allowed > 0))
        return (Power){ .kind = POWER_UNKNOWN };
    if (lasting + passing <= allowed)
        return (Power){ .kind = POWER_TOLD, .times = 1 };
    if (lasting < allowed)
        return (Power){ .kind = POWER_TIME, .times = passing / (allowed - lasting) };
    double relays = ceil((a->between + b->between + a->within + b->within) / allowed);
    return (Power){ .kind = POWER_RELAYS, .relays = relays < 1e6 ? (size_t)relays : 1000000 };
}
