/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/systemd1-private.h"

#include <signal.h>

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

static int read_flag(sd_bus_message *m, bool *target)
{
    int value = 0;
    int r = sd_bus_message_read(m, "v", "b", &value);

    *target = value;
    return r;
}

/* Is there anything in the list? */
static int read_any(sd_bus_message *m, bool *target)
{
    _cleanup_(strv_freep) char **list = NULL;
    int r = read_strv(m, &list);

    *target = *target || strv_length(list) > 0;
    return r;
}

/* Its words, and the signal that ended it the last time; 0: none. */
static int read_command(sd_bus_message *m, char ***ret_argv, int32_t *ret_signal)
{
    _cleanup_(strv_freep) char **argv = NULL;
    const char *path;
    int32_t code, status;
    int r = sd_bus_message_read(m, "s", &path);

    if (r >= 0)
        r = sd_bus_message_read_strv(m, &argv);
    if (r >= 0)
        r = sd_bus_message_skip(m, "bttttu");
    if (r >= 0)
        r = sd_bus_message_read(m, "ii", &code, &status);
    if (r < 0)
        return r;
    if (argv) { /* the program may be called by another name (systemd.service(5), "@") */
        free(argv[0]);
        argv[0] = xstrdup(path);
    }
    *ret_argv = TAKE_PTR(argv);
    *ret_signal = code == CLD_KILLED || code == CLD_DUMPED ? status : 0;
    return 0;
}

/* Of the commands the first with --verify-config as an argument of its own (what a shell would run for it may
 * do anything), and the signal that ended one of them. */
static int read_pre_start(sd_bus_message *m, UnitInfo *info)
{
    int r = sd_bus_message_enter_container(m, 'v', "a(sasbttttuii)");

    if (r >= 0)
        r = sd_bus_message_enter_container(m, 'a', "(sasbttttuii)");
    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sasbttttuii")) > 0) {
        _cleanup_(strv_freep) char **argv = NULL;
        int32_t signal;

        r = read_command(m, &argv, &signal);
        if (r < 0)
            return r;
        if (!info->verify_config && strv_contains(argv, "--verify-config"))
            info->verify_config = TAKE_PTR(argv);
        if (signal)
            info->pre_start_signal = signal;
        r = sd_bus_message_exit_container(m);
    }
    if (r >= 0)
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

/* The next value, whatever it is made of: 1, 0 at the end of its container, or negative errno. */
static int hash_value(sd_bus_message *m, uint64_t *hash)
{
    union {
        uint64_t number; /* the largest of the basic types that are no strings */
        const char *string;
    } value = { 0 };
    const char *contents;
    char type;
    int r = sd_bus_message_peek_type(m, &type, &contents);

    if (r <= 0)
        return r;
    *hash = hash_bytes(*hash, &type, 1);
    if (contents) {
        r = sd_bus_message_enter_container(m, type, contents);
        while (r > 0)
            r = hash_value(m, hash);
        return r < 0 ? r : sd_bus_message_exit_container(m);
    }
    r = sd_bus_message_read_basic(m, type, &value);
    if (r < 0)
        return r;
    if (type == SD_BUS_TYPE_STRING || type == SD_BUS_TYPE_OBJECT_PATH || type == SD_BUS_TYPE_SIGNATURE)
        *hash = hash_bytes(*hash, value.string, strlen(value.string) + 1);
    else
        *hash = hash_bytes(*hash, &value, sizeof(value));
    return 1;
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
    if (streq(name, "Type"))
        return read_string(m, &info->type);
    if (streq(name, "RemainAfterExit"))
        return read_flag(m, &info->remain_after_exit);
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
    if (streq(name, "ExecStartPre"))
        return read_pre_start(m, info);
    if (streq(name, "WantedBy") || streq(name, "RequiredBy"))
        return read_any(m, &info->wanted);
    if (streq(name, "ConditionResult")) {
        int r = read_flag(m, &info->unmet);
        info->unmet = !info->unmet;
        return r;
    }
    if (streq(name, "InvocationID"))
        return read_invocation(m, info->invocation);
    if (streq(name, "MainPID"))
        return sd_bus_message_read(m, "v", "u", &info->main_pid);
    if (streq(name, "NRestarts"))
        return sd_bus_message_read(m, "v", "u", &info->n_restarts);
    if (streq(name, "ExecMainCode"))
        return sd_bus_message_read(m, "v", "i", &info->exit_code);
    if (streq(name, "ExecMainStatus"))
        return sd_bus_message_read(m, "v", "i", &info->exit_status);
    if (streq(name, "KillSignal"))
        return sd_bus_message_read(m, "v", "i", &info->kill_signal);
    if (streq(name, "TimeoutStartUSec"))
        return sd_bus_message_read(m, "v", "t", &info->timeout_start);
    if (streq(name, "TimeoutStopUSec"))
        return sd_bus_message_read(m, "v", "t", &info->timeout_stop);
    if (streq(name, "InactiveExitTimestampMonotonic"))
        return sd_bus_message_read(m, "v", "t", &info->inactive_exit);
    if (streq(name, "ActiveEnterTimestampMonotonic"))
        return sd_bus_message_read(m, "v", "t", &info->active_enter);
    if (streq(name, "ActiveExitTimestampMonotonic"))
        return sd_bus_message_read(m, "v", "t", &info->active_exit);
    if (streq(name, "InactiveEnterTimestampMonotonic"))
        return sd_bus_message_read(m, "v", "t", &info->inactive_enter);
    if (streq(name, "StateChangeTimestampMonotonic"))
        return sd_bus_message_read(m, "v", "t", &info->state_change);
    if (streq(name, "ExecMainExitTimestampMonotonic"))
        return sd_bus_message_read(m, "v", "t", &info->main_exit);
    if (streq(name, "Job"))
        return sd_bus_message_read(m, "v", "(uo)", &info->job, NULL);
    if (systemd1_in_sandbox(name)) {
        info->sandbox = hash_bytes(info->sandbox ? info->sandbox : HASH_BEGIN, name, strlen(name) + 1);
        return hash_value(m, &info->sandbox);
    }
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
    int r = systemd1_reply_error(reply, &message);

    (void)error;
    if (r == 0)
        r = read_unit(reply, call->unit, &info);
    systemd1_cancel(call);
    callback(data, r, message, info);
    return 0;
}

int systemd1_get_unit(Systemd1 *s, const char *unit, Systemd1UnitCallback callback, void *userdata,
                      Systemd1Call **ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = systemd1_get_all(s, unit, &m);

    if (r < 0)
        return r;
    Systemd1Call *call = systemd1_call_new(s, userdata);
    call->callback.unit = callback;
    call->unit = xstrdup(unit);
    return systemd1_call_send(call, m, on_unit, LONG_CALL, ret);
}
