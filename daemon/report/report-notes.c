/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the sentences below the table: what it is based on, and what it leaves out. Must never leave out a
 * reason. */
#include "report/report.h"

#include "core/timestamp.h"

#include <inttypes.h>
#include <math.h>

/* At most this many names in a sentence; the rest is a number. */
#define NAMES_MAX 6

/* Appends text to a sentence. */
static FILE *sentence_open(char **text, size_t *size)
{
    FILE *f = open_memstream(text, size);

    if (!f)
        abort();
    return f;
}

static double hours(usec_t span)
{
    return (double)span / (double)USEC_PER_HOUR;
}

/* "12,345": people read these. */
static void put_count(FILE *f, uint64_t n)
{
    if (n >= 1000) {
        put_count(f, n / 1000);
        fprintf(f, ",%03" PRIu64, n % 1000);
    } else
        fprintf(f, "%" PRIu64, n);
}

static void put_hours(FILE *f, usec_t span)
{
    if (span == 0)
        fputs("none", f);
    else if (hours(span) >= 10)
        put_count(f, (uint64_t)llround(hours(span)));
    else
        fprintf(f, "%.1f", hours(span));
}

/* Warm-ups are given in hours, as in --warmup=48h. */
static const char *warmup_text(char buf[static FORMAT_SPAN_MAX], usec_t warmup)
{
    if (warmup % USEC_PER_HOUR != 0 || warmup == 0)
        return format_span(buf, warmup);
    snprintf(buf, FORMAT_SPAN_MAX, "%" PRIu64 "h", warmup / USEC_PER_HOUR);
    return buf;
}

static char *basis(const Report *report)
{
    const Series *series = report->series;
    char first[TIMESTAMP_MAX], last[TIMESTAMP_MAX], warmup[FORMAT_SPAN_MAX];
    char *text = NULL;
    size_t size = 0;
    FILE *f = sentence_open(&text, &size);

    put_count(f, series->samples);
    fprintf(f, " samples of %zu relay%s, %s to %s: ", report->relays, report->relays == 1 ? "" : "s",
            timestamp_format(first, series->first, TIMESTAMP_PEOPLE),
            timestamp_format(last, series->last, TIMESTAMP_PEOPLE));
    if (report->counted > 0)
        put_hours(f, report->counted);
    else
        fputs("no", f);
    fputs(" relay-hours counted, ", f);
    if (series->options.warmup > 0) {
        put_hours(f, report->warm);
        fprintf(f, " left out as warm-up (the first %s after each start), ",
                warmup_text(warmup, series->options.warmup));
    }
    put_hours(f, report->gap);
    const unsigned starts = report->restarts + report->moves;
    fprintf(f, " without samples; %u restart%s", starts, starts == 1 ? "" : "s");
    if (report->moves > 0)
        fprintf(f, ", %u of them to move", report->moves);
    fputc('.', f);
    fclose(f);
    return text;
}

static char *collection(const Report *report)
{
    char first[TIMESTAMP_MAX], last[TIMESTAMP_MAX], warmup[FORMAT_SPAN_MAX];
    size_t relays = 0, young = 0;
    char *text = NULL;
    size_t size = 0;
    FILE *f = sentence_open(&text, &size);

    for (size_t i = 0; i < report->n_rows; i++) {
        relays += report->rows[i].relays;
        young += report->rows[i].young;
    }
    timestamp_format(first, report->at_first, TIMESTAMP_LOCAL);
    timestamp_format(last, report->at_last, TIMESTAMP_LOCAL);
    fprintf(f, "One collection, %s%s%s: %zu relays", first, streq(first, last) ? "" : " to ",
            streq(first, last) ? "" : last, relays);
    if (young > 0)
        fprintf(f, ", %zu of which had run for less than %s", young,
                warmup_text(warmup, report->series->options.warmup));
    fputs(". Growth and verdict are based on the time before it.", f);
    fclose(f);
    return text;
}

/* What the intervals hold. */
static void put_confidence(FILE *f, const Report *report)
{
    fprintf(f, "; its 95 %% interval is a studentised bootstrap over relays (%d draws, seed %" PRIu64 ")",
            STATS_DRAWS, report->seed);
    if (report->compared < 2)
        fputc('.', f);
    else if (report->error < 0.05)
        fprintf(f,
                ", made wider so that all %zu hold together (Bonferroni: %.2f %% each; --uncorrected leaves "
                "it out).",
                report->compared, 100 * (1 - report->error));
    else
        fprintf(f, ", each for its row alone: of %zu together, more than 5 %% miss.", report->compared);
}

