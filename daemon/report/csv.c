/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the syntax of CSV. Must never know what a column means. */
#include "report/csv.h"

#include <errno.h>

/* CWE-1236: what begins with one of these is run by spreadsheets, from quoted fields, too. */
static bool begins_formula(char c)
{
    return c != '\0' && strchr("=+-@\t\r", c);
}

/* A quoted field at `p`, which is moved past its closing quote; unquoted in place. */
static int unquote(char **p, const char *end, Span *ret)
{
    char *in = *p + 1, *out = *p;
    const char *first = out;

    for (; in < end; in++) {
        if (*in == '"') {
            if (in + 1 < end && in[1] == '"')
                in++;
            else {
                *ret = (Span){ first, (size_t)(out - first) };
                *p = in + 1;
                return 0;
            }
        }
        *out++ = *in;
    }
    return -EINVAL;
}

int csv_split(char *line, size_t n, Span *fields, size_t max, size_t *ret_n)
{
    char *p = line;
    size_t count = 0;

    if (n > 0 && line[n - 1] == '\r')
        n--;
    const char *end = line + n;
    for (;;) {
        Span field;
        if (p < end && *p == '"') {
            int r = unquote(&p, end, &field);
            if (r < 0)
                return r;
            if (p < end && *p != ',')
                return -EINVAL;
        } else {
            const char *comma = memchr(p, ',', (size_t)(end - p));
            field = (Span){ p, (size_t)((comma ? comma : end) - p) };
            p += field.n;
        }
        if (field.n > 1 && *field.p == '\'' && begins_formula(field.p[1]))
            field = (Span){ field.p + 1, field.n - 1 };
        if (count == max)
            return -E2BIG;
        fields[count++] = field;
        if (p == end)
            break;
        p++;
    }
    *ret_n = count;
    return 0;
}

void csv_write(FILE *f, const char *field)
{
    const char *s = field ? field : "";
    bool quote = s[strcspn(s, "\",\r\n")] != '\0' || begins_formula(*s);

    if (quote)
        fputc('"', f);
    if (begins_formula(*s))
        fputc('\'', f);
    for (; *s; s++) {
        if (*s == '"')
            fputc('"', f);
        fputc(*s, f);
    }
    if (quote)
        fputc('"', f);
}
