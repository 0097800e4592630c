/* SPDX-License-Identifier: BSD-3-Clause */
/* What is done to one relay's unit in a rollout: restart it, start it, prove it. Each operation is a RunItem
 * with all that belongs to it in named fields; operation_end() cancels all of it. Decides nothing of the
 * rollout's order. */
#include "core/dropin.h"
#include "core/verdict.h"
#include "manager/loop.h"
#include "manager/memory.h"
#include "manager/relay.h"
#include "manager/relays.h"
#include "manager/run-item.h"
#include "manager/setup.h"
#include "manager/tor.h"

#include <errno.h>
#include <syslog.h>

#define POLL_JOB (2 * USEC_PER_SEC)        /* a lost JobRemoved is found by looking */
#define POLL_VERIFY (200 * USEC_PER_MSEC)  /* a unit in transition is looked at again */
#define DEADLINE_SLACK (15 * USEC_PER_SEC) /* on top of the unit's own timeouts */
#define DEADLINE_LONGEST (15 * USEC_PER_MINUTE)
#define CHECK_LONGEST USEC_PER_MINUTE /* nothing was done to the relay yet, and those behind it wait */
#define QUESTIONS_MAX 3               /* to a relay that does not answer in time, before its restart */

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

static void answer_verified(RunItem *i, Proof proof)
{
    const UnitInfo *info = i->relay->facts.info;

    operation_end(i);
    i->failed_alive = relay_up(i->relay) || unit_auto_restarts(info);
    run_send(i->run, (RolloutEvent){ .kind = EVENT_VERIFIED,
                                     .item = i->index,
                                     .proof = proof,
                                     .pid = info->main_pid,
                                     .n_restarts = info->n_restarts,
                                     .age = unit_active_for(info, loop_monotonic(i->run->manager)),
                                     .crashing = i->crashing });
}

static int on_operation_timer(sd_event_source *source, uint64_t usec, void *userdata);

static void operation_wait(RunItem *i, usec_t delay)
{
    i->timer = sd_event_source_disable_unref(i->timer);
    int r = sd_event_add_time_relative(i->run->manager->event, &i->timer, CLOCK_MONOTONIC, delay,
                                       USEC_PER_MSEC, on_operation_timer, i);
    if (r < 0)
        eventlog_line(LOG_ERR, "Cannot set a timer: %s.", strerror(-r));
}

static bool past_deadline(const RunItem *i)
{
    return loop_monotonic(i->run->manager) >= i->deadline;
}

