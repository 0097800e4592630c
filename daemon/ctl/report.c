/* SPDX-License-Identifier: BSD-3-Clause */
/* relayallocctl report: memory by allocator or by group, compared with a baseline. */
#include "ctl/report.h"

#include "report/report-text.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <math.h>

typedef enum Format {
    FORMAT_TABLE,
    FORMAT_JSON,
    FORMAT_CSV,
    FORMAT_MARKDOWN,
    FORMAT_HTML,
    FORMAT_SVG,
    FORMAT_PNG,
    _FORMAT_MAX,
} Format;

static const char *const format_names[] = { "table", "json", "csv", "markdown", "html", "svg", "png", NULL };

typedef struct ReportArguments {
    CtlSource source;
    SamplesBy by;
    Format format;
    ReportOptions report;
} ReportArguments;

enum {
    OPTION_BY = REPORT_OPTION_END,
    OPTION_FORMAT,
    OPTION_GROUPS,
};

static int take_format(const char *value, Format *ret)
{
    for (Format f = 0; f < _FORMAT_MAX; f++)
        if (streq(value, format_names[f])) {
            *ret = f;
            return 0;
        }
    const char *near = did_you_mean(value, format_names);
    ctl_error("--format=%s: must be table, json, csv, markdown, html, svg or png%s%s%s", value,
              near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
    return EXIT_USAGE;
}

/* A SourceOptionFunc for what report, experiment and recommend share; `userdata` is a ReportOptions. */
static int take_report_option(int c, const char *value, void *userdata)
{
    ReportOptions *report = userdata;

    if (c == REPORT_OPTION_BASELINE) {
        report->baseline = value;
        return 0;
    }
    if (c == REPORT_OPTION_UNCORRECTED) {
        report->uncorrected = true;
        return 0;
    }
    if (c == REPORT_OPTION_COMPARE) {
        report->whenever = streq(value, "all");
        if (report->whenever || streq(value, "beside"))
            return 0;
        ctl_error("--compare=%s: must be \"beside\" or \"all\"", value);
        return EXIT_USAGE;
    }
    if (parse_u64(value, &report->seed) == 0)
        return 0;
    ctl_error("--seed=%s: not a whole number", value);
    return EXIT_USAGE;
}

int ctl_report_arguments(int argc, char *argv[], const CtlOptions *options, CtlSource *ret_source,
                         ReportOptions *ret_report)
{
    static const struct option long_options[] = { REPORT_LONG_OPTIONS, { 0 } };

    *ret_report = REPORT_OPTIONS_DEFAULT;
    int r = ctl_source_arguments(argc, argv, options, long_options, take_report_option, ret_report,
                                 ret_source, NULL);
    if (r != 0)
        return r;
    if (ret_source->at_text) {
        ctl_error("%s judges a period, not one collection: use --since and --until instead of --at", argv[0]);
        return EXIT_USAGE;
    }
    return ctl_source_check(ret_source);
}

int ctl_report_read(CtlSource *source, const ReportOptions *options, SamplesBy by,
                    const SamplesEvents *events, Series *ret_series, Report *ret)
{
    _cleanup_(freep) char *error = NULL;
    ReportOptions chosen = *options;

    int r = ctl_samples_read(source, by, events, ret_series);
    if (r != 0)
        return r;
    chosen.warmup_given = source->warmup_given;
    r = report_build(ret_series, &chosen, ret, &error);
    if (r == 0)
        return 0;
    ctl_error("%s", error);
    source->nothing = r == -ENODATA;
    return r == -ENOENT ? EXIT_USAGE : EXIT_FAILED;
}

static int take_by(const char *value, SamplesBy *ret)
{
    if (streq(value, "allocator"))
        *ret = SAMPLES_BY_ALLOCATOR;
    else if (streq(value, "group"))
        *ret = SAMPLES_BY_GROUP;
    else if (streq(value, "host"))
        *ret = SAMPLES_BY_HOST;
    else {
        ctl_error("--by=%s: must be \"allocator\", \"group\" or \"host\"", value);
        return EXIT_USAGE;
    }
    return 0;
}

static int take_option(int c, const char *value, void *userdata)
{
    ReportArguments *arguments = userdata;

    if (c == OPTION_BY)
        return take_by(value, &arguments->by);
    if (c == OPTION_GROUPS) {
        arguments->source.groups = value;
        return 0;
    }
    if (c == OPTION_FORMAT)
        return take_format(value, &arguments->format);
    return take_report_option(c, value, &arguments->report);
}

static int read_arguments(int argc, char *argv[], const CtlOptions *options, ReportArguments *ret)
{
    static const struct option long_options[] = { REPORT_LONG_OPTIONS,
                                                  { "by", required_argument, NULL, OPTION_BY },
                                                  { "format", required_argument, NULL, OPTION_FORMAT },
                                                  { "groups", required_argument, NULL, OPTION_GROUPS },
                                                  { 0 } };

    *ret = (ReportArguments){ .report = REPORT_OPTIONS_DEFAULT };
    int r = ctl_source_arguments(argc, argv, options, long_options, take_option, ret, &ret->source, NULL);
    if (r != 0)
        return r;
    if (options->json != JSON_OFF) {
        if (ret->format != FORMAT_TABLE && ret->format != FORMAT_JSON) {
            ctl_error("--json and --format=%s cannot be combined", format_names[ret->format]);
            return EXIT_USAGE;
        }
        ret->format = FORMAT_JSON;
    }
    if (ret->format == FORMAT_PNG && isatty(STDOUT_FILENO)) {
        ctl_error("not writing a PNG image to a terminal; redirect it to a file");
        return EXIT_USAGE;
    }
    return ctl_source_check(&ret->source);
}

/* ---- the table ---- */

typedef enum TableColumn {
    TABLE_FIRST_OWN = _REPORT_COLUMN_MAX,
    TABLE_DEVIATION = TABLE_FIRST_OWN,
    TABLE_SAMPLES,
    TABLE_HOURS,
    TABLE_WARMUP,
    TABLE_GAPS,
    TABLE_RESTARTS,
    TABLE_LEFT_OUT,
    _TABLE_COLUMN_MAX,
} TableColumn;

static const Column table_columns[_TABLE_COLUMN_MAX] = {
    [REPORT_HOST] = { "HOST", COLUMN_TEXT, "the host, with --by=host" },
    [REPORT_GROUP] = { "GROUP", COLUMN_TEXT, "group of the configuration" },
    [REPORT_ALLOCATOR] = { "ALLOCATOR", COLUMN_TEXT, "what ran, proved" },
    [REPORT_VERSION] = { "VERSION", COLUMN_TEXT, "its version" },
    [REPORT_RELAYS] = { "RELAYS", COLUMN_NUMBER, "relays counted" },
    [REPORT_AVERAGE] = { "AVERAGE", COLUMN_REAL, "mean over relays of each one's mean memory" },
    [REPORT_REDUCTION] = { "REDUCTION", COLUMN_REAL, "how much less than the baseline" },
    [REPORT_INTERVAL] = { "INTERVAL", COLUMN_REAL, "95 % interval of the reduction, or why there is none" },
    [REPORT_GROWTH] = { "GROWTH/DAY", COLUMN_REAL, "growth of the average per day" },
    [REPORT_VERDICT] = { "VERDICT", COLUMN_TEXT, "steady, growing, shrinking or too short to tell" },
    [REPORT_TRAFFIC] = { "TRAFFIC/DAY", COLUMN_REAL, "bytes read and written per relay and day" },
    [REPORT_BANDWIDTH] = { "BANDWIDTH", COLUMN_REAL,
                           "how the traffic differs from the baseline's, and its 95 % interval" },
    [REPORT_GUARD] = { "GUARD", COLUMN_REAL, "share of the relay-time with the flag Guard" },
    [REPORT_HSDIR] = { "HSDIR", COLUMN_REAL, "the same with HSDir" },
    [REPORT_RUNNING] = { "RUNNING", COLUMN_REAL, "the same with Running" },
    [REPORT_FAST] = { "FAST", COLUMN_REAL, "the same with Fast" },
    [REPORT_STABLE] = { "STABLE", COLUMN_REAL, "the same with Stable" },
    [TABLE_DEVIATION] = { "DEVIATION", COLUMN_BYTES, "standard deviation between relays" },
    [TABLE_SAMPLES] = { "SAMPLES", COLUMN_NUMBER, "samples" },
    [TABLE_HOURS] = { "HOURS", COLUMN_REAL, "relay-hours counted" },
    [TABLE_WARMUP] = { "WARMUP", COLUMN_REAL, "relay-hours left out as warm-up" },
    [TABLE_GAPS] = { "GAPS", COLUMN_REAL, "relay-hours without samples" },
    [TABLE_RESTARTS] = { "RESTARTS", COLUMN_NUMBER, "restarts, moves included" },
    [TABLE_LEFT_OUT] = { "LEFTOUT", COLUMN_NUMBER, "relays left out" },
};

static const char *trend_color(Trend trend)
{
    static const char *const colors[_TREND_MAX] = { [TREND_STEADY] = "32", [TREND_GROWING] = "1;31" };

    return trend >= 0 && trend < _TREND_MAX ? colors[trend] : NULL;
}

static double hours(usec_t span)
{
    return (double)span / (double)USEC_PER_HOUR;
}

/* `place`: where each column stands in this table. */
static void fill_row(CtlTable *table, const size_t *place, const ReportRow *row)
{
    ctl_table_row(table);
    for (ReportColumn c = 0; c < _REPORT_COLUMN_MAX; c++) {
        _cleanup_(freep) char *text = report_cell(row, c);
        if (isempty(text))
            continue;
        if (c == REPORT_RELAYS)
            ctl_table_number(table, place[c], row->relays);
        else if (table_columns[c].type == COLUMN_TEXT)
            ctl_table_text(table, place[c], text);
        else
            ctl_table_show(table, place[c], text);
    }
    if (!row->waiting)
        ctl_table_color(table, place[REPORT_VERDICT], trend_color(row->growth.trend));
    if (!isnan(row->deviation))
        ctl_table_number(table, place[TABLE_DEVIATION], (uint64_t)llround(row->deviation));
    ctl_table_number(table, place[TABLE_SAMPLES], row->samples);
    ctl_table_real(table, place[TABLE_HOURS], hours(row->counted), 1);
    ctl_table_real(table, place[TABLE_WARMUP], hours(row->warm), 1);
    ctl_table_real(table, place[TABLE_GAPS], hours(row->gap), 1);
    ctl_table_number(table, place[TABLE_RESTARTS], row->restarts + row->moves);
    ctl_table_number(table, place[TABLE_LEFT_OUT], row->left_out);
}

static char *join(char *const *lines)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    STRV_FOREACH (line, lines)
        fprintf(f, "%s%s", line == lines ? "" : "\n", *line);
    fclose(f);
    return text;
}

