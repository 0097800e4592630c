/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/operator.h"

#include "manager/memory.h"
#include "manager/relay.h"
#include "manager/relays.h"
#include "manager/run.h"
#include "manager/setup.h"
#include "manager/status.h"

#include <errno.h>
#include <syslog.h>

void operator_pause(Manager *m)
{
    const Event e = { .rollout = run_id(m) };

    m->state->paused = true;
    (void)memory_save(m);
    run_event(m, EVENT_PAUSE);
    eventlog_write(
        MESSAGE_ROLLOUT_PAUSED, &e,
        "Paused by an operator: relays in progress are finished, no others are started until it is resumed.");
    status_show(m);
}

int operator_resume(Manager *m)
{
    const Event e = { .rollout = run_id(m) };

    if (!relays_forget_config_faults(m, true) && !memory_held(m->state) && m->state->n_refusals == 0)
        return -ENOENT;
    if (m->state->hold != HOLD_NONE || !m->state->paused)
        memory_clear_refusals(m->state); /* the operator has looked at it: a new chance */
    m->state->paused = false;
    memory_hold(m->state, HOLD_NONE, NULL);
    (void)memory_save(m);
    m->not_before = 0;
    eventlog_write(MESSAGE_ROLLOUT_RESUMED, &e, "Resumed by an operator.");
    run_event(m, EVENT_RESUME);
    m->reports->asked(m);
    status_show(m);
    return 0;
}

int operator_resume_relays(Manager *m, char *const *relays, size_t *ret_n)
{
    size_t n = 0;

    STRV_FOREACH (name, relays)
        if (!relays_find(m, *name))
            return -ESRCH;
    STRV_FOREACH (name, relays) {
        bool reverted = memory_remove_revert(m->state, *name),
             failed = memory_forget_failures(m->state, *name);

        n += reverted || failed;
        if (reverted || failed)
            eventlog_line(LOG_NOTICE, "%s: resumed by an operator%s.", *name,
                          reverted ? "; the file counts for it again" : "; what failed is tried again");
    }
    if (n == 0)
        return -ENOENT;
    (void)memory_save(m);
    m->not_before = 0;
    run_event(m, EVENT_SUPERSEDE);
    relays_assign(m);
    m->reports->asked(m);
    *ret_n = n;
    return 0;
}

int operator_abort(Manager *m)
{
    if (!m->run)
        return -ENOENT;
    /* Now, and not after the relays in progress are finished: neither a crash nor a new plan may undo it. */
    if (m->state->hold != HOLD_HALTED) {
        memory_hold(m->state, HOLD_ABORTED, NULL);
        (void)memory_save(m);
    }
    run_event(m, EVENT_ABORT);
    status_show(m);
    return 0;
}

int operator_revert(Manager *m, char *const *relays, size_t *ret_n)
{
    size_t n = 0;

    STRV_FOREACH (name, relays)
        if (!relays_find(m, *name))
            return -ENOENT;
    for (size_t i = 0; i < m->n_relays; i++) {
        const Relay *relay = m->relays[i];
        bool wanted = relays && *relays ? strv_contains(relays, relay->facts.name)
                                        : relay->facts.group != GROUP_NONE || relay->facts.present;

        if (!wanted)
            continue;
        const Group *g = setup_group(m->setup, relay->facts.group);
        memory_add_revert(m->state, relay->facts.name, g ? g->name : "",
                          g ? m->setup->config->allocators[g->allocator].name : "");
        memory_remove_refusal(m->state, relay->facts.name, "", ""); /* asked for again, tried again */
        n++;
    }
    (void)memory_save(m);
    m->not_before = 0;
    run_event(m, EVENT_SUPERSEDE);
    relays_assign(m);
    m->reports->asked(m);
    *ret_n = n;
    return 0;
}

void operator_ignore_window(Manager *m, Outside who)
{
    if (who > m->outside_window)
        m->outside_window = who;
    if (who == OUTSIDE_ALL)
        run_event(m, EVENT_TICK);
    m->reports->asked(m);
}

int operator_restart(Manager *m, char *const *relays, size_t *ret_n)
{
    size_t n = 0;

    STRV_FOREACH (name, relays)
        if (!relays_find(m, *name))
            return -ENOENT;
    for (size_t i = 0; i < m->n_relays; i++) {
        const Relay *relay = m->relays[i];

        bool wanted = relays && *relays ? strv_contains(relays, relay->facts.name) : !relay->facts.old_unit;

        if (!relay_up(relay) || !wanted)
            continue;
        (void)memory_want_restart(m->state, relay->facts.name, relay->facts.info->invocation);
        n++;
    }
    (void)memory_save(m);
    m->not_before = 0;
    run_event(m, EVENT_SUPERSEDE);
    m->reports->asked(m);
    *ret_n = n;
    return 0;
}
