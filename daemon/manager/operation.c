/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done to one relay's unit in a rollout: restart it, start it, prove it. Each operation is a RunItem
 * with all that belongs to it in named fields; operation_end() cancels all of it. Decides nothing of the
 * rollout's order. */
#include "manager/loop.h"
#include "manager/operation-private.h"
#include "manager/relay.h"
#include "manager/relays.h"
#include "manager/tor.h"

#include <errno.h>
#include <syslog.h>

#define DEADLINE_SLACK (15 * USEC_PER_SEC) /* on top of the unit's own timeouts */
#define DEADLINE_LONGEST (15 * USEC_PER_MINUTE)
#define CHECK_LONGEST USEC_PER_MINUTE /* nothing was done to the relay yet, and those behind it wait */

void operation_end(RunItem *i)
{
    i->operation = OPERATION_NONE;
    i->relay->read_by_run = false;
    i->call = systemd1_cancel(i->call);
    i->timer = sd_event_source_disable_unref(i->timer);
    free(i->job);
    free(i->early_job);
    i->job = i->early_job = NULL;
}

static void answer_job(RunItem *i, JobResult result)
{
    if (result != JOB_DONE && result != JOB_CANCELED && result != JOB_SKIPPED &&
        i->operation == OPERATION_RESTART && !i->reason)
        item_set_reason(i, xasprintf("its restart job ended with \"%s\"", job_result_to_string(result)));
    i->canceled = i->operation == OPERATION_RESTART && result == JOB_CANCELED;
    i->ended = false;
    operation_end(i);
    if (result == JOB_FAILED) /* does systemd start it again? */
        relay_unit_changed(i->relay);
    run_send(i->run, (RolloutEvent){ .kind = EVENT_JOB, .item = i->index, .job = result });
}

static int on_operation_timer(sd_event_source *source, uint64_t usec, void *userdata);

void operation_wait(RunItem *i, usec_t delay)
{
    i->timer = sd_event_source_disable_unref(i->timer);
    int r = sd_event_add_time_relative(i->run->manager->event, &i->timer, CLOCK_MONOTONIC, delay,
                                       USEC_PER_MSEC, on_operation_timer, i);
    if (r < 0)
        eventlog_line(LOG_ERR, "Cannot set a timer: %s.", strerror(-r));
}

bool operation_past_deadline(const RunItem *i)
{
    return loop_monotonic(i->run->manager) >= i->deadline;
}

bool operation_gave_up(const RunItem *i, int error)
{
    return error != -ENOTCONN && operation_past_deadline(i);
}

/* Everything about a unit in transition is bounded by what the unit itself allows. */
static usec_t operation_deadline(const RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;
    usec_t stop = info ? info->timeout_stop : 0, start = info ? info->timeout_start : 0;

    if (i->operation == OPERATION_CHECK)
        return loop_monotonic(i->run->manager) + CHECK_LONGEST;
    usec_t longest = stop >= DEADLINE_LONGEST || start >= DEADLINE_LONGEST ? DEADLINE_LONGEST : stop + start;

    return loop_monotonic(i->run->manager) + longest + DEADLINE_SLACK;
}

/* ---- restart and start ---- */

static void on_job_looked(void *userdata, int error, const char *message, UnitInfo *info)
{
    RunItem *i = userdata;

    (void)message;
    i->call = NULL;
    if (error == 0) {
        const char *number = i->job ? strrchr(i->job, '/') : NULL;
        uint64_t ours;
        bool gone = number && parse_u64(number + 1, &ours) == 0 && info->job != ours;

        relay_take_info(i->relay, info);
        if (gone) { /* its JobRemoved was lost: how the unit stands is looked at next in any case */
            answer_job(i, JOB_DONE);
            return;
        }
    }
    if (operation_gave_up(i, error)) {
        item_add_reason(i, xstrdup("its restart job did not finish within the unit's timeout"));
        answer_job(i, JOB_TIMEOUT);
        return;
    }
    operation_wait(i, POLL_JOB);
}

static void on_job_taken(void *userdata, int error, const char *message, const char *job)
{
    RunItem *i = userdata;

    i->call = NULL;
    if (error == -ENOTCONN || error == -EBUSY) { /* no answer, or not now: how the unit stands is looked at */
        operation_wait(i, POLL_JOB);
        return;
    }
    if (error < 0) {
        item_add_reason(i, xasprintf("systemd refused the job: %s", message ? message : strerror(-error)));
        answer_job(i, JOB_REFUSED);
        return;
    }
    i->job = xstrdup(job);
    if (streq_null(i->early_job, job))
        answer_job(i, i->early_result);
    else
        operation_wait(i, POLL_JOB);
}

