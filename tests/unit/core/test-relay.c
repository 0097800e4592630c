/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/relay: the rows come from systemd 252 (systemd-escape, `systemctl start tor@…`, the check of
 * unit names), the properties from random instances. */
#include "core/relay.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TEMPLATE "tor@.service"

static void test_template_valid(void **state)
{
    (void)state;
    static const char *const good[] = { "tor@.service", "a@.service", "my-tor_1.2:x@.service",
                                        "a\\x2db@.service" };
    static const char *const bad[] = { "",
                                       "tor",
                                       "tor.service",
                                       "@.service",
                                       "tor@",
                                       "tor@x.service",
                                       "tor@.socket",
                                       "tor@.service ",
                                       "to r@.service",
                                       "../tor@.service",
                                       "tor@@.service",
                                       "t\xc3\xb6r@.service",
                                       ".service",
                                       "@",
                                       "tor@.service\n",
                                       "tor@/.service" };

    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        if (!template_valid(good[i]))
            fail_msg("\"%s\" is a template", good[i]);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        if (template_valid(bad[i]))
            fail_msg("\"%s\" is no template", bad[i]);
}

static void test_unit_is_instance(void **state)
{
    (void)state;
    static const struct {
        const char *unit_template, *unit;
        bool instance, service_instance;
    } rows[] = {
        { TEMPLATE, "tor@relay1.service", true, true },
        { TEMPLATE, "tor@default.service", true, true },
        { TEMPLATE, "tor@1.2.3.4_9000.service", true, true },
        { TEMPLATE, "tor@a@b.service", true, true },
        { TEMPLATE, "tor@a.service.service", true, true },
        { TEMPLATE, "tor@..service", true, true }, /* valid for systemd: the instance is "." */
        { TEMPLATE, "tor@...service", true, true },
        { TEMPLATE, "tor@\\.service", true, true },
        { TEMPLATE, "tor@.service", false, false },
        { TEMPLATE, "tor.service", false, false },
        { TEMPLATE, "torx@a.service", false, true },
        { TEMPLATE, "to@a.service", false, true },
        { "tor@.service", "@a.service", false, false },
        { TEMPLATE, "tor@a.socket", false, false },
        { TEMPLATE, "tor@a b.service", false, false },
        { TEMPLATE, "tor@a/b.service", false, false },
        { TEMPLATE, "tor@../../x.service", false, false },
        { TEMPLATE, "tor@\xc3\xa4.service", false, false },
        { TEMPLATE, "tor@a.service\n", false, false },
        { TEMPLATE, "tor@a\n.service", false, false },
        { TEMPLATE, "", false, false },
        { TEMPLATE, "tor@", false, false },
        { TEMPLATE, "tor@service", false, false },
        { "my-tor@.service", "my-tor@x.service", true, true },
        { "my-tor@.service", "tor@x.service", false, true },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        if (unit_is_instance(rows[i].unit_template, rows[i].unit) != rows[i].instance)
            fail_msg("row %zu: %s of %s", i, rows[i].unit, rows[i].unit_template);
        if (unit_is_service_instance(rows[i].unit) != rows[i].service_instance)
            fail_msg("row %zu: %s", i, rows[i].unit);
    }
}

/* The one unit that a name can be of: what cannot stand in a unit is escaped. Names that lead back to their
 * units are never those of two. */
static char *unit_of(const char *name)
{
    char *unit = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&unit, &size);

    assert_non_null(f);
    fputs("tor@", f);
    for (const char *p = name; *p; p++)
        fprintf(f, isascii(*p) && (isalnum(*p) || strchr(":-_.@\\", *p)) ? "%c" : "\\x%02x",
                (unsigned char)*p);
    fputs(".service", f);
    fclose(f);
    return unit;
}

