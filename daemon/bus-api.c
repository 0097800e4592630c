/* SPDX-License-Identifier: BSD-3-Clause */
/* Serves org.relayalloc1 (see bus-api.h): shows what the manager holds, and hands on what callers wish.
 * Decides only who may wish. */
#include "bus-api.h"
#include "bus-authorize.h"
#include "manager.h"

#include <errno.h>
#include <syslog.h>

#define CHANGED_DELAY (100 * USEC_PER_MSEC)

/* ---- relays ---- */

static int relay_path(const Relay *r, char **ret)
{
    return sd_bus_path_encode(BUS_RELAY_PREFIX, r->name, ret);
}

static const char *group_name(const Relay *r)
{
    const Group *g = setup_group(r->manager->setup, r->group);

    return g ? g->name : "";
}

static const char *assigned_name(const Relay *r)
{
    const Group *g = relay_target(r);

    return g ? r->manager->setup->config->allocators[g->allocator].name : "";
}

static usec_t since(const Relay *r)
{
    return r->process ? process_started(r->process) : 0;
}

/* What stands in the reply of ListRelays: numbers of this moment, so that they agree with /proc. */
static Memory memory_now(Relay *r)
{
    Memory memory = { 0 };

    if (r->process)
        (void)process_memory(r->process, &memory);
    return memory;
}

static const char *reason_of(const Relay *r)
{
    const char *reason = relay_reason(r);

    return reason ? reason : "";
}

static int append_relay(sd_bus_message *m, Relay *r)
{
    _cleanup_(freep) char *path = NULL;
    const Memory memory = memory_now(r);
    int e = relay_path(r, &path);

    if (e < 0)
        return e;
    return sd_bus_message_append(m, "(ssssssttto)", r->name, group_name(r), assigned_name(r), r->running_name,
                                 r->version, relay_state_to_string(r->state), memory.rss, memory.hwm,
                                 since(r), path);
}

static int method_list_relays(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    Manager *m = userdata;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    int r = sd_bus_message_new_method_return(call, &reply);

    (void)error;
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(ssssssttto)");
    for (size_t i = 0; r >= 0 && i < m->n_relays; i++)
        r = append_relay(reply, m->relays[i]);
    if (r >= 0)
        r = sd_bus_message_close_container(reply);
    return r < 0 ? r : sd_bus_message_send(reply);
}

static int method_get_relay(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    _cleanup_(freep) char *path = NULL;
    const char *name;
    int e = sd_bus_message_read(call, "s", &name);

    if (e < 0)
        return e;
    const Relay *r = relays_find(userdata, name);
    if (!r)
        return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_RELAY, "No relay named \"%s\".", name);
    e = relay_path(r, &path);
    return e < 0 ? e : sd_bus_reply_method_return(call, "o", path);
}

static int relay_find_object(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
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

static int enumerate_relays(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error)
{
    Manager *m = userdata;
    char **paths = NULL;

    (void)bus;
    (void)prefix;
    (void)error;
    for (size_t i = 0; i < m->n_relays; i++) {
        char *path;
        if (relay_path(m->relays[i], &path) >= 0)
            strv_push(&paths, path);
    }
    *ret = paths;
    return 0;
}

static int get_relay_text(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Relay *r = userdata;
    _cleanup_(freep) char *own = NULL;
    const char *value = "";

    (void)bus;
    (void)path;
    (void)interface;
    (void)error;
    if (streq(property, "Name"))
        value = r->name;
    else if (streq(property, "Unit"))
        value = r->unit;
    else if (streq(property, "Group"))
        value = group_name(r);
    else if (streq(property, "Assigned"))
        value = assigned_name(r);
    else if (streq(property, "Running"))
        value = r->running_name;
    else if (streq(property, "Version"))
        value = r->version;
    else if (streq(property, "State"))
        value = relay_state_to_string(r->state);
    else if (streq(property, "Reason"))
        value = reason_of(r);
    else if (streq(property, "Library"))
        value = r->running.path ? r->running.path : "";
    else if (streq(property, "DropIn") && r->present)
        value = own = dropin_store_path(r->manager->dropins, r->unit);
    return sd_bus_message_append(reply, "s", value);
}

static int get_relay_number(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Relay *r = userdata;
    const Memory memory = memory_now(r);
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
        value = since(r);
    else if (streq(property, "Sampled"))
        value = r->sampled;
    return sd_bus_message_append(reply, "t", value);
}

static int get_relay_pid(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Relay *r = userdata;

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)error;
    return sd_bus_message_append(reply, "u", r->process ? (uint32_t)process_pid(r->process) : 0);
}

