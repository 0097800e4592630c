/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/systemd1-private.h"

#include <errno.h>

/* ---- calls ---- */

/* dbus-daemon takes 128 calls of one connection whose answers are outstanding, and refuses the rest. */
#define SENT_MAX 64

static int send_now(Systemd1Call *call, sd_bus_message *m)
{
    int r = sd_bus_call_async(call->s->bus, &call->slot, m, call->handler, call, call->timeout);

    if (r < 0)
        return r;
    call->sent = true;
    call->s->n_sent++;
    return 0;
}

/* In the order of the requests. What cannot be sent is cancelled with the bus. */
static void send_waiting(Systemd1 *s)
{
    while (!s->closing && s->first_waiting && s->n_sent < SENT_MAX) {
        Systemd1Call *call = s->first_waiting;

        if (send_now(call, call->waiting) < 0)
            return;
        s->first_waiting = call->next_waiting;
        call->waiting = sd_bus_message_unref(call->waiting);
    }
}

static void forget_waiting(Systemd1Call *call)
{
    Systemd1Call **p = &call->s->first_waiting;

    while (*p != call)
        p = &(*p)->next_waiting;
    *p = call->next_waiting;
    sd_bus_message_unref(call->waiting);
}

Systemd1Call *systemd1_cancel(Systemd1Call *call)
{
    if (!call)
        return NULL;
    Systemd1 *s = call->s;
    if (call->waiting)
        forget_waiting(call);
    s->n_sent -= call->sent;
    if (call->previous)
        call->previous->next = call->next;
    else
        call->s->calls = call->next;
    if (call->next)
        call->next->previous = call->previous;
    sd_bus_slot_unref(call->slot);
    free(call->unit);
    free(call->transient);
    strv_free(call->argv);
    strv_free(call->environment);
    closep(&call->output);
    free(call);
    send_waiting(s);
    return NULL;
}

Systemd1Call *systemd1_call_new(Systemd1 *s, void *userdata)
{
    Systemd1Call *call = xcalloc(1, sizeof(*call));

    *call = (Systemd1Call){ .s = s, .next = s->calls, .userdata = userdata, .output = -1 };
    if (s->calls)
        s->calls->previous = call;
    s->calls = call;
    return call;
}

int systemd1_message(Systemd1 *s, sd_bus_message **ret, const char *member)
{
    return sd_bus_message_new_method_call(s->bus, ret, DESTINATION, OBJECT, MANAGER, member);
}

/* Properties of all interfaces of a unit at once: GetAll with an empty interface, as systemctl does. systemd
 * loads the unit when its path is asked for. */
int systemd1_get_all(Systemd1 *s, const char *unit, sd_bus_message **ret)
{
    _cleanup_(freep) char *path = NULL;
    int r = sd_bus_path_encode(UNIT_PREFIX, unit, &path);

    if (r >= 0)
        r = sd_bus_message_new_method_call(s->bus, ret, DESTINATION, path, "org.freedesktop.DBus.Properties",
                                           "GetAll");
    return r < 0 ? r : sd_bus_message_append(*ret, "s", "");
}

int systemd1_call_send(Systemd1Call *call, sd_bus_message *m, sd_bus_message_handler_t handler,
                       usec_t timeout, Systemd1Call **ret)
{
    Systemd1 *s = call->s;
    int r = sd_bus_is_open(s->bus) > 0 ? 0 : -ENOTCONN;

    call->handler = handler;
    call->timeout = timeout;
    if (r >= 0 && s->n_sent < SENT_MAX)
        r = send_now(call, m);
    if (r < 0) {
        systemd1_cancel(call);
        return r == -ECONNRESET ? -ENOTCONN : r;
    }
    if (!call->sent) {
        Systemd1Call **last = &s->first_waiting;

        while (*last)
            last = &(*last)->next_waiting;
        *last = call;
        call->waiting = sd_bus_message_ref(m);
    }
    *ret = call;
    return 0;
}