static int print_table(const CtlOptions *options, const Report *report, char *const *notes)
{
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;
    Column shown[_TABLE_COLUMN_MAX];
    size_t place[_TABLE_COLUMN_MAX], n = 0, n_default = 0;

    /* First those that say something here, then those that -o may ask for. */
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t c = 0; c < _TABLE_COLUMN_MAX; c++)
            if ((c < _REPORT_COLUMN_MAX && report_has_column(report, (ReportColumn)c)) == (pass == 0)) {
                place[c] = n;
                shown[n++] = table_columns[c];
            }
        if (pass == 0)
            n_default = n;
    }
    if (ctl_table_new(options, shown, n, n_default, &table) < 0)
        return EXIT_USAGE;
    const size_t droppable[] = { place[REPORT_STABLE], place[REPORT_FAST], place[REPORT_RUNNING],
                                 place[REPORT_HSDIR] };
    if (report->has_flags)
        ctl_table_droppable(table, droppable, ELEMENTSOF(droppable));
    for (size_t i = 0; i < report->n_rows; i++)
        fill_row(table, place, &report->rows[i]);
    _cleanup_(freep) char *legend = join(notes);
    return ctl_table_print_legend(table, legend) < 0 ? EXIT_FAILED : EXIT_FINE;
}

/* ---- formats ---- */

