/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the arithmetic of the report. Must never know what is measured, and must give the same answer on
 * every machine for the same input and seed. */
#include "report/stats.h"
#include "report/rng.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

/* ---- moments and order ---- */

double stats_mean(const double *x, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n > 0 ? sum / (double)n : (double)NAN;
}

double stats_variance(const double *x, size_t n)
{
    double mean = stats_mean(x, n), sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (x[i] - mean) * (x[i] - mean);
    return n > 1 ? sum / (double)(n - 1) : (double)NAN;
}

static void swap(double *a, double *b)
{
    double t = *a;
    *a = *b;
    *b = t;
}

/* Quickselect with the median of three as pivot: linear for the nearly sorted input that slopes are. */
double stats_select(double *x, size_t n, size_t k)
{
    assert(k < n);
    size_t left = 0, right = n - 1;

    while (left < right) {
        size_t middle = left + (right - left) / 2;
        if (x[middle] < x[left])
            swap(&x[middle], &x[left]);
        if (x[right] < x[left])
            swap(&x[right], &x[left]);
        if (x[right] < x[middle])
            swap(&x[right], &x[middle]);
        double pivot = x[middle];
        size_t i = left, j = right;
        for (;
             ;) { /* Hoare: [left, j] <= pivot <= [j + 1, right], and both are shorter than what they split */
            while (x[i] < pivot)
                i++;
            while (pivot < x[j])
                j--;
            if (i >= j)
                break;
            swap(&x[i++], &x[j--]);
        }
        if (k <= j)
            right = j;
        else
            left = j + 1;
    }
    return x[k];
}

double stats_median(double *x, size_t n)
{
    if (n == 0)
        return (double)NAN;
    double upper = stats_select(x, n, n / 2);
    if (n % 2 == 1)
        return upper;
    double lower = x[0]; /* what is before the middle is not above it */
    for (size_t i = 1; i < n / 2; i++)
        if (x[i] > lower)
            lower = x[i];
    return lower + (upper - lower) / 2;
}

/* ---- Student's t ---- */

/* Continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);

    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m <= 1000; m++) {
        double k = (double)m;
        const double terms[] = { k * (b - k) * x / ((a + 2 * k - 1) * (a + 2 * k)),
                                 -(a + k) * (a + b + k) * x / ((a + 2 * k) * (a + 2 * k + 1)) };
        double change = 1;
        for (size_t i = 0; i < ELEMENTSOF(terms); i++) {
            d = 1 + terms[i] * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + terms[i] / c;
            c = fabs(c) < tiny ? tiny : c;
            change = c * d;
            f *= change;
        }
        if (fabs(change - 1) < 1e-15)
            break;
    }
    return f;
}

static double incomplete_beta(double a, double b, double x)
{
    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(a, b, x) / a;
    return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double stats_t_quantile(double p, double df)
{
    assert(p >= 0.5 && p < 1 && df > 0);
    double tail = 2 * (1 - p), low = 0, high = 1;

    /* P(|T| > t) is the incomplete beta of df / (df + t²); it falls with t, so halving finds t. */
    while (incomplete_beta(df / 2, 0.5, df / (df + high * high)) > tail && high < 1e300)
        high *= 2;
    for (int i = 0; i < 200 && high - low > 1e-14 * high; i++) {
        double t = (low + high) / 2;
        if (incomplete_beta(df / 2, 0.5, df / (df + t * t)) > tail)
            low = t;
        else
            high = t;
    }
    return (low + high) / 2;
}

Interval stats_mean_interval(const double *x, size_t n)
{
    if (n < 2)
        return INTERVAL_NONE;
    double mean = stats_mean(x, n), half = sqrt(stats_variance(x, n) / (double)n);
    half *= stats_t_quantile(0.975, (double)(n - 1));
    return (Interval){ mean - half, mean + half };
}

/* ---- slopes ---- */

