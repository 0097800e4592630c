/* SPDX-License-Identifier: BSD-3-Clause */
/* Carries out the commands of core/rollout and answers each with one event: files, reloads, jobs, proofs. It
 * decides nothing of the rollout's order. Each operation under way is one RunItem with everything that
 * belongs to it in named fields; operation_end() cancels all of it. */
#include "core/dropin.h"
#include "manager.h"

#include <errno.h>
#include <inttypes.h>
#include <syslog.h>
#include <time.h>

#define POLL_JOB (2 * USEC_PER_SEC)        /* a lost JobRemoved is found by looking */
#define POLL_VERIFY (200 * USEC_PER_MSEC)  /* a unit in transition is looked at again */
#define DEADLINE_SLACK (15 * USEC_PER_SEC) /* on top of the unit's own timeouts */
#define DEADLINE_LONGEST (15 * USEC_PER_MINUTE)
#define RELOAD_RETRY_FIRST (USEC_PER_SEC / 2) /* systemd's rate limit counts in seconds */
#define RELOAD_RETRY_LONGEST (20 * USEC_PER_SEC)
#define RELOAD_TRIES 20

typedef enum Operation {
    OPERATION_NONE,
    OPERATION_RESTART,
    OPERATION_START,
    OPERATION_VERIFY,
    OPERATION_VERIFY_BACK,
} Operation;

typedef struct RunItem {
    Run *run;
    size_t index;
    Relay *relay;
    RolloutItem item;
    size_t allocator; /* index in the configuration; ROLLOUT_NO_ALLOCATOR */
    char *wanted;     /* text to write; NULL: remove */
    char *previous;   /* text to put back; NULL: there was none */
    char *before;     /* library that it ran before; NULL: glibc */
    char **carried;   /* strv of what the old drop-in set */
    char *reason;     /* why it failed */
    char *unit_log;
    /* the operation under way */
    Operation operation;
    Systemd1Call *call;
    sd_event_source *timer;
    usec_t deadline;
    char *job;       /* object path, once systemd has told it */
    char *early_job; /* a job of its unit that ended before we knew ours */
    JobResult early_result;
    char invocation[33]; /* when the restart was asked for */
} RunItem;

typedef struct RunPreflight {
    Run *run;
    size_t allocator;
    Preflight *preflight;
    bool again; /* the bus went while it was under way */
} RunPreflight;

struct Run {
    Manager *manager;
    Rollout *rollout;
    RunItem *items;
    size_t n;
    RunPreflight *preflights; /* one for each allocator of the configuration */
    size_t n_preflights;
    Systemd1Call *reload;
    bool reloading; /* a RELOAD is out, perhaps waiting to be tried again */
    unsigned reload_tries;
    usec_t reload_wait;
    sd_event_source *reload_timer, *timer;
    size_t waves; /* as forecast at its start */
    bool unsafe;  /* the state could not be saved: nothing may be written */
    bool pumping;
};

static void pump(Run *run);
static int on_run_over(sd_event_source *source, uint64_t usec, void *userdata);

const Rollout *run_rollout(const Run *run)
{
    return run->rollout;
}

uint64_t run_id(const Manager *m)
{
    return m->state->rollout_id;
}

const char *run_item_reason(const Run *run, size_t item)
{
    return run->items[item].reason;
}

/* ---- time ---- */

static bool window_open(const Manager *m)
{
    const Window *w = &m->setup->config->rollout.window;
    time_t now = (time_t)(now_realtime() / USEC_PER_SEC);
    struct tm tm;

    if (!w->set)
        return true;
    localtime_r(&now, &tm);
    unsigned minute = (unsigned)(tm.tm_hour * 60 + tm.tm_min);
    return window_contains(*w, minute);
}

static RolloutNow rollout_now(const Run *run)
{
    return (RolloutNow){ .monotonic = now_monotonic(run->manager), .window_open = window_open(run->manager) };
}

static void send_event(Run *run, RolloutEvent e)
{
    rollout_event(run->rollout, &e, rollout_now(run));
    pump(run);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    Run *run = userdata;

    (void)source;
    (void)usec;
    send_event(run, (RolloutEvent){ .kind = EVENT_TICK });
    return 0;
}

/* At the machine's deadline; and outside the window at the next minute, since clocks are set and summer ends.
 */
