/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns who counts in a row, its average and its name. Must never let a relay count that it does not name as
 * left out or counted. */
#include "report/report-rows.h"

#include <math.h>

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
}

/* A relay that moved within the line of the waiting time has several members there, and is one relay. */
static void settle_waiting(const Series *series, ReportRow *row)
{
    _cleanup_(freep) double *sums = xcalloc(series->n_relays, sizeof(*sums));
    _cleanup_(freep) double *seconds = xcalloc(series->n_relays, sizeof(*seconds));
    _cleanup_(freep) double *means = xcalloc(series->n_relays, sizeof(*means));
    size_t n = 0;

    for (size_t i = 0; i < row->n_members; i++) {
        const Track *track = &series->tracks[row->members[i].track];
        sums[track->relay] += track->sum;
        seconds[track->relay] += (double)track->counted / (double)USEC_PER_SEC;
    }
    for (size_t i = 0; i < series->n_relays; i++)
        if (seconds[i] > 0)
            means[n++] = sums[i] / seconds[i];
    row->relays = n;
    row->average = stats_mean(means, n);
    row->deviation = sqrt(stats_variance(means, n));
}

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
    n = row->mixed = row->left_out = 0;
    for (size_t i = 0; i < row->n_members; i++) {
        ReportMember *m = &row->members[i];
        const Track *track = &series->tracks[m->track];
        m->left_out = NULL;
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

/* Least memory first, rows without any last, the waiting time behind all, and equal ones by name, so that the
 * order never varies. */
static int compare_rows(const void *a, const void *b)
{
    const ReportRow *x = a, *y = b;

    if (x->waiting != y->waiting)
        return x->waiting ? 1 : -1;
    if (isnan(x->average) != isnan(y->average))
        return isnan(x->average) ? 1 : -1;
    if (x->average < y->average || x->average > y->average)
        return x->average < y->average ? -1 : 1;
    int c = name_compare(x->group, y->group);
    if (c == 0)
        c = strcmp(x->allocator, y->allocator);
    return c != 0 ? c : strcmp(x->version, y->version);
}

void report_row_settle(const Series *series, ReportRow *row)
{
    row->samples = 0;
    row->counted = row->warm = row->gap = 0;
    row->restarts = row->moves = 0;
    for (size_t i = 0; i < row->n_members; i++) {
        const Track *t = &series->tracks[row->members[i].track];
        row->samples += t->samples;
        row->counted += t->counted;
        row->warm += t->warm;
        row->gap += t->gap;
        row->restarts += t->restarts;
        row->moves += t->moves;
    }
    if (row->n_members > 0)
        qsort(row->members, row->n_members, sizeof(*row->members), member_compare);
    if (row->waiting) {
        settle_waiting(series, row);
        row->growth = (Growth){ .trend = TREND_TOO_SHORT, .per_day = (double)NAN, .interval = INTERVAL_NONE };
        return;
    }
    settle_members(series, row);
    judge_growth(series, row);
}

void report_rows_sort(Report *report)
{
    if (report->n_rows > 0)
        qsort(report->rows, report->n_rows, sizeof(*report->rows), compare_rows);
}

void report_rows_build(const Series *series, Report *report)
{
    report->rows = xcalloc(series->n_keys + 1, sizeof(*report->rows)); /* one more for the waiting time */
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
        report_row_settle(series, &row);
        report->rows[report->n_rows++] = row;
    }
    report_rows_sort(report);
}

/* Relays of a group may run different things, or have run them. */
static bool group_is_ambiguous(const Report *report, const ReportRow *row)
{
    for (size_t i = 0; i < report->n_rows; i++)
        if (!report->rows[i].waiting && report->rows[i].key != row->key &&
            streq(report->rows[i].group, row->group))
            return true;
    return false;
}

char *report_row_name(const Report *report, const ReportRow *row)
{
    const char *group = isempty(row->group) ? "no group" : row->group;
    const char *allocator = isempty(row->allocator) ? "unknown" : row->allocator;
    const char *blank = isempty(row->version) ? "" : " ";

    if (row->waiting)
        return xasprintf("%s%s%s before the moves", allocator, blank, row->version);
    if (!report->series->options.by_group)
        return xasprintf("%s%s%s", allocator, blank, row->version);
    return group_is_ambiguous(report, row) ? xasprintf("%s (%s%s%s)", group, allocator, blank, row->version)
                                           : xstrdup(group);
}
