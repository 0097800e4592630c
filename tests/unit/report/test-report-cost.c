/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/report-cost: what is said of bandwidth and flags, what is not known, and what speaks
 * against a row. */
#include "report/recommend.h"
#include "series-feed.h"

#include <math.h>

#define STEP (10 * USEC_PER_MINUTE)

typedef struct Fixture {
    Series series;
    Report report;
} Fixture;

static void fixture_clear(Fixture *f)
{
    report_clear(&f->report);
    series_clear(&f->series);
}

/* Five relays each of glibc and mimalloc, for six days. */
static void begin(Fixture *f)
{
    static const char *const names[] = { "g1", "g2", "g3", "g4", "g5", "m1", "m2", "m3", "m4", "m5" };
    FeedRelay relays[10];

    for (size_t i = 0; i < 10; i++)
        relays[i] = (FeedRelay){ .name = names[i],
                                 .allocator = i < 5 ? "glibc" : "mimalloc",
                                 .start = (i < 5 ? 400 : 100) + (double)i,
                                 .to = 6 * DAY,
                                 .up = 9 * DAY };
    series_init(&f->series, &(SeriesOptions){ .until = USEC_INFINITY, .step = STEP, .slice = HOUR });
    feed(&f->series, relays, 10, STEP);
}

/* Each relay of mimalloc moves `factor` times what its twin does, give or take 1 %. */
static void add_days(Fixture *f, double factor)
{
    for (size_t i = 0; i < f->series.n_relays; i++)
        for (usec_t day = 0; day < 6; day++)
            assert_int_equal(series_add_day(&f->series, i, T0 + day * DAY, T0 + (day + 1) * DAY,
                                            1e11 * (i < 5 ? 1 : factor) * (1 + 0.01 * (double)(i % 5))),
                             0);
    series_settle_days(&f->series);
}

/* So many of mimalloc's relays have lost Guard; their processes are old. */
static void add_flags(Fixture *f, size_t lost)
{
    for (size_t i = 0; i < f->series.n_tracks; i++) {
        FlagTally *t = f->series.tracks[i].flags = xcalloc(1, sizeof(*t));
        t->looked = 100;
        t->held[FLAG_GUARD] = 50;
        t->before = 1U << FLAG_GUARD;
        t->last = i >= 5 && i < 5 + lost ? 0 : 1U << FLAG_GUARD;
        t->last_age = 9 * DAY;
    }
}

static const ReportRow *build(Fixture *f)
{
    char *error = NULL;

    assert_int_equal(report_build(&f->series, &(ReportOptions){ .seed = 1 }, &f->report, &error), 0);
    assert_string_equal(f->report.rows[0].allocator, "mimalloc");
    return &f->report.rows[0];
}

static void assert_says(char *take, const char *words)
{
    _cleanup_(freep) char *text = take;

    assert_non_null(text);
    if (!strstr(text, words))
        fail_msg("\"%s\" does not say \"%s\"", text, words);
}

static void test_nothing_known(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };

    begin(&f);
    const ReportRow *row = build(&f);
    assert_false(f.report.has_traffic || f.report.has_flags);
    assert_null(report_cost_sentence(&f.report, row));
    assert_null(report_cost_objection(&f.report, row));
}

static void test_difference(void **state)
{
    (void)state;
    static const double factors[] = { 1, 0.999, 0.7 }; /* a thousandth costs nothing that matters */

    for (size_t i = 0; i < ELEMENTSOF(factors); i++) {
        const bool costs = factors[i] < 0.9;
        _cleanup_(fixture_clear) Fixture f = { 0 };
        _cleanup_(recommendation_clear) Recommendation r = { 0 };
        begin(&f);
        add_days(&f, factors[i]);
        const ReportRow *row = build(&f);
        assert_true(fabs(row->traffic.difference - (factors[i] - 1)) < 1e-9);
        assert_true(row->traffic.interval.low < row->traffic.difference);
        assert_true(row->traffic.interval.high > row->traffic.difference);
        assert_int_equal(row->traffic.relays, 5);
        assert_true(fabs(row->traffic.days - 30) < 1e-9);
        assert_int_equal(f.report.traffic_compared, 1);
        r = recommend(&f.report, NULL, 0);
        if (costs) {
            assert_says(report_cost_objection(&f.report, row), "costs bandwidth (-3");
            assert_null(r.row);
            assert_string_equal(r.reason, "what saves memory costs bandwidth or flags");
        } else {
            assert_null(report_cost_objection(&f.report, row));
            assert_ptr_equal(r.row, row);
            assert_says(xstrdup(r.text),
                        i == 0 ? " Bandwidth differs by +0.0 % (-" : " Bandwidth differs by -0.1 % (-");
            assert_says(xstrdup(r.text), ", flags not known. Drawbacks: ");
        }
    }
}

static void test_flags(void **state)
{
    (void)state;
    static const struct {
        size_t lost;
        bool against;
    } cases[] = { { 0, false }, { 2, false }, { 5, true } };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        begin(&f);
        add_flags(&f, cases[i].lost);
        const ReportRow *row = build(&f);
        _cleanup_(freep) char *kept = xasprintf("Guard kept by %zu of 5", 5 - cases[i].lost);
        assert_says(report_cost_sentence(&f.report, row), kept);
        assert_says(report_cost_sentence(&f.report, row), "bandwidth not known (traffic not known), ");
        assert_true(fabs(row->flags[FLAG_GUARD].share - 0.5) < 1e-9);
        if (cases[i].against)
            assert_says(report_cost_objection(&f.report, row),
                        "loses Guard (kept by 0 of 5, with glibc by 5 of 5)");
        else
            assert_null(report_cost_objection(&f.report, row));
    }
}

/* Who was just restarted will have the flag back: that is no verdict yet. */
static void test_young_processes(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };

    begin(&f);
    f.series.options.warmup = 48 * HOUR;
    add_flags(&f, 5);
    for (size_t i = 5; i < 10; i++)
        f.series.tracks[i].flags->last_age = HOUR;
    const ReportRow *row = build(&f);
    assert_int_equal(row->flags[FLAG_GUARD].had, 5);
    assert_int_equal(row->flags[FLAG_GUARD].kept, 0);
    assert_int_equal(row->flags[FLAG_GUARD].had_ripe, 0);
    assert_null(report_cost_objection(&f.report, row));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_nothing_known),
                                        cmocka_unit_test(test_difference), cmocka_unit_test(test_flags),
                                        cmocka_unit_test(test_young_processes) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
