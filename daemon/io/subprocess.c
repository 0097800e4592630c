/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

typedef struct Output {
    int from, to; /* the two ends of its pipe; ours does not block */
    char *data;
    size_t n;
    size_t dropped;
} Output;

/* One helper, from its start to its end. */
typedef struct Helper {
    int program; /* opened by us, so that nobody need not reach it by its path */
    int null;
    Output out, err;
    pid_t pid;
    int pidfd;
} Helper;

static void helper_clear(Helper *helper)
{
    Output *outputs[] = { &helper->out, &helper->err };

    for (size_t i = 0; i < ELEMENTSOF(outputs); i++) {
        closep(&outputs[i]->from);
        closep(&outputs[i]->to);
        free(outputs[i]->data);
    }
    closep(&helper->program);
    closep(&helper->null);
    closep(&helper->pidfd);
}

void subprocess_result_clear(SubprocessResult *result)
{
    free(result->out);
    free(result->err);
    *result = (SubprocessResult){ 0 };
}

static usec_t now_monotonic(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

/* ---- the child, between fork and exec ---- */

static int drop_privileges(void)
{
    if (geteuid() == 0 &&
        (setgroups(0, NULL) < 0 || setresgid(SUBPROCESS_GID, SUBPROCESS_GID, SUBPROCESS_GID) < 0 ||
         setresuid(SUBPROCESS_UID, SUBPROCESS_UID, SUBPROCESS_UID) < 0))
        return -errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    return 0;
}

static int bound_resources(usec_t timeout)
{
    /* In case we are killed before our deadline, or lack the right to kill it. No limit on address space:
     * allocators reserve gigabytes of it. */
    const rlim_t seconds = timeout / USEC_PER_SEC + 1;
    const struct rlimit cpu = { seconds, seconds + 1 }, core = { 0, 0 };

    if (setrlimit(RLIMIT_CPU, &cpu) < 0 || setrlimit(RLIMIT_CORE, &core) < 0)
        return -errno;
    alarm((unsigned)seconds + 1);
    return 0;
}

/* The daemon blocks the signals that its loop reads, and both survive an exec. */
static void reset_signals(void)
{
    sigset_t none;

    for (int s = 1; s < NSIG; s++)
        signal(s, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int become_helper(const Helper *helper, usec_t timeout)
{
    const int stdio[3] = { helper->null, helper->out.to, helper->err.to };
    int r;

    /* Even where we were started with 0, 1 and 2 closed no pipe has one of these numbers: the program and
     * /dev/null were opened first. */
    for (int i = 0; i < 3; i++)
        if (dup2(stdio[i], i) < 0)
            return -errno;
    /* Every descriptor of ours is CLOEXEC; those of libraries may not be. Old kernels lack this: no harm. */
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    reset_signals();
    if (setsid() < 0 || chdir("/") < 0)
        return -errno;
    r = bound_resources(timeout);
    if (r < 0)
        return r;
    r = drop_privileges();
    if (r < 0)
        return r;
    /* After the change of user, which clears it. */
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ? -errno : 0;
}

/* ---- the parent ---- */

/* Forks and waits for the exec, whose failure comes back through a pipe that the exec closes. */
static int start(Helper *helper, const char *path, const char *argument, char *const *environment,
                 usec_t timeout)
{
    static char *const empty[] = { NULL };
    char *const argv[] = { (char *)path, (char *)argument, NULL };
    _cleanup_(closep) int from = -1, to = -1;
    int report[2], error = 0;
    ssize_t n;

    if (pipe2(report, O_CLOEXEC) < 0)
        return -errno;
    from = report[0];
    to = report[1];
    helper->pid = fork();
    if (helper->pid < 0)
        return -errno;
    if (helper->pid == 0) {
        int program = fcntl(helper->program, F_DUPFD_CLOEXEC, 3), tell = fcntl(to, F_DUPFD_CLOEXEC, 3);

        error = become_helper(helper, timeout);
        if (error == 0) {
            execveat(program, "", argv, environment ? environment : empty, AT_EMPTY_PATH);
            error = -errno;
        }
        _exit(write(tell, &error, sizeof(error)) < 0 ? 126 : 127);
    }
    close(TAKE_FD(to));
    do
        n = read(from, &error, sizeof(error));
    while (n < 0 && errno == EINTR);
    if (n != sizeof(error))
        return 0;
    while (waitpid(helper->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return error;
}

/* Reads what there is, and closes at the end. An error is no end: it must not look as if nothing was said. */
static int output_read(Output *output)
{
    char buffer[4096];

    while (output->from >= 0 && output->dropped <= SUBPROCESS_FLOOD) {
        ssize_t n = read(output->from, buffer, sizeof(buffer));
        size_t kept;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        if (n == 0) {
            close(TAKE_FD(output->from));
            break;
        }
        kept = SUBPROCESS_OUTPUT_MAX - output->n;
        if (kept > (size_t)n)
            kept = (size_t)n;
        memcpy(output->data + output->n, buffer, kept);
        output->n += kept;
        output->dropped += (size_t)n - kept;
    }
    return 0;
}

/* Until the helper itself ends: something that it started may hold the pipes open forever. */
static int collect(Helper *helper, usec_t timeout)
{
    const usec_t deadline = now_monotonic() + timeout;

    for (;;) {
        const usec_t now = now_monotonic(), left = deadline > now ? deadline - now : 0;
        const struct timespec wait = { .tv_sec = (time_t)(left / USEC_PER_SEC),
                                       .tv_nsec = (long)(left % USEC_PER_SEC * 1000) };
        struct pollfd fds[] = {
            { .fd = helper->pidfd, .events = POLLIN },
            { .fd = helper->out.from, .events = POLLIN },
            { .fd = helper->err.from, .events = POLLIN },
        };
        int n = ppoll(fds, ELEMENTSOF(fds), &wait, NULL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -ETIMEDOUT;
        /* Both, no matter which was ready: what it wrote before its end is there when its end is seen. */
        int r = output_read(&helper->out);
        if (r >= 0)
            r = output_read(&helper->err);
        if (r < 0)
            return r;
        if (helper->out.dropped > SUBPROCESS_FLOOD || helper->err.dropped > SUBPROCESS_FLOOD)
            return -EFBIG;
        if (fds[0].revents)
            return 0;
    }
}

static void kill_group(const Helper *helper)
{
    kill(-helper->pid, SIGKILL);
    pidfd_send_signal(helper->pidfd, SIGKILL, NULL, 0); /* not of that group any more? */
}

/* Root without CAP_KILL signals its own processes only; so nobody's are signalled as nobody, who can do
 * nothing to us meanwhile, because our real and saved user are still root. */
static void kill_group_as_its_user(const Helper *helper)
{
    const int dumpable = prctl(PR_GET_DUMPABLE);

    if (geteuid() != 0 || seteuid(SUBPROCESS_UID) < 0)
        return;
    kill_group(helper);
    if (seteuid(0) < 0)
        abort(); /* cannot be, and nothing would work any more */
    if (dumpable == 1)
        prctl(PR_SET_DUMPABLE, 1); /* the change of user has cleared it */
}

/* The group is killed before its leader is reaped: until then no other process can have its number. */
static int finish(Helper *helper, siginfo_t *ret)
{
    kill_group(helper);
    kill_group_as_its_user(helper);
    while (waitid(P_PIDFD, (id_t)helper->pidfd, ret, WEXITED) < 0)
        if (errno != EINTR)
            return -errno;
    return 0;
}

static int output_open(Output *output)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    output->from = fds[0];
    output->to = fds[1];
    output->data = xcalloc(1, SUBPROCESS_OUTPUT_MAX + 1);
    return fcntl(output->from, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

int subprocess_run(const char *path, char *const *environment, usec_t timeout, SubprocessResult *ret)
{
    return subprocess_run_with(path, NULL, environment, timeout, ret);
}

int subprocess_run_with(const char *path, const char *argument, char *const *environment, usec_t timeout,
                        SubprocessResult *ret)
{
    _cleanup_(helper_clear) Helper helper = {
        .program = -1,
        .null = -1,
        .out = { .from = -1, .to = -1 },
        .err = { .from = -1, .to = -1 },
        .pidfd = -1,
    };
    siginfo_t si = { 0 };
    int r, ended;

    helper.program = open(path, O_PATH | O_CLOEXEC);
    if (helper.program < 0)
        return -errno;
    helper.null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (helper.null < 0)
        return -errno;
    r = output_open(&helper.out);
    if (r == 0)
        r = output_open(&helper.err);
    if (r == 0)
        r = start(&helper, path, argument, environment, timeout);
    if (r < 0)
        return r;
    close(TAKE_FD(helper.out.to));
    close(TAKE_FD(helper.err.to));
    /* Our child, and not reaped yet: the number cannot mean another process. */
    helper.pidfd = pidfd_open(helper.pid, 0);
    if (helper.pidfd < 0) {
        r = -errno;
        kill_group(&helper);
        kill_group_as_its_user(&helper);
        waitpid(helper.pid, NULL, 0);
        return r;
    }
    r = collect(&helper, timeout);
    ended = finish(&helper, &si);
    if (r < 0 || ended < 0)
        return r < 0 ? r : ended;
    *ret = (SubprocessResult){
        .signal = si.si_code == CLD_EXITED ? 0 : si.si_status,
        .exit_status = si.si_code == CLD_EXITED ? si.si_status : 0,
    };
    ret->out = TAKE_PTR(helper.out.data);
    ret->err = TAKE_PTR(helper.err.data);
    return 0;
}
