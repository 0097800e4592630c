/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/mounts.h"

#include <errno.h>

/* A host as systemd of Debian 12 leaves it, with three mounts of its operator's. */
static const char host[] = "24 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"
                           "25 24 0:22 / /proc rw,nosuid shared:2 - proc proc rw\n"
                           "60 24 254:1 / /etc/systemd ro,relatime shared:30 - ext4 /dev/vdb rw\n"
                           "61 24 254:2 / /var/lib rw,relatime shared:31 master:4 - xfs /dev/vdc ro,attr2\n"
                           "62 24 0:50 / /srv/with\\040blank rw - tmpfs tmpfs rw,size=4k\n"
                           "63 62 0:51 / /srv/with\\040blank/ro ro,noatime - tmpfs tmpfs rw";

static void test_of_a_path(void **state)
{
    static const struct {
        const char *path;
        int expected;
    } cases[] = {
        { "/", 0 },
        { "/etc", 0 },
        { "/etc/systemd", 1 }, /* the mount */
        { "/etc/systemd/system", 1 },
        { "/etc/systemd-other", 0 },  /* the same beginning, and another name */
        { "/var/lib/relayalloc", 1 }, /* the file system itself */
        { "/srv/with blank", 0 },
        { "/srv/with blank/metrics", 0 },
        { "/srv/with blank/ro/metrics", 1 },
        { "/srv/with", 0 },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(mounts_read_only(host, cases[i].path), cases[i].expected);
}

/* The upper of two at one place counts, and one that is over a directory above hides what was mounted below.
 */
static void test_what_is_on_top(void **state)
{
    (void)state;
    assert_int_equal(mounts_read_only("1 0 0:1 / / ro - ext4 x ro\n2 1 0:2 / /etc ro - tmpfs x rw\n"
                                      "3 2 0:3 / /etc rw - tmpfs x rw\n",
                                      "/etc/systemd/system"),
                     0);
    assert_int_equal(mounts_read_only("1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / /etc/systemd rw - tmpfs x rw\n"
                                      "3 1 0:3 / /etc ro - tmpfs x rw\n",
                                      "/etc/systemd/system"),
                     1);
}

static void test_what_is_no_mountinfo(void **state)
{
    (void)state;
    assert_int_equal(mounts_read_only("", "/etc"), -ENOENT);
    assert_int_equal(mounts_read_only("\n\n", "/etc"), -ENOENT);
    assert_int_equal(mounts_read_only("1 2 3", "/etc"), -ENOENT);
    assert_int_equal(mounts_read_only("1 2 3 4 /srv ro - a b ro", "/etc"), -ENOENT);
    assert_int_equal(mounts_read_only("1 2 3 4 /etc", "/etc"), 0); /* cut off: nothing says that it is */
    assert_int_equal(mounts_read_only("1 2 3 4 /etc ro", "/etc"), 1);
    assert_int_equal(mounts_read_only("1 2 3 4 /etc\\04", "/etc"), -ENOENT);
}

static void test_outdated(void **state)
{
    (void)state;
    assert_true(mounts_outdated(0, 1));
    assert_false(mounts_outdated(1, 1)); /* the host's still is */
    assert_false(mounts_outdated(0, 0)); /* the file system was, and the mount not: nothing is in its way */
    assert_false(mounts_outdated(-ENOENT, 1));
    assert_false(mounts_outdated(0, -ENOENT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_a_path),
        cmocka_unit_test(test_what_is_on_top),
        cmocka_unit_test(test_what_is_no_mountinfo),
        cmocka_unit_test(test_outdated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
