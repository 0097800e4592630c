/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/plan.h"
#include "core/state.h"

static Verdict verdict(Cause cause)
{
    return (Verdict){ .cause = cause, .reason = cause == CAUSE_NONE ? NULL : (char *)"because" };
}

typedef struct Case {
    const char *what;
    size_t group;
    const char *refusal, *wanted, *present;
    bool up;
    Cause cause;
    bool carries_ours;
    Action expected;
} Case;

static const Case cases[] = {
    { "as it should be", 0, NULL, "T", "T", true, CAUSE_NONE, false, ACTION_NONE },
    { "runs it, file missing", 0, NULL, "T", NULL, true, CAUSE_NONE, false, ACTION_WRITE },
    { "runs it, file out of date", 0, NULL, "T", "U", true, CAUSE_NONE, false, ACTION_WRITE },
    { "runs something else", 0, NULL, "T", NULL, true, CAUSE_NOT_RESTARTED, false, ACTION_RESTART },
    { "file written, restart outstanding", 0, NULL, "T", "T", true, CAUSE_NOT_RESTARTED, false,
      ACTION_RESTART },
    { "overridden before our file stands", 0, NULL, "T", NULL, true, CAUSE_OVERRIDDEN, false,
      ACTION_REFUSED },
    { "overridden, our file is out of date", 0, NULL, "T", "old", true, CAUSE_OVERRIDDEN, false,
      ACTION_REFUSED },
    { "overridden, stopped", 0, NULL, "T", NULL, false, CAUSE_OVERRIDDEN, false, ACTION_WRITE },
    { "overridden in spite of our file", 0, NULL, "T", "T", true, CAUSE_OVERRIDDEN, false, ACTION_NONE },
    { "what we set is ignored", 0, NULL, "T", NULL, true, CAUSE_SECURE, false, ACTION_REFUSED },
    { "what we set is ignored, our file stands", 0, NULL, "T", "T", true, CAUSE_SECURE, false, ACTION_NONE },
    { "library replaced on disk", 0, NULL, "T", "T", true, CAUSE_REPLACED, false, ACTION_NONE },
    { "nothing proved", 0, NULL, "T", "T", true, CAUSE_UNREADABLE, false, ACTION_NONE },
    { "nothing proved, file out of date", 0, NULL, "T", "U", true, CAUSE_UNREADABLE, false, ACTION_NONE },
    { "nothing proved, file missing", 0, NULL, "T", NULL, true, CAUSE_UNREADABLE, false, ACTION_NONE },
    { "denied: one try, the failure is remembered", 0, NULL, "T", "T", true, CAUSE_DENIED, false,
      ACTION_RESTART },
    { "library gone", 0, NULL, "T", NULL, true, CAUSE_MISSING, false, ACTION_WRITE },
    { "library became unsafe", 0, "bad", "T", "T", true, CAUSE_REFUSED, false, ACTION_NONE },
    { "library unsafe, not loaded yet", 0, "bad", "T", NULL, true, CAUSE_REFUSED, false, ACTION_REFUSED },
    { "library gone, file stands", 0, NULL, "T", "T", true, CAUSE_MISSING, false, ACTION_NONE },
    { "unexplained in spite of our file", 0, NULL, "T", "T", true, CAUSE_UNKNOWN, false, ACTION_NONE },
    { "stopped", 0, NULL, "T", NULL, false, CAUSE_NONE, false, ACTION_WRITE },
    { "stopped, file stands", 0, NULL, "T", "T", false, CAUSE_NONE, false, ACTION_NONE },
    { "library refused", 0, "bad", "T", NULL, true, CAUSE_NOT_RESTARTED, false, ACTION_REFUSED },
    { "library refused, stopped", 0, "bad", "T", NULL, false, CAUSE_NONE, false, ACTION_REFUSED },
    { "refused, but nothing to do", 0, "bad", "T", "T", true, CAUSE_NONE, false, ACTION_NONE },
    { "observed", GROUP_NONE, NULL, NULL, NULL, true, CAUSE_NONE, false, ACTION_NONE },
    { "observed and stopped", GROUP_NONE, NULL, NULL, NULL, false, CAUSE_NONE, false, ACTION_NONE },
    { "left its group, runs ours", GROUP_NONE, NULL, NULL, "T", true, CAUSE_NONE, true, ACTION_RESTART },
    { "left its group, file gone, runs ours", GROUP_NONE, NULL, NULL, NULL, true, CAUSE_NONE, true,
      ACTION_RESTART },
    { "left its group, never restarted", GROUP_NONE, NULL, NULL, "T", true, CAUSE_NONE, false,
      ACTION_REMOVE },
    { "left its group, stopped", GROUP_NONE, NULL, NULL, "T", false, CAUSE_NONE, false, ACTION_REMOVE },
};

