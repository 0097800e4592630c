/* SPDX-License-Identifier: BSD-3-Clause */
/* Who serves malloc, asked of real processes and held against what the dynamic linker did in them: each says
 * by dladdr(3) where its malloc comes from. And made-up folders like /proc/PID, for a root that is not ours.
 */
#include "test.h"

#include "core/preload.h"
#include "io/elf-file.h"

#include "scratch.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool trouble; /* no file can be read */

/* Instead of libc's: no disk fails when a test wants it. */
ssize_t pread(int fd, void *to, size_t size, off_t at)
{
    if (trouble) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pread64, fd, to, size, at);
}

/* Prints the file that its malloc is in, and waits. */
static const char program_source[] =
    "#include <dlfcn.h>\n#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
    "int main(void) {\n"
    "    Dl_info info;\n"
    "    if (getenv(\"DLOPEN\") && !dlopen(getenv(\"DLOPEN\"), RTLD_NOW | RTLD_LOCAL)) return 1;\n"
    "    dladdr(malloc, &info);\n"
    "    printf(\"%s\\n\", info.dli_fname);\n"
    "    fflush(stdout);\n"
    "    pause();\n"
    "}\n";

/* An allocator that passes all on to glibc's. */
static const char heap_source[] = "#include <stddef.h>\n"
                                  "void *__libc_malloc(size_t); void *__libc_calloc(size_t, size_t); void "
                                  "*__libc_realloc(void *, size_t);\n"
                                  "void __libc_free(void *);\n"
                                  "void *malloc(size_t n) { return __libc_malloc(n); }\n"
                                  "void *calloc(size_t n, size_t m) { return __libc_calloc(n, m); }\n"
                                  "void *realloc(void *p, size_t n) { return __libc_realloc(p, n); }\n"
                                  "void free(void *p) { __libc_free(p); }\n"
                                  "int needed_one(void) { return 1; }\n";

static char *folder;
static char *heap, *other, *nothing, *versioned, *middle, *late;
static char *program, *program_linked, *program_behind, *program_deep, *program_static, *program_hidden;

static char *compile(const char *name, const char *source, const char *a, const char *b, const char *c,
                     const char *d)
{
    return scratch_compile(folder, name, source, (const char *const[]){ a, b, c, d, NULL });
}

