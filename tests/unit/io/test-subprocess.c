/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of io/subprocess with a helper that does what its environment tells it to. */
#include "io/subprocess.h"

#include "scratch.h"

#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool trouble; /* what it says cannot be read */

/* Instead of libc's: no pipe fails when a test wants it. */
ssize_t read(int fd, void *to, size_t size)
{
    if (trouble) {
        errno = EIO;
        return -1;
    }
    return syscall(SYS_read, fd, to, size);
}

static const char helper_source[] =
    "#include <dirent.h>\n"
    "#include <fcntl.h>\n"
    "#include <signal.h>\n"
    "#include <stdio.h>\n"
    "#include <stdlib.h>\n"
    "#include <string.h>\n"
    "#include <sys/resource.h>\n"
    "#include <unistd.h>\n"
    "extern char **environ;\n"
    "static void report(int argc) {\n"
    "    char buffer[4096], cwd[256], input[256] = { 0 };\n"
    "    struct rlimit core;\n"
    "    int own, n = 0;\n"
    "    FILE *f;\n"
    "    DIR *d = opendir(\"/proc/self/fd\");\n"
    "    own = dirfd(d);\n"
    "    for (struct dirent *e; (e = readdir(d));)\n"
    "        if (e->d_name[0] != '.' && atoi(e->d_name) != own) printf(\"fd=%s\\n\", e->d_name);\n"
    "    closedir(d);\n"
    "    getrlimit(RLIMIT_CORE, &core);\n"
    "    readlink(\"/proc/self/fd/0\", input, sizeof(input) - 1);\n"
    "    printf(\"uid=%d %d gid=%d %d groups=%d\\n\", getuid(), geteuid(), getgid(), getegid(), getgroups(0, "
    "0));\n"
    "    printf(\"argc=%d cwd=%s input=%s core=%d\\n\", argc, getcwd(cwd, sizeof(cwd)), input, "
    "(int)core.rlim_max);\n"
    "    printf(\"session=%d\\n\", getsid(0) == getpid());\n"
    "    for (char **e = environ; *e; e++) printf(\"env:%s\\n\", *e);\n"
    "    f = fopen(\"/proc/self/status\", \"r\");\n"
    "    while (fgets(buffer, sizeof(buffer), f))\n"
    "        if (!strncmp(buffer, \"SigBlk\", 6) || !strncmp(buffer, \"SigIgn\", 6) ||\n"
    "            !strncmp(buffer, \"NoNewPrivs\", 10)) printf(\"%s\", buffer);\n"
    "    fprintf(stderr, \"to stderr\\n\");\n"
    "}\n"
    "int main(int argc, char **argv) {\n"
    "    const char *mode = getenv(\"MODE\");\n"
    "    if (!mode) return environ[0] ? 8 : 9;\n"
    "    if (!strcmp(mode, \"report\")) report(argc);\n"
    "    if (!strcmp(mode, \"status\")) return 7;\n"
    "    if (!strcmp(mode, \"abort\")) abort();\n"
    "    if (!strcmp(mode, \"hang\")) for (;;) pause();\n"
    "    if (!strcmp(mode, \"spin\")) { signal(SIGTERM, SIG_IGN); signal(SIGALRM, SIG_IGN); for (;;); }\n"
    "    if (!strcmp(mode, \"flood\")) for (;;) printf(\"flood\\n\");\n"
    "    if (!strcmp(mode, \"long\"))\n"
    "        for (int i = 0; i < 100000; i++) { putchar('o'); putc('e', stderr); }\n"
    "    if (!strcmp(mode, \"child\") || !strcmp(mode, \"hang with child\")) {\n"
    "        int child = fork();\n"
    "        if (!child) for (;;) pause();\n"
    "        printf(\"%d\\n\", child);\n"
    "        fflush(stdout);\n"
    "        if (strcmp(mode, \"child\")) for (;;) pause();\n"
    "    }\n"
    "    return 0;\n"
    "}\n";

static char *folder, *helper;

/* As the daemon runs under its unit. */
static void give_up_cap_kill(void)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };

    assert_int_equal(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1U << CAP_KILL);
    data[0].permitted &= ~(1U << CAP_KILL);
    data[0].inheritable &= ~(1U << CAP_KILL);
    assert_int_equal(syscall(SYS_capset, &header, data), 0);
}

