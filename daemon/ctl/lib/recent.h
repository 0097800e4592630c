/* SPDX-License-Identifier: BSD-3-Clause */
/* The last events of one relay, as root logged them into the journal of this host. Only reads. */
#pragma once

#include "core/util.h"

typedef struct RecentEvent {
    usec_t time;      /* realtime */
    const char *name; /* message_name() */
    char *message;    /* one line without control characters */
} RecentEvent;

typedef struct RecentEvents {
    RecentEvent *items; /* oldest first */
    size_t n;
} RecentEvents;
void recent_events_clear(RecentEvents *events);

/* At most `most` of them. 0; negative errno, nothing said. */
int recent_events_read(const char *relay, size_t most, RecentEvents *ret);
