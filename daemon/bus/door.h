/* SPDX-License-Identifier: BSD-3-Clause */
/* Where calls come in. There are two connections to the bus, and both serve the same:
 *
 * - everybody's has the name org.relayalloc1. Any user can fill the queue that dbus-daemon has for it, and as
 *   long as it is full nothing reaches it.
 * - root's has the name org.relayalloc1.Control, to which dbus-daemon lets nobody but root send anything
 *   (units/org.relayalloc1.conf). Over it goes what must not be lost: what we ask of systemd, of polkit
 *   and of the bus, and what root asks of us.
 *
 * A call comes in if its caller has some of our time left (callers.h) and its arguments are few and small.
 * Nothing here waits for an answer, because all that comes in before the answer would have to be kept. */
#pragma once

#include "bus/request.h"
#include "manager/model.h"

typedef struct Door {
    Manager *manager;
    sd_bus *bus; /* NULL: closed */
    sd_bus_slot *slots[8];
    bool named; /* the bus has answered who owns the name; an error is an answer, too, and logged */
    Callers *callers;
    Requests *requests;
} Door;

/* Opens `bus`, of which it keeps a reference, as the one named `name`. */
int door_open(Door *door, Manager *m, sd_bus *bus, const char *name);
void door_close(Door *door);

/* Nothing can be sent: others do not read what we sent before, and dbus-daemon, which keeps it for them,
 * takes no more from us. It passes when they read or go. Changes are kept until then. */
bool door_stalled(const Door *door);

/* CPU time of this process in µs, and so much of it for the account of the caller. */
usec_t door_clock(void);
void door_charge(Door *door, sd_bus_message *call, usec_t cost);
