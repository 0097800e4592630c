/* SPDX-License-Identifier: BSD-3-Clause */
/* The formats of a report that need gnuplot: the page, and the chart alone. */
#include "ctl/report.h"
#include "io/gnuplot.h"
#include "report/chart.h"
#include "report/report-text.h"

#include <errno.h>

#define GNUPLOT_TIMEOUT (60 * USEC_PER_SEC)
#define EVENTS_LISTED 300

static char *why_no_chart(int r, const char *said)
{
    if (r == -ENOENT)
        return xstrdup("gnuplot is not installed (on Debian: apt install gnuplot-nox)");
    if (!isempty(said))
        return xasprintf("gnuplot failed: %.*s", (int)strcspn(said, "\n"), said + strspn(said, "\n"));
    return xasprintf("gnuplot failed: %s", strerror(-r));
}

/* 0; negative errno with the reason in *ret_why. */
static int draw(const Report *report, ChartKind kind, ChartShape shape, char **ret, size_t *ret_size,
                char **ret_why)
{
    _cleanup_(freep) char *script = chart_script(report, kind, shape), *said = NULL;
    int r = gnuplot_run(script, GNUPLOT_TIMEOUT, ret, ret_size, &said);

    if (r < 0)
        *ret_why = why_no_chart(r, said);
    return r;
}

int ctl_report_chart(const Report *report, bool png)
{
    _cleanup_(freep) char *chart = NULL, *why = NULL;
    size_t size = 0;

    if (draw(report, CHART_ROWS, png ? CHART_PNG : CHART_SVG, &chart, &size, &why) < 0) {
        ctl_error("no chart: %s", why);
        return EXIT_FAILED;
    }
    if (fwrite(chart, 1, size, stdout) != size || fflush(stdout) == EOF) {
        ctl_error("cannot write: %s", strerror(errno));
        return EXIT_FAILED;
    }
    return EXIT_FINE;
}

static char *draw_inline(const Report *report, ChartKind kind, ChartShape shape, const char *prefix,
                         char **why)
{
    _cleanup_(freep) char *svg = NULL;
    size_t size = 0;

    /* What fails once fails each time: the first reason is enough. */
    if (*why || draw(report, kind, shape, &svg, &size, why) < 0)
        return NULL;
    return chart_inline(svg, prefix);
}

/* ---- events ---- */

static int event_compare(const void *a, const void *b)
{
    const ReportEvent *x = a, *y = b;

    return x->time < y->time ? -1 : x->time > y->time;
}

/* What the samples show, and what the daemon told. */
static ReportEvent *gather_events(const Report *report, const ReportEvents *told, size_t *ret_n)
{
    const Series *series = report->series;
    ReportEvent *events = xcalloc(series->n_events + told->n, sizeof(*events));
    size_t n = 0;

    for (size_t i = 0; i < series->n_events; i++) {
        const SeriesEvent *e = &series->events[i];
        const ReportRow *row = report_row_of_track(report, e->track);
        _cleanup_(freep) char *relay = series_relay_name(series, e->relay);
        _cleanup_(freep) char *name = row ? report_row_name(report, row) : xstrdup("something else");
        events[n++] = (ReportEvent){ e->time, e->moved ? xasprintf("%s moved to %s", relay, name)
                                                       : xasprintf("%s restarted (%s)", relay, name) };
    }
    for (size_t i = 0; i < told->n; i++)
        events[n++] = (ReportEvent){ told->items[i].time, xstrdup(told->items[i].what) };
    if (n > 0)
        qsort(events, n, sizeof(*events), event_compare);
    *ret_n = n;
    return events;
}

int ctl_report_event(const JournalEvent *event, void *userdata)
{
    ReportEvents *events = userdata;

    switch (event->kind) {
    case MESSAGE_RELAY_FAILED:
    case MESSAGE_RELAY_PUT_BACK:
    case MESSAGE_RELAY_LOST:
    case MESSAGE_RELAY_DRIFTED:
    case MESSAGE_ROLLOUT_STARTED:
    case MESSAGE_ROLLOUT_FINISHED:
    case MESSAGE_ROLLOUT_HALTED:
    case MESSAGE_ROLLOUT_ABORTED:
        break;
    default:
        return 0;
    }
    if (events->n == SERIES_EVENTS_MAX || !event->fields[JOURNAL_MESSAGE])
        return 0;
    GROW(events->items, events->capacity, events->n);
    events->items[events->n++] = (ReportEvent){ event->time, xstrdup(event->fields[JOURNAL_MESSAGE]) };
    return 0;
}

void ctl_report_events_clear(ReportEvents *events)
{
    for (size_t i = 0; i < events->n; i++)
        free(events->items[i].what);
    free(events->items);
    *events = (ReportEvents){ 0 };
}

/* ---- the page ---- */

int ctl_report_page(const CtlOptions *options, const Report *report, char *const *notes,
                    const ReportEvents *told)
{
    _cleanup_(freep) char *why = NULL;
    _cleanup_(freep) char *rows_wide = draw_inline(report, CHART_ROWS, CHART_WIDE, "a-", &why);
    _cleanup_(freep) char *rows_narrow = draw_inline(report, CHART_ROWS, CHART_NARROW, "b-", &why);
    _cleanup_(freep) char *relays_wide = draw_inline(report, CHART_RELAYS, CHART_WIDE, "c-", &why);
    _cleanup_(freep) char *relays_narrow = draw_inline(report, CHART_RELAYS, CHART_NARROW, "d-", &why);
    _cleanup_(freep) char *traffic_wide =
        report->has_traffic ? draw_inline(report, CHART_TRAFFIC, CHART_WIDE, "e-", &why) : NULL;
    _cleanup_(freep) char *traffic_narrow =
        report->has_traffic ? draw_inline(report, CHART_TRAFFIC, CHART_NARROW, "f-", &why) : NULL;
    size_t n = 0, size = 0;
    ReportEvent *events = gather_events(report, told, &n);
    const ReportPage page = {
        .rows_wide = rows_wide,
        .rows_narrow = rows_narrow,
        .relays_wide = relays_wide,
        .relays_narrow = relays_narrow,
        .traffic_wide = traffic_wide,
        .traffic_narrow = traffic_narrow,
        .no_chart = why,
        .notes = notes,
        .events = events,
        .n_events = n < EVENTS_LISTED ? n : EVENTS_LISTED,
        .more_events = n < EVENTS_LISTED ? 0 : n - EVENTS_LISTED,
    };
    char *text = NULL;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    report_write_html(f, report, &page);
    fclose(f);
    for (size_t i = 0; i < n; i++)
        free(events[i].what);
    free(events);
    if (why && !options->quiet)
        ctl_error("the page has no charts: %s", why);
    int r = ctl_print(options, text);
    free(text);
    return r < 0 ? EXIT_FAILED : EXIT_FINE;
}
