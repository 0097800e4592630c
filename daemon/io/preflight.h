/* SPDX-License-Identifier: BSD-3-Clause */
/* Tries an allocator where it must work: in a transient unit with the sandbox of a relay's own unit, and
 * under the AppArmor profile that the relay's process really has. What would be refused there silently is
 * refused here, before anybody is restarted. And has the relay's configuration verified likewise. */
#pragma once

#include "core/facts.h"
#include "io/systemd1.h"

#include <systemd/sd-event.h>

typedef struct Preflight Preflight;
typedef enum PreflightAnswer {
    PREFLIGHT_FINE,
    PREFLIGHT_REFUSES,
    PREFLIGHT_UNTESTED, /* the host was short of something: nothing is known of the allocator */
} PreflightAnswer;
typedef void (*PreflightCallback)(void *userdata, PreflightAnswer answer, const char *reason);

/* The first five outlive the preflight, the others are copied. */
typedef struct PreflightAsk {
    sd_event *event;
    Systemd1 *const *systemd; /* what it points to is NULL while the bus is gone */
    uint64_t *counter;        /* of all preflights of this process: each unit gets a name of its own */
    const char *probe;        /* path of the probe */
    const RelayFacts *relay;
    const Allocator *allocator;    /* these two for preflight_start() alone */
    const AllocatorFacts *library; /* what was found of it; with a path */
} PreflightAsk;

/* Tries the allocator in the sandbox of the relay's unit; answers once unless freed. -ENOTCONN: the bus is
 * gone; when it goes later, no answer comes. */
int preflight_start(const PreflightAsk *ask, PreflightCallback callback, void *userdata, Preflight **ret);
/* The same of the relay's own configuration: runs the unit's command that verifies it (which there must be).
 * PREFLIGHT_REFUSES: the relay would not come up again. */
int preflight_start_config(const PreflightAsk *ask, PreflightCallback callback, void *userdata,
                           Preflight **ret);
Preflight *preflight_free(Preflight *p);
DEFINE_CLEANUP(Preflight, preflight_free)
