/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/balance: groups of the right size, alike, random, and the same for the same seed. */
#include "report/balance.h"
#include "report/rng.h"
#include "test.h"

#include <errno.h>
#include <math.h>

#define N 57

static void make(BalanceRelay *relays)
{
    Rng rng = rng_new(5);

    for (size_t i = 0; i < N; i++)
        relays[i] = (BalanceRelay){ .memory = 1e9 * exp((double)rng_below(&rng, 1000) / 500),
                                    .age = (double)rng_below(&rng, 3000000) };
}

static void test_plan(void **state)
{
    (void)state;
    BalanceRelay relays[N];
    size_t group[N], again[N], other[N], counts[4] = { 0 };
    Balance b, same;

    make(relays);
    assert_int_equal(balance_plan(relays, N, 4, 10, 7, group, &b), 0);
    for (size_t i = 0; i < N; i++)
        if (group[i] != BALANCE_NONE) {
            assert_in_range(group[i], 0, 3);
            counts[group[i]]++;
        }
    for (size_t g = 0; g < 4; g++)
        assert_int_equal(counts[g], 10);
    same = balance_of(relays, group, N, 4);
    assert_memory_equal(&same, &b, sizeof(b));
    /* Ten relays a group drawn without care are 0.8 apart on average. */
    assert_true(b.memory < 0.1 && b.age < 0.1);
    assert_int_equal(balance_plan(relays, N, 4, 10, 7, again, &same), 0);
    assert_memory_equal(group, again, sizeof(group));
    assert_int_equal(balance_plan(relays, N, 4, 10, 8, other, &same), 0);
    assert_memory_not_equal(group, other, sizeof(group));
}

/* Over many seeds each relay comes into each group about as often as into any other. */
static void test_random(void **state)
{
    (void)state;
    BalanceRelay relays[8];
    unsigned counts[8][2] = { { 0 } };

    for (size_t i = 0; i < 8; i++)
        relays[i] = (BalanceRelay){ .memory = (double)(i + 1), .age = (double)(i * 5 % 8) };
    for (uint64_t seed = 0; seed < 200; seed++) {
        size_t group[8];
        Balance b;
        assert_int_equal(balance_plan(relays, 8, 2, 4, seed, group, &b), 0);
        for (size_t i = 0; i < 8; i++)
            counts[i][group[i]]++;
    }
    for (size_t i = 0; i < 8; i++)
        assert_in_range(counts[i][0], 60, 140);
}

static void test_bounds(void **state)
{
    (void)state;
    BalanceRelay relays[N];
    size_t group[N];
    Balance b = { 77, 77 };

    make(relays);
    assert_int_equal(balance_plan(relays, N, 4, 15, 1, group, &b), -ERANGE);
    assert_int_equal(balance_plan(relays, N, 0, 1, 1, group, &b), -ERANGE);
    assert_int_equal(balance_plan(relays, N, 1, 0, 1, group, &b), -ERANGE);
    assert_int_equal(balance_plan(relays, N, SIZE_MAX / 2, 3, 1, group, &b), -ERANGE);
    assert_true(b.memory == 77);
    assert_int_equal(balance_plan(relays, N, N, 1, 1, group, &b), 0); /* all of them */
    assert_int_equal(balance_plan(relays, N, 1, N, 1, group, &b), 0);
    assert_true(isnan(b.memory)); /* one group is like nothing */
}

/* Relays that differ by next to nothing are alike, however that compares with how they vary. */
static void test_trifles(void **state)
{
    (void)state;
    BalanceRelay relays[8];
    size_t group[8];

    for (size_t i = 0; i < 8; i++) {
        group[i] = i / 4;
        relays[i] = (BalanceRelay){ .memory = 1e9 + (i < 4 ? 0 : 1e6), .age = i < 4 ? 60 : 90 };
    }
    Balance b = balance_of(relays, group, 8, 2);
    assert_true(b.memory > 0.09 && b.memory < 0.11);
    assert_true(b.age > 0 && b.age < 0.01);
}

static void test_distance(void **state)
{
    (void)state;
    const BalanceRelay relays[] = { { 1, 5 }, { 3, 5 }, { 5, 5 }, { 7, 5 }, { 900, 900 } };
    const size_t group[] = { 0, 0, 1, 1, BALANCE_NONE };
    Balance b = balance_of(relays, group, 5, 3);

    /* Means 2 and 6, standard deviation of 1, 3, 5, 7: 2.582 */
    assert_true(fabs(b.memory - 4 / 2.5819889) < 1e-6);
    assert_true(b.age < 1e-12 && b.age > -1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),     cmocka_unit_test(test_random),  cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_distance), cmocka_unit_test(test_trifles),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
