/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/systemd1.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define DESTINATION "org.freedesktop.systemd1"
#define OBJECT "/org/freedesktop/systemd1"
#define UNIT_PREFIX "/org/freedesktop/systemd1/unit"
#define MANAGER "org.freedesktop.systemd1.Manager"

/* systemd answers Reload when it is done, and starting a job waits for a reload under way: sd-bus's own 25 s
 * are too short for both on a host with many units. */
#define LONG_CALL (10 * USEC_PER_MINUTE)

struct Systemd1Call {
    Systemd1 *s;
    Systemd1Call *next, *previous;
    sd_bus_slot *slot;
    union {
        Systemd1UnitsCallback units;
        Systemd1UnitCallback unit;
        Systemd1JobCallback job;
        Systemd1DoneCallback done;
    } callback;
    void *userdata;
    /* of a unit read, and of a transient unit, which is a read first */
    char *unit;
    char *transient;
    char **argv, **environment;
    int output;
};

struct Systemd1 {
    sd_bus *bus;
    Systemd1Events events;
    void *userdata;
    char *owner; /* unique name; NULL: not known or not there */
    Systemd1Call *calls;
    sd_bus_slot *match_job, *match_new, *match_removed, *match_reloading, *match_owner, *subscribe,
        *get_owner;
};

UnitInfo *unit_info_free(UnitInfo *info)
{
    if (info) {
        free(info->unit);
        free(info->load_state);
        free(info->sub_state);
        free(info->result);
        free(info->fragment);
        strv_free(info->environment);
        strv_free(info->environment_files);
        strv_free(info->dropins);
        free(info);
    }
    return NULL;
}

/* ---- calls ---- */

Systemd1Call *systemd1_cancel(Systemd1Call *call)
{
    if (!call)
        return NULL;
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
    return NULL;
}

static Systemd1Call *call_new(Systemd1 *s, void *userdata)
{
    Systemd1Call *call = xcalloc(1, sizeof(*call));

    *call = (Systemd1Call){ .s = s, .next = s->calls, .userdata = userdata, .output = -1 };
    if (s->calls)
        s->calls->previous = call;
    s->calls = call;
    return call;
}

static int call_manager(Systemd1 *s, sd_bus_message **ret, const char *member)
{
    return sd_bus_message_new_method_call(s->bus, ret, DESTINATION, OBJECT, MANAGER, member);
}

/* Sends; on failure the call is gone and nothing will be called back. */
static int send_call(Systemd1Call *call, sd_bus_message *m, sd_bus_message_handler_t handler, usec_t timeout,
                     Systemd1Call **ret)
{
    int r = sd_bus_call_async(call->s->bus, &call->slot, m, handler, call, timeout);

    if (r < 0) {
        systemd1_cancel(call);
        return r;
    }
    *ret = call;
    return 0;
}

