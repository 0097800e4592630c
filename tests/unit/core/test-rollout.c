/* SPDX-License-Identifier: BSD-3-Clause */
/* The rollout driven by simulated time: worked cases one by one, then a randomised model. */
#include "test.h"

#include "core/forecast.h"
#include "core/rollout.h"

/* ---- a small world that answers the machine's commands as it is told to ---- */

enum { MAX_ITEMS = 64 };

typedef struct World {
    Rollout *r;
    RolloutNow now;
    RolloutItem items[MAX_ITEMS];
    size_t n;
    size_t parallel;
    /* what to answer */
    bool allocator_bad[MAX_ITEMS], sandbox_bad[MAX_ITEMS]; /* by these numbers of the items */
    bool config_bad[MAX_ITEMS], check_bad[MAX_ITEMS], needless[MAX_ITEMS], by_others[MAX_ITEMS],
        spared[MAX_ITEMS], write_bad[MAX_ITEMS], restore_bad[MAX_ITEMS], reload_bad;
    JobResult job[MAX_ITEMS];
    Proof proof[MAX_ITEMS], back[MAX_ITEMS];
    uint32_t pid[MAX_ITEMS], n_restarts[MAX_ITEMS];
    usec_t age;
    bool crashing, down[MAX_ITEMS], up[MAX_ITEMS];
    bool ready[MAX_ITEMS]; /* before its restart */
    Readiness readiness[MAX_ITEMS];
    bool slow[MAX_ITEMS]; /* its proof is not answered by pump() */
    unsigned slow_reload; /* nor is this one, counted from 1 */
    bool gate, gate_shut; /* there is one, and what it says */
    /* what was seen */
    unsigned preflights, verifications[MAX_ITEMS], restarts[MAX_ITEMS], starts[MAX_ITEMS], writes[MAX_ITEMS],
        restores[MAX_ITEMS], reloads;
    bool away[MAX_ITEMS];
    size_t most_away, waves, wave_of[MAX_ITEMS], overs;
    /* what must hold of the order, whoever answers when; unless answers come that nobody asked for */
    bool strays, out[MAX_ITEMS], reload_out, gate_out, gate_open;
    unsigned gates;
    unsigned written_at[MAX_ITEMS], loaded_at; /* counted in reloads that were asked for */
    RolloutCommand last;
    Step told[MAX_ITEMS]; /* as rollout_next_moved() tells */
} World;

static World *world_new(const RolloutPolicy *policy, const RolloutItem *items, size_t n)
{
    World *w = xcalloc(1, sizeof(*w));

    for (size_t i = 0; i < n; i++)
        w->items[i] = items[i];
    w->n = n;
    w->parallel = policy->parallel;
    w->gate = policy->gate;
    w->now = (RolloutNow){ .monotonic = USEC_PER_SEC, .window_open = true };
    for (size_t i = 0; i < n; i++)
        w->pid[i] = (uint32_t)(1000 + i);
    w->r = rollout_new(policy, items, n);
    return w;
}

static void world_free(World *w)
{
    rollout_free(w->r);
    free(w);
}

/* Who keeps to what it is told, and to its counts, knows as much as who looks at every item. */
static void look_at_all(World *w)
{
    RolloutCounts counts = { .total = w->n };
    size_t moved;

    while (rollout_next_moved(w->r, &moved))
        w->told[moved] = rollout_step(w->r, moved);
    for (size_t i = 0; i < w->n; i++) {
        const Step step = rollout_step(w->r, i);

        assert_int_equal(step, w->told[i]);
        counts.done += step == STEP_DONE;
        counts.skipped += step == STEP_SKIPPED;
        counts.failed += step == STEP_FAILED || step == STEP_LOST;
    }
    const RolloutCounts kept = rollout_counts(w->r);
    assert_memory_equal(&kept, &counts, sizeof(counts));
}

static void send(World *w, RolloutEvent e)
{
    rollout_event(w->r, &e, w->now);
    look_at_all(w);
}

static void observe(World *w, const RolloutCommand *c)
{
    size_t away = 0;

    if (c->kind == COMMAND_RELOAD) {
        assert_true(!w->reload_out || w->strays); /* systemd does one at a time */
        w->reload_out = true;
        w->loaded_at = w->reloads;
    } else if (c->kind == COMMAND_GATE) {
        assert_true(w->gate && (!w->gate_out || w->strays));
        w->gate_out = true;
        w->gates++;
    } else if (c->kind < NOTE_WAVE && c->kind != COMMAND_PREFLIGHT) {
        assert_true(!w->out[c->item] || w->strays); /* one thing at a time is asked about a relay */
        w->out[c->item] = true;
    }
    if (c->kind == COMMAND_WRITE || c->kind == COMMAND_RESTORE)
        w->written_at[c->item] = w->reloads + 1;
    if ((c->kind == COMMAND_RESTART || c->kind == COMMAND_START) && !w->restore_bad[c->item] && !w->strays)
        assert_true(w->written_at[c->item] <= w->loaded_at + 1); /* systemd has read its file */
    switch (c->kind) {
    case COMMAND_PREFLIGHT:
        w->preflights++;
        break;
    case COMMAND_VERIFY_CONFIG:
        assert_true(w->items[c->item].verifies && w->items[c->item].restart);
        w->verifications[c->item]++;
        break;
    case COMMAND_WRITE:
        assert_false(w->down[c->item] || w->up[c->item]); /* nothing is written ahead */
        if (w->items[c->item].verifies && w->items[c->item].restart)
            assert_true(w->verifications[c->item] > 0);
        w->writes[c->item]++;
        w->wave_of[c->item] = rollout_wave_of(w->r, c->item);
        break;
    case COMMAND_RESTORE:
        w->restores[c->item]++;
        break;
    case COMMAND_RELOAD:
        w->reloads++;
        break;
    case COMMAND_RESTART:
        w->restarts[c->item]++;
        w->away[c->item] = true;
        break;
    case COMMAND_START:
        w->starts[c->item]++;
        break;
    case NOTE_WAVE:
        for (size_t i = 0; i < w->n; i++) /* not while a relay is not ready again */
            assert_true(rollout_step(w->r, i) != STEP_BOOTSTRAPPING);
        assert_true(!w->gate || w->gate_open || w->strays); /* and each wave was let in */
        w->gate_open = false;
        w->waves++;
        break;
    case NOTE_ENDED:
        w->away[c->item] = false;
        break;
    case NOTE_OVER:
        w->overs++;
        break;
    default:
        break;
    }
    for (size_t i = 0; i < w->n; i++)
        away += w->away[i];
    if (away > w->most_away)
        w->most_away = away;
    w->last = *c;
}

static bool preflight_bad(const World *w, size_t item)
{
    const RolloutItem *i = &w->items[item];

    return i->allocator != ROLLOUT_NO_ALLOCATOR &&
           (w->allocator_bad[i->allocator] || w->sandbox_bad[i->sandbox]);
}

static RolloutEvent answer(World *w, const RolloutCommand *c)
{
    size_t i = c->item;
    RolloutEvent e = { .item = i };

    if (c->kind == COMMAND_RELOAD)
        w->reload_out = false;
    else if (c->kind == COMMAND_GATE)
        w->gate_out = false;
    else if (c->kind != COMMAND_PREFLIGHT)
        w->out[i] = false;
    switch (c->kind) {
    case COMMAND_PREFLIGHT:
        e.kind = EVENT_PREFLIGHT;
        e.ok = !preflight_bad(w, i);
        break;
    case COMMAND_VERIFY_CONFIG:
        e.kind = EVENT_CONFIG;
        e.ok = !w->config_bad[i];
        break;
    case COMMAND_GATE:
        e.kind = EVENT_GATE;
        e.ok = w->gate_open = !w->gate_shut;
        break;
    case COMMAND_WRITE:
        e.kind = EVENT_WRITTEN;
        e.ok = !w->write_bad[i];
        break;
    case COMMAND_RESTORE:
        e.kind = EVENT_WRITTEN;
        e.ok = !w->restore_bad[i];
        break;
    case COMMAND_RELOAD:
        e.kind = EVENT_RELOADED;
        e.ok = !w->reload_bad;
        break;
    case COMMAND_CHECK:
        e.kind = EVENT_CHECKED;
        e.ok = !w->check_bad[i];
        e.needless = w->needless[i];
        e.restarted = w->by_others[i];
        w->spared[i] = e.ok && (e.needless || e.restarted);
        e.ready = w->ready[i];
        break;
    case COMMAND_RESTART:
        e.kind = EVENT_JOB;
        e.job = w->job[i];
        break;
    case COMMAND_START:
        e.kind = EVENT_JOB;
        e.job = JOB_DONE;
        break;
    case COMMAND_VERIFY:
        e.kind = EVENT_VERIFIED;
        e.proof = w->proof[i];
        break;
    case COMMAND_ASK:
        e.kind = EVENT_READY;
        e.readiness = w->readiness[i];
        break;
    case COMMAND_VERIFY_BACK:
        e.kind = EVENT_VERIFIED;
        e.proof = w->back[i];
        break;
    default:
        e.kind = EVENT_TICK;
    }
    e.pid = w->pid[i];
    e.n_restarts = w->n_restarts[i];
    e.age = w->age;
    e.crashing = w->crashing;
    return e;
}

static bool is_note(RolloutCommandKind kind)
{
    return kind >= NOTE_WAVE;
}

/* Answers all commands that are out; true when there was any. */
static bool pump(World *w)
{
    RolloutCommand c;
    bool any = false;

    while (rollout_next(w->r, &c)) {
        observe(w, &c);
        any = true;
        if (!is_note(c.kind) && !(c.kind == COMMAND_VERIFY && w->slow[c.item]) &&
            !(c.kind == COMMAND_RELOAD && w->reloads == w->slow_reload))
            send(w, answer(w, &c));
    }
    return any;
}

