/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/tunables: what an allocator would take for something else, or not at all, and nothing
 * besides. */
#include "core/tunables.h"
#include "test.h"

/* From "ld.so --list-tunables" of glibc 2.36. */
static const char list[] = "glibc.rtld.nns: 0x4 (min: 0x1, max: 0x10)\n"
                           "glibc.malloc.perturb: 0 (min: 0, max: 255)\n"
                           "glibc.malloc.check: 0 (min: 0, max: 3)\n"
                           "glibc.pthread.rseq: 1 (min: 0, max: 1)\n"
                           "glibc.cpu.x86_shstk:\n"
                           "glibc.mem.tagging: 0 (min: -5, max: 255)\n"
                           "glibc.malloc.arena_max: 0x0 (min: 0x1, max: 0xffffffffffffffff)\n"
                           "glibc.malloc.arena_test: 0x0 (min: 0x1, max: 0xffffffffffffffff)\n"
                           "glibc.malloc.mmap_threshold: 0x0 (min: 0x0, max: 0xffffffffffffffff)\n"
                           "glibc.malloc.trim_threshold: 0x0 (min: 0x0, max: 0xffffffffffffffff)\n"
                           "glibc.malloc.mmap_max: 0 (min: 0, max: 2147483647)\n";

typedef struct Case {
    Family family;
    const char *version;
    EnvVar environment[3];
    const char *warnings; /* one a line */
} Case;

static char *judge(const Case *c, const char *glibc)
{
    size_t n = 0;
    char *text = xstrdup("");

    while (n < ELEMENTSOF(c->environment) && c->environment[n].name)
        n++;
    _cleanup_(strv_freep) char **warnings = tunables_judge(&(TunablesAsk){ .environment = c->environment,
                                                                           .n = n,
                                                                           .family = c->family,
                                                                           .version = c->version,
                                                                           .glibc_list = glibc });
    STRV_FOREACH (w, warnings) {
        _cleanup_(freep) char *before = text;
        text = xasprintf("%s%s%s", before, *before ? "\n" : "", *w);
    }
    return text;
}

static void check(const Case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_(freep) char *text = judge(&cases[i], list);
        if (!streq(text, cases[i].warnings))
            fail_msg("%s=%s: %s", cases[i].environment[0].name, cases[i].environment[0].value, text);
    }
}

#define GLIBC FAMILY_GLIBC, "2.36"
#define TUNABLES(value)                                                                                      \
    {                                                                                                        \
        {                                                                                                    \
            "GLIBC_TUNABLES", value                                                                          \
        }                                                                                                    \
    }

