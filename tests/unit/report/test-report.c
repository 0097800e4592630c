/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/report: the faults that a published table can have (relays counted for what they did not
 * run, one snapshot for a period, no uncertainty, growth taken for a level) must not be possible here. */
#include "report/report.h"
#include "series-feed.h"

#include <errno.h>
#include <math.h>

#define STEP (10 * USEC_PER_MINUTE)

typedef struct Fixture {
    Series series;
    Report report;
    char *error;
    int result;
} Fixture;

static void fixture_clear(Fixture *f)
{
    report_clear(&f->report);
    series_clear(&f->series);
    free(f->error);
}

static void build(Fixture *f, const FeedRelay *relays, size_t n, SeriesOptions options,
                  const ReportOptions *report)
{
    if (options.until == 0)
        options.until = USEC_INFINITY;
    options.step = STEP;
    options.slice = HOUR;
    series_init(&f->series, &options);
    feed(&f->series, relays, n, STEP);
    f->result = report_build(&f->series, report, &f->report, &f->error);
}

/* Groups of four relays; levels in MiB. */
static FeedRelay relay(const char *name, const char *group, const char *allocator, double level)
{
    return (FeedRelay){ .name = name,
                        .group = group,
                        .allocator = allocator,
                        .version = streq_null(allocator, "glibc") ? "2.36" : "2.0.9",
                        .start = level,
                        .to = 6 * DAY,
                        .up = 10 * DAY };
}

static const ReportOptions seeded = { .seed = 1 };

static const ReportRow *row_of(const Report *report, const char *name)
{
    for (size_t i = 0; i < report->n_rows; i++) {
        _cleanup_(freep) char *n = report_row_name(report, &report->rows[i]);
        if (streq(n, name))
            return &report->rows[i];
    }
    fail_msg("no row %s", name);
    return NULL;
}

static bool noted(const Report *report, const char *words)
{
    char **notes = report_notes(report);
    bool found = false;

    STRV_FOREACH (n, notes)
        found = found || strstr(*n, words);
    strv_free(notes);
    return found;
}

#define ASSERT_NOTED(report, words)                                                                          \
    do {                                                                                                     \
        if (!noted(report, words)) {                                                                         \
            char **_notes = report_notes(report);                                                            \
            STRV_FOREACH (_n, _notes)                                                                        \
                print_message("note: %s\n", *_n);                                                            \
            strv_free(_notes);                                                                               \
            fail_msg("no note says \"%s\"", words);                                                          \
        }                                                                                                    \
    } while (0)

static void test_by_allocator(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = {
        relay("g1", "Z", "glibc", 390),    relay("g2", "Z", "glibc", 400),
        relay("g3", "Z", "glibc", 410),    relay("g4", NULL, "glibc", 400),
        relay("m1", "B", "mimalloc", 95),  relay("m2", "B", "mimalloc", 105),
        relay("m3", "C", "mimalloc", 100),
    };

    build(&f, relays, ELEMENTSOF(relays), (SeriesOptions){ .allocator_required = true }, &seeded);
    assert_int_equal(f.result, 0);
    assert_int_equal(f.report.n_rows, 2);
    const ReportRow *m = &f.report.rows[0], *g = &f.report.rows[1];
    assert_string_equal(m->allocator, "mimalloc"); /* least memory first */
    assert_string_equal(m->version, "2.0.9");
    assert_int_equal(m->relays, 3);
    assert_int_equal(g->relays, 4);
    assert_true(fabs(m->average / MIB - 100) < 1e-6);
    assert_true(fabs(m->deviation / MIB - 5) < 1e-6);
    assert_true(fabs(m->comparison.reduction - 0.75) < 1e-9);
    assert_true(m->comparison.interval.low < 0.75 && m->comparison.interval.high > 0.75);
    assert_true(m->comparison.interval.low > 0.6 && m->comparison.interval.high < 0.85);
    assert_int_equal(f.report.baseline, 1);
    assert_true(g->baseline && !m->baseline);
    assert_true(isnan(g->comparison.reduction));
    assert_int_equal(m->growth.trend, TREND_STEADY);
    assert_int_equal(f.report.relays, 7);
    assert_int_equal(m->mixed + g->mixed + f.report.mixed, 0);
    assert_int_equal(f.report.counted, 7 * 6 * DAY);
    ASSERT_NOTED(&f.report, "6,048 samples of 7 relays");
    ASSERT_NOTED(&f.report, "1,008 relay-hours counted");
    ASSERT_NOTED(&f.report, "Reduction against glibc 2.36");
}

