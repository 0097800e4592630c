/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows of a report, before they are compared: their members, who of them counts, averages and growth. Of
 * report.c and report-compare.c alone. Pure. */
#pragma once

#include "report/report.h"

/* One row for each key that somebody ran, least memory first, with room for one more. */
void report_rows_build(const Series *series, Report *report);
/* All that follows from the row's members. */
void report_row_settle(const Series *series, ReportRow *row);
void report_rows_sort(Report *report);
