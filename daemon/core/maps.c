/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads /proc/PID/maps, one line after the other, and picks the library that serves malloc. Never copies or
 * changes the text, and trusts nothing in it. */
#include "core/maps.h"

#include <assert.h>
#include <errno.h>

enum { PRELOAD_ENTRIES_MAX = 64 };

static const char deleted_suffix[] = " (deleted)";
static const char newline_escape[] = "\\012";

static const char *const family_names[] = {
    [FAMILY_GLIBC] = "glibc",       [FAMILY_JEMALLOC] = "jemalloc", [FAMILY_MIMALLOC] = "mimalloc",
    [FAMILY_TCMALLOC] = "tcmalloc", [FAMILY_OTHER] = "other",
};

const char *family_to_string(Family f)
{
    return f >= 0 && f < _FAMILY_MAX ? family_names[f] : NULL;
}

Family family_from_string(const char *s)
{
    for (size_t i = 0; s && i < ELEMENTSOF(family_names); i++)
        if (streq(s, family_names[i]))
            return (Family)i;
    return _FAMILY_INVALID;
}

/* What follows the last slash; empty after a slash at the end. */
static Span span_basename(Span path)
{
    const char *slash = path.n > 0 ? memrchr(path.p, '/', path.n) : NULL;

    if (!slash)
        return path;
    return (Span){ slash + 1, path.n - (size_t)(slash + 1 - path.p) };
}

static bool span_contains(Span s, const char *needle)
{
    return s.n > 0 && memmem(s.p, s.n, needle, strlen(needle));
}

static Family family_of_name(Span name)
{
    static const struct {
        const char *prefix;
        Family family;
    } known[] = {
        { "libjemalloc", FAMILY_JEMALLOC },
        { "libmimalloc", FAMILY_MIMALLOC },
        { "libtcmalloc", FAMILY_TCMALLOC },
    };

    for (size_t i = 0; i < ELEMENTSOF(known); i++) {
        size_t n = strlen(known[i].prefix);
        if (name.n >= n && memcmp(name.p, known[i].prefix, n) == 0 &&
            span_contains((Span){ name.p + n, name.n - n }, ".so"))
            return known[i].family;
    }
    return FAMILY_OTHER;
}

Family family_of_library(const char *path)
{
    return family_of_name(span_basename((Span){ path, strlen(path) }));
}

void mapped_library_clear(MappedLibrary *m)
{
    free(m->path);
    *m = (MappedLibrary){ 0 };
}

/* ---- one line: "7f45b8c15000-7f45b8c3b000 r-xp 00015000 fe:00 14884888      /usr/lib/…" (proc(5)) ---- */

typedef struct Mapping {
    bool executable;
    bool deleted;
    uint64_t inode;
    Span path; /* still escaped, without " (deleted)"; empty when not backed by a file */
} Mapping;

/* Takes the next field of [*p, end), up to the blank after it. */
static Span next_field(const char **p, const char *end)
{
    while (*p < end && **p == ' ')
        (*p)++;
    const char *start = *p;
    while (*p < end && **p != ' ')
        (*p)++;
    return (Span){ start, (size_t)(*p - start) };
}

static bool is_address_range(Span s)
{
    const char *dash = s.n > 0 ? memchr(s.p, '-', s.n) : NULL;

    if (!dash || dash == s.p || dash + 1 == s.p + s.n)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!hex && s.p + i != dash)
            return false;
    }
    return true;
}

static bool parse_inode(Span s, uint64_t *ret)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(unsigned char)(s.p[i] - '0'), &v))
            return false;
    }
    *ret = v;
    return s.n > 0;
}

static bool parse_mapping(const char *line, const char *end, Mapping *ret)
{
    const char *p = line;
    Mapping m = { 0 };

    Span range = next_field(&p, end);
    Span permissions = next_field(&p, end);
    Span offset = next_field(&p, end);
    Span device = next_field(&p, end);
    Span inode = next_field(&p, end);
    if (!is_address_range(range) || permissions.n != 4 || offset.n == 0 || device.n == 0 ||
        !parse_inode(inode, &m.inode))
        return false;
    m.executable = permissions.p[2] == 'x';

    while (p < end && *p == ' ')
        p++;
    if (p < end && *p == '/') { /* else [heap], [vdso], anon_inode:… */
        size_t n = (size_t)(end - p), suffix = sizeof(deleted_suffix) - 1;
        m.deleted = n > suffix && memcmp(end - suffix, deleted_suffix, suffix) == 0;
        m.path = (Span){ p, m.deleted ? n - suffix : n };
    }
    *ret = m;
    return true;
}

/* The next mapping at *cursor; false at the end of the text. */
static bool next_mapping(const char **cursor, Mapping *ret)
{
    while (**cursor) {
        const char *line = *cursor, *end = strchrnul(line, '\n');
        *cursor = *end ? end + 1 : end;
        if (parse_mapping(line, end, ret))
            return true;
    }
    return false;
}

