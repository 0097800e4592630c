/* SPDX-License-Identifier: BSD-3-Clause */
/* Who could change a library: the walk along its path. Changes nothing, and believes no path that it has not
 * looked at from "/" on. */
#include "io/library-private.h"
#include "io/library.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sys/xattr.h>

/* As in the kernel's own walk (path_resolution(7)). */
#define LINKS_MAX 40
/* Accounts looked through for members of a group; a directory service may have any number of them. */
#define ACCOUNTS_MAX 100000

#define MOVE_IT "move the library to a folder of root's own"

static bool is_root(const char *user)
{
    const struct passwd *pw = getpwnam(user); /* NOLINT(concurrency-mt-unsafe) */

    return pw && pw->pw_uid == 0;
}

/* Is the group known, and nobody but root in it? */
static bool group_is_root_alone(gid_t gid)
{
    const struct group *group = getgrgid(gid); /* NOLINT(concurrency-mt-unsafe) */
    const struct passwd *pw;
    bool alone = true;
    size_t n = 0;

    if (!group)
        return false;
    STRV_FOREACH (member, group->gr_mem)
        if (!is_root(*member))
            return false;
    setpwent();
    /* NOLINTNEXTLINE(concurrency-mt-unsafe) */
    while (alone && (pw = getpwent()))
        if (++n > ACCOUNTS_MAX || (pw->pw_gid == gid && pw->pw_uid != 0))
            alone = false;
    endpwent();
    return alone;
}

/* With an access control list the group's bits are the list's mask, and say nothing of the group. */
static bool has_acl(const char *path)
{
    return lgetxattr(path, "system.posix_acl_access", NULL, 0) > 0;
}

static char *user_name(uid_t uid)
{
    const struct passwd *pw = getpwuid(uid); /* NOLINT(concurrency-mt-unsafe) */

    return pw ? xasprintf("user \"%s\"", pw->pw_name) : xasprintf("user %ju", (uintmax_t)uid);
}

static char *group_name(gid_t gid)
{
    const struct group *group = getgrgid(gid); /* NOLINT(concurrency-mt-unsafe) */

    return group ? xasprintf("group \"%s\"", group->gr_name) : xasprintf("group %ju", (uintmax_t)gid);
}

/* `path` is the component that is looked at, on the way to `library`. */
static int check_component(const char *library, const char *path, const struct stat *st, uid_t owner,
                           char **ret_reason)
{
    /* What is somebody's folder by right, such as /tmp or a home, stays so: then it is the library that
     * moves. */
    const bool elsewhere = S_ISDIR(st->st_mode) && (st->st_uid != owner || (st->st_mode & S_ISVTX));
    _cleanup_(freep) char *who = NULL;

    if (st->st_uid != owner) {
        who = user_name(st->st_uid);
        return REFUSE(-EPERM, ret_reason, "%s can be changed by others than root: %s belongs to %s (%s%s)",
                      library, path, who, elsewhere ? MOVE_IT : "chown root ", elsewhere ? "" : path);
    }
    if (S_ISLNK(st->st_mode))
        return 0; /* its mode means nothing; only who may write to its folder can replace it */
    if (st->st_mode & S_IWOTH)
        return REFUSE(-EPERM, ret_reason,
                      "%s can be changed by others than root: %s is writable by everybody (%s%s)", library,
                      path, elsewhere ? MOVE_IT : "chmod o-w ", elsewhere ? "" : path);
    if ((st->st_mode & S_IWGRP) && has_acl(path))
        return REFUSE(-EPERM, ret_reason,
                      "%s can be changed by others than root: %s is writable by its access control list "
                      "(setfacl -b %s)",
                      library, path, path);
    if ((st->st_mode & S_IWGRP) && !group_is_root_alone(st->st_gid)) {
        who = group_name(st->st_gid);
        return REFUSE(-EPERM, ret_reason,
                      "%s can be changed by others than root: %s is writable by %s (chmod g-w %s)", library,
                      path, who, path);
    }
    if (S_ISDIR(st->st_mode) && !(st->st_mode & S_IXOTH))
        return REFUSE(-EACCES, ret_reason, "%s cannot be read by everybody: %s is closed (chmod o+x %s)",
                      library, path, path);
    if (S_ISREG(st->st_mode) && !(st->st_mode & S_IROTH))
        return REFUSE(-EACCES, ret_reason, "%s cannot be read by everybody (chmod o+r %s)", library, path);
    return 0;
}

