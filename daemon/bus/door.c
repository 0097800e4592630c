/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus/door.h"

#include "bus/api.h"
#include "bus/private.h"
#include "manager/loop.h"

#include <errno.h>
#include <syslog.h>
#include <time.h>

/* Of the texts that a call brings: the names of some thousand relays. */
#define ARGUMENTS_MAX ((size_t)64 * 1024)
/* Messages that wait to be sent, while dbus-daemon takes none from us; each may be about hundreds of relays.
 */
#define UNSENT_MAX 64
/* What a call costs that libsystemd answers, in µs. */
#define LIBRARY_COST 200

usec_t door_clock(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

void door_charge(Door *door, sd_bus_message *call, usec_t cost)
{
    callers_charge(door->callers, sd_bus_message_get_sender(call), loop_monotonic(door->manager), cost);
}

bool door_stalled(const Door *door)
{
    uint64_t n;

    return sd_bus_get_n_queued_write(door->bus, &n) >= 0 && n >= UNSENT_MAX;
}

/* ---- what a call brings ---- */

/* What the method takes; "" also if it is none of ours, to which libsystemd answers. */
static const char *signature_of(const char *interface, const char *member)
{
    static const struct {
        const char *member, *signature;
    } properties[] = { { "Get", "ss" }, { "GetAll", "s" }, { "Set", "ssv" } };

    if (streq(interface, "org.freedesktop.DBus.Properties"))
        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
            if (streq(properties[i].member, member))
                return properties[i].signature;
    if (streq(interface, BUS_MANAGER_INTERFACE))
        for (const sd_bus_vtable *v = bus_manager_vtable; v->type != _SD_BUS_VTABLE_END; v++)
            if (v->type == _SD_BUS_VTABLE_METHOD && streq(v->x.method.member, member))
                return v->x.method.signature ? v->x.method.signature : "";
    return "";
}

static int read_text(sd_bus_message *m, size_t *left)
{
    const char *text;
    int r = sd_bus_message_read_basic(m, 's', &text);

    if (r <= 0)
        return r;
    size_t n = strlen(text) + 8; /* with what stands before it and behind */
    if (n > *left)
        return -E2BIG;
    *left -= n;
    return 1;
}

/* The first of `types`, which are those that our methods take: texts, arrays of texts, variants with a text.
 */
static int read_argument(sd_bus_message *m, const char **types, size_t *left)
{
    const char type = *(*types)++;
    int r;

    if (type == 's')
        return read_text(m, left);
    if (type != 'a' && type != 'v')
        return sd_bus_message_skip(m, (char[]){ type, '\0' });
    *types += type == 'a';
    r = sd_bus_message_enter_container(m, type, "s");
    do
        r = r < 0 ? r : read_text(m, left);
    while (type == 'a' && r > 0);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* The size of a message is not to be had, so its arguments are looked at. -E2BIG: too large. */
static int check_arguments(sd_bus_message *m, const char *interface, const char *member)
{
    const char *types = signature_of(interface, member);
    size_t left = ARGUMENTS_MAX;
    int r = 0;

    if (!streq(sd_bus_message_get_signature(m, 1), types))
        return -EINVAL;
    while (r >= 0 && *types)
        r = read_argument(m, &types, &left);
    return r < 0 ? r : sd_bus_message_rewind(m, 1);
}

/* ---- letting in ---- */

static int let_in(Door *door, sd_bus_message *m, sd_bus_error *error)
{
    const char *interface = sd_bus_message_get_interface(m), *member = sd_bus_message_get_member(m);
    const usec_t before = door_clock();

    interface = interface ? interface : "";
    int r = check_arguments(m, interface, member);
    door_charge(door, m,
                door_clock() - before + (streq(interface, BUS_MANAGER_INTERFACE) ? 0 : LIBRARY_COST));
    if (r == -E2BIG)
        return sd_bus_error_setf(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                 "The arguments of %s are larger than %zu bytes.", member, ARGUMENTS_MAX);
    if (r < 0)
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "%s does not take such arguments.",
                                 member);
    if (streq(interface, "org.freedesktop.DBus.Properties") && streq(member, "Set"))
        return bus_log_set(door, m, error); /* libsystemd would wait for the bus to say who calls */
    return 0;
}

/* Sees every message before anybody else does. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Door *door = userdata;
    const char *sender = sd_bus_message_get_sender(m);

    if (!sd_bus_message_is_method_call(m, NULL, NULL))
        return 0;
    if (door_stalled(door))
        return 1;
    switch (callers_admit(door->callers, sender ? sender : "", loop_monotonic(door->manager))) {
    case ADMITTED:
        return let_in(door, m, error);
    case REFUSED:
        return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many calls; try again later.");
    default:
        return 1;
    }
}

/* ---- open, close ---- */

/* Two daemons would restart relays side by side: who comes second ends, before it has looked at anything. */
static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const uint32_t in_queue = 2, exists = 3; /* D-Bus specification, RequestName */
    Door *door = userdata;
    uint32_t result;

    (void)error;
    door->named = true;
    if (sd_bus_message_is_method_error(reply, NULL)) {
        if (sd_bus_is_open(door->bus) > 0) /* else that is the error, and it is tried again */
            eventlog_line(LOG_ERR, "Cannot take a name on the system bus: %s.",
                          sd_bus_message_get_error(reply)->message);
    } else if (sd_bus_message_read(reply, "u", &result) >= 0 && (result == in_queue || result == exists)) {
        eventlog_line(LOG_ERR, "Another relayallocd owns the bus name " BUS_NAME "; exiting.");
        return sd_event_exit(door->manager->event, -EEXIST);
    }
    manager_served(door->manager);
    return 0;
}

static void on_known(void *userdata, const char *sender, int error, uid_t uid)
{
    Door *door = userdata;

    requests_known(door->requests, sender, error, uid);
}

int door_open(Door *door, Manager *m, sd_bus *bus, const char *name)
{
    sd_bus_slot **slot = door->slots;

    door->manager = m;
    door->bus = sd_bus_ref(bus);
    door->callers = callers_new(m->bus, on_known, door);
    door->requests = requests_new(door->callers, door);
    int r = sd_bus_add_filter(bus, slot++, on_message, door);
    if (r >= 0)
        r = sd_bus_add_object_vtable(bus, slot++, BUS_PATH, BUS_MANAGER_INTERFACE, bus_manager_vtable, m);
    if (r >= 0)
        r = sd_bus_add_fallback_vtable(bus, slot++, BUS_RELAY_PREFIX, BUS_RELAY_INTERFACE, bus_relay_vtable,
                                       bus_relay_find, m);
    if (r >= 0)
        r = sd_bus_add_node_enumerator(bus, slot++, BUS_RELAY_PREFIX, bus_relay_enumerate, m);
    if (r >= 0)
        r = sd_bus_add_object_vtable(bus, slot++, BUS_LOG_PATH, BUS_LOG_INTERFACE, bus_log_vtable, m);
    if (r >= 0)
        r = sd_bus_request_name_async(bus, slot++, name, 0, on_name, door);
    return r;
}

void door_close(Door *door)
{
    door->requests = requests_free(door->requests);
    door->callers = callers_free(door->callers);
    for (size_t i = 0; i < ELEMENTSOF(door->slots); i++)
        door->slots[i] = sd_bus_slot_unref(door->slots[i]);
    door->bus = sd_bus_unref(door->bus);
    door->named = false;
}