static void set_timer(Run *run)
{
    usec_t deadline = rollout_deadline(run->rollout);

    if (rollout_state(run->rollout) == ROLLOUT_WAITING) {
        usec_t next_minute = now_monotonic(run->manager) + USEC_PER_MINUTE - now_realtime() % USEC_PER_MINUTE;
        deadline = deadline < next_minute ? deadline : next_minute;
    }
    run->timer = sd_event_source_disable_unref(run->timer);
    if (deadline != USEC_INFINITY)
        (void)sd_event_add_time(run->manager->event, &run->timer, CLOCK_MONOTONIC, deadline, 1, on_tick, run);
}

/* ---- operations ---- */

static void operation_end(RunItem *i)
{
    i->operation = OPERATION_NONE;
    i->call = systemd1_cancel(i->call);
    i->timer = sd_event_source_disable_unref(i->timer);
    free(i->job);
    free(i->early_job);
    i->job = i->early_job = NULL;
}

static void set_reason(RunItem *i, char *take_reason)
{
    free(i->reason);
    i->reason = take_reason;
}

static void answer_job(RunItem *i, JobResult result)
{
    if (result != JOB_DONE && result != JOB_CANCELED && result != JOB_SKIPPED &&
        i->operation == OPERATION_RESTART && !i->reason)
        set_reason(i, xasprintf("its restart job ended with \"%s\"", job_result_to_string(result)));
    operation_end(i);
    send_event(i->run, (RolloutEvent){ .kind = EVENT_JOB, .item = i->index, .job = result });
}

static void answer_verified(RunItem *i, Proof proof)
{
    const UnitInfo *info = i->relay->info;

    operation_end(i);
    send_event(i->run, (RolloutEvent){ .kind = EVENT_VERIFIED,
                                       .item = i->index,
                                       .proof = proof,
                                       .pid = info->main_pid,
                                       .n_restarts = info->n_restarts });
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
    return now_monotonic(i->run->manager) >= i->deadline;
}

/* Everything about a unit in transition is bounded by what the unit itself allows. */
static usec_t unit_deadline(const RunItem *i)
{
    const UnitInfo *info = i->relay->info;
    usec_t stop = info ? info->timeout_stop : 0, start = info ? info->timeout_start : 0;
    usec_t longest = stop >= DEADLINE_LONGEST || start >= DEADLINE_LONGEST ? DEADLINE_LONGEST : stop + start;

    return now_monotonic(i->run->manager) + longest + DEADLINE_SLACK;
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
    if (past_deadline(i)) {
        set_reason(i, xstrdup("its restart job did not end in the time that the unit allows"));
        answer_job(i, JOB_TIMEOUT);
        return;
    }
    operation_wait(i, POLL_JOB);
}

static void on_job_taken(void *userdata, int error, const char *message, const char *job)
{
    RunItem *i = userdata;

    i->call = NULL;
    if (error < 0) {
        set_reason(i, xasprintf("systemd took no job: %s", message ? message : strerror(-error)));
        answer_job(i, JOB_REFUSED);
        return;
    }
    i->job = xstrdup(job);
    if (streq_null(i->early_job, job))
        answer_job(i, i->early_result);
    else
        operation_wait(i, POLL_JOB);
}

static void ask_restart(RunItem *i)
{
    Manager *m = i->run->manager;

    snprintf(i->invocation, sizeof(i->invocation), "%s", i->relay->info->invocation);
    int r = systemd1_restart(m->systemd, i->relay->unit, i->operation == OPERATION_RESTART, on_job_taken, i,
                             &i->call);
    if (r < 0)
        on_job_taken(i, r, NULL, NULL);
}

/* A unit that failed too often would not be started again (start limit): that count is forgotten first. */
static void on_reset(void *userdata, int error, const char *message)
{
    RunItem *i = userdata;

    (void)error; /* it was not failed: fine */
    (void)message;
    i->call = NULL;
    ask_restart(i);
}

