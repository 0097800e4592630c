/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/evidence.h"

#include "core/release.h"

#include <math.h>

/* The last row ends the table also where no trial is kept. */
static const Evidence rows[] = {
#include <core/evidence.inc> /* made by `make evidence` */
    { .allocator = NULL },
};

const Evidence *const evidence_table = rows;
const size_t evidence_n = ELEMENTSOF(rows) - 1;

const char *evidence_name(const Allocator *allocator)
{
    if (!allocator->builtin)
        return NULL;
    return allocator->renamed ? allocator->renamed : allocator->name;
}

bool evidence_justifies(const Evidence *table, size_t n, const Allocator *allocator)
{
    const char *name = evidence_name(allocator);

    if (!name || allocator->n_environment == 0)
        return true;
    for (size_t i = 0; i < n; i++)
        if (streq(table[i].allocator, name) && !table[i].against)
            return true;
    return false;
}

/* Nothing where it is no range. */
static void put_range(FILE *f, double least, double most)
{
    if (lround(least) != lround(most))
        fprintf(f, " (%.0f to %.0f %%)", least, most);
}

static void put_glibc(FILE *f, const Evidence *e)
{
    const bool more = e->memory > 1;
    const double sign = more ? 100 : -100, least = more ? e->least : e->most,
                 most = more ? e->most : e->least;

    fprintf(f, "%.0f %% %s memory than glibc", sign * (e->memory - 1), more ? "more" : "less");
    put_range(f, sign * (least - 1), sign * (most - 1));
    fputs(" in the same trial", f);
    if (isnan(e->cpu)) {
        fputs(", CPU time not compared", f);
    } else {
        fprintf(f, ", %.0f %% of its CPU time a request", 100 * e->cpu);
        put_range(f, 100 * e->cpu_least, 100 * e->cpu_most);
    }
    if (!isnan(e->served))
        fprintf(f, ", %.0f %% of its requests answered", 100 * e->served);
}

/* Beside the same library as its makers ship it: what the settings do, and not the library. */
static void put_stock(FILE *f, const Evidence *e)
{
    if (!e->stock)
        return;
    if (isnan(e->stock_memory))
        fprintf(f, ", not compared with %s as it is shipped", e->stock);
    else if (isnan(e->stock_cpu))
        fprintf(f, ", %.0f %% of the memory of %s as it is shipped (CPU time not compared)",
                100 * e->stock_memory, e->stock);
    else
        fprintf(f, ", %.0f %% of the memory and %.0f %% of the CPU time of %s as it is shipped",
                100 * e->stock_memory, 100 * e->stock_cpu, e->stock);
}

static void put_basis(FILE *f, const Evidence *e)
{
    if (e->runs == 1)
        fputs(" (one trial", f);
    else
        fprintf(f, " (%u trials", e->runs);
    fprintf(f, ", %u relay%s, version %s on %s%s, %s)", e->relays, e->relays == 1 ? "" : "s", e->version,
            e->release, e->elsewhere ? " with the library of another release" : "", e->date);
}

static char *sentence_of(const Evidence *e)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    fputs("in the lab ", f);
    if (streq(e->allocator, "glibc"))
        fputs("what the others are compared with", f);
    else
        put_glibc(f, e);
    put_stock(f, e);
    if (isnan(e->growth))
        fputs(", growth not measured", f);
    else
        fprintf(f, ", growth of %+.0f MiB an hour", nearbyint(e->growth) + 0.0); /* never "-0" */
    put_basis(f, e);
    if (e->against)
        fprintf(f, ", but it %s", e->against);
    if (e->left)
        fprintf(f, ", %s %s", e->against ? "and" : "but", e->left);
    fclose(f);
    return text;
}

char *evidence_text(const Evidence *table, size_t n, const Allocator *allocator)
{
    const char *name = evidence_name(allocator);
    char *text = NULL;

    for (size_t i = 0; name && i < n; i++) {
        if (!streq(table[i].allocator, name))
            continue;
        _cleanup_(freep) char *before = text, *one = sentence_of(&table[i]);
        text = before ? xasprintf("%s; %s", before, one) : xstrdup(one);
    }
    return text || !name ? text : xstrdup("no evidence yet: the lab has no kept trial of it");
}

/* ---- what to try first ---- */

/* The library that an allocator of the table needs; NULL: none. Owned by the caller. */
static char *library_of(const char *allocator)
{
    _cleanup_(config_freep) Config *config = config_new("");
    const ssize_t i = config_find_allocator(config, allocator);

    return i >= 0 ? xstrdup(config->allocators[i].library) : NULL;
}

static bool is_candidate(const Evidence *e, const char *os_release)
{
    _cleanup_(freep) char *library = library_of(e->allocator);

    return !e->against && !streq(e->allocator, "glibc") &&
           (!library || release_package(os_release, library) != NULL);
}

/* Was it measured on that release, with what its package would give? */
static bool is_of_release(const Evidence *e, const char *release)
{
    return !e->elsewhere && streq(e->release, release);
}

static bool has_allocator(const Evidence **taken, size_t n, const char *allocator)
{
    for (size_t i = 0; i < n; i++)
        if (streq(taken[i]->allocator, allocator))
            return true;
    return false;
}

size_t evidence_candidates(const Evidence *table, size_t n, const char *os_release, const Evidence **ret,
                           size_t max)
{
    _cleanup_(freep) char *release = release_name(os_release);
    size_t found = 0;

    for (int others = 0; others < 2; others++)
        for (size_t i = 0; i < n && found < max; i++)
            if (is_of_release(&table[i], release) != others && is_candidate(&table[i], os_release) &&
                !has_allocator(ret, found, table[i].allocator))
                ret[found++] = &table[i];
    return found;
}

char *evidence_advice(const Evidence *first, const char *os_release)
{
    _cleanup_(freep) char *release = release_name(os_release), *library = library_of(first->allocator);
    _cleanup_(freep) char *sentence = sentence_of(first);
    const char *package = library ? release_package(os_release, library) : NULL;
    const bool elsewhere = !streq(first->release, release);

    return xasprintf(
        "On %s the lab would try \"%s\" first%s%s%s: %s. That was a test network under load%s%s: it "
        "is no evidence of this fleet, which \"relayallocctl experiment start "
        "--groups=A:%s,Z:glibc\" can give.",
        release, first->allocator, package ? " (package " : "", package ? package : "", package ? ")" : "",
        sentence, elsewhere ? ", and not on " : "", elsewhere ? release : "", first->allocator);
}
