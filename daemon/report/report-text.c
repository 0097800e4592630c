/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns how the numbers of a report are written for people, CSV and Markdown. Must never compute any. */
#include "report/report-text.h"

#include "core/timestamp.h"
#include "report/csv.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <strings.h>

static const struct {
    const char *title;
    bool number;
} columns[_REPORT_COLUMN_MAX] = {
    [REPORT_HOST] = { "Host", false },           [REPORT_GROUP] = { "Group", false },
    [REPORT_ALLOCATOR] = { "Allocator", false }, [REPORT_VERSION] = { "Version", false },
    [REPORT_RELAYS] = { "Relays", true },        [REPORT_AVERAGE] = { "Average", true },
    [REPORT_REDUCTION] = { "Reduction", true },  [REPORT_INTERVAL] = { "95 % interval", true },
    [REPORT_GROWTH] = { "Growth/day", true },    [REPORT_VERDICT] = { "Verdict", false },
    [REPORT_TRAFFIC] = { "Traffic/day", true },  [REPORT_BANDWIDTH] = { "Bandwidth", true },
    [REPORT_GUARD] = { "Guard", true },          [REPORT_HSDIR] = { "HSDir", true },
    [REPORT_RUNNING] = { "Running", true },      [REPORT_FAST] = { "Fast", true },
    [REPORT_STABLE] = { "Stable", true },
};

const char *report_column_title(ReportColumn column)
{
    assert(column < _REPORT_COLUMN_MAX);
    return columns[column].title;
}

bool report_column_is_number(ReportColumn column)
{
    assert(column < _REPORT_COLUMN_MAX);
    return columns[column].number;
}

/* A flag that no relay ever had takes no column. */
static bool has_flag(const Report *report, Flag flag)
{
    for (size_t i = 0; report->has_flags && i < report->n_rows; i++)
        if (report->rows[i].flags[flag].had > 0 || report->rows[i].flags[flag].share > 0)
            return true;
    return false;
}

bool report_has_column(const Report *report, ReportColumn column)
{
    if (column >= REPORT_GUARD)
        return has_flag(report, (Flag)(column - REPORT_GUARD));
    if (column == REPORT_TRAFFIC || column == REPORT_BANDWIDTH)
        return report->has_traffic;
    if (column == REPORT_HOST || column == REPORT_GROUP)
        return report->series->options.by_group && report->series->options.by_host == (column == REPORT_HOST);
    if (column != REPORT_ALLOCATOR && column != REPORT_VERSION)
        return true;
    for (size_t i = 0; i < report->n_rows; i++)
        if (!isempty(column == REPORT_ALLOCATOR ? report->rows[i].allocator : report->rows[i].version))
            return true;
    return false;
}

/* "80 %" of 0.8. */
static char *percent_text(double part, int digits)
{
    double percent = 100 * part;

    if (fabs(percent) < 0.5 * pow(10, -digits))
        percent = 0; /* never "-0" */
    return xasprintf("%.*f %%", digits, percent);
}

char *report_signed_bytes(double bytes)
{
    char buf[FORMAT_BYTES_MAX];

    return xasprintf("%s%s", bytes < 0 ? "-" : "+", format_bytes(buf, (uint64_t)llround(fabs(bytes))));
}

static char *interval_text(Interval interval)
{
    int digits = interval.high - interval.low < 0.02 ? 1 : 0;
    _cleanup_(freep) char *high = percent_text(interval.high, digits);

    if (!interval_is_set(interval))
        return xstrdup("");
    /* A few wildly different relays can say so little that digits are pointless. */
    if (interval.low < -10)
        return xasprintf("below %s", high);
    _cleanup_(freep) char *low = percent_text(interval.low, digits);
    return xasprintf("%.*s to %s", (int)strlen(low) - 2, low, high);
}

static char *growth_text(const ReportRow *row)
{
    if (!growth_is_told(&row->growth) || !(row->average > 0))
        return xstrdup("");
    _cleanup_(freep) char *bytes = report_signed_bytes(row->growth.per_day);
    _cleanup_(freep) char *percent = percent_text(row->growth.per_day / row->average, 1);
    return xasprintf("%s (%s)", bytes, percent);
}

static char *bandwidth_text(const ReportRow *row)
{
    if (row->baseline)
        return xstrdup(isnan(row->traffic.per_day) ? "" : "baseline");
    return row->traffic.why ? xstrdup(row->traffic.why) : report_difference_text(&row->traffic);
}

/* "99.7 %": a flag that is lost for some hours shows behind the point. */
static char *share_text(double share)
{
    return isnan(share) ? xstrdup("") : percent_text(share, share > 0 && share < 1 ? 1 : 0);
}