void run_job_removed(Manager *m, const char *job, const char *unit, JobResult result)
{
    Relay *r = m->run ? relays_find_unit(m, unit) : NULL;
    RunItem *i = r && r->run_item != SIZE_MAX ? &m->run->items[r->run_item] : NULL;

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

static Proof proof_of_assigned(RunItem *i)
{
    Relay *r = i->relay;

    if (i->item.restart && i->invocation[0] && !streq(i->invocation, r->info->invocation)) {
        free(r->fresh_invocation);
        r->fresh_invocation = xstrdup(r->info->invocation);
    }
    relay_prove(r);
    if (i->allocator == ROLLOUT_NO_ALLOCATOR) {
        if (!r->readable) {
            set_reason(i, xstrdup("its process could not be read, so nothing is proved"));
            return PROOF_WRONG;
        }
        STRV_FOREACH (e, i->carried) {
            if (!strv_contains(r->environ, *e))
                continue;
            set_reason(i, xasprintf("it still runs with %s", *e));
            return PROOF_WRONG;
        }
        return PROOF_OK;
    }
    if (r->verdict.cause == CAUSE_NONE)
        return PROOF_OK;
    set_reason(i, xstrdup(r->verdict.reason));
    return PROOF_WRONG;
}

static Proof proof_of_before(RunItem *i)
{
    relay_prove(i->relay);
    return i->relay->readable && streq_null(i->relay->running.path, i->before) ? PROOF_OK : PROOF_WRONG;
}

static bool will_change_by_itself(const UnitInfo *info)
{
    return info->active == ACTIVE_DEACTIVATING ||
           (info->active == ACTIVE_ACTIVATING && !streq_null(info->sub_state, "auto-restart"));
}

static void verify_looked(RunItem *i)
{
    const UnitInfo *info = i->relay->info;
    bool back = i->operation == OPERATION_VERIFY_BACK;

    if (!info->exists) {
        answer_verified(i, PROOF_GONE);
    } else if (info->job != 0 && !past_deadline(i)) {
        operation_wait(i, POLL_VERIFY); /* somebody's job: its end is what counts */
    } else if (relay_up(i->relay)) {
        answer_verified(i, back ? proof_of_before(i) : proof_of_assigned(i));
    } else if ((will_change_by_itself(info) || (back && info->active == ACTIVE_ACTIVATING)) &&
               !past_deadline(i)) {
        operation_wait(i, POLL_VERIFY);
    } else if (info->active == ACTIVE_INACTIVE && streq_null(info->result, "success")) {
        answer_verified(i, PROOF_STOPPED);
    } else {
        if (!back)
            set_reason(i,
                       xasprintf("it is not up: %s (%s), result \"%s\"",
                                 info->active == ACTIVE_FAILED ? "failed" : "not active",
                                 info->sub_state ? info->sub_state : "?", info->result ? info->result : "?"));
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
    } else if (past_deadline(i)) {
        set_reason(i, xasprintf("its unit cannot be read: %s", message ? message : strerror(-error)));
        answer_verified(i, PROOF_FAILED);
    } else {
        operation_wait(i, POLL_VERIFY);
    }
}

static void read_unit(RunItem *i, Systemd1UnitCallback callback)
{
    int r = i->call ? 0 : systemd1_get_unit(i->run->manager->systemd, i->relay->unit, callback, i, &i->call);

    if (r < 0)
        operation_wait(i, POLL_JOB);
}

static int on_operation_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    RunItem *i = userdata;

    (void)source;
    (void)usec;
    if (!i->run->manager->systemd)
        return 0; /* asked again when the bus is back */
    read_unit(i, i->operation == OPERATION_VERIFY || i->operation == OPERATION_VERIFY_BACK ? on_verify_read
                                                                                           : on_job_looked);
    return 0;
}

static void start_operation(RunItem *i, Operation operation)
{
    Manager *m = i->run->manager;

    operation_end(i);
    i->operation = operation;
    i->deadline = unit_deadline(i);
    if (!m->systemd)
        return; /* run_bus_back() starts it */
    switch (operation) {
    case OPERATION_RESTART:
        ask_restart(i);
        break;
    case OPERATION_START:
        if (systemd1_reset_failed(m->systemd, i->relay->unit, on_reset, i, &i->call) < 0)
            ask_restart(i);
        break;
    default:
        read_unit(i, on_verify_read);
    }
}

/* ---- files ---- */

static bool write_text(RunItem *i, const char *text)
{
    Manager *m = i->run->manager;
    int r = text ? dropin_store_write(m->dropins, i->relay->unit, text)
                 : dropin_store_remove(m->dropins, i->relay->unit);
    _cleanup_(freep) char *path = dropin_store_path(m->dropins, i->relay->unit);

    relay_read_dropin(i->relay);
    if (r < 0) {
        set_reason(i, xasprintf("cannot %s %s: %s", text ? "write" : "remove", path,
                                r == -EEXIST ? "a file that is not ours is there" : strerror(-r)));
        eventlog_line(LOG_ERR, "%s: %s.", i->relay->name, i->reason);
        return false;
    }
    Event e = relay_event(i->relay);
    const Group *g = relay_target(i->relay);
    if (text && r > 0)
        eventlog_write(MESSAGE_DROPIN_WRITTEN, &e, "%s: wrote %s%s%s.", i->relay->name, path,
                       g ? " for group " : "", g ? g->name : "");
    else if (!text && r > 0)
        eventlog_write(MESSAGE_DROPIN_REMOVED, &e, "%s: removed %s.", i->relay->name, path);
    return true;
}

