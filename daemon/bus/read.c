/* SPDX-License-Identifier: BSD-3-Clause */
/* What the manager holds, for any caller: the relays and the plan. */
#include "bus/api.h"
#include "bus/private.h"

#include <errno.h>

/* Until it is known which relays there are, and how often that is looked at. */
#define WAITS_AT_MOST (10 * USEC_PER_SEC)
#define UNTIL_READ (100 * USEC_PER_MSEC)

static int list_relays(Manager *m, sd_bus_message *call, char *const *arguments, sd_bus_error *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);

    (void)arguments;
    (void)error;
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(ssssssttto)");
    for (size_t i = 0; r >= 0 && i < m->n_relays; i++)
        r = bus_relay_append(reply, m->relays[i]);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_message_send(reply);
}

static int get_relays(Manager *m, sd_bus_message *call, char *const *properties, sd_bus_error *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);

    (void)error;
    if (r >= 0)
        r = bus_relays_append(reply, m->relays, m->n_relays, properties);
    return r < 0 ? r : sd_bus_message_send(reply);
}

static int get_relay(Manager *m, sd_bus_message *call, char *const *names, sd_bus_error *error)
{
    const Relay *relay = relays_find(m, names[0]);
    _cleanup_(freep) char *path = NULL;

    if (!relay)
        return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_RELAY, "No relay named \"%s\".", names[0]);
    int r = bus_relay_path(relay, &path);
    return r < 0 ? r : sd_bus_reply_method_return(call, "o", path);
}

static int plan(Manager *m, sd_bus_message *call, char *const *arguments, sd_bus_error *error)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);

    (void)arguments;
    (void)error;
    if (!m->plan)
        plan_make(m);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(usssss)");
    for (size_t i = 0; r >= 0 && m->plan && i < m->plan->n; i++) {
        const PlanItem *p = &m->plan->items[i];
        const Relay *relay = m->relays[p->relay];

        r = sd_bus_message_append(reply, "(usssss)", (uint32_t)run_plan_wave(relay, p->wave),
                                  relay->facts.name, action_to_string(p->action), bus_group_name(relay),
                                  bus_assigned_name(relay), p->reason);
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_message_send(reply);
}

static const struct {
    const char *member;
    int (*run)(Manager *, sd_bus_message *, char *const *, sd_bus_error *);
} reads[] = {
    { "ListRelays", list_relays },
    { "GetRelays", get_relays },
    { "GetRelay", get_relay },
    { "Plan", plan },
};

static int run(Door *door, sd_bus_message *call, char *const *arguments, sd_bus_error *error)
{
    const usec_t before = door_clock();
    int r = -EBADMSG;

    for (size_t i = 0; i < ELEMENTSOF(reads); i++)
        if (streq(reads[i].member, sd_bus_message_get_member(call)))
            r = reads[i].run(door->manager, call, arguments, error);
    door_charge(door, call, door_clock() - before);
    return r;
}

/* ---- before it is known which relays there are ---- */
/* An answer would show none of them, or only those that have been read. */

static void answer(Request *request);

static int on_read(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->api->read = sd_event_source_unref(m->api->read);
    requests_ready(m->api->root.requests, answer);
    requests_ready(m->api->everybody.requests, answer);
    return 0;
}

static void answer(Request *request)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    Door *door = request_userdata(request);
    Manager *m = door->manager;
    int r;

    if (!m->scanned && loop_monotonic(m) < request->until) {
        loop_schedule(m, &m->api->read, UNTIL_READ, on_read);
        return;
    }
    if (m->scanned)
        r = run(door, request->call, request->arguments, &error);
    else
        r = sd_bus_error_set(
            &error, BUS_ERROR_NOT_READ,
            "It is not known yet which relays there are: relayallocd is still asking systemd.");
    if (r < 0)
        request_fail(request, r, &error);
    else
        request_free(request);
}

static void known(Request *request)
{
    const Door *door = request_userdata(request);

    request->until = loop_monotonic(door->manager) + WAITS_AT_MOST;
    request->ready = answer;
    answer(request);
}

static int read_arguments(sd_bus_message *call, char ***ret)
{
    const char *signature = sd_bus_message_get_signature(call, 1), *text;

    if (streq(signature, "as"))
        return sd_bus_message_read_strv(call, ret);
    if (!streq(signature, "s"))
        return 0;
    int r = sd_bus_message_read(call, "s", &text);
    if (r >= 0)
        strv_push(ret, xstrdup(text));
    return r;
}

int bus_read(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    static const RequestKind kind = { .known = known, .most = 32 };
    const Manager *m = userdata;
    Door *door = bus_door(m, call);
    _cleanup_(strv_freep) char **arguments = NULL;
    int r = read_arguments(call, &arguments);

    if (r < 0)
        return r;
    return m->scanned ? run(door, call, arguments, error)
                      : request_begin(door->requests, call, TAKE_PTR(arguments), &kind, error);
}