static void test_glibc(void **state)
{
    (void)state;
    static const Case cases[] = {
        { GLIBC, TUNABLES("glibc.malloc.mmap_threshold=131072"), "" },
        { GLIBC, TUNABLES("glibc.malloc.mmap_threshold=131072:glibc.malloc.arena_max=0x1"), "" },
        { GLIBC, TUNABLES("glibc.malloc.arena_max=010"), "" },
        { GLIBC, TUNABLES("glibc.cpu.x86_shstk=on"), "" }, /* a string */
        { GLIBC, TUNABLES("glibc.mem.tagging=-5"), "" },
        { GLIBC, TUNABLES(""), "" },
        { GLIBC, TUNABLES("glibc.malloc.mmap_treshold=131072"),
          "GLIBC_TUNABLES: glibc 2.36 has no tunable \"glibc.malloc.mmap_treshold\" (did you mean "
          "\"glibc.malloc.mmap_threshold\"?)" },
        { GLIBC, TUNABLES("nonsense=1:glibc.malloc.arena_max=1"),
          "GLIBC_TUNABLES: glibc 2.36 has no tunable \"nonsense\"" },
        { GLIBC, TUNABLES("glibc.malloc.arena_max=-1"),
          "GLIBC_TUNABLES: glibc.malloc.arena_max=-1 is out of range (1 or more)" },
        { GLIBC, TUNABLES("glibc.malloc.arena_max=0"),
          "GLIBC_TUNABLES: glibc.malloc.arena_max=0 is out of range (1 or more)" },
        { GLIBC, TUNABLES("glibc.malloc.perturb=256"),
          "GLIBC_TUNABLES: glibc.malloc.perturb=256 is out of range (0 to 255)" },
        { GLIBC, TUNABLES("glibc.mem.tagging=-6"),
          "GLIBC_TUNABLES: glibc.mem.tagging=-6 is out of range (-5 to 255)" },
        { GLIBC, TUNABLES("glibc.malloc.arena_max=99999999999999999999999"),
          "GLIBC_TUNABLES: glibc.malloc.arena_max=99999999999999999999999 is out of range (1 or more)" },
        { GLIBC, TUNABLES("glibc.malloc.arena_max=two"),
          "GLIBC_TUNABLES: glibc.malloc.arena_max=two is not a number" },
        { GLIBC, TUNABLES("glibc.malloc.mmap_threshold=128K"),
          "GLIBC_TUNABLES: glibc.malloc.mmap_threshold=128K is not a number" },
        { GLIBC, TUNABLES("glibc.malloc.arena_max="), "GLIBC_TUNABLES: glibc.malloc.arena_max has no value" },
        { GLIBC, TUNABLES("glibc.malloc.arena_max"), "GLIBC_TUNABLES: glibc.malloc.arena_max has no value" },
        { GLIBC, TUNABLES("glibc.malloc.arena_max=1, glibc.malloc.perturb=2"),
          "GLIBC_TUNABLES: glibc.malloc.arena_max=1, glibc.malloc.perturb=2 is not a number" },
        /* glibc is there beside another allocator, its malloc is not */
        { FAMILY_JEMALLOC, "5.3.0", TUNABLES("glibc.pthread.rseq=0"), "" },
        { FAMILY_JEMALLOC, "5.3.0", TUNABLES("glibc.pthread.rsek=0"),
          "GLIBC_TUNABLES: glibc has no tunable \"glibc.pthread.rsek\" (did you mean "
          "\"glibc.pthread.rseq\"?)" },
        { FAMILY_JEMALLOC, "5.3.0", TUNABLES("glibc.malloc.arena_max=1"),
          "GLIBC_TUNABLES: glibc.malloc.arena_max has no effect: jemalloc serves malloc" },
        { FAMILY_OTHER, "", TUNABLES("glibc.malloc.arena_max=1"), "" },
        /* the older names of some */
        { GLIBC, { { "MALLOC_ARENA_MAX", "2" }, { "MALLOC_TRIM_THRESHOLD_", "131072" } }, "" },
        { GLIBC, { { "MALLOC_ARENA_MAX", "two" } }, "MALLOC_ARENA_MAX=two is not a number" },
        { GLIBC, { { "MALLOC_CHECK_", "4" } }, "MALLOC_CHECK_=4 is out of range (0 to 3)" },
        { GLIBC,
          { { "MALLOC_ARENAS_MAX", "2" } },
          "MALLOC_ARENAS_MAX: glibc 2.36 has no such setting (did you mean MALLOC_ARENA_MAX?)" },
        { GLIBC,
          { { "MALLOC_CONF", "narenas:2" } },
          "MALLOC_CONF has no effect: it is a setting of jemalloc, and glibc serves malloc" },
        { GLIBC, { { "TORSOCKS", "x" } }, "" },
    };

    check(cases, ELEMENTSOF(cases));
    /* Without the list nothing is known of names and bounds. */
    _cleanup_(freep) char *unknown = judge(&cases[6], NULL);
    assert_string_equal(unknown, "");
}

#define MIMALLOC(v) FAMILY_MIMALLOC, v

