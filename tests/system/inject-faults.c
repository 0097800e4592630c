/* SPDX-License-Identifier: BSD-3-Clause */
/* Preloaded into relayallocd alone: lets its calls into the system fail, as often as a file says that both
 * sides map. RELAY_TEST_FAULTS names that file (struct control; without it nothing fails). A kind of call has
 * one rate; which call fails is drawn from the seed there, so that the same calls in the same order fail
 * alike.
 *
 * Calls that the C library makes within itself are not seen; those of libsystemd and libconfig are. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <unistd.h>

extern char *program_invocation_short_name;

/* In the order of tests/system/chaos.py. */
enum kind { OPEN, READ, WRITE, SYNC, NAME, LIST, STAT, PROCESS, BUS, EVENT, N_KINDS };

struct control {
    uint64_t seed;
    uint32_t rate[N_KINDS]; /* of 10,000 calls */
    uint32_t hits[N_KINDS];
};

static struct control *control;
static uint64_t calls;

__attribute__((constructor)) static void map_control(void)
{
    const char *path = getenv("RELAY_TEST_FAULTS");

    if (!path || strcmp(program_invocation_short_name, "relayallocd") != 0)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return;
    void *p = mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (p != MAP_FAILED)
        control = p;
}

/* A number for the n-th call (splitmix64). */
static uint64_t draw(void)
{
    uint64_t z =
        control->seed + __atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED) * UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Does this call fail? Then errno is one of the list, which ends with 0. */
static bool fails(enum kind kind, const int *errors)
{
    if (!control || control->rate[kind] == 0)
        return false;
    uint64_t z = draw();
    if (z % 10000 >= control->rate[kind])
        return false;
    size_t n = 0;
    while (errors[n])
        n++;
    __atomic_add_fetch(&control->hits[kind], 1, __ATOMIC_RELAXED);
    errno = errors[(z >> 32) % n];
    return true;
}

static const int of_open[] = { EMFILE, ENFILE, ENOMEM, EIO, 0 };
static const int of_create[] = { ENOSPC, EROFS, EDQUOT, EMFILE, 0 };
static const int of_read[] = { EIO, ENOMEM, EINTR, 0 };
static const int of_write[] = { ENOSPC, EIO, EDQUOT, EINTR, 0 };
static const int of_sync[] = { EIO, ENOSPC, 0 };
static const int of_name[] = { ENOSPC, EIO, EROFS, 0 };
static const int of_list[] = { EIO, ENOMEM, 0 };
static const int of_process[] = { EMFILE, ENFILE, ENOMEM, EAGAIN, 0 };
static const int of_bus[] = { ENOMEM, ENOBUFS, EIO, 0 };
static const int of_event[] = { ENOMEM, ENOSPC, 0 };

/* The C library's own function behind the name. */
#define REAL(name)                                                                                           \
    static __typeof__(name) *real;                                                                           \
    if (!real)                                                                                               \
    real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

#define WRAP(kind, errors, failed, type, name, parameters, ...)                                              \
    type name parameters                                                                                     \
    {                                                                                                        \
        REAL(name);                                                                                          \
        return fails(kind, errors) ? (failed) : real(__VA_ARGS__);                                           \
    }

/* ---- opening: a mode follows only where something may be made ---- */

#define MODE(flags)                                                                                          \
    mode_t mode = 0;                                                                                         \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                   \
        va_list ap;                                                                                          \
        va_start(ap, flags);                                                                                 \
        mode = va_arg(ap, mode_t);                                                                           \
        va_end(ap);                                                                                          \
    }

static bool open_fails(int flags)
{
    return flags & O_CREAT ? fails(WRITE, of_create) : fails(OPEN, of_open);
}

#define WRAP_OPEN(name)                                                                                      \
    int name(const char *path, int flags, ...)                                                               \
    {                                                                                                        \
        REAL(name);                                                                                          \
        MODE(flags)                                                                                          \
        return open_fails(flags) ? -1 : real(path, flags, mode);                                             \
    }
#define WRAP_OPENAT(name)                                                                                    \
    int name(int dir, const char *path, int flags, ...)                                                      \
    {                                                                                                        \
        REAL(name);                                                                                          \
        MODE(flags)                                                                                          \
        return open_fails(flags) ? -1 : real(dir, path, flags, mode);                                        \
    }

WRAP_OPEN(open)
WRAP_OPEN(open64)
WRAP_OPENAT(openat)
WRAP_OPENAT(openat64)

int __open64_2(const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);
WRAP(OPEN, of_open, -1, int, __open64_2, (const char *path, int flags), path, flags)
WRAP(OPEN, of_open, -1, int, __openat64_2, (int dir, const char *path, int flags), dir, path, flags)
WRAP(OPEN, of_open, NULL, FILE *, fopen, (const char *path, const char *mode), path, mode)
WRAP(OPEN, of_open, NULL, FILE *, fopen64, (const char *path, const char *mode), path, mode)
WRAP(OPEN, of_open, NULL, FILE *, fdopen, (int fd, const char *mode), fd, mode)

