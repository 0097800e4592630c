/* SPDX-License-Identifier: BSD-3-Clause */
/* An allocator that works for everybody but tor: what BROKEN says happens to tor. "start": it does not start;
 * "soon": it starts, and dies AFTER seconds (1) later; "grow": its resident memory grows by GROW MiB a
 * second. For tests of the gates of a rollout, and of what is told of growth. */
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

extern char *program_invocation_short_name;

/* Memory is never given back: a relay in a test does not live long. Each block is preceded by its size. */
static char *arena, *arena_end;
static char lock;
static int soon;

static void *take(size_t size, size_t align)
{
    while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE)) {
    }
    if (align < 16)
        align = 16;
    uintptr_t at = ((uintptr_t)arena + 16 + align - 1) / align * align;
    if (!arena || at + size > (uintptr_t)arena_end) {
        size_t length = ((size + align + 4096) / (64U << 20) + 1) * (64U << 20);
        arena =
            mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (arena == MAP_FAILED)
            _exit(1);
        arena_end = arena + length;
        at = ((uintptr_t)arena + 16 + align - 1) / align * align;
    }
    arena = (char *)at + size;
    __atomic_clear(&lock, __ATOMIC_RELEASE);
    ((size_t *)at)[-1] = size;
    return (void *)at;
}

size_t malloc_usable_size(void *p)
{
    return p ? ((size_t *)p)[-1] : 0;
}

void *malloc(size_t size)
{
    return take(size, 16);
}

void free(void *p)
{
    (void)p;
}

void *calloc(size_t n, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(n, size, &total) ? NULL : take(total, 16);
}

void *realloc(void *p, size_t size)
{
    void *q = take(size, 16);
    size_t old = malloc_usable_size(p);
    if (p)
        memcpy(q, p, old < size ? old : size);
    return q;
}

void *memalign(size_t align, size_t size)
{
    return take(size, align);
}

void *aligned_alloc(size_t align, size_t size)
{
    return take(size, align);
}

int posix_memalign(void **ret, size_t align, size_t size)
{
    *ret = take(size, align);
    return 0;
}

/* The kernel counts what a process has mapped, and the same pages again for each mapping: so it really has
 * that much resident, and the host keeps its memory. */
static void *grow(void *rate)
{
    enum { STEP = 64 }; /* MiB */
    const int fd = memfd_create("grow", 0);
    struct timespec begun, now;
    char *first;

    if (fd < 0 || ftruncate(fd, STEP << 20) < 0)
        abort();
    first = mmap(NULL, STEP << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (first == MAP_FAILED)
        abort();
    memset(first, 1, STEP << 20);
    clock_gettime(CLOCK_MONOTONIC, &begun);
    for (double mapped = 0;; usleep(100000)) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        for (; mapped < atof(rate) * (double)(now.tv_sec - begun.tv_sec); mapped += STEP)
            if (mmap(NULL, STEP << 20, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0) == MAP_FAILED)
                abort();
    }
    return NULL;
}

static void start_growing(void)
{
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* its signals are tor's own */
    if (!getenv("GROW") || pthread_create(&thread, NULL, grow, getenv("GROW")) != 0)
        abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* tor's, before it returns from libsystemd: counted from here, a slow machine does not let it die while it
 * starts. */
int sd_notify(int unset_environment, const char *state)
{
    int (*real)(int, const char *) = (int (*)(int, const char *))dlsym(RTLD_NEXT, "sd_notify");
    const char *after = getenv("AFTER");

    if (soon && strcmp(state, "READY=1") == 0)
        alarm(after ? (unsigned)atoi(after) : 1);
    return real(unset_environment, state);
}

__attribute__((constructor)) static void break_tor(int argc, char **argv)
{
    const char *how = getenv("BROKEN");
    if (!how || strcmp(program_invocation_short_name, "tor") != 0)
        return;
    /* The check of the configuration that precedes a start is spared, so that the start itself fails. */
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--verify-config") == 0)
            return;
    if (strcmp(how, "start") == 0)
        _exit(1);
    soon = strcmp(how, "soon") == 0;
    if (strcmp(how, "grow") == 0)
        start_growing();
}
