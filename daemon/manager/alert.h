/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts the operator's relayalloc-alert@EVENT-RELAY.service, where there is that template, and does nothing
 * else: it is never waited for, and how it ends is its own affair. */
#pragma once

#include "manager/model.h"

/* `relay`: its name; NULL: none is known. While the bus is lost it is kept. */
void alert_raise(Manager *m, AlertKind kind, const char *relay);
void alert_forget_bus(Manager *m);
void alert_bus_back(Manager *m);
void alert_free(Manager *m);
