/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of io/trust: every way in which somebody else than the owner could change a file. */
#include "io/trust.h"

#include "scratch.h"

#include <fcntl.h>
#include <linux/xattr.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static int link_trouble; /* the errno that reading any link ends with; 0: none */

/* Instead of libc's: no file system gives this trouble when a test wants it. */
ssize_t readlink(const char *path, char *to, size_t size)
{
    if (link_trouble != 0) {
        errno = link_trouble;
        return -1;
    }
    return syscall(SYS_readlinkat, AT_FDCWD, path, to, size);
}

static char *folder; /* of the user who runs the tests, below /tmp */

static int setup(void **state)
{
    (void)state;
    folder = scratch_new();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    scratch_free(folder);
    return 0;
}

static void expect_words(const char *reason, const char *words)
{
    assert_non_null(reason);
    if (!strstr(reason, words))
        fail_msg("no \"%s\" in: %s", words, reason);
}

static char **looked_at; /* by all walks */

static int walk_from(const char *path, uid_t owner, const char *trusted, char **ret_real, char **ret_reason)
{
    struct stat st;

    return trust_walk(
        path, &(TrustRules){ .owner = owner, .trusted = trusted, .shared = true, .looked = &looked_at },
        ret_real, &st, ret_reason);
}

static int walk(const char *path, uid_t owner, char **ret_real, char **ret_reason)
{
    return walk_from(path, owner, "/tmp", ret_real, ret_reason);
}

/* Makes the tree of the table below. */
static void make_tree(void)
{
    static const struct {
        const char *path, *target;
        mode_t mode;
    } tree[] = {
        { "good", NULL, S_IFDIR | 0755 },
        { "good/lib.so", NULL, S_IFREG | 0644 },
        { "good/link.so", "lib.so", S_IFLNK },
        { "good/open.so", NULL, S_IFREG | 0646 },
        { "good/secret.so", NULL, S_IFREG | 0640 },
        { "good/fifo", NULL, S_IFIFO | 0644 },
        { "good/loop1", "loop2", S_IFLNK },
        { "good/loop2", "loop1", S_IFLNK },
        { "good/dangling", "../nowhere/lib.so", S_IFLNK },
        { "dirlink", "good/../good", S_IFLNK },
        { "sticky", NULL, S_IFDIR | 01777 },
        { "sticky/lib.so", NULL, S_IFREG | 0644 },
        { "sticky/link.so", "../good/lib.so", S_IFLNK },
        { "good/detour.so", "../sticky/link.so", S_IFLNK },
        { "closed", NULL, S_IFDIR | 0700 },
        { "closed/lib.so", NULL, S_IFREG | 0644 },
    };

    for (size_t i = 0; i < ELEMENTSOF(tree); i++) {
        _cleanup_(freep) char *path = xasprintf("%s/%s", folder, tree[i].path);
        switch (tree[i].mode & S_IFMT) {
        case S_IFDIR:
            assert_int_equal(mkdir(path, 0755), 0);
            break;
        case S_IFLNK:
            assert_int_equal(symlink(tree[i].target, path), 0);
            continue;
        default:
            assert_int_equal(mknod(path, tree[i].mode, 0), 0);
        }
        assert_int_equal(chmod(path, tree[i].mode & 07777), 0);
    }
}

static void test_walk(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int error;
        const char *words; /* "FOLDER" stands for the test's own */
    } table[] = {
        { "/good/lib.so", 0, NULL },
        { "/good/link.so", 0, NULL },
        { "/dirlink/link.so", 0, NULL },
        { "/good/.././good//lib.so", 0, NULL },
        { "/good/open.so", -EPERM,
          "can be changed by users other than root: it is writable by everybody, mode 0646 (chmod o-w "
          "FOLDER/good/open.so)" },
        { "/good/secret.so", -EACCES, "cannot be read by everybody (chmod o+r FOLDER/good/secret.so)" },
        { "/good/fifo", -EINVAL, "is not a regular file" },
        { "/good", -EINVAL, "is not a regular file" },
        { "/good/loop1", -ELOOP, "cannot be followed: FOLDER/good/loop1 is a link in a loop" },
        { "/good/dangling", -ENOENT, "does not exist: there is no FOLDER/nowhere" },
        { "/good/none.so", -ENOENT, "does not exist" },
        { "/good/lib.so/", -ENOTDIR, "does not exist: FOLDER/good/lib.so is not a directory" },
        { "/good/lib.so/x", -ENOTDIR, "does not exist: FOLDER/good/lib.so is not a directory" },
        /* A file that is safe in a folder that is not, and a link whose own folder is not. */
        { "/sticky/lib.so", -EPERM,
          "can be changed by users other than root: FOLDER/sticky is writable by everybody, mode 1777 (move "
          "it to a directory that only root can change)" },
        { "/sticky/link.so", -EPERM, "FOLDER/sticky is writable by everybody" },
        { "/good/detour.so", -EPERM, "can be changed by users other than root: FOLDER/sticky is" },
        { "/sticky/../good/lib.so", -EPERM, "FOLDER/sticky is writable by everybody" },
        { "/closed/lib.so", -EACCES, "cannot be read by everybody: FOLDER/closed is closed" },
    };

    make_tree();
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(freep) char *path = xasprintf("%s%s", folder, table[i].path), *real = NULL, *reason = NULL;
        int r = walk(path, geteuid(), &real, &reason);

        if (r != table[i].error)
            fail_msg("%s: %d (%s) instead of %d", table[i].path, r, reason ? reason : "no reason",
                     table[i].error);
        if (r == 0) {
            _cleanup_(freep) char *expected = realpath(path, NULL);
            assert_string_equal(real, expected);
            assert_null(reason);
        } else {
            _cleanup_(freep) char *words = xstrdup("");
            for (const char *w = table[i].words; *w;) {
                const char *next = strstr(w, "FOLDER");
                char *longer = next ? xasprintf("%s%.*s%s", words, (int)(next - w), w, folder)
                                    : xasprintf("%s%s", words, w);
                free(words);
                words = longer;
                w = next ? next + strlen("FOLDER") : "";
            }
            expect_words(reason, words);
            assert_null(real);
        }
    }
}

