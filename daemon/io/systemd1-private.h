/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of io/systemd1, shared by its three files: systemd1.c (calls and signals), systemd1-unit.c (a
 * unit's properties), systemd1-transient.c (a program in a unit's sandbox). */
#pragma once

#include "io/systemd1.h"

#define DESTINATION "org.freedesktop.systemd1"
#define OBJECT "/org/freedesktop/systemd1"
#define UNIT_PREFIX "/org/freedesktop/systemd1/unit"
#define MANAGER "org.freedesktop.systemd1.Manager"

/* systemd answers Reload when it is done, and starting a job waits for a reload in progress: sd-bus's own 25
 * s are too short for both on a host with many units. */
#define LONG_CALL (10 * USEC_PER_MINUTE)

struct Systemd1Call {
    Systemd1 *s;
    Systemd1Call *next, *previous;
    bool sent;
    sd_bus_slot *slot;
    sd_bus_message *waiting; /* to be sent when others have been answered */
    sd_bus_message_handler_t handler;
    usec_t timeout;
    Systemd1Call *next_waiting;
    union {
        Systemd1UnitsCallback units;
        Systemd1UnitCallback unit;
        Systemd1JobCallback job;
        Systemd1DoneCallback done;
    } callback;
    void *userdata;
    /* of a unit read, and of a transient unit, which is a read first */
    char *unit;
    char *transient;
    char **argv, **environment;
    int output;
};

struct Systemd1 {
    sd_bus *bus;
    Systemd1Events events;
    void *userdata;
    char *owner; /* unique name; NULL: not known or not there */
    Systemd1Call *calls, *first_waiting;
    size_t n_sent;
    bool closing;
    size_t n_watches;
    sd_bus_slot *match_units; /* all units; NULL while they are few */
    sd_bus_slot *match_job, *match_new, *match_removed, *match_reloading, *match_owner, *subscribe,
        *get_owner;
};

/* A call that will be sent; systemd1_cancel() frees it. */
Systemd1Call *systemd1_call_new(Systemd1 *s, void *userdata);
/* Sends; on failure the call is gone and nothing will be called back. */
int systemd1_call_send(Systemd1Call *call, sd_bus_message *m, sd_bus_message_handler_t handler,
                       usec_t timeout, Systemd1Call **ret);
/* A call of the manager's method. */
int systemd1_message(Systemd1 *s, sd_bus_message **ret, const char *member);
/* The error of a reply: 0, or negative errno and systemd's words. */
int systemd1_reply_error(sd_bus_message *reply, const char **ret_message);
/* A call for the properties of all interfaces of a unit. */
int systemd1_get_all(Systemd1 *s, const char *unit, sd_bus_message **ret);
/* Does the property of this name decide what a process may see and load? */
bool systemd1_in_sandbox(const char *property);
/* Hands a job's path to the call's job callback. */
int systemd1_on_job(sd_bus_message *reply, void *userdata, sd_bus_error *error);
