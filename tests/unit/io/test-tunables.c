/* SPDX-License-Identifier: BSD-3-Clause */
/* io/tunables: the glibc of this host, which a typo and a bound are told by. */
#include "io/tunables.h"

#include "core/tunables.h"
#include "test.h"

#include <errno.h>
#include <sys/resource.h>

static void test_list(void **state)
{
    (void)state;
    static const EnvVar environment[] = {
        { "GLIBC_TUNABLES",
          "glibc.malloc.mmap_threshold=131072:glibc.malloc.mmap_treshold=1:glibc.malloc.arena_max=-1" },
    };
    _cleanup_(freep) char *list = NULL;
    _cleanup_(strv_freep) char **warnings = NULL;

    assert_int_equal(tunables_list(&list), 0);
    assert_non_null(list);
    warnings = tunables_judge(&(TunablesAsk){
        .environment = environment, .n = 1, .family = FAMILY_GLIBC, .version = "", .glibc_list = list });
    assert_int_equal(strv_length(warnings), 2);
    assert_string_equal(warnings[0],
                        "GLIBC_TUNABLES: glibc has no tunable \"glibc.malloc.mmap_treshold\" (did you "
                        "mean \"glibc.malloc.mmap_threshold\"?)");
    assert_string_equal(warnings[1], "GLIBC_TUNABLES: glibc.malloc.arena_max=-1 is out of range (1 or more)");
}

/* That we have no descriptors left says nothing of the glibc. */
static void test_trouble_passes(void **state)
{
    struct rlimit before, none;
    char *list = NULL;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int r = tunables_list(&list);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(r, -EMFILE);
    assert_null(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_trouble_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
