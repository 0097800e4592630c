/* SPDX-License-Identifier: BSD-3-Clause */
/* Who serves malloc: by names alone, on maps of real processes (data/maps, see its README.md) and made-up
 * ones, where no file could be read; and by what the files say. */
#include "test.h"

#include "core/lookup.h"

#include <errno.h>

#define LIB "/usr/lib/x86_64-linux-gnu/"

static char *read_data(const char *name, const char *suffix)
{
    _cleanup_(freep) char *path = xasprintf("%s/maps/%s%s", TEST_DATA, name, suffix);
    _cleanup_(fclosep) FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t n = 0;

    if (!f || getdelim(&text, &n, '\0', f) < 0)
        fail_msg("%s: %s", path, strerror(errno));
    return text;
}

static char *read_preload(const char *name)
{
    _cleanup_(freep) char *text = read_data(name, ".environ");
    const char *p = strstr(text, "\nLD_PRELOAD=");

    if (!p)
        return NULL;
    p += strlen("\nLD_PRELOAD=");
    return xstrndup(p, strcspn(p, "\n"));
}

/* As when no file could be read. */
static int look_up_by_name(const char *maps, const char *preload, char *const *ours, MappedLibrary *ret)
{
    _cleanup_(mapped_objects_clear) MappedObjects objects = { 0 };
    _cleanup_(preloads_clear) Preloads preloads = preloads_parse(preload, NULL);
    int r = maps_objects(maps, &objects);

    if (r >= 0)
        lookup_malloc(&(LookupFacts){ .objects = &objects, .ours = ours }, &preloads, ret);
    return r;
}

static void check(const char *row, const char *maps, const char *preload, char *const *ours,
                  const MappedLibrary *expected)
{
    MappedLibrary m;

    assert_int_equal(look_up_by_name(maps, preload, ours, &m), 0);
    if (!streq_null(m.path, expected->path) || m.family != expected->family || m.deleted != expected->deleted)
        fail_msg("%s: %s, %s%s", row, m.path ? m.path : "none", family_to_string(m.family),
                 m.deleted ? ", deleted" : "");
    if (m.path ? expected->inode > 0 && m.inode != expected->inode : m.inode != 0)
        fail_msg("%s: inode %ju", row, (uintmax_t)m.inode);
    assert_non_null(m.unread);
    mapped_library_clear(&m);
    assert_null(m.path);
}

/* ---- by names ---- */

/* The library must be the one given, by path, family and inode. */
static void test_real_processes(void **state)
{
    static char heap[] = "/usr/local/lib/own/heap-2.0.9.so", other[] = "/usr/local/lib/other.so";
    static char *const heap_is_ours[] = { other, heap, NULL };
    static const struct {
        const char *capture;
        char *const *ours;
        const char *path;
        uint64_t inode; /* 0: any */
        Family family;
        bool deleted;
    } table[] = {
        { "glibc", NULL, NULL, 0, FAMILY_GLIBC, false },
        { "jemalloc", NULL, LIB "libjemalloc.so.2", 14884903, FAMILY_JEMALLOC, false },
        { "mimalloc", NULL, LIB "libmimalloc.so.2.0", 14884908, FAMILY_MIMALLOC, false },
        { "tcmalloc", NULL, LIB "libtcmalloc.so.4.5.10", 14884888, FAMILY_TCMALLOC, false },
        { "tcmalloc-minimal", NULL, LIB "libtcmalloc_minimal.so.4.5.10", 0, FAMILY_TCMALLOC, false },
        { "trixie-mimalloc3", NULL, LIB "libmimalloc.so.3.0", 0, FAMILY_MIMALLOC, false },
        { "linked-jemalloc", NULL, LIB "libjemalloc.so.2", 14884903, FAMILY_JEMALLOC, false },
        { "missing", NULL, NULL, 0, FAMILY_GLIBC, false },
        { "two", NULL, LIB "libjemalloc.so.2", 14884903, FAMILY_JEMALLOC, false },
        { "two-reversed", NULL, LIB "libmimalloc.so.2.0", 14884908, FAMILY_MIMALLOC, false },
        { "replaced", NULL, "/usr/local/lib/mimalloc/libmimalloc.so.2.0", 0, FAMILY_MIMALLOC, true },
        { "upgraded", NULL, "/usr/local/lib/tc/libtcmalloc.so.4.5.9", 0, FAMILY_TCMALLOC, true },
        { "own-name", heap_is_ours, heap, 0, FAMILY_OTHER, false },
        { "own-name", NULL, NULL, 0, FAMILY_GLIBC, false },
        { "own-link", heap_is_ours, heap, 0, FAMILY_OTHER, false },
        { "space", NULL, "/usr/local/lib/with space/libjemalloc.so.2", 0, FAMILY_JEMALLOC, false },
        { "backslash", NULL, "/usr/local/lib/back\\040slash/libjemalloc.so.2", 0, FAMILY_JEMALLOC, false },
        { "newline", NULL, "/usr/local/lib/new\nline/libmimalloc.so.2.0", 0, FAMILY_MIMALLOC, false },
        /* proc(5): cannot be told apart */
        { "literal-deleted", NULL, "/usr/local/lib/j/libjemalloc.so.2", 0, FAMILY_JEMALLOC, true },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(freep) char *maps = read_data(table[i].capture, ".maps");
        _cleanup_(freep) char *preload = read_preload(table[i].capture);
        MappedLibrary expected = { .path = (char *)table[i].path,
                                   .inode = table[i].inode,
                                   .deleted = table[i].deleted,
                                   .family = table[i].family };

        check(table[i].capture, maps, preload, table[i].ours, &expected);
    }
}