/* The seed draws the resamples, and nothing else. */
static void test_seed(void **state)
{
    (void)state;
    Interval intervals[3];
    const FeedRelay relays[] = { relay("g1", "Z", "glibc", 390),    relay("g2", "Z", "glibc", 400),
                                 relay("g3", "Z", "glibc", 430),    relay("m1", "B", "mimalloc", 95),
                                 relay("m2", "B", "mimalloc", 105), relay("m3", "B", "mimalloc", 120) };

    for (size_t i = 0; i < 3; i++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        build(&f, relays, ELEMENTSOF(relays), (SeriesOptions){ 0 }, &(ReportOptions){ .seed = i / 2 });
        intervals[i] = f.report.rows[0].comparison.interval;
    }
    assert_memory_equal(&intervals[0], &intervals[1], sizeof(*intervals));
    assert_memory_not_equal(&intervals[0], &intervals[2], sizeof(*intervals));
    assert_true(fabs(intervals[0].low - intervals[2].low) < 0.02);
}

/* Two versions of one allocator are two things. */
static void test_versions_are_kept_apart(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[] = { relay("a", "B", "mimalloc", 100), relay("b", "B", "mimalloc", 300),
                           relay("c", "Z", "glibc", 400), relay("d", "Z", "glibc", 500),
                           relay("e", "Z", "glibc", 450) };
    ReportOptions options = { .seed = 1, .baseline = "glibc" };

    relays[1].version = "3.0.1";
    relays[3].version = "2.41";
    build(&f, relays, ELEMENTSOF(relays), (SeriesOptions){ 0 }, &options);
    assert_int_equal(f.report.n_rows, 4);
    assert_true(fabs(row_of(&f.report, "mimalloc 3.0.1")->average / MIB - 300) < 1e-6);
    /* Named without a version: the one that most relays run. */
    assert_string_equal(f.report.rows[f.report.baseline].version, "2.36");
    fixture_clear(&f);
    f = (Fixture){ 0 };
    options.baseline = "glibc 2.41";
    build(&f, relays, ELEMENTSOF(relays), (SeriesOptions){ 0 }, &options);
    assert_string_equal(f.report.rows[f.report.baseline].version, "2.41");
}

/* Half of group Z runs mimalloc, whatever the configuration says: by group these are two rows, and by
 * allocator they count for mimalloc. */
static void test_counts_what_ran(void **state)
{
    (void)state;
    for (int by_group = 0; by_group < 2; by_group++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        const FeedRelay relays[] = { relay("z1", "Z", "glibc", 400), relay("z2", "Z", "glibc", 400),
                                     relay("z3", "Z", "mimalloc", 100), relay("z4", "Z", "mimalloc", 100),
                                     relay("b1", "B", "mimalloc", 100) };
        build(&f, relays, ELEMENTSOF(relays), (SeriesOptions){ .by_group = by_group }, &seeded);
        assert_int_equal(f.report.n_rows, by_group ? 3 : 2);
        if (by_group) {
            assert_int_equal(row_of(&f.report, "Z (mimalloc 2.0.9)")->relays, 2);
            assert_int_equal(row_of(&f.report, "Z (glibc 2.36)")->relays, 2);
            assert_int_equal(row_of(&f.report, "B")->relays, 1);
        }
        const ReportRow *base = &f.report.rows[f.report.baseline];
        assert_string_equal(base->allocator, "glibc");
        assert_int_equal(base->relays, 2);
        assert_true(fabs(base->average / MIB - 400) < 1e-6);
    }
}

