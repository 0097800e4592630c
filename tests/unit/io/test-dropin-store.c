/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of io/dropin-store on a folder of their own. The calls that change the disk are wrapped below: each
 * in turn fails, or is where the process is killed, and what is left must be the old file or the new one. */
#include "io/dropin-store.h"

#include "core/dropin.h"
#include "core/relay.h"
#include "scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define UNIT "tor@a.service"
#define FOLDER UNIT ".d"
#define FILE_OF_OURS FOLDER "/" DROPIN_NAME
#define OLD DROPIN_MARK "/etc/relayalloc.conf, old\n[Service]\n"
#define NEW DROPIN_MARK "/etc/relayalloc.conf, the new text\n[Service]\nEnvironment=\"A=1\"\n"
#define FOREIGN "[Service]\nEnvironment=LD_PRELOAD=/x.so\n"

/* ---- the calls that change the disk ---- */

static struct {
    void (*before_rename)(void);
    int step, fail_at, fail_errno; /* the call number `fail_at` fails, or, with errno 0, kills the process */
    char trace[256];
} calls;

static bool call_fails(const char *name)
{
    strncat(calls.trace, name, sizeof(calls.trace) - strlen(calls.trace) - 1);
    strncat(calls.trace, " ", sizeof(calls.trace) - strlen(calls.trace) - 1);
    if (++calls.step != calls.fail_at)
        return false;
    if (calls.fail_errno == 0)
        _exit(42);
    errno = calls.fail_errno;
    return true;
}

int fsync(int fd)
{
    struct stat st;

    assert_int_equal(fstat(fd, &st), 0);
    return call_fails(S_ISDIR(st.st_mode) ? "fsync-folder" : "fsync") ? -1 : (int)syscall(SYS_fsync, fd);
}

