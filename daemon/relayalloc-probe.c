/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints which library serves malloc in a process that was started like this one, and proves that it works by
 * using it; or, inside the sandbox of a relay's unit, whether a library can be loaded there. Links with
 * nothing but libc, and must never need privileges: whatever a candidate library does, it does it here first.
 *
 * Output, lines of NAME=VALUE on stdout (unknown names are to be ignored by readers):
 *   family=glibc|jemalloc|mimalloc|tcmalloc|other   who serves malloc
 *   version=2.0.9                                   may be empty
 *   library=/usr/lib/…/libmimalloc.so.2.0           real path of the object that serves malloc
 *   remark=a sentence                               has a fault that no relay meets
 *   confined=PROFILE, or empty                      with --apparmor; empty: AppArmor is not in use
 *   loadable=yes|no                                 with --dlopen
 *   error=a sentence                                with every exit status but 0 and 2 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <gnu/libc-version.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "unknown"
#endif

enum {
    STATUS_OK = 0,
    STATUS_BAD = 1,     /* the allocator misbehaves, or the library cannot be loaded */
    STATUS_USAGE = 2,   /* the command line is wrong */
    STATUS_UNKNOWN = 3, /* no verdict: what was needed for one (an AppArmor profile) is not there */
};

/* Reports the fault without allocating: the allocator may be what is broken. */
__attribute__((format(printf, 2, 3), noreturn)) static void fail(int status, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    fputs("error=", stdout);
    vprintf(format, ap);
    putchar('\n');
    va_end(ap);
    fflush(stdout);
    _exit(status);
}

/* ---- who serves malloc ---- */

/* Address of a function as callers of this process get it; memcpy because ISO C has no such conversion. */
static bool find_function(const char *name, void *ret, Dl_info *info)
{
    void *address = dlsym(RTLD_DEFAULT, name);

    if (!address || !dladdr(address, info))
        return false;
    memcpy(ret, &address, sizeof(address));
    return true;
}

/* The same, only if it belongs to the object at `base`: two allocators may be loaded, one serves malloc. */
static bool find_in(const void *base, const char *name, void *ret)
{
    Dl_info info;

    return find_function(name, ret, &info) && info.dli_fbase == base;
}

/* mimalloc encodes its version in three ways: 209 is 2.0.9; 3010 (3.0.10 to 3.2.8) is 3.0.10; 20401 (from
 * 2.3.0 and 3.3.0 on) is 2.4.1. From include/mimalloc.h of its releases. */
static void print_mimalloc_version(int v)
{
    if (v < 1000)
        printf("version=%d.%d.%d\n", v / 100, v / 10 % 10, v % 10);
    else if (v < 10000)
        printf("version=%d.%d.%d\n", v / 1000, v / 100 % 10, v % 100);
    else
        printf("version=%d.%d.%d\n", v / 10000, v / 100 % 100, v % 100);
}

static void print_family(const void *base)
{
    int (*mi_version)(void);
    int (*mallctl)(const char *, void *, size_t *, void *, size_t);
    const char *(*tc_version)(int *, int *, const char **);
    const char *(*libc_version)(void);

    if (find_in(base, "mi_version", &mi_version)) {
        puts("family=mimalloc");
        print_mimalloc_version(mi_version());
    } else if (find_in(base, "mallctl", &mallctl) || find_in(base, "je_mallctl", &mallctl)) {
        const char *version = NULL;
        size_t size = sizeof(version);

        puts("family=jemalloc");
        if (mallctl("version", &version, &size, NULL, 0) != 0 || !version)
            version = "";
        printf("version=%.*s\n", (int)strcspn(version, "-"), version); /* "5.3.0-0-g54eaed…" */
    } else if (find_in(base, "tc_version", &tc_version)) {
        int major = 0, minor = 0;
        const char *patch = NULL; /* "" or ".1" */

        tc_version(&major, &minor, &patch);
        printf("family=tcmalloc\nversion=%d.%d%s\n", major, minor, patch ? patch : "");
    } else if (find_in(base, "gnu_get_libc_version", &libc_version))
        printf("family=glibc\nversion=%s\n", libc_version());
    else
        puts("family=other\nversion=");
}