static void test_each_case(void **state)
{
    (void)state;
    for (size_t c = 0; c < ELEMENTSOF(cases); c++) {
        Verdict v = verdict(cases[c].cause);
        PlanRelay r = {
            .name = "r",
            .group = cases[c].group,
            .allocator = cases[c].group == GROUP_NONE ? NULL : "mimalloc",
            .refusal = cases[c].refusal,
            .wanted = cases[c].wanted,
            .present = cases[c].present,
            .up = cases[c].up,
            .verdict = cases[c].group != GROUP_NONE && cases[c].up ? &v : NULL,
            .carries_ours = cases[c].carries_ours,
        };
        _cleanup_(freep) char *reason = NULL;
        Action a = plan_relay(&r, &reason);

        print_message("%s: %s (%s)\n", cases[c].what, action_to_string(a), reason ? reason : "-");
        assert_int_equal(a, cases[c].expected);
        assert_true((a == ACTION_NONE) == (reason == NULL));
        if (a == ACTION_REFUSED)
            assert_string_equal(reason, cases[c].refusal ? "bad" : "because");
        if (a == ACTION_RESTART && cases[c].group != GROUP_NONE)
            assert_string_equal(reason, "because");
    }
}

/* One that keeps what it runs without our drop-in is told so. */
static void test_no_restart_is_needed(void **state)
{
    const PlanRelay r = { .name = "r", .group = GROUP_NONE, .present = "T", .up = true, .keeps = true };
    _cleanup_(freep) char *reason = NULL;

    (void)state;
    assert_int_equal(plan_relay(&r, &reason), ACTION_REMOVE);
    assert_string_equal(
        reason, "no group takes it any more; it runs what its own settings say, so no restart is needed");
}

/* An operator requested a restart: of one that needs nothing, or only a file; not of one that must not be. */
static void test_restart_that_is_wanted(void **state)
{
    Verdict fine = verdict(CAUSE_NONE), differs = verdict(CAUSE_NOT_RESTARTED);
    const struct {
        PlanRelay relay;
        Action expected;
        const char *reason;
    } wanted[] = {
        { { .wanted = "T", .present = "T", .verdict = &fine },
          ACTION_RESTART,
          "an operator requested a restart" },
        { { .wanted = "T", .present = "U", .verdict = &fine },
          ACTION_RESTART,
          "an operator requested a restart" },
        { { .wanted = "T", .present = "T", .verdict = &differs }, ACTION_RESTART, "because" },
        { { .wanted = "T", .present = "T", .verdict = &fine, .refusal = "bad" }, ACTION_REFUSED, "bad" },
        { { .wanted = "T", .present = "T", .verdict = &fine, .no_restart = "torrc" },
          ACTION_REFUSED,
          "torrc" },
        { { .group = GROUP_NONE }, ACTION_RESTART, "an operator requested a restart" },
        { { .group = GROUP_NONE, .present = "T" }, ACTION_RESTART, "an operator requested a restart" },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(wanted); i++) {
        PlanRelay r = wanted[i].relay;
        _cleanup_(freep) char *reason = NULL;
        r.name = "r";
        r.up = r.restart_wanted = true;
        assert_int_equal(plan_relay(&r, &reason), wanted[i].expected);
        assert_string_equal(reason, wanted[i].reason);
    }
}

