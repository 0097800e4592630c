/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/grouping: whose group a line tells, and that nothing is guessed. */
#include "report/grouping.h"
#include "test.h"

#include <errno.h>

#define FP_A "A6A3A4506513270E269E0D37F2A74DE452E6B438"
#define FP_B "1818E811892F902BD23F0824128B2F330C5C7FD0"

static int parse(const char *text, Problems *problems, Grouping *ret)
{
    _cleanup_(freep) char *copy = xstrdup(text);

    return grouping_parse(copy, "groups.csv", problems, ret);
}

static const char *group_of(Grouping *grouping, const char *name, const char *fingerprint)
{
    const SampleRow row = { .relay = { name, strlen(name) },
                            .fingerprint = { fingerprint, fingerprint ? strlen(fingerprint) : 0 } };
    const GroupingEntry *entry = grouping_find(grouping, &row);

    return entry ? entry->group : NULL;
}

static void test_by_name_and_fingerprint(void **state)
{
    (void)state;
    _cleanup_(grouping_clear) Grouping g = { 0 };
    _cleanup_(problems_clear) Problems problems = { 0 };

    assert_int_equal(parse("\xef\xbb\xbf"
                           "notes,fingerprint,nickname,group,allocator\r\n"
                           "x,,relay1,A,jemalloc\r\n"
                           "\"a, b\",$a6a3a4506513270e269e0d37f2a74de452e6b438,same,B,\r\n"
                           "\r\n"
                           ",1818E811892F902BD23F0824128B2F330C5C7FD0,same,C,",
                           &problems, &g),
                     0);
    assert_int_equal(g.n, 3);
    assert_true(g.has_allocator);
    assert_string_equal(group_of(&g, "relay1", NULL), "A");
    assert_string_equal(group_of(&g, "relay1", FP_A), "B"); /* renamed since */
    assert_string_equal(group_of(&g, "other", FP_B), "C");
    assert_null(group_of(&g, "same", NULL)); /* which of the two? */
    assert_null(group_of(&g, "same", "0000000000000000000000000000000000000000"));
    assert_null(group_of(&g, "relay", NULL));
    assert_null(group_of(&g, "relay10", NULL));
    assert_string_equal(g.entries[0].allocator, "jemalloc");
    assert_true(g.entries[0].used && g.entries[1].used && g.entries[2].used);
    assert_int_equal(g.entries[2].line, 5);
}

static void test_names_alone(void **state)
{
    (void)state;
    _cleanup_(grouping_clear) Grouping g = { 0 };
    _cleanup_(problems_clear) Problems problems = { 0 };

    assert_int_equal(parse("relay,group\nb,B\na,A\nc,\n", &problems, &g), 0);
    assert_string_equal(group_of(&g, "a", NULL), "A");
    assert_string_equal(group_of(&g, "b", FP_A), "B"); /* a line without one is about the name */
    assert_string_equal(group_of(&g, "c", NULL), "");
    assert_false(g.has_allocator);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } cases[] = {
        { "", "groups.csv:1: empty" },
        { "a,A\n", "groups.csv:1: the first line must name the columns" },
        { "nickname,grp\na,A\n", "groups.csv:1: the first line must name" },
        { "group\nA\n", "groups.csv:1: the first line must name" },
        { "relay,group\na,A\nb\n", "groups.csv:3: 1 columns, but the first line names 2" },
        { "relay,group\na,A\nb,B\na,B\n", "groups.csv:4: a was on line 2 already" },
        { "relay,group\n,A\n", "groups.csv:2: neither the name nor the fingerprint" },
        { "fingerprint,group\nABC,A\n", "groups.csv:2: \"ABC\" is no fingerprint" },
        { "fingerprint,group\n" FP_A ",A\n" FP_A ",B\n", "groups.csv:3: " FP_A " was on line 2 already" },
        { "relay,group\n\"a,A\n", "groups.csv:2: more than 64 columns, an unclosed quote" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(grouping_clear) Grouping g = { 0 };
        _cleanup_(problems_clear) Problems problems = { 0 };
        assert_int_equal(parse(cases[i].text, &problems, &g), -EINVAL);
        _cleanup_(freep) char *text = problems_to_string(&problems);
        if (!strstr(text, cases[i].words))
            fail_msg("\"%s\" is not in \"%s\"", cases[i].words, text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_name_and_fingerprint),
        cmocka_unit_test(test_names_alone),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