static int print_text(const CtlOptions *options, const Report *report, Format format, char *const *notes)
{
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    if (format == FORMAT_CSV)
        report_write_csv(f, report);
    else
        report_write_markdown(f, report, notes);
    fclose(f);
    return ctl_print(options, text) < 0 ? EXIT_FAILED : EXIT_FINE;
}

/* What only the source knows. */
static void add_notes(const ReportArguments *arguments, char ***notes)
{
    const CtlSource *source = &arguments->source;

    if (source->from_config)
        strv_push(notes,
                  xasprintf("Allocators and groups are those that %s assigns; the table does not prove them.",
                            source->options->config));
    else if (source->file && source->has_allocator && source->groups)
        strv_push(notes, xasprintf("Groups, and allocators that the table does not name, are those of %s.",
                                   source->groups));
    else if (source->groups)
        strv_push(notes, xasprintf("Groups are those of %s.", source->groups));
    else if (source->file && source->has_allocator)
        strv_push(notes, xstrdup("Allocators are those that the table names; it does not prove them."));
}

static int print_report(const ReportArguments *arguments, const CtlOptions *options, const Report *report,
                        char *const *notes, const ReportEvents *events)
{
    switch (arguments->format) {
    case FORMAT_TABLE:
        return print_table(options, report, notes);
    case FORMAT_JSON:
        return ctl_print_json(options, ctl_report_json(&arguments->source, report, notes)) < 0 ? EXIT_FAILED
                                                                                               : EXIT_FINE;
    case FORMAT_CSV:
    case FORMAT_MARKDOWN:
        return print_text(options, report, arguments->format, notes);
    case FORMAT_HTML:
        return ctl_report_page(options, report, notes, events);
    case FORMAT_SVG:
    case FORMAT_PNG:
        return ctl_report_chart(report, arguments->format == FORMAT_PNG);
    case _FORMAT_MAX:
        break;
    }
    return EXIT_FAILED;
}

int ctl_report(int argc, char *argv[], const CtlOptions *options)
{
    ReportArguments arguments;
    _cleanup_(series_clear) Series series = { 0 };
    _cleanup_(report_clear) Report report = { 0 };
    _cleanup_(ctl_report_events_clear) ReportEvents told = { 0 };
    _cleanup_(strv_freep) char **notes = NULL;
    const SamplesEvents events = { ctl_report_event, &told };

    int r = read_arguments(argc, argv, options, &arguments);
    if (r == 0 && ctl_columns_help(options, table_columns, ELEMENTSOF(table_columns)))
        return EXIT_FINE;
    if (r == 0)
        r = ctl_report_read(&arguments.source, &arguments.report, arguments.by,
                            arguments.format == FORMAT_HTML ? &events : NULL, &series, &report);
    if (r != 0)
        return r;
    notes = report_notes(&report);
    add_notes(&arguments, &notes);
    return print_report(&arguments, options, &report, notes, &told);
}
