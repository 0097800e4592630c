/* SPDX-License-Identifier: BSD-3-Clause */
/* What no library can tell of report/growth: in simulated fleets, how often is a growth found that is not
 * there, how often does the interval hold the true one, and how often is growth overlooked? From three relays
 * with two samples each that count, to twenty with hundreds. */
#include "report/growth.h"
#include "test.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>

#define LEVEL 4e9 /* bytes */
#define T0 ((usec_t)20000 * USEC_PER_DAY)

typedef enum Noise {
    NOISE_EVEN,   /* each sample errs by itself, by 2 % */
    NOISE_WANDER, /* what a relay holds comes and goes over a day or so */
    NOISE_UNEVEN, /* as even, but some relays err by 0.2 %, others by 10 % */
    NOISE_HEAVY,  /* as even, with outliers: Student's t with 3 degrees of freedom */
    _NOISE_MAX,
} Noise;

static const char *const noise_names[_NOISE_MAX] = { "even", "wandering", "uneven", "outliers" };

typedef struct Fleet {
    size_t relays;
    usec_t step;
    size_t samples; /* of each relay */
    Noise noise;
    double per_day; /* part of the level, on average; */
    double spread;  /* and how much that differs between relays, standard deviation */
} Fleet;

typedef struct Outcome {
    unsigned growing, shrinking, steady, short_, held;
} Outcome;

static double noise_of(gsl_rng *r, const Fleet *fleet, size_t relay, double *wander)
{
    const double days = (double)fleet->step / (double)USEC_PER_DAY, kept = exp(-days);

    switch (fleet->noise) {
    case NOISE_WANDER:
        *wander = kept * *wander + gsl_ran_gaussian(r, 0.02 * sqrt(1 - kept * kept));
        return *wander;
    case NOISE_UNEVEN:
        return gsl_ran_gaussian(r, relay % 3 == 0 ? 0.1 : 0.002);
    case NOISE_HEAVY:
        return 0.012 * gsl_ran_tdist(r, 3);
    default:
        return gsl_ran_gaussian(r, 0.02);
    }
}

static Growth judge(gsl_rng *r, const Fleet *fleet)
{
    _cleanup_(series_clear) Series series = { 0 };
    const SeriesOptions options = { .until = USEC_INFINITY, .step = fleet->step, .slice = fleet->step };
    size_t tracks[20];

    assert_true(fleet->relays <= ELEMENTSOF(tracks));
    series_init(&series, &options);
    size_t host = series_host(&series, "");
    for (size_t i = 0; i < fleet->relays; i++) {
        char name[8];
        const double own = fleet->per_day + gsl_ran_gaussian(r, fleet->spread);
        double wander = gsl_ran_gaussian(r, 0.02);
        snprintf(name, sizeof(name), "r%zu", i);
        for (size_t k = 0; k < fleet->samples; k++) {
            const usec_t t = k * fleet->step;
            const double days = (double)t / (double)USEC_PER_DAY;
            const double part = 1 + own * days + noise_of(r, fleet, i, &wander);
            const SampleRow row = { .relay = { name, strlen(name) },
                                    .since = T0 - USEC_PER_DAY,
                                    .memory.rss = (uint64_t)(LEVEL * fmax(part, 0.01)) };
            assert_int_equal(series_add(&series, host, T0 + t, &row), 0);
        }
        tracks[i] = i;
    }
    series_finish(&series);
    return growth_of_tracks(&series, tracks, fleet->relays, LEVEL, NULL);
}