/* Lets time pass to each deadline until the machine has nothing more to do. */
static void run(World *w)
{
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    for (unsigned guard = 0; guard < 10000; guard++) {
        if (pump(w))
            continue;
        if (rollout_over(w->r) || rollout_deadline(w->r) == USEC_INFINITY)
            return;
        w->now.monotonic = rollout_deadline(w->r);
        send(w, (RolloutEvent){ .kind = EVENT_TICK });
    }
    fail_msg("the rollout does not come to rest");
}

static void tell(World *w, RolloutCommandKind kind, size_t item)
{
    send(w, answer(w, &(RolloutCommand){ .kind = kind, .item = item }));
}

static bool next_is(World *w, RolloutCommandKind kind, size_t item)
{
    RolloutCommand c;

    while (rollout_next(w->r, &c)) {
        observe(w, &c);
        if (!is_note(c.kind))
            return c.kind == kind && (kind == COMMAND_RELOAD || c.item == item);
    }
    return false;
}

static const RolloutPolicy plain = { .parallel = 2, .canary = 0, .max_failed = 1, .put_back = true };

static void all_restart(RolloutItem *items, size_t n)
{
    for (size_t i = 0; i < n; i++)
        items[i] = (RolloutItem){ .allocator = 0, .restart = true };
}

static void test_plain_waves(void **state)
{
    (void)state;
    static const size_t waves[] = { 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5 };
    RolloutPolicy policy = plain;
    RolloutItem items[11];
    policy.parallel = 4;
    all_restart(items, 11);
    World *w = world_new(&policy, items, 11);

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(w->waves, 5);   /* the first takes all places, the others those that have become free */
    assert_int_equal(w->reloads, 3); /* what is written at the same time shares one */
    assert_int_equal(w->most_away, 4);
    assert_int_equal(w->overs, 1);
    for (size_t i = 0; i < 11; i++) {
        assert_int_equal(rollout_step(w->r, i), STEP_DONE);
        assert_int_equal(w->restarts[i], 1);
        assert_int_equal(w->writes[i], 1);
        assert_int_equal(w->starts[i], 0);
        assert_int_equal(w->wave_of[i], waves[i]);
    }
    world_free(w);
}

static World *one_slow(unsigned canary)
{
    RolloutPolicy policy = plain;
    RolloutItem items[11];
    policy.parallel = 4;
    policy.canary = canary;
    all_restart(items, 11);
    items[10] = (RolloutItem){ .allocator = 0, .stopped = true };
    World *w = world_new(&policy, items, 11);
    w->slow[0] = true;
    return w;
}

static size_t count_steps(const World *w, Step step)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++)
        n += rollout_step(w->r, i) == step;
    return n;
}

static void test_slow_relay_holds_nobody_up(void **state)
{
    (void)state;
    World *w = one_slow(0);

    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_VERIFYING);
    assert_int_equal(count_steps(w, STEP_DONE), 9);
    assert_int_equal(rollout_step(w->r, 10), STEP_WAITING); /* the stopped ones wait for all others */
    assert_int_equal(w->most_away, 4);
    tell(w, COMMAND_VERIFY, 0);
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(count_steps(w, STEP_DONE), 11);
    world_free(w);
}

static void test_nobody_joins_a_canary(void **state)
{
    (void)state;
    World *w = one_slow(1);

    run(w);
    assert_int_equal(count_steps(w, STEP_WAITING), 10);
    tell(w, COMMAND_VERIFY, 0);
    run(w);
    assert_int_equal(count_steps(w, STEP_DONE), 11);
    world_free(w);
}

static void test_nobody_joins_what_a_crash_left(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[3];
    policy.parallel = 4;
    policy.canary = 1;
    all_restart(items, 3);
    items[0].recover = true;
    World *w = world_new(&policy, items, 3);
    w->slow[0] = true;

    run(w);
    assert_int_equal(count_steps(w, STEP_WAITING), 2);
    tell(w, COMMAND_VERIFY, 0);
    run(w);
    assert_int_equal(count_steps(w, STEP_DONE), 3);
    assert_int_equal(w->wave_of[1], 1); /* the canary */
    assert_int_equal(w->wave_of[2], 2);
    world_free(w);
}

/* While one is in progress, the others' places stay empty when they should. */
static void joins_nobody(RolloutEventKind kind, bool window_open)
{
    World *w = one_slow(0);

    w->slow[1] = w->slow[2] = true; /* one place of four is free: too few for a wave */
    run(w);
    assert_int_equal(count_steps(w, STEP_WAITING), 7);
    send(w, (RolloutEvent){ .kind = kind });
    w->now.window_open = window_open;
    tell(w, COMMAND_VERIFY, 1);
    tell(w, COMMAND_VERIFY, 2);
    run(w);
    assert_int_equal(count_steps(w, STEP_DONE), 3);
    assert_int_equal(count_steps(w, STEP_WAITING), 7);
    assert_int_equal(w->waves, 1);
    world_free(w);
}

static void test_nobody_joins_when_nothing_may_begin(void **state)
{
    (void)state;
    joins_nobody(EVENT_PAUSE, true);
    joins_nobody(EVENT_ABORT, true);
    joins_nobody(EVENT_SUPERSEDE, true);
    joins_nobody(EVENT_TICK, false);
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    World *w = world_new(&plain, NULL, 0);

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(w->reloads, 0);
    world_free(w);
}

static void test_settling_takes_its_time(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[1];
    policy.settle = 30 * USEC_PER_SEC;
    all_restart(items, 1);
    World *w = world_new(&policy, items, 1);

    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_SETTLING);
    assert_int_equal(rollout_deadline(w->r), 31 * USEC_PER_SEC);
    w->now.monotonic = 31 * USEC_PER_SEC - 1;
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    assert_false(pump(w)); /* not even asked */
    assert_int_equal(rollout_step(w->r, 0), STEP_SETTLING);
    w->now.monotonic++;
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    world_free(w);
}

static void test_untouched_first_stopped_last(void **state)
{
    (void)state;
    RolloutItem items[] = {
        { .allocator = 0, .stopped = true },
        { .allocator = 0, .restart = true },
        { .allocator = 0 },
        { .allocator = ROLLOUT_NO_ALLOCATOR, .restart = true },
    };
    World *w = world_new(&plain, items, 4);

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(w->wave_of[2], 1);
    assert_int_equal(w->wave_of[1], 2);
    assert_int_equal(w->wave_of[3], 2);
    assert_int_equal(w->wave_of[0], 3);
    assert_int_equal(w->restarts[0] + w->restarts[2], 0);
    world_free(w);
}

/* Its process has what its file said when it was started. */
static void test_stopped_is_started_before_its_turn(void **state)
{
    (void)state;
    RolloutItem items[] = {
        { .allocator = 0, .stopped = true },
        { .allocator = ROLLOUT_NO_ALLOCATOR, .stopped = true },
        { .allocator = 0, .stopped = true },
    };
    World *w = world_new(&plain, items, 3);

    for (size_t i = 0; i < 3; i++)
        send(w, (RolloutEvent){ .kind = EVENT_UNIT, .item = i, .up = true });
    send(w, (RolloutEvent){ .kind = EVENT_UNIT, .item = 2 }); /* and stopped again */
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(rollout_step(w->r, 0), STEP_SKIPPED);
    assert_int_equal(rollout_step(w->r, 1), STEP_SKIPPED);
    assert_int_equal(rollout_step(w->r, 2), STEP_DONE);
    assert_int_equal(w->writes[0] + w->writes[1], 0);
    world_free(w);
}

static void test_stopped_is_started_before_its_file_is_read(void **state)
{
    (void)state;
    RolloutItem items[] = { { .allocator = ROLLOUT_NO_ALLOCATOR, .stopped = true } };
    World *w = world_new(&plain, items, 1);

    w->slow_reload = 1;
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_WRITTEN);
    send(w, (RolloutEvent){ .kind = EVENT_UNIT, .item = 0, .up = true });
    w->out[0] = w->reload_out = false;
    send(w, (RolloutEvent){ .kind = EVENT_RELOADED, .ok = true });
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_SKIPPED);
    assert_int_equal(w->restores[0], 1);
    assert_int_equal(w->starts[0], 0);
    world_free(w);
}

/* Nothing is written ahead for a stopped relay of what no other has settled with. */
static void test_stopped_waits_for_proof(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[] = {
        { .allocator = 0, .stopped = true, .unproved = true },
        { .allocator = 1, .stopped = true, .unproved = true },
        { .allocator = 0, .restart = true },
        { .allocator = 1, .restart = true },
        { .allocator = 2, .stopped = true, .unproved = true }, /* nobody is up with it */
    };
    policy.max_failed = 9;
    World *w = world_new(&policy, items, 5);
    w->proof[3] = PROOF_FAILED;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    assert_true(w->wave_of[0] > w->wave_of[2]);
    assert_int_equal(rollout_step(w->r, 1), STEP_SKIPPED);
    assert_int_equal(rollout_step(w->r, 4), STEP_SKIPPED);
    assert_int_equal(w->writes[1] + w->writes[4], 0);
    world_free(w);
}

static void test_canary_goes_alone(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[8];
    policy.parallel = 4;
    policy.canary = 1;
    policy.canary_settle = 100 * USEC_PER_SEC;
    all_restart(items, 8);
    for (size_t i = 4; i < 8; i++)
        items[i].allocator = 1;
    World *w = world_new(&policy, items, 8);

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(w->wave_of[0], 1);
    assert_int_equal(w->wave_of[4], 2); /* the canaries of all allocators before anyone else */
    assert_int_equal(w->wave_of[1], 3);
    assert_true(w->now.monotonic >= 201 * USEC_PER_SEC);
    world_free(w);
}

