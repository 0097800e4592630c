/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/metrics-file.h"

#include "io/owner.h"
#include "io/trust.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>

#define DIRECTORY_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int open_step(int from, const char *name)
{
    struct stat st;
    int fd = streq(name, "..") ? -1 : openat(from, name, DIRECTORY_FLAGS);

    if (fd >= 0)
        return fd;
    if (streq(name, ".."))
        return -ELOOP; /* the directory may have been moved to another since it was opened */
    if (errno == ENOTDIR && fstatat(from, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        return -ELOOP;
    return -errno;
}

static int open_without_links(const char *path)
{
    int fd = open("/", DIRECTORY_FLAGS);

    for (const char *p = path; fd >= 0 && *(p += strspn(p, "/"));) {
        _cleanup_(freep) char *name = xstrndup(p, strcspn(p, "/"));
        int next = open_step(fd, name);

        p += strlen(name);
        close(fd);
        if (next < 0)
            return next;
        fd = next;
    }
    return fd < 0 ? -errno : fd;
}

/* The directory of `path`, which is absolute. */
static int open_directory(const char *path)
{
    _cleanup_(freep) char *directory = xstrndup(path, (size_t)(strrchr(path, '/') - path)), *real = NULL;
    _cleanup_(freep) char *reason = NULL;
    const TrustRules rules = { .owner = 0, .directory = true };
    struct stat st;
    int r = trust_walk(*directory ? directory : "/", &rules, &real, &st, &reason);

    if (r == -EPERM)
        return open_without_links(directory);
    if (r < 0)
        return r;
    int fd = open(real, DIRECTORY_FLAGS); /* nobody else can have changed it since */
    return fd < 0 ? -errno : fd;
}

static int write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, text, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return -errno;
        text += done;
        n -= (size_t)done;
    }
    return 0;
}

/* node_exporter reads *.prom only, so it never sees these names. */
#define TEMPORARY_BEGINS ".relayalloc-"
#define TEMPORARY_ENDS ".new"

static bool is_temporary(const char *name)
{
    if (strncmp(name, TEMPORARY_BEGINS, strlen(TEMPORARY_BEGINS)) != 0)
        return false;
    name += strlen(TEMPORARY_BEGINS);
    return strspn(name, "0123456789abcdef") == 16 && streq(name + 16, TEMPORARY_ENDS);
}

/* Removes what a crash has left. */
static void sweep(int directory)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    struct stat st;

    if (!entries) {
        closep(&fd);
        return;
    }
    for (const struct dirent *e; (e = readdir(entries));)
        if (is_temporary(e->d_name) && fstatat(directory, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            (void)unlinkat(directory, e->d_name, 0);
    closedir(entries);
}

static int replace(const char *path, const char *text, size_t n)
{
    _cleanup_(closep) int directory = open_directory(path), fd = -1;
    _cleanup_(freep) char *temporary = NULL;
    uint64_t random;

    if (directory < 0)
        return directory;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return -errno;
    temporary = xasprintf(TEMPORARY_BEGINS "%016" PRIx64 TEMPORARY_ENDS, random);
    fd =
        openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = write_all(fd, text, n);
    if (r == 0 && fchmod(fd, 0644) < 0) /* regardless of the umask */
        r = -errno;
    if (r == 0 && renameat(directory, temporary, directory, strrchr(path, '/') + 1) == 0)
        return 0;
    r = r < 0 ? r : -errno;
    (void)unlinkat(directory, temporary, 0);
    return r;
}

static int remove_file(const char *path)
{
    _cleanup_(closep) int directory = open_directory(path);
    const char *name = strrchr(path, '/') + 1;
    struct stat st;

    if (directory < 0)
        return directory;
    sweep(directory);
    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    return unlinkat(directory, name, 0) < 0 ? -errno : 0;
}

/* Where the directory is an exporter's own, its user may do what we may not. */
static int enter_directory_of(const char *path)
{
    _cleanup_(freep) char *directory = xstrndup(path, (size_t)(strrchr(path, '/') - path));

    return owner_enter(directory);
}

int metrics_file_replace(const char *path, const char *text, size_t n)
{
    int r = replace(path, text, n);

    if (r == -EACCES && enter_directory_of(path) == 0) {
        r = replace(path, text, n);
        owner_leave();
    }
    return r;
}

int metrics_file_remove(const char *path)
{
    int r = remove_file(path);

    if (r == -EACCES && enter_directory_of(path) == 0) {
        r = remove_file(path);
        owner_leave();
    }
    return r;
}
