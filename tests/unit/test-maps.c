/* SPDX-License-Identifier: BSD-3-Clause */
/* Verdicts on maps of real processes (data/maps, see its README.md), and on made-up ones for what cannot be
 * had from a kernel. */
#include "test.h"

#include "core/maps.h"

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

static void check(const char *row, const char *maps, const char *preload, char *const *ours,
                  const MappedLibrary *expected)
{
    MappedLibrary m;

    assert_int_equal(maps_find_allocator(maps, preload, ours, &m), 0);
    if (!streq_null(m.path, expected->path) || m.family != expected->family || m.deleted != expected->deleted)
        fail_msg("%s: %s, %s%s", row, m.path ? m.path : "none", family_to_string(m.family),
                 m.deleted ? ", deleted" : "");
    if (m.path ? expected->inode > 0 && m.inode != expected->inode : m.inode != 0)
        fail_msg("%s: inode %ju", row, (uintmax_t)m.inode);
    mapped_library_clear(&m);
    assert_null(m.path);
}

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
        MappedLibrary expected = { (char *)table[i].path, table[i].inode, table[i].deleted, table[i].family };

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

static void test_odd_lines(void **state)
{
    static const struct {
        const char *line;
        bool mapping; /* is it one at all? */
        bool found;
    } table[] = {
        { "7f00-7f01 r-xp 00001000 fe:00 5 /l/libjemalloc.so.2\n", true, true },
        { "7f00-7f01 r-xp 00001000 fe:00 5 /l/libjemalloc.so.2", true, true },
        { "7f00-7f01 --xp 00001000 fe:00 5 /l/libjemalloc.so.2\n", true, true }, /* execute-only, arm64 */
        { "7f00-7f01 r--p 00001000 fe:00 5 /l/libjemalloc.so.2\n", true, false },
        { "7f00-7f01 rw-p 00001000 fe:00 5 /l/libjemalloc.so.2\n", true, false },
        { "7f00-7f01 r-xp 00000000 00:00 0 \n", true, false },
        { "7f00-7f01 r-xp 00000000 00:00 0\n", true, false },
        { "7f00-7f01 r-xp 00000000 00:00 0 [libjemalloc.so.2]\n", true, false },
        { "7f00-7f01 r-xp 00000000 00:00 0 libjemalloc.so.2\n", true, false },
        { "7f00-7f01 r-xp 00000000 00:01 9 /memfd:libjemalloc.so.2 (deleted)\n", true, false },
        { "", false, false },
        { "\n\n\n", false, false },
        { "/l/libjemalloc.so.2\n", false, false },
        { "7f00 r-xp 00001000 fe:00 5 /l/libjemalloc.so.2\n", false, false },
        { "-7f01 r-xp 00001000 fe:00 5 /l/libjemalloc.so.2\n", false, false },
        { "7f00- r-xp 00001000 fe:00 5 /l/libjemalloc.so.2\n", false, false },
        { "7g00-7f01 r-xp 00001000 fe:00 5 /l/libjemalloc.so.2\n", false, false },
        { "7f00-7f01 r-x 00001000 fe:00 5 /l/libjemalloc.so.2\n", false, false },
        { "7f00-7f01 r-xp 00001000 fe:00 five /l/libjemalloc.so.2\n", false, false },
        { "7f00-7f01 r-xp 00001000 fe:00 99999999999999999999 /l/libjemalloc.so.2\n", false, false },
        { "7f00-7f01 r-xp\n", false, false },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        MappedLibrary m = { .inode = 1234 };
        int r = maps_find_allocator(table[i].line, "libjemalloc.so.2", NULL, &m);

        if (r != (table[i].mapping ? 0 : -ENODATA))
            fail_msg("%s: %d", table[i].line, r);
        if (r < 0) { /* nothing is written then */
            assert_int_equal(m.inode, 1234);
            continue;
        }
        if ((m.path != NULL) != table[i].found)
            fail_msg("%s: %s", table[i].line, m.path ? m.path : "not found");
        mapped_library_clear(&m);
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
    assert_int_equal(maps_find_allocator(maps, preload, NULL, &m), 0);
    assert_string_equal(m.path, "/l/libjemalloc.so.2"); /* neither counts as preloaded */
    mapped_library_clear(&m);
    memcpy(preload, "libmimalloc.so.2 ", 17);
    assert_int_equal(maps_find_allocator(maps, preload, NULL, &m), 0);
    assert_string_equal(m.path, "/l/libmimalloc.so.2");
    mapped_library_clear(&m);
    free(preload);
}

static void test_families(void **state)
{
    static const struct {
        const char *path;
        Family family;
    } table[] = {
        { "/usr/lib/libjemalloc.so.2", FAMILY_JEMALLOC },
        { "libjemalloc.so", FAMILY_JEMALLOC },
        { "/opt/libmimalloc-2.0.9.so", FAMILY_MIMALLOC },
        { "/opt/libmimalloc-secure.so.2.1", FAMILY_MIMALLOC },
        { "libtcmalloc_minimal_debug.so.4", FAMILY_TCMALLOC },
        { "libtcmalloc.so.4.5.10", FAMILY_TCMALLOC },
        { "/opt/libjemalloc.so.2/heap.so", FAMILY_OTHER },
        { "libjemalloc.a", FAMILY_OTHER },
        { "mylibjemalloc.so", FAMILY_OTHER },
        { "libjemallo.so", FAMILY_OTHER },
        { "libc.so.6", FAMILY_OTHER },
        { "/usr/lib/", FAMILY_OTHER },
        { "", FAMILY_OTHER },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        assert_int_equal(family_of_library(table[i].path), table[i].family);
    for (Family f = 0; f < _FAMILY_MAX; f++)
        assert_int_equal(family_from_string(family_to_string(f)), f);
    assert_null(family_to_string(_FAMILY_INVALID));
    assert_null(family_to_string(_FAMILY_MAX));
    assert_int_equal(family_from_string("mimaloc"), _FAMILY_INVALID);
    assert_int_equal(family_from_string(NULL), _FAMILY_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_processes),  cmocka_unit_test(test_preload_entries),
        cmocka_unit_test(test_odd_lines),       cmocka_unit_test(test_deleted_only_at_the_end),
        cmocka_unit_test(test_endless_preload), cmocka_unit_test(test_families),
    };

    return cmocka_run_group_tests_name("maps", tests, NULL, NULL);
}
