/* SPDX-License-Identifier: BSD-3-Clause */
/* What the relays of a row moved and which flags they had, and the comparison with the baseline. Of report.c
 * alone. Pure. */
#pragma once

#include "report/report.h"

/* For rows that are compared already; the series' days are settled. */
void report_add_costs(Report *report, const ReportOptions *options);
