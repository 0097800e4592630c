/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of report/report-text and report/report-html: the numbers as people read them, and names that are
 * markup, formulas or escape sequences. */
#include "report/report-text.h"
#include "series-feed.h"

#include <math.h>
#include <time.h>

#define EVIL "=<script>alert(1)</script>|`x`\"'&\x1b[1m"

typedef struct Fixture {
    Series series;
    Report report;
} Fixture;

static void fixture_clear(Fixture *f)
{
    report_clear(&f->report);
    series_clear(&f->series);
}

static FeedRelay relay(const char *name, const char *group, const char *allocator, double level,
                       double per_day)
{
    return (FeedRelay){ .name = name,
                        .group = group,
                        .allocator = allocator,
                        .version = allocator ? "1" : NULL,
                        .start = level,
                        .per_day = per_day,
                        .to = 4 * DAY,
                        .up = 10 * DAY };
}

static void build(Fixture *f, const FeedRelay *relays, size_t n, bool by_group)
{
    const SeriesOptions options = {
        .until = USEC_INFINITY, .step = HOUR, .slice = HOUR, .by_group = by_group
    };
    char *error = NULL;

    setenv("TZ", "UTC0", 1);
    tzset();
    series_init(&f->series, &options);
    feed(&f->series, relays, n, HOUR);
    assert_int_equal(report_build(&f->series, &(ReportOptions){ .seed = 1 }, &f->report, &error), 0);
}

static void make(Fixture *f, bool by_group)
{
    const FeedRelay relays[] = {
        relay("m1", "B", "mimalloc", 1018, 0), relay("m2", "B", "mimalloc", 1025, 0),
        relay("m3", "B", "mimalloc", 1029, 0), relay("g1", NULL, "glibc", 5000, 130),
        relay("g2", NULL, "glibc", 5200, 120), relay("g3", NULL, "glibc", 5100, 140),
        relay("j1", "C", "jemalloc", 5500, 0),
    };

    build(f, relays, ELEMENTSOF(relays), by_group);
}

static void assert_cell(const Report *report, size_t row, ReportColumn column, const char *expected)
{
    _cleanup_(freep) char *cell = report_cell(&report->rows[row], column);

    assert_string_equal(cell, expected);
}

static void test_cells(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };

    make(&f, true);
    assert_int_equal(f.report.n_rows, 3);
    assert_cell(&f.report, 0, REPORT_GROUP, "B");
    assert_cell(&f.report, 0, REPORT_ALLOCATOR, "mimalloc");
    assert_cell(&f.report, 0, REPORT_RELAYS, "3");
    assert_cell(&f.report, 0, REPORT_AVERAGE, "1.00 GiB");
    assert_cell(&f.report, 0, REPORT_REDUCTION, "81 %");
    assert_cell(&f.report, 0, REPORT_GROWTH, "+0 B (0.0 %)");
    assert_cell(&f.report, 0, REPORT_VERDICT, "steady");
    assert_cell(&f.report, 1, REPORT_GROUP, "");
    assert_cell(&f.report, 1, REPORT_REDUCTION, "baseline");
    assert_cell(&f.report, 1, REPORT_INTERVAL, "");
    assert_cell(&f.report, 1, REPORT_GROWTH, "+130 MiB (2.4 %)");
    assert_cell(&f.report, 1, REPORT_VERDICT, "growing");
    assert_cell(&f.report, 2, REPORT_REDUCTION, "-3 %");
    assert_cell(&f.report, 2, REPORT_INTERVAL, "only one relay");
    assert_cell(&f.report, 2, REPORT_VERDICT, "too short");
    assert_true(report_has_column(&f.report, REPORT_GROUP));
    fixture_clear(&f);
    f = (Fixture){ 0 };
    make(&f, false);
    assert_false(report_has_column(&f.report, REPORT_GROUP));
    assert_true(report_has_column(&f.report, REPORT_VERSION));
}

