/* SPDX-License-Identifier: BSD-3-Clause */
/* Puts the mapped files into the dynamic linker's order and takes the first that defines malloc. Reads
 * nothing, and where a file could not be read it says so instead of guessing in silence. */
#include "core/lookup.h"

#include <assert.h>
#include <errno.h>

/* ---- one file ---- */

/* Who defines malloc and one of these is that family's. */
enum {
    SYMBOL_MALLOC,
    SYMBOL_GLIBC,
    SYMBOL_MIMALLOC,
    SYMBOL_JEMALLOC,
    SYMBOL_JE_JEMALLOC,
    SYMBOL_TCMALLOC,
    _SYMBOL_MAX
};

static const char *const symbols[_SYMBOL_MAX] = {
    [SYMBOL_MALLOC] = "malloc",    [SYMBOL_GLIBC] = "__libc_malloc",    [SYMBOL_MIMALLOC] = "mi_version",
    [SYMBOL_JEMALLOC] = "mallctl", [SYMBOL_JE_JEMALLOC] = "je_mallctl", [SYMBOL_TCMALLOC] = "tc_version",
};

static Family family_of_symbols(const ElfSymbol *found)
{
    if (found[SYMBOL_MIMALLOC].defined)
        return FAMILY_MIMALLOC;
    if (found[SYMBOL_JEMALLOC].defined || found[SYMBOL_JE_JEMALLOC].defined)
        return FAMILY_JEMALLOC;
    if (found[SYMBOL_TCMALLOC].defined)
        return FAMILY_TCMALLOC;
    /* Two names of one function; in a program both may be there with a malloc of its own. */
    if (found[SYMBOL_GLIBC].defined && found[SYMBOL_GLIBC].address == found[SYMBOL_MALLOC].address)
        return FAMILY_GLIBC;
    return FAMILY_OTHER;
}

/* Old glibc's dynamic linker has a malloc of its own, which is not used once libc is loaded. */
static bool is_dynamic_linker(const char *soname)
{
    return soname && (strncmp(soname, "ld-linux", 8) == 0 || strncmp(soname, "ld64.so", 7) == 0 ||
                      strncmp(soname, "ld.so", 5) == 0);
}

static int find_malloc(Elf *elf, bool program, ObjectFacts *facts)
{
    ElfSymbol found[_SYMBOL_MAX];
    int r = elf_exports(elf, symbols, ELEMENTSOF(symbols), found);

    if (r >= 0 && !found[SYMBOL_MALLOC].defined && program) {
        r = elf_holds(elf, symbols, ELEMENTSOF(symbols), found);
        if (r == -ENODATA) {
            facts->silent = !elf->interpreted;
            r = 0;
        }
    }
    facts->serves = found[SYMBOL_MALLOC].defined && !is_dynamic_linker(elf->soname);
    facts->family = family_of_symbols(found);
    return r;
}

int object_facts_read(const ElfInput *input, bool program, ObjectFacts *ret)
{
    _cleanup_(elf_clear) Elf elf = { 0 };
    ObjectFacts facts = { .family = FAMILY_OTHER };
    int r = elf_parse(input, &elf);

    if (r == -ENOEXEC) {
        *ret = facts;
        return 0;
    }
    if (r >= 0)
        r = find_malloc(&elf, program, &facts);
    if (r < 0)
        return r;
    facts.soname = TAKE_PTR(elf.soname);
    facts.needed = TAKE_PTR(elf.needed);
    *ret = facts;
    return 0;
}

void object_facts_clear(ObjectFacts *facts)
{
    free(facts->soname);
    strv_free(facts->needed);
    *facts = (ObjectFacts){ 0 };
}

void mapped_library_clear(MappedLibrary *m)
{
    free(m->path);
    free(m->unread);
    *m = (MappedLibrary){ 0 };
}

/* ---- preloads ---- */

void preloads_clear(Preloads *preloads)
{
    for (size_t i = 0; i < preloads->n; i++) {
        free(preloads->items[i].name);
        free(preloads->items[i].target);
    }
    free(preloads->items);
    *preloads = (Preloads){ 0 };
}

static void add_entries(Preloads *preloads, const char *text, const char *separators, bool system)
{
    for (size_t i = 0, n; text && i < PRELOADS_MAX; i++, text += n) {
        text += strspn(text, separators);
        n = strcspn(text, separators);
        if (n == 0)
            return;
        GROW(preloads->items, preloads->capacity, preloads->n);
        preloads->items[preloads->n++] = (PreloadEntry){
            .name = xstrndup(text, n),
            .system = system,
            .object = SIZE_MAX,
        };
    }
}

