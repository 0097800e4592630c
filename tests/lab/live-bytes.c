/* Counts the bytes that a process has allocated and not freed: what any allocator needs at least. glibc's
 * malloc does the work; the lab reads the counters from the process' memory (live.py), so that nothing is
 * written here. */
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);
void *__libc_memalign(size_t alignment, size_t size);

/* Bytes; read by name. */
_Atomic int64_t lab_live_bytes;

static void *taken(void *p)
{
    if (p != NULL)
        atomic_fetch_add_explicit(&lab_live_bytes, (int64_t)malloc_usable_size(p), memory_order_relaxed);
    return p;
}

static int64_t size_of(void *p)
{
    return p == NULL ? 0 : (int64_t)malloc_usable_size(p);
}

void *malloc(size_t size)
{
    return taken(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return taken(__libc_calloc(n, size));
}

void free(void *p)
{
    atomic_fetch_sub_explicit(&lab_live_bytes, size_of(p), memory_order_relaxed);
    __libc_free(p);
}

/* One that fails leaves the old block as it is; of size 0 it frees it. */
void *realloc(void *p, size_t size)
{
    int64_t before = size_of(p);
    void *new = __libc_realloc(p, size);

    if (new != NULL || size == 0)
        atomic_fetch_sub_explicit(&lab_live_bytes, before, memory_order_relaxed);
    return taken(new);
}

void *memalign(size_t alignment, size_t size)
{
    return taken(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **p, size_t alignment, size_t size)
{
    void *new = NULL;

    if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    new = memalign(alignment, size);
    if (new == NULL)
        return ENOMEM;
    *p = new;
    return 0;
}

void *valloc(size_t size)
{
    return memalign((size_t)sysconf(_SC_PAGESIZE), size);
}

void *pvalloc(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);

    return memalign(page, (size + page - 1) / page * page);
}
