/* SPDX-License-Identifier: BSD-3-Clause */
/* relayallocctl experiment: how the running groups began, and how long until they are told apart. */
#include "ctl/experiment.h"

#include "ctl/report.h"
#include "report/experiment.h"
#include "report/report-text.h"

#include <json-c/json.h>
#include <math.h>

typedef enum StateColumn {
    STATE_GROUP,
    STATE_ALLOCATOR,
    STATE_VERSION,
    STATE_RELAYS,
    STATE_SINCE,
    STATE_BEFORE,
    STATE_AGE,
    STATE_AVERAGE,
    STATE_REDUCTION,
    STATE_VERDICT,
    _STATE_COLUMN_MAX,
} StateColumn;

static const Column columns[_STATE_COLUMN_MAX] = {
    [STATE_GROUP] = { "GROUP", COLUMN_TEXT, "group of the configuration" },
    [STATE_ALLOCATOR] = { "ALLOCATOR", COLUMN_TEXT, "what runs" },
    [STATE_VERSION] = { "VERSION", COLUMN_TEXT, "its version" },
    [STATE_RELAYS] = { "RELAYS", COLUMN_NUMBER, "relays in it now" },
    [STATE_SINCE] = { "SINCE", COLUMN_TIME, "when the first of them joined" },
    [STATE_BEFORE] = { "BEFORE", COLUMN_BYTES, "average memory before that" },
    [STATE_AGE] = { "AGE", COLUMN_REAL, "how long their processes had run then" },
    [STATE_AVERAGE] = { "AVERAGE", COLUMN_BYTES, "average memory in the group" },
    [STATE_REDUCTION] = { "REDUCTION", COLUMN_REAL, "how much less than the baseline" },
    [STATE_VERDICT] = { "VERDICT", COLUMN_TEXT, "steady, growing, shrinking or too short to tell" },
};

static int print_table(const CtlOptions *options, const Experiment *e)
{
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;
    char *text = NULL;
    size_t size = 0;

    if (ctl_table_new(options, columns, _STATE_COLUMN_MAX, _STATE_COLUMN_MAX, &table) < 0)
        return EXIT_USAGE;
    for (size_t i = 0; i < e->n; i++) {
        const ExperimentGroup *g = &e->groups[i];
        _cleanup_(freep) char *reduction = report_cell(g->row, REPORT_REDUCTION);
        char span[FORMAT_SPAN_MAX];
        ctl_table_row(table);
        ctl_table_text(table, STATE_GROUP, g->row->group);
        ctl_table_text(table, STATE_ALLOCATOR, g->row->allocator);
        ctl_table_text(table, STATE_VERSION, g->row->version);
        ctl_table_number(table, STATE_RELAYS, g->relays);
        ctl_table_number(table, STATE_SINCE, g->began);
        if (g->known > 0) {
            ctl_table_number(table, STATE_BEFORE, (uint64_t)llround(g->memory));
            ctl_table_show(table, STATE_AGE, format_span(span, (usec_t)g->age * USEC_PER_SEC));
        }
        if (!isnan(g->row->average))
            ctl_table_number(table, STATE_AVERAGE, (uint64_t)llround(g->row->average));
        if (!isempty(reduction))
            ctl_table_show(table, STATE_REDUCTION, reduction);
        ctl_table_text(table, STATE_VERDICT, trend_to_string(g->row->growth.trend));
    }
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    char **notes = experiment_notes(e);
    STRV_FOREACH (note, notes)
        fprintf(f, "%s%s", note == notes ? "" : "\n", *note);
    strv_free(notes);
    fclose(f);
    int r = ctl_table_print_legend(table, text);
    free(text);
    return r < 0 ? EXIT_FAILED : EXIT_FINE;
}

static struct json_object *power_json(const ExperimentGroup *g)
{
    static const char *const kinds[] = { [POWER_TOLD] = "told apart",
                                         [POWER_TIME] = "needs time",
                                         [POWER_RELAYS] = "needs relays",
                                         [POWER_UNKNOWN] = "unknown" };
    struct json_object *o = json_object_new_object();

    json_object_object_add(o, "state", json_object_new_string(kinds[g->power.kind]));
    json_object_object_add(o, "more", g->power.kind == POWER_TIME ? json_object_new_uint64(g->more) : NULL);
    json_object_object_add(o, "relays",
                           g->power.kind == POWER_RELAYS ? json_object_new_uint64(g->power.relays) : NULL);
    return o;
}

