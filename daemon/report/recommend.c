/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the recommendation. Must never name an allocator without naming its drawbacks. */
#include "report/recommend.h"

#include "report/report-text.h"

#include <math.h>

void recommendation_clear(Recommendation *r)
{
    free(r->text);
    *r = (Recommendation){ 0 };
}

/* Why not to recommend this one; NULL: it may be recommended. */
static const char *memory_objection(const ReportRow *row)
{
    if (row->relays < STATS_SUBJECTS_MIN)
        return "fewer than three relays";
    switch (row->growth.trend) {
    case TREND_GROWING:
        return "growing";
    case TREND_TOO_SHORT:
        return "measured for too short a time";
    default:
        break;
    }
    if (!interval_is_set(row->comparison.interval))
        return row->why ? row->why : "no interval";
    return row->comparison.interval.low > 0 ? NULL : "not significantly less than the baseline";
}

/* The same, with what it costs. Owned by the caller. */
static char *objection(const Report *report, const ReportRow *row)
{
    const char *against = memory_objection(row);

    return against ? xstrdup(against) : report_cost_objection(report, row);
}

static const ReportRow *choose(const Report *report, const char **ret_reason, bool *ret_no_data)
{
    const ReportRow *best = NULL;
    bool judged = false, too_dear = false;

    *ret_reason = NULL;
    if (report->baseline < 0) {
        *ret_reason =
            report->without_control
                ? "there is nothing to compare with: no relay ran glibc beside the others; "
                  "--compare=all compares with what they used before they were moved"
                : "there is nothing to compare with: no relay ran glibc in that time (see --baseline)";
        *ret_no_data = true;
        return NULL;
    }
    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        if (row->baseline || row->waiting)
            continue;
        _cleanup_(freep) char *against = objection(report, row);
        too_dear = too_dear || (against && !memory_objection(row));
        judged = judged || (row->growth.trend != TREND_TOO_SHORT && row->relays >= STATS_SUBJECTS_MIN);
        if (!against && (!best || row->comparison.reduction > best->comparison.reduction))
            best = row;
    }
    *ret_no_data = !best && !too_dear && !judged;
    if (!best)
        *ret_reason =
            too_dear ? "what saves memory costs bandwidth or flags"
            : judged ? "no allocator that was measured long enough significantly saves memory without growing"
                     : "there is too little data";
    return best;
}

/* Each relay counts with the average of what it runs, so that a recent restart changes nothing. */
static void add_up_fleet(const Report *report, Recommendation *r)
{
    const Series *series = report->series;

    for (size_t i = 0; i < series->n_relays; i++) {
        const SeriesRelay *relay = &series->relays[i];
        if (!series_is_current(series, relay)) /* the fleet is what was sampled at the end */
            continue;
        const ReportRow *row = report_row_of_track(report, relay->track);
        r->fleet++;
        r->running += row == r->row;
        r->present += row && row->average > 0 ? row->average : (double)relay->rss;
    }
    const double all_on_baseline = (double)r->fleet * r->row->comparison.mean_b;
    const Interval reduction = r->row->comparison.interval;
    r->with_it = all_on_baseline * (1 - r->row->comparison.reduction);
    r->saving = r->present - r->with_it;
    r->saving_interval = (Interval){ r->present - all_on_baseline * (1 - reduction.low),
                                     r->present - all_on_baseline * (1 - reduction.high) };
}

/* ---- the paragraph ---- */

static void put_bytes(FILE *f, double bytes)
{
    char buf[FORMAT_BYTES_MAX];

    fprintf(f, "%s%s", bytes < 0 ? "-" : "", format_bytes(buf, (uint64_t)llround(fabs(bytes))));
}

static void put_row(FILE *f, const Report *report, const ReportRow *row)
{
    _cleanup_(freep) char *subject = report_row_subject(report, row);

    fputs(subject, f);
}

static void put_cell(FILE *f, const ReportRow *row, ReportColumn column)
{
    _cleanup_(freep) char *cell = report_cell(row, column);

    fputs(cell, f);
}

