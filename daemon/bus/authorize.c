/* SPDX-License-Identifier: BSD-3-Clause */
#include "bus/authorize.h"
#include "bus/api.h"
#include "core/util.h"

#include <errno.h>
#include <linux/capability.h>

#define POLKIT_TIMEOUT (5 * USEC_PER_MINUTE) /* somebody types a password */
#define ALLOW_INTERACTION 1

typedef struct Question {
    sd_bus_message *call;
    AuthorizedCallback callback;
    void *userdata;
} Question;

static void question_destroy(void *userdata)
{
    Question *q = userdata;

    sd_bus_message_unref(q->call);
    free(q);
}

static int deny(const sd_bus_message *call, sd_bus_error *error)
{
    return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                             "%s requires root, or authorization by polkit for " BUS_POLKIT_ACTION ".",
                             sd_bus_message_get_member((sd_bus_message *)call));
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
    Question *q = userdata;
    _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

    (void)unused;
    int r = read_answer(reply) ? q->callback(q->userdata, q->call, &error) : deny(q->call, &error);
    if (r < 0 || sd_bus_error_is_set(&error))
        (void)sd_bus_reply_method_errno(q->call, r, &error);
    return 0;
}

static int ask_polkit(sd_bus_message *call, AuthorizedCallback callback, void *userdata)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    sd_bus *bus = sd_bus_message_get_bus(call);
    sd_bus_slot *slot = NULL;
    uint32_t flags = sd_bus_message_get_allow_interactive_authorization(call) > 0 ? ALLOW_INTERACTION : 0;
    int r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");

    if (r >= 0)
        r = sd_bus_message_append(m, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name", "s",
                                  sd_bus_message_get_sender(call), BUS_POLKIT_ACTION, 0, flags, "");
    if (r < 0)
        return r;
    Question *q = xcalloc(1, sizeof(*q));
    *q = (Question){ .call = sd_bus_message_ref(call), .callback = callback, .userdata = userdata };
    r = sd_bus_call_async(bus, &slot, m, on_answer, q, POLKIT_TIMEOUT);
    if (r < 0) {
        question_destroy(q);
        return r;
    }
    /* The bus keeps it until the answer, or until the bus itself goes; then the question goes with it. */
    (void)sd_bus_slot_set_destroy_callback(slot, question_destroy);
    (void)sd_bus_slot_set_floating(slot, 1);
    sd_bus_slot_unref(slot);
    return 1;
}

int authorize(sd_bus_message *call, AuthorizedCallback callback, void *userdata, sd_bus_error *error)
{
    int r = sd_bus_query_sender_privilege(call, CAP_SYS_ADMIN);

    if (r < 0)
        return r;
    if (r > 0)
        return callback(userdata, call, error);
    r = ask_polkit(call, callback, userdata);
    return r < 0 ? deny(call, error) : r;
}
