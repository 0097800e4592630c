/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what is said of bandwidth and flags. Must never take what is not known for no difference. */
#include "report/report-cost.h"

#include "report/report-compare.h"

#include <math.h>

/* Each flag is tested for itself: 5 % for all of them together. */
#define FLAG_ERROR (0.05 / _FLAG_MAX)

/* Less than this part of the bandwidth is no reason to forgo memory, however sure it is. */
#define BANDWIDTH_NOTABLE 0.01

/* ---- bandwidth ---- */

/* Does the day count for this member, within that time? By its middle. */
static bool day_counts(const Series *series, const SeriesDay *day, const ReportMember *m, Period time)
{
    const usec_t middle = day->from + (day->to - day->from) / 2;
    const SeriesOptions *o = &series->options;

    return !m->left_out && day->track == m->track && !day->warm && middle >= time.from && middle <= time.to &&
           middle >= o->since && middle <= o->until;
}

static Period days_of(const Series *series, const ReportRow *row)
{
    Period time = PERIOD_NONE;

    for (size_t i = 0; i < row->n_members; i++) {
        const SeriesRelay *relay = &series->relays[row->members[i].relay];
        for (size_t d = relay->first_day; d < relay->first_day + relay->n_days; d++)
            if (day_counts(series, &series->days[d], &row->members[i], PERIOD_ALL))
                period_widen(&time, (Period){ series->days[d].from, series->days[d].to });
    }
    return time;
}

/* What a member moved in 24 h, NAN: nothing is known; and over how many times 24 h. */
static double member_per_day(const Series *series, const ReportMember *m, Period time, double *ret_days)
{
    const SeriesRelay *relay = &series->relays[m->relay];
    double moved = 0, days = 0;

    for (size_t d = relay->first_day; d < relay->first_day + relay->n_days; d++) {
        const SeriesDay *day = &series->days[d];
        if (!day_counts(series, day, m, time))
            continue;
        moved += day->moved;
        days += (double)(day->to - day->from) / (double)USEC_PER_DAY;
    }
    *ret_days = days;
    return days > 0 ? moved / days : (double)NAN;
}

/* Of each member of the row; those with less than a tenth of the time of the others are left out. */
static double *per_day(const Series *series, const ReportRow *row, Period time, size_t *ret_n,
                       double *ret_days)
{
    double *values = xcalloc(row->n_members, sizeof(*values));
    _cleanup_(freep) double *days = xcalloc(row->n_members, sizeof(*days));
    _cleanup_(freep) double *sorted = xcalloc(row->n_members, sizeof(*sorted));
    size_t n = 0;

    for (size_t i = 0; i < row->n_members; i++) {
        values[i] = member_per_day(series, &row->members[i], time, &days[i]);
        if (days[i] > 0)
            sorted[n++] = days[i];
    }
    const double enough = n > 0 ? REPORT_TIME_MIN * stats_median(sorted, n) : 0;
    *ret_n = 0;
    *ret_days = 0;
    for (size_t i = 0; i < row->n_members; i++) {
        if (days[i] < enough)
            values[i] = (double)NAN;
        if (isnan(values[i]))
            continue;
        *ret_n += 1;
        *ret_days += days[i];
    }
    return values;
}

static double mean_of(const double *values, size_t n)
{
    double sum = 0;
    size_t known = 0;

    for (size_t i = 0; i < n; i++)
        if (!isnan(values[i])) {
            sum += values[i];
            known++;
        }
    return known > 0 ? sum / (double)known : (double)NAN;
}

/* The averages: each row's over all of its days, the baseline's over those that the others have, too. */
static void add_averages(Report *report)
{
    const ReportRow *base = report->baseline >= 0 ? &report->rows[report->baseline] : NULL;
    Period others = PERIOD_NONE;

    for (size_t i = 0; i < report->n_rows; i++)
        if (report->beside && report_is_compared(report, &report->rows[i]))
            period_widen(&others, days_of(report->series, &report->rows[i]));
    for (size_t i = 0; i < report->n_rows; i++) {
        ReportRow *row = &report->rows[i];
        const Period own = row == base ? days_of(report->series, row) : PERIOD_ALL;
        const bool cut = row == base && period_both(own, others).from < period_both(own, others).to;
        _cleanup_(freep) double *values =
            per_day(report->series, row, cut ? others : PERIOD_ALL, &row->traffic.relays, &row->traffic.days);
        row->traffic.per_day = row->waiting ? (double)NAN : mean_of(values, row->n_members);
        for (size_t k = 0; k < row->n_members; k++)
            row->members[k].moved = values[k];
        report->has_traffic = report->has_traffic || !isnan(row->traffic.per_day);
    }
}

