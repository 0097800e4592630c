/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/measurements: which lines count, and what is said of those that do not. */
#include "report/measurements.h"
#include "test.h"

#include <errno.h>
#include <time.h>

#define HEADER                                                                                               \
    "timestamp,server,type,fingerprint,nickname,group,rss_kb,vmsize_kb,hwm_kb,frag_ratio,count,total_kb,"    \
    "avg_kb,min_kb,max_kb"

static int in_berlin(void **state)
{
    (void)state;
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    return 0;
}

static int header(MeasurementTable *table, const char *text, char **ret_error)
{
    _cleanup_(freep) char *line = xstrdup(text);

    return measurement_table_header(table, line, strlen(line), ret_error);
}

static void test_header(void **state)
{
    (void)state;
    static const struct {
        const char *line, *error; /* the error's beginning; NULL: none */
    } rows[] = {
        { HEADER, NULL },
        { HEADER "\r", NULL },
        { "\xef\xbb\xbf" HEADER, NULL },
        { "rss_kb,nickname,timestamp", NULL },
        { "\"rss_kb\",\"nickname\",\"timestamp\"", NULL },
        { "timestamp,nickname,rss", "no column \"rss_kb\"" },
        { "nickname,rss_kb", "no column \"timestamp\"" },
        { "", "no column \"timestamp\"" },
        { "timestamp,nickname,rss_kb,rss_kb", "two columns are named \"rss_kb\"" },
        { "timestamp,nickname,\"rss_kb", "an unclosed quote" },
        { "timestamp;nickname;rss_kb",
          "the columns are separated by semicolons; save the table as CSV with commas between them" },
        { "\"timestamp\";\"nickname\";\"rss_kb\"", "the columns are separated by semicolons" },
        { "\xef\xbb\xbf"
          "timestamp;nickname;rss_kb\r",
          "the columns are separated by semicolons" },
        { "timestamp\tnickname\trss_kb", "the columns are separated by tabs" },
        { "timestamp|nickname|rss_kb", "the columns are separated by \"|\"" },
        { "timestamp, nickname, rss_kb",
          "the name of column 2 has a blank before or after it: \" nickname\"; remove the blanks" },
        { "Timestamp,nickname,rss_kb", "no column \"timestamp\"" },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        MeasurementTable table = { 0 };
        _cleanup_(freep) char *error = NULL;
        int r = header(&table, rows[i].line, &error);
        assert_int_equal(r, rows[i].error ? -EINVAL : 0);
        if (rows[i].error && strncmp(error, rows[i].error, strlen(rows[i].error)) != 0)
            fail_msg("row %zu: %s", i, error);
        if (!rows[i].error)
            assert_null(error);
        measurement_table_clear(&table);
    }
}

