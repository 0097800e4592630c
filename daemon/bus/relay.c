/* SPDX-License-Identifier: BSD-3-Clause */
/* One D-Bus object a relay: org.relayalloc1.Relay (see bus/api.h). */
#include "bus/api.h"
#include "bus/private.h"

#include <errno.h>

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

/* A relay while it is shown: its memory is read once, when the first number of it is asked for, and is that
 * of this moment, so that it agrees with /proc. */
typedef struct View {
    Relay *relay;
    Memory memory;
    bool measured;
} View;

static const Memory *view_memory(View *v)
{
    if (!v->measured && v->relay->process)
        (void)process_memory(v->relay->process, &v->memory);
    v->measured = true;
    return &v->memory;
}

const char *bus_relay_reason(const Relay *relay)
{
    const char *reason = plan_reason(relay);

    return reason ? reason : "";
}

int bus_relay_append(sd_bus_message *m, Relay *relay)
{
    _cleanup_(freep) char *path = NULL;
    View v = { .relay = relay };
    int r = bus_relay_path(relay, &path);

    if (r < 0)
        return r;
    return sd_bus_message_append(m, "(ssssssttto)", relay->facts.name, bus_group_name(relay),
                                 bus_assigned_name(relay), relay->facts.running, relay->facts.version,
                                 relay_state_to_string(relay->state), view_memory(&v)->rss,
                                 view_memory(&v)->hwm, since(relay), path);
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

/* ---- the properties ---- */

static int put_library(sd_bus_message *m, View *v)
{
    const char *mapped = v->relay->facts.process.running.path;
    _cleanup_(freep) char *library = printable(mapped ? mapped : "", SIZE_MAX);

    return sd_bus_message_append(m, "s", library);
}

static int put_dropin(sd_bus_message *m, View *v)
{
    const Relay *relay = v->relay;
    _cleanup_(freep) char *own =
        relay->facts.present ? dropin_store_path(relay->manager->dropins, relay->facts.unit) : xstrdup("");

    return sd_bus_message_append(m, "s", own);
}

static int put_bootstrap(sd_bus_message *m, View *v)
{
    _cleanup_(freep) char *far = tor_view_bootstrap(&v->relay->tor.view);

    return sd_bus_message_append(m, "s", far);
}

static const char *flags_of(const Relay *relay)
{
    const char *flags = relay->tor.view.flags;

    return !flags ? "" : *flags ? flags : BUS_FLAGS_NONE;
}

static int put_dropins(sd_bus_message *m, View *v)
{
    return sd_bus_message_append_strv(m, v->relay->facts.info ? v->relay->facts.info->dropins : NULL);
}

static int put_notes(sd_bus_message *m, View *v)
{
    _cleanup_(strv_freep) char **notes = facts_notes(&v->relay->facts);

    return sd_bus_message_append_strv(m, notes);
}

#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

/* All that is served of a relay, a line each: its name, type and flags, and its value of the View `v` or the
 * function that appends it. TEXT changes, and the change is announced. The object's properties, its signals
 * and the dictionary of GetRelays are made of this; bus/api.h describes them. */
#define PROPERTIES(TEXT, VALUE, OTHER)                                                                       \
    VALUE(Name, "s", CONST, v->relay->facts.name)                                                            \
    VALUE(Unit, "s", CONST, v->relay->facts.unit)                                                            \
    TEXT(Group, "s", CHANGES, bus_group_name(v->relay))                                                      \
    TEXT(Assigned, "s", CHANGES, bus_assigned_name(v->relay))                                                \
    TEXT(Running, "s", CHANGES, v->relay->facts.running)                                                     \
    TEXT(Version, "s", CHANGES, v->relay->facts.version)                                                     \
    TEXT(State, "s", CHANGES, relay_state_to_string(v->relay->state))                                        \
    TEXT(Reason, "s", CHANGES, bus_relay_reason(v->relay))                                                   \
    OTHER(Library, "s", 0, put_library)                                                                      \
    OTHER(DropIn, "s", 0, put_dropin)                                                                        \
    OTHER(DropIns, "as", 0, put_dropins)                                                                     \
    OTHER(Notes, "as", 0, put_notes)                                                                         \
    VALUE(Replaced, "b", 0, v->relay->facts.verdict.cause == CAUSE_REPLACED)                                 \
    VALUE(Fingerprint, "s", 0, v->relay->tor.view.fingerprint)                                               \
    VALUE(MainPID, "u", 0, v->relay->process ? (uint32_t)process_pid(v->relay->process) : 0)                 \
    VALUE(NRestarts, "u", 0, v->relay->facts.info ? v->relay->facts.info->n_restarts : 0)                    \
    VALUE(Since, "t", 0, since(v->relay))                                                                    \
    VALUE(RSS, "t", 0, view_memory(v)->rss)                                                                  \
    VALUE(Anonymous, "t", 0, view_memory(v)->anon)                                                           \
    VALUE(Swap, "t", 0, view_memory(v)->swap)                                                                \
    VALUE(Peak, "t", 0, view_memory(v)->hwm)                                                                 \
    VALUE(Sampled, "t", 0, v->relay->sampled)                                                                \
    VALUE(Ready, "b", 0, tor_bootstrapped(v->relay))                                                         \
    OTHER(Bootstrap, "s", 0, put_bootstrap)                                                                  \
    VALUE(Flags, "s", 0, flags_of(v->relay))

#define NOTHING(name, type, flags, value)
#define PUT_VALUE(name, type, flags, value)                                                                  \
    static int put_##name(sd_bus_message *m, View *v)                                                        \
    {                                                                                                        \
        return sd_bus_message_append(m, type, value);                                                        \
    }
PROPERTIES(PUT_VALUE, PUT_VALUE, NOTHING)

#define OF_VALUE(name, type, flags, value) { #name, type, put_##name },
#define OF_FUNCTION(name, type, flags, put) { #name, type, put },
static const struct {
    const char *name, *type;
    int (*put)(sd_bus_message *m, View *v);
} properties[] = { PROPERTIES(OF_VALUE, OF_VALUE, OF_FUNCTION) };

static int get_property(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    View v = { .relay = userdata };

    (void)bus;
    (void)path;
    (void)interface;
    (void)error;
    for (size_t i = 0; i < ELEMENTSOF(properties); i++)
        if (streq(properties[i].name, property))
            return properties[i].put(reply, &v);
    return -ENOENT;
}

#define ENTRY(name, type, flags, value) SD_BUS_PROPERTY(#name, type, get_property, 0, flags),
const sd_bus_vtable bus_relay_vtable[] = {
    SD_BUS_VTABLE_START(0),
    PROPERTIES(ENTRY, ENTRY, ENTRY) /* each with its comma */
    SD_BUS_VTABLE_END,
};

char *bus_relay_texts(const Relay *relay)
{
    const View view = { .relay = (Relay *)relay }, *v = &view; /* a text takes no measuring */
    const char *const values[] = {
#define VALUE_ONLY(name, type, flags, value) value,
        PROPERTIES(VALUE_ONLY, NOTHING, NOTHING)
    };
    size_t size = 1;

    for (size_t i = 0; i < ELEMENTSOF(values); i++)
        size += strlen(values[i]) + 1;
    char *texts = xcalloc(1, size), *end = texts;
    for (size_t i = 0; i < ELEMENTSOF(values); i++)
        end = stpcpy(stpcpy(end, values[i]), "\n");
    return texts;
}

int bus_relay_emit_texts(sd_bus *bus, const Relay *relay)
{
#define NAME_ONLY(name, type, flags, value) (char *)#name,
    char *names[] = { PROPERTIES(NAME_ONLY, NOTHING, NOTHING) NULL };
    _cleanup_(freep) char *path = NULL;
    int r = bus_relay_path(relay, &path);

    return r < 0 ? r : sd_bus_emit_properties_changed_strv(bus, path, BUS_RELAY_INTERFACE, names);
}

static int append_entry(sd_bus_message *m, size_t property, View *v)
{
    int r = sd_bus_message_open_container(m, 'e', "sv");

    if (r >= 0)
        r = sd_bus_message_append_basic(m, 's', properties[property].name);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', properties[property].type);
    if (r >= 0)
        r = properties[property].put(m, v);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_dictionary(sd_bus_message *m, Relay *relay, const bool *wanted)
{
    _cleanup_(freep) char *path = NULL;
    View v = { .relay = relay };

    int r = bus_relay_path(relay, &path);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'r', "oa{sv}");
    if (r >= 0)
        r = sd_bus_message_append_basic(m, 'o', path);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "{sv}");
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(properties); i++)
        if (wanted[i])
            r = append_entry(m, i, &v);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_close_container(m);
}

int bus_relays_append(sd_bus_message *m, Relay *const *relays, size_t n, char *const *names)
{
    bool wanted[ELEMENTSOF(properties)];

    for (size_t i = 0; i < ELEMENTSOF(properties); i++)
        wanted[i] = !names || !*names || strv_contains(names, properties[i].name);
    int r = sd_bus_message_open_container(m, 'a', "(oa{sv})");
    for (size_t i = 0; r >= 0 && i < n; i++)
        r = append_dictionary(m, relays[i], wanted);
    return r < 0 ? r : sd_bus_message_close_container(m);
}
