/* SPDX-License-Identifier: BSD-3-Clause */
/* core/config-word: single words, at their edges. What the messages look like in a file is test-config's. */
#include "core/config-word.h"
#include "test.h"

#include <errno.h>
#include <fnmatch.h>

typedef struct Word {
    const char *word;
    bool fine;
} Word;

static void check(const char *(*problem)(const char *), const Word *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!problem(words[i].word) != words[i].fine)
            fail_msg("\"%s\": %s", words[i].word, problem(words[i].word) ? problem(words[i].word) : "fine");
}

static void test_text(void **state)
{
    (void)state;
    static const Word words[] = {
        { "", true },
        { "plain ~ text", true },
        { "\xc3\xbc \xe2\x80\xa6 \xf0\x9f\xa7\x85", true },
        { "\xef\xbf\xbd", true },
        { "\xef\xbf\xbf", false },     /* U+FFFF, no character: systemd ignores a line with it */
        { "\xf4\x8f\xbf\xbd", true },  /* U+10FFFD */
        { "\xf4\x90\x80\x80", false }, /* beyond */
        { "\xf5\x80\x80\x80", false }, /* no such lead byte */
        { "\xc0\xaf", false },         /* overlong, two bytes */
        { "\xc1\xbf", false },         /* overlong, two bytes */
        { "\xe0\x9f\xbf", false },     /* overlong, three bytes */
        { "\xf0\x8f\xbf\xbf", false }, /* overlong, four bytes */
        { "\xed\xa0\x80", false },     /* surrogate */
        { "\xed\x9f\xbf", true },      /* the last before them */
        { "\xee\x80\x80", true },      /* the first after them */
        { "\x80", false },             /* continuation alone */
        { "a\xc3", false },            /* cut off */
        { "a\xe2\x80", false },        /* cut off */
        { "a\xf0\x9f\xa7", false },    /* cut off */
        { "\xe2\x28\xa1", false },     /* no continuation */
        { "a\x1b[31m", false },        /* a terminal would obey */
        { "\x01", false },
        { "\t", false },
        { "\x7f", false },
        { "\xc2\x9b", false }, /* CSI as one character */
        { "\xc2\xa0", true },
    };
    check(word_text_problem, words, ELEMENTSOF(words));
}

static void test_name(void **state)
{
    (void)state;
    static const Word words[] = {
        { "A", true },    { "mimalloc-2.0_x", true }, { "..", true }, { "", false },   { "a b", false },
        { "a/b", false }, { "a\"", false },           { "ä", false }, { "a%", false },
    };
    check(word_name_problem, words, ELEMENTSOF(words));
}

static void test_library(void **state)
{
    (void)state;
    static const Word words[] = {
        { "libmimalloc.so.2", true },
        { "/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0", true },
        { "", false },
        { "./libx.so", false },
        { "lib/libx.so", false },
        { "/", false },
        { "a b.so", false },
        { "a:b", false },
        { "$ORIGIN/a.so", false },
        { "/usr/lib/", false },
    };
    check(word_library_problem, words, ELEMENTSOF(words));
}

static void test_variable(void **state)
{
    (void)state;
    static const Word words[] = {
        { "MALLOC_CONF", true },
        { "_x9", true },
        { "LDFLAGS", true },
        { "", false },
        { "9A", false },
        { "A.B", false },
        { "A=B", false },
        { "A B", false },
        { "LD_PRELOAD", false },
        { "LD_", false },
        { "LD_DEBUG", false },
        { "GCONV_PATH", false },
        { "GETCONF_DIR", false },
        { "MALLOC_TRACE", false },
        { "OPENSSL_ENGINES", false },
    };
    check(word_variable_problem, words, ELEMENTSOF(words));
}

