/* SPDX-License-Identifier: BSD-3-Clause */
/* Serves org.relayalloc1 (see bus/api.h): shows what the manager holds, and hands on what callers ask for. */
#include "bus/api.h"
#include "bus/authorize.h"
#include "bus/private.h"
#include "bus/serve.h"

#include <errno.h>
#include <sys/socket.h>

#define CHANGED_DELAY (100 * USEC_PER_MSEC)
#define REOPEN_DELAY USEC_PER_SEC
#define UNTOLD_DELAY USEC_PER_SEC

/* ---- the manager ---- */

static int get_manager_flag(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Manager *m = userdata;
    bool value = false;

    (void)bus;
    (void)path;
    (void)interface;
    (void)error;
    if (streq(property, "ConfigChanged"))
        value = config_watch_changed(m->config_watch);
    else if (streq(property, "ConfigWaits"))
        value = m->next_setup != NULL;
    else if (streq(property, "RolloutPaused"))
        value = m->state->paused;
    return sd_bus_message_append(reply, "b", (int)value);
}

static int get_state_error(sd_bus *bus, const char *path, const char *interface, const char *property,
                           sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Manager *m = userdata;
    _cleanup_(freep) char *text =
        m->state_error < 0 ? xasprintf("%s/state: %s", m->state_dir, strerror(-m->state_error)) : xstrdup("");

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)error;
    return sd_bus_message_append(reply, "s", text);
}

static int get_window(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Manager *m = userdata;
    char text[WINDOW_TEXT_MAX];

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)error;
    return sd_bus_message_append(reply, "s", window_to_string(text, m->setup->config->rollout.window));
}

static int get_memory_warnings(sd_bus *bus, const char *path, const char *interface, const char *property,
                               sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Manager *m = userdata;

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)error;
    return sd_bus_message_append_strv(reply, m->watched);
}

static int get_not_put_back(sd_bus *bus, const char *path, const char *interface, const char *property,
                            sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    _cleanup_(strv_freep) char **names = run_not_put_back(userdata);

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)error;
    return sd_bus_message_append_strv(reply, names);
}

static int get_host_settings(sd_bus *bus, const char *path, const char *interface, const char *property,
                             sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const Manager *m = userdata;
    _cleanup_(strv_freep) char **settings = verdict_host_settings(m->environment);

    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)error;
    return sd_bus_message_append_strv(reply, settings);
}

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
    else if (streq(property, "ConfigWarnings"))
        value = m->config_warnings ? m->config_warnings : "";
    else if (streq(property, "Rollout"))
        value = run_word(m);
    else if (streq(property, "RolloutReason"))
        value = run_reason(m);
    else if (streq(property, "Gate"))
        value = m->setup->config->rollout.gate;
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
    else if (streq(property, "PlanEnds"))
        value = run_plan_ends(m);
    else if (streq(property, "WindowOpens"))
        value = window_opens(m);
    return sd_bus_message_append(reply, "t", value);
}

static uint32_t count_states(const Manager *m, RelayState a, RelayState b)
{
    return (uint32_t)(m->n_in_state[a] + (a != b ? m->n_in_state[b] : 0));
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

/* ---- what operators ask for: only after authorize() ----
 *
 * Each answers and returns 1, or returns a negative errno, which is the answer with the error that is set. */

/* It is carried out at once, but one that a restart would forget is not what was asked for. */
static int answer_saved(const Manager *m, Request *request, sd_bus_error *error)
{
    if (m->state_error < 0)
        return sd_bus_error_setf(
            error, BUS_ERROR_NOT_SAVED,
            "Done, but %s/state cannot be saved (%s): it is lost when relayallocd restarts before that is "
            "fixed.",
            m->state_dir, strerror(-m->state_error));
    request_answer(request, NULL);
    return 1;
}

/* "ResumeNow" and its like do not wait for the window. */
static bool asks_now(const Request *request)
{
    const char *member = sd_bus_message_get_member(request->call);
    size_t n = strlen(member);

    return n > 3 && streq(member + n - 3, "Now");
}

static int do_reload(Manager *m, Request *request, sd_bus_error *error)
{
    int r = manager_reload(m);

    if (r >= 0 && asks_now(request))
        operator_ignore_window(m, OUTSIDE_ALL);
    if (r < 0)
        return sd_bus_error_setf(error, BUS_ERROR_INVALID_FILE, "%s",
                                 m->config_error ? m->config_error : "refused");
    request_answer(request, NULL);
    return 1;
}

static int do_pause(Manager *m, Request *request, sd_bus_error *error)
{
    operator_pause(m);
    return answer_saved(m, request, error);
}

static int do_resume(Manager *m, Request *request, sd_bus_error *error)
{
    const bool waits = m->run && rollout_state(run_rollout(m->run)) == ROLLOUT_WAITING;
    int r = operator_resume(m);

    if (asks_now(request) && (r >= 0 || waits)) { /* what is refused has no effect */
        operator_ignore_window(m, OUTSIDE_ALL);
        r = 0;
    }
    if (r < 0)
        return sd_bus_error_setf(error, BUS_ERROR_NO_ROLLOUT,
                                 "No rollout is paused, halted or aborted, and no relay has failed.");
    return answer_saved(m, request, error);
}

static int do_resume_relays(Manager *m, Request *request, sd_bus_error *error)
{
    size_t n = 0;
    int r = operator_resume_relays(m, request->arguments, &n);

    if (r == -ESRCH)
        return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_RELAY, "There is no relay of one of these names.");
    if (r < 0)
        return sd_bus_error_setf(error, BUS_ERROR_NO_ROLLOUT,
                                 "None of these relays was reverted or has failed.");
    if (m->state_error < 0)
        return answer_saved(m, request, error);
    request_answer(request, "u", (uint32_t)n);
    return 1;
}

