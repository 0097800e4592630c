/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/manager.h"

#include "bus/api.h"

#include <errno.h>
#include <json-c/json.h>
#include <time.h>

typedef struct Property {
    const char *name;
    char type; /* of D-Bus; 'a' stands for "as", 'T' for a time, whose 0 says none */
    size_t offset;
    const char *key; /* in JSON; "rollout.state" is the member "state" of the object "rollout" */
} Property;

#define MANAGER(name, type, field, key)                                                                      \
    {                                                                                                        \
        name, type, offsetof(ManagerStatus, field), key                                                      \
    }
static const Property manager_properties[] = {
    MANAGER("Version", 's', version, "version"),
    MANAGER("ConfigPath", 's', config_path, "config"),
    MANAGER("ConfigLoaded", 'T', config_loaded, "loaded"),
    MANAGER("ConfigError", 's', config_error, "refused"),
    MANAGER("ConfigWarnings", 's', config_warnings, "warnings"),
    MANAGER("ConfigChanged", 'b', config_changed, "unread"),
    MANAGER("ConfigWaits", 'b', config_waits, "waits"),
    MANAGER("StateError", 's', state_error, "unsaved"),
    MANAGER("NotPutBack", 'a', not_put_back, "not_put_back"),
    MANAGER("MemoryWarnings", 'a', memory_warnings, "memory_warnings"),
    MANAGER("HostSettings", 'a', host_settings, "host_settings"),
    MANAGER("Relays", 'u', relays, "relays.total"),
    MANAGER("RelaysOk", 'u', ok, "relays.ok"),
    MANAGER("RelaysPending", 'u', pending, "relays.pending"),
    MANAGER("RelaysBusy", 'u', busy, "relays.busy"),
    MANAGER("RelaysFailed", 'u', failed_relays, "relays.failed"),
    MANAGER("RelaysDrifted", 'u', drifted, "relays.drifted"),
    MANAGER("RelaysDown", 'u', down, "relays.down"),
    MANAGER("RelaysStopped", 'u', stopped, "relays.stopped"),
    MANAGER("RelaysObserved", 'u', observed, "relays.observed"),
    MANAGER("Rollout", 's', rollout, "rollout.state"),
    MANAGER("RolloutPaused", 'b', paused, "rollout.paused"),
    MANAGER("RolloutID", 't', id, "rollout.id"),
    MANAGER("RolloutReason", 's', reason, "rollout.reason"),
    MANAGER("RolloutResult", 's', result, "rollout.result"),
    MANAGER("RolloutWave", 'u', wave, "rollout.wave"),
    MANAGER("RolloutWaves", 'u', waves, "rollout.waves"),
    MANAGER("RolloutTotal", 'u', total, "rollout.total"),
    MANAGER("RolloutDone", 'u', done, "rollout.done"),
    MANAGER("RolloutFailed", 'u', failed, "rollout.failed"),
    MANAGER("RolloutStarted", 'T', started, "rollout.started"),
    MANAGER("RolloutEnds", 'T', ends, "rollout.ends"),
    MANAGER("PlanEnds", 'T', plan_ends, "rollout.plan_ends"),
    MANAGER("Window", 's', window, "rollout.window"),
    MANAGER("Gate", 's', gate, "rollout.gate"),
    MANAGER("WindowOpens", 'T', window_opens, "rollout.window_opens"),
};

#define RELAY(name, type, field, key)                                                                        \
    {                                                                                                        \
        name, type, offsetof(RelayStatus, field), key                                                        \
    }
static const Property relay_properties[] = {
    RELAY("Name", 's', name, "relay"),
    RELAY("Unit", 's', unit, "unit"),
    RELAY("Group", 's', group, "group"),
    RELAY("Assigned", 's', assigned, "assigned"),
    RELAY("Running", 's', running, "running"),
    RELAY("Version", 's', version, "version"),
    RELAY("State", 's', state, "state"),
    RELAY("Reason", 's', reason, "reason"),
    RELAY("Library", 's', library, "library"),
    RELAY("MainPID", 'u', pid, "pid"),
    RELAY("Since", 'T', since, "since"),
    RELAY("RSS", 't', rss, "rss"),
    RELAY("Anonymous", 't', anonymous, "anonymous"),
    RELAY("Swap", 't', swap, "swap"),
    RELAY("Peak", 't', peak, "peak"),
    RELAY("Sampled", 'T', sampled, "sampled"),
    RELAY("DropIn", 's', dropin, "dropin"),
    RELAY("DropIns", 'a', dropins, "dropins"),
    RELAY("Notes", 'a', notes, "notes"),
    RELAY("Ready", 'b', ready, "ready"),
    RELAY("Bootstrap", 's', bootstrap, "bootstrap"),
    RELAY("Flags", 's', flags, "flags"),
    RELAY("Fingerprint", 's', fingerprint, "fingerprint"),
};

