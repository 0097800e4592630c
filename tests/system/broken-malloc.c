/* SPDX-License-Identifier: BSD-3-Clause */
/* An allocator that works for everybody but tor: what BROKEN says happens to tor. "start": it does not start;
 * "soon": it starts, and dies a second later. For tests of the gates of a rollout. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern char *program_invocation_short_name;

/* Memory is never given back: a relay in a test does not live long. Each block is preceded by its size. */
static char *arena, *arena_end;
static char lock;

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
    if (strcmp(how, "soon") == 0)
        alarm(1);
}
