/* SPDX-License-Identifier: BSD-3-Clause */
/* Tries an allocator where it must work: in a transient unit with the sandbox of a relay's own unit, and
 * under the AppArmor profile that the relay's process really has. What would be refused there silently is
 * refused here, before anybody is restarted. And has the relay's configuration verified likewise. */
#pragma once

#include "manager/model.h"

typedef struct Preflight Preflight;
typedef enum PreflightAnswer {
    PREFLIGHT_FINE,
    PREFLIGHT_REFUSES,
    PREFLIGHT_UNTESTED, /* the host was short of something: nothing is known of the allocator */
} PreflightAnswer;
typedef void (*PreflightCallback)(void *userdata, PreflightAnswer answer, const char *reason);
/* Tries the allocator in the sandbox of the relay's unit; answers once unless freed. -ENOTCONN: the bus is
 * gone; when it goes later, no answer comes. */
int preflight_start(const Relay *relay, size_t allocator, PreflightCallback callback, void *userdata,
                    Preflight **ret);
/* The same of the relay's own configuration: runs the unit's command that verifies it (which there must be).
 * PREFLIGHT_REFUSES: the relay would not come up again. */
int preflight_start_config(const Relay *relay, PreflightCallback callback, void *userdata, Preflight **ret);
Preflight *preflight_free(Preflight *p);