char *report_cell(const ReportRow *row, ReportColumn column)
{
    char buf[FORMAT_BYTES_MAX];

    switch (column) {
    case REPORT_HOST:
    case REPORT_GROUP:
        return xstrdup(row->group);
    case REPORT_ALLOCATOR:
        return xstrdup(row->allocator);
    case REPORT_VERSION:
        return xstrdup(row->version);
    case REPORT_RELAYS:
        return xasprintf("%zu", row->relays);
    case REPORT_AVERAGE:
        return xstrdup(isnan(row->average) ? "" : format_bytes(buf, (uint64_t)llround(row->average)));
    case REPORT_REDUCTION:
        if (row->baseline || row->waiting)
            return xstrdup(row->baseline ? "baseline" : "waiting");
        return isnan(row->comparison.reduction) ? xstrdup("") : percent_text(row->comparison.reduction, 0);
    case REPORT_INTERVAL:
        return row->why ? xstrdup(row->why) : interval_text(row->comparison.interval);
    case REPORT_GROWTH:
        return growth_text(row);
    case REPORT_VERDICT:
        return xstrdup(row->waiting ? "" : trend_to_string(row->growth.trend));
    case REPORT_TRAFFIC:
        return xstrdup(
            isnan(row->traffic.per_day) ? "" : format_bytes(buf, (uint64_t)llround(row->traffic.per_day)));
    case REPORT_BANDWIDTH:
        return bandwidth_text(row);
    case REPORT_GUARD:
    case REPORT_HSDIR:
    case REPORT_RUNNING:
    case REPORT_FAST:
    case REPORT_STABLE:
        return share_text(row->flags[column - REPORT_GUARD].share);
    case _REPORT_COLUMN_MAX:
        break;
    }
    return xstrdup("");
}

const char *report_empty_cell(ReportColumn column)
{
    return column == REPORT_GROUP ? "no group" : "-";
}

/* ---- sentences ---- */

char *report_row_subject(const Report *report, const ReportRow *row)
{
    if (!report->series->options.by_group)
        return report_row_name(report, row);
    _cleanup_(freep) char *name = report_row_name(report, row);
    return isempty(row->group) ? xasprintf("relays of %s", name)
                               : xasprintf("%s %s", report_by(report), name);
}

/* The row of least memory that uses significantly less than the baseline. */
static const ReportRow *best_row(const Report *report)
{
    for (size_t i = 0; i < report->n_rows; i++)
        if (interval_is_set(report->rows[i].comparison.interval) &&
            report->rows[i].comparison.interval.low > 0)
            return &report->rows[i];
    return NULL;
}

char *report_headline(const Report *report)
{
    static const char *const but[_TREND_MAX] = {
        [TREND_GROWING] = " But it is still growing.",
        [TREND_TOO_SHORT] = " It is too early to tell whether it is still growing.",
    };

    if (report->baseline < 0 || report->n_rows < 2)
        return NULL;
    const ReportRow *base = &report->rows[report->baseline], *best = best_row(report);
    _cleanup_(freep) char *base_name = report_row_subject(report, base);
    if (!best)
        return xasprintf("No %s here uses significantly less memory than %s.", report_by(report), base_name);
    _cleanup_(freep) char *name = report_row_subject(report, best);
    _cleanup_(freep) char *reduction = report_cell(best, REPORT_REDUCTION);
    _cleanup_(freep) char *interval = report_cell(best, REPORT_INTERVAL);
    char average[FORMAT_BYTES_MAX], base_average[FORMAT_BYTES_MAX];
    format_bytes(average, (uint64_t)llround(best->comparison.mean_a));
    format_bytes(base_average, (uint64_t)llround(best->comparison.mean_b));
    const char *doubt = but[best->growth.trend];
    _cleanup_(freep) char *cost = report_cost_sentence(report, best);
    if (cost)
        cost[0] = (char)(cost[0] - 'a' + 'A');
    char *text =
        xasprintf("%s uses %s less memory than %s (95 %% interval %s): %s per relay instead of %s.%s%s%s%s",
                  name, reduction, base_name, interval, average, base_average, doubt ? doubt : "",
                  cost ? " " : "", cost ? cost : "", cost ? "." : "");
    if (report->series->options.by_group) /* of ours; the name of an allocator stays as it is */
        text[0] = (char)(text[0] - 'a' + 'A');
    return text;
}

/* ---- CSV ---- */

static void put_number(FILE *f, double v, int digits)
{
    if (isnan(v))
        fputc(',', f);
    else
        fprintf(f, ",%.*f", digits, v);
}

