/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/trust.h"

#include <assert.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <sys/xattr.h>

/* As in the kernel's own walk (path_resolution(7)). */
#define LINKS_MAX 40
/* The number of accounts searched for members of a group; a directory service may have any number of them. */
#define ACCOUNTS_MAX 100000

#define MOVE_IT "move it to a directory that only root can change"

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

/* Where the walk stands. */
typedef struct Walk {
    const char *whole; /* the path as it was given */
    const TrustRules *rules;
    char *done; /* without links, and without the slash at its end: "" is the root directory */
    char *todo;
    const char *rest; /* of todo */
    size_t links;
    struct stat st; /* of what was examined last */
    char **ret_reason;
} Walk;

static void walk_clear(Walk *w)
{
    free(w->done);
    free(w->todo);
}

/* What the sentence calls a component: the sentence is about the whole path. */
static const char *called(const Walk *w, const char *path)
{
    return streq(path, w->whole) ? "it" : path;
}

static const char *instead(const Walk *w)
{
    return w->rules->elsewhere ? w->rules->elsewhere : MOVE_IT;
}

/* `fix` and the path of the component are the command to run, unless the component rightly belongs to
 * somebody, such as /tmp or a home directory: then it is the file that has to move. */
static int refuse_writable(const Walk *w, const char *path, const struct stat *st, const char *who,
                           const char *fix)
{
    const bool elsewhere = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);

    return REFUSE(-EPERM, w->ret_reason,
                  "can be changed by users other than root: %s is writable by %s, mode %04o (%s%s)",
                  called(w, path), who, st->st_mode & 07777, elsewhere ? instead(w) : fix,
                  elsewhere ? "" : path);
}

/* It decides, too. */
static void note_looked(const Walk *w, const char *path)
{
    char ***looked = w->rules->looked;

    if (looked && !strv_contains(*looked, path))
        strv_push(looked, xstrdup(path));
}

static int check_writable(const Walk *w, const char *path, const struct stat *st)
{
    if (st->st_mode & S_IWOTH)
        return refuse_writable(w, path, st, "everybody", "chmod o-w ");
    if (!(st->st_mode & S_IWGRP))
        return 0;
    if (has_acl(path))
        return refuse_writable(w, path, st, "its access control list", "setfacl -b ");
    if (group_is_root_alone(st->st_gid)) {
        note_looked(w, "/etc/group");
        note_looked(w, "/etc/passwd");
        return 0;
    }
    _cleanup_(freep) char *who = group_name(st->st_gid);
    return refuse_writable(w, path, st, who, "chmod g-w ");
}

static int check_open(const Walk *w, const char *path, const struct stat *st)
{
    if (S_ISDIR(st->st_mode) && !(st->st_mode & S_IXOTH))
        return REFUSE(-EACCES, w->ret_reason, "cannot be read by everybody: %s is closed (chmod o+x %s)",
                      called(w, path), path);
    if (S_ISREG(st->st_mode) && !(st->st_mode & S_IROTH))
        return REFUSE(-EACCES, w->ret_reason, "cannot be read by everybody (chmod o+r %s)", path);
    return 0;
}

static int check_component(const Walk *w, const char *path, const struct stat *st)
{
    int r;

    if (st->st_uid != w->rules->owner) {
        _cleanup_(freep) char *who = user_name(st->st_uid);
        return REFUSE(-EPERM, w->ret_reason,
                      "can be changed by users other than root: %s belongs to %s (%s%s)", called(w, path),
                      who, S_ISDIR(st->st_mode) ? instead(w) : "chown root ",
                      S_ISDIR(st->st_mode) ? "" : path);
    }
    if (S_ISLNK(st->st_mode))
        return 0; /* its mode means nothing; only who may write to its directory can replace it */
    if (!w->rules->sticky || !S_ISDIR(st->st_mode) || !(st->st_mode & S_ISVTX)) {
        r = check_writable(w, path, st);
        if (r < 0)
            return r;
    }
    return w->rules->shared ? check_open(w, path, st) : 0;
}

/* Is `path` the directory `trusted` or above it? */
static bool is_trusted(const char *path, const char *trusted)
{
    size_t n = streq(path, "/") ? 0 : strlen(path);

    return trusted && strncmp(trusted, path, n) == 0 && (trusted[n] == '\0' || trusted[n] == '/');
}

/* NULL with errno. */
static char *read_link(const char *path)
{
    _cleanup_(freep) char *target = xcalloc(1, PATH_MAX);
    ssize_t n = readlink(path, target, PATH_MAX - 1);

    return n < 0 ? NULL : TAKE_PTR(target);
}

static int look_at(Walk *w, const char *path)
{
    const TrustRules *rules = w->rules;

    note_looked(w, path);
    if (lstat(path, &w->st) < 0) {
        if (errno != ENOENT)
            return REFUSE(-errno, w->ret_reason, "cannot be examined: %s: %s", path, strerror(errno));
        if (streq(path, w->whole))
            return REFUSE(-ENOENT, w->ret_reason, "does not exist");
        return REFUSE(-ENOENT, w->ret_reason, "does not exist: there is no %s", path);
    }
    return is_trusted(path, rules->trusted) ? 0 : check_component(w, path, &w->st);
}

static int follow_link(Walk *w, const char *link)
{
    if (++w->links > LINKS_MAX)
        return REFUSE(-ELOOP, w->ret_reason, "cannot be followed: %s is a link in a loop", link);
    _cleanup_(freep) char *target = read_link(link);
    if (!target)
        return REFUSE(-errno, w->ret_reason, "cannot be examined: %s: %s", link, strerror(errno));
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
        return REFUSE(-ENOTDIR, w->ret_reason, "does not exist: %s is not a directory", next);
    free(w->done);
    w->done = TAKE_PTR(next);
    return 0;
}

static int check_kind(const Walk *w)
{
    if (w->rules->directory && !S_ISDIR(w->st.st_mode))
        return REFUSE(-ENOTDIR, w->ret_reason, "is not a directory");
    if (!w->rules->directory && !S_ISREG(w->st.st_mode))
        return REFUSE(-EINVAL, w->ret_reason, "is not a regular file");
    return 0;
}

int trust_walk(const char *path, const TrustRules *rules, char **ret_realpath, struct stat *ret_stat,
               char **ret_reason)
{
    _cleanup_(walk_clear) Walk w = {
        .whole = path, .rules = rules, .done = xstrdup(""), .todo = xstrdup(path), .ret_reason = ret_reason
    };

    assert(path[0] == '/');
    w.rest = w.todo;
    int r = look_at(&w, "/");
    while (r >= 0 && *(w.rest += strspn(w.rest, "/"))) {
        _cleanup_(freep) char *name = xstrndup(w.rest, strcspn(w.rest, "/"));

        w.rest += strlen(name);
        r = enter(&w, name);
    }
    if (r >= 0)
        r = check_kind(&w); /* after "..", `st` is of another directory, but of a directory, too */
    if (r < 0)
        return r;
    *ret_realpath = isempty(w.done) ? xstrdup("/") : TAKE_PTR(w.done);
    *ret_stat = w.st;
    return 0;
}
