/* SPDX-License-Identifier: BSD-3-Clause */
/* core/evidence: what is said of a row, by which name, and that the table is whole. */
#include "core/dropin.h"
#include "core/evidence.h"
#include "test.h"

#include <math.h>

static const Evidence rows[] = {
    { .allocator = "jemalloc-tuned",
      .version = "5.3.0",
      .release = "Debian 13",
      .date = "2026-11-29",
      .runs = 1,
      .relays = 1,
      .memory = 0.2,
      .least = 0.2,
      .most = 0.2,
      .cpu = 0.95,
      .cpu_least = 0.95,
      .cpu_most = 0.95,
      .served = 0.98,
      .growth = NAN,
      .stock = "jemalloc",
      .stock_memory = 0.6,
      .stock_cpu = 1.02,
      .left = "in a trial without stock jemalloc it took 10 % of glibc's memory" },
    { .allocator = "jemalloc-tuned",
      .version = "5.3.1",
      .release = "Debian 13",
      .elsewhere = true,
      .date = "2026-11-30",
      .runs = 3,
      .relays = 9,
      .memory = 0.21,
      .least = 0.18,
      .most = 0.25,
      .cpu = NAN,
      .cpu_least = NAN,
      .cpu_most = NAN,
      .served = NAN,
      .growth = 350,
      .stock = "jemalloc",
      .stock_memory = NAN,
      .stock_cpu = NAN,
      .against = "still climbs by 350 MiB an hour" },
    { .allocator = "tcmalloc",
      .version = "2.16",
      .release = "Debian 13",
      .date = "2026-11-29",
      .runs = 2,
      .relays = 2,
      .memory = 1.18,
      .least = 1.1,
      .most = 1.26,
      .cpu = 1,
      .cpu_least = 0.9,
      .cpu_most = 1.12,
      .served = 1,
      .growth = -0.3,
      .stock_memory = NAN,
      .stock_cpu = NAN,
      .against = "rests on 2 relays: too few" },
    { .allocator = "glibc",
      .version = "2.41",
      .release = "Debian 13",
      .date = "2026-11-29",
      .runs = 1,
      .relays = 3,
      .memory = 1,
      .cpu = 1,
      .served = 1,
      .growth = 12,
      .stock_memory = NAN,
      .stock_cpu = NAN },
    { .allocator = "mimalloc3-purge",
      .version = "3.0.1",
      .release = "Debian 13",
      .date = "2026-11-29",
      .runs = 1,
      .relays = 1,
      .memory = 0.3,
      .least = 0.3,
      .most = 0.3,
      .cpu = 1,
      .cpu_least = 1,
      .cpu_most = 1,
      .served = NAN,
      .growth = NAN,
      .stock = "mimalloc3",
      .stock_memory = 0.4,
      .stock_cpu = NAN },
};

static Allocator named(const char *name)
{
    return (Allocator){ .name = (char *)name, .builtin = true };
}

static void check_text(const Allocator *allocator, const char *want)
{
    _cleanup_(freep) char *text = evidence_text(rows, ELEMENTSOF(rows), allocator);

    assert_string_equal(text ? text : "NULL", want);
}

static void test_sentences(void **state)
{
    (void)state;
    const Allocator tuned = named("jemalloc-tuned"), tc = named("tcmalloc"), glibc = named("glibc"),
                    none = named("jemalloc");

    check_text(
        &tuned,
        "in the lab 80 % less memory than glibc in the same trial, 95 % of its CPU time a request, 98 % of "
        "its requests answered, 60 % of the memory and 102 % of the CPU time of jemalloc as it is shipped, "
        "growth not measured (one trial, 1 relay, version 5.3.0 on Debian 13, 2026-11-29), but in "
        "a trial without stock jemalloc it took 10 % of glibc's memory; "
        "in the lab 79 % less memory than glibc (75 to 82 %) in the same trial, CPU time not compared, not "
        "compared with jemalloc as it is shipped, growth of +350 MiB an hour (3 trials, 9 relays, "
        "version 5.3.1 on Debian 13 with the library of another release, 2026-11-30), but it still "
        "climbs by 350 MiB an hour");
    check_text(&tc, "in the lab 18 % more memory than glibc (10 to 26 %) in the same trial, 100 % of its CPU "
                    "time a request (90 to 112 %), 100 % of its requests answered, growth of +0 MiB an hour "
                    "(2 trials, 2 relays, version 2.16 on Debian 13, 2026-11-29), but it rests on 2 relays: "
                    "too few");
    check_text(&glibc, "in the lab what the others are compared with, growth of +12 MiB an hour (one "
                       "trial, 3 relays, version 2.41 on Debian 13, 2026-11-29)");
    check_text(&none, "no evidence yet: the lab has no kept trial of it");
}

