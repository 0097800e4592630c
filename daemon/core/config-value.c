/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of a parsed file, read by type and range. Must never know a setting's name or meaning: that is up to
 * config-read. */
#include "core/config-value.h"
#include "core/config-word.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>

#define SETTLE_MAX 86400.0

char *value_found(const ConfNode *node)
{
    switch (node->kind) {
    case CONF_GROUP:
        return xstrdup("a group { … }");
    case CONF_LIST:
        return xstrdup("a list");
    case CONF_INT:
        return xasprintf("%" PRId64, node->integer);
    case CONF_FLOAT:
        /* "60.0" where a whole number is wanted must not look like one. */
        return fabs(node->real) < 1e15 && node->real == floor(node->real) ? xasprintf("%.1f", node->real)
                                                                          : xasprintf("%g", node->real);
    case CONF_BOOL:
        return xstrdup(node->integer ? "true" : "false");
    case CONF_STRING:
        return word_text_problem(node->string) || strlen(node->string) > CONFIG_NAME_MAX
                   ? xstrdup("this string")
                   : xasprintf("\"%s\"", node->string);
    }
    abort(); /* no other kind exists */
}

void value_must_be(Load *l, const ConfNode *node, const char *setting, const char *what)
{
    _cleanup_(freep) char *it = value_found(node);

    value_complain(l, node, setting, "must be %s, not %s", what, it);
}

bool value_is(Load *l, const ConfNode *node, const char *setting, ConfKind kind, const char *what)
{
    if (node->kind != kind)
        value_must_be(l, node, setting, what);
    return node->kind == kind;
}

const char *value_string(Load *l, const ConfNode *node, const char *setting)
{
    if (!value_is(l, node, setting, CONF_STRING, "a string in double quotes"))
        return NULL;
    const char *problem = word_text_problem(node->string);
    if (problem) {
        value_complain(l, node, setting, "%s", problem);
        return NULL;
    }
    return node->string;
}

bool value_integer(Load *l, const ConfNode *node, const char *setting, unsigned min, unsigned max,
                   unsigned *ret)
{
    if (node->kind != CONF_INT || node->integer < min || node->integer > max) {
        _cleanup_(freep) char *what = xasprintf("a whole number from %u to %u", min, max);
        value_must_be(l, node, setting, what);
        return false;
    }
    *ret = (unsigned)node->integer;
    return true;
}

double value_number(const ConfNode *node)
{
    return node->kind == CONF_FLOAT ? node->real : (double)node->integer;
}

bool value_is_number(const ConfNode *node)
{
    return node->kind == CONF_INT || node->kind == CONF_FLOAT;
}

void value_seconds(Load *l, const ConfNode *node, const char *setting, usec_t *ret)
{
    /* NaN compares false with everything and so is refused. */
    if (value_is_number(node) && value_number(node) >= 0 && value_number(node) <= SETTLE_MAX)
        *ret = (usec_t)(value_number(node) * (double)USEC_PER_SEC + 0.5);
    else
        value_must_be(l, node, setting, "a number of seconds from 0 to 86400");
}

int value_word(Load *l, const ConfNode *node, const char *setting, const char *const *words)
{
    _cleanup_(freep) char *what = xasprintf("\"%s\" or \"%s\"", words[0], words[1]);

    assert(!words[2]); /* both of our enums have two words */
    if (!value_is(l, node, setting, CONF_STRING, what))
        return -1;
    for (int i = 0; words[i]; i++)
        if (streq(words[i], node->string))
            return i;
    const char *near = did_you_mean(node->string, words);
    _cleanup_(freep) char *it = value_found(node);
    if (near)
        value_complain(l, node, setting, "must be %s, not %s (did you mean \"%s\"?)", what, it, near);
    else
        value_complain(l, node, setting, "must be %s, not %s", what, it);
    return -1;
}
