/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/flags: how long a flag was held, and what a restart cost of it. */
#include "report/flags.h"
#include "test.h"

#include <math.h>

#define MINUTE USEC_PER_MINUTE
#define HOUR USEC_PER_HOUR
#define T0 ((usec_t)1000000 * MINUTE)

static unsigned set_of(const char *text)
{
    return flags_from_text((Span){ text, strlen(text) });
}

static void test_words(void **state)
{
    (void)state;
    assert_int_equal(set_of(""), 0);
    assert_int_equal(flags_from_text((Span){ 0 }), 0);
    assert_int_equal(set_of("Guard"), 1U << FLAG_GUARD);
    assert_int_equal(set_of("Fast,Guard,HSDir,Running,Stable,V2Dir,Valid"), (1U << _FLAG_MAX) - 1);
    assert_int_equal(set_of("Guar,Guards,guard,,BadExit"), 0);
    assert_int_equal(set_of("Valid,Stable"), 1U << FLAG_STABLE);
    for (Flag f = 0; f < _FLAG_MAX; f++)
        assert_true(flags_have(set_of(flag_to_string(f)), f));
}

/* A look stands until the next one, but not for hours, and not beyond its process. */
static void test_how_long_it_stands(void **state)
{
    (void)state;
    const FlagWatch w = { .time = T0 };

    assert_int_equal(flags_end(&w, T0 + 10 * MINUTE, 1, false, MINUTE), T0 + 10 * MINUTE);
    assert_int_equal(flags_end(&w, T0 + 30 * MINUTE, 1, false, MINUTE), T0 + 30 * MINUTE);
    assert_int_equal(flags_end(&w, T0 + 31 * MINUTE, 1, false, MINUTE), T0 + FLAGS_LOOK);
    assert_int_equal(flags_end(&w, T0 + 2 * HOUR, 1, false, HOUR), T0 + 2 * HOUR); /* sampled once an hour */
    assert_int_equal(flags_end(&w, T0 + 20 * MINUTE, T0 + 4 * MINUTE, true, MINUTE), T0 + 4 * MINUTE);
    assert_int_equal(flags_end(&w, T0 + 20 * MINUTE, T0 - 4 * MINUTE, true, MINUTE), T0 + 20 * MINUTE);
}

static void look(FlagWatch *w, FlagTally *tally, usec_t time, usec_t started, uint32_t run, const char *flags)
{
    const FlagLook l = { .time = time, .started = started, .run = run, .set = set_of(flags), .counts = true };

    flags_take(w, tally, &l);
}

static void test_held(void **state)
{
    (void)state;
    FlagWatch w = { 0 };
    FlagTally a = { 0 }, b = { 0 };

    look(&w, &a, T0, 1, 0, "Guard,Running");
    flags_hold(&w, 60);
    look(&w, &a, T0 + MINUTE, 1, 0, "Running");
    flags_hold(&w, 30);
    look(&w, &b, T0 + 2 * MINUTE, 1, 0, "");
    flags_hold(&w, 10);
    look(&w, NULL, T0 + 3 * MINUTE, 1, 0, "Guard");
    flags_hold(&w, 1000); /* nowhere */
    assert_true(fabs(a.looked - 90) < 1e-9 && fabs(b.looked - 10) < 1e-9);
    assert_true(fabs(a.held[FLAG_GUARD] - 60) < 1e-9 && fabs(a.held[FLAG_RUNNING] - 90) < 1e-9);
    assert_true(fabs(b.held[FLAG_RUNNING]) < 1e-9);
    assert_int_equal(a.before, set_of("Guard,Running"));
    assert_int_equal(a.last, set_of("Running"));
    assert_int_equal(b.before, set_of("Running")); /* what it had before it ran this */
    assert_int_equal(b.last, 0);
}

static void test_a_restart(void **state)
{
    (void)state;
    FlagWatch w = { 0 };
    FlagTally a = { 0 }, b = { 0 };
    const usec_t start = T0 + HOUR;

    look(&w, &a, T0, 1, 0, "Guard,HSDir,Running");
    look(&w, &b, start + 5 * MINUTE, start, 1,
         "Guard,HSDir,Running"); /* the consensus is still the old one */
    look(&w, &b, start + 2 * HOUR, start, 1, "Guard,Running");
    look(&w, &b, start + 30 * HOUR, start, 1, "Running"); /* too late to be the restart's doing */
    look(&w, &b, start + 97 * HOUR, start, 1, "HSDir,Running");
    look(&w, &b, start + 99 * HOUR, start, 1, "Running"); /* once is once */
    const FlagReturns *hsdir = &b.returns[FLAG_HSDIR], *guard = &b.returns[FLAG_GUARD];
    assert_int_equal(hsdir->had, 1);
    assert_int_equal(hsdir->lost, 1);
    assert_int_equal(hsdir->back, 1);
    assert_int_equal(hsdir->n, 1);
    assert_true(fabs(hsdir->times[0] - 97 * 3600.0) < 1e-6);
    assert_int_equal(guard->had, 1);
    assert_int_equal(guard->lost, 0);
    assert_int_equal(b.returns[FLAG_RUNNING].had, 1);
    assert_int_equal(b.returns[FLAG_RUNNING].lost, 0);
    assert_int_equal(a.returns[FLAG_HSDIR].had, 0);
    look(&w, &b, start + 101 * HOUR, start + 100 * HOUR, 2, "Running"); /* had none of them any more */
    assert_int_equal(hsdir->had, 1);
    assert_int_equal(b.returns[FLAG_RUNNING].had, 2);
    free(b.returns[FLAG_HSDIR].times);
}

/* What is outside of the time of a report tells only what was there before. */
static void test_outside(void **state)
{
    (void)state;
    FlagWatch w = { 0 };
    FlagTally a = { 0 };
    FlagLook l = { .time = T0, .started = 1, .set = set_of("Guard") };

    flags_take(&w, &a, &l);
    l.run = 1;
    l.started = l.time = T0 + MINUTE;
    flags_take(&w, &a, &l);
    assert_int_equal(a.returns[FLAG_GUARD].had, 0);
    assert_int_equal(a.last | a.before, 0);
    l.time += MINUTE;
    l.set = 0;
    l.counts = true;
    flags_take(&w, &a, &l);
    assert_int_equal(a.before, set_of("Guard"));
    assert_int_equal(a.returns[FLAG_GUARD].lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),   cmocka_unit_test(test_how_long_it_stands),
        cmocka_unit_test(test_held),    cmocka_unit_test(test_a_restart),
        cmocka_unit_test(test_outside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
