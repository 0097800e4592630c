/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/unit.h"

#include "test.h"

#include <signal.h>

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
        { { .active = ACTIVE_INACTIVE, .sub_state = "dead", .result = "signal" }, .stopped = true },
        { { .active = ACTIVE_INACTIVE, .sub_state = "dead", .result = "signal", .job = 1 },
          .starting = true },
        { { .active = ACTIVE_DEACTIVATING, .sub_state = "stop-sigterm", .job = 1 }, .stopped = true },
        { { .active = ACTIVE_FAILED, .sub_state = "failed", .job = 1 }, .failed = true },
        { { .active = ACTIVE_ACTIVE, .sub_state = "running", .main_pid = 1, .job = 1 }, .up = true },
        { { .active = ACTIVE_ACTIVE, .sub_state = "running" }, .up = false }, /* it serves nobody */
        { { .active = ACTIVE_RELOADING, .sub_state = "reload", .main_pid = 1 }, .up = true },
        { { .active = ACTIVE_RELOADING, .sub_state = "reload" }, .failed = true },
        { { .active = ACTIVE_INACTIVE, .sub_state = "dead", .result = "exec-condition" }, .stopped = false },
        { { .active = ACTIVE_FAILED, .result = "signal", .kill_signal = SIGINT, .pre_start_signal = SIGINT },
          .failed = true,
          .stopped = true },
        { { .active = ACTIVE_FAILED, .result = "signal", .kill_signal = SIGINT, .pre_start_signal = SIGSEGV },
          .failed = true },
        { { .active = ACTIVE_FAILED, .result = "timeout", .kill_signal = SIGINT, .pre_start_signal = SIGINT },
          .failed = true },
        { { .active = ACTIVE_FAILED, .result = "signal", .kill_signal = SIGINT }, .failed = true },
        { { .active = ACTIVE_FAILED,
            .result = "timeout",
            .inactive_exit = 5,
            .active_enter = 7,
            .active_exit = 9 },
          .failed = true,
          .stopped = true },
        { { .active = ACTIVE_FAILED,
            .result = "timeout",
            .inactive_exit = 10,
            .active_enter = 7,
            .active_exit = 9 },
          .failed = true }, /* its next start */
        { { .active = ACTIVE_FAILED, .result = "timeout", .inactive_exit = 10 }, .failed = true },
        { { .active = ACTIVE_FAILED,
            .result = "signal",
            .inactive_exit = 5,
            .active_enter = 7,
            .active_exit = 9 },
          .failed = true },
        { { .active = ACTIVE_FAILED,
            .result = "signal",
            .inactive_exit = 5,
            .active_enter = 7,
            .active_exit = 9,
            .main_exit = 10,
            .inactive_enter = 11,
            .state_change = 11 },
          .failed = true,
          .stopped = true }, /* it crashed while it stopped */
        { { .active = ACTIVE_FAILED,
            .result = "signal",
            .inactive_exit = 5,
            .active_enter = 7,
            .active_exit = 9,
            .main_exit = 8,
            .inactive_enter = 11,
            .state_change = 11 },
          .failed = true }, /* it crashed, and stopped */
        { { .active = ACTIVE_FAILED,
            .result = "signal",
            .inactive_exit = 12,
            .active_enter = 7,
            .active_exit = 9,
            .main_exit = 13,
            .inactive_enter = 14,
            .state_change = 14 },
          .failed = true }, /* it crashed before it was ready once more */
        { { .active = ACTIVE_FAILED,
            .result = "watchdog",
            .inactive_exit = 5,
            .active_enter = 7,
            .active_exit = 9,
            .main_exit = 10,
            .inactive_enter = 11,
            .state_change = 11 },
          .failed = true },
        { { .active = ACTIVE_FAILED,
            .result = "signal",
            .inactive_exit = 5,
            .active_enter = 7,
            .active_exit = 9,
            .main_exit = 10,
            .inactive_enter = 11,
            .state_change = 12 },
          .failed = true }, /* it crashed while it was restarted, and the start was refused */
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        assert_int_equal(unit_starting(&rows[i].info), rows[i].starting);
        assert_int_equal(unit_failed(&rows[i].info), rows[i].failed);
        assert_int_equal(unit_up(&rows[i].info), rows[i].up);
        assert_int_equal(unit_stopped(&rows[i].info), rows[i].stopped);
    }
    assert_false(unit_starting(NULL));
}