int systemd1_reply_error(sd_bus_message *reply, const char **ret_message)
{
    /* What sd-bus answers when the connection closes, and dbus-daemon when systemd leaves or is not there
     * ("Spawn": it tries to activate systemd, and cannot). */
    static const char *const gone[] = { SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_DISCONNECTED,
                                        SD_BUS_ERROR_TIMEOUT, SD_BUS_ERROR_SERVICE_UNKNOWN,
                                        SD_BUS_ERROR_NAME_HAS_NO_OWNER };
    static const char spawn[] = "org.freedesktop.DBus.Error.Spawn.";
    const sd_bus_error *e = sd_bus_message_get_error(reply);

    *ret_message = NULL;
    if (!e)
        return 0;
    *ret_message = e->message ? e->message : e->name;
    if (sd_bus_error_has_name(e, SD_BUS_ERROR_LIMITS_EXCEEDED))
        return -EBUSY;
    for (size_t i = 0; i < ELEMENTSOF(gone); i++)
        if (sd_bus_error_has_name(e, gone[i]))
            return -ENOTCONN;
    if (strncmp(e->name, spawn, strlen(spawn)) == 0)
        return -ENOTCONN;
    if (sd_bus_error_has_name(e, "org.freedesktop.systemd1.NoSuchUnit"))
        return -ENOENT;
    if (sd_bus_error_has_name(e, "org.freedesktop.systemd1.UnitMasked"))
        return -ERFKILL;
    int r = sd_bus_error_get_errno(e);
    return r > 0 && r != EBUSY && r != ENOTCONN ? -r : -EIO; /* these two mean what is said above */
}

int systemd1_on_job(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Systemd1Call *call = userdata;
    Systemd1JobCallback callback = call->callback.job;
    void *data = call->userdata;
    const char *message, *job = NULL;
    int r = systemd1_reply_error(reply, &message);

    (void)error;
    if (r == 0) {
        r = sd_bus_message_read(reply, "o", &job);
        r = r < 0 ? r : 0;
    }
    systemd1_cancel(call);
    callback(data, r, message, job);
    return 0;
}

/* ---- lists ---- */

static int read_units(sd_bus_message *m, char ***ret)
{
    _cleanup_(strv_freep) char **units = NULL;
    const char *unit, *load;
    int r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_read(m, "(ssssssouso)", &unit, NULL, &load, NULL, NULL, NULL, NULL, NULL, NULL,
                                    NULL)) > 0)
        if (!streq(load, "not-found") && !streq(load, "error"))
            strv_push(&units, xstrdup(unit));
    if (r < 0)
        return r;
    *ret = TAKE_PTR(units);
    return 0;
}

static int read_unit_files(sd_bus_message *m, char ***ret)
{
    _cleanup_(strv_freep) char **units = NULL;
    const char *path;
    int r = sd_bus_message_enter_container(m, 'a', "(ss)");

    if (r < 0)
        return r;
    while ((r = sd_bus_message_read(m, "(ss)", &path, NULL)) > 0) {
        const char *slash = strrchr(path, '/');

        strv_push(&units, xstrdup(slash ? slash + 1 : path));
    }
    if (r < 0)
        return r;
    *ret = TAKE_PTR(units);
    return 0;
}

static int read_environment(sd_bus_message *m, char ***ret)
{
    int r = sd_bus_message_enter_container(m, 'v', "as");

    if (r >= 0)
        r = sd_bus_message_read_strv(m, ret);
    return r < 0 ? r : 0;
}

static int on_list(sd_bus_message *reply, void *userdata, int (*read)(sd_bus_message *, char ***))
{
    Systemd1Call *call = userdata;
    Systemd1UnitsCallback callback = call->callback.units;
    void *data = call->userdata;
    const char *message;
    char **units = NULL;
    int r = systemd1_reply_error(reply, &message);

    if (r == 0)
        r = read(reply, &units);
    systemd1_cancel(call);
    callback(data, r, message, units);
    return 0;
}

static int on_units(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    (void)error;
    return on_list(reply, userdata, read_units);
}

static int on_unit_files(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    (void)error;
    return on_list(reply, userdata, read_unit_files);
}

static int list(Systemd1 *s, const char *member, const char *pattern, sd_bus_message_handler_t handler,
                Systemd1UnitsCallback callback, void *userdata, Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = systemd1_message(s, &m, member);

    if (r >= 0)
        r = sd_bus_message_append(m, "asas", 0, 1, pattern);
    if (r < 0)
        return r;
    Systemd1Call *call = systemd1_call_new(s, userdata);
    call->callback.units = callback;
    return systemd1_call_send(call, m, handler, LONG_CALL, ret);
}

int systemd1_list_units(Systemd1 *s, const char *pattern, Systemd1UnitsCallback callback, void *userdata,
                        Systemd1Call **ret)
{
    return list(s, "ListUnitsByPatterns", pattern, on_units, callback, userdata, ret);
}

int systemd1_list_unit_files(Systemd1 *s, const char *pattern, Systemd1UnitsCallback callback, void *userdata,
                             Systemd1Call **ret)
{
    return list(s, "ListUnitFilesByPatterns", pattern, on_unit_files, callback, userdata, ret);
}

static int on_environment(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    (void)error;
    return on_list(reply, userdata, read_environment);
}

