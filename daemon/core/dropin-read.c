/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the reading of anybody's drop-ins and environment files: what comes out is what systemd takes from
 * them, its oddities included. Must never fail on what others wrote. */
#include "core/dropin.h"

#define BLANKS " \t"
#define NEWLINES "\n\r"

typedef struct Strings {
    char **items;
    size_t n, capacity;
} Strings;

static void strings_clear(Strings *strings)
{
    for (size_t i = 0; i < strings->n; i++)
        free(strings->items[i]);
    free(strings->items);
    *strings = (Strings){ 0 };
}

static void strings_push(Strings *strings, char *take)
{
    GROW(strings->items, strings->capacity, strings->n);
    strings->items[strings->n++] = take;
}

/* A strv of what is there, NULL when that is nothing. */
static char **strings_steal(Strings *strings)
{
    if (strings->n > 0)
        strings_push(strings, NULL);
    return TAKE_PTR(strings->items);
}

static bool utf8_valid(const char *s)
{
    for (size_t n; *s; s += n)
        if ((n = utf8_character(s)) == 0)
            return false;
    return true;
}

/* What systemd takes: a name of the portable characters and a value of whatever characters. */
static bool assignment_valid(const char *s)
{
    size_t name = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

    return name > 0 && !(*s >= '0' && *s <= '9') && s[name] == '=' && utf8_valid(s);
}

/* Sets a variable, in the place of an earlier value. What is not valid, or beyond the bound, is left out. */
static void environment_set(Strings *environment, char *take)
{
    _cleanup_(freep) char *assignment = take;

    if (!assignment_valid(assignment))
        return;
    size_t name = strcspn(assignment, "=") + 1;
    for (size_t i = 0; i < environment->n; i++)
        if (strncmp(environment->items[i], assignment, name) == 0) {
            free(environment->items[i]);
            environment->items[i] = TAKE_PTR(assignment);
            return;
        }
    if (environment->n < DROPIN_ENVIRONMENT_MAX)
        strings_push(environment, TAKE_PTR(assignment));
}

/* In place, "%%" only: what the other specifiers stand for only systemd knows. */
static void undo_specifiers(char *s)
{
    char *w = s;

    while (*s) {
        if (s[0] == '%' && s[1] == '%')
            s++;
        *w++ = *s++;
    }
    *w = '\0';
}

static char *write_utf8(char *w, uint32_t code)
{
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    if (n == 1) {
        *w = (char)code;
        return w + 1;
    }
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        w[i] = (char)(0x80 | (code & 0x3f));
    w[0] = (char)((0xf00 >> n & 0xff) | code);
    return w + n;
}

/* `digits` digits of the base at `s`; 0, which no escape may stand for, when there is another character. */
static uint32_t escaped_number(const char *s, size_t digits, uint32_t base)
{
    uint32_t v = 0;

    for (size_t i = 0; i < digits; i++) {
        char c = s[i];
        uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a') + 10
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A') + 10
                                            : base;
        if (d >= base)
            return 0;
        v = v * base + d;
    }
    return v;
}