static void test_kept_down(void **state)
{
    (void)state;
    UnitInfo info = { .active = ACTIVE_INACTIVE, .result = "success", .unmet = true, .active_enter = 5 };

    assert_true(unit_kept_down(&info));
    info.active_enter = 0; /* since the host was started it has not been up */
    assert_false(unit_kept_down(&info));
    info = (UnitInfo){ .active = ACTIVE_INACTIVE, .result = "success", .active_enter = 5 }; /* a stop */
    assert_false(unit_kept_down(&info));
}

static void test_failure_forgotten(void **state)
{
    (void)state;
    UnitInfo info = {
        .active = ACTIVE_INACTIVE, .result = "success", .inactive_enter = 5, .state_change = 6
    };

    assert_true(unit_failure_forgotten(&info));
    info.state_change = 5; /* a stop */
    assert_false(unit_failure_forgotten(&info));
    info.inactive_enter = 0; /* it never ran */
    assert_false(unit_failure_forgotten(&info));
    info = (UnitInfo){ .active = ACTIVE_FAILED, .result = "signal", .inactive_enter = 5, .state_change = 6 };
    assert_false(unit_failure_forgotten(&info));
    info = (UnitInfo){ .active = ACTIVE_INACTIVE,
                       .result = "success",
                       .active_enter = 2,
                       .active_exit = 3,
                       .main_exit = 4,
                       .inactive_enter = 5,
                       .state_change = 6 }; /* one that crashed, and that was forgotten */
    assert_false(unit_failure_forgotten(&info));
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
    const UnitInfo up = { .active = ACTIVE_ACTIVE, .inactive_exit = 10, .active_enter = 25 };

    assert_int_equal(unit_active_for(&up, 60), 35);
    assert_int_equal(unit_active_for(&up, 20), 0); /* read before */
    assert_int_equal(unit_active_for(&never, 60), 0);
    assert_int_equal(unit_active_for(&starting, 60), 0);
}

static void assert_unit(const char *cgroup, const char *unit)
{
    _cleanup_(freep) char *found = unit_of_cgroup(cgroup);

    if (unit)
        assert_string_equal(found, unit);
    else
        assert_null(found);
}

static void test_of_cgroup(void **state)
{
    (void)state;
    assert_unit("0::/system.slice/system-tor.slice/tor@a.service\n", "tor@a.service");
    assert_unit("0::/system.slice/cron.service", "cron.service");
    /* cgroup v1, and both at once */
    assert_unit("9:cpu,cpuacct:/x.service\n1:name=systemd:/system.slice/tor@b.service\n", "tor@b.service");
    assert_unit("1:name=systemd:/system.slice/tor@b.service\n0::/\n", "tor@b.service");
    assert_unit("0::/system.slice/tor@c.service/payload\n", "tor@c.service");
    /* as a container is seen by its host */
    assert_unit("0::/machine.slice/m.scope/system.slice/tor@d.service\n", "tor@d.service");
    assert_unit("0::/user.slice/user-0.slice/session-1.scope\n", NULL);
    assert_unit("0::/\n1:name=systemd:/\n", NULL);
    assert_unit("3:memory:/system.slice/tor@a.service\n", NULL);
    assert_unit("0::/.service\nnonsense\n\n:", NULL);
    assert_unit("", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starting),          cmocka_unit_test(test_kept_down),
        cmocka_unit_test(test_failure_forgotten), cmocka_unit_test(test_times),
        cmocka_unit_test(test_of_cgroup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
