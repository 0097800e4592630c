/* SPDX-License-Identifier: BSD-3-Clause */
/* io/instances: which names in a folder are relays. */
#include "io/instances.h"
#include "scratch.h"
#include "test.h"

static const char *trouble; /* whether a file of this folder is there cannot be found out; NULL: of none */

/* Instead of libc's: no disk fails when a test wants it. */
int faccessat(int fd, const char *path, int mode, int flags)
{
    struct stat st;

    (void)mode;
    if (trouble && strncmp(path, trouble, strlen(trouble)) == 0) {
        errno = EIO;
        return -1;
    }
    return fstatat(fd, path, &st, flags) < 0 ? -1 : 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_instance(int fd, const char *name)
{
    _cleanup_(freep) char *torrc = xasprintf("%s/torrc", name);

    assert_int_equal(mkdirat(fd, name, 0755), 0);
    int file = openat(fd, torrc, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(file >= 0);
    close(file);
}

static void test_folders_and_what_is_none(void **state)
{
    (void)state;
    static const char *const folders[] = {
        "relay1",       "1.2.3.4_9000", "a-b",     "a\\b",
        "a\\x2db",      "x@y",          ".hidden", /* what tor does not take, either */
        "with a blank", "new\nline",    "ü",
    };
    static const char *const wanted[] = {
        "tor@1.2.3.4_9000.service", "tor@a-b.service",    "tor@a\\b.service", "tor@a\\x2db.service",
        "tor@linked.service",       "tor@relay1.service", "tor@x@y.service",
    };
    _cleanup_(strv_freep) char **units = NULL;
    char *dir = scratch_new();
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    for (size_t i = 0; i < ELEMENTSOF(folders); i++)
        add_instance(fd, folders[i]);
    assert_int_equal(mkdirat(fd, "notes", 0755), 0); /* no torrc: no relay */
    assert_int_equal(symlinkat("relay1", fd, "linked"), 0);
    assert_int_equal(symlinkat("/dev/null", fd, "tofile"), 0);
    assert_int_equal(symlinkat("nowhere", fd, "dangling"), 0);
    assert_int_equal(symlinkat("loop", fd, "loop"), 0);
    free(scratch_write(dir, "file", "", 0, 0644));
    assert_int_equal(instances_list(dir, "tor@.service", &units), 0);
    assert_int_equal(strv_length(units), ELEMENTSOF(wanted));
    qsort(units, ELEMENTSOF(wanted), sizeof(*units), compare);
    for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
        assert_string_equal(units[i], wanted[i]);
    close(fd);
    scratch_free(dir);
}

static void test_no_folder(void **state)
{
    (void)state;
    _cleanup_(strv_freep) char **units = NULL;

    assert_int_equal(instances_list("/nonexistent/instances", "tor@.service", &units), 0);
    assert_null(units);
    assert_int_equal(instances_list("/dev/null", "tor@.service", &units), -ENOTDIR);
    assert_null(units);
}

/* Whether one has a torrc could not be found out: it is neither an instance nor none. The others are what
 * they are. */
static void test_trouble(void **state)
{
    (void)state;
    _cleanup_(strv_freep) char **units = NULL, **all = NULL;
    char *dir = scratch_new();
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    add_instance(fd, "a");
    add_instance(fd, "bad");
    add_instance(fd, "c");
    trouble = "bad";
    assert_int_equal(instances_list(dir, "tor@.service", &units), -EIO);
    trouble = NULL;
    assert_int_equal(strv_length(units), 2);
    assert_true(strv_contains(units, "tor@a.service") && strv_contains(units, "tor@c.service"));
    assert_int_equal(instances_list(dir, "tor@.service", &all), 0);
    assert_int_equal(strv_length(all), 3);
    close(fd);
    scratch_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders_and_what_is_none),
        cmocka_unit_test(test_no_folder),
        cmocka_unit_test(test_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