/* Trouble of the host is no fault of the path: it is told as what it is, and passes. */
static void test_walk_trouble(void **state)
{
    (void)state;
    _cleanup_(freep) char *file = scratch_write(folder, "file", "", 0, 0644), *real = NULL, *reason = NULL;
    _cleanup_(freep) char *path = xasprintf("%s/link", folder);

    assert_int_equal(symlink("file", path), 0);
    link_trouble = EIO;
    int r = walk(path, geteuid(), &real, &reason);
    link_trouble = 0;
    assert_int_equal(r, -EIO);
    expect_words(reason, "/link: Input/output error");
    freep(&reason);
    reason = NULL;
    assert_int_equal(walk(path, geteuid(), &real, &reason), 0);
    assert_string_equal(real, file);
}

/* Everything on the way must be the owner's: that of the file, and of what is above the trusted folder. */
static void test_walk_owner(void **state)
{
    (void)state;
    _cleanup_(freep) char *path = scratch_write(folder, "owned.so", "", 0, 0644), *real = NULL,
                          *reason = NULL;
    _cleanup_(freep) char *words = xasprintf("%s belongs to user", folder);

    assert_int_equal(walk(path, geteuid() + 1, &real, &reason), -EPERM);
    expect_words(reason, words);
    expect_words(reason, "(move it to a directory that only root can change)");
    freep(&reason);
    reason = NULL;
    /* Nothing trusted: all is looked at from "/" on, /tmp itself too. */
    assert_int_equal(walk_from(path, 4242, NULL, &real, &reason), -EPERM);
    expect_words(reason, ": / belongs to user \"root\"");
    freep(&reason);
    reason = NULL;
    assert_int_equal(walk_from(path, 0, NULL, &real, &reason), -EPERM);
    expect_words(
        reason,
        ": /tmp is writable by everybody, mode 1777 (move it to a directory that only root can change)");
    freep(&reason);
    reason = NULL;
    /* Trusted is the folder, not others that begin with the same letters. */
    assert_int_equal(walk_from(path, 0, "/tmpfiles", &real, &reason), -EPERM);
    expect_words(reason, ": /tmp is writable by everybody");
}

/* Root alone in the group, somebody in it, and a group that nobody knows. */
static void test_walk_groups(void **state)
{
    (void)state;
    static const struct {
        gid_t group;
        int error;
        const char *words;
    } table[] = {
        { 0, 0, NULL },
        { 65534, -EPERM,
          "is writable by group \"nogroup\", mode 0664 (chmod g-w" }, /* nobody's primary group */
        { 4242424, -EPERM, "is writable by group 4242424" },
    };
    _cleanup_(freep) char *path = scratch_write(folder, "group.so", "", 0, 0664);

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(freep) char *real = NULL, *reason = NULL;
        int r;

        if (geteuid() == 0)
            assert_int_equal(chown(path, (uid_t)-1, table[i].group), 0);
        looked_at = strv_free(looked_at);
        r = walk(path, geteuid(), &real, &reason);
        /* Who is in the group decides, so that these files do. */
        assert_true((r == 0) == strv_contains(looked_at, "/etc/group") &&
                    (r == 0) == strv_contains(looked_at, "/etc/passwd"));
        if (geteuid() != 0) { /* our own group has us in it, and we are not root */
            assert_int_equal(r, -EPERM);
            expect_words(reason, "is writable by group");
        } else {
            assert_int_equal(r, table[i].error);
            if (r < 0)
                expect_words(reason, table[i].words);
        }
    }
}