/* Those that are fine are checked against fnmatch(3) itself: each matches what stands beside it. */
static void test_pattern(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *matches; /* NULL: to be refused */
    } patterns[] = {
        { "*", "relay1" },
        { "guard?", "guard1" },
        { "[abc]x", "bx" },
        { "[!a-c]x", "dx" },
        { "[^a-c]x", "dx" },
        { "[]x]", "]" },
        { "[!]x]", "a" },
        { "[[:digit:]]", "7" },
        { "[[:digit:]x]", "x" },
        { "[[]", "[" },
        { "relay[0-9][0-9]", "relay12" },
        { "[13-5]", "4" },
        { "[1-35-9]", "7" },
        { "a]b", "a]b" },
        { "\\[", "[" },
        { "\\\\", "\\" },
        { "[\\]]", "]" },
        { "1.2.3.4_9000", "1.2.3.4_9000" },
        { "", NULL },
        { "[", NULL },
        { "x[a-c", NULL },
        { "[]", NULL },
        { "[!]", NULL },
        { "[[:digit:]", NULL },
        { "[[:digit]", NULL },
        { "[a\\]", NULL },
        { "[a\\", NULL },
        { "a\\", NULL },
        /* Several in one, paths, regular expressions, quotes, a shell's braces, tor's "$FINGERPRINT". */
        { "relay1,relay2", NULL },
        { "relay1 relay2", NULL },
        { "relay{1,2}", NULL },
        { "relay{1..4}", NULL },
        { "/etc/tor/instances/relay1", NULL },
        { "!relay1", NULL },
        { "/^relay[0-9]+$/", NULL },
        { "^relay", NULL },
        { "(a|b)", NULL },
        { "'relay1'", NULL },
        { "$FC06B52C9F6F114921EF0D82009A180BDE662022", NULL },
        { "relay1;", NULL },
        /* A range of numbers, which would take relay0 and relay1. */
        { "relay[1-100]", NULL },
        { "relay[01-20]", NULL },
        { "[!10-20]", NULL },
        /* A relay that is really called so: by its unit, or with backslashes. */
        { "tor@a\\x2cb.service", "tor@ax2cb.service" },
        { "a\\,b\\ c", "a,b c" },
    };
    for (size_t i = 0; i < ELEMENTSOF(patterns); i++) {
        const char *problem = word_pattern_problem(patterns[i].pattern);

        if (!problem != (patterns[i].matches != NULL))
            fail_msg("\"%s\": %s", patterns[i].pattern, problem ? problem : "fine");
        if (patterns[i].matches && fnmatch(patterns[i].pattern, patterns[i].matches, 0) != 0)
            fail_msg("\"%s\" does not match \"%s\"", patterns[i].pattern, patterns[i].matches);
    }
}

static void test_window_and_percent(void **state)
{
    (void)state;
    Window window = { .set = true, .from = 1, .to = 2 };
    Amount amount = { .value = 7 };

    assert_int_equal(window_parse("x", &window), -EINVAL);
    assert_int_equal(window_parse("02:00-02:00", &window), -EINVAL);
    assert_int_equal(window.from, 1); /* untouched */
    assert_int_equal(window_parse("00:00-23:59", &window), 0);
    assert_true(window.set);
    assert_int_equal(window.from, 0);
    assert_int_equal(window.to, 23 * 60 + 59);
    assert_int_equal(window_parse("", &window), 0);
    assert_false(window.set);

    assert_int_equal(percent_parse("1000%", &amount), -EINVAL);
    assert_int_equal(percent_parse("%", &amount), -EINVAL);
    assert_int_equal(percent_parse(" 5%", &amount), -EINVAL);
    assert_int_equal(amount.value, 7);
    assert_false(amount.percent);
    assert_int_equal(percent_parse("1%", &amount), 0);
    assert_int_equal(amount.value, 1);
    assert_true(amount.percent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),    cmocka_unit_test(test_name),
        cmocka_unit_test(test_library), cmocka_unit_test(test_variable),
        cmocka_unit_test(test_pattern), cmocka_unit_test(test_window_and_percent),
    };
    return cmocka_run_group_tests_name("config-word", tests, NULL, NULL);
}