static void test_what_speaks_for_settings(void **state)
{
    (void)state;
    const Allocator stock = named("tcmalloc"), own = { .name = (char *)"jemalloc-tuned", .n_environment = 1 };
    Allocator tuned = named("jemalloc-tuned"), unseen = named("glibc-tuned");

    tuned.n_environment = unseen.n_environment = 1;
    assert_true(evidence_justifies(rows, ELEMENTSOF(rows), &tuned));
    assert_false(evidence_justifies(rows + 1, ELEMENTSOF(rows) - 1, &tuned)); /* that one climbs */
    assert_false(evidence_justifies(rows, ELEMENTSOF(rows), &unseen));
    assert_true(evidence_justifies(rows, ELEMENTSOF(rows), &stock)); /* which has too few relays */
    assert_true(evidence_justifies(rows, ELEMENTSOF(rows), &own));
}

/* An allocator of the file's own has none, whatever its name; one under a former name has that of the other.
 */
static void test_names(void **state)
{
    (void)state;
    const Allocator own = { .name = (char *)"jemalloc-tuned" };
    Allocator former = named("mimalloc3-tuned");

    former.renamed = "mimalloc3-purge";
    assert_null(evidence_name(&own));
    check_text(&own, "NULL");
    assert_string_equal(evidence_name(&former), "mimalloc3-purge");
    _cleanup_(freep) char *text = evidence_text(rows, ELEMENTSOF(rows), &former);
    assert_non_null(strstr(text, "in the lab 70 % less memory"));
    assert_non_null(
        strstr(text, "40 % of the memory of mimalloc3 as it is shipped (CPU time not compared), growth "));
}

/* Each row is of a built-in allocator, rests on something, and claims no more than that. */
static void test_table(void **state)
{
    (void)state;
    _cleanup_(config_freep) Config *config = config_new("f");

    for (size_t i = 0; i < evidence_n; i++) {
        const Evidence *e = &evidence_table[i];
        assert_true(config_find_allocator(config, e->allocator) >= 0);
        assert_true(e->runs > 0 && e->relays >= e->runs && e->memory > 0);
        assert_true(e->least <= e->memory && e->memory <= e->most);
        assert_true(e->against || e->relays >= 3); /* as docs/lab.md promises */
        assert_true(isnan(e->stock_memory) || (e->stock && !streq(e->stock, e->allocator)));
        assert_int_equal(strlen(e->date), 10);
        assert_true(*e->version && *e->release);
    }
    assert_null(evidence_table[evidence_n].allocator);
}

/* What a relay has that was moved under the former name is what it would get today: it is not even written.
 */
static void test_a_former_name_gives_the_same_file(void **state)
{
    (void)state;
    _cleanup_(config_freep) Config *config = config_new("f");
    const ssize_t i = config_find_allocator(config, "mimalloc3-tuned");

    assert_true(i >= 0);
    _cleanup_(freep) char *text =
        dropin_render("/etc/relayalloc.conf", "A", &config->allocators[i], "/usr/lib/libmimalloc.so.3", NULL);
    assert_string_equal(text, "# relayalloc: written from /etc/relayalloc.conf, group A, allocator "
                              "mimalloc3-tuned; changes made here are lost\n[Service]\n"
                              "Environment=\"LD_PRELOAD=/usr/lib/libmimalloc.so.3\"\n"
                              "Environment=\"MIMALLOC_PURGE_DELAY=0\"\n");
}

#define DEBIAN(version) "NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"" version "\"\nID=debian\n"

