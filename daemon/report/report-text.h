/* SPDX-License-Identifier: BSD-3-Clause */
/* A report as text: the cells that table, Markdown and HTML share, and the formats that need no library.
 * Names come from the journal and from files, so each format escapes them. Pure. */
#pragma once

#include "report/report.h"

typedef enum ReportColumn {
    REPORT_HOST,
    REPORT_GROUP,
    REPORT_ALLOCATOR,
    REPORT_VERSION,
    REPORT_RELAYS,
    REPORT_AVERAGE,
    REPORT_REDUCTION,
    REPORT_INTERVAL,
    REPORT_GROWTH,
    REPORT_VERDICT,
    /* where something is known of them */
    REPORT_TRAFFIC,
    REPORT_BANDWIDTH,
    REPORT_GUARD, /* those of flags in the order of Flag */
    REPORT_HSDIR,
    REPORT_RUNNING,
    REPORT_FAST,
    REPORT_STABLE,
    _REPORT_COLUMN_MAX,
} ReportColumn;

/* "Group", "Average", … */
const char *report_column_title(ReportColumn column);
bool report_column_is_number(ReportColumn column);
/* Is there anything to show in it? */
bool report_has_column(const Report *report, ReportColumn column);
/* "1.16 GiB", "79 to 81 %", in the place of the interval why there is none; "" : nothing. Owned by the
 * caller. */
char *report_cell(const ReportRow *row, ReportColumn column);
/* What an empty cell shows where there is space for words. */
const char *report_empty_cell(ReportColumn column);

/* "group B", "relays of no group", "mimalloc 2.0.9": a row within a sentence. Owned by the caller. */
char *report_row_subject(const Report *report, const ReportRow *row);
/* The finding as one sentence, with what is not sure about it; NULL: there is nothing to compare with. */
char *report_headline(const Report *report);

/* "-12.3 MiB"; always with a sign. */
char *report_signed_bytes(double bytes);

/* Plain numbers with a heading line, for programs. */
void report_write_csv(FILE *f, const Report *report);
/* A table and its notes (a strv), ready for a blog. */
void report_write_markdown(FILE *f, const Report *report, char *const *notes);

/* What happened while it was measured. */
typedef struct ReportEvent {
    usec_t time;
    char *what; /* a sentence */
} ReportEvent;

/* What else a page shows. */
typedef struct ReportPage {
    const char *rows_wide, *rows_narrow;       /* the charts as SVG elements, for a desk and for a phone; */
    const char *relays_wide, *relays_narrow;   /* NULL: none, and `no_chart` says why */
    const char *traffic_wide, *traffic_narrow; /* NULL, too, where no traffic is known */
    const char *no_chart;
    char *const *notes;           /* a strv: what the report rests on */
    const ReportEvent *events;    /* in order of time */
    size_t n_events, more_events; /* more: those that are not listed */
} ReportPage;

/* One file that needs nothing else: no scripts, no network. */
void report_write_html(FILE *f, const Report *report, const ReportPage *page);

/* Text with &, <, >, " and ' escaped, and control characters replaced. */
void report_escape_html(FILE *f, const char *text);