static void test_order_and_waves(void **state)
{
    (void)state;
    Verdict differs = verdict(CAUSE_NOT_RESTARTED), fine = verdict(CAUSE_NONE);
    PlanRelay relays[] = {
        { .name = "z",
          .group = 1,
          .allocator = "b",
          .allocator_index = 1,
          .wanted = "T",
          .up = true,
          .verdict = &differs },
        { .name = "b", .group = 0, .allocator = "a", .wanted = "T", .up = true, .verdict = &differs },
        { .name = "a", .group = 0, .allocator = "a", .wanted = "T", .up = true, .verdict = &differs },
        { .name = "n",
          .group = 0,
          .allocator = "a",
          .wanted = "T",
          .present = "T",
          .up = true,
          .verdict = &fine },
        { .name = "o", .group = GROUP_NONE, .present = "T", .up = false },
        { .name = "x",
          .group = 0,
          .allocator = "a",
          .wanted = "T",
          .up = true,
          .verdict = &differs,
          .refusal = "no" },
    };
    RolloutPolicy policy = { .parallel = 1, .canary = 1, .max_failed = 1, .put_back = true };
    _cleanup_(plan_freep) Plan *plan = plan_new(relays, ELEMENTSOF(relays), &policy);
    static const struct {
        const char *name;
        Action action;
        size_t wave;
    } expected[] = {
        { "a", ACTION_RESTART, 1 }, { "b", ACTION_RESTART, 3 }, { "x", ACTION_REFUSED, 0 },
        { "z", ACTION_RESTART, 2 }, { "o", ACTION_REMOVE, 4 },
    };

    assert_int_equal(plan->n, ELEMENTSOF(expected));
    for (size_t i = 0; i < plan->n; i++) {
        assert_string_equal(relays[plan->items[i].relay].name, expected[i].name);
        assert_int_equal(plan->items[i].action, expected[i].action);
        assert_int_equal(plan->items[i].wave, expected[i].wave);
    }
}

/* A stopped relay gets what nobody has proved yet behind those that are going to prove it, or not at all. */
static void test_stopped_relay_waits_for_proof(void **state)
{
    (void)state;
    Verdict differs = verdict(CAUSE_NOT_RESTARTED);
    PlanRelay relays[] = {
        { .name = "s", .allocator = "a", .wanted = "T", .present = "U", .unproved = true },
        { .name = "u", .allocator = "a", .wanted = "T", .up = true, .verdict = &differs },
    };
    const RolloutPolicy policy = { .parallel = 1, .max_failed = 1, .put_back = true };
    _cleanup_(plan_freep) Plan *both = plan_new(relays, 2, &policy), *alone = plan_new(relays, 1, &policy);
    RolloutItem items[2];
    size_t index[2];

    assert_int_equal(alone->n, 0);
    assert_int_equal(both->n, 2);
    assert_int_equal(both->items[0].action, ACTION_WRITE);
    assert_int_equal(both->items[0].wave, 2);
    assert_int_equal(both->items[1].wave, 1);
    assert_int_equal(plan_rollout_items(both, relays, items, index), 2);
    assert_true(items[0].unproved && !items[1].unproved);
    relays[1].refusal = "failed before"; /* so nobody is going to prove it */
    _cleanup_(plan_freep) Plan *refused = plan_new(relays, 2, &policy);
    assert_int_equal(refused->n, 1);
    assert_int_equal(refused->items[0].action, ACTION_REFUSED);
    relays[0].unproved = false;
    _cleanup_(plan_freep) Plan *proved = plan_new(relays, 1, &policy);
    assert_int_equal(proved->n, 1);
}

