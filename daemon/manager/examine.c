/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/torrc.h"
#include "manager/loop.h"
#include "manager/run-item.h"

#include <errno.h>

/* How long one takes is what the next is expected to take. */
static void measure(const RunItem *i, usec_t *took)
{
    if (i->preflight)
        *took = loop_monotonic(i->run->manager) - i->preflight_begun;
}

static PreflightAsk ask_of(const RunItem *i)
{
    Manager *m = i->run->manager;

    return (PreflightAsk){
        .event = m->event,
        .systemd = &m->systemd,
        .counter = &m->n_preflights,
        .probe = m->probe,
        .relay = &i->relay->facts,
    };
}

static void on_preflight(void *userdata, PreflightAnswer answer, const char *reason)
{
    RunItem *i = userdata;

    measure(i, &i->run->manager->took.preflight);
    i->preflight = preflight_free(i->preflight);
    if (answer == PREFLIGHT_REFUSES)
        notice_refused(i, reason);
    else if (answer == PREFLIGHT_UNTESTED)
        notice_untested(i, reason);
    run_send(i->run, (RolloutEvent){ .kind = EVENT_PREFLIGHT,
                                     .item = i->index,
                                     .ok = answer == PREFLIGHT_FINE,
                                     .untested = answer == PREFLIGHT_UNTESTED });
}

void examine_allocator(RunItem *i)
{
    Manager *m = i->run->manager;

    i->preflight = preflight_free(i->preflight);
    i->preflight_begun = loop_monotonic(m);
    i->preflight_config = false;
    if (!m->setup->allocators[i->allocator].path) {
        on_preflight(i, PREFLIGHT_FINE, NULL);
        return;
    }
    if (m->systemd) {
        PreflightAsk ask = ask_of(i);
        ask.allocator = &m->setup->config->allocators[i->allocator];
        ask.library = &m->setup->allocators[i->allocator];
        int r = preflight_start(&ask, on_preflight, i, &i->preflight);
        if (r < 0 && r != -ENOTCONN) {
            _cleanup_(freep) char *reason = xasprintf("the preflight cannot be started: %s", strerror(-r));
            on_preflight(i, error_is_passing(r) ? PREFLIGHT_UNTESTED : PREFLIGHT_REFUSES, reason);
            return;
        }
    }
    i->preflight_again = !i->preflight; /* examine_bus_back() starts it */
}

static void on_config(void *userdata, PreflightAnswer answer, const char *reason)
{
    RunItem *i = userdata;

    measure(i, &i->run->manager->took.verify_config);
    i->preflight = preflight_free(i->preflight);
    if (answer == PREFLIGHT_UNTESTED)
        i->config_stamp = 0; /* which none has: it is tried again with the next sample */
    if (answer != PREFLIGHT_FINE)
        notice_config_refused(i, reason);
    run_send(i->run,
             (RolloutEvent){ .kind = EVENT_CONFIG, .item = i->index, .ok = answer == PREFLIGHT_FINE });
}

void examine_config(RunItem *i)
{
    Manager *m = i->run->manager;
    char *const *argv = i->relay->facts.info->verify_config;
    int r = 0;

    i->preflight = preflight_free(i->preflight);
    i->preflight_begun = loop_monotonic(m);
    i->preflight_config = true;
    if (argv && m->systemd) {
        i->config_stamp = torrc_stamp(argv); /* before: what changes meanwhile is another one */
        const PreflightAsk ask = ask_of(i);
        r = preflight_start_config(&ask, on_config, i, &i->preflight);
    }
    i->preflight_again =
        argv && !i->preflight && (r == 0 || r == -ENOTCONN); /* examine_bus_back() starts it */
    if (!argv) {
        on_config(i, PREFLIGHT_FINE, NULL);
    } else if (r < 0 && r != -ENOTCONN) { /* short of descriptors, say */
        _cleanup_(freep) char *reason =
            xasprintf("its configuration could not be verified: %s", strerror(-r));
        on_config(i, PREFLIGHT_UNTESTED, reason);
    }
}

void examine_end(RunItem *i)
{
    i->preflight = preflight_free(i->preflight);
}

void examine_forget_bus(RunItem *i)
{
    i->preflight_again = i->preflight_again || i->preflight;
    examine_end(i);
}

void examine_bus_back(RunItem *i)
{
    if (!i->preflight_again && !i->preflight)
        return;
    if (i->preflight_config)
        examine_config(i);
    else
        examine_allocator(i);
}
