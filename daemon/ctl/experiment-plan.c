/* SPDX-License-Identifier: BSD-3-Clause */
/* relayallocctl experiment plan: groups for the configuration, drawn at random and alike in memory and age.
 */
#include "core/config-word.h"
#include "core/config.h"
#include "ctl/experiment.h"
#include "ctl/file.h"
#include "ctl/lab.h"
#include "io/config-file.h"
#include "report/balance.h"
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <sys/random.h>

typedef struct PlannedGroup {
    char *name, *allocator;
} PlannedGroup;

typedef struct ExperimentPlan {
    CtlSource source;
    PlannedGroup *groups;
    size_t n_groups, groups_capacity;
    uint64_t size, seed;
    bool seed_given;
    bool write; /* into the configuration */
    /* the relays that may take part */
    BalanceRelay *relays;
    size_t *numbers; /* in the Series */
    size_t n;
    size_t *group;
    Balance balance;
} ExperimentPlan;

static void plan_clear(ExperimentPlan *plan)
{
    for (size_t i = 0; i < plan->n_groups; i++) {
        free(plan->groups[i].name);
        free(plan->groups[i].allocator);
    }
    free(plan->groups);
    free(plan->relays);
    free(plan->numbers);
    free(plan->group);
}

/* ---- arguments ---- */

static void add_group(ExperimentPlan *plan, const char *name, const char *allocator)
{
    GROW(plan->groups, plan->groups_capacity, plan->n_groups);
    plan->groups[plan->n_groups++] = (PlannedGroup){ xstrdup(name), xstrdup(allocator) };
}

/* "A:jemalloc,B:mimalloc" */
static int take_groups(ExperimentPlan *plan, const char *text)
{
    _cleanup_(freep) char *copy = xstrdup(text);
    char *rest = copy;

    for (char *word; (word = strsep(&rest, ","));) {
        char *colon = strchr(word, ':');
        if (!colon || colon == word || !colon[1]) {
            ctl_error(
                "--groups=%s: must be NAME:ALLOCATOR, separated by commas, such as A:jemalloc,B:mimalloc",
                text);
            return EXIT_USAGE;
        }
        *colon = '\0';
        for (const char *p = word; *p; p++)
            if ((unsigned char)*p < ' ' || *p == 0x7f) {
                ctl_error("--groups: the name of a group contains a control character");
                return EXIT_USAGE;
            }
        for (size_t i = 0; i < plan->n_groups; i++)
            if (streq(plan->groups[i].name, word)) {
                ctl_error("--groups=%s: two groups are named \"%s\"", text, word);
                return EXIT_USAGE;
            }
        if (plan->n_groups == CONFIG_GROUPS_MAX) {
            ctl_error("--groups: more than %d groups", CONFIG_GROUPS_MAX);
            return EXIT_USAGE;
        }
        add_group(plan, word, colon + 1);
    }
    return 0;
}

enum {
    OPTION_GROUPS = SOURCE_OPTION_END,
    OPTION_SIZE,
    OPTION_SEED,
    OPTION_WRITE,
};

static int take_option(int c, const char *value, void *userdata)
{
    ExperimentPlan *plan = userdata;

    switch (c) {
    case OPTION_GROUPS:
        return take_groups(plan, value);
    case OPTION_SIZE:
        if (parse_u64(value, &plan->size) == 0 && plan->size > 0)
            return 0;
        ctl_error("--size=%s: not a number of relays", value);
        return EXIT_USAGE;
    case OPTION_SEED:
        plan->seed_given = true;
        if (parse_u64(value, &plan->seed) == 0)
            return 0;
        ctl_error("--seed=%s: not a whole number", value);
        return EXIT_USAGE;
    case OPTION_WRITE:
        plan->write = true;
        return 0;
    default:
        return EXIT_USAGE;
    }
}

/* Named A, B, … as in the examples of the manual. */
#define CANDIDATES_MAX 2

