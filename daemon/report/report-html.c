/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the page. Must never let a name through as markup, nor need a network or a script. */
#include "report/report-text.h"

#include "core/timestamp.h"
#include "report/chart.h"

#include <inttypes.h>
#include <math.h>

void report_escape_html(FILE *f, const char *text)
{
    for (const char *p = text; *p; p++)
        switch (*p) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        case '\'':
            fputs("&#39;", f);
            break;
        default: {
            size_t n = utf8_character(p);
            if ((unsigned char)*p < ' ' || *p == 0x7f || n == 0)
                fputs("\xef\xbf\xbd", f);
            else {
                fwrite(p, 1, n, f);
                p += n - 1;
            }
        }
        }
}

/* Bytes of a word that a column may have to break. */
#define WORD_LONG 20

/* Colours are variables, so that the same page suits light and dark; gnuplot's black becomes that of the
 * text. A table with many columns becomes a list of cards where there is no space for it. */
static const char style[] =
    ":root{color-scheme:light dark;--fg:#1d2125;--soft:#59636e;--bg:#fff;--line:#d8dde3;--card:#f6f8fa;"
    "--steady:#0a7a43;--growing:#b3261e;--short:#7a5c00}\n"
    "@media(prefers-color-scheme:dark){:root{--fg:#e6e9ed;--soft:#9aa4af;--bg:#14171a;--line:#353b42;"
    "--card:#1c2126;--steady:#4cc38a;--growing:#ff8a80;--short:#e2b93b}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.55 system-ui,sans-serif}\n"
    "main{max-width:62rem;margin:0 auto;padding:1.5rem 1rem 3rem}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:.2em 0}h2{font-size:1.2rem;margin:2em 0 .5em}\n"
    "p,li{overflow-wrap:anywhere}.soft{color:var(--soft)}\n"
    "table{border-collapse:collapse;width:100%;margin:1rem 0;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.4rem .6rem;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}\n"
    ".long{overflow-wrap:anywhere;min-width:7rem}\n"
    "th{font-weight:600;color:var(--soft);font-size:.9em}.n{text-align:right}td.n{white-space:nowrap}"
    "td.why{white-space:normal;min-width:8rem}\n"
    ".verdict{font-weight:600;white-space:nowrap}.steady{color:var(--steady)}.growing{color:var(--growing)}"
    ".short{color:var(--short)}\n"
    ".lead{font-size:1.15rem;margin:1rem 0;text-wrap:pretty}\n"
    ".key{display:inline-block;width:1.1rem;margin-right:.5rem;vertical-align:middle;border-top:3px solid}"
    ".dashed{border-top-style:dashed}\n"
    "figure{margin:1rem 0}figure svg{display:block;width:100%;height:auto}.narrow{display:none}\n"
    "svg [stroke=black]{stroke:var(--fg)}svg [fill=black]{fill:var(--fg)}svg [color=black]{color:var(--fg)}"
    "svg [stroke=gray]{stroke:var(--line)}\n"
    "details{margin:1rem 0}summary{cursor:pointer}ol{padding-left:1.4rem}\n"
    "@media(max-width:44rem){.wide{display:none}.narrow{display:block}}\n"
    "@media print{td{overflow-wrap:anywhere}}\n"
    "@media screen and (max-width:60rem){"
    "table,tbody,tr,td{display:block}thead{position:absolute;left:-9999px}\n"
    "tr{background:var(--card);border:1px solid var(--line);border-radius:.5rem;margin:.7rem 0;padding:.5rem "
    ".8rem;display:grid;grid-template-columns:1fr 1fr;gap:.3rem 1rem}\n"
    "td,td.n{border:0;padding:0;text-align:left;white-space:normal;min-width:0;overflow-wrap:anywhere}"
    "td::before{content:attr(data-label);display:block;color:var(--soft);font-size:.8rem;line-height:1.3}\n"
    "td:first-child{grid-column:1/"
    "-1;font-weight:600;font-size:1.1rem}td:first-child::before{display:none}"
    "}\n";

static const char *trend_class(Trend trend)
{
    static const char *const classes[_TREND_MAX] = { [TREND_STEADY] = "steady",
                                                     [TREND_GROWING] = "growing",
                                                     [TREND_SHRINKING] = "steady",
                                                     [TREND_TOO_SHORT] = "short" };

    return trend >= 0 && trend < _TREND_MAX ? classes[trend] : "";
}