static int get_relay_dropins(sd_bus *bus, const char *path, const char *interface, const char *property,
                             sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Relay *r = userdata;

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)error;
    return sd_bus_message_append_strv(reply, r->info ? r->info->dropins : NULL);
}

#define RELAY_TEXT(name, flags) SD_BUS_PROPERTY(name, "s", get_relay_text, 0, flags)
#define RELAY_NUMBER(name) SD_BUS_PROPERTY(name, "t", get_relay_number, 0, 0)

static const sd_bus_vtable relay_vtable[] = {
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
        value = m->state->hold_reason ? m->state->hold_reason : m->last_reason ? m->last_reason : "";
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
        { "RelaysStopped", RELAY_STOPPED, RELAY_STOPPED },
        { "RelaysObserved", RELAY_OBSERVED, RELAY_OBSERVED },
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
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(usssss)");
    for (size_t i = 0; r >= 0 && m->plan && i < m->plan->n; i++) {
        const PlanItem *p = &m->plan->items[i];
        const Relay *relay = m->relays[p->relay];

        r = sd_bus_message_append(reply, "(usssss)", (uint32_t)p->wave, relay->name,
                                  action_to_string(p->action), group_name(relay), assigned_name(relay),
                                  p->reason);
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
    plan_now(m);
    if (r >= 0)
        r = sd_bus_message_open_container(reply, 'a', "(sss)");
    for (size_t i = 0; r >= 0 && i < m->n_relays; i++) {
        const Relay *relay = m->relays[i];

        r = sd_bus_message_append(reply, "(sss)", relay->name, relay_state_to_string(relay->state),
                                  relay_state_fine(relay->state) ? "" : reason_of(relay));
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

static int do_pause(Manager *m, sd_bus_message *call, sd_bus_error *error)
{
    (void)error;
    manager_pause(m);
    return sd_bus_reply_method_return(call, NULL);
}

static int do_resume(Manager *m, sd_bus_message *call, sd_bus_error *error)
{
    if (manager_resume(m) < 0)
        return sd_bus_error_setf(error, BUS_ERROR_NO_ROLLOUT, "No rollout is paused, halted or aborted.");
    return sd_bus_reply_method_return(call, NULL);
}

static int do_abort(Manager *m, sd_bus_message *call, sd_bus_error *error)
{
    if (manager_abort(m) < 0)
        return sd_bus_error_setf(error, BUS_ERROR_NO_ROLLOUT, "No rollout is under way.");
    return sd_bus_reply_method_return(call, NULL);
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

/* ---- org.freedesktop.LogControl1(5) ---- */

static const char *const levels[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };

static int get_log(sd_bus *bus, const char *path, const char *interface, const char *property,
                   sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const char *value = "relayallocd";

    (void)bus;
    (void)path;
    (void)interface;
    (void)userdata;
    (void)error;
    if (streq(property, "LogLevel"))
        value = levels[eventlog_max_level()];
    else if (streq(property, "LogTarget"))
        value = eventlog_target() == EVENT_TARGET_JOURNAL ? "journal" : "console";
    return sd_bus_message_append(reply, "s", value);
}

static int set_log_level(sd_bus *bus, const char *path, const char *interface, const char *property,
                         sd_bus_message *value, void *userdata, sd_bus_error *error)
{
    const char *level;
    int r = sd_bus_message_read(value, "s", &level);

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)userdata;
    if (r < 0)
        return r;
    for (size_t i = 0; i < ELEMENTSOF(levels); i++)
        if (streq(levels[i], level)) {
            eventlog_set_max_level((int)i);
            return 0;
        }
    return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "No log level \"%s\".", level);
}

static int set_log_target(sd_bus *bus, const char *path, const char *interface, const char *property,
                          sd_bus_message *value, void *userdata, sd_bus_error *error)
{
    const char *target;
    int r = sd_bus_message_read(value, "s", &target);

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)userdata;
    if (r < 0)
        return r;
    if (!streq(target, "journal") && !streq(target, "console") && !streq(target, "auto"))
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Log target is journal, console or auto.");
    eventlog_set_target(streq(target, "console") ? EVENT_TARGET_CONSOLE : EVENT_TARGET_JOURNAL);
    return 0;
}

static const sd_bus_vtable log_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_log, set_log_level, 0, 0),
    SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_log, set_log_target, 0, 0),
    SD_BUS_PROPERTY("SyslogIdentifier", "s", get_log, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_VTABLE_END,
};

