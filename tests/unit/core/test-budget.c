/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/budget.h"

#define START (5 * USEC_PER_SEC)

static const BudgetRule rule = { .most = 10, .per_second = 4, .debt = 6 };

static void test_full_at_first(void **state)
{
    Budget b = { 0 };

    (void)state;
    assert_int_equal(budget_left(&b, &rule, START), 10);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_HOUR), 10);
}

static void test_comes_back_in_time(void **state)
{
    Budget b = { 0 };

    (void)state;
    budget_spend(&b, &rule, START, 10);
    assert_int_equal(budget_left(&b, &rule, START), 0);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_SEC / 4 - 1), 0);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_SEC / 4), 1);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_SEC), 4);
    assert_int_equal(budget_left(&b, &rule, START + 2 * USEC_PER_SEC + USEC_PER_SEC / 2 - 1), 9);
    assert_int_equal(budget_left(&b, &rule, START + 2 * USEC_PER_SEC + USEC_PER_SEC / 2), 10);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_DAY), 10);
}

/* However often it is asked: what is not yet a whole one is not lost. */
static void test_asked_often(void **state)
{
    Budget b = { 0 };

    (void)state;
    budget_spend(&b, &rule, START, 10);
    for (usec_t t = 0; t < USEC_PER_SEC; t += 7)
        (void)budget_left(&b, &rule, START + t);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_SEC), 4);
}

static void test_debt(void **state)
{
    Budget b = { 0 };

    (void)state;
    budget_spend(&b, &rule, START, 12);
    assert_int_equal(budget_left(&b, &rule, START), -2);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_SEC / 8), -2); /* half a one short of -1 */
    budget_spend(&b, &rule, START + USEC_PER_SEC / 4, 100);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_SEC / 4), -6);
    budget_spend(&b, &rule, START + USEC_PER_SEC / 4, UINT64_MAX);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_SEC / 4), -6);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_SEC / 4 + 2 * USEC_PER_SEC), 2);
}

static void test_a_clock_that_stands_still_or_goes_back(void **state)
{
    Budget b = { 0 };

    (void)state;
    budget_spend(&b, &rule, START, 10);
    assert_int_equal(budget_left(&b, &rule, START - USEC_PER_SEC), 0);
    assert_int_equal(budget_left(&b, &rule, START), 0);
    assert_int_equal(budget_left(&b, &rule, START + USEC_PER_SEC), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_at_first),
        cmocka_unit_test(test_comes_back_in_time),
        cmocka_unit_test(test_asked_often),
        cmocka_unit_test(test_debt),
        cmocka_unit_test(test_a_clock_that_stands_still_or_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
