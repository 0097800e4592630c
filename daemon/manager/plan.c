/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/plan.h"

#include "manager/loop.h"
#include "manager/relay.h"
#include "manager/relays.h"
#include "manager/setup.h"

void plan_one(Relay *relay)
{
    const HostFacts host = setup_host(relay->manager);

    facts_plan_one(&host, &relay->facts);
}

RolloutPolicy plan_policy(const Manager *m)
{
    _cleanup_(freep) RelayFacts **facts = relays_facts(m);

    return facts_policy(m->setup->config, facts, m->n_relays);
}

void plan_make(Manager *m)
{
    _cleanup_(freep) RelayFacts **facts = relays_facts(m);
    const HostFacts host = setup_host(m);

    plan_free(m->plan);
    m->plan = facts_plan(&host, facts, m->n_relays);
}

bool plan_prove_new(Manager *m)
{
    bool any = false;

    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *relay = m->relays[i];
        const HostFacts host = setup_host(m);
        const ProcessFacts *process = &relay->facts.process;
        const bool is_new = process->pid != 0 && process_is_new(process->started, host.now);

        /* Once more when it is no longer new: what it has mapped since is not announced by any change of its
         * unit. */
        if (!relay->is_new && !is_new)
            continue;
        relay_prove(relay);
        relay->is_new = is_new;
        relay->too_new = facts_too_new(&host, &relay->facts);
        any = any || is_new;
    }
    return any;
}

/* ---- states ---- */

const char *plan_reason(const Relay *relay)
{
    return relay->run_reason ? relay->run_reason : facts_reason(&relay->facts);
}

/* One relay makes us log so often: five times at once, then once in twenty seconds. */
#define LOG_COST 20
static const BudgetRule log_rule = { .most = 5 * LOG_COST, .per_second = 1 };

static void log_words(Relay *relay)
{
    const Group *g = relay_target(relay);
    const char *reason = plan_reason(relay);
    Event e = relay_event(relay);
    _cleanup_(freep) char *more = relay->n_unlogged > 0
                                      ? xasprintf("; %u change%s before that came too fast to be logged",
                                                  relay->n_unlogged, relay->n_unlogged == 1 ? "" : "s")
                                      : xstrdup("");

    relay->n_unlogged = 0;
    if (relay->state == RELAY_DRIFTED) {
        e.reason = reason;
        eventlog_write(MESSAGE_RELAY_DRIFTED, &e, "%s drifted from %s: %s%s.", relay->facts.name,
                       g ? relay->manager->setup->config->allocators[g->allocator].name : "its assignment",
                       reason ? reason : "cause unknown", more);
    } else {
        eventlog_write(MESSAGE_RELAY_VERIFIED, &e, "%s runs %s%s%s%s%s, %s%s.", relay->facts.name,
                       relay->facts.running, *relay->facts.version ? " " : "", relay->facts.version,
                       g ? ", group " : "", g ? g->name : "", facts_proof(&relay->facts), more);
    }
}

/* What the proof of a relay says, to see that it says something else; owned by the caller. NULL: nothing. */
static char *proof_words(const Relay *relay)
{
    const char *reason = plan_reason(relay);

    if (!relay_up(relay) || !relay->facts.process.readable ||
        (relay->state != RELAY_OK && relay->state != RELAY_DRIFTED && relay->state != RELAY_OBSERVED &&
         relay->state != RELAY_REVERTED))
        return NULL;
    return xasprintf("%s %s %s %s %s", relay_state_to_string(relay->state), relay->facts.info->invocation,
                     relay->facts.running, relay->facts.version,
                     relay->state == RELAY_DRIFTED && reason ? reason : "");
}

/* false: it has to wait. */
static bool log_proof(Relay *relay)
{
    const usec_t now = loop_monotonic(relay->manager);
    _cleanup_(freep) char *words = proof_words(relay);
    bool again = streq_null(words, relay->logged);

    if (!words || (again && relay->n_unlogged == 0))
        return true;
    if (budget_left(&relay->log_budget, &log_rule, now) < LOG_COST) {
        relay->n_unlogged += !streq_null(words, relay->unlogged);
        free(relay->unlogged);
        relay->unlogged = TAKE_PTR(words);
        return false;
    }
    budget_spend(&relay->log_budget, &log_rule, now, LOG_COST);
    relay->n_unlogged -= relay->n_unlogged > 0 && streq_null(words, relay->unlogged); /* it is logged now */
    free(relay->logged);
    relay->logged = TAKE_PTR(words);
    free(relay->unlogged);
    relay->unlogged = NULL;
    log_words(relay);
    return true;
}

bool plan_update_state(Relay *relay)
{
    Manager *m = relay->manager;
    const HostFacts host = setup_host(m);
    const Step *step = relay->run_item != SIZE_MAX ? &relay->step : NULL;

    m->n_in_state[relay->state]--;
    relay->state = facts_state(&host, &relay->facts, step);
    m->n_in_state[relay->state]++;
    return !log_proof(relay);
}
