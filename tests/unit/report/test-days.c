/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/days: which day of traffic counts for what. */
#include "series-feed.h"

#include <errno.h>

#define STEP (10 * USEC_PER_MINUTE)

static void begin(Series *series, usec_t warmup, const FeedRelay *relays, size_t n)
{
    series_init(series,
                &(SeriesOptions){ .until = USEC_INFINITY, .step = STEP, .slice = HOUR, .warmup = warmup });
    feed(series, relays, n, STEP);
}

static void add(Series *series, size_t relay, double from, double to, double moved)
{
    const usec_t since = T0 + (usec_t)(from * (double)DAY), until = T0 + (usec_t)(to * (double)DAY);

    assert_int_equal(series_add_day(series, relay, since, until, moved), 0);
}

static void test_what_ran(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    const FeedRelay relays[] = {
        { .name = "r", .allocator = "glibc", .to = 2 * DAY + 12 * HOUR, .up = 9 * DAY },
        { .name = "r", .allocator = "jemalloc", .from = 2 * DAY + 12 * HOUR, .to = 6 * DAY },
        { .name = "q", .allocator = "glibc", .from = 2 * DAY, .to = 6 * DAY, .up = 9 * DAY },
    };

    begin(&s, DAY, relays, ELEMENTSOF(relays));
    for (int day = 5; day >= -1; day--)
        add(&s, 0, day, day + 1, 1000 + day);
    add(&s, 1, 0, 1, 7); /* was not sampled then */
    series_settle_days(&s);
    assert_int_equal(s.n_days, 8);
    assert_int_equal(s.relays[0].n_days, 7);
    assert_int_equal(s.relays[1].n_days, 1);
    assert_int_equal(s.days[s.relays[1].first_day].track, SERIES_NONE);
    static const char *const ran[] = { NULL, "glibc", "glibc", NULL, "jemalloc", "jemalloc", "jemalloc" };
    static const bool warm[] = { false, false, false, false, true, false, false }; /* until day 3.5 */
    for (size_t i = 0; i < 7; i++) {
        const SeriesDay *day = &s.days[i];
        assert_true(day->moved > 998.5 + (double)i && day->moved < 999.5 + (double)i);
        if (!ran[i]) {
            assert_int_equal(day->track, SERIES_NONE);
            continue;
        }
        assert_int_not_equal(day->track, SERIES_NONE);
        assert_string_equal(s.keys[s.tracks[day->track].key].allocator, ran[i]);
        assert_int_equal(day->warm, warm[i]);
    }
}

/* A copy of a journal file says the same again; days that touch are two. */
static void test_repeated(void **state)
{
    (void)state;
    _cleanup_(series_clear) Series s = { 0 };
    const FeedRelay relays[] = { { .name = "r", .allocator = "glibc", .to = 4 * DAY, .up = 9 * DAY } };

    begin(&s, 0, relays, 1);
    add(&s, 0, 0, 1, 10);
    add(&s, 0, 1, 2, 20);
    add(&s, 0, 0, 1, 10);
    add(&s, 0, 0.5, 1.5, 99);
    add(&s, 0, 1.99, 3, 30);
    assert_int_equal(series_add_day(&s, 0, T0, T0, 1), -EINVAL);
    assert_int_equal(series_add_day(&s, 0, T0 + 1, T0, 1), -EINVAL);
    assert_int_equal(series_add_day(&s, 0, T0, T0 + 1, -1), -EINVAL);
    series_settle_days(&s);
    assert_int_equal(s.n_days, 3);
    assert_int_equal(s.days[0].moved + s.days[1].moved + s.days[2].moved, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_what_ran), cmocka_unit_test(test_repeated) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
