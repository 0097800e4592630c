/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what is compared with what. Must never compare with relays of another time unless that was asked for,
 * and never leave a row without a number or a reason. */
#include "report/report-compare.h"

#include "report/report-rows.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

/* ---- the baseline ---- */

static bool is_called(const Report *report, const ReportRow *row, const char *name)
{
    _cleanup_(freep) char *full = report_row_name(report, row);

    if (streq(full, name))
        return true;
    if (report->series->options.by_group)
        return streq(isempty(row->group) ? "no group" : row->group, name);
    return streq(row->allocator, name);
}

/* By group, glibc's is the baseline: a group of the experiment rather than relays of no group, and the one
 * that ran it longest, because each of them runs it until it is moved. */
static bool better_baseline(const ReportRow *row, const ReportRow *than)
{
    if (!than)
        return true;
    if (isempty(row->group) != isempty(than->group))
        return isempty(than->group);
    return row->counted > than->counted;
}

int report_find_baseline(Report *report, const char *name, char **ret_error)
{
    char **names = NULL;

    report->baseline = -1;
    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        bool named = name ? is_called(report, row, name) : streq(row->allocator, REPORT_BASELINE);
        if (named && !row->waiting && row->relays > 0 &&
            better_baseline(row, report->baseline >= 0 ? &report->rows[report->baseline] : NULL))
            report->baseline = (ssize_t)i;
    }
    if (report->baseline >= 0 || !name)
        return 0;
    for (size_t i = 0; i < report->n_rows; i++)
        strv_push(&names, report_row_name(report, &report->rows[i]));
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    fprintf(f, "--baseline=%s: no %s of that name has counted time; there are:", name, report_by(report));
    STRV_FOREACH (n, names)
        fprintf(f, "%s %s", n == names ? "" : ",", *n);
    fclose(f);
    strv_free(names);
    *ret_error = text;
    return -ENOENT;
}

/* ---- the same time ---- */

static Period counted_of(const Report *report, const ReportRow *row)
{
    Period period = PERIOD_NONE;

    for (size_t i = 0; i < row->n_members; i++) {
        const Track *t = &report->series->tracks[row->members[i].track];
        if (!row->members[i].left_out && t->counted > 0)
            period_widen(&period, (Period){ t->first, t->last });
    }
    return period;
}

/* The mean of a track within a time, by its slices, and how much of it was counted; exact where that is all
 * of it. */
static double mean_within(const Track *track, Period period, double *ret_seconds)
{
    const double from = (double)period.from / (double)USEC_PER_SEC;
    const double to = (double)period.to / (double)USEC_PER_SEC;
    double sum = 0, seconds = 0;

    if (period.from <= track->first && period.to >= track->last) {
        *ret_seconds = (double)track->counted / (double)USEC_PER_SEC;
        return track->counted > 0 ? track->sum / *ret_seconds : (double)NAN;
    }
    for (size_t i = 0; i < track->n_slices; i++) {
        const Slice *s = &track->slices[i];
        if (s->warm || s->seconds <= 0 || s->moment < from * s->seconds || s->moment >= to * s->seconds)
            continue;
        sum += s->sum;
        seconds += s->seconds;
    }
    *ret_seconds = seconds;
    return seconds > 0 ? sum / seconds : (double)NAN;
}

/* ---- the line of the waiting time ---- */

static double track_end(const Track *track)
{
    const Slice *last = track->n_slices > 0 ? &track->slices[track->n_slices - 1] : NULL;

    return last && last->seconds > 0 ? last->moment / last->seconds : 0;
}

/* Did the relay run another allocator, or in another group, after this track, within the time of the report?
 */
static bool moved_on(const Series *series, const Track *track)
{
    const SeriesKey *key = &series->keys[track->key];

    for (size_t t = series->relays[track->relay].tracks; t != SERIES_NONE; t = series->tracks[t].next) {
        const SeriesKey *other = &series->keys[series->tracks[t].key];
        if ((!streq(other->allocator, key->allocator) || !streq(other->group, key->group)) &&
            track_end(&series->tracks[t]) > track_end(track))
            return true;
    }
    return false;
}

/* The time that rows of other allocators were counted. */
static Period time_of_others(const Report *report, const char *allocator)
{
    Period period = PERIOD_NONE;

    for (size_t i = 0; i < report->n_rows; i++)
        if (!streq(report->rows[i].allocator, allocator))
            period_widen(&period, counted_of(report, &report->rows[i]));
    return period;
}

/* How long the relay that ran longest beside the others did so, s. */
static double longest_beside(const Report *report, const char *allocator, Period others)
{
    double longest = 0, seconds;

    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        for (size_t k = 0; streq(row->allocator, allocator) && k < row->n_members; k++) {
            mean_within(&report->series->tracks[row->members[k].track], others, &seconds);
            longest = fmax(longest, seconds);
        }
    }
    return longest;
}

