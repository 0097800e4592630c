/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/draft.h"

#include "core/util.h"
#include "ctl/lib/ctl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>

#define DRAFT_SIZE_MAX ((size_t)1024 * 1024)

struct Draft {
    char *target, *real; /* as given; its links resolved */
    char *original;      /* text of the file when we came */
    struct stat st;
    char *dir, *copy;
    char *candidate; /* NULL: none */
    char *farewell;  /* what a signal says */
};

/* What a signal must remove; one draft at a time. */
static Draft *at_risk;

static void remove_copy(const Draft *draft)
{
    /* With what the editor has left: backups, swap files. It creates no directories in it. */
    DIR *dir = draft->dir ? opendir(draft->dir) : NULL;
    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir));)
        if (!streq(e->d_name, ".") && !streq(e->d_name, ".."))
            unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    rmdir(draft->dir);
}

/* Only system calls that are safe in a signal handler: the candidate must not stay beside the file. The copy
 * in its private directory does, for an operator whose terminal was lost or who has typed Ctrl-C too soon. */
static void on_signal(int number)
{
    if (at_risk && at_risk->candidate)
        unlink(at_risk->candidate);
    if (at_risk)
        (void)!write(STDERR_FILENO, at_risk->farewell, strlen(at_risk->farewell));
    signal(number, SIG_DFL);
    raise(number); /* is delivered when this returns, and ends us */
}

static void watch_signals(bool watch)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    struct sigaction action = { .sa_handler = watch ? on_signal : SIG_DFL };

    for (size_t i = 0; i < ELEMENTSOF(signals); i++)
        sigaction(signals[i], &action, NULL);
}

Draft *draft_free(Draft *draft)
{
    if (!draft)
        return NULL;
    watch_signals(false);
    at_risk = NULL;
    if (draft->candidate)
        unlink(draft->candidate);
    remove_copy(draft);
    free(draft->target);
    free(draft->real);
    free(draft->original);
    free(draft->dir);
    free(draft->copy);
    free(draft->candidate);
    free(draft->farewell);
    free(draft);
    return NULL;
}

/* The whole text of a regular file. Negative errno, nothing said. */
static int read_text(const char *path, int flags, char **ret, struct stat *ret_st)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    _cleanup_(freep) char *text = NULL;
    struct stat st;
    size_t n = 0;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    if (st.st_size > (off_t)DRAFT_SIZE_MAX)
        return -EFBIG;
    text = xcalloc(DRAFT_SIZE_MAX + 1, 1);
    while (n < DRAFT_SIZE_MAX) {
        ssize_t k = read(fd, text + n, DRAFT_SIZE_MAX - n);
        if (k < 0)
            return -errno;
        if (k == 0)
            break;
        n += (size_t)k;
    }
    if (strlen(text) != n)
        return -EINVAL; /* a NUL: no text */
    *ret = TAKE_PTR(text);
    *ret_st = st;
    return 0;
}

/* Writes all of it and syncs it to disk. Takes over the descriptor. */
static int write_text(int fd, const char *text)
{
    _cleanup_(closep) int owned = fd;

    for (size_t left = strlen(text); left > 0;) {
        ssize_t n = write(owned, text, left);
        if (n < 0)
            return -errno;
        text += n;
        left -= (size_t)n;
    }
    return fsync(owned) < 0 ? -errno : 0;
}