static void do_write(RunItem *i)
{
    bool ok = false;

    if (i->run->unsafe)
        set_reason(i, xasprintf("%s cannot be written, so a crash could not be recovered from",
                                i->run->manager->state_dir));
    else
        ok = write_text(i, i->wanted);
    if (ok && i->wanted) {
        _cleanup_(strv_freep) char **conflicts = relay_conflicts(i->relay);
        STRV_FOREACH (c, conflicts) {
            Event e = relay_event(i->relay);
            e.reason = *c;
            eventlog_write(MESSAGE_DROPIN_CONFLICT, &e, "%s: %s as well.", i->relay->name, *c);
        }
    }
    send_event(i->run, (RolloutEvent){ .kind = EVENT_WRITTEN, .item = i->index, .ok = ok });
}

static void do_restore(RunItem *i)
{
    _cleanup_(freep) char *reason = TAKE_PTR(i->reason); /* the first failure is the one to tell */
    bool ok = write_text(i, i->previous);

    if (reason)
        set_reason(i, TAKE_PTR(reason));
    send_event(i->run, (RolloutEvent){ .kind = EVENT_WRITTEN, .item = i->index, .ok = ok });
}

/* ---- reload ---- */

static void ask_reload(Run *run);

static void reload_over(Run *run, bool ok, const char *message)
{
    run->reloading = false;
    for (size_t n = 0; !ok && n < run->n; n++)
        if (rollout_step(run->rollout, n) == STEP_WRITTEN)
            set_reason(&run->items[n], xasprintf("systemd did not reload: %s", message));
    send_event(run, (RolloutEvent){ .kind = EVENT_RELOADED, .ok = ok });
}

static int on_reload_again(sd_event_source *source, uint64_t usec, void *userdata)
{
    Run *run = userdata;

    (void)source;
    (void)usec;
    run->reload_timer = sd_event_source_disable_unref(run->reload_timer);
    ask_reload(run);
    return 0;
}

static void on_reloaded(void *userdata, int error, const char *message)
{
    Run *run = userdata;

    run->reload = NULL;
    if (error == -EBUSY && ++run->reload_tries < RELOAD_TRIES) {
        if (run->reload_tries == 1)
            eventlog_line(LOG_NOTICE, "systemd limits how often it reloads; trying again.");
        (void)sd_event_add_time_relative(run->manager->event, &run->reload_timer, CLOCK_MONOTONIC,
                                         run->reload_wait, 0, on_reload_again, run);
        run->reload_wait =
            run->reload_wait * 2 < RELOAD_RETRY_LONGEST ? run->reload_wait * 2 : RELOAD_RETRY_LONGEST;
        return;
    }
    reload_over(run, error == 0, message ? message : strerror(-error));
}

static void ask_reload(Run *run)
{
    if (!run->manager->systemd)
        return; /* run_bus_back() asks */
    int r = systemd1_reload(run->manager->systemd, on_reloaded, run, &run->reload);
    if (r < 0)
        reload_over(run, false, strerror(-r));
}

/* ---- preflight ---- */

static void on_preflight(void *userdata, bool ok, const char *reason)
{
    RunPreflight *p = userdata;
    Run *run = p->run;
    Manager *m = run->manager;

    p->preflight = preflight_free(p->preflight);
    if (!ok) {
        const char *name = m->setup->config->allocators[p->allocator].name;
        const Event e = { .allocator = name, .reason = reason, .rollout = run_id(m) };

        eventlog_write(MESSAGE_PREFLIGHT_FAILED, &e,
                       "Allocator %s is refused before anybody is restarted: %s.", name, reason);
        for (size_t n = 0; n < run->n; n++)
            if (run->items[n].allocator == p->allocator && rollout_step(run->rollout, n) == STEP_WAITING)
                set_reason(&run->items[n], xstrdup(reason));
    }
    send_event(run, (RolloutEvent){ .kind = EVENT_PREFLIGHT, .allocator = p->allocator, .ok = ok });
}