static bool tells_usable_size;

/* One object must serve all of malloc's family: a block of one allocator that another one frees is a crash,
 * and not always in the first second. */
static const void *find_allocator(const char **ret_path)
{
    static const char *const names[] = { "free", "calloc", "realloc", "aligned_alloc", "posix_memalign" };
    Dl_info allocator, info;
    void *address;

    if (!find_function("malloc", &address, &allocator))
        fail(STATUS_BAD, "no object serves malloc");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (!find_function(names[i], &address, &info) || info.dli_fbase != allocator.dli_fbase)
            fail(STATUS_BAD, "%s has malloc but not %s", allocator.dli_fname, names[i]);
    /* Not every allocator has this one, and glibc's knows only glibc's own blocks. */
    tells_usable_size =
        find_function("malloc_usable_size", &address, &info) && info.dli_fbase == allocator.dli_fbase;
    *ret_path = allocator.dli_fname;
    return allocator.dli_fbase;
}

/* ---- use it ---- */

enum {
    BLOCKS = 512,
    ROUNDS = 2048,
    /* A cache line: nothing in a relay requests more than that. mimalloc 2.0.9 ignores alignments of 256 to
     * 1024 for blocks of such sizes, and is widely used: worth knowing, but no reason to refuse it. */
    ALIGNMENT_NEEDED = 64,
};

typedef struct Block {
    unsigned char *data;
    size_t size;
    unsigned char mark;
} Block;

/* Our own numbers, the same in each run: a fault that appears once appears again. */
static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Mostly small, some of many pages, a few that every allocator maps by themselves. */
static size_t random_size(uint32_t *state)
{
    uint32_t r = random_next(state) % 256, n = random_next(state);

    if (r == 0)
        return 256 * 1024 + n % (512 * 1024);
    if (r < 8)
        return 4096 + n % (60 * 1024);
    return 1 + n % 1024;
}

/* Large blocks are written at both ends and once a page: enough to see two blocks overlap. */
static size_t block_step(const Block *block)
{
    return block->size <= 4096 ? 1 : 4096;
}

static void block_fill(const Block *block)
{
    for (size_t i = 0; i < block->size; i += block_step(block))
        block->data[i] = block->mark;
    block->data[block->size - 1] = block->mark;
}

static void block_check(const Block *block, size_t size)
{
    for (size_t i = 0; i < size; i += block_step(block))
        if (block->data[i] != block->mark)
            fail(STATUS_BAD, "a block of %zu bytes changed while nobody wrote to it", block->size);
}

/* The smallest alignment over ALIGNMENT_NEEDED that was asked for and not given; both threads write it. */
static _Atomic size_t misaligned = SIZE_MAX;

static void block_allocate(Block *block, uint32_t *random)
{
    size_t size = random_size(random), alignment = 1;
    unsigned char *data = NULL;
    const char *function = NULL;

    switch (random_next(random) % 8) {
    case 0:
        function = "calloc";
        data = calloc(1, size);
        for (size_t i = 0; data && i < size; i++)
            if (data[i])
                fail(STATUS_BAD, "calloc of %zu bytes returned memory that is not zeroed", size);
        break;
    case 1:
        function = "aligned_alloc";
        alignment = (size_t)16 << random_next(random) % 9; /* to a page */
        size = (size + alignment - 1) / alignment * alignment;
        data = aligned_alloc(alignment, size);
        break;
    case 2:
        function = "posix_memalign";
        alignment = (size_t)16 << random_next(random) % 9; /* to a page */
        if (posix_memalign((void **)&data, alignment, size) != 0)
            data = NULL;
        break;
    default:
        function = "malloc";
        alignment = size >= _Alignof(max_align_t) ? _Alignof(max_align_t) : 1;
        data = malloc(size);
    }
    if (!data)
        fail(STATUS_BAD, "%s of %zu bytes returned nothing", function, size);
    if ((uintptr_t)data % (alignment > ALIGNMENT_NEEDED ? ALIGNMENT_NEEDED : alignment))
        fail(STATUS_BAD, "%s of %zu bytes is not aligned to %zu", function, size, alignment);
    if ((uintptr_t)data % alignment && alignment < misaligned)
        misaligned = alignment;
    if (tells_usable_size && malloc_usable_size(data) < size)
        fail(STATUS_BAD, "malloc_usable_size says that %s of %zu bytes gave less", function, size);
    *block = (Block){ .data = data, .size = size, .mark = (unsigned char)random_next(random) };
    block_fill(block);
}

