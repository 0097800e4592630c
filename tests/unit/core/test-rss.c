/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory from the status text of a real tor, and from texts that no good kernel writes. */
#include "test.h"

#include "core/rss.h"

#include <errno.h>

/* tor 0.4.9 with jemalloc, Linux 6.18; shortened at the end. */
static const char real_status[] = "Name:\ttor\n"
                                  "Umask:\t0022\n"
                                  "State:\tS (sleeping)\n"
                                  "Tgid:\t30303\n"
                                  "Ngid:\t0\n"
                                  "Pid:\t30303\n"
                                  "PPid:\t30297\n"
                                  "TracerPid:\t0\n"
                                  "Uid:\t65534\t65534\t65534\t65534\n"
                                  "Gid:\t0\t0\t0\t0\n"
                                  "FDSize:\t256\n"
                                  "Groups:\t \n"
                                  "NStgid:\t30303\n"
                                  "Kthread:\t0\n"
                                  "VmPeak:\t   54244 kB\n"
                                  "VmSize:\t   54244 kB\n"
                                  "VmLck:\t       0 kB\n"
                                  "VmPin:\t       0 kB\n"
                                  "VmHWM:\t   13632 kB\n"
                                  "VmRSS:\t   13628 kB\n"
                                  "RssAnon:\t    1724 kB\n"
                                  "RssFile:\t   11908 kB\n"
                                  "RssShmem:\t       0 kB\n"
                                  "VmData:\t   35284 kB\n"
                                  "VmStk:\t     132 kB\n"
                                  "VmExe:\t    2072 kB\n"
                                  "VmLib:\t    9456 kB\n"
                                  "VmPTE:\t     100 kB\n"
                                  "VmSwap:\t      12 kB\n"
                                  "HugetlbPages:\t       0 kB\n"
                                  "THP_enabled:\t1\n"
                                  "Threads:\t4\n"
                                  "voluntary_ctxt_switches:\t4\n";

static void test_real_process(void **state)
{
    Memory m;

    (void)state;
    assert_int_equal(memory_from_status(real_status, &m), 0);
    assert_int_equal(m.rss, 13628 * 1024);
    assert_int_equal(m.anon, 1724 * 1024);
    assert_int_equal(m.swap, 12 * 1024);
    assert_int_equal(m.hwm, 13632 * 1024);
}