static void test_row(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        bool torn;
        int result;
        const char *error;
    } rows[] = {
        { "2026-01-08T06:00:01,co,relay,,22gz,A,233408,1816080,233410,7.78,,,,,", false, 1, NULL },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,233408,1816080,233410,7.78,,,,,\r", false, 1, NULL },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,233408,1816080,233410,7.78,,,,,", true, 1, NULL },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,233408,1816080,233410,7.78", true, -EINVAL, "the file ends" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,2334", true, -EINVAL, "the file ends" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,2334", false, -EINVAL,
          "7 columns, but the first line names 15" },
        { "2026-01-08T06:00:01,co,aggregate,,,,,,,,142,156491136,1102050,217492,3146096", false, 0, NULL },
        { "", false, 0, NULL },
        { "\r", false, 0, NULL },
        { HEADER, false, 0, NULL }, /* two files, one behind the other */
        { "2026-01-08T06:00:01,co,relay,,22gz,A,,,,,,,,,", false, 0, NULL }, /* did not run */
        { "2026-01-08T06:00:01,co,relay,,22gz,A,0,0,0,,,,,,", false, 0, NULL },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,-5,,,,,,,,", false, -EINVAL, "rss_kb \"-5\": not a whole" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,1.5,,,,,,,,", false, -ENOTSUP,
          "rss_kb \"1.5\": a number with a f" },
        /* as pandas writes a column that has empty fields */
        { "2026-01-08T06:00:01,co,relay,,22gz,A,233408.0,1816080.0,233410.0,7.78,,,,,", false, 1, NULL },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,0.0,,,,,,,,", false, 0, NULL },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,.0,,,,,,,,", false, -EINVAL, "rss_kb \".0\": not a whole" },
        /* 5524 or 5.524? */
        { "2026-01-08T06:00:01,co,relay,,22gz,A,5.000,,,,,,,,", false, -ENOTSUP,
          "rss_kb \"5.000\": a number with a fraction, or with a dot between its thousands; format the "
          "column as "
          "whole numbers" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,5.524.480,,,,,,,,", false, -ENOTSUP,
          "rss_kb \"5.524.480\": a num" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,\"5,524,480\",,,,,,,,", false, -ENOTSUP,
          "rss_kb \"5,524,480\": a number with something between its thousands; format the column as whole "
          "numbers" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,5 524 480,,,,,,,,", false, -ENOTSUP,
          "rss_kb \"5 524 480\": a num" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,5\xe2\x80\xaf"
          "524,,,,,,,,",
          false, -ENOTSUP, "rss_kb \"5" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,5.52448E+06,,,,,,,,", false, -ENOTSUP,
          "rss_kb \"5.52448E+06\": a number with an exponent, which has lost digits; format the column as "
          "whole "
          "numbers" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,233408,,5e5,,,,,,", false, -ENOTSUP,
          "hwm_kb \"5e5\": a number wi" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,5 MB,,,,,,,,", false, -EINVAL,
          "rss_kb \"5 MB\": not a whole" },
        { "3/1/2026 2:00,co,relay,,22gz,A,5,,,,,,,,", false, -ENOTSUP,
          "timestamp \"3/1/2026 2:00\": a date whose day and month cannot be distinguished; format the "
          "column like 2026-01-08T06:00:01" },
        { "01.03.2026 02:00,co,relay,,22gz,A,5,,,,,,,,", false, -ENOTSUP,
          "timestamp \"01.03.2026 02:00\": a date" },
        { "1772416800,co,relay,,22gz,A,5,,,,,,,,", false, -ENOTSUP,
          "timestamp \"1772416800\": a number, not a date and time; write it like 2026-01-08T06:00:01" },
        { "46089.25,co,relay,,22gz,A,5,,,,,,,,", false, -ENOTSUP, "timestamp \"46089.25\": a number, not" },
        { "2026-01-08T06:00:01,co,relay,A6A3,22gz,A,5,,,,,,,,", false, -EINVAL,
          "fingerprint \"A6A3\": not 40 hexadecimal digits" },
        { "2026-01-08T06:00:01,co,relay,ZZZZA4506513270E269E0D37F2A74DE452E6B438,22gz,A,5,,,,,,,,", false,
          -EINVAL, "fingerprint \"ZZZZ" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,nan,,,,,,,,", false, -EINVAL, "rss_kb \"nan\": not a whole" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,99999999999999999999999,,,,,,,,", false, -EINVAL,
          "rss_kb \"99999999999999999999999\": not a" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,18446744073709551,,,,,,,,", false, -EINVAL,
          "rss_kb \"18446744073709551\": more memory" },
        { "2026-01-08T06:00:01,co,relay,,22gz,A,5,,x,,,,,,", false, -EINVAL, "hwm_kb \"x\"" },
        { "2026-01-08,co,relay,,22gz,A,5,,,,,,,,", false, -EINVAL, "timestamp \"2026-01-08\": not a date" },
        { "2026-03-29T02:30:00,co,relay,,22gz,A,5,,,,,,,,", false, -EINVAL,
          "timestamp \"2026-03-29T02:30:00\": the clocks" },
        { "2026-01-08T06:00:01,co,total,,22gz,A,5,,,,,,,,", false, -EINVAL, "type \"total\"" },
        { "2026-01-08T06:00:01,co,relay,,,A,5,,,,,,,,", false, -EINVAL, "nickname \"\": empty" },
        { "2026-01-08T06:00:01,co,relay,,a\x1b[1mb,A,5,,,,,,,,", false, -EINVAL,
          "nickname \"a?[1mb\": a control" },
        { "2026-01-08T06:00:01,co,relay,,\"22gz,A,5,,,,,,,,", false, -EINVAL, "an unclosed quote" },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(measurement_table_clear) MeasurementTable table = { 0 };
        _cleanup_(freep) char *error = NULL, *line = xstrdup(rows[i].line);
        Measurement m = { 0 };
        assert_int_equal(header(&table, HEADER, &error), 0);
        int r = measurement_table_row(&table, line, strlen(line), rows[i].torn, &m, &error);
        if (r != rows[i].result)
            fail_msg("row %zu: %d %s", i, r, error ? error : "");
        if (rows[i].error && strncmp(error, rows[i].error, strlen(rows[i].error)) != 0)
            fail_msg("row %zu: %s", i, error);
        if (r != 1)
            continue;
        assert_int_equal(m.time, (usec_t)1767848401 * USEC_PER_SEC);
        assert_int_equal(m.row.memory.rss, 233408 * 1024);
        assert_int_equal(m.row.memory.hwm, 233410 * 1024);
        assert_int_equal(m.row.relay.n, 4);
        assert_memory_equal(m.row.relay.p, "22gz", 4);
        assert_int_equal(m.row.group.n, 1);
        assert_int_equal(m.server.n, 2);
        assert_int_equal(m.row.allocator.n, 0);
        assert_int_equal(m.row.fingerprint.n, 0);
    }
}

