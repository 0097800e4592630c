/* SPDX-License-Identifier: BSD-3-Clause */
/* The formats of a report that need a library: JSON. */
#pragma once

#include "core/report.h"
#include "ctl-source.h"

struct json_object;
/* The report with everything in it, members included. `source` says what it was asked. */
struct json_object *ctl_report_json(const CtlSource *source, const Report *report);
/* A number, null when it is NAN. */
struct json_object *ctl_json_real(double value);
/* [low, high], null when there is none. */
struct json_object *ctl_json_interval(Interval interval);
