/* SPDX-License-Identifier: BSD-3-Clause */
/* core/config-text: what stands around the groups stays as it is. */
#include "core/config-text.h"
#include "core/util.h"
#include "test.h"

#define NEW "# drawn\ngroups = ( 1 );\n"

static void test_groups(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        { "", "\n" NEW },
        { "unit = \"a@.service\";", "unit = \"a@.service\";\n\n" NEW },
        { "# groups = ( 0 );\n", "# groups = ( 0 );\n\n" NEW },
        { "groups = ( { name = \"a);\"; relays = [ \"b\" ]; } );\nrollout = { settle = 1; };\n",
          NEW "rollout = { settle = 1; };\n" },
        { "a = 1;\ngroups : ( /* ); */ { } # );\n ) /* so */ ;\nb = 2;\n", "a = 1;\n" NEW "b = 2;\n" },
        { "a = 1; groups = ( ); b = 2;\n", "a = 1; \n" NEW " b = 2;\n" },
        { "a = { groups = ( 3 ); };\ngroups = ( 2 )\n", "a = { groups = ( 3 ); };\n" NEW },
        { "old_groups = ( );\ngroups_b = 1;\nx = \"groups = ( )\";\n",
          "old_groups = ( );\ngroups_b = 1;\nx = \"groups = ( )\";\n\n" NEW },
        { "// groups = (\n/* groups = ( */ groups = 3;\n", "// groups = (\n/* groups = ( */ \n" NEW },
        { "x = \"\\\"\"; groups = ( \"\\\\\" ), y = 1;\n", "x = \"\\\"\"; \n" NEW " y = 1;\n" },
        { "groups = ( { ", NEW }, /* never closed: what comes of it is judged like any file */
        { "groups /* c */ = # d\n ( );\n", NEW },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(freep) char *text = config_text_with_groups(rows[i].text, NEW);

        assert_string_equal(text, rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups),
    };

    return cmocka_run_group_tests_name("config-text", tests, NULL, NULL);
}
