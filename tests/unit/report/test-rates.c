/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/rates: bandwidth at moments as what was moved around them. */
#include "report/rates.h"
#include "series-feed.h"

#include <errno.h>

#define STEP (10 * USEC_PER_MINUTE)

static void begin(Series *series)
{
    const FeedRelay relays[] = { { .name = "r", .allocator = "glibc", .to = 4 * DAY, .up = 9 * DAY },
                                 { .name = "q", .allocator = "glibc", .to = 4 * DAY, .up = 9 * DAY } };

    series_init(series, &(SeriesOptions){ .until = USEC_INFINITY, .step = STEP, .slice = HOUR });
    feed(series, relays, ELEMENTSOF(relays), STEP);
}

static int add(Rates *rates, const Series *series, const char *name, usec_t after, double written)
{
    const SampleRow who = { .relay = { name, strlen(name) } };

    return rates_add(rates, series, &who, T0 + after, written);
}

/* In any order; each counts for as long as most are apart, and half of that lies before it. */
static void test_the_time_around(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Rates rates = { 0 };

    begin(&s);
    assert_int_equal(add(&rates, &s, "r", 18 * HOUR, 20), 0);
    assert_int_equal(add(&rates, &s, "r", 6 * HOUR, 10), 0);
    assert_int_equal(add(&rates, &s, "q", 7 * HOUR, 5), 0);
    assert_int_equal(add(&rates, &s, "r", 30 * HOUR, 30), 0);
    assert_int_equal(add(&rates, &s, "nobody", 30 * HOUR, 99), 0);
    rates_finish(&rates, &s);
    assert_true(s.only_written);
    assert_int_equal(s.n_days, 4);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(s.days[i].from, T0 + i * 12 * HOUR);
        assert_int_equal(s.days[i].to, T0 + (i + 1) * 12 * HOUR);
        assert_true(s.days[i].moved == (double)(10 * (i + 1)) * 12 * 3600);
    }
    assert_true(s.days[3].moved == 5.0 * 12 * 3600);
    assert_int_equal(rates.n, 0);
}

static void test_one_value_is_a_days(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Rates rates = { 0 };

    begin(&s);
    assert_int_equal(add(&rates, &s, "r", DAY, 10), 0);
    rates_finish(&rates, &s);
    assert_int_equal(s.n_days, 1);
    assert_int_equal(s.days[0].to - s.days[0].from, USEC_PER_DAY);
}

/* No row is left out silently. */
static void test_too_many(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    _cleanup_(rates_clear) Rates rates = { 0 };

    begin(&s);
    for (size_t i = 0; i < SERIES_DAYS_MAX; i++)
        assert_int_equal(add(&rates, &s, "r", i, 1), 0);
    assert_int_equal(add(&rates, &s, "r", 0, 1), -E2BIG);
    assert_int_equal(add(&rates, &s, "nobody", 0, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_time_around),
        cmocka_unit_test(test_one_value_is_a_days),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
