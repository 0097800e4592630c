/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/preload.h"

static const char separators[] = " :";

char **preload_split(const char *value)
{
    char **entries = NULL;

    for (size_t i = 0, n; value && i < PRELOAD_ENTRIES_MAX; i++, value += n) {
        value += strspn(value, separators);
        n = strcspn(value, separators);
        if (n == 0)
            break;
        strv_push(&entries, xstrndup(value, n));
    }
    return entries;
}

char *preload_join(const char *first, char *const *others)
{
    char *value = xstrdup(first ? first : "");

    STRV_FOREACH (other, others) {
        char *longer = xasprintf("%s%s%s", value, *value ? ":" : "", *other);
        free(value);
        value = longer;
    }
    return value;
}

bool preload_names(const char *value, const char *entry)
{
    _cleanup_(strv_freep) char **entries = preload_split(value);

    return strv_contains(entries, entry);
}

bool preload_begins(const char *value, const char *entry)
{
    _cleanup_(strv_freep) char **entries = preload_split(value);

    return entries && streq(entries[0], entry);
}

bool preload_same(const char *a, const char *b)
{
    _cleanup_(strv_freep) char **x = preload_split(a), **y = preload_split(b);
    size_t n = strv_length(x);

    if (n != strv_length(y))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!streq(x[i], y[i]))
            return false;
    return true;
}
