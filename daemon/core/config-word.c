/* SPDX-License-Identifier: BSD-3-Clause */
/* The single words of a configuration file, each judged alone. Must never know where a word is: that is up to
 * config-read. */
#include "core/config-word.h"

#include <errno.h>

#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

const char *word_text_problem(const char *s)
{
    size_t n = 0;

    if (strlen(s) > CONFIG_TEXT_MAX)
        return "must not be longer than 4096 bytes";
    for (const unsigned char *p = (const unsigned char *)s; *p; p += n) {
        if (*p < 0x20 || *p == 0x7f)
            return "must not contain a control character such as a newline or a tab";
        if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
            return "must not contain a control character (C1)";
        n = utf8_character((const char *)p); /* as systemd judges what is in a drop-in */
        if (n == 0)
            return "must be valid UTF-8";
    }
    return NULL;
}

const char *word_name_problem(const char *s)
{
    size_t n = strlen(s);

    if (n == 0 || n > CONFIG_NAME_MAX || strspn(s, UPPER LOWER DIGITS "._-") != n)
        return "must be 1 to 64 of the characters A-Z a-z 0-9 . _ -";
    return NULL;
}

const char *word_library_problem(const char *s)
{
    if (!*s)
        return "must not be empty; leave it out for the allocator of glibc";
    if (strpbrk(s, ": $"))
        return "must not contain a colon, a blank or \"$\", which have a meaning of their own in LD_PRELOAD";
    if (*s != '/' && strchr(s, '/'))
        return "must be an absolute path, or a bare name such as \"libjemalloc.so.2\"";
    if (*s == '/' && s[strlen(s) - 1] == '/')
        return "must be a file, not a directory";
    return NULL;
}

const char *word_variable_problem(const char *s)
{
    /* ld.so(8) and the list of variables that glibc takes from set-user-ID programs, as far as they name
     * code; openssl-env(7). */
    static const char *const loaders[] = { "GCONV_PATH",     "GETCONF_DIR",  "LOCPATH",
                                           "MALLOC_TRACE",   "OPENSSL_CONF", "OPENSSL_ENGINES",
                                           "OPENSSL_MODULES" };

    if (streq(s, "LD_PRELOAD"))
        return "is set by relayalloc itself; name the library in the allocator's \"library\"";
    if (strncmp(s, "LD_", 3) == 0)
        return "is not allowed: it makes the relay load code other than its own";
    for (size_t i = 0; i < ELEMENTSOF(loaders); i++)
        if (streq(s, loaders[i]))
            return "is not allowed: it makes the relay load or write files other than its own";
    if (!*s || strspn(s, UPPER LOWER DIGITS "_") != strlen(s) || strspn(s, DIGITS) > 0)
        return "is not a valid name of a variable; use letters, digits and _";
    return NULL;
}

/* Past the bracket expression that begins at `p` ("[!a-c]", "[]x]", "[[:digit:]]"); NULL: it never ends. */
static const char *skip_bracket(const char *p)
{
    p++;
    if (*p == '!' || *p == '^')
        p++;
    if (*p == ']')
        p++;
    while (*p && *p != ']') {
        if (*p == '[' && p[1] && strchr(":.=", p[1])) {
            const char end[] = { p[1], ']', '\0' };

            p = strstr(p + 2, end);
            if (!p)
                return NULL;
            p += 2;
        } else if (*p == '\\' && p[1]) {
            p += 2;
        } else {
            p++;
        }
    }
    return *p ? p + 1 : NULL;
}

/* "[1-100]", which means 1 to 1 or 0. "[13-5]" is no range of numbers, and may be meant as it is. */
static bool is_number_range(const char *p)
{
    p += 1 + (p[1] == '!' || p[1] == '^');
    const size_t low = strspn(p, DIGITS), high = p[low] == '-' ? strspn(p + low + 1, DIGITS) : 0;

    return low > 0 && high > 1 && high >= low && p[low + 1 + high] == ']';
}

