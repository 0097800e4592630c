/* SPDX-License-Identifier: BSD-3-Clause */
/* core/release: the packages of each release, and what is proposed where there is none. */
#include "core/release.h"
#include "core/util.h"
#include "test.h"

#define DEBIAN(version)                                                                                      \
    "PRETTY_NAME=\"Debian GNU/Linux\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"" version "\"\nID=debian\n"
#define TESTING "NAME=\"Debian GNU/Linux\"\nVERSION_CODENAME=forky\nID=debian\n"
#define UBUNTU(version) "NAME=\"Ubuntu\"\nVERSION_ID=\"" version "\"\nID=ubuntu\nID_LIKE=debian\n"
#define FEDORA "NAME=\"Fedora Linux\"\nVERSION_ID=41\nID=fedora\n"

static void test_packages_and_advice(void **state)
{
    (void)state;
    static const struct {
        const char *os_release, *library, *package, *advice;
    } rows[] = {
        { DEBIAN("12"), "libjemalloc.so.2", "libjemalloc2", " (apt install libjemalloc2)" },
        { DEBIAN("13"), "libjemalloc.so.2", "libjemalloc2", " (apt install libjemalloc2)" },
        { DEBIAN("12"), "libmimalloc.so.2", "libmimalloc2.0", " (apt install libmimalloc2.0)" },
        { DEBIAN("13"), "libmimalloc.so.2", NULL,
          " (Debian 13 has no package of it; allocator \"jemalloc\" works there: apt install libjemalloc2)" },
        { DEBIAN("12"), "libmimalloc.so.3", NULL,
          " (Debian 12 has no package of it; allocator \"jemalloc\" works there: apt install libjemalloc2)" },
        { DEBIAN("13"), "libmimalloc.so.3", "libmimalloc3", " (apt install libmimalloc3)" },
        { DEBIAN("12"), "libtcmalloc.so.4", "libgoogle-perftools4", " (apt install libgoogle-perftools4)" },
        { DEBIAN("13"), "libtcmalloc.so.4", "libgoogle-perftools4t64",
          " (apt install libgoogle-perftools4t64)" },
        { TESTING, "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4t64",
          " (apt install libtcmalloc-minimal4t64)" },
        { TESTING, "libmimalloc.so.2", NULL,
          " (Debian has no package of it; allocator \"jemalloc\" works there: apt install libjemalloc2)" },
        { UBUNTU("24.04"), "libmimalloc.so.2", "libmimalloc2.0", " (apt install libmimalloc2.0)" },
        { UBUNTU("24.04"), "libtcmalloc.so.4", "libgoogle-perftools4t64",
          " (apt install libgoogle-perftools4t64)" },
        { UBUNTU("25.04"), "libmimalloc.so.2", NULL,
          " (Ubuntu 25.04 has no package of it that is known here; allocator \"jemalloc\" works there: apt "
          "install "
          "libjemalloc2)" },
        { FEDORA, "libjemalloc.so.2", NULL,
          " (install it from a package of Fedora Linux 41, if there is one)" },
        { NULL, "libjemalloc.so.2", NULL, " (install it from a package of this system, if there is one)" },
        { DEBIAN("12"), "libown.so", NULL, "" },
        { DEBIAN("12"), "libjemalloc.so.20", NULL, "" },
        { DEBIAN("12"), "", NULL, "" },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(freep) char *advice = release_advice(rows[i].os_release, rows[i].library);

        assert_string_equal(advice, rows[i].advice);
        if (!streq_null(release_package(rows[i].os_release, rows[i].library), rows[i].package))
            fail_msg("row %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packages_and_advice),
    };

    return cmocka_run_group_tests_name("release", tests, NULL, NULL);
}
