/* SPDX-License-Identifier: BSD-3-Clause */
/* io/torrc: what changes the stamp of a configuration, and what does not. */
#include "io/torrc.h"
#include "scratch.h"
#include "test.h"

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char *dir, *torrc;

static int setup(void **state)
{
    (void)state;
    dir = scratch_new();
    torrc = xasprintf("%s/torrc", dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(torrc);
    scratch_free(dir);
    return 0;
}

static uint64_t stamp(void)
{
    char *argv[] = { (char *)"/bin/true", (char *)"-f", torrc, (char *)"--verify-config", NULL };

    return torrc_stamp(argv);
}

static void put(const char *name, const char *text)
{
    free(scratch_write(dir, name, text, strlen(text), 0644));
}

static void put_include(const char *what)
{
    _cleanup_(freep) char *text = xasprintf("ORPort 1\n  %%Include \"%s/%s\" # more\nORPort 2\n", dir, what);

    put("torrc", text);
}

static void assert_changed(uint64_t *before, bool changed)
{
    uint64_t now = stamp();

    if (changed)
        assert_int_not_equal(now, *before);
    else
        assert_int_equal(now, *before);
    *before = now;
}

static void test_file(void **state)
{
    (void)state;
    char *other[] = { (char *)"/bin/true", (char *)"-f", torrc, (char *)"--Nickname", (char *)"x", NULL };
    uint64_t now = stamp(); /* it is missing */

    put("torrc", "ORPort 1\n");
    assert_changed(&now, true);
    assert_changed(&now, false);
    put("beside", "x");
    assert_changed(&now, false);
    put("torrc", "ORPort 10\n");
    assert_changed(&now, true);
    assert_int_equal(chmod(torrc, 0600), 0);
    assert_changed(&now, true);
    assert_int_not_equal(torrc_stamp(other), now);
    assert_int_equal(torrc_stamp(NULL), torrc_stamp(NULL));
}

static void test_includes(void **state)
{
    (void)state;
    uint64_t now;

    put_include("one");
    now = stamp();
    put("one", "A 1\n");
    assert_changed(&now, true);
    put_include("d");
    assert_changed(&now, true);
    _cleanup_(freep) char *folder = xasprintf("%s/d", dir);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_changed(&now, true);
    put("d/x.conf", "A 1\n");
    assert_changed(&now, true);
    put("d/x.conf", "A 10\n");
    assert_changed(&now, true);
    put_include("d/*.conf");
    assert_changed(&now, true);
    put("d/y.conf", "B 1\n");
    assert_changed(&now, true);
    put("d/z.other", "B 1\n");
    now = stamp(); /* the folder's own time is not looked at for a pattern, but need not be ignored */
    put("d/y.conf", "B 10\n");
    assert_changed(&now, true);
}

/* It includes itself, or a pipe: bounded, and nobody waits. */
static void test_bounds(void **state)
{
    (void)state;
    uint64_t now;

    put_include("torrc");
    now = stamp();
    assert_changed(&now, false);
    put_include("*");
    now = stamp();
    assert_changed(&now, false);
    _cleanup_(freep) char *fifo = xasprintf("%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0644), 0);
    put_include("fifo");
    now = stamp();
    assert_changed(&now, false);
}

/* Every line of it names all files of a folder that it is in itself, and of the folders below: tor would
 * never come to the end of it. */
static void test_includes_without_end(void **state)
{
    (void)state;
    enum { LINES = 20000, FILES = 500 };
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    assert_non_null(f);
    for (size_t i = 0; i < LINES; i++)
        fprintf(f, "%%include %s/*\n", dir);
    assert_int_equal(fclose(f), 0);
    for (size_t i = 0; i < FILES; i++) {
        _cleanup_(freep) char *name = xasprintf("%zu", i);
        put(name, "");
    }
    put("torrc", text);
    free(text);
    const clock_t began = clock();
    (void)stamp();
    assert_true(clock() - began < CLOCKS_PER_SEC);
}

/* In the order in which tor reads them: an include is where it stands, a folder's files by name. */
static void test_metrics_ports(void **state)
{
    (void)state;
    MetricsPorts found = { 0 };
    _cleanup_(freep) char *folder = xasprintf("%s/d", dir), *deeper = xasprintf("%s/d/e", dir);
    static const char *const wanted[] = { "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "127.0.0.1:4" };
    _cleanup_(freep) char *text =
        xasprintf("MetricsPort 1\n%%include %s/d\nMetricsPort 4 # last\n%%include %s/none\n", dir, dir);

    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(mkdir(deeper, 0755), 0);
    put("d/b", "MetricsPort 3");
    put("d/a", "MetricsPort 2\n");
    put("d/.hidden", "MetricsPort 7\n");
    put("d/e/c", "MetricsPort 8\n");
    put("torrc", text);
    torrc_metrics_ports(torrc, &found);
    assert_int_equal(strv_length(found.ports), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(found.ports[i], wanted[i]);
    metrics_ports_clear(&found);
    put_include("torrc"); /* itself */
    torrc_metrics_ports(torrc, &found);
    torrc_metrics_ports("/nonexistent", &found);
    assert_null(found.ports);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_includes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_metrics_ports, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_includes_without_end, setup, teardown),
    };

    return cmocka_run_group_tests_name("torrc", tests, NULL, NULL);
}
