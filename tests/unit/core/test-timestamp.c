/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/timestamp, in Berlin, where the clocks went back on 2025-10-26 at 3 and forward on 2026-03-29
 * at 2. Seconds come from date(1). */
#include "core/timestamp.h"
#include "test.h"

#include <errno.h>
#include <time.h>

static int in_berlin(void **state)
{
    (void)state;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1); /* the rule itself: needs no time zone database */
    tzset();
    return 0;
}

#define NOW ((usec_t)1767852001 * USEC_PER_SEC) /* 2026-01-08 07:00:01 +01:00 */

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        usec_t seconds;
    } rows[] = {
        { "2026-01-08 06:00:01", 0, 1767848401 },
        { "2026-01-08T06:00:01", 0, 1767848401 },
        { "2026-01-08T06:00:01+01:00", 0, 1767848401 },
        { "2026-01-08T05:00:01Z", 0, 1767848401 },
        { "2026-01-08 05:00:01 UTC", 0, 1767848401 },
        { "2026-01-08T06:00:01+0100", 0, 1767848401 },
        { "2026-01-08T06:00:01+01", 0, 1767848401 },
        { "2026-01-07T23:30:01-05:30", 0, 1767848401 },
        { "2026-01-08 06:00", 0, 1767848400 },
        { "2026-01-08", 0, 1767826800 },
        { "06:00:01", 0, 1767848401 },
        { "06:00", 0, 1767848400 },
        { "now", 0, 1767852001 },
        { "today", 0, 1767826800 },
        { "yesterday", 0, 1767740400 },
        { "tomorrow", 0, 1767913200 },
        { "@1767848401", 0, 1767848401 },
        { "-3d", 0, 1767852001 - 3 * 86400 },
        { "-1h 30min", 0, 1767852001 - 5400 },
        { "+2h", 0, 1767852001 + 7200 },
        { "3 days ago", 0, 1767852001 - 3 * 86400 },
        { "90 ago", 0, 1767852001 - 90 },
        { "2025-07-01 12:00", 0, 1751364000 },
        { "2024-02-29", 0, 1709161200 },
        { "2025-02-29", -EINVAL, 0 },
        { "2026-13-01", -EINVAL, 0 },
        { "2026-00-01", -EINVAL, 0 },
        { "2026-01-32", -EINVAL, 0 },
        { "2026-01-08 24:00", -EINVAL, 0 },
        { "2026-01-08 23:60", -EINVAL, 0 },
        { "2026-01-08 06:00:01 ", 0, 1767848401 },
        { "2026-01-08 06:00:01x", -EINVAL, 0 },
        { "2026-01-08 06:00:01+1", -EINVAL, 0 },
        { "2026-01-08 06:00:01+16:00", -EINVAL, 0 },
        { "2026-01-08 06:00:01.", -EINVAL, 0 },
        { "2026-01-08X06:00:01", -EINVAL, 0 },
        { "2026-1-8", -EINVAL, 0 },
        { "1969-12-31", -ERANGE, 0 },
        { "2026-03-29 02:30", -EDOM, 0 },
        { "@", -EINVAL, 0 },
        { "@12x", -EINVAL, 0 },
        { "@99999999999999999999", -ERANGE, 0 },
        { "-99999999999d", -ERANGE, 0 },
        { "-20000d", 0, 1767852001 - (usec_t)20000 * 86400 },
        { "-30000d", -ERANGE, 0 },
        { "-", -EINVAL, 0 },
        { " ago", -EINVAL, 0 },
        { "soon", -EINVAL, 0 },
        { "", -EINVAL, 0 },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        usec_t t = 77;
        int r = timestamp_parse(rows[i].text, NOW, &t);
        if (r != rows[i].result || t != (r == 0 ? rows[i].seconds * USEC_PER_SEC : 77))
            fail_msg("\"%s\": %d, %llu", rows[i].text, r, (unsigned long long)t);
    }
    usec_t t;
    assert_int_equal(timestamp_parse("2026-01-08 06:00:01.25", NOW, &t), 0);
    assert_int_equal(t, (usec_t)1767848401250000);
    assert_int_equal(timestamp_parse("@7.0000019", NOW, &t), 0);
    assert_int_equal(t, 7000001);
}

/* "today" on the day of a change is that day's midnight, with the offset of that time. */
static void test_days_of_change(void **state)
{
    (void)state;
    usec_t now = (usec_t)1774774800 * USEC_PER_SEC, t; /* 2026-03-29 11:00 +02:00 */

    assert_int_equal(timestamp_parse("today", now, &t), 0);
    assert_int_equal(t, (usec_t)1774738800 * USEC_PER_SEC); /* 00:00 +01:00 */
    assert_int_equal(timestamp_parse("tomorrow", now, &t), 0);
    assert_int_equal(t, (usec_t)1774821600 * USEC_PER_SEC); /* 00:00 +02:00: a day of 23 hours */
}