static void do_preflight(Run *run, size_t allocator)
{
    RunPreflight *p = &run->preflights[allocator];
    const Relay *relay = NULL;

    p->preflight = preflight_free(p->preflight);
    for (size_t n = 0; !relay && n < run->n; n++)
        if (run->items[n].allocator == allocator && rollout_step(run->rollout, n) == STEP_WAITING)
            relay = run->items[n].relay;
    if (!run->manager->setup->resolved[allocator].library.path || !relay) {
        send_event(run, (RolloutEvent){ .kind = EVENT_PREFLIGHT, .allocator = allocator, .ok = true });
        return;
    }
    if (!run->manager->systemd)
        return; /* run_bus_back() starts it */
    p->preflight = preflight_start(relay, allocator, on_preflight, p);
    if (!p->preflight)
        on_preflight(p, false, "the preflight could not be started");
}

/* ---- notices ---- */

static void note_wave(Run *run, const RolloutCommand *c)
{
    Manager *m = run->manager;
    const Event e = { .rollout = run_id(m), .wave = c->wave };

    /* All of the wave at once, before its first file: after a crash we know whom to look after. */
    for (size_t n = 0; n < run->n; n++) {
        const RunItem *i = &run->items[n];
        Step step = rollout_step(run->rollout, n);

        if (step == STEP_WRITING && i->item.restart)
            state_add_flight(m->state, i->relay->name, i->previous, i->before);
        else if (step_ended(step))
            state_remove_flight(m->state, i->relay->name);
    }
    run->unsafe = manager_save_state(m) < 0;
    eventlog_write(MESSAGE_WAVE_STARTED, &e, "Rollout %" PRIu64 ", wave %zu: %zu relay%s.", run_id(m),
                   c->wave, c->count, c->count == 1 ? "" : "s");
}

static const char *allocator_name(const RunItem *i)
{
    return i->allocator == ROLLOUT_NO_ALLOCATOR
               ? "no drop-in of ours"
               : i->run->manager->setup->config->allocators[i->allocator].name;
}

static void note_failed_gate(Run *run, const RolloutCommand *c)
{
    RunItem *i = &run->items[c->item];
    Manager *m = run->manager;
    Event e = relay_event(i->relay);

    if (!i->reason)
        set_reason(i, xstrdup(c->gate == GATE_SETTLE
                                  ? "it did not stay up while it settled: it crashed or was restarted "
                                    "again and again"
                                  : "reason unknown"));
    free(i->unit_log);
    i->unit_log = relay_unit_log(i->relay);
    e.reason = i->reason;
    e.result = gate_to_string(c->gate);
    e.unit_log = i->unit_log;
    e.wave = rollout_wave(run->rollout);
    eventlog_write(MESSAGE_RELAY_FAILED, &e, "%s could not be moved to %s (gate \"%s\"): %s.%s%s",
                   i->relay->name, allocator_name(i), gate_to_string(c->gate), i->reason,
                   i->unit_log ? "\nIts last lines:\n" : "", i->unit_log ? i->unit_log : "");
    /* A disk or a reload that fails is the host's trouble, and not this relay's with this library. */
    if (i->allocator != ROLLOUT_NO_ALLOCATOR && c->gate != GATE_WRITE && c->gate != GATE_RELOAD) {
        state_add_refusal(m->state, i->relay->name, allocator_name(i), m->setup->resolved[i->allocator].build,
                          i->reason);
        (void)manager_save_state(m);
    }
}

static void note_ended(Run *run, const RolloutCommand *c)
{
    RunItem *i = &run->items[c->item];
    Event e = relay_event(i->relay);
    char span[FORMAT_SPAN_MAX];

    operation_end(i);
    e.wave = rollout_wave(run->rollout);
    e.reason = i->reason;
    switch (rollout_step(run->rollout, c->item)) {
    case STEP_DONE:
        e.reason = NULL;
        if (i->item.restart)
            eventlog_write(MESSAGE_RELAY_MOVED, &e, "%s runs %s%s%s, proved and settled for %s.",
                           i->relay->name, i->relay->running_name, *i->relay->version ? " " : "",
                           i->relay->version, format_span(span, run->manager->setup->config->rollout.settle));
        break;
    case STEP_FAILED:
        if (c->gate != GATE_PREFLIGHT && c->gate != GATE_WRITE)
            eventlog_write(MESSAGE_RELAY_PUT_BACK, &e, "%s was put back and runs as before: %s.",
                           i->relay->name, i->reason ? i->reason : "reason unknown");
        break;
    case STEP_LOST:
        eventlog_write(
            MESSAGE_RELAY_LOST, &e,
            run->manager->setup->config->rollout.on_failure == ON_FAILURE_ROLLBACK
                ? "%s COULD NOT BE PUT BACK and needs a human: %s. See systemctl status '%s'."
                : "%s was left as it is, as on_failure = \"stop\" says: %s. See systemctl status '%s'.",
            i->relay->name, i->reason ? i->reason : "reason unknown", i->relay->unit);
        break;
    case STEP_SKIPPED:
        eventlog_line(LOG_INFO, "%s was stopped by somebody else, or is gone: left so.", i->relay->name);
        break;
    default:
        break;
    }
}