/* Moves the members of `row` that only waited to `waiting`. */
static bool take_waiting(const Report *report, ReportRow *row, Period others, double enough,
                         ReportRow *waiting, size_t *capacity)
{
    size_t kept = 0;

    for (size_t i = 0; i < row->n_members; i++) {
        const Track *track = &report->series->tracks[row->members[i].track];
        double seconds;
        mean_within(track, others, &seconds);
        if (!moved_on(report->series, track) || (seconds > 0 && seconds >= enough)) {
            row->members[kept++] = row->members[i];
            continue;
        }
        GROW(waiting->members, *capacity, waiting->n_members);
        waiting->members[waiting->n_members++] = row->members[i];
        if (waiting->n_members > 1 && !streq(waiting->version, row->version))
            waiting->version = "";
        else
            waiting->version = row->version;
    }
    bool changed = kept < row->n_members;
    row->n_members = kept;
    return changed;
}

/* Every relay runs the baseline until its turn comes, in whatever group it is: that is no control, because it
 * is another time. It becomes one line. */
static void fold_waiting(Report *report, const char *allocator)
{
    const Period others = time_of_others(report, allocator);
    const double enough = longest_beside(report, allocator, others) / 2;
    ReportRow waiting = { .key = SERIES_NONE,
                          .group = "",
                          .allocator = allocator,
                          .version = "",
                          .waiting = true,
                          .comparison = { .reduction = (double)NAN, .interval = INTERVAL_NONE } };
    size_t capacity = 0, kept = 0;

    for (size_t i = 0; i < report->n_rows; i++) {
        ReportRow *row = &report->rows[i];
        if (streq(row->allocator, allocator) &&
            take_waiting(report, row, others, enough, &waiting, &capacity)) {
            if (row->n_members == 0) {
                free(row->members);
                continue;
            }
            report_row_settle(report->series, row);
        }
        report->rows[kept++] = *row;
    }
    report->n_rows = kept;
    if (waiting.n_members > 0) {
        report_row_settle(report->series, &waiting);
        report->rows[report->n_rows++] = waiting;
    }
    report_rows_sort(report);
}

/* ---- the comparison ---- */

/* Each relay's mean on one side, NAN where it does not count there. */
static double *side_means(const Report *report, const ReportRow *row, Period period, size_t *ret_n)
{
    double *means = xcalloc(row->n_members, sizeof(*means));
    _cleanup_(freep) double *seconds = xcalloc(row->n_members, sizeof(*seconds));
    _cleanup_(freep) double *sorted = xcalloc(row->n_members, sizeof(*sorted));
    size_t n = 0;

    *ret_n = 0;
    for (size_t i = 0; i < row->n_members; i++) {
        const ReportMember *m = &row->members[i];
        means[i] = m->left_out ? (double)NAN : m->mean;
        if (report->beside && !m->left_out) {
            means[i] = mean_within(&report->series->tracks[m->track], period, &seconds[i]);
            if (seconds[i] > 0)
                sorted[n++] = seconds[i];
        }
    }
    const double enough = n > 0 ? REPORT_TIME_MIN * stats_median(sorted, n) : 0;
    for (size_t i = 0; i < row->n_members; i++) {
        if (report->beside && seconds[i] < enough)
            means[i] = (double)NAN;
        *ret_n += isnan(means[i]) ? 0 : 1;
    }
    return means;
}

/* What is compared in a row, before it is. */
typedef struct Sides {
    double *a, *b; /* by member of the row, and of the baseline */
    size_t n_a, n_b;
} Sides;

static void sides_clear(Sides *sides)
{
    free(sides->a);
    free(sides->b);
}

static Sides sides_of(const Report *report, const ReportRow *row, const ReportRow *base)
{
    const Period period =
        report->beside ? period_both(counted_of(report, row), counted_of(report, base)) : PERIOD_ALL;
    Sides sides = { 0 };

    sides.a = side_means(report, row, period, &sides.n_a);
    sides.b = side_means(report, base, period, &sides.n_b);
    return sides;
}

static bool has_interval(const Sides *sides)
{
    return sides->n_a >= STATS_SUBJECTS_MIN && sides->n_b >= STATS_SUBJECTS_MIN;
}

static const char *why_no_interval(const ReportRow *row, const Sides *sides)
{
    if (row->relays == 0)
        return row->counted == 0 && row->warm > 0 ? "all of it warm-up" : "no relay that counts";
    if (sides->n_a == 0 || sides->n_b == 0)
        return "no control at that time";
    if (sides->n_a < STATS_SUBJECTS_MIN)
        return sides->n_a == 1 ? "only one relay" : "only two relays";
    if (sides->n_b < STATS_SUBJECTS_MIN)
        return sides->n_b == 1 ? "only one relay in the baseline" : "only two relays in the baseline";
    return "the relays differ too much";
}

