/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/dropin: the exact text, and that no value can break out of it. The escaped values were held
 * against the Environment property of systemd 252 and 257 and the environment of a started unit. */
#include "core/dropin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HEAD(group, allocator)                                                                               \
    "# relayalloc: written from /etc/relayalloc.conf, group " group ", allocator " allocator                 \
    "; changes made here are lost\n[Service]\n"

static void test_text(void **state)
{
    (void)state;
    EnvVar variables[] = { { (char *)"MIMALLOC_PURGE_DELAY", (char *)"0" },
                           { (char *)"MIMALLOC_DECOMMIT_DELAY", (char *)"0" } };
    Allocator plain = { .name = (char *)"mimalloc" },
              tuned = { .name = (char *)"mimalloc-tuned", .environment = variables, .n_environment = 2 },
              glibc = { .name = (char *)"glibc" };
    _cleanup_(freep) char *a = dropin_render("/etc/relayalloc.conf", "B", &plain, "/usr/lib/libmimalloc.so.2",
                                             NULL),
                          *b = dropin_render("/etc/relayalloc.conf", "B", &tuned, "/usr/lib/libmimalloc.so.2",
                                             NULL),
                          *c = dropin_render("/etc/relayalloc.conf", "A", &glibc, NULL, NULL);
    char *kept[] = { (char *)"/usr/lib/libmptcpwrap.so.0.0.1", (char *)"lib%.so", NULL };
    _cleanup_(freep) char *d = dropin_render("/etc/relayalloc.conf", "B", &plain, "/usr/lib/libmimalloc.so.2",
                                             kept),
                          *e = dropin_render("/etc/relayalloc.conf", "A", &glibc, NULL, kept);

    assert_non_null(strstr(d, "\nEnvironment=\"LD_PRELOAD=/usr/lib/libmimalloc.so.2:"
                              "/usr/lib/libmptcpwrap.so.0.0.1:lib%%.so\"\n"));
    assert_non_null(strstr(e, "\nEnvironment=\"LD_PRELOAD=/usr/lib/libmptcpwrap.so.0.0.1:lib%%.so\"\n"));

    assert_string_equal(a, HEAD("B", "mimalloc") "Environment=\"LD_PRELOAD=/usr/lib/libmimalloc.so.2\"\n");
    assert_string_equal(b,
                        HEAD("B", "mimalloc-tuned") "Environment=\"LD_PRELOAD=/usr/lib/libmimalloc.so.2\"\n"
                                                    "Environment=\"MIMALLOC_PURGE_DELAY=0\"\n"
                                                    "Environment=\"MIMALLOC_DECOMMIT_DELAY=0\"\n");
    assert_string_equal(c, HEAD("A", "glibc") "Environment=\"LD_PRELOAD=\"\n");
}

static void test_escapes(void **state)
{
    (void)state;
    static const struct {
        const char *value, *written;
    } rows[] = {
        { "", "" },
        { "a b", "a b" },
        { "  both ends\t", "  both ends\\x09" },
        { "100%", "100%%" },
        { "%i%%", "%%i%%%%" },
        { "say \"hi\"", "say \\\"hi\\\"" },
        { "it's", "it's" },
        { "\\", "\\\\" },
        { "\\n \\x41 \\", "\\\\n \\\\x41 \\\\" },
        { "$HOME ${HOME} $$", "$HOME ${HOME} $$" },
        { "#; a=b", "#; a=b" },
        { "[Service]", "[Service]" },
        { "\xc3\xa4\xe2\x82\xac\xf0\x9f\xa7\x85", "\xc3\xa4\xe2\x82\xac\xf0\x9f\xa7\x85" },
        { "one\ntwo", "one\\x0atwo" },
        { "one\\\ntwo", "one\\\\\\x0atwo" },
        { "\r\x01\x1b\x7f", "\\x0d\\x01\\x1b\\x7f" },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        EnvVar variable = { (char *)"V", (char *)rows[i].value };
        Allocator allocator = { .name = (char *)"a", .environment = &variable, .n_environment = 1 };
        _cleanup_(freep) char *text =
                                  dropin_render("/etc/relayalloc.conf", "g", &allocator, rows[i].value, NULL),
                              *expected = xasprintf("%sEnvironment=\"LD_PRELOAD=%s\"\nEnvironment=\"V=%s\"\n",
                                                    HEAD("g", "a"), rows[i].written, rows[i].written);
        assert_string_equal(text, expected);
    }
}