/* None were named: what the lab would try on this release, beside a control. Says so. EXIT_USAGE after a
 * message: it knows of none; or the groups are going to be started, and somebody has to choose them. */
static int take_candidates(ExperimentPlan *plan, const char *verb)
{
    const Evidence *candidates[CANDIDATES_MAX] = { NULL };
    _cleanup_(freep) char *os_release = NULL;
    const size_t n = lab_candidates(candidates, CANDIDATES_MAX, &os_release);

    if (n == 0 || plan->write) {
        ctl_error("experiment %s requires --groups=NAME:ALLOCATOR,…; --size=RELAYS sets the size of each "
                  "group (default: as many as there are)%s",
                  verb, n > 0 ? "; \"experiment plan\" without --groups proposes some" : "");
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < n; i++)
        add_group(plan, (const char[]){ (char)('A' + i), '\0' }, candidates[i]->allocator);
    add_group(plan, "Z", REPORT_BASELINE);
    if (!plan->source.quiet) {
        _cleanup_(freep) char *advice = evidence_advice(candidates[0], os_release);
        _cleanup_(freep) char *text = xasprintf("No --groups: these are what the lab would try. %s", advice);
        ctl_complain(text);
    }
    return 0;
}

static int read_arguments(int argc, char *argv[], const CtlOptions *options, ExperimentPlan *plan)
{
    static const struct option long_options[] = { SOURCE_LONG_OPTIONS,
                                                  { "groups", required_argument, NULL, OPTION_GROUPS },
                                                  { "size", required_argument, NULL, OPTION_SIZE },
                                                  { "seed", required_argument, NULL, OPTION_SEED },
                                                  { "write", no_argument, NULL, OPTION_WRITE },
                                                  { 0 } };

    int r = ctl_source_arguments(argc, argv, options, long_options, take_option, plan, &plan->source, NULL);
    if (r != 0)
        return r;
    if (plan->n_groups == 0 && take_candidates(plan, argv[0]) != 0)
        return EXIT_USAGE;
    if (plan->source.at_text || plan->source.warmup_text) {
        ctl_error("experiment %s uses the latest samples; it takes neither --at nor --warmup", argv[0]);
        return EXIT_USAGE;
    }
    r = ctl_source_check(&plan->source);
    if (r == 0 && !plan->source.file && !plan->source.since_text) /* it needs only the present */
        plan->source.since = plan->source.now - USEC_PER_DAY;
    return r;
}

/* A typo in a name is found now and not when the daemon refuses the file. */
static int check_allocators(const ExperimentPlan *plan, const CtlOptions *options)
{
    _cleanup_(problems_clear) Problems problems = { 0 };
    _cleanup_(config_freep) Config *config = NULL;
    const ConfNode empty = { .kind = CONF_GROUP, .file = options->config };
    int r = options->config_given || access(options->config, F_OK) == 0
                ? config_file_load(options->config, &problems, &config)
                : config_from_tree(&empty, options->config, &problems, &config);

    if (r < 0) {
        ctl_print_problems(&problems);
        return EXIT_USAGE;
    }
    _cleanup_(freep) const char **names = xcalloc(config->n_allocators + 1, sizeof(*names));
    for (size_t i = 0, n = 0; i < config->n_allocators; i++)
        if (!config->allocators[i].renamed)
            names[n++] = config->allocators[i].name;
    for (size_t i = 0; i < plan->n_groups; i++) {
        const char *name = plan->groups[i].allocator, *near = did_you_mean(name, names);
        if (config_find_allocator(config, name) >= 0)
            continue;
        if (near)
            ctl_error("--groups: no allocator named \"%s\" (did you mean \"%s\"?)", name, near);
        else
            ctl_error("--groups: no allocator named \"%s\"", name);
        return EXIT_USAGE;
    }
    return 0;
}

/* ---- the plan ---- */