static void put_head(FILE *f, const Report *report)
{
    const char *by = report_by(report);
    char first[TIMESTAMP_MAX], last[TIMESTAMP_MAX];

    /* The policy enforces what the page claims, should a name ever get through. */
    fprintf(f,
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
            "'unsafe-inline'; img-src data:\">\n"
            "<link rel=\"icon\" href=\"data:,\">\n"
            "<title>Memory of Tor relays by %s</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n",
            by, style);
    fprintf(f, "<h1>Memory of Tor relays by %s</h1>\n", by);
    timestamp_format(first, report->series->first, TIMESTAMP_PEOPLE);
    timestamp_format(last, report->series->last, TIMESTAMP_PEOPLE);
    if (report->series->options.at > 0)
        fprintf(f, "<p class=\"soft\">%zu relays, one collection, %s</p>\n", report->relays,
                timestamp_format(last, report->at_last, TIMESTAMP_PEOPLE));
    else
        fprintf(f, "<p class=\"soft\">%zu relays, %s to %s</p>\n", report->relays, first, last);
    _cleanup_(freep) char *headline = report_headline(report);
    if (headline) {
        fputs("<p class=\"lead\">", f);
        report_escape_html(f, headline);
        fputs("</p>\n", f);
    }
}

/* How the row's lines look in the charts. */
static void put_key(FILE *f, size_t row)
{
    fprintf(f, "<i class=\"key%s\" style=\"border-color:%s\"></i>", chart_dashed(row) ? " dashed" : "",
            chart_color(row));
}

/* Words are broken only where one of them is too long for a column, which only names can be. */
static bool has_long_word(const char *text)
{
    for (const char *p = text; *p; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        if (n > WORD_LONG)
            return true;
        p += n;
    }
    return false;
}

static const char *kind_of_words(const char *text)
{
    return has_long_word(text) ? "long" : NULL;
}

static void put_cell_begin(FILE *f, const char *kind, const char *label)
{
    fputs("<td", f);
    if (kind)
        fprintf(f, " class=\"%s\"", kind);
    fprintf(f, " data-label=\"%s\">", label);
}

static void put_cell(FILE *f, const Report *report, size_t i, ReportColumn c, bool key)
{
    const ReportRow *row = &report->rows[i];
    _cleanup_(freep) char *text = report_cell(row, c);
    const bool why = (c == REPORT_INTERVAL && row->why) || (c == REPORT_BANDWIDTH && row->traffic.why);
    const char *kind = why ? "n why" : report_column_is_number(c) ? "n" : kind_of_words(text);

    put_cell_begin(f, kind, report_column_title(c));
    if (key)
        put_key(f, i);
    if (c == REPORT_VERDICT)
        fprintf(f, "<span class=\"verdict %s\">", trend_class(row->growth.trend));
    report_escape_html(f, isempty(text) ? report_empty_cell(c) : text);
    if (c == REPORT_VERDICT)
        fputs("</span>", f);
    fputs("</td>", f);
}

/* What a row costs is a table of its own: all columns together are wider than a page. */
static bool is_shown(const Report *report, ReportColumn c, bool costs)
{
    const bool shown = costs ? c >= REPORT_TRAFFIC || c < REPORT_RELAYS : c < REPORT_TRAFFIC;

    return shown && report_has_column(report, c);
}

static void put_table(FILE *f, const Report *report, bool keys, bool costs)
{
    const ReportColumn first = !report->series->options.by_group ? REPORT_ALLOCATOR
                               : report->series->options.by_host ? REPORT_HOST
                                                                 : REPORT_GROUP;

    fputs("<table>\n<thead><tr>", f);
    for (ReportColumn c = 0; c < _REPORT_COLUMN_MAX; c++)
        if (is_shown(report, c, costs))
            fprintf(f, "<th scope=\"col\"%s>%s</th>", report_column_is_number(c) ? " class=\"n\"" : "",
                    report_column_title(c));
    fputs("</tr></thead>\n<tbody>\n", f);
    for (size_t i = 0; i < report->n_rows; i++) {
        fputs("<tr>", f);
        for (ReportColumn c = 0; c < _REPORT_COLUMN_MAX; c++)
            if (is_shown(report, c, costs))
                put_cell(f, report, i, c, keys && c == first);
        fputs("</tr>\n", f);
    }
    fputs("</tbody>\n</table>\n", f);
}

static void put_chart(FILE *f, const char *title, const char *wide, const char *narrow)
{
    if (!wide || !narrow)
        return;
    fprintf(f, "<h2>%s</h2>\n<figure class=\"wide\">\n%s</figure>\n<figure class=\"narrow\">\n%s</figure>\n",
            title, wide, narrow);
}