/* The error of a reply: 0, or negative errno and systemd's words. */
static int reply_error(sd_bus_message *reply, const char **ret_message)
{
    const sd_bus_error *e = sd_bus_message_get_error(reply);

    *ret_message = NULL;
    if (!e)
        return 0;
    *ret_message = e->message ? e->message : e->name;
    if (sd_bus_error_has_name(e, SD_BUS_ERROR_LIMITS_EXCEEDED))
        return -EBUSY;
    int r = sd_bus_error_get_errno(e);
    return r > 0 ? -r : -EIO;
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

static int on_list(sd_bus_message *reply, void *userdata, int (*read)(sd_bus_message *, char ***))
{
    Systemd1Call *call = userdata;
    Systemd1UnitsCallback callback = call->callback.units;
    void *data = call->userdata;
    const char *message;
    char **units = NULL;
    int r = reply_error(reply, &message);

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
    int r = call_manager(s, &m, member);

    if (r >= 0)
        r = sd_bus_message_append(m, "asas", 0, 1, pattern);
    if (r < 0)
        return r;
    Systemd1Call *call = call_new(s, userdata);
    call->callback.units = callback;
    return send_call(call, m, handler, LONG_CALL, ret);
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

/* ---- one unit ---- */

static ActiveState active_from_string(const char *s)
{
    static const struct {
        const char *name;
        ActiveState state;
    } names[] = {
        { "inactive", ACTIVE_INACTIVE },         { "active", ACTIVE_ACTIVE },
        { "reloading", ACTIVE_RELOADING },       { "activating", ACTIVE_ACTIVATING },
        { "deactivating", ACTIVE_DEACTIVATING }, { "failed", ACTIVE_FAILED },
    };

    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (streq(s, names[i].name))
            return names[i].state;
    return ACTIVE_OTHER;
}

static int read_string(sd_bus_message *m, char **target)
{
    const char *s;
    int r = sd_bus_message_read(m, "v", "s", &s);

    if (r < 0)
        return r;
    free(*target);
    *target = xstrdup(s);
    return 0;
}

static int read_strv(sd_bus_message *m, char ***target)
{
    int r = sd_bus_message_enter_container(m, 'v', "as");

    if (r < 0)
        return r;
    *target = strv_free(*target);
    r = sd_bus_message_read_strv(m, target);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_environment_files(sd_bus_message *m, char ***target)
{
    const char *path;
    int optional, r = sd_bus_message_enter_container(m, 'v', "a(sb)");

    if (r >= 0)
        r = sd_bus_message_enter_container(m, 'a', "(sb)");
    if (r < 0)
        return r;
    *target = strv_free(*target);
    while ((r = sd_bus_message_read(m, "(sb)", &path, &optional)) > 0)
        strv_push(target, xasprintf("%s%s", optional ? "-" : "", path));
    if (r < 0)
        return r;
    r = sd_bus_message_exit_container(m);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_invocation(sd_bus_message *m, char target[static 33])
{
    const void *p;
    size_t n;
    int r = sd_bus_message_enter_container(m, 'v', "ay");

    if (r >= 0)
        r = sd_bus_message_read_array(m, 'y', &p, &n);
    if (r < 0)
        return r;
    target[0] = '\0';
    for (size_t i = 0; n == 16 && i < n; i++)
        snprintf(target + 2 * i, 3, "%02x", ((const uint8_t *)p)[i]);
    return sd_bus_message_exit_container(m);
}

/* One property of the GetAll reply, standing before its variant. */
static int read_property(sd_bus_message *m, const char *name, UnitInfo *info, char **active)
{
    if (streq(name, "LoadState"))
        return read_string(m, &info->load_state);
    if (streq(name, "ActiveState"))
        return read_string(m, active);
    if (streq(name, "SubState"))
        return read_string(m, &info->sub_state);
    if (streq(name, "Result"))
        return read_string(m, &info->result);
    if (streq(name, "FragmentPath"))
        return read_string(m, &info->fragment);
    if (streq(name, "DropInPaths"))
        return read_strv(m, &info->dropins);
    if (streq(name, "Environment"))
        return read_strv(m, &info->environment);
    if (streq(name, "EnvironmentFiles"))
        return read_environment_files(m, &info->environment_files);
    if (streq(name, "InvocationID"))
        return read_invocation(m, info->invocation);
    if (streq(name, "MainPID"))
        return sd_bus_message_read(m, "v", "u", &info->main_pid);
    if (streq(name, "NRestarts"))
        return sd_bus_message_read(m, "v", "u", &info->n_restarts);
    if (streq(name, "TimeoutStartUSec"))
        return sd_bus_message_read(m, "v", "t", &info->timeout_start);
    if (streq(name, "TimeoutStopUSec"))
        return sd_bus_message_read(m, "v", "t", &info->timeout_stop);
    if (streq(name, "Job"))
        return sd_bus_message_read(m, "v", "(uo)", &info->job, NULL);
    return sd_bus_message_skip(m, "v");
}

static int read_unit(sd_bus_message *m, const char *unit, UnitInfo **ret)
{
    _cleanup_(unit_info_freep) UnitInfo *info = xcalloc(1, sizeof(*info));
    _cleanup_(freep) char *active = NULL;
    const char *name;
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
            r = read_property(m, name, info, &active);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    if (r < 0)
        return r;
    info->unit = xstrdup(unit);
    info->active = active_from_string(active ? active : "");
    info->exists = info->load_state && !streq(info->load_state, "not-found") &&
                   !streq(info->load_state, "error") && !streq(info->load_state, "bad-setting");
    *ret = TAKE_PTR(info);
    return 0;
}

static int on_unit(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Systemd1Call *call = userdata;
    Systemd1UnitCallback callback = call->callback.unit;
    void *data = call->userdata;
    const char *message;
    UnitInfo *info = NULL;
    int r = reply_error(reply, &message);

    (void)error;
    if (r == 0)
        r = read_unit(reply, call->unit, &info);
    systemd1_cancel(call);
    callback(data, r, message, info);
    return 0;
}

/* Properties of all interfaces of a unit at once: GetAll with an empty interface, as systemctl does. systemd
 * loads the unit when its path is asked for. */
static int get_all(Systemd1 *s, const char *unit, sd_bus_message **ret)
{
    _cleanup_(freep) char *path = NULL;
    int r = sd_bus_path_encode(UNIT_PREFIX, unit, &path);

    if (r >= 0)
        r = sd_bus_message_new_method_call(s->bus, ret, DESTINATION, path, "org.freedesktop.DBus.Properties",
                                           "GetAll");
    return r < 0 ? r : sd_bus_message_append(*ret, "s", "");
}

int systemd1_get_unit(Systemd1 *s, const char *unit, Systemd1UnitCallback callback, void *userdata,
                      Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = get_all(s, unit, &m);

    if (r < 0)
        return r;
    Systemd1Call *call = call_new(s, userdata);
    call->callback.unit = callback;
    call->unit = xstrdup(unit);
    return send_call(call, m, on_unit, LONG_CALL, ret);
}

/* ---- doing ---- */

static int on_done(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Systemd1Call *call = userdata;
    Systemd1DoneCallback callback = call->callback.done;
    void *data = call->userdata;
    const char *message;
    int r = reply_error(reply, &message);

    (void)error;
    systemd1_cancel(call);
    callback(data, r, message);
    return 0;
}

static int on_job(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Systemd1Call *call = userdata;
    Systemd1JobCallback callback = call->callback.job;
    void *data = call->userdata;
    const char *message, *job = NULL;
    int r = reply_error(reply, &message);

    (void)error;
    if (r == 0) {
        r = sd_bus_message_read(reply, "o", &job);
        r = r < 0 ? r : 0;
    }
    systemd1_cancel(call);
    callback(data, r, message, job);
    return 0;
}

int systemd1_reload(Systemd1 *s, Systemd1DoneCallback callback, void *userdata, Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = call_manager(s, &m, "Reload");

    if (r < 0)
        return r;
    Systemd1Call *call = call_new(s, userdata);
    call->callback.done = callback;
    return send_call(call, m, on_done, LONG_CALL, ret);
}

int systemd1_restart(Systemd1 *s, const char *unit, bool only_if_up, Systemd1JobCallback callback,
                     void *userdata, Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = call_manager(s, &m, only_if_up ? "TryRestartUnit" : "RestartUnit");

    if (r >= 0)
        r = sd_bus_message_append(m, "ss", unit, "replace");
    if (r < 0)
        return r;
    Systemd1Call *call = call_new(s, userdata);
    call->callback.job = callback;
    return send_call(call, m, on_job, LONG_CALL, ret);
}

int systemd1_reset_failed(Systemd1 *s, const char *unit, Systemd1DoneCallback callback, void *userdata,
                          Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = call_manager(s, &m, "ResetFailedUnit");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", unit);
    if (r < 0)
        return r;
    Systemd1Call *call = call_new(s, userdata);
    call->callback.done = callback;
    return send_call(call, m, on_done, LONG_CALL, ret);
}

/* ---- a transient unit in the sandbox of another ---- */

/* What decides which files a process sees and which it may map. Their types are the same to read and to set.
 * AppArmor is not among them: the probe changes into the profile itself, whose rules seldom allow the probe's
 * own file. */
static const char *const sandbox[] = {
    "ProtectHome",
    "ProtectSystem",
    "PrivateTmp",
    "PrivateDevices",
    "ReadWritePaths",
    "ReadOnlyPaths",
    "InaccessiblePaths",
    "ExecPaths",
    "NoExecPaths",
    "RootDirectory",
    "TemporaryFileSystem",
    "BindPaths",
    "BindReadOnlyPaths",
    "NoNewPrivileges",
    "MemoryDenyWriteExecute",
    "SystemCallFilter",
    "SystemCallArchitectures",
    "CapabilityBoundingSet",
    "LimitAS",
    "LimitDATA",
    "MountFlags",
    "ProtectKernelTunables",
    "User",
    "Group",
};

static bool in_sandbox(const char *name)
{
    for (size_t i = 0; i < ELEMENTSOF(sandbox); i++)
        if (streq(sandbox[i], name))
            return true;
    return false;
}

static int copy_sandbox(sd_bus_message *from, sd_bus_message *to)
{
    const char *name, *contents;
    char type;
    int r = sd_bus_message_enter_container(from, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(from, 'e', "sv")) > 0) {
        r = sd_bus_message_read(from, "s", &name);
        if (r < 0)
            return r;
        if (in_sandbox(name)) {
            r = sd_bus_message_peek_type(from, &type, &contents);
            if (r >= 0)
                r = sd_bus_message_open_container(to, 'r', "sv");
            if (r >= 0)
                r = sd_bus_message_append(to, "s", name);
            if (r >= 0)
                r = sd_bus_message_copy(to, from, 0);
            if (r >= 0)
                r = sd_bus_message_close_container(to);
        } else {
            r = sd_bus_message_skip(from, "v");
        }
        if (r >= 0)
            r = sd_bus_message_exit_container(from);
    }
    return r;
}

static int append_exec(sd_bus_message *m, char *const *argv)
{
    int r = sd_bus_message_open_container(m, 'r', "sv");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", "ExecStart");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "a(sasb)");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(sasb)");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'r', "sasb");
    if (r >= 0)
        r = sd_bus_message_append(m, "s", argv[0]);
    if (r >= 0)
        r = sd_bus_message_append_strv(m, (char **)argv);
    if (r >= 0)
        r = sd_bus_message_append(m, "b", 0);
    for (int i = 0; r >= 0 && i < 4; i++)
        r = sd_bus_message_close_container(m);
    return r;
}

static int append_strv_property(sd_bus_message *m, const char *name, char *const *strv)
{
    int r = sd_bus_message_open_container(m, 'r', "sv");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", name);
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'v', "as");
    if (r >= 0)
        r = sd_bus_message_append_strv(m, (char **)strv);
    for (int i = 0; r >= 0 && i < 2; i++)
        r = sd_bus_message_close_container(m);
    return r;
}