/* "#" begins a comment wherever it stands (glibc's rtld.c). */
static char *without_comments(const char *text)
{
    char *copy = xstrdup(text);

    for (char *p = copy; (p = strchr(p, '#'));)
        while (*p && *p != '\n')
            *p++ = ' ';
    return copy;
}

Preloads preloads_parse(const char *variable, const char *system)
{
    _cleanup_(freep) char *entries = system ? without_comments(system) : NULL;
    Preloads preloads = { 0 };

    add_entries(&preloads, variable, " :", false);
    add_entries(&preloads, entries, " :\t\n", true);
    return preloads;
}

const PreloadEntry *preloads_system_allocator(const Preloads *preloads)
{
    for (size_t i = 0; i < preloads->n; i++)
        if (preloads->items[i].system && preloads->items[i].serves)
            return &preloads->items[i];
    return NULL;
}

char **preloads_not_loaded(const Preloads *preloads)
{
    char **names = NULL;

    for (size_t i = 0; i < preloads->n; i++)
        if (!preloads->items[i].system && preloads->items[i].object == SIZE_MAX)
            strv_push(&names, xstrdup(preloads->items[i].name));
    return names;
}

/* ---- names ---- */

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* The nearer the greater. */
typedef enum Match { MATCH_NONE, MATCH_VERSION, MATCH_NAME, MATCH_PATH } Match;

static Match match_preload(const PreloadEntry *entry, const MappedObject *object, const ObjectFacts *facts)
{
    const char *wanted = base_of(entry->name), *name = base_of(object->path);
    size_t n = strlen(wanted);

    if (streq(object->path, entry->name) || streq_null(object->path, entry->target))
        return MATCH_PATH;
    if (n == 0)
        return MATCH_NONE;
    if (streq(name, wanted) || (facts && streq_null(facts->soname, wanted)))
        return MATCH_NAME;
    /* libfoo.so.2 is not libfoo.so.20 */
    return strncmp(name, wanted, n) == 0 && name[n] == '.' ? MATCH_VERSION : MATCH_NONE;
}

/* Does the DT_NEEDED entry mean this file? A path as well as a name, as ld.so has it. */
static bool is_needed(const char *needed, const MappedObject *object, const ObjectFacts *facts)
{
    return (facts && streq_null(facts->soname, needed)) || streq(base_of(object->path), base_of(needed));
}

static bool is_libc_by_name(const char *path)
{
    const char *name = base_of(path);

    return streq(name, "libc.so.6") || (strncmp(name, "libc-2.", 7) == 0 && strstr(name, ".so"));
}

/* ---- the order ---- */

typedef struct Lookup {
    const LookupFacts *f;
    const Preloads *preloads;
    size_t order[MAPPED_OBJECTS_MAX]; /* indices of objects */
    size_t n;
    bool reached[MAPPED_OBJECTS_MAX];
} Lookup;

static const ObjectFacts *facts_of(const Lookup *l, size_t object)
{
    return l->f->facts ? l->f->facts[object] : NULL;
}

static void reach(Lookup *l, size_t object)
{
    if (object == SIZE_MAX || l->reached[object])
        return;
    l->reached[object] = true;
    l->order[l->n++] = object;
}

static size_t find_program(const Lookup *l)
{
    for (size_t i = 0; l->f->program && i < l->f->objects->n; i++)
        if (streq(l->f->objects->items[i].path, l->f->program))
            return i;
    return SIZE_MAX;
}

static size_t find_preload(const Lookup *l, const PreloadEntry *entry)
{
    Match best = MATCH_NONE;
    size_t found = SIZE_MAX;

    for (size_t i = 0; i < l->f->objects->n; i++) {
        Match match = match_preload(entry, &l->f->objects->items[i], facts_of(l, i));
        if (match > best) {
            best = match;
            found = i;
        }
    }
    return found;
}

static size_t find_needed(const Lookup *l, const char *needed)
{
    for (size_t i = 0; i < l->f->objects->n; i++)
        if (is_needed(needed, &l->f->objects->items[i], facts_of(l, i)))
            return i;
    return SIZE_MAX;
}

static void put_in_order(Lookup *l, Preloads *preloads)
{
    reach(l, find_program(l));
    for (size_t i = 0; i < preloads->n; i++) {
        preloads->items[i].object = find_preload(l, &preloads->items[i]);
        reach(l, preloads->items[i].object);
    }
    for (size_t i = 0; i < l->n; i++) { /* which grows in the meantime */
        const ObjectFacts *facts = facts_of(l, l->order[i]);
        STRV_FOREACH (needed, facts ? facts->needed : NULL)
            reach(l, find_needed(l, *needed));
    }
}

