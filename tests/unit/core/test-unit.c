/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/unit.h"

#include "test.h"

static void test_starting(void **state)
{
    (void)state;
    static const struct {
        UnitInfo info;
        bool starting, failed, up, stopped;
    } rows[] = {
        { { .active = ACTIVE_ACTIVATING, .sub_state = "start", .job = 1 }, .starting = true },
        { { .active = ACTIVE_ACTIVATING, .sub_state = "auto-restart" }, .failed = true },
        { { .active = ACTIVE_INACTIVE, .sub_state = "dead", .result = "success", .job = 1 },
          .starting = true },
        { { .active = ACTIVE_INACTIVE, .sub_state = "dead", .result = "success" }, .stopped = true },
        { { .active = ACTIVE_DEACTIVATING, .sub_state = "stop-sigterm", .job = 1 }, .stopped = true },
        { { .active = ACTIVE_FAILED, .sub_state = "failed", .job = 1 }, .failed = true },
        { { .active = ACTIVE_ACTIVE, .sub_state = "running", .main_pid = 1, .job = 1 }, .up = true },
        { { .active = ACTIVE_ACTIVE, .sub_state = "running" }, .up = false }, /* it serves nobody */
        { { .active = ACTIVE_RELOADING, .sub_state = "reload", .main_pid = 1 }, .up = true },
        { { .active = ACTIVE_RELOADING, .sub_state = "reload" }, .failed = true },
        { { .active = ACTIVE_INACTIVE, .sub_state = "dead", .result = "exec-condition" }, .stopped = false },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        assert_int_equal(unit_starting(&rows[i].info), rows[i].starting);
        assert_int_equal(unit_failed(&rows[i].info), rows[i].failed);
        assert_int_equal(unit_up(&rows[i].info), rows[i].up);
        assert_int_equal(unit_stopped(&rows[i].info), rows[i].stopped);
    }
    assert_false(unit_starting(NULL));
}

static void test_times(void **state)
{
    const UnitInfo never = { 0 };
    const UnitInfo info = {
        .inactive_exit = 10, .active_enter = 25, .active_exit = 40, .inactive_enter = 43
    };
    const UnitInfo starting = {
        .inactive_exit = 50, .active_enter = 25, .active_exit = 40, .inactive_enter = 43
    };

    (void)state;
    assert_int_equal(unit_start_took(&never), 0);
    assert_int_equal(unit_start_took(&info), 15);
    assert_int_equal(unit_stop_took(&info), 3);
    assert_int_equal(unit_start_took(&starting), 0); /* it became active the time before */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starting),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