static int setup(void **state)
{
    (void)state;
    give_up_cap_kill();
    folder = scratch_new();
    helper = scratch_compile(folder, "helper", helper_source, NULL);
    /* Orphans of the helper become children of ours, so that their end can be waited for. */
    return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

static int teardown(void **state)
{
    (void)state;
    free(helper);
    scratch_free(folder);
    return 0;
}

static int run(const char *mode, usec_t timeout, SubprocessResult *ret)
{
    _cleanup_(freep) char *variable = xasprintf("MODE=%s", mode);
    char *const environment[] = { variable, NULL };

    return subprocess_run(helper, environment, timeout, ret);
}

static void expect_line(const char *text, const char *line)
{
    _cleanup_(freep) char *lines = xasprintf("\n%s", text), *wanted = xasprintf("\n%s\n", line);

    if (!strstr(lines, wanted))
        fail_msg("no line \"%s\" in:\n%s", line, text);
}

/* As for glibc without settings: nothing of ours in the place of nothing. */
static void test_no_environment(void **state)
{
    (void)state;
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };

    assert_int_equal(subprocess_run(helper, NULL, 10 * USEC_PER_SEC, &result), 0);
    assert_int_equal(result.exit_status, 9);
}

/* What it gets, and what it does not: our signals, descriptors, privileges, environment. */
static void test_surroundings(void **state)
{
    (void)state;
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };
    _cleanup_(closep) int leaky = open("/dev/null", O_RDONLY); /* NOLINT: not CLOEXEC on purpose */
    _cleanup_(freep) char *ids = NULL;
    sigset_t blocked, old;

    assert_true(leaky >= 0);
    if (geteuid() == 0)
        assert_int_equal(setgroups(2, (const gid_t[]){ 4, 20 }), 0);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &old);
    signal(SIGPIPE, SIG_IGN);
    setenv("SECRET", "of ours", 1);
    assert_int_equal(run("report", 10 * USEC_PER_SEC, &result), 0);
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGPIPE, SIG_DFL);

    assert_int_equal(result.signal, 0);
    assert_int_equal(result.exit_status, 0);
    assert_string_equal(result.err, "to stderr\n");
    ids = geteuid() == 0 ? xstrdup("uid=65534 65534 gid=65534 65534 groups=0")
                         : xasprintf("uid=%d %d gid=%d %d groups=%d", (int)getuid(), (int)geteuid(),
                                     (int)getgid(), (int)getegid(), getgroups(0, NULL));
    expect_line(result.out, ids);
    expect_line(result.out, "argc=1 cwd=/ input=/dev/null core=0");
    expect_line(result.out, "session=1");
    expect_line(result.out, "NoNewPrivs:\t1");
    expect_line(result.out, "SigBlk:\t0000000000000000");
    const char *ignored = strstr(result.out, "SigIgn:\t");
    assert_non_null(ignored);
    /* signals 1 to 31: the C library keeps 32 and 33 to itself, and lets nobody change what was inherited */
    assert_int_equal(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & 0x7fffffff, 0);
    expect_line(result.out, "env:MODE=report");
    assert_null(strstr(result.out, "SECRET"));
    expect_line(result.out, "fd=0");
    expect_line(result.out, "fd=2");
    assert_null(strstr(result.out, "fd=3"));
    assert_null(strstr(result.out, "fd=4"));
    assert_null(strstr(strstr(result.out, "env:") + 1, "env:"));
}

/* A daemon may be started with 0, 1 and 2 closed; its pipes then have these numbers. */
static void test_closed_stdio(void **state)
{
    (void)state;
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };
    int saved[3], r;

    for (int i = 0; i < 3; i++)
        saved[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
    for (int i = 0; i < 3; i++)
        close(i);
    r = run("report", 10 * USEC_PER_SEC, &result);
    for (int i = 0; i < 3; i++) {
        dup2(saved[i], i);
        close(saved[i]);
    }
    assert_int_equal(r, 0);
    expect_line(result.out, "argc=1 cwd=/ input=/dev/null core=0");
    assert_string_equal(result.err, "to stderr\n");
}

static void test_ends(void **state)
{
    (void)state;
    _cleanup_(subprocess_result_clear) SubprocessResult status = { 0 }, aborted = { 0 };

    assert_int_equal(run("status", 10 * USEC_PER_SEC, &status), 0);
    assert_int_equal(status.exit_status, 7);
    assert_int_equal(status.signal, 0);
    assert_string_equal(status.out, "");

    assert_int_equal(run("abort", 10 * USEC_PER_SEC, &aborted), 0);
    assert_int_equal(aborted.signal, SIGABRT);
    assert_int_equal(aborted.exit_status, 0);
}