/* One executable mapping of each file of the list. */
static char *maps_of(const char *const *paths)
{
    char *text = xstrdup("00400000-00452000 r--p 00000000 fe:00 11 /usr/bin/tor\n"
                         "00452000-00500000 r-xp 00052000 fe:00 11 /usr/bin/tor\n");

    for (size_t i = 0; paths[i]; i++) {
        char *more = xasprintf("%s7f0000%06zx-7f0000%06zx r-xp 00001000 fe:00 %zu      %s\n", text,
                               0x1000 * i, 0x1000 * i + 0x1000, 100 + i, paths[i]);
        free(text);
        text = more;
    }
    return text;
}

static void test_preload_entries(void **state)
{
    static char odd[] = "/opt/odd.so", heap[] = "/opt/heap.so";
    static char *const ours[] = { odd, heap, NULL };
    static const struct {
        const char *preload;
        const char *mapped[4];
        const char *expected;
        Family family;
    } table[] = {
        /* the first entry that is mapped */
        { "libmimalloc.so.2 libjemalloc.so.2",
          { "/l/libjemalloc.so.2" },
          "/l/libjemalloc.so.2",
          FAMILY_JEMALLOC },
        { "libz.so.1:libmimalloc.so.2  : libjemalloc.so.2",
          { "/l/libjemalloc.so.2", "/l/libz.so.1", "/l/libmimalloc.so.2.0" },
          "/l/libmimalloc.so.2.0",
          FAMILY_MIMALLOC },
        /* the very path wins over another folder's, whichever stands first in maps */
        { "/a/libjemalloc.so.2 /b/libjemalloc.so.2",
          { "/b/libjemalloc.so.2", "/a/libjemalloc.so.2" },
          "/a/libjemalloc.so.2",
          FAMILY_JEMALLOC },
        { "/b/libjemalloc.so.2",
          { "/a/libjemalloc.so.2", "/b/libjemalloc.so.2" },
          "/b/libjemalloc.so.2",
          FAMILY_JEMALLOC },
        /* a link into another folder, and the tokens of ld.so(8) */
        { "/a/libmimalloc.so.2", { "/b/libmimalloc.so.2.0" }, "/b/libmimalloc.so.2.0", FAMILY_MIMALLOC },
        { "/usr/$LIB/libmimalloc.so",
          { "/u/libmimalloc.so.2.0", "/u/libjemalloc.so.2" },
          "/u/libmimalloc.so.2.0",
          FAMILY_MIMALLOC },
        /* libmimalloc.so.2 is not libmimalloc.so.20: the preloaded one comes first, although later in maps */
        { "libmimalloc.so.2",
          { "/l/libmimalloc.so.20", "/l/libmimalloc.so.2.1" },
          "/l/libmimalloc.so.2.1",
          FAMILY_MIMALLOC },
        /* preloaded before linked with */
        { "libmimalloc.so.2",
          { "/l/libjemalloc.so.2", "/l/libmimalloc.so.2" },
          "/l/libmimalloc.so.2",
          FAMILY_MIMALLOC },
        /* what is no allocator is passed over */
        { "libz.so.1 libeatmydata.so", { "/l/libz.so.1", "/l/libeatmydata.so" }, NULL, FAMILY_GLIBC },
        /* another allocator, by its name, only when preloaded */
        { "libhardened_malloc.so", { "/l/libhardened_malloc.so" }, "/l/libhardened_malloc.so", FAMILY_OTHER },
        { "libz.so.1", { "/l/libabsl_malloc_internal.so.1", "/l/libz.so.1" }, NULL, FAMILY_GLIBC },
        /* the configuration's, under any name, preloaded or not */
        { "/opt/heap.so libjemalloc.so.2",
          { "/l/libjemalloc.so.2", "/opt/heap.so" },
          "/opt/heap.so",
          FAMILY_OTHER },
        { NULL, { "/opt/odd.so" }, "/opt/odd.so", FAMILY_OTHER },
        { NULL, { "/x/odd.so", "/opt/odd.so.1" }, NULL, FAMILY_GLIBC },
        /* entries that say nothing */
        { "", { "/l/libjemalloc.so.2" }, "/l/libjemalloc.so.2", FAMILY_JEMALLOC },
        { " :: : ", { "/l/libz.so.1" }, NULL, FAMILY_GLIBC },
        { "/l/", { "/l/.malloc.so" }, NULL, FAMILY_GLIBC },
        { "/l/ libmimalloc.so.2",
          { "/l/libjemalloc.so.2", "/l/libmimalloc.so.2" },
          "/l/libmimalloc.so.2",
          FAMILY_MIMALLOC },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(freep) char *maps = maps_of(table[i].mapped);
        MappedLibrary expected = { .path = (char *)table[i].expected, .family = table[i].family };

        check(table[i].preload ? table[i].preload : "(none)", maps, table[i].preload, ours, &expected);
    }
}

