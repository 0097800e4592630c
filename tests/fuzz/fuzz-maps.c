/* SPDX-License-Identifier: BSD-3-Clause */
/* libFuzzer: the text of maps and the value of LD_PRELOAD, both as a hostile relay might shape them, and who
 * serves malloc by that. The input is the two, with a NUL between them; without one it is maps alone. */
#include "core/lookup.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool truth)
{
    if (!truth)
        abort();
}

/* What the files say does not matter here, but the more they say, the more there is to go wrong: each that
 * ends in an odd character cannot be read, the others need each other. */
static const ObjectFacts *facts_of(const MappedObjects *objects, size_t i, ObjectFacts *facts)
{
    const char *path = objects->items[i].path;
    const unsigned char last = (unsigned char)path[strlen(path) - 1];

    *facts = (ObjectFacts){ .serves = last & 2,
                            .family = (Family)(last % _FAMILY_MAX),
                            .soname = (char *)path + 1 };
    strv_push(&facts->needed, xstrdup(objects->items[(i * 7 + last) % objects->n].path + 1));
    return last & 1 ? NULL : facts;
}

static void check(const LookupFacts *f, const char *preload, const char *system)
{
    Preloads preloads = preloads_parse(preload, system);
    MappedLibrary m;

    lookup_malloc(f, &preloads, &m);
    must((m.family == FAMILY_GLIBC) == !m.path);
    must((m.origin == ORIGIN_LIBC) == !m.path);
    must(family_to_string(m.family));
    must(m.path || (m.inode == 0 && !m.deleted));
    must(m.origin != ORIGIN_SYSTEM_PRELOAD || preloads_system_allocator(&preloads));
    bool found = !m.path;
    for (size_t i = 0; i < f->objects->n; i++)
        found = found || streq(f->objects->items[i].path, m.path);
    must(found);
    _cleanup_(strv_freep) char **not_loaded = preloads_not_loaded(&preloads);
    must(strv_length(not_loaded) <= PRELOADS_MAX && preloads.n <= 2 * PRELOADS_MAX);
    mapped_library_clear(&m);
    preloads_clear(&preloads);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char own[] = "/usr/local/lib/own/heap-2.0.9.so";
    static char *const ours[] = { own, NULL };
    static ObjectFacts facts[MAPPED_OBJECTS_MAX];
    const ObjectFacts *all[MAPPED_OBJECTS_MAX];
    _cleanup_(freep) char *maps = xstrndup((const char *)data, size);
    size_t n = strlen(maps);
    _cleanup_(freep) char *preload = n < size ? xstrndup((const char *)data + n + 1, size - n - 1) : NULL;
    _cleanup_(mapped_objects_clear) MappedObjects objects = { 0 };

    if (maps_objects(maps, &objects) < 0)
        return 0;
    must(objects.n <= MAPPED_OBJECTS_MAX);
    for (size_t i = 0; i < objects.n; i++) {
        must(*objects.items[i].path == '/' && strchr(objects.items[i].range, '-'));
        all[i] = facts_of(&objects, i, &facts[i]);
    }
    LookupFacts f = { .objects = &objects, .ours = ours };
    check(&f, preload, NULL);
    f.facts = all;
    f.program = objects.n > 0 ? objects.items[objects.n / 2].path : NULL;
    check(&f, preload, preload);
    for (size_t i = 0; i < objects.n; i++)
        strv_free(facts[i].needed);
    return 0;
}
