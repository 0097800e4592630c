/* SPDX-License-Identifier: BSD-3-Clause */
/* How long a rollout takes: by the rollout's own decisions, run with times. */
#include "test.h"

#include "core/forecast.h"

#define SECONDS(n) ((n)*USEC_PER_SEC)

static const RolloutPolicy one_by_one = {
    .parallel = 1, .max_failed = 1, .settle = SECONDS(30), .put_back = true
};

static usec_t length(RolloutPolicy policy, size_t n, usec_t each, ForecastTimes times)
{
    RolloutItem items[64] = { 0 };
    usec_t restart[64];

    for (size_t i = 0; i < n; i++) {
        items[i].restart = true;
        restart[i] = each;
    }
    times.restart = restart;
    return forecast_length(&policy, items, n, &times);
}

static void test_lengths(void **state)
{
    RolloutPolicy policy = one_by_one;

    (void)state;
    assert_int_equal(length(policy, 4, SECONDS(10), (ForecastTimes){ 0 }), SECONDS(160));
    assert_int_equal(
        length(policy, 4, SECONDS(10), (ForecastTimes){ .reload = SECONDS(1), .preflight = SECONDS(2) }),
        SECONDS(166)); /* one preflight, a reload for each */
    policy.parallel = 4;
    assert_int_equal(length(policy, 8, SECONDS(10), (ForecastTimes){ 0 }), SECONDS(80));
    policy.canary = 1;
    policy.canary_settle = SECONDS(100);
    assert_int_equal(length(policy, 9, SECONDS(10), (ForecastTimes){ 0 }), SECONDS(110 + 80));
    assert_int_equal(length(policy, 0, 0, (ForecastTimes){ 0 }), 0);
}

/* Waves begin within the window only: what does not fit in waits for the next day. */
static void test_window(void **state)
{
    ForecastTimes times = { .window = { .set = true, .from = 120, .to = 122 } };

    (void)state;
    times.since_midnight = SECONDS(60 * 60);
    assert_int_equal(length(one_by_one, 2, SECONDS(10), times), SECONDS(60 * 60 + 80));
    times.since_midnight = SECONDS(121 * 60);
    assert_int_equal(length(one_by_one, 3, SECONDS(10), times), SECONDS(24 * 60 * 60 - 60 + 40));
}

/* In the middle of it: what was asked for is answered in the rest of its time, and what settles settles on.
 */
static void test_left(void **state)
{
    RolloutItem items[2] = { { .restart = true }, { .restart = true } };
    usec_t restart[2] = { SECONDS(10), SECONDS(20) }, begun[2] = { 0 };
    const ForecastTimes times = { .restart = restart, .begun = begun };
    _cleanup_(rollout_freep) Rollout *r = rollout_new(&one_by_one, items, 2);
    RolloutNow now = { .monotonic = SECONDS(100), .window_open = true };
    RolloutCommand c = { .kind = NOTE_OVER };

    (void)state;
    rollout_event(r, &(RolloutEvent){ .kind = EVENT_TICK }, now);
    assert_int_equal(forecast_left(r, &times, now.monotonic), SECONDS(90));
    while (rollout_next(r, &c))
        if (c.kind == COMMAND_PREFLIGHT)
            break;
    rollout_event(r, &(RolloutEvent){ .kind = EVENT_PREFLIGHT, .item = c.item, .ok = true }, now);
    rollout_event(r, &(RolloutEvent){ .kind = EVENT_WRITTEN, .ok = true }, now);
    rollout_event(r, &(RolloutEvent){ .kind = EVENT_RELOADED, .ok = true }, now);
    rollout_event(r, &(RolloutEvent){ .kind = EVENT_CHECKED, .ok = true }, now);
    assert_int_equal(rollout_step(r, 0), STEP_RESTARTING);
    begun[0] = now.monotonic;
    now.monotonic += SECONDS(4);
    assert_int_equal(forecast_left(r, &times, now.monotonic), SECONDS(86));
    now.monotonic += SECONDS(60); /* longer than it ever took: any moment now */
    assert_int_equal(forecast_left(r, &times, now.monotonic), SECONDS(80));
    rollout_event(r, &(RolloutEvent){ .kind = EVENT_JOB, .job = JOB_DONE }, now);
    rollout_event(r, &(RolloutEvent){ .kind = EVENT_VERIFIED, .proof = PROOF_OK, .pid = 7 }, now);
    assert_int_equal(rollout_step(r, 0), STEP_SETTLING);
    begun[0] = 0;
    now.monotonic += SECONDS(10);
    assert_int_equal(forecast_left(r, &times, now.monotonic), SECONDS(70));
    rollout_event(r, &(RolloutEvent){ .kind = EVENT_PAUSE }, now);
    assert_true(forecast_left(r, &times, now.monotonic) == USEC_INFINITY);
    assert_int_equal(rollout_step(r, 0), STEP_SETTLING); /* the forecast has moved nothing */
}

