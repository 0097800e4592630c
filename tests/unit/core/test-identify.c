/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/identify.h"

#include <errno.h>

static EnvVar tuned_env[] = { { (char *)"X", (char *)"1" } };
static Allocator allocators[] = {
    { .name = (char *)"glibc" },
    { .name = (char *)"mimalloc", .library = (char *)"libmimalloc.so.2" },
    { .name = (char *)"tuned",
      .library = (char *)"libmimalloc.so.2",
      .environment = tuned_env,
      .n_environment = 1 },
    { .name = (char *)"twin", .library = (char *)"/l/mi" },
    { .name = (char *)"absent", .library = (char *)"libabsent.so" },
};
static const Config config = { .allocators = allocators, .n_allocators = ELEMENTSOF(allocators) };
static const char *const realpaths[] = { NULL, "/l/mi", "/l/mi", "/l/mi", NULL };

static ssize_t of(const char *path, const char *env, size_t preferred)
{
    MappedLibrary running = { .path = (char *)path };
    char *environment[] = { (char *)env, NULL };

    return identify_allocator(&config, realpaths, &running, env ? environment : NULL, preferred);
}

static void test_identify(void **state)
{
    (void)state;
    assert_int_equal(of(NULL, NULL, SIZE_MAX), 0);
    assert_int_equal(of(NULL, NULL, 4), 0); /* "absent" is assigned, but glibc is what runs */
    assert_int_equal(of("/l/mi", NULL, SIZE_MAX), 1);
    assert_int_equal(of("/l/mi", "X=2", SIZE_MAX), 1);
    assert_int_equal(of("/l/mi", "X=1", SIZE_MAX), 2); /* the one that says most about it */
    assert_int_equal(of("/l/mi", NULL, 3), 3);
    assert_int_equal(of("/l/mi", "X=1", 3), 2);
    assert_int_equal(of("/l/other", NULL, SIZE_MAX), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_identify) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
