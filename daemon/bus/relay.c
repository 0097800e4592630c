/* SPDX-License-Identifier: BSD-3-Clause */
/* One D-Bus object a relay: org.relayalloc1.Relay (see bus/api.h). */
#include "bus/api.h"
#include "bus/private.h"

int bus_relay_path(const Relay *relay, char **ret)
{
    return sd_bus_path_encode(BUS_RELAY_PREFIX, relay->facts.name, ret);
}

const char *bus_group_name(const Relay *relay)
{
    const Group *g = setup_group(relay->manager->setup, relay->facts.group);

    return g ? g->name : "";
}

const char *bus_assigned_name(const Relay *relay)
{
    const Group *g = relay_target(relay);

    return g ? relay->manager->setup->config->allocators[g->allocator].name : "";
}

static usec_t since(const Relay *relay)
{
    return relay->process ? process_started(relay->process) : 0;
}

/* What stands in the reply of ListRelays: numbers of this moment, so that they agree with /proc. */
static Memory memory_now(Relay *relay)
{
    Memory memory = { 0 };

    if (relay->process)
        (void)process_memory(relay->process, &memory);
    return memory;
}

const char *bus_relay_reason(const Relay *relay)
{
    const char *reason = plan_reason(relay);

    return reason ? reason : "";
}

int bus_relay_append(sd_bus_message *m, Relay *relay)
{
    _cleanup_(freep) char *path = NULL;
    const Memory memory = memory_now(relay);
    int e = bus_relay_path(relay, &path);

    if (e < 0)
        return e;
    return sd_bus_message_append(m, "(ssssssttto)", relay->facts.name, bus_group_name(relay),
                                 bus_assigned_name(relay), relay->facts.running, relay->facts.version,
                                 relay_state_to_string(relay->state), memory.rss, memory.hwm, since(relay),
                                 path);
}

int bus_relay_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                   sd_bus_error *error)
{
    _cleanup_(freep) char *name = NULL;
    int r = sd_bus_path_decode(path, BUS_RELAY_PREFIX, &name);

    (void)bus;
    (void)interface;
    (void)error;
    if (r <= 0)
        return r;
    *ret = relays_find(userdata, name);
    return *ret != NULL;
}

int bus_relay_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
    Manager *m = userdata;
    char **paths = NULL;

    (void)bus;
    (void)prefix;
    (void)error;
    for (size_t i = 0; i < m->n_relays; i++) {
        char *path;
        if (bus_relay_path(m->relays[i], &path) >= 0)
            strv_push(&paths, path);
    }
    *ret = paths;
    return 0;
}

static int get_relay_text(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Relay *relay = userdata;
    _cleanup_(freep) char *own =
        relay->facts.present ? dropin_store_path(relay->manager->dropins, relay->facts.unit) : xstrdup("");
    _cleanup_(freep) char *library =
        printable(relay->facts.process.running.path ? relay->facts.process.running.path : "", SIZE_MAX);
    const char *value = "";

    (void)bus;
    (void)path;
    (void)interface;
    (void)error;
    if (streq(property, "Name"))
        value = relay->facts.name;
    else if (streq(property, "Unit"))
        value = relay->facts.unit;
    else if (streq(property, "Group"))
        value = bus_group_name(relay);
    else if (streq(property, "Assigned"))
        value = bus_assigned_name(relay);
    else if (streq(property, "Running"))
        value = relay->facts.running;
    else if (streq(property, "Version"))
        value = relay->facts.version;
    else if (streq(property, "State"))
        value = relay_state_to_string(relay->state);
    else if (streq(property, "Reason"))
        value = bus_relay_reason(relay);
    else if (streq(property, "Library"))
        value = library;
    else if (streq(property, "DropIn"))
        value = own;
    return sd_bus_message_append(reply, "s", value);
}

static int get_relay_number(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Relay *relay = userdata;
    const Memory memory = memory_now(relay);
    uint64_t value = 0;

    (void)bus;
    (void)path;
    (void)interface;
    (void)error;
    if (streq(property, "RSS"))
        value = memory.rss;
    else if (streq(property, "Anonymous"))
        value = memory.anon;
    else if (streq(property, "Swap"))
        value = memory.swap;
    else if (streq(property, "Peak"))
        value = memory.hwm;
    else if (streq(property, "Since"))
        value = since(relay);
    else if (streq(property, "Sampled"))
        value = relay->sampled;
    return sd_bus_message_append(reply, "t", value);
}

static int get_relay_pid(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Relay *relay = userdata;

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)error;
    return sd_bus_message_append(reply, "u", relay->process ? (uint32_t)process_pid(relay->process) : 0);
}

static int get_relay_dropins(sd_bus *bus, const char *path, const char *interface, const char *property,
                             sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Relay *relay = userdata;

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)error;
    return sd_bus_message_append_strv(reply, relay->facts.info ? relay->facts.info->dropins : NULL);
}

#define RELAY_TEXT(name, flags) SD_BUS_PROPERTY(name, "s", get_relay_text, 0, flags)
#define RELAY_NUMBER(name) SD_BUS_PROPERTY(name, "t", get_relay_number, 0, 0)

const sd_bus_vtable bus_relay_vtable[] = {
    SD_BUS_VTABLE_START(0),
    RELAY_TEXT("Name", SD_BUS_VTABLE_PROPERTY_CONST),
    RELAY_TEXT("Unit", SD_BUS_VTABLE_PROPERTY_CONST),
    RELAY_TEXT("Group", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    RELAY_TEXT("Assigned", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    RELAY_TEXT("Running", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    RELAY_TEXT("Version", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    RELAY_TEXT("State", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    RELAY_TEXT("Reason", SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    RELAY_TEXT("Library", 0),
    RELAY_TEXT("DropIn", 0),
    SD_BUS_PROPERTY("DropIns", "as", get_relay_dropins, 0, 0),
    SD_BUS_PROPERTY("MainPID", "u", get_relay_pid, 0, 0),
    RELAY_NUMBER("Since"),
    RELAY_NUMBER("RSS"),
    RELAY_NUMBER("Anonymous"),
    RELAY_NUMBER("Swap"),
    RELAY_NUMBER("Peak"),
    RELAY_NUMBER("Sampled"),
    SD_BUS_VTABLE_END,
};
