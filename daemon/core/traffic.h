/* SPDX-License-Identifier: BSD-3-Clause */
/* How much a relay reads and writes, by the day. Anything finer is what somebody who watches the network
 * would like to seize; tor itself publishes no more of its own (dir-spec, "write-history"). Pure. */
#pragma once

#include "core/util.h"

/* As tor does it: rounded down to whole KiB. */
#define TRAFFIC_UNIT 1024U

typedef struct Traffic {
    uint64_t read, written; /* bytes, multiples of TRAFFIC_UNIT */
    usec_t since, until;    /* realtime */
} Traffic;

/* The present day of one process, which is kept in memory alone. All zero: nothing is known yet. */
typedef struct TrafficDay {
    usec_t begins, last;              /* monotonic */
    usec_t since, until;              /* the same as realtime */
    uint64_t read, written;           /* tor's counters when it began, */
    uint64_t last_read, last_written; /* and when it was last asked */
    bool partial; /* it began neither with the process nor with the end of the day before */
} TrafficDay;

/* At a moment, by both clocks (the length of a day is measured by the one that is never set). */
typedef struct TrafficTime {
    usec_t monotonic, realtime;
} TrafficTime;

/* The relay says that its process, which started at `started` (realtime), has read and written so much. Its
 * first day begins with it, or now if that is longer ago than a day, which has `length` µs. true: a whole day
 * is over, and here is what was moved in it; the next one begins. */
bool traffic_count(TrafficDay *day, usec_t length, usec_t started, TrafficTime now, uint64_t read,
                   uint64_t written, Traffic *ret);

/* The process has ended: what it moved since its day began, as far as it was asked. false: nothing is known,
 * or only of a part of the day. */
bool traffic_end(TrafficDay *day, Traffic *ret);

/* "relay7: 41.2 GiB read and 41.9 GiB written in 1 day". Owned by the caller. */
char *traffic_sentence(const char *relay, const Traffic *traffic);
