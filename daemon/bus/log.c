/* SPDX-License-Identifier: BSD-3-Clause */
/* org.freedesktop.LogControl1(5): the log's level and target, changed while the daemon runs. */
#include "bus/private.h"
#include "io/eventlog.h"

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
    return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS, "Unknown log level \"%s\".", level);
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
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "The log target must be journal, console or auto.");
    eventlog_set_target(streq(target, "console") ? EVENT_TARGET_CONSOLE : EVENT_TARGET_JOURNAL);
    return 0;
}

const sd_bus_vtable bus_log_vtable[] = {
    SD_BUS_VTABLE_START(0),
    SD_BUS_WRITABLE_PROPERTY("LogLevel", "s", get_log, set_log_level, 0, 0),
    SD_BUS_WRITABLE_PROPERTY("LogTarget", "s", get_log, set_log_target, 0, 0),
    SD_BUS_PROPERTY("SyslogIdentifier", "s", get_log, 0, SD_BUS_VTABLE_PROPERTY_CONST),
    SD_BUS_VTABLE_END,
};
