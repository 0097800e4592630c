/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/series: what a sample counts for, and for how long. */
#include "report/series.h"
#include "test.h"

#include <errno.h>
#include <math.h>

#define MINUTE USEC_PER_MINUTE
#define HOUR USEC_PER_HOUR
#define T0 ((usec_t)1000000 * MINUTE)

static Span span(const char *s)
{
    return (Span){ s, s ? strlen(s) : 0 };
}

typedef struct Feed {
    const char *relay, *group, *allocator;
    usec_t since;
    uint64_t rss;
} Feed;

static int add_at(Series *series, usec_t time, const Feed *f)
{
    SampleRow row = { .relay = span(f->relay),
                      .group = span(f->group),
                      .allocator = span(f->allocator),
                      .version = span(f->allocator ? "1" : NULL),
                      .since = f->since,
                      .memory = { .rss = f->rss, .hwm = f->rss } };

    return series_add(series, series_host(series, "h"), time, &row);
}

static void add(Series *series, usec_t time, const Feed *f)
{
    assert_int_equal(add_at(series, time, f), 0);
}

static const Track *track_of(const Series *series, const char *relay, const char *allocator)
{
    for (size_t i = 0; i < series->n_tracks; i++)
        if (streq(series->relays[series->tracks[i].relay].name, relay) &&
            streq(series->keys[series->tracks[i].key].allocator, allocator))
            return &series->tracks[i];
    fail_msg("no track of %s on %s", relay, allocator);
    return NULL;
}

static double mean_of(const Track *t)
{
    return t->sum / ((double)t->counted / (double)USEC_PER_SEC);
}

static void begin(Series *series, SeriesOptions options)
{
    if (options.until == 0)
        options.until = USEC_INFINITY;
    if (options.slice == 0)
        options.slice = HOUR;
    series_init(series, &options);
}

static void test_time_weighted(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0 - 100 * HOUR, 10 };

    begin(&s, (SeriesOptions){ .step = MINUTE });
    add(&s, T0, &f); /* 1 min */
    f.rss = 40;
    add(&s, T0 + MINUTE, &f); /* 2 min */
    f.rss = 100;
    add(&s, T0 + 3 * MINUTE, &f); /* the last: one step */
    series_finish(&s);
    const Track *t = track_of(&s, "r", "glibc");
    assert_int_equal(t->counted, 4 * MINUTE);
    assert_int_equal(t->gap, 0);
    assert_int_equal(t->warm, 0);
    assert_int_equal(t->samples, 3);
    assert_true(fabs(mean_of(t) - (10 + 80 + 100) / 4.0) < 1e-9);
    assert_int_equal(t->first, T0);
    assert_int_equal(t->last, T0 + 4 * MINUTE);
}

/* Who a sample is of. */
typedef struct Who {
    const char *host, *relay, *fingerprint;
} Who;

static void add_who(Series *series, usec_t time, const Who *who)
{
    SampleRow row = { .relay = span(who->relay),
                      .fingerprint = span(who->fingerprint),
                      .allocator = span("glibc"),
                      .memory = { .rss = 1, .hwm = 1 } };

    assert_int_equal(series_add(series, series_host(series, who->host), time, &row), 0);
}

/* "NAME=samples ", by the names that a report shows, in order of appearance. */
static char *relays_of(const Series *series)
{
    char *text = xstrdup("");

    for (size_t i = 0; i < series->n_relays; i++) {
        _cleanup_(freep) char *before = text, *name = series_relay_name(series, i);
        uint64_t samples = 0;
        for (size_t t = series->relays[i].tracks; t != SERIES_NONE; t = series->tracks[t].next)
            samples += series->tracks[t].samples;
        text = xasprintf("%s%s=%u ", before, name, (unsigned)samples);
    }
    return text;
}

#define FP_A "AAAAAAAA11111111111111111111111111111111"
#define FP_B "BBBBBBBB22222222222222222222222222222222"
#define FP_B2 "BBBBBBBB33333333333333333333333333333333"

/* A relay is its fingerprint where there is one, whatever its name and its host; else its name on its host.
 */
