/* SPDX-License-Identifier: BSD-3-Clause */
/* One relay as found: by which name what it runs goes, and what else is told of its process. */
#include "test.h"

#include "core/facts.h"

/* What runs, without a configuration that knows it. */
static char *name_of(MappedLibrary running)
{
    static Allocator mine = { .name = (char *)"mine", .library = (char *)"libmine.so" };
    static AllocatorFacts found = { .realpath = (char *)"/opt/libmine.so", .version = (char *)"1" };
    static const Config config = { .allocators = &mine, .n_allocators = 1 };
    const HostFacts host = { .config = &config, .allocators = &found };
    RelayFacts r = relay_facts_new("r", "tor@r.service");
    ProcessFacts process = { .pid = 1, .readable = true, .running = running };

    process.running.path = xstrdup(running.path);
    facts_take_process(&host, &r, &process);
    char *name = xstrdup(r.running);
    relay_facts_clear(&r);
    return name;
}

static void test_names(void **state)
{
    static const struct {
        MappedLibrary running;
        const char *name;
    } table[] = {
        { { .family = FAMILY_GLIBC }, "glibc" },
        { { .path = (char *)"/opt/heap.so", .family = FAMILY_JEMALLOC, .origin = ORIGIN_PRELOAD },
          "jemalloc" },
        { { .path = (char *)"/opt/heap.so", .family = FAMILY_OTHER, .origin = ORIGIN_PRELOAD }, "heap.so" },
        { { .path = (char *)"/opt/a\n\033[1mb.so", .family = FAMILY_OTHER, .origin = ORIGIN_LOADED },
          "a???1mb.so" },
        { { .path = (char *)"/opt/a\tb c,d\xc3\xa4.so", .family = FAMILY_OTHER, .origin = ORIGIN_LOADED },
          "a?b?c?d??.so" },
        { { .path = (char *)"/opt/glibc", .family = FAMILY_OTHER, .origin = ORIGIN_PRELOAD }, "/opt/glibc" },
        { { .path = (char *)"/opt/mine", .family = FAMILY_OTHER, .origin = ORIGIN_PRELOAD }, "/opt/mine" },
        { { .path = (char *)"/opt/-", .family = FAMILY_OTHER, .origin = ORIGIN_PRELOAD }, "/opt/-" },
        { { .path = (char *)"/usr/bin/tor", .family = FAMILY_OTHER, .origin = ORIGIN_PROGRAM }, "built-in" },
        { { .path = (char *)"/usr/bin/tor", .family = FAMILY_MIMALLOC, .origin = ORIGIN_PROGRAM },
          "mimalloc" },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(freep) char *name = name_of(table[i].running);
        assert_string_equal(name, table[i].name);
    }
}

static void test_notes(void **state)
{
    static char gone[] = "libgone.so", odd[] = "/l/\033odd.so";
    char *not_loaded[] = { gone, odd, NULL };
    RelayFacts r = { .process = { .readable = true } };

    (void)state;
    assert_null(facts_notes(&r));
    assert_string_equal(facts_proof(&r), "proved");
    r.process.not_loaded = not_loaded;
    r.process.running.unread = (char *)"/usr/bin/tor";
    _cleanup_(strv_freep) char **notes = facts_notes(&r);
    assert_string_equal(facts_proof(&r), "by its file names only");
    assert_int_equal(strv_length(notes), 3);
    assert_string_equal(notes[0], "what it runs is known by file names only: /usr/bin/tor cannot be read");
    assert_string_equal(notes[1], "its LD_PRELOAD names libgone.so, which it has not loaded");
    assert_string_equal(notes[2], "its LD_PRELOAD names /l/?odd.so, which it has not loaded");
    r.process.readable = false; /* it was so when it was last seen */
    assert_null(facts_notes(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_notes),
    };

    return cmocka_run_group_tests_name("facts", tests, NULL, NULL);
}