static void check_candidates(const Evidence *table, size_t n, const char *os_release, size_t max,
                             const char *want)
{
    const Evidence *found[8] = { NULL };
    const size_t k = evidence_candidates(table, n, os_release, found, max);
    char text[200] = "";

    for (size_t i = 0; i < k; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s/%s", i > 0 ? " " : "",
                 found[i]->allocator, found[i]->version);
    assert_string_equal(text, want);
}

static void test_candidates(void **state)
{
    static const Evidence table[] = {
        { .allocator = "glibc-tuned", .version = "2.36", .release = "Debian 12" },
        { .allocator = "mimalloc", .version = "2.0.9", .release = "Debian 13", .elsewhere = true },
        { .allocator = "jemalloc", .version = "5.3.1", .release = "Debian 13", .elsewhere = true },
        { .allocator = "jemalloc", .version = "5.3.0", .release = "Debian 13" },
        { .allocator = "jemalloc", .version = "5.3.0", .release = "Debian 12" },
        { .allocator = "glibc", .version = "2.41", .release = "Debian 13" },
        { .allocator = "tcmalloc", .version = "2.16", .release = "Debian 13" },
        { .allocator = "mimalloc3", .version = "3.0.1", .release = "Debian 13", .against = "grows" },
    };
    const size_t n = ELEMENTSOF(table);

    (void)state;
    /* mimalloc 2 is in no package of Debian 13; what was measured on the release itself comes first,
     * and with the version that its package has. */
    check_candidates(table, n, DEBIAN("13"), 8, "jemalloc/5.3.0 tcmalloc/2.16 glibc-tuned/2.36");
    check_candidates(table, n, DEBIAN("13"), 2, "jemalloc/5.3.0 tcmalloc/2.16");
    check_candidates(table + 2, 1, DEBIAN("13"), 8, "jemalloc/5.3.1");
    check_candidates(table, n, DEBIAN("12"), 8,
                     "glibc-tuned/2.36 jemalloc/5.3.0 mimalloc/2.0.9 tcmalloc/2.16");
    /* No packages are known: what needs no library. */
    check_candidates(table, n, "ID=fedora\n", 8, "glibc-tuned/2.36");
    check_candidates(table, n, NULL, 8, "glibc-tuned/2.36");
    check_candidates(table, 0, DEBIAN("13"), 8, "");
    check_candidates(table + 7, 1, DEBIAN("13"), 8, "");
    check_candidates(table + 5, 1, DEBIAN("13"), 8, "");
}

static void test_advice(void **state)
{
    const Evidence tuned = { .allocator = "glibc-tuned",
                             .version = "2.41",
                             .release = "Debian 13",
                             .date = "2026-11-29",
                             .runs = 1,
                             .relays = 3,
                             .memory = 0.2,
                             .cpu = NAN,
                             .served = NAN,
                             .growth = NAN };
    const Evidence jemalloc = { .allocator = "jemalloc",
                                .version = "5.3.0",
                                .release = "Debian 13",
                                .date = "2026-11-29",
                                .runs = 1,
                                .relays = 3,
                                .memory = 0.3,
                                .cpu = NAN,
                                .served = NAN,
                                .growth = NAN };
    _cleanup_(freep) char *first = evidence_advice(&tuned, DEBIAN("13")),
                          *second = evidence_advice(&jemalloc, DEBIAN("12"));

    (void)state;
    assert_string_equal(
        first,
        "On Debian 13 the lab would try \"glibc-tuned\" first: in the lab 80 % less memory than glibc in "
        "the same trial, CPU time not compared, growth not measured (one trial, 3 relays, version 2.41 on "
        "Debian 13, 2026-11-29). "
        "That was a test "
        "network under load: it is no evidence of this fleet, which \"relayallocctl experiment start "
        "--groups=A:glibc-tuned,Z:glibc\" can give.");
    assert_non_null(
        strstr(second, "On Debian 12 the lab would try \"jemalloc\" first (package libjemalloc2): "));
    assert_non_null(
        strstr(second, "That was a test network under load, and not on Debian 12: it is no evidence"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_what_speaks_for_settings),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_advice),
        cmocka_unit_test(test_a_former_name_gives_the_same_file),
    };

    return cmocka_run_group_tests_name("evidence", tests, NULL, NULL);
}
