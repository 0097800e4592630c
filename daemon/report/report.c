/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the table. Must never print, and never show a row without what it is based on. */
#include "report/report.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

usec_t report_warmup(usec_t first, usec_t last)
{
    usec_t half = last > first ? (last - first) / 2 : 0;

    half -= half % (half > 2 * USEC_PER_HOUR ? USEC_PER_HOUR : USEC_PER_MINUTE);
    return half < REPORT_WARMUP ? half : REPORT_WARMUP;
}

usec_t report_slice(usec_t first, usec_t last)
{
    static const unsigned minutes[] = { 1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720 };
    usec_t span = last > first ? last - first : 0;

    for (size_t i = 0; i < ELEMENTSOF(minutes); i++)
        if (span / (minutes[i] * USEC_PER_MINUTE) <= 500)
            return minutes[i] * USEC_PER_MINUTE;
    return USEC_PER_DAY;
}

void report_clear(Report *report)
{
    for (size_t i = 0; i < report->n_rows; i++) {
        for (size_t k = 0; k < report->rows[i].n_members; k++)
            free(report->rows[i].members[k].name);
        free(report->rows[i].members);
    }
    free(report->rows);
    *report = (Report){ 0 };
}

/* Relays of a group may run different things, or have run them. */
static bool group_is_ambiguous(const Report *report, const ReportRow *row)
{
    for (size_t i = 0; i < report->n_rows; i++)
        if (report->rows[i].key != row->key && streq(report->rows[i].group, row->group))
            return true;
    return false;
}

char *report_row_name(const Report *report, const ReportRow *row)
{
    const char *group = isempty(row->group) ? "no group" : row->group;
    const char *allocator = isempty(row->allocator) ? "unknown" : row->allocator;
    const char *blank = isempty(row->version) ? "" : " ";

    if (!report->series->options.by_group)
        return xasprintf("%s%s%s", allocator, blank, row->version);
    return group_is_ambiguous(report, row) ? xasprintf("%s (%s%s%s)", group, allocator, blank, row->version)
                                           : xstrdup(group);
}

/* ---- members ---- */

static bool is_mixed(const Series *series, const Track *track)
{
    for (size_t t = series->relays[track->relay].tracks; t != SERIES_NONE; t = series->tracks[t].next)
        if (&series->tracks[t] != track && series->tracks[t].samples > 0)
            return true;
    return false;
}

static double track_mean(const Track *track)
{
    return track->counted > 0 ? track->sum / ((double)track->counted / (double)USEC_PER_SEC) : (double)NAN;
}

/* Did the relay take part in the collection? Its sample is the one nearest to that time; it must not be of
 * the collection before or after. */
static bool in_collection(const Series *series, const SeriesRelay *relay)
{
    const usec_t at = series->options.at;
    usec_t distance = relay->at_time > at ? relay->at_time - at : at - relay->at_time;

    return relay->at_time > 0 && (distance == 0 || distance <= relay->at_step / 2);
}