static void test_day_without_midnight(void **state)
{
    (void)state;
    setenv("TZ", "EET-2EEST,M4.5.5/0,M10.5.4/24", 1); /* Cairo */
    tzset();
    usec_t t;
    assert_int_equal(timestamp_parse("today", (usec_t)1777024800 * USEC_PER_SEC, &t), 0);
    assert_int_equal(t, (usec_t)1776981600 * USEC_PER_SEC); /* 2026-04-24 01:00 +03:00 */
}

static void test_rows(void **state)
{
    (void)state;
    static const usec_t first = (usec_t)1761438600 * USEC_PER_SEC; /* 02:30 +02:00, the first of two */
    static const usec_t hour = USEC_PER_HOUR;
    static const struct {
        const char *text;
        usec_t after;
        int result;
        usec_t expected;
        bool offset;
    } rows[] = {
        { "2025-10-26T02:30:00", 0, 0, first, false },
        { "2025-10-26T02:30:00", first - hour / 2, 0, first, false },
        { "2025-10-26T02:30:00", first, 0, first, false }, /* the same collection */
        { "2025-10-26T02:30:00", first + 1, 0, first + hour, false },
        { "2025-10-26T02:30:00", first + 20 * hour, 0, first + hour, false },
        { "2025-10-26T02:30:00+02:00", first + 20 * hour, 0, first, true },
        { "2025-10-26T01:30:00Z", 0, 0, first + hour, true },
        { "2025-10-26T03:30:00", first + 20 * hour, 0, first + 2 * hour, false },
        { "2026-03-29T02:30:00", 0, -EDOM, 0, false },
        { "2026-03-29T02:30:00+01:00", 0, 0, (usec_t)1774747800 * USEC_PER_SEC, true },
        { "2026-03-29", 0, -EINVAL, 0, false },
        { "today", 0, -EINVAL, 0, false },
        { "", 0, -EINVAL, 0, false },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        usec_t t = 77;
        bool offset = false;
        size_t n = strlen(rows[i].text);
        char *copy = xcalloc(n + 1, 1); /* what stands behind the n bytes is not read */
        memcpy(copy, rows[i].text, n);
        copy[n] = '9';
        int r = timestamp_parse_row(copy, n, rows[i].after, &t, &offset);
        free(copy);
        if (r != rows[i].result || (r == 0 && (t != rows[i].expected || offset != rows[i].offset)))
            fail_msg("row %zu: %d, %llu", i, r, (unsigned long long)t);
    }
}

static void test_spans(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int result;
        usec_t expected;
    } rows[] = {
        { "48h", 0, 48 * USEC_PER_HOUR },
        { "2 days 12h", 0, 60 * USEC_PER_HOUR },
        { "2days12h", 0, 60 * USEC_PER_HOUR },
        { " 90 min ", 0, 90 * USEC_PER_MINUTE },
        { "30", 0, 30 * USEC_PER_SEC },
        { "0", 0, 0 },
        { "1w", 0, 7 * USEC_PER_DAY },
        { "5us", 0, 5 },
        { "500ms", 0, 500 * USEC_PER_MSEC },
        { "1month", 0, 2629800 * USEC_PER_SEC },
        { "2M 1m", 0, 5259660 * USEC_PER_SEC },
        { "1 year", 0, 31557600 * USEC_PER_SEC },
        { "30 40", -EINVAL, 0 }, /* a number without unit stands alone */
        { "1 fortnight", -EINVAL, 0 },
        { "h", -EINVAL, 0 },
        { "-1h", -EINVAL, 0 },
        { "1.5h", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { " ", -EINVAL, 0 },
        { "99999999999999999999h", -ERANGE, 0 },
        { "9999999999999w", -ERANGE, 0 },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        usec_t span = 77;
        int r = timespan_parse(rows[i].text, &span);
        if (r != rows[i].result || span != (r == 0 ? rows[i].expected : 77))
            fail_msg("\"%s\": %d, %llu", rows[i].text, r, (unsigned long long)span);
    }
}

static void test_format(void **state)
{
    (void)state;
    char buf[TIMESTAMP_MAX];
    const usec_t winter = (usec_t)1767848401 * USEC_PER_SEC, summer = (usec_t)1751364000 * USEC_PER_SEC;

    assert_string_equal(timestamp_format(buf, winter, TIMESTAMP_LOCAL), "2026-01-08T06:00:01");
    assert_string_equal(timestamp_format(buf, winter, TIMESTAMP_OFFSET), "2026-01-08T06:00:01+01:00");
    assert_string_equal(timestamp_format(buf, summer, TIMESTAMP_OFFSET), "2025-07-01T12:00:00+02:00");
    assert_string_equal(timestamp_format(buf, winter, TIMESTAMP_UTC), "2026-01-08T05:00:01Z");
    assert_string_equal(timestamp_format(buf, winter, TIMESTAMP_PEOPLE), "2026-01-08 06:00");
    assert_string_equal(timestamp_format(buf, USEC_INFINITY, TIMESTAMP_UTC), "586524-01-19T08:01:49Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_parse, in_berlin),
        cmocka_unit_test_setup(test_days_of_change, in_berlin),
        cmocka_unit_test(test_day_without_midnight),
        cmocka_unit_test_setup(test_rows, in_berlin),
        cmocka_unit_test(test_spans),
        cmocka_unit_test_setup(test_format, in_berlin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