/* It failed, or waits to be started again, before anything was done about it. */
static bool is_crashing(const UnitInfo *info)
{
    return info->active == ACTIVE_FAILED || unit_auto_restarts(info);
}

static void ask_restart(RunItem *i)
{
    Manager *m = i->run->manager;

    if (!i->asked) {
        snprintf(i->invocation, sizeof(i->invocation), "%s", i->relay->facts.info->invocation);
        i->was_down = i->operation == OPERATION_RESTART && !relay_up(i->relay);
        i->n_restarts = i->relay->facts.info->n_restarts;
        i->crashing = i->operation == OPERATION_RESTART && i->previous && is_crashing(i->relay->facts.info);
    }
    i->asked = true;
    int r = systemd1_restart(m->systemd, i->relay->facts.unit, i->operation == OPERATION_RESTART,
                             on_job_taken, i, &i->call);
    if (r < 0)
        on_job_taken(i, r, NULL, NULL);
}

/* Whether a restart has reached systemd whose answer was lost with the bus, only the unit can tell. */
static void on_restart_seen(void *userdata, int error, const char *message, UnitInfo *info)
{
    RunItem *i = userdata;
    bool same = error < 0 || (streq(info->invocation, i->invocation) && info->job == 0);

    (void)message;
    i->call = NULL;
    if (error == 0)
        relay_take_info(i->relay, info);
    if (!same) {
        answer_job(i, JOB_DONE);
    } else if (operation_gave_up(i, error)) {
        item_add_reason(i, xstrdup("systemd did not answer the request to restart it"));
        answer_job(i, JOB_TIMEOUT);
    } else if (error < 0) {
        operation_wait(i, POLL_JOB);
    } else {
        ask_restart(i);
    }
}

/* A unit that failed too often would not be started again (start limit): that count is forgotten first. */
static void on_reset(void *userdata, int error, const char *message)
{
    RunItem *i = userdata;

    (void)message;
    i->call = NULL;
    if (error == -ENOTCONN)
        operation_wait(i, POLL_JOB);
    else /* or it was not failed: fine */
        ask_restart(i);
}

/* An operator stops it, whose word is the last. One that failed for good can be inactive without that, by
 * `systemctl reset-failed`. */
static bool stopped_meanwhile(const RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;

    return unit_stopped_for_sure(info) ||
           (i->failed_alive && !unit_failure_forgotten(info) &&
            ((info->active == ACTIVE_INACTIVE && streq_null(info->result, "success")) ||
             (info->active == ACTIVE_DEACTIVATING && info->job != 0)));
}

static void on_start_read(void *userdata, int error, const char *message, UnitInfo *info)
{
    RunItem *i = userdata;

    (void)message;
    i->call = NULL;
    if (error == -ENOTCONN) {
        operation_wait(i, POLL_JOB);
        return;
    }
    if (error == 0)
        relay_take_info(i->relay, info);
    if (stopped_meanwhile(i)) {
        answer_job(i, JOB_SKIPPED);
        return;
    }
    int r = systemd1_reset_failed(i->run->manager->systemd, i->relay->facts.unit, on_reset, i, &i->call);
    if (r < 0)
        on_reset(i, r, NULL);
}

void operation_job_removed(Manager *m, const char *job, const char *unit, JobResult result)
{
    Relay *relay = m->run ? relays_find_unit(m, unit) : NULL;
    RunItem *i = relay && relay->run_item != SIZE_MAX ? &m->run->items[relay->run_item] : NULL;

    if (!i || (i->operation != OPERATION_RESTART && i->operation != OPERATION_START))
        return;
    if (i->job) {
        if (streq(i->job, job))
            answer_job(i, result);
    } else { /* perhaps ours: systemd's answer to our call is still on its way */
        free(i->early_job);
        i->early_job = xstrdup(job);
        i->early_result = result;
    }
}

/* ---- ask ---- */

/* Logged when it begins and when it ends. */
static void tell_network(Run *run, bool lost)
{
    const Event e = { .rollout = run_id(run->manager) };

    if (lost && !run->no_network)
        eventlog_write(MESSAGE_NETWORK_LOST, &e,
                       "The relays of this host receive nothing from the network: the rollout waits.");
    else if (!lost && run->no_network)
        eventlog_write(MESSAGE_NETWORK_BACK, &e, "The network is back: the rollout continues.");
    run->no_network = lost;
}

