/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/tunables.h"

#include "core/tunables-private.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>

#define GLIBC_VARIABLE "GLIBC_TUNABLES"
#define MIMALLOC_PREFIX "MIMALLOC_"
#define TCMALLOC_PREFIX "TCMALLOC_"
#define OLD_PREFIX "MALLOC_"
#define JEMALLOC_VARIABLE "MALLOC_CONF"

/* The variables of glibc from before its tunables (mallopt(3), and env_alias in its dl-tunables.list). */
static const struct {
    const char *variable, *tunable;
} aliases[] = {
    { "MALLOC_ARENA_MAX", "glibc.malloc.arena_max" },
    { "MALLOC_ARENA_TEST", "glibc.malloc.arena_test" },
    { "MALLOC_CHECK_", "glibc.malloc.check" },
    { "MALLOC_MMAP_MAX_", "glibc.malloc.mmap_max" },
    { "MALLOC_MMAP_THRESHOLD_", "glibc.malloc.mmap_threshold" },
    { "MALLOC_PERTURB_", "glibc.malloc.perturb" },
    { "MALLOC_TOP_PAD_", "glibc.malloc.top_pad" },
    { "MALLOC_TRIM_THRESHOLD_", "glibc.malloc.trim_threshold" },
};

/* One look at a variable. */
typedef struct Look {
    const TunablesAsk *ask;
    const EnvVar *variable;
    char ***warnings;
} Look;

#define WARN(look, ...) strv_push((look)->warnings, xasprintf(__VA_ARGS__))

