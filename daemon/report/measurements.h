/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of measurements that 1AEO's scripts write (memory_measurements.csv), row by row:
 *   timestamp,server,type,fingerprint,nickname,group,rss_kb,vmsize_kb,hwm_kb,frag_ratio,count,total_kb,…
 * Columns are found by name, in any order; timestamp, nickname and rss_kb must be there. If there is a
 * fingerprint, it says whose row it is. Our own columns allocator, version and started (a timestamp) are also
 * read, and flags ("Fast,Guard,Running"; "none": in no consensus; empty: not told).
 *
 * Their table of bandwidth (bandwidth_measurements.csv) has the same columns timestamp, fingerprint and
 * nickname, and write_bps: bytes in a second, the mean of a time around the timestamp, mostly of a day. Pure.
 */
#pragma once

#include "core/sample.h"

#define MEASUREMENT_COLUMNS_MAX 64
#define MEASUREMENT_NAME_MAX 255

typedef enum MeasurementColumn {
    MEASUREMENT_TIMESTAMP,
    MEASUREMENT_SERVER,
    MEASUREMENT_TYPE,
    MEASUREMENT_FINGERPRINT,
    MEASUREMENT_NICKNAME,
    MEASUREMENT_GROUP,
    MEASUREMENT_RSS,
    MEASUREMENT_HWM,
    MEASUREMENT_ALLOCATOR,
    MEASUREMENT_VERSION,
    MEASUREMENT_STARTED,
    MEASUREMENT_FLAGS,
    MEASUREMENT_WRITE,
    _MEASUREMENT_COLUMN_MAX,
} MeasurementColumn;

typedef struct MeasurementTable {
    bool bandwidth;                      /* set by the caller: a table of bandwidth, else of memory */
    ssize_t at[_MEASUREMENT_COLUMN_MAX]; /* where each column stands; -1: not there */
    size_t n_columns;
    usec_t last; /* time of the last good row */
    char *last_text;
    size_t last_length;
    bool last_offset;
    /* what a caller says when the file was read */
    uint64_t with_offset, without_offset; /* rows whose time has a UTC offset, and rows in local time */
    uint64_t not_running;                 /* rows of relays without memory */
} MeasurementTable;
void measurement_table_clear(MeasurementTable *table);

typedef struct Measurement {
    Span server;
    usec_t time;
    SampleRow row;
    double written; /* of a table of bandwidth: bytes in a second */
} Measurement;

/* Reading changes the lines, which come without their newline. Both functions give -EINVAL with what is wrong
 * in *ret_error, owned by the caller. A row gives -ENOTSUP where a spreadsheet has written its numbers or
 * dates in a format of its own, which all rows will have. */
int measurement_table_header(MeasurementTable *table, char *line, size_t n, char **ret_error);
/* 1: a measurement of a relay, its strings spans of `line`; 0: a line that holds none (empty, an aggregate,
 * a relay that did not run, the header once more). `torn`: the file ends on this line without a newline. */
int measurement_table_row(MeasurementTable *table, char *line, size_t n, bool torn, Measurement *ret,
                          char **ret_error);
