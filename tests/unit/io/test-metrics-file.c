/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of io/metrics-file: whatever lies in the directory, by whoever it was put there, nothing waits, and
 * nothing is written or removed elsewhere. */
#include "io/metrics-file.h"

#include "scratch.h"

static char *folder; /* below /tmp, so that others than root could change what leads to it */

static int setup(void **state)
{
    (void)state;
    folder = scratch_new();
    alarm(20); /* open(2) of a FIFO would wait for ever */
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_free(folder);
    return 0;
}

static size_t count_files(const char *path)
{
    DIR *d = opendir(path);
    size_t n = 0;

    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        n += !streq(e->d_name, ".") && !streq(e->d_name, "..");
    closedir(d);
    return n;
}

static void expect_text(const char *path, const char *text)
{
    char found[64] = "";
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0644);
    assert_true(read(fd, found, sizeof(found) - 1) >= 0);
    assert_string_equal(found, text);
    close(fd);
}

static void test_replace_and_remove(void **state)
{
    (void)state;
    _cleanup_(freep) char *path = xasprintf("%s/a.prom", folder);
    const size_t before = scratch_count_fds();

    assert_int_equal(metrics_file_remove(path), -ENOENT);
    assert_int_equal(metrics_file_replace(path, "one\n", 4), 0);
    expect_text(path, "one\n");
    assert_int_equal(metrics_file_replace(path, "second\n", 7), 0);
    expect_text(path, "second\n");
    assert_int_equal(count_files(folder), 1);
    assert_int_equal(metrics_file_remove(path), 0);
    assert_int_equal(count_files(folder), 0);
    assert_int_equal(scratch_count_fds(), before);
}

/* A crash in the middle of a write leaves the temporary file, whose name nobody knows any more. */
static void test_what_a_crash_leaves(void **state)
{
    (void)state;
    static const char *const others[] = { ".relayalloc-00000000000000ff.new.gz", ".relayalloc-ff.new",
                                          ".relayalloc-00000000000000fg.new", "x.prom" };
    _cleanup_(freep) char *path = xasprintf("%s/a.prom", folder);
    _cleanup_(freep) char *trap = xasprintf("%s/.relayalloc-00000000000000aa.new", folder);

    for (size_t i = 0; i < ELEMENTSOF(others); i++)
        free(scratch_write(folder, others[i], "x", 1, 0600));
    assert_int_equal(mkfifo(trap, 0600), 0); /* the owner's of the directory */
    assert_int_equal(metrics_file_replace(path, "one\n", 4), 0);
    free(scratch_write(folder, ".relayalloc-00000000000000ff.new", "o", 1, 0600));
    free(scratch_write(folder, ".relayalloc-0123456789abcdef.new", "o", 1, 0600));
    assert_int_equal(count_files(folder), ELEMENTSOF(others) + 4);
    assert_int_equal(metrics_file_remove(path), 0);
    assert_int_equal(count_files(folder), ELEMENTSOF(others) + 1);
    for (size_t i = 0; i < ELEMENTSOF(others); i++) {
        _cleanup_(freep) char *other = xasprintf("%s/%s", folder, others[i]);
        assert_int_equal(unlink(other), 0);
    }
    assert_int_equal(unlink(trap), 0);
}

/* The owner of the directory puts something else in the file's place, and where a temporary file was
 * expected. */