static void test_who_is_who(void **state)
{
    (void)state;
    static const struct {
        Who seen[6];
        const char *relays;
    } cases[] = {
        { { { "h", "n", FP_A }, { "h", "n", FP_B }, { "h", "m", NULL } },
          "n (AAAAAAAA)=1 n (BBBBBBBB)=1 m=1 " },
        /* renamed, and back */
        { { { "h", "n", FP_A }, { "h", "m", FP_A }, { "h", "n", FP_A } }, "n=3 " },
        { { { "h", "n", FP_A }, { "h", "m", FP_B }, { "h", "m", FP_A } }, "m (AAAAAAAA)=2 m (BBBBBBBB)=1 " },
        { { { "h", "n", FP_A }, { "h", "m", FP_B }, { "h", "m", FP_A }, { "h", "k", FP_B } }, "m=2 k=2 " },
        { { { "h", "n", FP_B }, { "h", "n", FP_B2 } }, "n (" FP_B ")=1 n (" FP_B2 ")=1 " },
        /* not always told: before, and in between */
        { { { "h", "n", NULL },
            { "h", "n", NULL },
            { "h", "n", FP_A },
            { "h", "n", NULL },
            { "h", "n", FP_A } },
          "n=5 " },
        { { { "h", "n", NULL }, { "h", "n", FP_A }, { "h", "n", FP_B }, { "h", "n", NULL } },
          "n (AAAAAAAA)=2 n (BBBBBBBB)=1 n=1 " },
        { { { "h", "n", FP_A }, { "h", "m", FP_A }, { "h", "n", NULL }, { "h", "m", NULL } }, "m=3 n=1 " },
        /* hosts */
        { { { "x", "n", NULL }, { "y", "n", NULL }, { "x", "n", NULL } }, "x/n=2 y/n=1 " },
        { { { "x", "n", FP_A }, { "y", "n", FP_A }, { "x", "n", FP_B } }, "y/n=2 x/n=1 " },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(series_clear) Series s = { 0 };
        _cleanup_(freep) char *relays = NULL;

        begin(&s, (SeriesOptions){ .step = MINUTE });
        for (usec_t k = 0; k < ELEMENTSOF(cases[i].seen) && cases[i].seen[k].relay; k++)
            add_who(&s, T0 + k * MINUTE, &cases[i].seen[k]);
        series_finish(&s);
        relays = relays_of(&s);
        assert_string_equal(relays, cases[i].relays);
    }
}

/* Thousands of them, of one name and renamed all the time, are found again. */
static void test_many_of_one_name(void **state)
{
    (void)state;
    enum { RELAYS = 3000, ROUNDS = 4 };
    _cleanup_(series_clear) Series s = { 0 };

    begin(&s, (SeriesOptions){ .step = MINUTE });
    for (usec_t round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < RELAYS; i++) {
            _cleanup_(freep) char *fingerprint = xasprintf("%040X", i), *name = NULL;
            name = xasprintf("name%u", (unsigned)((i + round) % 7));
            add_who(&s, T0 + round * MINUTE, &(Who){ "h", name, fingerprint });
        }
    assert_int_equal(s.n_relays, RELAYS);
    assert_int_equal(s.samples, RELAYS * ROUNDS);
}

/* One sample before a hole of three days does not stand for three days. */
static void test_gap(void **state)
{
    (void)state;
    static const struct {
        usec_t hole, counted, gap;
    } rows[] = { { 3 * MINUTE, 3 * MINUTE, 0 },
                 { 3 * MINUTE + 1, MINUTE, 2 * MINUTE + 1 },
                 { 72 * HOUR, MINUTE, 72 * HOUR - MINUTE } };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(series_clear) Series s = { 0 };
        Feed f = { "r", "A", "glibc", T0, 10 };
        begin(&s, (SeriesOptions){ .step = MINUTE });
        add(&s, T0, &f);
        add(&s, T0 + rows[i].hole, &f);
        add(&s, T0 + rows[i].hole + MINUTE, &f);
        series_finish(&s);
        const Track *t = track_of(&s, "r", "glibc");
        assert_int_equal(t->counted, rows[i].counted + 2 * MINUTE);
        assert_int_equal(t->gap, rows[i].gap);
    }
}

