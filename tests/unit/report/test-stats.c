/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/stats by published vectors and by what must hold at the edges. The comparison with an
 * independent library, and the coverage of the interval, are in tests/oracle. */
#include "report/stats.h"
#include "test.h"

#include <errno.h>
#include <math.h>

static void test_order(void **state)
{
    (void)state;
    double odd[] = { 5, 1, 4, 2, 3 }, even[] = { 4, 1, 3, 2 }, same[] = { 7, 7, 7, 7 }, one[] = { 9 };

    assert_true(stats_median(odd, 5) == 3);
    assert_true(stats_median(even, 4) == 2.5);
    assert_true(stats_median(same, 4) == 7);
    assert_true(stats_median(one, 1) == 9);
    assert_true(isnan(stats_median(NULL, 0)));
    assert_true(isnan(stats_mean(NULL, 0)));
    assert_true(isnan(stats_variance(one, 1)));
    assert_false(interval_is_set(stats_mean_interval(one, 1)));
    Interval mean = stats_mean_interval((const double[]){ 1, 2, 3, 4, 5 }, 5); /* 3 ± 2.776 · sqrt(2.5 / 5) */
    assert_true(fabs(mean.low - 1.0367) < 1e-3 && fabs(mean.high - 4.9633) < 1e-3);
    assert_false(interval_is_set(INTERVAL_NONE));
}

/* From any printed table. */
static void test_t_quantile(void **state)
{
    (void)state;
    static const struct {
        double df, t;
    } rows[] = { { 1, 12.706 }, { 2, 4.303 }, { 5, 2.571 }, { 9, 2.262 }, { 30, 2.042 }, { 1e6, 1.960 } };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        assert_true(fabs(stats_t_quantile(0.975, rows[i].df) - rows[i].t) < 0.0006);
    assert_true(fabs(stats_t_quantile(0.5, 3)) < 1e-9);
}

static void test_theil_sen(void **state)
{
    (void)state;
    Point line[] = { { 0, 1, 1 }, { 1, 3, 1 }, { 2, 5, 1 }, { 3, 7, 1 }, { 4, 100, 1 } };
    Point saw[] = { { 0, 0, 1 }, { 1, 1, 1 }, { 2, 2, 1 }, { 3, 0, 2 }, { 4, 1, 2 }, { 5, 2, 2 } };
    Point apart[] = { { 0, 0, 1 }, { 1, 1, 2 }, { 2, 5, 3 } };
    Point same_time[] = { { 1, 0, 1 }, { 1, 9, 1 } };
    double slope = -77;
    size_t pairs = 0;

    assert_int_equal(stats_theil_sen(line, 5, &slope, &pairs), 0); /* one wild point of five moves nothing */
    assert_true(slope == 2);
    assert_int_equal(pairs, 10);
    assert_int_equal(stats_theil_sen(saw, 6, &slope, &pairs), 0); /* a restart does not hide the growth */
    assert_true(slope == 1);
    assert_int_equal(pairs, 6);
    slope = -77;
    assert_int_equal(stats_theil_sen(apart, 3, &slope, NULL), -ENODATA);
    assert_int_equal(stats_theil_sen(same_time, 2, &slope, NULL), -ENODATA);
    assert_int_equal(stats_theil_sen(NULL, 0, &slope, NULL), -ENODATA);
    assert_true(slope == -77);
}

static void fill(Subject *subjects, size_t n_a, size_t n_b, double a, double b, double spread)
{
    for (size_t i = 0; i < n_a; i++)
        subjects[i] = (Subject){ .a = a * (1 + spread * ((double)i - (double)(n_a - 1) / 2)), .in_a = true };
    for (size_t i = 0; i < n_b; i++)
        subjects[n_a + i] =
            (Subject){ .b = b * (1 + spread * ((double)i - (double)(n_b - 1) / 2)), .in_b = true };
}

static void test_compare(void **state)
{
    (void)state;
    Subject subjects[20];
    Comparison c, again;

    fill(subjects, 10, 10, 2, 8, 0.02);
    c = stats_compare(subjects, 20, 7, 0.05);
    assert_int_equal(c.n_a, 10);
    assert_int_equal(c.n_b, 10);
    assert_true(fabs(c.mean_a - 2) < 1e-12 && fabs(c.mean_b - 8) < 1e-12);
    assert_true(fabs(c.reduction - 0.75) < 1e-12);
    assert_true(c.interval.low < 0.75 && c.interval.high > 0.75);
    /* Standard errors of 1.9 % on both sides: 2.7 % of the ratio, about 2.1 of them each way. */
    assert_true(c.interval.high - c.interval.low > 0.026 && c.interval.high - c.interval.low < 0.032);
    again = stats_compare(subjects, 20, 7, 0.05);
    assert_memory_equal(&c, &again, sizeof(c));
    again = stats_compare(subjects, 20, 8, 0.05);
    assert_true(again.interval.low < c.interval.low || again.interval.low > c.interval.low);
    assert_true(fabs(again.interval.low - c.interval.low) < 0.002);
}

/* Of the order of subjects nothing depends but the last digits. */
static void test_compare_is_symmetric(void **state)
{
    (void)state;
    Subject subjects[20], swapped[20];

    fill(subjects, 10, 10, 2, 8, 0.02);
    for (size_t i = 0; i < 20; i++)
        swapped[i] = (Subject){ subjects[i].b, subjects[i].a, subjects[i].in_b, subjects[i].in_a };
    Comparison c = stats_compare(subjects, 20, 1, 0.05), s = stats_compare(swapped, 20, 1, 0.05);
    assert_true(fabs((1 - c.interval.low) * (1 - s.interval.high) - 1) < 0.01);
    assert_true(s.reduction < 0 && s.interval.high < 0); /* b needs four times as much */
}

