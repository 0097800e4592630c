/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/plan.h"

#include "core/forecast.h"

#include <assert.h>

static const char *const action_names[_ACTION_MAX] = {
    [ACTION_NONE] = "none",       [ACTION_WRITE] = "write",     [ACTION_REMOVE] = "remove",
    [ACTION_RESTART] = "restart", [ACTION_REFUSED] = "refused",
};

const char *action_to_string(Action a)
{
    return action_names[a];
}

Plan *plan_free(Plan *plan)
{
    if (plan) {
        for (size_t i = 0; i < plan->n; i++)
            free(plan->items[i].reason);
        free(plan->items);
        free(plan);
    }
    return NULL;
}

/* Would a new process of this unit run something else than this one does? Only then is a restart worth its
 * cost. */
static bool restart_helps(const PlanRelay *r, bool same_file)
{
    switch (r->verdict->cause) {
    case CAUSE_NONE:
    case CAUSE_REPLACED:   /* it runs the allocator it should; the newer build is the operator's to choose */
    case CAUSE_UNREADABLE: /* nothing is proved: no reason to touch it */
    case CAUSE_REFUSED:    /* nor must anybody load it again */
    case CAUSE_MISSING:    /* without the library it would come up on glibc */
    case CAUSE_OVERRIDDEN: /* judged as if our file stood already: it would lose */
    case CAUSE_SECURE:     /* it would be ignored */
        return false;
    case CAUSE_UNKNOWN:
        return !same_file; /* with our file in place already, it would end the same again */
    default:
        return true;
    }
}

Action plan_relay(const PlanRelay *r, char **ret_reason)
{
    bool same_file = streq_null(r->wanted, r->present);
    Action action = ACTION_NONE;
    char *reason = NULL;

    if (r->group == GROUP_NONE) {
        bool ours = r->present || r->carries_ours;

        if (!ours && !r->restart_wanted)
            return ACTION_NONE;
        action = r->up && r->carries_ours ? ACTION_RESTART : ACTION_REMOVE;
        reason = xstrdup(action == ACTION_RESTART
                             ? "no group takes it any more, and it still runs with our drop-in"
                         : r->keeps ? "no group takes it any more; it runs what its own settings say, so no "
                                      "restart is needed"
                                    : "no group takes it any more");
    } else if (r->up && restart_helps(r, same_file)) {
        action = ACTION_RESTART;
        reason = xstrdup(r->verdict->reason);
    } else if (!same_file && r->up &&
               (r->verdict->cause == CAUSE_OVERRIDDEN || r->verdict->cause == CAUSE_SECURE)) {
        action = ACTION_REFUSED;
        reason = xstrdup(r->verdict->reason);
    } else if (!same_file && !r->unproved && !(r->up && r->verdict->cause == CAUSE_UNREADABLE)) {
        action = ACTION_WRITE;
        reason = r->up ? xasprintf("its drop-in is %s; no restart is needed",
                                   r->present ? "out of date" : "missing")
                       : xstrdup("is not up; the drop-in takes effect at its next start");
    }
    if (r->restart_wanted && action != ACTION_RESTART && action != ACTION_REFUSED) {
        action = ACTION_RESTART;
        free(reason);
        reason = xstrdup("an operator requested a restart");
    }
    const char *refusal = r->refusal ? r->refusal : action == ACTION_RESTART ? r->no_restart : NULL;
    if (action != ACTION_NONE && refusal) {
        free(reason);
        reason = xstrdup(refusal);
        action = ACTION_REFUSED;
    }
    if (action != ACTION_NONE)
        *ret_reason = reason;
    return action;
}

typedef struct Sortable {
    PlanItem item;
    size_t group;
    const char *name;
} Sortable;

static int compare_items(const void *a, const void *b)
{
    const Sortable *x = a, *y = b;

    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return name_compare(x->name, y->name);
}

static bool is_restarted_with(const Sortable *items, size_t n, const PlanRelay *relays, size_t allocator)
{
    for (size_t i = 0; i < n; i++) {
        const PlanRelay *r = &relays[items[i].item.relay];

        if (items[i].item.action == ACTION_RESTART && r->group != GROUP_NONE &&
            r->allocator_index == allocator)
            return true;
    }
    return false;
}

/* What a relay of this plan is going to prove, the stopped ones get behind it. */
static size_t add_stopped(const PlanRelay *relays, size_t n_relays, Sortable *items, size_t n)
{
    const size_t n_restarts = n;

    for (size_t i = 0; i < n_relays; i++) {
        PlanRelay r = relays[i];
        Sortable s = { .item.relay = i, .item.unproved = true, .group = r.group, .name = r.name };

        if (!r.unproved || !is_restarted_with(items, n_restarts, relays, r.allocator_index))
            continue;
        r.unproved = false;
        s.item.action = plan_relay(&r, &s.item.reason);
        items[n] = s;
        n += s.item.action != ACTION_NONE;
    }
    return n;
}

static bool carried_out(const PlanItem *item)
{
    return item->action != ACTION_REFUSED;
}

Plan *plan_new(const PlanRelay *relays, size_t n, const RolloutPolicy *policy)
{
    _cleanup_(freep) Sortable *sorted = xcalloc(n, sizeof(*sorted));
    _cleanup_(freep) RolloutItem *items = xcalloc(n, sizeof(*items));
    _cleanup_(freep) size_t *index = xcalloc(n, sizeof(*index));
    _cleanup_(freep) size_t *waves = xcalloc(n, sizeof(*waves));
    Plan *plan = xcalloc(1, sizeof(*plan));

    for (size_t i = 0; i < n; i++) {
        Sortable *s = &sorted[plan->n];

        s->item.relay = i;
        s->item.action = plan_relay(&relays[i], &s->item.reason);
        s->group = relays[i].group;
        s->name = relays[i].name;
        plan->n += s->item.action != ACTION_NONE;
    }
    plan->n = add_stopped(relays, n, sorted, plan->n);
    qsort(sorted, plan->n, sizeof(*sorted), compare_items);
    plan->items = xcalloc(plan->n, sizeof(*plan->items));
    for (size_t i = 0; i < plan->n; i++)
        plan->items[i] = sorted[i].item;

    size_t n_items = plan_rollout_items(plan, relays, items, index);
    forecast_waves(policy, items, n_items, waves);
    for (size_t i = 0; i < n_items; i++)
        plan->items[index[i]].wave = waves[i];
    return plan;
}

size_t plan_rollout_items(const Plan *plan, const PlanRelay *relays, RolloutItem *ret, size_t *ret_index)
{
    size_t n = 0;

    for (size_t i = 0; i < plan->n; i++) {
        const PlanItem *p = &plan->items[i];
        const PlanRelay *r = &relays[p->relay];

        if (!carried_out(p))
            continue;
        ret[n] = (RolloutItem){
            .allocator = r->group == GROUP_NONE ? ROLLOUT_NO_ALLOCATOR : r->allocator_index,
            .restart = p->action == ACTION_RESTART,
            .stopped = !r->up,
            .unproved = p->unproved,
        };
        ret_index[n++] = i;
    }
    return n;
}
