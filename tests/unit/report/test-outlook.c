/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/outlook: a growth that goes on is found, and told in days; nothing else is. */
#include "test.h"

#include "report/outlook.h"

#include <errno.h>
#include <math.h>

#define HOUR USEC_PER_HOUR
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)

/* A sample a minute from one hour to another (both counted from the start of the process): `start` bytes, and
 * so many more an hour. */
static void feed(Growing *g, unsigned from, unsigned to, uint64_t start, double per_hour)
{
    for (unsigned minute = from * 60; minute < to * 60; minute++)
        outlook_add(g, HOUR, 1000 * HOUR + minute * USEC_PER_MINUTE,
                    start + (uint64_t)(per_hour * minute / 60));
}

static void test_growth_of_a_day(void **state)
{
    Growing g = { 0 };

    (void)state;
    feed(&g, 0, 24, GIB, (double)GIB / 24);
    assert_false(g.known); /* the last hour is not over */
    feed(&g, 24, 25, 2 * GIB, 0);
    assert_true(g.known);
    assert_float_equal(g.per_day, (double)GIB, 1e-3 * (double)GIB);
}

static void test_less_than_a_day_says_nothing(void **state)
{
    Growing g = { 0 };

    (void)state;
    feed(&g, 0, 23, GIB, (double)GIB);
    feed(&g, 23, 24, GIB, 0);
    assert_false(g.known);
}

/* What a process does at first is forgotten after two days. */
static void test_two_days_are_kept(void **state)
{
    Growing g = { 0 };

    (void)state;
    feed(&g, 0, 30, 0, (double)GIB);
    feed(&g, 30, 30 + OUTLOOK_HOURS + 1, 30 * GIB, 0);
    assert_true(g.known);
    assert_float_equal(g.per_day, 0, 0);
    assert_int_equal(g.n_hours, OUTLOOK_HOURS);
}

/* Up and down with the time of day, and a peak: that is no growth. */
static void test_waves_are_no_growth(void **state)
{
    Growing g = { 0 };

    (void)state;
    for (unsigned minute = 0; minute < 72 * 60; minute++)
        outlook_add(&g, HOUR, minute * USEC_PER_MINUTE,
                    (uint64_t)((double)GIB * (1 + 0.1 * sin(2 * M_PI * minute / 1440))) +
                        (minute / 60 == 50 ? 4 * GIB : 0));
    assert_true(g.known);
    assert_true(fabs(g.per_day) < 0.1 * (double)GIB);
}

/* Hours in which it was not measured are holes, not hours of nothing. */
static void test_holes(void **state)
{
    Growing g = { 0 };

    (void)state;
    feed(&g, 0, 3, GIB, (double)MIB);
    feed(&g, 40, 42, GIB, (double)MIB);
    assert_true(g.known);
    assert_float_equal(g.per_day, 24 * (double)MIB, 1e4);
    feed(&g, 200, 202, GIB, (double)MIB);
    assert_float_equal(g.per_day, 24 * (double)MIB, 1e4);
}

static char *row_of(const char *relay, const char *process, const Growing *g)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    fputs("# rows", f);
    outlook_write_row(f, "other", "p", &(Growing){ .n_hours = 1, .hours = { { 1, 1024 } } });
    outlook_write_row(f, relay, process, g);
    fputc('\n', f);
    fclose(f);
    return text;
}

/* A later run of the daemon goes on where this one ended. */
static void test_growth_is_taken_up_again(void **state)
{
    Growing g = { 0 }, again = { 0 };

    (void)state;
    feed(&g, 0, 20, GIB, (double)MIB);
    _cleanup_(freep) char *rows = row_of("relay7", "p1", &g);
    assert_true(outlook_read_row(rows, "relay7", "p1", &again));
    assert_int_equal(again.n_hours, 19);
    assert_false(again.known);
    feed(&again, 20, 26, GIB, (double)MIB);
    assert_true(again.known);
    assert_float_equal(again.per_day, 24 * (double)MIB, 1e5);
    _cleanup_(freep) char *later = row_of("relay7", "p1", &again);
    Growing known = { 0 };
    assert_true(outlook_read_row(later, "relay7", "p1", &known));
    assert_true(known.known);
}