static void answer_ready(RunItem *i)
{
    const TorView *view = &i->relay->tor.view;
    bool yes = tor_bootstrapped(i->relay), lost = !yes && tor_network_is_lost(i->run->manager);
    _cleanup_(freep) char *far = tor_view_bootstrap(view);

    tell_network(i->run, lost);
    if (yes) {
        item_set_reason(i, NULL);
        i->run->manager->took.ready = loop_monotonic(i->run->manager) - i->asked_ready;
    } else if (lost) {
        item_set_reason(
            i, xstrdup("it waits for the network: the other relays of this host receive nothing either"));
    } else {
        item_set_reason(i, xasprintf("bootstrapping%s%s%s%s", *far ? " " : ": it does not say how far it is",
                                     far, view->warning ? ": " : "", view->warning ? view->warning : ""));
    }
    operation_end(i);
    run_send(i->run, (RolloutEvent){ .kind = EVENT_READY,
                                     .item = i->index,
                                     .readiness = yes    ? READINESS_YES
                                                  : lost ? READINESS_NO_NETWORK
                                                         : READINESS_NOT_YET });
}

static void ask_ready(RunItem *i)
{
    tor_ask_witnesses(i->run->manager);
    if (!tor_ask(i->relay))
        answer_ready(i);
}

void operation_told(RunItem *i)
{
    if (i->operation == OPERATION_NONE && unit_auto_restarts(i->relay->facts.info))
        i->failed_alive = true;
    if (i->relay->tor.asking)
        return;
    if (i->operation == OPERATION_ASK)
        answer_ready(i);
    else if (i->operation == OPERATION_CHECK && i->checked && !i->told)
        operation_told_before(i);
}

void operation_read_unit(RunItem *i, Systemd1UnitCallback callback)
{
    int r = i->call
                ? 0
                : systemd1_get_unit(i->run->manager->systemd, i->relay->facts.unit, callback, i, &i->call);

    if (r < 0)
        operation_wait(i, POLL_JOB);
}

/* Reads the unit again, for what the operation waits for. */
static void look(RunItem *i)
{
    if (i->operation == OPERATION_VERIFY || i->operation == OPERATION_VERIFY_BACK)
        operation_read_unit(i, operation_on_verify_read);
    else if (i->operation == OPERATION_CHECK)
        operation_read_unit(i, operation_on_check_read);
    else if (i->asked)
        operation_read_unit(i, i->job ? on_job_looked : on_restart_seen);
    else if (i->operation == OPERATION_RESTART)
        ask_restart(i);
    else
        operation_read_unit(i, on_start_read);
}

static int on_operation_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    RunItem *i = userdata;

    (void)source;
    (void)usec;
    if (!i->run->manager->systemd)
        return 0; /* asked again when the bus is back */
    look(i);
    return 0;
}

void operation_start(RunItem *i, Operation operation)
{
    Manager *m = i->run->manager;

    operation_end(i);
    i->operation = operation;
    if (operation == OPERATION_ASK && i->asked_ready == 0)
        i->asked_ready = loop_monotonic(m);
    else if (operation == OPERATION_RESTART)
        i->asked_ready = 0;
    i->begun = operation == OPERATION_RESTART || operation == OPERATION_START ? loop_monotonic(m) : 0;
    i->relay->read_by_run = operation != OPERATION_ASK;
    i->checked = false;
    i->questions = 0;
    i->deadline = operation_deadline(i);
    i->first_restarts = UINT32_MAX;
    if (operation == OPERATION_RESTART || operation == OPERATION_START)
        i->asked = false;
    if (operation == OPERATION_RESTART)
        i->failed_alive = false;
    if (operation == OPERATION_ASK)
        ask_ready(i);
    else if (m->systemd)
        look(i);
    /* else operation_bus_back() starts it */
}

/* ---- when the bus is back ---- */

void operation_bus_back(RunItem *i)
{
    if (i->operation == OPERATION_NONE || i->operation == OPERATION_ASK || (i->checked && !i->told))
        return;
    i->deadline = operation_deadline(i); /* the time without systemd does not count */
    if (i->call)
        return;
    free(i->job); /* a signal of its end may be lost */
    i->job = NULL;
    look(i);
}
