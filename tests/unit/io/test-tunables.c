/* SPDX-License-Identifier: BSD-3-Clause */
/* io/tunables: the glibc of this host, which a typo and a bound are told by. */
#include "io/tunables.h"

#include "core/tunables.h"
#include "test.h"

static void test_list(void **state)
{
    (void)state;
    static const EnvVar environment[] = {
        { "GLIBC_TUNABLES",
          "glibc.malloc.mmap_threshold=131072:glibc.malloc.mmap_treshold=1:glibc.malloc.arena_max=-1" },
    };
    _cleanup_(freep) char *list = tunables_list();
    _cleanup_(strv_freep) char **warnings = NULL;

    assert_non_null(list);
    warnings = tunables_judge(&(TunablesAsk){
        .environment = environment, .n = 1, .family = FAMILY_GLIBC, .version = "", .glibc_list = list });
    assert_int_equal(strv_length(warnings), 2);
    assert_string_equal(warnings[0],
                        "GLIBC_TUNABLES: glibc has no tunable \"glibc.malloc.mmap_treshold\" (did you "
                        "mean \"glibc.malloc.mmap_threshold\"?)");
    assert_string_equal(warnings[1], "GLIBC_TUNABLES: glibc.malloc.arena_max=-1 is out of range (1 or more)");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_list) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