static void put_gain(FILE *f, const Report *report, const Recommendation *r)
{
    const ReportRow *row = r->row, *base = &report->rows[report->baseline];

    fputs("Use ", f);
    put_row(f, report, row);
    fputs(": ", f);
    put_cell(f, row, REPORT_AVERAGE);
    fputs(" per relay, ", f);
    put_cell(f, row, REPORT_REDUCTION);
    fputs(" less than ", f);
    put_row(f, report, base);
    fputs(" with ", f);
    put_cell(f, base, REPORT_AVERAGE);
    fputs(" (95 % interval ", f);
    put_cell(f, row, REPORT_INTERVAL);
    fprintf(f, ", %zu and %zu relays). ", row->relays, base->relays);
    if (r->running == r->fleet) {
        fprintf(f, "All %zu relays run it already.", r->fleet);
        return;
    }
    fprintf(f, "The fleet of %zu uses ", r->fleet);
    put_bytes(f, r->present);
    fputs("; if all of it ran this, it would use ", f);
    put_bytes(f, r->with_it);
    fputs(", which saves ", f);
    put_bytes(f, r->saving);
    fputs(" (", f);
    put_bytes(f, r->saving_interval.low);
    fputs(" to ", f);
    put_bytes(f, r->saving_interval.high);
    fputs(").", f);
}

static void put_against(FILE *f, const Report *report, const Recommendation *r)
{
    const ReportRow *row = r->row;
    size_t n = 0;

    fputs(" Drawbacks: ", f);
    if (r->failures > 0)
        fprintf(f, "%s%u move%s to it failed", n++ > 0 ? ", " : "", r->failures, r->failures == 1 ? "" : "s");
    if (row->growth.per_day > 0 && row->growth.interval.low > 0) {
        fputs(n++ > 0 ? ", it grows by " : "it grows by ", f);
        put_bytes(f, row->growth.per_day);
        fputs(" per day, too little to matter now", f);
    }
    const ReportRow *base = &report->rows[report->baseline];
    double often = row->counted > 0 ? row->restarts / ((double)row->counted / (double)USEC_PER_DAY) : 0;
    double usual = base->counted > 0 ? base->restarts / ((double)base->counted / (double)USEC_PER_DAY) : 0;
    if (row->restarts > 1 && often > 2 * usual)
        fprintf(f, "%sits relays restarted %u times, more often than the others", n++ > 0 ? ", " : "",
                row->restarts);
    if (row->relays < 5)
        fprintf(f, "%sonly %zu relays ran it", n++ > 0 ? ", " : "", row->relays);
    fputs(n == 0 ? "none were measured." : ".", f);
}

/* Nothing where relays were never asked; else what is not known is said, too. */
static void put_cost(FILE *f, const Report *report, const ReportRow *row)
{
    _cleanup_(freep) char *cost = report_cost_sentence(report, row);

    if (!cost)
        return;
    cost[0] = (char)(cost[0] - 'a' + 'A');
    fprintf(f, " %s.", cost);
}

/* The others: as good within the margin of error, or why not. */
static void put_others(FILE *f, const Report *report, const Recommendation *r)
{
    size_t n = 0;

    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        if (row == r->row || row->baseline || row->waiting || row->relays == 0)
            continue;
        _cleanup_(freep) char *against = objection(report, row);
        if (!against && r->row && row->comparison.interval.high < r->row->comparison.interval.low)
            continue; /* plainly less */
        fputs(n++ > 0 ? "; " : r->row ? " Others: " : " Compared: ", f);
        put_row(f, report, row);
        fprintf(f, ", %s", against ? against : "no worse, within the margin of error");
    }
    if (n > 0)
        fputc('.', f);
}

Recommendation recommend(const Report *report, const RecommendFailures *failures, size_t n_failures)
{
    Recommendation r = { .saving_interval = INTERVAL_NONE };
    size_t size = 0;

    r.row = choose(report, &r.reason, &r.no_data);
    if (r.row)
        add_up_fleet(report, &r);
    for (size_t i = 0; r.row && i < n_failures; i++)
        if (streq(failures[i].allocator, r.row->allocator))
            r.failures += failures[i].count;
    FILE *f = open_memstream(&r.text, &size);
    if (!f)
        abort();
    if (r.row) {
        put_gain(f, report, &r);
        put_cost(f, report, r.row);
        put_against(f, report, &r);
    } else
        fprintf(f, "No recommendation: %s.", r.reason);
    put_others(f, report, &r);
    fclose(f);
    return r;
}
