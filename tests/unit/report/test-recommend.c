/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/recommend: what it names, what it must never name, and what it says against what it names.
 */
#include "report/recommend.h"
#include "series-feed.h"

#include <math.h>

#define STEP (10 * USEC_PER_MINUTE)

typedef struct Fixture {
    Series series;
    Report report;
    Recommendation r;
} Fixture;

static void fixture_clear(Fixture *f)
{
    recommendation_clear(&f->r);
    report_clear(&f->report);
    series_clear(&f->series);
}

/* Four relays of one allocator. */
static size_t add_four(FeedRelay *relays, size_t n, const char *const names[4], const char *allocator,
                       double level, double per_day)
{
    for (size_t i = 0; i < 4; i++)
        relays[n++] = (FeedRelay){ .name = names[i],
                                   .allocator = allocator,
                                   .start = level * (1 + 0.01 * ((double)i - 1.5)),
                                   .per_day = per_day + 0.001 * (double)i,
                                   .to = 6 * DAY,
                                   .up = 10 * DAY };
    return n;
}

static const char *const g[] = { "g1", "g2", "g3", "g4" }, *const m[] = { "m1", "m2", "m3", "m4" },
                         *const j[] = { "j1", "j2", "j3", "j4" };

static void build(Fixture *f, const FeedRelay *relays, size_t n, const RecommendFailures *failures,
                  size_t n_failures)
{
    const SeriesOptions options = {
        .until = USEC_INFINITY, .step = STEP, .slice = HOUR, .allocator_required = true
    };
    char *error = NULL;

    series_init(&f->series, &options);
    feed(&f->series, relays, n, STEP);
    assert_int_equal(report_build(&f->series, &(ReportOptions){ .seed = 1 }, &f->report, &error), 0);
    f->r = recommend(&f->report, failures, n_failures);
}

#define ASSERT_SAYS(f, words)                                                                                \
    do {                                                                                                     \
        if (!strstr((f).r.text, words))                                                                      \
            fail_msg("\"%s\" does not say \"%s\"", (f).r.text, words);                                       \
    } while (0)

static void test_recommends(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[12];
    size_t n = add_four(relays, 0, g, "glibc", 400, 0);

    n = add_four(relays, n, m, "mimalloc", 100, 0);
    n = add_four(relays, n, j, "jemalloc", 200, 0);
    build(&f, relays, n, NULL, 0);
    assert_non_null(f.r.row);
    assert_string_equal(f.r.row->allocator, "mimalloc");
    assert_null(f.r.reason);
    assert_int_equal(f.r.fleet, 12);
    assert_int_equal(f.r.running, 4);
    assert_true(fabs(f.r.present / MIB - 2800) < 0.1);
    assert_true(fabs(f.r.with_it / MIB - 1200) < 0.1);
    assert_true(fabs(f.r.saving / MIB - 1600) < 0.1);
    assert_true(f.r.saving_interval.low < f.r.saving && f.r.saving_interval.high > f.r.saving);
    ASSERT_SAYS(f, "Use mimalloc: 100 MiB per relay, 75 % less than glibc with 400 MiB (95 % interval ");
    ASSERT_SAYS(f, "The fleet of 12 uses 2.73 GiB; if all of it ran this, it would use 1.17 GiB, which "
                   "saves 1.56 GiB (");
    ASSERT_SAYS(f, "Drawbacks: only 4 relays ran it.");
    assert_null(strstr(f.r.text, "jemalloc")); /* plainly less: not worth a word */
}

/* What is saved may be paid for in restarts. */
static void test_restarts_speak_against_it(void **state)
{
    (void)state;
    for (int often = 0; often < 2; often++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        FeedRelay relays[8];
        size_t n = add_four(relays, 0, g, "glibc", 400, 0);
        n = add_four(relays, n, m, "mimalloc", 100, 0);
        for (size_t i = 0; i < 8; i++)
            relays[i].restart = i >= 4 && often ? DAY : 3 * DAY;
        build(&f, relays, n, NULL, 0);
        assert_string_equal(f.r.row->allocator, "mimalloc");
        const char *words = "its relays restarted 20 times, more often than the others";
        if (!strstr(f.r.text, words) == (often == 1))
            fail_msg("%d: %s", often, f.r.text);
    }
}

