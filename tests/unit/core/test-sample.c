/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of core/sample: what is written is read back; what is torn or foreign is refused line by line. */
#include "core/sample.h"
#include "test.h"

#include <errno.h>

#define SAMPLE(name, of_group, runs, its_version, started, ...)                                              \
    {                                                                                                        \
        .relay = name, .group = of_group, .allocator = runs, .version = its_version, .since = started,       \
        .memory = __VA_ARGS__                                                                                \
    }
#define FINGERPRINT "0123456789ABCDEF0123456789ABCDEF01234567"

static char *row_of(const Sample *sample)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    assert_non_null(f);
    sample_write_row(f, sample);
    fclose(f);
    return text;
}

static void assert_span(Span span, const char *expected)
{
    assert_int_equal(span.n, strlen(expected));
    assert_memory_equal(span.p, expected, span.n);
}

static void test_round_trip(void **state)
{
    (void)state;
    const Sample samples[] = {
        SAMPLE("relay7", "B", "mimalloc", "2.0.9", 1767225600000000, { 1245540515, 1, 2, 3 }),
        SAMPLE("1.2.3.4_9000", NULL, "glibc", "2.36", 1, { UINT64_MAX, UINT64_MAX, 0, UINT64_MAX }),
        SAMPLE("-", "", "", NULL, 0, { 0, 0, 0, 0 }),
        SAMPLE("small", "A", "glibc", "2.36", 1, { 4096000, 2048000, 1024, 8192000 }),
        SAMPLE("peak", "A", "glibc", "2.36", 1, { 4096, 4096, 0, 4096 }),
        SAMPLE("torn", "A", "glibc", "2.36", 1, { 4096, 8192, 1025, 2048 }),
        SAMPLE("unknown", "A", "glibc", "2.36", 1, { 4096, 0, 0, 4097 }),
        SAMPLE("odd", "A", "glibc", "2.36", 1, { 4097, 2048, 0, 8192 }),
        SAMPLE("most", "A", "glibc", "2.36", 1, { UINT64_MAX - 1023, 1024, 0, UINT64_MAX - 1023 }),
        SAMPLE("r\xc3\xa9l \"ais\",", "<b>", "pinned", "", 7, { 1, 1, 1, 1 }),
    };

    for (size_t i = 0; i < ELEMENTSOF(samples); i++) {
        const Sample *s = &samples[i];
        _cleanup_(freep) char *text = row_of(s);
        const char *cursor = text, *end = text + strlen(text);
        SampleRow row;

        assert_int_equal(sample_read_row(&cursor, end, &row), 1);
        assert_ptr_equal(cursor, end);
        assert_span(row.relay, s->relay);
        assert_span(row.group, s->group ? s->group : "");
        assert_span(row.allocator, s->allocator ? s->allocator : "");
        assert_span(row.version, s->version ? s->version : "");
        assert_int_equal(row.since, s->since);
        assert_memory_equal(&row.memory, &s->memory, sizeof(row.memory));
        assert_int_equal(sample_read_row(&cursor, end, &row), 0);
    }
}

static void test_written_row_is_one_line(void **state)
{
    (void)state;
    const Sample sample = SAMPLE("a\tb", "g\nh", "m\x7fi", "\x01", 1, { 1, 2, 3, 4 });
    _cleanup_(freep) char *text = row_of(&sample);

    assert_string_equal(text, "a?b\tg?h\tm?i\t?\t1\t1\t2\t3\t4\n");
}