static void test_state_words(void **state)
{
    (void)state;
    static const struct {
        StateFacts f;
        const char *word;
        bool fine;
    } rows[] = {
        { { .assigned = true, .up = true }, "ok", true },
        { { .assigned = true, .up = true, .action = ACTION_RESTART, .cause = CAUSE_NOT_RESTARTED },
          "pending",
          false },
        { { .assigned = true, .up = true, .under_way = true, .step = STEP_WAITING }, "pending", false },
        /* Its turn is still to come: how it stands has nothing to do with the rollout. */
        { { .assigned = true, .down = true, .under_way = true, .step = STEP_WAITING }, "down", false },
        { { .assigned = true, .under_way = true, .step = STEP_WAITING, .action = ACTION_WRITE },
          "stopped",
          true },
        { { .assigned = true, .down = true, .under_way = true, .step = STEP_RESTARTING },
          "restarting",
          false },
        { { .assigned = true, .up = false, .under_way = true, .step = STEP_RESTARTING },
          "restarting",
          false },
        { { .assigned = true, .up = true, .under_way = true, .step = STEP_BACK_VERIFYING },
          "restarting",
          false },
        { { .assigned = true, .up = true, .under_way = true, .step = STEP_SETTLING }, "settling", true },
        { { .assigned = true, .up = true, .under_way = true, .step = STEP_BOOTSTRAPPING }, "settling", true },
        { { .assigned = true, .up = true, .remembered_failure = true, .cause = CAUSE_NOT_RESTARTED },
          "failed",
          false },
        { { .assigned = true, .up = false, .remembered_failure = true }, "failed", false },
        { { .assigned = true, .up = true, .cause = CAUSE_OVERRIDDEN }, "drifted", false },
        /* Others have just restarted it, or are about to: nothing is proved yet. */
        { { .assigned = true, .up = true, .too_new = true, .cause = CAUSE_UNREADABLE }, "restarting", false },
        { { .assigned = true,
            .up = true,
            .too_new = true,
            .action = ACTION_REFUSED,
            .cause = CAUSE_UNREADABLE },
          "restarting",
          false },
        { { .assigned = true, .starting = true }, "restarting", false },
        { { .assigned = true, .starting = true, .remembered_failure = true }, "failed", false },
        { { .assigned = true, .up = true, .action = ACTION_REFUSED, .cause = CAUSE_MISSING },
          "drifted",
          false },
        /* For want of descriptors or memory: it is tried again. */
        { { .assigned = true,
            .up = true,
            .untested = true,
            .action = ACTION_REFUSED,
            .cause = CAUSE_UNREADABLE },
          "pending",
          false },
        { { .assigned = true, .up = true, .untested = true, .cause = CAUSE_UNREADABLE }, "pending", false },
        { { .assigned = true, .up = true, .untested = true }, "ok", true },
        /* Refused before it was ever moved: it has drifted from nothing. */
        { { .assigned = true,
            .up = true,
            .never_moved = true,
            .action = ACTION_REFUSED,
            .cause = CAUSE_NOT_RESTARTED },
          "pending",
          false },
        /* Nothing can be done with its file, and nothing need be: it runs what it should. */
        { { .assigned = true, .up = true, .action = ACTION_REFUSED }, "ok", true },
        /* It has our drop-in, or runs with it, and nothing can be done about that. */
        { { .assigned = false, .up = true, .action = ACTION_REFUSED }, "drifted", false },
        { { .assigned = true, .up = false }, "stopped", true },
        { { .assigned = false, .up = true }, "observed", true },
        { { .assigned = false, .up = true, .action = ACTION_RESTART }, "pending", false },
        { { .assigned = true, .up = true, .under_way = true, .step = STEP_DONE }, "ok", true },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        RelayState s = relay_state(&rows[i].f);
        assert_string_equal(relay_state_to_string(s), rows[i].word);
        assert_int_equal(relay_state_fine(s), rows[i].fine);
        assert_int_equal(relay_state_from_string(rows[i].word), s);
    }
    assert_int_equal(relay_state_from_string("fine"), _RELAY_STATE_INVALID);
}

static void test_summary_of_states(void **state)
{
    (void)state;
    const size_t some[_RELAY_STATE_MAX] = { [RELAY_OK] = 7, [RELAY_STOPPED] = 1, [RELAY_DRIFTED] = 1 };
    const size_t one[_RELAY_STATE_MAX] = { [RELAY_OBSERVED] = 1 };
    const size_t none[_RELAY_STATE_MAX] = { 0 };
    _cleanup_(freep) char *a = relay_states_summary(9, "", some),
                          *b = relay_states_summary(1, " listed", one),
                          *c = relay_states_summary(0, "", none);

    assert_string_equal(a, "9 relays: 7 ok, 1 drifted, 1 stopped");
    assert_string_equal(b, "1 relay listed: 1 observed");
    assert_string_equal(c, "0 relays");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_case),
        cmocka_unit_test(test_no_restart_is_needed),
        cmocka_unit_test(test_restart_that_is_wanted),
        cmocka_unit_test(test_order_and_waves),
        cmocka_unit_test(test_stopped_relay_waits_for_proof),
        cmocka_unit_test(test_state_words),
        cmocka_unit_test(test_summary_of_states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
