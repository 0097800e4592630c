/* SPDX-License-Identifier: BSD-3-Clause */
/* What is logged of a rollout (journal) and remembered of it (state): nothing here changes its course. */
#include "manager/alert.h"
#include "manager/memory.h"
#include "manager/plan.h"
#include "manager/relay.h"
#include "manager/run-item.h"
#include "manager/setup.h"

#include <inttypes.h>
#include <syslog.h>

/* The way back of a relay that a crash left in mid-move is kept until it has been moved, and one that could
 * not be written, or that systemd has not read since it read what was to be moved to, until that is done. */
static void end_flight(Run *run, size_t item)
{
    const RunItem *i = &run->items[item];
    const bool unread = i->back_unread && rollout_gate(run->rollout, item) != GATE_RELOAD,
               over = rollout_handed_over(run->rollout, item);
    Flight *flight =
        i->not_back || unread || over ? memory_find_flight(run->manager->state, i->relay->facts.name) : NULL;

    if (flight) {
        flight->left = over;
        flight->stuck = !over;
        flight->unread = unread && !i->not_back;
        return;
    }
    if (rollout_gate(run->rollout, item) == GATE_VERIFY_CONFIG)
        return;
    if (rollout_step(run->rollout, item) != STEP_SKIPPED || !i->item.recover || !relay_up(i->relay))
        memory_remove_flight(run->manager->state, i->relay->facts.name);
}

/* The one that the item was to meet. What was requested since of its new process, or of one that was not to
 * be restarted, is still to be done. */
static void end_restart_request(const RunItem *i)
{
    State *state = i->run->manager->state;

    if (i->item.restart && !i->needless && memory_restart_wanted(state, i->relay->facts.name, i->replaces))
        (void)memory_end_restart(state, i->relay->facts.name);
}

void notice_wave(Run *run, const RolloutCommand *c)
{
    Manager *m = run->manager;
    const Event e = { .rollout = run_id(m), .wave = c->wave };

    /* All of the wave at once, before its first file: after a crash we know whom to look after. */
    for (size_t n = 0; n < run->n; n++) {
        const RunItem *i = &run->items[n];
        Step step = rollout_step(run->rollout, n);

        if (step == STEP_WRITING && i->wanted)
            memory_set_written(m->state, i->relay->facts.name, true);
        if (step == STEP_WRITING && i->item.restart)
            memory_add_flight(m->state, &(Flight){ .relay = i->relay->facts.name,
                                                   .unit = i->relay->facts.unit,
                                                   .previous = i->previous,
                                                   .before = i->before,
                                                   .allocator = i->moves_to,
                                                   .build = i->build,
                                                   .canary = rollout_canary(run->rollout, n) });
    }
    run->unsafe = memory_save(m) < 0;
    eventlog_write(MESSAGE_WAVE_STARTED, &e, "Rollout %" PRIu64 ", wave %zu: %zu relay%s.", run_id(m),
                   c->wave, c->count, c->count == 1 ? "" : "s");
}

static const RunItem *first_failed(const Run *run)
{
    for (size_t n = 0; n < run->n; n++)
        if (rollout_gate(run->rollout, n) != GATE_NONE)
            return &run->items[n];
    return NULL;
}

/* Of it, for people; owned by the caller. NULL: none has failed. */
static char *first_failure(const Run *run)
{
    const RunItem *i = first_failed(run);

    return i ? xasprintf("%s: %s", i->relay->facts.name, i->reason ? i->reason : "failed") : NULL;
}

/* What must not be tried again. A disk or a reload that fails is the host's trouble, and not this relay's
 * with this library. But one that an operator reverts would be tried again at once, with or without a halt,
 * without end. */
static void remember_failure(RunItem *i, Gate gate)
{
    Manager *m = i->run->manager;

    if (i->item.as_is) /* it was not moved: its allocator is not to blame */
        return;
    if (!*i->moves_to || (gate != GATE_WRITE && gate != GATE_RELOAD))
        memory_add_refusal(m->state, i->relay->facts.name, i->moves_to, i->build, i->reason, false);
}

static bool shares_preflight(const RunItem *i, const RunItem *asked)
{
    return i->allocator == asked->allocator && i->item.sandbox == asked->item.sandbox &&
           rollout_step(i->run->rollout, i->index) == STEP_WAITING;
}

