/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/plan.h"

#include "manager/relay.h"

void plan_one(Relay *relay)
{
    const HostFacts host = manager_host(relay->manager);

    facts_plan_one(&host, &relay->facts);
}

void plan_make(Manager *m)
{
    _cleanup_(freep) RelayFacts **facts = xcalloc(m->n_relays, sizeof(*facts));
    const HostFacts host = manager_host(m);

    for (size_t i = 0; i < m->n_relays; i++)
        facts[i] = &m->relays[i]->facts;
    plan_free(m->plan);
    m->plan = facts_plan(&host, facts, m->n_relays);
}

bool plan_prove_new(Manager *m)
{
    bool any = false;

    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *relay = m->relays[i];
        const HostFacts host = manager_host(m);
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

static void log_proof(Relay *relay)
{
    const Group *g = relay_target(relay);
    const char *reason = plan_reason(relay);
    Event e = relay_event(relay);
    _cleanup_(freep) char *words = NULL;

    if (!relay_up(relay) || !relay->facts.process.readable ||
        (relay->state != RELAY_OK && relay->state != RELAY_DRIFTED && relay->state != RELAY_OBSERVED &&
         relay->state != RELAY_REVERTED))
        return;
    words = xasprintf("%s %s %s %s %s", relay_state_to_string(relay->state), relay->facts.info->invocation,
                      relay->facts.running, relay->facts.version,
                      relay->state == RELAY_DRIFTED && reason ? reason : "");
    if (streq_null(words, relay->logged))
        return;
    free(relay->logged);
    relay->logged = TAKE_PTR(words);
    if (relay->state == RELAY_DRIFTED) {
        e.reason = reason;
        eventlog_write(MESSAGE_RELAY_DRIFTED, &e, "%s drifted from %s: %s.", relay->facts.name,
                       g ? relay->manager->setup->config->allocators[g->allocator].name : "its assignment",
                       reason ? reason : "cause unknown");
    } else {
        eventlog_write(MESSAGE_RELAY_VERIFIED, &e, "%s runs %s%s%s%s%s, %s.", relay->facts.name,
                       relay->facts.running, *relay->facts.version ? " " : "", relay->facts.version,
                       g ? ", group " : "", g ? g->name : "", facts_proof(&relay->facts));
    }
}

void plan_update_states(Manager *m)
{
    const HostFacts host = manager_host(m);

    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *relay = m->relays[i];

        relay->state = facts_state(&host, &relay->facts, relay->run_item != SIZE_MAX ? &relay->step : NULL);
        log_proof(relay);
    }
}