/* The interval was changed from one to ten minutes: seven intervals later that is the usual one. */
static void test_step_is_learnt(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0, 10 };
    usec_t t = T0;

    begin(&s, (SeriesOptions){ .step = MINUTE });
    for (int i = 0; i < 20; i++, t += MINUTE)
        add(&s, t, &f);
    for (int i = 0; i < 20; i++, t += 10 * MINUTE)
        add(&s, t, &f);
    series_finish(&s);
    const Track *track = track_of(&s, "r", "glibc");
    assert_int_equal(s.relays[0].step, 10 * MINUTE);
    assert_int_equal(track->gap, 7 * 9 * MINUTE);
    assert_int_equal(track->counted, 20 * MINUTE + 7 * MINUTE + 13 * 10 * MINUTE);
}

static void test_single_holes_teach_nothing(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0, 10 };
    usec_t t = T0;

    begin(&s, (SeriesOptions){ .step = MINUTE });
    for (int i = 0; i < 60; i++, t += i % 7 != 0 ? 10 * MINUTE : MINUTE)
        add(&s, t, &f);
    assert_int_equal(s.relays[0].step, MINUTE);
}

/* Without a prior the first interval is the step. */
static void test_step_unknown(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0 - HOUR, 10 }, once = { "once", "A", "glibc", T0, 10 };

    begin(&s, (SeriesOptions){ 0 });
    add(&s, T0, &f);
    add(&s, T0, &once);
    add(&s, T0 + 6 * HOUR, &f);
    series_finish(&s);
    assert_int_equal(track_of(&s, "r", "glibc")->counted, 12 * HOUR);
    assert_int_equal(track_of(&s, "once", "glibc")->counted, 0); /* one sample, no interval: no time */
    assert_int_equal(track_of(&s, "once", "glibc")->samples, 1);
}

/* A restart 20 s after the last sample ends what it stands for; the new process begins with its warm-up. */
static void test_restart(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0 - 10 * HOUR, 100 };

    begin(&s, (SeriesOptions){ .step = MINUTE, .warmup = 2 * MINUTE });
    add(&s, T0, &f);
    add(&s, T0 + MINUTE, &f);
    f = (Feed){ "r", "A", "glibc", T0 + MINUTE + 20 * USEC_PER_SEC, 5 };
    for (usec_t k = 2; k < 6; k++)
        add(&s, T0 + k * MINUTE, &f);
    series_finish(&s);
    const Track *t = track_of(&s, "r", "glibc");
    assert_int_equal(t->restarts, 1);
    assert_int_equal(t->gap, 40 * USEC_PER_SEC);
    assert_int_equal(t->warm, 80 * USEC_PER_SEC); /* from the first sample to start + 2 min */
    assert_int_equal(t->counted, 80 * USEC_PER_SEC + 160 * USEC_PER_SEC);
    assert_true(fabs(mean_of(t) - (80 * 100 + 160 * 5) / 240.0) < 1e-9);
    assert_int_equal(s.n_events, 1);
    assert_false(s.events[0].moved);
    assert_int_equal(s.events[0].time, T0 + 2 * MINUTE);
    /* Slices of the two processes are told apart, and warm ones from others. */
    assert_true(t->n_slices >= 3);
    assert_int_not_equal(t->slices[0].run, t->slices[t->n_slices - 1].run);
}

/* A restart in the middle of a slice ends it, so that no slope runs through two processes. */
static void test_restart_within_a_slice(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0 - 10 * HOUR, 1000 };

    begin(&s, (SeriesOptions){ .step = MINUTE, .slice = 10 * MINUTE });
    add(&s, T0, &f);
    f.since = T0 + MINUTE;
    f.rss = 10;
    add(&s, T0 + MINUTE, &f);
    series_finish(&s);
    const Track *t = track_of(&s, "r", "glibc");
    assert_int_equal(t->n_slices, 2);
    assert_true(t->slices[0].sum == 60.0 * 1000 && t->slices[1].sum == 60.0 * 10);
}

