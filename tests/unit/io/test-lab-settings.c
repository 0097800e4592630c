/* SPDX-License-Identifier: BSD-3-Clause */
/* The settings that the lab tries: each is understood by the version of the library that it is for, by what
 * core/tunables knows of that and, where it is installed here, by the library itself. One that is ignored
 * would be measured as if it did nothing. */
#include "core/tunables.h"
#include "io/config-file.h"
#include "io/library.h"
#include "io/probe.h"
#include "io/tunables.h"
#include "test.h"

#define PROBE BUILD_DIR "/relayalloc-probe"
#define FROM_ELSEWHERE "/usr/local/lib/relayalloc-lab/"

/* Of what Debian 13 and the releases beside it have; Debian 12 has an older tcmalloc. */
static const struct {
    const char *library, *version;
} versions[] = {
    { "libmimalloc.so.3", "3.0.1" },
    { FROM_ELSEWHERE "sid-libmimalloc3/libmimalloc.so.3", "3.6.0" },
    { FROM_ELSEWHERE "bookworm-libmimalloc2.0/libmimalloc.so.2", "2.0.9" },
    { "libtcmalloc.so.4", "2.10" },
    { "libtcmalloc.so.4", "2.16" },
};

static char *glibc_list;

static void judge(const Allocator *a, Family family, const char *version)
{
    _cleanup_(strv_freep) char **warnings = tunables_judge(&(TunablesAsk){ .environment = a->environment,
                                                                           .n = a->n_environment,
                                                                           .family = family,
                                                                           .version = version,
                                                                           .glibc_list = glibc_list });

    if (strv_length(warnings) > 0)
        fail_msg("%s (%s): %s", a->name, version, warnings[0]);
}

/* What the library says of them, and whether it works with them: of one from elsewhere the one that is
 * installed here. Is there any? */
static bool try_out(const Allocator *a)
{
    _cleanup_(library_clear) Library library = { 0 };
    _cleanup_(probe_result_clear) ProbeResult result = { 0 };
    _cleanup_(freep) char *why = NULL;
    const char *slash = a->library ? strrchr(a->library, '/') : NULL;

    if (a->library && library_resolve(slash ? slash + 1 : a->library, PROBE, &library, &why) < 0)
        return false;
    if (probe_run(PROBE, library.path, a->environment, a->n_environment, &result, &why) < 0)
        fail_msg("%s: %s", a->name, why);
    if (!isempty(result.warnings))
        fail_msg("%s: %s", a->name, result.warnings);
    return true;
}

static void check(const Allocator *a)
{
    const Family family = a->library ? family_of_library(a->library) : FAMILY_GLIBC;
    size_t judged = 0;

    assert_int_not_equal(family, FAMILY_OTHER);
    for (size_t i = 0; i < ELEMENTSOF(versions); i++)
        if (streq_null(a->library, versions[i].library)) {
            judge(a, family, versions[i].version);
            judged++;
        }
    if (judged == 0) /* jemalloc says by itself what it does not understand, and glibc has its list */
        judge(a, family, "");
    if (!try_out(a) && family == FAMILY_JEMALLOC)
        skip_because("libjemalloc.so.2 is not installed (apt install libjemalloc2)");
    if (judged == 0)
        assert_true(family == FAMILY_JEMALLOC || family == FAMILY_GLIBC);
}

static void check_file(const char *path, size_t at_least)
{
    _cleanup_(config_freep) Config *config = NULL;
    _cleanup_(problems_clear) Problems problems = { 0 };
    size_t checked = 0;

    if (config_file_load(path, &problems, &config) < 0)
        fail_msg("%s:%u: %s", path, problems.items[0].line, problems.items[0].message);
    for (size_t i = 0; i < config->n_allocators; i++)
        if (!config->allocators[i].builtin) {
            check(&config->allocators[i]);
            checked++;
        }
    assert_true(checked >= at_least);
}

static void test_screen(void **state)
{
    (void)state;
    check_file(SOURCE_DIR "/tests/lab/screen.conf", 49);
}

static void test_twins(void **state)
{
    (void)state;
    check_file(SOURCE_DIR "/tests/lab/twins.conf", 10);
}

static int setup(void **state)
{
    (void)state;
    return tunables_list(&glibc_list) < 0 || !glibc_list ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    free(glibc_list);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_screen),
        cmocka_unit_test(test_twins),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