/* Does a relay outside of this refusal run the allocator, or may it yet? */
static bool works_elsewhere(const RunItem *asked)
{
    const Manager *m = asked->run->manager;
    const HostFacts host = setup_host(m);

    for (size_t n = 0; n < m->n_relays; n++) {
        const Relay *relay = m->relays[n];
        const RunItem *i = relay->run_item != SIZE_MAX ? &asked->run->items[relay->run_item] : NULL;

        if (facts_resolved(&host, &relay->facts) != &m->setup->allocators[asked->allocator])
            continue;
        if (i ? !shares_preflight(i, asked) && rollout_gate(i->run->rollout, i->index) != GATE_PREFLIGHT
              : relay_up(relay) && relay->facts.verdict.cause == CAUSE_NONE)
            return true;
    }
    return false;
}

/* One entry for all whose sandbox is the same; each has the reason. */
static void refuse_relays(const RunItem *asked, const char *reason)
{
    Manager *m = asked->run->manager;
    size_t others = 0;
    Event e = relay_event(asked->relay);

    for (size_t n = 0; n < asked->run->n; n++) {
        RunItem *i = &asked->run->items[n];

        if (!shares_preflight(i, asked))
            continue;
        memory_add_refusal(m->state, i->relay->facts.name, i->moves_to, i->build, reason, true);
        others += i != asked;
    }
    _cleanup_(freep) char *more =
        others == 0 ? xstrdup(" is") : xasprintf(" and %zu more with the same sandbox are", others);
    e.reason = reason;
    e.result = gate_to_string(GATE_PREFLIGHT);
    eventlog_write(MESSAGE_RELAY_REFUSED, &e, "%s%s not moved to %s, and not touched: %s.",
                   asked->relay->facts.name, more, item_allocator_name(asked), reason);
}

static void refuse_allocator(const RunItem *asked, const char *reason)
{
    Manager *m = asked->run->manager;
    AllocatorFacts *resolved = &m->setup->allocators[asked->allocator];
    const Event e = { .allocator = item_allocator_name(asked), .reason = reason, .rollout = run_id(m) };

    eventlog_write(MESSAGE_PREFLIGHT_FAILED, &e, "Allocator %s is refused before any relay is restarted: %s.",
                   item_allocator_name(asked), reason);
    if (!resolved->refusal)
        resolved->refusal = xstrdup(reason); /* until a reload looks at it again */
}

void notice_refused(RunItem *asked, const char *reason)
{
    const bool one = works_elsewhere(asked);

    for (size_t n = 0; n < asked->run->n; n++)
        if (shares_preflight(&asked->run->items[n], asked))
            item_set_reason(&asked->run->items[n], xstrdup(reason));
    if (one)
        refuse_relays(asked, reason);
    else
        refuse_allocator(asked, reason);
}

void notice_untested(RunItem *asked, const char *reason)
{
    AllocatorFacts *resolved = &asked->run->manager->setup->allocators[asked->allocator];

    if (!resolved->refusal)
        resolved->refusal = xstrdup(reason);
    resolved->untested = true;
    eventlog_line(LOG_WARNING,
                  "Allocator %s could not be tested yet: %s. It is tried again with each sample.",
                  item_allocator_name(asked), reason);
}

void notice_config_refused(RunItem *i, const char *reason)
{
    Event e = relay_event(i->relay);

    item_set_reason(i, xstrdup(reason));
    facts_take_config_fault(&i->relay->facts, i->reason, i->config_stamp);
    e.reason = i->reason;
    e.result = gate_to_string(GATE_VERIFY_CONFIG);
    eventlog_write(MESSAGE_CONFIG_FAULT, &e, "%s is not moved to %s, and not touched (gate \"%s\"): %s.",
                   i->relay->facts.name, item_allocator_name(i), e.result, i->reason);
}

/* What has to be changed for the halt to end by itself. What was refused before it was touched is no cause.
 */
static void remember_causes(const Run *run)
{
    for (size_t n = 0; n < run->n; n++) {
        const RunItem *i = &run->items[n];
        Gate gate = rollout_gate(run->rollout, n);

        if (gate != GATE_NONE && gate != GATE_PREFLIGHT && gate != GATE_SETTINGS)
            memory_add_cause(run->manager->state, i->relay->facts.name, i->moves_to, i->build);
    }
}

