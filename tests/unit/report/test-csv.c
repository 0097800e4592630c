/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/csv: what RFC 4180 says, what it leaves open, and what spreadsheets make of names. */
#include "report/csv.h"
#include "test.h"

#include <errno.h>

static void test_split(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int result;
        const char *fields[6]; /* up to NULL */
    } rows[] = {
        { "a,b,c", 0, { "a", "b", "c" } },
        { "a,,", 0, { "a", "", "" } },
        { "", 0, { "" } },
        { ",", 0, { "", "" } },
        { "a,b\r", 0, { "a", "b" } },
        { "\"a,b\",\"c\"\"d\",\"\"", 0, { "a,b", "c\"d", "" } },
        { "\"\"\"\"", 0, { "\"" } },
        { "a\"b,c", 0, { "a\"b", "c" } },
        { "'=1,'-x,'a,'", 0, { "=1", "-x", "'a", "'" } },
        { "\"'=1\"", 0, { "=1" } },
        { "\"a", -EINVAL, { NULL } },
        { "\"a\"b,c", -EINVAL, { NULL } },
        { "\"", -EINVAL, { NULL } },
        { "1,2,3,4,5", 0, { "1", "2", "3", "4", "5" } },
        { "1,2,3,4,5,6", -E2BIG, { NULL } },
        { "1,2,3,4,5,", -E2BIG, { NULL } },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        size_t n = strlen(rows[i].line), count = 99;
        char *line = xcalloc(n ? n : 1, 1);
        memcpy(line, rows[i].line, n);
        Span fields[5];
        int r = csv_split(line, n, fields, 5, &count);
        if (r != rows[i].result)
            fail_msg("row %zu: %d", i, r);
        if (r < 0)
            assert_int_equal(count, 99);
        for (size_t k = 0; r == 0 && rows[i].fields[k]; k++) {
            assert_true(k < count);
            if (fields[k].n != strlen(rows[i].fields[k]) ||
                memcmp(fields[k].p, rows[i].fields[k], fields[k].n) != 0)
                fail_msg("row %zu, field %zu: \"%.*s\"", i, k, (int)fields[k].n, fields[k].p);
            assert_true(k + 1 < count || !rows[i].fields[k + 1]);
        }
        free(line);
    }
}

static void test_write(void **state)
{
    (void)state;
    static const struct {
        const char *field, *written;
    } rows[] = {
        { "relay1", "relay1" },
        { NULL, "" },
        { "", "" },
        { "a,b", "\"a,b\"" },
        { "a\"b", "\"a\"\"b\"" },
        { "a\nb", "\"a\nb\"" },
        { "=1+1", "\"'=1+1\"" },
        { "-x", "\"'-x\"" },
        { "@x", "\"'@x\"" },
        { "+x", "\"'+x\"" },
        { "a=b", "a=b" },
        { "=\"x\"", "\"'=\"\"x\"\"\"" },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char *text = NULL;
        size_t size = 0, count = 0;
        FILE *f = open_memstream(&text, &size);
        csv_write(f, rows[i].field);
        fclose(f);
        assert_string_equal(text, rows[i].written);
        if (rows[i].field && !strchr(rows[i].field, '\n')) {
            Span span;
            assert_int_equal(csv_split(text, strlen(text), &span, 1, &count), 0);
            assert_int_equal(span.n, strlen(rows[i].field));
            assert_memory_equal(span.p, rows[i].field, span.n);
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