static void test_compare_at_the_edges(void **state)
{
    (void)state;
    Subject subjects[20];
    Comparison c;

    fill(subjects, 2, 10, 2, 8, 0.1);
    c = stats_compare(subjects, 12, 1, 0.05);
    assert_true(fabs(c.reduction - 0.75) < 1e-12);
    assert_false(interval_is_set(c.interval)); /* two relays show no spread */
    fill(subjects, 3, 3, 2, 8, 0);
    c = stats_compare(subjects, 6, 1, 0.05);
    assert_true(fabs(c.interval.low - 0.75) < 1e-12 && fabs(c.interval.high - 0.75) < 1e-12);
    fill(subjects, 3, 3, 2, 8, 0);
    subjects[0].a = 1.9; /* one resample in nine sees no spread at all: nothing can be said */
    c = stats_compare(subjects, 6, 1, 0.05);
    assert_false(interval_is_set(c.interval));
    fill(subjects, 5, 0, 2, 8, 0.1);
    c = stats_compare(subjects, 5, 1, 0.05);
    assert_true(isnan(c.reduction));
    assert_false(interval_is_set(c.interval));
    fill(subjects, 5, 5, 2, 0, 0.1);
    c = stats_compare(subjects, 10, 1, 0.05);
    assert_true(isnan(c.reduction));
    assert_false(interval_is_set(c.interval));
    c = stats_compare(NULL, 0, 1, 0.05);
    assert_int_equal(c.n_a, 0);
}

/* The same relays on both sides: what differs between relays falls out of the comparison. */
static void test_compare_pairs(void **state)
{
    (void)state;
    Subject both[8], exact[8], sides[16], mixed[9];

    for (size_t i = 0; i < 8; i++) {
        double size = 1 + (double)i, noise = i % 2 == 0 ? 1.01 : 0.99;
        both[i] = (Subject){ size * 0.5 * noise, size, true, true };
        sides[i] = (Subject){ .a = both[i].a, .in_a = true };
        sides[8 + i] = (Subject){ .b = both[i].b, .in_b = true };
    }
    for (size_t i = 0; i < 8; i++) /* the same part of each: nothing is left that could be otherwise */
        exact[i] = (Subject){ 0.3 * (double)(i + 1), (double)(i + 1), true, true };
    Comparison e = stats_compare(exact, 8, 1, 0.05);
    assert_true(fabs(e.interval.low - 0.7) < 1e-6 && fabs(e.interval.high - 0.7) < 1e-6);
    memcpy(mixed, both, sizeof(both));
    mixed[8] = (Subject){ .a = 2.2, .in_a = true };
    Comparison p = stats_compare(both, 8, 1, 0.05), s = stats_compare(sides, 16, 1, 0.05),
               m = stats_compare(mixed, 9, 1, 0.05);
    assert_true(fabs(p.reduction - s.reduction) < 1e-12);
    assert_true(p.interval.high - p.interval.low < (s.interval.high - s.interval.low) / 10);
    assert_true(interval_is_set(m.interval));
    assert_true(m.interval.low < 0.5 && m.interval.high > 0.5);
    assert_true(m.interval.high - m.interval.low >
                0.05); /* the one relay that stands alone makes the error */
}

/* Computed by another implementation: the 9500th of the 9999 draws of |T|, and no other. A report says which
 * seed it drew with, so that anybody can draw the same. */
static void test_compare_pinned(void **state)
{
    (void)state;
    Subject sides[20];
    const Subject both[] = { { 2.0, 5.0, true, true }, { 2.5, 6.5, true, true }, { 1.5, 4.5, true, true },
                             { 3.0, 6.0, true, true }, { 2.2, 5.9, true, true }, { 2.8, 7.1, true, true } };

    fill(sides, 10, 10, 2, 8, 0.02);
    Comparison s = stats_compare(sides, 20, 7, 0.05), b = stats_compare(both, ELEMENTSOF(both), 1, 0.05);
    assert_true(fabs(s.interval.low - 0.735337997208) < 1e-9);
    assert_true(fabs(s.interval.high - 0.763849742915) < 1e-9);
    assert_true(fabs(b.interval.low - 0.519838890704) < 1e-9);
    assert_true(fabs(b.interval.high - 0.666778510583) < 1e-9);
}

/* Of the tea tasted by a lady (Fisher 1935): 3 of 4 or more by chance are 17 of 70. */
static void test_fisher(void **state)
{
    (void)state;
    assert_true(fabs(stats_fisher(1, 4, 3, 4) - 17.0 / 70) < 1e-12);
    assert_true(fabs(stats_fisher(4, 4, 4, 4) - 1) < 1e-12);
    assert_true(fabs(stats_fisher(0, 10, 10, 10) - 1 / 184756.0) < 1e-15);
    assert_true(fabs(stats_fisher(10, 10, 3, 10) - 1) < 1e-12);
    assert_true(stats_fisher(2, 10, 10, 10) < 0.01 && stats_fisher(8, 10, 10, 10) > 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fisher),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_t_quantile),
        cmocka_unit_test(test_theil_sen),
        cmocka_unit_test(test_compare),
        cmocka_unit_test(test_compare_is_symmetric),
        cmocka_unit_test(test_compare_at_the_edges),
        cmocka_unit_test(test_compare_pairs),
        cmocka_unit_test(test_compare_pinned),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
