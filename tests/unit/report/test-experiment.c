/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/experiment: how the groups began, and what is still missing. */
#include "report/experiment.h"
#include "series-feed.h"

#include <math.h>

typedef struct Fixture {
    Series series;
    Report report;
    Experiment e;
} Fixture;

static void fixture_clear(Fixture *f)
{
    experiment_clear(&f->e);
    report_clear(&f->report);
    series_clear(&f->series);
}

static void build(Fixture *f, const FeedRelay *relays, size_t n, usec_t warmup)
{
    const SeriesOptions options = {
        .until = USEC_INFINITY, .step = HOUR, .slice = HOUR, .by_group = true, .warmup = warmup
    };
    char *error = NULL;

    series_init(&f->series, &options);
    feed(&f->series, relays, n, HOUR);
    assert_int_equal(report_build(&f->series, &(ReportOptions){ .seed = 1 }, &f->report, &error), 0);
    f->e = experiment_build(&f->report);
}

static bool noted(const Fixture *f, const char *words)
{
    char **notes = experiment_notes(&f->e);
    bool found = false;

    STRV_FOREACH (n, notes) {
        found = found || strstr(*n, words);
    }
    if (!found)
        STRV_FOREACH (n, notes)
            print_message("note: %s\n", *n);
    strv_free(notes);
    return found;
}

/* Four relays, two days without a group, then in two groups of two for `days`. */
static size_t make(FeedRelay *relays, const double before[4], const usec_t up[4], const double after[4],
                   usec_t days)
{
    static const char *const names[] = { "a", "b", "c", "d" };

    for (size_t i = 0; i < 4; i++) {
        relays[i] = (FeedRelay){
            .name = names[i], .allocator = "glibc", .start = before[i], .to = 2 * DAY, .up = up[i]
        };
        relays[4 + i] = (FeedRelay){ .name = names[i],
                                     .group = i < 2 ? "A" : "Z",
                                     .allocator = i < 2 ? "mimalloc" : "glibc",
                                     .start = after[i],
                                     .from = 2 * DAY,
                                     .to = (2 + days) * DAY };
    }
    return 8;
}

static void test_balance(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[8];
    const double after[] = { 100, 100, 400, 400 };
    const usec_t up[] = { 10 * DAY, 20 * DAY, 10 * DAY, 20 * DAY };
    size_t n = make(relays, (const double[]){ 300, 500, 310, 490 }, up, after, 4);

    build(&f, relays, n, 0);
    assert_int_equal(f.e.n, 2);
    assert_int_equal(f.e.relays, 4);
    assert_int_equal(f.e.known, 4);
    const ExperimentGroup *a = &f.e.groups[0];
    assert_string_equal(a->row->group, "A");
    assert_int_equal(a->relays, 2);
    assert_int_equal(a->known, 2);
    assert_true(fabs(a->memory / MIB - 400) < 1e-6);
    assert_true(fabs(a->age - (17 * 86400 - 3600)) <
                1); /* (10 + 20) / 2 days, and the two that were sampled */
    assert_int_equal(a->began, T0 + 2 * DAY);
    assert_true(f.e.balance.memory < 0.01 && f.e.balance.age < 0.01);
    assert_true(noted(&f, "comparable"));
    fixture_clear(&f);
    f = (Fixture){ 0 };
    n = make(relays, (const double[]){ 300, 310, 490, 500 }, up, after, 4);
    build(&f, relays, n, 0);
    assert_true(f.e.balance.memory > 1.5);
    assert_true(noted(&f, "not similar"));
}

static void test_start_unknown(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = {
        { .name = "a", .group = "A", .allocator = "mimalloc", .start = 1, .to = DAY },
        { .name = "b", .group = "Z", .allocator = "glibc", .start = 1, .to = DAY }
    };

    build(&f, relays, 2, 0);
    assert_int_equal(f.e.known, 0);
    assert_true(isnan(f.e.groups[0].memory));
    assert_true(noted(&f, "the samples start after the groups did"));
}

