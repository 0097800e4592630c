/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the judgement of an experiment while it runs. Must never call groups similar if it does not know how
 * they started. */
#include "report/experiment.h"

#include <math.h>

void experiment_clear(Experiment *experiment)
{
    free(experiment->groups);
    *experiment = (Experiment){ 0 };
}

/* Does the relay still exist, and is it still in this row? */
static bool is_current(const Report *report, const ReportMember *m)
{
    const Series *series = report->series;
    const SeriesRelay *relay = &series->relays[m->relay];

    return relay->track == m->track && series_is_current(series, relay);
}

static double seconds(usec_t t)
{
    return (double)t / (double)USEC_PER_SEC;
}

/* Means over the earlier and the later half of what was counted. */
static bool halves(const Track *track, double *ret_first, double *ret_second)
{
    const double middle = (seconds(track->first) + seconds(track->last)) / 2;
    double sums[2] = { 0 }, weights[2] = { 0 };

    for (size_t i = 0; i < track->n_slices; i++) {
        const Slice *s = &track->slices[i];
        if (s->warm || s->seconds <= 0)
            continue;
        size_t half = s->moment / s->seconds >= middle;
        sums[half] += s->sum;
        weights[half] += s->seconds;
    }
    if (weights[0] <= 0 || weights[1] <= 0)
        return false;
    *ret_first = sums[0] / weights[0];
    *ret_second = sums[1] / weights[1];
    return true;
}

static PowerSide side_of(const Report *report, const ReportRow *row)
{
    _cleanup_(freep) double *means = xcalloc(row->n_members, sizeof(*means));
    _cleanup_(freep) double *first = xcalloc(row->n_members, sizeof(*first));
    _cleanup_(freep) double *second = xcalloc(row->n_members, sizeof(*second));
    size_t n = 0;

    for (size_t i = 0; i < row->n_members; i++) {
        const ReportMember *m = &row->members[i];
        if (!m->left_out && halves(&report->series->tracks[m->track], &first[n], &second[n]))
            means[n++] = m->mean;
    }
    return power_side(means, first, second, n);
}

/* What the relays that are in it now were like before. */
static void look_back(const Report *report, ExperimentGroup *group)
{
    const Series *series = report->series;
    double memory = 0, age = 0;

    for (size_t i = 0; i < group->row->n_members; i++) {
        const ReportMember *m = &group->row->members[i];
        const Track *track = &series->tracks[m->track];
        if (!is_current(report, m))
            continue;
        group->relays++;
        group->began = group->began == 0 || track->began < group->began ? track->began : group->began;
        if (!track->has_before)
            continue;
        group->known++;
        memory += (double)track->before_rss;
        age += seconds(track->before_age);
    }
    group->memory = group->known > 0 ? memory / (double)group->known : (double)NAN;
    group->age = group->known > 0 ? age / (double)group->known : (double)NAN;
}

/* How long until a day is counted? */
static usec_t until_verdict(const Report *report, const ExperimentGroup *group)
{
    const usec_t warmup = report->series->options.warmup, now = report->series->last;
    usec_t best = USEC_INFINITY;

    for (size_t i = 0; i < group->row->n_members; i++) {
        const Track *track = &report->series->tracks[group->row->members[i].track];
        const SeriesRelay *relay = &report->series->relays[group->row->members[i].relay];
        if (!is_current(report, &group->row->members[i]))
            continue;
        usec_t begin = track->first > 0 ? track->first : relay->start + warmup;
        usec_t end = begin + GROWTH_SPAN_MIN;
        best = end > now ? (end - now < best ? end - now : best) : 0;
    }
    return best == USEC_INFINITY ? 0 : best;
}

static void look_forward(const Experiment *experiment, ExperimentGroup *group)
{
    const Report *report = experiment->report;

    group->verdict = group->row->growth.trend == TREND_TOO_SHORT ? until_verdict(report, group) : 0;
    if (!experiment->baseline || group->row->baseline) {
        group->power = (Power){ .kind = POWER_UNKNOWN };
        return;
    }
    PowerSide a = side_of(report, group->row), b = side_of(report, experiment->baseline);
    group->power = power_needed(&a, &b, report->error);
    /* What the report itself says takes precedence over what might be expected of it. */
    const Interval interval = group->row->comparison.interval;
    if (interval_is_set(interval) && (interval.low > 0 || interval.high < 0))
        group->power = (Power){ .kind = POWER_TOLD, .times = 1 };
    if (group->power.kind == POWER_TIME && group->row->relays > 0)
        group->more =
            (usec_t)((group->power.times - 1) * (double)group->row->counted / (double)group->row->relays);
}

static void compare_starts(Experiment *experiment)
{
    const Series *series = experiment->report->series;
    _cleanup_(freep) BalanceRelay *relays = xcalloc(series->n_relays, sizeof(*relays));
    _cleanup_(freep) size_t *group = xcalloc(series->n_relays, sizeof(*group));

    for (size_t g = 0; g < experiment->n; g++) {
        const ReportRow *row = experiment->groups[g].row;
        experiment->relays += experiment->groups[g].relays;
        for (size_t i = 0; i < row->n_members; i++) {
            const Track *track = &series->tracks[row->members[i].track];
            if (!is_current(experiment->report, &row->members[i]) || !track->has_before)
                continue;
            relays[experiment->known] =
                (BalanceRelay){ (double)track->before_rss, seconds(track->before_age) };
            group[experiment->known++] = g;
        }
    }
    experiment->balance = balance_of(relays, group, experiment->known, experiment->n);
}

/* Long enough, and still not judged: the relays differ too much, or there are too few. */
static bool is_undecided(const ExperimentGroup *g)
{
    return g->row->growth.trend == TREND_TOO_SHORT && g->verdict == 0;
}

