/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the text of our drop-in. Whatever strings come in, must never write a line that is not one of ours. */
#include "core/dropin.h"

#include "core/preload.h"

/* In a comment nothing is quoted, so nothing may end the line. */
static void print_in_comment(FILE *f, const char *s)
{
    while (*s) {
        size_t n = utf8_character(s);
        if (n == 0 || (unsigned char)*s < 0x20 || *s == 0x7f)
            putc('?', f);
        else
            fwrite(s, 1, n, f);
        s += n ? n : 1;
    }
}

/* Within double quotes, where only a newline, of all characters, could not stand for itself; all control
 * characters are escaped, because people read the file. */
static void print_quoted(FILE *f, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '%')
            fputs("%%", f);
        else if (c == '"' || c == '\\')
            fprintf(f, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(f, "\\x%02x", c);
        else
            putc(c, f);
    }
}

static void print_environment(FILE *f, const char *name, const char *value)
{
    fputs("Environment=\"", f);
    print_quoted(f, name);
    putc('=', f);
    print_quoted(f, value);
    fputs("\"\n", f);
}

char *dropin_render(const char *config_path, const char *group, const Allocator *allocator,
                    const char *library, char *const *kept)
{
    _cleanup_(freep) char *preload = preload_join(library, kept);
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);

    if (!f)
        abort(); /* out of memory, as in util.h */
    fputs(DROPIN_MARK, f);
    print_in_comment(f, config_path);
    fputs(", group ", f);
    print_in_comment(f, group);
    fputs(", allocator ", f);
    print_in_comment(f, allocator->name);
    fputs("; changes made here are lost\n[Service]\n", f);
    print_environment(f, "LD_PRELOAD", preload);
    for (size_t i = 0; i < allocator->n_environment; i++)
        print_environment(f, allocator->environment[i].name, allocator->environment[i].value);
    if (fclose(f) != 0)
        abort();
    return text;
}

char *dropin_group(const char *text)
{
    static const char before[] = ", group ", after[] = ", allocator ";
    _cleanup_(freep) char *line = xstrndup(text, strcspn(text, "\n"));
    char *end = NULL, *group = NULL;

    if (!dropin_is_ours(line))
        return NULL;
    for (char *p = line; (p = strstr(p, after)); p++) /* the last: a path may hold anything */
        end = p;
    if (!end)
        return NULL;
    *end = '\0';
    for (char *p = line; (p = strstr(p, before)); p++)
        group = p;
    return group ? xstrdup(group + strlen(before)) : NULL;
}

bool dropin_is_ours(const char *text)
{
    return strncmp(text, DROPIN_MARK, strlen(DROPIN_MARK)) == 0;
}