/* Is `path` the folder `trusted` or above it? */
static bool is_trusted(const char *path, const char *trusted)
{
    size_t n = streq(path, "/") ? 0 : strlen(path);

    return trusted && strncmp(trusted, path, n) == 0 && (trusted[n] == '\0' || trusted[n] == '/');
}

static int refuse_missing(const char *path, const char *missing, char **ret_reason)
{
    /* A package helps only where packages put libraries. */
    const bool packaged = strncmp(path, "/usr/lib/", 9) == 0 || strncmp(path, "/lib/", 5) == 0;
    _cleanup_(freep) char *hint = library_package_hint(packaged ? strrchr(path, '/') + 1 : "");

    if (streq(path, missing))
        return REFUSE(-ENOENT, ret_reason, "%s does not exist%s", path, hint);
    return REFUSE(-ENOENT, ret_reason, "%s does not exist: there is no %s%s", path, missing, hint);
}

static char *read_link(const char *path)
{
    _cleanup_(freep) char *target = xcalloc(1, PATH_MAX);
    ssize_t n = readlink(path, target, PATH_MAX - 1);

    return n < 0 ? NULL : TAKE_PTR(target);
}

/* Where the walk stands. */
typedef struct Walk {
    const char *library; /* as it was given, for messages */
    uid_t owner;
    const char *trusted;
    char *done; /* without links, and without the slash at its end: "" is the root folder */
    char *todo;
    const char *rest; /* of todo */
    size_t links;
    struct stat st; /* of what was looked at last */
    char **ret_reason;
} Walk;

static void walk_clear(Walk *w)
{
    free(w->done);
    free(w->todo);
}

static int look_at(Walk *w, const char *path)
{
    if (lstat(path, &w->st) < 0) {
        if (errno == ENOENT)
            return refuse_missing(w->library, path, w->ret_reason);
        return REFUSE(-errno, w->ret_reason, "%s cannot be looked at: %s: %s", w->library, path,
                      strerror(errno));
    }
    if (is_trusted(path, w->trusted))
        return 0;
    return check_component(w->library, path, &w->st, w->owner, w->ret_reason);
}

static int follow_link(Walk *w, const char *link)
{
    _cleanup_(freep) char *target = ++w->links > LINKS_MAX ? NULL : read_link(link);

    if (!target)
        return REFUSE(-ELOOP, w->ret_reason, "%s cannot be followed: %s is a link in a loop", w->library,
                      link);
    char *joined = xasprintf("%s%s", target, w->rest); /* what rests begins with a slash */
    if (target[0] == '/')
        w->done[0] = '\0';
    free(w->todo);
    w->rest = w->todo = joined;
    return 0;
}

static int enter(Walk *w, const char *name)
{
    char *slash = strrchr(w->done, '/');

    if (streq(name, "."))
        return 0;
    if (streq(name, "..")) {
        if (slash)
            *slash = '\0';
        return 0;
    }
    _cleanup_(freep) char *next = xasprintf("%s/%s", w->done, name);
    int r = look_at(w, next);
    if (r < 0)
        return r;
    if (S_ISLNK(w->st.st_mode))
        return follow_link(w, next);
    if (*w->rest && !S_ISDIR(w->st.st_mode))
        return REFUSE(-ENOTDIR, w->ret_reason, "%s does not exist: %s is no folder", w->library, next);
    free(w->done);
    w->done = TAKE_PTR(next);
    return 0;
}

int library_walk(const char *path, uid_t owner, const char *trusted, char **ret_realpath,
                 struct stat *ret_stat, char **ret_reason)
{
    _cleanup_(walk_clear) Walk w = { .library = path,
                                     .owner = owner,
                                     .trusted = trusted,
                                     .done = xstrdup(""),
                                     .todo = xstrdup(path),
                                     .ret_reason = ret_reason };
    int r;

    assert(path[0] == '/');
    r = look_at(&w, "/");
    w.rest = w.todo;
    while (r >= 0 && *(w.rest += strspn(w.rest, "/"))) {
        _cleanup_(freep) char *name = xstrndup(w.rest, strcspn(w.rest, "/"));
        w.rest += strlen(name);
        r = enter(&w, name);
    }
    if (r < 0)
        return r;
    if (!S_ISREG(w.st.st_mode)) /* after "..", `st` is of another folder, but of a folder, too */
        return REFUSE(-EINVAL, ret_reason, "%s is not a regular file", path);
    *ret_realpath = TAKE_PTR(w.done);
    *ret_stat = w.st;
    return 0;
}
