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
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        assert_int_equal(unit_starting(&rows[i].info), rows[i].starting);
        assert_int_equal(unit_failed(&rows[i].info), rows[i].failed);
        assert_int_equal(unit_up(&rows[i].info), rows[i].up);
        assert_int_equal(unit_stopped(&rows[i].info), rows[i].stopped);
    }
    assert_false(unit_starting(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
