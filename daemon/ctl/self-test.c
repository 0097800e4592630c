/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/self-test.h"

#include "ctl/file.h"
#include "io/allocators.h"
#include "io/paths.h"

enum {
    SELF_TEST_ALLOCATOR,
    SELF_TEST_RESULT,
    SELF_TEST_SANDBOX,
    SELF_TEST_VERSION,
    SELF_TEST_LIBRARY,
    SELF_TEST_REASON,
};
static const Column columns[] = {
    [SELF_TEST_ALLOCATOR] = { "ALLOCATOR", COLUMN_TEXT, "its name in the configuration" },
    [SELF_TEST_RESULT] = { "RESULT", COLUMN_TEXT, "works, or refused" },
    [SELF_TEST_SANDBOX] = { "SANDBOX", COLUMN_TEXT,
                            "the same in the relays' sandboxes; empty: no library, or no sandbox to test" },
    [SELF_TEST_VERSION] = { "VERSION", COLUMN_TEXT, "version of what served malloc" },
    [SELF_TEST_LIBRARY] = { "LIBRARY", COLUMN_TEXT, "path of its library; empty for the C library" },
    [SELF_TEST_REASON] = { "REASON", COLUMN_PROSE, "why it is refused, or was not tested" },
};

typedef struct SelfTest {
    const CtlOptions *options;
    const Config *config; /* of the file, and of what else follows: */
    AllocatorFacts *facts;
    sd_bus *bus; /* NULL: there is none */
    Survey survey;
    SandboxResult *sandboxes; /* NULL: not tested */
    size_t n_sandboxes;
    const char *untested; /* why the sandboxes were not tested; NULL: they were */
} SelfTest;

static void self_test_clear(SelfTest *t)
{
    sandbox_results_free(t->sandboxes, t->config->n_allocators);
    survey_clear(&t->survey);
    allocators_free(t->facts, t->config->n_allocators);
    sd_bus_flush_close_unref(t->bus);
}

static bool works(const SelfTest *t, size_t i)
{
    return !t->facts[i].refusal && t->facts[i].tried;
}

/* Is it refused, by itself or in a sandbox? */
static bool refused(const SelfTest *t, size_t i)
{
    return t->facts[i].refusal || (t->sandboxes && t->sandboxes[i].refusal);
}

static void try_sandboxes(SelfTest *t)
{
    const char *file = t->options->config;

    if (geteuid() != 0)
        t->untested = "only root may start them there; try again as root";
    else if (ctl_bus_open(t->options, true, &t->bus) < 0)
        t->untested = "systemd cannot be reached";
    else if (access(file, F_OK) < 0)
        t->untested = "there is no configuration that says which relays there are";
    else if (survey_load(file, file, t->bus, &t->survey) != 0 || !t->survey.asked_systemd)
        t->untested = "systemd cannot say which relays there are";
    else if (t->survey.config->n_allocators != t->config->n_allocators)
        t->untested = "the configuration was changed at this moment; try again";
    else
        t->sandboxes = sandboxes_try(t->bus, &t->survey, t->facts, &t->n_sandboxes);
    if (t->sandboxes && t->n_sandboxes == 0)
        t->untested = "there is no relay";
}

static const char *sandbox_word(const SelfTest *t, size_t i)
{
    const SandboxResult *r = t->sandboxes ? &t->sandboxes[i] : NULL;

    if (!r || r->tried == 0)
        return NULL;
    return r->refusal ? "refused" : r->untested ? "not tested" : "works";
}

static void print_row(CtlTable *table, const SelfTest *t, size_t i)
{
    const AllocatorFacts *facts = &t->facts[i];
    const SandboxResult *sandbox = t->sandboxes ? &t->sandboxes[i] : &(SandboxResult){ 0 };
    const char *reason = facts->refusal     ? facts->refusal
                         : sandbox->refusal ? sandbox->refusal
                                            : sandbox->untested;

    ctl_table_row(table);
    ctl_table_text(table, SELF_TEST_ALLOCATOR, t->config->allocators[i].name);
    ctl_table_text(table, SELF_TEST_RESULT, works(t, i) ? "works" : facts->refusal ? "refused" : "not tried");
    ctl_table_text(table, SELF_TEST_SANDBOX, sandbox_word(t, i));
    ctl_table_text(table, SELF_TEST_VERSION, facts->version);
    ctl_table_text(table, SELF_TEST_LIBRARY, facts->path);
    ctl_table_text(table, SELF_TEST_REASON, reason);
}

/* Owned by the caller. */
static char *legend(const SelfTest *t)
{
    size_t good = 0, refusals = 0;

    for (size_t i = 0; i < t->config->n_allocators; i++) {
        if (!facts_allocator_offered(t->config, i))
            continue;
        good += works(t, i);
        refusals += t->sandboxes && t->sandboxes[i].refusal;
    }
    _cleanup_(freep) char *sandboxes =
        t->untested ? xasprintf("The relays' sandboxes were not tested: %s.", t->untested)
                    : xasprintf("In the relays' sandboxes (%zu) %zu refused.", t->n_sandboxes, refusals);
    return xasprintf("%zu of %zu allocators work here. %s Nothing was changed, and no relay was restarted.",
                     good, facts_allocators_offered(t->config), sandboxes);
}

static int print_allocators(const SelfTest *t)
{
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;
    _cleanup_(freep) char *text = legend(t);

    if (ctl_table_new(t->options, columns, ELEMENTSOF(columns), ELEMENTSOF(columns), &table) < 0)
        return EXIT_USAGE;
    for (size_t i = 0; i < t->config->n_allocators; i++)
        if (facts_allocator_offered(t->config, i))
            print_row(table, t, i);
    return ctl_table_print_legend(table, text) < 0 ? EXIT_FAILED : EXIT_FINE;
}

/* What saving the file as it is would do. */
static int print_plan(const CtlOptions *options)
{
    CtlOptions plain = *options;
    size_t changes;

    plain.columns = NULL; /* those that were chosen are the other table's */
    if (options->json != JSON_OFF || access(options->config, F_OK) < 0)
        return EXIT_FINE;
    if (ctl_chatty(options))
        printf("\nThe plan for %s:\n", options->config);
    fflush(stdout);
    return file_print_plan(&plain, options->config, options->config, &changes);
}

int self_test_print(const CtlOptions *options, const Config *config)
{
    _cleanup_(freep) char *probe = path_of_probe();
    _cleanup_(self_test_clear) SelfTest t = { .options = options, .config = config };

    if (ctl_columns_help(options, columns, ELEMENTSOF(columns)))
        return EXIT_FINE;
    t.facts = allocators_look(&(AllocatorsAsk){ .config = config, .probe = probe, .try_all = true });
    try_sandboxes(&t);
    int r = print_allocators(&t);
    if (r == EXIT_FINE)
        r = print_plan(options);
    for (size_t i = 0; r == EXIT_FINE && i < config->n_allocators; i++)
        if (facts_allocator_in_use(config, i) && refused(&t, i))
            r = EXIT_FAILED;
    return r;
}