static int do_abort(Manager *m, Request *request, sd_bus_error *error)
{
    if (operator_abort(m) < 0)
        return sd_bus_error_setf(error, BUS_ERROR_NO_ROLLOUT, "No rollout is in progress.");
    return answer_saved(m, request, error);
}

/* Of those that it names, or of all. */
static int do_relays(Manager *m, Request *request, int (*run)(Manager *, char *const *, size_t *),
                     sd_bus_error *error)
{
    size_t n;

    STRV_FOREACH (name, request->arguments)
        if (!relays_find(m, *name))
            return sd_bus_error_setf(error, BUS_ERROR_NO_SUCH_RELAY, "No relay named \"%s\".", *name);
    int r = run(m, request->arguments, &n);
    if (r >= 0 && m->state_error >= 0) {
        request_answer(request, "u", (uint32_t)n);
        return 1;
    }
    return r < 0 ? r : answer_saved(m, request, error);
}

static int do_restart(Manager *m, Request *request, sd_bus_error *error)
{
    return do_relays(m, request, operator_restart, error);
}

static int revert_now(Manager *m, char *const *relays, size_t *ret_n)
{
    int r = operator_revert(m, relays, ret_n);

    if (r >= 0)
        operator_ignore_window(m, OUTSIDE_REVERTED);
    return r;
}

static int do_revert(Manager *m, Request *request, sd_bus_error *error)
{
    return do_relays(m, request, asks_now(request) ? revert_now : operator_revert, error);
}

static const struct {
    const char *member;
    int (*run)(Manager *, Request *, sd_bus_error *);
} changes[] = {
    { "Reload", do_reload },
    { "ReloadNow", do_reload },
    { "Pause", do_pause },
    { "Resume", do_resume },
    { "ResumeNow", do_resume },
    { "Abort", do_abort },
    { "ResumeRelays", do_resume_relays },
    { "Restart", do_restart },
    { "Revert", do_revert },
    { "RevertNow", do_revert },
};

static void change_allowed(Request *request)
{
    const Door *door = request_userdata(request);
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = -EBADMSG;

    for (size_t i = 0; i < ELEMENTSOF(changes); i++)
        if (streq(changes[i].member, sd_bus_message_get_member(request->call))) {
            r = changes[i].run(door->manager, request, &error);
            break;
        }
    if (r < 0)
        request_fail(request, r, &error);
}

static void change_known(Request *request)
{
    const Door *door = request_userdata(request);

    authorize(request, door->manager->bus, change_allowed);
}

static int method_change(sd_bus_message *call, void *userdata, sd_bus_error *error)
{
    static const RequestKind kind = { .known = change_known, .most = 4 };
    char **arguments = NULL;

    if (*sd_bus_message_get_signature(call, 1)) {
        int r = sd_bus_message_read_strv(call, &arguments);
        if (r < 0)
            return r;
    }
    return request_begin(bus_door(userdata, call)->requests, call, arguments, &kind, error);
}

