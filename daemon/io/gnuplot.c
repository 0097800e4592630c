/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define OUTPUT_MAX ((off_t)256 * 1024 * 1024)
#define ERROR_MAX 1000

/* Files in memory for its stdin, stdout and stderr: no pipe can fill up, so nothing needs attention while it
 * runs. */
typedef struct Files {
    int in, out, err;
} Files;

static void files_clear(Files *files)
{
    closep(&files->in);
    closep(&files->out);
    closep(&files->err);
}

static int write_all(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = write(fd, text, left);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        left -= (size_t)n;
    }
    return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static int read_all(int fd, off_t most, char **ret, size_t *ret_size)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size > most)
        return -EFBIG;
    _cleanup_(freep) char *data = xcalloc(1, (size_t)st.st_size + 1);
    size_t size = 0;
    while (size < (size_t)st.st_size) {
        ssize_t n = pread(fd, data + size, (size_t)st.st_size - size, (off_t)size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        size += (size_t)n;
    }
    *ret = TAKE_PTR(data);
    if (ret_size)
        *ret_size = size;
    return 0;
}

static int start(const Files *files, pid_t *ret)
{
    static char *const argv[] = { (char *)"gnuplot", (char *)"--default-settings", NULL };
    _cleanup_(freep) char *path = xasprintf("PATH=%s", getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    char *const environment[] = { path, (char *)"LC_ALL=C.UTF-8", NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, files->in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, files->out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, files->err, STDERR_FILENO);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int r = posix_spawnp(ret, argv[0], &actions, &attributes, argv, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return -r;
}

/* 0: it ended, *ret_status as of waitpid(2). */
static int wait_for(pid_t pid, usec_t timeout, int *ret_status)
{
    _cleanup_(closep) int pidfd = pidfd_open(pid, 0);
    struct pollfd fd = { .fd = pidfd, .events = POLLIN };
    int r = pidfd < 0 ? -errno : 0;

    while (r == 0) {
        int n = poll(&fd, 1, (int)(timeout / USEC_PER_MSEC));
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0)
            break;
        r = n < 0 ? -errno : -ETIMEDOUT;
    }
    if (r < 0)
        kill(pid, SIGKILL); /* our child, not reaped yet: the number is its own */
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR)
        ;
    return r;
}

int gnuplot_run(const char *script, usec_t timeout, char **ret, size_t *ret_size, char **ret_error)
{
    _cleanup_(files_clear) Files files = {
        .in = memfd_create("script", MFD_CLOEXEC),
        .out = memfd_create("chart", MFD_CLOEXEC),
        .err = memfd_create("messages", MFD_CLOEXEC),
    };
    _cleanup_(freep) char *output = NULL;
    pid_t pid;
    size_t size = 0;
    int status = 0;

    *ret_error = NULL;
    if (files.in < 0 || files.out < 0 || files.err < 0)
        return -errno;
    int r = write_all(files.in, script);
    if (r == 0)
        r = start(&files, &pid);
    if (r == 0)
        r = wait_for(pid, timeout, &status);
    if (r == 0)
        r = read_all(files.out, OUTPUT_MAX, &output, &size);
    if (r < 0)
        return r;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0 || size == 0) {
        read_all(files.err, OUTPUT_MAX, ret_error, NULL);
        if (*ret_error && strlen(*ret_error) > ERROR_MAX)
            (*ret_error)[ERROR_MAX] = '\0';
        return -EIO;
    }
    *ret = TAKE_PTR(output);
    *ret_size = size;
    return 0;
}
