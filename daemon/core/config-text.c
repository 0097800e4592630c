/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/config-text.h"

#include "core/util.h"

#include <ctype.h>

/* Past the comment, string or character at `p`. */
static const char *skip_token(const char *p)
{
    if (*p == '#' || strncmp(p, "//", 2) == 0)
        return p + strcspn(p, "\n");
    if (strncmp(p, "/*", 2) == 0) {
        const char *end = strstr(p + 2, "*/");
        return end ? end + 2 : p + strlen(p);
    }
    if (*p == '"') {
        for (p++; *p && *p != '"'; p++)
            p += *p == '\\' && p[1];
        return *p ? p + 1 : p;
    }
    return p + 1;
}

static const char *skip_blanks(const char *p)
{
    while (isspace((unsigned char)*p) || *p == '#' || strncmp(p, "//", 2) == 0 || strncmp(p, "/*", 2) == 0)
        p = isspace((unsigned char)*p) ? p + 1 : skip_token(p);
    return p;
}

/* Past the value at `p`, with the ";" or "," after it. */
static const char *skip_value(const char *p)
{
    size_t depth = 0;

    for (; *p; p = skip_token(p)) {
        if (strchr("([{", *p))
            depth++;
        else if (strchr(")]}", *p) && depth > 0 && --depth == 0) {
            p++;
            break;
        } else if (strchr(";,", *p) && depth == 0)
            return p + 1;
    }
    const char *end = skip_blanks(p);
    return *end == ';' || *end == ',' ? end + 1 : p;
}

/* The top-level setting of that name: its start, and its end in *ret_end; NULL: there is none. */
static const char *find_setting(const char *text, const char *name, const char **ret_end)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_*";
    size_t depth = 0;

    for (const char *p = text; *p;) {
        size_t n = strspn(p, letters);
        const char *after = skip_blanks(p + n);
        if (depth == 0 && n == strlen(name) && strncmp(p, name, n) == 0 && (*after == '=' || *after == ':')) {
            *ret_end = skip_value(after + 1);
            return p;
        }
        if (n > 0) {
            p += n;
            continue;
        }
        depth += strchr("([{", *p) != NULL;
        depth -= strchr(")]}", *p) && depth > 0;
        p = skip_token(p);
    }
    return NULL;
}

char *config_text_with_groups(const char *text, const char *groups)
{
    const char *end = NULL, *start = find_setting(text, "groups", &end);
    size_t n = strlen(text);

    if (!start)
        return xasprintf("%s%s\n%s", text, n > 0 && text[n - 1] != '\n' ? "\n" : "", groups);
    const bool own_line = start == text || start[-1] == '\n';
    end += *end == '\n'; /* the new setting has a line end of its own */
    return xasprintf("%.*s%s%s%s", (int)(start - text), text, own_line ? "" : "\n", groups, end);
}