/* The C-style escape at *p, behind the backslash, as the table in systemd.syntax(7) has it. */
static bool unescape(const char **p, char **w)
{
    static const char letters[] = "abfnrtvs\\\"'", meanings[] = "\a\b\f\n\r\t\v \\\"'";
    char c = **p;
    const char *letter = c ? strchr(letters, c) : NULL;

    if (letter) {
        *(*w)++ = meanings[letter - letters];
        (*p)++;
        return true;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : c >= '0' && c <= '7' ? 3 : 0;
    bool octal = digits == 3;
    uint32_t code = digits ? escaped_number(*p + !octal, digits, octal ? 8 : 16) : 0;
    if (code == 0 || code > (octal ? 0xff : 0x10ffff))
        return false;
    if (c == 'u' || c == 'U') {
        const char *character = *w;
        *w = write_utf8(*w, code);
        if (c == 'U' && utf8_character(character) == 0)
            return false;
    } else {
        *(*w)++ = (char)code;
    }
    *p += digits + !octal;
    return true;
}

/* The next word of a value, unquoted: 1; 0 at the end; -1: an escape or a quote that is not valid. As in
 * systemd, quotes may open and close within a word. */
static int next_word(const char **p, char **ret)
{
    const char *s = *p + strspn(*p, BLANKS);
    _cleanup_(freep) char *word = xcalloc(strlen(s) + 1, 1); /* unquoting never makes it longer */
    char *w = word, quote = '\0';

    if (!*s)
        return 0;
    while (*s && (quote || !strchr(BLANKS, *s))) {
        char c = *s++;
        if (c == '\\') {
            if (!unescape(&s, &w))
                return -1;
        } else if (quote ? c == quote : c == '"' || c == '\'') {
            quote = quote ? '\0' : c;
        } else {
            *w++ = c;
        }
    }
    if (quote)
        return -1;
    *p = s;
    *ret = TAKE_PTR(word);
    return 1;
}

static void assign_environment(Strings *environment, const char *value)
{
    char *word = NULL;

    if (!*value)
        strings_clear(environment);
    while (next_word(&value, &word) > 0) { /* what stands before a mistake counts, the rest of the line not */
        undo_specifiers(word);
        environment_set(environment, word);
    }
}

/* As it stands, with the empty ones, which take away what was said before. */
static void assign_value(Strings *values, const char *value)
{
    if (values->n < DROPIN_ENVIRONMENT_MAX)
        strings_push(values, xstrdup(value));
}

static char *strip(char *s)
{
    s += strspn(s, BLANKS);
    for (size_t n = strlen(s); n > 0 && strchr(BLANKS, s[n - 1]); n--)
        s[n - 1] = '\0';
    return s;
}

typedef struct Wanted {
    const char *section, *key;
    void (*assign)(Strings *list, const char *value);
} Wanted;

/* One line, continuation lines joined. false: systemd reads no further. */
static bool read_line(char *line, const Wanted *wanted, bool *in_section, Strings *list)
{
    line = strip(line);
    if (!utf8_valid(line))
        return false;
    if (line[0] == '[') {
        size_t n = strlen(wanted->section);
        *in_section = strncmp(line + 1, wanted->section, n) == 0 && streq(line + 1 + n, "]");
        return line[strlen(line) - 1] == ']';
    }
    char *value = strchr(line, '=');
    if (!value || !*in_section)
        return true;
    *value++ = '\0';
    if (streq(strip(line), wanted->key))
        wanted->assign(list, strip(value));
    return true;
}

/* Hands each value of the wanted key to assign(). */
static char **read_settings(const char *text, const Wanted *wanted)
{
    _cleanup_(freep) char *line = xcalloc(strlen(text) + 1, 1);
    Strings list = { 0 };
    bool in_section = false, go_on = true;
    size_t n = 0;

    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3;
    while (*text && go_on) {
        size_t length = strcspn(text, NEWLINES), indent = strspn(text, BLANKS), backslashes = 0;
        const char *start = text;
        text += length;
        text += *text != '\0';
        if (start[indent] == '#' || start[indent] == ';')
            continue; /* also between a line and its continuation */
        memcpy(line + n, start, length);
        n += length;
        while (backslashes < length && line[n - 1 - backslashes] == '\\')
            backslashes++;
        if (backslashes % 2 == 1) {
            line[n - 1] = ' ';
            continue;
        }
        line[n] = '\0';
        go_on = read_line(line, wanted, &in_section, &list);
        n = 0;
    }
    if (n > 0 && go_on) { /* the last line had a backslash at its end */
        line[n] = '\0';
        (void)read_line(line, wanted, &in_section, &list);
    }
    return strings_steal(&list);
}

char **dropin_environment(const char *text)
{
    return read_settings(text, &(Wanted){ "Service", "Environment", assign_environment });
}

char **system_conf_environment(const char *text)
{
    return read_settings(text, &(Wanted){ "Manager", "DefaultEnvironment", assign_environment });
}

char **settings_values(const char *text, const char *section, const char *key)
{
    return read_settings(text, &(Wanted){ section, key, assign_value });
}

/* ---- EnvironmentFile= ---- */

/* A value, to the end of its last line: quoted parts, then at most one that is not quoted. */
static char *write_value(const char **p, char *w)
{
    const char *s = *p;
    char *kept = NULL;

    for (s += strspn(s, BLANKS); *s == '\'' || *s == '"'; s += strspn(s, BLANKS)) {
        char quote = *s++;
        for (; *s && *s != quote; s++) {
            if (quote == '"' && *s == '\\') {
                if (!*++s)
                    break;
                if (*s == '\n')
                    continue;
                if (!strchr("\"\\`$", *s))
                    *w++ = '\\';
            }
            *w++ = *s;
        }
        s += *s != '\0';
    }
    /* Blanks at its end go, unless a backslash stands between them and the end. */
    for (kept = w; *s && !strchr(NEWLINES, *s); s++) {
        bool escaped = *s == '\\';
        if (escaped && !*++s) {
            kept = w;
            break;
        }
        if (!escaped || !strchr(NEWLINES, *s))
            *w++ = *s;
        if (escaped || !strchr(BLANKS, *s))
            kept = w;
    }
    *p = s;
    return kept;
}

char **environment_file_parse(const char *text)
{
    Strings list = { 0 };

    for (const char *p = text; *(p += strspn(p, BLANKS NEWLINES));) {
        size_t name = 1 + strcspn(p + 1, "=" NEWLINES);
        if (*p == '#' || *p == ';' || p[name] != '=') {
            p += strcspn(p, NEWLINES);
            continue;
        }
        _cleanup_(freep) char *assignment = xcalloc(strlen(p) + 1, 1);
        char *w = mempcpy(assignment, p, name);
        while (strchr(BLANKS, w[-1]))
            w--;
        *w++ = '=';
        p += name + 1;
        *write_value(&p, w) = '\0';
        if (!utf8_valid(assignment)) { /* then systemd ignores the whole file */
            strings_clear(&list);
            break;
        }
        environment_set(&list, TAKE_PTR(assignment));
    }
    return strings_steal(&list);
}
