/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/traffic: nothing finer than a day leaves it, but at the end of a process. */
#include "test.h"

#include "core/traffic.h"

#define DAY USEC_PER_DAY
#define UP (100 * USEC_PER_DAY)                   /* of the host: its monotonic clock */
#define NOW (UINT64_C(1795689600) * USEC_PER_SEC) /* by the wall clock at that time */

static TrafficTime after(usec_t span)
{
    return (TrafficTime){ UP + span, NOW + span };
}

static const Traffic untouched = { 1, 2, 3, 4 };

/* One that grows by 1000 bytes read and 10 written a minute. */
static void test_once_a_day(void **state)
{
    TrafficDay day = { 0 };
    Traffic t = untouched;
    unsigned n = 0;

    (void)state;
    for (unsigned minute = 1; minute <= 3 * 24 * 60; minute++) {
        if (!traffic_count(&day, DAY, NOW, after(minute * USEC_PER_MINUTE), minute * 1000U, minute * 10U,
                           &t)) {
            assert_memory_equal(&t, &untouched, sizeof(t));
            continue;
        }
        assert_int_equal(t.since, NOW + n * DAY);
        assert_int_equal(t.until, NOW + (n + 1) * DAY);
        assert_int_equal(t.read, 1440000 / 1024 * 1024);
        assert_int_equal(t.written, 14400 / 1024 * 1024);
        t = untouched;
        n++;
    }
    assert_int_equal(n, 3);
}

/* A process that is older than a day when it is first heard of: what it moved before is not told, because it
 * may have been told before. */
static void test_old_process(void **state)
{
    TrafficDay day = { 0 };
    Traffic t = untouched;

    (void)state;
    assert_false(traffic_count(&day, DAY, NOW - DAY, after(0), 1 << 20, 1 << 21, &t));
    assert_false(traffic_count(&day, DAY, NOW - DAY, after(DAY - 1), 2 << 20, 2 << 21, &t));
    assert_memory_equal(&t, &untouched, sizeof(t));
    assert_true(traffic_count(&day, DAY, NOW - DAY, after(DAY), (2 << 20) + 1023, 2 << 21, &t));
    assert_int_equal(t.read, 1 << 20);
    assert_int_equal(t.written, 1 << 21);
    assert_int_equal(t.since, NOW);
}

/* The daemon was restarted in the middle of its first day: nothing of it is lost, and it is told as one. */
static void test_young_process(void **state)
{
    TrafficDay day = { 0 };
    Traffic t;

    (void)state;
    assert_false(traffic_count(&day, DAY, NOW - DAY / 2, after(0), 1 << 20, 1 << 20, &t));
    assert_true(traffic_count(&day, DAY, NOW - DAY / 2, after(DAY / 2), 2 << 20, 2 << 20, &t));
    assert_int_equal(t.read, 2 << 20);
    assert_int_equal(t.since, NOW - DAY / 2);
    assert_int_equal(t.until, NOW + DAY / 2);
}

static void test_end(void **state)
{
    TrafficDay day = { 0 };
    Traffic t = untouched;

    (void)state;
    assert_false(traffic_end(&day, &t));
    assert_false(traffic_count(&day, DAY, NOW - USEC_PER_MINUTE, after(0), 1000, 1000, &t));
    assert_false(traffic_count(&day, DAY, NOW - USEC_PER_MINUTE, after(USEC_PER_HOUR), 5000, 1023, &t));
    assert_memory_equal(&t, &untouched, sizeof(t));
    assert_true(traffic_end(&day, &t));
    assert_int_equal(t.read, 4096);
    assert_int_equal(t.written, 0);
    assert_int_equal(t.since, NOW - USEC_PER_MINUTE);
    assert_int_equal(t.until, NOW + USEC_PER_HOUR);
    assert_false(traffic_end(&day, &t)); /* the next process begins with nothing */
}

/* A daemon that was restarted knows only a part of the day: its sum at the end of the process would be finer
 * than a day. */
