/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/allocators.h"

#include "core/tunables.h"
#include "io/library.h"
#include "io/probe.h"
#include "io/tunables.h"

#include <errno.h>

/* ldconfig writes it again whenever a package with a library comes or goes */
#define LINKER_CACHE "/etc/ld.so.cache"

/* ---- what is known already ---- */

static bool same_environment(const Allocator *a, const Allocator *b)
{
    if (a->n_environment != b->n_environment)
        return false;
    for (size_t i = 0; i < a->n_environment; i++)
        if (!streq(a->environment[i].name, b->environment[i].name) ||
            !streq(a->environment[i].value, b->environment[i].value))
            return false;
    return true;
}

/* Is the file still the one that was examined? */
static bool unchanged(const AllocatorFacts *f)
{
    _cleanup_(freep) char *build = library_build_id_of(f->path), *guard = library_guard(f->looked);

    return streq_null(build, f->build) && streq_null(guard, f->guard);
}

/* The same allocator of the configuration that was looked at before, if what was found out about it still
 * holds: a reload then costs nothing. What was refused is always looked at again. */
static const AllocatorFacts *already_known(const AllocatorsAsk *ask, const Allocator *a)
{
    for (size_t i = 0; ask->known && i < ask->known_config->n_allocators; i++) {
        const Allocator *b = &ask->known_config->allocators[i];
        const AllocatorFacts *f = &ask->known[i];

        if (streq_null(a->library, b->library) && same_environment(a, b) && !f->refusal && f->tried &&
            (!a->library || unchanged(f)))
            return f;
    }
    return NULL;
}

static AllocatorFacts copy(const AllocatorFacts *f)
{
    AllocatorFacts c = *f;

    c.path = xstrdup(f->path);
    c.realpath = xstrdup(f->realpath);
    c.build = xstrdup(f->build);
    c.version = xstrdup(f->version);
    c.refusal = xstrdup(f->refusal);
    c.looked = strv_copy(f->looked);
    c.guard = xstrdup(f->guard);
    c.warnings = xstrdup(f->warnings);
    c.remark = xstrdup(f->remark);
    c.settings = strv_copy(f->settings);
    return c;
}

/* ---- looking ---- */

/* An earlier allocator with the same library: "jemalloc" for "jemalloc-tuned". */
static const AllocatorFacts *same_library(const Config *c, const AllocatorFacts *facts, size_t allocator)
{
    for (size_t i = 0; i < allocator; i++)
        if (streq_null(c->allocators[i].library, c->allocators[allocator].library))
            return &facts[i];
    return NULL;
}

/* What an earlier allocator with the same library has found out about it. */
static void take_library(const AllocatorFacts *same, AllocatorFacts *ret)
{
    ret->path = xstrdup(same->path);
    ret->realpath = xstrdup(same->realpath);
    ret->looked = strv_copy(same->looked);
    ret->guard = xstrdup(same->guard);
    ret->unsafe = same->unsafe;
    ret->unresolved = same->unresolved;
    ret->untested = same->untested;
    if (same->unsafe || same->untested || !same->path)
        ret->refusal = xstrdup(same->refusal);
    else {
        free(ret->build);
        ret->build = xstrdup(same->build);
    }
}

/* Trouble of the host: what was to be looked at may be as good as any. (ESTALE: it was just being replaced.)
 */
static bool is_passing(int error)
{
    return error_is_passing(error) || error == -ESTALE;
}

static void resolve(const AllocatorsAsk *ask, const char *name, AllocatorFacts *ret)
{
    _cleanup_(library_clear) Library library = { 0 };
    int r = library_resolve(name, ask->probe, &library, &ret->refusal);

    if (r < 0 && !ret->refusal)
        ret->refusal = xasprintf("%s cannot be examined: %s", name, strerror(-r));
    if (r >= 0) {
        free(ret->build);
        ret->build = library_build_id(&library);
    }
    ret->untested = is_passing(r);
    if (!ret->untested) { /* else nothing of it is known for certain */
        ret->path = TAKE_PTR(library.path);
        ret->realpath = TAKE_PTR(library.realpath);
    }
    ret->looked = TAKE_PTR(library.looked);
    strv_push(&ret->looked, xstrdup(LINKER_CACHE)); /* it may give the same names to other files now */
    ret->guard = library_guard(ret->looked);
    ret->unsafe = r < 0 && ret->path;
    ret->unresolved = r < 0 && !ret->untested;
}

static void try_out(const AllocatorsAsk *ask, const Allocator *a, AllocatorFacts *f)
{
    _cleanup_(probe_result_clear) ProbeResult probe = { 0 };
    int r = probe_run(ask->probe, f->path, a->environment, a->n_environment, &probe, &f->refusal);

    if (r < 0) {
        if (!f->refusal)
            f->refusal = xasprintf("cannot be tried: %s", strerror(-r));
        f->untested = is_passing(r);
        return;
    }
    f->tried = true;
    f->family = probe.family;
    free(f->version);
    f->version = xstrdup(probe.version);
    f->warnings = isempty(probe.warnings) ? NULL : xstrdup(probe.warnings);
    f->remark = xstrdup(probe.remark);
    if (a->library && !streq_null(probe.library, f->realpath))
        f->refusal = xasprintf("%s was preloaded, but %s serves malloc", f->path,
                               probe.library ? probe.library : "something else");
}