static int setup(void **state)
{
    (void)state;
    folder = scratch_new();
    heap = compile("libheap-2.so", heap_source, "-shared", "-Wl,-soname,libheap.so.2", NULL, NULL);
    other = compile("libother.so", heap_source, "-shared", NULL, NULL, NULL);
    nothing = compile("libno_malloc.so", "int needed_one(void) { return 2; }", "-shared", NULL, NULL, NULL);
    _cleanup_(freep) char *map = scratch_write(folder, "map", "HEAP_1 { *; };", 14, 0644);
    _cleanup_(freep) char *script = xasprintf("-Wl,--version-script=%s", map);
    versioned = compile("libversioned.so", heap_source, "-shared", script, NULL, NULL);
    _cleanup_(freep) char *rpath = xasprintf("-Wl,-rpath,%s", folder);
    /* The linker finds it by this name; the file that is loaded bears its soname. */
    _cleanup_(freep) char *link = xasprintf("%s/libheap.so.2", folder);
    assert_int_equal(symlink("libheap-2.so", link), 0);
    middle =
        compile("libmiddle.so", "extern int needed_one(void); int middle_one(void) { return needed_one(); }",
                "-shared", "-Wl,--no-as-needed", heap, rpath);
    /* The order on its command line is the order of DT_NEEDED. */
    program = compile("program", program_source, "-pie", NULL, NULL, NULL);
    program_linked = compile("linked", program_source, "-Wl,--no-as-needed", heap, rpath, NULL);
    program_behind = compile("behind", program_source, "-Wl,--no-as-needed", "-lc", heap, rpath);
    program_deep = compile("deep", program_source, "-Wl,--no-as-needed", middle, rpath, NULL);
    _cleanup_(freep) char *both = xasprintf("%s%s", program_source, heap_source);
    program_static = compile("static", both, "-pie", NULL, NULL, NULL);
    _cleanup_(freep) char *hide = scratch_write(folder, "hide", "{ local: *; };", 14, 0644);
    _cleanup_(freep) char *hiding = xasprintf("-Wl,--version-script=%s", hide);
    program_hidden = compile("hidden", both, "-pie", hiding, NULL, NULL);
    late = compile("liblate.so", heap_source, "-shared", NULL, NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    char *all[] = { heap,    other,          nothing,      versioned,      middle,         late,
                    program, program_linked, program_deep, program_static, program_hidden, program_behind };
    for (size_t i = 0; i < ELEMENTSOF(all); i++)
        free(all[i]);
    scratch_free(folder);
    return 0;
}

/* ---- a process, and what is found of it ---- */

typedef struct Running {
    pid_t pid;
    int dir;
    const char *program;
    char *says; /* the real path of what serves its malloc; NULL: glibc */
} Running;

/* In mounts of its own, in which `hidden` is what `shown` is here; both NULL: in ours. */
static Running start_in(const char *path, const char *preload, const char *dlopened, const char *hidden,
                        const char *shown)
{
    _cleanup_(freep) char *a = xasprintf("LD_PRELOAD=%s", preload ? preload : "");
    _cleanup_(freep) char *b = xasprintf("LD_LIBRARY_PATH=%s", folder);
    _cleanup_(freep) char *c = dlopened ? xasprintf("DLOPEN=%s", dlopened) : NULL;
    char *environment[] = { a, b, c, NULL }, *argv[] = { (char *)path, NULL };
    int out[2];
    char line[PATH_MAX] = "", proc[32];
    Running p = { .program = path };

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    p.pid = fork();
    assert_true(p.pid >= 0);
    if (p.pid == 0) {
        dup2(out[1], 1);
        if (hidden && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
                       mount(shown, hidden, NULL, MS_BIND, NULL) < 0))
            _exit(127);
        execve(path, argv, environment);
        _exit(127);
    }
    close(out[1]);
    _cleanup_(fclosep) FILE *f = fdopen(out[0], "r");
    if (!fgets(line, sizeof(line), f))
        fail_msg("%s says nothing", path);
    line[strcspn(line, "\n")] = '\0';
    p.says = realpath(line, NULL);
    if (strstr(p.says, "/libc.so.6")) {
        free(p.says);
        p.says = NULL;
    }
    snprintf(proc, sizeof(proc), "/proc/%d", (int)p.pid);
    p.dir = open(proc, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(p.dir >= 0);
    return p;
}

static Running start(const char *path, const char *preload, const char *dlopened)
{
    return start_in(path, preload, dlopened, NULL, NULL);
}

static void stop(const Running *p)
{
    kill(p->pid, SIGKILL);
    waitpid(p->pid, NULL, 0);
    close(p->dir);
    free(p->says);
}

static char *read_maps(const Running *p)
{
    _cleanup_(freep) char *path = xasprintf("/proc/%d/maps", (int)p->pid);
    _cleanup_(fclosep) FILE *f = fopen(path, "re");
    char *text = NULL;
    size_t n = 0;

    assert_non_null(f);
    assert_true(getdelim(&text, &n, '\0', f) > 0);
    return text;
}

static MappedLibrary look_up(ElfCache *cache, const Running *p, const char *preload)
{
    _cleanup_(freep) char *maps = read_maps(p);
    _cleanup_(preloads_clear) Preloads preloads = { 0 };
    MappedLibrary m;

    const ElfProcess process = { .dir = p->dir, .maps = maps, .program = p->program, .preload = preload };
    assert_int_equal(elf_cache_lookup(cache, &process, NULL, &m, &preloads), 0);
    return m;
}

/* ---- as the dynamic linker did ---- */

static void test_as_the_dynamic_linker(void **state)
{
    _cleanup_(elf_cache_freep) ElfCache *cache = elf_cache_new();
    _cleanup_(freep) char *two = xasprintf("%s %s", nothing, other), *odd = xasprintf("%s/odd", folder),
                          *by_link = xasprintf("%s:%s", odd, other);
    const struct {
        const char *what, *program, *preload;
        Origin origin;
    } table[] = {
        { "nothing", program, NULL, ORIGIN_LIBC },
        { "preloaded", program, heap, ORIGIN_PRELOAD },
        { "preloaded by its soname", program, "libheap.so.2", ORIGIN_PRELOAD },
        { "preloaded by a link of another name", program, by_link, ORIGIN_PRELOAD },
        { "the second of two", program, two, ORIGIN_PRELOAD },
        { "named malloc, defines none", program, nothing, ORIGIN_LIBC },
        { "of a version of its own", program, versioned, ORIGIN_LIBC },
        { "linked with", program_linked, NULL, ORIGIN_NEEDED },
        { "linked with, and another preloaded", program_linked, other, ORIGIN_PRELOAD },
        { "linked with, behind libc", program_behind, NULL, ORIGIN_LIBC },
        { "needed by a library that it is linked with", program_deep, NULL, ORIGIN_LIBC },
        { "linked in", program_static, NULL, ORIGIN_PROGRAM },
        { "linked in, and another preloaded", program_static, other, ORIGIN_PROGRAM },
        { "linked in and hidden", program_hidden, NULL, ORIGIN_PROGRAM },
    };

    (void)state;
    assert_int_equal(symlink(heap, odd), 0);
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        Running p = start(table[i].program, table[i].preload, NULL);
        MappedLibrary m = look_up(cache, &p, table[i].preload);
        if (!streq_null(m.path, p.says))
            fail_msg("%s: %s, but it says %s", table[i].what, m.path ? m.path : "glibc",
                     p.says ? p.says : "glibc");
        if (m.origin != table[i].origin || m.unread)
            fail_msg("%s: origin %u, unread %s", table[i].what, m.origin, m.unread ? m.unread : "none");
        mapped_library_clear(&m);
        stop(&p);
    }
}

