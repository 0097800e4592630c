/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads /proc/PID/maps, one line after the other. Trusts nothing in it. */
#include "core/maps.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>

static const char deleted_suffix[] = " (deleted)";

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

Family family_of_library(const char *path)
{
    static const struct {
        const char *prefix;
        Family family;
    } known[] = {
        { "libjemalloc", FAMILY_JEMALLOC },
        { "libmimalloc", FAMILY_MIMALLOC },
        { "libtcmalloc", FAMILY_TCMALLOC },
    };
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;

    for (size_t i = 0; i < ELEMENTSOF(known); i++) {
        size_t n = strlen(known[i].prefix);
        if (strncmp(name, known[i].prefix, n) == 0 && strstr(name + n, ".so"))
            return known[i].family;
    }
    return FAMILY_OTHER;
}

void mapped_objects_clear(MappedObjects *objects)
{
    for (size_t i = 0; i < objects->n; i++) {
        free(objects->items[i].path);
        free(objects->items[i].range);
    }
    free(objects->items);
    *objects = (MappedObjects){ 0 };
}

/* ---- one line: "7f45b8c15000-7f45b8c3b000 r-xp 00015000 fe:00 14884888      /usr/lib/…" (proc(5)) ---- */

typedef struct Mapping {
    bool executable;
    bool deleted;
    unsigned major, minor;
    uint64_t inode;
    Span range;
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
    for (size_t i = 0; i < s.n; i++)
        if (!isxdigit((unsigned char)s.p[i]) && s.p + i != dash)
            return false;
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

/* "fe:00": hexadecimal. */
static bool parse_device(Span s, unsigned *ret_major, unsigned *ret_minor)
{
    unsigned *number = ret_major;

    *ret_major = *ret_minor = 0;
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.p[i];
        if (c == ':' && number == ret_major) {
            number = ret_minor;
            continue;
        }
        if (!isxdigit((unsigned char)c) || *number > UINT32_MAX / 16)
            return false;
        *number = *number * 16 + (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return number == ret_minor;
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
    if (!is_address_range(range) || permissions.n != 4 || offset.n == 0 ||
        !parse_device(device, &m.major, &m.minor) || !parse_inode(inode, &m.inode))
        return false;
    m.range = range;
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

size_t maps_keep_executable(char *text, size_t n)
{
    size_t kept = 0, line = 0;

    for (const char *end; (end = memchr(text + line, '\n', n - line));) {
        const char *p = text + line;
        const size_t length = (size_t)(end + 1 - p);
        (void)next_field(&p, end);
        const Span permissions = next_field(&p, end);
        if (permissions.n == 4 && permissions.p[2] == 'x') {
            memmove(text + kept, text + line, length);
            kept += length;
        }
        line += length;
    }
    memmove(text + kept, text + line, n - line);
    return kept + n - line;
}

/* ---- files ---- */

/* The path as the kernel means it: a newline stands there as "\012". */
static char *unescape(Span escaped)
{
    static const char newline[] = "\\012";
    char *path = xcalloc(escaped.n + 1, 1), *to = path;
    const char *p = escaped.p, *end = escaped.p + escaped.n;

    while (p < end)
        if ((size_t)(end - p) >= sizeof(newline) - 1 && memcmp(p, newline, sizeof(newline) - 1) == 0) {
            *to++ = '\n';
            p += sizeof(newline) - 1;
        } else
            *to++ = *p++;
    return path;
}

/* maps fills addresses up with zeros to eight digits, map_files does not. */
static char *name_of_range(Span range)
{
    char *name = xcalloc(range.n + 1, 1), *to = name;
    bool begins = true;

    for (const char *p = range.p; p < range.p + range.n; p++) {
        const bool last = p + 1 == range.p + range.n || p[1] == '-';
        if (begins && *p == '0' && !last)
            continue;
        begins = *p == '-';
        *to++ = *p;
    }
    return name;
}

static bool is_same_file(const Mapping *a, const Mapping *b)
{
    return a->inode == b->inode && a->major == b->major && a->minor == b->minor && a->deleted == b->deleted &&
           a->path.n == b->path.n && memcmp(a->path.p, b->path.p, a->path.n) == 0;
}

int maps_objects(const char *maps, MappedObjects *ret)
{
    Mapping m, found[MAPPED_OBJECTS_MAX];
    MappedObjects objects = { .complete = true };
    bool any = false;

    assert(maps);
    while (next_mapping(&maps, &m)) {
        size_t i = 0;
        any = true;
        if (!m.executable || m.path.n == 0)
            continue;
        while (i < objects.n && !is_same_file(&m, &found[i]))
            i++;
        if (i < objects.n)
            continue;
        if (objects.n == MAPPED_OBJECTS_MAX) {
            objects.complete = false;
            continue;
        }
        found[objects.n] = m;
        GROW(objects.items, objects.capacity, objects.n);
        objects.items[objects.n++] = (MappedObject){
            .path = unescape(m.path),
            .range = name_of_range(m.range),
            .major = m.major,
            .minor = m.minor,
            .inode = m.inode,
            .deleted = m.deleted,
        };
    }
    if (!any)
        return -ENODATA;
    *ret = objects;
    return 0;
}
