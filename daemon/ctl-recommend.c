/* SPDX-License-Identifier: BSD-3-Clause */
/* relayallocctl recommend: a paragraph for people, an exit status for scripts. */
#include "core/recommend.h"

#include "ctl-report.h"

#include <errno.h>
#include <json-c/json.h>

#define FAILURES_MAX 256

typedef struct Arguments {
    CtlSource source;
    ReportOptions report;
    RecommendFailures *failures; /* by allocator; their names are owned */
    size_t n, capacity;
} Arguments;

static void arguments_clear(Arguments *arguments)
{
    for (size_t i = 0; i < arguments->n; i++)
        free((char *)arguments->failures[i].allocator);
    free(arguments->failures);
}

static int count_failure(const JournalEvent *event, void *userdata)
{
    Arguments *arguments = userdata;

    if (event->kind != MESSAGE_RELAY_FAILED || isempty(event->allocator))
        return 0;
    for (size_t i = 0; i < arguments->n; i++)
        if (streq(arguments->failures[i].allocator, event->allocator)) {
            arguments->failures[i].count++;
            return 0;
        }
    if (arguments->n == FAILURES_MAX)
        return 0;
    GROW(arguments->failures, arguments->capacity, arguments->n);
    arguments->failures[arguments->n++] = (RecommendFailures){ xstrdup(event->allocator), 1 };
    return 0;
}

enum {
    OPTION_BASELINE = SOURCE_OPTION_END,
    OPTION_SEED,
};

static int read_arguments(int argc, char *argv[], const CtlOptions *options, Arguments *arguments)
{
    static const struct option long_options[] = { SOURCE_LONG_OPTIONS,
                                                  { "baseline", required_argument, NULL, OPTION_BASELINE },
                                                  { "seed", required_argument, NULL, OPTION_SEED },
                                                  { 0 } };

    ctl_source_init(&arguments->source, options);
    optind = 0;
    opterr = 1;
    for (int c; (c = getopt_long(argc, argv, SOURCE_SHORT_OPTIONS, long_options, NULL)) != -1;) {
        if (ctl_source_option(&arguments->source, c, optarg))
            continue;
        if (c == OPTION_BASELINE)
            arguments->report.baseline = optarg;
        else if (c != OPTION_SEED)
            return EXIT_USAGE;
        else if (parse_u64(optarg, &arguments->report.seed) < 0) {
            ctl_error("--seed=%s: not a whole number", optarg);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        ctl_error("recommend takes no operand \"%s\"", argv[optind]);
        return EXIT_USAGE;
    }
    if (arguments->source.at_text) {
        ctl_error("recommend judges a period, not one collection: use --since and --until instead of --at");
        return EXIT_USAGE;
    }
    arguments->report.warmup_given = arguments->source.warmup_text != NULL;
    return ctl_source_check(&arguments->source);
}

static struct json_object *recommendation_json(const Report *report, const Recommendation *r)
{
    struct json_object *o = json_object_new_object();
    bool by_group = report->series->options.by_group;

    json_object_object_add(o, by_group ? "group" : "allocator",
                           r->row ? ctl_json_text(by_group ? r->row->group : r->row->allocator) : NULL);
    json_object_object_add(o, "version", r->row ? ctl_json_text(r->row->version) : NULL);
    json_object_object_add(o, "reason", ctl_json_text(r->reason));
    if (r->row) {
        json_object_object_add(o, "reduction", ctl_json_real(r->row->comparison.reduction));
        json_object_object_add(o, "reduction_interval", ctl_json_interval(r->row->comparison.interval));
        json_object_object_add(o, "fleet", json_object_new_uint64(r->fleet));
        json_object_object_add(o, "running", json_object_new_uint64(r->running));
        json_object_object_add(o, "present", ctl_json_real(r->present));
        json_object_object_add(o, "with_it", ctl_json_real(r->with_it));
        json_object_object_add(o, "saving", ctl_json_real(r->saving));
        json_object_object_add(o, "saving_interval", ctl_json_interval(r->saving_interval));
        json_object_object_add(o, "failures", json_object_new_uint64(r->failures));
        json_object_object_add(o, "verdict", json_object_new_string(trend_to_string(r->row->growth.trend)));
    }
    json_object_object_add(o, "text", ctl_json_text(r->text));
    return o;
}

/* Lines of at most so many bytes, broken at blanks. */
static char *wrap(const char *text, size_t width)
{
    char *copy = xstrdup(text);
    size_t begin = 0, blank = 0;

    for (size_t i = 0; copy[i]; i++) {
        if (copy[i] == ' ')
            blank = i;
        if (i - begin >= width && blank > begin) {
            copy[blank] = '\n';
            begin = blank + 1;
        }
    }
    return copy;
}

static int print(const CtlOptions *options, const Report *report, const Recommendation *r)
{
    if (options->json != JSON_OFF)
        return ctl_print_json(options, recommendation_json(report, r));
    if (options->quiet) {
        if (r->row)
            puts(report->series->options.by_group ? r->row->group : r->row->allocator);
        return fflush(stdout) == EOF ? -errno : 0;
    }
    _cleanup_(freep) char *text = wrap(r->text, 79);
    _cleanup_(freep) char *line = xasprintf("%s\n", text);
    return ctl_print(options, line);
}

int ctl_recommend(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(arguments_clear) Arguments arguments = { .report.seed = 1 };
    _cleanup_(series_clear) Series series = { 0 };
    _cleanup_(report_clear) Report report = { 0 };
    _cleanup_(recommendation_clear) Recommendation recommendation = { 0 };
    _cleanup_(freep) char *error = NULL;
    const SourceEvents events = { count_failure, &arguments };

    int r = read_arguments(argc, argv, options, &arguments);
    if (r == 0)
        r = ctl_source_read(&arguments.source, SOURCE_BY_DEFAULT, &events, &series);
    if (r != 0)
        return r;
    r = report_build(&series, &arguments.report, &report, &error);
    if (r < 0) {
        ctl_error("%s", error);
        return r == -ENOENT ? EXIT_USAGE : EXIT_FAILED;
    }
    recommendation = recommend(&report, arguments.failures, arguments.n);
    if (print(options, &report, &recommendation) < 0)
        return EXIT_FAILED;
    return recommendation.row ? EXIT_FINE : EXIT_FAILED;
}
