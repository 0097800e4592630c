/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/growth: what is growing, what is not, and what nobody can tell yet. */
#include "report/growth.h"
#include "series-feed.h"

#include <errno.h>
#include <math.h>

typedef struct Case {
    const char *name;
    double per_day[5]; /* MiB a day of each relay, which all begin with 1000; NAN: no such relay */
    usec_t length, warmup, restart;
    Trend trend;
    const char *reason;
} Case;

static Growth judge(const Case *c)
{
    _cleanup_(series_clear) Series series = { 0 };
    const SeriesOptions options = {
        .until = USEC_INFINITY, .warmup = c->warmup, .step = 10 * USEC_PER_MINUTE, .slice = HOUR
    };
    FeedRelay relays[5];
    char names[5][3];
    size_t tracks[5], n = 0;

    series_init(&series, &options);
    for (; n < 5 && !isnan(c->per_day[n]); n++) {
        snprintf(names[n], sizeof(names[n]), "r%zu", n);
        tracks[n] = n;
        relays[n] = (FeedRelay){ .name = names[n],
                                 .allocator = "a",
                                 .start = 1000,
                                 .per_day = c->per_day[n],
                                 .to = c->length,
                                 .restart = c->restart };
    }
    feed(&series, relays, n, 10 * USEC_PER_MINUTE);
    return growth_of_tracks(&series, tracks, n, 1000 * MIB, NULL);
}

static void test_verdicts(void **state)
{
    (void)state;
    static const Case cases[] = {
        { "flat", { 0, 0, 0, 0, 0 }, 10 * DAY, 2 * DAY, 0, TREND_STEADY, NULL },
        { "half a percent", { 5, 5, 4, 6, 5 }, 10 * DAY, 2 * DAY, 0, TREND_STEADY, NULL },
        { "two percent", { 20, 21, 19, 22, 18 }, 10 * DAY, 2 * DAY, 0, TREND_GROWING, NULL },
        { "falling", { -20, -21, -19, -22, -18 }, 10 * DAY, 2 * DAY, 0, TREND_SHRINKING, NULL },
        { "falling a little", { -5, -5, -4, -6, -5 }, 10 * DAY, 2 * DAY, 0, TREND_STEADY, NULL },
        /* Perhaps a little more than 1 % a day, but surely not up and down that much. */
        { "at most growing", { 12, 6, 10, 4, 8 }, 10 * DAY, 2 * DAY, 0, TREND_STEADY, NULL },
        { "at most shrinking", { -12, -6, -10, -4, -8 }, 10 * DAY, 2 * DAY, 0, TREND_STEADY, NULL },
        { "three relays", { 20, 21, 19, NAN }, 10 * DAY, 2 * DAY, 0, TREND_GROWING, NULL },
        { "two relays",
          { 20, 21, NAN },
          10 * DAY,
          2 * DAY,
          0,
          TREND_TOO_SHORT,
          "fewer than three relays with enough data" },
        { "a day", { 20, 21, 19, 22, 18 }, DAY, 0, 0, TREND_GROWING, NULL },
        { "less than a day",
          { 500, 500, 500, 500, 500 },
          DAY - HOUR,
          0,
          0,
          TREND_TOO_SHORT,
          "less than a day counted" },
        { "less after the warm-up",
          { 500, 500, 500, 500, 500 },
          3 * DAY - HOUR,
          2 * DAY,
          0,
          TREND_TOO_SHORT,
          "less than a day counted" },
        { "all warm-up", { 20, 20, 20, 20, 20 }, 2 * DAY, 2 * DAY, 0, TREND_TOO_SHORT, "nothing counted" },
        { "perhaps growing",
          { 30, 30, -5, 30, -5 },
          10 * DAY,
          2 * DAY,
          0,
          TREND_TOO_SHORT,
          "the relays differ too much to tell" },
        { "perhaps shrinking",
          { -30, -30, 5, -30, 5 },
          10 * DAY,
          2 * DAY,
          0,
          TREND_TOO_SHORT,
          "the relays differ too much to tell" },
        { "some up, some down",
          { 60, -60, 50, -50, 3 },
          10 * DAY,
          2 * DAY,
          0,
          TREND_TOO_SHORT,
          "the relays differ too much to tell" },
        { "one leaks",
          { 0, 0, 0, 0, 80 },
          10 * DAY,
          2 * DAY,
          0,
          TREND_TOO_SHORT,
          "the relays differ too much to tell" },
        /* Restarts every three days hide growth from a line through everything, not from one within runs. */
        { "restarted", { 100, 101, 99, 102, 98 }, 12 * DAY, DAY, 3 * DAY, TREND_GROWING, NULL },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Growth g = judge(&cases[i]);
        if (g.trend != cases[i].trend || !streq_null(g.reason, cases[i].reason))
            fail_msg("%s: %s, %s", cases[i].name, trend_to_string(g.trend), g.reason ? g.reason : "-");
    }
}