int stats_theil_sen(const Point *points, size_t n, double *ret_slope, size_t *ret_pairs)
{
    size_t most = 0, pairs = 0;

    for (size_t i = 0, first = 0; i < n; i++) {
        if (points[i].run != points[first].run)
            first = i;
        most += i - first;
    }
    _cleanup_(freep) double *slopes = xcalloc(most, sizeof(*slopes));
    for (size_t i = 0, first = 0; i < n; i++) {
        if (points[i].run != points[first].run)
            first = i;
        for (size_t j = first; j < i; j++)
            if (points[i].x > points[j].x || points[i].x < points[j].x)
                slopes[pairs++] = (points[i].y - points[j].y) / (points[i].x - points[j].x);
    }
    if (pairs == 0)
        return -ENODATA;
    *ret_slope = stats_median(slopes, pairs);
    if (ret_pairs)
        *ret_pairs = pairs;
    return 0;
}

/* ---- the comparison ---- */

/* What a set of subjects, each drawn `times` times, says: both means, and the variance of the logarithm
 * of their ratio. */
typedef struct Estimate {
    size_t n_a, n_b;
    double mean_a, mean_b;
    double var_log;
} Estimate;

static Estimate estimate(const Subject *subjects, const unsigned *times, size_t n)
{
    Estimate e = { 0 };
    double sum_a = 0, sum_b = 0, aa = 0, bb = 0, ab = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned k = times[i];
        if (subjects[i].in_a) {
            e.n_a += k;
            sum_a += k * subjects[i].a;
        }
        if (subjects[i].in_b) {
            e.n_b += k;
            sum_b += k * subjects[i].b;
        }
    }
    if (e.n_a < 2 || e.n_b < 2)
        return e;
    double n_a = (double)e.n_a, n_b = (double)e.n_b;
    e.mean_a = sum_a / n_a;
    e.mean_b = sum_b / n_b;
    for (size_t i = 0; i < n; i++) {
        unsigned k = times[i];
        double a = subjects[i].in_a ? subjects[i].a - e.mean_a : 0;
        double b = subjects[i].in_b ? subjects[i].b - e.mean_b : 0;
        aa += k * a * a;
        bb += k * b * b;
        ab += k * a * b; /* not 0 only for a relay on both sides: its two means are not independent */
    }
    aa /= n_a * (n_a - 1);
    bb /= n_b * (n_b - 1);
    ab /= n_a * n_b * sqrt((1 - 1 / n_a) * (1 - 1 / n_b));
    e.var_log =
        fmax(aa / (e.mean_a * e.mean_a) + bb / (e.mean_b * e.mean_b) - 2 * ab / (e.mean_a * e.mean_b), 0);
    return e;
}

/* |T| of one resample. One without spread that lies elsewhere is evidence of the worst kind: infinite. */
static double studentised(double difference, double variance)
{
    if (variance > 0)
        return fabs(difference) / sqrt(variance);
    return fabs(difference) > 0 ? (double)INFINITY : 0;
}

/* Few relays drawn anew show nothing of the far tail that a small error needs: an outlier makes it endless.
 * So how much wider than at 95 % the interval is comes from Student's t, for the smaller side. */
static double widening(const Estimate *e, double error)
{
    const double df = (double)(e->n_a < e->n_b ? e->n_a : e->n_b) - 1;

    return error < 0.05 ? stats_t_quantile(1 - error / 2, df) / stats_t_quantile(0.975, df) : 1;
}

/* Resampling needs sets that are drawn as a whole: either all relays are on one side only (each side is a
 * set, and keeps its number), or all are on both (one set: a relay's two means stay together). */