/* ---- paths as the kernel writes them ---- */

static bool at_newline_escape(const char *p, const char *end)
{
    size_t n = sizeof(newline_escape) - 1;

    return (size_t)(end - p) >= n && memcmp(p, newline_escape, n) == 0;
}

/* Does the escaped text begin with `plain`? Then *ret_rest is what follows. */
static bool escaped_startswith(Span escaped, Span plain, Span *ret_rest)
{
    const char *p = escaped.p, *end = escaped.p + escaped.n;

    for (size_t i = 0; i < plain.n; i++) {
        if (p == end)
            return false;
        bool escape = at_newline_escape(p, end);
        if ((escape ? '\n' : *p) != plain.p[i])
            return false;
        p += escape ? sizeof(newline_escape) - 1 : 1;
    }
    *ret_rest = (Span){ p, (size_t)(end - p) };
    return true;
}

static bool escaped_equals(Span escaped, Span plain)
{
    Span rest;

    /* The lengths settle most of it: a relay can make there be many, and each escape is three longer. */
    if (escaped.n == plain.n)
        return plain.n == 0 || memcmp(escaped.p, plain.p, plain.n) == 0;
    return escaped.n > plain.n && (escaped.n - plain.n) % (sizeof(newline_escape) - 2) == 0 &&
           escaped_startswith(escaped, plain, &rest) && rest.n == 0;
}

static char *unescape(Span escaped)
{
    char *path = xcalloc(escaped.n + 1, 1), *to = path;
    const char *p = escaped.p, *end = escaped.p + escaped.n;

    while (p < end)
        if (at_newline_escape(p, end)) {
            *to++ = '\n';
            p += sizeof(newline_escape) - 1;
        } else
            *to++ = *p++;
    return path;
}

/* ---- the choice ---- */

/* The lower the earlier in LD_PRELOAD; within one entry, the nearer to what it says. */
enum {
    MATCH_PATH,
    MATCH_NAME,
    MATCH_VERSION,
    _MATCH_MAX,
    RANK_NOT_PRELOADED = _MATCH_MAX * PRELOAD_ENTRIES_MAX,
    RANK_NONE,
};

typedef struct Preload {
    Span entries[PRELOAD_ENTRIES_MAX];
    size_t n;
} Preload;

static Preload preload_parse(const char *value)
{
    static const char separators[] = " :"; /* ld.so(8) */
    Preload preload = { .n = 0 };

    while (value && preload.n < PRELOAD_ENTRIES_MAX) {
        value += strspn(value, separators);
        Span entry = { value, strcspn(value, separators) };
        if (entry.n == 0)
            break;
        preload.entries[preload.n++] = entry;
        value += entry.n;
    }
    return preload;
}

static unsigned preload_rank(const Preload *preload, Span path)
{
    Span name = span_basename(path), rest;

    for (unsigned i = 0; i < preload->n; i++) {
        Span entry = preload->entries[i], entry_name = span_basename(entry);
        if (entry_name.n == 0 || !escaped_startswith(name, entry_name, &rest))
            continue;
        if (rest.n == 0)
            return i * _MATCH_MAX + (escaped_equals(path, entry) ? MATCH_PATH : MATCH_NAME);
        if (*rest.p == '.') /* libfoo.so.2 is not libfoo.so.20 */
            return i * _MATCH_MAX + MATCH_VERSION;
    }
    return RANK_NOT_PRELOADED;
}

static unsigned allocator_rank(const Mapping *m, const Preload *preload, char *const *ours)
{
    Span name = span_basename(m->path);
    unsigned rank = preload_rank(preload, m->path);

    if (family_of_name(name) != FAMILY_OTHER)
        return rank;
    if (rank != RANK_NOT_PRELOADED && span_contains(name, "malloc"))
        return rank;
    STRV_FOREACH (path, ours)
        if (escaped_equals(m->path, (Span){ *path, strlen(*path) }))
            return rank;
    return RANK_NONE;
}

int maps_find_allocator(const char *maps, const char *preload, char *const *ours, MappedLibrary *ret)
{
    Preload entries = preload_parse(preload);
    unsigned best_rank = RANK_NONE;
    Mapping m, best = { 0 };
    bool any = false;

    assert(maps);
    while (next_mapping(&maps, &m)) {
        any = true;
        if (!m.executable || m.path.n == 0)
            continue;
        unsigned rank = allocator_rank(&m, &entries, ours);
        if (rank < best_rank) {
            best_rank = rank;
            best = m;
        }
    }
    if (!any)
        return -ENODATA;

    *ret = (MappedLibrary){ .family = FAMILY_GLIBC };
    if (best_rank < RANK_NONE) {
        ret->path = unescape(best.path);
        ret->inode = best.inode;
        ret->deleted = best.deleted;
        ret->family = family_of_library(ret->path);
    }
    return 0;
}