static void test_bad_canary_halts_and_is_put_back(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[40];
    policy.parallel = 4;
    policy.canary = 1;
    all_restart(items, 40);
    World *w = world_new(&policy, items, 40);
    w->proof[0] = PROOF_FAILED;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED);
    assert_int_equal(rollout_gate(w->r, 0), GATE_ACTIVE);
    assert_int_equal(w->restores[0], 1);
    assert_int_equal(w->starts[0], 1);
    assert_int_equal(w->reloads, 2);
    for (size_t i = 1; i < 40; i++) {
        assert_int_equal(rollout_step(w->r, i), STEP_WAITING);
        assert_int_equal(w->writes[i], 0);
    }
    world_free(w);
}

static void test_gates(void **state)
{
    (void)state;
    static const struct {
        JobResult job;
        Proof proof, back;
        Step step;
        Gate gate;
        unsigned starts;
        RolloutState end;
    } cases[] = {
        { JOB_FAILED, PROOF_OK, PROOF_OK, STEP_FAILED, GATE_JOB, 1, ROLLOUT_HALTED },
        { JOB_TIMEOUT, PROOF_OK, PROOF_OK, STEP_FAILED, GATE_JOB, 1, ROLLOUT_HALTED },
        { JOB_DEPENDENCY, PROOF_OK, PROOF_OK, STEP_FAILED, GATE_JOB, 1, ROLLOUT_HALTED },
        /* masked, say: systemd took no job, so there is nothing to start again */
        { JOB_REFUSED, PROOF_OK, PROOF_OK, STEP_FAILED, GATE_JOB, 0, ROLLOUT_HALTED },
        /* somebody's own restart or stop took the job's place: what counts is how the unit stands */
        { JOB_CANCELED, PROOF_OK, PROOF_OK, STEP_DONE, GATE_NONE, 0, ROLLOUT_DONE },
        { JOB_CANCELED, PROOF_STOPPED, PROOF_OK, STEP_SKIPPED, GATE_NONE, 0, ROLLOUT_DONE },
        { JOB_SKIPPED, PROOF_STOPPED, PROOF_OK, STEP_SKIPPED, GATE_NONE, 0, ROLLOUT_DONE },
        { JOB_DONE, PROOF_GONE, PROOF_OK, STEP_SKIPPED, GATE_NONE, 0, ROLLOUT_DONE },
        { JOB_DONE, PROOF_WRONG, PROOF_OK, STEP_FAILED, GATE_PROOF, 1, ROLLOUT_HALTED },
        { JOB_DONE, PROOF_FAILED, PROOF_FAILED, STEP_LOST, GATE_ACTIVE, 1, ROLLOUT_HALTED },
        { JOB_DONE, PROOF_FAILED, PROOF_WRONG, STEP_LOST, GATE_ACTIVE, 1, ROLLOUT_HALTED },
    };

    for (size_t c = 0; c < ELEMENTSOF(cases); c++) {
        RolloutItem items[1];
        all_restart(items, 1);
        World *w = world_new(&plain, items, 1);
        w->job[0] = cases[c].job;
        w->proof[0] = cases[c].proof;
        w->back[0] = cases[c].back;
        run(w);
        print_message("case %zu\n", c);
        assert_int_equal(rollout_step(w->r, 0), cases[c].step);
        assert_int_equal(rollout_gate(w->r, 0), cases[c].gate);
        assert_int_equal(w->starts[0], cases[c].starts);
        assert_int_equal(rollout_state(w->r), cases[c].end);
        world_free(w);
    }
}

static void assert_taken_back(const World *w, size_t item)
{
    assert_int_equal(rollout_step(w->r, item), STEP_WAITING);
    assert_int_equal(rollout_gate(w->r, item), GATE_NONE);
    assert_int_equal(rollout_wave_of(w->r, item), 0);
    assert_int_equal(w->writes[item], 1);
    assert_int_equal(w->restores[item], 1);
    assert_int_equal(w->restarts[item] + w->starts[item], 0);
}

static void test_write_failure_halts_at_once(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[6];
    policy.max_failed = 100;
    all_restart(items, 6);
    World *w = world_new(&policy, items, 6);
    w->write_bad[1] = true;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    assert_taken_back(w, 0); /* it was only written */
    assert_int_equal(rollout_step(w->r, 1), STEP_FAILED);
    assert_int_equal(rollout_gate(w->r, 1), GATE_WRITE);
    assert_int_equal(w->restores[1], 1); /* it may lie there all the same, but not be safe on the disk */
    assert_int_equal(rollout_step(w->r, 2), STEP_WAITING);
    world_free(w);

    w = world_new(&policy, items, 6);
    w->write_bad[1] = w->restore_bad[1] = true;
    run(w);
    assert_int_equal(rollout_step(w->r, 1), STEP_FAILED); /* not lost: its old file stands */
    world_free(w);
}

static void reload_failure(bool put_back)
{
    RolloutPolicy policy = plain;
    RolloutItem items[3];
    policy.max_failed = 100; /* whoever cannot be reloaded, nobody can */
    policy.put_back = put_back;
    all_restart(items, 3);
    World *w = world_new(&policy, items, 3);
    w->reload_bad = true;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(rollout_step(w->r, i), STEP_FAILED);
        assert_int_equal(w->restores[i], 1);
        assert_int_equal(w->restarts[i] + w->starts[i], 0);
    }
    assert_int_equal(w->writes[2], 0);
    world_free(w);
}

static void test_reload_failure_restores_without_restart(void **state)
{
    (void)state;
    reload_failure(true);
    reload_failure(false); /* the files of relays that nobody touched are not left lying */
}

static void test_max_failed(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[10];
    policy.parallel = 1;
    policy.max_failed = 3;
    all_restart(items, 10);
    World *w = world_new(&policy, items, 10);
    for (size_t i = 0; i < 10; i += 2)
        w->job[i] = JOB_FAILED;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    assert_int_equal(rollout_step(w->r, 4), STEP_FAILED); /* the third */
    assert_int_equal(rollout_step(w->r, 5), STEP_WAITING);
    world_free(w);
}

static void test_left_as_is_by_policy(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[4];
    policy.put_back = false;
    policy.max_failed = 100;
    all_restart(items, 4);
    World *w = world_new(&policy, items, 4);
    w->proof[0] = PROOF_WRONG;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    assert_int_equal(rollout_step(w->r, 0), STEP_LOST);
    assert_int_equal(w->restores[0], 0);
    world_free(w);
}

static void test_preflight_refuses_only_its_own(void **state)
{
    (void)state;
    RolloutItem items[4];
    all_restart(items, 4);
    items[2].allocator = items[3].allocator = 1;
    World *w = world_new(&plain, items, 4);
    w->allocator_bad[0] = true;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED);
    assert_int_equal(rollout_gate(w->r, 0), GATE_PREFLIGHT);
    assert_int_equal(w->writes[0] + w->writes[1] + w->restarts[0] + w->restarts[1], 0);
    assert_int_equal(rollout_step(w->r, 2), STEP_DONE);
    world_free(w);
}

/* Each sandbox is tried once, when the turn of the first relay in it comes; what it refuses reaches nobody
 * else, and is no canary. */
static void test_preflight_of_each_sandbox(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[8];
    policy.canary = 1;
    all_restart(items, 8);
    items[0].sandbox = 1;
    items[5].sandbox = items[6].sandbox = 2;
    items[7].sandbox = 3;
    World *w = world_new(&policy, items, 8);
    w->sandbox_bad[1] = w->sandbox_bad[2] = true;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(w->preflights, 4);
    for (size_t i = 0; i < 8; i++) {
        bool bad = i == 0 || i == 5 || i == 6;
        assert_int_equal(rollout_step(w->r, i), bad ? STEP_FAILED : STEP_DONE);
        assert_int_equal(rollout_gate(w->r, i), bad ? GATE_PREFLIGHT : GATE_NONE);
        assert_int_equal(w->writes[i], bad ? 0 : 1);
    }
    assert_int_equal(w->wave_of[1], 1); /* the canary */
    assert_int_equal(w->wave_of[2], 2);
    world_free(w);
}

/* A relay whose configuration does not verify is left alone, is no canary and no strike; the others go on. */
static void test_configuration_that_does_not_verify(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[6];
    policy.canary = 1;
    all_restart(items, 6);
    for (size_t i = 0; i < 6; i++)
        items[i].verifies = true;
    items[3].allocator = ROLLOUT_NO_ALLOCATOR; /* one that is taken back comes up again no better */
    items[4].restart = false;                  /* whose process stays as it is is none of this */
    World *w = world_new(&policy, items, 6);
    w->config_bad[0] = w->config_bad[3] = w->config_bad[4] = true;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    for (size_t i = 0; i < 6; i++) {
        bool bad = i == 0 || i == 3;
        assert_int_equal(rollout_step(w->r, i), bad ? STEP_FAILED : STEP_DONE);
        assert_int_equal(rollout_gate(w->r, i), bad ? GATE_VERIFY_CONFIG : GATE_NONE);
        assert_int_equal(w->writes[i] + w->restarts[i], bad ? 0 : i == 4 ? 1 : 2);
        assert_int_equal(w->verifications[i], i == 4 ? 0 : 1);
    }
    assert_true(rollout_canary(w->r, 1));
    assert_string_equal(gate_to_string(GATE_VERIFY_CONFIG), "verify-config");
    world_free(w);
}