static void block_reallocate(Block *block, uint32_t *random)
{
    size_t size = random_size(random), common = size < block->size ? size : block->size;
    unsigned char *data = realloc(block->data, size);

    if (!data)
        fail(STATUS_BAD, "realloc of %zu bytes returned nothing", size);
    block->data = data;
    block_check(block, common);
    block->size = size;
    block_fill(block);
}

static void block_free(Block *block)
{
    if (block->data)
        block_check(block, block->size);
    free(block->data);
    *block = (Block){ 0 };
}

static void exercise(Block *blocks, uint32_t random)
{
    for (size_t round = 0; round < ROUNDS; round++) {
        Block *block = &blocks[random_next(&random) % BLOCKS];

        if (!block->data)
            block_allocate(block, &random);
        else if (random_next(&random) % 4 == 0)
            block_reallocate(block, &random);
        else
            block_free(block);
    }
}

/* tor's workers free what the main thread allocated, and the other way round, while both are busy. */
static void *worker(void *arg)
{
    exercise(arg, 2);
    return NULL;
}

static void exercise_all(void)
{
    static Block shared[BLOCKS], own[BLOCKS];
    pthread_t thread;
    int r;

    exercise(shared, 1);
    r = pthread_create(&thread, NULL, worker, shared);
    if (r != 0)
        fail(STATUS_BAD, "a thread cannot be started: %s", strerror(r));
    exercise(own, 3);
    r = pthread_join(thread, NULL);
    if (r != 0)
        fail(STATUS_BAD, "a thread cannot be joined: %s", strerror(r));
    for (size_t i = 0; i < BLOCKS; i++) {
        block_free(&shared[i]);
        block_free(&own[i]);
    }
}

static int report_allocator(void)
{
    const char *path = NULL;
    const void *base = find_allocator(&path);
    char *real;

    exercise_all();
    real = realpath(path, NULL);
    if (!real)
        fail(STATUS_BAD, "%s serves malloc, but cannot be examined: %s", path, strerror(errno));
    print_family(base);
    printf("library=%s\n", real);
    if (misaligned != SIZE_MAX)
        printf("remark=blocks requested at a multiple of %zu bytes are not aligned to it (no relay needs "
               "that)\n",
               misaligned);
    free(real);
    return STATUS_OK;
}

/* ---- can it be loaded here? ---- */

static bool apparmor_enabled(void)
{
    FILE *f = fopen("/sys/module/apparmor/parameters/enabled", "re");
    int c = f ? getc(f) : EOF;

    if (f)
        fclose(f);
    return c == 'Y';
}

/* Changes this task's own profile (aa_change_profile(2), whose library a probe should not need): from here on
 * the rules of the relay's profile apply, whether or not they know the probe's own binary. If AppArmor is not
 * in use, the relay is not confined either, and there is nothing to do. */
