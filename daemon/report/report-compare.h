/* SPDX-License-Identifier: BSD-3-Clause */
/* What a report compares with what: the baseline, the time that both ran, the line of the waiting time, and
 * the intervals. Of report.c alone. Pure. */
#pragma once

#include "report/report.h"

/* Sets report->baseline, to -1 where nobody ran glibc and `name` is NULL. 0; -ENOENT with a message. */
int report_find_baseline(Report *report, const char *name, char **ret_error);
/* Compares all rows with it, which may find that nothing ran it beside them. */
void report_compare(Report *report, const ReportOptions *options);