/* The one thing that is decided otherwise (see core/lookup.h). */
static void test_loaded_later(void **state)
{
    _cleanup_(elf_cache_freep) ElfCache *cache = elf_cache_new();
    Running p = start(program, NULL, late);
    MappedLibrary m = look_up(cache, &p, NULL);

    (void)state;
    assert_null(p.says);
    assert_string_equal(m.path, late);
    assert_int_equal(m.origin, ORIGIN_LOADED);
    mapped_library_clear(&m);
    stop(&p);
}

static void test_installed_allocators(void **state)
{
    static const struct {
        const char *name;
        Family family;
    } table[] = {
        { "libjemalloc.so.2", FAMILY_JEMALLOC },         { "libtcmalloc.so.4", FAMILY_TCMALLOC },
        { "libtcmalloc_minimal.so.4", FAMILY_TCMALLOC }, { "libmimalloc.so.2", FAMILY_MIMALLOC },
        { "libmimalloc.so.3", FAMILY_MIMALLOC },
    };
    _cleanup_(elf_cache_freep) ElfCache *cache = elf_cache_new();
    size_t tried = 0;

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        Running p = start(program, table[i].name, NULL);
        MappedLibrary m = look_up(cache, &p, table[i].name);
        assert_true(streq_null(m.path, p.says));
        assert_null(m.unread);
        if (p.says) { /* else it is not installed */
            assert_int_equal(m.family, table[i].family);
            tried++;
        }
        mapped_library_clear(&m);
        stop(&p);
    }
    if (tried == 0)
        skip_because("no allocator is installed (apt install libjemalloc2)");
}

/* ---- read once ---- */

static void test_one_build_is_read_once(void **state)
{
    _cleanup_(elf_cache_freep) ElfCache *cache = elf_cache_new();
    _cleanup_(freep) char *copy = xasprintf("%s/libcopy.so", folder),
                          *command = xasprintf("cp %s %s/libcopy.so", heap, folder);

    (void)state;
    assert_int_equal(system(command), 0);
    Running p = start(program, copy, NULL), q = start(program, copy, NULL);
    MappedLibrary m = look_up(cache, &p, copy);
    const size_t reads = elf_cache_reads(cache);
    assert_true(reads >= 3); /* the program, the copy, libc, the dynamic linker */
    mapped_library_clear(&m);
    m = look_up(cache, &q, copy);
    assert_string_equal(m.path, copy);
    assert_int_equal(elf_cache_reads(cache), reads);
    mapped_library_clear(&m);

    /* Another build in the same file is another build. */
    assert_int_equal(utimensat(AT_FDCWD, copy, (struct timespec[]){ { .tv_sec = 1 }, { .tv_sec = 1 } }, 0),
                     0);
    m = look_up(cache, &q, copy);
    assert_int_equal(elf_cache_reads(cache), reads + 1);
    mapped_library_clear(&m);
    stop(&p);
    stop(&q);
}

/* What could not be read for a moment is read again: it is not known by its names only for ever. */
static void test_trouble_is_not_remembered(void **state)
{
    _cleanup_(elf_cache_freep) ElfCache *cache = elf_cache_new();

    (void)state;
    Running p = start(program, heap, NULL);
    trouble = true;
    MappedLibrary m = look_up(cache, &p, NULL);
    trouble = false;
    assert_non_null(m.unread);
    mapped_library_clear(&m);
    m = look_up(cache, &p, NULL);
    assert_null(m.unread);
    assert_string_equal(m.path, heap);
    mapped_library_clear(&m);
    stop(&p);
}

