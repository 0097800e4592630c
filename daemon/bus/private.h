/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the files that serve the bus. */
#pragma once

#include "bus/door.h"
#include "manager/config-watch.h"
#include "manager/loop.h"
#include "manager/manager.h"
#include "manager/operator.h"
#include "manager/plan.h"
#include "manager/relay.h"
#include "manager/relays.h"
#include "manager/run.h"
#include "manager/setup.h"
#include "manager/tor.h"
#include "manager/window.h"

/* All of it; m->api. */
struct Api {
    Door root, everybody;
    sd_event_source *reopen, *changed, *look, *read, *untold;
    usec_t looked; /* monotonic: when all relays were last looked at for Verify; 0 */
};

extern const sd_bus_vtable bus_log_vtable[];
extern const sd_bus_vtable bus_manager_vtable[];
extern const sd_bus_vtable bus_relay_vtable[];

/* ---- bus/api.c ---- */
Door *bus_door(const Manager *m, sd_bus_message *call); /* by which it came */
void bus_api_reopen(Manager *m);                        /* soon: everybody's door, with a new connection */

/* ---- bus/read.c ---- */
int bus_read(sd_bus_message *call, void *userdata, sd_bus_error *error); /* a method handler */

/* ---- bus/verify.c ---- */
int bus_verify(sd_bus_message *call, void *userdata, sd_bus_error *error); /* a method handler */

/* ---- bus/log.c ---- */
int bus_log_set(Door *door, sd_bus_message *call, sd_bus_error *error); /* a call of Properties.Set */

/* ---- bus/relay.c ---- */

int bus_relay_path(const Relay *relay, char **ret);
int bus_relay_find(sd_bus *bus, const char *path, const char *interface, void *userdata, void **ret,
                   sd_bus_error *error);
int bus_relay_enumerate(sd_bus *bus, const char *prefix, void *userdata, char ***ret, sd_bus_error *error);
int bus_relay_append(sd_bus_message *m, Relay *relay); /* as ListRelays gives it */
/* As GetRelays gives them: with the properties of these names (a strv; none: with all). */
int bus_relays_append(sd_bus_message *m, Relay *const *relays, size_t n, char *const *names);
/* The values of all properties whose changes are announced, to be compared; owned by the caller. */
char *bus_relay_texts(const Relay *relay);
int bus_relay_emit_texts(sd_bus *bus, const Relay *relay); /* announces that they changed */
/* "" for none */
const char *bus_group_name(const Relay *relay);
const char *bus_assigned_name(const Relay *relay);
const char *bus_relay_reason(const Relay *relay);