/* ---- reading and writing; a write may also end early ---- */

WRAP(READ, of_read, -1, ssize_t, read, (int fd, void *to, size_t n), fd, to, n)
WRAP(READ, of_read, -1, ssize_t, pread, (int fd, void *to, size_t n, off_t at), fd, to, n, at)
WRAP(READ, of_read, -1, ssize_t, readv, (int fd, const struct iovec *to, int n), fd, to, n)
WRAP(READ, of_read, -1, ssize_t, readlink, (const char *path, char *to, size_t n), path, to, n)
WRAP(READ, of_read, -1, ssize_t, readlinkat, (int dir, const char *path, char *to, size_t n), dir, path, to,
     n)

ssize_t write(int fd, const void *from, size_t n)
{
    REAL(write);
    if (!fails(WRITE, of_write))
        return real(fd, from, n);
    return errno == EINTR && n > 1 ? real(fd, from, n / 2) : -1;
}

WRAP(WRITE, of_write, EOF, int, fflush, (FILE * f), f)
WRAP(SYNC, of_sync, -1, int, fsync, (int fd), fd)

/* ---- names ---- */

WRAP(NAME, of_name, -1, int, rename, (const char *a, const char *b), a, b)
WRAP(NAME, of_name, -1, int, renameat, (int a, const char *b, int c, const char *d), a, b, c, d)
WRAP(NAME, of_name, -1, int, renameat2, (int a, const char *b, int c, const char *d, unsigned f), a, b, c, d,
     f)
WRAP(NAME, of_name, -1, int, linkat, (int a, const char *b, int c, const char *d, int f), a, b, c, d, f)
WRAP(NAME, of_name, -1, int, unlink, (const char *path), path)
WRAP(NAME, of_name, -1, int, unlinkat, (int dir, const char *path, int flags), dir, path, flags)
WRAP(NAME, of_name, -1, int, mkdir, (const char *path, mode_t mode), path, mode)
WRAP(NAME, of_name, -1, int, mkdirat, (int dir, const char *path, mode_t mode), dir, path, mode)
WRAP(NAME, of_name, -1, int, fchmod, (int fd, mode_t mode), fd, mode)

/* ---- folders and files as they are ---- */

WRAP(LIST, of_open, NULL, DIR *, opendir, (const char *path), path)
WRAP(LIST, of_open, NULL, DIR *, fdopendir, (int fd), fd)
WRAP(LIST, of_list, NULL, struct dirent *, readdir, (DIR * d), d)
WRAP(LIST, of_list, NULL, struct dirent64 *, readdir64, (DIR * d), d)
WRAP(STAT, of_list, -1, int, stat, (const char *path, struct stat *st), path, st)
WRAP(STAT, of_list, -1, int, lstat, (const char *path, struct stat *st), path, st)
WRAP(STAT, of_list, -1, int, fstat, (int fd, struct stat *st), fd, st)
WRAP(STAT, of_list, -1, int, fstatat, (int dir, const char *path, struct stat *st, int flags), dir, path, st,
     flags)

/* ---- processes ---- */

int pidfd_open(pid_t pid, unsigned flags);
WRAP(PROCESS, of_process, -1, int, pidfd_open, (pid_t pid, unsigned flags), pid, flags)
WRAP(PROCESS, of_process, -1, pid_t, fork, (void))
WRAP(PROCESS, of_process, -1, int, pipe2, (int fds[2], int flags), fds, flags)

/* ---- the bus, and what the event loop stands on ---- */

WRAP(BUS, of_bus, -1, ssize_t, sendmsg, (int fd, const struct msghdr *m, int flags), fd, m, flags)
WRAP(BUS, of_bus, -1, ssize_t, recvmsg, (int fd, struct msghdr *m, int flags), fd, m, flags)
WRAP(BUS, of_open, -1, int, socket, (int domain, int type, int protocol), domain, type, protocol)
WRAP(BUS, of_bus, -1, int, connect, (int fd, const struct sockaddr *to, socklen_t n), fd, to, n)

/* Taking away what is watched needs no memory, and libsystemd relies on that. */
int epoll_ctl(int ep, int op, int fd, struct epoll_event *e)
{
    REAL(epoll_ctl);
    return op == EPOLL_CTL_ADD && fails(EVENT, of_event) ? -1 : real(ep, op, fd, e);
}

WRAP(EVENT, of_open, -1, int, timerfd_create, (int clock, int flags), clock, flags)
WRAP(EVENT, of_event, -1, int, timerfd_settime,
     (int fd, int flags, const struct itimerspec *t, struct itimerspec *old), fd, flags, t, old)
WRAP(EVENT, of_open, -1, int, inotify_init1, (int flags), flags)
WRAP(EVENT, of_event, -1, int, inotify_add_watch, (int fd, const char *path, uint32_t mask), fd, path, mask)
