/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns how a chart looks. Must never let a name end its quotes. */
#include "report/chart.h"

#include <inttypes.h>
#include <math.h>
#include <time.h>

/* Distinguishable on white and on black, and for most people who see few colours (after Okabe and Ito). */
static const char *const colors[] = { "#0b7bc1", "#d95f02", "#0a9970", "#c8639b", "#b8860b",
                                      "#7a6fd0", "#c0392b", "#7f7f7f", "#4fb3e8", "#6b8e23" };
/* Points of all relays together; more make a page heavy and show nothing. */
#define RELAY_POINTS_MAX 40000

/* A longer name would take the space of the lines. */
#define NAME_MAX_CHARACTERS 26

/* In single quotes gnuplot knows one special character: the quote, which is doubled. */
static void put_quoted(FILE *f, const char *text)
{
    size_t characters = 0;

    fputc('\'', f);
    for (const char *p = text; *p;) {
        size_t n = utf8_character(p);
        if (++characters > NAME_MAX_CHARACTERS) {
            fputs("\xe2\x80\xa6", f); /* … */
            break;
        }
        if (*p == '\'')
            fputs("''", f);
        else if (n == 0 || (unsigned char)*p < ' ' || *p == 0x7f)
            fputc('?', f);
        else
            fwrite(p, 1, n, f);
        p += n > 0 ? n : 1;
    }
    fputc('\'', f);
}

/* gnuplot's clock knows no zones: it is given local times as if they were UTC. */
static double local_seconds(double seconds)
{
    time_t t = (time_t)seconds;
    struct tm tm;

    return localtime_r(&t, &tm) ? seconds + (double)tm.tm_gmtoff : seconds;
}

static double time_seconds(usec_t t)
{
    return (double)t / (double)USEC_PER_SEC;
}

static bool is_narrow(ChartShape shape)
{
    return shape == CHART_NARROW;
}

const char *chart_color(size_t row)
{
    return colors[row % ELEMENTSOF(colors)];
}

bool chart_dashed(size_t row)
{
    return row >= ELEMENTSOF(colors);
}

static size_t dash_of(size_t row)
{
    return row / ELEMENTSOF(colors) % 5 + 1;
}

/* ---- axes ---- */

typedef struct Axis {
    double first, last; /* seconds, local */
    double most;        /* bytes */
} Axis;

static Axis measure(const Report *report)
{
    Axis axis = { .first = INFINITY, .last = -(double)INFINITY };

    for (size_t i = 0; i < report->series->n_tracks; i++) {
        const Track *t = &report->series->tracks[i];
        for (size_t k = 0; k < t->n_slices; k++) {
            const Slice *s = &t->slices[k];
            if (s->seconds <= 0)
                continue;
            double time = local_seconds(s->moment / s->seconds);
            axis.first = fmin(axis.first, time);
            axis.last = fmax(axis.last, time);
            axis.most = fmax(axis.most, s->sum / s->seconds);
        }
    }
    return axis;
}

static Axis measure_traffic(const Report *report)
{
    Axis axis = { .first = INFINITY, .last = -(double)INFINITY };

    for (size_t i = 0; i < report->n_rows; i++) {
        size_t n = 0;
        _cleanup_(freep) CurvePoint *curve = report_traffic_curve(report, &report->rows[i], &n);
        for (size_t k = 0; k < n; k++) {
            const double time = local_seconds(time_seconds(curve[k].time));
            axis.first = fmin(axis.first, time);
            axis.last = fmax(axis.last, time);
            axis.most = fmax(axis.most, curve[k].mean);
        }
    }
    return axis;
}

static void put_time_axis(FILE *f, const Axis *axis, ChartShape shape)
{
    static const double steps[] = { 60,    120,   300,   600,    900,    1800,   3600,   7200,    10800,
                                    21600, 43200, 86400, 172800, 259200, 432000, 604800, 1209600, 2592000 };
    double span = axis->last - axis->first, step = steps[ELEMENTSOF(steps) - 1];
    const double most = is_narrow(shape) ? 3 : 9;

    if (!(span > 0)) /* one moment, or none: there has to be a span around it */
        span = 3600;
    for (size_t i = ELEMENTSOF(steps); i-- > 0;)
        if (span / steps[i] <= most)
            step = steps[i];
    fputs("set xdata time\nset timefmt '%s'\n", f);
    if (step >= 86400)
        fputs("set format x '%d %b'\n", f);
    else if (span > 86400)
        fputs("set format x \"%H:%M\\n%d %b\"\n", f);
    else
        fputs("set format x '%H:%M'\n", f);
    fprintf(f, "set xtics %.0f\n", step);
    if (isfinite(axis->first))
        fprintf(f, "set xrange ['%.0f':'%.0f']\n", axis->first - span * 0.01, axis->last + span * 0.01);
}

