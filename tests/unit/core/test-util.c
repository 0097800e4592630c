/* SPDX-License-Identifier: BSD-3-Clause */
/* core/util: the small helpers, at their edges. */
#include "core/util.h"
#include "test.h"

#include <errno.h>

static void test_strings(void **state)
{
    (void)state;
    assert_true(streq_null(NULL, NULL));
    assert_false(streq_null("", NULL));
    assert_false(streq_null(NULL, ""));
    assert_true(streq_null("a", "a"));
    assert_true(isempty(NULL));
    assert_true(isempty(""));
    assert_false(isempty(" "));
    assert_null(xstrdup(NULL));
    _cleanup_(freep) char *cut = xstrndup("relay", 3), *made = xasprintf("%s-%d", "a", 1);
    assert_string_equal(cut, "rel");
    assert_string_equal(made, "a-1");
}

static void test_ownership(void **state)
{
    (void)state;
    char *s = xstrdup("x");
    int fd = 7;

    _cleanup_(freep) char *taken = TAKE_PTR(s);
    assert_null(s);
    assert_string_equal(taken, "x");
    assert_int_equal(TAKE_FD(fd), 7);
    assert_int_equal(fd, -1);
    _cleanup_(freep) void *nothing = xcalloc(0, 0);
    assert_non_null(nothing); /* NULL would read as out of memory */
}

static void test_grow(void **state)
{
    (void)state;
    _cleanup_(freep) size_t *items = NULL;
    size_t capacity = 0;

    for (size_t n = 0; n < 1000; n++) {
        GROW(items, capacity, n);
        assert_true(capacity > n);
        items[n] = n;
    }
    for (size_t n = 0; n < 1000; n++)
        assert_int_equal(items[n], n);
}

static void test_strv(void **state)
{
    (void)state;
    _cleanup_(strv_freep) char **v = NULL;

    assert_int_equal(strv_length(NULL), 0);
    assert_false(strv_contains(NULL, "a"));
    strv_push(&v, xstrdup("A=1"));
    strv_push(&v, xstrdup("AB=2"));
    strv_push(&v, xstrdup("A=3"));
    strv_push(&v, xstrdup("C"));
    strv_push(&v, xstrdup("D="));
    assert_int_equal(strv_length(v), 5);
    assert_true(strv_contains(v, "C"));
    assert_false(strv_contains(v, "A"));

    _cleanup_(strv_freep) char **copy = strv_copy(v);
    assert_int_equal(strv_length(copy), 5);
    assert_ptr_not_equal(copy[1], v[1]);
    assert_string_equal(copy[1], "AB=2");
    assert_true(strv_equal(copy, v));
    free(copy[4]);
    copy[4] = NULL;
    assert_false(strv_equal(copy, v));
    assert_false(strv_equal(v, copy));
    assert_false(strv_equal(v, NULL));
    _cleanup_(strv_freep) char **empty = strv_copy(NULL);
    assert_non_null(empty);
    assert_null(empty[0]);
    assert_true(strv_equal(empty, NULL));

    size_t seen = 0;
    STRV_FOREACH (s, v)
        seen += strlen(*s);
    assert_int_equal(seen, 3 + 4 + 3 + 1 + 2);

    assert_string_equal(strv_env_get(v, "A"), "3"); /* the last one wins */
    assert_string_equal(strv_env_get(v, "AB"), "2");
    assert_string_equal(strv_env_get(v, "D"), "");
    assert_null(strv_env_get(v, "C")); /* without "=" it is unset */
    assert_null(strv_env_get(v, "B"));
    assert_null(strv_env_get(NULL, "A"));
}

static void test_parse_u64(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        int r;
        uint64_t v;
    } cases[] = {
        { "0", 0, 0 },
        { "007", 0, 7 },
        { "18446744073709551615", 0, UINT64_MAX },
        { "18446744073709551616", -ERANGE, 0 },
        { "", -EINVAL, 0 },
        { " 1", -EINVAL, 0 },
        { "+1", -EINVAL, 0 },
        { "-1", -EINVAL, 0 },
        { "1 ", -EINVAL, 0 },
        { "0x10", -EINVAL, 0 },
        { "1e3", -EINVAL, 0 },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        uint64_t v = 0;

        assert_int_equal(parse_u64(cases[i].s, &v), cases[i].r);
        assert_int_equal(v, cases[i].v);
    }
}