/* With or without the "$" of tor's control protocol, in either case. */
static void test_fingerprint(void **state)
{
    (void)state;
    static const char *const written[] = { "A6A3A4506513270E269E0D37F2A74DE452E6B438",
                                           "$A6A3A4506513270E269E0D37F2A74DE452E6B438",
                                           "a6a3a4506513270e269e0d37f2a74de452e6b438" };

    for (size_t i = 0; i < ELEMENTSOF(written); i++) {
        _cleanup_(measurement_table_clear) MeasurementTable table = { 0 };
        _cleanup_(freep) char *error = NULL, *line = xasprintf("2026-01-08T06:00:01,%s,r,5", written[i]);
        Measurement m;

        assert_int_equal(header(&table, "timestamp,fingerprint,nickname,rss_kb", &error), 0);
        assert_int_equal(measurement_table_row(&table, line, strlen(line), false, &m, &error), 1);
        assert_int_equal(m.row.fingerprint.n, 40);
        assert_memory_equal(m.row.fingerprint.p, written[0], 40);
    }
}

/* With the value that matters in the last column, a line without newline may have lost digits. */
static void test_torn_in_the_value(void **state)
{
    (void)state;
    _cleanup_(measurement_table_clear) MeasurementTable table = { 0 };
    _cleanup_(freep) char *error = NULL;
    char line[] = "2026-01-08T06:00:01,r,2334", same[] = "2026-01-08T06:00:01,r,2334";
    Measurement m;

    assert_int_equal(header(&table, "timestamp,nickname,rss_kb", &error), 0);
    assert_int_equal(measurement_table_row(&table, line, strlen(line), true, &m, &error), -EINVAL);
    assert_int_equal(measurement_table_row(&table, same, strlen(same), false, &m, &error), 1);
}

static void test_nul(void **state)
{
    (void)state;
    _cleanup_(measurement_table_clear) MeasurementTable table = { 0 };
    _cleanup_(freep) char *error = NULL;
    char line[] = "2026-01-08T06:00:01,r\0,2334";
    Measurement m;

    assert_int_equal(header(&table, "timestamp,nickname,rss_kb", &error), 0);
    assert_int_equal(measurement_table_row(&table, line, sizeof(line) - 1, false, &m, &error), -EINVAL);
    assert_string_equal(error, "a NUL byte in the line");
}

/* The night in which the clocks go back, hour by hour, without offsets: the order tells which hour is meant.
 */
static void test_night_of_change(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "2025-10-26T01:30:00,r,1",  "2025-10-26T02:30:00,r,1",   "2025-10-26T02:30:00,s,1",
        "2025-10-26T02:00:00,r,1",  "2025-10-26T02:30:00,r,1",   "2025-10-26T03:30:00,r,1",
        "2025-10-26T03:00:00Z,r,1", "timestamp,nickname,rss_kb", "2025-10-26T02:30:00,r,1",
    };
    static const unsigned minutes[] = { 0, 60, 60, 90, 120, 180, 210, 0, 60 };
    _cleanup_(measurement_table_clear) MeasurementTable table = { 0 };
    char *error = NULL;
    const usec_t first = (usec_t)1761435000 * USEC_PER_SEC; /* 01:30 +02:00 */

    assert_int_equal(header(&table, "timestamp,nickname,rss_kb", &error), 0);
    for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
        _cleanup_(freep) char *line = xstrdup(lines[i]);
        Measurement m;
        int r = measurement_table_row(&table, line, strlen(line), false, &m, &error);
        assert_int_equal(r, lines[i][0] == '2' ? 1 : 0);
        if (r == 1 && m.time != first + minutes[i] * USEC_PER_MINUTE)
            fail_msg("%s is %+lld min", lines[i], (long long)(m.time - first) / 60000000);
    }
    assert_int_equal(table.with_offset, 1);
    assert_int_equal(table.without_offset, 7);
}

