/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/util.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

static void *must(void *p)
{
    if (!p) {
        fputs("Out of memory.\n", stderr);
        abort();
    }
    return p;
}

void *xcalloc(size_t n, size_t size)
{
    return must(calloc(n ? n : 1, size ? size : 1));
}

char *xstrdup(const char *s)
{
    return s ? must(strdup(s)) : NULL;
}

char *xstrndup(const char *s, size_t n)
{
    return must(strndup(s, n));
}

char *xasprintf(const char *format, ...)
{
    va_list ap;
    char *s = NULL;

    va_start(ap, format);
    if (vasprintf(&s, format, ap) < 0)
        s = NULL;
    va_end(ap);
    return must(s);
}

void grow_array(void **items, size_t *capacity, size_t n, size_t size)
{
    if (n < *capacity)
        return;
    *capacity = *capacity ? *capacity * 2 : 8;
    *items = must(reallocarray(*items, *capacity, size));
}

char **strv_free(char **strv)
{
    STRV_FOREACH (s, strv)
        free(*s);
    free(strv);
    return NULL;
}

size_t strv_length(char *const *strv)
{
    size_t n = 0;

    STRV_FOREACH (s, strv)
        n++;
    return n;
}

void strv_push(char ***strv, char *take)
{
    size_t n = strv_length(*strv);

    *strv = must(reallocarray(*strv, n + 2, sizeof(char *)));
    (*strv)[n] = take;
    (*strv)[n + 1] = NULL;
}

char **strv_copy(char *const *strv)
{
    size_t n = strv_length(strv);
    char **copy = xcalloc(n + 1, sizeof(char *));

    for (size_t i = 0; i < n; i++)
        copy[i] = xstrdup(strv[i]);
    return copy;
}

void strv_remove(char **strv, const char *s)
{
    char **kept = strv;

    for (char **p = strv; p && *p; p++)
        if (streq(*p, s))
            free(*p);
        else
            *kept++ = *p;
    if (kept)
        *kept = NULL;
}

bool strv_contains(char *const *strv, const char *s)
{
    STRV_FOREACH (e, strv)
        if (streq(*e, s))
            return true;
    return false;
}

bool strv_equal(char *const *a, char *const *b)
{
    for (; a && b && *a && *b; a++, b++)
        if (!streq(*a, *b))
            return false;
    return !(a && *a) && !(b && *b);
}

const char *strv_env_get(char *const *strv, const char *name)
{
    const char *value = NULL;
    size_t n = strlen(name);

    STRV_FOREACH (e, strv)
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=')
            value = *e + n + 1;
    return value;
}

int parse_u64(const char *s, uint64_t *ret)
{
    char *end = NULL;

    if (*s < '0' || *s > '9')
        return -EINVAL;
    errno = 0;
    unsigned long long v = strtoull(s, &end, 10);
    if (errno != 0)
        return -errno;
    if (*end)
        return -EINVAL;
    *ret = v;
    return 0;
}