/* Who may follow map_files sees the file that is mapped; who may not judges by its name, and says so. */
static void test_replaced(void **state)
{
    _cleanup_(elf_cache_freep) ElfCache *cache = elf_cache_new();
    _cleanup_(freep) char *copy = xasprintf("%s/libodd.so", folder),
                          *command = xasprintf("cp %s %s/libodd.so", heap, folder);

    (void)state;
    assert_int_equal(system(command), 0);
    Running p = start(program, copy, NULL);
    assert_int_equal(unlink(copy), 0);
    MappedLibrary m = look_up(cache, &p, copy);
    if (geteuid() == 0) {
        assert_string_equal(m.path, copy);
        assert_true(m.deleted);
        assert_false(m.elsewhere);
        assert_null(m.unread);
    } else {
        assert_null(m.path);
        assert_string_equal(m.unread, copy);
    }
    mapped_library_clear(&m);
    stop(&p);
}

/* The sandbox of a relay may have another file at the same path. */
static void test_another_file_of_that_path(void **state)
{
    _cleanup_(elf_cache_freep) ElfCache *cache = elf_cache_new();

    (void)state;
    if (geteuid() != 0)
        skip();
    Running here = start(program, heap, NULL), there = start_in(program, heap, NULL, heap, other);
    for (int i = 0; i < 2; i++) { /* also of what is known already */
        MappedLibrary m = look_up(cache, &here, heap);
        assert_string_equal(m.path, heap);
        assert_false(m.elsewhere);
        mapped_library_clear(&m);
        m = look_up(cache, &there, heap);
        assert_string_equal(m.path, heap);
        assert_true(m.elsewhere);
        assert_false(m.deleted);
        assert_null(m.unread);
        mapped_library_clear(&m);
    }
    stop(&here);
    stop(&there);
}

/* ---- a root that is not ours ---- */

