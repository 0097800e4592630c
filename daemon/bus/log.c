/* SPDX-License-Identifier: BSD-3-Clause */
/* org.freedesktop.LogControl1(5): the log's level and target, changed while the daemon runs. */
#include "bus/api.h"
#include "bus/authorize.h"
#include "bus/private.h"
#include "io/eventlog.h"

#include <errno.h>

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

static int set_level(const char *level, sd_bus_error *error)
{
    for (size_t i = 0; i < ELEMENTSOF(levels); i++)
        if (streq(levels[i], level)) {
            eventlog_set_max_level((int)i);
            return 0;
        }
    return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Unknown log level \"%s\".", level);
}

static int set_target(const char *target, sd_bus_error *error)
{
    if (!streq(target, "journal") && !streq(target, "console") && !streq(target, "auto"))
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "The log target must be journal, console or auto.");
    eventlog_set_target(streq(target, "console") ? EVENT_TARGET_CONSOLE : EVENT_TARGET_JOURNAL);
    return 0;
}

static void set_allowed(Request *request)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    const char *property = request->arguments[0], *value = request->arguments[1];
    int r = streq(property, "LogLevel") ? set_level(value, &error) : set_target(value, &error);

    if (r < 0)
        request_fail(request, r, &error);
    else
        request_answer(request, NULL);
}

static void set_known(Request *request)
{
    const Door *door = request_userdata(request);

    authorize(request, door->manager->bus, set_allowed);
}

int bus_log_set(Door *door, sd_bus_message *call, sd_bus_error *error)
{
    static const RequestKind kind = { .known = set_known, .most = 4 };
    const char *interface, *property, *value;
    char **arguments = NULL;
    int r = sd_bus_message_read(call, "ssv", &interface, &property, "s", &value);

    if (r < 0)
        return r;
    if (!streq(sd_bus_message_get_path(call), BUS_LOG_PATH) || !streq(interface, BUS_LOG_INTERFACE) ||
        (!streq(property, "LogLevel") && !streq(property, "LogTarget"))) {
        r = sd_bus_message_rewind(call, 1);
        return r < 0 ? r : 0; /* libsystemd knows what to say */
    }
    strv_push(&arguments, xstrdup(property));
    strv_push(&arguments, xstrdup(value));
    return request_begin(door->requests, call, arguments, &kind, error);
}

/* Never called: bus_log_set() has taken the call before. */
static int refuse_set(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *value, void *userdata, sd_bus_error *error)
{
    (void)bus;
    (void)path;
    (void)interface;
    (void)property;
    (void)value;
    (void)userdata;
    (void)error;
    return -EACCES;
}

const sd_bus_vtable bus_log_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_log, refuse_set, 0, 0),
    SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_log, refuse_set, 0, 0),
    SD_BUS_PROPERTY("SyslogIdentifier", "s", get_log, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_VTABLE_END,
};
