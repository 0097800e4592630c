/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs the unit of rollout.gate before a wave, and says how that ended. Only starts it: a unit that is active
 * is never restarted for it, so that no typo can hit a relay. */
#include "core/gate.h"

#include "manager/loop.h"
#include "manager/run-item.h"

#include <errno.h>
#include <inttypes.h>

#define LOOK_AGAIN (30 * USEC_PER_SEC) /* should the signal be lost that its job has ended */

struct GateRun {
    Run *run;
    char *unit;
    Systemd1Call *call;
    sd_event_source *timer;
    usec_t begun;  /* monotonic */
    char *before;  /* its invocation; NULL: it is being started by somebody else */
    bool endless;  /* it has no time limit of its own */
    char *job;     /* object path, once systemd has sent it */
    bool starting; /* that is still to come */
    char *early_job;
    JobResult result;
    bool ended; /* with `result` */
};

GateRun *gate_free(GateRun *g)
{
    if (!g)
        return NULL;
    systemd1_cancel(g->call);
    sd_event_source_disable_unref(g->timer);
    free(g->unit);
    free(g->before);
    free(g->job);
    free(g->early_job);
    free(g);
    return NULL;
}

/* The last thing that is done with it. */
static void answer(GateRun *g, char *take_fault)
{
    Run *run = g->run;
    _cleanup_(freep) char *fault = take_fault;

    run->manager->took.gate = loop_monotonic(run->manager) - g->begun;
    run->gate = gate_free(g);
    notice_gate(run, fault);
    run_send(run, (RolloutEvent){ .kind = EVENT_GATE, .ok = !fault });
}

/* Nothing is known when the bus or systemd is gone: gate_bus_back() begins again. */
static bool call_failed(GateRun *g, int error, const char *message)
{
    const Systemd1 *systemd = g->run->manager->systemd;

    if (error == -ENOTCONN && systemd && systemd1_present(systemd))
        answer(g, xstrdup("is not known: systemd does not answer"));
    else if (error < 0 && error != -ENOTCONN)
        answer(g, xasprintf("cannot be started: %s", message ? message : strerror(-error)));
    return error < 0;
}

static void look_at_end(GateRun *g);

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    GateRun *g = userdata;

    (void)source;
    (void)usec;
    g->timer = sd_event_source_disable_unref(g->timer);
    look_at_end(g);
    return 0;
}

static void on_end(void *userdata, int error, const char *message, UnitInfo *take)
{
    GateRun *g = userdata;
    _cleanup_(unit_info_freep) UnitInfo *end = take;

    g->call = NULL;
    if (call_failed(g, error, message))
        return;
    /* It goes on; or its job is over, and nobody has said how. */
    if (!g->ended && (end->job != 0 || end->active == ACTIVE_ACTIVATING))
        (void)sd_event_add_time_relative(g->run->manager->event, &g->timer, CLOCK_MONOTONIC, LOOK_AGAIN, 0,
                                         on_timer, g);
    else
        answer(g, gate_fault(g->ended ? g->result : JOB_DONE, g->before, end));
}

static void look_at_end(GateRun *g)
{
    Manager *m = g->run->manager;
    int r = 0;

    systemd1_cancel(g->call); /* one that was asked before its job ended */
    g->call = NULL;
    if (m->systemd)
        r = systemd1_get_unit(m->systemd, g->unit, on_end, g, &g->call);
    (void)call_failed(g, r, NULL);
}

static void job_ended(GateRun *g, JobResult result)
{
    g->ended = true;
    g->result = result;
    g->timer = sd_event_source_disable_unref(g->timer);
    look_at_end(g);
}

void gate_job_removed(Manager *m, const char *job, const char *unit, JobResult result)
{
    GateRun *g = m->run ? m->run->gate : NULL;

    if (!g || g->ended || !streq(unit, g->unit))
        return;
    if (g->job && streq(g->job, job)) {
        job_ended(g, result);
    } else if (g->starting) { /* perhaps ours: systemd's answer to our call is still on its way */
        free(g->early_job);
        g->early_job = xstrdup(job);
        g->result = result;
    }
}