static void test_intervals(void **state)
{
    (void)state;
    static const struct {
        Interval interval;
        const char *text;
    } rows[] = {
        { { 0.706, 0.851 }, "71 to 85 %" }, { { 0.787, 0.804 }, "78.7 to 80.4 %" },
        { { -0.19, 0.28 }, "-19 to 28 %" }, { { -0.004, 0.3 }, "0 to 30 %" },
        { { -77, 0.9 }, "below 90 %" },     { INTERVAL_NONE, "" },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        const ReportRow row = { .comparison.interval = rows[i].interval };
        _cleanup_(freep) char *cell = report_cell(&row, REPORT_INTERVAL);
        assert_string_equal(cell, rows[i].text);
    }
}

static char *written(void (*write)(FILE *f, const Report *report), const Report *report)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    write(f, report);
    fclose(f);
    return text;
}

static void write_markdown(FILE *f, const Report *report)
{
    char *notes[] = { (char *)"a <note> with https://example.org", NULL };

    report_write_markdown(f, report, notes);
}

static void write_html(FILE *f, const Report *report)
{
    char *notes[] = { (char *)"a <note>", NULL };
    const ReportEvent events[] = { { T0, (char *)"a <b> happened" } };
    const ReportPage page = { .rows_wide = "<svg>1</svg>",
                              .rows_narrow = "<svg>2</svg>",
                              .notes = notes,
                              .events = events,
                              .n_events = 1,
                              .more_events = 7 };

    report_write_html(f, report, &page);
}

static void write_html_without_charts(FILE *f, const Report *report)
{
    const ReportPage page = { .no_chart = "no <gnuplot>" };

    report_write_html(f, report, &page);
}

static void assert_contains(const char *text, const char *words)
{
    if (!strstr(text, words))
        fail_msg("\"%s\" is not in:\n%s", words, text);
}

static void assert_lacks(const char *text, const char *words)
{
    if (strstr(text, words))
        fail_msg("\"%s\" is in:\n%s", words, text);
}

static void test_csv(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    size_t lines = 0, commas = 0;

    make(&f, true);
    _cleanup_(freep) char *csv = written(report_write_csv, &f.report);
    for (const char *p = csv; *p; p++) {
        lines += *p == '\n';
        commas += *p == ',';
    }
    assert_int_equal(lines, 4);
    assert_int_equal(commas, 4 * 23);
    assert_contains(csv, "B,mimalloc,1,3,1073741824,");
    assert_contains(csv, "\n,glibc,1,3,");
    assert_contains(csv, ",growing,");
}

static void test_markdown(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };

    make(&f, true);
    _cleanup_(freep) char *text = written(write_markdown, &f.report);
    assert_contains(
        text, "| Group | Allocator | Version | Relays | Average | Reduction | 95 % interval | Growth/day | "
              "Verdict |\n|---|---|---|---:|---:|---:|---:|---:|---|\n| B | mimalloc | 1 | 3 | 1.00 GiB | "
              "81 % | ");
    assert_contains(text, "| no group | glibc | 1 | 3 | ");
    assert_contains(text, "\n\n- a &#60;note&#62; with https&#58;//example.org\n");
}

static void test_html(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };

    make(&f, true);
    _cleanup_(freep) char *page = written(write_html, &f.report);
    assert_contains(page, "<meta name=\"viewport\"");
    assert_contains(page, "default-src 'none'");
    assert_contains(
        page, "<figure class=\"wide\">\n<svg>1</svg></figure>\n<figure class=\"narrow\">\n<svg>2</svg>");
    assert_contains(page, "<li>a &lt;note&gt;</li>");
    assert_contains(page, "a &lt;b&gt; happened");
    assert_contains(page, "and 7 more");
    assert_contains(page, "data-label=\"Average\">1.00 GiB</td>");
    assert_contains(page, "<p class=\"lead\">Group B uses 81 % less memory than relays of no group ");
    assert_contains(page, "<td data-label=\"Group\"><i class=\"key\" style=\"border-color:#");
    assert_contains(page, "<span class=\"verdict growing\">growing</span>");
    assert_lacks(page, "<script");
    assert_lacks(page, "http://");
    assert_lacks(page, "https://");
    _cleanup_(freep) char *bare = written(write_html_without_charts, &f.report);
    assert_contains(bare, "No charts: no &lt;gnuplot&gt;");
    assert_lacks(bare, "<figure");
    assert_lacks(bare, "<i class"); /* a key to nothing */
    assert_lacks(bare, "<h2>Events");
}

