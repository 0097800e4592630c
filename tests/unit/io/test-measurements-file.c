/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of io/measurements-file: lines of any length from files and pipes, each problem with its line. */
#include "io/measurements-file.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define HEADER "timestamp,nickname,rss_kb,comment\n"
#define ROW(second, relay, rss) "2026-01-08T06:00:" second "Z," relay "," rss ",\n"

typedef struct Result {
    size_t n;
    uint64_t rss;
    size_t refuse; /* the number of the row that the callback refuses */
} Result;

static int take(const Measurement *m, void *userdata, char **ret_error)
{
    Result *result = userdata;

    if (++result->n == result->refuse) {
        *ret_error = xstrdup("refused");
        return -EINVAL;
    }
    result->rss += m->row.memory.rss / 1024;
    return 0;
}

typedef struct Fixture {
    char path[32];
    MeasurementsFile *file;
    Problems problems;
    MeasurementTable table;
    uint64_t bad;
    Result result;
} Fixture;

static void fixture_clear(Fixture *f)
{
    measurements_file_free(f->file);
    problems_clear(&f->problems);
    measurement_table_clear(&f->table);
    unlink(f->path);
}

static int read_text(Fixture *f, const char *text, size_t n)
{
    strcpy(f->path, "/tmp/test-measurements-XXXXXX");
    _cleanup_(closep) int fd = mkstemp(f->path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), n);
    assert_int_equal(measurements_file_open(f->path, &f->file), 0);
    return measurements_file_read(f->file, false, take, &f->result, &f->problems, &f->bad, &f->table);
}

static void assert_problem(const Fixture *f, size_t i, unsigned line, const char *words)
{
    assert_true(i < f->problems.n);
    _cleanup_(freep) char *text = problem_to_string(&f->problems.items[i]);
    _cleanup_(freep) char *begin =
        line > 0 ? xasprintf("%s:%u: ", f->path, line) : xasprintf("%s: ", f->path);
    if (strncmp(text, begin, strlen(begin)) != 0 || !strstr(text, words))
        fail_msg("\"%s\" is not \"%s…%s\"", text, begin, words);
}

static void test_good(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    static const char text[] = HEADER ROW("01", "a", "1") ROW("01", "b", "2") "\r\n" ROW("02", "a", "4");

    assert_int_equal(read_text(&f, text, sizeof(text) - 1), 0);
    assert_int_equal(f.result.n, 3);
    assert_int_equal(f.result.rss, 7);
    assert_int_equal(f.bad, 0);
    assert_int_equal(f.table.with_offset, 3);
    /* Once more, from the beginning. */
    f.result = (Result){ 0 };
    assert_int_equal(measurements_file_read(f.file, false, take, &f.result, NULL, NULL, NULL), 0);
    assert_int_equal(f.result.rss, 7);
}

static void test_problems(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { .result.refuse = 2 };
    static const char text[] = HEADER ROW("01", "a", "1") "too,few\n" ROW("01", "b", "x") ROW("01", "b", "2")
        ROW("02", "a", "4") "2026-01-08T06:00:03Z,a,8";

    assert_int_equal(read_text(&f, text, sizeof(text) - 1), 0);
    assert_int_equal(f.result.rss, 5);
    assert_int_equal(f.bad, 4);
    assert_problem(&f, 0, 3, "2 columns");
    assert_problem(&f, 1, 4, "rss_kb \"x\"");
    assert_problem(&f, 2, 5, "refused");
    assert_problem(&f, 3, 7, "the file ends within this line");
}

/* A spreadsheet's format is in all rows: one sentence tells it, not ten. A single one is a bad line. */
static void test_format(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 }, g = { 0 };
    static const char all[] = HEADER ROW("01", "a", "1.5") ROW("01", "b", "2.5") ROW("01", "c", "3");
    static const char one[] = HEADER ROW("01", "a", "1") ROW("01", "b", "2.5") ROW("01", "c", "3");

    assert_int_equal(read_text(&f, all, sizeof(all) - 1), -EINVAL);
    assert_int_equal(f.problems.n, 1);
    assert_problem(&f, 0, 2, "rss_kb \"1.5\": a number with a fraction");
    assert_int_equal(f.result.n, 0);
    assert_int_equal(read_text(&g, one, sizeof(one) - 1), 0);
    assert_int_equal(g.problems.n, 1);
    assert_problem(&g, 0, 3, "rss_kb \"2.5\"");
    assert_int_equal(g.result.rss, 4);
}