static bool has_prefix(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

/* "mimalloc 2.0.9", "mimalloc" where the version is not known. Owned by the caller. */
static char *family_and_version(const TunablesAsk *ask)
{
    const bool known = !isempty(ask->version);

    return xasprintf("%s%s%s", family_to_string(ask->family), known ? " " : "", known ? ask->version : "");
}

/* ---- glibc ---- */

/* A tunable of the list. */
typedef struct GlibcTunable {
    char *name;
    bool bounded;
    bool negative; /* may be */
    int64_t min_signed, max_signed;
    uint64_t min, max;
} GlibcTunable;

static bool read_bound(const char *line, const char *name, int64_t *ret_signed, uint64_t *ret)
{
    const char *at = strstr(line, name);

    if (!at)
        return false;
    at += strlen(name);
    *ret_signed = strtoll(at, NULL, 0);
    *ret = strtoull(at, NULL, 0);
    return true;
}

/* "glibc.malloc.arena_max: 0x0 (min: 0x1, max: 0xffffffffffffffff)", "glibc.cpu.x86_shstk:". */
static bool parse_list_line(const char *line, GlibcTunable *ret)
{
    _cleanup_(freep) char *text = xstrndup(line, strcspn(line, "\n"));
    const char *colon = strchr(text, ':');

    if (!colon)
        return false;
    *ret = (GlibcTunable){ .name = xstrndup(text, (size_t)(colon - text)) };
    ret->bounded = read_bound(colon, "min: ", &ret->min_signed, &ret->min) &&
                   read_bound(colon, "max: ", &ret->max_signed, &ret->max);
    ret->negative = strstr(colon, "min: -") != NULL;
    return true;
}

/* False: there is none; *ret_near is the name that was meant, perhaps. */
static bool find_in_list(const char *list, const char *name, GlibcTunable *ret, char **ret_near)
{
    _cleanup_(strv_freep) char **names = NULL;

    for (const char *line = list; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        GlibcTunable t;
        if (!parse_list_line(line, &t))
            continue;
        if (streq(t.name, name)) {
            *ret = t;
            return true;
        }
        strv_push(&names, t.name);
    }
    *ret_near = xstrdup(did_you_mean(name, (const char *const *)names));
    return false;
}

/* As glibc's own parser: decimal, octal or hexadecimal. */
static bool is_number(const char *value)
{
    char *end = NULL;

    (void)strtoull(value, &end, 0);
    return *value && !isspace((unsigned char)*value) && *end == '\0';
}

/* A negative number would be taken for a huge one, which no bound refuses. */
static bool in_range(const GlibcTunable *t, const char *value)
{
    errno = 0;
    if (t->negative) {
        long long v = strtoll(value, NULL, 0);
        return errno == 0 && v >= t->min_signed && v <= t->max_signed;
    }
    unsigned long long v = strtoull(value, NULL, 0);
    return errno == 0 && !strchr(value, '-') && v >= t->min && v <= t->max;
}

static void judge_glibc_value(const Look *l, const GlibcTunable *t, const char *what, const char *value)
{
    if (!t->bounded)
        return;
    if (!is_number(value))
        WARN(l, "%s=%s is not a number", what, value);
    else if (in_range(t, value))
        return;
    else if (t->negative)
        WARN(l, "%s=%s is out of range (%" PRId64 " to %" PRId64 ")", what, value, t->min_signed,
             t->max_signed);
    else if (t->max == UINT64_MAX)
        WARN(l, "%s=%s is out of range (%" PRIu64 " or more)", what, value, t->min);
    else
        WARN(l, "%s=%s is out of range (%" PRIu64 " to %" PRIu64 ")", what, value, t->min, t->max);
}

/* `item` is "NAME=VALUE" of the list that the variable holds. */
static void judge_tunable(const Look *l, const char *item)
{
    _cleanup_(freep) char *name = xstrndup(item, strcspn(item, "=")), *near = NULL, *what = NULL, *who = NULL;
    const char *value = item + strlen(name);
    const Family family = l->ask->family;
    GlibcTunable t;

    if (!find_in_list(l->ask->glibc_list, name, &t, &near)) {
        who = family == FAMILY_GLIBC ? family_and_version(l->ask) : xstrdup(family_to_string(FAMILY_GLIBC));
        WARN(l, GLIBC_VARIABLE ": %s has no tunable \"%s\"%s%s%s", who, name, near ? " (did you mean \"" : "",
             near ? near : "", near ? "\"?)" : "");
        return;
    }
    what = xasprintf(GLIBC_VARIABLE ": %s", name);
    if (value[0] != '=' || !value[1])
        WARN(l, "%s has no value", what);
    else if (family != FAMILY_GLIBC && family != FAMILY_OTHER && has_prefix(name, "glibc.malloc."))
        WARN(l, "%s has no effect: %s serves malloc", what, family_to_string(family));
    else
        judge_glibc_value(l, &t, what, value + 1);
    free(t.name);
}

static void judge_glibc(const Look *l)
{
    for (const char *p = l->variable->value; l->ask->glibc_list && *p; p += *p == ':') {
        _cleanup_(freep) char *item = xstrndup(p, strcspn(p, ":"));

        if (*item)
            judge_tunable(l, item);
        p += strlen(item);
    }
}

/* Variables such as MALLOC_ARENA_MAX. */
static void judge_alias(const Look *l)
{
    const char *names[ELEMENTSOF(aliases) + 1] = { NULL }, *near = NULL;
    _cleanup_(freep) char *who = family_and_version(l->ask), *unused = NULL;
    GlibcTunable t;

    for (size_t i = 0; i < ELEMENTSOF(aliases); i++) {
        names[i] = aliases[i].variable;
        if (!streq(aliases[i].variable, l->variable->name))
            continue;
        if (l->ask->glibc_list && find_in_list(l->ask->glibc_list, aliases[i].tunable, &t, &unused)) {
            judge_glibc_value(l, &t, l->variable->name, l->variable->value);
            free(t.name);
        }
        return;
    }
    near = did_you_mean(l->variable->name, names);
    WARN(l, "%s: %s has no such setting%s%s%s", l->variable->name, who, near ? " (did you mean " : "",
         near ? near : "", near ? "?)" : "");
}

/* ---- what is known by tables ---- */

/* "2.0.9" is 20009, "2.10" 21000; 0 when it is not known. */
static unsigned version_number(const char *version)
{
    unsigned long part[3] = { 0 };
    const char *p = version ? version : "";

    for (size_t i = 0; i < ELEMENTSOF(part) && isdigit((unsigned char)*p); i++) {
        char *end = NULL;
        part[i] = strtoul(p, &end, 10);
        p = *end == '.' ? end + 1 : end;
    }
    for (size_t i = 0; i < ELEMENTSOF(part); i++)
        if (part[i] > 99)
            return 0;
    return (unsigned)(part[0] * 10000 + part[1] * 100 + part[2]);
}

static bool is_there(const Tunable *t, unsigned version)
{
    return version == 0 || (t->since <= version && (t->before == 0 || version < t->before));
}

/* The setting of that name, in this version if it may be. NULL: in no version. */
static const Tunable *find_in_table(const Tunable *table, const char *name, unsigned version)
{
    const Tunable *found = NULL;

    for (const Tunable *t = table; t->name; t++)
        if (strcasecmp(t->name, name) == 0 && (!found || is_there(t, version)))
            found = t;
    return found;
}

/* What has the same purpose in this version; NULL. */
static const Tunable *find_counterpart(const Tunable *table, const Tunable *of, unsigned version)
{
    for (const Tunable *t = table; of->purpose && t->name; t++)
        if (t->purpose && streq(t->purpose, of->purpose) && is_there(t, version))
            return t;
    return NULL;
}

/* What a name that is in no version was meant to be in this one; NULL. */
static const char *suggest(const Tunable *table, const char *name, unsigned version)
{
    _cleanup_(strv_freep) char **names = NULL;
    _cleanup_(freep) char *upper = xstrdup(name);

    for (char *c = upper; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    for (const Tunable *t = table; t->name; t++)
        if (is_there(t, version) || find_counterpart(table, t, version))
            strv_push(&names, xstrdup(t->name));
    const char *near = did_you_mean(upper, (const char *const *)names);
    const Tunable *t = near ? find_in_table(table, near, version) : NULL;
    if (t && !is_there(t, version))
        t = find_counterpart(table, t, version);
    return t ? t->name : NULL;
}

static bool is_set(const TunablesAsk *ask, const char *prefix, const char *name)
{
    for (size_t i = 0; i < ask->n; i++)
        if (has_prefix(ask->environment[i].name, prefix) &&
            strcasecmp(ask->environment[i].name + strlen(prefix), name) == 0)
            return true;
    return false;
}

/* The setting, if this version has it; else after a warning NULL. `kind`: what it is called there. */
static const Tunable *judge_name(const Look *l, const Tunable *table, const char *prefix, const char *kind)
{
    const char *name = l->variable->name + strlen(prefix);
    const unsigned version = version_number(l->ask->version);
    const Tunable *t = find_in_table(table, name, version);
    _cleanup_(freep) char *who = family_and_version(l->ask);

    if (t && is_there(t, version))
        return t;
    const Tunable *other = t ? find_counterpart(table, t, version) : NULL;
    const char *near = t ? NULL : suggest(table, name, version);
    if (other && is_set(l->ask, prefix, other->name))
        return NULL; /* both names are set, so that any version understands one */
    if (other)
        WARN(l, "%s: %s has no such %s; there it is %s%s", l->variable->name, who, kind, prefix, other->name);
    else if (near)
        WARN(l, "%s: %s has no such %s (did you mean %s%s?)", l->variable->name, who, kind, prefix, near);
    else
        WARN(l, "%s: %s has no such %s", l->variable->name, who, kind);
    return NULL;
}

/* ---- mimalloc ---- */

/* mi_option_init() in its src/options.c: words for yes and no, then strtol(3). An invalid value leaves the
 * default, silently unless its errors are shown. */
static void judge_mimalloc_value(const Look *l, const Tunable *t)
{
    static const char *const words[] = { "", "1", "TRUE", "YES", "ON", "0", "FALSE", "NO", "OFF" };
    const char *value = l->variable->value;
    char *end = NULL;

    for (size_t i = 0; i < ELEMENTSOF(words); i++)
        if (strcasecmp(value, words[i]) == 0)
            return;
    (void)strtol(value, &end, 10);
    if (t->value == TUNABLE_SIZE && end > value) {
        end += *end && strchr("KMGTkmgt", *end);
        end += strncasecmp(end, "ib", 2) == 0 ? 2 : *end == 'b' || *end == 'B';
    }
    if (end > value && *end == '\0')
        return;
    WARN(l, "%s=%s is ignored: mimalloc takes %s", l->variable->name, value,
         t->value == TUNABLE_SIZE ? "a size such as 512MiB" : "a whole number, or on or off");
}

/* ---- tcmalloc ---- */

/* EnvToBool() of gperftools looks at the first letter alone; numbers are read by strtoll(3) and strtod(3),
 * which stop at what they do not know. */
static void judge_tcmalloc_value(const Look *l, const Tunable *t)
{
    const char *name = l->variable->name, *value = l->variable->value;
    char *end = NULL;

    if (t->value == TUNABLE_FLAG) {
        if (*value && !strchr("tTyY1fFnN0", *value) && strcasecmp(value, "off") != 0)
            WARN(l, "%s=%s is read as no: write 1 or 0", name, value);
    } else if (t->value == TUNABLE_NUMBER) {
        long long v = strtoll(value, &end, 10);
        if (end == value || *end)
            WARN(l, "%s=%s is read as %lld: write a whole number", name, value, v);
    } else if (t->value == TUNABLE_REAL) {
        double v = strtod(value, &end);
        if (end == value || *end)
            WARN(l, "%s=%s is read as %g: write a number", name, value, v);
    }
}

/* ---- all of them ---- */

/* The allocator that reads a variable; FAMILY_OTHER: none that we know, or all of them. */
static Family owner_of(const char *name)
{
    if (has_prefix(name, MIMALLOC_PREFIX))
        return FAMILY_MIMALLOC;
    if (strncmp(name, TCMALLOC_PREFIX, strlen(TCMALLOC_PREFIX)) == 0)
        return FAMILY_TCMALLOC;
    if (streq(name, JEMALLOC_VARIABLE))
        return FAMILY_JEMALLOC;
    if (strncmp(name, OLD_PREFIX, strlen(OLD_PREFIX)) == 0)
        return FAMILY_GLIBC;
    return FAMILY_OTHER;
}

static void judge_variable(const Look *l)
{
    const Family owner = owner_of(l->variable->name), family = l->ask->family;
    const Tunable *t = NULL;

    if (streq(l->variable->name, GLIBC_VARIABLE))
        judge_glibc(l);
    else if (owner == FAMILY_OTHER || family == FAMILY_OTHER)
        return;
    else if (owner != family)
        WARN(l, "%s has no effect: it is a setting of %s, and %s serves malloc", l->variable->name,
             family_to_string(owner), family_to_string(family));
    else if (owner == FAMILY_GLIBC)
        judge_alias(l);
    else if (owner == FAMILY_MIMALLOC && (t = judge_name(l, mimalloc_tunables, MIMALLOC_PREFIX, "option")))
        judge_mimalloc_value(l, t);
    else if (owner == FAMILY_TCMALLOC && (t = judge_name(l, tcmalloc_tunables, TCMALLOC_PREFIX, "setting")))
        judge_tcmalloc_value(l, t);
}

char **tunables_judge(const TunablesAsk *ask)
{
    char **warnings = NULL;

    for (size_t i = 0; i < ask->n; i++)
        judge_variable(&(Look){ ask, &ask->environment[i], &warnings });
    return warnings;
}

bool tunables_need_glibc_list(const Allocator *a)
{
    for (size_t i = 0; i < a->n_environment; i++)
        if (streq(a->environment[i].name, GLIBC_VARIABLE) || owner_of(a->environment[i].name) == FAMILY_GLIBC)
            return true;
    return false;
}
