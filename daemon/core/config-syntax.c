/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/config-syntax.h"

#include "core/util.h"

#include <ctype.h>

#define WORD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_*.%+-"
#define COLUMNS_SHOWN 100 /* of a long line, around the place */

/* ---- tokens ---- */

static size_t token_length(const char *p)
{
    size_t n = strspn(p, WORD), character = utf8_character(p);

    if (*p == '"') {
        for (n = 1; p[n] && p[n] != '"' && p[n] != '\n'; n++)
            n += p[n] == '\\' && p[n + 1] && p[n + 1] != '\n';
        return n + (p[n] == '"');
    }
    if (*p == '#' || strncmp(p, "//", 2) == 0)
        return strcspn(p, "\n");
    return n > 0 ? n : character > 0 ? character : 1;
}

size_t config_syntax_tokens(const char *line, size_t *ret, size_t room)
{
    size_t n = 0;

    for (const char *p = line; *p && *p != '\n' && n < room;) {
        if (isspace((unsigned char)*p)) {
            p++;
            continue;
        }
        ret[n++] = (size_t)(p - line);
        p += token_length(p);
    }
    return n;
}

/* ---- where it ends ---- */

#define BRACKETS_MAX 100 /* one within the other */

/* Behind a comment that starts here; `p` itself: none does. */
static const char *behind_comment(const char *p)
{
    if (*p == '#' || strncmp(p, "//", 2) == 0)
        return p + strcspn(p, "\n");
    if (strncmp(p, "/*", 2) != 0)
        return p;
    const char *close = strstr(p + 2, "*/");
    return close ? close + 2 : p + strlen(p);
}

const char *config_syntax_end(const char *text, const char **ret_open)
{
    const char *open[BRACKETS_MAX], *end = text;
    size_t n = 0;

    for (const char *p = text; *p;) {
        const char *next = behind_comment(p);
        if (next > p || isspace((unsigned char)*p)) {
            p = next > p ? next : p + 1;
            continue;
        }
        if (strchr("([{", *p) && n < BRACKETS_MAX)
            open[n++] = p;
        else if (strchr(")]}", *p) && n > 0)
            n--;
        p += token_length(p);
        end = p;
    }
    *ret_open = n > 0 ? open[n - 1] : NULL;
    return end;
}

/* ---- what is it? ---- */

static const char *line_of(const char *text, const char *at)
{
    while (at > text && at[-1] != '\n')
        at--;
    return at;
}

/* The last character before `at` that is no blank; NULL: none. (A comment in between is not looked through.)
 */
static const char *before(const char *text, const char *at)
{
    while (at > text && isspace((unsigned char)at[-1]))
        at--;
    return at > text ? at - 1 : NULL;
}

/* The first line that says something. */
static const char *first_line(const char *text)
{
    for (;;) {
        text += strspn(text, " \t\r\n");
        if (*text != '#' && strncmp(text, "//", 2) != 0)
            return text;
        text += strcspn(text, "\n");
    }
}

static bool is_curly(const char *p)
{
    static const char *const quotes[] = { "\u201c", "\u201d", "\u201e", "\u2018",
                                          "\u2019", "\u201a", "\u00ab", "\u00bb" };

    for (size_t i = 0; i < ELEMENTSOF(quotes); i++)
        if (strncmp(p, quotes[i], strlen(quotes[i])) == 0)
            return true;
    return false;
}

/* "[groups]", "[[groups]]" alone in their line. */
static bool is_section(const char *line)
{
    const char *p = line + strspn(line, "[");
    size_t n = strspn(p, WORD " \"");

    if (p == line || n == 0 || p[n] != ']')
        return false;
    p += n + strspn(p + n, "]");
    p += strspn(p, " \t\r");
    return *p == '\n' || *p == '\0' || *p == '#';
}

/* "- name: all", or "groups:" with nothing behind it. */
static bool is_yaml(const char *line)
{
    const char *p = line + strspn(line, " \t");
    size_t n = strspn(p, WORD);

    if (p[0] == '-' && p[1] == ' ')
        return true;
    if (n == 0 || p[n] != ':')
        return false;
    p += n + 1;
    return p[strspn(p, " \t\r")] == '\n' || (*p == ' ' && !strchr(p, ';'));
}