static void on_started(void *userdata, int error, const char *message, const char *job)
{
    GateRun *g = userdata;

    g->call = NULL;
    if (call_failed(g, error, message))
        return;
    g->starting = false;
    g->job = xstrdup(job);
    if (g->early_job && streq(g->early_job, job))
        job_ended(g, g->result);
    else
        (void)sd_event_add_time_relative(g->run->manager->event, &g->timer, CLOCK_MONOTONIC, LOOK_AGAIN, 0,
                                         on_timer, g);
}

/* Whether there was anything to be reset does not matter. */
static void on_reset(void *userdata, int error, const char *message)
{
    GateRun *g = userdata;
    int r;

    (void)message;
    g->call = NULL;
    if (error == -ENOTCONN) {
        (void)call_failed(g, error, NULL);
        return;
    }
    g->starting = true;
    r = systemd1_start(g->run->manager->systemd, g->unit, "replace", on_started, g, &g->call);
    (void)call_failed(g, r, NULL);
}

/* Waves may follow each other faster than systemd's start limit lets it be started. */
static void on_before(void *userdata, int error, const char *message, UnitInfo *take)
{
    GateRun *g = userdata;
    _cleanup_(unit_info_freep) UnitInfo *before = take;

    g->call = NULL;
    if (call_failed(g, error, message))
        return;
    char *fault = gate_unfit(before);
    if (fault) {
        answer(g, fault);
        return;
    }
    g->endless = before->timeout_start == USEC_INFINITY;
    free(g->before);
    g->before = before->active == ACTIVE_ACTIVATING ? NULL : xstrdup(before->invocation);
    int r = systemd1_reset_failed(g->run->manager->systemd, g->unit, on_reset, g, &g->call);
    (void)call_failed(g, r, NULL);
}

static void begin(GateRun *g)
{
    Manager *m = g->run->manager;
    int r = 0;

    if (m->systemd)
        r = systemd1_get_unit(m->systemd, g->unit, on_before, g, &g->call);
    (void)call_failed(g, r, NULL);
}

void gate_start(Run *run)
{
    Manager *m = run->manager;
    GateRun *g = xcalloc(1, sizeof(*g));

    *g = (GateRun){ .run = run, .unit = xstrdup(m->setup->config->rollout.gate), .begun = loop_monotonic(m) };
    run->gate = gate_free(run->gate);
    run->gate = g;
    begin(g);
}

void gate_forget_bus(GateRun *g)
{
    if (!g)
        return;
    g->call = systemd1_cancel(g->call);
    g->timer = sd_event_source_disable_unref(g->timer);
    free(g->job);
    free(g->early_job);
    g->job = g->early_job = NULL;
    g->starting = g->ended = false;
}

/* systemd takes a start that is in progress for the same. */
void gate_bus_back(GateRun *g)
{
    gate_forget_bus(g);
    if (g)
        begin(g);
}

/* "it has been running for 25min, and has no time limit (TimeoutStartSec=)" */
static char *running_words(const GateRun *g, usec_t now)
{
    char span[FORMAT_SPAN_MAX];

    return xasprintf("it has been running for %s%s", format_span(span, now > g->begun ? now - g->begun : 0),
                     g->endless ? ", and has no time limit (TimeoutStartSec=)" : "");
}

char *gate_words(const Run *run)
{
    const char *unit = run->manager->setup->config->rollout.gate;
    const usec_t again = rollout_gate_again(run->rollout), now = loop_monotonic(run->manager);
    char span[FORMAT_SPAN_MAX];

    if (rollout_at_gate(run->rollout) && run->gate) {
        _cleanup_(freep) char *running = running_words(run->gate, now);
        return run->gate_fault
                   ? xasprintf("waiting for the gate %s: it %s; %s", unit, run->gate_fault, running)
                   : xasprintf("waiting for the gate %s: %s", unit, running);
    }
    if (again == USEC_INFINITY || !run->gate_fault)
        return NULL;
    return xasprintf("waiting for the gate %s: it %s; tried again in %s", unit, run->gate_fault,
                     format_span(span, again > now ? again - now : 0));
}
