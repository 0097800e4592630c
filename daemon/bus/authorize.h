/* SPDX-License-Identifier: BSD-3-Clause */
/* May this caller change something? Root may; others when polkit lets them. Knows nothing of what is asked
 * for. */
#pragma once

#include <systemd/sd-bus.h>

/* Runs the wish and answers the call; 0 or more: answered; negative errno or a set error: sd-bus answers with
 * that. */
typedef int (*AuthorizedCallback)(void *userdata, sd_bus_message *call, sd_bus_error *error);

/* To be returned from a method handler. Calls back at once for root; for others after polkit's answer, which
 * may take as long as a person needs to type a password. Without polkit the call is denied. */
int authorize(sd_bus_message *call, AuthorizedCallback callback, void *userdata, sd_bus_error *error);