/* Groups take relays by name. EXIT_USAGE after a message: that is not enough to tell two of them apart. */
static int check_names(const ExperimentPlan *plan, const Series *series)
{
    for (size_t i = 0; i < plan->n; i++)
        if (series_name_shared(series, plan->numbers[i])) {
            ctl_error(
                "more than one relay is named \"%s\": groups take relays by name, so give each a name of its "
                "own",
                series->relays[plan->numbers[i]].name);
            return EXIT_USAGE;
        }
    return 0;
}

/* Relays of the last collection. */
static void gather(ExperimentPlan *plan, const Series *series)
{
    plan->relays = xcalloc(series->n_relays, sizeof(*plan->relays));
    plan->numbers = xcalloc(series->n_relays, sizeof(*plan->numbers));
    plan->group = xcalloc(series->n_relays, sizeof(*plan->group));
    for (size_t i = 0; i < series->n_relays; i++) {
        const SeriesRelay *r = &series->relays[i];
        if (!series_is_current(series, r))
            continue;
        plan->numbers[plan->n] = i;
        plan->relays[plan->n++] = (BalanceRelay){
            .memory = (double)r->rss,
            .age = r->time > r->start ? (double)(r->time - r->start) / (double)USEC_PER_SEC : 0,
        };
    }
}

/* A name as a pattern that matches nothing else, in a string of libconfig. */
static void put_relay(FILE *f, const char *name)
{
    bool pattern = name[strcspn(name, WORD_PATTERN_SPECIAL)] != '\0';

    fputc('"', f);
    for (const char *p = name; *p; p++) {
        if (pattern && strchr(WORD_PATTERN_SPECIAL, *p))
            fputs("\\\\", f);
        if (*p == '"' || *p == '\\')
            fputc('\\', f);
        fputc(*p, f);
    }
    fputc('"', f);
}

static void put_comment(FILE *f, const ExperimentPlan *plan)
{
    fputs("# relayallocctl experiment plan --groups=", f);
    for (size_t g = 0; g < plan->n_groups; g++)
        fprintf(f, "%s%s:%s", g == 0 ? "" : ",", plan->groups[g].name, plan->groups[g].allocator);
    fprintf(f, " --size=%" PRIu64 " --seed=%" PRIu64 "\n", plan->size, plan->seed);
    fprintf(f, "# %" PRIu64 " of %zu relays, drawn at random", plan->size * plan->n_groups, plan->n);
    if (plan->n_groups > 1)
        fprintf(f,
                "; the groups that differ most are %.2f standard deviations apart in memory\n# and %.2f in "
                "age.",
                plan->balance.memory, plan->balance.age);
    fputc('\n', f);
}

static char *plan_text(const ExperimentPlan *plan, const Series *series)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    put_comment(f, plan);
    fputs("groups = (\n", f);
    for (size_t g = 0; g < plan->n_groups; g++) {
        double memory = 0, age = 0;
        size_t n = 0;
        fputs("    { name = ", f);
        put_relay(f, plan->groups[g].name);
        fputs("; allocator = ", f);
        put_relay(f, plan->groups[g].allocator);
        fputs("; relays = [", f);
        for (size_t i = 0; i < plan->n; i++) {
            if (plan->group[i] != g)
                continue;
            fputs(n++ == 0 ? "\n        " : n % 5 == 1 ? ",\n        " : ", ", f);
            put_relay(f, series->relays[plan->numbers[i]].name);
            memory += plan->relays[i].memory;
            age += plan->relays[i].age;
        }
        char bytes[FORMAT_BYTES_MAX], span[FORMAT_SPAN_MAX];
        fprintf(f, " ]; }%s # average now: %s, up for %s\n", g + 1 < plan->n_groups ? "," : "",
                format_bytes(bytes, (uint64_t)(memory / (double)n)),
                format_span(span, (usec_t)(age / (double)n) * USEC_PER_SEC));
    }
    fputs(");\n", f);
    fclose(f);
    return text;
}

