/* SPDX-License-Identifier: BSD-3-Clause */
/* One allocator to use, from a report, and its drawbacks. Never one that is growing, nor one whose saving is
 * not certain, nor one that the data show to cost bandwidth or flags. Pure. */
#pragma once

#include "report/report.h"

/* How often a relay could not be moved to an allocator; from the journal's events. */
typedef struct RecommendFailures {
    const char *allocator; /* its name in the configuration */
    unsigned count;
} RecommendFailures;

typedef struct Recommendation {
    const ReportRow *row; /* NULL: none */
    const char *reason;   /* why none, a constant; else NULL */
    bool no_data;         /* none because nothing was measured here that could be judged */
    size_t fleet;         /* relays at the last collection */
    size_t running;       /* of them run it already */
    double present;       /* bytes that the fleet uses as it is */
    double with_it;       /* bytes that it would use if all of it ran this */
    double saving;        /* present - with_it */
    Interval saving_interval;
    unsigned failures;
    char *text; /* the paragraph, without a final newline */
} Recommendation;

Recommendation recommend(const Report *report, const RecommendFailures *failures, size_t n_failures);
void recommendation_clear(Recommendation *r);
