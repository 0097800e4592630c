/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>

/* The call tells of no error; with an impossible id it tells who we are. */
static bool is_filesystem_user(uid_t uid)
{
    return (uid_t)setfsuid((uid_t)-1) == uid;
}

int owner_enter_user(uid_t uid)
{
    const int dumpable = prctl(PR_GET_DUMPABLE);

    if (geteuid() != 0 || uid == 0)
        return -EACCES;
    (void)setfsuid(uid);
    (void)prctl(PR_SET_DUMPABLE, dumpable == 1); /* the kernel clears it with each change */
    if (is_filesystem_user(uid))
        return 0;
    owner_leave();
    return -EACCES;
}

static int enter_at(int dir, const char *path)
{
    _cleanup_(freep) char *seen = xstrdup(path);
    struct stat st;

    while (fstatat(dir, seen, &st, 0) < 0) {
        char *slash = strrchr(seen, '/');
        if (errno != EACCES || !slash || slash == seen)
            return -EACCES;
        *slash = '\0';
    }
    return owner_enter_user(st.st_uid);
}

int owner_enter(const char *path)
{
    return enter_at(AT_FDCWD, path);
}

void owner_leave(void)
{
    const int saved = errno, dumpable = prctl(PR_GET_DUMPABLE);

    (void)setfsuid(0);
    (void)prctl(PR_SET_DUMPABLE, dumpable == 1);
    errno = saved;
}

int owner_openat(int dir, const char *path, int flags)
{
    int fd = openat(dir, path, flags);

    if (fd < 0 && errno == EACCES && enter_at(dir, path) == 0) {
        fd = openat(dir, path, flags);
        owner_leave();
    }
    return fd < 0 ? -errno : fd;
}

int owner_open(const char *path, int flags)
{
    return owner_openat(AT_FDCWD, path, flags);
}