static int transient_message(Systemd1Call *call, sd_bus_message *like, sd_bus_message **ret)
{
    sd_bus_message *m = NULL;
    int r = call_manager(call->s, &m, "StartTransientUnit");

    *ret = m;
    if (r >= 0)
        r = sd_bus_message_append(m, "ss", call->transient, "replace");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(sv)");
    if (r >= 0)
        r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)", "Type", "s", "oneshot", "CollectMode", "s",
                                  "inactive-or-failed", "TimeoutStartUSec", "t", 30 * USEC_PER_SEC,
                                  "Description", "s", "relayalloc preflight");
    if (r >= 0)
        r = copy_sandbox(like, m);
    if (r >= 0)
        r = append_exec(m, call->argv);
    if (r >= 0)
        r = append_strv_property(m, "Environment", call->environment);
    if (r >= 0)
        r = sd_bus_message_append(m, "(sv)(sv)", "StandardOutputFileDescriptor", "h", call->output,
                                  "StandardErrorFileDescriptor", "h", call->output);
    if (r >= 0)
        r = sd_bus_message_close_container(m);
    return r < 0 ? r : sd_bus_message_append(m, "a(sa(sv))", 0);
}

static int on_like(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
    Systemd1Call *call = userdata;
    Systemd1JobCallback callback = call->callback.job;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    void *data = call->userdata;
    const char *message;
    int r = reply_error(reply, &message);

    (void)error;
    if (r == 0)
        r = transient_message(call, reply, &m);
    if (r >= 0) {
        sd_bus_slot_unref(call->slot); /* the read is over; the slot now holds the start */
        call->slot = NULL;
        r = sd_bus_call_async(call->s->bus, &call->slot, m, on_job, call, LONG_CALL);
    }
    if (r < 0) {
        systemd1_cancel(call);
        callback(data, r, message, NULL);
    }
    return 0;
}