static void confine(const char *profile)
{
    static const char *const files[] = { "/proc/self/attr/apparmor/current", "/proc/self/attr/current" };
    int fd = -1, error;
    ssize_t n;
    char *command;

    if (!apparmor_enabled()) {
        puts("confined=");
        return;
    }
    for (size_t i = 0; fd < 0 && i < sizeof(files) / sizeof(files[0]); i++)
        fd = open(files[i], O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        fail(STATUS_UNKNOWN, "the AppArmor profile cannot be changed: %s", strerror(errno));
    if (asprintf(&command, "changeprofile %s", profile) < 0)
        fail(STATUS_UNKNOWN, "out of memory");
    n = write(fd, command, strlen(command)); /* one write, or the kernel refuses it */
    error = errno;
    free(command);
    close(fd);
    if (n >= 0)
        printf("confined=%s\n", profile);
    else if (error == ENOENT)
        fail(STATUS_UNKNOWN, "there is no AppArmor profile \"%s\" in the kernel", profile);
    else
        fail(STATUS_UNKNOWN, "the AppArmor profile \"%s\" cannot be entered: %s", profile, strerror(error));
}

static int report_loadable(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    const char *why;

    if (fd < 0) {
        puts("loadable=no");
        fail(STATUS_BAD, "%s cannot be opened: %s", path, strerror(errno));
    }
    close(fd);
    if (!dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
        why = dlerror();                     /* NOLINT(concurrency-mt-unsafe) */
        if (strstr(why, "static TLS block")) /* true of a late start only, see make_room_for_tls() */
            fail(STATUS_UNKNOWN, "%s", why);
        puts("loadable=no");
        fail(STATUS_BAD, "%s", why);
    }
    puts("loadable=yes");
    return STATUS_OK;
}

/* Allocators keep thread-local data in the static TLS block, of which glibc leaves little to libraries that
 * come after the start: jemalloc preloads, but does not dlopen. More of it is available only by a tunable
 * that is read at the start, so start again; before confinement, because nothing could be executed
 * afterwards. Whoever starts us confined (AppArmorProfile= of a unit) passes the tunable. */
static void make_room_for_tls(char **argv)
{
    static const char tunable[] = "glibc.rtld.optional_static_tls=65536";
    const char *old = getenv("GLIBC_TUNABLES"); /* NOLINT(concurrency-mt-unsafe) */
    char *value;

    if (old && strstr(old, tunable))
        return;
    if (asprintf(&value, "%s%s%s", old ? old : "", old && *old ? ":" : "", tunable) < 0)
        return;
    if (setenv("GLIBC_TUNABLES", value, 1) == 0)
        execv("/proc/self/exe", argv);
    free(value); /* continue with what there is: only some libraries need it, and dlopen will say so */
}

static void print_help(void)
{
    puts("relayalloc-probe [OPTIONS…]\n\n"
         "Uses the allocator that it was started with (LD_PRELOAD) and prints which one it is.\n\n"
         "  -h --help              Show this help\n"
         "     --version           Show the version\n"
         "     --dlopen=PATH       Only print whether the library can be loaded here\n"
         "     --apparmor=PROFILE  Enter this AppArmor profile first\n\n"
         "relayallocd(8) starts it; nobody else needs to.");
}

int main(int argc, char **argv)
{
    enum {
        OPTION_VERSION = 256,
        OPTION_DLOPEN,
        OPTION_APPARMOR,
    };
    static const struct option options[] = {
        { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "dlopen", required_argument, NULL, OPTION_DLOPEN },
        { "apparmor", required_argument, NULL, OPTION_APPARMOR },
        { 0 },
    };
    /* stdio may not need the allocator that is under test to report on it. */
    static char buffer[BUFSIZ];
    const char *path = NULL, *profile = NULL;
    int c, status;

    setvbuf(stdout, buffer, _IOFBF, sizeof(buffer));
    while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) /* NOLINT(concurrency-mt-unsafe) */
        switch (c) {
        case 'h':
            print_help();
            return fflush(stdout) == 0 ? STATUS_OK : STATUS_BAD;
        case OPTION_VERSION:
            puts("relayalloc-probe " VERSION);
            return fflush(stdout) == 0 ? STATUS_OK : STATUS_BAD;
        case OPTION_DLOPEN:
            path = optarg;
            break;
        case OPTION_APPARMOR:
            profile = optarg;
            break;
        default:
            return STATUS_USAGE;
        }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected argument \"%s\"\n", argv[0], argv[optind]);
        return STATUS_USAGE;
    }
    if (profile && !path) {
        fprintf(stderr, "%s: --apparmor requires --dlopen\n", argv[0]);
        return STATUS_USAGE;
    }
    if (path) {
        make_room_for_tls(argv);
        if (profile)
            confine(profile);
        status = report_loadable(path);
    } else
        status = report_allocator();
    /* A report that could not be written is no report; run no destructors of a library that is loaded on
     * trial. */
    if (fflush(stdout) != 0)
        status = STATUS_BAD;
    _exit(status);
}