static int make_copy(Draft *draft)
{
    const char *tmp = getenv("TMPDIR"), *slash = strrchr(draft->target, '/');

    draft->dir = xasprintf("%s/relayallocctl-XXXXXX", tmp && *tmp == '/' ? tmp : "/tmp");
    if (!mkdtemp(draft->dir)) {
        free(draft->dir);
        draft->dir = NULL;
        return -errno;
    }
    draft->copy = xasprintf("%s/%s", draft->dir, slash ? slash + 1 : draft->target);
    int fd = open(draft->copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? -errno : write_text(fd, draft->original);
}

int draft_new(const char *path, Draft **ret)
{
    _cleanup_(draft_freep) Draft *draft = xcalloc(1, sizeof(*draft));

    draft->target = xstrdup(path);
    draft->real = realpath(path, NULL);
    if (!draft->real || access(draft->real, W_OK) < 0) {
        int r = -errno;
        ctl_error("cannot edit %s: %s%s", path, strerror(-r),
                  r == -EACCES   ? "; try again as root"
                  : r == -ENOENT ? "; \"relayallocctl adopt\" prints a file that restarts no relay"
                                 : "");
        return r;
    }
    int r = read_text(draft->real, 0, &draft->original, &draft->st);
    if (r < 0) {
        ctl_error("cannot read %s: %s", path, strerror(-r));
        return r;
    }
    r = make_copy(draft);
    if (r < 0) {
        ctl_error("cannot create a copy of %s to edit: %s", path, strerror(-r));
        return r;
    }
    draft->farewell =
        xasprintf("\nrelayallocctl: nothing was changed; your draft is kept in %s\n", draft->copy);
    at_risk = draft;
    watch_signals(true);
    *ret = TAKE_PTR(draft);
    return 0;
}

const char *draft_path(const Draft *draft)
{
    return draft->copy;
}

const char *draft_target(const Draft *draft)
{
    return draft->target;
}

const char *draft_candidate(const Draft *draft)
{
    return draft->candidate;
}

const char *draft_original(const Draft *draft)
{
    return draft->original;
}

int draft_write(Draft *draft, const char *text)
{
    int fd = open(draft->copy, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
    int r = fd < 0 ? -errno : write_text(fd, text);

    if (r < 0)
        ctl_error("cannot write %s: %s", draft->copy, strerror(-r));
    return r;
}

static int write_candidate(Draft *draft, const char *text)
{
    const char *slash = strrchr(draft->real, '/');
    _cleanup_(freep) char *name =
        xasprintf("%.*s/.%s.XXXXXX", (int)(slash - draft->real), draft->real, slash + 1);

    int fd = mkostemp(name, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    free(draft->candidate);
    draft->candidate = TAKE_PTR(name);
    (void)stat(draft->real, &draft->st); /* chown and chmod that were advised in the meantime stay */
    if (fchown(fd, draft->st.st_uid, draft->st.st_gid) < 0 || fchmod(fd, draft->st.st_mode & 07777) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return write_text(fd, text);
}

int draft_take(Draft *draft)
{
    _cleanup_(freep) char *text = NULL;
    struct stat st;

    if (draft->candidate)
        unlink(draft->candidate);
    free(draft->candidate);
    draft->candidate = NULL;
    int r = read_text(draft->copy, O_NOFOLLOW, &text, &st);
    if (r < 0) {
        ctl_error("cannot read the edited copy: %s", r == -EFBIG ? "it is too large" : strerror(-r));
        return r;
    }
    if (streq(text, draft->original))
        return 0;
    r = write_candidate(draft, text);
    if (r < 0) {
        ctl_error("cannot write to the directory of %s: %s", draft->target, strerror(-r));
        return r;
    }
    return 1;
}

void draft_keep(Draft *draft)
{
    _cleanup_(freep) char *text = NULL;
    struct stat st;

    int r = read_text(draft->copy, O_NOFOLLOW, &text, &st);
    if (r == -ENOENT || (r == 0 && streq(text, draft->original))) {
        ctl_error("nothing was changed");
        return;
    }
    ctl_error("nothing was changed; your draft is kept in %s", draft->copy);
    free(draft->dir);
    draft->dir = NULL;
}

/* Is the file still the one that was copied? */
static bool is_original(const Draft *draft)
{
    _cleanup_(freep) char *text = NULL;
    struct stat st;

    return read_text(draft->real, O_NOFOLLOW, &text, &st) == 0 && streq_null(text, draft->original);
}

static int sync_folder(const char *path)
{
    _cleanup_(freep) char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    _cleanup_(closep) int fd = open(isempty(folder) ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int draft_save(Draft *draft)
{
    if (!is_original(draft)) {
        ctl_error("%s changed on disk while you were editing", draft->target);
        draft_keep(draft);
        return -EBUSY;
    }
    if (rename(draft->candidate, draft->real) < 0) {
        int r = -errno;
        ctl_error("cannot replace %s: %s", draft->target, strerror(-r));
        draft_keep(draft);
        return r;
    }
    free(draft->candidate);
    draft->candidate = NULL;
    int r = sync_folder(draft->real);
    if (r < 0)
        ctl_error("%s was replaced, but the change may not survive a power failure: %s", draft->target,
                  strerror(-r));
    return r;
}
