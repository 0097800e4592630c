/* SPDX-License-Identifier: BSD-3-Clause */
/* Who calls over one connection, and how much of our time each user has left. The bus is asked for the user
 * of a sender, and not waited for: until it answers the sender is a stranger, and all strangers share one
 * budget. Root, and the user that the daemon runs as, have no budget: they may do more than call too often.
 */
#pragma once

#include "core/util.h"

#include <systemd/sd-bus.h>

typedef struct Callers Callers;

/* The user of a sender has become known. `error`: 0, or negative errno: it has gone. */
typedef void (*CallersKnown)(void *userdata, const char *sender, int error, uid_t uid);

/* `bus`: whom to ask; it outlives them. */
Callers *callers_new(sd_bus *bus, CallersKnown known, void *userdata);
Callers *callers_free(Callers *callers);

/* 0 and the user of a sender; -EAGAIN: callers_admit() has asked for it, and the answer comes. */
int callers_user(const Callers *callers, const char *sender, uid_t *ret);
static inline bool callers_is_root(uid_t uid)
{
    return uid == 0 || uid == geteuid();
}

typedef enum Admission {
    ADMITTED,
    REFUSED, /* to be answered with an error */
    IGNORED, /* too much even for that */
} Admission;
/* May this call come in? `now`: monotonic. */
Admission callers_admit(Callers *callers, const char *sender, usec_t now);
/* What a call that was admitted has cost: µs of CPU time. */
void callers_charge(Callers *callers, const char *sender, usec_t now, usec_t cost);
