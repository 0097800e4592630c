/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/systemd1-private.h"

#include <errno.h>
#include <syslog.h>

/* What decides which files a process sees and which it may map. Their types are the same for reading and
 * setting. AppArmor is not among them: the probe changes into the profile itself, whose rules seldom allow
 * the probe's own file. */
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
    "SupplementaryGroups",
};

/* What else a program finds that is started as the unit's own would be. */
static const char *const surroundings[] = {
    "Environment", "EnvironmentFiles", "PassEnvironment", "UnsetEnvironment", "AppArmorProfile",
};

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (streq(names[i], name))
            return true;
    return false;
}

bool systemd1_in_sandbox(const char *name)
{
    return is_one_of(name, sandbox, ELEMENTSOF(sandbox));
}

/* systemd tells "it may be missing" as "!" (252) and wants "-". */
static int copy_working_directory(sd_bus_message *from, sd_bus_message *to)
{
    const char *path;
    int r = sd_bus_message_read(from, "v", "s", &path);

    if (r < 0 || isempty(path))
        return r;
    bool optional = *path == '!' || *path == '-';
    _cleanup_(freep) char *text = xasprintf("%s%s", optional ? "-" : "", path + optional);
    return sd_bus_message_append(to, "(sv)", "WorkingDirectory", "s", text);
}

static int copy_value(sd_bus_message *from, const char *name, sd_bus_message *to)
{
    int r = sd_bus_message_open_container(to, 'r', "sv");

    if (r >= 0)
        r = sd_bus_message_append(to, "s", name);
    if (r >= 0)
        r = sd_bus_message_copy(to, from, 0);
    return r < 0 ? r : sd_bus_message_close_container(to);
}

/* `all`: with its surroundings. */
static int copy_sandbox(sd_bus_message *from, bool all, sd_bus_message *to)
{
    const char *name;
    int r = sd_bus_message_enter_container(from, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(from, 'e', "sv")) > 0) {
        r = sd_bus_message_read(from, "s", &name);
        if (r < 0)
            return r;
        if (systemd1_in_sandbox(name) || (all && is_one_of(name, surroundings, ELEMENTSOF(surroundings))))
            r = copy_value(from, name, to);
        else if (all && streq(name, "WorkingDirectory"))
            r = copy_working_directory(from, to);
        else
            r = sd_bus_message_skip(from, "v");
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

/* Without the library that is to be replaced, perhaps because it lets nothing run. */
static int append_environment(const Systemd1Call *call, sd_bus_message *m)
{
    static char *const preload[] = { "LD_PRELOAD", NULL };

    return call->environment ? append_strv_property(m, "Environment", call->environment)
                             : append_strv_property(m, "UnsetEnvironment", preload);
}

static int transient_message(Systemd1Call *call, sd_bus_message *like, sd_bus_message **ret)
{
    sd_bus_message *m = NULL;
    int r = systemd1_message(call->s, &m, "StartTransientUnit");

    *ret = m;
    if (r >= 0)
        r = sd_bus_message_append(m, "ss", call->transient, "replace");
    if (r >= 0)
        r = sd_bus_message_open_container(m, 'a', "(sv)");
    if (r >= 0)
        r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Type", "s", "oneshot", "CollectMode", "s",
                                  "inactive-or-failed", "AddRef", "b", true, "TimeoutStartUSec", "t",
                                  30 * USEC_PER_SEC, "Description", "s", "relayalloc preflight",
                                  "LogLevelMax", "i", LOG_NOTICE);
    if (r >= 0)
        r = copy_sandbox(like, !call->environment, m);
    if (r >= 0)
        r = append_exec(m, call->argv);
    if (r >= 0)
        r = append_environment(call, m);
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
    int r = systemd1_reply_error(reply, &message);

    (void)error;
    if (r == 0)
        r = transient_message(call, reply, &m);
    if (r >= 0) {
        sd_bus_slot_unref(call->slot); /* the read is over; the slot now holds the start */
        call->slot = NULL;
        r = sd_bus_call_async(call->s->bus, &call->slot, m, systemd1_on_job, call, LONG_CALL);
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
    int r = systemd1_get_all(s, like, &m);

    if (r < 0)
        return r;
    Systemd1Call *call = systemd1_call_new(s, userdata);
    call->callback.job = callback;
    call->transient = xstrdup(name);
    call->argv = strv_copy(argv);
    call->environment = environment ? strv_copy(environment) : NULL;
    call->output = dup(output);
    if (call->output < 0) {
        r = -errno;
        systemd1_cancel(call);
        return r;
    }
    return systemd1_call_send(call, m, on_like, LONG_CALL, ret);
}

void systemd1_let_go(Systemd1 *s, const char *name)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = systemd1_message(s, &m, "UnrefUnit");

    if (r >= 0)
        r = sd_bus_message_append(m, "s", name);
    if (r >= 0)
        r = sd_bus_message_set_expect_reply(m, false);
    if (r >= 0)
        (void)sd_bus_send(s->bus, m, NULL); /* a connection that is gone holds nothing */
}
