/* SPDX-License-Identifier: BSD-3-Clause */
/* How often the intervals of the bandwidth's difference hold the truth, all of a report together, and through
 * the whole report: simulated fleets, whose relays differ and whose days do, too. */
#include "report/report.h"
#include "test.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>
#include <math.h>

enum { ROUNDS = 200, ROWS = 3, RELAYS = 10, DAYS = 5 };
#define STEP (6 * USEC_PER_HOUR)
#define T0 ((usec_t)20000 * USEC_PER_DAY)
#define TRUTH (-0.1)

static const char *const allocators[ROWS + 1] = { "glibc", "jemalloc", "mimalloc", "tcmalloc" };

static void add_samples(Series *series, gsl_rng *r)
{
    const size_t host = series_host(series, "h");
    double level[ROWS + 1][RELAYS];

    for (size_t a = 0; a <= ROWS; a++)
        for (size_t i = 0; i < RELAYS; i++)
            level[a][i] = 1e9 * gsl_ran_lognormal(r, 0, 0.1);
    for (usec_t t = 0; t <= DAYS * USEC_PER_DAY; t += STEP)
        for (size_t a = 0; a <= ROWS; a++)
            for (size_t i = 0; i < RELAYS; i++) {
                _cleanup_(freep) char *name = xasprintf("%s%zu", allocators[a], i);
                const SampleRow row = { .relay = { name, strlen(name) },
                                        .allocator = { allocators[a], strlen(allocators[a]) },
                                        .since = T0 - 90 * USEC_PER_DAY,
                                        .memory = { .rss = (uint64_t)level[a][i] } };
                assert_int_equal(series_add(series, host, T0 + t, &row), 0);
            }
    series_finish(series);
}

static void add_days(Series *series, gsl_rng *r, double spread)
{
    for (size_t relay = 0; relay < series->n_relays; relay++) {
        const bool control = strncmp(series->relays[relay].name, "glibc", 5) == 0;
        const double own = 1e11 * gsl_ran_lognormal(r, 0, spread) * (control ? 1 : 1 + TRUTH);
        for (usec_t day = 0; day < DAYS; day++)
            assert_int_equal(series_add_day(series, relay, T0 + day * USEC_PER_DAY,
                                            T0 + (day + 1) * USEC_PER_DAY,
                                            own * gsl_ran_lognormal(r, 0, 0.1)),
                             0);
    }
    series_settle_days(series);
}

/* Do all intervals of the report hold it? */
static bool all_hold(const Series *series, unsigned seed, bool uncorrected)
{
    _cleanup_(report_clear) Report report = { 0 };
    _cleanup_(freep) char *error = NULL;
    const ReportOptions options = { .seed = seed, .uncorrected = uncorrected };
    bool all = true;

    assert_int_equal(report_build(series, &options, &report, &error), 0);
    assert_int_equal(report.n_rows, ROWS + 1);
    assert_int_equal(report.traffic_compared, ROWS);
    for (size_t i = 0; i < report.n_rows; i++) {
        const ReportRow *row = &report.rows[i];
        if (row->baseline)
            continue;
        assert_true(interval_is_set(row->traffic.interval));
        all = all && row->traffic.interval.low <= TRUTH && TRUTH <= row->traffic.interval.high;
    }
    return all;
}

static void check(gsl_rng *r, double spread)
{
    unsigned held = 0, alone = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        _cleanup_(series_clear) Series series = { 0 };
        series_init(&series, &(SeriesOptions){ .until = USEC_INFINITY, .step = STEP, .slice = STEP });
        add_samples(&series, r);
        add_days(&series, r, spread);
        held += all_hold(&series, round, false);
        alone += all_hold(&series, round, true);
    }
    const double percent = 100.0 * held / ROUNDS;
    print_message("bandwidth, spread %.1f: all of %d rows hold in %.1f %%, uncorrected %.1f %%\n", spread,
                  ROWS, percent, 100.0 * alone / ROUNDS);
    if (percent < 92)
        fail_msg("all intervals hold in %.1f %%", percent);
}

static void test_coverage(void **state)
{
    (void)state;
    gsl_rng *r = gsl_rng_alloc(gsl_rng_mt19937);

    gsl_rng_set(r, 20260110);
    check(r, 0.3);
    check(r, 0.8);
    gsl_rng_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_coverage) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