static void test_format_bytes(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *expected;
    } cases[] = {
        { 0, "0 B" },
        { 1023, "1023 B" },
        { 1024, "1.00 KiB" },
        { 10234, "9.99 KiB" },
        { 10240, "10.0 KiB" },
        { 102297, "99.9 KiB" },
        { 102400, "100 KiB" },
        { 999 * 1024, "999 KiB" },
        { 1000 * 1024, "1000 KiB" }, /* and not 0.98 MiB */
        { 1023 * 1024, "1023 KiB" },
        { 1024 * 1024 - 1, "1.00 MiB" },
        { UINT64_C(14889779), "14.2 MiB" },
        { UINT64_C(1245540515), "1.16 GiB" },
        { UINT64_MAX, "16.0 EiB" },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char buf[FORMAT_BYTES_MAX];

        assert_string_equal(format_bytes(buf, cases[i].bytes), cases[i].expected);
    }
}

static void test_format_span(void **state)
{
    (void)state;
    static const struct {
        usec_t span;
        const char *expected;
    } cases[] = {
        { 0, "0s" },
        { USEC_PER_SEC - 1, "0s" },
        { 12 * USEC_PER_SEC, "12s" },
        { 60 * USEC_PER_SEC, "1min" },
        { 302 * USEC_PER_SEC, "5min 2s" },
        { USEC_PER_HOUR, "1h" },
        { USEC_PER_HOUR + 59 * USEC_PER_SEC, "1h" },
        { 3 * USEC_PER_HOUR + 4 * USEC_PER_MINUTE, "3h 4min" },
        { USEC_PER_DAY, "1 day" },
        { 2 * USEC_PER_DAY + 3 * USEC_PER_HOUR, "2 days 3h" },
        { 2 * USEC_PER_DAY + 59 * USEC_PER_MINUTE, "2 days" },
        { USEC_INFINITY, "213503982 days 8h" },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        char buf[FORMAT_SPAN_MAX];

        assert_string_equal(format_span(buf, cases[i].span), cases[i].expected);
    }
}

static void test_did_you_mean(void **state)
{
    (void)state;
    static const char *const words[] = {
        "jemalloc", "mimalloc", "mimalloc3", "tcmalloc", "glibc", "x", NULL
    };
    static const struct {
        const char *word, *expected;
    } cases[] = {
        { "mimaloc", "mimalloc" },   /* a letter missing */
        { "mimallocc", "mimalloc" }, /* one too many */
        { "mimlaloc", "mimalloc" },  /* two swapped */
        { "jmealloc", "jemalloc" },
        { "glib", "glibc" },
        { "MIMALLOC3", "mimalloc3" }, /* case does not count */
        { "mimalloc", "mimalloc" },
        { "hoard", NULL },
        { "snmall", NULL }, /* four typos in six letters */
        { "y", NULL },      /* any other letter is one typo away */
        { "X", "x" },
        { "", NULL },
        { "a-word-longer-than-anything-that-could-be-meant-by-it", NULL },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        const char *found = did_you_mean(cases[i].word, words);

        if (!streq_null(found, cases[i].expected))
            fail_msg("%s: %s", cases[i].word, found ? found : "nothing");
    }
    assert_null(did_you_mean("x", NULL));
}

static void test_name_compare(void **state)
{
    (void)state;
    static const char *const ordered[] = { "",        "a",         "relay1",    "relay2",   "relay2b",
                                           "relay10", "relay10-a", "relay10-b", "relay100", "relays" };

    for (size_t i = 0; i < ELEMENTSOF(ordered); i++)
        for (size_t k = 0; k < ELEMENTSOF(ordered); k++) {
            int c = name_compare(ordered[i], ordered[k]);
            if ((c < 0) != (i < k) || (c == 0) != (i == k))
                fail_msg("%s and %s: %d", ordered[i], ordered[k], c);
        }
    assert_true(name_compare("relay009", "relay010") < 0);
    assert_int_not_equal(name_compare("relay1", "relay01"), 0); /* two names, one place each */
}

static void test_printable(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        { "", "" },
        { "plain ä € \xf0\x9f\xa7\x85\nnext", "plain ä € \xf0\x9f\xa7\x85\nnext" },
        { "\x1b[31mred\t\r\x7f", "?[31mred???" },
        { "half \xc3", "half ?" },
        { "\xc2\x9b"
          "2J \xc2\xa0",
          "??2J \xc2\xa0" },
        { "\xff\xfe bytes \xc0\xaf", "?? bytes ??" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *s = printable(cases[i].text, SIZE_MAX);
        assert_string_equal(s, cases[i].expected);
    }
    _cleanup_(freep) char *cut = printable("a\xc3\xa4", 2);
    assert_string_equal(cut, "a?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),     cmocka_unit_test(test_ownership),
        cmocka_unit_test(test_grow),        cmocka_unit_test(test_strv),
        cmocka_unit_test(test_parse_u64),   cmocka_unit_test(test_format_bytes),
        cmocka_unit_test(test_format_span), cmocka_unit_test(test_did_you_mean),
        cmocka_unit_test(test_printable),   cmocka_unit_test(test_name_compare),
    };
    return cmocka_run_group_tests_name("util", tests, NULL, NULL);
}