static void test_relay_that_moved(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[8];

    for (size_t i = 0; i < 4; i++) {
        static const char *const names[] = { "a", "b", "c", "d" };
        relays[i] = relay(names[i], NULL, "glibc", 400 + 10 * (double)i);
        relays[i].to = 5 * DAY;
        relays[4 + i] = relay(names[i], "B", "mimalloc", 100 + 2.5 * (double)i);
        relays[4 + i].from = 5 * DAY;
        relays[4 + i].to = 10 * DAY;
        relays[4 + i].up = 0;
    }
    /* By default what everybody did before is not compared with, and it is said why there is no number. */
    build(&f, relays, 8, (SeriesOptions){ .warmup = 2 * DAY }, &seeded);
    assert_int_equal(f.report.baseline, -1);
    const ReportRow *waiting = row_of(&f.report, "glibc 2.36 before the moves");
    assert_true(waiting->waiting && waiting == &f.report.rows[1]);
    assert_int_equal(waiting->relays, 4);
    assert_true(fabs(waiting->average / MIB - 415) < 1e-6);
    assert_string_equal(row_of(&f.report, "mimalloc 2.0.9")->why, "no control beside it");
    assert_true(isnan(row_of(&f.report, "mimalloc 2.0.9")->comparison.reduction));
    ASSERT_NOTED(&f.report, "nothing ran glibc 2.36 beside the others");
    ASSERT_NOTED(&f.report, "--compare=all");
    ASSERT_NOTED(&f.report, "none without samples; 4 restarts, 4 of them to move.");
    fixture_clear(&f);
    f = (Fixture){ 0 };
    build(&f, relays, 8, (SeriesOptions){ .warmup = 2 * DAY },
          &(ReportOptions){ .seed = 1, .whenever = true });
    ASSERT_NOTED(&f.report, "at whatever time it ran");
    const ReportRow *m = row_of(&f.report, "mimalloc 2.0.9"), *g = row_of(&f.report, "glibc 2.36");
    assert_int_equal(m->relays, 4);
    assert_int_equal(g->relays, 4);
    assert_int_equal(m->mixed, 4);
    assert_int_equal(m->counted, 4 * 3 * DAY); /* two days after the restart are left out */
    assert_int_equal(m->warm, 4 * 2 * DAY);
    assert_int_equal(g->counted, 4 * 5 * DAY);
    assert_int_equal(f.report.relays, 4);
    assert_int_equal(f.report.mixed, 4);
    assert_int_equal(m->restarts, 0); /* the move itself is counted apart */
    assert_int_equal(m->moves, 4);
    /* Pairs: what the relays share falls out, so four of them are nearly exact. */
    assert_true(m->comparison.interval.high - m->comparison.interval.low < 0.01);
    ASSERT_NOTED(&f.report, "4 relays ran more than one");
}

/* An experiment: all ran glibc for weeks, at 1000 MiB; then half was restarted onto mimalloc and half onto
 * glibc, and is at 200 and 400. It saves a half, not four fifths: by allocator and by group, with the waiting
 * time in one line, whatever groups the relays were in then. */
static void test_compared_with_what_ran_beside(void **state)
{
    (void)state;
    static const char *const names[] = { "a", "b", "c", "d", "e", "f", "g", "h" };
    FeedRelay relays[24];

    for (size_t i = 0; i < 8; i++) {
        const bool moved = i < 4;
        relays[3 * i] = relay(names[i], NULL, "glibc", 990 + 2.5 * (double)i);
        relays[3 * i].to = 5 * DAY;
        relays[3 * i + 1] = relay(names[i], moved ? "B" : "Z", "glibc", 1000); /* until its turn comes */
        relays[3 * i + 1].from = 5 * DAY;
        relays[3 * i + 1].to = 5 * DAY + HOUR;
        relays[3 * i + 1].up = 10 * DAY;
        relays[3 * i + 2] = relay(names[i], moved ? "B" : "Z", moved ? "mimalloc" : "glibc",
                                  (moved ? 200 : 400) + (double)(i % 4));
        relays[3 * i + 2].from = 5 * DAY + HOUR;
        relays[3 * i + 2].to = 15 * DAY;
        relays[3 * i + 2].up = 0;
    }
    for (int by_group = 0; by_group < 2; by_group++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        const SeriesOptions options = { .warmup = 2 * DAY, .by_group = by_group };
        build(&f, relays, ELEMENTSOF(relays), options, &seeded);
        assert_int_equal(f.report.n_rows, 3);
        const ReportRow *m = &f.report.rows[0], *z = &f.report.rows[1], *waiting = &f.report.rows[2];
        assert_string_equal(m->allocator, "mimalloc");
        assert_true(z->baseline && f.report.baseline == 1);
        assert_string_equal(z->group, by_group ? "Z" : "");
        assert_int_equal(z->relays, 4);
        assert_true(fabs(z->average / MIB - 401.5) < 0.5);
        assert_true(fabs(m->comparison.reduction - 0.5) < 0.01);
        assert_true(m->comparison.interval.low > 0.49 && m->comparison.interval.high < 0.51);
        assert_true(waiting->waiting && isnan(waiting->comparison.reduction));
        /* Of group Z's relays by group, too: they were in none before. */
        assert_int_equal(waiting->relays, by_group ? 8 : 4);
        assert_true(waiting->average / MIB > 980);
        assert_null(m->why);
        ASSERT_NOTED(&f.report, "over the time that both ran");
        ASSERT_NOTED(&f.report, by_group ? "Waiting: 8 relays" : "Waiting: 4 relays");
        assert_false(noted(&f.report, "Too short to judge growth: glibc 2.36 before"));
    }
}