#define MANAGER_COUNT(name)                                                                                  \
    SD_BUS_PROPERTY(name, "u", get_manager_count, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define MANAGER_TEXT(name)                                                                                   \
    SD_BUS_PROPERTY(name, "s", get_manager_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define MANAGER_TIME(name)                                                                                   \
    SD_BUS_PROPERTY(name, "t", get_manager_time, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define MANAGER_FLAG(name)                                                                                   \
    SD_BUS_PROPERTY(name, "b", get_manager_flag, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
#define OPEN SD_BUS_VTABLE_UNPRIVILEGED

const sd_bus_vtable bus_manager_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_METHOD_WITH_ARGS("ListRelays", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(ssssssttto)", relays), bus_read,
                            OPEN),
    SD_BUS_METHOD_WITH_ARGS("GetRelays", SD_BUS_ARGS("as", properties), SD_BUS_RESULT("a(oa{sv})", relays),
                            bus_read, OPEN),
    SD_BUS_METHOD_WITH_ARGS("GetRelay", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", relay), bus_read, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Plan", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(usssss)", plan), bus_read, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Verify", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sss)", verdicts), bus_verify, OPEN),
    SD_BUS_METHOD("Reload", NULL, NULL, method_change, OPEN),
    SD_BUS_METHOD("ReloadNow", NULL, NULL, method_change, OPEN),
    SD_BUS_METHOD("Pause", NULL, NULL, method_change, OPEN),
    SD_BUS_METHOD("Resume", NULL, NULL, method_change, OPEN),
    SD_BUS_METHOD("ResumeNow", NULL, NULL, method_change, OPEN),
    SD_BUS_METHOD_WITH_ARGS("ResumeRelays", SD_BUS_ARGS("as", relays), SD_BUS_RESULT("u", count),
                            method_change, OPEN),
    SD_BUS_METHOD("Abort", NULL, NULL, method_change, OPEN),
    SD_BUS_METHOD_WITH_ARGS("Restart", SD_BUS_ARGS("as", relays), SD_BUS_RESULT("u", count), method_change,
                            OPEN),
    SD_BUS_METHOD_WITH_ARGS("Revert", SD_BUS_ARGS("as", relays), SD_BUS_RESULT("u", count), method_change,
                            OPEN),
    SD_BUS_METHOD_WITH_ARGS("RevertNow", SD_BUS_ARGS("as", relays), SD_BUS_RESULT("u", count), method_change,
                            OPEN),
    SD_BUS_PROPERTY("Version", "s", get_manager_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_PROPERTY("ConfigPath", "s", get_manager_text, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    MANAGER_TIME("ConfigLoaded"),
    MANAGER_TEXT("ConfigError"),
    MANAGER_TEXT("ConfigWarnings"),
    MANAGER_FLAG("ConfigChanged"),
    MANAGER_FLAG("ConfigWaits"),
    SD_BUS_PROPERTY("StateError", "s", get_state_error, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("NotPutBack", "as", get_not_put_back, 0, 0),
    SD_BUS_PROPERTY("MemoryWarnings", "as", get_memory_warnings, 0, 0),
    SD_BUS_PROPERTY("HostSettings", "as", get_host_settings, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
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
    MANAGER_FLAG("RolloutPaused"),
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
    SD_BUS_PROPERTY("Window", "s", get_window, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("Gate", "s", get_manager_text, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
    SD_BUS_PROPERTY("WindowOpens", "t", get_manager_time, 0, 0),
    SD_BUS_PROPERTY("PlanEnds", "t", get_manager_time, 0, 0),
    SD_BUS_SIGNAL_WITH_ARGS("RelayChanged", SD_BUS_ARGS("s", relay, "s", state), 0),
    SD_BUS_SIGNAL_WITH_ARGS("RolloutChanged",
                            SD_BUS_ARGS("t", id, "s", state, "u", done, "u", failed, "u", total), 0),
    SD_BUS_VTABLE_END,
};

/* ---- start, stop, changes ---- */

Door *bus_door(const Manager *m, sd_bus_message *call)
{
    return sd_bus_message_get_bus(call) == m->bus ? &m->api->root : &m->api->everybody;
}

static void close_everybody(Manager *m)
{
    sd_bus *bus = sd_bus_ref(m->api->everybody.bus);

    door_close(&m->api->everybody);
    if (bus)
        sd_bus_detach_event(bus);
    sd_bus_close_unref(bus);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    (void)message;
    (void)error;
    bus_api_reopen(userdata); /* unless m->bus is lost as well: then all of this goes */
    return 0;
}

/* What others make us do must not keep us from anything else. libsystemd has 8 MiB buffered by the kernel;
 * with less of it door_stalled() sees at once when the bus takes nothing more. */
static int open_everybody(Manager *m)
{
    _cleanup_(sd_bus_unrefp) sd_bus *bus = NULL;
    const int buffer = 128 * 1024;
    int r = sd_bus_open_system(&bus);

    if (r >= 0)
        r = sd_bus_attach_event(bus, m->event, SD_EVENT_PRIORITY_NORMAL + 10);
    if (r >= 0)
        (void)setsockopt(sd_bus_get_fd(bus), SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
    if (r >= 0)
        r = sd_bus_match_signal_async(bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                      "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, m);
    return r < 0 ? r : door_open(&m->api->everybody, m, bus, BUS_NAME);
}

static int on_reopen(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->api->reopen = sd_event_source_unref(m->api->reopen);
    close_everybody(m);
    /* Without m->bus the caller could not be looked up; when it is back, all of this starts again. */
    if (sd_bus_is_open(m->bus) > 0 && open_everybody(m) < 0)
        bus_api_reopen(m);
    return 0;
}

void bus_api_reopen(Manager *m)
{
    loop_schedule(m, &m->api->reopen, REOPEN_DELAY, on_reopen);
}

static int start(Manager *m)
{
    m->api = xcalloc(1, sizeof(*m->api));
    int r = door_open(&m->api->root, m, m->bus, BUS_CONTROL_NAME);
    return r < 0 ? r : open_everybody(m);
}

static bool served(const Manager *m)
{
    return m->api && m->api->root.named && m->api->everybody.named;
}

static void stop(Manager *m)
{
    if (!m->api)
        return;
    sd_event_source_disable_unref(m->api->reopen);
    sd_event_source_disable_unref(m->api->changed);
    sd_event_source_disable_unref(m->api->look);
    sd_event_source_disable_unref(m->api->read);
    sd_event_source_disable_unref(m->api->untold);
    close_everybody(m);
    door_close(&m->api->root);
    free(m->api);
    m->api = NULL;
}

/* Where changes are announced; NULL: nowhere at the moment. */
static sd_bus *bus_to_tell(const Manager *m)
{
    return m->api && m->api->everybody.bus && !door_stalled(&m->api->everybody) ? m->api->everybody.bus
                                                                                : NULL;
}

static int on_untold(sd_event_source *source, uint64_t usec, void *userdata);

static void relay_changed(Relay *relay)
{
    Manager *m = relay->manager;
    sd_bus *bus = bus_to_tell(m);
    _cleanup_(freep) char *texts = bus ? bus_relay_texts(relay) : NULL;
    bool moved = relay->state != relay->shown;

    if (!bus && m->api)
        loop_schedule(m, &m->api->untold, UNTOLD_DELAY, on_untold);
    if (!bus || streq_null(texts, relay->shown_properties))
        return;
    free(relay->shown_properties);
    relay->shown_properties = TAKE_PTR(texts);
    relay->shown = relay->state;
    (void)bus_relay_emit_texts(bus, relay);
    if (moved)
        (void)sd_bus_emit_signal(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "RelayChanged", "ss",
                                 relay->facts.name, relay_state_to_string(relay->state));
}

/* When many change at once, the bus does not take all of it at once. */
static int on_untold(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->api->untold = sd_event_source_unref(m->api->untold);
    for (size_t i = 0; i < m->n_relays; i++)
        relay_changed(m->relays[i]);
    return 0;
}

static void manager_changed(Manager *m);

/* All those whose changes are announced. */
static void emit_properties(sd_bus *bus)
{
    char *names[ELEMENTSOF(bus_manager_vtable)] = { NULL };
    size_t n = 0;

    for (const sd_bus_vtable *v = bus_manager_vtable; v->type != _SD_BUS_VTABLE_END; v++)
        if (v->type == _SD_BUS_VTABLE_PROPERTY && v->flags & SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE)
            names[n++] = (char *)v->x.property.member;
    (void)sd_bus_emit_properties_changed_strv(bus, BUS_PATH, BUS_MANAGER_INTERFACE, names);
}

static int on_manager_changed(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;
    sd_bus *bus = bus_to_tell(m);
    const RunCounts c = run_counts(m);

    (void)source;
    (void)usec;
    m->api->changed = sd_event_source_unref(m->api->changed);
    if (!bus) {
        manager_changed(m);
        return 0;
    }
    emit_properties(bus);
    (void)sd_bus_emit_signal(bus, BUS_PATH, BUS_MANAGER_INTERFACE, "RolloutChanged", "tsuuu", run_id(m),
                             run_word(m), (uint32_t)c.done, (uint32_t)c.failed, (uint32_t)c.total);
    return 0;
}

/* A rollout changes many things at once: announced together, a little later. */
static void manager_changed(Manager *m)
{
    if (m->api)
        loop_schedule(m, &m->api->changed, CHANGED_DELAY, on_manager_changed);
}

const ManagerView bus_view = {
    .start = start,
    .stop = stop,
    .served = served,
    .relay_changed = relay_changed,
    .manager_changed = manager_changed,
};
