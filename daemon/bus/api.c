/* SPDX-License-Identifier: BSD-3-Clause */
/* Serves org.relayalloc1 (see bus/api.h): shows what the manager holds, and hands on what callers wish.
 * Decides only who may wish. */
#include "bus/api.h"
#include "bus/authorize.h"
#include "bus/private.h"
#include "bus/serve.h"

#include <errno.h>
#include <syslog.h>

#define CHANGED_DELAY (100 * USEC_PER_MSEC)

/* ---- reading ---- */

static int method_list_relays(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    Manager *m = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);

    (void)error;
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(ssssssttto)");
    for (size_t i = 0; r >= 0 && i < m->n_relays; i++)
        r = bus_relay_append(reply, m->relays[i]);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_message_send(reply);
}

static int method_get_relays(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    const Manager *m = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    _cleanup_(strv_freep) char **names = NULL;
    int r = sd_bus_message_read_strv(call, &names);

    (void)error;
    if (r >= 0)
        r = sd_bus_message_new_method_return(call, &reply);
    if (r >= 0)
        r = bus_relays_append(reply, m->relays, m->n_relays, names);
    return r < 0 ? r : sd_bus_message_send(reply);
}

static int method_get_relay(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    _cleanup_(freep) char *path = NULL;
    const char *name;
    int e = sd_bus_message_read(call, "s", &name);

    if (e < 0)
        return e;
    const Relay *relay = relays_find(userdata, name);
    if (!relay)
        return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_RELAY, "No relay named \"%s\".", name);
    e = bus_relay_path(relay, &path);
    return e < 0 ? e : sd_bus_reply_method_return(call, "o", path);
}

/* ---- the manager ---- */

static int get_manager_text(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Manager *m = userdata;
    const char *value = "";

    (void)bus;
    (void)path;
    (void)interface;
    (void)error;
    if (streq(property, "Version"))
        value = VERSION;
    else if (streq(property, "ConfigPath"))
        value = m->config_path;
    else if (streq(property, "ConfigError"))
        value = m->config_error ? m->config_error : "";
    else if (streq(property, "Rollout"))
        value = run_word(m);
    else if (streq(property, "RolloutReason"))
        value = run_reason(m);
    else if (streq(property, "RolloutResult"))
        value = m->last_result == ROLLOUT_RUNNING ? "none" : rollout_state_to_string(m->last_result);
    return sd_bus_message_append(reply, "s", value);
}

static int get_manager_time(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Manager *m = userdata;
    uint64_t value = 0;

    (void)bus;
    (void)path;
    (void)interface;
    (void)error;
    if (streq(property, "ConfigLoaded"))
        value = m->setup->loaded;
    else if (streq(property, "RolloutID"))
        value = run_id(m);
    else if (streq(property, "RolloutStarted"))
        value = m->run_started;
    else if (streq(property, "RolloutEnds"))
        value = run_ends(m);
    return sd_bus_message_append(reply, "t", value);
}

static uint32_t count_states(const Manager *m, RelayState a, RelayState b)
{
    uint32_t n = 0;

    for (size_t i = 0; i < m->n_relays; i++)
        n += m->relays[i]->state == a || m->relays[i]->state == b;
    return n;
}