/* What was found before a pause says nothing of the time after it. */
static void test_verified_again_after_a_pause(void **state)
{
    (void)state;
    RolloutItem items[2];
    all_restart(items, 2);
    items[0].verifies = items[1].verifies = true;
    World *w = world_new(&plain, items, 2);

    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    assert_true(next_is(w, COMMAND_PREFLIGHT, 0));
    tell(w, COMMAND_PREFLIGHT, 0);
    assert_true(next_is(w, COMMAND_VERIFY_CONFIG, 0));
    assert_true(next_is(w, COMMAND_VERIFY_CONFIG, 1));
    tell(w, COMMAND_VERIFY_CONFIG, 0);
    assert_false(next_is(w, COMMAND_WRITE, 0)); /* the wave waits for both */
    send(w, (RolloutEvent){ .kind = EVENT_PAUSE });
    tell(w, COMMAND_VERIFY_CONFIG, 1);
    assert_false(next_is(w, COMMAND_WRITE, 0));
    w->config_bad[0] = true;
    send(w, (RolloutEvent){ .kind = EVENT_RESUME });
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED);
    assert_int_equal(rollout_step(w->r, 1), STEP_DONE);
    assert_int_equal(w->verifications[0], 2);
    assert_int_equal(w->restarts[0], 0);
    world_free(w);
}

/* Nothing is written once the rollout is to end. */
static void test_abort_while_it_is_verified(void **state)
{
    (void)state;
    RolloutItem items[2];
    all_restart(items, 2);
    items[0].verifies = true;
    items[0].allocator = items[1].allocator = ROLLOUT_NO_ALLOCATOR;
    World *w = world_new(&plain, items, 2);

    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    assert_true(next_is(w, COMMAND_VERIFY_CONFIG, 0));
    send(w, (RolloutEvent){ .kind = EVENT_ABORT });
    tell(w, COMMAND_VERIFY_CONFIG, 0);
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_ABORTED);
    assert_int_equal(w->writes[0] + w->writes[1], 0);
    world_free(w);
}

/* Whose process runs the right thing already needs no proof that another one could. */
static void test_no_preflight_for_a_file(void **state)
{
    (void)state;
    RolloutItem items[2];
    all_restart(items, 2);
    items[0].restart = false;
    World *w = world_new(&plain, items, 2);
    w->allocator_bad[0] = true;

    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    assert_int_equal(rollout_step(w->r, 1), STEP_FAILED);
    assert_int_equal(w->preflights, 1);
    world_free(w);
}

/* The host was short of something: nobody has failed, and the others continue. */
static void test_preflight_that_could_not_be_tried(void **state)
{
    (void)state;
    RolloutItem items[3];
    all_restart(items, 3);
    items[0].sandbox = items[2].sandbox = 1;
    World *w = world_new(&plain, items, 3);

    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    assert_true(next_is(w, COMMAND_PREFLIGHT, 0));
    send(w, (RolloutEvent){ .kind = EVENT_PREFLIGHT, .item = 0, .ok = false, .untested = true });
    w->out[0] = false;
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_SKIPPED);
    assert_int_equal(rollout_step(w->r, 1), STEP_DONE);
    assert_int_equal(rollout_step(w->r, 2), STEP_SKIPPED);
    assert_int_equal(rollout_gate(w->r, 0), GATE_NONE);
    assert_int_equal(rollout_counts(w->r).failed, 0);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(w->writes[0] + w->writes[2], 0);
    world_free(w);
}

/* An answer about another sandbox, or one that nobody asked for, says nothing. */
static void test_stray_preflight(void **state)
{
    (void)state;
    RolloutItem items[2];
    all_restart(items, 2);
    items[1].sandbox = 1;
    World *w = world_new(&plain, items, 2);

    send(w, (RolloutEvent){ .kind = EVENT_PREFLIGHT, .item = 0, .ok = true });
    assert_true(next_is(w, COMMAND_PREFLIGHT, 0));
    assert_true(next_is(w, COMMAND_PREFLIGHT, 1));
    tell(w, COMMAND_PREFLIGHT, 1);
    assert_false(next_is(w, COMMAND_WRITE, 1)); /* the wave waits for both */
    tell(w, COMMAND_PREFLIGHT, 0);
    send(w, (RolloutEvent){ .kind = EVENT_PREFLIGHT, .item = 0, .ok = false });
    run(w);
    assert_int_equal(count_steps(w, STEP_DONE), 2);
    world_free(w);
}

/* Settling: what changes while it lasts. */
static World *settling(void)
{
    RolloutPolicy policy = plain;
    RolloutItem items[1];
    policy.settle = 30 * USEC_PER_SEC;
    all_restart(items, 1);
    World *w = world_new(&policy, items, 1);
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_SETTLING);
    return w;
}

static void test_crash_while_settling(void **state)
{
    (void)state;
    World *w = settling();
    w->pid[0]++;
    w->n_restarts[0]++;
    send(w, (RolloutEvent){ .kind = EVENT_UNIT });
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED);
    assert_int_equal(rollout_gate(w->r, 0), GATE_SETTLE);
    assert_int_equal(w->starts[0], 1);
    world_free(w);
}

static void test_stopped_while_settling(void **state)
{
    (void)state;
    World *w = settling();
    w->proof[0] = PROOF_STOPPED;
    send(w, (RolloutEvent){ .kind = EVENT_UNIT });
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_SKIPPED);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(w->starts[0], 0);   /* somebody stopped it: it stays so */
    assert_int_equal(w->restores[0], 1); /* and does not come up with what has not settled */
    world_free(w);
}

/* Nothing is written ahead for those that somebody stops before their turn. */
static void test_stopped_before_their_turn(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[4];
    policy.parallel = 1;
    all_restart(items, 4);
    World *w = world_new(&policy, items, 4);

    for (size_t i = 1; i < 4; i++)
        send(w, (RolloutEvent){ .kind = EVENT_UNIT, .item = i, .down = true });
    send(w, (RolloutEvent){ .kind = EVENT_UNIT, .item = 2 }); /* it is up again before its turn */
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    const RolloutCounts c = rollout_counts(w->r);
    assert_true(c.total == 4 && c.done == 2 && c.skipped == 2 && c.failed == 0);
    assert_int_equal(rollout_step(w->r, 2), STEP_DONE);
    for (size_t i = 1; i < 4; i += 2) {
        assert_int_equal(rollout_step(w->r, i), STEP_SKIPPED);
        assert_int_equal(w->writes[i] + w->restarts[i], 0);
    }
    world_free(w);
}

/* What systemd has loaded would undo the move: refused before anybody is restarted, and no strike. */
static void test_check_refuses_only_its_own(void **state)
{
    (void)state;
    RolloutItem items[3];
    all_restart(items, 3);
    World *w = world_new(&plain, items, 3);
    w->check_bad[1] = true;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(rollout_step(w->r, 1), STEP_FAILED);
    assert_int_equal(rollout_gate(w->r, 1), GATE_SETTINGS);
    assert_int_equal(w->restarts[1] + w->starts[1], 0);
    assert_int_equal(w->restores[1], 1);
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    assert_int_equal(rollout_step(w->r, 2), STEP_DONE);
    world_free(w);
}

/* What systemd has loaded says what it runs already: its file is as planned, and nobody is restarted. */
static void test_check_shows_a_needless_restart(void **state)
{
    (void)state;
    RolloutItem items[2];
    all_restart(items, 2);
    World *w = world_new(&plain, items, 2);
    w->needless[0] = w->needless[1] = w->check_bad[1] = true;

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    assert_int_equal(w->restarts[0] + w->starts[0] + w->restores[0], 0);
    assert_int_equal(rollout_step(w->r, 1), STEP_FAILED);
    world_free(w);
}

/* Somebody else was faster: it settles, or is put back, as after our own restart. */
static void test_check_shows_that_others_have_restarted_it(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[2];
    all_restart(items, 2);
    policy.settle = 5 * USEC_PER_SEC;
    policy.max_failed = 9;
    World *w = world_new(&policy, items, 2);
    w->by_others[0] = w->by_others[1] = true;
    w->proof[1] = PROOF_FAILED;

    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    assert_true(w->now.monotonic >= 6 * USEC_PER_SEC);
    assert_int_equal(w->restarts[0] + w->starts[0] + w->restarts[1], 0);
    assert_int_equal(rollout_step(w->r, 1), STEP_FAILED);
    assert_int_equal(w->starts[1], 1);
    world_free(w);
}

/* What crashed again and again before its restart is not put back to that. */
static void test_no_way_back_to_what_crashed(void **state)
{
    (void)state;
    RolloutItem items[1];
    all_restart(items, 1);
    World *w = world_new(&plain, items, 1);
    w->proof[0] = PROOF_FAILED;
    w->crashing = true;

    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_LOST);
    assert_int_equal(w->restores[0] + w->starts[0], 0);
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    world_free(w);
}

/* Nothing has changed that could be put back: it is left as it is, and the first failure halts. Before its
 * restart it is as it was, and no strike. */
static void test_as_is(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[2];
    policy.max_failed = 5;
    policy.parallel = 1;
    all_restart(items, 2);
    items[0].as_is = items[1].as_is = true;
    World *w = world_new(&policy, items, 2);
    w->proof[0] = PROOF_FAILED;

    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_LOST);
    assert_int_equal(w->restarts[0], 1);
    assert_int_equal(w->restores[0] + w->starts[0], 0);
    assert_int_equal(rollout_step(w->r, 1), STEP_WAITING);
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    world_free(w);

    w = world_new(&policy, items, 2);
    w->check_bad[0] = true;
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED);
    assert_int_equal(w->restarts[0] + w->starts[0], 0);
    assert_int_equal(rollout_step(w->r, 1), STEP_DONE);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    world_free(w);
}

