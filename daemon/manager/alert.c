/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/alert.h"

#include "manager/loop.h"

#include <errno.h>
#include <syslog.h>

static void start_next(Manager *m);

static void take_first(char **queue)
{
    free(*queue);
    while ((*queue = queue[1]))
        queue++;
}

/* No template, or one that is masked, is how its operator wants it: not a word. */
static void tell_failure(Manager *m, int error, const char *message)
{
    Alerting *a = &m->alerting;
    const bool unwanted = error == -ENOENT || error == -ERFKILL;

    if (error < 0)
        alerts_forget(&a->past, a->queue[0]); /* the next of its kind is tried at once */
    if (error < 0 && !unwanted && error != a->error)
        eventlog_line(LOG_WARNING, "Cannot start %s: %s.", a->queue[0], message ? message : strerror(-error));
    a->error = unwanted ? 0 : error;
}

static void on_started(void *userdata, int error, const char *message, const char *job)
{
    Manager *m = userdata;

    (void)job;
    m->alerting.call = NULL;
    if (error == -ENOTCONN) /* systemd takes one that it has started already for the same */
        return;
    tell_failure(m, error, message);
    take_first(m->alerting.queue);
    start_next(m);
}

/* One after the other, so that a queue is all that has to be kept. */
static void start_next(Manager *m)
{
    Alerting *a = &m->alerting;
    int r = 0;

    if (!m->systemd || a->call || !a->queue || !*a->queue)
        return;
    r = systemd1_start(m->systemd, a->queue[0], "fail", on_started, m, &a->call);
    if (r == 0 || r == -ENOTCONN)
        return;
    tell_failure(m, r, NULL);
    take_first(a->queue);
}

void alert_raise(Manager *m, AlertKind kind, const char *relay)
{
    Alerting *a = &m->alerting;
    _cleanup_(freep) char *unit = alert_unit(kind, relay ? relay : "unknown");

    switch (alerts_add(&a->past, kind, unit, loop_monotonic(m))) {
    case ALERT_START:
        strv_push(&a->queue, TAKE_PTR(unit));
        start_next(m);
        break;
    case ALERT_TOO_MANY:
        eventlog_line(
            LOG_WARNING,
            "More than %d alerts within an hour: no more are started until there are fewer, but for "
            "rollouts that halt.",
            ALERTS_AN_HOUR);
        break;
    case ALERT_TOO_SOON:
    case ALERT_STILL_MANY:
        break;
    }
}

void alert_forget_bus(Manager *m)
{
    m->alerting.call = systemd1_cancel(m->alerting.call);
}

void alert_bus_back(Manager *m)
{
    start_next(m);
}

void alert_free(Manager *m)
{
    alert_forget_bus(m);
    alerts_clear(&m->alerting.past);
    strv_free(m->alerting.queue);
}