/* A start that wavers by a second, or moves because the clock was set, is no restart. */
static void test_no_restart(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0 - 10 * HOUR, 100 };

    begin(&s, (SeriesOptions){ .step = MINUTE });
    add(&s, T0, &f);
    f.since += USEC_PER_SEC;
    add(&s, T0 + MINUTE, &f);
    f.since -= 2 * USEC_PER_SEC;
    add(&s, T0 + 2 * MINUTE, &f);
    f.since += 5 * HOUR;
    add(&s, T0 + 3 * MINUTE, &f);
    assert_int_equal(track_of(&s, "r", "glibc")->restarts, 0);
    /* Nor is it one when the process began at the sample before. */
    Feed young = { "y", "A", "glibc", T0 + 4 * MINUTE, 100 };
    add(&s, T0 + 4 * MINUTE, &young);
    young.since += USEC_PER_SEC;
    add(&s, T0 + 5 * MINUTE, &young);
    assert_int_equal(track_of(&s, "y", "glibc")->restarts, 0);
}

/* Tables have no start: a peak that fell tells of a restart, one that wavers does not; the warm-up begins
 * with the first sample of the process, the first of the table included. */
static void test_restart_by_peak(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", NULL, 0, 1000 };

    begin(&s, (SeriesOptions){ .step = HOUR, .warmup = 2 * HOUR });
    add(&s, T0, &f);
    f.rss = 980; /* 2 % */
    add(&s, T0 + HOUR, &f);
    f.rss = 1200;
    add(&s, T0 + 2 * HOUR, &f);
    f.rss = 900;
    add(&s, T0 + 3 * HOUR, &f);
    f.rss = 1000;
    add(&s, T0 + 4 * HOUR, &f);
    add(&s, T0 + 5 * HOUR, &f);
    series_finish(&s);
    const Track *t = track_of(&s, "r", "");
    assert_int_equal(t->restarts, 1);
    assert_int_equal(t->warm, 4 * HOUR);
    assert_int_equal(t->counted, 2 * HOUR);
    assert_true(fabs(mean_of(t) - 1100) < 1e-9);
}

/* 3 % is the line, to both sides of it. */
static void test_fall_of_the_peak(void **state)
{
    (void)state;
    static const struct {
        uint64_t peak;
        unsigned restarts;
    } rows[] = { { 1000, 0 }, { 999, 0 }, { 971, 0 }, { 968, 1 }, { 950, 1 } };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(series_clear) Series s = { 0 };
        Feed f = { "r", "A", NULL, 0, 1000 };

        begin(&s, (SeriesOptions){ .step = HOUR });
        add(&s, T0, &f);
        f.rss = rows[i].peak;
        add(&s, T0 + HOUR, &f);
        series_finish(&s);
        assert_int_equal(track_of(&s, "r", "")->restarts, rows[i].restarts);
    }
}

/* What the relay ran counts, whatever its group; a change of group alone is no restart. */
static void test_moved(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0 - 50 * HOUR, 100 };

    begin(&s, (SeriesOptions){ .step = MINUTE, .warmup = 30 * USEC_PER_SEC, .by_group = true });
    add(&s, T0, &f);
    f.group = "B";
    add(&s, T0 + MINUTE, &f);
    f = (Feed){ "r", "B", "mimalloc", T0 + MINUTE + 1, 10 };
    add(&s, T0 + 2 * MINUTE, &f);
    add(&s, T0 + 3 * MINUTE, &f);
    series_finish(&s);
    assert_int_equal(s.n_tracks, 3);
    const Track *a = &s.tracks[0], *b = &s.tracks[1], *c = &s.tracks[2];
    assert_string_equal(s.keys[b->key].group, "B");
    assert_string_equal(s.keys[b->key].allocator, "glibc");
    assert_int_equal(a->counted, MINUTE);
    assert_int_equal(b->counted, 1); /* until the process ended */
    assert_int_equal(b->warm, 0);
    assert_int_equal(c->counted, 2 * MINUTE);
    assert_int_equal(a->restarts + b->restarts + c->restarts, 0);
    assert_false(a->has_before);
    assert_true(b->has_before && c->has_before);
    assert_int_equal(b->before_rss, 100);
    assert_int_equal(b->before_age, 50 * HOUR);
    assert_int_equal(c->before_age, 50 * HOUR + MINUTE);
    assert_int_equal(s.n_events, 2);
    assert_true(s.events[0].moved && s.events[1].moved);
    assert_int_equal(s.relays[0].run, 1); /* one restart in all */
}

