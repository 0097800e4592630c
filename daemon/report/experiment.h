/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a running experiment, from a report by group: were the groups similar before they began, and
 * how long until the report can distinguish them? Pure. */
#pragma once

#include "report/balance.h"
#include "report/power.h"
#include "report/report.h"

/* Groups further apart than this before they began are not readily comparable. */
#define EXPERIMENT_DISTANCE_NOTABLE 0.5

typedef struct ExperimentGroup {
    const ReportRow *row;
    size_t relays;  /* that are in it now */
    usec_t began;   /* when the first of them joined */
    size_t known;   /* relays that have samples from before */
    double memory;  /* their average then, bytes; NAN */
    double age;     /* and how long their processes had run, s; NAN */
    Power power;    /* against the baseline */
    usec_t more;    /* with POWER_TIME: time that is still needed */
    usec_t verdict; /* time until growth can be judged; 0: it can */
} ExperimentGroup;

typedef struct Experiment {
    const Report *report;
    ExperimentGroup *groups; /* in the order of the report's rows, those with relays now */
    size_t n;
    const ReportRow *baseline; /* NULL: none */
    Balance balance;           /* of the relays that are known; NAN: not known */
    size_t known, relays;
    usec_t elapsed;   /* since the first relay joined a group */
    usec_t remaining; /* until it can tell, at the current difference and spread; 0: it can; USEC_INFINITY:
                         time alone will not do, or there is nothing to compare with */
} Experiment;

Experiment experiment_build(const Report *report);
void experiment_clear(Experiment *experiment);
/* A strv of sentences. */
char **experiment_notes(const Experiment *experiment);