/* Everybody is moved to the best when the experiment is over: the control that it had is still one. */
static void test_control_that_was_moved_later(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
    FeedRelay relays[9];
    size_t n = 0;

    for (size_t i = 0; i < 6; i++) {
        const bool control = i >= 3;
        relays[n] =
            relay(names[i], NULL, control ? "glibc" : "mimalloc", (control ? 400 : 200) + (double)(i % 3));
        relays[n].to = control ? 10 * DAY : 20 * DAY;
        relays[n++].up = 10 * DAY;
        if (!control)
            continue;
        relays[n] = relay(names[i], NULL, "mimalloc", 200);
        relays[n].from = 10 * DAY;
        relays[n].to = 20 * DAY;
        relays[n++].up = 0;
    }
    build(&f, relays, n, (SeriesOptions){ .warmup = 2 * DAY }, &seeded);
    assert_int_equal(f.report.n_rows, 2);
    assert_int_equal(f.report.baseline, 1);
    assert_int_equal(f.report.rows[1].relays, 3);
    assert_true(fabs(f.report.rows[0].comparison.reduction - 0.5) < 0.01);
    assert_int_equal(f.report.rows[0].comparison.n_a, 3); /* over the ten days that both ran */
}

/* A group that came late is compared with what the control used then, not with what it used before. */
static void test_late_group(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[] = { relay("i1", "I", "mimalloc", 500), relay("i2", "I", "mimalloc", 510),
                           relay("i3", "I", "mimalloc", 520), relay("z1", "Z", "glibc", 400),
                           relay("z2", "Z", "glibc", 410),    relay("z3", "Z", "glibc", 420) };

    for (size_t i = 0; i < 6; i++) {
        relays[i].to = 10 * DAY;
        if (i < 3)
            relays[i].from = 8 * DAY;
        else
            relays[i].per_day = 100; /* 1300 to 1400 when the others come */
    }
    build(&f, relays, 6, (SeriesOptions){ .by_group = true }, &seeded);
    assert_true(fabs(f.report.rows[0].comparison.mean_b / MIB - 1310) < 5);
    assert_true(fabs(f.report.rows[1].average / MIB - 1310) < 5); /* and so is the row of the control */
}

/* Ten rows that are all alike: each interval is wider than one alone, and says how. */
static void test_intervals_of_many_rows(void **state)
{
    (void)state;
    FeedRelay relays[44];
    char names[44][4], groups[11][3];
    double width[2];

    for (size_t i = 0; i < 44; i++) {
        snprintf(names[i], sizeof(names[i]), "r%zu", i);
        snprintf(groups[i / 4], sizeof(groups[0]), "%c", (char)('A' + i / 4));
        relays[i] = relay(names[i], groups[i / 4], i < 4 ? "glibc" : "mimalloc", 400 + (double)(i * 7 % 11));
    }
    for (int uncorrected = 0; uncorrected < 2; uncorrected++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        const ReportOptions options = { .seed = 1, .uncorrected = uncorrected };
        build(&f, relays, 44, (SeriesOptions){ .by_group = true }, &options);
        const ReportRow *row = row_of(&f.report, "C");
        assert_int_equal(f.report.compared, 10);
        width[uncorrected] = row->comparison.interval.high - row->comparison.interval.low;
        ASSERT_NOTED(&f.report,
                     uncorrected ? "each for its row alone" : "all 10 hold together (Bonferroni: 99.50 %");
    }
    assert_true(width[0] > 1.2 * width[1]);
}

