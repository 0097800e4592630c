/* SPDX-License-Identifier: BSD-3-Clause */
/* A rollout as its caller sees it: made, shown, copied. Decides nothing. */
#include "core/rollout-private.h"

#include <assert.h>

static const char *const gate_names[_GATE_MAX] = {
    [GATE_NONE] = "none",   [GATE_PREFLIGHT] = "preflight", [GATE_VERIFY_CONFIG] = "verify-config",
    [GATE_WRITE] = "write", [GATE_RELOAD] = "reload",       [GATE_SETTINGS] = "settings",
    [GATE_JOB] = "job",     [GATE_ACTIVE] = "active",       [GATE_PROOF] = "proof",
    [GATE_READY] = "ready", [GATE_SETTLE] = "settle",
};

const char *gate_to_string(Gate gate)
{
    return gate_names[gate];
}

static const char *const state_names[_ROLLOUT_STATE_MAX] = {
    [ROLLOUT_RUNNING] = "running", [ROLLOUT_WAITING] = "waiting",
    [ROLLOUT_PAUSED] = "paused",   [ROLLOUT_ENDING] = "ending",
    [ROLLOUT_DONE] = "done",       [ROLLOUT_HALTED] = "halted",
    [ROLLOUT_ABORTED] = "aborted", [ROLLOUT_SUPERSEDED] = "superseded",
};

const char *rollout_state_to_string(RolloutState s)
{
    return state_names[s];
}

/* The index of the trial of these two, which is made when it is the first. */
static size_t trial_of(Rollout *r, size_t allocator, uint64_t sandbox)
{
    size_t t = 0;

    while (t < r->n_trials && (r->trials[t].allocator != allocator || r->trials[t].sandbox != sandbox))
        t++;
    if (t == r->n_trials)
        r->trials[r->n_trials++] = (Trial){ .allocator = allocator, .sandbox = sandbox };
    return t;
}

Rollout *rollout_new(const RolloutPolicy *policy, const RolloutItem *items, size_t n)
{
    Rollout *r = xcalloc(1, sizeof(*r));

    assert(policy->parallel >= 1 && policy->max_failed >= 1);
    r->policy = *policy;
    r->items = xcalloc(n, sizeof(*r->items));
    r->moved = xcalloc(n, sizeof(*r->moved));
    r->kinds = xcalloc(n, sizeof(*r->kinds));
    r->trials = xcalloc(n, sizeof(*r->trials));
    r->n_items = n;
    for (size_t i = 0; i < n; i++)
        r->items[i].item = items[i];
    item_place_all(r);
    for (size_t i = 0; i < n; i++) {
        size_t allocator = items[i].allocator;

        if (items[i].recover) {
            item_set_step(r, &r->items[i], STEP_VERIFYING);
            r->items[i].touched = true;
            r->items[i].canary = items[i].canary;
            r->items[i].ready = items[i].ready;
            rollout_emit_item(r, COMMAND_VERIFY, &r->items[i]);
        }
        if (allocator == ROLLOUT_NO_ALLOCATOR)
            continue;
        r->items[i].trial = trial_of(r, allocator, items[i].sandbox);
        if (!rollout_kind_of(r, allocator))
            r->kinds[r->n_kinds++] = (Kind){ .allocator = allocator, .canaries_left = policy->canary };
    }
    return r;
}

Rollout *rollout_free(Rollout *r)
{
    if (r) {
        free(r->items);
        free(r->moved);
        free(r->kinds);
        free(r->trials);
        free(r->queue);
        free(r);
    }
    return NULL;
}

RolloutState rollout_state(const Rollout *r)
{
    return r->state;
}

bool rollout_halts(const Rollout *r)
{
    return r->end == ROLLOUT_HALTED;
}

Step rollout_step(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return r->items[item].step;
}

Gate rollout_gate(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return r->items[item].gate;
}

bool rollout_canary(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return r->items[item].canary;
}

bool rollout_handed_over(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return r->items[item].handed_over;
}

size_t rollout_wave_of(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return r->items[item].wave;
}

size_t rollout_wave(const Rollout *r)
{
    return r->wave;
}

RolloutCounts rollout_counts(const Rollout *r)
{
    return (RolloutCounts){
        .total = r->n_items,
        .done = r->n_in[STEP_DONE],
        .skipped = r->n_in[STEP_SKIPPED],
        .failed = r->n_in[STEP_FAILED] + r->n_in[STEP_LOST],
    };
}

static void emit_again(Rollout *r)
{
    for (size_t n = 0; n < r->n_items; n++) {
        Item *i = &r->items[n];
        RolloutCommandKind out = item_command_out(i);

        if (i->config == ANSWER_PENDING)
            rollout_emit_item(r, COMMAND_VERIFY_CONFIG, i);
        if (out != COMMAND_RELOAD)
            rollout_emit_item(r, out, i);
    }
    for (size_t t = 0; t < r->n_trials; t++)
        for (size_t n = 0; r->trials[t].preflight == ANSWER_PENDING && n < r->n_items; n++)
            if (item_trial(r, &r->items[n]) == &r->trials[t]) {
                rollout_emit_item(r, COMMAND_PREFLIGHT, &r->items[n]);
                break;
            }
    if (r->gate == ANSWER_PENDING)
        rollout_emit(r, (RolloutCommand){ .kind = COMMAND_GATE });
    if (r->reload_out)
        rollout_emit(r, (RolloutCommand){ .kind = COMMAND_RELOAD });
}

static void *copy_array(const void *array, size_t n, size_t size)
{
    void *copy = xcalloc(n, size);

    return n > 0 ? memcpy(copy, array, n * size) : copy;
}

Rollout *rollout_copy(const Rollout *r)
{
    Rollout *copy = copy_array(r, 1, sizeof(*r));

    copy->items = copy_array(r->items, r->n_items, sizeof(*r->items));
    copy->moved = copy_array(r->moved, r->n_items, sizeof(*r->moved));
    copy->kinds = copy_array(r->kinds, r->n_kinds, sizeof(*r->kinds));
    copy->trials = copy_array(r->trials, r->n_trials, sizeof(*r->trials));
    copy->queue = NULL;
    copy->n_queue = copy->head = copy->capacity = 0;
    for (size_t n = 0; n < copy->n_items; n++) {
        copy->items[n].pid = 1;
        copy->items[n].n_restarts = 0;
    }
    emit_again(copy);
    return copy;
}