static void *field(void *object, const Property *p)
{
    return (char *)object + p->offset;
}

static void clear(void *object, const Property *properties, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (properties[i].type == 's')
            free(*(char **)field(object, &properties[i]));
        if (properties[i].type == 'a')
            strv_free(*(char ***)field(object, &properties[i]));
    }
}

void manager_status_clear(ManagerStatus *facts)
{
    clear(facts, manager_properties, ELEMENTSOF(manager_properties));
    *facts = (ManagerStatus){ 0 };
}

void relay_status_clear(RelayStatus *facts)
{
    clear(facts, relay_properties, ELEMENTSOF(relay_properties));
    *facts = (RelayStatus){ 0 };
}

static int read_value(sd_bus_message *m, const Property *p, void *object)
{
    const char *s = NULL;

    switch (p->type) {
    case 's': {
        int r = sd_bus_message_read(m, "v", "s", &s);
        if (r > 0) {
            free(*(char **)field(object, p));
            *(char **)field(object, p) = printable(s, SIZE_MAX); /* it goes to a terminal as it is */
        }
        return r;
    }
    case 'b': {
        int b = 0; /* sd-bus fills an int */
        int r = sd_bus_message_read(m, "v", "b", &b);
        *(bool *)field(object, p) = b;
        return r;
    }
    case 'u':
        return sd_bus_message_read(m, "v", "u", (uint32_t *)field(object, p));
    case 't':
    case 'T':
        return sd_bus_message_read(m, "v", "t", (uint64_t *)field(object, p));
    default: {
        char **strv = NULL; /* of libsystemd's own allocation, which is malloc's */
        int r = sd_bus_message_enter_container(m, 'v', "as");
        if (r >= 0)
            r = sd_bus_message_read_strv(m, &strv);
        if (r >= 0) {
            char ***kept = field(object, p);
            *kept = strv_free(*kept);
            STRV_FOREACH (item, strv)
                strv_push(kept, printable(*item, SIZE_MAX));
            strv_free(strv);
            r = sd_bus_message_exit_container(m);
        }
        return r;
    }
    }
}

static int read_properties(sd_bus_message *m, const Property *properties, size_t n, void *object)
{
    const char *name = NULL;

    int r = sd_bus_message_enter_container(m, 'a', "{sv}");
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        const Property *p = NULL;
        r = sd_bus_message_read(m, "s", &name);
        for (size_t i = 0; r >= 0 && i < n; i++)
            if (streq(properties[i].name, name))
                p = &properties[i];
        if (r >= 0)
            r = p ? read_value(m, p, object) : sd_bus_message_skip(m, "v"); /* of a later version */
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    return r;
}

static int make_call(sd_bus *bus, const char *path, const char *interface, sd_bus_message **ret)
{
    int r = sd_bus_message_new_method_call(bus, ret, NULL, path, "org.freedesktop.DBus.Properties", "GetAll");

    return r < 0 ? r : sd_bus_message_append(*ret, "s", interface);
}

static int get_all(sd_bus *bus, const char *path, const char *interface, const Property *properties, size_t n,
                   Say say, void *object)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;

    int r = make_call(bus, path, interface, &call);
    if (r >= 0) {
        r = ctl_bus_send(bus, call, say, &reply);
        if (r < 0)
            return r;
        r = read_properties(reply, properties, n, object);
    }
    if (r < 0)
        return say == SAY_NOTHING ? -EBADMSG : ctl_bus_unreadable("GetAll", r);
    return 0;
}