int systemd1_get_environment(Systemd1 *s, Systemd1UnitsCallback callback, void *userdata, Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = sd_bus_message_new_method_call(s->bus, &m, DESTINATION, OBJECT, "org.freedesktop.DBus.Properties",
                                           "Get");

    if (r >= 0)
        r = sd_bus_message_append(m, "ss", MANAGER, "Environment");
    if (r < 0)
        return r;
    Systemd1Call *call = systemd1_call_new(s, userdata);
    call->callback.units = callback;
    return systemd1_call_send(call, m, on_environment, LONG_CALL, ret);
}

/* ---- doing ---- */

static int on_done(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Systemd1Call *call = userdata;
    Systemd1DoneCallback callback = call->callback.done;
    void *data = call->userdata;
    const char *message;
    int r = systemd1_reply_error(reply, &message);

    (void)error;
    systemd1_cancel(call);
    callback(data, r, message);
    return 0;
}

int systemd1_reload(Systemd1 *s, usec_t timeout, Systemd1DoneCallback callback, void *userdata,
                    Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = systemd1_message(s, &m, "Reload");

    if (r < 0)
        return r;
    Systemd1Call *call = systemd1_call_new(s, userdata);
    call->callback.done = callback;
    return systemd1_call_send(call, m, on_done, timeout, ret);
}

static int start_job(Systemd1 *s, const char *member, const char *unit, const char *mode,
                     Systemd1JobCallback callback, void *userdata, Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = systemd1_message(s, &m, member);

    if (r >= 0)
        r = sd_bus_message_append(m, "ss", unit, mode);
    if (r < 0)
        return r;
    Systemd1Call *call = systemd1_call_new(s, userdata);
    call->callback.job = callback;
    return systemd1_call_send(call, m, systemd1_on_job, LONG_CALL, ret);
}

int systemd1_start(Systemd1 *s, const char *unit, const char *mode, Systemd1JobCallback callback,
                   void *userdata, Systemd1Call **ret)
{
    return start_job(s, "StartUnit", unit, mode, callback, userdata, ret);
}

int systemd1_restart(Systemd1 *s, const char *unit, bool only_if_up, Systemd1JobCallback callback,
                     void *userdata, Systemd1Call **ret)
{
    return start_job(s, only_if_up ? "TryRestartUnit" : "RestartUnit", unit, "replace", callback, userdata,
                     ret);
}

int systemd1_reset_failed(Systemd1 *s, const char *unit, Systemd1DoneCallback callback, void *userdata,
                          Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = systemd1_message(s, &m, "ResetFailedUnit");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", unit);
    if (r < 0)
        return r;
    Systemd1Call *call = systemd1_call_new(s, userdata);
    call->callback.done = callback;
    return systemd1_call_send(call, m, on_done, LONG_CALL, ret);
}

/* ---- signals ---- */

static bool from_systemd(const Systemd1 *s, sd_bus_message *m)
{
    return s->owner && streq_null(sd_bus_message_get_sender(m), s->owner);
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Systemd1 *s = userdata;
    const char *job, *unit, *result;

    (void)error;
    if (!from_systemd(s, m) || sd_bus_message_read(m, "uoss", NULL, &job, &unit, &result) < 0)
        return 0;
    JobResult r = job_result_from_string(result);
    /* "assert", "unsupported", "once", "collected": none of them started anything */
    s->events.job_removed(s->userdata, job, unit, r == _JOB_RESULT_INVALID ? JOB_FAILED : r);
    return 0;
}

static int on_unit_listed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Systemd1 *s = userdata;
    const char *unit;

    (void)error;
    if (from_systemd(s, m) && sd_bus_message_read(m, "so", &unit, NULL) >= 0)
        s->events.units_changed(s->userdata, unit);
    return 0;
}

static int on_systemd_reloading(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Systemd1 *s = userdata;
    int begins;

    (void)error;
    if (from_systemd(s, m) && sd_bus_message_read(m, "b", &begins) >= 0 && !begins)
        s->events.units_changed(s->userdata, NULL);
    return 0;
}

static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Systemd1 *s = userdata;
    _cleanup_(freep) char *unit = NULL;

    (void)error;
    if (from_systemd(s, m) && sd_bus_path_decode(sd_bus_message_get_path(m), UNIT_PREFIX, &unit) > 0)
        s->events.unit_changed(s->userdata, unit);
    return 0;
}

/* dbus-daemon takes 512 matches of one connection, and libsystemd closes it when one is refused. */
#define WATCHES_MAX 256