static struct json_object *plan_json(const ExperimentPlan *plan, const Series *series)
{
    struct json_object *o = json_object_new_object(), *groups = json_object_new_array();

    json_object_object_add(o, "seed", json_object_new_uint64(plan->seed));
    json_object_object_add(o, "relays", json_object_new_uint64(plan->n));
    if (plan->n_groups > 1) {
        json_object_object_add(o, "memory_distance", json_object_new_double(plan->balance.memory));
        json_object_object_add(o, "age_distance", json_object_new_double(plan->balance.age));
    }
    for (size_t g = 0; g < plan->n_groups; g++) {
        struct json_object *group = json_object_new_object(), *relays = json_object_new_array();
        json_object_object_add(group, "name", ctl_json_text(plan->groups[g].name));
        json_object_object_add(group, "allocator", ctl_json_text(plan->groups[g].allocator));
        for (size_t i = 0; i < plan->n; i++)
            if (plan->group[i] == g)
                json_object_array_add(relays, ctl_json_text(series->relays[plan->numbers[i]].name));
        json_object_object_add(group, "relays", relays);
        json_object_array_add(groups, group);
    }
    json_object_object_add(o, "groups", groups);
    return o;
}

/* Without relays that stay on the baseline nothing can be told. */
static void tell_of_control(const ExperimentPlan *plan, const CtlOptions *options)
{
    bool control = false;

    for (size_t i = 0; i < plan->n_groups; i++)
        control = control || streq(plan->groups[i].allocator, REPORT_BASELINE);
    if (!control && !options->quiet)
        ctl_complain("None of these groups runs glibc: without a control such as Z:glibc, reports compare "
                     "with a group only that --baseline= names.");
}

int ctl_experiment_plan(int argc, char *argv[], const CtlOptions *options, bool start)
{
    _cleanup_(plan_clear) ExperimentPlan plan = { .write = start };
    _cleanup_(series_clear) Series series = { 0 };

    int r = read_arguments(argc, argv, options, &plan);
    if (r == 0 && (options->host || options->machine) && plan.write) {
        ctl_error("an experiment starts on its own host; omit --host and --machine");
        return EXIT_USAGE;
    }
    if (r == 0)
        r = check_allocators(&plan, options);
    if (r != 0)
        return r;
    plan.source.relays_only = true;
    r = ctl_samples_read(&plan.source, SAMPLES_BY_ALLOCATOR, NULL, &series);
    if (r != 0)
        return r;
    if (series.n_hosts > 1) {
        ctl_error("these are relays of %zu hosts; plan each host separately, from its own journal",
                  series.n_hosts);
        return EXIT_USAGE;
    }
    /* 53 bits: a number that every program that reads JSON keeps exact. */
    if (!plan.seed_given && getrandom(&plan.seed, sizeof(plan.seed), 0) == sizeof(plan.seed))
        plan.seed >>= 11;
    gather(&plan, &series);
    r = check_names(&plan, &series);
    if (r != 0)
        return r;
    if (plan.size == 0)
        plan.size = plan.n / plan.n_groups;
    if (balance_plan(plan.relays, plan.n, plan.n_groups, plan.size, plan.seed, plan.group, &plan.balance) <
        0) {
        ctl_error("%zu groups of %" PRIu64 " need more relays than there are: %zu in the latest samples",
                  plan.n_groups, plan.size > 0 ? plan.size : 1, plan.n);
        return EXIT_FAILED;
    }
    if (options->json != JSON_OFF && !plan.write)
        return ctl_print_json(options, plan_json(&plan, &series)) < 0 ? EXIT_FAILED : EXIT_FINE;
    _cleanup_(freep) char *text = plan_text(&plan, &series);
    tell_of_control(&plan, options);
    if (plan.write)
        return file_save_groups(options, text);
    return ctl_print(options, text) < 0 ? EXIT_FAILED : EXIT_FINE;
}
