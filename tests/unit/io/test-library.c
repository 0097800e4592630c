/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of io/library: the libraries that are installed here, and every way in which one is refused. As root,
 * where a mount of our own is possible, also whole refusals of libraries in folders that are root's alone. */
#include "core/release.h"
#include "io/library.h"
#include "io/text-file.h"

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
    if (error == -ENOENT)
        assert_null(library.path);
    library_clear(&library);
}

/* ---- names ---- */

/* Of which release is test-release's to see to. */
static void test_packages(void **state)
{
    (void)state;
    _cleanup_(freep) char *os_release = NULL;

    assert_int_equal(text_file_read("/etc/os-release", &os_release), 0);
    assert_true(
        streq_null(library_package("libtcmalloc.so.4"), release_package(os_release, "libtcmalloc.so.4")));
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

/* What is missing is told with its package here, or with what works here instead. */
static void test_package_hint(void **state)
{
    (void)state;
    static const char *const names[] = { "libmimalloc.so.2", "libmimalloc.so.3", "libtcmalloc.so.4" };
    _cleanup_(freep) char *os_release = NULL;

    assert_int_equal(text_file_read("/etc/os-release", &os_release), 0);
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        _cleanup_(library_clear) Library library = { 0 };
        _cleanup_(freep) char *absolute = xasprintf("/usr/lib/nowhere/%s", names[i]), *reason = NULL;
        _cleanup_(freep) char *hint = release_advice(os_release, names[i]);

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

/* ---- where what it needs is looked for ---- */

#define OWNER_NOBODY 65534

/* A library that needs libm (whose floor() it calls), with these flags for the linker. */
static char *compile_with(const char *name, const char *const *flags)
{
    static const char source[] = "double floor(double); double f(double x) { return floor(x); }\n";
    const char *all[8] = { "-shared", "-fno-builtin", "-Wl,--no-as-needed", "-lm" };
    size_t n = 4;

    for (; *flags; flags++)
        all[n++] = *flags;
    assert_true(n < ELEMENTSOF(all));
    return scratch_compile(safe, name, source, all);
}

/* What the dynamic linker passes over, because it is for another class, and would not if it became another
 * file. */
static void write_other_class(const char *path)
{
    Elf32_Ehdr header = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS32, ELFDATA2LSB,
                                       EV_CURRENT },
                          .e_type = ET_DYN,
                          .e_version = EV_CURRENT };

    free(scratch_write("/", path + 1, &header, sizeof(header), 0644));
}

static void make_search_tree(void)
{
    static const struct {
        const char *path;
        mode_t mode;
        uid_t owner;
    } directories[] = {
        { "/mnt/good", 0755, 0 },
        { "/mnt/evil", 0755, OWNER_NOBODY },
        { "/mnt/evil/root", 0755, 0 },
        { "/mnt/open", 01777, 0 },
        { "/mnt/caps", 0755, 0 },
        { "/mnt/caps/glibc-hwcaps", 0755, 0 },
        { "/mnt/caps/glibc-hwcaps/x86-64-v3", 0755, OWNER_NOBODY },
        { "/mnt/old", 0755, 0 },
        { "/mnt/old/tls", 0755, 0 },
        { "/mnt/old/tls/haswell", 0757, 0 },
        { "/mnt/file", 0755, 0 },
    };

    for (size_t i = 0; i < ELEMENTSOF(directories); i++)
        assert_int_equal(mkdir(directories[i].path, 0755) | chmod(directories[i].path, directories[i].mode) |
                             chown(directories[i].path, directories[i].owner, 0),
                         0);
    write_other_class("/mnt/file/libm.so.6");
    assert_int_equal(chown("/mnt/file/libm.so.6", OWNER_NOBODY, 0), 0);
    assert_int_equal(symlink("/mnt/evil/root", "/mnt/link"), 0);
}

/* As ld.so(8) says, in RPATH and RUNPATH alike: no directory of it may be one in which others can put
 * something, whether it is there yet or not, nor one below it that the dynamic linker looks into first. */
