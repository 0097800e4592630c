/* SPDX-License-Identifier: BSD-3-Clause */
/* Verify: a look at every relay's process, for any caller, but not so often that a user could keep us busy
 * with it: calls that come together share a look, and users other than root get what the last one found for a
 * while. */
#include "bus/private.h"

#include <syslog.h>

#define TOGETHER (10 * USEC_PER_MSEC)
#define GOOD_FOR USEC_PER_SEC
#define UNTIL_READ (100 * USEC_PER_MSEC)

static int append_verdicts(const Manager *m, sd_bus_message *reply)
{
    int r = sd_bus_message_open_container(reply, 'a', "(sss)");

    for (size_t i = 0; r >= 0 && i < m->n_relays; i++) {
        const Relay *relay = m->relays[i];

        /* One that settles has been proved once; should it not hold any more, its state follows in a moment.
         */
        bool fine = relay_state_fine(relay->state) &&
                    (relay->state != RELAY_SETTLING || relay->facts.verdict.cause == CAUSE_NONE);
        r = sd_bus_message_append(reply, "(sss)", relay->facts.name, relay_state_to_string(relay->state),
                                  fine ? "" : bus_relay_reason(relay));
    }
    return r < 0 ? r : sd_bus_message_close_container(reply);
}

static void answer(Request *request)
{
    const Door *door = request_userdata(request);
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(request->call, &reply);

    if (r >= 0)
        r = append_verdicts(door->manager, reply);
    if (r >= 0)
        r = sd_bus_message_send(reply);
    if (r < 0)
        request_fail(request, r, NULL);
    else
        request_free(request);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->api->look = sd_event_source_unref(m->api->look);
    if (!m->scanned) { /* which relays there are is not known yet: that none differs would be said of none */
        loop_schedule(m, &m->api->look, UNTIL_READ, on_look);
        return 0;
    }
    eventlog_line(LOG_DEBUG, "Looking at all relays, as requested by Verify.");
    manager_verify(m);
    m->api->looked = loop_monotonic(m);
    requests_ready(m->api->root.requests, answer);
    requests_ready(m->api->everybody.requests, answer);
    return 0;
}

static void known(Request *request)
{
    const Door *door = request_userdata(request);
    Manager *m = door->manager;
    bool recent = m->api->looked > 0 && loop_monotonic(m) - m->api->looked < GOOD_FOR;

    if (recent && !callers_is_root(request->uid)) {
        answer(request);
        return;
    }
    request->ready = answer;
    loop_schedule(m, &m->api->look, TOGETHER, on_look);
}

int bus_verify(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    static const RequestKind kind = { .known = known, .most = 32 };

    return request_begin(bus_door(userdata, call)->requests, call, NULL, &kind, error);
}