static const char *other_kind(const char *text, const char *at)
{
    const char *first = first_line(text), *line = line_of(text, at);

    if (*first == '{')
        return "this looks like JSON; here it is NAME = VALUE; with lists of groups in ( ), lists of names "
               "in [ ], and no "
               "braces around the whole";
    if (is_section(first) || is_section(line))
        return "this looks like TOML or an INI file; here it is groups = ( { name = \"all\"; … } );";
    if (is_yaml(first) || is_yaml(line))
        return "this looks like YAML; here it is groups = ( { name = \"all\"; … } );";
    return NULL;
}

/* "1m", "4G": `last` is its last character. */
static bool is_number_with_unit(const char *text, const char *last)
{
    const char *p = last;

    while (p > text && strchr(WORD, p[-1]))
        p--;
    return isdigit((unsigned char)*p) && isalpha((unsigned char)*last);
}

/* "4G" or "1m": `unit` is the letter behind the number. */
static const char *unit_sentence(const char *unit)
{
    if (strchr("KMGT", *unit) && !isalnum((unsigned char)unit[1]))
        return "a size stands in quotes: \"4G\"";
    return "a number has no unit here; times are in seconds: 60";
}

/* "rollout.parallel = 4;", as messages and the manual name it. */
static bool is_dotted_name(const char *p)
{
    const size_t n = strspn(p, WORD);

    if (!isalpha((unsigned char)*p) || !memchr(p, '.', n))
        return false;
    p += n + strspn(p + n, " \t");
    return *p == '=' || *p == ':';
}

/* NULL: nothing that helps more than the place. */
static const char *sentence(const char *text, const char *at)
{
    const char *last = before(text, at), *kind = other_kind(text, at);
    size_t digits = strspn(at, "0123456789.");

    if (is_curly(at))
        return "this is a quotation mark of a word processor; write the straight one: \"";
    if (strncmp(at, "\u00a0", 2) == 0)
        return "this is a no-break space, as copied from a web page; write an ordinary blank";
    if (*at == '\'')
        return "strings are in double quotes: \"";
    if (kind)
        return kind;
    if (is_dotted_name(at))
        return "a setting stands within the braces of its section: rollout = { parallel = 4; };";
    if (last && *last == ',' && strchr(")]}", *at) && *at)
        return "no comma after the last one: remove the \",\" before this";
    if (digits > 0 && at[digits] == '%')
        return "a percentage stands in quotes: \"10%\"";
    if (digits > 0 && isalpha((unsigned char)at[digits]))
        return unit_sentence(at + digits);
    if (isdigit((unsigned char)*at) || isalpha((unsigned char)*at) || *at == '*') {
        if (last && *last == '%')
            return "a percentage stands in quotes: \"10%\"";
        if (last && strchr("=:[(,", *last))
            return "a text stands in double quotes";
    }
    if (last && is_number_with_unit(text, last))
        return unit_sentence(last);
    if (*at == '%')
        return "a percentage stands in quotes: \"10%\"";
    return NULL;
}

/* ---- the place ---- */

static void put_place(FILE *f, const char *text, const char *at)
{
    const char *line = line_of(text, at);
    size_t n = strcspn(line, "\r\n"), column = 0;
    const char *from = (size_t)(at - line) > COLUMNS_SHOWN * 3 / 4 ? at - COLUMNS_SHOWN / 2 : line;

    while (from > line && ((unsigned char)*from & 0xc0) == 0x80) /* not within a character */
        from--;
    n -= (size_t)(from - line);
    _cleanup_(freep) char *part = xstrndup(from, n < COLUMNS_SHOWN ? n : COLUMNS_SHOWN);
    for (char *p = part; *p; p++)
        *p = *p == '\t' ? ' ' : *p;
    _cleanup_(freep) char *shown = printable(part, SIZE_MAX);
    for (const char *p = from; p < at; p++)
        column += ((unsigned char)*p & 0xc0) != 0x80;
    fprintf(f, "\n    %s\n    %*s^", shown, (int)column, "");
}

char *config_syntax_explain(const char *text, const char *at, const char *otherwise)
{
    static const char look[] = "look here and just before for a missing \";\" or \",\", a quote or a bracket";
    const char *known = sentence(text, at);
    char *words = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&words, &size);

    if (!f)
        abort();
    fprintf(f, "syntax error: %s", known ? known : otherwise ? otherwise : look);
    put_place(f, text, at);
    fclose(f);
    return words;
}