static void test_deleted_only_at_the_end(void **state)
{
    static const struct {
        const char *path, *expected;
        bool deleted;
    } table[] = {
        { "/l/libjemalloc.so.2 (deleted)", "/l/libjemalloc.so.2", true },
        { "/l (deleted)/libjemalloc.so.2", "/l (deleted)/libjemalloc.so.2", false },
        { "/l/libjemalloc.so.2 (deleted).1", "/l/libjemalloc.so.2 (deleted).1", false },
        { "/l/libjemalloc.so.2(deleted)", "/l/libjemalloc.so.2(deleted)", false },
        { "/l/libjemalloc.so.2 (deleted) (deleted)", "/l/libjemalloc.so.2 (deleted)", true },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(freep) char *maps = maps_of((const char *const[]){ table[i].path, NULL });
        MappedLibrary expected = { .path = (char *)table[i].expected,
                                   .deleted = table[i].deleted,
                                   .family = FAMILY_JEMALLOC };

        check(table[i].path, maps, NULL, NULL, &expected);
    }
}

/* However many entries a relay gives itself, the work stays small, and the first ones count. */
static void test_endless_preload(void **state)
{
    char *preload = NULL;
    size_t n = 0;
    MappedLibrary m;

    (void)state;
    FILE *f = open_memstream(&preload, &n);
    assert_non_null(f);
    for (unsigned i = 0; i < 100000; i++)
        fprintf(f, "libx%u.so ", i);
    fputs("libmimalloc.so.2", f);
    fclose(f);

    _cleanup_(freep) char *maps =
        maps_of((const char *const[]){ "/l/libjemalloc.so.2", "/l/libmimalloc.so.2", NULL });
    assert_int_equal(look_up_by_name(maps, preload, NULL, &m), 0);
    assert_string_equal(m.path, "/l/libjemalloc.so.2"); /* neither counts as preloaded */
    mapped_library_clear(&m);
    memcpy(preload, "libmimalloc.so.2 ", 17);
    assert_int_equal(look_up_by_name(maps, preload, NULL, &m), 0);
    assert_string_equal(m.path, "/l/libmimalloc.so.2");
    mapped_library_clear(&m);
    free(preload);
}

