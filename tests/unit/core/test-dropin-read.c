/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/dropin-read. Every row was held against systemd 252 and 257: the Environment property of a
 * unit with that drop-in, the environment of a process started with that EnvironmentFile=. */
#include "core/dropin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct Row {
    const char *text;
    const char *expected[6];
} Row;

static void check_rows(const Row *rows, size_t n, char **(*read)(const char *text))
{
    for (size_t i = 0; i < n; i++) {
        _cleanup_(strv_freep) char **found = read(rows[i].text);
        size_t length = 0;
        while (length < ELEMENTSOF(rows[i].expected) && rows[i].expected[length])
            length++;
        if (strv_length(found) != length)
            fail_msg("row %zu: %zu found", i, strv_length(found));
        for (size_t j = 0; j < length; j++)
            if (!streq(found[j], rows[i].expected[j]))
                fail_msg("row %zu: \"%s\"", i, found[j]);
    }
}

#define S "[Service]\n"
#define E "Environment="

static void test_environment(void **state)
{
    (void)state;
    static const Row rows[] = {
        { "", { NULL } },
        { S E "A=1\n", { "A=1" } },
        { S E "A=1", { "A=1" } },
        { S "  Environment \t= A=1 \r\n", { "A=1" } },
        { "\xef\xbb\xbf" S E "A=1\n", { "A=1" } },
        /* several on one line, and quotes, which may open within a word */
        { S E "A=1 B=2\tC=3\n", { "A=1", "B=2", "C=3" } },
        { S E "\"A=one two\" 'B=three four' C=5\n", { "A=one two", "B=three four", "C=5" } },
        { S E "A=\"one two\" B='x'\"y\"z\n", { "A=one two", "B=xyz" } },
        { S E "\"A=it's\" 'B=\"q\"'\n", { "A=it's", "B=\"q\"" } },
        { S E "A= B=\n", { "A=", "B=" } },
        { S E "A=#x;y B=a=b\n", { "A=#x;y", "B=a=b" } },
        { S E "A=${B} $C\n", { "A=${B}" } },
        /* the last value counts, in the first one's place */
        { S E "A=1\n" E "B=2\n" E "A=3\n", { "A=3", "B=2" } },
        { S E "A=1\n" E "\n" E "B=2\n", { "B=2" } },
        { S E "A=1\nEnvironment =  \n", { NULL } },
        { S E "A=1\n" E "\"\"\n", { "A=1" } },
        /* escapes */
        { S E "A=\\x41\\101\\u00e4\\U0001f9c5\n", { "A=AA\xc3\xa4\xf0\x9f\xa7\x85" } },
        { S E "\"A=\\a\\b\\f\\n\\r\\t\\v\\s\\\\\\\"\\'\"\n", { "A=\a\b\f\n\r\t\v \\\"'" } },
        { S E "'A=\\x2a' B=\\xC4\\x84\n", { "A=*", "B=\xc4\x84" } },
        { S E "A=1 B=\\q C=3\n" E "D=4\n", { "A=1", "D=4" } },
        { S E "A=1 B=\\x4 C=3\n" E "D=4\n", { "A=1", "D=4" } },
        { S E "A=1 B=\\x00 C=3\n", { "A=1" } },
        { S E "A=1 B=\\400 C=3\n", { "A=1" } },
        { S E "A=1 B=\\08 C=3\n", { "A=1" } },
        { S E "A=1 B=\\Uffffffff C=3\n", { "A=1" } },
        { S E "A=1 B=\\U0000ffff C=3\n", { "A=1" } },
        { S E "A=1 B=\\ud800 C=3\n", { "A=1", "C=3" } },
        { S E "A=1 B=\\xff C=3\n", { "A=1", "C=3" } },
        { S E "A=1 \"B=2\n" E "C=3\n", { "A=1", "C=3" } },
        { S E "A=1 B='2\n", { "A=1" } },
        /* specifiers */
        { S E "A=100%% B=%%i C=50%\n", { "A=100%", "B=%i", "C=50%" } },
        { S E "A=\\x25%\n", { "A=%" } },
        /* continuation and comments */
        { S E "A=1 \\\n  B=2\n", { "A=1", "B=2" } },
        { S E "A=1\\\nB=2\n", { "A=1", "B=2" } },
        { S E "A=1\\\\\nB=2\n", { "A=1\\" } },
        { S E "A=1 \\\n# B=2 \\\n ; C=3\n D=4\n", { "A=1", "D=4" } },
        { S E "A=1 \\\n\nB=2\n", { "A=1" } },
        { S E "A=1 \\\n  \n" E "B=2\n", { "A=1", "B=2" } },
        { S E "A=1 \\", { "A=1" } },
        { S E "\"A=one \\\ntwo\"\n", { "A=one  two" } },
        { S "#" E "A=1\n;" E "B=1\n  # " E "C=1\\\n" E "D=4\n", { "D=4" } },
        { "# \xff\n" S E "A=1\n", { "A=1" } },
        /* sections */
        { E "A=1\n" S E "B=2\n", { "B=2" } },
        { "[Unit]\n" E "A=1\n" S E "B=2\n[Install]\n" E "C=3\n [Service] \n" E "D=4\n", { "B=2", "D=4" } },
        { "[service]\n" E "A=1\n[X-Mine]\n" E "B=2\n", { NULL } },
        { "[Service ]\n" E "A=1\n", { NULL } },
        { S "environment=A=1\nEnvironmentFile=B=2\nXEnvironment=C=3\nPassEnvironment=D=4\n", { NULL } },
        { S "Environment\n=A=1\n" E "B=2\n", { "B=2" } },
        /* where systemd stops reading */
        { S E "A=1\n[Service\n" E "B=2\n", { "A=1" } },
        { S E "A=1\n[\n" E "B=2\n", { "A=1" } },
        { S E "A=1\n[Service\n" S E "B=2\n", { "A=1" } },
        { S E "A=1\n" E "B=\xff\n" E "C=3\n", { "A=1" } },
        /* what is not a variable */
        { S E "A 1B=2 A-B=3 =4 \xc3\xa4=5 A.B=6 _a9=7\n", { "_a9=7" } },
    };

    check_rows(rows, ELEMENTSOF(rows), dropin_environment);
}

