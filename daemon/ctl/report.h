/* SPDX-License-Identifier: BSD-3-Clause */
/* What report shares with experiment and recommend, and its formats that need a library or a program: JSON,
 * the page and the chart. */
#pragma once

#include "ctl/lib/samples.h"
#include "report/report-text.h"

/* What report, experiment and recommend have in common. */
enum {
    REPORT_OPTION_BASELINE = SOURCE_OPTION_END,
    REPORT_OPTION_SEED,
    REPORT_OPTION_COMPARE,
    REPORT_OPTION_UNCORRECTED,
    REPORT_OPTION_END,
};
#define REPORT_LONG_OPTIONS                                                                                  \
    SOURCE_LONG_OPTIONS, { "baseline", required_argument, NULL, REPORT_OPTION_BASELINE },                    \
        { "compare", required_argument, NULL, REPORT_OPTION_COMPARE },                                       \
        { "bandwidth", required_argument, NULL, SOURCE_OPTION_BANDWIDTH },                                   \
        { "uncorrected", no_argument, NULL, REPORT_OPTION_UNCORRECTED },                                     \
    {                                                                                                        \
        "seed", required_argument, NULL, REPORT_OPTION_SEED                                                  \
    }
#define REPORT_OPTIONS_DEFAULT                                                                               \
    (ReportOptions)                                                                                          \
    {                                                                                                        \
        .seed = 1                                                                                            \
    }
/* The arguments of a verb that has no other options and judges a period. 0, or EXIT_USAGE after a message. */
int ctl_report_arguments(int argc, char *argv[], const CtlOptions *options, CtlSource *ret_source,
                         ReportOptions *ret_report);
/* Reads the source and makes its report; both are to be cleared. 0, or an ExitStatus after a message. */
int ctl_report_read(CtlSource *source, const ReportOptions *options, SamplesBy by,
                    const SamplesEvents *events, Series *ret_series, Report *ret);

struct json_object;
/* The report with everything in it, members included. `source` says what was asked. */
struct json_object *ctl_report_json(const CtlSource *source, const Report *report, char *const *notes);
/* A number, null when it is NAN. */
struct json_object *ctl_json_real(double value);
/* [low, high], null when there is none. */
struct json_object *ctl_json_interval(Interval interval);

/* What the daemon told while it was measured. */
typedef struct ReportEvents {
    ReportEvent *items;
    size_t n, capacity;
} ReportEvents;
void ctl_report_events_clear(ReportEvents *events);
/* A JournalEventFunc; `userdata` is a ReportEvents. */
int ctl_report_event(const JournalEvent *event, void *userdata);

/* Both print on stdout and return an ExitStatus. Without gnuplot the page has no charts and says so. */
int ctl_report_page(const CtlOptions *options, const Report *report, char *const *notes,
                    const ReportEvents *told);
int ctl_report_chart(const Report *report, bool png);