static void test_traps(void **state)
{
    (void)state;
    _cleanup_(freep) char *path = xasprintf("%s/b.prom", folder),
                          *temporary = xasprintf("%s/b.prom.new", folder);
    _cleanup_(freep) char *victim = scratch_write(folder, "victim", "precious", 8, 0600);

    assert_int_equal(mkfifo(path, 0666) | mkfifo(temporary, 0666), 0);
    assert_int_equal(metrics_file_remove(path), -EINVAL); /* not ours */
    assert_int_equal(metrics_file_replace(path, "one\n", 4), 0);
    expect_text(path, "one\n");

    assert_int_equal(unlink(path) | symlink(victim, path), 0);
    assert_int_equal(metrics_file_remove(path), -EINVAL);
    assert_int_equal(metrics_file_replace(path, "two\n", 4), 0);
    expect_text(path, "two\n");
    struct stat st;
    assert_int_equal(stat(victim, &st), 0);
    assert_int_equal(st.st_size, 8);

    assert_int_equal(unlink(path) | mkdir(path, 0755), 0);
    assert_int_equal(metrics_file_replace(path, "three\n", 6), -EISDIR);
    assert_int_equal(metrics_file_remove(path), -EINVAL);
    assert_int_equal(count_files(folder), 3); /* and nothing of ours is left */
    assert_int_equal(rmdir(path) | unlink(temporary) | unlink(victim), 0);
}

/* On a path that others than root could change no link is followed; on one of root's own each is. */
static void test_links(void **state)
{
    (void)state;
    _cleanup_(freep) char *real = xasprintf("%s/real", folder), *link = xasprintf("%s/link", folder);
    _cleanup_(freep) char *by_link = xasprintf("%s/a.prom", link),
                          *below = xasprintf("%s/link/sub/a.prom", folder);
    _cleanup_(freep) char *sub = xasprintf("%s/sub", real), *up = xasprintf("%s/sub/../a.prom", real);
    _cleanup_(freep) char *safe = xstrdup("/run/relayalloc-test-XXXXXX");

    assert_int_equal(mkdir(real, 0755) | mkdir(sub, 0755) | symlink("real", link), 0);
    assert_int_equal(metrics_file_replace(by_link, "x", 1), -ELOOP);
    assert_int_equal(metrics_file_replace(below, "x", 1), -ELOOP);
    assert_int_equal(metrics_file_replace(up, "x", 1), -ELOOP);
    assert_int_equal(metrics_file_remove(by_link), -ELOOP);
    assert_int_equal(count_files(real), 1);
    if (geteuid() != 0)
        skip_because("only root has a directory that is root's all the way");
    assert_non_null(mkdtemp(safe));
    assert_int_equal(chmod(safe, 0755), 0);
    _cleanup_(freep) char *safe_real = xasprintf("%s/real", safe), *safe_link = xasprintf("%s/link", safe);
    _cleanup_(freep) char *safe_path = xasprintf("%s/a.prom", safe_link);
    assert_int_equal(mkdir(safe_real, 0755) | symlink("real", safe_link), 0);
    assert_int_equal(metrics_file_replace(safe_path, "x", 1), 0);
    assert_int_equal(count_files(safe_real), 1);
    /* The exporter's own directory, as Debian has it: the last one is not root's. */
    assert_int_equal(chown(safe_real, 65534, 65534), 0);
    assert_int_equal(metrics_file_replace(safe_path, "y", 1), -ELOOP);
    _cleanup_(freep) char *owned = xasprintf("%s/a.prom", safe_real);
    assert_int_equal(metrics_file_replace(owned, "y", 1), 0);
    expect_text(owned, "y");
    assert_int_equal(metrics_file_remove(owned), 0);
    assert_int_equal(unlink(safe_link) | rmdir(safe_real) | rmdir(safe), 0);
}

static void test_no_directory(void **state)
{
    (void)state;
    _cleanup_(freep) char *path = xasprintf("%s/none/a.prom", folder), *file = NULL, *below = NULL;

    assert_int_equal(metrics_file_replace(path, "x", 1), -ENOENT);
    file = scratch_write(folder, "file", "", 0, 0644);
    below = xasprintf("%s/a.prom", file);
    assert_int_equal(metrics_file_replace(below, "x", 1), -ENOTDIR);
    assert_int_equal(metrics_file_remove(below), -ENOTDIR);
}

int main(void)
{
    umask(0077); /* as under the unit; the exporter is another user */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace_and_remove),
        cmocka_unit_test(test_what_a_crash_leaves),
        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_no_directory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