/* "guard_share,guard_had,…" */
static void put_cost_header(FILE *f, const Report *report)
{
    if (report->has_traffic)
        fputs(",traffic_bytes_per_day,traffic_relays,traffic_days,bandwidth_difference,bandwidth_low,"
              "bandwidth_high,bandwidth_reason",
              f);
    for (Flag flag = 0; report->has_flags && flag < _FLAG_MAX; flag++) {
        static const char *const values[] = {
            "share", "had", "kept", "restarts", "restarts_lost", "restarts_back", "seconds_until_back"
        };
        for (size_t i = 0; i < ELEMENTSOF(values); i++) {
            fputc(',', f);
            for (const char *p = flag_to_string(flag); *p; p++)
                fputc(tolower((unsigned char)*p), f);
            fprintf(f, "_%s", values[i]);
        }
    }
}

static void put_costs(FILE *f, const Report *report, const ReportRow *row)
{
    if (report->has_traffic) {
        put_number(f, row->traffic.per_day, 0);
        fprintf(f, ",%zu", row->traffic.relays);
        put_number(f, row->traffic.days, 3);
        put_number(f, row->traffic.difference, 6);
        put_number(f, row->traffic.interval.low, 6);
        put_number(f, row->traffic.interval.high, 6);
        fputc(',', f);
        csv_write(f, row->traffic.why);
    }
    for (Flag flag = 0; report->has_flags && flag < _FLAG_MAX; flag++) {
        const ReportFlag *v = &row->flags[flag];
        put_number(f, v->share, 6);
        fprintf(f, ",%zu,%zu,%u,%u,%u", v->had, v->kept, v->restarts, v->lost, v->back);
        put_number(f, v->back_seconds, 0);
    }
}

void report_write_csv(FILE *f, const Report *report)
{
    fputs("group,allocator,version,relays,average_bytes,deviation_bytes,baseline,reduction,reduction_low,"
          "reduction_high,growth_bytes_per_day,growth_low,growth_high,verdict,samples,counted_seconds,"
          "warmup_seconds,gap_seconds,restarts,left_out,mixed,moves,waiting,reason",
          f);
    put_cost_header(f, report);
    fputc('\n', f);
    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        csv_write(f, row->group);
        fputc(',', f);
        csv_write(f, row->allocator);
        fputc(',', f);
        csv_write(f, row->version);
        fprintf(f, ",%zu", row->relays);
        put_number(f, row->average, 0);
        put_number(f, row->deviation, 0);
        fputs(row->baseline ? ",1" : ",0", f);
        put_number(f, row->comparison.reduction, 6);
        put_number(f, row->comparison.interval.low, 6);
        put_number(f, row->comparison.interval.high, 6);
        const bool told = growth_is_told(&row->growth);
        put_number(f, told ? row->growth.per_day : (double)NAN, 0);
        put_number(f, told ? row->growth.interval.low : (double)NAN, 0);
        put_number(f, told ? row->growth.interval.high : (double)NAN, 0);
        fprintf(f, ",%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%u,%zu,%zu,%u,%d,",
                row->waiting ? "" : trend_to_string(row->growth.trend), row->samples,
                row->counted / USEC_PER_SEC, row->warm / USEC_PER_SEC, row->gap / USEC_PER_SEC,
                row->restarts + row->moves, row->left_out, row->mixed, row->moves, row->waiting);
        csv_write(f, row->why);
        put_costs(f, report, row);
        fputc('\n', f);
    }
}

/* ---- Markdown ---- */

/* Markdown lets HTML through, and turns what looks like a link into one: what could begin either is written
 * as a character reference. */
static void markdown_escape(FILE *f, const char *text)
{
    for (const char *p = text; *p; p++) {
        bool link = strncmp(p, "://", 3) == 0 || (p != text && strncasecmp(p - 1, "www.", 4) == 0);
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            fputc('?', f);
        else if (link || strchr("\\`*_[]<>#|~&@", *p) != NULL)
            fprintf(f, "&#%d;", *p);
        else
            fputc(*p, f);
    }
}

void report_write_markdown(FILE *f, const Report *report, char *const *notes)
{
    fputc('|', f);
    for (ReportColumn c = 0; c < _REPORT_COLUMN_MAX; c++)
        if (report_has_column(report, c))
            fprintf(f, " %s |", columns[c].title);
    fputs("\n|", f);
    for (ReportColumn c = 0; c < _REPORT_COLUMN_MAX; c++)
        if (report_has_column(report, c))
            fputs(columns[c].number ? "---:|" : "---|", f);
    fputc('\n', f);
    for (size_t i = 0; i < report->n_rows; i++) {
        fputc('|', f);
        for (ReportColumn c = 0; c < _REPORT_COLUMN_MAX; c++) {
            if (!report_has_column(report, c))
                continue;
            _cleanup_(freep) char *cell = report_cell(&report->rows[i], c);
            fputc(' ', f);
            markdown_escape(f, isempty(cell) ? report_empty_cell(c) : cell);
            fputs(" |", f);
        }
        fputc('\n', f);
    }
    fputc('\n', f);
    STRV_FOREACH (n, notes) {
        fputs("- ", f);
        markdown_escape(f, *n);
        fputc('\n', f);
    }
}