typedef struct Means {
    double *a, *b;
    size_t n_a, n_b;
} Means;

static Means sides_of(const Report *report, const ReportRow *row, const ReportRow *base)
{
    const Series *series = report->series;
    const Period time =
        report->beside ? period_both(days_of(series, row), days_of(series, base)) : PERIOD_ALL;
    Means s = { 0 };
    double days;

    s.a = per_day(series, row, time, &s.n_a, &days);
    s.b = per_day(series, base, time, &s.n_b, &days);
    return s;
}

static bool has_interval(const Means *s)
{
    return s->n_a >= STATS_SUBJECTS_MIN && s->n_b >= STATS_SUBJECTS_MIN;
}

static const char *why_no_interval(const ReportRow *row, const ReportRow *base, const Means *s)
{
    if (isnan(row->traffic.per_day))
        return "traffic not known";
    if (isnan(base->traffic.per_day))
        return "traffic of the baseline not known";
    if (s->n_a == 0 || s->n_b == 0)
        return "no control at that time";
    if (s->n_a < STATS_SUBJECTS_MIN)
        return s->n_a == 1 ? "only one relay" : "only two relays";
    if (s->n_b < STATS_SUBJECTS_MIN)
        return s->n_b == 1 ? "only one relay in the baseline" : "only two relays in the baseline";
    return "the relays differ too much";
}

static void compare_traffic(Report *report, const ReportOptions *options)
{
    const ReportRow *base = report->baseline >= 0 ? &report->rows[report->baseline] : NULL;
    _cleanup_(freep) Means *sides = xcalloc(report->n_rows, sizeof(*sides));

    for (size_t i = 0; base && i < report->n_rows; i++)
        if (report_is_compared(report, &report->rows[i])) {
            sides[i] = sides_of(report, &report->rows[i], base);
            report->traffic_compared += has_interval(&sides[i]);
        }
    const bool alone = options->uncorrected || report->traffic_compared == 0;
    report->traffic_error = 0.05 / (alone ? 1 : (double)report->traffic_compared);
    for (size_t i = 0; i < report->n_rows; i++) {
        ReportRow *row = &report->rows[i];
        if (!base || !report_is_compared(report, row)) {
            row->traffic.why = base || row->waiting ? NULL : row->why;
            continue;
        }
        const Comparison c =
            report_compare_means(report, row, sides[i].a, base, sides[i].b, report->traffic_error);
        row->traffic.difference = -c.reduction;
        row->traffic.interval = (Interval){ -c.interval.high, -c.interval.low };
        if (!interval_is_set(row->traffic.interval))
            row->traffic.why = why_no_interval(row, base, &sides[i]);
        free(sides[i].a);
        free(sides[i].b);
    }
}

/* ---- flags ---- */

static usec_t ripe_age(const Series *series, Flag flag)
{
    const usec_t warmup = series->options.warmup;

    return flag == FLAG_HSDIR && warmup < FLAGS_HSDIR_AGE ? FLAGS_HSDIR_AGE : warmup;
}

static void add_flag(const Series *series, ReportRow *row, Flag flag)
{
    ReportFlag *f = &row->flags[flag];
    _cleanup_(freep) double *times = NULL;
    size_t n = 0, capacity = 0;
    double held = 0;

    for (size_t i = 0; i < row->n_members; i++) {
        const FlagTally *t = series->tracks[row->members[i].track].flags;
        if (!t)
            continue;
        const bool had = flags_have(t->before, flag), ripe = t->last_age >= ripe_age(series, flag);
        const bool kept = had && flags_have(t->last, flag);
        const FlagReturns *r = &t->returns[flag];
        held += t->held[flag];
        f->had += had;
        f->kept += kept;
        f->had_ripe += had && ripe;
        f->kept_ripe += kept && ripe;
        f->restarts += r->had;
        f->lost += r->lost;
        f->back += r->back;
        for (size_t k = 0; k < r->n; k++) {
            GROW(times, capacity, n);
            times[n++] = r->times[k];
        }
    }
    f->share = row->looked > 0 ? held / row->looked : (double)NAN;
    f->back_seconds = stats_median(times, n);
}

static void add_flags(Report *report)
{
    for (size_t i = 0; i < report->n_rows; i++) {
        ReportRow *row = &report->rows[i];
        for (size_t k = 0; k < row->n_members; k++) {
            const FlagTally *t = report->series->tracks[row->members[k].track].flags;
            row->looked += t ? t->looked : 0;
        }
        report->has_flags = report->has_flags || row->looked > 0;
        for (Flag f = 0; f < _FLAG_MAX; f++)
            add_flag(report->series, row, f);
    }
}