/* A relay that was seen for an hour does not weigh as much as one of six days: it does not weigh. */
static void test_short_relays_are_left_out(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[] = { relay("a", "B", "mimalloc", 100), relay("b", "B", "mimalloc", 100),
                           relay("c", "B", "mimalloc", 100), relay("brief", "B", "mimalloc", 900),
                           relay("new", "B", "mimalloc", 900) };

    relays[3].to = HOUR;
    relays[4].from = 5 * DAY;
    relays[4].up = 0;
    build(&f, relays, ELEMENTSOF(relays), (SeriesOptions){ .warmup = 2 * DAY }, &seeded);
    const ReportRow *m = &f.report.rows[0];
    assert_int_equal(m->relays, 3);
    assert_int_equal(m->left_out, 2);
    assert_true(fabs(m->average / MIB - 100) < 1e-6);
    assert_int_equal(m->n_members, 5);
    ASSERT_NOTED(&f.report, "brief of mimalloc 2.0.9 (less than a tenth of the time of the others)");
    ASSERT_NOTED(&f.report, "new of mimalloc 2.0.9 (all of it warm-up)");
}

static void test_all_warm(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[] = { relay("a", "F", "glibc", 100), relay("b", "Z", "glibc", 100) };

    relays[0].restart = DAY;
    relays[0].up = 0;
    build(&f, relays, 2, (SeriesOptions){ .warmup = 2 * DAY, .by_group = true }, &seeded);
    const ReportRow *row = row_of(&f.report, "F");
    assert_int_equal(row->relays, 0);
    assert_true(isnan(row->average));
    assert_int_equal(row->growth.trend, TREND_TOO_SHORT);
    assert_ptr_equal(row, &f.report.rows[1]); /* rows without memory stand last */
    assert_string_equal(f.report.rows[f.report.baseline].group, "Z");
    ASSERT_NOTED(&f.report, "F (all of it is warm-up; --warmup=0 counts it)");
    fixture_clear(&f);
    f = (Fixture){ 0 };
    build(&f, relays, 2, (SeriesOptions){ .warmup = 2 * DAY, .by_group = true },
          &(ReportOptions){ .baseline = "F" });
    assert_int_equal(f.result, -ENOENT);
}

static void test_growing_is_said(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[] = { relay("a", "I", "mimalloc", 100), relay("b", "I", "mimalloc", 105),
                           relay("c", "I", "mimalloc", 95), relay("d", "Z", "glibc", 400) };

    for (size_t i = 0; i < 3; i++)
        relays[i].per_day = 20 + (double)i;
    build(&f, relays, ELEMENTSOF(relays), (SeriesOptions){ .by_group = true }, &seeded);
    const ReportRow *row = row_of(&f.report, "I");
    assert_int_equal(row->growth.trend, TREND_GROWING);
    assert_true(fabs(row->growth.per_day / MIB - 21) < 0.01);
    assert_true(fabs(row->members[2].per_day / MIB - 22) < 0.01);
    assert_false(interval_is_set(row->comparison.interval)); /* one relay of glibc shows no spread */
}

/* --at: the values of that collection, whatever came before, the verdict from what came before. */
static void test_at(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[] = { relay("a", "I", "mimalloc", 100),  relay("b", "I", "mimalloc", 110),
                           relay("c", "I", "mimalloc", 120),  relay("d", "Z", "glibc", 400),
                           relay("gone", "Z", "glibc", 4000), relay("late", "Z", "glibc", 4000) };
    const usec_t at = T0 + 4 * DAY;

    for (size_t i = 0; i < 3; i++)
        relays[i].per_day = 10;
    relays[2].up = DAY / 2;
    relays[2].from = 3 * DAY;
    relays[4].to = 4 * DAY - HOUR;
    relays[5].from = 4 * DAY + HOUR;
    build(&f, relays, ELEMENTSOF(relays),
          (SeriesOptions){
              .by_group = true, .at = at + USEC_PER_SEC, .until = at + USEC_PER_SEC, .warmup = 2 * DAY },
          &seeded);
    const ReportRow *row = row_of(&f.report, "I"), *z = row_of(&f.report, "Z");
    assert_int_equal(row->relays, 3);
    assert_true(fabs(row->average / MIB - (140 + 150 + 130) / 3.0) < 1e-3);
    assert_int_equal(row->young, 1);
    assert_int_equal(z->relays, 1);
    assert_true(fabs(z->average / MIB - 400) < 1e-6);
    assert_int_equal(f.report.at_first, at);
    assert_int_equal(f.report.at_last, at);
    ASSERT_NOTED(&f.report, "4 relays, 1 of which had run for less than 48h");
}

