/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/reload.h"

#include "manager/loop.h"
#include "manager/relays.h"

#include <errno.h>
#include <syslog.h>

#define RETRY_FIRST (USEC_PER_SEC / 2) /* systemd's rate limit counts in seconds */
#define RETRY_LONGEST (20 * USEC_PER_SEC)
#define TRIES 20
#define TIMEOUT (10 * USEC_PER_MINUTE)
#define LATE 20 /* after this part of it one is told that no answer comes */

struct Reload {
    Manager *manager;
    ReloadCallback callback;
    void *userdata;
    Systemd1Call *call;
    usec_t begun, asked;    /* monotonic: at first, and for the last time */
    sd_event_source *late;  /* until it is told that no answer comes */
    sd_event_source *retry; /* until systemd is asked again */
    char *trouble;
    unsigned tries;
    usec_t wait; /* before the next try */
};

/* How long systemd has for an answer: it has been seen to need minutes. For tests it is shorter. */
static usec_t answer_timeout(void)
{
    const char *seconds = getenv("RELAYALLOC_RELOAD_TIMEOUT"); /* NOLINT(concurrency-mt-unsafe) */
    uint64_t n;

    return seconds && parse_u64(seconds, &n) == 0 && n > 0 && n < 3600 ? n * USEC_PER_SEC : TIMEOUT;
}

static void answered(Reload *reload)
{
    reload->late = sd_event_source_disable_unref(reload->late);
    free(reload->trouble);
    reload->trouble = NULL;
}

static int on_late(sd_event_source *source, uint64_t usec, void *userdata)
{
    Reload *reload = userdata;
    char span[FORMAT_SPAN_MAX], most[FORMAT_SPAN_MAX];

    (void)source;
    (void)usec;
    answered(reload);
    reload->trouble = xasprintf("systemd has not answered the request to reload for %s",
                                format_span(span, answer_timeout() / LATE));
    eventlog_line(LOG_WARNING, "The rollout waits: %s. Without an answer within %s it halts.",
                  reload->trouble, format_span(most, answer_timeout()));
    reload->manager->reports->run_moved(reload->manager);
    return 0;
}

/* The last thing that is done with it: the callback may free it. */
static void over(Reload *reload, bool ok, const char *message)
{
    reload->manager->took.reload = loop_monotonic(reload->manager) - reload->begun;
    answered(reload);
    reload->callback(reload->userdata, ok, message);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    Reload *reload = userdata;

    (void)source;
    (void)usec;
    reload->retry = sd_event_source_disable_unref(reload->retry);
    reload_start(reload);
    return 0;
}

static void retry(Reload *reload, usec_t wait)
{
    (void)sd_event_add_time_relative(reload->manager->event, &reload->retry, CLOCK_MONOTONIC, wait, 0,
                                     on_retry, reload);
}

/* What every service gets from now on: without it a proof would take a variable of the host for one left
 * over. */
static void on_environment(void *userdata, int error, const char *message, char **environment)
{
    Reload *reload = userdata;

    (void)message;
    reload->call = NULL;
    if (error == 0)
        (void)relays_take_environment(reload->manager, environment);
    over(reload, true, NULL);
}

static void on_reloaded(void *userdata, int error, const char *message)
{
    Reload *reload = userdata;

    reload->call = NULL;
    if (error == -ENOTCONN && loop_monotonic(reload->manager) - reload->asked >= answer_timeout()) {
        char span[FORMAT_SPAN_MAX];
        _cleanup_(freep) char *late =
            xasprintf("it has not answered for %s", format_span(span, answer_timeout()));
        over(reload, false, late);
        return;
    }
    answered(reload);
    if (error == -ENOTCONN) { /* it is not there: waited for, as by every operation */
        retry(reload, RETRY_FIRST);
        return;
    }
    if (error == -EBUSY && ++reload->tries < TRIES) {
        if (reload->tries == 1)
            eventlog_line(LOG_NOTICE, "systemd limits how often it reloads; trying again.");
        retry(reload, reload->wait);
        reload->wait = reload->wait * 2 < RETRY_LONGEST ? reload->wait * 2 : RETRY_LONGEST;
        return;
    }
    if (error < 0) {
        over(reload, false, message ? message : strerror(-error));
        return;
    }
    int r = systemd1_get_environment(reload->manager->systemd, on_environment, reload, &reload->call);
    if (r < 0)
        on_environment(reload, r, NULL, NULL);
}

Reload *reload_new(Manager *m, ReloadCallback callback, void *userdata)
{
    Reload *reload = xcalloc(1, sizeof(*reload));

    *reload = (Reload){ .manager = m,
                        .callback = callback,
                        .userdata = userdata,
                        .begun = loop_monotonic(m),
                        .wait = RETRY_FIRST };
    return reload;
}

void reload_start(Reload *reload)
{
    Manager *m = reload->manager;

    if (!m->systemd)
        return; /* reload_bus_back() asks */
    answered(reload);
    reload->asked = loop_monotonic(m);
    (void)sd_event_add_time_relative(m->event, &reload->late, CLOCK_MONOTONIC, answer_timeout() / LATE, 0,
                                     on_late, reload);
    int r = systemd1_reload(m->systemd, answer_timeout(), on_reloaded, reload, &reload->call);
    if (r < 0)
        on_reloaded(reload, r, NULL);
}

Reload *reload_free(Reload *reload)
{
    if (reload) {
        systemd1_cancel(reload->call);
        sd_event_source_disable_unref(reload->retry);
        answered(reload);
        free(reload);
    }
    return NULL;
}

void reload_forget_bus(Reload *reload)
{
    if (reload) {
        reload->call = systemd1_cancel(reload->call);
        answered(reload);
    }
}

void reload_bus_back(Reload *reload)
{
    if (reload && !reload->call && !reload->retry)
        reload_start(reload);
}

const char *reload_trouble(const Reload *reload)
{
    return reload ? reload->trouble : NULL;
}