static void test_restarted_by_somebody_while_settling(void **state)
{
    (void)state;
    World *w = settling();
    usec_t first = rollout_deadline(w->r);

    w->now.monotonic += 10 * USEC_PER_SEC;
    w->pid[0]++;
    send(w, (RolloutEvent){ .kind = EVENT_UNIT });
    pump(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_SETTLING);
    assert_int_equal(rollout_deadline(w->r), first + 10 * USEC_PER_SEC);
    for (int i = 1; i < ROLLOUT_RESETTLE_MAX; i++) {
        w->pid[0]++;
        send(w, (RolloutEvent){ .kind = EVENT_UNIT });
        pump(w);
    }
    assert_int_equal(rollout_step(w->r, 0), STEP_SETTLING);
    w->pid[0]++;
    send(w, (RolloutEvent){ .kind = EVENT_UNIT });
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED); /* but not for ever */
    world_free(w);
}

static void test_failure_while_settling(void **state)
{
    (void)state;
    World *w = settling();
    send(w, (RolloutEvent){ .kind = EVENT_VERIFIED, .proof = PROOF_FAILED }); /* nobody has asked */
    send(w, (RolloutEvent){ .kind = EVENT_JOB, .job = JOB_FAILED });
    send(w, (RolloutEvent){ .kind = EVENT_WRITTEN });
    assert_false(pump(w));
    assert_int_equal(rollout_step(w->r, 0), STEP_SETTLING);
    w->proof[0] = PROOF_FAILED;
    send(w, (RolloutEvent){ .kind = EVENT_UNIT });
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED);
    assert_int_equal(rollout_gate(w->r, 0), GATE_SETTLE);
    world_free(w);
}

static void test_file_that_cannot_be_put_back(void **state)
{
    (void)state;
    RolloutItem items[1];
    all_restart(items, 1);
    World *w = world_new(&plain, items, 1);
    w->job[0] = JOB_FAILED;
    w->restore_bad[0] = true;
    w->back[0] = PROOF_WRONG;
    run(w);
    assert_int_equal(w->starts[0], 1); /* with the new file: better than down */
    assert_int_equal(rollout_step(w->r, 0), STEP_LOST);
    world_free(w);

    w = world_new(&plain, items, 1);
    w->job[0] = JOB_REFUSED;
    w->restore_bad[0] = true;
    run(w);
    assert_int_equal(w->starts[0], 0); /* it runs on as it did */
    assert_int_equal(rollout_step(w->r, 0), STEP_LOST);
    world_free(w);
}

/* What is written while a reload is out may or may not be in it: it waits for the next. */
static void test_put_back_during_a_reload(void **state)
{
    (void)state;
    RolloutItem items[2];
    all_restart(items, 2);
    World *w = world_new(&plain, items, 2);
    w->job[0] = w->job[1] = JOB_FAILED;

    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    assert_true(next_is(w, COMMAND_PREFLIGHT, 0));
    tell(w, COMMAND_PREFLIGHT, 0);
    assert_true(next_is(w, COMMAND_WRITE, 0));
    assert_true(next_is(w, COMMAND_WRITE, 1));
    tell(w, COMMAND_WRITE, 0);
    assert_false(next_is(w, COMMAND_RELOAD, 0)); /* one for both */
    tell(w, COMMAND_WRITE, 1);
    assert_true(next_is(w, COMMAND_RELOAD, 0));
    tell(w, COMMAND_RELOAD, 0);
    assert_true(next_is(w, COMMAND_CHECK, 0));
    assert_true(next_is(w, COMMAND_CHECK, 1));
    tell(w, COMMAND_CHECK, 0);
    assert_true(next_is(w, COMMAND_RESTART, 0));
    tell(w, COMMAND_CHECK, 1);
    assert_true(next_is(w, COMMAND_RESTART, 1));
    tell(w, COMMAND_RESTART, 0);
    assert_true(next_is(w, COMMAND_RESTORE, 0));
    tell(w, COMMAND_RESTORE, 0);
    assert_true(next_is(w, COMMAND_RELOAD, 0));
    tell(w, COMMAND_RESTART, 1);
    assert_true(next_is(w, COMMAND_RESTORE, 1));
    tell(w, COMMAND_RESTORE, 1);
    assert_false(next_is(w, COMMAND_RELOAD, 0));
    tell(w, COMMAND_RELOAD, 0);
    assert_true(next_is(w, COMMAND_START, 0));
    assert_true(next_is(w, COMMAND_RELOAD, 0));
    tell(w, COMMAND_RELOAD, 0);
    assert_true(next_is(w, COMMAND_START, 1));
    world_free(w);
}

static void test_put_backs_share_a_reload(void **state)
{
    (void)state;
    RolloutItem items[2];
    all_restart(items, 2);
    World *w = world_new(&plain, items, 2);
    w->job[0] = w->job[1] = JOB_FAILED;

    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    assert_true(next_is(w, COMMAND_PREFLIGHT, 0));
    tell(w, COMMAND_PREFLIGHT, 0);
    assert_true(next_is(w, COMMAND_WRITE, 0));
    assert_true(next_is(w, COMMAND_WRITE, 1));
    tell(w, COMMAND_WRITE, 0);
    tell(w, COMMAND_WRITE, 1);
    assert_true(next_is(w, COMMAND_RELOAD, 0));
    tell(w, COMMAND_RELOAD, 0);
    assert_true(next_is(w, COMMAND_CHECK, 0));
    assert_true(next_is(w, COMMAND_CHECK, 1));
    tell(w, COMMAND_CHECK, 0);
    assert_true(next_is(w, COMMAND_RESTART, 0));
    tell(w, COMMAND_CHECK, 1);
    assert_true(next_is(w, COMMAND_RESTART, 1));
    tell(w, COMMAND_RESTART, 0);
    tell(w, COMMAND_RESTART, 1);
    assert_true(next_is(w, COMMAND_RESTORE, 0));
    assert_true(next_is(w, COMMAND_RESTORE, 1));
    tell(w, COMMAND_RESTORE, 0);
    assert_false(next_is(w, COMMAND_RELOAD, 0)); /* the other's file is not there yet */
    tell(w, COMMAND_RESTORE, 1);
    assert_true(next_is(w, COMMAND_RELOAD, 0));
    assert_int_equal(w->reloads, 2);
    world_free(w);
}

/* Two of four have ended, two more are written for their places, and the reload for these is out. */
static World *in_mid_reload(void)
{
    RolloutPolicy policy = plain;
    RolloutItem items[8];
    policy.parallel = 4;
    all_restart(items, 8);
    World *w = world_new(&policy, items, 8);

    w->slow[2] = w->slow[3] = true;
    w->slow_reload = 2;
    run(w);
    assert_int_equal(count_steps(w, STEP_DONE), 2);
    assert_int_equal(count_steps(w, STEP_WRITTEN), 2);
    return w;
}

/* Whoever is only written when the rollout ends is not restarted any more. */
static void test_halt_during_a_reload(void **state)
{
    (void)state;
    World *w = in_mid_reload();

    w->proof[2] = PROOF_FAILED;
    w->back[5] = PROOF_FAILED; /* by itself: nobody has touched it */
    tell(w, COMMAND_VERIFY, 2);
    tell(w, COMMAND_VERIFY, 3);
    pump(w);
    tell(w, COMMAND_RELOAD, 0);
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    assert_int_equal(rollout_step(w->r, 2), STEP_FAILED);
    assert_int_equal(w->starts[2], 1);
    assert_taken_back(w, 4);
    assert_taken_back(w, 5);
    assert_int_equal(w->writes[6] + w->writes[7], 0);
    world_free(w);
}

static void test_abort_during_a_reload(void **state)
{
    (void)state;
    World *w = in_mid_reload();

    send(w, (RolloutEvent){ .kind = EVENT_ABORT });
    tell(w, COMMAND_RELOAD, 0);
    tell(w, COMMAND_VERIFY, 2);
    tell(w, COMMAND_VERIFY, 3);
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_ABORTED);
    assert_int_equal(count_steps(w, STEP_DONE), 4);
    assert_taken_back(w, 4);
    assert_taken_back(w, 5);
    world_free(w);
}

static void test_pause_during_a_reload(void **state)
{
    (void)state;
    World *w = in_mid_reload();

    send(w, (RolloutEvent){ .kind = EVENT_PAUSE });
    tell(w, COMMAND_RELOAD, 0);
    tell(w, COMMAND_VERIFY, 2);
    tell(w, COMMAND_VERIFY, 3);
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_PAUSED);
    assert_int_equal(count_steps(w, STEP_DONE), 6); /* nothing is wrong: relays in progress are finished */
    assert_int_equal(w->writes[6] + w->writes[7], 0);
    world_free(w);
}

/* Places that become free while a reload is out wait for its answer. */
static void test_reload_failure_beside_free_places(void **state)
{
    (void)state;
    World *w = in_mid_reload();

    tell(w, COMMAND_VERIFY, 2);
    tell(w, COMMAND_VERIFY, 3);
    pump(w);
    w->reload_bad = true;
    tell(w, COMMAND_RELOAD, 0);
    w->reload_bad = false;
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    for (size_t i = 4; i < 6; i++) {
        assert_int_equal(rollout_step(w->r, i), STEP_FAILED);
        assert_int_equal(rollout_gate(w->r, i), GATE_RELOAD);
    }
    for (size_t i = 4; i < 8; i++)
        assert_int_equal(w->restarts[i] + w->starts[i], 0);
    assert_int_equal(w->writes[6] + w->writes[7], 0);
    world_free(w);
}

