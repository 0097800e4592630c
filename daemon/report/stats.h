/* SPDX-License-Identifier: BSD-3-Clause */
/* The few statistics that a report needs: the bootstrap that compares two sets of relays, Theil–Sen slopes,
 * Student's t. Each is tested against GSL. Pure. */
#pragma once

#include "core/util.h"

/* ---- moments and order ---- */

double stats_mean(const double *x, size_t n);     /* NAN of nothing */
double stats_variance(const double *x, size_t n); /* of a sample (n - 1); NAN below two */
/* The k-th smallest, k from 0; changes the order of x. */
double stats_select(double *x, size_t n, size_t k);
/* The middle, or the mean of the two in the middle; changes the order of x. NAN of nothing. */
double stats_median(double *x, size_t n);

/* The value that Student's t with `df` degrees of freedom exceeds with probability 1 - p; 0.5 <= p < 1. */
double stats_t_quantile(double p, double df);

typedef struct Interval {
    double low, high; /* NAN: none */
} Interval;
#define INTERVAL_NONE ((Interval){ __builtin_nan(""), __builtin_nan("") })
static inline bool interval_is_set(Interval i)
{
    return i.low <= i.high;
}

/* 95 % interval of the mean by Student's t: for values that are nearly normal, such as slopes. None below
 * two values. */
Interval stats_mean_interval(const double *x, size_t n);

/* ---- slopes ---- */

typedef struct Point {
    double x, y;
    unsigned run; /* pairs are made within one run only: from one start of a process to the next */
} Point;
/* Theil–Sen: the median of the slopes of all pairs of points of the same run with different x. Points of a
 * run stand together. 0; -ENODATA: no such pair. */
int stats_theil_sen(const Point *points, size_t n, double *ret_slope, size_t *ret_pairs);

/* ---- the comparison ---- */

/* A relay in a comparison: its mean under a and under b. One that ran both is in both. */
typedef struct Subject {
    double a, b;
    bool in_a, in_b;
} Subject;

#define STATS_DRAWS 9999
/* With fewer relays than this on either side there is no interval: resampling two values shows nothing. */
#define STATS_SUBJECTS_MIN 3

typedef struct Comparison {
    size_t n_a, n_b;
    double mean_a, mean_b;
    double reduction;  /* 1 - mean_a / mean_b; NAN where it has no meaning */
    Interval interval; /* of the reduction */
} Comparison;

/* How much less a is than b. The interval is the symmetric studentised bootstrap interval of the logarithm of
 * the ratio, over relays: it contains the true value in 94 to 96 % of simulated fleets of ten relays per
 * side, skewed ones included, where the percentile and BCa intervals contain it in 89 to 92 %. If some relays
 * are on both sides and others are not, it is Student's t on their influence, too wide rather than too
 * narrow. `error` is how often it may miss the true value: 0.05, or less where several intervals are to hold
 * together. The outcome depends on the values, their order and the seed alone. Values are positive. */
Comparison stats_compare(const Subject *subjects, size_t n, uint64_t seed, double error);

/* Fisher's exact test, one-sided: how likely are `kept_a` of `n_a` or fewer, if a and b keep alike and as
 * many in all as they do? 1 where there is nothing to tell apart. */
double stats_fisher(size_t kept_a, size_t n_a, size_t kept_b, size_t n_b);
