/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of core/facts.h that says what is to be done about a relay, and why. */
#include "core/dropin.h"
#include "core/facts.h"
#include "core/relay.h"

static bool carries(const RelayFacts *r, const char *dropin)
{
    _cleanup_(strv_freep) char **ours = dropin ? dropin_environment(dropin) : NULL;

    return facts_carried(r, ours) != NULL;
}

/* Comes and goes right now: what its unit says in a moment is what counts. */
static bool in_transition(const RelayFacts *r)
{
    return r->info && (r->info->active == ACTIVE_ACTIVATING || r->info->active == ACTIVE_DEACTIVATING ||
                       (r->info->job != 0 && !unit_up(r->info)));
}

bool facts_down(const RelayFacts *r)
{
    return unit_stopped(r->info) || (r->info && r->info->active == ACTIVE_FAILED && !r->present);
}

/* It went down before its turn came: when it is up again, it is planned like any other. */
static bool waits(const HostFacts *h, const RelayFacts *r)
{
    return facts_down(r) && strv_contains(h->state->waiting, r->name);
}

/* The move that is assigned to it failed before, and nothing has changed since. */
static const Refusal *failed_before(const HostFacts *h, const RelayFacts *r)
{
    const Allocator *a = facts_allocator(h, r);

    _cleanup_(freep) char *build = a ? facts_failure_build(a, facts_resolved(h, r)) : xstrdup("");

    return memory_find_refusal(h->state, r->name, a ? a->name : "", build);
}

static const char *refusal_reason(const Refusal *refusal)
{
    return refusal->reason ? refusal->reason : "reason unknown";
}

/* Why nothing may be done about it now; NULL: nothing speaks against it. Owned by the caller. */
static char *refusal_of(const HostFacts *h, const RelayFacts *r)
{
    const Allocator *a = facts_allocator(h, r);
    const Refusal *failed = failed_before(h, r);

    if (a && facts_resolved(h, r)->refusal)
        return xasprintf("allocator %s %s: %s", a->name,
                         facts_resolved(h, r)->untested ? "could not be tested yet" : "is refused",
                         facts_resolved(h, r)->refusal);
    if (r->foreign)
        return xstrdup(r->foreign);
    /* systemd would not start it again, with whatever drop-in */
    if (unit_masked(r->info) && unit_up(r->info))
        return xstrdup(UNIT_IS_MASKED);
    if (r->settings_unread && (a || unit_up(r->info))) /* to take ours away needs nothing of others */
        return xstrdup(r->settings_unread);
    if (!a && unit_up(r->info) && !r->process.readable) /* without the file nobody would ask again */
        return xstrdup("its files in /proc cannot be read, so nobody knows whether it runs with our drop-in");
    if (failed && failed->untouched)
        return xstrdup(refusal_reason(failed));
    if (failed && a)
        return xasprintf("failed before with this build of %s: %s", a->name, refusal_reason(failed));
    if (failed)
        return xasprintf("removing our drop-in failed before: %s", refusal_reason(failed));
    return NULL;
}

typedef struct PlanTexts { /* what a PlanRelay refers to and nothing else owns */
    char *wanted, *refusal;
} PlanTexts;

static void plan_texts_clear(PlanTexts *t)
{
    free(t->wanted);
    free(t->refusal);
}

/* A file with our mark that no group asks for, and that this installation does not remember as its work: what
 * an earlier one left. Only an operator may remove it. */
static bool is_left_over(const HostFacts *h, const RelayFacts *r)
{
    return !facts_target(h, r) && !r->reverted && r->present &&
           (r->old_unit || !strv_contains(h->state->written, r->name));
}

static bool is_proved(const HostFacts *h, const Allocator *a, const AllocatorFacts *resolved)
{
    _cleanup_(freep) char *recipe = facts_recipe(a, resolved);

    return !recipe || strv_contains(h->state->proved, recipe);
}

/* Its file, if it has one, sets what relays of this host have settled with. */
static bool has_sound_file(const HostFacts *h, const RelayFacts *r)
{
    _cleanup_(strv_freep) char **set = r->present ? dropin_environment(r->present) : NULL;

    if (strv_length(set) == 0)
        return true;
    for (size_t i = 0; i < h->config->n_allocators; i++) {
        const Allocator *a = &h->config->allocators[i];
        if ((a->library && !h->allocators[i].path) || !is_proved(h, a, &h->allocators[i]))
            continue;
        _cleanup_(freep) char *text = dropin_render(h->config_path, "", a, h->allocators[i].path, r->kept);
        _cleanup_(strv_freep) char **would_set = dropin_environment(text);
        if (strv_equal(set, would_set))
            return true;
    }
    return false;
}