/* ---- the end ---- */

static void note_over(Run *run)
{
    Manager *m = run->manager;
    RolloutState state = rollout_state(run->rollout);
    size_t total, done, failed;
    Event e = { .rollout = run_id(m), .result = rollout_state_to_string(state) };
    const RunItem *first = NULL;

    rollout_counts(run->rollout, &total, &done, &failed);
    for (size_t n = 0; n < run->n; n++) {
        Step step = rollout_step(run->rollout, n);

        if (step_ended(step))
            state_remove_flight(m->state, run->items[n].relay->name);
        if (!first && (step == STEP_FAILED || step == STEP_LOST))
            first = &run->items[n];
    }
    free(m->last_reason);
    m->last_reason =
        first ? xasprintf("%s: %s", first->relay->name, first->reason ? first->reason : "failed") : NULL;
    if (state != ROLLOUT_SUPERSEDED)
        m->last_result = state;
    m->last_counts = run_counts(m);
    if (state == ROLLOUT_HALTED || state == ROLLOUT_ABORTED) {
        m->state->hold = state == ROLLOUT_HALTED ? HOLD_HALTED : HOLD_ABORTED;
        free(m->state->hold_reason);
        m->state->hold_reason = xstrdup(m->last_reason);
    }
    (void)manager_save_state(m);
    e.reason = m->last_reason;
    if (state == ROLLOUT_HALTED)
        eventlog_write(MESSAGE_ROLLOUT_HALTED, &e,
                       "Rollout %" PRIu64 " halted: %zu done, %zu failed, %zu not begun. First failure: %s. "
                       "Mend it and change the file or the library, or relayallocctl resume.",
                       run_id(m), done, failed, total - done - failed,
                       m->last_reason ? m->last_reason : "unknown");
    else if (state == ROLLOUT_ABORTED)
        eventlog_write(MESSAGE_ROLLOUT_ABORTED, &e,
                       "Rollout %" PRIu64 " aborted: %zu done, %zu failed, %zu not begun.", run_id(m), done,
                       failed, total - done - failed);
    else
        eventlog_write(MESSAGE_ROLLOUT_FINISHED, &e,
                       "Rollout %" PRIu64 " %s: %zu done, %zu failed, %zu not begun.", run_id(m),
                       state == ROLLOUT_DONE ? "finished" : "makes way for a new plan", done, failed,
                       total - done - failed);
}

/* Carries out all commands that are out. Answers may come at once and bring new commands: no recursion. */
static void pump(Run *run)
{
    Manager *m = run->manager;
    RolloutCommand c;

    if (run->pumping)
        return;
    run->pumping = true;
    while (rollout_next(run->rollout, &c)) {
        RunItem *i = c.item < run->n ? &run->items[c.item] : NULL;

        switch (c.kind) {
        case COMMAND_PREFLIGHT:
            do_preflight(run, c.allocator);
            break;
        case COMMAND_WRITE:
            do_write(i);
            break;
        case COMMAND_RESTORE:
            do_restore(i);
            break;
        case COMMAND_RELOAD:
            run->reloading = true;
            run->reload_tries = 0;
            run->reload_wait = RELOAD_RETRY_FIRST;
            ask_reload(run);
            break;
        case COMMAND_RESTART: {
            Event e = relay_event(i->relay);
            e.wave = rollout_wave(run->rollout);
            eventlog_write(MESSAGE_RELAY_RESTARTING, &e, "%s: restarting for %s.", i->relay->name,
                           allocator_name(i));
            start_operation(i, OPERATION_RESTART);
            break;
        }
        case COMMAND_START:
            start_operation(i, OPERATION_START);
            break;
        case COMMAND_VERIFY:
            start_operation(i, OPERATION_VERIFY);
            break;
        case COMMAND_VERIFY_BACK:
            start_operation(i, OPERATION_VERIFY_BACK);
            break;
        case NOTE_WAVE:
            note_wave(run, &c);
            break;
        case NOTE_ENDED:
            note_ended(run, &c);
            break;
        case NOTE_FAILED_GATE:
            note_failed_gate(run, &c);
            break;
        case NOTE_OVER:
            note_over(run);
            break;
        }
    }
    run->pumping = false;
    plan_update_states(m);
    if (rollout_over(run->rollout)) {
        manager_schedule(m, &m->run_over, 0, on_run_over);
        return;
    }
    set_timer(run);
}