void report_add_costs(Report *report, const ReportOptions *options)
{
    for (size_t i = 0; i < report->n_rows; i++)
        report->rows[i].traffic =
            (ReportTraffic){ .per_day = (double)NAN, .difference = (double)NAN, .interval = INTERVAL_NONE };
    add_averages(report);
    if (report->has_traffic)
        compare_traffic(report, options);
    add_flags(report);
}

/* ---- words ---- */

/* "+1.2" of 0.012, never "-0.0". */
static char *signed_percent(double part, int digits)
{
    const double percent = 100 * part;

    return xasprintf("%+.*f", digits, fabs(percent) < 0.5 * pow(10, -digits) ? 0.0 : percent);
}

static char *interval_words(Interval interval, int digits)
{
    _cleanup_(freep) char *low = signed_percent(interval.low, digits);
    _cleanup_(freep) char *high = signed_percent(interval.high, digits);

    /* A few wildly different relays can say so little that digits are pointless. */
    return interval.high > 10 ? xasprintf("above %s %%", low) : xasprintf("%s to %s %%", low, high);
}

static int digits_of(Interval interval)
{
    return interval_is_set(interval) && interval.high - interval.low < 0.1 ? 1 : 0;
}

char *report_difference_text(const ReportTraffic *traffic)
{
    const int digits = digits_of(traffic->interval);

    if (isnan(traffic->difference))
        return xstrdup("");
    _cleanup_(freep) char *difference = signed_percent(traffic->difference, digits);
    if (!interval_is_set(traffic->interval))
        return xasprintf("%s %%", difference);
    _cleanup_(freep) char *interval = interval_words(traffic->interval, digits);
    return xasprintf("%s %% (%s)", difference, interval);
}

static void put_bandwidth(FILE *f, const ReportRow *row)
{
    const ReportTraffic *t = &row->traffic;

    if (!interval_is_set(t->interval)) {
        fprintf(f, "bandwidth not known (%s)", t->why ? t->why : "traffic not known");
        return;
    }
    _cleanup_(freep) char *text = report_difference_text(t);
    fprintf(f, "bandwidth differs by %s", text);
}

static void put_kept(FILE *f, const ReportRow *row)
{
    size_t n = 0;

    for (Flag flag = 0; flag < _FLAG_MAX; flag++)
        if (row->flags[flag].had > 0)
            fprintf(f, "%s%s kept by %zu of %zu", n++ > 0 ? ", " : "", flag_to_string(flag),
                    row->flags[flag].kept, row->flags[flag].had);
    if (n == 0)
        fputs(row->looked > 0 ? "no flags to lose" : "flags not known", f);
}

char *report_cost_sentence(const Report *report, const ReportRow *row)
{
    char *text = NULL;
    size_t size = 0;

    if (!report->has_traffic && !report->has_flags)
        return NULL;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    if (row->baseline || row->waiting) {
        put_kept(f, row);
    } else {
        put_bandwidth(f, row);
        fputs(", ", f);
        put_kept(f, row);
    }
    fclose(f);
    return text;
}

static char *flag_objection(const Report *report, const ReportRow *row)
{
    const ReportRow *base = report->baseline >= 0 ? &report->rows[report->baseline] : NULL;

    for (Flag flag = 0; base && flag < _FLAG_MAX; flag++) {
        const ReportFlag *a = &row->flags[flag], *b = &base->flags[flag];
        if (a->had_ripe == 0 || b->had_ripe == 0 ||
            stats_fisher(a->kept_ripe, a->had_ripe, b->kept_ripe, b->had_ripe) > FLAG_ERROR)
            continue;
        _cleanup_(freep) char *name = report_row_name(report, base);
        return xasprintf("loses %s (kept by %zu of %zu, with %s by %zu of %zu)", flag_to_string(flag),
                         a->kept_ripe, a->had_ripe, name, b->kept_ripe, b->had_ripe);
    }
    return NULL;
}

char *report_cost_objection(const Report *report, const ReportRow *row)
{
    const Interval interval = row->traffic.interval;

    if (interval_is_set(interval) && interval.high < -BANDWIDTH_NOTABLE) {
        _cleanup_(freep) char *words = interval_words(interval, digits_of(interval));
        return xasprintf("costs bandwidth (%s)", words);
    }
    return flag_objection(report, row);
}