static void test_mimalloc(void **state)
{
    (void)state;
    static const Case cases[] = {
        { MIMALLOC("2.0.9"), { { "MIMALLOC_DECOMMIT_DELAY", "0" } }, "" },
        { MIMALLOC("2.0.9"), { { "mimalloc_decommit_delay", "25" } }, "" },
        { MIMALLOC("2.1.2"), { { "MIMALLOC_PURGE_DELAY", "0" } }, "" },
        { MIMALLOC("3.0.1"), { { "MIMALLOC_PURGE_DELAY", "-1" } }, "" },
        { MIMALLOC("3.6.0"), { { "MIMALLOC_PURGE_DELAY", "0" } }, "" },
        { MIMALLOC(""), { { "MIMALLOC_PURGE_DELAY", "0" }, { "MIMALLOC_DECOMMIT_DELAY", "0" } }, "" },
        /* what was renamed, set for both */
        { MIMALLOC("2.0.9"), { { "MIMALLOC_PURGE_DELAY", "0" }, { "MIMALLOC_DECOMMIT_DELAY", "0" } }, "" },
        { MIMALLOC("2.1.2"), { { "MIMALLOC_PURGE_DELAY", "0" }, { "MIMALLOC_DECOMMIT_DELAY", "0" } }, "" },
        { MIMALLOC("2.0.9"),
          { { "MIMALLOC_PURGE_DELAY", "0" } },
          "MIMALLOC_PURGE_DELAY: mimalloc 2.0.9 has no such option; there it is MIMALLOC_DECOMMIT_DELAY" },
        { MIMALLOC("3.0.1"),
          { { "MIMALLOC_DECOMMIT_DELAY", "0" } },
          "MIMALLOC_DECOMMIT_DELAY: mimalloc 3.0.1 has no such option; there it is MIMALLOC_PURGE_DELAY" },
        { MIMALLOC("3.0.1"), { { "MIMALLOC_RESET_DELAY", "0" } }, "" }, /* taken under its first name, too */
        { MIMALLOC("2.0.9"),
          { { "MIMALLOC_PURGE_DELY", "0" } },
          "MIMALLOC_PURGE_DELY: mimalloc 2.0.9 has no such option (did you mean MIMALLOC_DECOMMIT_DELAY?)" },
        { MIMALLOC("3.0.1"),
          { { "MIMALLOC_PURGE_DELY", "0" } },
          "MIMALLOC_PURGE_DELY: mimalloc 3.0.1 has no such option (did you mean MIMALLOC_PURGE_DELAY?)" },
        { MIMALLOC("2.0.9"),
          { { "MIMALLOC_QWERTY", "0" } },
          "MIMALLOC_QWERTY: mimalloc 2.0.9 has no such option" },
        { MIMALLOC("2.0.9"), { { "MIMALLOC_", "0" } }, "MIMALLOC_: mimalloc 2.0.9 has no such option" },
        { MIMALLOC("2.0.9"),
          { { "MIMALLOC_ARENA_RESERVE", "1" } },
          "MIMALLOC_ARENA_RESERVE: mimalloc 2.0.9 has no such option" },
        /* values */
        { MIMALLOC("2.1.2"), { { "MIMALLOC_PURGE_DELAY", "off" } }, "" },
        { MIMALLOC("2.1.2"), { { "MIMALLOC_SHOW_STATS", "Yes" }, { "MIMALLOC_VERBOSE", "" } }, "" },
        { MIMALLOC("2.1.2"),
          { { "MIMALLOC_RESERVE_OS_MEMORY", "2GiB" }, { "MIMALLOC_ARENA_RESERVE", "512m" } },
          "" },
        { MIMALLOC("2.1.2"),
          { { "MIMALLOC_PURGE_DELAY", "0ms" } },
          "MIMALLOC_PURGE_DELAY=0ms is ignored: mimalloc takes a whole number, or on or off" },
        { MIMALLOC("2.1.2"),
          { { "MIMALLOC_PURGE_DELAY", "1K" } },
          "MIMALLOC_PURGE_DELAY=1K is ignored: mimalloc takes a whole number, or on or off" },
        { MIMALLOC("2.1.2"),
          { { "MIMALLOC_ARENA_RESERVE", "1 GiB" } },
          "MIMALLOC_ARENA_RESERVE=1 GiB is ignored: mimalloc takes a size such as 512MiB" },
        /* of others */
        { GLIBC,
          { { "MIMALLOC_PURGE_DELAY", "0" } },
          "MIMALLOC_PURGE_DELAY has no effect: it is a setting of mimalloc, and glibc serves malloc" },
        { MIMALLOC("2.0.9"),
          { { "MALLOC_ARENA_MAX", "1" } },
          "MALLOC_ARENA_MAX has no effect: it is a setting of glibc, and mimalloc serves malloc" },
        { FAMILY_OTHER, "", { { "MIMALLOC_PURGE_DELY", "0" } }, "" },
    };

    check(cases, ELEMENTSOF(cases));
}