/* Who is bootstrapped has to be so again: that takes its time before it settles, and nobody joins meanwhile.
 */
static void test_ready(void **state)
{
    const bool ready_now[4] = { true, true, false, true };
    RolloutPolicy policy = one_by_one;

    (void)state;
    const ForecastTimes times = { .ready = SECONDS(20), .ready_now = ready_now };
    assert_int_equal(length(policy, 4, SECONDS(10), times), SECONDS(160 + 60));
    policy.parallel = 4;
    assert_int_equal(length(policy, 4, SECONDS(10), times), SECONDS(60));
    RolloutItem items[4] = { 0 };
    usec_t restart[4] = { 0 };
    for (size_t i = 0; i < 4; i++)
        items[i] = (RolloutItem){ .restart = true, .verifies = true };
    assert_int_equal(forecast_length(&policy, items, 4,
                                     &(ForecastTimes){ .restart = restart, .verify_config = SECONDS(2) }),
                     SECONDS(32)); /* of all four at once */
}

/* Asked and not answered, asked and to be asked again, and restarted by somebody in the meantime. */
static void test_left_until_ready(void **state)
{
    RolloutPolicy policy = one_by_one;
    RolloutItem items[2] = { { .restart = true }, { .restart = true } };
    usec_t restart[2] = { SECONDS(10), SECONDS(10) }, asked[2] = { 0 };
    const bool ready_now[2] = { true, false };
    const ForecastTimes times = {
        .restart = restart, .asked = asked, .ready = SECONDS(20), .ready_now = ready_now
    };
    policy.ready_timeout = SECONDS(300);
    _cleanup_(rollout_freep) Rollout *r = rollout_new(&policy, items, 2);
    RolloutNow now = { .monotonic = SECONDS(100), .window_open = true };
    const RolloutEvent answers[] = {
        { .kind = EVENT_TICK },
        { .kind = EVENT_PREFLIGHT, .ok = true },
        { .kind = EVENT_WRITTEN, .ok = true },
        { .kind = EVENT_RELOADED, .ok = true },
        { .kind = EVENT_CHECKED, .ok = true, .ready = true },
        { .kind = EVENT_JOB, .job = JOB_DONE },
        { .kind = EVENT_VERIFIED, .proof = PROOF_OK, .pid = 7 },
    };

    (void)state;
    for (size_t e = 0; e < ELEMENTSOF(answers); e++)
        rollout_event(r, &answers[e], now);
    assert_int_equal(rollout_step(r, 0), STEP_BOOTSTRAPPING);
    asked[0] = now.monotonic;
    now.monotonic += SECONDS(5);
    assert_int_equal(forecast_left(r, &times, now.monotonic), SECONDS(15 + 30 + 40));
    rollout_event(r, &(RolloutEvent){ .kind = EVENT_READY, .readiness = READINESS_NOT_YET }, now);
    assert_int_equal(forecast_left(r, &times, now.monotonic), SECONDS(15 + 30 + 40));
    now.monotonic += SECONDS(40); /* longer than it ever took: any moment now */
    assert_int_equal(forecast_left(r, &times, now.monotonic), SECONDS(30 + 40));
    rollout_event(r, &(RolloutEvent){ .kind = EVENT_UNIT }, now);
    assert_int_equal(forecast_left(r, &times, now.monotonic), SECONDS(30 + 40));
}

static void test_restarts(void **state)
{
    UnitInfo measured = { .inactive_exit = 100,
                          .active_enter = 150,
                          .active_exit = 40,
                          .inactive_enter = 60 },
             started = { .inactive_exit = 100, .active_enter = 110 };
    const UnitInfo *both[] = { &measured, &started, NULL }, *unknown[] = { NULL };
    usec_t took[3];

    (void)state;
    forecast_restarts(both, 3, took);
    assert_int_equal(took[0], 70);
    assert_int_equal(took[1], 30); /* stops as the others do */
    assert_int_equal(took[2], 50);
    forecast_restarts(unknown, 1, took);
    assert_int_equal(took[0], FORECAST_STOP + FORECAST_START);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_left),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_left_until_ready),
        cmocka_unit_test(test_restarts),
    };

    return cmocka_run_group_tests_name("forecast", tests, NULL, NULL);
}