/* `list` is asked for once, and only when somebody needs it. */
static void judge_settings(const Allocator *a, char **list, AllocatorFacts *f)
{
    int r = !*list && tunables_need_glibc_list(a) ? tunables_list(list) : 0;

    if (r < 0 && !f->refusal) { /* else nobody would judge them as long as the daemon runs */
        f->untested = true;
        f->refusal = xasprintf("its settings cannot be judged: %s", strerror(-r));
    }
    f->settings = tunables_judge(&(TunablesAsk){ .environment = a->environment,
                                                 .n = a->n_environment,
                                                 .family = f->family,
                                                 .version = f->version,
                                                 .glibc_list = *list });
}

static AllocatorFacts look(const AllocatorsAsk *ask, const AllocatorFacts *facts, size_t allocator,
                           char **list)
{
    const Allocator *a = &ask->config->allocators[allocator];
    const AllocatorFacts *same = same_library(ask->config, facts, allocator), *known = already_known(ask, a);
    AllocatorFacts f = { 0 };

    if (known)
        return copy(known);
    f.version = xstrdup("");
    f.build = xstrdup(a->library ? a->library : "glibc");
    if (same && a->library)
        take_library(same, &f);
    else if (a->library)
        resolve(ask, a->library, &f);
    if (f.refusal)
        return f;
    if (same && !ask->try_all && !facts_allocator_in_use(ask->config, allocator)) {
        /* No relay is to run it: it is here so that a relay that runs it can be named. */
        f.family = same->family;
        free(f.version);
        f.version = xstrdup(same->version);
    } else {
        try_out(ask, a, &f);
    }
    if (f.tried || (same && same->tried))
        judge_settings(a, list, &f);
    return f;
}

bool allocators_untested(const Config *config, const AllocatorFacts *facts)
{
    for (size_t i = 0; i < config->n_allocators; i++)
        if (facts[i].untested && facts_allocator_in_use(config, i))
            return true;
    return false;
}

AllocatorFacts *allocators_look(const AllocatorsAsk *ask)
{
    AllocatorFacts *facts = xcalloc(ask->config->n_allocators, sizeof(*facts));
    _cleanup_(freep) char *list = NULL;

    for (size_t i = 0; i < ask->config->n_allocators; i++) {
        facts[i] = look(ask, facts, i, &list);
        if (ask->progress)
            ask->progress(ask->userdata);
    }
    return facts;
}

AllocatorFacts *allocators_free(AllocatorFacts *facts, size_t n)
{
    for (size_t i = 0; facts && i < n; i++)
        allocator_facts_clear(&facts[i]);
    free(facts);
    return NULL;
}

/* ---- have they changed? ---- */

static void stamp_file(FILE *f, const char *path)
{
    _cleanup_(freep) char *build = path && *path == '/' ? library_build_id_of(path) : NULL;

    fprintf(f, "%s ", build ? build : "-");
}

/* Libraries need the same others, and lie in the same directories: each is looked at once. */
static void add_looked(char ***all, char *const *looked)
{
    STRV_FOREACH (path, looked)
        if (!strv_contains(*all, *path))
            strv_push(all, xstrdup(*path));
}

static bool library_in_use(const Config *c, size_t allocator)
{
    for (size_t i = 0; i < c->n_allocators; i++)
        if (streq_null(c->allocators[i].library, c->allocators[allocator].library) &&
            facts_allocator_in_use(c, i))
            return true;
    return false;
}

/* One that is put back where the cache of ldconfig names it, or one that another needs. */
static bool can_be_resolved(const char *name, const char *probe)
{
    _cleanup_(library_clear) Library library = { 0 };
    _cleanup_(freep) char *reason = NULL;

    return library_resolve(name, probe, &library, &reason) >= 0;
}

char *allocators_stamp(const Config *config, const AllocatorFacts *facts, const char *probe)
{
    _cleanup_(strv_freep) char **looked = NULL;
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    stamp_file(f, LINKER_CACHE);
    for (size_t i = 0; i < config->n_allocators; i++) {
        if (!config->allocators[i].library || same_library(config, facts, i))
            continue;
        if (probe && facts[i].unresolved && library_in_use(config, i) &&
            can_be_resolved(config->allocators[i].library, probe))
            fputs("found ", f);
        if (!probe && facts[i].path && !facts[i].unresolved && !unchanged(&facts[i]))
            fputs("changed since ", f);
        stamp_file(f, facts[i].path ? facts[i].path : config->allocators[i].library);
        add_looked(&looked, facts[i].looked);
    }
    _cleanup_(freep) char *guard = library_guard(looked);
    fputs(guard, f);
    fclose(f);
    return text;
}
