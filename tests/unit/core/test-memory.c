/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/memory.h"

#define FILE_A "aaaa-1111"
#define FILE_A_UPGRADED "aaaa-2222"
#define FILE_B "bbbb-1111"

static State *halted(void)
{
    State *s = xcalloc(1, sizeof(*s));
    const Assignment assigned[] = { { "one", "A", "mimalloc", "1:1" }, { "two", "A", "mimalloc", "1:1" } };

    (void)memory_adopt(s, FILE_A);
    (void)memory_review(s, FILE_A, assigned, ELEMENTSOF(assigned));
    memory_add_refusal(s, "one", "mimalloc", "1:1", "it crashed", false);
    memory_hold(s, HOLD_HALTED, "one: it crashed");
    memory_add_cause(s, "one", "mimalloc", "1:1");
    return s;
}

/* What the file gives to relay "one" after a change of it, or of a library. */
static void test_what_ends_a_halt(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        Assignment one;
        bool ends, forgotten;
    } rows[] = {
        { FILE_A, { "one", "A", "mimalloc", "1:1" }, false, false }, /* saved again as it was */
        { FILE_B, { "one", "A", "mimalloc", "1:1" }, false, false }, /* a comment */
        { FILE_B, { "one", "B", "mimalloc", "1:1" }, false, false }, /* the same in a group of another name */
        { FILE_B, { "gone", "A", "mimalloc", "1:1" }, false, false },
        { FILE_B, { "one", "A", "jemalloc", "1:2" }, true, true },
        { FILE_B, { "one", "A", "mimalloc", "1:1+env" }, true, true }, /* with other settings */
        { FILE_B, { "one", "", "", "" }, true, true },
        { FILE_A_UPGRADED, { "one", "A", "mimalloc", "1:1" }, false, false }, /* another library */
        { FILE_A_UPGRADED, { "one", "A", "mimalloc", "9:9" }, true, false },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(memory_freep) State *s = halted();
        const Assignment assigned[] = { rows[i].one, { "two", "A", "mimalloc", "1:1" } };

        (void)memory_adopt(s, rows[i].id);
        const Review r = memory_review(s, rows[i].id, assigned, ELEMENTSOF(assigned));
        assert_int_equal(r.halt_ended, rows[i].ends);
        assert_int_equal(s->hold, rows[i].ends ? HOLD_NONE : HOLD_HALTED);
        assert_int_equal(s->n_causes, rows[i].ends ? 0 : 1);
        assert_int_equal(memory_find_refusal(s, "one", "mimalloc", "1:1") == NULL, rows[i].forgotten);
    }
}

/* As long as anything of what failed is still to be had. */
static void test_halt_of_two(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = halted();
    Assignment assigned[] = { { "one", "A", "jemalloc", "1:2" }, { "two", "A", "mimalloc", "1:1" } };

    memory_add_cause(s, "two", "mimalloc", "1:1");
    assert_false(memory_review(s, FILE_B, assigned, 2).halt_ended);
    assigned[1] = assigned[0];
    assigned[1].relay = "two";
    assert_true(memory_review(s, "cccc-1111", assigned, 2).halt_ended);
}

/* A version that did not say what failed. */
static void test_halt_of_an_earlier_version(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = xcalloc(1, sizeof(*s));
    const Assignment assigned[] = { { "one", "A", "mimalloc", "1:1" } };

    s->reviewed_id = xstrdup(FILE_A);
    memory_hold(s, HOLD_HALTED, "one: it crashed");
    assert_false(memory_review(s, FILE_A, assigned, 1).halt_ended);
    assert_true(memory_review(s, FILE_B, assigned, 1).halt_ended);
}

static void test_what_ends_a_revert(void **state)
{
    (void)state;
    static const struct {
        const char *id;
        Assignment one;
        bool ends;
    } rows[] = {
        { FILE_A, { "one", "A", "mimalloc", "1:1" }, false },
        { FILE_B, { "one", "A", "mimalloc", "1:1" }, false },
        { FILE_B, { "gone", "A", "mimalloc", "1:1" }, false },
        { FILE_A_UPGRADED, { "one", "A", "mimalloc", "9:9" }, false },
        { FILE_B, { "one", "B", "mimalloc", "1:1" }, true },
        { FILE_B, { "one", "A", "jemalloc", "1:2" }, true },
        { FILE_B, { "one", "", "", "" }, true },
        { FILE_A, { "one", "B", "mimalloc", "1:1" }, false }, /* relays came or went */
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(memory_freep) State *s = halted();

        memory_add_revert(s, "one", "A", "mimalloc");
        const Review r = memory_review(s, rows[i].id, &rows[i].one, 1);
        assert_int_equal(r.regrouped, rows[i].ends);
        assert_int_equal(memory_find_revert(s, "one") == NULL, rows[i].ends);
    }
}

/* A draw without another file moves it; a comment later is no reason to take it back into a group. */
static void test_revert_and_relays_that_come(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = halted();
    const Assignment other = { "one", "B", "jemalloc", "1:2" };

    memory_add_revert(s, "one", "A", "mimalloc");
    assert_true(memory_review(s, FILE_A, &other, 1).changed);
    assert_false(memory_review(s, FILE_A, &other, 1).changed);
    assert_false(memory_review(s, FILE_B, &other, 1).regrouped);
    assert_string_equal(memory_find_revert(s, "one")->group, "B");
    assert_true(memory_remove_revert(s, "one"));
    assert_false(memory_remove_revert(s, "one"));
}

static void test_abort_lasts_until_the_file_changes(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = halted();

    s->paused = true;
    memory_hold(s, HOLD_ABORTED, NULL);
    assert_int_equal(s->n_causes, 0);
    assert_true(memory_adopt(s, FILE_A_UPGRADED));
    assert_int_equal(s->hold, HOLD_ABORTED);
    assert_true(memory_adopt(s, FILE_B));
    assert_int_equal(s->hold, HOLD_NONE);
    assert_true(s->paused);
}

static void test_failures_of_one_relay(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = halted();

    memory_add_refusal(s, "one", "jemalloc", "1:2", "it crashed", false);
    memory_add_refusal(s, "two", "jemalloc", "1:2", "it crashed", false);
    assert_true(memory_forget_failures(s, "one"));
    assert_false(memory_forget_failures(s, "one"));
    assert_int_equal(s->n_refusals, 1);
}

static void test_flights_go_by_the_template_in_force(void **state)
{
    (void)state;
    _cleanup_(memory_freep) State *s = xcalloc(1, sizeof(*s));

    memory_add_flight(s, &(Flight){ .relay = "a", .unit = "tor@a.service" });
    memory_add_flight(s, &(Flight){ .relay = "b" }); /* an earlier version did not say */
    memory_name_flights(s, "other@.service");
    assert_null(memory_find_flight(s, "a"));
    assert_non_null(memory_find_flight(s, "tor@a.service"));
    assert_non_null(memory_find_flight(s, "b"));
    memory_name_flights(s, "tor@.service");
    assert_non_null(memory_find_flight(s, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_ends_a_halt),
        cmocka_unit_test(test_halt_of_two),
        cmocka_unit_test(test_halt_of_an_earlier_version),
        cmocka_unit_test(test_what_ends_a_revert),
        cmocka_unit_test(test_revert_and_relays_that_come),
        cmocka_unit_test(test_abort_lasts_until_the_file_changes),
        cmocka_unit_test(test_failures_of_one_relay),
        cmocka_unit_test(test_flights_go_by_the_template_in_force),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