static int member_compare(const void *a, const void *b)
{
    const ReportMember *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static bool track_belongs(const Series *series, const Track *track)
{
    if (series->options.at > 0) {
        const SeriesRelay *relay = &series->relays[track->relay];
        return in_collection(series, relay) && relay->at_track != SERIES_NONE &&
               &series->tracks[relay->at_track] == track;
    }
    return track->samples > 0;
}

static void add_member(const Series *series, ReportRow *row, size_t *capacity, size_t track)
{
    const Track *t = &series->tracks[track];
    const SeriesRelay *relay = &series->relays[t->relay];
    bool at = series->options.at > 0;

    GROW(row->members, *capacity, row->n_members);
    row->members[row->n_members++] = (ReportMember){
        .name = series_relay_name(series, t->relay),
        .relay = t->relay,
        .track = track,
        .mean = at ? (double)relay->at_rss : track_mean(t),
        .per_day = (double)NAN,
        .mixed = is_mixed(series, t),
    };
    if (at && relay->at_time < relay->at_start + series->options.warmup)
        row->young++;
    row->samples += t->samples;
    row->counted += t->counted;
    row->warm += t->warm;
    row->gap += t->gap;
    row->restarts += t->restarts;
}

/* ---- rows ---- */

/* Marks the relays that do not count, then computes the average of the others. */
static void settle_members(const Series *series, ReportRow *row)
{
    _cleanup_(freep) double *values = xcalloc(row->n_members, sizeof(*values));
    const bool at = series->options.at > 0;
    size_t n = 0;

    for (size_t i = 0; i < row->n_members; i++)
        if (series->tracks[row->members[i].track].counted > 0)
            values[n++] = (double)series->tracks[row->members[i].track].counted;
    double enough = n > 0 ? REPORT_TIME_MIN * stats_median(values, n) : 0;
    n = 0;
    for (size_t i = 0; i < row->n_members; i++) {
        ReportMember *m = &row->members[i];
        const Track *track = &series->tracks[m->track];
        if (!at && track->counted == 0)
            m->left_out = track->warm > 0 ? "all of it warm-up" : "a single sample";
        else if (!at && (double)track->counted < enough)
            m->left_out = "less than a tenth of the time of the others";
        if (m->left_out) {
            row->left_out++;
            continue;
        }
        row->mixed += m->mixed;
        values[n++] = m->mean;
    }
    row->relays = n;
    row->average = stats_mean(values, n);
    row->deviation = sqrt(stats_variance(values, n));
}

static void judge_growth(const Series *series, ReportRow *row)
{
    _cleanup_(freep) size_t *tracks = xcalloc(row->n_members, sizeof(*tracks));
    _cleanup_(freep) double *slopes = xcalloc(row->n_members, sizeof(*slopes));
    _cleanup_(freep) size_t *members = xcalloc(row->n_members, sizeof(*members));
    size_t n = 0;

    for (size_t i = 0; i < row->n_members; i++)
        if (!row->members[i].left_out) {
            members[n] = i;
            tracks[n++] = row->members[i].track;
        }
    row->growth = growth_of_tracks(series, tracks, n, row->average, slopes);
    for (size_t i = 0; i < n; i++)
        row->members[members[i]].per_day = slopes[i];
}

/* Least memory first, rows without any last, and equal ones by name, so that the order never varies. */
static int row_compare(const void *a, const void *b)
{
    const ReportRow *x = a, *y = b;

    if (isnan(x->average) != isnan(y->average))
        return isnan(x->average) ? 1 : -1;
    if (x->average < y->average || x->average > y->average)
        return x->average < y->average ? -1 : 1;
    int c = strcmp(x->group, y->group);
    if (c == 0)
        c = strcmp(x->allocator, y->allocator);
    return c != 0 ? c : strcmp(x->version, y->version);
}

static void build_rows(const Series *series, Report *report)
{
    report->rows = xcalloc(series->n_keys, sizeof(*report->rows));
    for (size_t k = 0; k < series->n_keys; k++) {
        ReportRow row = { .key = k,
                          .group = series->keys[k].group,
                          .allocator = series->keys[k].allocator,
                          .version = series->keys[k].version };
        size_t capacity = 0;
        for (size_t t = 0; t < series->n_tracks; t++)
            if (series->tracks[t].key == k && track_belongs(series, &series->tracks[t]))
                add_member(series, &row, &capacity, t);
        if (row.n_members == 0)
            continue;
        qsort(row.members, row.n_members, sizeof(*row.members), member_compare);
        settle_members(series, &row);
        judge_growth(series, &row);
        report->rows[report->n_rows++] = row;
    }
    qsort(report->rows, report->n_rows, sizeof(*report->rows), row_compare);
}

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

static int find_baseline(Report *report, const char *name, char **ret_error)
{
    char **names = NULL;

    report->baseline = -1;
    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        bool named = name ? is_called(report, row, name) : streq(row->allocator, REPORT_BASELINE);
        if (named && row->relays > 0 &&
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
    fprintf(f, "--baseline=%s: no %s of that name has counted time; there are:", name,
            report->series->options.by_group ? "group" : "allocator");
    STRV_FOREACH (n, names)
        fprintf(f, "%s %s", n == names ? "" : ",", *n);
    fclose(f);
    strv_free(names);
    *ret_error = text;
    return -ENOENT;
}

static void compare_with_baseline(Report *report, ReportRow *row, const ReportRow *base)
{
    _cleanup_(freep) Subject *subjects = xcalloc(row->n_members + base->n_members, sizeof(*subjects));
    size_t n = 0;

    for (size_t i = 0; i < row->n_members; i++)
        if (!row->members[i].left_out)
            subjects[n++] = (Subject){ .a = row->members[i].mean, .in_a = true };
    for (size_t i = 0; i < base->n_members; i++) {
        const ReportMember *m = &base->members[i];
        size_t k = 0, subject = 0;
        if (m->left_out)
            continue;
        /* Both are sorted by name, but a relay is itself by its number. */
        for (; k < row->n_members; k++) {
            if (row->members[k].left_out)
                continue;
            if (row->members[k].relay == m->relay)
                break;
            subject++;
        }
        if (k < row->n_members) {
            subjects[subject].b = m->mean;
            subjects[subject].in_b = true;
        } else
            subjects[n++] = (Subject){ .b = m->mean, .in_b = true };
    }
    row->comparison = stats_compare(subjects, n, report->seed);
}

/* ---- totals ---- */

static void add_totals(const Series *series, Report *report)
{
    _cleanup_(freep) unsigned char *seen = xcalloc(series->n_relays, 1);

    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        for (size_t k = 0; k < row->n_members; k++) {
            const ReportMember *m = &row->members[k];
            const SeriesRelay *relay = &series->relays[m->relay];
            report->relays += seen[m->relay] == 0;
            if (m->mixed && seen[m->relay] == 0)
                report->mixed++;
            seen[m->relay] = 1;
            if (series->options.at == 0)
                continue;
            if (report->at_first == 0 || relay->at_time < report->at_first)
                report->at_first = relay->at_time;
            if (relay->at_time > report->at_last)
                report->at_last = relay->at_time;
        }
        report->left_out += row->left_out;
        report->counted += row->counted;
        report->warm += row->warm;
        report->gap += row->gap;
        report->restarts += row->restarts;
    }
}

int report_build(const Series *series, const ReportOptions *options, Report *ret, char **ret_error)
{
    Report report = {
        .series = series, .baseline = -1, .seed = options->seed, .warmup_given = options->warmup_given
    };

    build_rows(series, &report);
    if (report.n_rows == 0) {
        report_clear(&report);
        *ret_error = series->unproved > 0 && series->unproved == series->samples
                         ? xstrdup("no sample has a proved allocator")
                     : series->options.at > 0 && series->samples > 0 ? xstrdup("no collection at that time")
                                                                     : xstrdup("no samples in that time");
        return -ENODATA;
    }
    int r = find_baseline(&report, options->baseline, ret_error);
    if (r < 0) {
        report_clear(&report);
        return r;
    }
    for (size_t i = 0; i < report.n_rows; i++) {
        ReportRow *row = &report.rows[i];
        row->baseline = (ssize_t)i == report.baseline;
        row->comparison = (Comparison){
            .mean_a = row->average, .mean_b = (double)NAN, .reduction = (double)NAN, .interval = INTERVAL_NONE
        };
        if (report.baseline >= 0 && !row->baseline && row->relays > 0)
            compare_with_baseline(&report, row, &report.rows[report.baseline]);
    }
    add_totals(series, &report);
    *ret = report;
    return 0;
}
