/* SPDX-License-Identifier: BSD-3-Clause */
/* The files in /proc/PID/maps, and what their names tell. Maps of real processes are test-lookup.c's. */
#include "test.h"

#include "core/maps.h"

#include <errno.h>

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
        { "7f00-7f01 r-xp 00000000 00:01 9 /memfd:libjemalloc.so.2 (deleted)\n", true, true },
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
        { "7f00-7f01 r-xp 00001000 fe 5 /l/libjemalloc.so.2\n", false, false },
        { "7f00-7f01 r-xp 00001000 fe:00:1 5 /l/libjemalloc.so.2\n", false, false },
        { "7f00-7f01 r-xp 00001000 fx:00 5 /l/libjemalloc.so.2\n", false, false },
        { "7f00-7f01 r-xp 00001000 1234567890:00 5 /l/libjemalloc.so.2\n", false, false },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        MappedObjects objects = { .capacity = 1234 };
        int r = maps_objects(table[i].line, &objects);

        if (r != (table[i].mapping ? 0 : -ENODATA))
            fail_msg("%s: %d", table[i].line, r);
        if (r < 0) { /* nothing is written then */
            assert_int_equal(objects.capacity, 1234);
            continue;
        }
        if (objects.n != table[i].found)
            fail_msg("%s: %zu", table[i].line, objects.n);
        mapped_objects_clear(&objects);
    }
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

/* One file is one object, however often it is mapped, and however it is called elsewhere. */
static void test_objects(void **state)
{
    static const char text[] = "00400000-00452000 r-xp 00000000 fe:0a 11 /usr/bin/tor\n"
                               "00452000-00453000 rw-p 00052000 fe:0a 11 /usr/bin/tor\n"
                               "7f45b8c15000-7f45b8c3b000 r--p 00000000 103:02 12 /l/libc.so.6\n"
                               "7f45b8c3b000-7f45b8c3c000 r-xp 00026000 103:02 12 /l/libc.so.6\n"
                               "7f45b8c3d000-7f45b8c3e000 r-xp 00026000 103:02 12 /l/libc.so.6\n"
                               "7f45b8c40000-7f45b8c41000 r-xp 00026000 103:03 12 /l/libc.so.6\n"
                               "7f45b8c42000-7f45b8c43000 r-xp 00026000 103:02 12 /m/libc.so.6\n"
                               "7f45b8c44000-7f45b8c45000 r-xp 00026000 103:02 12 /l/libc.so.6 (deleted)\n"
                               "00000000-00001000 r-xp 00026000 00:00 13 /l/new\\012line\n"
                               "7ffd0-7ffd1 r-xp 00000000 00:00 0 [vdso]\n";
    static const MappedObject expected[] = {
        { (char *)"/usr/bin/tor", (char *)"400000-452000", 0xfe, 0xa, 11, false },
        { (char *)"/l/libc.so.6", (char *)"7f45b8c3b000-7f45b8c3c000", 0x103, 2, 12, false },
        { (char *)"/l/libc.so.6", (char *)"7f45b8c40000-7f45b8c41000", 0x103, 3, 12, false },
        { (char *)"/m/libc.so.6", (char *)"7f45b8c42000-7f45b8c43000", 0x103, 2, 12, false },
        { (char *)"/l/libc.so.6", (char *)"7f45b8c44000-7f45b8c45000", 0x103, 2, 12, true },
        { (char *)"/l/new\nline", (char *)"0-1000", 0, 0, 13, false },
    };
    _cleanup_(mapped_objects_clear) MappedObjects objects = { 0 };

    (void)state;
    assert_int_equal(maps_objects(text, &objects), 0);
    assert_true(objects.complete);
    assert_int_equal(objects.n, ELEMENTSOF(expected));
    for (size_t i = 0; i < objects.n; i++) {
        const MappedObject *o = &objects.items[i], *e = &expected[i];
        assert_string_equal(o->path, e->path);
        assert_string_equal(o->range, e->range);
        assert_true(o->major == e->major && o->minor == e->minor && o->inode == e->inode);
        assert_int_equal(o->deleted, e->deleted);
    }
}

/* A relay can map as many files as it likes; what is left out is told. */
static void test_very_many(void **state)
{
    _cleanup_(mapped_objects_clear) MappedObjects objects = { 0 }, few = { 0 };
    _cleanup_(freep) char *text = NULL;
    size_t n = 0;

    (void)state;
    FILE *f = open_memstream(&text, &n);
    assert_non_null(f);
    for (unsigned i = 0; i < 20000; i++)
        fprintf(f, "%x-%x r-xp 00000000 fe:00 %u /l/%u\n", i, i + 1, i % 10000, i % 10000);
    fclose(f);
    assert_int_equal(maps_objects(text, &objects), 0);
    assert_int_equal(objects.n, MAPPED_OBJECTS_MAX);
    assert_false(objects.complete);
    assert_string_equal(objects.items[MAPPED_OBJECTS_MAX - 1].path, "/l/255");
    char *end = text;
    for (size_t i = 0; i < MAPPED_OBJECTS_MAX; i++)
        end = strchr(end, '\n') + 1;
    *end = '\0';
    assert_int_equal(maps_objects(text, &few), 0);
    assert_true(few.complete && few.n == MAPPED_OBJECTS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_odd_lines),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_very_many),
        cmocka_unit_test(test_families),
    };

    return cmocka_run_group_tests_name("maps", tests, NULL, NULL);
}
