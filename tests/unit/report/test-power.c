/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/power against numbers worked out by hand. */
#include "report/power.h"
#include "report/rng.h"
#include "test.h"

#include <math.h>

static void test_side(void **state)
{
    (void)state;
    const double means[] = { 8, 10, 12 }, first[] = { 7, 11, 12 }, second[] = { 9, 9, 12 };
    PowerSide s = power_side(means, first, second, 3);

    assert_int_equal(s.n, 3);
    assert_true(fabs(s.mean - 10) < 1e-12);
    /* Variance of the means 4; halves of the differences -1, 1, 0: 2/3. */
    assert_true(fabs(s.within - 2.0 / 3) < 1e-12);
    assert_true(fabs(s.between - (4 - 2.0 / 3)) < 1e-12);
    /* All of it can be noise of time. */
    const double wild[] = { 0, 20, 0 }, wilder[] = { 16, 0, 24 };
    s = power_side(means, wild, wilder, 3);
    assert_true(s.between >= 0 && s.between < 1e-12);
    assert_true(fabs(s.within - 4) < 1e-12);
}

static void test_needed(void **state)
{
    (void)state;
    static const struct {
        PowerSide a, b;
        PowerKind kind;
        double times;
        size_t relays;
    } rows[] = {
        { { 10, 10, 1, 1 }, { 10, 20, 1, 1 }, POWER_TOLD, 1, 0 },
        /* Difference 1: allowed 0.1274; lasting 0.02, passing 0.3. */
        { { 10, 10, 0.1, 1.5 }, { 10, 11, 0.1, 1.5 }, POWER_TIME, 0.3 / (0.127405 - 0.02), 0 },
        /* Lasting 0.4 alone is more than is allowed: (2 + 2 + 1 + 1) / 0.1274 = 47.1 */
        { { 10, 10, 2, 1 }, { 10, 11, 2, 1 }, POWER_RELAYS, 0, 48 },
        { { 10, 10, 2, 1 }, { 10, 10, 2, 1 }, POWER_UNKNOWN, 0, 0 },
        { { 2, 10, 1, 1 }, { 10, 20, 1, 1 }, POWER_UNKNOWN, 0, 0 },
        { { 10, 10, 1, 1 }, { 2, 20, 1, 1 }, POWER_UNKNOWN, 0, 0 },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Power p = power_needed(&rows[i].a, &rows[i].b, 0.05);
        if (p.kind != rows[i].kind || fabs(p.times - rows[i].times) > 1e-3 || p.relays != rows[i].relays)
            fail_msg("row %zu: %d, %g, %zu", i, (int)p.kind, p.times, p.relays);
    }
}

/* A difference that is just found today is found in about 80 of 100 experiments like this one. */
static void test_promise(void **state)
{
    (void)state;
    Rng rng = rng_new(3);
    const double deviation = 1, n = 12, difference = (1.959964 + POWER_ERRORS) * deviation * sqrt(2 / n);
    unsigned found = 0;

    for (unsigned round = 0; round < 1000; round++) {
        double x[24];
        for (size_t i = 0; i < 24; i++) {
            x[i] = i < 12 ? difference : 0;
            for (size_t k = 0; k < 12; k++) /* nearly normal, of variance 1 */
                x[i] += (double)rng_below(&rng, 1000001) / 1e6 - 0.5;
        }
        double d = stats_mean(x, 12) - stats_mean(x + 12, 12);
        found += d > 1.959964 * sqrt((stats_variance(x, 12) + stats_variance(x + 12, 12)) / n);
    }
    assert_in_range(found, 750, 850);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_side),
        cmocka_unit_test(test_needed),
        cmocka_unit_test(test_promise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