size_t utf8_character(const char *s)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    unsigned char first = (unsigned char)s[0];
    size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;

    if (first < 0x80)
        return first != 0;
    if (length == 1 || first > 0xf4)
        return 0;
    uint32_t code = first & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        unsigned char c = (unsigned char)s[i]; /* a NUL ends the loop, too */
        if ((c & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (c & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    bool noncharacter = (code >= 0xfdd0 && code <= 0xfdef) || (code & 0xfffe) == 0xfffe;
    return code < smallest[length] || code > 0x10ffff || surrogate || noncharacter ? 0 : length;
}

bool error_is_passing(int error)
{
    switch (error) {
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
    case -EAGAIN:
    case -EINTR:
    case -EIO:
    case -ENOSPC:
        return true;
    default:
        return false;
    }
}

uint64_t hash_bytes(uint64_t hash, const void *data, size_t n)
{
    for (const unsigned char *p = data, *end = p + n; p < end; p++)
        hash = (hash ^ *p) * UINT64_C(0x100000001b3);
    return hash;
}

char *printable(const char *s, size_t n)
{
    char *copy = xstrndup(s, n);

    for (char *c = copy; *c;) {
        size_t length = utf8_character(c);

        /* U+0080 to U+009F are control characters, too: some terminals take U+009B for ESC [. */
        bool c1 = length == 2 && c[0] == '\xc2' && (unsigned char)c[1] < 0xa0;
        if (length == 0 || c1 || ((unsigned char)*c < ' ' && *c != '\n') || *c == '\x7f') {
            *c = '?';
            length = 1;
        }
        c += length;
    }
    return copy;
}

const char *format_bytes(char buf[static FORMAT_BYTES_MAX], uint64_t bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    size_t u = 0;

    if (bytes < 1024) {
        snprintf(buf, FORMAT_BYTES_MAX, "%" PRIu64 " B", bytes);
        return buf;
    }
    double v = (double)bytes / 1024;
    while (v >= 1023.5 && u + 1 < ELEMENTSOF(units)) { /* 1000 to 1023 stay, as with bytes */
        v /= 1024;
        u++;
    }
    snprintf(buf, FORMAT_BYTES_MAX, "%.*f %s", v < 9.995 ? 2 : v < 99.95 ? 1 : 0, v, units[u]);
    return buf;
}

const char *format_span(char buf[static FORMAT_SPAN_MAX], usec_t span)
{
    static const struct {
        const char *one, *many;
        uint64_t seconds;
    } units[] = {
        { " day", " days", 86400 },
        { "h", "h", 3600 },
        { "min", "min", 60 },
        { "s", "s", 1 },
    };
    uint64_t s = span / USEC_PER_SEC, first = 0, second = 0;
    size_t u = 0;

    while (u + 1 < ELEMENTSOF(units) && s < units[u].seconds)
        u++;
    first = s / units[u].seconds;
    if (u + 1 < ELEMENTSOF(units))
        second = s % units[u].seconds / units[u + 1].seconds;
    const char *unit = first == 1 ? units[u].one : units[u].many;
    if (second > 0)
        snprintf(buf, FORMAT_SPAN_MAX, "%" PRIu64 "%s %" PRIu64 "%s", first, unit, second, units[u + 1].many);
    else
        snprintf(buf, FORMAT_SPAN_MAX, "%" PRIu64 "%s", first, unit);
    return buf;
}

static bool same_letter(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

/* Optimal string alignment (Levenshtein with neighbours swapped) of two short words, whatever their case;
 * longer ones are "far". */
static size_t edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 48 };
    size_t d[LONGEST + 1][LONGEST + 1];
    size_t n = strlen(a), m = strlen(b);

    if (n > LONGEST || m > LONGEST)
        return SIZE_MAX;
    for (size_t i = 0; i <= n; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= m; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= n; i++)
        for (size_t j = 1; j <= m; j++) {
            size_t best = d[i - 1][j - 1] + !same_letter(a[i - 1], b[j - 1]);
            if (d[i - 1][j] + 1 < best)
                best = d[i - 1][j] + 1;
            if (d[i][j - 1] + 1 < best)
                best = d[i][j - 1] + 1;
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]) &&
                d[i - 2][j - 2] + 1 < best)
                best = d[i - 2][j - 2] + 1;
            d[i][j] = best;
        }
    return d[n][m];
}

const char *did_you_mean(const char *word, const char *const *candidates)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 1; /* one typo in three letters, one more for short words */

    /* For a single letter, every other single letter is one typo away. */
    if (strlen(word) < 2)
        best_distance = 0;

    for (const char *const *c = candidates; c && *c; c++) {
        size_t distance = edit_distance(word, *c);
        if (distance <= best_distance && (!best || distance < best_distance)) {
            best = *c;
            best_distance = distance;
        }
    }
    return best;
}

int name_compare(const char *a, const char *b)
{
    return strverscmp(a, b);
}

bool list_has(const char *list, const char *name, size_t n)
{
    for (const char *p = list; *p;) {
        size_t length = strcspn(p, ",");
        if (length == n && memcmp(p, name, n) == 0)
            return true;
        p += length + (p[length] == ',');
    }
    return false;
}