static void test_never_a_growing_one(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[12];
    size_t n = add_four(relays, 0, g, "glibc", 400, 0);

    n = add_four(relays, n, m, "mimalloc", 100, 5);
    n = add_four(relays, n, j, "jemalloc", 200, 0);
    build(&f, relays, n, NULL, 0);
    assert_string_equal(f.r.row->allocator, "jemalloc");
    ASSERT_SAYS(f, "Others: mimalloc, growing.");
    fixture_clear(&f);
    f = (Fixture){ 0 };
    build(&f, relays, 8, NULL, 0); /* nothing else there */
    assert_null(f.r.row);
    ASSERT_SAYS(f, "No recommendation: no allocator that was measured long enough significantly saves memory "
                   "without growing.");
    ASSERT_SAYS(f, "Compared: mimalloc, growing.");
}

static void test_too_little(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[12];
    size_t n = add_four(relays, 0, g, "glibc", 400, 0);

    n = add_four(relays, n, m, "mimalloc", 100, 0);
    for (size_t i = 0; i < n; i++)
        relays[i].to = 20 * HOUR;
    build(&f, relays, n, NULL, 0);
    assert_null(f.r.row);
    ASSERT_SAYS(
        f, "No recommendation: there is too little data. Compared: mimalloc, measured for too short a time.");
    fixture_clear(&f);
    f = (Fixture){ 0 };
    n = add_four(relays, 0, g, "glibc", 400, 0);
    n = add_four(relays, n, m, "mimalloc", 100, 0);
    build(&f, relays, 6, NULL, 0); /* two relays of it */
    assert_null(f.r.row);
    ASSERT_SAYS(f, "mimalloc, fewer than three relays");
}

static void test_nothing_better(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[12];
    size_t n = add_four(relays, 0, g, "glibc", 400, 0);

    n = add_four(relays, n, m, "mimalloc", 399, 0);
    build(&f, relays, n, NULL, 0);
    assert_null(f.r.row);
    ASSERT_SAYS(f, "mimalloc, not significantly less than the baseline");
}

static void test_no_baseline(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[4];
    size_t n = add_four(relays, 0, m, "mimalloc", 399, 0);

    build(&f, relays, n, NULL, 0);
    assert_null(f.r.row);
    ASSERT_SAYS(f, "nothing to compare with");
}

static void test_against(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const RecommendFailures failures[] = { { "jemalloc", 7 }, { "mimalloc", 2 } };
    FeedRelay relays[12];
    size_t n = add_four(relays, 0, g, "glibc", 400, 0);

    n = add_four(relays, n, m, "mimalloc", 100, 0.5);
    for (size_t i = 4; i < n; i++)
        relays[i].restart = 3 * DAY;
    build(&f, relays, n, failures, 2);
    assert_int_equal(f.r.failures, 2);
    ASSERT_SAYS(
        f,
        "Drawbacks: 2 moves to it failed, it grows by 514 KiB per day, too little to matter now, its relays "
        "restarted 4 times, more often than the others, only 4 relays ran it.");
}

static void test_all_run_it(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[12];
    size_t n = add_four(relays, 0, g, "glibc", 400, 0);

    n = add_four(relays, n, m, "mimalloc", 100, 0);
    n = add_four(relays, n, g, "mimalloc", 100, 0);
    for (size_t i = 0; i < 4; i++) {
        relays[i].to = 3 * DAY;
        relays[8 + i].from = 3 * DAY;
        relays[8 + i].up = 0;
    }
    build(&f, relays, n, NULL, 0);
    assert_int_equal(f.r.fleet, 8);
    assert_int_equal(f.r.running, 8);
    ASSERT_SAYS(f, "All 8 relays run it already.");
}

/* Relays that are gone are no fleet. */
static void test_fleet(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[12];
    size_t n = add_four(relays, 0, g, "glibc", 400, 0);

    n = add_four(relays, n, m, "mimalloc", 100, 0);
    relays[0].to = 5 * DAY;
    build(&f, relays, n, NULL, 0);
    assert_int_equal(f.r.fleet, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recommends),
        cmocka_unit_test(test_restarts_speak_against_it),
        cmocka_unit_test(test_never_a_growing_one),
        cmocka_unit_test(test_too_little),
        cmocka_unit_test(test_nothing_better),
        cmocka_unit_test(test_no_baseline),
        cmocka_unit_test(test_against),
        cmocka_unit_test(test_all_run_it),
        cmocka_unit_test(test_fleet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
