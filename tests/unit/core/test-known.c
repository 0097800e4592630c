/* SPDX-License-Identifier: BSD-3-Clause */
/* core/known: what is told of which version. */
#include "core/known.h"
#include "test.h"

static void check(Family family, const char *version, const char *warning, const char *remark)
{
    _cleanup_(freep) char *warned = known_warning(family, version), *remarked = known_remark(family, version);

    if (!warned != !warning || (warning && !strstr(warned, warning)))
        fail_msg("%s: %s", version, warned ? warned : "nothing");
    if (!remarked != !remark || (remark && !strstr(remarked, remark)))
        fail_msg("%s: %s", version, remarked ? remarked : "nothing");
}

static void test_versions(void **state)
{
    (void)state;
    check(FAMILY_MIMALLOC, "3.0.1", "mimalloc 3.0.1 grows without bound under tor", NULL);
    check(FAMILY_MIMALLOC, "3.0.0", "mimalloc 3.0.0 grows without bound", NULL);
    check(FAMILY_MIMALLOC, "3.0", "mimalloc 3.0 grows without bound", NULL); /* by a file's name */
    check(FAMILY_MIMALLOC, "3", "mimalloc 3 grows without bound", NULL);
    check(FAMILY_MIMALLOC, "3.0.3", "mimalloc 3.0.3 has not been measured under tor for days", NULL);
    check(FAMILY_MIMALLOC, "3.0.10", "has not been measured", NULL);
    check(FAMILY_MIMALLOC, "3.2.8", "mimalloc 3.2.8 has not been measured", NULL);
    check(FAMILY_MIMALLOC, "3.6.0", "mimalloc 3.6.0 has not been measured", NULL);
    check(FAMILY_MIMALLOC, "2.1.2", NULL, "two weeks");
    check(FAMILY_MIMALLOC, "2.0.9", NULL,
          "in a test network for at most 140 minutes: 23 to 68 % of glibc's memory, no growth");
    check(FAMILY_MIMALLOC, "2.3.0", NULL, NULL);
    check(FAMILY_MIMALLOC, "4.0.0", NULL, NULL);
    check(FAMILY_MIMALLOC, "", NULL, NULL);
    check(FAMILY_JEMALLOC, "5.3.0", NULL, "jemalloc 5.3.0 was measured");
    check(FAMILY_JEMALLOC, "3.0.1", NULL, NULL);
    check(FAMILY_TCMALLOC, "2.16", NULL, NULL);
    check(FAMILY_GLIBC, "2.36", NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
    };

    return cmocka_run_group_tests_name("known", tests, NULL, NULL);
}