static void test_search_path(void **state)
{
    (void)state;
    static const struct {
        const char *path, *words; /* NULL: accepted */
    } table[] = {
        { "/mnt/good", NULL },
        { "$ORIGIN", NULL },
        { "/mnt/none/yet", NULL },
        { "/mnt/libsearch.so/x", NULL }, /* no directory, and never one of others */
        { "/mnt/evil", "/mnt/libsearch.so looks for libraries in /mnt/evil (KIND), which can be changed by "
                       "users other than root: it "
                       "belongs to user \"nobody\" (patchelf --remove-rpath /mnt/libsearch.so)" },
        { "/mnt/evil/none/yet",
          "in /mnt/evil/none/yet (KIND), which can be changed by users other than root: /mnt/evil" },
        { "/mnt/evil/root", ": /mnt/evil belongs to user" },
        { "/mnt/link/", ": /mnt/evil belongs to user" },
        { "/mnt/open", "it is writable by everybody, mode 1777 (patchelf --remove-rpath /mnt/libsearch.so)" },
        { "$ORIGIN/evil", "in /mnt/evil (KIND)" },
        { "${ORIGIN}/../mnt/evil", "in /mnt/../mnt/evil (KIND)" },
        { "/mnt/good:/mnt/evil", "in /mnt/evil (KIND)" },
        { "/mnt/evil:/mnt/good", "in /mnt/evil (KIND)" },
        { "/mnt/caps", "in /mnt/caps/glibc-hwcaps/x86-64-v3 (KIND), which can be changed by users" },
        { "/mnt/old",
          "in /mnt/old/tls/haswell (KIND), which can be changed by users other than root: it is writable" },
        { "/mnt/file",
          "finds /mnt/file/libm.so.6 (KIND), which can be changed by users other than root: it belongs to" },
        { "lib", "looks for libraries in \"lib\" (KIND), relative to wherever a program is started" },
        { "/mnt/good:", "looks for libraries in \"\" (KIND), relative" },
        { "/usr/$LIB", "looks for libraries in \"/usr/$LIB\" (KIND), and only $ORIGIN is followed here" },
    };
    static const char *const kinds[][2] = { { "RUNPATH", "-Wl,--enable-new-dtags" },
                                            { "RPATH", "-Wl,--disable-new-dtags" } };

    if (!safe)
        skip_because("only root, with a mount of its own, has a folder that is root's all the way");
    make_search_tree();
    for (size_t i = 0; i < ELEMENTSOF(table) * ELEMENTSOF(kinds); i++) {
        const char *const *kind = kinds[i % ELEMENTSOF(kinds)], *words = table[i / ELEMENTSOF(kinds)].words;
        _cleanup_(freep) char *flag = xasprintf("-Wl,-rpath,%s", table[i / ELEMENTSOF(kinds)].path);
        _cleanup_(freep) char *path =
            compile_with("libsearch.so", (const char *const[]){ flag, kind[1], NULL });
        _cleanup_(library_clear) Library library = { 0 };
        _cleanup_(freep) char *reason = NULL, *expected = NULL;
        int r = library_resolve(path, PROBE, &library, &reason);
        const char *at = words ? strstr(words, "KIND") : NULL;

        expected = at ? xasprintf("%.*s%s%s", (int)(at - words), words, kind[0], at + 4) : xstrdup(words);
        if (r != (words ? -EPERM : 0))
            fail_msg("%s: %d %s", flag, r, reason ? reason : "");
        if (words)
            expect_words(reason, expected);
    }
}

/* The needed library of a needed library is looked for by their paths, too. */
static void test_search_path_of_needed(void **state)
{
    (void)state;
    if (!safe)
        skip_because("only root, with a mount of its own, has a folder that is root's all the way");
    _cleanup_(freep) char *inner =
        compile_with("libinner.so",
                     (const char *const[]){ "-Wl,-rpath,/mnt/evil2", "-Wl,-soname,/mnt/libinner.so", NULL });
    _cleanup_(freep) char *outer = compile_with("libouter.so", (const char *const[]){ inner, NULL });

    assert_int_equal(mkdir("/mnt/evil2", 0755) | chown("/mnt/evil2", OWNER_NOBODY, 0), 0);
    expect_refusal(outer, -EPERM,
                   "/mnt/libinner.so looks for libraries in /mnt/evil2 (RUNPATH), which can be");
    assert_int_equal(chown("/mnt/evil2", 0, 0), 0);
    _cleanup_(library_clear) Library library = { 0 };
    _cleanup_(freep) char *reason = NULL;
    if (library_resolve(outer, PROBE, &library, &reason) < 0)
        fail_msg("%s", reason);

    /* What was found safe is looked at again cheaply: it differs as soon as it may not be safe any more, and
     * not when another file comes into a directory. */
    _cleanup_(freep) char *before = library_guard(library.looked), *same = NULL, *after = NULL;
    free(scratch_write("/mnt/evil2", "another", "", 0, 0644));
    same = library_guard(library.looked);
    assert_string_equal(before, same);
    assert_int_equal(chmod("/mnt/evil2", 0777), 0);
    after = library_guard(library.looked);
    assert_string_not_equal(before, after);

    /* So it is with one that is refused: when it is fixed, that is seen. */
    library_clear(&library);
    assert_int_equal(library_resolve(outer, PROBE, &library, &reason), -EPERM);
    _cleanup_(freep) char *refused = library_guard(library.looked), *fixed = NULL;
    assert_string_equal(library.path, outer); /* it is known, and refused */
    assert_int_equal(chmod("/mnt/evil2", 0755), 0);
    fixed = library_guard(library.looked);
    assert_string_not_equal(refused, fixed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packages),
        cmocka_unit_test(test_installed),
        cmocka_unit_test(test_names_refused),
        cmocka_unit_test(test_package_hint),
        cmocka_unit_test(test_no_probe),
        cmocka_unit_test(test_elf),
        cmocka_unit_test(test_build_id),
        cmocka_unit_test(test_below_tmp),
        cmocka_unit_test(test_own_library),
        cmocka_unit_test(test_search_path),
        cmocka_unit_test(test_search_path_of_needed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