/* The finding says what it does not know, and nothing that the interval does not hold. */
static void test_headline(void **state)
{
    (void)state;
    static const struct {
        double level, per_day;
        const char *allocator, *text;
        bool by_group;
    } cases[] = {
        { 1000, 0, "mimalloc",
          "mimalloc 1 uses 80 % less memory than glibc 1 (95 % interval 79.8 to 80.2 %): 1000 MiB per relay "
          "instead of "
          "4.88 GiB.",
          false },
        { 1000, 100, "mimalloc", "1.17 GiB per relay instead of 4.88 GiB. But it is still growing.", false },
        { 1000, 0, "mimalloc", "Group C uses 80 % less memory than group Z (", true },
        { 5000, 0, "mimalloc", "No allocator here uses significantly less memory than glibc 1.", false },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(fixture_clear) Fixture f = { 0 };
        FeedRelay relays[6];
        static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
        for (size_t k = 0; k < 6; k++) {
            bool base = k >= 3;
            double spread = 1 + 0.005 * ((double)(k % 3) - 1);
            relays[k] = relay(names[k], base ? "Z" : "C", base ? "glibc" : cases[i].allocator,
                              (base ? 5000 : cases[i].level) * spread, base ? 0 : cases[i].per_day);
        }
        build(&f, relays, 6, cases[i].by_group);
        _cleanup_(freep) char *text = report_headline(&f.report);
        assert_contains(text, cases[i].text);
    }
    _cleanup_(fixture_clear) Fixture alone = { 0 };
    const FeedRelay relays[] = { relay("a", "A", "mimalloc", 1000, 0) };
    build(&alone, relays, 1, true);
    assert_null(report_headline(&alone.report));
}

/* A name as a value, in each format. */
static void test_names(void **state)
{
    (void)state;
    _cleanup_(fixture_clear) Fixture f = { 0 };
    const FeedRelay relays[] = { relay(EVIL, EVIL, EVIL, 100, 0) };

    build(&f, relays, 1, true);
    _cleanup_(freep) char *csv = written(report_write_csv, &f.report);
    assert_contains(csv, "\n\"'=<script>alert(1)</script>|`x`\"\"'&\x1b[1m\",");
    assert_contains(csv, "\",\"'=<script>"); /* and the next column */
    _cleanup_(freep) char *markdown = written(write_markdown, &f.report);
    assert_contains(markdown,
                    "| =&#60;script&#62;alert(1)&#60;/script&#62;&#124;&#96;x&#96;\"'&#38;?&#91;1m |");
    _cleanup_(freep) char *html = written(write_html, &f.report);
    assert_lacks(html, "<script");
    assert_contains(html, "=&lt;script&gt;alert(1)&lt;/script&gt;|`x`&quot;&#39;&amp;\xef\xbf\xbd[1m");
}

static void test_html_escape(void **state)
{
    (void)state;
    static const struct {
        const char *text, *escaped;
    } rows[] = {
        { "r\xc3\xa9lais", "r\xc3\xa9lais" },
        { "a\xff"
          "b",
          "a\xef\xbf\xbd"
          "b" },
        { "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
        { "a\tb", "a\xef\xbf\xbd"
                  "b" },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        report_escape_html(f, rows[i].text);
        fclose(f);
        assert_string_equal(text, rows[i].escaped);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells),    cmocka_unit_test(test_intervals),   cmocka_unit_test(test_csv),
        cmocka_unit_test(test_markdown), cmocka_unit_test(test_html),        cmocka_unit_test(test_headline),
        cmocka_unit_test(test_names),    cmocka_unit_test(test_html_escape),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