static int on_run_over(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->run_over = sd_event_source_unref(m->run_over);
    m->run = run_free(m->run);
    if (!manager_adopt_next(m)) {
        relays_assign(m);
        relays_scan(m);
    }
    plan_now(m); /* what has changed meanwhile, and relays that came */
    return 0;
}

/* ---- start ---- */

static void add_item(Run *run, Relay *r, RolloutItem item)
{
    Manager *m = run->manager;
    RunItem *i = &run->items[run->n];
    const Flight *flight = state_find_flight(m->state, r->name);

    *i = (RunItem){ .run = run, .index = run->n, .relay = r, .item = item, .allocator = item.allocator };
    i->wanted = relay_wanted_text(r);
    /* After a crash in mid-move the way back is the one from before it. */
    i->previous = xstrdup(flight ? flight->previous : r->present);
    i->before = xstrdup(flight ? flight->before : r->running.path);
    i->carried = i->previous ? dropin_environment(i->previous) : NULL;
    r->run_item = run->n++;
}

/* A crash left it in mid-restart: still on its way, or down without anybody having stopped it. */
static bool needs_recovery(const Relay *r)
{
    if (!r->info || !r->info->exists || relay_up(r))
        return false;
    return !(r->info->active == ACTIVE_INACTIVE && streq_null(r->info->result, "success") &&
             r->info->job == 0);
}

/* Flights of relays that need nothing any more. */
static int end_flights(Manager *m)
{
    size_t before = m->state->n_flights;

    for (size_t f = m->state->n_flights; f-- > 0;) {
        const Relay *r = relays_find(m, m->state->flights[f].relay);

        if (!r || (r->run_item == SIZE_MAX && r->action == ACTION_NONE))
            state_remove_flight(m->state, m->state->flights[f].relay);
    }
    return before == m->state->n_flights ? 0 : manager_save_state(m);
}

/* While the rollout is halted or aborted, what an operator reverts goes on; while it is paused, nothing does.
 */
static bool on_hold(const Relay *r)
{
    Hold hold = r->manager->state->hold;

    return hold == HOLD_PAUSED || (hold != HOLD_NONE && !r->reverted);
}

int run_start(Manager *m)
{
    Run *run = xcalloc(1, sizeof(*run));
    size_t most = m->plan->n + m->state->n_flights;
    _cleanup_(freep) RolloutItem *items = xcalloc(most, sizeof(*items));
    const RolloutPolicy policy = plan_policy(m);
    size_t n = 0;

    run->manager = m;
    run->items = xcalloc(most, sizeof(*run->items));
    for (size_t f = m->state->n_flights; f-- > 0;) {
        Relay *r = relays_find(m, m->state->flights[f].relay);

        if (r && needs_recovery(r)) {
            const Group *g = relay_target(r);
            items[n] = (RolloutItem){ .allocator = g ? g->allocator : ROLLOUT_NO_ALLOCATOR,
                                      .restart = true,
                                      .recover = true };
            add_item(run, r, items[n++]);
        }
    }
    for (size_t p = 0; p < m->plan->n; p++) {
        const PlanItem *item = &m->plan->items[p];
        Relay *r = m->relays[item->relay];
        const Group *g = relay_target(r);

        if (item->action == ACTION_REFUSED || r->run_item != SIZE_MAX || on_hold(r))
            continue;
        items[n] = (RolloutItem){
            .allocator = g ? g->allocator : ROLLOUT_NO_ALLOCATOR,
            .restart = item->action == ACTION_RESTART,
            .stopped = !relay_up(r),
        };
        add_item(run, r, items[n++]);
    }
    if (n == 0) {
        run_free(run);
        return end_flights(m);
    }
    (void)end_flights(m);
    m->state->rollout_id++;
    m->run = run;
    m->run_started = now_realtime();
    run->n_preflights = m->setup->config->n_allocators;
    run->preflights = xcalloc(run->n_preflights, sizeof(*run->preflights));
    for (size_t a = 0; a < run->n_preflights; a++)
        run->preflights[a] = (RunPreflight){ .run = run, .allocator = a };
    run->rollout = rollout_new(&policy, items, n);
    _cleanup_(freep) size_t *waves = xcalloc(n, sizeof(*waves));
    run->waves = rollout_forecast(&policy, items, n, waves);
    const Event e = { .rollout = run_id(m) };
    eventlog_write(MESSAGE_ROLLOUT_STARTED, &e, "Rollout %" PRIu64 ": %zu relay%s, %zu at a time.", run_id(m),
                   n, n == 1 ? "" : "s", policy.parallel);
    send_event(run, (RolloutEvent){ .kind = EVENT_TICK });
    return 0;
}

