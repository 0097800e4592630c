/* SPDX-License-Identifier: BSD-3-Clause */
/* core/config-syntax: the sentence that helps, and the place. */
#include "core/config-syntax.h"
#include "core/util.h"
#include "test.h"

static void check(const char *text, const char *at, const char *words, const char *place)
{
    const char *found = strstr(text, at);

    assert_non_null(found);
    _cleanup_(freep) char *said = config_syntax_explain(text, found, NULL),
                          *below = xasprintf("\n    %s", place);
    if (!strstr(said, words) || !strstr(said, below) || strstr(said, below)[strlen(below)] != '\0')
        fail_msg("%s", said);
}

static void test_sentences(void **state)
{
    (void)state;
    check("{ \"groups\": [ ] }", "{", "looks like JSON", "{ \"groups\": [ ] }\n    ^");
    check("# mine\n[groups]\nname = all\n", "[", "looks like TOML or an INI file", "[groups]\n    ^");
    check("[[groups]]\n", "[", "looks like TOML", "[[groups]]\n    ^");
    check("groups:\n  - name: all\n", "-", "looks like YAML", "  - name: all\n      ^");
    check("a = \u201call\u201d;", "\u201call", "word processor", "a = \u201call\u201d;\n        ^");
    check("a = { b\u00a0= 1; };", "\u00a0", "no-break space", "a = { b\u00a0= 1; };\n           ^");
    check("a = 'x';", "'", "strings are in double quotes", "a = 'x';\n        ^");
    check("a = ( 1,\n );", ")", "no comma after the last one", " );\n     ^");
    check("a = [ \"x\", ];", "]", "no comma after the last one", "a = [ \"x\", ];\n               ^");
    check("a = 10%;", "10%", "a percentage stands in quotes", "a = 10%;\n        ^");
    check("a = 1m;", ";", "no unit here", "a = 1m;\n          ^");
    check("a = 1min;", "1min", "no unit here", "a = 1min;\n        ^");
    check("a = 4G;", "4G", "a size stands in quotes: \"4G\"", "a = 4G;\n        ^");
    check("a = 512M;", ";", "a size stands in quotes: \"4G\"", "a = 512M;\n            ^");
    check("a = all;", "all", "a text stands in double quotes", "a = all;\n        ^");
    check("rollout.parallel = 4;", "rollout", "within the braces of its section",
          "rollout.parallel = 4;\n    ^");
    check("a = 1\nb = 2;", "b", "for a missing \";\"", "b = 2;\n    ^");
    check("\ta \t= = 1;", "= 1", "for a missing", " a  = = 1;\n          ^");
}

/* Of a long line the part around the place. */
static void test_long_line(void **state)
{
    (void)state;
    _cleanup_(freep) char *line = xcalloc(1001, 1);

    memset(line, 'x', 1000);
    line[700] = '!';
    _cleanup_(freep) char *said = config_syntax_explain(line, line + 700, NULL);
    const char *second = strchr(said, '\n') + 1, *third = strchr(second, '\n') + 1;
    assert_true(strlen(second) < 230);
    assert_int_equal(second[strcspn(third, "^")], '!');
}

static void check_end(const char *text, size_t end, const char *open)
{
    const char *found = NULL;

    assert_int_equal(config_syntax_end(text, &found) - text, end);
    assert_true(open ? found && strcmp(found, open) == 0 : !found);
}

static void test_end(void **state)
{
    (void)state;
    check_end("", 0, NULL);
    check_end("# only ( this\n", 0, NULL);
    check_end("a = 1;\n\n", 6, NULL);
    check_end("a = ( {\n} # )\n// )\n/* ) */ ", 9, "( {\n} # )\n// )\n/* ) */ ");
    check_end("a = ( \")\" ", 9, "( \")\" ");
    check_end("a = ( [ { ] \n", 11, "( [ { ] \n" + 2);
    check_end("a = ) \n", 5, NULL);
    check_end("a /* not closed ( ", 1, NULL);
    const char *said = "what else";
    _cleanup_(freep) char *text = config_syntax_explain("a = (\n", "", said);
    assert_null(strstr(text, "look here"));
}

static void test_tokens(void **state)
{
    (void)state;
    static const char line[] = "a1 = ( \"b \\\" c\", 10% ); # end\nnext";
    static const size_t expected[] = { 0, 3, 5, 7, 15, 17, 21, 22, 24 };
    size_t starts[16];

    assert_int_equal(config_syntax_tokens(line, starts, 16), ELEMENTSOF(expected));
    for (size_t i = 0; i < ELEMENTSOF(expected); i++)
        assert_int_equal(starts[i], expected[i]);
    assert_int_equal(config_syntax_tokens(line, starts, 2), 2);
    assert_int_equal(config_syntax_tokens("", starts, 16), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_long_line),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_tokens),
    };

    return cmocka_run_group_tests_name("config-syntax", tests, NULL, NULL);
}
