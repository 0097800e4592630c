/* SPDX-License-Identifier: BSD-3-Clause */
/* What a report compares with what: the baseline, the time that both ran, the line of the waiting time, and
 * the intervals. Of report.c alone. Pure. */
#pragma once

#include "report/report.h"

/* ---- the same time ---- */

typedef struct Period {
    usec_t from, to; /* nothing when from >= to */
} Period;
#define PERIOD_NONE ((Period){ USEC_INFINITY, 0 })
#define PERIOD_ALL ((Period){ 0, USEC_INFINITY })

static inline Period period_both(Period a, Period b)
{
    return (Period){ a.from > b.from ? a.from : b.from, a.to < b.to ? a.to : b.to };
}

static inline void period_widen(Period *period, Period by)
{
    period->from = by.from < period->from ? by.from : period->from;
    period->to = by.to > period->to ? by.to : period->to;
}

/* ---- the comparison ---- */

/* Sets report->baseline, to -1 where nobody ran glibc and `name` is NULL. 0; -ENOENT with a message. */
int report_find_baseline(Report *report, const char *name, char **ret_error);
/* Compares all rows with it, which may find that nothing ran it beside them. */
void report_compare(Report *report, const ReportOptions *options);
/* Compares two rows by a value of each member, NAN where there is none; a relay in both is one subject. */
Comparison report_compare_means(const Report *report, const ReportRow *row, const double *values,
                                const ReportRow *base, const double *base_values, double error);
/* Does the row take part? Not the baseline itself, and not the time before. */
bool report_is_compared(const Report *report, const ReportRow *row);
