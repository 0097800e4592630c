/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of io/gnuplot with the real one (package gnuplot-nox), with a false one, and without any. */
#include "io/gnuplot.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define MINUTE USEC_PER_MINUTE

static void test_chart(void **state)
{
    (void)state;
    char *out = NULL, *error = NULL;
    size_t size = 0;

    need_program("gnuplot", "gnuplot-nox");
    assert_int_equal(
        gnuplot_run("set terminal svg\nset output\nplot x title 'a line'\n", MINUTE, &out, &size, &error), 0);
    assert_int_equal(size, strlen(out));
    assert_non_null(strstr(out, "<svg"));
    assert_non_null(strstr(out, "a line"));
    assert_null(error);
    free(out);
    /* More than a pipe holds, both ways. */
    char *script = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&script, &length);
    fputs("set terminal svg\nset output\n$d << EOD\n", f);
    for (unsigned i = 0; i < 50000; i++)
        fprintf(f, "%u %u\n", i, i * 7919 % 1000);
    fputs("EOD\nplot $d with lines\n", f);
    fclose(f);
    out = NULL;
    assert_int_equal(gnuplot_run(script, MINUTE, &out, &size, &error), 0);
    assert_true(size > 200000);
    assert_non_null(strstr(out, "</svg>"));
    free(out);
    free(script);
}

static void test_error(void **state)
{
    (void)state;
    char *out = NULL, *error = NULL;
    size_t size = 77;

    need_program("gnuplot", "gnuplot-nox");
    assert_int_equal(gnuplot_run("plot nonsense(\n", MINUTE, &out, &size, &error), -EIO);
    assert_non_null(error);
    assert_non_null(strstr(error, "nonsense"));
    assert_null(out);
    assert_int_equal(size, 77);
    free(error);
}

/* What is in ~/.gnuplot is the user's, and not for our charts. */
static void test_no_configuration(void **state)
{
    (void)state;
    char home[] = "/tmp/test-gnuplot-XXXXXX", *out = NULL, *error = NULL;
    size_t size = 0;

    need_program("gnuplot", "gnuplot-nox");
    assert_non_null(mkdtemp(home));
    _cleanup_(freep) char *rc = xasprintf("%s/.gnuplot", home);
    FILE *f = fopen(rc, "w");
    fputs("set title 'from the home'\n", f);
    fclose(f);
    _cleanup_(freep) char *old = xstrdup(getenv("HOME"));
    setenv("HOME", home, 1);
    assert_int_equal(gnuplot_run("set terminal svg\nset output\nplot x\n", MINUTE, &out, &size, &error), 0);
    assert_null(strstr(out, "from the home"));
    free(out);
    if (old)
        setenv("HOME", old, 1);
    unlink(rc);
    rmdir(home);
}

/* With a gnuplot of our own in the path, or none. */
static int run_with_false_gnuplot(const char *shell_script, usec_t timeout, char **ret_error)
{
    char directory[] = "/tmp/test-gnuplot-XXXXXX", *out = NULL;
    size_t size = 0;

    assert_non_null(mkdtemp(directory));
    _cleanup_(freep) char *path = xasprintf("%s/gnuplot", directory), *old = xstrdup(getenv("PATH"));
    if (shell_script) {
        _cleanup_(closep) int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, shell_script, strlen(shell_script)), strlen(shell_script));
    }
    setenv("PATH", directory, 1);
    int r = gnuplot_run("plot x\n", timeout, &out, &size, ret_error);
    setenv("PATH", old, 1);
    free(out);
    unlink(path);
    rmdir(directory);
    return r;
}

static void test_not_installed(void **state)
{
    (void)state;
    char *error = NULL;

    assert_int_equal(run_with_false_gnuplot(NULL, MINUTE, &error), -ENOENT);
    assert_null(error);
}

static void test_bad_ends(void **state)
{
    (void)state;
    char *error = NULL;

    assert_int_equal(run_with_false_gnuplot("#!/bin/sh\necho something\nexit 3\n", MINUTE, &error), -EIO);
    free(TAKE_PTR(error));
    assert_int_equal(run_with_false_gnuplot("#!/bin/sh\nexit 0\n", MINUTE, &error), -EIO); /* nothing drawn */
    free(TAKE_PTR(error));
    assert_int_equal(run_with_false_gnuplot("#!/bin/sh\nkill -9 $$\n", MINUTE, &error), -EIO);
    free(TAKE_PTR(error));
    /* It is waited for no longer than that, and killed. */
    assert_int_equal(run_with_false_gnuplot("#!/bin/sh\nwhile :; do :; done\n", 200 * USEC_PER_MSEC, &error),
                     -ETIMEDOUT);
    assert_null(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chart),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_no_configuration),
        cmocka_unit_test(test_not_installed),
        cmocka_unit_test(test_bad_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