/* ---- the choice ---- */

static const PreloadEntry *entry_of(const Lookup *l, size_t object)
{
    for (size_t i = 0; i < l->preloads->n; i++)
        if (l->preloads->items[i].object == object)
            return &l->preloads->items[i];
    return NULL;
}

static bool is_allocator_by_name(const Lookup *l, size_t object)
{
    const char *path = l->f->objects->items[object].path;

    return family_of_library(path) != FAMILY_OTHER || strv_contains(l->f->ours, path) ||
           is_libc_by_name(path) || (entry_of(l, object) && strstr(base_of(path), "malloc"));
}

static bool serves(const Lookup *l, size_t object)
{
    const ObjectFacts *facts = facts_of(l, object);

    return facts ? facts->serves : is_allocator_by_name(l, object);
}

static Family family_of(const Lookup *l, size_t object)
{
    const ObjectFacts *facts = facts_of(l, object);
    const char *path = l->f->objects->items[object].path;

    if (facts && facts->family != FAMILY_OTHER)
        return facts->family;
    return !facts && is_libc_by_name(path) ? FAMILY_GLIBC : family_of_library(path);
}

/* The first of the order; if that is libc or none, whatever else there is: see the head of lookup.h. */
static size_t choose(const Lookup *l)
{
    size_t chosen = SIZE_MAX;

    for (size_t i = 0; i < l->n && chosen == SIZE_MAX; i++)
        if (serves(l, l->order[i]))
            chosen = l->order[i];
    if (chosen != SIZE_MAX && family_of(l, chosen) != FAMILY_GLIBC)
        return chosen;
    for (size_t i = 0; i < l->f->objects->n; i++)
        if (!l->reached[i] && serves(l, i) && family_of(l, i) != FAMILY_GLIBC)
            return i;
    return chosen;
}

/* A file that could not be read and that the dynamic linker asks before the chosen one, or, when libc or
 * nothing was chosen, at any place. libc itself is known well enough by its name. */
static const char *find_unread(const Lookup *l, size_t chosen)
{
    const bool glibc = chosen == SIZE_MAX || family_of(l, chosen) == FAMILY_GLIBC;

    for (size_t i = 0; i < l->n; i++) {
        const ObjectFacts *facts = facts_of(l, l->order[i]);
        const char *path = l->f->objects->items[l->order[i]].path;
        if ((!facts && !is_libc_by_name(path)) || (facts && facts->silent))
            return path;
        if (l->order[i] == chosen)
            break;
    }
    for (size_t i = 0; i < l->f->objects->n; i++)
        if ((i == chosen || (glibc && !l->reached[i])) && !facts_of(l, i) &&
            !is_libc_by_name(l->f->objects->items[i].path))
            return l->f->objects->items[i].path;
    return NULL;
}

static Origin origin_of(const Lookup *l, size_t object)
{
    const PreloadEntry *entry = entry_of(l, object);

    if (object == find_program(l))
        return ORIGIN_PROGRAM;
    if (entry)
        return entry->system ? ORIGIN_SYSTEM_PRELOAD : ORIGIN_PRELOAD;
    return l->reached[object] ? ORIGIN_NEEDED : ORIGIN_LOADED;
}

void lookup_malloc(const LookupFacts *facts, Preloads *preloads, MappedLibrary *ret)
{
    Lookup l = { .f = facts, .preloads = preloads };

    assert(facts->objects->n <= MAPPED_OBJECTS_MAX);
    put_in_order(&l, preloads);
    for (size_t i = 0; i < preloads->n; i++)
        if (preloads->items[i].object != SIZE_MAX)
            preloads->items[i].serves = serves(&l, preloads->items[i].object);
    const size_t chosen = choose(&l);
    const char *unread = find_unread(&l, chosen);
    *ret = (MappedLibrary){ .family = FAMILY_GLIBC, .origin = ORIGIN_LIBC };
    ret->unread = unread ? xstrdup(unread) : facts->objects->complete ? NULL : xstrdup("some of its files");
    if (chosen == SIZE_MAX || family_of(&l, chosen) == FAMILY_GLIBC)
        return;
    const MappedObject *object = &facts->objects->items[chosen];
    ret->path = xstrdup(object->path);
    ret->inode = object->inode;
    ret->deleted = object->deleted;
    ret->elsewhere = facts->elsewhere && facts->elsewhere[chosen];
    ret->family = family_of(&l, chosen);
    ret->origin = origin_of(&l, chosen);
}
