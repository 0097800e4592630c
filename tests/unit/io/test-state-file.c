/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "io/state-file.h"

#include <errno.h>
#include <sys/stat.h>

static char dir[] = "/tmp/test-state-XXXXXX";

static int setup(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    _cleanup_(freep) char *file = xasprintf("%s/state", dir);
    (void)unlink(file);
    return rmdir(dir); /* fails when a temporary file was left behind */
}

static void test_none_yet(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = NULL;
    assert_int_equal(state_file_load(dir, &s), 0);
    assert_int_equal(s->hold, HOLD_NONE);
    assert_int_equal(s->n_flights + s->n_refusals, 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = xcalloc(1, sizeof(*s)), *t = NULL;
    char text[] = "# relayalloc: written\n[Service]\nEnvironment=\"A=b\\\\c \\\"quoted\\\" %% ä\"\n";

    s->hold = HOLD_HALTED;
    s->paused = true;
    s->hold_reason = xstrdup("relay \"x\" failed");
    s->config_id = xstrdup("abc");
    s->rollout_id = 7000000000;
    memory_add_flight(s, &(Flight){ .relay = "one", .previous = text, .before = "/usr/lib/libx.so" });
    memory_add_flight(s, &(Flight){ .relay = "two", .canary = true });
    memory_add_flight(s, &(Flight){ .relay = "one",
                                    .unit = "tor@one.service",
                                    .previous = text,
                                    .allocator = "mimalloc",
                                    .build = "1:2:3" });
    assert_true(memory_set_waiting(s, "four", true) && memory_set_waiting(s, "five", true));
    assert_false(memory_set_waiting(s, "five", true));
    assert_true(memory_set_waiting(s, "four", false));
    assert_true(memory_want_restart(s, "one", "aa") && memory_want_restart(s, "one", "bb"));
    assert_true(memory_want_restart(s, "two", "bb") && !memory_want_restart(s, "two", "bb"));
    assert_true(memory_want_restart(s, "three", "cc"));
    assert_true(memory_end_restart(s, "two") && !memory_end_restart(s, "two"));
    memory_add_refusal(s, "one", "mimalloc", "1:2:3", "it crashed", false);
    memory_add_refusal(s, "one", "mimalloc", "1:2:3", "again", false);
    memory_add_refusal(s, "one", "", "", "it still runs it", false); /* one that was to lose our drop-in */
    memory_add_refusal(s, "two", "", "", NULL, false);
    memory_add_refusal(s, "three", "mimalloc", "1:2:3", "its sandbox",
                       true); /* looked at again, so not saved */
    memory_remove_refusal(s, "two", "", "");
    memory_remove_refusal(s, "three", "", "");
    memory_add_revert(s, "three", "A", "mimalloc");
    memory_add_cause(s, "one", "mimalloc", "1:2:3");
    memory_add_cause(s, "one", "mimalloc", "1:2:3");
    for (unsigned i = 0; i < 70; i++) { /* the oldest of many are forgotten */
        _cleanup_(freep) char *recipe = xasprintf("%x", i);
        assert_true(memory_set_proved(s, recipe));
        assert_false(memory_set_proved(s, recipe));
    }
    assert_true(memory_metrics(s, "/x/a.prom") && memory_metrics(s, "/x/b.prom"));
    assert_false(memory_metrics(s, "/x/b.prom"));
    assert_true(memory_started_for(s, "/x/units") && !memory_started_for(s, "/x/units"));
    assert_int_equal(state_file_save(dir, s), 0);
    assert_int_equal(s->n_refusals, 3);
    memory_clear_untouched(s);
    assert_int_equal(s->n_refusals, 2);
    assert_null(memory_find_refusal(s, "three", "mimalloc", "1:2:3"));

    assert_int_equal(state_file_load(dir, &t), 0);
    assert_int_equal(t->hold, HOLD_HALTED);
    assert_true(t->paused);
    assert_string_equal(t->hold_reason, s->hold_reason);
    assert_string_equal(t->config_id, "abc");
    assert_string_equal(t->metrics, "/x/b.prom");
    assert_string_equal(t->started_for, "/x/units");
    assert_true(t->rollout_id == 7000000000);
    assert_int_equal(t->n_flights, 2);
    assert_string_equal(memory_find_flight(t, "one")->unit, "tor@one.service");
    assert_null(memory_find_flight(t, "two")->unit);
    assert_string_equal(memory_find_flight(t, "one")->previous, text);
    assert_null(memory_find_flight(t, "one")->before);
    assert_null(memory_find_flight(t, "two")->previous);
    assert_string_equal(memory_find_flight(t, "one")->allocator, "mimalloc");
    assert_string_equal(memory_find_flight(t, "one")->build, "1:2:3");
    assert_null(memory_find_flight(t, "two")->allocator); /* by a version that did not say */
    /* What an earlier run of the daemon left is told from what this one begins. */
    assert_true(memory_find_flight(t, "one")->left && memory_find_flight(t, "two")->left);
    assert_false(memory_find_flight(s, "one")->left);
    assert_int_equal(t->n_refusals, 2);
    assert_string_equal(memory_find_refusal(t, "one", "", "")->reason, "it still runs it");
    assert_null(memory_find_refusal(t, "two", "", ""));
    assert_string_equal(memory_find_refusal(t, "one", "mimalloc", "1:2:3")->reason, "it crashed");
    assert_null(memory_find_refusal(t, "one", "mimalloc", "1:2:4"));
    assert_string_equal(memory_find_revert(t, "three")->group, "A");
    assert_string_equal(memory_find_revert(t, "three")->allocator, "mimalloc");
    assert_int_equal(t->n_causes, 1);
    assert_string_equal(t->reviewed_id, "abc"); /* as of a file that did not say */
    assert_true(memory_restart_wanted(t, "one", "bb") && !memory_restart_wanted(t, "one", "aa"));
    assert_true(memory_restart_wanted(t, "three", "cc") && strv_length(t->restarts) == 2);
    assert_true(strv_length(t->waiting) == 1 && strv_contains(t->waiting, "five"));
    assert_int_equal(strv_length(t->proved), 64);
    assert_true(strv_contains(t->proved, "45") && !strv_contains(t->proved, "5"));
    assert_true(memory_find_flight(t, "two")->canary && !memory_find_flight(t, "one")->canary);
    memory_remove_flight(t, "one");
    assert_null(memory_find_flight(t, "one"));
    assert_non_null(memory_find_flight(t, "two"));
}

/* An earlier version held for one reason at a time. */
static void test_paused_by_an_earlier_version(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = NULL;
    _cleanup_(freep) char *file = xasprintf("%s/state", dir);
    _cleanup_(fclosep) FILE *f = fopen(file, "w");

    fputs("hold = \"paused\";\nconfig_id = \"abc\";\nreverted = [ \"one\" ];\n", f);
    fflush(f);
    assert_int_equal(state_file_load(dir, &s), 0);
    assert_true(s->paused);
    assert_int_equal(s->hold, HOLD_NONE);
    assert_null(memory_find_revert(s, "one")->group);
}

static void test_damaged(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = NULL;
    _cleanup_(freep) char *file = xasprintf("%s/state", dir);
    _cleanup_(fclosep) FILE *f = fopen(file, "w");

    fputs("hold = \"hal", f);
    fflush(f);
    assert_int_equal(state_file_load(dir, &s), -EBADMSG);
    assert_non_null(s); /* an empty one: the daemon starts all the same */
    assert_int_equal(s->n_flights, 0);
}

static void test_no_folder(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = xcalloc(1, sizeof(*s));
    assert_int_equal(state_file_save("/nonexistent/relayalloc", s), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none_yet),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_paused_by_an_earlier_version),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_no_folder),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