static void test_read(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int result;
        uint64_t rss, hwm;
    } rows[] = {
        { "r\tg\ta\tv\t1\t2\t3\t4\t5\n", 1, 2, 5 },
        { "r\tg\ta\tv\t1\t2\t3\t4\t5", 1, 2, 5 },                   /* the last line may lack its newline */
        { "r\tg\ta\tv\t1\t2\t3\t4\t5\tmore\tand more\n", 1, 2, 5 }, /* a later version */
        { "r\t-\t-\t-\t-\t2\t-\t-\t-\n", 1, 2, 0 },
        { "r\tg\ta\tv\t1\t18446744073709551615\t3\t4\t5\n", 1, UINT64_MAX, 5 },
        { "r\tg\ta\tv\t1\t18446744073709551616\t3\t4\t5\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t99999999999999999999999\t3\t4\t5\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t2\t3\t4\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t2\t3\t4\t\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t-2\t3\t4\t5\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t2 \t3\t4\t5\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t0x2\t3\t4\t5\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t2k\t-1k\t4k\t+5k\n", 1, 2048, 7168 },
        { "r\tg\ta\tv\t1\t2k\t-1\t-\t+5", 1, 2048, 2053 },
        { "r\tg\ta\tv\t1\t2k\t-2k\t0\t-2k\tmore\n", 1, 2048, 0 },
        { "r\tg\ta\tv\t1\t18014398509481983k\t0\t0\t0\n", 1, UINT64_MAX - 1023, 0 },
        { "r\tg\ta\tv\t1\t18014398509481984k\t0\t0\t0\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t18014398509481983k\t0\t0\t+1k\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t2k\t-3k\t0\t0\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t+2k\t0\t0\t0\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t2k\t0\t+1k\t0\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t2kk\t0\t0\t0\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\tk\t0\t0\t0\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t2k\t--1k\t0\t0\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1\t2k\t+\t0\t0\n", -EINVAL, 0, 0 },
        { "r\tg\ta\tv\t1k\t2k\t0\t0\t0\n", -EINVAL, 0, 0 },
        { "\tg\ta\tv\t1\t2\t3\t4\t5\n", -EINVAL, 0, 0 },
        { "\n", -EINVAL, 0, 0 },
        { "r", -EINVAL, 0, 0 },
        { "", 0, 0, 0 },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        size_t n = strlen(rows[i].line);
        char *copy = xcalloc(n ? n : 1, 1); /* no NUL at its end: a reader past `end` is seen by ASan */
        memcpy(copy, rows[i].line, n);
        const char *cursor = copy;
        SampleRow row = { .memory.rss = 77 };
        int r = sample_read_row(&cursor, copy + n, &row);
        if (r != rows[i].result)
            fail_msg("row %zu: %d, not %d", i, r, rows[i].result);
        assert_ptr_equal(cursor, copy + n);
        if (r == 1) {
            assert_int_equal(row.memory.rss, rows[i].rss);
            assert_int_equal(row.memory.hwm, rows[i].hwm);
        } else
            assert_int_equal(row.memory.rss, 77); /* outputs only on success */
        free(copy);
    }
}

static void test_amounts(void **state)
{
    (void)state;
    const Sample sample = SAMPLE("r", "g", "a", "v", 1, { 13312 * 1024, 7012 * 1024, 4096, 13432 * 1024 });
    const Sample bytes = SAMPLE("r", "g", "a", "v", 1, { 13312 * 1024 + 1, 7012 * 1024, 0, 13432 * 1024 });
    _cleanup_(freep) char *text = row_of(&sample), *other = row_of(&bytes);

    assert_string_equal(text, "r\tg\ta\tv\t1\t13312k\t-6300k\t4k\t+120k\n");
    assert_string_equal(other, "r\tg\ta\tv\t1\t13631489\t7012k\t0\t13432k\n");
}

/* What a relay says of itself is in the row only when something is known of it. */
static void test_own_words(void **state)
{
    (void)state;
    static const struct {
        Sample own;
        const char *tail;
    } rows[] = {
        { { .has_bootstrap = true, .bootstrap = 100, .flags = "Fast,Guard", .fingerprint = FINGERPRINT },
          "\t100\tFast,Guard\t" FINGERPRINT },
        { { .has_bootstrap = true, .bootstrap = 0 }, "\t0\t-\t-" },
        { { .flags = "" }, "\t-\t.\t-" },
        { { .fingerprint = FINGERPRINT }, "\t-\t-\t" FINGERPRINT },
        { { .fingerprint = "" }, "" },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        Sample s = rows[i].own;
        s.relay = "r";
        _cleanup_(freep) char *text = row_of(&s),
                              *expected = xasprintf("r\t-\t-\t-\t0\t0\t0\t0\t0%s\n", rows[i].tail);
        assert_string_equal(text, expected);
        const char *cursor = text;
        SampleRow row;
        assert_int_equal(sample_read_row(&cursor, text + strlen(text), &row), 1);
        assert_int_equal(row.has_bootstrap, s.has_bootstrap);
        assert_int_equal(row.bootstrap, s.bootstrap);
        assert_int_equal(row.has_flags, s.flags != NULL);
        assert_span(row.flags, s.flags ? s.flags : "");
        assert_span(row.fingerprint, s.fingerprint ? s.fingerprint : "");
    }
}