int manager_status_get(sd_bus *bus, Say say, ManagerStatus *ret)
{
    _cleanup_(manager_status_clear) ManagerStatus facts = { 0 };

    int r = get_all(bus, BUS_PATH, BUS_MANAGER_INTERFACE, manager_properties, ELEMENTSOF(manager_properties),
                    say, &facts);
    if (r < 0)
        return r;
    *ret = facts;
    facts = (ManagerStatus){ 0 };
    return 0;
}

int manager_status_call(sd_bus *bus, sd_bus_message **ret)
{
    return make_call(bus, BUS_PATH, BUS_MANAGER_INTERFACE, ret);
}

int manager_status_read(sd_bus_message *reply, ManagerStatus *ret)
{
    _cleanup_(manager_status_clear) ManagerStatus facts = { 0 };

    int r = read_properties(reply, manager_properties, ELEMENTSOF(manager_properties), &facts);
    if (r < 0)
        return r;
    *ret = facts;
    facts = (ManagerStatus){ 0 };
    return 0;
}

int relay_status_get(sd_bus *bus, const char *path, Say say, RelayStatus *ret)
{
    _cleanup_(relay_status_clear) RelayStatus facts = { 0 };

    int r =
        get_all(bus, path, BUS_RELAY_INTERFACE, relay_properties, ELEMENTSOF(relay_properties), say, &facts);
    if (r < 0)
        return r;
    *ret = facts;
    facts = (RelayStatus){ 0 };
    return 0;
}

static char *window_words(const char *window, usec_t left)
{
    char span[FORMAT_SPAN_MAX];

    return xasprintf("waiting for the window %s, which opens in %s", window, format_span(span, left));
}

const char *manager_result_words(const ManagerStatus *facts)
{
    return streq(facts->result, "superseded") ? "ended early, because the configuration or the plan changed"
                                              : facts->result;
}

char *manager_window_words(const ManagerStatus *facts)
{
    usec_t now = ctl_now();

    if (isempty(facts->window) || facts->window_opens <= now)
        return NULL;
    return window_words(facts->window, facts->window_opens - now);
}

char *config_window_words(const Config *config)
{
    const Window w = config->rollout.window;
    time_t now = time(NULL);
    char text[WINDOW_TEXT_MAX];
    struct tm tm;

    localtime_r(&now, &tm);
    unsigned minutes = window_opens_in(w, (unsigned)(tm.tm_hour * 60 + tm.tm_min));
    if (minutes == 0)
        return NULL;
    return window_words(window_to_string(text, w),
                        minutes * USEC_PER_MINUTE - (unsigned)tm.tm_sec * USEC_PER_SEC);
}

/* ---- JSON ---- */

static struct json_object *value_json(const Property *p, const void *object)
{
    const void *value = (const char *)object + p->offset;

    switch (p->type) {
    case 's':
        return ctl_json_text(*(char *const *)value);
    case 'b':
        return json_object_new_boolean(*(const bool *)value);
    case 'u':
        return json_object_new_uint64(*(const uint32_t *)value);
    case 't':
        return json_object_new_uint64(*(const uint64_t *)value);
    case 'T':
        return *(const uint64_t *)value > 0 ? json_object_new_uint64(*(const uint64_t *)value) : NULL;
    default:
        return ctl_json_strv(*(char **const *)value);
    }
}

static struct json_object *object_json(const Property *properties, size_t n, const void *object)
{
    struct json_object *json = json_object_new_object();

    for (size_t i = 0; i < n; i++) {
        const char *key = properties[i].key, *dot = strchr(key, '.');
        struct json_object *target = json;
        if (dot) {
            _cleanup_(freep) char *outer = xstrndup(key, (size_t)(dot - key));
            if (!json_object_object_get_ex(json, outer, &target)) {
                target = json_object_new_object();
                json_object_object_add(json, outer, target);
            }
            key = dot + 1;
        }
        json_object_object_add(target, key, value_json(&properties[i], object));
    }
    return json;
}

struct json_object *manager_status_json(const ManagerStatus *facts)
{
    return object_json(manager_properties, ELEMENTSOF(manager_properties), facts);
}

struct json_object *relay_status_json(const RelayStatus *facts)
{
    return object_json(relay_properties, ELEMENTSOF(relay_properties), facts);
}