int fchmod(int fd, mode_t mode)
{
    return call_fails("fchmod") ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int mkdirat(int fd, const char *path, mode_t mode)
{
    return call_fails("mkdir") ? -1 : (int)syscall(SYS_mkdirat, fd, path, mode);
}

int unlinkat(int fd, const char *path, int flags)
{
    return call_fails(flags ? "rmdir" : "unlink") ? -1 : (int)syscall(SYS_unlinkat, fd, path, flags);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    if (calls.before_rename)
        calls.before_rename();
    return call_fails("rename-new") ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    return call_fails("rename") ? -1 : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    return call_fails("link") ? -1 : (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
}

static ino_t unreadable; /* what is in the file of this number cannot be read; 0: of none */

ssize_t read(int fd, void *to, size_t size)
{
    struct stat st;

    if (unreadable != 0 && fstat(fd, &st) == 0 && st.st_ino == unreadable) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_read, fd, to, size);
}

/* ---- a folder for each test ---- */

static char *root;

static char *path_of(const char *name)
{
    return xasprintf("%s/%s", root, name);
}

static int setup(void **state)
{
    (void)state;
    root = scratch_new();
    memset(&calls, 0, sizeof(calls));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_free(root);
    return 0;
}

static DropinStore *open_store(void)
{
    DropinStore *store = NULL;

    assert_int_equal(dropin_store_new(root, &store), 0);
    return store;
}

static void put_folder(const char *name)
{
    _cleanup_(freep) char *path = path_of(name);

    assert_int_equal(mkdir(path, 0755), 0);
}

static void put_file(const char *name, const char *text, size_t n)
{
    _cleanup_(freep) char *path = path_of(name);
    _cleanup_(fclosep) FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
}

static void put_text(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

/* NULL: there is no such file. */
static char *get_text(const char *name)
{
    _cleanup_(freep) char *path = path_of(name);
    _cleanup_(fclosep) FILE *f = fopen(path, "re");

    if (!f)
        return NULL;
    char *text = xcalloc(4096, 1);
    assert_in_range(fread(text, 1, 4095, f), 0, 4094);
    return text;
}

static void assert_text(const char *name, const char *expected)
{
    _cleanup_(freep) char *text = get_text(name);

    if (!streq_null(text, expected))
        fail_msg("%s holds \"%s\", not \"%s\"", name, text ? text : "(none)", expected ? expected : "(none)");
}

static bool exists(const char *name)
{
    _cleanup_(freep) char *path = path_of(name);
    struct stat st;

    return lstat(path, &st) == 0;
}

static mode_t mode_of(const char *name)
{
    _cleanup_(freep) char *path = path_of(name);
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_uid, geteuid());
    return st.st_mode & 07777;
}

static size_t count_entries(const char *name)
{
    _cleanup_(freep) char *path = path_of(name);
    DIR *dir = opendir(path);
    size_t n = 0;

    if (!dir)
        return 0;
    for (struct dirent *e; (e = readdir(dir));)
        n += !streq(e->d_name, ".") && !streq(e->d_name, "..");
    closedir(dir);
    return n;
}

/* ---- */

static void test_write_read_remove(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(freep) char *path = dropin_store_path(store, UNIT), *expected_path = path_of(FILE_OF_OURS),
                          *text = NULL, *again = NULL;
    char *untouched = NULL;

    assert_string_equal(path, expected_path);
    assert_int_equal(dropin_store_read(store, UNIT, &untouched), -ENOENT);
    assert_int_equal(dropin_store_remove(store, UNIT), 0);

    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    assert_text(FILE_OF_OURS, OLD);
    assert_int_equal(dropin_store_read(store, UNIT, &text), 0);
    assert_string_equal(text, OLD);

    assert_int_equal(dropin_store_write(store, UNIT, NEW), 1);
    assert_text(FILE_OF_OURS, NEW);
    assert_int_equal(dropin_store_read(store, UNIT, &again), 0);
    assert_string_equal(again, NEW);
    assert_int_equal(count_entries(FOLDER), 1);

    assert_int_equal(dropin_store_remove(store, UNIT), 1);
    assert_false(exists(FOLDER));
    assert_int_equal(dropin_store_remove(store, UNIT), 0);
    assert_int_equal(dropin_store_read(store, UNIT, &untouched), -ENOENT);
    assert_null(untouched);
}

/* The disk has the data before the name, and the name before we say so. */
static void test_order_on_disk(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();

    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    assert_string_equal(calls.trace, "mkdir fchmod fchmod fsync rename-new fsync-folder fsync-folder ");
    memset(&calls, 0, sizeof(calls));
    assert_int_equal(dropin_store_write(store, UNIT, NEW), 1);
    assert_string_equal(calls.trace, "fchmod fsync rename fsync-folder ");
    memset(&calls, 0, sizeof(calls));
    assert_int_equal(dropin_store_write(store, UNIT, NEW), 0);
    assert_string_equal(calls.trace, "");
    assert_int_equal(dropin_store_remove(store, UNIT), 1);
    assert_string_equal(calls.trace, "unlink fsync-folder rmdir fsync-folder ");
}

static void test_modes(void **state)
{
    (void)state;
    static const mode_t masks[] = { 0, 022, 077, 0777 };

    for (size_t i = 0; i < ELEMENTSOF(masks); i++) {
        _cleanup_(dropin_store_freep) DropinStore *store = open_store();
        if (masks[i] & 0100 && geteuid() != 0)
            continue; /* without x on the new folder only root gets any further */
        mode_t before = umask(masks[i]);
        assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
        umask(before);
        assert_int_equal(mode_of(FOLDER), 0755);
        assert_int_equal(mode_of(FILE_OF_OURS), 0644);
        assert_int_equal(dropin_store_remove(store, UNIT), 1);
    }
}

static void test_other_files_stay(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();

    put_folder(FOLDER);
    put_text(FOLDER "/override.conf", FOREIGN);
    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    assert_int_equal(dropin_store_remove(store, UNIT), 1);
    assert_text(FOLDER "/override.conf", FOREIGN);
    assert_int_equal(count_entries(FOLDER), 1);
}

static void test_not_ours(void **state)
{
    (void)state;
    static const char *const texts[] = { "", FOREIGN, "\n" OLD, "# relayalloc\n", "# relayalloc: by hand\n" };
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(strv_freep) char **units = NULL;
    _cleanup_(freep) char *file = path_of(FILE_OF_OURS);
    char *untouched = NULL;

    put_folder(FOLDER);
    put_text("target", OLD);
    for (size_t i = 0; i < ELEMENTSOF(texts) + 3; i++) {
        if (i < ELEMENTSOF(texts))
            put_text(FILE_OF_OURS, texts[i]);
        else if (i == ELEMENTSOF(texts))
            assert_int_equal(symlink("../target", file), 0); /* even though what it leads to is marked */
        else if (i == ELEMENTSOF(texts) + 1)
            assert_int_equal(mkfifo(file, 0600), 0);
        else
            put_folder(FILE_OF_OURS);
        assert_int_equal(dropin_store_read(store, UNIT, &untouched), -EEXIST);
        assert_int_equal(dropin_store_write(store, UNIT, NEW), -EEXIST);
        assert_int_equal(dropin_store_remove(store, UNIT), -EEXIST);
        assert_int_equal(dropin_store_list(store, NULL, &units), 0);
        assert_null(units);
        if (i < ELEMENTSOF(texts))
            assert_text(FILE_OF_OURS, texts[i]);
        assert_int_equal(count_entries(FOLDER), 1);
        assert_int_equal(remove(file), 0);
    }
    assert_text("target", OLD);
    assert_null(untouched);
}

static void test_folder_is_a_link(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(strv_freep) char **units = NULL;
    _cleanup_(freep) char *link = path_of(FOLDER);
    char *untouched = NULL;

    put_folder("elsewhere");
    put_text("elsewhere/" DROPIN_NAME, OLD);
    assert_int_equal(symlink("elsewhere", link), 0);
    assert_int_equal(dropin_store_read(store, UNIT, &untouched), -ENOTDIR);
    assert_int_equal(dropin_store_write(store, UNIT, NEW), -ENOTDIR);
    assert_int_equal(dropin_store_remove(store, UNIT), -ENOTDIR);
    assert_int_equal(dropin_store_list(store, NULL, &units), 0);
    assert_null(units);
    assert_text("elsewhere/" DROPIN_NAME, OLD);
    assert_int_equal(count_entries("elsewhere"), 1);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = { "",
                                         "tor.service",
                                         "tor@.service",
                                         "../tor@a.service",
                                         "tor@a/b.service",
                                         "tor@../../x.service",
                                         "tor@a b.service",
                                         "tor@a.socket",
                                         "..",
                                         "/tor@a.service" };
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    char *untouched = NULL;

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        assert_int_equal(dropin_store_read(store, names[i], &untouched), -EINVAL);
        assert_int_equal(dropin_store_write(store, names[i], NEW), -EINVAL);
        assert_int_equal(dropin_store_remove(store, names[i]), -EINVAL);
    }
    assert_int_equal(count_entries("."), 0);

    /* valid, but with ".d" too long for a file name */
    char longest[UNIT_NAME_LONGEST + 1];
    memset(longest, 'a', sizeof(longest) - 1);
    memcpy(longest, "tor@", 4);
    memcpy(longest + sizeof(longest) - 1 - strlen(".service"), ".service", sizeof(".service"));
    assert_int_equal(dropin_store_write(store, longest, NEW), -ENAMETOOLONG);
    assert_int_equal(dropin_store_read(store, longest, &untouched), -ENAMETOOLONG);
    assert_null(untouched);
    assert_int_equal(count_entries("."), 0);
}