Comparison report_compare_means(const Report *report, const ReportRow *row, const double *values,
                                const ReportRow *base, const double *base_values, double error)
{
    _cleanup_(freep) Subject *subjects = xcalloc(row->n_members + base->n_members, sizeof(*subjects));
    size_t n = 0;

    for (size_t i = 0; i < row->n_members; i++)
        if (!isnan(values[i]))
            subjects[n++] = (Subject){ .a = values[i], .in_a = true };
    for (size_t i = 0; i < base->n_members; i++) {
        size_t k = 0, subject = 0;
        if (isnan(base_values[i]))
            continue;
        /* Both are sorted by name, but a relay is itself by its number. */
        for (; k < row->n_members; k++) {
            if (isnan(values[k]))
                continue;
            if (row->members[k].relay == base->members[i].relay)
                break;
            subject++;
        }
        if (k < row->n_members) {
            subjects[subject].b = base_values[i];
            subjects[subject].in_b = true;
        } else
            subjects[n++] = (Subject){ .b = base_values[i], .in_b = true };
    }
    return stats_compare(subjects, n, report->seed, error);
}

static void compare_row(Report *report, ReportRow *row, const ReportRow *base, const Sides *sides)
{
    row->comparison = report_compare_means(report, row, sides->a, base, sides->b, report->error);
    row->why = interval_is_set(row->comparison.interval) ? NULL : why_no_interval(row, sides);
}

bool report_is_compared(const Report *report, const ReportRow *row)
{
    return report->baseline >= 0 && row != &report->rows[report->baseline] && !row->waiting;
}

/* The baseline's average is that of the time of the others, so that the table adds up. */
static void average_beside(Report *report)
{
    ReportRow *base = &report->rows[report->baseline];
    Period others = PERIOD_NONE;
    size_t n = 0;

    for (size_t i = 0; i < report->n_rows; i++)
        if (report_is_compared(report, &report->rows[i]))
            period_widen(&others, counted_of(report, &report->rows[i]));
    if (period_both(others, counted_of(report, base)).from >=
        period_both(others, counted_of(report, base)).to)
        return;
    _cleanup_(freep) double *means = side_means(report, base, others, &n);
    _cleanup_(freep) double *values = xcalloc(base->n_members, sizeof(*values));
    n = 0;
    for (size_t i = 0; i < base->n_members; i++)
        if (!isnan(means[i]))
            values[n++] = base->members[i].mean = means[i];
    base->average = stats_mean(values, n);
    base->deviation = sqrt(stats_variance(values, n));
    const size_t key = base->key;
    report_rows_sort(report);
    for (size_t i = 0; i < report->n_rows; i++)
        if (report->rows[i].key == key)
            report->baseline = (ssize_t)i;
}

/* A baseline that everybody left before anything else was counted is no control. */
static void choose_control(Report *report, const ReportOptions *options)
{
    const ReportRow *first = &report->rows[report->baseline];
    _cleanup_(freep) char *name = report_row_name(report, first), *error = NULL;

    if (isempty(first->allocator)) /* of a table that names none: nobody is known to have moved */
        return;
    fold_waiting(report, first->allocator);
    (void)report_find_baseline(report, options->baseline, &error);
    if (report->baseline < 0)
        report->without_control = TAKE_PTR(name);
}

void report_compare(Report *report, const ReportOptions *options)
{
    report->beside = !options->whenever && report->series->options.at == 0;
    if (report->baseline >= 0 && report->beside)
        choose_control(report, options);
    if (report->baseline >= 0 && report->beside)
        average_beside(report);
    const ReportRow *base = report->baseline >= 0 ? &report->rows[report->baseline] : NULL;
    _cleanup_(freep) Sides *sides = xcalloc(report->n_rows, sizeof(*sides));
    for (size_t i = 0; base && i < report->n_rows; i++)
        if (report_is_compared(report, &report->rows[i])) {
            sides[i] = sides_of(report, &report->rows[i], base);
            report->compared += has_interval(&sides[i]);
        }
    report->error = 0.05 / (options->uncorrected || report->compared == 0 ? 1 : (double)report->compared);
    assert(report->rows); /* it has one at least */
    for (size_t i = 0; i < report->n_rows; i++) {
        ReportRow *row = &report->rows[i];
        row->baseline = row == base;
        row->comparison = (Comparison){
            .mean_a = row->average, .mean_b = (double)NAN, .reduction = (double)NAN, .interval = INTERVAL_NONE
        };
        if (report_is_compared(report, row))
            compare_row(report, row, base, &sides[i]);
        else if (!base && !row->waiting)
            row->why = report->without_control ? "no control beside it" : "no baseline";
        sides_clear(&sides[i]);
    }
}