static void test_comment_shows_no_control_characters(void **state)
{
    (void)state;
    Allocator allocator = { .name = (char *)"a" };

    for (int c = 1; c < 0x80; c++) {
        char group[] = { (char)c, '\0' }, shown[] = { c < ' ' || c == 0x7f ? '?' : (char)c, '\0' };
        _cleanup_(freep) char *text = dropin_render("/etc/relayalloc.conf", group, &allocator, NULL, NULL),
                              *expected =
                                  xasprintf("# relayalloc: written from /etc/relayalloc.conf, group %s, "
                                            "allocator a; changes made here are lost\n"
                                            "[Service]\nEnvironment=\"LD_PRELOAD=\"\n",
                                            shown);

        assert_string_equal(text, expected);
    }
}

/* Names come from a file that root wrote, but a newline in one must not become a line of a unit. */
static void test_comment_keeps_to_its_line(void **state)
{
    (void)state;
    Allocator allocator = { .name = (char *)"x\r\n[Service]\nUser=root\\" };
    _cleanup_(freep) char *text = dropin_render("/etc/a\n.conf", "\xff\xc3\xa4\n\\", &allocator, NULL, NULL);

    assert_string_equal(text, "# relayalloc: written from /etc/a?.conf, group ?\xc3\xa4?\\, allocator "
                              "x??[Service]?User=root\\; changes made here are lost\n"
                              "[Service]\nEnvironment=\"LD_PRELOAD=\"\n");
    assert_true(dropin_is_ours(text));
}

static void test_is_ours(void **state)
{
    (void)state;
    assert_true(dropin_is_ours("# relayalloc: written from /etc/relayalloc.conf, group B, allocator x"));
    assert_true(dropin_is_ours(DROPIN_MARK));
    assert_false(dropin_is_ours(""));
    assert_false(dropin_is_ours("\n" DROPIN_MARK "/etc/relayalloc.conf"));
    assert_false(dropin_is_ours("[Service]\n" DROPIN_MARK "/etc/relayalloc.conf"));
    assert_false(dropin_is_ours(" " DROPIN_MARK));
    assert_false(dropin_is_ours("# relayalloc: written by hand"));
    assert_false(dropin_is_ours("# relayalloc"));
}

static uint64_t random_next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

/* Whatever is written is read back, and there are exactly as many lines as there must be. */
static void test_property_round_trip(void **state)
{
    (void)state;
    static const char *const pieces[] = { "a",    " ",  "\"",   "'",    "\\", "%",   "\n", "\t",
                                          "#",    ";",  "=",    "$",    "[",  "x41", "n",  "\xc3\xa4",
                                          "\x01", "\r", "\x7f", "\\\n", "%%", "\"\n" };
    uint64_t seed = 3;

    for (int round = 0; round < 20000; round++) {
        char values[3][128] = { "", "", "" };
        EnvVar variables[] = { { (char *)"A", values[1] }, { (char *)"B_2", values[2] } };
        Allocator allocator = { .name = values[0], .environment = variables, .n_environment = 2 };
        for (size_t v = 0; v < 3; v++)
            for (uint64_t n = random_next(&seed) % 12; n > 0; n--)
                strcat(values[v], pieces[random_next(&seed) % ELEMENTSOF(pieces)]);
        _cleanup_(freep) char *text = dropin_render(values[1], values[2], &allocator, values[0], NULL);
        _cleanup_(strv_freep) char **read = dropin_environment(text);
        size_t lines = 0;
        for (const char *p = text; (p = strpbrk(p, "\n\r")); p++)
            lines++;
        assert_int_equal(lines, 5);
        assert_true(dropin_is_ours(text));
        assert_int_equal(strv_length(read), 3);
        assert_string_equal(strv_env_get(read, "LD_PRELOAD"), values[0]);
        assert_string_equal(strv_env_get(read, "A"), values[1]);
        assert_string_equal(strv_env_get(read, "B_2"), values[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_comment_keeps_to_its_line),
        cmocka_unit_test(test_comment_shows_no_control_characters),
        cmocka_unit_test(test_is_ours),
        cmocka_unit_test(test_property_round_trip),
    };

    return cmocka_run_group_tests_name("dropin", tests, NULL, NULL);
}
