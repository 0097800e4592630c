/* SPDX-License-Identifier: BSD-3-Clause */
/* What a human is told of besides the journal: the unit that is started for it, and how often. Pure. */
#pragma once

#include "core/util.h"

typedef enum AlertKind {
    ALERT_HALTED, /* a rollout; of the relay that failed first */
    ALERT_DOWN,   /* a relay is down, by itself */
    ALERT_LOST,   /* a relay could not be put back, or was left as it is */
    ALERT_FULL,   /* the host's memory runs out; of the relay that grows most */
    ALERT_LARGE,  /* a relay has more memory than watch.rss */
    _ALERT_MAX,
} AlertKind;

/* "relayalloc-alert@down-relay1.service": the instance is "EVENT/RELAY" as systemd-escape(1) writes it, so
 * that %i is "down-relay1" and %I "down/relay1" (systemd.unit(5)). A name for which a unit has no room is
 * cut. Owned by the caller. */
char *alert_unit(AlertKind kind, const char *relay);

#define ALERT_PAUSE USEC_PER_HOUR                /* between two of the same unit */
#define ALERT_HALTED_PAUSE (5 * USEC_PER_MINUTE) /* likewise: somebody has resumed in between */
#define ALERTS_AN_HOUR 20                        /* of all units together; a halt is told all the same */

typedef struct AlertPast {
    char *unit;
    AlertKind kind;
    usec_t at; /* monotonic */
} AlertPast;

/* Those of the last hour. All zero: none. */
typedef struct Alerts {
    AlertPast *past;
    size_t n, capacity;
    bool told_many; /* it was said that there are too many, and there have not been fewer since */
} Alerts;
void alerts_clear(Alerts *alerts);

typedef enum AlertTurn {
    ALERT_START,
    ALERT_TOO_SOON, /* the same was started a moment ago */
    ALERT_TOO_MANY, /* for the first time: to be said */
    ALERT_STILL_MANY,
} AlertTurn;
/* Remembered with ALERT_START, as started now. */
AlertTurn alerts_add(Alerts *alerts, AlertKind kind, const char *unit, usec_t now);
/* It was not started after all. */
void alerts_forget(Alerts *alerts, const char *unit);