int systemd1_watch(Systemd1 *s, const char *unit, sd_bus_slot **ret)
{
    _cleanup_(freep) char *path = NULL;
    int r = sd_bus_path_encode(UNIT_PREFIX, unit, &path);

    if (r < 0)
        return r;
    if (++s->n_watches <= WATCHES_MAX)
        return sd_bus_match_signal_async(s->bus, ret, DESTINATION, path, "org.freedesktop.DBus.Properties",
                                         "PropertiesChanged", on_properties_changed, NULL, s);
    if (!s->match_units)
        r = sd_bus_add_match_async(s->bus, &s->match_units,
                                   "type='signal',sender='" DESTINATION "',path_namespace='" UNIT_PREFIX
                                   "',interface='org.freedesktop.DBus.Properties',member='PropertiesChanged'",
                                   on_properties_changed, NULL, s);
    if (r < 0)
        return r;
    *ret = sd_bus_slot_ref(s->match_units);
    return 0;
}

static int ignore_reply(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    (void)m;
    (void)userdata;
    (void)error;
    return 0;
}

/* Subscribe also gates PropertiesChanged; systemd forgets it when its connection changes. */
static void subscribe(Systemd1 *s)
{
    s->subscribe = sd_bus_slot_unref(s->subscribe);
    (void)sd_bus_call_method_async(s->bus, &s->subscribe, DESTINATION, OBJECT, MANAGER, "Subscribe",
                                   ignore_reply, s, NULL);
}

static void set_owner(Systemd1 *s, const char *owner)
{
    bool known = s->owner != NULL;

    if (streq_null(s->owner, isempty(owner) ? NULL : owner))
        return;
    free(s->owner);
    s->owner = isempty(owner) ? NULL : xstrdup(owner);
    if (s->owner)
        subscribe(s);
    if (known || s->owner)
        s->events.owner_changed(s->userdata, s->owner != NULL);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    const char *owner;

    (void)error;
    if (streq_null(sd_bus_message_get_sender(m), "org.freedesktop.DBus") &&
        sd_bus_message_read(m, "sss", NULL, NULL, &owner) >= 0)
        set_owner(userdata, owner);
    return 0;
}

static int on_get_owner(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    const char *owner;

    (void)error;
    if (!sd_bus_message_is_method_error(reply, NULL) && sd_bus_message_read(reply, "s", &owner) >= 0)
        set_owner(userdata, owner);
    return 0;
}

int systemd1_new(sd_bus *bus, const Systemd1Events *events, void *userdata, Systemd1 **ret)
{
    _cleanup_(systemd1_freep) Systemd1 *s = xcalloc(1, sizeof(*s));
    int r;

    s->bus = sd_bus_ref(bus);
    s->userdata = userdata;
    if (!events) {
        *ret = TAKE_PTR(s);
        return 0;
    }
    s->events = *events;
    /* The matches go out before any call, so that no signal of a job can be missed. */
    r = sd_bus_add_match_async(bus, &s->match_owner,
                               "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                               "member='NameOwnerChanged',arg0='" DESTINATION "'",
                               on_owner_changed, NULL, s);
    if (r >= 0)
        r = sd_bus_match_signal_async(bus, &s->match_job, DESTINATION, OBJECT, MANAGER, "JobRemoved",
                                      on_job_removed, NULL, s);
    if (r >= 0)
        r = sd_bus_match_signal_async(bus, &s->match_new, DESTINATION, OBJECT, MANAGER, "UnitNew",
                                      on_unit_listed, NULL, s);
    if (r >= 0)
        r = sd_bus_match_signal_async(bus, &s->match_removed, DESTINATION, OBJECT, MANAGER, "UnitRemoved",
                                      on_unit_listed, NULL, s);
    if (r >= 0)
        r = sd_bus_match_signal_async(bus, &s->match_reloading, DESTINATION, OBJECT, MANAGER, "Reloading",
                                      on_systemd_reloading, NULL, s);
    if (r >= 0)
        r = sd_bus_call_method_async(bus, &s->get_owner, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                     "org.freedesktop.DBus", "GetNameOwner", on_get_owner, s, "s",
                                     DESTINATION);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

bool systemd1_present(const Systemd1 *s)
{
    return s->owner;
}

Systemd1 *systemd1_free(Systemd1 *s)
{
    if (!s)
        return NULL;
    s->closing = true;
    while (s->calls)               /* each takes itself off the list */
        systemd1_cancel(s->calls); /* NOLINT(clang-analyzer-unix.Malloc): does not see that call->s is s */
    sd_bus_slot_unref(s->match_units);
    sd_bus_slot_unref(s->match_job);
    sd_bus_slot_unref(s->match_new);
    sd_bus_slot_unref(s->match_removed);
    sd_bus_slot_unref(s->match_reloading);
    sd_bus_slot_unref(s->match_owner);
    sd_bus_slot_unref(s->subscribe);
    sd_bus_slot_unref(s->get_owner);
    sd_bus_unref(s->bus);
    free(s->owner);
    free(s);
    return NULL;
}
