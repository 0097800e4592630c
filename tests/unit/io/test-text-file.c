/* SPDX-License-Identifier: BSD-3-Clause */
/* io/text-file: whole files, and what is none. */
#include "io/text-file.h"
#include "scratch.h"
#include "test.h"

#include <sys/mman.h>

static void test_files(void **state)
{
    (void)state;
    static const struct {
        const char *name, *data;
        size_t n;
        const char *text;
    } rows[] = {
        { "empty", "", 0, "" },
        { "line", "LD_PRELOAD=x\n", 13, "LD_PRELOAD=x\n" },
        { "nul", "before\0after", 12, "before" },
        { "only-nul", "\0", 1, "" },
    };
    char *dir = scratch_new();

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(freep) char *path = scratch_write(dir, rows[i].name, rows[i].data, rows[i].n, 0644),
                              *text = NULL;
        assert_int_equal(text_file_read(path, &text), 0);
        assert_string_equal(text, rows[i].text);
    }
    _cleanup_(freep) char *status = NULL;
    assert_int_equal(text_file_read("/proc/self/status", &status), 0);
    assert_non_null(strstr(status, "VmRSS:"));
    scratch_free(dir);
}

static void test_size(void **state)
{
    (void)state;
    const size_t most = (size_t)1024 * 1024;
    _cleanup_(freep) char *data = xcalloc(most + 1, 1), *text = NULL;
    char *dir = scratch_new();

    memset(data, 'x', most + 1);
    _cleanup_(freep) char *fits = scratch_write(dir, "fits", data, most, 0644);
    _cleanup_(freep) char *over = scratch_write(dir, "over", data, most + 1, 0644);
    assert_int_equal(text_file_read(fits, &text), 0);
    assert_int_equal(strlen(text), most);
    _cleanup_(freep) char *none = NULL;
    assert_int_equal(text_file_read(over, &none), -EFBIG);
    assert_null(none);
    scratch_free(dir);
}

/* Of a file in /proc the size is 0, whatever is in it; that of others can grow while it is read. */
static void test_size_that_is_not_told(void **state)
{
    (void)state;
    enum { MAPPINGS = 3000 };
    const size_t page = (size_t)getpagesize();
    char *text = NULL, *area = mmap(NULL, MAPPINGS * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_ptr_not_equal(area, MAP_FAILED);
    for (size_t i = 0; i < MAPPINGS; i += 2)
        assert_int_equal(mprotect(area + i * page, page, PROT_READ), 0);
    assert_int_equal(text_file_read("/proc/self/smaps", &text), -EFBIG);
    assert_null(text);
    munmap(area, MAPPINGS * page);
}

static void test_what_is_no_file(void **state)
{
    (void)state;
    char *dir = scratch_new(), *text = NULL;
    _cleanup_(freep) char *fifo = xasprintf("%s/fifo", dir), *missing = xasprintf("%s/missing", dir);
    size_t fds = scratch_count_fds();

    assert_int_equal(mkfifo(fifo, 0644), 0);
    assert_int_equal(text_file_read(fifo, &text), -EINVAL); /* and does not wait for a writer */
    assert_int_equal(text_file_read(dir, &text), -EINVAL);
    assert_int_equal(text_file_read("/dev/zero", &text), -EINVAL);
    assert_int_equal(text_file_read(missing, &text), -ENOENT);
    assert_null(text);
    assert_int_equal(scratch_count_fds(), fds);
    scratch_free(dir);
}

static void test_again(void **state)
{
    (void)state;
    char *dir = scratch_new(), buffer[5];
    int fd = -1;
    _cleanup_(freep) char *path = xasprintf("%s/figure", dir);

    assert_int_equal(text_file_read_again(&fd, path, buffer, sizeof(buffer)), -ENOENT);
    free(scratch_write(dir, "figure", "one", 3, 0644));
    fd = -1;
    size_t fds = scratch_count_fds();
    assert_int_equal(text_file_read_again(&fd, path, buffer, sizeof(buffer)), 0);
    assert_string_equal(buffer, "one");
    assert_int_equal(scratch_count_fds(), fds + 1);
    free(scratch_write(dir, "figure", "three", 5,
                       0644)); /* what it says now, and as much as there is room for */
    assert_int_equal(text_file_read_again(&fd, path, buffer, sizeof(buffer)), 0);
    assert_string_equal(buffer, "thre");
    assert_int_equal(scratch_count_fds(), fds + 1);
    close(fd);
    fd = -1;
    assert_int_equal(text_file_read_again(&fd, dir, buffer, sizeof(buffer)), -EISDIR);
    assert_int_equal(fd, -1);
    assert_int_equal(scratch_count_fds(), fds);
    scratch_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_size_that_is_not_told),
        cmocka_unit_test(test_what_is_no_file),
        cmocka_unit_test(test_again),
    };
    return cmocka_run_group_tests_name("text-file", tests, NULL, NULL);
}