static struct json_object *experiment_json(const Experiment *e)
{
    struct json_object *o = json_object_new_object(), *groups = json_object_new_array(),
                       *sentences = json_object_new_array();
    char **notes = experiment_notes(e);

    json_object_object_add(o, "memory_distance", ctl_json_real(e->balance.memory));
    json_object_object_add(o, "age_distance", ctl_json_real(e->balance.age));
    json_object_object_add(o, "relays", json_object_new_uint64(e->relays));
    json_object_object_add(o, "known", json_object_new_uint64(e->known));
    json_object_object_add(o, "elapsed", json_object_new_uint64(e->elapsed));
    json_object_object_add(o, "remaining",
                           e->remaining == USEC_INFINITY ? NULL : json_object_new_uint64(e->remaining));
    json_object_object_add(o, "baseline", e->baseline ? ctl_json_text(e->baseline->group) : NULL);
    for (size_t i = 0; i < e->n; i++) {
        const ExperimentGroup *g = &e->groups[i];
        struct json_object *group = json_object_new_object();
        json_object_object_add(group, "group", ctl_json_text(g->row->group));
        json_object_object_add(group, "allocator", ctl_json_text(g->row->allocator));
        json_object_object_add(group, "version", ctl_json_text(g->row->version));
        json_object_object_add(group, "relays", json_object_new_uint64(g->relays));
        json_object_object_add(group, "since", json_object_new_uint64(g->began));
        json_object_object_add(group, "known", json_object_new_uint64(g->known));
        json_object_object_add(group, "before", ctl_json_real(g->memory));
        json_object_object_add(group, "age", ctl_json_real(g->age));
        json_object_object_add(group, "average", ctl_json_real(g->row->average));
        json_object_object_add(group, "reduction", ctl_json_real(g->row->comparison.reduction));
        json_object_object_add(group, "reduction_interval", ctl_json_interval(g->row->comparison.interval));
        json_object_object_add(group, "verdict",
                               json_object_new_string(trend_to_string(g->row->growth.trend)));
        json_object_object_add(group, "outlook", power_json(g));
        json_object_array_add(groups, group);
    }
    json_object_object_add(o, "groups", groups);
    STRV_FOREACH (note, notes)
        json_object_array_add(sentences, ctl_json_text(*note));
    json_object_object_add(o, "notes", sentences);
    strv_free(notes);
    return o;
}

/* The step stands right behind the verb, so that it is none's argument. 0; EXIT_USAGE after a message. */
static int check_step(int argc, char *argv[])
{
    static const char *const steps[] = { "plan", "start", "adopt", NULL };

    if (argc > 1 && argv[1][0] != '-') {
        const char *near = did_you_mean(argv[1], steps);
        ctl_error("experiment knows plan, start and adopt, not \"%s\"%s%s%s", argv[1],
                  near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
        return EXIT_USAGE;
    }
    for (int i = 2; i < argc; i++)
        for (size_t k = 0; steps[k]; k++)
            if (streq(argv[i], steps[k]) && (argv[i - 1][0] != '-' || strchr(argv[i - 1], '='))) {
                ctl_error("write \"%s\" right behind \"experiment\", before its options", steps[k]);
                return EXIT_USAGE;
            }
    return 0;
}

int ctl_experiment(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(series_clear) Series series = { 0 };
    _cleanup_(report_clear) Report report = { 0 };
    _cleanup_(experiment_clear) Experiment experiment = { 0 };
    ReportOptions wanted;
    CtlSource source;

    if (argc > 1 && (streq(argv[1], "plan") || streq(argv[1], "start")))
        return ctl_experiment_plan(argc - 1, argv + 1, options, streq(argv[1], "start"));
    if (argc > 1 && streq(argv[1], "adopt"))
        return ctl_experiment_adopt(argc - 1, argv + 1, options);
    int r = check_step(argc, argv);
    if (r == 0)
        r = ctl_report_arguments(argc, argv, options, &source, &wanted);
    if (r == 0 && ctl_columns_help(options, columns, ELEMENTSOF(columns)))
        return EXIT_FINE;
    if (r == 0)
        r = ctl_report_read(&source, &wanted, SAMPLES_BY_GROUP, NULL, &series, &report);
    if (r != 0)
        return r;
    experiment = experiment_build(&report);
    if (options->json != JSON_OFF)
        return ctl_print_json(options, experiment_json(&experiment)) < 0 ? EXIT_FAILED : EXIT_FINE;
    return print_table(options, &experiment);
}