/* Each is right in both directions. */
static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *instance, *name;
    } rows[] = {
        { "relay1", "relay1" },
        { "default", "default" },
        { "1.2.3.4_9000", "1.2.3.4_9000" },
        { "my-relay", "my-relay" }, /* not "my/relay" */
        { "-", "-" },
        { "a:b_c.d", "a:b_c.d" },
        { "a@b", "a@b" },
        { ".hidden", ".hidden" },
        { "..", ".." }, /* only a name: the folder is tor@...service.d */
        /* shown unescaped, as systemd-escape writes them */
        { "a\\x20b", "a b" },
        { "\\xc3\\xa4", "\xc3\xa4" },
        { "\\xe2\\x82\\xac\\xf0\\x9f\\xa7\\x85", "\xe2\x82\xac\xf0\x9f\xa7\x85" },
        { "q\\x22\\x27\\x25\\x24\\x3b\\x23\\x2a\\x7e", "q\"'%$;#*~" },
        { "a\\x2fb", "a/b" },
        { "\\x2e\\x2e\\x2fpasswd", "\\x2e\\x2e/passwd" },
        /* what could have been written as it is stays distinguishable */
        { "my\\x2drelay", "my\\x2drelay" },
        { "\\x61", "\\x61" },
        { "\\x2ehidden", "\\x2ehidden" },
        { "x\\x40y", "x\\x40y" },
        /* upper case, control characters, backslashes, broken UTF-8 and broken escapes stay as they are */
        { "\\xC3\\xA4", "\\xC3\\xA4" },
        { "a\\x2Fb", "a\\x2Fb" },
        { "a\\x0ab", "a\\x0ab" },
        { "a\\x00b", "a\\x00b" },
        { "a\\x7fb", "a\\x7fb" },
        { "a\\x1b", "a\\x1b" },
        { "\\xc2\\x80", "\\xc2\\x80" },
        { "\\xc2\\xa0", "\xc2\xa0" },
        { "a\\x5cb", "a\\x5cb" },
        { "a\\x5cx20b", "a\\x5cx20b" },
        { "\\", "\\" },
        { "a\\b", "a\\b" },
        { "a\\\\x20b", "a\\ b" },
        { "\\x", "\\x" },
        { "\\x2", "\\x2" },
        { "\\x2g", "\\x2g" },
        { "\\xff", "\\xff" },
        { "\\xc3", "\\xc3" },
        { "\\xc3a", "\\xc3a" },
        { "\\xc3\\x28", "\\xc3(" },
        { "\\xe2\\x82", "\\xe2\\x82" },
        { "\\xc0\\xaf", "\\xc0\\xaf" },                     /* an overlong "/" */
        { "\\xed\\xa0\\x80", "\\xed\\xa0\\x80" },           /* a surrogate */
        { "\\xef\\xbf\\xbf", "\\xef\\xbf\\xbf" },           /* U+FFFF */
        { "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80" }, /* beyond Unicode */
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(freep) char *unit = xasprintf("tor@%s.service", rows[i].instance), *name = NULL,
                              *again = unit_of(rows[i].name);
        assert_int_equal(relay_name_from_unit(TEMPLATE, unit, &name), 0);
        assert_string_equal(name, rows[i].name);
        assert_string_equal(again, unit);
    }
}

static void test_units_refused(void **state)
{
    (void)state;
    char *untouched = (char *)"untouched", *ret = untouched;

    assert_int_equal(relay_name_from_unit(TEMPLATE, "torx@a.service", &ret), -EINVAL);
    assert_int_equal(relay_name_from_unit(TEMPLATE, "tor@.service", &ret), -EINVAL);
    assert_int_equal(relay_name_from_unit(TEMPLATE, "tor@a/../b.service", &ret), -EINVAL);
    assert_ptr_equal(ret, untouched);
}