static int get_manager_count(sd_bus *bus, const char *path, const char *interface, const char *property,
                             sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    static const struct {
        const char *property;
        RelayState a, b;
    } states[] = {
        { "RelaysOk", RELAY_OK, RELAY_OK },
        { "RelaysPending", RELAY_PENDING, RELAY_PENDING },
        { "RelaysBusy", RELAY_RESTARTING, RELAY_SETTLING },
        { "RelaysFailed", RELAY_FAILED, RELAY_FAILED },
        { "RelaysDrifted", RELAY_DRIFTED, RELAY_DRIFTED },
        { "RelaysDown", RELAY_DOWN, RELAY_DOWN },
        { "RelaysStopped", RELAY_STOPPED, RELAY_STOPPED },
        { "RelaysObserved", RELAY_OBSERVED, RELAY_REVERTED },
    };
    const Manager *m = userdata;
    const RunCounts counts = run_counts(m);
    uint32_t value = 0;

    (void)bus;
    (void)path;
    (void)interface;
    (void)error;
    if (streq(property, "Relays"))
        value = (uint32_t)m->n_relays;
    else if (streq(property, "RolloutWave"))
        value = (uint32_t)counts.wave;
    else if (streq(property, "RolloutWaves"))
        value = (uint32_t)counts.waves;
    else if (streq(property, "RolloutTotal"))
        value = (uint32_t)counts.total;
    else if (streq(property, "RolloutDone"))
        value = (uint32_t)counts.done;
    else if (streq(property, "RolloutFailed"))
        value = (uint32_t)counts.failed;
    for (size_t i = 0; i < ELEMENTSOF(states); i++)
        if (streq(property, states[i].property))
            value = count_states(m, states[i].a, states[i].b);
    return sd_bus_message_append(reply, "u", value);
}

static int method_plan(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    Manager *m = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);

    (void)error;
    if (!m->plan && m->scanned)
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

static int method_verify(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    Manager *m = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);

    (void)error;
    relays_prove_all(m);
    manager_plan(m);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(sss)");
    for (size_t i = 0; r >= 0 && i < m->n_relays; i++) {
        const Relay *relay = m->relays[i];

        r = sd_bus_message_append(reply, "(sss)", relay->facts.name, relay_state_to_string(relay->state),
                                  relay_state_fine(relay->state) ? "" : bus_relay_reason(relay));
    }
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_message_send(reply);
}

/* ---- wishes: only after authorize() ---- */

static int do_reload(Manager *m, sd_bus_message *call, sd_bus_error *error)
{
    if (manager_reload(m) < 0)
        return sd_bus_error_setf(error, BUS_ERROR_INVALID_FILE, "%s",
                                 m->config_error ? m->config_error : "refused");
    return sd_bus_reply_method_return(call, NULL);
}

/* A wish is carried out at once, but one that a restart would forget is not what was asked for. */
static int check_saved(const Manager *m, sd_bus_error *error)
{
    if (m->state_error >= 0)
        return 0;
    return sd_bus_error_setf(error, BUS_ERROR_NOT_SAVED,
                             "Done, but %s/state cannot be saved (%s): it is lost when relayallocd restarts.",
                             m->state_dir, strerror(-m->state_error));
}

static int do_pause(Manager *m, sd_bus_message *call, sd_bus_error *error)
{
    manager_pause(m);
    int r = check_saved(m, error);
    return r < 0 ? r : sd_bus_reply_method_return(call, NULL);
}

static int do_resume(Manager *m, sd_bus_message *call, sd_bus_error *error)
{
    if (manager_resume(m) < 0)
        return sd_bus_error_setf(error, BUS_ERROR_NO_ROLLOUT,
                                 "No rollout is paused, halted or aborted, and no relay has failed.");
    int r = check_saved(m, error);
    return r < 0 ? r : sd_bus_reply_method_return(call, NULL);
}

static int do_abort(Manager *m, sd_bus_message *call, sd_bus_error *error)
{
    if (manager_abort(m) < 0)
        return sd_bus_error_setf(error, BUS_ERROR_NO_ROLLOUT, "No rollout is in progress.");
    int r = check_saved(m, error);
    return r < 0 ? r : sd_bus_reply_method_return(call, NULL);
}

static int do_revert(Manager *m, sd_bus_message *call, sd_bus_error *error)
{
    _cleanup_(strv_freep) char **names = NULL;
    size_t n;
    int r = sd_bus_message_read_strv(call, &names);

    if (r < 0)
        return r;
    STRV_FOREACH (name, names)
        if (!relays_find(m, *name))
            return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_RELAY, "No relay named \"%s\".", *name);
    r = manager_revert(m, names, &n);
    if (r >= 0)
        r = check_saved(m, error);
    return r < 0 ? r : sd_bus_reply_method_return(call, "u", (uint32_t)n);
}

