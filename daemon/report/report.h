/* SPDX-License-Identifier: BSD-3-Clause */
/* From the folded samples to the table: how much memory the relays of each allocator (or group) use, how much
 * less than the baseline's, how certain that is, and whether it is still growing. The unit is the relay: its
 * mean over the time counted, then the mean over relays. Pure. */
#pragma once

#include "report/flags.h"
#include "report/growth.h"

#define REPORT_WARMUP (48 * USEC_PER_HOUR)
#define REPORT_BASELINE "glibc"
/* A relay with less than this part of the median time of its row does not count: its mean is of another
 * time. */
#define REPORT_TIME_MIN 0.1

/* What to leave out after a start: 48 h, but no more than half of the time covered by samples. */
usec_t report_warmup(usec_t first, usec_t last);
/* The width of slices that makes some hundreds of them. */
usec_t report_slice(usec_t first, usec_t last);

typedef struct ReportOptions {
    const char *baseline; /* group or allocator ("glibc", "glibc 2.36"); NULL: glibc where there is one */
    uint64_t seed;
    bool warmup_given; /* the warm-up was asked for, not chosen by report_warmup() */
    bool whenever;     /* compare with all time of the baseline, that before the moves included, not only with
                          what ran beside */
    bool uncorrected;  /* each interval for its row alone */
} ReportOptions;

/* What the relays of a row moved, and how it differs from what those of the baseline did. */
typedef struct ReportTraffic {
    double per_day;    /* bytes a relay and 24 h; NAN: not known */
    size_t relays;     /* of which it is known */
    double days;       /* of 24 h, of all of them */
    double difference; /* part of the baseline's, below zero: less; NAN */
    Interval interval; /* of the difference */
    const char *why;   /* there is no interval, a constant; NULL: there is, or none is due */
} ReportTraffic;

/* One flag of the relays of a row. */
typedef struct ReportFlag {
    double share;     /* of the relay-time for which flags are known; NAN: of none */
    size_t had, kept; /* relays that had it before they ran this; and had it at last */
    size_t had_ripe,
        kept_ripe; /* of them those that have run for long enough to have it back after a restart */
    unsigned restarts, lost, back; /* restarts of relays that had it; that lost it; and it came back */
    double back_seconds;           /* after the start, the median; NAN */
} ReportFlag;

typedef struct ReportMember {
    char *name;
    size_t relay, track;
    double mean;          /* bytes; NAN: nothing counted */
    double per_day;       /* bytes; NAN */
    bool mixed;           /* it ran under another key, too, which counts there */
    const char *left_out; /* why its mean does not count, a constant; NULL: it counts */
    double moved;         /* bytes in 24 h; NAN: not known */
} ReportMember;

typedef struct ReportRow {
    size_t key;
    const char *group, *allocator, *version; /* "" : none, unknown; owned by the Series */
    size_t relays;                           /* that count */
    size_t left_out;
    size_t mixed;     /* of those that count */
    size_t young;     /* with at: had run for less than the warm-up */
    double average;   /* bytes; NAN */
    double deviation; /* standard deviation between relays; NAN */
    bool baseline;
    bool waiting;          /* the one line of what relays ran before they were moved: of several keys, of no
                              group, not judged and not compared; a relay may be a member more than once */
    Comparison comparison; /* with the baseline; all NAN without one, and for it itself */
    const char *why; /* there is no reduction or no interval, a constant; NULL: there are, or none is due */
    Growth growth;
    ReportTraffic traffic;
    ReportFlag flags[_FLAG_MAX];
    double looked;             /* relay time for which flags are known, s */
    usec_t counted, warm, gap; /* relay time */
    uint64_t samples;
    unsigned restarts, moves; /* moves: starts that changed the key */
    ReportMember *members;    /* by name */
    size_t n_members;
} ReportRow;

typedef struct Report {
    const Series *series;
    ReportRow *rows; /* least memory first, those without any last */
    size_t n_rows;
    ssize_t baseline; /* index of the row; -1: none */
    uint64_t seed;
    bool warmup_given;
    bool beside;                 /* each row is compared over the time that both it and the baseline ran */
    char *without_control;       /* what the baseline would have been, if anything had run it beside; NULL */
    size_t compared;             /* rows with an interval */
    double error;                /* of each interval: 0.05, or the part of it that each of them gets */
    bool has_traffic, has_flags; /* of some row it is known */
    size_t traffic_compared;     /* rows with an interval of the difference, */
    double traffic_error;        /* and the error of each */
    usec_t at_first, at_last;    /* times of the collection; 0 without at */
    size_t relays;               /* different ones, in all rows */
    size_t mixed, left_out;
    usec_t counted, warm, gap;
    unsigned restarts, moves;
} Report;

/* The series is finished, and outlives the report. 0; with a message in *ret_error: -ENODATA: no samples (or
 * none near to at); -ENOENT: no such baseline. */
int report_build(const Series *series, const ReportOptions *options, Report *ret, char **ret_error);
void report_clear(Report *report);

/* The row that counts it; NULL: none. */
const ReportRow *report_row_of_track(const Report *report, size_t track);

/* What its rows are: "group", "host" or "allocator". */
const char *report_by(const Report *report);

/* "B", "mimalloc 2.0.9", "no group", "B (glibc 2.36)" if group B has several rows: the name of a row in a
 * sentence. Owned by the caller. */
char *report_row_name(const Report *report, const ReportRow *row);

/* What the table is based on, a strv of sentences, to be printed below it. */
char **report_notes(const Report *report);

/* What a row costs in bandwidth and flags as one sentence without its end: "bandwidth differs by -0.4 % (-2.1
 * to +1.2 %), Guard kept by 10 of 10"; NULL: the report knows nothing of either. Owned by the caller. */
char *report_cost_sentence(const Report *report, const ReportRow *row);
/* Why it costs bandwidth or flags, as far as the data show it: "costs bandwidth (-50 to -44 %)", "loses Guard
 * (kept by 2 of 10, with glibc by 10 of 10)"; NULL: it does not, or nothing shows it. Owned by the caller. */
char *report_cost_objection(const Report *report, const ReportRow *row);
/* "-0.4 % (-2.1 to +1.2 %)"; "" : no difference is known. Owned by the caller. */
char *report_difference_text(const ReportTraffic *traffic);

/* ---- curves ---- */

typedef struct CurvePoint {
    usec_t time;
    double mean; /* bytes */
    Interval interval;
    size_t relays;
} CurvePoint;

/* The row's memory over time, warm-ups and relays left out included. Owned by the caller. */
CurvePoint *report_curve(const Report *report, const ReportRow *row, size_t *ret_n);
/* What the row's relays moved in 24 h, day by day, warm-ups included. Owned by the caller. */
CurvePoint *report_traffic_curve(const Report *report, const ReportRow *row, size_t *ret_n);