static void test_length(void **state)
{
    (void)state;
    /* "tor@" and ".service" leave 243 characters for the instance. */
    char longest[] = "123456789012345678901234567890123456789012345678901234567890123456789012345678901"
                     "123456789012345678901234567890123456789012345678901234567890123456789012345678901"
                     "123456789012345678901234567890123456789012345678901234567890123456789012345678901";
    _cleanup_(freep) char *unit = NULL, *name = NULL, *too_long = xasprintf("%sx", longest),
                          *too_long_unit = xasprintf("tor@%s.service", too_long);
    char *untouched = NULL;

    assert_int_equal(strlen(longest), 243);
    assert_int_equal(relay_unit_of_folder(TEMPLATE, longest, &unit), 0);
    assert_int_equal(strlen(unit), UNIT_NAME_LONGEST);
    assert_int_equal(relay_name_from_unit(TEMPLATE, unit, &name), 0);
    assert_string_equal(name, longest);

    assert_int_equal(relay_unit_of_folder(TEMPLATE, too_long, &untouched), -ENAMETOOLONG);
    assert_null(untouched);
    assert_false(unit_is_instance(TEMPLATE, too_long_unit));
}

static void test_folder(void **state)
{
    (void)state;
    static const char *const bad[] = { "", ".", "..", "a b", "a/b", "\xc3\xa4", "a\n", "a\"b", "../x" };
    static const struct {
        const char *folder, *unit;
    } rows[] = {
        { "relay1", "tor@relay1.service" },
        { "my-relay", "tor@my-relay.service" },
        { "a\\x20b", "tor@a\\x20b.service" },
        { "1.2.3.4_9000", "tor@1.2.3.4_9000.service" },
    };
    char *untouched = NULL;

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(freep) char *unit = NULL;
        assert_int_equal(relay_unit_of_folder(TEMPLATE, rows[i].folder, &unit), 0);
        assert_string_equal(unit, rows[i].unit);
    }
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        if (relay_unit_of_folder(TEMPLATE, bad[i], &untouched) != -EINVAL)
            fail_msg("row %zu names no unit", i);
    assert_null(untouched);
}

static uint64_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Every valid instance has a name, and that name leads back to it alone. */
static void test_property_units(void **state)
{
    (void)state;
    static const char *const pieces[] = { "a",     "Z",     "0",     "-",     ":",     ".",     "_",
                                          "@",     "\\",    "x",     "2",     "d",     "c3",    "\\x",
                                          "\\x20", "\\x2d", "\\x5c", "\\x2f", "\\x00", "\\xc3", "\\xa4",
                                          "\\xe2", "\\x82", "\\xac", "\\xC3", "\\xff", "\\x0a", "\\x7e" };
    uint64_t seed = 1;

    for (int round = 0; round < 50000; round++) {
        char instance[64] = "";
        for (uint64_t n = 1 + random_next(&seed) % 8; n > 0; n--)
            strcat(instance, pieces[random_next(&seed) % ELEMENTSOF(pieces)]);
        _cleanup_(freep) char *unit = xasprintf("tor@%s.service", instance), *name = NULL, *again = NULL;
        assert_int_equal(relay_name_from_unit(TEMPLATE, unit, &name), 0);
        again = unit_of(name);
        assert_string_equal(again, unit);
        for (const char *p = name; *p; p += utf8_character(p)) {
            assert_true(utf8_character(p) > 0);
            assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
        }
    }
}

/* What people type for a relay, and what is meant. */
static void test_typed(void **state)
{
    (void)state;
    static const struct {
        const char *typed, *name;
    } rows[] = {
        { "relay1", "relay1" },
        { "relay1.service", "relay1" },
        { "tor@relay1", "relay1" },
        { "tor@relay1.service", "relay1" },
        { "tor@relay*.service", "relay*" },
        { "tor@*", "*" },
        { "*", "*" },
        { "1.2.3.4_9000", "1.2.3.4_9000" },
        { "tor@a\\x20b.service", "a b" }, /* as "list" shows it */
        { "tor@my\\x2drelay", "my\\x2drelay" },
        { "my-relay", "my-relay" },
        { ".service", ".service" },
        { "tor@", "tor@" },
        { "onion@relay1", "onion@relay1" }, /* another template's */
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        _cleanup_(freep) char *name = relay_name_typed(TEMPLATE, rows[i].typed);
        assert_string_equal(name, rows[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typed),
        cmocka_unit_test(test_template_valid),
        cmocka_unit_test(test_unit_is_instance),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_units_refused),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_property_units),
    };

    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
