/* SPDX-License-Identifier: BSD-3-Clause */
/* What the relays of this host have read and written in their last whole day, from the journal: the one place
 * where that is. */
#pragma once

#include "ctl/lib/ctl.h"

typedef struct TrafficDays {
    struct TrafficOfRelay {
        char *relay;
        uint64_t bytes; /* both together */
    } * items;
    size_t n, capacity;
} TrafficDays;
void traffic_days_clear(TrafficDays *days);

/* 0, and nothing when the journal may not be read; -EREMOTE, and nothing: another host is asked, by its bus
 * alone. */
int traffic_days_read(const CtlOptions *options, TrafficDays *ret);
/* false: there was no whole day in the last two. */
bool traffic_days_find(const TrafficDays *days, const char *relay, uint64_t *ret);