static void test_no_root(void **state)
{
    (void)state;
    _cleanup_(freep) char *missing = path_of("missing"), *file = path_of("file");
    _cleanup_(dropin_store_freep) DropinStore *store = NULL;
    char *text = NULL, **units = NULL;
    DropinStore *untouched = NULL;

    assert_int_equal(dropin_store_new(missing, &store), 0);
    assert_int_equal(dropin_store_read(store, UNIT, &text), -ENOENT);
    assert_int_equal(dropin_store_write(store, UNIT, NEW), -ENOENT);
    assert_int_equal(dropin_store_remove(store, UNIT), 0);
    assert_int_equal(dropin_store_list(store, NULL, &units), 0);
    assert_null(units);
    assert_false(exists("missing"));

    put_text("file", "");
    assert_int_equal(dropin_store_new(file, &untouched), -ENOTDIR);
    assert_null(untouched);
    assert_null(dropin_store_free(NULL));
}

static void test_strange_contents(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(freep) char *text = NULL, *file = path_of(FILE_OF_OURS);
    _cleanup_(strv_freep) char **units = NULL;
    char *untouched = NULL;

    /* What is behind a NUL counts for systemd, so such a file is not the same as the text before it. */
    put_folder(FOLDER);
    put_file(FILE_OF_OURS, NEW "\0Environment=X=1\0", sizeof(NEW "\0Environment=X=1\0") - 1);
    assert_int_equal(dropin_store_read(store, UNIT, &text), 0);
    assert_string_equal(text, NEW "\nEnvironment=X=1\n");
    assert_int_equal(dropin_store_write(store, UNIT, NEW), 1);
    assert_text(FILE_OF_OURS, NEW);
    put_file(FILE_OF_OURS, NEW "\0", sizeof(NEW));
    assert_int_equal(dropin_store_write(store, UNIT, NEW), 1);

    /* One that was made too large is still ours. */
    assert_int_equal(truncate(file, (off_t)DROPIN_SIZE_MAX + 1), 0);
    assert_int_equal(dropin_store_read(store, UNIT, &untouched), -EFBIG);
    assert_null(untouched);
    assert_int_equal(dropin_store_list(store, NULL, &units), 0);
    assert_int_equal(strv_length(units), 1);
    assert_int_equal(dropin_store_write(store, UNIT, NEW), 1);
    assert_text(FILE_OF_OURS, NEW);
    assert_int_equal(truncate(file, (off_t)DROPIN_SIZE_MAX + 1), 0);
    assert_int_equal(dropin_store_remove(store, UNIT), 1);
    assert_false(exists(FOLDER));

    _cleanup_(freep) char *large = xcalloc(DROPIN_SIZE_MAX + 2, 1);
    memset(large, 'x', DROPIN_SIZE_MAX + 1);
    memcpy(large, DROPIN_MARK, strlen(DROPIN_MARK));
    assert_int_equal(dropin_store_write(store, UNIT, large), -EFBIG);
    large[DROPIN_SIZE_MAX] = '\0';
    assert_int_equal(dropin_store_write(store, UNIT, large), 1);
    assert_int_equal(dropin_store_write(store, UNIT, large), 0);
}