static void test_at_nothing(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = { relay("a", "I", "mimalloc", 100) };
    const usec_t at = T0 + 6 * DAY + HOUR;

    build(&f, relays, 1, (SeriesOptions){ .at = at, .until = at }, &seeded);
    assert_int_equal(f.result, -ENODATA);
    assert_string_equal(f.error, "no collection at that time");
}

static void test_no_samples(void **state)
{
    (void)state;
    Fixture f = { 0 };
    FeedRelay unproved = relay("a", "I", NULL, 100);

    build(&f, NULL, 0, (SeriesOptions){ 0 }, &seeded);
    assert_int_equal(f.result, -ENODATA);
    assert_string_equal(f.error, "no samples in that time");
    fixture_clear(&f);
    f = (Fixture){ 0 };
    unproved.version = NULL;
    build(&f, &unproved, 1, (SeriesOptions){ .allocator_required = true }, &seeded);
    assert_int_equal(f.result, -ENODATA);
    assert_string_equal(f.error, "no sample has a proved allocator");
    fixture_clear(&f);
}

static void test_baselines(void **state)
{
    (void)state;
    const FeedRelay relays[] = { relay("a", NULL, "glibc", 300), relay("b", NULL, "glibc", 300),
                                 relay("c", "Z", "glibc", 400),  relay("d", "B", "mimalloc", 100),
                                 relay("e", "C", "glibc", 500),  relay("f", "C", "glibc", 500) };
    static const struct {
        const char *name, *group; /* of the row; NULL: -ENOENT */
    } rows[] = { { NULL, "C" }, { "Z", "Z" },  { "no group", "" },
                 { "B", "B" },  { "X", NULL }, { "glibc", NULL } };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        const ReportOptions options = { .baseline = rows[i].name };
        build(&f, relays, ELEMENTSOF(relays), (SeriesOptions){ .by_group = true }, &options);
        assert_int_equal(f.result, rows[i].group ? 0 : -ENOENT);
        if (rows[i].group)
            assert_string_equal(f.report.rows[f.report.baseline].group, rows[i].group);
        else
            assert_non_null(strstr(f.error, "there are: B, no group, Z, C"));
    }
}

/* Each relay runs glibc until its turn comes, in whatever group it is: that hour is no control. */
static void test_baseline_ran_longest(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[] = { relay("a", "A", "glibc", 400), relay("b", "B", "glibc", 300),
                           relay("c", "B", "glibc", 300), relay("d", "B", "mimalloc", 100) };

    relays[1].to = relays[2].to = HOUR;
    build(&f, relays, ELEMENTSOF(relays), (SeriesOptions){ .by_group = true }, &seeded);
    assert_string_equal(f.report.rows[f.report.baseline].group, "A");
}

static void test_no_baseline(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = { relay("a", "A", "mimalloc", 300), relay("b", "B", "jemalloc", 300) };

    build(&f, relays, 2, (SeriesOptions){ 0 }, &seeded);
    assert_int_equal(f.result, 0);
    assert_int_equal(f.report.baseline, -1);
    assert_true(isnan(f.report.rows[0].comparison.reduction));
    ASSERT_NOTED(&f.report, "No reduction");
}

static void test_choices(void **state)
{
    (void)state;
    assert_int_equal(report_warmup(T0, T0 + 10 * DAY), 48 * HOUR);
    assert_int_equal(report_warmup(T0, T0 + 4 * DAY), 48 * HOUR);
    assert_int_equal(report_warmup(T0, T0 + 2 * DAY), DAY);
    assert_int_equal(report_warmup(T0, T0 + 7 * HOUR), 3 * HOUR);
    assert_int_equal(report_warmup(T0, T0 + 31 * USEC_PER_MINUTE), 15 * USEC_PER_MINUTE);
    assert_int_equal(report_warmup(T0, T0), 0);
    assert_int_equal(report_warmup(T0, 0), 0);
    assert_int_equal(report_slice(T0, T0 + HOUR), USEC_PER_MINUTE);
    assert_int_equal(report_slice(T0, T0 + 10 * DAY), 30 * USEC_PER_MINUTE);
    assert_int_equal(report_slice(T0, T0 + 30 * DAY), 2 * HOUR);
    assert_int_equal(report_slice(T0, T0 + 3650 * DAY), DAY);
}