static void test_many_problems(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);

    fputs(HEADER, file);
    for (unsigned i = 0; i < 1000; i++)
        fputs("bad\n", file);
    fclose(file);
    assert_int_equal(read_text(&f, text, size), 0);
    assert_int_equal(f.bad, 1000);
    assert_int_equal(f.problems.n, MEASUREMENTS_PROBLEMS_MAX);
    free(text);
}

/* Longer than the buffer, than a line may be, and just as long as it may be. */
static void test_long_lines(void **state)
{
    (void)state;
    static const struct {
        size_t length;
        bool good;
    } rows[] = { { MEASUREMENTS_LINE_MAX, true },
                 { MEASUREMENTS_LINE_MAX + 1, false },
                 { 4 * MEASUREMENTS_LINE_MAX, false },
                 { 11 * MEASUREMENTS_LINE_MAX, false } };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        char *text = NULL;
        size_t size = 0;
        FILE *file = open_memstream(&text, &size);
        fputs(HEADER ROW("01", "a", "1"), file);
        int used = fprintf(file, "2026-01-08T06:00:02Z,a,2,");
        for (size_t k = (size_t)used; k < rows[i].length; k++)
            fputc('x', file);
        fputs("\n" ROW("03", "a", "4"), file);
        fclose(file);
        assert_int_equal(read_text(&f, text, size), 0);
        assert_int_equal(f.result.rss, rows[i].good ? 7 : 5);
        assert_int_equal(f.bad, rows[i].good ? 0 : 1);
        if (!rows[i].good)
            assert_problem(&f, 0, 3, "longer than 64 KiB");
        free(text);
    }
}

/* Lines that fall across the buffer's end in every way. */
static void test_many_lines(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    char *text = NULL;
    size_t size = 0;
    uint64_t rss = 0;
    FILE *file = open_memstream(&text, &size);

    fputs(HEADER, file);
    for (unsigned i = 0; i < 40000; i++) {
        fprintf(file, "2026-01-08T06:00:02Z,r,%u,%.*s\n", i, (int)(i % 37),
                "-------------------------------------");
        rss += i;
    }
    fclose(file);
    assert_int_equal(read_text(&f, text, size), 0);
    assert_int_equal(f.result.n, 40000 - 1); /* the first has no memory: it did not run */
    assert_int_equal(f.result.rss, rss);
    free(text);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        { "", "empty" },
        { "a,b,c\n", "no column" },
        { "\n" HEADER, "no column" },
        { "PK\x03\x04", "no column" },
    };
    MeasurementsFile *file = NULL;

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        assert_int_equal(read_text(&f, rows[i].text, strlen(rows[i].text)), -EINVAL);
        assert_problem(&f, 0, *rows[i].text ? 1 : 0, rows[i].words);
    }
    assert_int_equal(measurements_file_open("/nonexistent/file", &file), -ENOENT);
    assert_int_equal(measurements_file_open("/tmp", &file), -EISDIR);
    assert_int_equal(measurements_file_open("/dev/zero", &file), -EINVAL);
    assert_null(file);
}

/* Of a pipe, twice. */
static void test_stdin(void **state)
{
    (void)state;
    static const char text[] = HEADER ROW("01", "a", "1") ROW("01", "b", "2");
    int fds[2], old = dup(STDIN_FILENO);
    MeasurementsFile *file = NULL;
    Result result = { 0 };

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], text, sizeof(text) - 1), sizeof(text) - 1);
    close(fds[1]);
    assert_true(dup2(fds[0], STDIN_FILENO) >= 0);
    close(fds[0]);
    assert_int_equal(measurements_file_open("-", &file), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(measurements_file_read(file, false, take, &result, NULL, NULL, NULL), 0);
    assert_int_equal(result.rss, 6);
    measurements_file_free(file);
    assert_true(dup2(old, STDIN_FILENO) >= 0);
    close(old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),       cmocka_unit_test(test_problems),
        cmocka_unit_test(test_format),     cmocka_unit_test(test_many_problems),
        cmocka_unit_test(test_long_lines), cmocka_unit_test(test_many_lines),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_stdin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