static void test_list(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(strv_freep) char **units = NULL;
    char **none = NULL;

    assert_int_equal(dropin_store_list(store, NULL, &none), 0);
    assert_null(none);
    assert_int_equal(dropin_store_write(store, "tor@b.service", OLD), 1);
    assert_int_equal(dropin_store_write(store, "tor@a\\x20b.service", OLD), 1);
    assert_int_equal(dropin_store_write(store, "other@a.service", OLD), 1);
    assert_int_equal(dropin_store_write(store, "tor@default.service", NEW), 1);
    put_folder("tor@foreign.service.d");
    put_text("tor@foreign.service.d/" DROPIN_NAME, FOREIGN);
    put_folder("tor@empty.service.d");
    put_folder("tor@.service.d");
    put_text("tor@.service.d/" DROPIN_NAME, OLD);
    put_folder("tor.service.d");
    put_text("tor.service.d/" DROPIN_NAME, OLD);
    put_text("tor@file.service.d", OLD);
    assert_int_equal(dropin_store_list(store, NULL, &units), 0);
    assert_int_equal(strv_length(units), 4);
    assert_string_equal(units[0], "other@a.service");
    assert_string_equal(units[1], "tor@a\\x20b.service");
    assert_string_equal(units[2], "tor@b.service");
    assert_string_equal(units[3], "tor@default.service");
    assert_true(exists("tor@empty.service.d"));
}

/* A file of ours that cannot be read for a moment is not gone. */
static void test_list_short_of_descriptors(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(strv_freep) char **units = NULL;
    struct rlimit before, limit;

    assert_int_equal(dropin_store_write(store, "tor@a.service", OLD), 1);
    int next = open("/dev/null", O_RDONLY | O_CLOEXEC); /* the lowest that is free */
    assert_true(next >= 0);
    close(next);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    limit = before;
    for (rlim_t left = 0; left < 3; left++) { /* for the directory, that of the unit, and the file */
        limit.rlim_cur = (rlim_t)next + left;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
        int r = dropin_store_list(store, NULL, &units);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(r, -EMFILE);
        assert_null(units);
    }
    assert_int_equal(dropin_store_list(store, NULL, &units), 0);
    assert_int_equal(strv_length(units), 1);
}

/* One that cannot be read, of whatever service, must not hide the others. */
static void test_list_beside_one_that_cannot_be_read(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(strv_freep) char **units = NULL, **all = NULL;
    _cleanup_(freep) char *bad = path_of("other@b.service.d/" DROPIN_NAME);
    struct stat st;

    assert_int_equal(dropin_store_write(store, "tor@c.service", OLD), 1);
    assert_int_equal(dropin_store_write(store, "other@b.service", OLD), 1);
    assert_int_equal(dropin_store_write(store, "tor@a.service", OLD), 1);
    assert_int_equal(lstat(bad, &st), 0);
    unreadable = st.st_ino;
    int r = dropin_store_list(store, NULL, &units);
    unreadable = 0;
    assert_int_equal(r, -EIO);
    assert_int_equal(strv_length(units), 2);
    assert_string_equal(units[0], "tor@a.service");
    assert_string_equal(units[1], "tor@c.service");
    assert_int_equal(dropin_store_list(store, NULL, &all), 0);
    assert_int_equal(strv_length(all), 3);
}

static void test_many(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(strv_freep) char **units = NULL;

    for (int i = 0; i < 100; i++) {
        _cleanup_(freep) char *folder = xasprintf("tor@%02d.service.d", i),
                              *file = xasprintf("%s/" DROPIN_NAME, folder);
        put_folder(folder);
        put_text(file, OLD);
    }
    assert_int_equal(dropin_store_list(store, NULL, &units), 0);
    assert_int_equal(strv_length(units), 100);
    assert_string_equal(units[99], "tor@99.service");
}

