/* SPDX-License-Identifier: BSD-3-Clause */
/* What top's two halves share: ctl/top.c watches the daemon and the keyboard, ctl/top-draw.c puts the screen
 * together. */
#pragma once

#include "ctl/lib/fleet.h"
#include "ctl/lib/manager.h"
#include "ctl/lib/spark.h"
#include "ctl/lib/traffic.h"

typedef enum TopColumn {
    TOP_RELAY,
    TOP_GROUP,
    TOP_RUNNING,
    TOP_VERSION,
    TOP_STATE,
    TOP_RSS,
    TOP_PEAK,
    TOP_SINCE,
    TOP_READY,
    TOP_TRAFFIC,
    TOP_FLAGS,
    TOP_HOUR,
    _TOP_COLUMN_MAX,
} TopColumn;

typedef struct Top {
    Fleet fleet;
    ManagerStatus manager;
    Sparks sparks;
    TrafficDays days;
    usec_t days_read; /* realtime: when */
    usec_t now;       /* realtime, of what is shown */
    bool gone;        /* the daemon does not run at present: what is shown is old */
    bool help;        /* show the keys instead */
    bool color;
    const CtlOptions *options;
    TopColumn sort;
    bool reverse;
    size_t offset; /* first row that is shown */
} Top;

/* Sorts the rows and draws the whole screen. */
void top_draw(Top *top);
/* The column that a key sorts by, or -1. */
int top_sort_key(int key);
/* Rows of relays that fit on the screen. */
size_t top_page(void);