static void test_texts(void **state)
{
    static const struct {
        const char *status;
        int r;
        Memory memory;
    } table[] = {
        /* kernels that do not tell all of it */
        { "VmHWM:\t 8 kB\nVmRSS:\t 4 kB\nVmSwap:\t 0 kB\n", 0, { .rss = 4096, .hwm = 8192 } },
        { "VmRSS:\t 4 kB\n", 0, { .rss = 4096, .hwm = 4096 } },
        { "VmRSS:\t       0 kB\n", 0, { 0 } },
        /* blanks, order, and no newline at the end do not matter */
        { "VmSwap: 1 kB\nRssAnon: 2 kB\nVmRSS: 3 kB\nVmHWM: 4 kB", 0, { 3072, 2048, 1024, 4096 } },
        { "VmRSS:\t18014398509481983 kB\n", 0, { .rss = UINT64_MAX - 1023, .hwm = UINT64_MAX - 1023 } },
        /* only at the start of a line, and the first one counts: the kernel escapes newlines in Name */
        { "Name:\tVmRSS:\t 9 kB\nVmRSS:\t 4 kB\nVmRSS:\t 9 kB\n", 0, { .rss = 4096, .hwm = 4096 } },
        { "RssAnonX:\t 9 kB\nVmRSS:\t 4 kB\nVmRSSX:\t 9 kB\n", 0, { .rss = 4096, .hwm = 4096 } },
        /* what was cut off after the last line is no fault */
        { "VmHWM: 4 kB\nVmRSS: 3 kB\nRssAnon: 2 kB\nVmSwap: 1 kB\nVmHWM", 0, { 3072, 2048, 1024, 4096 } },
        { "", -ENODATA, { 0 } },
        { "Name:\tkthreadd\nState:\tS (sleeping)\nThreads:\t1\n", -ENODATA, { 0 } },
        { "VmHWM:\t 8 kB\n", -ENODATA, { 0 } },
        { "VmRSS:\t\n", -EINVAL, { 0 } },
        { "VmRSS:", -EINVAL, { 0 } },
        { "VmRSS:\t 4\n", -EINVAL, { 0 } },
        { "VmRSS:\t 4 k", -EINVAL, { 0 } },
        { "VmRSS:\t 4 MB\n", -EINVAL, { 0 } },
        { "VmRSS:\t 4 kBytes\n", -EINVAL, { 0 } },
        { "VmRSS:\t -4 kB\n", -EINVAL, { 0 } },
        { "VmRSS:\t 0x4 kB\n", -EINVAL, { 0 } },
        { "VmRSS:\t kB\n", -EINVAL, { 0 } },
        { "VmRSS:\t 18014398509481984 kB\n", -EINVAL, { 0 } }, /* 2^64 bytes */
        { "VmRSS:\t 99999999999999999999 kB\n", -EINVAL, { 0 } },
        { "VmRSS:\t 4 kB\nRssAnon:\t many kB\n", -EINVAL, { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        Memory m = { 1, 1, 1, 1 };
        int r = memory_from_status(table[i].status, &m);

        if (r != table[i].r)
            fail_msg("row %zu: %d", i, r);
        if (r < 0)
            assert_int_equal(m.rss, 1); /* written on success only */
        else if (m.rss != table[i].memory.rss || m.anon != table[i].memory.anon ||
                 m.swap != table[i].memory.swap || m.hwm != table[i].memory.hwm)
            fail_msg("row %zu: %ju %ju %ju %ju", i, (uintmax_t)m.rss, (uintmax_t)m.anon, (uintmax_t)m.swap,
                     (uintmax_t)m.hwm);
    }
}

/* Cut off anywhere, the text gives a true number or an error, never part of a number. */
static void test_cut_off(void **state)
{
    (void)state;
    for (size_t n = 0; n < sizeof(real_status); n++) {
        _cleanup_(freep) char *text = xstrndup(real_status, n);
        Memory m;

        if (memory_from_status(text, &m) < 0)
            continue;
        assert_int_equal(m.rss, 13628 * 1024);
        assert_true(m.anon == 0 || m.anon == 1724 * 1024);
        assert_true(m.swap == 0 || m.swap == 12 * 1024);
        assert_int_equal(m.hwm, 13632 * 1024);
    }
}

static void test_statm(void **state)
{
    static const struct {
        const char *statm;
        int r;
        Memory memory;
    } table[] = {
        { "13564 3407 2976 1 0 400 0\n", 0, { 3407 * 4096, 431 * 4096, 7, 3407 * 4096 } },
        { "9 0 0 1 0 4 0\n", 0, { 0, 0, 7, 5 } },       /* all of it is swapped out */
        { "9 2 3 1 0 4 0\n", 0, { 8192, 0, 7, 8192 } }, /* counters that lag */
        { "0 0 0 0 0 0 0\n", -ENODATA, { 0 } },
        { "", -EINVAL, { 0 } },
        { "9 2", -EINVAL, { 0 } },
        { "9 2 3", -EINVAL, { 0 } }, /* cut off in the middle of a number? */
        { "9 -2 3 1\n", -EINVAL, { 0 } },
        { "9  2 3 1\n", -EINVAL, { 0 } },
        { "9 x 3 1\n", -EINVAL, { 0 } },
        { "9 4503599627370496 3 1\n", -EINVAL, { 0 } }, /* 2^64 bytes */
        { "9 99999999999999999999 3 1\n", -EINVAL, { 0 } },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++) {
        Memory m = { 1, 1, 7, 5 };
        int r = memory_from_statm(table[i].statm, 4096, &m);

        if (r != table[i].r)
            fail_msg("row %zu: %d", i, r);
        if (r < 0)
            assert_true(m.rss == 1 && m.anon == 1 && m.swap == 7 && m.hwm == 5);
        else if (m.rss != table[i].memory.rss || m.anon != table[i].memory.anon ||
                 m.swap != table[i].memory.swap || m.hwm != table[i].memory.hwm)
            fail_msg("row %zu: %ju %ju %ju %ju", i, (uintmax_t)m.rss, (uintmax_t)m.anon, (uintmax_t)m.swap,
                     (uintmax_t)m.hwm);
    }
}

/* Both files of one process say the same, as far as both say it. */
static void test_both_of_a_real_process(void **state)
{
    static const char *const names[] = { "/proc/self/status", "/proc/self/statm" };
    const uint64_t slack = 64 * 4096; /* what this test itself touches between them, and counters that lag */
    Memory whole = { 0 }, m = { 0 };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(names); i++) {
        char text[8192];
        FILE *f = fopen(names[i], "re");
        assert_non_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        assert_int_equal(i == 0 ? memory_from_status(text, &whole)
                                : memory_from_statm(text, (uint64_t)sysconf(_SC_PAGESIZE), &m),
                         0);
    }
    assert_true(m.rss + slack >= whole.rss && whole.rss + slack >= m.rss);
    assert_true(m.anon + slack >= whole.anon && whole.anon + slack >= m.anon);
}

static void test_fell(void **state)
{
    const Memory before = { .rss = 3200 };

    (void)state;
    assert_false(memory_fell(&before, &(Memory){ .rss = 4000 }));
    assert_false(memory_fell(&before, &(Memory){ .rss = 3100 }));
    assert_true(memory_fell(&before, &(Memory){ .rss = 3099 }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_real_process),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_statm),
        cmocka_unit_test(test_both_of_a_real_process),
        cmocka_unit_test(test_fell),
    };

    return cmocka_run_group_tests_name("rss", tests, NULL, NULL);
}
