/* SPDX-License-Identifier: BSD-3-Clause */
/* The formats that doctor reads, each as far as it needs them. Must never judge what it reads: that is up to
 * doctor. */
#include "doctor/doctor-text.h"

#include <assert.h>
#include <errno.h>
#include <fnmatch.h>
#include <regex.h>
#include <strings.h>

#define BLANKS " \t"
#define BLANKS_AND_NEWLINES " \t\r\n"
#define DIGITS "0123456789"

/* The next line of *text, without the blanks around it; NULL at the end. Owned by the caller. */
static char *next_line(const char **text)
{
    const char *start = *text + strspn(*text, BLANKS);
    size_t n = strcspn(start, "\n");

    if (!**text)
        return NULL;
    *text = start + n + (start[n] != '\0');
    while (n > 0 && strchr(BLANKS "\r", start[n - 1]))
        n--;
    return xstrndup(start, n);
}

/* ---- torrc ---- */

char *torrc_value(const char *text, const char *option)
{
    char *value = NULL;

    for (char *line; (line = next_line(&text)); free(line)) {
        size_t n = strcspn(line, BLANKS);
        if (strlen(option) != n || strncasecmp(line, option, n) != 0)
            continue;
        char *v = line + n + strspn(line + n, BLANKS);
        v[strcspn(v, "#")] = '\0';
        for (n = strlen(v); n > 0 && strchr(BLANKS, v[n - 1]); n--)
            v[n - 1] = '\0';
        free(value);
        value = xstrdup(v);
    }
    return value;
}

typedef struct SizeUnit {
    const char *name;
    uint64_t factor;
} SizeUnit;

/* A decimal number, with a fraction or without, whatever the locale; *ret_end: what follows it and its
 * blanks. */
static int number(const char *s, double *ret, const char **ret_end)
{
    double v = 0, place = 1;

    if (!*s || !strchr(DIGITS, *s))
        return -EINVAL;
    for (; *s && strchr(DIGITS, *s); s++)
        v = v * 10 + (*s - '0');
    if (*s == '.')
        for (s++; *s && strchr(DIGITS, *s); s++)
            v += (*s - '0') * (place /= 10);
    *ret = v;
    *ret_end = s + strspn(s, BLANKS);
    return 0;
}

static int quantity(const char *value, const SizeUnit *units, bool any_case, uint64_t *ret)
{
    const char *end = NULL;
    double v = 0;

    if (number(value, &v, &end) < 0)
        return -EINVAL;
    const SizeUnit *unit = units;
    while (unit->name && (any_case ? strcasecmp(unit->name, end) : strcmp(unit->name, end)) != 0)
        unit++;
    if (!unit->name || v * (double)unit->factor >= 0x1p63)
        return -EINVAL;
    *ret = (uint64_t)(v * (double)unit->factor);
    return 0;
}

int torrc_memory(const char *value, uint64_t *ret)
{
    static const SizeUnit units[] = {
        { "", 1 },
        { "b", 1 },
        { "byte", 1 },
        { "bytes", 1 },
        { "kb", 1U << 10 },
        { "kbyte", 1U << 10 },
        { "kbytes", 1U << 10 },
        { "kilobyte", 1U << 10 },
        { "kilobytes", 1U << 10 },
        { "m", 1U << 20 },
        { "mb", 1U << 20 },
        { "mbyte", 1U << 20 },
        { "mbytes", 1U << 20 },
        { "megabyte", 1U << 20 },
        { "megabytes", 1U << 20 },
        { "gb", 1U << 30 },
        { "gbyte", 1U << 30 },
        { "gbytes", 1U << 30 },
        { "gigabyte", 1U << 30 },
        { "gigabytes", 1U << 30 },
        { "tb", 1ULL << 40 },
        { "tbyte", 1ULL << 40 },
        { "tbytes", 1ULL << 40 },
        { "terabyte", 1ULL << 40 },
        { "terabytes", 1ULL << 40 },
        { NULL, 0 },
    };
    return quantity(value, units, true, ret);
}

/* ---- systemd ---- */

int systemd_size(const char *value, uint64_t *ret)
{
    static const SizeUnit units[] = {
        { "", 1 },           { "B", 1 },          { "K", 1U << 10 },   { "M", 1U << 20 }, { "G", 1U << 30 },
        { "T", 1ULL << 40 }, { "P", 1ULL << 50 }, { "E", 1ULL << 60 }, { NULL, 0 },
    };
    return quantity(value, units, false, ret);
}

int systemd_bool(const char *value)
{
    static const char *const words[] = { "0", "no",  "n", "false", "f", "off",
                                         "1", "yes", "y", "true",  "t", "on" };

    for (size_t i = 0; i < ELEMENTSOF(words); i++)
        if (strcasecmp(words[i], value) == 0)
            return i >= ELEMENTSOF(words) / 2;
    return -EINVAL;
}

uint64_t meminfo_total(const char *text)
{
    uint64_t kib = 0;

    for (char *line; (line = next_line(&text)); free(line))
        if (strncmp(line, "MemTotal:", 9) == 0) {
            char *digits = line + 9 + strspn(line + 9, BLANKS);
            digits[strspn(digits, DIGITS)] = '\0';
            if (parse_u64(digits, &kib) < 0 || kib > UINT64_MAX / 1024)
                kib = 0;
        }
    return kib * 1024;
}