static void test_output_is_bounded(void **state)
{
    (void)state;
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 }, flood = { 0 };

    assert_int_equal(run("long", 10 * USEC_PER_SEC, &result), 0);
    assert_int_equal(result.exit_status, 0);
    assert_int_equal(strlen(result.out), SUBPROCESS_OUTPUT_MAX);
    assert_int_equal(strlen(result.err), SUBPROCESS_OUTPUT_MAX);
    assert_int_equal(run("flood", 30 * USEC_PER_SEC, &flood), -EFBIG);
    assert_null(flood.out);
}

/* Who was not heard has not said nothing. */
static void test_output_that_cannot_be_read(void **state)
{
    (void)state;
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };

    trouble = true;
    int r = run("long", 10 * USEC_PER_SEC, &result);
    trouble = false;
    assert_int_equal(r, -EIO);
    assert_null(result.out);
}

static void test_deadline(void **state)
{
    (void)state;
    static const char *const modes[] = { "hang", "spin" };

    for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
        SubprocessResult result = { 0 };
        struct timespec from, to;

        clock_gettime(CLOCK_MONOTONIC, &from);
        assert_int_equal(run(modes[i], 200 * USEC_PER_MSEC, &result), -ETIMEDOUT);
        clock_gettime(CLOCK_MONOTONIC, &to);
        assert_null(result.out);
        assert_true(to.tv_sec - from.tv_sec < 10); /* the helper itself never ends */
        assert_int_equal(geteuid(), getuid());
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* it was killed and reaped */
        assert_int_equal(errno, ECHILD);
    }
}

/* Its own child, which holds the pipes open, neither delays us nor survives. */
static void test_children_go_too(void **state)
{
    (void)state;
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };
    uint64_t pid = 0;
    int status = 0;

    assert_int_equal(run("child", 60 * USEC_PER_SEC, &result), 0);
    assert_non_null(strchr(result.out, '\n'));
    *strchr(result.out, '\n') = '\0';
    assert_int_equal(parse_u64(result.out, &pid), 0);
    assert_int_equal(waitpid((pid_t)pid, &status, 0), (pid_t)pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    subprocess_result_clear(&result);
    assert_int_equal(run("hang with child", 200 * USEC_PER_MSEC, &result), -ETIMEDOUT);
    assert_true(waitpid(-1, &status, 0) > 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* A build folder below /root: nobody cannot reach the program, and need not. */
static void test_program_in_closed_folder(void **state)
{
    (void)state;
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };
    int r;

    if (geteuid() == 0)
        assert_int_equal(chmod(folder, 0700), 0);
    r = run("status", 10 * USEC_PER_SEC, &result);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(r, 0);
    assert_int_equal(result.exit_status, 7);
}

static void test_cannot_start(void **state)
{
    (void)state;
    _cleanup_(freep) char *text = scratch_write(folder, "text", "text\n", 5, 0755);
    _cleanup_(freep) char *plain = scratch_write(folder, "plain", "\177ELF", 4, 0644);
    SubprocessResult result = { 0 };

    assert_int_equal(subprocess_run("/nonexistent/program", NULL, USEC_PER_SEC, &result), -ENOENT);
    assert_int_equal(subprocess_run(text, NULL, USEC_PER_SEC, &result), -ENOEXEC);
    assert_int_equal(subprocess_run(plain, NULL, USEC_PER_SEC, &result), -EACCES);
    assert_null(result.out);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* the child that failed is reaped */
}

static void test_no_descriptor_is_left(void **state)
{
    (void)state;
    static const char *const modes[] = { "report", "abort", "hang", "flood" };
    size_t before = scratch_count_fds();

    for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
        _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };
        run(modes[i], streq(modes[i], "hang") ? 50 * USEC_PER_MSEC : 10 * USEC_PER_SEC, &result);
    }
    assert_int_equal(scratch_count_fds(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_environment),
        cmocka_unit_test(test_surroundings),
        cmocka_unit_test(test_closed_stdio),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_output_is_bounded),
        cmocka_unit_test(test_output_that_cannot_be_read),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_children_go_too),
        cmocka_unit_test(test_cannot_start),
        cmocka_unit_test(test_program_in_closed_folder),
        cmocka_unit_test(test_no_descriptor_is_left),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
