/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of io/library: the libraries that are installed here, and every way in which one is refused. As root,
 * where a mount of our own is possible, also whole refusals of libraries in folders that are root's alone. */
#include "io/library.h"

#include "scratch.h"

#include <elf.h>
#include <limits.h>
#include <sched.h>
#include <sys/mount.h>

#define PROBE BUILD_DIR "/relayalloc-probe"

static const char library_source[] = "int answer(void) { return 42; }\n";

static char *folder; /* of the user who runs the tests, below /tmp */
static char *safe;   /* root's alone, all the way from "/"; NULL: cannot be had here */

static int setup(void **state)
{
    (void)state;
    folder = scratch_new();
    if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
        mount("tmpfs", "/mnt", "tmpfs", 0, "mode=0755") == 0)
        safe = xstrdup("/mnt");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (safe)
        umount("/mnt");
    free(safe);
    scratch_free(folder);
    return 0;
}

static void expect_words(const char *reason, const char *words)
{
    assert_non_null(reason);
    if (!strstr(reason, words))
        fail_msg("no \"%s\" in: %s", words, reason);
}

/* Refused with that error and a sentence that has these words. */
static void expect_refusal(const char *name, int error, const char *words)
{
    Library library = { 0 };
    _cleanup_(freep) char *reason = NULL;
    int r = library_resolve(name, PROBE, &library, &reason);

    if (r != error)
        fail_msg("%s: %d (%s) instead of %d", name, r, reason ? reason : "no reason", error);
    expect_words(reason, words);
    assert_int_not_equal(reason[strlen(reason) - 1], '.');
    assert_null(library.path);
    assert_null(library.realpath);
}

/* ---- names ---- */

static void test_packages(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        { "libjemalloc.so.2", "libjemalloc2" },
        { "libmimalloc.so.2", "libmimalloc2.0" },
        { "libmimalloc.so.3", "libmimalloc3" },
        { "libtcmalloc.so.4", "libgoogle-perftools4" },
        { "libtcmalloc_minimal.so.4", "libtcmalloc-minimal4" },
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        assert_string_equal(library_package(table[i][0]), table[i][1]);
    assert_null(library_package("libjemalloc.so"));
    assert_null(library_package("libjemalloc.so.20"));
    assert_null(library_package(""));
}

static void test_installed(void **state)
{
    (void)state;
    const char *const names[] = { "libjemalloc.so.2", scratch_mimalloc(), "libtcmalloc.so.4",
                                  "libtcmalloc_minimal.so.4", "libc.so.6" };

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(library_clear) Library library = { 0 }, again = { 0 };
        _cleanup_(freep) char *reason = NULL, *real = NULL, *base = NULL, *dir = NULL, *real_dir = NULL;
        _cleanup_(freep) char *id = NULL, *id_again = NULL;
        struct stat st;

        if (!streq(names[i], "libc.so.6"))
            scratch_need_library(names[i]);
        if (library_resolve(names[i], PROBE, &library, &reason) < 0)
            fail_msg("%s", reason);
        assert_null(reason);
        /* The folder without links, the file's name as it was asked for. */
        base = xstrdup(strrchr(library.path, '/') + 1);
        dir = xstrndup(library.path, (size_t)(strrchr(library.path, '/') - library.path));
        real_dir = realpath(dir, NULL);
        assert_string_equal(base, names[i]);
        assert_string_equal(dir, real_dir);
        real = realpath(library.path, NULL);
        assert_string_equal(library.realpath, real);
        assert_int_equal(stat(library.path, &st), 0);
        assert_int_equal(library.inode, st.st_ino);
        assert_int_equal(library.dev, st.st_dev);
        assert_int_equal(library.size, st.st_size);
        assert_memory_equal(&library.mtime, &st.st_mtim, sizeof(st.st_mtim));

        /* An absolute path leads to the same. */
        if (library_resolve(library.path, PROBE, &again, &reason) < 0)
            fail_msg("%s", reason);
        assert_string_equal(again.path, library.path);
        assert_string_equal(again.realpath, library.realpath);
        id = library_build_id(&library);
        id_again = library_build_id(&again);
        assert_string_equal(id, id_again);
    }
}