static const struct {
    const char *member;
    int (*run)(Manager *, sd_bus_message *, sd_bus_error *);
} wishes[] = {
    { "Reload", do_reload }, { "Pause", do_pause },   { "Resume", do_resume },
    { "Abort", do_abort },   { "Revert", do_revert },
};

static int on_authorized(void *userdata, sd_bus_message *call, sd_bus_error *error)
{
    for (size_t i = 0; i < ELEMENTSOF(wishes); i++)
        if (streq(wishes[i].member, sd_bus_message_get_member(call)))
            return wishes[i].run(userdata, call, error);
    return -EBADMSG;
}

static int method_wish(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    return authorize(call, on_authorized, userdata, error);
}

#define MANAGER_COUNT(name)                                                                                  \
    SD_BUS_PROPERTY(name, "u", get_manager_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define MANAGER_TEXT(name)                                                                                   \
    SD_BUS_PROPERTY(name, "s", get_manager_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define MANAGER_TIME(name)                                                                                   \
    SD_BUS_PROPERTY(name, "t", get_manager_time, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define OPEN SD_BUS_VTABLE_UNPRIVILEGED

static const sd_bus_vtable manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("ListRelays", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ssssssttto)", relays),
                            method_list_relays, OPEN),
    SD_BUS_METHOD_WITH_ARGS("GetRelays", SD_BUS_ARGS("as", properties), SD_BUS_RESULT("a(oa{sv})", relays),
                            method_get_relays, OPEN),
    SD_BUS_METHOD_WITH_ARGS("GetRelay", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", relay), method_get_relay,
                            OPEN),
    SD_BUS_METHOD_WITH_ARGS("Plan", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(usssss)", plan), method_plan, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Verify", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sss)", verdicts), method_verify, OPEN),
    SD_BUS_METHOD("Reload", NULL, NULL, method_wish, OPEN),
    SD_BUS_METHOD("Pause", NULL, NULL, method_wish, OPEN),
    SD_BUS_METHOD("Resume", NULL, NULL, method_wish, OPEN),
    SD_BUS_METHOD("Abort", NULL, NULL, method_wish, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Revert", SD_BUS_ARGS("as", relays), SD_BUS_RESULT("u", count), method_wish,
                            OPEN),
    SD_BUS_PROPERTY("Version", "s", get_manager_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("ConfigPath", "s", get_manager_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    MANAGER_TIME("ConfigLoaded"),
    MANAGER_TEXT("ConfigError"),
    MANAGER_COUNT("Relays"),
    MANAGER_COUNT("RelaysOk"),
    MANAGER_COUNT("RelaysPending"),
    MANAGER_COUNT("RelaysBusy"),
    MANAGER_COUNT("RelaysFailed"),
    MANAGER_COUNT("RelaysDrifted"),
    MANAGER_COUNT("RelaysDown"),
    MANAGER_COUNT("RelaysStopped"),
    MANAGER_COUNT("RelaysObserved"),
    MANAGER_TEXT("Rollout"),
    MANAGER_TIME("RolloutID"),
    MANAGER_TEXT("RolloutReason"),
    MANAGER_TEXT("RolloutResult"),
    MANAGER_COUNT("RolloutWave"),
    MANAGER_COUNT("RolloutWaves"),
    MANAGER_COUNT("RolloutTotal"),
    MANAGER_COUNT("RolloutDone"),
    MANAGER_COUNT("RolloutFailed"),
    MANAGER_TIME("RolloutStarted"),
    SD_BUS_PROPERTY("RolloutEnds", "t", get_manager_time, 0, 0),
    SD_BUS_SIGNAL_WITH_ARGS("RelayChanged", SD_BUS_ARGS("s", relay, "s", state), 0),
    SD_BUS_SIGNAL_WITH_ARGS("RolloutChanged",
                            SD_BUS_ARGS("t", id, "s", state, "u", done, "u", failed, "u", total), 0),
    SD_BUS_VTABLE_END,
};

/* ---- start, stop, changes ---- */

/* Two daemons would restart relays side by side: who comes second ends, before it has looked at anything. */
static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const uint32_t in_queue = 2, exists = 3; /* D-Bus specification, RequestName */
    Manager *m = userdata;
    uint32_t result;

    (void)error;
    if (sd_bus_message_is_method_error(reply, NULL)) {
        eventlog_line(LOG_ERR, "Cannot take the bus name " BUS_NAME ": %s.",
                      sd_bus_message_get_error(reply)->message);
    } else if (sd_bus_message_read(reply, "u", &result) >= 0 && (result == in_queue || result == exists)) {
        eventlog_line(LOG_ERR, "Another relayallocd owns the bus name " BUS_NAME "; exiting.");
        return sd_event_exit(m->event, -EEXIST);
    }
    return 0;
}

static int start(Manager *m)
{
    sd_bus *bus = m->bus;
    sd_bus_slot **slot = m->api_slots;
    int r = sd_bus_add_object_vtable(bus, &slot[0], BUS_PATH, BUS_MANAGER_INTERFACE, manager_vtable, m);

    if (r >= 0)
        r = sd_bus_add_fallback_vtable(bus, &slot[1], BUS_RELAY_PREFIX, BUS_RELAY_INTERFACE, bus_relay_vtable,
                                       bus_relay_find, m);
    if (r >= 0)
        r = sd_bus_add_node_enumerator(bus, &slot[2], BUS_RELAY_PREFIX, bus_relay_enumerate, m);
    if (r >= 0)
        r = sd_bus_add_object_vtable(bus, &slot[3], "/org/freedesktop/LogControl1",
                                     "org.freedesktop.LogControl1", bus_log_vtable, m);
    if (r >= 0)
        r = sd_bus_request_name_async(bus, &m->name_slot, BUS_NAME, 0, on_name, m);
    return r;
}

static void stop(Manager *m)
{
    for (size_t i = 0; i < ELEMENTSOF(m->api_slots); i++)
        m->api_slots[i] = sd_bus_slot_unref(m->api_slots[i]);
    m->name_slot = sd_bus_slot_unref(m->name_slot);
    m->manager_changed = sd_event_source_disable_unref(m->manager_changed);
}

static void relay_changed(Relay *relay)
{
    Manager *m = relay->manager;
    _cleanup_(freep) char *texts = bus_relay_texts(relay);
    bool moved = relay->state != relay->shown;

    if (streq_null(texts, relay->shown_properties))
        return;
    free(relay->shown_properties);
    relay->shown_properties = TAKE_PTR(texts);
    relay->shown = relay->state;
    if (!m->bus)
        return;
    (void)bus_relay_emit_texts(relay);
    if (moved)
        (void)sd_bus_emit_signal(m->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "RelayChanged", "ss",
                                 relay->facts.name, relay_state_to_string(relay->state));
}

static int on_manager_changed(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;
    const RunCounts c = run_counts(m);

    (void)source;
    (void)usec;
    m->manager_changed = sd_event_source_unref(m->manager_changed);
    if (!m->bus)
        return 0;
    (void)sd_bus_emit_properties_changed(
        m->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "ConfigLoaded", "ConfigError", "Relays", "RelaysOk",
        "RelaysPending", "RelaysBusy", "RelaysFailed", "RelaysDrifted", "RelaysDown", "RelaysStopped",
        "RelaysObserved", "Rollout", "RolloutID", "RolloutReason", "RolloutResult", "RolloutWave",
        "RolloutWaves", "RolloutTotal", "RolloutDone", "RolloutFailed", "RolloutStarted", NULL);
    (void)sd_bus_emit_signal(m->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "RolloutChanged", "tsuuu", run_id(m),
                             run_word(m), (uint32_t)c.done, (uint32_t)c.failed, (uint32_t)c.total);
    return 0;
}

/* A rollout changes many things at once: told together, a little later. */
static void manager_changed(Manager *m)
{
    if (m->bus)
        loop_schedule(m, &m->manager_changed, CHANGED_DELAY, on_manager_changed);
}

const ManagerView bus_view = {
    .start = start,
    .stop = stop,
    .relay_changed = relay_changed,
    .manager_changed = manager_changed,
};
