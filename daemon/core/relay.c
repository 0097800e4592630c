/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the mapping between units, directories and relay names (see the header). Must never let two units
 * share a name, or a name become a path. */
#include "core/relay.h"

#include <assert.h>
#include <errno.h>

#define SUFFIX ".service"

/* unit_name_is_valid() of systemd, without locale: isalnum() may know more letters. */
static bool stays_in_unit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr(":-_.@", c));
}

static bool valid_characters(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!stays_in_unit(s[i]) && s[i] != '\\')
            return false;
    return true;
}

/* The parts of "PREFIX@INSTANCE.service"; the instance is empty in a template. As in systemd, the first "@"
 * ends the prefix, and more of them belong to the instance. */
static bool split_unit(const char *unit, size_t *ret_prefix, size_t *ret_instance)
{
    size_t length = strlen(unit), suffix = strlen(SUFFIX);
    const char *at = strchr(unit, '@');

    if (!at || at == unit || length > UNIT_NAME_LONGEST || length < suffix ||
        !streq(unit + length - suffix, SUFFIX))
        return false;
    size_t prefix = (size_t)(at - unit);
    if (prefix + 1 + suffix > length || !valid_characters(unit, length - suffix))
        return false;
    *ret_prefix = prefix;
    *ret_instance = length - suffix - prefix - 1;
    return true;
}

bool template_valid(const char *unit_template)
{
    size_t prefix = 0, instance = 0;

    return split_unit(unit_template, &prefix, &instance) && instance == 0;
}

bool unit_is_service(const char *unit)
{
    size_t length = strlen(unit), suffix = strlen(SUFFIX);

    if (strchr(unit, '@'))
        return unit_is_service_instance(unit);
    return length > suffix && length <= UNIT_NAME_LONGEST && streq(unit + length - suffix, SUFFIX) &&
           valid_characters(unit, length - suffix);
}

bool unit_is_service_instance(const char *unit)
{
    size_t prefix = 0, instance = 0;

    return split_unit(unit, &prefix, &instance) && instance > 0;
}

bool unit_is_instance(const char *unit_template, const char *unit)
{
    assert(template_valid(unit_template));

    size_t prefix = strlen(unit_template) - strlen(SUFFIX);
    return unit_is_service_instance(unit) && strncmp(unit, unit_template, prefix) == 0;
}

/* Value of a lower-case hexadecimal digit (the ones that systemd writes), or -1. */
static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character that the escapes at `s` spell, if it is one that a name shows: printable, and not one that
 * could stand in the unit itself. The number of escapes read, 0 when they stay as they are. */
static size_t unescape_character(const char *s, char ret[static 5])
{
    char bytes[5] = { 0 };

    for (size_t i = 0; i < 4 && s[0] == '\\' && s[1] == 'x'; i++, s += 4) {
        int high = hex_digit(s[2]), low = high < 0 ? -1 : hex_digit(s[3]);
        if (low < 0)
            break;
        bytes[i] = (char)(high << 4 | low);
    }
    size_t n = utf8_character(bytes);
    unsigned char first = (unsigned char)bytes[0], second = (unsigned char)bytes[1];
    bool control = first < 0x20 || first == 0x7f || (first == 0xc2 && second < 0xa0);
    if (n == 0 || control || stays_in_unit(bytes[0]) || bytes[0] == '\\')
        return 0;
    memcpy(ret, bytes, n);
    ret[n] = '\0';
    return n;
}

char *relay_template_of(const char *unit)
{
    return xasprintf("%.*s@" SUFFIX, (int)strcspn(unit, "@"), unit);
}

char *relay_instance(const char *unit_template, const char *unit)
{
    size_t prefix = strlen(unit_template) - strlen(SUFFIX);

    return unit_is_instance(unit_template, unit)
               ? xstrndup(unit + prefix, strlen(unit) - prefix - strlen(SUFFIX))
               : xstrdup("");
}

int relay_name_from_unit(const char *unit_template, const char *unit, char **ret)
{
    if (!unit_is_instance(unit_template, unit))
        return -EINVAL;

    size_t prefix = strlen(unit_template) - strlen(SUFFIX);
    const char *p = unit + prefix, *end = unit + strlen(unit) - strlen(SUFFIX);
    char *name = xcalloc((size_t)(end - p) + 1, 1), *w = name; /* never longer than the instance */
    while (p < end) {
        char character[5];
        size_t n = unescape_character(p, character);
        if (n == 0) {
            *w++ = *p++;
            continue;
        }
        w = mempcpy(w, character, n);
        p += 4 * n;
    }
    *ret = name;
    return 0;
}

int relay_unit_of_folder(const char *unit_template, const char *folder, char **ret)
{
    assert(template_valid(unit_template));

    if (streq(folder, ".") || streq(folder, ".."))
        return -EINVAL;
    size_t prefix = strlen(unit_template) - strlen(SUFFIX);
    if (prefix + strlen(folder) + strlen(SUFFIX) > UNIT_NAME_LONGEST)
        return -ENAMETOOLONG;
    _cleanup_(freep) char *unit = xasprintf("%.*s%s%s", (int)prefix, unit_template, folder, SUFFIX);
    if (!unit_is_instance(unit_template, unit))
        return -EINVAL;
    *ret = TAKE_PTR(unit);
    return 0;
}

char *relay_unit_pattern(const char *unit_template)
{
    const char *at = strchr(unit_template, '@');

    assert(at);
    return xasprintf("%.*s@*%s", (int)(at - unit_template), unit_template, at + 1);
}

char *relay_name_typed(const char *unit_template, const char *typed)
{
    size_t prefix = strlen(unit_template) - strlen(SUFFIX), suffix = strlen(SUFFIX);
    const bool with_prefix = strncmp(typed, unit_template, prefix) == 0 && typed[prefix];
    const char *name = with_prefix ? typed + prefix : typed;
    size_t n = strlen(name);
    const bool with_suffix = n > suffix && streq(name + n - suffix, SUFFIX);
    char *found = NULL;

    if (with_suffix)
        n -= suffix;
    if (with_prefix || with_suffix) {
        _cleanup_(freep) char *unit =
            xasprintf("%.*s%.*s%s", (int)prefix, unit_template, (int)n, name, SUFFIX);
        if (relay_name_from_unit(unit_template, unit, &found) == 0)
            return found;
    }
    return xstrndup(name, n);
}