static void test_tcmalloc(void **state)
{
    (void)state;
    static const Case cases[] = {
        { FAMILY_TCMALLOC, "2.10", { { "TCMALLOC_AGGRESSIVE_DECOMMIT", "1" } }, "" },
        { FAMILY_TCMALLOC,
          "2.10",
          { { "TCMALLOC_AGGRESSIVE_DECOMMIT", "true" }, { "TCMALLOC_SKIP_SBRK", "no" } },
          "" },
        { FAMILY_TCMALLOC,
          "2.10",
          { { "TCMALLOC_RELEASE_RATE", "0.5" }, { "TCMALLOC_HEAP_LIMIT_MB", "4096" } },
          "" },
        { FAMILY_TCMALLOC,
          "2.10",
          { { "TCMALLOC_MEMFS_MALLOC_PATH", "/mnt/huge" }, { "HEAPPROFILE", "/x" } },
          "" },
        { FAMILY_TCMALLOC,
          "2.10",
          { { "TCMALLOC_AGRESSIVE_DECOMMIT", "1" } },
          "TCMALLOC_AGRESSIVE_DECOMMIT: tcmalloc 2.10 has no such setting (did you mean "
          "TCMALLOC_AGGRESSIVE_DECOMMIT?)" },
        { FAMILY_TCMALLOC, "2.10", { { "TCMALLOC_DEVMEM_START", "1" } }, "" },
        { FAMILY_TCMALLOC,
          "2.16",
          { { "TCMALLOC_DEVMEM_START", "1" } },
          "TCMALLOC_DEVMEM_START: tcmalloc 2.16 has no such setting" },
        { FAMILY_TCMALLOC,
          "2.10",
          { { "TCMALLOC_AGGRESSIVE_DECOMMIT", "on" } },
          "TCMALLOC_AGGRESSIVE_DECOMMIT=on is read as no: write 1 or 0" },
        { FAMILY_TCMALLOC, "2.10", { { "TCMALLOC_AGGRESSIVE_DECOMMIT", "off" } }, "" },
        { FAMILY_TCMALLOC,
          "2.10",
          { { "TCMALLOC_HEAP_LIMIT_MB", "4G" } },
          "TCMALLOC_HEAP_LIMIT_MB=4G is read as 4: write a whole number" },
        { FAMILY_TCMALLOC,
          "2.10",
          { { "TCMALLOC_RELEASE_RATE", "fast" } },
          "TCMALLOC_RELEASE_RATE=fast is read as 0: write a number" },
        { FAMILY_JEMALLOC,
          "5.3.0",
          { { "TCMALLOC_RELEASE_RATE", "1" } },
          "TCMALLOC_RELEASE_RATE has no effect: it is a setting of tcmalloc, and jemalloc serves malloc" },
        { FAMILY_JEMALLOC, "5.3.0", { { "MALLOC_CONF", "background_thread:true" } }, "" },
    };

    check(cases, ELEMENTSOF(cases));
}

/* Whoever asks for the list runs a program for it. */
static void test_need(void **state)
{
    (void)state;
    static const struct {
        EnvVar variable;
        bool needed;
    } cases[] = {
        { { "GLIBC_TUNABLES", "x" }, true },
        { { "MALLOC_ARENA_MAX", "1" }, true },
        { { "MALLOC_CONF", "x" }, false },
        { { "MIMALLOC_PURGE_DELAY", "0" }, false },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const Allocator a = { .environment = (EnvVar *)&cases[i].variable, .n_environment = 1 };
        assert_int_equal(tunables_need_glibc_list(&a), cases[i].needed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_glibc),
        cmocka_unit_test(test_mimalloc),
        cmocka_unit_test(test_tcmalloc),
        cmocka_unit_test(test_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