/* Back under a former allocator the old track continues; where starts are unknown the change is a restart. */
static void test_moved_and_back(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", NULL, "glibc", 0, 100 };

    begin(&s, (SeriesOptions){ .step = MINUTE });
    for (usec_t k = 0; k < 6; k++) {
        f.allocator = k == 2 || k == 3 ? "jemalloc" : "glibc";
        add(&s, T0 + k * MINUTE, &f);
    }
    series_finish(&s);
    assert_int_equal(s.n_tracks, 2);
    assert_int_equal(track_of(&s, "r", "glibc")->counted, 4 * MINUTE);
    assert_int_equal(track_of(&s, "r", "jemalloc")->counted, 2 * MINUTE);
    assert_true(track_of(&s, "r", "jemalloc")->has_before);
    assert_false(track_of(&s, "r", "glibc")->has_before); /* it began there */
    assert_int_equal(s.relays[0].run, 2);
}

/* Nothing counts for an allocator that was not proved. */
static void test_unproved(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0 - HOUR, 100 };

    begin(&s, (SeriesOptions){ .step = MINUTE, .allocator_required = true });
    add(&s, T0, &f);
    f.allocator = NULL;
    add(&s, T0 + MINUTE, &f);
    add(&s, T0 + 2 * MINUTE, &f);
    f.allocator = "glibc";
    add(&s, T0 + 3 * MINUTE, &f);
    series_finish(&s);
    assert_int_equal(s.n_tracks, 1);
    assert_int_equal(s.tracks[0].counted, 2 * MINUTE);
    assert_int_equal(s.tracks[0].samples, 2);
    assert_int_equal(s.samples, 4);
    assert_int_equal(s.unproved, 2);
    assert_int_equal(s.n_events, 0);
}

static void test_window(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", NULL, 0, 100 };

    begin(&s, (SeriesOptions){ .step = HOUR,
                               .since = T0 + 90 * MINUTE,
                               .until = T0 + 4 * HOUR + 30 * MINUTE,
                               .warmup = 2 * HOUR });
    for (usec_t k = 0; k < 8; k++)
        add(&s, T0 + k * HOUR, &f);
    series_finish(&s);
    const Track *t = track_of(&s, "r", "");
    assert_int_equal(t->warm, 30 * MINUTE); /* the process began before the window */
    assert_int_equal(t->counted, 150 * MINUTE);
    assert_int_equal(t->samples, 3);
    assert_int_equal(s.samples, 3);
    assert_int_equal(s.first, T0 + 2 * HOUR);
    assert_int_equal(s.last, T0 + 4 * HOUR);
    assert_int_equal(t->first, T0 + 2 * HOUR);
    assert_int_equal(t->last, T0 + 4 * HOUR + 30 * MINUTE);
}

static void test_order(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0, 100 }, other = { "other", "A", "glibc", T0, 100 };

    begin(&s, (SeriesOptions){ .step = MINUTE });
    add(&s, T0 + MINUTE, &f);
    assert_int_equal(add_at(&s, T0 + MINUTE, &f), -EEXIST);
    f.rss = 99;
    assert_int_equal(add_at(&s, T0 + MINUTE, &f), -ENOTUNIQ);
    assert_int_equal(add_at(&s, T0, &f), -ESTALE);
    add(&s, T0, &other); /* another relay has its own order */
    assert_int_equal(s.samples, 2);
    assert_int_equal(s.relays[0].rss, 100);
}