static void test_numbers(void **state)
{
    (void)state;
    const Case c = { "", { 20, 22, 18, 24, 16 }, 10 * DAY, 2 * DAY, 0, TREND_GROWING, NULL };
    Growth g = judge(&c);

    assert_true(fabs(g.per_day / MIB - 20) < 0.01);
    /* Standard deviation 3.162, five relays: 20 ± 2.776 · 1.414 */
    assert_true(fabs(g.interval.low / MIB - 16.07) < 0.02);
    assert_true(fabs(g.interval.high / MIB - 23.93) < 0.02);
    assert_int_equal(g.relays, 5);
    /* Counted is from the end of the second day to the end of the tenth; the later half of that. */
    assert_int_equal(g.from, T0 + 6 * DAY);
    assert_int_equal(g.to, T0 + 10 * DAY);
}

/* "Still": what grew at first and then stood is steady, and the other way round growing. */
static void test_later_half(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        _cleanup_(series_clear) Series series = { 0 };
        const SeriesOptions options = { .until = USEC_INFINITY, .step = HOUR, .slice = HOUR };
        size_t tracks[] = { 0, 1, 2 };
        series_init(&series, &options);
        for (usec_t t = 0; t < 10 * DAY; t += HOUR)
            for (size_t i = 0; i < 3; i++) {
                static const char *const names[] = { "a", "b", "c" };
                double days = (double)t / (double)DAY;
                double grown = late ? fmax(days - 4, 0) : fmin(days, 4);
                SampleRow row = { .relay = feed_span(names[i]),
                                  .since = T0 - 9 * DAY,
                                  .memory.rss = (uint64_t)((1000 + 100 * grown + (double)i) * MIB) };
                assert_int_equal(series_add(&series, series_host(&series, "h"), T0 + t, &row), 0);
            }
        series_finish(&series);
        Growth g = growth_of_tracks(&series, tracks, 3, 1200 * MIB, NULL);
        assert_int_equal(g.trend, late ? TREND_GROWING : TREND_STEADY);
    }
}

/* The climb after each restart is what the warm-up leaves out. */
static void test_warm_slices(void **state)
{
    (void)state;
    for (int left_out = 0; left_out < 2; left_out++) {
        _cleanup_(series_clear) Series series = { 0 };
        const SeriesOptions options = {
            .until = USEC_INFINITY, .step = HOUR, .slice = HOUR, .warmup = left_out ? DAY : 0
        };
        size_t tracks[] = { 0, 1, 2 };
        series_init(&series, &options);
        for (usec_t t = 0; t < 12 * DAY; t += HOUR)
            for (size_t i = 0; i < 3; i++) {
                static const char *const names[] = { "a", "b", "c" };
                usec_t start = t / (2 * DAY) * (2 * DAY);
                double climbed = fmin((double)(t - start) / (double)DAY, 1);
                SampleRow row = { .relay = feed_span(names[i]),
                                  .since = T0 + start,
                                  .memory.rss = (uint64_t)((500 + 500 * climbed + (double)i) * MIB) };
                assert_int_equal(series_add(&series, series_host(&series, "h"), T0 + t, &row), 0);
            }
        series_finish(&series);
        Growth g = growth_of_tracks(&series, tracks, 3, 900 * MIB, NULL);
        assert_int_equal(g.trend, left_out ? TREND_STEADY : TREND_GROWING);
    }
}

static void test_slopes_by_track(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series series = { 0 };
    const SeriesOptions options = { .until = USEC_INFINITY, .step = HOUR, .slice = HOUR };
    const FeedRelay relays[] = { { .name = "a", .start = 100, .per_day = 7, .to = 4 * DAY },
                                 { .name = "b", .start = 100, .from = 4 * DAY - 2 * HOUR, .to = 4 * DAY } };
    size_t tracks[] = { 1, 0 };
    double slopes[2] = { 0 };

    series_init(&series, &options);
    feed(&series, relays, 2, HOUR);
    growth_of_tracks(&series, tracks, 2, 100 * MIB, slopes);
    assert_true(isnan(slopes[0])); /* two slices only */
    assert_true(fabs(slopes[1] / MIB - 7) < 0.01);
}

static void test_words(void **state)
{
    (void)state;
    assert_string_equal(trend_to_string(TREND_STEADY), "steady");
    assert_string_equal(trend_to_string(TREND_GROWING), "growing");
    assert_string_equal(trend_to_string(TREND_SHRINKING), "shrinking");
    assert_string_equal(trend_to_string(TREND_TOO_SHORT), "too short");
    assert_null(trend_to_string(_TREND_MAX));
    assert_null(trend_to_string(_TREND_INVALID));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),   cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_later_half), cmocka_unit_test(test_slopes_by_track),
        cmocka_unit_test(test_words),      cmocka_unit_test(test_warm_slices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