static void test_end_of_an_old_process(void **state)
{
    TrafficDay day = { 0 };
    Traffic t = untouched;

    (void)state;
    assert_false(traffic_count(&day, DAY, NOW - 2 * DAY, after(0), 1000, 1000, &t));
    assert_false(traffic_count(&day, DAY, NOW - 2 * DAY, after(USEC_PER_HOUR), 1 << 20, 1 << 20, &t));
    assert_false(traffic_end(&day, &t));
    assert_memory_equal(&t, &untouched, sizeof(t));
    assert_false(traffic_count(&day, DAY, NOW - 2 * DAY, after(0), 1000, 1000, &t));
    assert_true(traffic_count(&day, DAY, NOW - 2 * DAY, after(DAY), 1 << 20, 1 << 20, &t));
    assert_false(traffic_count(&day, DAY, NOW - 2 * DAY, after(DAY + USEC_PER_HOUR), 2 << 20, 2 << 20, &t));
    assert_true(traffic_end(&day, &t)); /* this one is known from its begin on */
    assert_int_equal(t.read, 1 << 20);
    assert_int_equal(t.since, NOW + DAY);
}

/* The wall clock is set by a year: the day is neither over nor longer for it. */
static void test_clock_is_set(void **state)
{
    TrafficDay day = { 0 };
    Traffic t;

    (void)state;
    for (int i = 0; i < 2; i++) {
        day = (TrafficDay){ 0 };
        const usec_t set = i == 0 ? NOW + 365 * DAY : NOW - 365 * DAY;
        assert_false(traffic_count(&day, DAY, NOW - 1, after(0), 0, 0, &t));
        assert_false(traffic_count(&day, DAY, NOW - 1, (TrafficTime){ UP + DAY / 2, set }, 4096, 4096, &t));
        assert_true(traffic_count(&day, DAY, NOW - 1, (TrafficTime){ UP + DAY, set }, 8192, 8192, &t));
        assert_int_equal(t.read, 8192);
    }
    /* and a process that seems to start in the future, or before the host did */
    day = (TrafficDay){ 0 };
    assert_false(traffic_count(&day, DAY, NOW + DAY, after(0), 9, 9, &t));
    day = (TrafficDay){ 0 };
    assert_false(traffic_count(&day, DAY, NOW - DAY / 2, (TrafficTime){ DAY / 4, NOW }, 1 << 20, 9, &t));
    assert_false(traffic_count(&day, DAY, NOW - DAY / 2, (TrafficTime){ DAY, NOW }, 1 << 20, 9, &t));
}

/* A relay may answer anything. */
static void test_counter_that_falls(void **state)
{
    TrafficDay day = { 0 };
    Traffic t;

    (void)state;
    assert_false(traffic_count(&day, DAY, NOW - 1, after(0), UINT64_MAX, 7000, &t));
    assert_false(traffic_count(&day, DAY, NOW - 1, after(DAY - 1), 0, 8000, &t));
    assert_false(traffic_count(&day, DAY, NOW - 1, after(DAY), 2048, 9000, &t));
    assert_true(traffic_count(&day, DAY, NOW - 1, after(2 * DAY - 1), 4096, 9023, &t));
    assert_int_equal(t.read, 4096);
    assert_int_equal(t.written, 0); /* 1023 since */
}

static void test_sentence(void **state)
{
    const Traffic t = { UINT64_C(44238000128), UINT64_C(44989648896), NOW, NOW + DAY };
    _cleanup_(freep) char *text = traffic_sentence("relay7", &t);

    (void)state;
    assert_string_equal(text, "relay7: 41.2 GiB read and 41.9 GiB written in 1 day");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_once_a_day),
        cmocka_unit_test(test_old_process),
        cmocka_unit_test(test_young_process),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_end_of_an_old_process),
        cmocka_unit_test(test_clock_is_set),
        cmocka_unit_test(test_counter_that_falls),
        cmocka_unit_test(test_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
