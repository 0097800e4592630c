/* SPDX-License-Identifier: BSD-3-Clause */
/* What the verbs share that make the daemon do something. */
#pragma once

#include "ctl/lib/ctl.h"

/* The connection. A request that changes something may have to wait until somebody has given polkit a
 * password. 0, or an errno after a message. */
int control_open(const CtlOptions *options, sd_bus **ret);

/* Calls a method that takes relays and answers how many it acts on; none: all. 0, or an errno after a
 * message; -ENOENT: no such relay. */
int control_relays(sd_bus *bus, const char *method, char *const *relays, uint32_t *ret);

/* If what was requested has to wait for the window, says so, with the way around it. */
void control_tell_window(const CtlOptions *options, sd_bus *bus);
