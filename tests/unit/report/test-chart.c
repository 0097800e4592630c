/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/chart: what the script says, and that no name can say anything in it. */
#include "report/chart.h"
#include "series-feed.h"

#include <time.h>

#define EVIL "a'\nset output '/etc/passwd'; `id`; \" $(id) @x <b>&"

typedef struct Fixture {
    Series series;
    Report report;
} Fixture;

static void fixture_clear(Fixture *f)
{
    report_clear(&f->report);
    series_clear(&f->series);
}

static void build(Fixture *f, const FeedRelay *relays, size_t n)
{
    const SeriesOptions options = { .until = USEC_INFINITY, .step = HOUR, .slice = HOUR, .by_group = true };
    char *error = NULL;

    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    series_init(&f->series, &options);
    feed(&f->series, relays, n, HOUR);
    assert_int_equal(report_build(&f->series, &(ReportOptions){ .seed = 1 }, &f->report, &error), 0);
}

static size_t count(const char *text, const char *words)
{
    size_t n = 0;

    for (const char *p = text; (p = strstr(p, words)); p += strlen(words))
        n++;
    return n;
}

static void test_rows(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = {
        { .name = "a", .group = "A", .allocator = "glibc", .start = 1024, .to = 2 * DAY },
        { .name = "b", .group = "A", .allocator = "glibc", .start = 3072, .to = 2 * DAY },
        { .name = "c", .group = "B", .allocator = "glibc", .start = 512, .to = DAY, .restart = 6 * HOUR },
        { .name = "c", .group = "A", .allocator = "mimalloc", .start = 512, .from = DAY, .to = 2 * DAY },
    };

    build(&f, relays, ELEMENTSOF(relays));
    _cleanup_(freep) char *script = chart_script(&f.report, CHART_ROWS, CHART_WIDE);
    assert_int_equal(count(script, "set terminal svg"), 1);
    assert_int_equal(count(script, "noenhanced"), 1); /* or _ and ^ in names would mean something */
    assert_int_equal(count(script, "set ylabel 'GiB a relay'"), 1);
    assert_int_equal(count(script, "with filledcurves"), 3);
    assert_int_equal(count(script, "with lines"), 3);
    assert_int_equal(count(script, "title 'A (glibc)'"), 1);
    assert_int_equal(count(script, "title 'A (mimalloc)'"), 1);
    assert_int_equal(count(script, "title 'glibc before the moves'"), 1);
    assert_int_equal(count(script, "title 'restart'"), 1);
    assert_int_equal(count(script, "title 'moved to it'"), 1);
    /* 1 and 3 GiB: 2 ± 12.7, cut at 0; the clock of Berlin in summer, two hours ahead of that of the samples.
     */
    char line[64];
    snprintf(line, sizeof(line), "%llu 2 0 14.706\n", (unsigned long long)(T0 / USEC_PER_SEC + 7200));
    assert_int_equal(count(script, line), 1);
    snprintf(line, sizeof(line), "%llu 0 0x", (unsigned long long)((T0 + DAY) / USEC_PER_SEC + 7200));
    assert_int_equal(count(script, line), 1); /* the move */
}

static void test_holes(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = {
        { .name = "a", .group = "A", .start = 100, .to = DAY },
        { .name = "a", .group = "A", .start = 100, .from = 2 * DAY, .up = 2 * DAY, .to = 3 * DAY }
    };

    build(&f, relays, ELEMENTSOF(relays));
    _cleanup_(freep) char *rows = chart_script(&f.report, CHART_ROWS, CHART_SVG);
    _cleanup_(freep) char *members = chart_script(&f.report, CHART_RELAYS, CHART_SVG);
    assert_int_equal(count(rows, "\n\n"), 1);
    assert_int_equal(count(members, "\n\n"), 2); /* and one at the end of the relay */
}

static void test_relays(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = { { .name = "a", .group = "A", .start = 100, .to = DAY },
                                 { .name = "b", .group = "B", .start = 50, .to = DAY, .restart = 6 * HOUR } };

    build(&f, relays, 2);
    _cleanup_(freep) char *script = chart_script(&f.report, CHART_RELAYS, CHART_PNG);
    assert_int_equal(count(script, "set terminal pngcairo"), 1);
    assert_int_equal(count(script, "with filledcurves"), 0);
    assert_int_equal(count(script, "with lines"), 2);
    assert_int_equal(count(script, "\n\n"), 5); /* two relays, three restarts */
    assert_int_equal(count(script, " 50\n"), 24);
}

/* Everything of the name stands within its quotes, and on one line. */
static void test_names(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = { { .name = "a", .group = EVIL, .allocator = EVIL, .start = 1, .to = DAY } };

    build(&f, relays, 1);
    for (ChartShape shape = CHART_WIDE; shape <= CHART_PNG; shape++)
        for (ChartKind kind = CHART_ROWS; kind <= CHART_RELAYS; kind++) {
            _cleanup_(freep) char *script = chart_script(&f.report, kind, shape);
            assert_int_equal(count(script, " title 'a''?set output ''/etc/passwd"
                                           "\xe2\x80\xa6"
                                           "'"),
                             1);
            assert_int_equal(count(script, "/etc/passwd"), 1);
        }
}

static void test_short_names(void **state)
{
    (void)state;
    static const struct {
        const char *name, *title;
    } rows[] = {
        { "`id` \" $(id) @x _ ^", " title '`id` \" $(id) @x _ ^'\n" },
        { "\xff\xc3\xa9\x1b", " title '?\xc3\xa9?'\n" },
        { "12345678901234567890123456", " title '12345678901234567890123456'\n" },
        { "1234567890123456789012345\xc3\xa9 more",
          " title '1234567890123456789012345\xc3\xa9\xe2\x80\xa6'\n" },
        { "'", " title "
               "''''"
               "\n" },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        const FeedRelay relays[] = { { .name = "a", .group = rows[i].name, .start = 1, .to = DAY } };
        build(&f, relays, 1);
        _cleanup_(freep) char *script = chart_script(&f.report, CHART_ROWS, CHART_WIDE);
        if (count(script, rows[i].title) != 1)
            fail_msg("%s is not in %s", rows[i].title, strstr(script, "plot "));
    }
}

static void test_inline(void **state)
{
    (void)state;
    _cleanup_(freep) char *svg =
        chart_inline("<?xml version='1.0'?>\n<!DOCTYPE svg>\n<svg id=\"x\"><defs><path id='gpPt1'/></defs>"
                     "<use xlink:href='#gpPt1'/><g clip-path=\"url(#c)\"/></svg>",
                     "p-");
    assert_string_equal(svg, "<svg id=\"p-x\"><defs><path id='p-gpPt1'/></defs><use xlink:href='#p-gpPt1'/>"
                             "<g clip-path=\"url(#p-c)\"/></svg>");
    assert_null(chart_inline("", "p-"));
    assert_null(chart_inline("gnuplot: syntax error", "p-"));
    assert_null(chart_inline("<svg> cut off", "p-"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),  cmocka_unit_test(test_holes),       cmocka_unit_test(test_relays),
        cmocka_unit_test(test_names), cmocka_unit_test(test_short_names), cmocka_unit_test(test_inline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
