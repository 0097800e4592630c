/* SPDX-License-Identifier: BSD-3-Clause */
/* From the table of relays to a plan, and to a rollout when there is something to do and nothing holds it
 * back. */
#include "core/dropin.h"
#include "manager/manager.h"

#define PLAN_DELAY (50 * USEC_PER_MSEC)

RolloutPolicy plan_policy(const Manager *m)
{
    const RolloutConfig *c = &m->setup->config->rollout;

    return (RolloutPolicy){
        .parallel = amount_of(c->parallel, m->n_relays),
        .canary = c->canary,
        .settle = c->settle,
        .canary_settle = c->canary_settle,
        .max_failed = c->max_failed,
        .put_back = c->on_failure == ON_FAILURE_ROLLBACK,
    };
}

/* Does its process have what a drop-in of ours sets? */
static bool carries(const Relay *r, const char *dropin)
{
    _cleanup_(strv_freep) char **ours = dropin ? dropin_environment(dropin) : NULL;

    STRV_FOREACH (e, ours) {
        const char *equals = strchr(*e, '=');
        if (equals && equals[1] && strv_contains(r->environ, *e))
            return true;
    }
    return false;
}

/* Comes and goes right now: what its unit says in a moment is what counts, and it will be told. */
static bool in_transition(const Relay *r)
{
    return r->info && (r->info->active == ACTIVE_ACTIVATING || r->info->active == ACTIVE_DEACTIVATING ||
                       (r->info->job != 0 && !relay_up(r)));
}

/* The move that is assigned to it failed before, and nothing has changed since. */
static const Refusal *failed_before(const Relay *r)
{
    const Manager *m = r->manager;
    const Group *g = relay_target(r);

    return g ? state_find_refusal(m->state, r->name, m->setup->config->allocators[g->allocator].name,
                                  relay_resolved(r)->build)
             : state_find_refusal(m->state, r->name, "", "");
}

/* The facts of one relay; strings that are made for it go to *wanted and *refusal, the caller's to free. */
static PlanRelay plan_facts(const Relay *r, char **wanted, char **refusal)
{
    const Manager *m = r->manager;
    const Group *g = relay_target(r);
    const Resolved *resolved = relay_resolved(r);
    const Flight *flight = state_find_flight(m->state, r->name);
    const Refusal *failed = failed_before(r);
    const char *why = failed && failed->reason ? failed->reason : "reason unknown";
    PlanRelay p = {
        .name = r->name,
        .group = g ? r->group : GROUP_NONE,
        .present = r->present,
        .up = relay_up(r),
    };

    if (!r->info || (!r->info->exists && !r->present) || in_transition(r) || relay_too_young(r)) {
        p.wanted = p.present;
        p.up = false;
        p.group = g ? p.group : GROUP_NONE;
        p.present = g ? p.present : NULL;
        return p;
    }
    if (!g) {
        p.carries_ours =
            p.up && r->readable && (carries(r, r->present) || carries(r, flight ? flight->previous : NULL));
        if (r->foreign && p.carries_ours)
            *refusal = xstrdup(r->foreign);
        else if (failed)
            *refusal = xasprintf("removing our drop-in failed before: %s", why);
        p.refusal = *refusal;
        return p;
    }
    const Allocator *a = &m->setup->config->allocators[g->allocator];
    p.allocator = a->name;
    p.allocator_index = g->allocator;
    p.verdict = p.up ? &r->verdict : NULL;
    p.wanted = *wanted = relay_wanted_text(r);
    if (resolved->refusal)
        *refusal = xasprintf("allocator %s is refused: %s", a->name, resolved->refusal);
    else if (r->foreign)
        *refusal = xstrdup(r->foreign);
    else if (failed)
        *refusal = xasprintf("failed before with this build of %s: %s", a->name, why);
    p.refusal = *refusal;
    return p;
}

static void take_action(Relay *r, Action action, char *take_reason)
{
    const Refusal *failed = failed_before(r);

    r->action = action;
    r->refused = failed && action == ACTION_REFUSED;
    free(r->reason);
    r->reason = take_reason;
    /* Left as it failed by rollout.on_failure: nothing is planned for it, but it is not just stopped. */
    if (failed && action == ACTION_NONE && r->info && r->info->active == ACTIVE_FAILED) {
        r->refused = true;
        r->reason = xstrdup(failed->reason ? failed->reason : "reason unknown");
    }
}

void plan_one(Relay *r)
{
    char *wanted = NULL, *refusal = NULL, *reason = NULL;
    const PlanRelay facts = plan_facts(r, &wanted, &refusal);
    Action action = plan_relay(&facts, &reason);

    take_action(r, action, reason);
    free(wanted);
    free(refusal);
}