int systemd1_run_like(Systemd1 *s, const char *name, const char *like, char *const *argv,
                      char *const *environment, int output, Systemd1JobCallback callback, void *userdata,
                      Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = get_all(s, like, &m);

    if (r < 0)
        return r;
    Systemd1Call *call = call_new(s, userdata);
    call->callback.job = callback;
    call->transient = xstrdup(name);
    call->argv = strv_copy(argv);
    call->environment = strv_copy(environment);
    call->output = dup(output);
    return send_call(call, m, on_like, LONG_CALL, ret);
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

static int on_units_changed(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Systemd1 *s = userdata;

    (void)error;
    if (from_systemd(s, m))
        s->events.units_changed(s->userdata);
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

int systemd1_watch(Systemd1 *s, const char *unit, sd_bus_slot **ret)
{
    _cleanup_(freep) char *path = NULL;
    int r = sd_bus_path_encode(UNIT_PREFIX, unit, &path);

    if (r < 0)
        return r;
    return sd_bus_match_signal_async(s->bus, ret, DESTINATION, path, "org.freedesktop.DBus.Properties",
                                     "PropertiesChanged", on_properties_changed, NULL, s);
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
    s->events = *events;
    s->userdata = userdata;
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
                                      on_units_changed, NULL, s);
    if (r >= 0)
        r = sd_bus_match_signal_async(bus, &s->match_removed, DESTINATION, OBJECT, MANAGER, "UnitRemoved",
                                      on_units_changed, NULL, s);
    if (r >= 0)
        r = sd_bus_match_signal_async(bus, &s->match_reloading, DESTINATION, OBJECT, MANAGER, "Reloading",
                                      on_units_changed, NULL, s);
    if (r >= 0)
        r = sd_bus_call_method_async(bus, &s->get_owner, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                     "org.freedesktop.DBus", "GetNameOwner", on_get_owner, s, "s",
                                     DESTINATION);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(s);
    return 0;
}

Systemd1 *systemd1_free(Systemd1 *s)
{
    if (!s)
        return NULL;
    while (s->calls)
        systemd1_cancel(s->calls);
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