static void test_stale_temporaries(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(strv_freep) char **units = NULL;
    _cleanup_(freep) char *busy = path_of("tor@busy.service.d/." DROPIN_NAME ".1");

    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    put_text(FOLDER "/." DROPIN_NAME ".0123456789abcdef", "half");
    put_text(FOLDER "/." DROPIN_NAME, "not the name of a temporary file");
    put_folder("tor@gone.service.d");
    put_text("tor@gone.service.d/." DROPIN_NAME ".x", DROPIN_MARK);
    put_folder("tor@kept.service.d");
    put_text("tor@kept.service.d/." DROPIN_NAME ".x", DROPIN_MARK);
    put_text("tor@kept.service.d/override.conf", FOREIGN);
    put_folder("tor@busy.service.d"); /* another process writes it right now */
    put_text("tor@busy.service.d/." DROPIN_NAME ".1", "");
    _cleanup_(closep) int fd = open(busy, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);

    assert_int_equal(dropin_store_list(store, NULL, &units), 0);
    assert_int_equal(strv_length(units), 1);
    assert_string_equal(units[0], UNIT);
    assert_false(exists(FOLDER "/." DROPIN_NAME ".0123456789abcdef"));
    assert_true(exists(FOLDER "/." DROPIN_NAME));
    assert_false(exists("tor@gone.service.d"));
    assert_int_equal(count_entries("tor@kept.service.d"), 1);
    assert_true(exists("tor@busy.service.d/." DROPIN_NAME ".1"));

    put_text(FOLDER "/." DROPIN_NAME ".x", "half");
    assert_int_equal(unlinkat(AT_FDCWD, busy, 0), 0);
    _cleanup_(freep) char *other = path_of(FOLDER "/." DROPIN_NAME);
    assert_int_equal(remove(other), 0);
    assert_int_equal(dropin_store_remove(store, UNIT), 1);
    assert_false(exists(FOLDER)); /* nor does such a file keep the folder */
}

/* Each call fails in turn: nothing was changed. Only what comes after the rename cannot be taken back. */
static void test_each_call_fails(void **state)
{
    (void)state;
    for (int replace = 0; replace < 2; replace++) {
        int failures = 0;
        for (int at = 1; at < 16; at++) {
            _cleanup_(dropin_store_freep) DropinStore *store = open_store();
            calls.fail_at = 0;
            if (replace)
                assert_in_range(dropin_store_write(store, UNIT, OLD), 0, 1);
            memset(&calls, 0, sizeof(calls));
            calls.fail_at = at;
            calls.fail_errno = EIO;
            int r = dropin_store_write(store, UNIT, NEW);
            bool renamed = strstr(calls.trace, "rename") && strstr(calls.trace, "fsync-folder");
            calls.fail_at = 0;
            if (r >= 0) { /* it has no so many calls */
                assert_int_equal(r, 1);
                assert_int_equal(dropin_store_remove(store, UNIT), 1);
                break;
            }
            failures++;
            assert_int_equal(r, -EIO);
            if (renamed) {
                assert_text(FILE_OF_OURS, NEW);
                assert_int_equal(count_entries(FOLDER), 1);
                assert_int_equal(dropin_store_remove(store, UNIT), 1);
            } else if (replace) {
                assert_text(FILE_OF_OURS, OLD);
                assert_int_equal(count_entries(FOLDER), 1);
            } else {
                assert_false(exists(FOLDER));
            }
        }
        assert_int_equal(failures, replace ? 4 : 7);
    }
}

/* A file system that cannot rename without replacing gets the ordinary rename. */
static void test_rename_without_flags(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();

    calls.fail_at = 5;
    calls.fail_errno = EINVAL;
    assert_int_equal(dropin_store_write(store, UNIT, NEW), 1);
    assert_non_null(strstr(calls.trace, " rename-new rename "));
    assert_text(FILE_OF_OURS, NEW);
}

static void put_foreign(void)
{
    put_text(FILE_OF_OURS, FOREIGN);
}

/* Somebody else writes a file of our name while we write ours. */
static void test_foreign_file_appears(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();

    calls.before_rename = put_foreign;
    assert_int_equal(dropin_store_write(store, UNIT, NEW), -EEXIST);
    assert_text(FILE_OF_OURS, FOREIGN);
    assert_int_equal(count_entries(FOLDER), 1);
}

/* Killed before each call in turn, whether it writes or removes, first time or again: what systemd reads is
 * the old file, the new one or none, and the next run finishes the work. */
static void test_killed_anywhere(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        int expected_kills;
    } rows[] = { { NULL, NEW, 7 }, { OLD, NEW, 4 }, { NEW, NULL, 4 } };

    for (size_t row = 0; row < ELEMENTSOF(rows); row++) {
        const char *before = rows[row].before, *after = rows[row].after;
        int kills = 0;
        for (int at = 1; at < 16; at++) {
            _cleanup_(dropin_store_freep) DropinStore *store = open_store();
            _cleanup_(strv_freep) char **units = NULL;
            if (before)
                assert_int_equal(dropin_store_write(store, UNIT, before), 1);
            pid_t pid = fork();
            assert_true(pid >= 0);
            if (pid == 0) {
                memset(&calls, 0, sizeof(calls));
                calls.fail_at = at;
                _exit((after ? dropin_store_write(store, UNIT, after) : dropin_store_remove(store, UNIT)) !=
                      1);
            }
            int status = 0;
            assert_int_equal(waitpid(pid, &status, 0), pid);
            assert_true(WIFEXITED(status) && (WEXITSTATUS(status) == 42 || WEXITSTATUS(status) == 0));
            bool killed = WEXITSTATUS(status) == 42;
            kills += killed;

            _cleanup_(freep) char *text = get_text(FILE_OF_OURS);
            assert_true(streq_null(text, before) || streq_null(text, after));
            assert_int_equal(dropin_store_list(store, NULL, &units), 0);
            assert_int_equal(strv_length(units), text ? 1 : 0);
            if (exists(FOLDER)) /* no temporary file is left */
                assert_int_equal(count_entries(FOLDER), text ? 1 : 0);
            if (after)
                assert_in_range(dropin_store_write(store, UNIT, after), 0, 1);
            else
                assert_in_range(dropin_store_remove(store, UNIT), 0, 1);
            assert_text(FILE_OF_OURS, after);
            (void)dropin_store_remove(store, UNIT);
            _cleanup_(freep) char *folder = path_of(FOLDER);
            (void)rmdir(folder); /* empty: killed between removing the file and the folder */
            if (!killed)
                break;
        }
        assert_int_equal(kills, rows[row].expected_kills);
    }
}