static void test_no_experiment(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = { { .name = "a", .allocator = "glibc", .start = 1, .to = DAY } };

    build(&f, relays, 1, 0);
    assert_int_equal(f.e.n, 0);
    assert_true(noted(&f, "No relay is in a group"));
}

/* Who left the group is no part of it. */
static void test_left(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = {
        { .name = "a", .group = "A", .allocator = "mimalloc", .start = 1, .to = 2 * DAY },
        { .name = "gone", .group = "A", .allocator = "mimalloc", .start = 1, .to = DAY },
        { .name = "moved", .group = "A", .allocator = "mimalloc", .start = 1, .to = DAY },
        { .name = "moved", .group = "Z", .allocator = "glibc", .start = 1, .from = DAY, .to = 2 * DAY },
        { .name = "old", .group = "X", .allocator = "glibc", .start = 1, .to = DAY },
    };

    build(&f, relays, ELEMENTSOF(relays), 0);
    assert_int_equal(f.e.n, 2);
    assert_int_equal(f.e.relays, 2);
}

static void test_outlook(void **state)
{
    (void)state;
    static const struct {
        double levels[6]; /* three of A, three of Z */
        PowerKind kind;
        const char *words;
    } rows[] = {
        { { 100, 101, 99, 400, 401, 399 }, POWER_TOLD, "A and Z can be told apart." },
        { { 100, 140, 60, 110, 150, 70 }, POWER_RELAYS, "more time will not tell them apart" },
        { { 100, 140, 60, 100, 140, 60 }, POWER_UNKNOWN, "nothing can be said" },
    };
    static const char *const names[] = { "a", "b", "c", "x", "y", "z" };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        FeedRelay relays[6];
        for (size_t k = 0; k < 6; k++)
            relays[k] = (FeedRelay){ .name = names[k],
                                     .group = k < 3 ? "A" : "Z",
                                     .allocator = k < 3 ? "mimalloc" : "glibc",
                                     .start = rows[i].levels[k],
                                     .to = 4 * DAY };
        build(&f, relays, 6, 0);
        const ExperimentGroup *a = streq(f.e.groups[0].row->group, "A") ? &f.e.groups[0] : &f.e.groups[1];
        assert_int_equal(a->power.kind, rows[i].kind);
        assert_true(noted(&f, rows[i].words));
    }
}

/* Relays that are alike but waver from half to half: time helps. */
static void test_time_helps(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[6];
    static const char *const names[] = { "a", "b", "c", "x", "y", "z" };
    static const double per_day[] = { 10, -10, 4, 10, -10, 4 };

    for (size_t k = 0; k < 6; k++)
        relays[k] = (FeedRelay){ .name = names[k],
                                 .group = k < 3 ? "A" : "Z",
                                 .allocator = k < 3 ? "mimalloc" : "glibc",
                                 .start = (k < 3 ? 100 : 105) - 2 * per_day[k],
                                 .per_day = per_day[k],
                                 .to = 4 * DAY };
    relays[0].start += 8;
    relays[3].start += 8;
    build(&f, relays, 6, 0);
    assert_int_equal(f.e.groups[0].power.kind, POWER_TIME);
    assert_true(f.e.groups[0].more > HOUR);
    assert_true(noted(&f, "more, at the current difference and spread"));
}

static void test_verdict(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = { { .name = "a", .group = "A", .allocator = "glibc", .start = 1, .to = DAY } };

    build(&f, relays, 1, 12 * HOUR);
    /* Counted from the twelfth hour on, for eleven hours at the last sample. */
    assert_int_equal(f.e.groups[0].verdict, 13 * HOUR);
    assert_true(noted(&f, "Whether each of them grows will be known in 13h"));
    fixture_clear(&f);
    f = (Fixture){ 0 };
    build(&f, relays, 1, 3 * DAY); /* all of it warm-up as yet */
    assert_int_equal(f.e.groups[0].verdict, 3 * DAY + HOUR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_balance),       cmocka_unit_test(test_start_unknown),
        cmocka_unit_test(test_no_experiment), cmocka_unit_test(test_left),
        cmocka_unit_test(test_outlook),       cmocka_unit_test(test_time_helps),
        cmocka_unit_test(test_verdict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