/* It is stopped, and its file must not become what nobody has proved: nobody would see it come up, and there
 * would be no way back. One that failed has nothing to lose only if what its file says may be the reason. */
static bool must_wait_for_proof(const HostFacts *h, const RelayFacts *r, const char *wanted)
{
    if (unit_up(r->info) || is_proved(h, facts_allocator(h, r), facts_resolved(h, r)))
        return false;
    if (r->info->active == ACTIVE_FAILED && !has_sound_file(h, r))
        return false;
    _cleanup_(strv_freep) char **before = r->present ? dropin_environment(r->present) : NULL;
    _cleanup_(strv_freep) char **then = dropin_environment(wanted);
    return !strv_equal(before, then);
}

/* Whatever its process still may show: its file is not what is refused, so it does not run that. */
static bool is_refused_anyway(const HostFacts *h, const RelayFacts *r)
{
    if (!facts_target(h, r))
        return false;
    _cleanup_(freep) char *refusal = refusal_of(h, r), *wanted = facts_wanted(h, r);
    return refusal && !streq_null(r->present, wanted);
}

static PlanRelay plan_facts(const HostFacts *h, const RelayFacts *r, PlanTexts *texts)
{
    const Group *g = facts_target(h, r);
    const Flight *flight = memory_find_flight(h->state, r->name);
    PlanRelay p = { .name = r->name, .group = g ? r->group : GROUP_NONE };

    /* What is to lose our drop-in loses it also while it starts, or crashes again and again: its next start
     * is without. */
    const bool loses = !g && r->present && r->info && r->info->active == ACTIVE_ACTIVATING;

    if (!r->info || (!r->info->exists && !r->present) || (in_transition(r) && !loses) ||
        (facts_too_new(h, r) && !is_refused_anyway(h, r)) || waits(h, r) || is_left_over(h, r)) {
        p.wanted = p.present = g ? r->present : NULL; /* nothing to be done now */
        return p;
    }
    p.present = r->present;
    p.up = unit_up(r->info);
    if (g) {
        p.allocator = facts_allocator(h, r)->name;
        p.allocator_index = g->allocator;
        p.verdict = p.up ? &r->verdict : NULL;
        p.wanted = texts->wanted = facts_wanted(h, r);
        p.unproved = must_wait_for_proof(h, r, p.wanted);
    } else {
        p.carries_ours = p.up && r->process.readable &&
                         (carries(r, r->present) || carries(r, r->removed) ||
                          carries(r, flight ? flight->previous : NULL));
        p.keeps = p.up && r->process.readable && !p.carries_ours;
    }
    p.restart_wanted = p.up && memory_restart_wanted(h->state, r->name, r->info->invocation);
    p.refusal = texts->refusal = refusal_of(h, r);
    p.no_restart = r->config_fault;
    return p;
}

static char *left_over_words(const RelayFacts *r)
{
    if (!r->old_unit)
        return xasprintf(
            "%s is left over from an earlier installation and is kept; \"relayallocctl revert '%s'\" "
            "removes it",
            r->dropin, r->name);
    _cleanup_(freep) char *unit_template = relay_template_of(r->unit);
    return xasprintf("%s is left over from before `unit` was changed and is kept; \"relayallocctl revert "
                     "--unit=%s\" removes it",
                     r->dropin, unit_template);
}

/* In systemd's words, and with what was known of it before. */
static char *down_text(const RelayFacts *r)
{
    const UnitInfo *info = r->info;
    const char *result = info->result ? info->result : "?";
    const char *state = info->active == ACTIVE_FAILED       ? "failed"
                        : info->active == ACTIVE_ACTIVATING ? "crashes repeatedly"
                                                            : "its reload failed";

    const bool tried = info->active == ACTIVE_ACTIVATING && streq(result, "success"); /* again, just now */
    return xasprintf("%s (%s%s%s%u restart%s by systemd)%s%s", state, tried ? "" : "result \"",
                     tried ? "" : result, tried ? "" : "\", ", info->n_restarts,
                     info->n_restarts == 1 ? "" : "s", r->reason ? "; " : "", r->reason ? r->reason : "");
}