void notice_failed_gate(Run *run, const RolloutCommand *c)
{
    RunItem *i = &run->items[c->item];
    Manager *m = run->manager;
    Event e = relay_event(i->relay);

    if (!i->reason)
        item_set_reason(
            i, xstrdup(c->gate == GATE_SETTLE
                           ? "it did not stay up while settling: it crashed or was restarted repeatedly"
                           : "reason unknown"));
    if (c->gate == GATE_READY) {
        char span[FORMAT_SPAN_MAX];
        item_set_reason(i, xasprintf("it has not bootstrapped within %s: %s",
                                     format_span(span, m->setup->config->rollout.ready_timeout), i->reason));
    }
    free(i->unit_log);
    /* What it said tells something only of what was done to it. */
    i->unit_log = c->gate >= GATE_JOB ? relay_unit_log(i->relay) : NULL;
    e.reason = i->reason;
    e.result = gate_to_string(c->gate);
    e.unit_log = i->unit_log;
    e.wave = rollout_wave_of(run->rollout, c->item);
    _cleanup_(freep) char *what =
        i->item.as_is ? xstrdup("restarted as requested") : xasprintf("moved to %s", item_allocator_name(i));
    eventlog_write(MESSAGE_RELAY_FAILED, &e, "%s could not be %s (gate \"%s\"): %s.%s%s",
                   i->relay->facts.name, what, gate_to_string(c->gate), i->reason,
                   i->unit_log ? "\nThe last lines of its log:\n" : "", i->unit_log ? i->unit_log : "");
    remember_failure(i, c->gate);
    if (rollout_halts(run->rollout)) { /* now: a crash in the put-back must not set it going again */
        _cleanup_(freep) char *why = first_failure(run);
        memory_hold(m->state, HOLD_HALTED, why);
        remember_causes(run);
    }
    (void)memory_save(m);
}

void notice_gate(Run *run, const char *fault)
{
    const char *unit = run->manager->setup->config->rollout.gate;
    const Event e = { .rollout = run_id(run->manager), .reason = fault };
    const bool was_shut = run->gate_fault;

    if (streq_null(fault, run->gate_fault))
        return;
    free(run->gate_fault);
    run->gate_fault = xstrdup(fault);
    if (fault) {
        char span[FORMAT_SPAN_MAX];
        eventlog_write(MESSAGE_GATE_SHUT, &e,
                       "Rollout %" PRIu64 " waits for the gate %s: it %s. It is tried again every %s.",
                       run_id(run->manager), unit, fault, format_span(span, ROLLOUT_GATE_INTERVAL));
    } else if (was_shut) {
        eventlog_write(MESSAGE_GATE_OPEN, &e, "Rollout %" PRIu64 " goes on: the gate %s has succeeded.",
                       run_id(run->manager), unit);
    }
}

static const char *skipped_text(const RunItem *i, size_t wave)
{
    const UnitInfo *info = i->relay->facts.info;

    if (!info->exists)
        return "is gone; nothing is left to do";
    if (rollout_handed_over(i->run->rollout, i->index))
        return "is still to settle, and does so in the next rollout: what is to be put back does not wait "
               "for that";
    if (i->allocator != ROLLOUT_NO_ALLOCATOR && wave == 0 &&
        i->run->manager->setup->allocators[i->allocator].untested)
        return "was not touched: its turn comes when its allocator can be tested";
    if (i->not_back)
        return "has a drop-in that nobody has proved, and that could not be taken back; it is tried again "
               "with each sample";
    if (relay_up(i->relay))
        return i->item.recover
                   ? "is up after the interruption; its drop-in is as it was before, and it is planned again"
                   : "is up by somebody else's doing; its drop-in is as it was before, and it is planned "
                     "again";
    if (wave == 0 && !i->item.recover)
        return info->active == ACTIVE_FAILED ? "failed before its turn; it is moved when it is up again"
                                             : "was stopped before its turn; it is moved when it is up again";
    return i->was_down ? "was down when its turn came; its drop-in is unchanged"
                       : "was stopped by somebody else; its drop-in is unchanged";
}

static void tell_moved(const RunItem *i, Event e)
{
    const RelayFacts *f = &i->relay->facts;
    usec_t settle = rollout_settle(i->run->rollout, i->index);
    char span[FORMAT_SPAN_MAX];

    eventlog_write(MESSAGE_RELAY_MOVED, &e, "%s runs %s%s%s, %s%s%s.", f->name, f->running,
                   *f->version ? " " : "", f->version, facts_proof(f), settle > 0 ? " and settled for " : "",
                   settle > 0 ? format_span(span, settle) : "");
}