static char *sub(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static void make_folder(const char *name)
{
    _cleanup_(freep) char *path = sub(name);

    assert_int_equal(mkdir(path, 0755), 0);
}

static void write_file(const char *name, const char *text)
{
    free(scratch_write(folder, name, text, strlen(text), 0644));
}

static void make_link(const char *name, const char *target)
{
    _cleanup_(freep) char *path = sub(name);

    assert_int_equal(symlink(target, path), 0);
}

static int look_up_in(const char *proc, const char *maps, const char *preload, MappedLibrary *ret,
                      Preloads *ret_preloads)
{
    _cleanup_(elf_cache_freep) ElfCache *cache = elf_cache_new();
    _cleanup_(freep) char *path = sub(proc);
    _cleanup_(closep) int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    assert_true(dir >= 0);
    const ElfProcess process = { .dir = dir, .maps = maps, .program = "/usr/bin/tor", .preload = preload };
    return elf_cache_lookup(cache, &process, NULL, ret, ret_preloads);
}

static void test_system_preload(void **state)
{
    static const char maps[] = "10-20 r-xp 0 00:00 5 /usr/bin/tor\n30-40 r-xp 0 00:00 6 /l/libheap.so.2.9\n"
                               "50-60 r-xp 0 00:00 7 /l/libc.so.6\n";
    _cleanup_(preloads_clear) Preloads preloads = { 0 }, none = { 0 };
    MappedLibrary m;

    (void)state;
    make_folder("proc");
    make_folder("proc/root");
    make_folder("proc/root/etc");
    make_folder("proc/root/l");
    _cleanup_(freep) char *command = xasprintf("cp %s %s/proc/root/l/libheap.so.2.9", heap, folder);
    assert_int_equal(system(command), 0);
    /* A link that would lead out of its root by itself, and one that leads where there is something outside
     * alone. */
    make_link("proc/root/l/libheap.so.2", "/l/libheap.so.2.9");
    make_link("proc/root/l/outside.so", other);
    write_file("proc/root/etc/ld.so.preload",
               "# for all\n/l/outside.so /l/gone.so\n/l/libheap.so.2 # the one\n");
    assert_int_equal(look_up_in("proc", maps, NULL, &m, &preloads), 0);
    assert_string_equal(m.path, "/l/libheap.so.2.9");
    assert_int_equal(m.origin, ORIGIN_SYSTEM_PRELOAD);
    mapped_library_clear(&m);
    assert_int_equal(preloads.n, 3);
    assert_null(preloads.items[0].target);
    assert_null(preloads.items[1].target);
    assert_string_equal(preloads_system_allocator(&preloads)->name, "/l/libheap.so.2");

    assert_int_equal(look_up_in("proc", "", NULL, &m, &none), -ENODATA);
}

/* What could hold us, or is none of our business, is not opened. */
static void test_odd_files(void **state)
{
    _cleanup_(freep) char *fifo = sub("fifo.so"), *maps = NULL;
    _cleanup_(preloads_clear) Preloads preloads = { 0 };
    struct stat st;
    MappedLibrary m;

    (void)state;
    assert_int_equal(mkfifo(fifo, 0644), 0);
    assert_int_equal(stat(fifo, &st), 0);
    make_folder("odd-proc");
    make_folder("odd-proc/root");
    make_folder("odd-proc/root/etc");
    make_link("odd-proc/root/etc/ld.so.preload", "fifo");
    _cleanup_(freep) char *inside = sub("odd-proc/root/etc/fifo");
    assert_int_equal(mkfifo(inside, 0644), 0);
    maps = xasprintf("10-20 r-xp 0 %x:%x %ju %s\n20-30 r-xp 0 00:00 7 /etc\n30-40 r-xp 0 00:00 8 /etc/fifo\n",
                     major(st.st_dev), minor(st.st_dev), (uintmax_t)st.st_ino, fifo);
    assert_int_equal(look_up_in("odd-proc", maps, fifo, &m, &preloads), 0);
    assert_null(m.path);
    assert_string_equal(m.unread, fifo);
    mapped_library_clear(&m);
}

/* ---- preloads of others ---- */

static void assert_kept(const char *preload, const char *expected)
{
    _cleanup_(freep) char *beside = xasprintf("%s/libours.so", folder);
    char *libraries[] = { beside, nothing, NULL }; /* the second is an allocator because we say so */
    _cleanup_(strv_freep) char **kept = NULL;

    assert_int_equal(elf_preloads_kept(preload, libraries, &kept), 0);
    _cleanup_(freep) char *joined = preload_join(NULL, kept);

    if (!streq(joined, expected))
        fail_msg("of \"%s\": \"%s\"", preload ? preload : "NULL", joined);
}

/* By its name it would be kept, and by another name it would not. */
static void test_preloads_that_cannot_be_read_for_a_moment(void **state)
{
    char *libraries[] = { nothing, NULL };
    char **untouched = NULL;

    (void)state;
    trouble = true;
    int r = elf_preloads_kept(other, libraries, &untouched);
    trouble = false;
    assert_int_equal(r, -EIO);
    assert_null(untouched);
}

/* What is an allocator its content tells, whatever it is called. */
static void test_preloads_kept(void **state)
{
    (void)state;
    _cleanup_(freep) char *wrap =
        compile("libwrap_malloc.so", "int connect(void) { return 2; }", "-shared", NULL, NULL, NULL);
    _cleanup_(freep) char *both = xasprintf("%s:%s", other, wrap), *second = xasprintf("%s %s", wrap, heap);
    _cleanup_(freep) char *missing = xasprintf("/gone/libjemalloc.so.2:/gone/libmy_malloc.so:/gone/libx.so");
    _cleanup_(freep) char *specifier = xasprintf("%s:/lib/%%i.so", wrap);

    assert_kept(NULL, "");
    assert_kept("", "");
    assert_kept(wrap, wrap);
    assert_kept(both, wrap);
    assert_kept(second, wrap);
    assert_kept(nothing, "");
    assert_kept("libwrap_malloc.so", "libwrap_malloc.so"); /* by its name alone */
    assert_kept("libother.so", "");
    assert_kept("libheap-2.so", "");
    assert_kept(missing, "/gone/libx.so");
    assert_kept(specifier, wrap);
    free(scratch_write(folder, "libbad.so", "\177ELF", 4, 0644));
    assert_kept("libbad.so", "libbad.so");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_dynamic_linker),
        cmocka_unit_test(test_loaded_later),
        cmocka_unit_test(test_installed_allocators),
        cmocka_unit_test(test_one_build_is_read_once),
        cmocka_unit_test(test_trouble_is_not_remembered),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_another_file_of_that_path),
        cmocka_unit_test(test_system_preload),
        cmocka_unit_test(test_odd_files),
        cmocka_unit_test(test_preloads_that_cannot_be_read_for_a_moment),
        cmocka_unit_test(test_preloads_kept),
    };

    return cmocka_run_group_tests_name("elf-file", tests, setup, teardown);
}