/* strpbrk(3) without the characters that a backslash takes their meaning from. */
static bool has_unescaped(const char *s, const char *characters)
{
    for (; *s; s++) {
        if (*s == '\\' && s[1])
            s++;
        else if (strchr(characters, *s))
            return true;
    }
    return false;
}

/* What stands in no relay's name (systemd would escape it), but in what is taken for one by mistake. Who
 * means it writes a backslash before it. */
static const char *foreign_problem(const char *s)
{
    static const char regular[] = "is a regular expression; write a shell pattern such as \"relay[0-9]*\"";
    static const struct {
        const char *characters, *problem;
    } foreign[] = {
        { "{}",
          "has braces, which mean nothing here; write each name in quotes of its own, or a pattern such "
          "as \"relay[12]\"" },
        { ",; ", "must be one name; write each in quotes of its own: \"relay1\", \"relay2\"" },
        { "|()$+", regular },
        { "/", "must be a name or a pattern of names, not a path: \"relay1\", not "
               "\"/etc/tor/instances/relay1\"" },
        { "'\"", "must not have quotes within the quotes" },
    };

    if (*s == '!')
        return "must not begin with \"!\"; list what to leave out in \"except\"";
    if (*s == '$')
        return "must be a relay's name, not a fingerprint";
    if (*s == '^')
        return regular;
    for (size_t i = 0; i < ELEMENTSOF(foreign); i++)
        if (has_unescaped(s, foreign[i].characters))
            return foreign[i].problem;
    return NULL;
}

const char *word_pattern_problem(const char *s)
{
    if (!*s)
        return "must not be empty";
    const char *foreign = foreign_problem(s);
    if (foreign)
        return foreign;
    for (const char *p = s; *p;) {
        if (*p == '\\') {
            if (!p[1])
                return "must not end in a backslash";
            p += 2;
        } else if (*p == '[') {
            if (is_number_range(p))
                return "has a range of numbers in brackets, which stand for one character; relay1 to relay12 "
                       "are \"relay[1-9]\", \"relay1[0-2]\"";
            p = skip_bracket(p);
            if (!p)
                return "has a \"[\" without a matching \"]\"; write \"\\\\[\" for the character itself";
        } else {
            p++;
        }
    }
    return NULL;
}

/* Two digits at `s`, less than `limit`; -EINVAL for anything else. */
static int two_digits(const char *s, int limit)
{
    if (strspn(s, DIGITS) < 2)
        return -EINVAL;
    int v = (s[0] - '0') * 10 + (s[1] - '0');
    return v < limit ? v : -EINVAL;
}

int window_parse(const char *s, Window *ret)
{
    int from_hour = 0, from_minute = 0, to_hour = 0, to_minute = 0;

    if (!*s) {
        *ret = (Window){ 0 };
        return 0;
    }
    if (strlen(s) != strlen("HH:MM-HH:MM") || s[2] != ':' || s[5] != '-' || s[8] != ':')
        return -EINVAL;
    from_hour = two_digits(s, 24);
    from_minute = two_digits(s + 3, 60);
    to_hour = two_digits(s + 6, 24);
    to_minute = two_digits(s + 9, 60);
    if (from_hour < 0 || from_minute < 0 || to_hour < 0 || to_minute < 0)
        return -EINVAL;
    unsigned from = (unsigned)(from_hour * 60 + from_minute), to = (unsigned)(to_hour * 60 + to_minute);
    if (from == to)
        return -EINVAL;
    *ret = (Window){ .set = true, .from = from, .to = to };
    return 0;
}

int percent_parse(const char *s, Amount *ret)
{
    size_t digits = strspn(s, DIGITS);
    unsigned v = 0;

    if (digits == 0 || digits > 3 || !streq(s + digits, "%"))
        return -EINVAL;
    for (size_t i = 0; i < digits; i++)
        v = v * 10 + (unsigned)(s[i] - '0');
    if (v < 1 || v > 100)
        return -EINVAL;
    *ret = (Amount){ .value = v, .percent = true };
    return 0;
}