static Interval bootstrap(const Subject *subjects, size_t n, uint64_t seed, double error, const Estimate *e)
{
    _cleanup_(freep) unsigned *times = xcalloc(n, sizeof(*times));
    _cleanup_(freep) size_t *order = xcalloc(n, sizeof(*order));
    _cleanup_(freep) double *t = xcalloc(STATS_DRAWS, sizeof(*t));
    Rng rng = rng_new(seed);
    const double log_ratio = log(e->mean_a / e->mean_b);
    size_t n_first = 0, n_second = 0;

    for (size_t i = 0; i < n; i++)
        if (subjects[i].in_a)
            order[n_first++] = i;
        else
            order[n - ++n_second] = i;
    for (size_t draw = 0; draw < STATS_DRAWS; draw++) {
        memset(times, 0, n * sizeof(*times));
        for (size_t i = 0; i < n_first; i++)
            times[order[rng_below(&rng, n_first)]]++;
        for (size_t i = 0; i < n_second; i++)
            times[order[n_first + rng_below(&rng, n_second)]]++;
        Estimate d = estimate(subjects, times, n);
        t[draw] = studentised(log(d.mean_a / d.mean_b) - log_ratio, d.var_log);
    }
    /* With 9999 draws the 9500th of 10000 parts is a draw, not between two. */
    double half = e->var_log > 0 ? stats_select(t, STATS_DRAWS, (STATS_DRAWS + 1) * 95 / 100 - 1) : 0;
    if (!isfinite(half))
        return INTERVAL_NONE;
    half *= sqrt(e->var_log) * widening(e, error);
    return (Interval){ 1 - exp(log_ratio + half), 1 - exp(log_ratio - half) };
}

/* Some relays on both sides, others on one: the few that are on one side can make most of the error, and no
 * set of them is large enough to draw from. Student's t then, with the degrees of freedom of as many relays
 * as really carry the error. */
static Interval by_influence(const Subject *subjects, size_t n, double error, const Estimate *e)
{
    const double n_a = (double)e->n_a, n_b = (double)e->n_b, log_ratio = log(e->mean_a / e->mean_b);
    double squares = 0, fourths = 0;

    for (size_t i = 0; i < n; i++) {
        double a = subjects[i].in_a ? (subjects[i].a / e->mean_a - 1) / sqrt(n_a * (n_a - 1)) : 0;
        double b = subjects[i].in_b ? (subjects[i].b / e->mean_b - 1) / sqrt(n_b * (n_b - 1)) : 0;
        squares += (a - b) * (a - b);
        fourths += pow(a - b, 4);
    }
    double df = fourths > 0 ? 2 * squares * squares / fourths : 1, half = sqrt(squares);
    half *= stats_t_quantile(1 - error / 2, df);
    return (Interval){ 1 - exp(log_ratio + half), 1 - exp(log_ratio - half) };
}

Comparison stats_compare(const Subject *subjects, size_t n, uint64_t seed, double error)
{
    Comparison c = { .interval = INTERVAL_NONE };
    double sum_a = 0, sum_b = 0;
    size_t n_both = 0;

    for (size_t i = 0; i < n; i++) {
        assert(subjects[i].in_a || subjects[i].in_b);
        n_both += subjects[i].in_a && subjects[i].in_b;
        if (subjects[i].in_a) {
            c.n_a++;
            sum_a += subjects[i].a;
        }
        if (subjects[i].in_b) {
            c.n_b++;
            sum_b += subjects[i].b;
        }
    }
    c.mean_a = c.n_a > 0 ? sum_a / (double)c.n_a : (double)NAN;
    c.mean_b = c.n_b > 0 ? sum_b / (double)c.n_b : (double)NAN;
    c.reduction = c.mean_b > 0 ? 1 - c.mean_a / c.mean_b : (double)NAN;
    if (c.n_a < STATS_SUBJECTS_MIN || c.n_b < STATS_SUBJECTS_MIN || !(c.mean_a > 0) || !(c.mean_b > 0))
        return c;
    _cleanup_(freep) unsigned *once = xcalloc(n, sizeof(*once));
    for (size_t i = 0; i < n; i++)
        once[i] = 1;
    Estimate e = estimate(subjects, once, n);
    c.interval = n_both == 0 || n_both == n ? bootstrap(subjects, n, seed, error, &e)
                                            : by_influence(subjects, n, error, &e);
    return c;
}

/* ---- counts ---- */

static double log_choose(size_t n, size_t k)
{
    return lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1);
}

double stats_fisher(size_t kept_a, size_t n_a, size_t kept_b, size_t n_b)
{
    const size_t kept = kept_a + kept_b, least = kept > n_b ? kept - n_b : 0;
    double p = 0;

    assert(kept_a <= n_a && kept_b <= n_b);
    for (size_t k = least; k <= kept_a; k++)
        p += exp(log_choose(n_a, k) + log_choose(n_b, kept - k) - log_choose(n_a + n_b, kept));
    return p < 1 ? p : 1;
}