static void test_reload_failure_beside_a_relay_that_is_down(void **state)
{
    (void)state;
    RolloutItem items[] = { { .allocator = 0, .stopped = true } };
    World *w = world_new(&plain, items, 1);
    w->reload_bad = true;
    w->back[0] = PROOF_FAILED;

    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED); /* as it was: nothing is lost */
    assert_int_equal(w->restores[0], 1);
    assert_int_equal(w->starts[0], 0);
    world_free(w);
}

static void test_unit_noise_while_settling(void **state)
{
    (void)state;
    World *w = settling();
    usec_t deadline = rollout_deadline(w->r);

    for (int i = 0; i < 100; i++) {
        send(w, (RolloutEvent){ .kind = EVENT_UNIT });
        pump(w);
    }
    assert_int_equal(rollout_deadline(w->r), deadline);
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    world_free(w);
}

static void test_pause_resume_abort_supersede(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[6];
    policy.settle = 10 * USEC_PER_SEC;
    all_restart(items, 6);

    World *w = world_new(&policy, items, 6);
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    send(w, (RolloutEvent){ .kind = EVENT_PAUSE });
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_PAUSED);
    assert_int_equal(rollout_step(w->r, 1), STEP_DONE); /* its wave was finished */
    assert_int_equal(rollout_step(w->r, 2), STEP_WAITING);
    send(w, (RolloutEvent){ .kind = EVENT_RESUME });
    pump(w);
    assert_int_equal(rollout_step(w->r, 2), STEP_SETTLING);
    send(w, (RolloutEvent){ .kind = EVENT_ABORT });
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_ABORTED);
    assert_int_equal(rollout_step(w->r, 2), STEP_DONE);
    assert_int_equal(rollout_step(w->r, 4), STEP_WAITING);
    assert_int_equal(w->writes[4], 0);
    world_free(w);

    w = world_new(&policy, items, 6);
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    send(w, (RolloutEvent){ .kind = EVENT_SUPERSEDE });
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_SUPERSEDED);
    world_free(w);
}

static void test_window(void **state)
{
    (void)state;
    RolloutItem items[4];
    all_restart(items, 4);
    World *w = world_new(&plain, items, 4);

    w->now.window_open = false;
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_WAITING);
    assert_int_equal(w->writes[0] + w->waves, 0);
    send(w, (RolloutEvent){ .kind = EVENT_PAUSE });
    w->now.window_open = true;
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_PAUSED);
    send(w, (RolloutEvent){ .kind = EVENT_RESUME });
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    world_free(w);
}

static World *gated(const RolloutItem *items, size_t n)
{
    RolloutPolicy policy = plain;

    policy.gate = true;
    return world_new(&policy, items, n);
}

static void test_gate_before_each_wave(void **state)
{
    (void)state;
    RolloutItem items[5];
    all_restart(items, 5);
    World *w = gated(items, 5);

    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_true(w->waves > 1);
    assert_int_equal(w->gates, w->waves);
    world_free(w);
}

/* Nothing is written, nobody is asked anything, and it is tried again after its time, and not before. */
static void test_gate_is_shut(void **state)
{
    (void)state;
    RolloutItem items[3];
    all_restart(items, 3);
    items[0].verifies = true;
    World *w = gated(items, 3);
    const usec_t begun = w->now.monotonic;

    w->gate_shut = true;
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_WAITING);
    assert_int_equal(w->writes[0] + w->verifications[0] + w->waves, 0);
    assert_int_equal(w->gates, 1);
    assert_true(rollout_gate_again(w->r) == begun + ROLLOUT_GATE_INTERVAL);
    assert_true(rollout_deadline(w->r) == begun + ROLLOUT_GATE_INTERVAL);
    w->now.monotonic = begun + ROLLOUT_GATE_INTERVAL - 1;
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    assert_false(pump(w));
    w->now.monotonic = begun + ROLLOUT_GATE_INTERVAL;
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    assert_int_equal(w->gates, 2);
    w->gate_shut = false;
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    assert_int_equal(w->gates, w->waves + 2);
    world_free(w);
}

/* A resume tries it at once; one that was open is not so for ever. */
static void test_gate_and_pause(void **state)
{
    (void)state;
    RolloutItem items[1];
    all_restart(items, 1);
    World *w = gated(items, 1);

    w->gate_shut = true;
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    send(w, (RolloutEvent){ .kind = EVENT_PAUSE });
    assert_false(pump(w));
    assert_true(rollout_deadline(w->r) == USEC_INFINITY);
    send(w, (RolloutEvent){ .kind = EVENT_RESUME });
    assert_true(next_is(w, COMMAND_GATE, 0));
    send(w, (RolloutEvent){ .kind = EVENT_PAUSE });
    w->gate_shut = false;
    tell(w, COMMAND_GATE, 0); /* it opens while it is paused */
    assert_false(pump(w));
    send(w, (RolloutEvent){ .kind = EVENT_RESUME });
    assert_true(next_is(w, COMMAND_GATE, 0));
    tell(w, COMMAND_GATE, 0);
    run(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
    world_free(w);
}

/* Who is to be brought back does not wait for anybody's leave, nor does who was under way when the daemon
 * ended. */
static void test_gate_holds_no_way_back(void **state)
{
    (void)state;
    RolloutItem items[2];
    all_restart(items, 2);
    items[0].recover = true;
    World *w = gated(items, 2);

    w->gate_shut = true;
    w->proof[0] = PROOF_FAILED;
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    assert_int_equal(w->starts[0], 1);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED);
    assert_int_equal(w->gates, 0);
    world_free(w);
}

/* An abort does not wait for its answer. */
static void test_abort_at_the_gate(void **state)
{
    (void)state;
    RolloutItem items[2];
    all_restart(items, 2);
    World *w = gated(items, 2);

    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    assert_true(next_is(w, COMMAND_PREFLIGHT, 0));
    tell(w, COMMAND_PREFLIGHT, 0);
    assert_true(next_is(w, COMMAND_GATE, 0));
    assert_true(rollout_at_gate(w->r));
    send(w, (RolloutEvent){ .kind = EVENT_ABORT });
    assert_int_equal(rollout_state(w->r), ROLLOUT_ABORTED);
    tell(w, COMMAND_GATE, 0);
    pump(w);
    assert_int_equal(w->writes[0], 0);
    world_free(w);
}

static void test_recover_after_crash(void **state)
{
    (void)state;
    RolloutItem items[4];
    all_restart(items, 4);
    items[0].recover = items[1].recover = items[3].recover = true;
    World *w = world_new(&plain, items, 4);
    w->proof[1] = PROOF_FAILED;
    w->proof[3] = PROOF_WRONG;

    run(w);
    assert_int_equal(rollout_step(w->r, 3), STEP_SKIPPED); /* up, put back perhaps: no reason to restart it */
    assert_int_equal(w->restarts[3] + w->starts[3] + w->writes[3], 0);
    assert_int_equal(w->restores[3], 1); /* what was written for it must not wait for its next start */
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    assert_int_equal(w->restarts[0], 0);
    assert_int_equal(rollout_step(w->r, 1), STEP_FAILED);
    assert_int_equal(w->starts[1], 1); /* it was left down: put back and brought up */
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    world_free(w);
}

/* It was on its way to what nobody wants any more: put back, and the new plan goes on. */
static void test_outdated_flight_is_no_strike(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[2];
    all_restart(items, 2);
    items[0].recover = items[0].outdated = true;
    for (unsigned back = 0; back < 2; back++) {
        policy.put_back = back;
        World *w = world_new(&policy, items, 2);
        w->proof[0] = PROOF_FAILED;

        run(w);
        assert_int_equal(rollout_step(w->r, 0), back ? STEP_FAILED : STEP_LOST);
        assert_int_equal(w->starts[0], back);
        assert_int_equal(rollout_step(w->r, 1), STEP_DONE);
        assert_int_equal(rollout_state(w->r), ROLLOUT_DONE);
        world_free(w);
    }
}

static void test_recovered_relay_that_then_fails(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[1];
    policy.settle = 30 * USEC_PER_SEC;
    all_restart(items, 1);
    items[0].recover = true;
    World *w = world_new(&policy, items, 1);

    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_SETTLING);
    w->proof[0] = PROOF_WRONG;
    send(w, (RolloutEvent){ .kind = EVENT_UNIT });
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED);
    assert_int_equal(w->starts[0], 1);
    world_free(w);
}

/* For what is left of its time, and as a canary if it went as one, before anybody else begins. */
static void test_recovered_relay_settles_on(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[2];
    policy.settle = 30 * USEC_PER_SEC;
    policy.canary = 1;
    policy.canary_settle = 600 * USEC_PER_SEC;
    all_restart(items, 2);
    for (unsigned canary = 0; canary < 2; canary++) {
        usec_t settle = canary ? policy.canary_settle : policy.settle;
        items[0].recover = true;
        items[0].canary = canary;
        World *w = world_new(&policy, items, 2);
        usec_t began = w->now.monotonic;

        w->age = 20 * USEC_PER_SEC;
        send(w, (RolloutEvent){ .kind = EVENT_TICK });
        pump(w);
        assert_int_equal(rollout_step(w->r, 0), STEP_SETTLING);
        assert_true(rollout_deadline(w->r) == began + settle - w->age);
        assert_int_equal(w->writes[1], 0);
        w->now.monotonic = rollout_deadline(w->r);
        send(w, (RolloutEvent){ .kind = EVENT_TICK });
        pump(w);
        assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
        assert_int_equal(w->restarts[1], 1);
        assert_true(rollout_canary(w->r, 1) == !canary); /* the allocator has had its canary */
        world_free(w);
    }
    items[0].canary = false;
    World *w = world_new(&policy, items, 1);
    w->age = USEC_PER_HOUR; /* its time has passed while nobody looked */
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    assert_true(w->now.monotonic == USEC_PER_SEC);
    world_free(w);
}