/* ---- by what the files say ---- */

/* A file as it is mapped, and what is in it. */
typedef struct TestObject {
    const char *path;
    const char *soname;
    const char *needed[4];
    bool serves;
    Family family;
    bool unreadable, deleted, silent;
} TestObject;

#define GLIBC                                                                                                \
    {                                                                                                        \
        "/l/libc.so.6", "libc.so.6", { "ld-linux.so.2" }, true, FAMILY_GLIBC, false, false, false            \
    }
#define LINKER                                                                                               \
    {                                                                                                        \
        "/l/ld-linux.so.2", "ld-linux.so.2", { NULL }, false, FAMILY_OTHER, false, false, false              \
    }

typedef struct TestCase {
    const char *what;
    const char *preload, *system;
    TestObject objects[8]; /* the first is the program */
    const char *expected;  /* NULL: glibc */
    Family family;
    Origin origin;
    const char *unread;
} TestCase;

static MappedObjects objects_of(const TestObject *given, const ObjectFacts **ret_facts)
{
    MappedObjects objects = { .complete = true };

    for (; given->path; given++) {
        ObjectFacts *facts = given->unreadable ? NULL : xcalloc(1, sizeof(*facts));
        GROW(objects.items, objects.capacity, objects.n);
        objects.items[objects.n] = (MappedObject){ .path = xstrdup(given->path),
                                                   .inode = 100 + objects.n,
                                                   .deleted = given->deleted };
        if (facts) {
            *facts =
                (ObjectFacts){ .serves = given->serves, .family = given->family, .silent = given->silent };
            facts->soname = xstrdup(given->soname);
            for (size_t i = 0; i < ELEMENTSOF(given->needed) && given->needed[i]; i++)
                strv_push(&facts->needed, xstrdup(given->needed[i]));
        }
        ret_facts[objects.n++] = facts;
    }
    return objects;
}

static void check_case(const TestCase *t)
{
    const ObjectFacts *facts[8];
    _cleanup_(mapped_objects_clear) MappedObjects objects = objects_of(t->objects, facts);
    _cleanup_(preloads_clear) Preloads preloads = preloads_parse(t->preload, t->system);
    _cleanup_(mapped_library_clear) MappedLibrary m = { 0 };

    lookup_malloc(&(LookupFacts){ .objects = &objects, .facts = facts, .program = t->objects[0].path },
                  &preloads, &m);
    if (!streq_null(m.path, t->expected) || m.family != t->family || m.origin != t->origin ||
        !streq_null(m.unread, t->unread))
        fail_msg("%s: %s, %s, origin %u, unread %s", t->what, m.path ? m.path : "none",
                 family_to_string(m.family), m.origin, m.unread ? m.unread : "none");
    for (size_t i = 0; i < objects.n; i++)
        if (facts[i]) {
            object_facts_clear((ObjectFacts *)facts[i]);
            free((ObjectFacts *)facts[i]);
        }
}