static void test_hosts(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    SampleRow row = { .relay = span("default"), .memory.rss = 1 };

    begin(&s, (SeriesOptions){ .step = MINUTE });
    assert_int_equal(series_add(&s, series_host(&s, "a"), T0, &row), 0);
    _cleanup_(freep) char *alone = series_relay_name(&s, 0);
    assert_string_equal(alone, "default");
    assert_int_equal(series_add(&s, series_host(&s, "b"), T0, &row), 0);
    assert_int_equal(series_add(&s, series_host(&s, "a"), T0 + MINUTE, &row), 0);
    assert_int_equal(s.n_relays, 2);
    _cleanup_(freep) char *second = series_relay_name(&s, 1);
    assert_string_equal(second, "b/default");
}

static void test_at(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0 - HOUR, 0 };

    begin(&s, (SeriesOptions){ .step = HOUR, .at = T0 + 3 * HOUR - 1 });
    for (usec_t k = 1; k < 8; k++) {
        f.rss = k;
        add(&s, T0 + k * HOUR, &f);
    }
    assert_int_equal(s.relays[0].at_rss, 3);
    assert_int_equal(s.relays[0].at_time, T0 + 3 * HOUR);
    assert_int_equal(s.relays[0].at_start, T0 - HOUR);
}

static void test_slices(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    Feed f = { "r", "A", "glibc", T0 - HOUR, 0 };
    usec_t hour = T0 / HOUR * HOUR;

    begin(&s, (SeriesOptions){ .step = MINUTE });
    for (usec_t k = 0; k < 150; k++) {
        f.rss = k;
        add(&s, hour + k * MINUTE, &f);
    }
    series_finish(&s);
    const Track *t = track_of(&s, "r", "glibc");
    assert_int_equal(t->n_slices, 3);
    assert_int_equal(t->slices[1].index, hour / HOUR + 1);
    assert_true(fabs(t->slices[1].seconds - 3600) < 1e-9);
    assert_true(fabs(t->slices[1].sum / 3600 - 89.5) < 1e-9);
    assert_true(fabs(t->slices[1].moment / 3600 - ((double)hour / 1e6 + 3600 + 29.5 * 60)) < 1e-3);
    assert_true(fabs(t->slices[2].seconds - 1800) < 1e-9);
}

/* Many relays, in changing order: each is found again. */
static void test_many_relays(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };

    begin(&s, (SeriesOptions){ .step = MINUTE });
    for (unsigned round = 0; round < 5; round++)
        for (unsigned i = 0; i < 3000; i++) {
            unsigned k = round % 2 == 0 ? i : i * 1009 % 3000;
            _cleanup_(freep) char *name = xasprintf("relay%u", k);
            Feed f = { name, "A", "glibc", T0, k };
            add(&s, T0 + round * MINUTE, &f);
        }
    assert_int_equal(s.n_relays, 3000);
    for (size_t i = 0; i < s.n_tracks; i++)
        assert_int_equal(s.tracks[i].samples, 5);
}

static void test_bounds(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };

    begin(&s, (SeriesOptions){ .step = MINUTE, .by_group = true });
    for (unsigned i = 0; i < SERIES_KEYS_MAX; i++) {
        _cleanup_(freep) char *name = xasprintf("g%u", i);
        Feed f = { "r", name, "glibc", T0, 1 };
        add(&s, T0 + i * MINUTE, &f);
    }
    Feed f = { "r", "one more", "glibc", T0, 1 };
    assert_int_equal(add_at(&s, T0 + SERIES_KEYS_MAX * MINUTE, &f), -E2BIG);
    assert_int_equal(s.refused, 1);
    assert_int_equal(s.n_keys, SERIES_KEYS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_weighted),
        cmocka_unit_test(test_who_is_who),
        cmocka_unit_test(test_many_of_one_name),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_step_is_learnt),
        cmocka_unit_test(test_single_holes_teach_nothing),
        cmocka_unit_test(test_step_unknown),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_restart_within_a_slice),
        cmocka_unit_test(test_no_restart),
        cmocka_unit_test(test_restart_by_peak),
        cmocka_unit_test(test_fall_of_the_peak),
        cmocka_unit_test(test_moved),
        cmocka_unit_test(test_moved_and_back),
        cmocka_unit_test(test_unproved),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_at),
        cmocka_unit_test(test_slices),
        cmocka_unit_test(test_many_relays),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