static void test_names_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int error;
        const char *words;
    } table[] = {
        { "", -EINVAL, "no name" },
        { "lib/x.so", -EINVAL, "\"lib/x.so\" is neither a bare name nor an absolute path" },
        { "./x.so", -EINVAL, "neither" },
        { "libx.so liby.so", -EINVAL, "no blanks, colons" },
        { "/usr/lib/a:b.so", -EINVAL, "no blanks, colons" },
        { "/usr/$LIB/libjemalloc.so.2", -EINVAL, "no blanks, colons or \"$\"" },
        { "libx\n.so", -EINVAL, "no blanks" },
        { "libnonsense.so.1", -ENOENT,
          "libnonsense.so.1 is not installed: the dynamic linker finds no such library" },
        { "libmimalloc.so.7", -ENOENT, "libmimalloc.so.7 is not installed" },
        { "/nonexistent/lib.so", -ENOENT, "/nonexistent/lib.so does not exist: there is no /nonexistent" },
        { "/usr/lib/nonsense.so", -ENOENT, "/usr/lib/nonsense.so does not exist" },
        { "/usr/lib/relayalloc/libjemalloc.so.2", -ENOENT, "(apt install libjemalloc2)" },
        { "/etc/passwd/lib.so", -ENOTDIR, "/etc/passwd is not a directory" },
        { "/usr/lib", -EINVAL, "/usr/lib is not a regular file" },
        { "/usr/lib/..", -EINVAL, "not a regular file" },
        { "/", -EINVAL, "/ is not a regular file" },
        { "/dev/null", -EPERM,
          "/dev/null can be changed by users other than root: it is writable by everybody" },
        { "/proc/self/mem", -EACCES, "cannot be read by everybody" },
        { "/etc/passwd", -ENOEXEC, "/etc/passwd is not a library: it is not an ELF file" },
        { "/usr/bin/true", -ENOEXEC, "position-independent executable" },
    };

    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        if (geteuid() == 0 || !streq(table[i].name, "/proc/self/mem")) /* it is ours when we are not root */
            expect_refusal(table[i].name, table[i].error, table[i].words);
    _cleanup_(freep) char *longest = xcalloc(PATH_MAX + 1, 1);
    memset(longest, 'x', PATH_MAX);
    expect_refusal(longest, -EINVAL, "too long");
}

/* Which of the two is missing here depends on the release: the hint names its package, and the other's. */
static void test_package_hint(void **state)
{
    (void)state;
    static const char *const names[] = { "libmimalloc.so.2", "libmimalloc.so.3" };

    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(library_clear) Library library = { 0 };
        _cleanup_(freep) char *absolute = xasprintf("/usr/lib/nowhere/%s", names[i]), *reason = NULL;
        _cleanup_(freep) char *hint = xasprintf("(apt install %s; Debian 1", library_package(names[i]));

        expect_refusal(absolute, -ENOENT, hint);
        if (library_resolve(names[i], PROBE, &library, &reason) < 0)
            expect_words(reason, hint);
    }
}

static void test_no_probe(void **state)
{
    (void)state;
    Library library = { 0 };
    _cleanup_(freep) char *reason = NULL;

    assert_int_equal(library_resolve("libc.so.6", "/nonexistent/probe", &library, &reason), -ENOENT);
    expect_words(reason, "/nonexistent/probe cannot be run");
}

/* ---- the file ---- */

static void test_elf(void **state)
{
    (void)state;
    _cleanup_(fclosep) FILE *f = fopen(PROBE, "re");
    Elf64_Ehdr header = { 0 }; /* the fields that are forged stand at the same place in both classes */
    static const struct {
        size_t offset, n;
        unsigned char value[2];
        size_t length;
        int error;
        const char *words;
    } table[] = {
        { 0, 0, { 0 }, sizeof(header), 0, NULL },
        { 0, 0, { 0 }, 0, -ENOEXEC, "not an ELF file" },
        { 0, 0, { 0 }, 19, -ENOEXEC, "not an ELF file" },
        { 1, 1, { 'e' }, sizeof(header), -ENOEXEC, "not an ELF file" },
        { EI_CLASS, 1, { 0xff }, sizeof(header), -ENOEXEC, "another architecture: it is a" },
        { EI_DATA, 1, { 0xff }, sizeof(header), -ENOEXEC, "its byte order is different" },
        { offsetof(Elf64_Ehdr, e_machine),
          2,
          { 0x12, 0x34 },
          sizeof(header),
          -ENOEXEC,
          "its ELF machine is" },
        { offsetof(Elf64_Ehdr, e_type),
          2,
          { ET_EXEC, 0 },
          sizeof(header),
          -ENOEXEC,
          "a program or another kind" },
        { offsetof(Elf64_Ehdr, e_type),
          2,
          { ET_CORE, 0 },
          sizeof(header),
          -ENOEXEC,
          "a program or another kind" },
    };

    assert_non_null(f);
    assert_int_equal(fread(&header, sizeof(header), 1, f), 1);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        unsigned char forged[sizeof(header)];
        _cleanup_(freep) char *path = NULL, *reason = NULL;

        memcpy(forged, &header, sizeof(header));
        memcpy(forged + table[i].offset, table[i].value, table[i].n);
        if (table[i].offset == EI_CLASS)
            forged[EI_CLASS] = header.e_ident[EI_CLASS] == ELFCLASS64 ? ELFCLASS32 : ELFCLASS64;
        if (table[i].offset == EI_DATA)
            forged[EI_DATA] = header.e_ident[EI_DATA] == ELFDATA2LSB ? ELFDATA2MSB : ELFDATA2LSB;
        path = scratch_write(folder, "forged.so", forged, table[i].length, 0644);
        assert_int_equal(library_check_elf(path, PROBE, &reason), table[i].error);
        if (table[i].error) {
            expect_words(reason, table[i].words);
            expect_words(reason, path);
        } else
            assert_null(reason);
    }
}