static void test_order(void **state)
{
    static const TestObject tbb = { "/l/libtbbmalloc_proxy.so.2.8",
                                    "libtbbmalloc_proxy.so.2",
                                    { "libc.so.6" },
                                    true,
                                    FAMILY_OTHER,
                                    false,
                                    false,
                                    false },
                            je = { "/l/libjemalloc.so.2",
                                   "libjemalloc.so.2",
                                   { "libc.so.6" },
                                   true,
                                   FAMILY_JEMALLOC,
                                   false,
                                   false,
                                   false },
                            harmless = { "/l/libnice_malloc.so",
                                         "libnice_malloc.so",
                                         { "libc.so.6" },
                                         false,
                                         FAMILY_OTHER,
                                         false,
                                         false,
                                         false };
    const TestCase table[] = {
        { .what = "nothing but libc",
          .objects = { { "/tor", .needed = { "libc.so.6" } }, GLIBC, LINKER },
          .family = FAMILY_GLIBC },
        { .what = "by /etc/ld.so.preload, of no known name",
          .system = "/l/libtbbmalloc_proxy.so.2",
          .objects = { { "/tor", .needed = { "libc.so.6" } }, tbb, GLIBC, LINKER },
          .expected = tbb.path,
          .family = FAMILY_OTHER,
          .origin = ORIGIN_SYSTEM_PRELOAD },
        { .what = "LD_PRELOAD comes before /etc/ld.so.preload",
          .preload = "libjemalloc.so.2",
          .system = "# all\n/l/libtbbmalloc_proxy.so.2\n",
          .objects = { { "/tor", .needed = { "libc.so.6" } }, tbb, je, GLIBC, LINKER },
          .expected = je.path,
          .family = FAMILY_JEMALLOC,
          .origin = ORIGIN_PRELOAD },
        { .what = "in both it came by LD_PRELOAD",
          .preload = "/l/libtbbmalloc_proxy.so.2",
          .system = "/l/libtbbmalloc_proxy.so.2",
          .objects = { { "/tor", .needed = { "libc.so.6" } }, tbb, GLIBC },
          .expected = tbb.path,
          .family = FAMILY_OTHER,
          .origin = ORIGIN_PRELOAD },
        { .what = "the order of LD_PRELOAD",
          .preload = "libtbbmalloc_proxy.so.2:libjemalloc.so.2",
          .objects = { { "/tor", .needed = { "libc.so.6" } }, je, tbb, GLIBC },
          .expected = tbb.path,
          .family = FAMILY_OTHER,
          .origin = ORIGIN_PRELOAD },
        { .what = "preloaded, its name promises, but it defines none",
          .preload = "libnice_malloc.so",
          .objects = { { "/tor", .needed = { "libc.so.6" } }, harmless, GLIBC },
          .family = FAMILY_GLIBC },
        { .what = "what a preloaded library needs",
          .preload = "libnice_malloc.so",
          .objects = { { "/tor", .needed = { "libc.so.6" } },
                       { "/l/libnice_malloc.so",
                         "libnice_malloc.so",
                         { "libjemalloc.so.2" },
                         false,
                         FAMILY_OTHER,
                         false,
                         false,
                         false },
                       je,
                       GLIBC },
          .family = FAMILY_GLIBC }, /* the program's libc.so.6 is asked before it */
        { .what = "linked with, before libc",
          .objects = { { "/tor", .needed = { "libjemalloc.so.2", "libc.so.6" } }, je, GLIBC },
          .expected = je.path,
          .family = FAMILY_JEMALLOC,
          .origin = ORIGIN_NEEDED },
        { .what = "linked with, behind libc",
          .objects = { { "/tor", .needed = { "libc.so.6", "libjemalloc.so.2" } }, je, GLIBC },
          .family = FAMILY_GLIBC },
        { .what = "a library's library comes behind the program's: breadth first",
          .objects = { { "/tor", .needed = { "libz.so.1", "libc.so.6" } },
                       { "/l/libz.so.1.2",
                         "libz.so.1",
                         { "libjemalloc.so.2" },
                         false,
                         FAMILY_OTHER,
                         false,
                         false,
                         false },
                       je,
                       GLIBC },
          .family = FAMILY_GLIBC },
        { .what = "the program's own",
          .preload = "libjemalloc.so.2",
          .objects = { { "/tor", .needed = { "libc.so.6" }, .serves = true, .family = FAMILY_MIMALLOC },
                       je,
                       GLIBC },
          .expected = "/tor",
          .family = FAMILY_MIMALLOC,
          .origin = ORIGIN_PROGRAM },
        { .what = "linked statically with glibc",
          .objects = { { "/tor", .serves = true, .family = FAMILY_GLIBC } },
          .family = FAMILY_GLIBC },
        { .what = "linked statically and stripped",
          .objects = { { "/tor", .silent = true } },
          .family = FAMILY_GLIBC,
          .unread = "/tor" },
        { .what = "mapped, and nobody asked for it: an earlier /etc/ld.so.preload",
          .objects = { { "/tor", .needed = { "libc.so.6" } }, tbb, GLIBC },
          .expected = tbb.path,
          .family = FAMILY_OTHER,
          .origin = ORIGIN_LOADED },
        { .what = "the same, but something else serves malloc before",
          .preload = "libjemalloc.so.2",
          .objects = { { "/tor", .needed = { "libc.so.6" } }, tbb, je, GLIBC },
          .expected = je.path,
          .family = FAMILY_JEMALLOC,
          .origin = ORIGIN_PRELOAD },
        /* what could not be read is judged by its name, and told */
        { .what = "a replaced jemalloc",
          .preload = "libjemalloc.so.2",
          .objects = { { "/tor", .needed = { "libc.so.6" } },
                       { je.path, .unreadable = true, .deleted = true },
                       GLIBC },
          .expected = je.path,
          .family = FAMILY_JEMALLOC,
          .origin = ORIGIN_PRELOAD,
          .unread = je.path },
        { .what = "something replaced that nobody knows",
          .preload = "/opt/heap.so",
          .objects = { { "/tor", .needed = { "libc.so.6" } },
                       { "/opt/heap.so", .unreadable = true, .deleted = true },
                       GLIBC },
          .family = FAMILY_GLIBC,
          .unread = "/opt/heap.so" },
        { .what = "something replaced behind the one that serves",
          .preload = "libjemalloc.so.2 /opt/heap.so",
          .objects = { { "/tor", .needed = { "libc.so.6" } },
                       je,
                       { "/opt/heap.so", .unreadable = true, .deleted = true },
                       GLIBC },
          .expected = je.path,
          .family = FAMILY_JEMALLOC,
          .origin = ORIGIN_PRELOAD },
        { .what = "libc itself replaced: its name is enough",
          .objects = { { "/tor", .needed = { "libc.so.6" } },
                       { "/l/libc.so.6", .unreadable = true, .deleted = true },
                       LINKER },
          .family = FAMILY_GLIBC },
        { .what = "tor itself replaced",
          .objects = { { "/tor", .unreadable = true, .deleted = true }, je, GLIBC },
          .expected = je.path,
          .family = FAMILY_JEMALLOC,
          .origin = ORIGIN_LOADED,
          .unread = "/tor" },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        check_case(&table[i]);
}

static void test_some_left_out(void **state)
{
    MappedObject tor = { .path = (char *)"/tor" };
    const MappedObjects objects = { &tor, 1, 1, false };
    const ObjectFacts facts = { .family = FAMILY_OTHER }, *all[] = { &facts };
    Preloads preloads = { 0 };
    _cleanup_(mapped_library_clear) MappedLibrary m = { 0 };

    (void)state;
    lookup_malloc(&(LookupFacts){ .objects = &objects, .facts = all, .program = "/tor" }, &preloads, &m);
    assert_non_null(m.unread);
}

/* ---- preloads ---- */

static void test_preloads(void **state)
{
    static const struct {
        const char *variable, *system;
        const char *names[6]; /* "+": of the system */
    } table[] = {
        { NULL, NULL, { NULL } },
        { "", "", { NULL } },
        { " : ", " \t\n:#x\n", { NULL } },
        { "a:b  c", NULL, { "a", "b", "c" } },
        { "a\tb", NULL, { "a\tb" } }, /* blanks and colons only */
        { "a", "b c\td:e\n", { "a", "+b", "+c", "+d", "+e" } },
        { NULL, "# all of it: a\nb # c\n#d", { "+b" } },
        { NULL, "b#c\nd", { "+b", "+d" } },
        { "=/l/x.so", NULL, { "=/l/x.so" } },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(preloads_clear) Preloads p = preloads_parse(table[i].variable, table[i].system);
        size_t n = 0;
        for (; table[i].names[n]; n++) {
            const bool system = table[i].names[n][0] == '+';
            assert_true(n < p.n);
            assert_string_equal(p.items[n].name, table[i].names[n] + system);
            assert_int_equal(p.items[n].system, system);
        }
        assert_int_equal(p.n, n);
    }
}

static void test_not_loaded(void **state)
{
    static char malloc_so[] = "/m/libmalloc.so";
    const TestObject given[] = {
        { "/tor", .needed = { "libc.so.6" } },
        { "/m/libmalloc.so", NULL, { NULL }, true, FAMILY_OTHER, false, false, false },
        GLIBC,
        { 0 }
    };
    const ObjectFacts *facts[8];
    _cleanup_(mapped_objects_clear) MappedObjects objects = objects_of(given, facts);
    _cleanup_(preloads_clear) Preloads p =
        preloads_parse("libjemalloc.so.1 =/m/libmalloc.so.2 /l/link.so", "/l/gone.so /l/link.so");
    _cleanup_(mapped_library_clear) MappedLibrary m = { 0 };

    (void)state;
    p.items[2].target = xstrdup(malloc_so);
    p.items[4].target = xstrdup(malloc_so);
    assert_null(preloads_system_allocator(&p));
    lookup_malloc(&(LookupFacts){ .objects = &objects, .facts = facts, .program = "/tor" }, &p, &m);
    assert_string_equal(m.path, "/m/libmalloc.so"); /* found by where the entry leads */
    assert_int_equal(m.origin, ORIGIN_PRELOAD);
    _cleanup_(strv_freep) char **names = preloads_not_loaded(&p);
    assert_int_equal(strv_length(names), 2);
    assert_string_equal(names[0], "libjemalloc.so.1");
    assert_string_equal(names[1], "=/m/libmalloc.so.2");
    assert_string_equal(preloads_system_allocator(&p)->name, "/l/link.so");
    for (size_t i = 0; i < objects.n; i++) {
        object_facts_clear((ObjectFacts *)facts[i]);
        free((ObjectFacts *)facts[i]);
    }
}

/* ---- one file ---- */

static int image_bytes(void *userdata, uint64_t offset, void *buffer, size_t n)
{
    memcpy(buffer, (char *)userdata + offset, n);
    return 0;
}

static void test_facts_of_a_file(void **state)
{
    static const struct {
        const char *file;
        bool program;
        ObjectFacts expected;
    } table[] = {
        { "gnu64", false, { .serves = true, .family = FAMILY_MIMALLOC, .soname = (char *)"libheap.so.1" } },
        { "gnu64", true, { .serves = true, .family = FAMILY_MIMALLOC, .soname = (char *)"libheap.so.1" } },
        { "versions64", false, { .serves = false, .family = FAMILY_OTHER } },
        { "static64", false, { .serves = false, .family = FAMILY_OTHER } },
        { "static64", true, { .serves = true, .family = FAMILY_JEMALLOC } },
        { "hidden64", true, { .serves = true, .family = FAMILY_JEMALLOC } },
        { "stripped64", true, { .serves = false, .family = FAMILY_OTHER, .silent = true } },
        { "../fuzz-maps/two", false, { .serves = false, .family = FAMILY_OTHER } }, /* no ELF file */
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(freep) char *path = xasprintf("%s/tests/fuzz/seeds/fuzz-elf/%s", SOURCE_DIR, table[i].file);
        _cleanup_(fclosep) FILE *f = fopen(path, "re");
        _cleanup_(object_facts_clear) ObjectFacts facts = { 0 };
        char bytes[16384];
        assert_non_null(f);
        const ElfInput input = { image_bytes, bytes, fread(bytes, 1, sizeof(bytes), f) };
        assert_int_equal(object_facts_read(&input, table[i].program, &facts), 0);
        if (facts.serves != table[i].expected.serves || facts.family != table[i].expected.family ||
            facts.silent != table[i].expected.silent || !streq_null(facts.soname, table[i].expected.soname))
            fail_msg("%s: %d, %s", table[i].file, facts.serves, family_to_string(facts.family));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_processes),
        cmocka_unit_test(test_preload_entries),
        cmocka_unit_test(test_deleted_only_at_the_end),
        cmocka_unit_test(test_endless_preload),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_some_left_out),
        cmocka_unit_test(test_preloads),
        cmocka_unit_test(test_not_loaded),
        cmocka_unit_test(test_facts_of_a_file),
    };

    return cmocka_run_group_tests_name("lookup", tests, NULL, NULL);
}
