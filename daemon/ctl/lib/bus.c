/* SPDX-License-Identifier: BSD-3-Clause */
/* The connection to the daemon's bus, here or on another host or machine, and calls on its manager. Never
 * starts the daemon: that could restart relays. */
#include "ctl/lib/ctl.h"

#include "bus/api.h"
#include "ctl/lib/hosts.h"

#include <errno.h>
#include <stdarg.h>

/* Whom calls are for, by the connection that was opened last: root has a name of the daemon to itself, whose
 * queue others cannot fill. */
static const char *destination = BUS_NAME;

int ctl_bus_open(const CtlOptions *options, bool quietly, sd_bus **ret)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    int r = 0;

    destination = !options->host && !options->machine && geteuid() == 0 ? BUS_CONTROL_NAME : BUS_NAME;

    if (options->host)
        r = sd_bus_open_system_remote(&bus, options->host);
    else if (options->machine)
        r = sd_bus_open_system_machine(&bus, options->machine);
    else
        r = sd_bus_open_system(&bus);
    if (r >= 0 && options->host) {
        r = hosts_wait(bus, options->host, quietly);
        if (r < 0) {
            sd_bus_close_unref(TAKE_PTR(bus));
            return r;
        }
    }
    if (r < 0) {
        if (quietly)
            return r;
        if (options->host)
            ctl_error("%s: cannot be reached: \"ssh %s\" ended before relayallocd answered", options->host,
                      options->host);
        else if (options->machine)
            ctl_error("cannot connect to the bus of %s: %s", options->machine, strerror(-r));
        else
            ctl_error("cannot connect to the system bus: %s", strerror(-r));
        return r;
    }
    sd_bus_set_allow_interactive_authorization(bus, true); /* polkit may ask, where it runs */
    *ret = TAKE_PTR(bus);
    return 0;
}

static bool is_absent(const sd_bus_error *error)
{
    return sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
           sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER);
}

/* Says what went wrong, and returns the errno that the header names. */
static int report(const char *method, const sd_bus_error *error, int r)
{
    if (is_absent(error)) {
        ctl_error("relayallocd is not running; start it with \"systemctl start relayallocd\"");
        return -ENXIO;
    }
    if (r == -ETIMEDOUT) {
        ctl_error("relayallocd does not answer (%s); \"systemctl status relayallocd\" may show why", method);
        return r;
    }
    if (sd_bus_error_has_name(error, BUS_ERROR_NO_SUCH_RELAY)) {
        ctl_error("%s", error->message);
        return -ENOENT;
    }
    if (sd_bus_error_has_name(error, BUS_ERROR_INVALID_FILE)) {
        ctl_complain(error->message); /* the problems, in the form that check has them */
        return -EINVAL;
    }
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) ||
        sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED)) {
        if (strncmp(method, "Get", 3) == 0) /* the daemon refuses nobody who only reads */
            ctl_error("the policy of the system bus does not let this user ask relayallocd (%s)", method);
        else
            ctl_error("%s requires root, or authorization by polkit; try again as root", method);
        return -EACCES;
    }
    ctl_error("%s failed: %s", method, error->message ? error->message : strerror(-r));
    return r < 0 ? r : -EIO;
}

static int send_to(sd_bus *bus, const char *name, sd_bus_message *call, sd_bus_error *ret_error,
                   sd_bus_message **ret_reply)
{
    int r = sd_bus_message_set_destination(call, name);

    if (r >= 0)
        r = sd_bus_message_set_auto_start(call, false);
    return r < 0 ? r : sd_bus_call(bus, call, 0, ret_error, ret_reply);
}

/* A daemon of an earlier version, or one whose policy the bus has not read, has one name only. */
static int send_again(sd_bus *bus, sd_bus_message *call, sd_bus_error *ret_error, sd_bus_message **ret_reply)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *again = NULL;
    int r =
        sd_bus_message_new_method_call(bus, &again, NULL, sd_bus_message_get_path(call),
                                       sd_bus_message_get_interface(call), sd_bus_message_get_member(call));

    if (r >= 0)
        r = sd_bus_message_rewind(call, true);
    if (r >= 0)
        r = sd_bus_message_copy(again, call, true);
    if (r < 0)
        return r;
    sd_bus_error_free(ret_error);
    return send_to(bus, BUS_NAME, again, ret_error, ret_reply);
}

int ctl_bus_send(sd_bus *bus, sd_bus_message *call, Say say, sd_bus_message **ret_reply)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

    int r = send_to(bus, destination, call, &error, ret_reply);
    if (is_absent(&error) && !streq(destination, BUS_NAME))
        r = send_again(bus, call, &error, ret_reply);
    if (r >= 0)
        return 0;
    if (is_absent(&error) && say != SAY_ALL)
        return -ENXIO;
    return say == SAY_NOTHING ? r : report(sd_bus_message_get_member(call), &error, r);
}

int ctl_bus_unreadable(const char *method, int r)
{
    ctl_error("cannot read the answer of relayallocd to %s (%s); do the versions of both programs differ?",
              method, strerror(-r));
    return -EBADMSG; /* r may be an errno that says something else in ctl_bus_send() */
}

int ctl_bus_call(sd_bus *bus, const char *method, sd_bus_message **ret_reply, const char *types, ...)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    va_list ap;

    int r = sd_bus_message_new_method_call(bus, &call, NULL, BUS_PATH, BUS_MANAGER_INTERFACE, method);
    if (r >= 0 && !isempty(types)) {
        va_start(ap, types);
        r = sd_bus_message_appendv(call, types, ap);
        va_end(ap);
    }
    if (r < 0) {
        ctl_error("cannot call %s: %s", method, strerror(-r));
        return r;
    }
    return ctl_bus_send(bus, call, SAY_ALL, ret_reply);
}