static void test_growth_of_another_process_is_not_taken_up(void **state)
{
    Growing g = { 0 }, again = { 0 };

    (void)state;
    feed(&g, 0, 3, GIB, (double)MIB);
    _cleanup_(freep) char *rows = row_of("relay7", "p1", &g);
    assert_false(outlook_read_row(rows, "relay7", "p2", &again));
    assert_false(outlook_read_row(rows, "relay", "p1", &again));
    assert_false(outlook_read_row(rows, "7", "p1", &again));
    g = (Growing){ 0 };
    outlook_add(&g, HOUR, HOUR, GIB);
    _cleanup_(freep) char *none = row_of("relay7", "p1", &g);
    assert_false(outlook_read_row(none, "relay7", "p1", &again));
    assert_int_equal(again.n_hours, 0);
}

static void test_damaged_rows(void **state)
{
    static const char *const rows[] = { "",
                                        "\nr p",
                                        "\nr p \n",
                                        "\nr p 5:1 5:2\n",
                                        "\nr p 5:1 4:2\n",
                                        "\nr p 5:1 x\n",
                                        "\nr p 5:1x\n",
                                        "\nr p 5\n",
                                        "\nr p -5:1\n",
                                        "\nr p 99999999999999999999:1\n",
                                        "r p 5:1\n" };
    char *many = xcalloc(64 * 8, 1), *at = many;
    Growing g = { 0 };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(rows); i++)
        if (outlook_read_row(rows[i], "r", "p", &g))
            fail_msg("taken: %s", rows[i]);
    at += sprintf(at, "\nr p");
    for (unsigned i = 0; i <= OUTLOOK_HOURS; i++)
        at += sprintf(at, " %u:1", i);
    assert_false(outlook_read_row(many, "r", "p", &g));
    free(many);
    assert_true(outlook_read_row("\nr p 5:1\nq", "r", "p", &g));
    assert_int_equal(g.n_hours, 1);
}

static void test_outlook(void **state)
{
    const OutlookRelay relays[] = {
        { "relay1", "jemalloc", "5.3.0", true, 0 },
        { "relay7", "mimalloc3", "3.0.1", true, (double)GIB },
        { "relay8", "mimalloc3", "3.0.1", true, 0.25 * (double)GIB },
        { "relay9", "glibc", "2.36", false, 9e12 },
        { "relay3", "glibc", "2.36", true, -0.25 * (double)GIB },
    };
    const Outlook o = outlook_of(relays, ELEMENTSOF(relays), 2600 * MIB + 62 * MIB);
    _cleanup_(freep) char *sentence = outlook_sentence(&o);

    (void)state;
    assert_float_equal(o.per_day, (double)GIB, 1);
    assert_float_equal(o.full_in, 2.6, 0.01);
    assert_string_equal(
        sentence, "at this growth the host is full in 2.6 days (relay7, mimalloc3 3.0.1, +1.00 GiB a day)");
}

static void test_outlook_of_nothing(void **state)
{
    const OutlookRelay shrinking = { "a", "glibc", "2.36", true, -1e9 },
                       unknown = { "a", "glibc", "2.36", false, 1e9 };
    const Outlook outlooks[] = { outlook_of(NULL, 0, GIB), outlook_of(&shrinking, 1, GIB),
                                 outlook_of(&unknown, 1, GIB) };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(outlooks); i++) {
        assert_true(isinf(outlooks[i].full_in));
        assert_null(outlook_sentence(&outlooks[i]));
    }
}

static void test_available(void **state)
{
    uint64_t bytes = 7;

    (void)state;
    assert_int_equal(outlook_available("MemTotal: 4 kB\nMemAvailable:    2048 kB\nBuffers: 1 kB\n", &bytes),
                     0);
    assert_int_equal(bytes, 2 * MIB);
    static const char *const bad[] = { "",
                                       "MemTotal: 4 kB\n",
                                       "XMemAvailable: 4 kB\n",
                                       "MemAvailable: x kB\n",
                                       "MemAvailable: 4 MB\n",
                                       "MemAvailable: 99999999999999999999999 kB\n",
                                       "MemAvailable:" };
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_int_equal(outlook_available(bad[i], &bytes), -ENODATA);
    assert_int_equal(bytes, 2 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_growth_of_a_day),
        cmocka_unit_test(test_less_than_a_day_says_nothing),
        cmocka_unit_test(test_two_days_are_kept),
        cmocka_unit_test(test_waves_are_no_growth),
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_growth_is_taken_up_again),
        cmocka_unit_test(test_growth_of_another_process_is_not_taken_up),
        cmocka_unit_test(test_damaged_rows),
        cmocka_unit_test(test_outlook),
        cmocka_unit_test(test_outlook_of_nothing),
        cmocka_unit_test(test_available),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