static void test_own_words_that_are_none(void **state)
{
    (void)state;
    static const char *const tails[] = {
        "\t101\tFast Guard\tABC",
        "\t-1\t\x1b[1m\t" FINGERPRINT "0",
        "\t1e1\t-\t-",
        "\t\t\t",
        "\t100",
        "\tmore\tand/more\tyet more\tand\tmore",
    };

    for (size_t i = 0; i < ELEMENTSOF(tails); i++) {
        _cleanup_(freep) char *text = xasprintf("r\tg\ta\tv\t1\t2\t3\t4\t5%s\n", tails[i]);
        const char *cursor = text, *end = text + strlen(text);
        SampleRow row;
        assert_int_equal(sample_read_row(&cursor, end, &row), 1);
        assert_ptr_equal(cursor, end);
        assert_int_equal(row.memory.hwm, 5);
        assert_false(row.has_bootstrap || row.has_flags || row.fingerprint.n > 0);
    }
}

/* A bad line costs itself, not its neighbours. */
static void test_read_goes_on(void **state)
{
    (void)state;
    const char *text = "a\tg\tx\tv\t1\t2\t3\t4\t5\nbroken\nb\tg\tx\tv\t1\t2\t3\t4\t5\n";
    const char *cursor = text, *end = text + strlen(text);
    SampleRow row;

    assert_int_equal(sample_read_row(&cursor, end, &row), 1);
    assert_int_equal(sample_read_row(&cursor, end, &row), -EINVAL);
    assert_int_equal(sample_read_row(&cursor, end, &row), 1);
    assert_span(row.relay, "b");
    assert_int_equal(sample_read_row(&cursor, end, &row), 0);
}

static void test_sentences(void **state)
{
    (void)state;
    static const struct {
        Sample sample;
        const char *sentence;
    } rows[] = {
        { SAMPLE("relay7", "B", "mimalloc", "2.0.9", 0, { 1245540516, 0, 0, 0 }),
          "relay7: 1.16 GiB resident, mimalloc 2.0.9, group B" },
        { SAMPLE("relay7", NULL, "glibc", "2.36", 0, { 14889779, 0, 0, 0 }),
          "relay7: 14.2 MiB resident, glibc 2.36" },
        { SAMPLE("relay7", "A", "jemalloc", "", 0, { 1024, 0, 0, 0 }),
          "relay7: 1.00 KiB resident, jemalloc, group A" },
        { SAMPLE("relay7", "A", "", "9", 0, { 1024, 0, 0, 0 }),
          "relay7: 1.00 KiB resident, allocator unknown, group A" },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(freep) char *sentence = sample_sentence(&rows[i].sample);
        assert_string_equal(sentence, rows[i].sentence);
    }
    _cleanup_(freep) char *fleet = sample_fleet_sentence(40, UINT64_C(65712999629));
    assert_string_equal(fleet, "40 relays: 61.2 GiB resident");
    _cleanup_(freep) char *one = sample_fleet_sentence(1, 1024);
    assert_string_equal(one, "1 relay: 1.00 KiB resident");
}

static void test_next_beat(void **state)
{
    (void)state;
    static const usec_t s = USEC_PER_SEC;
    const struct {
        usec_t now, interval, next;
    } cases[] = {
        { 0, 60 * s, 60 * s },
        { 59 * s, 60 * s, 60 * s },
        { 60 * s - 1, 60 * s, 60 * s },
        { 60 * s, 60 * s, 120 * s }, /* this one has just been taken */
        { 61 * s, 60 * s, 120 * s },
        { 1795689599999999, 60 * s, 1795689600000000 },
        { 1795689600000001, 1 * s, 1795689601000000 },
        { 1795689600000001, 3600 * s, 1795690800000000 },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(sample_next_beat(cases[i].now, cases[i].interval), cases[i].next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_beat),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_amounts),
        cmocka_unit_test(test_written_row_is_one_line),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_own_words),
        cmocka_unit_test(test_own_words_that_are_none),
        cmocka_unit_test(test_read_goes_on),
        cmocka_unit_test(test_sentences),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
