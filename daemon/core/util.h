/* SPDX-License-Identifier: BSD-3-Clause */
/* The few helpers that every module uses. Owns no state, does no I/O. What a library or libc already does
 * (open_memstream for building text, getline, qsort, fnmatch) is used directly and not wrapped here. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Times are microseconds: of CLOCK_REALTIME where the name says "realtime", else of CLOCK_MONOTONIC. */
typedef uint64_t usec_t;
#define USEC_INFINITY UINT64_MAX
#define USEC_PER_MSEC ((usec_t)1000)
#define USEC_PER_SEC ((usec_t)1000000)
#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY (24 * USEC_PER_HOUR)

#define ELEMENTSOF(a) (sizeof(a) / sizeof((a)[0]))

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _printf_(a, b) __attribute__((format(printf, a, b)))

/* Hands over an owned pointer: returns it and leaves NULL behind, so that a _cleanup_ does not free it. */
#define TAKE_PTR(p)                                                                                          \
    ({                                                                                                       \
        __typeof__(p) *_pp = &(p);                                                                           \
        __typeof__(p) _v = *_pp;                                                                             \
        *_pp = NULL;                                                                                         \
        _v;                                                                                                  \
    })
#define TAKE_FD(fd)                                                                                          \
    ({                                                                                                       \
        int *_pfd = &(fd);                                                                                   \
        int _v = *_pfd;                                                                                      \
        *_pfd = -1;                                                                                          \
        _v;                                                                                                  \
    })

/* Defines x_freep() for _cleanup_ from x_free(), which takes NULL and returns NULL. */
#define DEFINE_CLEANUP(Type, x_free)                                                                         \
    static inline void x_free##p(Type **p)                                                                   \
    {                                                                                                        \
        x_free(*p);                                                                                          \
    }

static inline void freep(void *p)
{
    free(*(void **)p);
}

static inline void closep(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void fclosep(FILE **f)
{
    if (*f)
        fclose(*f);
}

static inline bool streq(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* Like streq, but NULL is a value too and equals only NULL. */
static inline bool streq_null(const char *a, const char *b)
{
    return a && b ? streq(a, b) : a == b;
}

static inline bool isempty(const char *s)
{
    return !s || !*s;
}

/* Allocation that cannot fail: out of memory ends the process. For a small daemon that systemd restarts and
 * that is safe against kill -9 at any point, this is simpler and better tested than error paths that never
 * run. */
void *xcalloc(size_t n, size_t size);
char *xstrdup(const char *s); /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *format, ...) _printf_(1, 2);

/* Makes room for one more element in the array at *items (of *capacity elements, each `size` bytes, `n`
 * used). */
void grow_array(void **items, size_t *capacity, size_t n, size_t size);
#define GROW(items, capacity, n) grow_array((void **)&(items), &(capacity), (n), sizeof(*(items)))

/* A strv is a NULL-terminated array of owned strings; NULL is the empty strv. */
#define STRV_FOREACH(s, strv) for (char *const *s = (char *const *)(strv); s && *s; s++)
char **strv_free(char **strv);
size_t strv_length(char *const *strv);
void strv_push(char ***strv, char *take); /* takes ownership of `take` */
char **strv_copy(char *const *strv);
void strv_remove(char **strv, const char *s); /* each that equals `s` */
bool strv_contains(char *const *strv, const char *s);
bool strv_equal(char *const *a, char *const *b); /* in the same order */
static inline void strv_freep(char ***strv)
{
    strv_free(*strv);
}
/* Value of NAME in a strv of NAME=VALUE; the last one wins, as in systemd. NULL when unset. */
const char *strv_env_get(char *const *strv, const char *name);

/* A piece of a text that it does not own; n == 0: nothing. */
typedef struct Span {
    const char *p;
    size_t n;
} Span;
static inline bool span_is(Span span, const char *s)
{
    return span.n == strlen(s) && (span.n == 0 || memcmp(span.p, s, span.n) == 0);
}
/* A copy with a NUL behind it; owned by the caller. */
static inline char *span_copy(Span span)
{
    return xstrndup(span.p ? span.p : "", span.n);
}

/* Whole-string decimal, no sign, no blanks: 0, -EINVAL or -ERANGE. */
int parse_u64(const char *s, uint64_t *ret);

/* Length (1 to 4) of the UTF-8 character that `s` starts with; 0 at its end and where it is not valid UTF-8
 * as systemd sees it (no overlong forms, surrogates or noncharacters). */
size_t utf8_character(const char *s);

/* Is the name one of those in `list`, which are separated by commas? */
bool list_has(const char *list, const char *name, size_t n);

/* A copy of at most the first `n` bytes of text that others wrote, for the journal, terminals, the bus and
 * JSON: "?" in place of control characters other than line ends, and of what is not UTF-8. Owned by the
 * caller. */
char *printable(const char *s, size_t n);

/* Is that trouble of the host, which may be over in a moment, and so says nothing of what was to be looked
 * at: no descriptor, memory, process or space, a disk that fails, a call that was interrupted? */
bool error_is_passing(int error);

/* FNV-1a (64 bits) of `n` bytes, continuing from `hash`: to find things and to see that they changed. Its
 * result never changes with a version of ours; nothing may depend on its strength. */
#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)
uint64_t hash_bytes(uint64_t hash, const void *data, size_t n);

/* "1.16 GiB", "14.2 MiB", "512 B": three significant digits, binary units. */
#define FORMAT_BYTES_MAX 16
const char *format_bytes(char buf[static FORMAT_BYTES_MAX], uint64_t bytes);

/* "2 days 3h", "5min 2s", "12s": two units at most, as systemctl does. */
#define FORMAT_SPAN_MAX 48
const char *format_span(char buf[static FORMAT_SPAN_MAX], usec_t span);

/* The order of names for eyes, and of the table of relays: relay2 before relay10. As strcmp(3) otherwise: 0
 * only for equal names, whatever the locale. */
int name_compare(const char *a, const char *b);

/* The element of `candidates` (a strv) that `word` most likely meant, or NULL when nothing is near. */
const char *did_you_mean(const char *word, const char *const *candidates);
