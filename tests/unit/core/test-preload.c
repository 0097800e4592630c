/* SPDX-License-Identifier: BSD-3-Clause */
/* LD_PRELOAD as the list that it is. */
#include "test.h"

#include "core/preload.h"

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *entries[4];
    } rows[] = {
        { "/a.so", { "/a.so" } },
        { "/a.so:/b.so", { "/a.so", "/b.so" } },
        { "/a.so /b.so:libc.so", { "/a.so", "/b.so", "libc.so" } },
        { ": /a.so ::  /b.so: ", { "/a.so", "/b.so" } },
        { "/a\t.so", { "/a\t.so" } }, /* no other blank counts */
        { "", { NULL } },
        { " : ", { NULL } },
        { NULL, { NULL } },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(strv_freep) char **entries = preload_split(rows[i].value);
        size_t n = 0;
        while (rows[i].entries[n])
            n++;
        assert_int_equal(strv_length(entries), n);
        for (size_t k = 0; k < n; k++)
            assert_string_equal(entries[k], rows[i].entries[k]);
    }
}

static void test_split_is_bounded(void **state)
{
    (void)state;
    char value[4 * PRELOAD_ENTRIES_MAX + 1];

    for (size_t i = 0; i < 2 * PRELOAD_ENTRIES_MAX; i++)
        memcpy(value + 2 * i, "a:", 2);
    value[sizeof(value) - 1] = '\0';
    _cleanup_(strv_freep) char **entries = preload_split(value);
    assert_int_equal(strv_length(entries), PRELOAD_ENTRIES_MAX);
}

static void test_join(void **state)
{
    (void)state;
    char *others[] = { (char *)"/a.so", (char *)"libb.so", NULL };
    _cleanup_(freep) char *all = preload_join("/ours.so", others), *kept = preload_join(NULL, others),
                          *ours = preload_join("/ours.so", NULL), *nothing = preload_join(NULL, NULL);

    assert_string_equal(all, "/ours.so:/a.so:libb.so");
    assert_string_equal(kept, "/a.so:libb.so");
    assert_string_equal(ours, "/ours.so");
    assert_string_equal(nothing, "");
}

static void test_compare(void **state)
{
    (void)state;
    assert_true(preload_names("/a.so:/b.so", "/b.so"));
    assert_false(preload_names("/a.so:/b.so.2", "/b.so"));
    assert_false(preload_names(NULL, "/b.so"));
    assert_true(preload_begins(" /a.so:/b.so", "/a.so"));
    assert_false(preload_begins("/a.so:/b.so", "/b.so"));
    assert_false(preload_begins("", "/b.so"));
    assert_true(preload_same("/a.so:/b.so", "/a.so  /b.so"));
    assert_false(preload_same("/a.so:/b.so", "/b.so:/a.so")); /* the first serves */
    assert_false(preload_same("/a.so:/b.so", "/a.so"));
    assert_false(preload_same("/a.so", "/a.so:/b.so"));
    assert_true(preload_same(NULL, ""));
    assert_true(preload_same(":", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_is_bounded),
        cmocka_unit_test(test_join),
        cmocka_unit_test(test_compare),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
