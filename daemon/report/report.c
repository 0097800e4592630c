/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the table. Must never print, and never show a row without what it is based on. */
#include "report/report.h"

#include "report/report-compare.h"
#include "report/report-cost.h"
#include "report/report-rows.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

usec_t report_warmup(usec_t first, usec_t last)
{
    usec_t half = last > first ? (last - first) / 2 : 0;

    half -= half % (half > 2 * USEC_PER_HOUR ? USEC_PER_HOUR : USEC_PER_MINUTE);
    return half < REPORT_WARMUP ? half : REPORT_WARMUP;
}

usec_t report_slice(usec_t first, usec_t last)
{
    static const unsigned minutes[] = { 1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720 };
    usec_t span = last > first ? last - first : 0;

    for (size_t i = 0; i < ELEMENTSOF(minutes); i++)
        if (span / (minutes[i] * USEC_PER_MINUTE) <= 500)
            return minutes[i] * USEC_PER_MINUTE;
    return USEC_PER_DAY;
}

const char *report_by(const Report *report)
{
    const SeriesOptions *options = &report->series->options;

    return !options->by_group ? "allocator" : options->by_host ? "host" : "group";
}

void report_clear(Report *report)
{
    for (size_t i = 0; i < report->n_rows; i++) {
        for (size_t k = 0; k < report->rows[i].n_members; k++)
            free(report->rows[i].members[k].name);
        free(report->rows[i].members);
    }
    free(report->rows);
    free(report->without_control);
    *report = (Report){ 0 };
}

const ReportRow *report_row_of_track(const Report *report, size_t track)
{
    for (size_t i = 0; track != SERIES_NONE && i < report->n_rows; i++)
        for (size_t k = 0; k < report->rows[i].n_members; k++)
            if (report->rows[i].members[k].track == track)
                return &report->rows[i];
    return NULL;
}

/* ---- totals ---- */

static void add_totals(const Series *series, Report *report)
{
    _cleanup_(freep) unsigned char *seen = xcalloc(series->n_relays, 1);

    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        for (size_t k = 0; k < row->n_members; k++) {
            const ReportMember *m = &row->members[k];
            const SeriesRelay *relay = &series->relays[m->relay];
            report->relays += seen[m->relay] == 0;
            if (m->mixed && seen[m->relay] == 0)
                report->mixed++;
            seen[m->relay] = 1;
            if (series->options.at == 0)
                continue;
            if (report->at_first == 0 || relay->at_time < report->at_first)
                report->at_first = relay->at_time;
            if (relay->at_time > report->at_last)
                report->at_last = relay->at_time;
        }
        report->left_out += row->left_out;
        report->counted += row->counted;
        report->warm += row->warm;
        report->gap += row->gap;
        report->restarts += row->restarts;
        report->moves += row->moves;
    }
}

int report_build(const Series *series, const ReportOptions *options, Report *ret, char **ret_error)
{
    Report report = {
        .series = series, .baseline = -1, .seed = options->seed, .warmup_given = options->warmup_given
    };

    report_rows_build(series, &report);
    if (report.n_rows == 0) {
        report_clear(&report);
        *ret_error = series->unproved > 0 && series->unproved == series->samples
                         ? xstrdup("no sample has a proved allocator")
                     : series->options.at > 0 && series->samples > 0 ? xstrdup("no collection at that time")
                                                                     : xstrdup("no samples in that time");
        return -ENODATA;
    }
    int r = report_find_baseline(&report, options->baseline, ret_error);
    if (r < 0) {
        report_clear(&report);
        return r;
    }
    report_compare(&report, options);
    report_add_costs(&report, options);
    add_totals(series, &report);
    *ret = report;
    return 0;
}