static void test_forecast(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[6];
    size_t waves[6];
    policy.canary = 1;
    policy.settle = 30 * USEC_PER_SEC;
    all_restart(items, 6);
    items[5].restart = false;

    assert_int_equal(forecast_waves(&policy, items, 6, waves), 5);
    size_t expected[] = { 2, 3, 3, 4, 5, 1 };
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(waves[i], expected[i]);
}

/* ---- readiness ---- */

static World *bootstrapping(size_t n, size_t parallel)
{
    RolloutPolicy policy = plain;
    RolloutItem items[MAX_ITEMS];

    policy.parallel = parallel;
    policy.settle = 30 * USEC_PER_SEC;
    policy.ready_timeout = 300 * USEC_PER_SEC;
    all_restart(items, n);
    World *w = world_new(&policy, items, n);
    for (size_t i = 0; i < n; i++)
        w->ready[i] = true;
    w->readiness[0] = READINESS_NOT_YET;
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    pump(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_BOOTSTRAPPING);
    return w;
}

/* Lets so much time pass, with a tick at each deadline in it. */
static void pass(World *w, usec_t span)
{
    usec_t until = w->now.monotonic + span;

    while (!rollout_over(w->r) && rollout_deadline(w->r) <= until) {
        w->now.monotonic = rollout_deadline(w->r);
        send(w, (RolloutEvent){ .kind = EVENT_TICK });
        pump(w);
    }
    w->now.monotonic = until;
}

static void test_settles_when_it_is_ready(void **state)
{
    (void)state;
    World *w = bootstrapping(2, 1);

    pass(w, 200 * USEC_PER_SEC);
    assert_int_equal(rollout_step(w->r, 0), STEP_BOOTSTRAPPING);
    assert_int_equal(rollout_step(w->r, 1), STEP_WAITING);
    w->readiness[0] = READINESS_YES;
    pass(w, 2 * USEC_PER_SEC);
    assert_int_equal(rollout_step(w->r, 0), STEP_SETTLING);
    pass(w, 29 * USEC_PER_SEC); /* its time begins when it is ready */
    assert_int_equal(rollout_step(w->r, 0), STEP_SETTLING);
    run(w);
    assert_int_equal(count_steps(w, STEP_DONE), 2);
    world_free(w);
}

/* Another relay is to be put back: who is only watched goes on in the next rollout, and nobody else begins.
 */
static void test_hand_over(void **state)
{
    (void)state;
    World *w = bootstrapping(12, 4);

    pass(w, 100 * USEC_PER_SEC);
    assert_int_equal(count_steps(w, STEP_DONE), 3);
    send(w, (RolloutEvent){ .kind = EVENT_HAND_OVER });
    pump(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_SUPERSEDED);
    assert_int_equal(rollout_step(w->r, 0), STEP_SKIPPED);
    assert_true(rollout_handed_over(w->r, 0));
    assert_int_equal(count_steps(w, STEP_WAITING), 8);
    world_free(w);
}

/* One whose restart is out is proved first. */
static void test_hand_over_of_one_that_is_restarted(void **state)
{
    (void)state;
    RolloutPolicy policy = plain;
    RolloutItem items[2];
    policy.settle = 1000 * USEC_PER_SEC;
    all_restart(items, 2);
    World *w = world_new(&policy, items, 2);
    w->slow[0] = true;

    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_VERIFYING);
    send(w, (RolloutEvent){ .kind = EVENT_HAND_OVER });
    pump(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_ENDING);
    tell(w, COMMAND_VERIFY, 0);
    pump(w);
    assert_int_equal(rollout_state(w->r), ROLLOUT_SUPERSEDED);
    assert_true(rollout_handed_over(w->r, 0));
    world_free(w);
}

static void test_never_ready_is_put_back(void **state)
{
    (void)state;
    World *w = bootstrapping(1, 1);

    pass(w, 299 * USEC_PER_SEC);
    assert_int_equal(rollout_step(w->r, 0), STEP_BOOTSTRAPPING);
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED);
    assert_int_equal(rollout_gate(w->r, 0), GATE_READY);
    assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    assert_int_equal(w->starts[0], 1);
    world_free(w);
}

static void test_time_without_a_network_does_not_count(void **state)
{
    (void)state;
    World *w = bootstrapping(1, 1);

    pass(w, 200 * USEC_PER_SEC);
    w->readiness[0] = READINESS_NO_NETWORK;
    pass(w, 10000 * USEC_PER_SEC);
    assert_int_equal(rollout_step(w->r, 0), STEP_BOOTSTRAPPING);
    w->readiness[0] = READINESS_NOT_YET;
    pass(w, 290 * USEC_PER_SEC);
    assert_int_equal(rollout_step(w->r, 0), STEP_BOOTSTRAPPING);
    w->readiness[0] = READINESS_YES;
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    world_free(w);
}

/* There are free places, and none is taken. */
static void test_nobody_is_restarted_while_another_is_not_ready(void **state)
{
    (void)state;
    World *w = bootstrapping(12, 4);

    pass(w, 100 * USEC_PER_SEC);
    assert_int_equal(count_steps(w, STEP_DONE), 3);
    assert_int_equal(count_steps(w, STEP_WAITING), 8);
    w->readiness[0] = READINESS_YES;
    run(w);
    assert_int_equal(count_steps(w, STEP_DONE), 12);
    world_free(w);
}

static void test_crash_before_it_is_ready(void **state)
{
    (void)state;
    World *w = bootstrapping(1, 1);

    w->pid[0]++;
    w->n_restarts[0]++;
    send(w, (RolloutEvent){ .kind = EVENT_UNIT });
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_FAILED);
    assert_int_equal(rollout_gate(w->r, 0), GATE_SETTLE);
    world_free(w);
}

/* One question at a time: the change is looked at when the answer is there. */
static void test_crash_while_it_is_asked(void **state)
{
    (void)state;
    World *w = bootstrapping(1, 1);

    w->now.monotonic = rollout_deadline(w->r);
    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    assert_true(next_is(w, COMMAND_ASK, 0));
    w->proof[0] = PROOF_FAILED;
    send(w, (RolloutEvent){ .kind = EVENT_UNIT });
    assert_false(next_is(w, COMMAND_VERIFY, 0));
    w->readiness[0] = READINESS_YES;
    tell(w, COMMAND_ASK, 0);
    assert_true(next_is(w, COMMAND_VERIFY, 0));
    tell(w, COMMAND_VERIFY, 0);
    run(w);
    assert_int_equal(rollout_gate(w->r, 0), GATE_SETTLE);
    world_free(w);
}

static void test_restarted_by_somebody_before_it_is_ready(void **state)
{
    (void)state;
    World *w = bootstrapping(1, 1);

    pass(w, 290 * USEC_PER_SEC);
    w->pid[0]++;
    send(w, (RolloutEvent){ .kind = EVENT_UNIT });
    pump(w);
    pass(w, 290 * USEC_PER_SEC); /* it has its whole time again */
    assert_int_equal(rollout_step(w->r, 0), STEP_BOOTSTRAPPING);
    w->readiness[0] = READINESS_YES;
    run(w);
    assert_int_equal(rollout_step(w->r, 0), STEP_DONE);
    world_free(w);
}

/* ---- the model: random worlds, random events at random times, also ones that nobody asked for ---- */

static uint64_t seed;