static Outcome simulate(const Fleet *fleet, unsigned rounds)
{
    gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);
    Outcome o = { 0 };

    gsl_rng_set(r, 20260110);
    for (unsigned round = 0; round < rounds; round++) {
        Growth g = judge(r, fleet);
        const double truth = fleet->per_day * LEVEL;
        o.growing += g.trend == TREND_GROWING;
        o.shrinking += g.trend == TREND_SHRINKING;
        o.steady += g.trend == TREND_STEADY;
        o.short_ += g.trend == TREND_TOO_SHORT;
        o.held += g.interval.low <= truth && truth <= g.interval.high;
    }
    gsl_rng_free(r);
    print_message(
        "%2zu relays, %3zu samples each %4.1f h apart, %-9s %4.1f %% a day ± %.1f: growing %5.1f %%, "
        "shrinking %4.1f, steady %5.1f, too short %5.1f; interval holds %5.1f\n",
        fleet->relays, fleet->samples, (double)fleet->step / (double)USEC_PER_HOUR, noise_names[fleet->noise],
        100 * fleet->per_day, 100 * fleet->spread, 100.0 * o.growing / rounds, 100.0 * o.shrinking / rounds,
        100.0 * o.steady / rounds, 100.0 * o.short_ / rounds, 100.0 * o.held / rounds);
    return o;
}

/* Where nothing grows, growth or shrinkage is found in no more than 5 of 100, and the interval holds 0. */
static void test_false_alarms(void **state)
{
    (void)state;
    enum { ROUNDS = 2000 };
    static const struct {
        size_t relays, samples;
        usec_t step;
    } sizes[] = {
        { 3, 4, USEC_PER_DAY },       { 3, 6, 6 * USEC_PER_HOUR },  { 5, 6, USEC_PER_DAY },
        { 20, 6, USEC_PER_DAY },      { 20, 6, 6 * USEC_PER_HOUR }, { 10, 40, 6 * USEC_PER_HOUR },
        { 4, 96, 2 * USEC_PER_HOUR },
    };

    for (size_t i = 0; i < ELEMENTSOF(sizes); i++)
        for (Noise noise = 0; noise < _NOISE_MAX; noise++) {
            const Fleet fleet = { sizes[i].relays, sizes[i].step, sizes[i].samples, noise, 0, 0 };
            Outcome o = simulate(&fleet, ROUNDS);
            /* 5 % of 2000 are 100 ± 10; three of those. */
            if (o.growing + o.shrinking > 130)
                fail_msg("%u false alarms in %d", o.growing + o.shrinking, ROUNDS);
            if (o.held < ROUNDS * 93 / 100)
                fail_msg("the 95 %% interval holds the truth in %u of %d", o.held, ROUNDS);
        }
}

/* Relays that grow, not all alike: the interval holds their average, growth is found, and hardly ever taken
 * for its absence. */
static void test_growth_is_found(void **state)
{
    (void)state;
    enum { ROUNDS = 1000 };
    static const struct {
        Fleet fleet;
        unsigned found; /* at least, of 100 */
    } cases[] = {
        { { 20, USEC_PER_DAY, 6, NOISE_EVEN, 0.25, 0.02 }, 100 }, /* 1 GiB a day of 4 */
        { { 20, USEC_PER_DAY, 6, NOISE_EVEN, 0.03, 0.01 }, 95 },
        { { 20, 6 * USEC_PER_HOUR, 6, NOISE_WANDER, 0.05, 0.01 }, 90 },
        { { 20, USEC_PER_DAY, 6, NOISE_HEAVY, 0.03, 0.01 }, 80 },
        { { 10, 6 * USEC_PER_HOUR, 40, NOISE_WANDER, 0.03, 0.01 }, 95 },
        { { 3, 6 * USEC_PER_HOUR, 40, NOISE_EVEN, 0.05, 0.01 }, 80 },
        { { 3, USEC_PER_DAY, 4, NOISE_EVEN, 0.05, 0.01 }, 0 }, /* far too little */
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Outcome o = simulate(&cases[i].fleet, ROUNDS);
        if (100 * o.growing < cases[i].found * ROUNDS)
            fail_msg("growth is found in %u of %d", o.growing, ROUNDS);
        if (o.held < ROUNDS * 93 / 100)
            fail_msg("the 95 %% interval holds the truth in %u of %d", o.held, ROUNDS);
        if (o.steady + o.shrinking > ROUNDS / 20)
            fail_msg("growth is called steady or shrinking in %u of %d", o.steady + o.shrinking, ROUNDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_false_alarms),
        cmocka_unit_test(test_growth_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
