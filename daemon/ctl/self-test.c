/* SPDX-License-Identifier: BSD-3-Clause */
/* doctor --self-test: tries every allocator of the configuration as the daemon does, and says what served
 * malloc. Changes nothing and restarts nobody. */
#include "ctl/self-test.h"

#include "io/allocators.h"
#include "io/paths.h"

enum {
    SELF_TEST_ALLOCATOR,
    SELF_TEST_RESULT,
    SELF_TEST_VERSION,
    SELF_TEST_LIBRARY,
    SELF_TEST_REASON,
};
static const Column columns[] = {
    [SELF_TEST_ALLOCATOR] = { "ALLOCATOR", COLUMN_TEXT, "its name in the configuration" },
    [SELF_TEST_RESULT] = { "RESULT", COLUMN_TEXT, "works, or refused" },
    [SELF_TEST_VERSION] = { "VERSION", COLUMN_TEXT, "version of what served malloc" },
    [SELF_TEST_LIBRARY] = { "LIBRARY", COLUMN_TEXT, "path of its library; empty for the C library" },
    [SELF_TEST_REASON] = { "REASON", COLUMN_PROSE, "why it is refused" },
};

int self_test_print(const CtlOptions *options, const Config *config)
{
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;
    _cleanup_(freep) char *probe = path_of_probe();
    size_t works = 0;

    if (ctl_table_new(options, columns, ELEMENTSOF(columns), ELEMENTSOF(columns), &table) < 0)
        return EXIT_USAGE;
    AllocatorFacts *facts =
        allocators_look(&(AllocatorsAsk){ .config = config, .probe = probe, .try_all = true });
    for (size_t i = 0; i < config->n_allocators; i++) {
        const bool good = !facts[i].refusal && facts[i].tried;
        works += good;
        ctl_table_row(table);
        ctl_table_text(table, SELF_TEST_ALLOCATOR, config->allocators[i].name);
        ctl_table_text(table, SELF_TEST_RESULT, good ? "works" : facts[i].refusal ? "refused" : "not tried");
        ctl_table_text(table, SELF_TEST_VERSION, facts[i].version);
        ctl_table_text(table, SELF_TEST_LIBRARY, facts[i].path);
        ctl_table_text(table, SELF_TEST_REASON, facts[i].refusal);
    }
    allocators_free(facts, config->n_allocators);
    _cleanup_(freep) char *legend =
        xasprintf("%zu of %zu allocators work here; nothing was changed and nobody restarted.", works,
                  config->n_allocators);
    return ctl_table_print_legend(table, legend) < 0 ? EXIT_FAILED : EXIT_FINE;
}