/* Somebody who reads all the time sees whole files only. */
static void test_reader_sees_whole_files(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    int status = 0;

    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        for (int i = 0; i < 50; i++)
            if (dropin_store_write(store, UNIT, i % 2 ? OLD : NEW) != 1)
                _exit(1);
        _exit(0);
    }
    while (waitpid(pid, &status, WNOHANG) == 0) {
        _cleanup_(freep) char *text = get_text(FILE_OF_OURS);
        assert_non_null(text);
        assert_true(streq(text, OLD) || streq(text, NEW));
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The write itself fails half-way, as on a full disk. */
static void test_write_fails_half_way(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    struct rlimit before, limit;

    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 10;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    int replaced = dropin_store_write(store, UNIT, NEW),
        created = dropin_store_write(store, "tor@b.service", NEW);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    assert_int_equal(replaced, -EFBIG);
    assert_int_equal(created, -EFBIG);
    assert_text(FILE_OF_OURS, OLD);
    assert_int_equal(count_entries(FOLDER), 1);
    assert_int_equal(count_entries("."), 1);
}

/* A file system of our own, over `root` and in this process alone. */
static bool mount_small(const char *options)
{
    return geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
           mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", root, "tmpfs", 0, options) == 0;
}

static void check_nothing_changes(DropinStore *store, int expected)
{
    assert_int_equal(dropin_store_write(store, UNIT, NEW), expected);
    assert_int_equal(dropin_store_write(store, "tor@b.service", NEW), expected);
    assert_text(FILE_OF_OURS, OLD);
    assert_int_equal(count_entries(FOLDER), 1);
    assert_false(exists("tor@b.service.d"));
}

/* Full of data, full of files, read-only: as root, on file systems made so; else in a folder that may not be
 * written. */
static void test_disk_full_or_read_only(void **state)
{
    (void)state;
    static const char *const options[] = { "size=64k", "size=64k,nr_inodes=6", "size=64k" };
    static const int expected[] = { -ENOSPC, -ENOSPC, -EROFS };

    for (size_t i = 0; i < ELEMENTSOF(options); i++) {
        if (!mount_small(options[i])) {
            _cleanup_(dropin_store_freep) DropinStore *store = open_store();
            _cleanup_(freep) char *folder = path_of(FOLDER);
            assert_in_range(dropin_store_write(store, UNIT, OLD), 0, 1);
            if (geteuid() == 0)
                skip_because("this root cannot mount a file system");
            assert_int_equal(chmod(folder, 0555), 0);
            assert_int_equal(chmod(root, 0555), 0);
            check_nothing_changes(store, -EACCES);
            assert_int_equal(dropin_store_remove(store, UNIT), -EACCES);
            assert_text(FILE_OF_OURS, OLD);
            assert_int_equal(chmod(root, 0755), 0);
            assert_int_equal(chmod(folder, 0755), 0);
            continue;
        }
        DropinStore *store = open_store();
        assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
        if (i == 0) {
            _cleanup_(freep) char *filler = path_of("filler"), *page = xcalloc(4096, 1);
            _cleanup_(closep) int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            while (write(fd, page, 4096) > 0)
                ;
            assert_int_equal(errno, ENOSPC);
        } else if (i == 1) {
            for (int n = 0; n < 16; n++) {
                _cleanup_(freep) char *filler = xasprintf("%s/filler%d", root, n);
                int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
                closep(&fd);
            }
        } else {
            assert_int_equal(mount(NULL, root, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
        }
        check_nothing_changes(store, expected[i]);
        if (i < 2)
            assert_int_equal(dropin_store_remove(store, UNIT), 1); /* that needs no room */
        else
            assert_int_equal(dropin_store_remove(store, UNIT), -EROFS);
        dropin_store_free(store);
        assert_int_equal(umount(root), 0);
    }
}

/* ---- what is kept while a relay is moved ---- */

#define KEPT FOLDER "/" DROPIN_NAME ".previous"

static void forget_calls(void)
{
    memset(&calls, 0, sizeof(calls));
}

static void test_way_back(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();

    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    forget_calls();
    assert_int_equal(dropin_store_keep(store, UNIT, OLD), 0);
    assert_string_equal(calls.trace, "link ");
    assert_int_equal(dropin_store_keep(store, UNIT, OLD), 0);
    assert_string_equal(calls.trace, "link "); /* it stands already */
    assert_int_equal(dropin_store_write(store, UNIT, NEW), 1);
    assert_text(KEPT, OLD);
    forget_calls();
    assert_int_equal(dropin_store_put_back(store, UNIT, OLD), 1);
    assert_string_equal(calls.trace, "rename fsync-folder ");
    assert_text(FILE_OF_OURS, OLD);
    assert_int_equal(count_entries(FOLDER), 1);
    assert_int_equal(dropin_store_put_back(store, UNIT, OLD), 0);
}

/* Nothing was changed after all: both names are the same file, which rename(2) leaves alone. */
static void test_way_back_from_nothing(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();

    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    assert_int_equal(dropin_store_keep(store, UNIT, OLD), 0);
    assert_int_equal(dropin_store_put_back(store, UNIT, OLD), 0);
    assert_text(FILE_OF_OURS, OLD);
    dropin_store_forget(store, UNIT);
    assert_text(FILE_OF_OURS, OLD);
    assert_int_equal(count_entries(FOLDER), 1);
}

/* There was none, or there is to be none. */
static void test_way_back_to_and_from_none(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();

    assert_int_equal(dropin_store_keep(store, UNIT, NULL), 0);
    assert_false(exists(FOLDER));
    assert_int_equal(dropin_store_write(store, UNIT, NEW), 1);
    assert_int_equal(dropin_store_put_back(store, UNIT, NULL), 1);
    assert_false(exists(FOLDER));

    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    assert_int_equal(dropin_store_keep(store, UNIT, OLD), 0);
    assert_int_equal(dropin_store_remove(store, UNIT), 1);
    assert_text(KEPT, OLD);
    forget_calls();
    assert_int_equal(dropin_store_put_back(store, UNIT, OLD), 1);
    assert_string_equal(calls.trace, "rename-new fsync-folder ");
    assert_text(FILE_OF_OURS, OLD);

    assert_int_equal(dropin_store_keep(store, UNIT, OLD), 0);
    assert_int_equal(dropin_store_remove(store, UNIT), 1);
    dropin_store_forget(store, UNIT);
    assert_false(exists(FOLDER)); /* it goes with the last file of ours */
    dropin_store_forget(store, UNIT);
}

/* A crash came between: the text to go back to is known, and is not what stands there. */
static void test_way_back_that_is_not_the_present(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();

    assert_int_equal(dropin_store_keep(store, UNIT, OLD), 0); /* not even the folder is there */
    assert_text(KEPT, OLD);
    assert_int_equal(dropin_store_write(store, UNIT, NEW), 1);
    assert_int_equal(dropin_store_keep(store, UNIT, OLD), 0);
    assert_text(KEPT, OLD);
    assert_int_equal(dropin_store_keep(store, UNIT, NEW), 0); /* another way back takes its place */
    assert_text(KEPT, NEW);
    assert_int_equal(dropin_store_put_back(store, UNIT, OLD), 1); /* what is kept is something else */
    assert_text(FILE_OF_OURS, OLD);
    assert_text(KEPT, NEW);
    assert_int_equal(dropin_store_keep(store, UNIT, NULL), 0);
    assert_int_equal(count_entries(FOLDER), 1);
}

static void test_file_system_without_links(void **state)
{
    (void)state;
    static const int errors[] = { EPERM, EOPNOTSUPP, EMLINK };

    for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
        _cleanup_(dropin_store_freep) DropinStore *store = open_store();
        assert_in_range(dropin_store_write(store, UNIT, OLD), 0, 1);
        memset(&calls, 0, sizeof(calls));
        calls.fail_at = 1;
        calls.fail_errno = errors[i];
        assert_int_equal(dropin_store_keep(store, UNIT, OLD), 0);
        assert_string_equal(calls.trace, "link fchmod fsync rename-new ");
        assert_text(KEPT, OLD);
        dropin_store_forget(store, UNIT);
    }
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    memset(&calls, 0, sizeof(calls));
    calls.fail_at = 1;
    calls.fail_errno = ENOSPC;
    assert_int_equal(dropin_store_keep(store, UNIT, OLD), -ENOSPC);
    assert_int_equal(count_entries(FOLDER), 1);
}

/* Neither kept nor removed nor put in the place of a file that is another's. */
static void test_kept_name_that_is_taken(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(strv_freep) char **units = NULL;

    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    put_text(KEPT, FOREIGN);
    assert_int_equal(dropin_store_keep(store, UNIT, OLD), -EEXIST);
    dropin_store_forget(store, UNIT);
    assert_int_equal(dropin_store_list(store, NULL, &units), 0);
    assert_text(KEPT, FOREIGN);
    assert_int_equal(dropin_store_put_back(store, UNIT, NEW), 1);
    assert_text(FILE_OF_OURS, NEW);
    assert_text(KEPT, FOREIGN);

    _cleanup_(freep) char *kept = path_of(KEPT);
    assert_int_equal(unlink(kept), 0);
    assert_int_equal(dropin_store_keep(store, UNIT, NEW), 0);
    put_foreign();
    assert_int_equal(dropin_store_put_back(store, UNIT, NEW), -EEXIST);
    assert_text(FILE_OF_OURS, FOREIGN);
}

/* What a crash left goes, unless somebody is still on the way. */
static void test_leftover_way_back(void **state)
{
    (void)state;
    _cleanup_(dropin_store_freep) DropinStore *store = open_store();
    _cleanup_(strv_freep) char **moving = NULL, **units = NULL, **again = NULL;

    strv_push(&moving, xstrdup(UNIT));
    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    assert_int_equal(dropin_store_keep(store, UNIT, OLD), 0);
    assert_int_equal(dropin_store_keep(store, "tor@gone.service", OLD), 0);
    assert_int_equal(dropin_store_list(store, moving, &units), 0);
    assert_int_equal(strv_length(units), 1);
    assert_text(KEPT, OLD);
    assert_false(exists("tor@gone.service.d")); /* nothing else was in it */
    assert_int_equal(dropin_store_list(store, NULL, &again), 0);
    assert_int_equal(strv_length(again), 1);
    assert_int_equal(count_entries(FOLDER), 1);
}

/* The disk is full when the relay has to be put back. */
static void test_way_back_on_a_full_disk(void **state)
{
    (void)state;
    if (!mount_small("size=64k"))
        skip_because("a file system of our own cannot be mounted");
    DropinStore *store = open_store();
    _cleanup_(freep) char *filler = path_of("filler"), *page = xcalloc(4096, 1);

    assert_int_equal(dropin_store_write(store, UNIT, OLD), 1);
    assert_int_equal(dropin_store_keep(store, UNIT, OLD), 0);
    assert_int_equal(dropin_store_write(store, UNIT, NEW), 1);
    int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, page, 4096) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    closep(&fd);
    assert_int_equal(dropin_store_write(store, UNIT, OLD), -ENOSPC);
    assert_int_equal(dropin_store_put_back(store, UNIT, OLD), 1);
    assert_text(FILE_OF_OURS, OLD);
    assert_int_equal(count_entries(FOLDER), 1);
    dropin_store_free(store);
    assert_int_equal(umount(root), 0);
}

static void test_no_descriptor_leaks(void **state)
{
    (void)state;
    size_t before = scratch_count_fds();

    for (int at = 0; at < 10; at++) {
        DropinStore *store = open_store();
        char *text = NULL, **units = NULL;
        calls.step = 0;
        calls.fail_at = at;
        calls.fail_errno = EIO;
        (void)dropin_store_keep(store, UNIT, OLD);
        (void)dropin_store_write(store, UNIT, NEW);
        (void)dropin_store_put_back(store, UNIT, OLD);
        dropin_store_forget(store, UNIT);
        calls.fail_at = 0;
        (void)dropin_store_read(store, UNIT, &text);
        (void)dropin_store_list(store, NULL, &units);
        (void)dropin_store_remove(store, UNIT);
        free(text);
        strv_free(units);
        dropin_store_free(store);
    }
    assert_int_equal(scratch_count_fds(), before);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_write_read_remove),
        TEST(test_order_on_disk),
        TEST(test_modes),
        TEST(test_other_files_stay),
        TEST(test_not_ours),
        TEST(test_folder_is_a_link),
        TEST(test_names),
        TEST(test_no_root),
        TEST(test_strange_contents),
        TEST(test_list),
        TEST(test_list_short_of_descriptors),
        TEST(test_list_beside_one_that_cannot_be_read),
        TEST(test_many),
        TEST(test_stale_temporaries),
        TEST(test_each_call_fails),
        TEST(test_rename_without_flags),
        TEST(test_foreign_file_appears),
        TEST(test_killed_anywhere),
        TEST(test_reader_sees_whole_files),
        TEST(test_write_fails_half_way),
        TEST(test_disk_full_or_read_only),
        TEST(test_way_back),
        TEST(test_way_back_from_nothing),
        TEST(test_way_back_to_and_from_none),
        TEST(test_way_back_that_is_not_the_present),
        TEST(test_file_system_without_links),
        TEST(test_kept_name_that_is_taken),
        TEST(test_leftover_way_back),
        TEST(test_way_back_on_a_full_disk),
        TEST(test_no_descriptor_leaks),
    };

    return cmocka_run_group_tests_name("dropin-store", tests, NULL, NULL);
}
