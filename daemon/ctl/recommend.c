/* SPDX-License-Identifier: BSD-3-Clause */
/* relayallocctl recommend: a paragraph for people, an exit status for scripts. */
#include "report/recommend.h"

#include "core/config.h"
#include "ctl/experiment.h"
#include "ctl/file.h"
#include "ctl/lab.h"
#include "ctl/report.h"
#include "io/config-file.h"

#include <errno.h>
#include <json-c/json.h>

#define FAILURES_MAX 256

/* Moves that failed, by allocator. */
typedef struct Failures {
    RecommendFailures *items; /* their names are owned */
    size_t n, capacity;
} Failures;

static void failures_clear(Failures *failures)
{
    for (size_t i = 0; i < failures->n; i++)
        free((char *)failures->items[i].allocator);
    free(failures->items);
}

static int count_failure(const JournalEvent *event, void *userdata)
{
    const char *allocator = event->fields[JOURNAL_ALLOCATOR];
    Failures *failures = userdata;

    if (event->kind != MESSAGE_RELAY_FAILED || isempty(allocator))
        return 0;
    for (size_t i = 0; i < failures->n; i++)
        if (streq(failures->items[i].allocator, allocator)) {
            failures->items[i].count++;
            return 0;
        }
    if (failures->n == FAILURES_MAX)
        return 0;
    GROW(failures->items, failures->capacity, failures->n);
    failures->items[failures->n++] = (RecommendFailures){ xstrdup(allocator), 1 };
    return 0;
}

static void add_cost(struct json_object *o, const Report *report, const ReportRow *row)
{
    _cleanup_(freep) char *cost = report_cost_sentence(report, row);

    if (!cost)
        return;
    json_object_object_add(o, "bandwidth_difference", ctl_json_real(row->traffic.difference));
    json_object_object_add(o, "bandwidth_interval", ctl_json_interval(row->traffic.interval));
    json_object_object_add(o, "cost", ctl_json_text(cost));
}

/* What was measured elsewhere; NULL: nothing. */
static struct json_object *lab_json(const Evidence *first, const char *os_release)
{
    if (!first)
        return NULL;
    struct json_object *o = json_object_new_object();
    _cleanup_(freep) char *text = evidence_advice(first, os_release);
    json_object_object_add(o, "allocator", ctl_json_text(first->allocator));
    json_object_object_add(o, "version", ctl_json_text(first->version));
    json_object_object_add(o, "release", ctl_json_text(first->release));
    json_object_object_add(o, "date", ctl_json_text(first->date));
    json_object_object_add(o, "trials", json_object_new_uint64(first->runs));
    json_object_object_add(o, "relays", json_object_new_uint64(first->relays));
    json_object_object_add(o, "reduction", ctl_json_real(1 - first->memory));
    json_object_object_add(o, "cpu", ctl_json_real(first->cpu));
    json_object_object_add(o, "text", ctl_json_text(text));
    return o;
}

static struct json_object *recommendation_json(const Report *report, const Recommendation *r)
{
    struct json_object *o = json_object_new_object();
    bool by_group = r->row && report->series->options.by_group;

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
        add_cost(o, report, r->row);
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
    _cleanup_(freep) char *os_release = NULL;
    const Evidence *first = NULL;

    if (r->no_data)
        (void)lab_candidates(&first, 1, &os_release);
    if (options->json != JSON_OFF) {
        struct json_object *o = recommendation_json(report, r);
        if (r->no_data)
            json_object_object_add(o, "lab", lab_json(first, os_release));
        return ctl_print_json(options, o);
    }
    if (options->quiet && !r->row)
        return 0;
    if (options->quiet) {
        _cleanup_(freep) char *name =
            xasprintf("%s\n", report->series->options.by_group ? r->row->group : r->row->allocator);
        return ctl_print(options, name);
    }
    _cleanup_(freep) char *advice = first ? evidence_advice(first, os_release) : NULL;
    _cleanup_(freep) char *text = wrap(r->text, 79), *more = advice ? wrap(advice, 79) : NULL;
    _cleanup_(freep) char *all =
        xasprintf("%s\n%s%s%s", text, more ? "\n" : "", more ? more : "", more ? "\n" : "");
    return ctl_print(options, all);
}

/* ---- experiment adopt ---- */

static int adopt(const CtlOptions *options, const Recommendation *r)
{
    _cleanup_(problems_clear) Problems problems = { 0 };
    _cleanup_(config_freep) Config *config = NULL;
    _cleanup_(freep) char *text = wrap(r->text, 79);

    if (!options->quiet)
        printf("%s\n\n", text);
    if (!r->row) {
        ctl_error("nothing is adopted: %s", r->reason);
        return EXIT_FAILED;
    }
    if (config_file_load(options->config, &problems, &config) < 0) {
        ctl_print_problems(&problems);
        return EXIT_USAGE;
    }
    if (config_find_allocator(config, r->row->allocator) < 0) {
        ctl_error("nothing is adopted: %s has no allocator named \"%s\"", options->config, r->row->allocator);
        return EXIT_FAILED;
    }
    /* Names of allocators need no escape: the configuration takes no others. */
    _cleanup_(freep) char *groups = xasprintf(
        "groups = ( { name = \"all\"; allocator = \"%s\"; relays = [ \"*\" ]; } );\n", r->row->allocator);
    return file_save_groups(options, groups);
}

int ctl_experiment_adopt(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(failures_clear) Failures failures = { 0 };
    _cleanup_(series_clear) Series series = { 0 };
    _cleanup_(report_clear) Report report = { 0 };
    _cleanup_(recommendation_clear) Recommendation recommendation = { 0 };
    const SamplesEvents events = { count_failure, &failures };
    ReportOptions wanted;
    CtlSource source;

    if (options->host || options->machine) {
        ctl_error("adopt works only on the file of this host; omit --host and --machine");
        return EXIT_USAGE;
    }
    int r = ctl_report_arguments(argc, argv, options, &source, &wanted);
    if (r == 0)
        r = ctl_report_read(&source, &wanted, SAMPLES_BY_DEFAULT, &events, &series, &report);
    if (r != 0)
        return r;
    recommendation = recommend(&report, failures.items, failures.n);
    return adopt(options, &recommendation);
}

/* Reading has said so; what the lab says goes where a recommendation would. */
static Recommendation of_nothing(void)
{
    return (Recommendation){
        .reason = "there are no samples",
        .no_data = true,
        .text = xstrdup("No recommendation: there are no samples."),
    };
}

int ctl_recommend(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(failures_clear) Failures failures = { 0 };
    _cleanup_(series_clear) Series series = { 0 };
    _cleanup_(report_clear) Report report = { 0 };
    _cleanup_(recommendation_clear) Recommendation recommendation = { 0 };
    const SamplesEvents events = { count_failure, &failures };
    ReportOptions wanted;
    CtlSource source;

    int r = ctl_report_arguments(argc, argv, options, &source, &wanted);
    if (r == 0)
        r = ctl_report_read(&source, &wanted, SAMPLES_BY_DEFAULT, &events, &series, &report);
    if (r != 0 && !(r == EXIT_FAILED && source.nothing))
        return r;
    recommendation = r == 0 ? recommend(&report, failures.items, failures.n) : of_nothing();
    if (print(options, &report, &recommendation) < 0)
        return EXIT_FAILED;
    return recommendation.row ? EXIT_FINE : EXIT_FAILED;
}