static void test_own_columns(void **state)
{
    (void)state;
    _cleanup_(measurement_table_clear) MeasurementTable table = { 0 };
    _cleanup_(freep) char *error = NULL;
    char line[] = "2026-01-08T06:00:01,r,5,mimalloc,2.0.9,2026-01-01T00:00:00Z";
    char bad[] = "2026-01-08T06:00:01,r,5,mimalloc,2.0.9,yesterday";
    Measurement m;

    assert_int_equal(header(&table, "timestamp,nickname,rss_kb,allocator,version,started", &error), 0);
    assert_int_equal(measurement_table_row(&table, line, strlen(line), false, &m, &error), 1);
    assert_memory_equal(m.row.allocator.p, "mimalloc", m.row.allocator.n);
    assert_memory_equal(m.row.version.p, "2.0.9", m.row.version.n);
    assert_int_equal(m.row.since, (usec_t)1767225600 * USEC_PER_SEC);
    assert_int_equal(measurement_table_row(&table, bad, strlen(bad), false, &m, &error), -EINVAL);
}

/* Their other table: what was written, in rows among others. */
static void test_bandwidth(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int result;
        double written;
    } rows[] = {
        { "2026-01-01T12:00:00,FC06B52C9F6F114921EF0D82009A180BDE662022,22gz,,2903193.163629703,,", 1,
          2903193.163629703 },
        { "2026-01-01T12:00:00,fc06b52c9f6f114921ef0d82009a180bde662022,,,1e6,,", 1, 1e6 },
        { "2026-01-01T12:00:00,,22gz,,0,,", 1, 0 },
        { "2026-01-02T08:00:00.123456,,22gz,1000,,\"Fast,Guard\",True", 0, 0 },
        { "2026-01-03T12:00:00,,22gz,,many,,", -EINVAL, 0 },
        { "2026-01-03T12:00:00,,22gz,,-1,,", -EINVAL, 0 },
        { "2026-01-03T12:00:00,,22gz,,1e99,,", -EINVAL, 0 },
        { "2026-01-03T12:00:00,,22gz,,nan,,", -EINVAL, 0 },
        { "2026-01-03T12:00:00,,22gz,,0x10,,", -EINVAL, 0 },
        { "2026-01-03T12:00:00,,22gz,,1.5.5,,", -EINVAL, 0 },
    };
    _cleanup_(measurement_table_clear) MeasurementTable table = { .bandwidth = true };
    _cleanup_(freep) char *error = NULL;

    assert_int_equal(
        header(&table, "timestamp,fingerprint,nickname,observed_bps,write_bps,flags,running", &error), 0);
    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(freep) char *line = xstrdup(rows[i].line), *why = NULL;
        Measurement m = { 0 };
        const int r = measurement_table_row(&table, line, strlen(line), false, &m, &why);
        if (r != rows[i].result)
            fail_msg("%s: %d, %s", rows[i].line, r, why ? why : "");
        assert_int_equal(r < 0, why != NULL);
        if (r > 0)
            assert_true(m.written >= rows[i].written && m.written <= rows[i].written);
        if (r > 0 && i < 2)
            assert_true(m.row.fingerprint.n == 40 && *m.row.fingerprint.p == 'F');
    }
    MeasurementTable other = { .bandwidth = true };
    assert_int_equal(header(&other, "timestamp,nickname,rss_kb", &error), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bandwidth),
        cmocka_unit_test(test_header),
        cmocka_unit_test_setup(test_row, in_berlin),
        cmocka_unit_test_setup(test_torn_in_the_value, in_berlin),
        cmocka_unit_test(test_nul),
        cmocka_unit_test_setup(test_fingerprint, in_berlin),
        cmocka_unit_test_setup(test_night_of_change, in_berlin),
        cmocka_unit_test_setup(test_own_columns, in_berlin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