Run *run_free(Run *run)
{
    if (!run)
        return NULL;
    for (size_t n = 0; n < run->n; n++) {
        RunItem *i = &run->items[n];

        operation_end(i);
        i->relay->run_item = SIZE_MAX;
        free(i->wanted);
        free(i->previous);
        free(i->before);
        free(i->reason);
        free(i->unit_log);
        strv_free(i->carried);
    }
    for (size_t a = 0; a < run->n_preflights; a++)
        preflight_free(run->preflights[a].preflight);
    systemd1_cancel(run->reload);
    sd_event_source_disable_unref(run->reload_timer);
    sd_event_source_disable_unref(run->timer);
    rollout_free(run->rollout);
    free(run->preflights);
    free(run->items);
    free(run);
    return NULL;
}

/* ---- from outside ---- */

void run_event(Manager *m, RolloutEventKind kind)
{
    if (m->run)
        send_event(m->run, (RolloutEvent){ .kind = kind });
}

void run_unit_changed(Relay *r)
{
    Manager *m = r->manager;

    if (m->run && r->run_item != SIZE_MAX)
        send_event(m->run, (RolloutEvent){ .kind = EVENT_UNIT, .item = r->run_item });
}

void run_forget_bus(Manager *m)
{
    Run *run = m->run;

    if (!run)
        return;
    run->reload = systemd1_cancel(run->reload);
    for (size_t n = 0; n < run->n; n++)
        run->items[n].call = systemd1_cancel(run->items[n].call);
    for (size_t a = 0; a < run->n_preflights; a++)
        if (run->preflights[a].preflight) {
            run->preflights[a].preflight = preflight_free(run->preflights[a].preflight);
            run->preflights[a].again = true;
        }
}

/* Whether a restart that was asked for before the bus went has reached systemd, only the unit can tell. */
static void on_restart_seen(void *userdata, int error, const char *message, UnitInfo *info)
{
    RunItem *i = userdata;

    (void)message;
    i->call = NULL;
    if (error < 0) {
        operation_wait(i, POLL_JOB);
        return;
    }
    bool same = streq(info->invocation, i->invocation) && info->job == 0;
    relay_take_info(i->relay, info);
    if (same)
        ask_restart(i);
    else
        answer_job(i, JOB_DONE);
}

void run_bus_back(Manager *m)
{
    Run *run = m->run;

    if (!run)
        return;
    for (size_t n = 0; n < run->n; n++) {
        RunItem *i = &run->items[n];

        if (i->operation == OPERATION_NONE || i->call)
            continue;
        if (i->operation == OPERATION_RESTART || i->operation == OPERATION_START)
            read_unit(i, on_restart_seen);
        else
            read_unit(i, on_verify_read);
    }
    for (size_t a = 0; a < run->n_preflights; a++)
        if (run->preflights[a].again) {
            run->preflights[a].again = false;
            do_preflight(run, a);
        }
    if (run->reloading && !run->reload && !run->reload_timer)
        ask_reload(run);
}

const char *run_word(const Manager *m)
{
    if (m->run && !rollout_over(m->run->rollout)) {
        RolloutState state = rollout_state(m->run->rollout);
        return state == ROLLOUT_ENDING ? "running" : rollout_state_to_string(state);
    }
    return m->state->hold == HOLD_NONE ? "idle" : hold_to_string(m->state->hold);
}

RunCounts run_counts(const Manager *m)
{
    const Run *run = m->run;
    RunCounts c;

    if (!run)
        return m->last_counts;
    rollout_counts(run->rollout, &c.total, &c.done, &c.failed);
    c.wave = rollout_wave(run->rollout);
    c.waves = run->waves > c.wave ? run->waves : c.wave;
    return c;
}

/* As fast as so far: a guess, and shown as one. */
usec_t run_ends(const Manager *m)
{
    const RunCounts c = run_counts(m);
    size_t ended = c.done + c.failed;
    usec_t now = now_realtime();

    if (!m->run || rollout_state(m->run->rollout) != ROLLOUT_RUNNING || ended == 0)
        return 0;
    return now + (now - m->run_started) / ended * (c.total - ended);
}