static char *comparison(const Report *report)
{
    char *text = NULL;
    size_t size = 0;

    if (report->without_control)
        return xasprintf("No reduction, because nothing ran %s beside the others: what there is of it is the "
                         "time before relays were moved, which --compare=all compares with.",
                         report->without_control);
    if (report->baseline < 0)
        return xasprintf("No reduction, because none of these is known to be glibc; --baseline=NAME sets "
                         "what to compare with.");
    _cleanup_(freep) char *name = report_row_name(report, &report->rows[report->baseline]);
    FILE *f = sentence_open(&text, &size);
    fprintf(f, "Reduction against %s%s", name,
            report->series->options.at > 0 ? ""
            : report->beside               ? ", over the time that both ran"
                                           : " at whatever time it ran, before relays were moved, too");
    put_confidence(f, report);
    fclose(f);
    return text;
}

/* What the line of the waiting time is. */
static char *waiting(const Report *report)
{
    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        if (!row->waiting)
            continue;
        char *text = NULL;
        size_t size = 0;
        FILE *f = sentence_open(&text, &size);
        fprintf(f, "Waiting: %zu relay%s on %s before %s turn came, ", row->relays,
                row->relays == 1 ? "" : "s", row->allocator, row->relays == 1 ? "its" : "their");
        if (row->counted > 0)
            put_hours(f, row->counted);
        else
            fputs("no", f);
        fputs(" relay-hours counted; that is another time, so nothing is compared with it (--compare=all "
              "does).",
              f);
        fclose(f);
        return text;
    }
    return NULL;
}

static const char *why_too_short(const ReportRow *row)
{
    if (row->growth.trend != TREND_TOO_SHORT || row->waiting)
        return NULL;
    return row->counted == 0 && row->warm > 0 ? "all of it is warm-up; --warmup=0 counts it"
                                              : row->growth.reason;
}

static char *too_short(const Report *report)
{
    char *text = NULL;
    size_t size = 0, n = 0;
    FILE *f = sentence_open(&text, &size);

    for (size_t i = 0; i < report->n_rows; i++) {
        const char *reason = why_too_short(&report->rows[i]);
        bool told = !reason;
        for (size_t earlier = 0; !told && earlier < i; earlier++)
            told = streq_null(why_too_short(&report->rows[earlier]), reason);
        if (told)
            continue;
        fputs(n++ == 0 ? "Too short to judge growth: " : "; ", f);
        for (size_t k = i; k < report->n_rows; k++) {
            if (!streq_null(why_too_short(&report->rows[k]), reason))
                continue;
            _cleanup_(freep) char *name = report_row_name(report, &report->rows[k]);
            fprintf(f, "%s%s", k == i ? "" : ", ", name);
        }
        fprintf(f, " (%s)", reason);
    }
    fputc('.', f);
    fclose(f);
    if (n == 0)
        free(TAKE_PTR(text));
    return text;
}

/* The members of a row that are left out for this reason by name. */
static void put_left_out(FILE *f, const ReportRow *row, const char *reason)
{
    size_t n = 0;

    for (size_t k = 0; k < row->n_members; k++) {
        const ReportMember *m = &row->members[k];
        if (!m->left_out || !streq(m->left_out, reason))
            continue;
        if (n < NAMES_MAX)
            fprintf(f, "%s%s", n == 0 ? "" : ", ", m->name);
        n++;
    }
    if (n > NAMES_MAX)
        fprintf(f, " and %zu more", n - NAMES_MAX);
}

static char *left_out(const Report *report)
{
    char *text = NULL;
    size_t size = 0, n = 0;
    FILE *f = sentence_open(&text, &size);

    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        if (row->relays == 0 || row->waiting)
            continue; /* said above, for the row as a whole */
        for (size_t k = 0; k < row->n_members; k++) {
            const char *reason = row->members[k].left_out;
            bool told = !reason;
            for (size_t earlier = 0; !told && earlier < k; earlier++)
                told = row->members[earlier].left_out && streq(row->members[earlier].left_out, reason);
            if (told)
                continue;
            _cleanup_(freep) char *name = report_row_name(report, row);
            fputs(n++ == 0 ? "Left out: " : "; ", f);
            put_left_out(f, row, reason);
            fprintf(f, " of %s (%s)", name, reason);
        }
    }
    fputc('.', f);
    fclose(f);
    if (n == 0)
        free(TAKE_PTR(text));
    return text;
}

/* Memory that was swapped out is missing from every number above. */
static char *swapped(const Series *series)
{
    char buf[FORMAT_BYTES_MAX];
    uint64_t swap = 0, rss = 0;
    size_t relays = 0;

    for (size_t i = 0; i < series->n_relays; i++) {
        swap += series->relays[i].swap;
        rss += series->relays[i].rss;
        relays += series->relays[i].swap > 0;
    }
    if (swap <= rss / 100)
        return NULL;
    return xasprintf("%s of %zu relay%s in swap at the end, which no average includes.",
                     format_bytes(buf, swap), relays, relays == 1 ? " was" : "s were");
}

