/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus/authorize.h"

#include "bus/api.h"

#include <errno.h>

#define POLKIT_TIMEOUT (5 * USEC_PER_MINUTE) /* somebody types a password */
#define ALLOW_INTERACTION 1

static void deny(Request *request)
{
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
    int r = sd_bus_error_setf(&error, SD_BUS_ERROR_ACCESS_DENIED,
                              "%s requires root, or authorization by polkit for " BUS_POLKIT_ACTION ".",
                              sd_bus_message_get_member(request->call));

    request_fail(request, r, &error);
}

static int read_answer(sd_bus_message *reply)
{
    int authorized, r;

    if (sd_bus_message_is_method_error(reply, NULL))
        return 0;
    r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
    if (r >= 0)
        r = sd_bus_message_read(reply, "bb", &authorized, NULL);
    return r < 0 ? 0 : authorized;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
    Request *request = userdata;

    (void)unused;
    if (read_answer(reply))
        request->ready(request);
    else
        deny(request);
    return 0;
}

static int ask_polkit(Request *request, sd_bus *bus)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    uint32_t flags = request->may_ask ? ALLOW_INTERACTION : 0;
    int r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");

    if (r >= 0)
        r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                  sd_bus_message_get_sender(request->call), BUS_POLKIT_ACTION, 0, flags, "");
    return r < 0 ? r : sd_bus_call_async(bus, &request->asking, m, on_answer, request, POLKIT_TIMEOUT);
}

void authorize(Request *request, sd_bus *bus, RequestReady allowed)
{
    request->ready = allowed;
    if (callers_is_root(request->uid))
        allowed(request);
    else if (ask_polkit(request, bus) < 0)
        deny(request);
}