static void test_short_warmup_is_said(void **state)
{
    (void)state;
    for (int given = 0; given < 2; given++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        const FeedRelay relays[] = { relay("a", "A", "glibc", 300) };
        const ReportOptions options = { .warmup_given = given };
        build(&f, relays, 1, (SeriesOptions){ .warmup = 15 * USEC_PER_MINUTE }, &options);
        assert_int_equal(noted(&f.report, "The warm-up is 15min, half of the time covered by samples"),
                         !given);
    }
}

static void test_curve(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    FeedRelay relays[] = { relay("a", "A", "glibc", 100), relay("b", "A", "glibc", 200),
                           relay("c", "A", "glibc", 300) };
    size_t n = 0;

    relays[2].from = DAY;
    relays[2].restart = DAY + HOUR / 2; /* two processes within one slice are one relay */
    relays[2].up = 0;
    build(&f, relays, 3, (SeriesOptions){ .warmup = 2 * DAY }, &seeded);
    _cleanup_(freep) CurvePoint *curve = report_curve(&f.report, &f.report.rows[0], &n);
    assert_int_equal(n, 6 * 24);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(curve[i].relays, i < 24 ? 2 : 3);
        assert_true(fabs(curve[i].mean / MIB - (i < 24 ? 150 : 200)) < 1e-6);
        assert_true(curve[i].interval.low < curve[i].mean && curve[i].interval.high > curve[i].mean);
        assert_true(i == 0 || curve[i].time > curve[i - 1].time);
        assert_int_equal(curve[i].time / HOUR, T0 / HOUR + i);
    }
}

/* Samples are never exactly a minute apart. What weighs a slice is divided into times since 1970, so it has
 * to be as exact as they are: points stand where their samples do, and none before the one before. */
static void test_curve_of_minutes(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const usec_t step = 59987654;
    size_t n = 0;

    series_init(&f.series,
                &(SeriesOptions){ .until = USEC_INFINITY, .step = step, .slice = USEC_PER_MINUTE });
    const FeedRelay one = { .name = "a", .allocator = "glibc", .start = 100, .per_day = 50, .to = 5 * HOUR };
    feed(&f.series, &one, 1, step);
    assert_int_equal(report_build(&f.series, &seeded, &f.report, &f.error), 0);
    _cleanup_(freep) CurvePoint *curve = report_curve(&f.report, &f.report.rows[0], &n);
    assert_true(n >= 299);
    for (size_t i = 0; i < n; i++) {
        const double sampled = (curve[i].mean / MIB - 100) / 50 * (double)DAY; /* as its memory tells */
        assert_true(fabs((double)curve[i].time - (double)T0 - sampled) < (double)USEC_PER_SEC / 100);
        assert_true(i == 0 || curve[i].time > curve[i - 1].time);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_allocator),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_versions_are_kept_apart),
        cmocka_unit_test(test_counts_what_ran),
        cmocka_unit_test(test_relay_that_moved),
        cmocka_unit_test(test_compared_with_what_ran_beside),
        cmocka_unit_test(test_control_that_was_moved_later),
        cmocka_unit_test(test_late_group),
        cmocka_unit_test(test_intervals_of_many_rows),
        cmocka_unit_test(test_short_relays_are_left_out),
        cmocka_unit_test(test_all_warm),
        cmocka_unit_test(test_growing_is_said),
        cmocka_unit_test(test_at),
        cmocka_unit_test(test_at_nothing),
        cmocka_unit_test(test_no_samples),
        cmocka_unit_test(test_baselines),
        cmocka_unit_test(test_baseline_ran_longest),
        cmocka_unit_test(test_no_baseline),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_short_warmup_is_said),
        cmocka_unit_test(test_curve),
        cmocka_unit_test(test_curve_of_minutes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