/* The same after an answer that was an error: while systemd is not there at all, no relay has failed. */
static bool gave_up(const RunItem *i, int error)
{
    return error != -ENOTCONN && past_deadline(i);
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
    if (gave_up(i, error)) {
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
    } else if (gave_up(i, error)) {
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

/* ---- verify ---- */

/* It has what it was started for, and what has changed on the disk since does not change its process. */
static bool outlived_its_library(const RunItem *i)
{
    const RelayFacts *f = &i->relay->facts;
    const bool watched = rollout_step(i->run->rollout, i->index) != STEP_VERIFYING;

    return f->verdict.outlived && (watched || (i->asked && !streq(i->invocation, f->info->invocation)));
}

static Proof proof_of_assigned(RunItem *i)
{
    Relay *relay = i->relay;

    if (i->item.restart && i->invocation[0] && !streq(i->invocation, relay->facts.info->invocation)) {
        free(relay->facts.fresh_invocation);
        relay->facts.fresh_invocation = xstrdup(relay->facts.info->invocation);
    }
    relay_prove(relay);
    if (i->allocator == ROLLOUT_NO_ALLOCATOR) {
        if (!relay->facts.process.readable) {
            item_set_reason(i, xstrdup("its process could not be read, so nothing is proved"));
            return PROOF_WRONG;
        }
        const char *carried = facts_carried(&relay->facts, i->carried);
        if (carried)
            item_set_reason(i, xasprintf("it still runs with %s", carried));
        return carried ? PROOF_WRONG : PROOF_OK;
    }
    if (relay->facts.verdict.cause == CAUSE_NONE || outlived_its_library(i))
        return PROOF_OK;
    item_set_reason(i, xstrdup(relay->facts.verdict.reason));
    return PROOF_WRONG;
}

static Proof proof_of_before(RunItem *i)
{
    relay_prove(i->relay);
    return i->relay->facts.process.readable && streq_null(i->relay->facts.process.running.path, i->before)
               ? PROOF_OK
               : PROOF_WRONG;
}

/* Is the unit on its way to another state? A job that others requested counts, too: its end shows the result.
 * A relay that crashed and waits for systemd to start it again is not: that is a failure, unless it is being
 * put back or did so before its turn. */
static bool on_its_way(const RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;

    if (info->job != 0 || info->active == ACTIVE_DEACTIVATING)
        return true;
    return info->active == ACTIVE_ACTIVATING &&
           (i->operation == OPERATION_VERIFY_BACK || i->was_down || !unit_auto_restarts(info));
}

/* Our restart has set systemd's count to 0, unless the unit was waiting to be started again (then it
 * continues counting): what is there at the first look came after it, and by no request. What is added while
 * it settles, core/rollout sees. */
static bool crashed_since_restart(const RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;

    return rollout_step(i->run->rollout, i->index) == STEP_VERIFYING && i->asked && !i->was_down &&
           info->n_restarts > 0 && info->n_restarts != i->n_restarts &&
           !streq(i->invocation, info->invocation);
}

/* May the next look find another library in it? What it had before is not what the verdict is about. */
static bool too_new(const RunItem *i)
{
    const HostFacts host = setup_host(i->run->manager);
    const ProcessFacts *process = &i->relay->facts.process;

    return i->operation == OPERATION_VERIFY_BACK
               ? process->pid != 0 && process_is_new(process->started, host.now)
               : facts_too_new(&host, &i->relay->facts);
}

/* It failed with what it runs before an earlier run of the daemon ended: that was about to put it back. NULL:
 * it did not. */
static const char *failure_before(const RunItem *i)
{
    const Refusal *failed = i->item.recover ? memory_find_refusal(i->run->manager->state,
                                                                  i->relay->facts.name, i->moves_to, i->build)
                                            : NULL;

    return failed ? failed->reason : NULL;
}

/* Of jobs, only a stop takes the place of a restart; others are merged with it (systemd's job_type_merge).
 * One that comes while the pre-start commands run kills them, and the unit is "failed" by it, with the result
 * "signal". */
static bool stopped_by_request(const RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;

    return (unit_stopped(info) && !unit_failure_forgotten(info) && !unit_kept_down(info)) || i->canceled;
}

/* Why it is not up, and not because somebody stopped it; owned by the caller. */
static char *down_words(const RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;
    const char *failed = failure_before(i);

    if (failed)
        return xstrdup(failed);
    if (unit_failure_forgotten(info))
        return xstrdup("it had failed, and somebody has reset that");
    if (unit_kept_down(info))
        return xstrdup("systemd does not start it: a condition of its unit does not hold");
    return xasprintf("it is not up: %s (%s), result \"%s\"",
                     info->active == ACTIVE_FAILED ? "failed" : "not active",
                     info->sub_state ? info->sub_state : "?", info->result ? info->result : "?");
}

/* We are short of descriptors or memory for a moment: that nothing is proved is no failure of the relay. */
static bool unread_for_a_moment(const RunItem *i)
{
    const Relay *relay = i->relay;

    return error_is_passing(relay->process ? relay->facts.process.error : relay->open_error);
}

/* Has somebody started it since a stop took the place of our restart? Until that stop has killed the
 * pre-start commands, the unit is still seen to start. */
static void note_start(RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;
    const bool starting = info->active == ACTIVE_ACTIVATING;

    i->ended = i->ended || !starting;
    i->canceled = i->canceled && !relay_up(i->relay) && !(starting && (i->ended || info->job == 0));
}

/* Whenever it is looked at, it may be starting, or have a process that is too new to be judged. (One more
 * than at the first look may be that of its start.) */
static bool crashes_on(const RunItem *i)
{
    return i->relay->facts.info->n_restarts > (uint64_t)i->first_restarts + 1;
}

/* A process may not have mapped its library yet. That it has none proves nothing of one whose old drop-in is
 * not back. */
static bool judged_too_soon(const RunItem *i, Proof proof)
{
    return (proof == PROOF_WRONG || i->not_back) && too_new(i);
}

static void verify_looked(RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;
    bool back = i->operation == OPERATION_VERIFY_BACK;

    note_start(i);
    if (i->first_restarts == UINT32_MAX)
        i->first_restarts = info->n_restarts;
    if (!info->exists) {
        answer_verified(i, PROOF_GONE);
    } else if (on_its_way(i) && !past_deadline(i) && !(back && crashes_on(i))) {
        operation_wait(i, POLL_VERIFY);
    } else if (relay_up(i->relay) && crashed_since_restart(i)) {
        item_set_reason(i, xstrdup("it crashed soon after it was started, and systemd restarted it"));
        answer_verified(i, PROOF_FAILED);
    } else if (relay_up(i->relay)) {
        Proof proof = back ? proof_of_before(i) : proof_of_assigned(i);

        i->was_down = false;
        if (proof == PROOF_OK && !back) { /* the reason logged when it was too new */
            item_set_reason(i, NULL);
        }
        const char *failed = proof == PROOF_OK && !back ? failure_before(i) : NULL;
        if (failed) {
            item_set_reason(i, xstrdup(failed));
            proof = PROOF_FAILED;
        }
        const bool too_soon = judged_too_soon(i, proof);
        if (too_soon && !back && crashes_on(i))
            item_set_reason(i, xstrdup("it crashes again and again"));
        if ((too_soon && !crashes_on(i)) ||
            (proof == PROOF_WRONG && unread_for_a_moment(i) && !past_deadline(i)))
            operation_wait(i, POLL_VERIFY);
        else
            answer_verified(i, too_soon ? PROOF_FAILED : proof);
    } else if (stopped_by_request(i) || (i->was_down && !i->crashing)) {
        answer_verified(i, PROOF_STOPPED);
    } else {
        if (!back)
            item_set_reason(i, down_words(i));
        answer_verified(i, PROOF_FAILED);
    }
}

static void on_verify_read(void *userdata, int error, const char *message, UnitInfo *info)
{
    RunItem *i = userdata;

    i->call = NULL;
    if (error == 0) {
        relay_take_info(i->relay, info);
        verify_looked(i);
    } else if (gave_up(i, error)) {
        item_add_reason(i, xasprintf("its unit cannot be read: %s", message ? message : strerror(-error)));
        answer_verified(i, PROOF_FAILED);
    } else {
        operation_wait(i, POLL_VERIFY);
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

/* ---- check ---- */

static void tell_not_ready(const RunItem *i)
{
    const RelayTor *tor = &i->relay->tor;
    _cleanup_(freep) char *far = tor_view_bootstrap(&tor->view);

    if (tor->view.progress >= 0)
        eventlog_line(
            LOG_INFO,
            "%s was not bootstrapped before its restart, %s: the rollout does not wait until it is.",
            i->relay->facts.name, far);
    else if (!i->run->told_silent) /* once: on some hosts none of them has a control socket */
        eventlog_line(LOG_INFO,
                      "%s does not say whether it is bootstrapped (%s), so the rollout does not wait until "
                      "it is; likewise for other such relays.",
                      i->relay->facts.name, tor->error < 0 ? strerror(-tor->error) : "no answer");
    i->run->told_silent = i->run->told_silent || tor->view.progress < 0;
}

/* Its present process runs what it is assigned: it is not the one that was planned for, or was misjudged,
 * because systemd gives something else to every service than it did. */
static bool has_been_restarted(const RunItem *i)
{
    const RelayFacts *f = &i->relay->facts;
    const bool wanted = memory_restart_wanted(i->run->manager->state, f->name, f->info->invocation);

    return i->allocator != ROLLOUT_NO_ALLOCATOR && relay_up(i->relay) && f->process.readable &&
           f->verdict.cause == CAUSE_NONE && !(wanted && streq(f->info->invocation, i->replaces));
}

static void answer_checked(RunItem *i, bool ok)
{
    const bool ready = ok && i->checked && tor_bootstrapped(i->relay);
    Flight *flight = ready ? memory_find_flight(i->run->manager->state, i->relay->facts.name) : NULL;

    if (flight) {
        flight->ready = true;
        (void)memory_save(i->run->manager);
    }
    const bool restarted = ok && has_been_restarted(i);
    if (ok && !restarted && !i->needless)
        i->run->manager->reports->restart_next(i->run->manager); /* which may end the rollout */
    if (restarted)
        eventlog_line(LOG_INFO, "%s %s, and is not restarted again.", i->relay->facts.name,
                      streq(i->relay->facts.info->invocation, i->replaces)
                          ? "runs what it should, as is known now"
                          : "was restarted by somebody else since its drop-in was written");
    else if (ok && i->checked && !ready)
        tell_not_ready(i);
    operation_end(i);
    run_send(i->run, (RolloutEvent){ .kind = EVENT_CHECKED,
                                     .item = i->index,
                                     .ok = ok,
                                     .needless = i->needless,
                                     .restarted = restarted,
                                     .ready = ready });
}

/* One that loses our drop-in, and whose own settings say what it runs. */
static bool is_needless(const RunItem *i)
{
    const RelayFacts *f = &i->relay->facts;

    return i->allocator == ROLLOUT_NO_ALLOCATOR && relay_up(i->relay) && f->process.readable &&
           !facts_carried(f, i->carried);
}

/* A restart would do. Whether it is ready now decides whether it has to be so again. */
static void ask_before(RunItem *i)
{
    i->checked = i->run->manager->setup->config->rollout.ready == READY_BOOTSTRAPPED;
    i->told = false;
    if (!i->checked || !tor_ask(i->relay))
        answer_checked(i, true);
}

static void read_unit(RunItem *i, Systemd1UnitCallback callback);

static void on_told_read(void *userdata, int error, const char *message, UnitInfo *info)
{
    RunItem *i = userdata;

    (void)message;
    i->call = NULL;
    if (error == 0)
        relay_take_info(i->relay, info);
    if (error == -ENOTCONN)
        operation_wait(i, POLL_VERIFY); /* all of it is done again */
    else
        answer_checked(i, true);
}

/* No answer is not a "no": a relay may be busy for a moment. It may also have gone down meanwhile. */
static void told_before(RunItem *i)
{
    if (tor_silent(i->relay) && ++i->questions < QUESTIONS_MAX && tor_ask(i->relay))
        return;
    i->told = true;
    if (i->run->manager->systemd)
        read_unit(i, on_told_read);
    /* else operation_bus_back() does */
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
        told_before(i);
}

/* It is not waited for any longer: its time is over, or the rollout takes back what was only written. */
static bool check_is_over(const RunItem *i)
{
    return past_deadline(i) || rollout_state(i->run->rollout) == ROLLOUT_ENDING;
}

/* A file of others that cannot be read might speak against the restart. */
static void wait_for_settings(RunItem *i, const char *unread)
{
    item_set_reason(i, xstrdup(unread));
    operation_wait(i, POLL_JOB);
}

/* Would a new process get what its drop-in is to give it? Somebody else may have removed the file before
 * systemd read it, or have put another behind it. */
static bool is_loaded(const RunItem *i)
{
    _cleanup_(strv_freep) char **ours = i->wanted ? dropin_environment(i->wanted) : NULL;

    STRV_FOREACH (e, ours) {
        _cleanup_(freep) char *name = xstrndup(*e, strcspn(*e, "="));
        const char *loaded = strv_env_get(i->relay->facts.info->environment, name);

        if (!verdict_same_value(name, loaded, strv_env_get(ours, name)))
            return false;
    }
    return true;
}

/* Why a restart would be in vain; owned by the caller. NULL: it would not. */
static char *why_in_vain(const RunItem *i)
{
    const RelayFacts *f = &i->relay->facts;

    if (f->settings_unread)
        return xstrdup(f->settings_unread);
    if (unit_masked(f->info)) /* systemd has nothing of it loaded, and does not start it */
        return xstrdup(UNIT_IS_MASKED);
    if (f->verdict.cause == CAUSE_OVERRIDDEN || f->verdict.cause == CAUSE_MISSING)
        return xstrdup(f->verdict.reason);
    return has_been_restarted(i) || is_loaded(i)
               ? NULL
               : xstrdup("systemd has loaded something else than its drop-in, which somebody has removed, "
                         "changed or overridden");
}

/* What systemd has loaded now is what the relay would be started with: there may have been something else on
 * disk that was not loaded before. */
static void on_check_read(void *userdata, int error, const char *message, UnitInfo *info)
{
    RunItem *i = userdata;

    i->call = NULL;
    if (error == 0) {
        relay_take_info(i->relay, info);
        relay_prove(i->relay);
        const char *unread = i->relay->facts.settings_unread;
        if (unread && !check_is_over(i)) {
            wait_for_settings(i, unread);
            return;
        }
        if (i->relay->facts.info->job != 0 &&
            !check_is_over(i)) { /* somebody restarts or stops it just now */
            operation_wait(i, POLL_VERIFY);
            return;
        }
        char *in_vain = why_in_vain(i);
        bool hopeless = in_vain;
        item_set_reason(i, in_vain);
        i->needless = !hopeless && !i->item.as_is && is_needless(i);
        if (hopeless || i->needless)
            answer_checked(i, !hopeless);
        else
            ask_before(i);
    } else if (error != -ENOTCONN && check_is_over(i)) {
        item_set_reason(i, xasprintf("its unit cannot be read: %s", message ? message : strerror(-error)));
        answer_checked(i, false);
    } else {
        operation_wait(i, POLL_VERIFY);
    }
}

static void read_unit(RunItem *i, Systemd1UnitCallback callback)
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
        read_unit(i, on_verify_read);
    else if (i->operation == OPERATION_CHECK)
        read_unit(i, on_check_read);
    else if (i->asked)
        read_unit(i, i->job ? on_job_looked : on_restart_seen);
    else if (i->operation == OPERATION_RESTART)
        ask_restart(i);
    else
        read_unit(i, on_start_read);
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