static void take_action(const HostFacts *h, RelayFacts *r, Action action, char *take_reason)
{
    const Refusal *failed = failed_before(h, r);

    r->action = action;
    r->failed_before = action == ACTION_REFUSED && (failed || streq_null(take_reason, r->config_fault));
    free(r->reason);
    r->reason = take_reason;
    /* Left as it failed by rollout.on_failure: nothing is planned for it, but it is not just stopped. */
    if (failed && action == ACTION_NONE && r->info && r->info->active == ACTIVE_FAILED) {
        r->failed_before = true;
        free(r->reason); /* what failed says more than what it waits for */
        r->reason = xstrdup(refusal_reason(failed));
    }
    if (action == ACTION_NONE && !r->reason && is_left_over(h, r))
        r->reason = left_over_words(r);
    if (action == ACTION_NONE && !r->reason && r->reverted && r->group != GROUP_NONE)
        r->reason =
            xasprintf("reverted by an operator: until the file gives it another group or allocator, or "
                      "\"relayallocctl resume '%s'\"",
                      r->name);
    if (action == ACTION_NONE && !r->reason && !facts_target(h, r) && unit_up(r->info) &&
        r->process.readable && r->process.not_loaded && r->process.not_loaded[0])
        r->reason = xasprintf("its LD_PRELOAD names %s, which it has not loaded", r->process.not_loaded[0]);
    free(r->down);
    r->down = r->info && unit_failed(r->info) ? down_text(r) : NULL;
}

/* Why nothing is planned for it, where that is not plain; NULL: it is. Owned by the caller. */
static char *idle_reason(const PlanRelay *p)
{
    return p->unproved
               ? xasprintf("is not up, and no relay of this host has settled with %s yet: its drop-in is "
                           "written when one has, or in its turn when it is up",
                           p->allocator)
               : NULL;
}

void facts_plan_one(const HostFacts *h, RelayFacts *r)
{
    _cleanup_(plan_texts_clear) PlanTexts texts = { 0 };
    char *reason = NULL;
    const PlanRelay facts = plan_facts(h, r, &texts);
    Action action = plan_relay(&facts, &reason);

    take_action(h, r, action, action == ACTION_NONE ? idle_reason(&facts) : reason);
}

Plan *facts_plan(const HostFacts *h, RelayFacts *const *relays, size_t n)
{
    _cleanup_(freep) PlanRelay *facts = xcalloc(n, sizeof(*facts));
    _cleanup_(freep) PlanTexts *texts = xcalloc(n, sizeof(*texts));
    const RolloutPolicy policy = facts_policy(h->config, relays, n);

    for (size_t i = 0; i < n; i++)
        facts[i] = plan_facts(h, relays[i], &texts[i]);
    Plan *plan = plan_new(facts, n, &policy);
    for (size_t i = 0; i < n; i++) {
        take_action(h, relays[i], ACTION_NONE, idle_reason(&facts[i]));
        plan_texts_clear(&texts[i]);
    }
    for (size_t i = 0; i < plan->n; i++) {
        const PlanItem *item = &plan->items[i];
        take_action(h, relays[item->relay], item->action, xstrdup(item->reason));
    }
    return plan;
}

usec_t facts_plan_length(const HostFacts *h, RelayFacts *const *relays, size_t n, const Plan *plan,
                         ForecastTimes times)
{
    const RolloutPolicy policy = facts_policy(h->config, relays, n);
    _cleanup_(freep) RolloutItem *items = xcalloc(plan->n, sizeof(*items));
    _cleanup_(freep) const UnitInfo **units = xcalloc(plan->n, sizeof(*units));
    _cleanup_(freep) usec_t *restart = xcalloc(plan->n, sizeof(*restart));
    _cleanup_(freep) bool *ready = xcalloc(plan->n, sizeof(*ready));
    size_t n_items = 0;

    for (size_t i = 0; i < plan->n; i++) {
        const RelayFacts *r = relays[plan->items[i].relay];
        const Group *g = facts_target(h, r);

        if (plan->items[i].action == ACTION_REFUSED)
            continue;
        units[n_items] = r->info;
        ready[n_items] = times.ready_now && times.ready_now[plan->items[i].relay];
        items[n_items++] = (RolloutItem){ .allocator = g ? g->allocator : ROLLOUT_NO_ALLOCATOR,
                                          .restart = plan->items[i].action == ACTION_RESTART,
                                          .verifies = r->info && r->info->verify_config,
                                          .stopped = !unit_up(r->info) };
    }
    forecast_restarts(units, n_items, restart);
    times.restart = restart;
    times.ready_now = ready;
    return n_items > 0 ? forecast_length(&policy, items, n_items, &times) : USEC_INFINITY;
}