static uint64_t rnd(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static void scramble(World *w, size_t i)
{
    w->job[i] = rnd(4) ? JOB_DONE : (JobResult)rnd(_JOB_RESULT_MAX);
    w->proof[i] = rnd(5) ? PROOF_OK : (Proof)rnd(5);
    w->back[i] = rnd(4) ? PROOF_OK : (Proof)rnd(5);
    w->write_bad[i] = rnd(30) == 0;
    w->check_bad[i] = rnd(20) == 0;
    w->needless[i] = rnd(10) == 0;
    w->by_others[i] = rnd(10) == 0;
    w->config_bad[i] = rnd(12) == 0;
    w->readiness[i] = rnd(3) ? READINESS_YES : READINESS_NOT_YET;
}

static bool has_settled(const World *w, const RolloutItem *items, size_t n, size_t allocator)
{
    for (size_t i = 0; i < n; i++)
        if (items[i].restart && items[i].allocator == allocator && rollout_step(w->r, i) == STEP_DONE)
            return true;
    return false;
}

static void model_once(uint64_t round)
{
    RolloutPolicy policy = {
        .parallel = 1 + rnd(6),
        .canary = (unsigned)rnd(3),
        .settle = rnd(3) * 10 * USEC_PER_SEC,
        .canary_settle = rnd(3) * 20 * USEC_PER_SEC,
        .max_failed = 1 + (unsigned)rnd(4),
        .put_back = rnd(5) != 0,
        .ready_timeout = rnd(3) * 20 * USEC_PER_SEC,
        .gate = rnd(3) == 0,
    };
    RolloutItem items[24] = { 0 };
    RolloutCommand out[256];
    size_t n = rnd(24), n_out = 0, recover = 0;

    for (size_t i = 0; i < n; i++) {
        items[i] =
            (RolloutItem){ .allocator = rnd(5) ? rnd(3) : ROLLOUT_NO_ALLOCATOR, .restart = rnd(4) != 0 };
        items[i].stopped = !items[i].restart && rnd(2);
        items[i].unproved = items[i].stopped && items[i].allocator != ROLLOUT_NO_ALLOCATOR && rnd(2);
        items[i].sandbox = rnd(3);
        items[i].verifies = rnd(3) != 0;
        items[i].recover = items[i].restart && recover < policy.parallel && rnd(10) == 0;
        items[i].outdated = items[i].recover && rnd(2);
        recover += items[i].recover;
        items[i].ready = items[i].recover && rnd(2);
    }
    World *w = world_new(&policy, items, n);
    for (size_t i = 0; i < n; i++) {
        scramble(w, i);
        w->away[i] = items[i].recover;
        w->ready[i] = rnd(2);
    }
    w->strays = round % 2;
    w->allocator_bad[rnd(3)] = rnd(6) == 0;
    w->sandbox_bad[rnd(3)] = rnd(4) == 0;
    w->age = rnd(3) * 10 * USEC_PER_SEC;
    w->crashing = rnd(8) == 0;
    w->reload_bad = rnd(12) == 0;

    send(w, (RolloutEvent){ .kind = EVENT_TICK });
    unsigned guard;
    for (guard = 0; guard < 5000 && !rollout_over(w->r); guard++) {
        RolloutCommand c;

        while (rollout_next(w->r, &c)) {
            observe(w, &c);
            /* all commands are taken after each event, so it has ended before */
            assert_false(c.kind == COMMAND_RESTART && rollout_state(w->r) == ROLLOUT_ENDING);
            if (!is_note(c.kind)) {
                assert_true(n_out < ELEMENTSOF(out));
                out[n_out++] = c;
            }
        }
        uint64_t dice = rnd(100);
        size_t some = n ? rnd(n) : 0;
        if (dice < 60 && n_out > 0) { /* answer any command that is out, in any order */
            size_t k = rnd(n_out);
            w->gate_shut = guard < 3000 && rnd(4) == 0;
            RolloutEvent e = answer(w, &out[k]);
            out[k] = out[--n_out];
            send(w, e);
        } else if (dice < 64 && n) { /* the world moves on by itself */
            w->pid[some]++;
            w->n_restarts[some] += rnd(3) == 0;
            w->down[some] = items[some].restart && rollout_step(w->r, some) == STEP_WAITING && rnd(3) == 0;
            w->up[some] = items[some].stopped && rnd(3) == 0;
            send(w, (RolloutEvent){
                        .kind = EVENT_UNIT, .item = some, .down = w->down[some], .up = w->up[some] });
        } else if (dice < 66 && n && w->strays) { /* answers that nobody asked for */
            send(w, (RolloutEvent){ .kind = (RolloutEventKind)rnd(5), .item = some, .ok = rnd(2) });
            send(w, (RolloutEvent){ .kind = EVENT_PREFLIGHT, .item = rnd(30), .ok = rnd(2) });
        } else if (dice < 68) {
            w->now.window_open = rnd(2);
        } else if (dice < 69) {
            send(w, (RolloutEvent){ .kind = EVENT_PAUSE });
        } else if (dice < 74) {
            send(w, (RolloutEvent){ .kind = EVENT_RESUME });
        } else if (dice < 75 && rnd(20) == 0) {
            send(w, (RolloutEvent){ .kind = (RolloutEventKind[]){ EVENT_ABORT, EVENT_SUPERSEDE,
                                                                  EVENT_HAND_OVER }[rnd(3)] });
        } else {
            w->now.monotonic += rnd(15) * USEC_PER_SEC;
            send(w, (RolloutEvent){ .kind = EVENT_TICK });
        }
        if (guard > 3000) { /* towards the end the world is kind: open window, resumed */
            w->now.window_open = true;
            send(w, (RolloutEvent){ .kind = EVENT_RESUME });
        }
    }
    pump(w);
    for (size_t k = 0; k < n_out; k++) /* over means that nothing is out that touches a relay */
        assert_true(out[k].kind == COMMAND_GATE || w->strays);
    if (!rollout_over(w->r))
        fail_msg("round %llu: no end", (unsigned long long)round);
    assert_int_equal(w->overs, 1);
    assert_true(w->most_away <= policy.parallel);
    for (size_t i = 0; i < n; i++) {
        Step s = rollout_step(w->r, i);
        assert_true(w->restarts[i] <= 1);
        assert_true(w->starts[i] <= 1);
        assert_true(s == STEP_WAITING || step_ended(s));
        if (s == STEP_WAITING)
            assert_true(w->writes[i] == w->restores[i] && rollout_state(w->r) != ROLLOUT_DONE);
        if (!items[i].restart)
            assert_int_equal(w->restarts[i], 0);
        if (rollout_handed_over(w->r, i)) /* it is up, and was proved */
            assert_true(s == STEP_SKIPPED && w->starts[i] == 0 && rollout_gate(w->r, i) == GATE_NONE);
        if (items[i].unproved && w->writes[i] > 0)
            assert_true(has_settled(w, items, n, items[i].allocator));
        if (rollout_gate(w->r, i) == GATE_PREFLIGHT) /* never touched, and failed on its own account */
            assert_true(s == STEP_FAILED && w->writes[i] == 0 && (preflight_bad(w, i) || w->strays));
        if (rollout_gate(w->r, i) == GATE_VERIFY_CONFIG)
            assert_true(s == STEP_FAILED && w->writes[i] == 0 && (w->config_bad[i] || w->strays));
        if (w->restarts[i] > 0 && !w->strays && items[i].verifies)
            assert_false(w->config_bad[i]);
        if (w->restarts[i] > 0 && !w->strays)
            assert_false(preflight_bad(w, i));
        if (s == STEP_DONE && items[i].restart && !items[i].recover)
            assert_int_equal(w->restarts[i], w->spared[i] ? 0 : 1);
        if (s == STEP_LOST && !policy.put_back && rollout_gate(w->r, i) != GATE_NONE && !items[i].outdated)
            assert_int_equal(rollout_state(w->r), ROLLOUT_HALTED);
    }
    world_free(w);
}

static void test_model(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= 40000; round++) {
        seed = round * 0x9E3779B97F4A7C15u + 1;
        model_once(round);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_waves),
        cmocka_unit_test(test_slow_relay_holds_nobody_up),
        cmocka_unit_test(test_nobody_joins_a_canary),
        cmocka_unit_test(test_nobody_joins_what_a_crash_left),
        cmocka_unit_test(test_put_backs_share_a_reload),
        cmocka_unit_test(test_nobody_joins_when_nothing_may_begin),
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_settling_takes_its_time),
        cmocka_unit_test(test_untouched_first_stopped_last),
        cmocka_unit_test(test_stopped_is_started_before_its_turn),
        cmocka_unit_test(test_stopped_is_started_before_its_file_is_read),
        cmocka_unit_test(test_stopped_waits_for_proof),
        cmocka_unit_test(test_canary_goes_alone),
        cmocka_unit_test(test_bad_canary_halts_and_is_put_back),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_write_failure_halts_at_once),
        cmocka_unit_test(test_reload_failure_restores_without_restart),
        cmocka_unit_test(test_max_failed),
        cmocka_unit_test(test_left_as_is_by_policy),
        cmocka_unit_test(test_preflight_refuses_only_its_own),
        cmocka_unit_test(test_preflight_of_each_sandbox),
        cmocka_unit_test(test_configuration_that_does_not_verify),
        cmocka_unit_test(test_verified_again_after_a_pause),
        cmocka_unit_test(test_abort_while_it_is_verified),
        cmocka_unit_test(test_no_preflight_for_a_file),
        cmocka_unit_test(test_preflight_that_could_not_be_tried),
        cmocka_unit_test(test_stray_preflight),
        cmocka_unit_test(test_crash_while_settling),
        cmocka_unit_test(test_stopped_while_settling),
        cmocka_unit_test(test_restarted_by_somebody_while_settling),
        cmocka_unit_test(test_failure_while_settling),
        cmocka_unit_test(test_file_that_cannot_be_put_back),
        cmocka_unit_test(test_put_back_during_a_reload),
        cmocka_unit_test(test_halt_during_a_reload),
        cmocka_unit_test(test_abort_during_a_reload),
        cmocka_unit_test(test_pause_during_a_reload),
        cmocka_unit_test(test_reload_failure_beside_free_places),
        cmocka_unit_test(test_reload_failure_beside_a_relay_that_is_down),
        cmocka_unit_test(test_unit_noise_while_settling),
        cmocka_unit_test(test_pause_resume_abort_supersede),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_gate_before_each_wave),
        cmocka_unit_test(test_gate_is_shut),
        cmocka_unit_test(test_gate_and_pause),
        cmocka_unit_test(test_gate_holds_no_way_back),
        cmocka_unit_test(test_abort_at_the_gate),
        cmocka_unit_test(test_recover_after_crash),
        cmocka_unit_test(test_recovered_relay_that_then_fails),
        cmocka_unit_test(test_outdated_flight_is_no_strike),
        cmocka_unit_test(test_forecast),
        cmocka_unit_test(test_stopped_before_their_turn),
        cmocka_unit_test(test_check_refuses_only_its_own),
        cmocka_unit_test(test_check_shows_a_needless_restart),
        cmocka_unit_test(test_check_shows_that_others_have_restarted_it),
        cmocka_unit_test(test_no_way_back_to_what_crashed),
        cmocka_unit_test(test_as_is),
        cmocka_unit_test(test_recovered_relay_settles_on),
        cmocka_unit_test(test_settles_when_it_is_ready),
        cmocka_unit_test(test_hand_over),
        cmocka_unit_test(test_hand_over_of_one_that_is_restarted),
        cmocka_unit_test(test_never_ready_is_put_back),
        cmocka_unit_test(test_time_without_a_network_does_not_count),
        cmocka_unit_test(test_nobody_is_restarted_while_another_is_not_ready),
        cmocka_unit_test(test_crash_before_it_is_ready),
        cmocka_unit_test(test_crash_while_it_is_asked),
        cmocka_unit_test(test_restarted_by_somebody_before_it_is_ready),
        cmocka_unit_test(test_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
