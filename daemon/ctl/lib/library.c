/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/library.h"

#include "io/paths.h"

void allocator_facts_clear(AllocatorFacts *facts)
{
    library_clear(&facts->library);
    probe_result_clear(&facts->probe);
    free(facts->refusal);
    free(facts->warning);
    *facts = (AllocatorFacts){ 0 };
}

/* The lines of what a library printed, joined by "; ". */
static char *one_line(const char *text)
{
    char *line = NULL;
    size_t size = 0;

    FILE *f = open_memstream(&line, &size);
    if (!f)
        abort();
    for (; *text; text++)
        if (*text == '\n')
            fputs("; ", f);
        else
            fputc(*text, f);
    fclose(f);
    return line;
}

void allocator_facts_read(const Allocator *allocator, AllocatorFacts *ret)
{
    _cleanup_(freep) char *probe = path_of_probe();
    AllocatorFacts facts = { 0 };
    int r = 0;

    if (allocator->library)
        r = library_resolve(allocator->library, probe, &facts.library, &facts.refusal);
    if (r >= 0)
        r = probe_run(probe, facts.library.path, allocator->environment, allocator->n_environment,
                      &facts.probe, &facts.refusal);
    if (r < 0 && !facts.refusal)
        facts.refusal = xasprintf("cannot be tried: %s", strerror(-r));
    if (r >= 0 && !isempty(facts.probe.warnings))
        facts.warning = one_line(facts.probe.warnings);
    *ret = facts;
}

AllocatorFacts *facts_array_read(const Config *config, bool all)
{
    AllocatorFacts *facts = xcalloc(config->n_allocators, sizeof(*facts));

    for (size_t i = 0; i < config->n_allocators; i++) {
        bool used = all || streq(config->allocators[i].name, "glibc"); /* what runs before we come */
        for (size_t g = 0; g < config->n_groups; g++)
            used = used || config->groups[g].allocator == i;
        if (used)
            allocator_facts_read(&config->allocators[i], &facts[i]);
    }
    return facts;
}

AllocatorFacts *facts_array_free(AllocatorFacts *facts, size_t n)
{
    for (size_t i = 0; facts && i < n; i++)
        allocator_facts_clear(&facts[i]);
    free(facts);
    return NULL;
}