static void put_members(FILE *f, const Report *report)
{
    static const char *const titles[] = { "Relay", "Ran", "Average", "Growth/day", "Hours", "Restarts" };

    fputs("<details>\n<summary>Each relay in numbers</summary>\n<table>\n<thead><tr>", f);
    for (size_t i = 0; i < ELEMENTSOF(titles); i++)
        fprintf(f, "<th scope=\"col\"%s>%s</th>", i >= 2 ? " class=\"n\"" : "", titles[i]);
    fputs("</tr></thead>\n<tbody>\n", f);
    for (size_t i = 0; i < report->n_rows; i++) {
        const ReportRow *row = &report->rows[i];
        _cleanup_(freep) char *ran = report_row_name(report, row);
        for (size_t k = 0; k < row->n_members; k++) {
            const ReportMember *m = &row->members[k];
            const Track *track = &report->series->tracks[m->track];
            char bytes[FORMAT_BYTES_MAX];
            _cleanup_(freep) char *growth =
                isnan(m->per_day) ? xstrdup("-") : report_signed_bytes(m->per_day);
            fputs("<tr>", f);
            put_cell_begin(f, kind_of_words(m->name), "Relay");
            report_escape_html(f, m->name);
            fputs("</td>", f);
            put_cell_begin(f, kind_of_words(ran), "Ran");
            report_escape_html(f, ran);
            if (m->left_out) {
                fputs(" <span class=\"soft\">(left out: ", f);
                report_escape_html(f, m->left_out);
                fputs(")</span>", f);
            }
            fprintf(f,
                    "</td><td class=\"n\" data-label=\"Average\">%s</td><td class=\"n\" "
                    "data-label=\"Growth/day\">%s</td><td class=\"n\" data-label=\"Hours\">%.1f</td><td "
                    "class=\"n\" data-label=\"Restarts\">%u</td></tr>\n",
                    isnan(m->mean) ? "-" : format_bytes(bytes, (uint64_t)llround(m->mean)), growth,
                    (double)track->counted / (double)USEC_PER_HOUR, track->restarts + track->moves);
        }
    }
    fputs("</tbody>\n</table>\n</details>\n", f);
}

static void put_events(FILE *f, const ReportPage *page)
{
    char time[TIMESTAMP_MAX];

    if (page->n_events == 0)
        return;
    fprintf(f, "<h2>Events</h2>\n<details%s>\n<summary>%zu restarts, moves and failures</summary>\n<ol>\n",
            page->n_events <= 20 ? " open" : "", page->n_events + page->more_events);
    for (size_t i = 0; i < page->n_events; i++) {
        fprintf(f, "<li><span class=\"soft\">%s</span> ",
                timestamp_format(time, page->events[i].time, TIMESTAMP_PEOPLE));
        report_escape_html(f, page->events[i].what);
        fputs("</li>\n", f);
    }
    fputs("</ol>\n", f);
    if (page->more_events > 0)
        fprintf(f, "<p>and %zu more.</p>\n", page->more_events);
    fputs("</details>\n", f);
}

static const char method[] =
    "<h2>Method</h2>\n"
    "<p>The unit is the relay. Each sample counts for the allocator that the process really ran at that "
    "time, and for the time until the relay's next sample; a gap of more than three intervals is not "
    "counted, nor is the time after the end of a process. Some time after each start is left out as warm-up, "
    "because memory fills up slowly. A relay's value is its mean over the time counted, an average is the "
    "mean over relays.</p>\n"
    "<p>The reduction is one minus the ratio of two averages. Its 95 % interval is a symmetric studentised "
    "bootstrap of the logarithm of that ratio over relays: it tells how far the result could have differed "
    "with other relays of the same kind, not with another network or in another month. With several rows the "
    "intervals are wider, so that all of them hold together in 95 of 100 cases.</p>\n"
    "<p>Growth is, for each relay, the Theil–Sen slope over the later half of the time counted, within one "
    "process; then the mean over relays with Student's 95 % interval. It is called growing when it is above "
    "1 % of the average a day and its interval is above zero, and too short when less than a day was "
    "counted, when there are fewer than three relays, or when the relays differ too much to tell.</p>\n"
    "<p>The charts show everything, warm-up included. The band is the 95 % interval of the mean of the "
    "relays at that time.</p>\n";

static const char method_of_costs[] = "<p>Traffic is what the relays read and wrote, by the day, as each of "
                                      "them counts it itself; days within the "
                                      "warm-up, and those in which a relay was moved, are left out. The "
                                      "difference from the baseline has the same kind "
                                      "of interval as the reduction. A flag's share is that of the "
                                      "relay-time for which the flags are known, warm-up "
                                      "included: a restart is what costs flags.</p>\n";

void report_write_html(FILE *f, const Report *report, const ReportPage *page)
{
    put_head(f, report);
    put_table(f, report, page->rows_wide != NULL, false);
    if (report->has_traffic || report->has_flags)
        put_table(f, report, page->rows_wide != NULL, true);
    fputs("<ul>\n", f);
    STRV_FOREACH (note, page->notes) {
        fputs("<li>", f);
        report_escape_html(f, *note);
        fputs("</li>\n", f);
    }
    fputs("</ul>\n", f);
    if (page->no_chart) {
        fputs("<p class=\"soft\">No charts: ", f);
        report_escape_html(f, page->no_chart);
        fputs("</p>\n", f);
    }
    put_chart(f, "Over time", page->rows_wide, page->rows_narrow);
    put_chart(f, "Each relay", page->relays_wide, page->relays_narrow);
    put_chart(f, "Traffic by the day", page->traffic_wide, page->traffic_narrow);
    put_members(f, report);
    put_events(f, page);
    fputs(method, f);
    if (report->has_traffic || report->has_flags)
        fputs(method_of_costs, f);
    fputs("<p class=\"soft\">Made by relayallocctl report.</p>\n</main>\n</body>\n</html>\n", f);
}