/* An access control list hides behind the group's bits: the group is root's, the list lets another user in.
 */
static void test_walk_acl(void **state)
{
    (void)state;
    enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, MASK = 0x10, OTHER = 0x20 };
    static const struct {
        uint32_t version;
        struct {
            uint16_t tag, permissions;
            uint32_t id;
        } entries[5];
    } acl = { 2,
              { { USER_OBJ, 6, UINT32_MAX },
                { USER, 6, 65534 },
                { GROUP_OBJ, 4, UINT32_MAX },
                { MASK, 6, UINT32_MAX },
                { OTHER, 4, UINT32_MAX } } };
    _cleanup_(freep) char *path = scratch_write(folder, "acl.so", "", 0, 0644), *real = NULL, *reason = NULL;

    if (setxattr(path, "system.posix_acl_access", &acl, sizeof(acl), 0) < 0) {
        assert_int_equal(errno, EOPNOTSUPP);
        skip_because("/tmp is on a file system without access control lists");
    }
    assert_int_equal(walk(path, geteuid(), &real, &reason), -EPERM);
    expect_words(reason, "is writable by its access control list");
}

/* What each rule changes. */
static void test_walk_rules(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        TrustRules rules;
        int error;
        const char *words;
    } table[] = {
        { "/good", { .directory = true }, 0, NULL },
        { "/dirlink/.", { .directory = true }, 0, NULL },
        { "/good/lib.so", { .directory = true }, -ENOTDIR, "is not a directory" },
        { "/good/nothing/yet", { .directory = true }, -ENOENT, "does not exist: there is no " },
        { "/sticky/nothing/yet", { .directory = true }, -EPERM, "/sticky is writable by everybody" },
        { "/good/secret.so", { 0 }, 0, NULL },
        { "/closed/lib.so", { 0 }, 0, NULL },
        { "/sticky/lib.so", { .sticky = true }, 0, NULL },
        { "/sticky/link.so", { .sticky = true }, 0, NULL },
        { "/good/open.so", { .sticky = true }, -EPERM, "it is writable by everybody" },
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        _cleanup_(freep) char *path = xasprintf("%s%s", folder, table[i].path), *real = NULL, *reason = NULL;
        TrustRules rules = table[i].rules;
        struct stat st;

        rules.owner = geteuid();
        rules.trusted = "/tmp";
        int r = trust_walk(path, &rules, &real, &st, &reason);
        if (r != table[i].error)
            fail_msg("%s: %d (%s) instead of %d", table[i].path, r, reason ? reason : "no reason",
                     table[i].error);
        if (r < 0)
            expect_words(reason, table[i].words);
    }
}

/* Who remembers what was looked at can tell later that it was changed: links and their targets, each once,
 * and what is missing. */
static void test_walk_looked(void **state)
{
    (void)state;
    _cleanup_(strv_freep) char **looked = NULL;
    const TrustRules rules = { .owner = geteuid(), .trusted = "/tmp", .looked = &looked };
    _cleanup_(freep) char *link = xasprintf("%s/dirlink/link.so", folder), *missing = NULL,
                          *all = xstrdup("");
    _cleanup_(freep) char *real = NULL, *reason = NULL;
    struct stat st;

    assert_int_equal(trust_walk(link, &rules, &real, &st, &reason), 0);
    missing = xasprintf("%s/good/none/lib.so", folder);
    assert_int_equal(trust_walk(missing, &rules, &real, &st, &reason), -ENOENT);
    STRV_FOREACH (path, looked) {
        _cleanup_(freep) char *before = all;
        const size_t n = strlen(folder);
        all = xasprintf("%s %s", before, strncmp(*path, folder, n) == 0 ? *path + n : *path);
    }
    assert_string_equal(all, " / /tmp  /dirlink /good /good/link.so /good/lib.so /good/none");
}

/* Everything is below the root directory, which is one itself. */
static void test_walk_root(void **state)
{
    (void)state;
    const TrustRules rules = { .owner = 0, .directory = true };
    _cleanup_(freep) char *real = NULL, *reason = NULL;
    struct stat st;

    assert_int_equal(trust_walk("/", &rules, &real, &st, &reason), 0);
    assert_string_equal(real, "/");
    assert_true(S_ISDIR(st.st_mode));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walk),         cmocka_unit_test(test_walk_rules),
        cmocka_unit_test(test_walk_looked),  cmocka_unit_test(test_walk_root),
        cmocka_unit_test(test_walk_trouble), cmocka_unit_test(test_walk_owner),
        cmocka_unit_test(test_walk_groups),  cmocka_unit_test(test_walk_acl),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
