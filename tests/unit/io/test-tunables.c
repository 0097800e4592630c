/* SPDX-License-Identifier: BSD-3-Clause */
/* io/tunables: the glibc of this host, which a typo and a bound are told by. */
#include "io/tunables.h"

#include "core/tunables.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static bool late; /* the dynamic linker is not heard of in time */
static int fatal; /* the signal that has ended it; 0: it has exited */

/* Instead of libc's: no host is that busy when a test wants it. */
int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *timeout, const sigset_t *mask)
{
    struct timespec left = *timeout; /* which the kernel changes */

    return late ? 0 : (int)syscall(SYS_ppoll, fds, n, &left, mask, _NSIG / 8);
}

int waitid(idtype_t type, id_t id, siginfo_t *ret, int options)
{
    int r = (int)syscall(SYS_waitid, type, id, ret, options, NULL);

    if (r == 0 && fatal != 0) {
        ret->si_code = CLD_KILLED;
        ret->si_status = fatal;
    }
    return r;
}

static void test_list(void **state)
{
    (void)state;
    static const EnvVar environment[] = {
        { "GLIBC_TUNABLES",
          "glibc.malloc.mmap_threshold=131072:glibc.malloc.mmap_treshold=1:glibc.malloc.arena_max=-1" },
    };
    _cleanup_(freep) char *list = NULL;
    _cleanup_(strv_freep) char **warnings = NULL;

    assert_int_equal(tunables_list(&list), 0);
    assert_non_null(list);
    warnings = tunables_judge(&(TunablesAsk){
        .environment = environment, .n = 1, .family = FAMILY_GLIBC, .version = "", .glibc_list = list });
    assert_int_equal(strv_length(warnings), 2);
    assert_string_equal(warnings[0],
                        "GLIBC_TUNABLES: glibc has no tunable \"glibc.malloc.mmap_treshold\" (did you "
                        "mean \"glibc.malloc.mmap_threshold\"?)");
    assert_string_equal(warnings[1], "GLIBC_TUNABLES: glibc.malloc.arena_max=-1 is out of range (1 or more)");
}

/* That we have no descriptors left says nothing of the glibc. */
static void test_trouble_passes(void **state)
{
    struct rlimit before, none;
    char *list = NULL;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int r = tunables_list(&list);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(r, -EMFILE);
    assert_null(list);
}

static void test_busy_host_says_nothing_of_the_glibc(void **state)
{
    _cleanup_(freep) char *list = NULL;

    (void)state;
    late = true;
    assert_int_equal(tunables_list(&list), -EAGAIN);
    late = false;
    fatal = SIGKILL; /* nor does one that is out of memory */
    assert_int_equal(tunables_list(&list), -EAGAIN);
    assert_null(list);
    fatal = SIGSEGV; /* it does that each time */
    assert_int_equal(tunables_list(&list), 0);
    assert_null(list);
    fatal = 0;
    assert_int_equal(tunables_list(&list), 0);
    assert_non_null(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_trouble_passes),
        cmocka_unit_test(test_busy_host_says_nothing_of_the_glibc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
