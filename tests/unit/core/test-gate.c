/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/gate.h"

#include <signal.h>

static UnitInfo oneshot(ActiveState active, const char *result)
{
    return (UnitInfo){
        .exists = true,
        .load_state = (char *)"loaded",
        .active = active,
        .type = (char *)"oneshot",
        .result = (char *)result,
        .invocation = "22",
    };
}

static void assert_words(char *take, const char *words)
{
    _cleanup_(freep) char *found = take;

    if (words)
        assert_string_equal(found, words);
    else
        assert_null(found);
}

#define NO_GATE "a gate is a service with Type=oneshot and without RemainAfterExit="

static void test_unfit(void **state)
{
    UnitInfo u = oneshot(ACTIVE_INACTIVE, "success");

    (void)state;
    assert_words(gate_unfit(&u), NULL);
    u.active = ACTIVE_FAILED;
    assert_words(gate_unfit(&u), NULL);
    u.active = ACTIVE_ACTIVATING; /* by somebody else: its end is waited for */
    assert_words(gate_unfit(&u), NULL);
    u.active = ACTIVE_ACTIVE;
    assert_words(gate_unfit(&u), "is active, so that it cannot be run");
    u.active = ACTIVE_INACTIVE;
    u.remain_after_exit = true; /* tor.service, which starts all relays */
    assert_words(gate_unfit(&u), "is not run: " NO_GATE);
    u.remain_after_exit = false;
    u.type = (char *)"notify"; /* a relay, by a typo */
    assert_words(gate_unfit(&u), "is not run: " NO_GATE);
    u.type = NULL;
    assert_words(gate_unfit(&u), "is not run: " NO_GATE);
    u.type = (char *)"oneshot";
    u.exists = false;
    u.load_state = (char *)"not-found";
    assert_words(gate_unfit(&u), "does not exist");
    u.load_state = (char *)"bad-setting";
    assert_words(gate_unfit(&u), "cannot be loaded by systemd (bad-setting)");
    u.load_state = (char *)"masked";
    u.exists = true;
    assert_words(gate_unfit(&u), "is masked");
}

static void test_open(void **state)
{
    UnitInfo u = oneshot(ACTIVE_INACTIVE, "success");

    (void)state;
    assert_words(gate_fault(JOB_DONE, "11", &u), NULL);
    assert_words(gate_fault(JOB_DONE, "", &u), NULL);
    assert_words(gate_fault(JOB_DONE, NULL, &u), NULL);
}

static void test_failed(void **state)
{
    UnitInfo u = oneshot(ACTIVE_FAILED, "exit-code");

    (void)state;
    u.exit_code = CLD_EXITED;
    u.exit_status = 1;
    assert_words(gate_fault(JOB_FAILED, "11", &u), "failed (exit status 1)");
    assert_words(gate_fault(JOB_DONE, "11", &u), "failed (exit status 1)"); /* its signal was lost */
    u = oneshot(ACTIVE_FAILED, "signal");
    u.exit_code = CLD_KILLED;
    u.exit_status = SIGSEGV;
    assert_words(gate_fault(JOB_FAILED, "11", &u), "was killed (signal SEGV)");
    u = oneshot(ACTIVE_FAILED, "timeout");
    assert_words(gate_fault(JOB_FAILED, "11", &u), "did not end in time");
    u = oneshot(ACTIVE_FAILED, "resources");
    assert_words(gate_fault(JOB_FAILED, "11", &u), "failed (resources)");
    u = oneshot(ACTIVE_INACTIVE, "success"); /* systemd has forgotten it */
    assert_words(gate_fault(JOB_FAILED, "11", &u), "failed");
}

static void test_no_consent(void **state)
{
    UnitInfo u = oneshot(ACTIVE_INACTIVE, "success");

    (void)state;
    assert_words(gate_fault(JOB_DONE, "22", &u), "was not run, because a condition of it is not met");
    assert_words(gate_fault(JOB_DEPENDENCY, "22", &u), "was not run, because a unit that it requires failed");
    assert_words(gate_fault(JOB_CANCELED, "11", &u), "was stopped before it ended");
    u = oneshot(ACTIVE_ACTIVE, "success");
    assert_words(gate_fault(JOB_DONE, "11", &u), "stays active: " NO_GATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unfit),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_no_consent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