void notice_ended(Run *run, const RolloutCommand *c)
{
    RunItem *i = &run->items[c->item];
    Event e = relay_event(i->relay);

    operation_end(i);
    end_flight(run, c->item);
    if (!rollout_handed_over(run->rollout, c->item))
        file_settled(i);
    if (rollout_step(run->rollout, c->item) != STEP_WAITING)
        end_restart_request(i);
    plan_one(i->relay); /* the last plan may be from when it was on its way */
    e.wave = rollout_wave_of(run->rollout, c->item);
    e.reason = i->reason;
    switch (rollout_step(run->rollout, c->item)) {
    case STEP_DONE:
        e.reason = NULL;
        if (i->needless)
            eventlog_line(LOG_INFO, "%s runs what its own settings say, and is not restarted.",
                          i->relay->facts.name);
        else if (i->item.restart)
            tell_moved(i, e);
        break;
    case STEP_FAILED:
        if (c->gate != GATE_PREFLIGHT && c->gate != GATE_VERIFY_CONFIG && c->gate != GATE_WRITE)
            eventlog_write(MESSAGE_RELAY_PUT_BACK, &e, "%s was put back and %s: %s.", i->relay->facts.name,
                           relay_up(i->relay)                  ? "runs as before"
                           : unit_masked(i->relay->facts.info) ? "stays down, because its unit is masked"
                           : unit_failed(i->relay->facts.info) && !unit_stopped(i->relay->facts.info)
                               ? "stays down, because it had failed by itself"
                               : "stays down, because somebody else stopped it",
                           i->reason ? i->reason : "reason unknown");
        break;
    case STEP_LOST:
        if (i->not_back && run->manager->state->hold != HOLD_HALTED && rollout_halts(run->rollout)) {
            /* nobody was restarted for it, so that nothing else has told of a failure */
            _cleanup_(freep) char *why = xasprintf("%s: %s", i->relay->facts.name, i->reason);
            memory_hold(run->manager->state, HOLD_HALTED, why);
        }
        eventlog_write(
            MESSAGE_RELAY_LOST, &e, "%s %s: %s.%s See systemctl status '%s'.", i->relay->facts.name,
            i->crashing     ? "was left as it is, because it also crashed before its restart"
            : i->item.as_is ? "was left as it is, because nothing had changed that could be put back"
            : run->manager->setup->config->rollout.on_failure == ON_FAILURE_ROLLBACK
                ? "COULD NOT BE PUT BACK and needs a human"
                : "was left as it is because of on_failure = \"stop\"",
            i->reason ? i->reason : "reason unknown",
            i->not_back      ? " Its old drop-in is tried again with each sample."
            : i->back_unread ? " systemd is asked again with each sample to read its old drop-in."
                             : "",
            i->relay->facts.unit);
        alert_raise(run->manager, ALERT_LOST, i->relay->facts.name);
        relay_unit_changed(i->relay); /* what changed while its job was out has not been read */
        break;
    case STEP_SKIPPED:
        if (i->item.restart && facts_down(&i->relay->facts))
            memory_set_waiting(run->manager->state, i->relay->facts.name, true);
        eventlog_line(LOG_INFO, "%s %s.", i->relay->facts.name, skipped_text(i, e.wave));
        break;
    case STEP_WAITING:
        eventlog_line(LOG_INFO, "%s was not touched; its drop-in is unchanged.", i->relay->facts.name);
        break;
    default:
        break;
    }
    memory_save_soon(run->manager);
}

/* Owned by the caller. */
static char *counts_text(RolloutCounts c)
{
    _cleanup_(freep) char *skipped = c.skipped > 0 ? xasprintf(", %zu skipped", c.skipped) : xstrdup("");

    return xasprintf("%zu done, %zu failed%s, %zu untouched", c.done, c.failed, skipped,
                     c.total - c.done - c.failed - c.skipped);
}

void notice_over(Run *run)
{
    Manager *m = run->manager;
    RolloutState state = rollout_state(run->rollout);
    Event e = { .rollout = run_id(m), .result = rollout_state_to_string(state) };
    _cleanup_(freep) char *counts = counts_text(rollout_counts(run->rollout));

    free(m->last_reason);
    m->last_reason = first_failure(run);
    m->last_result = state;
    m->last_counts = run_counts(m);
    (void)memory_save(m);
    e.reason = m->last_reason;
    if (state == ROLLOUT_HALTED) {
        const RunItem *first = first_failed(run);
        eventlog_write(
            MESSAGE_ROLLOUT_HALTED, &e,
            "Rollout %" PRIu64 " halted: %s. First failure: %s. "
            "Fix the cause and run \"relayallocctl resume\"; or give what failed another allocator.",
            run_id(m), counts, m->last_reason ? m->last_reason : "unknown");
        alert_raise(m, ALERT_HALTED, first ? first->relay->facts.name : NULL);
    } else if (state == ROLLOUT_ABORTED)
        eventlog_write(MESSAGE_ROLLOUT_ABORTED, &e, "Rollout %" PRIu64 " aborted: %s.", run_id(m), counts);
    else
        eventlog_write(MESSAGE_ROLLOUT_FINISHED, &e, "Rollout %" PRIu64 " %s %s.", run_id(m),
                       state == ROLLOUT_DONE ? "finished:"
                       : m->next_setup       ? "ended early: the configuration changed;"
                                             : "ended early: the plan changed;",
                       counts);
}
