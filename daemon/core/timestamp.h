/* SPDX-License-Identifier: BSD-3-Clause */
/* Points in time as people and CSV files write them. Local time is that of the process (tzset(3)). Pure: the
 * current time is passed in. */
#pragma once

#include "core/util.h"

/* What journalctl --since takes, without names of time zones: "2026-01-08 06:00[:01[.5]]" or with a "T",
 * optionally with an offset ("Z", "UTC", "+01:00", "+0100", "+01"), a date alone, a time of day alone, "now",
 * "today", "yesterday", "tomorrow", "@SECONDS", and spans ("-3d", "+2h", "3 days ago"). Realtime. 0;
 * -EINVAL: none of these; -ERANGE: before 1970 or after 9999; -EDOM: a local time that the clocks skipped. */
int timestamp_parse(const char *s, usec_t now, usec_t *ret);

/* One date and time of a table, n bytes. Of a local time that the clocks show twice the first is taken, but
 * the second when the first is before `after` (the row before): rows are in order. *ret_offset: did it have a
 * UTC offset? Errors as above. */
int timestamp_parse_row(const char *s, size_t n, usec_t after, usec_t *ret, bool *ret_offset);

/* "48h", "2 days 12h", "90min", "30" (seconds), as systemd.time(7), whole numbers only. 0; -EINVAL; -ERANGE.
 */
int timespan_parse(const char *s, usec_t *ret);

typedef enum TimestampStyle {
    TIMESTAMP_LOCAL,  /* 2026-01-08T06:00:01 */
    TIMESTAMP_OFFSET, /* 2026-01-08T06:00:01+01:00 */
    TIMESTAMP_UTC,    /* 2026-01-08T05:00:01Z */
    TIMESTAMP_PEOPLE, /* 2026-01-08 06:00 */
} TimestampStyle;
#define TIMESTAMP_MAX 40
const char *timestamp_format(char buf[static TIMESTAMP_MAX], usec_t realtime, TimestampStyle style);
