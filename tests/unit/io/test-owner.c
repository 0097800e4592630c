/* SPDX-License-Identifier: BSD-3-Clause */
/* io/owner: what root without its power over files may still do with those of others. */
#include "io/owner.h"

#include "io/metrics-file.h"
#include "io/text-file.h"
#include "scratch.h"
#include "test.h"

#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#define NOBODY 65534

static char *folder, *private_folder, *file;

/* As the daemon's unit does. The other tests of this program are to run without it, too. */
static void drop_power_over_files(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[2];

    assert_int_equal(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH);
    data[0].permitted = data[0].effective;
    assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static int set_up(void **state)
{
    (void)state;
    folder = scratch_new();
    private_folder = xasprintf("%s/private", folder);
    assert_int_equal(mkdir(private_folder, 0700), 0);
    file = scratch_write(private_folder, "file", "text\n", 5, 0600);
    if (geteuid() != 0)
        return 0;
    assert_int_equal(chown(file, NOBODY, NOBODY) | chown(private_folder, NOBODY, NOBODY), 0);
    drop_power_over_files();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (geteuid() == 0 && owner_enter(private_folder) == 0) {
        (void)unlink(file);
        owner_leave();
    }
    scratch_free(folder);
    free(private_folder);
    free(file);
    return 0;
}

static void only_root(void)
{
    if (geteuid() != 0)
        skip();
}

static void assert_root_again(void)
{
    assert_int_equal(setfsuid((uid_t)-1), 0);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
}

static void test_private_file(void **state)
{
    (void)state;
    _cleanup_(freep) char *text = NULL;

    only_root();
    assert_int_equal(open(file, O_RDONLY | O_CLOEXEC), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(text_file_read(file, &text), 0);
    assert_string_equal(text, "text\n");
    assert_root_again();
}

static void test_by_the_directory(void **state)
{
    (void)state;
    char *mine = scratch_write(folder, "theirs", "x", 1, 0600);

    only_root();
    assert_int_equal(chown(mine, NOBODY, NOBODY), 0);
    _cleanup_(closep) int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC),
                          fd = owner_openat(dir, "theirs", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(owner_openat(dir, "missing", O_RDONLY | O_CLOEXEC), -ENOENT);
    assert_root_again();
    free(mine);
}

/* Nothing is tried for what is root's own, nor for what is not there. */
static void test_refusals(void **state)
{
    (void)state;
    char *own = scratch_write(folder, "own", "x", 1, 0000);
    _cleanup_(freep) char *missing = xasprintf("%s/missing", private_folder);

    only_root();
    assert_int_equal(owner_open(own, O_RDONLY | O_CLOEXEC), -EACCES);
    assert_int_equal(owner_open(missing, O_RDONLY | O_CLOEXEC), -ENOENT);
    assert_int_equal(owner_enter("/nonexistent/file"), -EACCES);
    assert_root_again();
    free(own);
}

/* The exporter's directory: written as its user, whoever owned the file before. */
static void test_metrics(void **state)
{
    (void)state;
    _cleanup_(freep) char *path = xasprintf("%s/metrics.prom", private_folder);
    struct stat st;

    only_root();
    assert_int_equal(metrics_file_replace(path, "a 1\n", 4), 0);
    assert_int_equal(metrics_file_replace(path, "a 2\n", 4), 0);
    assert_root_again();
    assert_int_equal(owner_enter(private_folder), 0);
    assert_int_equal(stat(path, &st), 0);
    owner_leave();
    assert_int_equal(st.st_uid, NOBODY);
    assert_int_equal(st.st_mode & 0777, 0644);
    assert_int_equal(metrics_file_remove(path), 0);
}

/* As the control socket of a relay is: connecting needs the right to write. */
static void test_socket(void **state)
{
    (void)state;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_(closep) int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                          client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    only_root();
    _cleanup_(freep) char *path = xasprintf("%s/control", private_folder);
    strcpy(address.sun_path, path);
    assert_int_equal(owner_enter(private_folder), 0);
    assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    owner_leave();
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof(address)), -1);
    assert_int_equal(errno, EACCES);
    assert_int_equal(owner_enter(path), 0);
    assert_int_equal(connect(client, (const struct sockaddr *)&address, sizeof(address)), 0);
    (void)unlink(path);
    owner_leave();
    assert_root_again();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_private_file), cmocka_unit_test(test_by_the_directory),
        cmocka_unit_test(test_refusals),     cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_socket),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