/* ---- start, stop, changes ---- */

static int on_name(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    (void)userdata;
    (void)error;
    if (sd_bus_message_is_method_error(reply, NULL))
        eventlog_line(LOG_ERR, "Cannot take the bus name " BUS_NAME ": %s.",
                      sd_bus_message_get_error(reply)->message);
    return 0;
}

int bus_api_start(Manager *m)
{
    sd_bus *bus = m->bus;
    sd_bus_slot **slot = m->api_slots;
    int r = sd_bus_add_object_vtable(bus, &slot[0], BUS_PATH, BUS_MANAGER_INTERFACE, manager_vtable, m);

    if (r >= 0)
        r = sd_bus_add_fallback_vtable(bus, &slot[1], BUS_RELAY_PREFIX, BUS_RELAY_INTERFACE, relay_vtable,
                                       relay_find_object, m);
    if (r >= 0)
        r = sd_bus_add_node_enumerator(bus, &slot[2], BUS_RELAY_PREFIX, enumerate_relays, m);
    if (r >= 0)
        r = sd_bus_add_object_vtable(bus, &slot[3], "/org/freedesktop/LogControl1",
                                     "org.freedesktop.LogControl1", log_vtable, m);
    if (r >= 0)
        r = sd_bus_request_name_async(bus, &m->name_slot, BUS_NAME, 0, on_name, m);
    return r;
}

void bus_api_stop(Manager *m)
{
    for (size_t i = 0; i < ELEMENTSOF(m->api_slots); i++)
        m->api_slots[i] = sd_bus_slot_unref(m->api_slots[i]);
    m->name_slot = sd_bus_slot_unref(m->name_slot);
    m->manager_changed = sd_event_source_disable_unref(m->manager_changed);
}

void bus_api_relay_changed(Relay *r)
{
    Manager *m = r->manager;
    _cleanup_(freep) char *path = NULL;

    if (!m->bus || relay_path(r, &path) < 0)
        return;
    (void)sd_bus_emit_properties_changed(m->bus, path, BUS_RELAY_INTERFACE, "State", "Reason", "Running",
                                         "Version", "Assigned", "Group", NULL);
    (void)sd_bus_emit_signal(m->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "RelayChanged", "ss", r->name,
                             relay_state_to_string(r->state));
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
        "RelaysPending", "RelaysBusy", "RelaysFailed", "RelaysDrifted", "RelaysStopped", "RelaysObserved",
        "Rollout", "RolloutID", "RolloutReason", "RolloutResult", "RolloutWave", "RolloutWaves",
        "RolloutTotal", "RolloutDone", "RolloutFailed", "RolloutStarted", NULL);
    (void)sd_bus_emit_signal(m->bus, BUS_PATH, BUS_MANAGER_INTERFACE, "RolloutChanged", "tsuuu", run_id(m),
                             run_word(m), (uint32_t)c.done, (uint32_t)c.failed, (uint32_t)c.total);
    return 0;
}

/* A rollout changes many things at once: told together, a little later. */
void bus_api_manager_changed(Manager *m)
{
    if (m->bus)
        manager_schedule(m, &m->manager_changed, CHANGED_DELAY, on_manager_changed);
}