/* What the traffic rests on. */
static char *traffic(const Report *report)
{
    double days = 0;
    char *text = NULL;
    size_t size = 0;

    if (!report->has_traffic)
        return NULL;
    for (size_t i = 0; i < report->n_rows; i++)
        days += report->rows[i].waiting ? 0 : report->rows[i].traffic.days;
    FILE *f = sentence_open(&text, &size);
    fputs("Traffic is ", f);
    fputs(report->series->only_written ? "what was written" : "what was read and written", f);
    fprintf(f, " per relay and day, of %.*f days of relays outside of warm-ups", days < 10 ? 1 : 0, days);
    if (report->traffic_compared > 1)
        fprintf(f, "; the intervals of its difference are %s",
                report->traffic_error < 0.05 ? "made wider so that all of them hold together"
                                             : "each for its row alone");
    fputc('.', f);
    fclose(f);
    return text;
}

/* The cost of each row, one sentence. */
static char *costs(const Report *report)
{
    char *text = NULL;
    size_t size = 0, n = 0;

    if (!report->has_traffic && !report->has_flags)
        return NULL;
    FILE *f = sentence_open(&text, &size);
    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        if (row->waiting)
            continue;
        _cleanup_(freep) char *name = report_row_name(report, row), *cost = report_cost_sentence(report, row);
        fprintf(f, "%s%s: %s", n++ > 0 ? "; " : "", name, cost);
    }
    fputc('.', f);
    fclose(f);
    return text;
}

/* "back after 4.2 days" */
static void put_days(FILE *f, double seconds)
{
    const double in_hours = seconds / 3600;

    if (in_hours >= 48)
        fprintf(f, "%.1f days", in_hours / 24);
    else if (in_hours >= 1)
        fprintf(f, "%.1f h", in_hours);
    else
        fprintf(f, "%.0f min", ceil(seconds / 60));
}

static void put_return(FILE *f, Flag flag, const ReportFlag *v)
{
    fprintf(f, "%s lost in %u of %u", flag_to_string(flag), v->lost, v->restarts);
    if (v->back > 0) {
        fputs(v->back > 1 ? ", back after " : ", back in one after ", f);
        put_days(f, v->back_seconds);
        if (v->back > 1)
            fputs(" (median)", f);
    }
    if (v->back == 0)
        fputs(", not back yet", f);
    else if (v->back < v->lost)
        fprintf(f, ", %u not back yet", v->lost - v->back);
}

/* What restarts cost: only the rows and flags that lost something are named. */
static char *returns(const Report *report)
{
    char *text = NULL;
    size_t size = 0, n = 0;
    unsigned restarts = 0;
    FILE *f = sentence_open(&text, &size);

    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        size_t told = 0;
        for (Flag flag = 0; flag < _FLAG_MAX; flag++) {
            const ReportFlag *v = &row->flags[flag];
            restarts += v->restarts;
            if (v->lost == 0)
                continue;
            _cleanup_(freep) char *name = told > 0 ? NULL : report_row_name(report, row);
            if (told++ == 0)
                fprintf(f, "%s%s: ", n++ > 0 ? "; " : "What restarts cost: ", name);
            else
                fputs(", ", f);
            put_return(f, flag, v);
        }
    }
    if (n == 0 && restarts > 0)
        fputs("No restart cost a flag", f);
    fputc('.', f);
    fclose(f);
    if (n == 0 && restarts == 0)
        free(TAKE_PTR(text));
    return text;
}

static void push(char ***notes, char *take)
{
    if (take)
        strv_push(notes, take);
}

char **report_notes(const Report *report)
{
    const Series *series = report->series;
    char **notes = NULL;
    char warmup[FORMAT_SPAN_MAX];
    bool at = series->options.at > 0, growth = false;

    for (size_t i = 0; i < report->n_rows; i++)
        growth = growth || growth_is_told(&report->rows[i].growth);
    push(&notes, at ? collection(report) : basis(report));
    if (!at && !report->warmup_given && series->options.warmup < REPORT_WARMUP)
        push(&notes, xasprintf("The warm-up is %s, half of the time covered by samples; the usual 48h need "
                               "four days of samples.",
                               warmup_text(warmup, series->options.warmup)));
    push(&notes, comparison(report));
    push(&notes, waiting(report));
    if (growth)
        push(&notes, xasprintf("Growth is measured over the later half of the time counted; more than %.0f "
                               "%% of the average per day is called growing.",
                               100 * GROWTH_NOTABLE));
    push(&notes, costs(report));
    push(&notes, traffic(report));
    push(&notes, returns(report));
    push(&notes, too_short(report));
    push(&notes, left_out(report));
    if (report->mixed > 0)
        push(&notes, xasprintf("%zu relay%s ran more than one of these in that time; each of them counts "
                               "under what it ran at the time.",
                               report->mixed, report->mixed == 1 ? "" : "s"));
    push(&notes, swapped(series));
    if (series->unproved > 0)
        push(&notes,
             xasprintf("%" PRIu64 " samples are not counted because it was not proved what the relay ran.",
                       series->unproved));
    if (series->refused > 0)
        push(&notes,
             xasprintf("%" PRIu64
                       " samples are not counted because a report holds at most %d relays and %d groups.",
                       series->refused, SERIES_RELAYS_MAX, SERIES_KEYS_MAX));
    return notes;
}