/* ---- apt.conf ---- */

/* Skips blanks and comments: "// …", "# …" and the kind that C has. */
static const char *skip_apt_comments(const char *p)
{
    for (;;) {
        p += strspn(p, BLANKS_AND_NEWLINES);
        if (p[0] == '#' || (p[0] == '/' && p[1] == '/')) {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            p = end ? end + 2 : p + strlen(p);
        } else {
            return p;
        }
    }
}

/* "a::b" of "a" and "b" (either may be empty), without "::" at the end, which only says that a list grows. */
static char *apt_name(const char *scope, const char *name)
{
    char *full = xasprintf("%s%s%s", scope, *scope && *name ? "::" : "", name);
    size_t n = strlen(full);

    if (n >= 2 && strcmp(full + n - 2, "::") == 0)
        full[n - 2] = '\0';
    return full;
}

char **apt_values(const char *text, const char *name)
{
    char *scopes[16] = { xstrdup("") };
    _cleanup_(freep) char *tag = xstrdup("");
    _cleanup_(freep) char *value = NULL;
    char **values = NULL;
    size_t depth = 0;

    for (const char *p = text; *(p = skip_apt_comments(p));) {
        if (*p == '"') {
            size_t n = strcspn(p + 1, "\"\n");
            free(value);
            value = xstrndup(p + 1, n);
            p += 1 + n + (p[1 + n] == '"');
        } else if (*p == '{' || *p == '}' || *p == ';') {
            _cleanup_(freep) char *full = apt_name(scopes[depth], tag);
            if (value && strcasecmp(full, name) == 0)
                strv_push(&values, TAKE_PTR(value));
            if (*p == '{' && depth + 1 < ELEMENTSOF(scopes))
                scopes[++depth] = TAKE_PTR(full);
            else if (*p == '}' && depth > 0)
                free(scopes[depth--]);
            free(value);
            value = NULL;
            *tag = '\0';
            p++;
        } else {
            size_t n = strcspn(p, BLANKS_AND_NEWLINES "\"{};");
            char **word = *tag ? &value : &tag;
            free(*word);
            *word = xstrndup(p, n);
            p += n;
        }
    }
    for (size_t i = 0; i <= depth; i++)
        free(scopes[i]);
    return values;
}

/* ---- needrestart.conf ---- */

char needrestart_mode(const char *text)
{
    char mode = '\0';

    for (char *line; (line = next_line(&text)); free(line)) {
        const char *p = *line == '#' ? NULL : strstr(line, "$nrconf{restart}");
        if (!p)
            continue;
        p += strlen("$nrconf{restart}");
        p += strspn(p, BLANKS);
        if (*p++ != '=')
            continue;
        p += strspn(p, BLANKS);
        if ((*p == '\'' || *p == '"') && p[1] && p[2] == *p)
            mode = p[1];
    }
    return mode;
}

/* Of Perl's expressions those that POSIX has, too; one that it does not have matches nothing. */
static bool matches(const char *pattern, const char *text)
{
    regex_t regex;

    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    bool match = regexec(&regex, text, 0, NULL, 0) == 0;
    regfree(&regex);
    return match;
}

bool needrestart_spares(const char *text, const char *unit)
{
    bool spares = false;

    for (char *line; (line = next_line(&text)); free(line)) {
        const char *p = *line == '#' ? NULL : strstr(line, "qr");
        if (!p || !p[2])
            continue;
        /* qr(…), qr{…}, qr<…>, qr[…], or the same character at both ends; one that closes ends the line's
         * last. */
        const char *brackets = "(){}<>[]", *open = strchr(brackets, p[2]);
        char close = open ? open[1] : p[2];
        const char *end = strrchr(p + 3, close);
        if (close == '}' && end && end > p + 3 && end[-1] == '}')
            end--; /* $nrconf{override_rc}{qr{…}} */
        if (!end)
            continue;
        const char *value = end + 1 + strspn(end + 1, " \t}=>");
        _cleanup_(freep) char *pattern = xstrndup(p + 3, (size_t)(end - p - 3));
        if (value[0] == '0' && !strchr(DIGITS, value[1] ? value[1] : ';') && matches(pattern, unit))
            spares = true;
    }
    return spares;
}

/* ---- AppArmor ---- */

bool apparmor_allows(const char *rules, const char *path)
{
    bool allows = false;

    for (char *line; (line = next_line(&rules)); free(line)) {
        _cleanup_(freep) char *glob = NULL;
        const char *p = line;
        if (*p != '/' && *p != '"')
            continue; /* a comment, an include, or a rule with a qualifier such as "deny" */
        size_t n = *p == '"' ? strcspn(++p, "\"") : strcspn(p, BLANKS ",");
        glob = xstrndup(p, n);
        p += n + (p[n] == '"');
        size_t access = strcspn(p, ",");
        /* AppArmor's "**" matches across directories as fnmatch's "*" does, its "*" does not. */
        if (memchr(p, 'm', access) && memchr(p, 'r', access) &&
            fnmatch(glob, path, strstr(glob, "**") ? 0 : FNM_PATHNAME) == 0)
            allows = true;
    }
    return allows;
}
