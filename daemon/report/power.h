/* SPDX-License-Identifier: BSD-3-Clause */
/* How much more time, or how many more relays, until a report can distinguish two groups? From what differs
 * between relays, which time does not reduce, and from what differs between the halves of each relay's time,
 * which it does. Pure. */
#pragma once

#include "report/stats.h"

/* A difference is found in 80 of 100 experiments when it is so many standard errors longer than what chance
 * makes at the confidence asked for. */
#define POWER_ERRORS 0.841621

typedef struct PowerSide {
    size_t n;
    double mean;
    double between; /* variance of a relay's true mean */
    double within;  /* variance of its measured mean around that, at the present length of time */
} PowerSide;

/* Each relay's mean over all of its time and over both halves of it. */
PowerSide power_side(const double *means, const double *first_halves, const double *second_halves, size_t n);

typedef enum PowerKind {
    POWER_TOLD,    /* the difference is larger than what is needed */
    POWER_TIME,    /* `times` the present time will do */
    POWER_RELAYS,  /* time alone will not; `relays` a group would */
    POWER_UNKNOWN, /* too few relays, or no difference at all */
} PowerKind;

typedef struct Power {
    PowerKind kind;
    double times;
    size_t relays;
} Power;

/* At the current difference and spread; `error`: of the interval that is to tell, 0.05 or less. */
Power power_needed(const PowerSide *a, const PowerSide *b, double error);