/* How far is it, and when can it tell? When every group can be told from the baseline, and is judged. */
static void look_at_progress(Experiment *e)
{
    const usec_t last = e->report->series->last;
    usec_t began = USEC_INFINITY;
    size_t compared = 0;

    for (size_t i = 0; i < e->n; i++) {
        const ExperimentGroup *g = &e->groups[i];
        usec_t need = is_undecided(g) ? USEC_INFINITY : g->verdict;
        began = g->began < began ? g->began : began;
        if (e->baseline && !g->row->baseline) {
            compared++;
            if (g->power.kind == POWER_TIME)
                need = g->more > need ? g->more : need;
            else if (g->power.kind != POWER_TOLD)
                need = USEC_INFINITY;
        }
        e->remaining = need > e->remaining ? need : e->remaining;
    }
    if (compared == 0)
        e->remaining = USEC_INFINITY;
    e->elapsed = began < last ? last - began : 0;
}

Experiment experiment_build(const Report *report)
{
    Experiment experiment = { .report = report };

    experiment.groups = xcalloc(report->n_rows, sizeof(*experiment.groups));
    if (report->baseline >= 0)
        experiment.baseline = &report->rows[report->baseline];
    for (size_t i = 0; i < report->n_rows; i++) {
        ExperimentGroup group = { .row = &report->rows[i] };
        if (isempty(group.row->group))
            continue;
        look_back(report, &group);
        if (group.relays == 0)
            continue;
        look_forward(&experiment, &group);
        experiment.groups[experiment.n++] = group;
    }
    compare_starts(&experiment);
    look_at_progress(&experiment);
    return experiment;
}

/* ---- sentences ---- */

static char *balance_note(const Experiment *e)
{
    if (isnan(e->balance.memory))
        return xstrdup("It is not known how similar the groups were at their start: the samples start after "
                       "the groups did.");
    bool alike =
        e->balance.memory <= EXPERIMENT_DISTANCE_NOTABLE && e->balance.age <= EXPERIMENT_DISTANCE_NOTABLE;
    return xasprintf("At their start, as far as samples go back (%zu of %zu relays), the groups that "
                     "differed most were %.2f standard deviations apart in memory and %.2f in age: %s.",
                     e->known, e->relays, e->balance.memory, e->balance.age,
                     alike ? "comparable" : "not similar, so part of the difference may have existed before");
}

static char *outlook_note(const Experiment *e, const ExperimentGroup *g)
{
    char span[FORMAT_SPAN_MAX];
    _cleanup_(freep) char *name = report_row_name(e->report, g->row);
    _cleanup_(freep) char *base = report_row_name(e->report, e->baseline);

    switch (g->power.kind) {
    case POWER_TOLD:
        return xasprintf("%s and %s can be told apart.", name, base);
    case POWER_TIME:
        return xasprintf("%s and %s need about %s more, at the current difference and spread.", name, base,
                         format_span(span, g->more > USEC_PER_MINUTE ? g->more : USEC_PER_MINUTE));
    case POWER_RELAYS:
        return xasprintf("%s and %s: more time will not tell them apart at the current difference and "
                         "spread, but %zu relays per group would.",
                         name, base, g->power.relays);
    case POWER_UNKNOWN:
        break;
    }
    return xasprintf(
        "%s and %s: fewer than three relays with samples, or no difference, so nothing can be said.", name,
        base);
}

static char *progress_note(const Experiment *e)
{
    char elapsed[FORMAT_SPAN_MAX], remaining[FORMAT_SPAN_MAX];

    format_span(elapsed, e->elapsed);
    if (e->remaining == 0)
        return xasprintf("It has run for %s and can tell: \"relayallocctl recommend\" says what it shows, "
                         "\"relayallocctl experiment adopt\" moves the fleet to the best.",
                         elapsed);
    if (e->remaining == USEC_INFINITY)
        return xasprintf("It has run for %s, and it is not known when it can tell: see below.", elapsed);
    return xasprintf(
        "It has run for %s, %.0f %% of the way: it can tell in about %s, at the current difference "
        "and spread.",
        elapsed, floor(100 * (double)e->elapsed / ((double)e->elapsed + (double)e->remaining)),
        format_span(remaining, e->remaining));
}

char **experiment_notes(const Experiment *e)
{
    char **notes = NULL;
    char span[FORMAT_SPAN_MAX];

    if (e->n == 0) {
        strv_push(&notes, xstrdup("No relay is in a group: there is no experiment."));
        return notes;
    }
    strv_push(&notes, progress_note(e));
    strv_push(&notes, balance_note(e));
    for (size_t i = 0; e->baseline && i < e->n; i++)
        if (!e->groups[i].row->baseline)
            strv_push(&notes, outlook_note(e, &e->groups[i]));
    if (!e->baseline)
        strv_push(&notes, xstrdup("There is nothing to compare with: no group runs glibc beside the others; "
                                  "--baseline=GROUP sets another baseline."));
    for (size_t i = 0; i < e->n; i++) {
        if (!is_undecided(&e->groups[i]))
            continue;
        _cleanup_(freep) char *name = report_row_name(e->report, e->groups[i].row);
        strv_push(&notes, xasprintf("Whether %s grows cannot be told yet: %s.", name,
                                    e->groups[i].row->growth.reason));
    }
    usec_t verdict = 0;
    for (size_t i = 0; i < e->n; i++)
        verdict = e->groups[i].verdict > verdict ? e->groups[i].verdict : verdict;
    if (verdict > 0)
        strv_push(&notes,
                  xasprintf("Whether each of them grows will be known in %s.", format_span(span, verdict)));
    return notes;
}