static void test_build_id(void **state)
{
    (void)state;
    const Library a = { .dev = 1, .inode = 2, .mtime = { 3, 4 }, .size = 5 };
    const Library others[] = {
        { .dev = 9, .inode = 2, .mtime = { 3, 4 }, .size = 5 },
        { .dev = 1, .inode = 9, .mtime = { 3, 4 }, .size = 5 },
        { .dev = 1, .inode = 2, .mtime = { 9, 4 }, .size = 5 },
        { .dev = 1, .inode = 2, .mtime = { 3, 9 }, .size = 5 },
        { .dev = 1, .inode = 2, .mtime = { 3, 4 }, .size = 9 },
    };
    _cleanup_(freep) char *id = library_build_id(&a);

    assert_string_equal(id, "1:2:3.000000004:5");
    for (size_t i = 0; i < ELEMENTSOF(others); i++) {
        _cleanup_(freep) char *other = library_build_id(&others[i]);
        assert_string_not_equal(id, other);
    }
}

/* ---- all of it ---- */

/* A library of ours, in /tmp: everything is right with it but the place. */
static void test_below_tmp(void **state)
{
    (void)state;
    _cleanup_(freep) char *path =
        scratch_compile(folder, "libown.so", library_source, (const char *const[]){ "-shared", NULL });

    expect_refusal(path, -EPERM, "can be changed by users other than root: /tmp is writable by everybody");
}

/* With a folder that is root's alone: accepted, and then refused for one fault after the other. */
static void test_own_library(void **state)
{
    (void)state;
    static const char *const shared[] = { "-shared", NULL };

    if (!safe)
        skip_because("only root, with a mount of its own, has a folder that is root's all the way");
    scratch_need_library("libjemalloc.so.2");
    _cleanup_(freep) char *path = scratch_compile(safe, "libown-1.0.so", library_source, shared);
    _cleanup_(freep) char *link = xasprintf("%s/libown.so", safe);
    _cleanup_(freep) char *damaged = NULL, *user = NULL, *reason = NULL;
    _cleanup_(library_clear) Library library = { 0 };

    assert_int_equal(symlink("libown-1.0.so", link), 0);
    if (library_resolve(link, PROBE, &library, &reason) < 0)
        fail_msg("%s", reason);
    assert_string_equal(library.path, link);
    assert_string_equal(library.realpath, path);

    /* A path that LD_PRELOAD would split, behind a link that it would not. */
    assert_int_equal(mkdir("/mnt/a b", 0755), 0);
    assert_int_equal(rename(path, "/mnt/a b/lib.so"), 0);
    assert_int_equal(symlink("a b/lib.so", path), 0);
    expect_refusal(path, -EINVAL, "no blanks, colons");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rename("/mnt/a b/lib.so", path), 0);

    /* Only the dynamic linker sees this. */
    damaged = scratch_compile(safe, "libdamaged.so", library_source, shared);
    assert_int_equal(truncate(damaged, 64), 0);
    expect_refusal(damaged, -ENOEXEC, "is refused by the dynamic linker: ");

    /* Found by its bare name, but damaged: not to be mistaken for one that is not installed. */
    library_clear(&library);
    if (library_resolve("libjemalloc.so.2", PROBE, &library, &reason) < 0)
        fail_msg("%s", reason);
    assert_int_equal(mount(damaged, library.realpath, NULL, MS_BIND, NULL), 0);
    expect_refusal("libjemalloc.so.2", -ENOEXEC, "libjemalloc.so.2 is refused by the dynamic linker: ");
    assert_int_equal(umount(library.realpath), 0);

    /* What it needs must be there, and as safe. */
    user =
        scratch_compile(safe, "libuser.so", "int answer(void); int twice(void) { return 2 * answer(); }\n",
                        (const char *const[]){ "-shared", "-Wl,--no-as-needed", "/mnt/libown-1.0.so", NULL });
    library_clear(&library);
    if (library_resolve(user, PROBE, &library, &reason) < 0)
        fail_msg("%s", reason);
    assert_int_equal(chmod(path, 0666), 0);
    expect_refusal(user, -EPERM, "/mnt/libuser.so needs /mnt/libown-1.0.so: ");
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(unlink(path), 0);
    expect_refusal(user, -ENOENT, "/mnt/libuser.so needs /mnt/libown-1.0.so, which is not installed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packages),      cmocka_unit_test(test_installed),
        cmocka_unit_test(test_names_refused), cmocka_unit_test(test_package_hint),
        cmocka_unit_test(test_no_probe),      cmocka_unit_test(test_elf),
        cmocka_unit_test(test_build_id),      cmocka_unit_test(test_below_tmp),
        cmocka_unit_test(test_own_library),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
