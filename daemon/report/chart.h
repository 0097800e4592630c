/* SPDX-License-Identifier: BSD-3-Clause */
/* The chart of a report as a script for gnuplot: memory of each row over time with the 95 % interval of its
 * mean, or a line for each relay; restarts and moves marked. Nothing in a name can become a command. Pure. */
#pragma once

#include "report/report.h"

typedef enum ChartKind {
    CHART_ROWS,    /* a line with its band for each row */
    CHART_RELAYS,  /* a line for each relay */
    CHART_TRAFFIC, /* what each row's relays moved, by the day, as CHART_ROWS */
} ChartKind;

typedef enum ChartShape {
    CHART_WIDE,   /* SVG for a page on a desktop */
    CHART_NARROW, /* and on a phone: without background, so that the page's is visible */
    CHART_SVG,    /* a file of its own */
    CHART_PNG,
} ChartShape;

/* The colour of a row's lines, "#rrggbb". Colours that are used again are distinguished by dashes. */
const char *chart_color(size_t row);
bool chart_dashed(size_t row);

char *chart_script(const Report *report, ChartKind kind, ChartShape shape);

/* What gnuplot wrote, as an element for a page: without the prologue, and with `prefix` before all of its
 * ids, because those of two charts are the same. NULL: it is not SVG. */
char *chart_inline(const char *svg, const char *prefix);