static double unit_of(const Axis *axis, const char **ret_name)
{
    static const char *const names[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
    double unit = 1;
    size_t i = 0;

    for (; axis->most / unit >= 1024 && i + 1 < ELEMENTSOF(names); i++)
        unit *= 1024;
    *ret_name = names[i];
    return unit;
}

static void put_terminal(FILE *f, const Report *report, ChartShape shape)
{
    switch (shape) {
    case CHART_WIDE:
        fputs("set terminal svg size 900,400 dynamic noenhanced font 'sans-serif,14' name 'chart'\n", f);
        break;
    case CHART_NARROW:
        fprintf(f, "set terminal svg size 380,%zu dynamic noenhanced font 'sans-serif,14' name 'chart'\n",
                330 + 20 * (report->n_rows + 2));
        break;
    case CHART_SVG:
        fputs(
            "set terminal svg size 1000,500 dynamic noenhanced font 'sans-serif,14' name 'chart' background "
            "'#ffffff'\n",
            f);
        break;
    case CHART_PNG:
        fputs("set terminal pngcairo size 1600,800 noenhanced font 'sans,18' linewidth 1.6 background "
              "'#ffffff'\n",
              f);
        break;
    }
    fputs("set output\n", f);
}

static void put_settings(FILE *f, const Report *report, ChartKind kind, ChartShape shape, const Axis *axis,
                         const char *unit)
{
    put_terminal(f, report, shape);
    put_time_axis(f, axis, shape);
    fprintf(f, "set yrange [0:*]\nset offsets 0, 0, graph 0.05, 0\nset ylabel '%s a relay%s' offset 1\n",
            unit, kind == CHART_TRAFFIC ? " and day" : "");
    fputs("set grid\nset border 3\nset tics nomirror\nset style fill transparent solid 0.18 noborder\n", f);
    /* Below the chart it takes no width, of which a phone has little. */
    fputs(is_narrow(shape) ? "set key below maxcols 1 Left reverse samplen 2\n"
                           : "set key outside right top Left reverse samplen 2\n",
          f);
    if (shape == CHART_SVG || shape == CHART_PNG)
        fprintf(f, "set title '%s of Tor relays by %s%s'\n", kind == CHART_TRAFFIC ? "Traffic" : "Memory",
                report_by(report), kind != CHART_RELAYS ? ": average and its 95 % interval" : "");
}

/* ---- data ---- */

/* A gap in the samples is a gap in the line: wider than four times the usual distance of points. */
static double usual_distance(const CurvePoint *curve, size_t n)
{
    _cleanup_(freep) double *distances = xcalloc(n, sizeof(*distances));

    for (size_t i = 1; i < n; i++)
        distances[i - 1] = time_seconds(curve[i].time) - time_seconds(curve[i - 1].time);
    return n > 1 ? stats_median(distances, n - 1) : 0;
}

static void put_curve(FILE *f, const Report *report, ChartKind kind, size_t row, double unit)
{
    size_t n = 0;
    _cleanup_(freep) CurvePoint *curve = kind == CHART_TRAFFIC
                                             ? report_traffic_curve(report, &report->rows[row], &n)
                                             : report_curve(report, &report->rows[row], &n);
    const double usual = usual_distance(curve, n);

    fprintf(f, "$r%zu << EOD\n", row);
    for (size_t i = 0; i < n; i++) {
        const CurvePoint *p = &curve[i];
        Interval band = interval_is_set(p->interval) ? p->interval : (Interval){ p->mean, p->mean };
        if (i > 0 && time_seconds(p->time) - time_seconds(curve[i - 1].time) > 4 * usual)
            fputc('\n', f);
        fprintf(f, "%.0f %.5g %.5g %.5g\n", local_seconds(time_seconds(p->time)), p->mean / unit,
                fmax(band.low, 0) / unit, band.high / unit);
    }
    fputs("EOD\n", f);
}

static size_t count_slices(const Report *report)
{
    size_t n = 0;

    for (size_t i = 0; i < report->n_rows; i++)
        for (size_t k = 0; k < report->rows[i].n_members; k++)
            n += report->series->tracks[report->rows[i].members[k].track].n_slices;
    return n;
}

/* Each relay's slices, `together` of them to a point; a blank line where its process changed, and over gaps.
 */
static void put_relays(FILE *f, const Report *report, size_t row, double unit, size_t together)
{
    fprintf(f, "$m%zu << EOD\n", row);
    for (size_t i = 0; i < report->rows[row].n_members; i++) {
        const Track *t = &report->series->tracks[report->rows[row].members[i].track];
        const SeriesRelay *relay = &report->series->relays[t->relay];
        const usec_t distance = together * report->series->options.slice;
        const double hole = 4 * time_seconds(distance > relay->step ? distance : relay->step);
        double last = -INFINITY;
        for (size_t k = 0; k < t->n_slices;) {
            const uint32_t run = t->slices[k].run;
            double sum = 0, moment = 0, seconds = 0;
            for (size_t taken = 0; taken < together && k < t->n_slices && t->slices[k].run == run;
                 taken++, k++) {
                sum += t->slices[k].sum;
                moment += t->slices[k].moment;
                seconds += t->slices[k].seconds;
            }
            if (!(seconds > 0))
                continue;
            if (moment / seconds - last > hole && isfinite(last))
                fputc('\n', f);
            last = moment / seconds;
            fprintf(f, "%.0f %.4g\n", local_seconds(last), sum / seconds / unit);
            if (k < t->n_slices && t->slices[k].run != run)
                fputc('\n', f);
        }
        fputc('\n', f);
    }
    fputs("EOD\n", f);
}

static bool put_events(FILE *f, const Report *report, bool moved, const char *name)
{
    bool any = false;

    fprintf(f, "$%s << EOD\n", name);
    for (size_t i = 0; i < report->series->n_events; i++) {
        const SeriesEvent *e = &report->series->events[i];
        const ReportRow *row = e->moved == moved ? report_row_of_track(report, e->track) : NULL;
        if (!row)
            continue;
        any = true;
        fprintf(f, "%.0f 0 0x%s\n", local_seconds(time_seconds(e->time)),
                chart_color((size_t)(row - report->rows)) + 1);
    }
    fputs("EOD\n", f);
    return any;
}

char *chart_script(const Report *report, ChartKind kind, ChartShape shape)
{
    const Axis axis = kind == CHART_TRAFFIC ? measure_traffic(report) : measure(report);
    const char *unit_name;
    const double unit = unit_of(&axis, &unit_name);
    const size_t together = count_slices(report) / RELAY_POINTS_MAX + 1;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    put_settings(f, report, kind, shape, &axis, unit_name);
    for (size_t i = 0; i < report->n_rows; i++)
        if (kind != CHART_RELAYS)
            put_curve(f, report, kind, i, unit);
        else
            put_relays(f, report, i, unit, together);
    bool restarts = put_events(f, report, false, "restarts"), moves = put_events(f, report, true, "moves");

    fputs("plot ", f);
    for (size_t i = 0; kind != CHART_RELAYS && i < report->n_rows; i++)
        fprintf(f, "$r%zu using 1:3:4 with filledcurves lc rgb '%s' notitle, ", i, chart_color(i));
    for (size_t i = 0; i < report->n_rows; i++) {
        _cleanup_(freep) char *name = report_row_name(report, &report->rows[i]);
        if (kind != CHART_RELAYS)
            fprintf(f, "%s$r%zu using 1:2 with lines lw 2 dt %zu lc rgb '%s' title ", i > 0 ? ", " : "", i,
                    dash_of(i), chart_color(i));
        else
            fprintf(f, "%s$m%zu using 1:2 with lines lw 0.7 dt %zu lc rgb '%s' title ", i > 0 ? ", " : "", i,
                    dash_of(i), chart_color(i));
        put_quoted(f, name);
    }
    const double size_of_points = shape == CHART_PNG ? 2 : 1;
    if (restarts)
        fprintf(f, ", $restarts using 1:2:3 with points pt 9 ps %.1f lc rgb variable title 'restart'",
                0.6 * size_of_points);
    if (moves)
        fprintf(f, ", $moves using 1:2:3 with points pt 13 ps %.1f lc rgb variable title 'moved to it'",
                1.0 * size_of_points);
    fputc('\n', f);
    fclose(f);
    return text;
}

/* ---- SVG in a page ---- */

char *chart_inline(const char *svg, const char *prefix)
{
    /* Where gnuplot names or refers to something. */
    static const char *const ids[] = { " id='", " id=\"", "href='#", "url(#" };
    const char *p = strstr(svg, "<svg");
    char *text = NULL;
    size_t size = 0;

    if (!p || !strstr(p, "</svg>"))
        return NULL;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    while (*p) {
        size_t skip = 0;
        for (size_t i = 0; i < ELEMENTSOF(ids) && skip == 0; i++)
            if (strncmp(p, ids[i], strlen(ids[i])) == 0)
                skip = strlen(ids[i]);
        if (skip > 0) {
            fwrite(p, 1, skip, f);
            fputs(prefix, f);
            p += skip;
        } else
            fputc(*p++, f);
    }
    fclose(f);
    return text;
}