static void test_environment_file(void **state)
{
    (void)state;
    static const Row rows[] = {
        { "", { NULL } },
        { "A=1\n", { "A=1" } },
        { "A=1", { "A=1" } },
        { "  A = 1 2 \t\r\nB=\n", { "A=1 2", "B=" } },
        { "\xef\xbb\xbf"
          "A=1\nB=2\n",
          { "B=2" } },
        { "# A=1\n; B=2\n  # C=3\nD=4 # not a comment\n", { "D=4 # not a comment" } },
        { "; it's\nA=1\n# it's\nB=2\n;C='\nD=4\n", { "A=1", "B=2", "D=4" } },
        { "A=1\nB=2\nA=3\n", { "A=3", "B=2" } },
        { "A=1\nB\nC=3\n", { "A=1", "C=3" } },
        { "export A=1\n1B=2\nA B=3\n=4\n=\"\n5\"\nC=6\n", { "C=6" } },
        /* quotes */
        { "A=\"one  two \"\nB='three'\n", { "A=one  two ", "B=three" } },
        { "A=\"one\ntwo\"\nB='three\nfour'\n", { "A=one\ntwo", "B=three\nfour" } },
        { "A=\"x\" y\nB='x'\"y\"  'z' \n", { "A=xy", "B=xyz" } },
        { "A=x\"y\"\nB=it's\n", { "A=x\"y\"", "B=it's" } },
        { "A=\"\\\"\\\\\\`\\$\\n\"\n", { "A=\"\\`$\\n" } },
        { "A='\\n\\'\n", { "A=\\n\\" } },
        { "A=\"open\nB=2", { "A=open\nB=2" } },
        { "A='open\nB=2\\", { "A=open\nB=2\\" } },
        { "A=\"open\\", { "A=open" } },
        /* backslashes without quotes */
        { "A=a\\ b\\n\\\\\n", { "A=a bn\\" } },
        { "A=\\  \nB=x \\ \n", { "A= ", "B=x  " } },
        { "A=one\\\n  two\nB=3\n", { "A=one  two", "B=3" } },
        { "A=one \\\n\nB=3\n", { "A=one ", "B=3" } },
        { "A=\"one \\\ntwo\"\n", { "A=one two" } },
        { "A=x \\", { "A=x " } },
        { "A=#1\nB=;2\nC=$D\n", { "A=#1", "B=;2", "C=$D" } },
        { "A=\x01\n", { "A=\x01" } },
        /* one wrong byte, and systemd takes nothing of the file */
        { "A=1\nB=\xff\nC=3\n", { NULL } },
        { "A=1\n\xff=2\n", { NULL } },
        { "A=1\n# \xff\nC=3\n", { "A=1", "C=3" } },
    };

    check_rows(rows, ELEMENTSOF(rows), environment_file_parse);
}

static void test_bounds(void **state)
{
    (void)state;
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);

    assert_non_null(f);
    for (int i = 0; i < 2 * DROPIN_ENVIRONMENT_MAX; i++)
        fprintf(f, "V%d=1\n", i);
    fputs("V0=2\n", f); /* still within */
    assert_int_equal(fclose(f), 0);
    _cleanup_(strv_freep) char **variables = environment_file_parse(text);
    free(text);
    assert_int_equal(strv_length(variables), DROPIN_ENVIRONMENT_MAX);
    assert_string_equal(variables[0], "V0=2");
    assert_string_equal(variables[DROPIN_ENVIRONMENT_MAX - 1], "V4095=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_environment_file),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests_name("dropin-read", tests, NULL, NULL);
}