void plan_make(Manager *m)
{
    _cleanup_(freep) PlanRelay *facts = xcalloc(m->n_relays, sizeof(*facts));
    _cleanup_(freep) char **wanted = xcalloc(m->n_relays + 1, sizeof(char *));
    _cleanup_(freep) char **refusals = xcalloc(m->n_relays + 1, sizeof(char *));
    const RolloutPolicy policy = plan_policy(m);

    for (size_t i = 0; i < m->n_relays; i++)
        facts[i] = plan_facts(m->relays[i], &wanted[i], &refusals[i]);
    plan_free(m->plan);
    m->plan = plan_new(facts, m->n_relays, &policy);
    for (size_t i = 0; i < m->n_relays; i++) {
        take_action(m->relays[i], ACTION_NONE, NULL);
        free(wanted[i]);
        free(refusals[i]);
    }
    for (size_t i = 0; i < m->plan->n; i++) {
        const PlanItem *item = &m->plan->items[i];
        take_action(m->relays[item->relay], item->action, xstrdup(item->reason));
    }
}

/* ---- states ---- */

const char *relay_reason(const Relay *r)
{
    const char *under_way =
        r->run_item != SIZE_MAX && r->manager->run ? run_item_reason(r->manager->run, r->run_item) : NULL;

    if (under_way)
        return under_way;
    if (r->action == ACTION_REFUSED && r->reason)
        return r->reason; /* why nothing is done about it says more than what is wrong */
    return r->verdict.reason ? r->verdict.reason : r->reason;
}

static void tell(Relay *r)
{
    const Group *g = relay_target(r);
    const char *reason = relay_reason(r);
    Event e = relay_event(r);
    _cleanup_(freep) char *words = NULL;

    if (!relay_up(r) || !r->readable ||
        (r->state != RELAY_OK && r->state != RELAY_DRIFTED && r->state != RELAY_OBSERVED))
        return;
    words = xasprintf("%s %s %s %s %s", relay_state_to_string(r->state), r->info->invocation, r->running_name,
                      r->version, r->state == RELAY_DRIFTED && reason ? reason : "");
    if (streq_null(words, r->told))
        return;
    free(r->told);
    r->told = TAKE_PTR(words);
    if (r->state == RELAY_DRIFTED) {
        e.reason = reason;
        eventlog_write(MESSAGE_RELAY_DRIFTED, &e, "%s drifted from %s: %s.", r->name,
                       g ? r->manager->setup->config->allocators[g->allocator].name : "its assignment",
                       reason ? reason : "cause unknown");
    } else {
        eventlog_write(MESSAGE_RELAY_VERIFIED, &e, "%s runs %s%s%s%s%s, proved.", r->name, r->running_name,
                       *r->version ? " " : "", r->version, g ? ", group " : "", g ? g->name : "");
    }
}

void plan_update_states(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *r = m->relays[i];
        const bool under_way = r->run_item != SIZE_MAX && m->run;

        r->state = relay_state(&(StateFacts){
            .assigned = relay_target(r) != NULL,
            .up = relay_up(r),
            .under_way = under_way,
            .step = under_way ? rollout_step(run_rollout(m->run), r->run_item) : STEP_WAITING,
            .remembered_failure = r->refused,
            .action = r->action,
            .cause = r->verdict.cause,
        });
        tell(r);
        bus_api_relay_changed(r);
    }
    manager_show_status(m);
}

/* ---- when ---- */

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->retry = sd_event_source_unref(m->retry);
    plan_now(m);
    return 0;
}

void plan_now(Manager *m)
{
    usec_t now = now_monotonic(m);
    bool young = false;

    if (!m->scanned)
        return;
    for (size_t i = 0; i < m->n_relays; i++)
        if (m->relays[i]->young || relay_too_young(m->relays[i])) {
            relay_prove(m->relays[i]);
            m->relays[i]->young = relay_too_young(m->relays[i]);
            young = young || m->relays[i]->young;
        }
    plan_make(m);
    if (young)
        manager_schedule(m, &m->retry, RELAY_GROWN_UP, on_retry);
    if (now < m->not_before)
        manager_schedule(m, &m->retry, m->not_before - now, on_retry);
    else if (!m->run && m->systemd)
        (void)run_start(m);
    plan_update_states(m);
}

static int on_replan(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->replan = sd_event_source_unref(m->replan);
    plan_now(m);
    return 0;
}

void plan_soon(Manager *m)
{
    manager_schedule(m, &m->replan, PLAN_DELAY, on_replan);
}
