/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns our files below /etc/systemd/system. Must never follow a link, change what does not have our mark, or
 * leave a half-written file under a name that systemd reads (*.conf, without a leading dot). */
#include "io/dropin-store.h"

#include "core/dropin.h"
#include "core/relay.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#define TEMPORARY_PREFIX "." DROPIN_NAME "."
#define KEPT_NAME DROPIN_NAME ".previous" /* systemd reads *.conf only */
#define FOLDER_SUFFIX ".d"
#define UNITS_MAX 65536

struct DropinStore {
    char *root;
    int fd; /* -1: there is no such directory */
};

static inline void closedirp(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

int dropin_store_new(const char *root, DropinStore **ret)
{
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return -errno;
    DropinStore *store = xcalloc(1, sizeof(*store));
    store->root = xstrdup(root);
    store->fd = fd;
    *ret = store;
    return 0;
}

DropinStore *dropin_store_free(DropinStore *store)
{
    if (store) {
        closep(&store->fd);
        free(store->root);
        free(store);
    }
    return NULL;
}

const char *dropin_store_root(const DropinStore *store)
{
    return store->root;
}

char *dropin_store_path(const DropinStore *store, const char *unit)
{
    return xasprintf("%s/%s" FOLDER_SUFFIX "/" DROPIN_NAME, store->root, unit);
}

static int open_folder(int root, const char *folder, int *ret)
{
    if (root < 0)
        return -ENOENT;
    int fd = openat(root, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ELOOP ? -ENOTDIR : -errno;
    *ret = fd;
    return 0;
}

/* ---- reading ---- */

static int read_all(int fd, char *buffer, size_t size, size_t *ret)
{
    size_t n = 0;

    while (n < size) {
        ssize_t got = read(fd, buffer + n, size - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret = n;
    return 0;
}

/* Our text in the file of that name: 0, -ENOENT, -EEXIST: it is not ours, -EFBIG: it is, but was made too
 * large. */
static int read_named(int folder, const char *name, char **ret)
{
    /* O_NONBLOCK: a pipe of that name must not block us. */
    _cleanup_(closep) int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct stat st;
    size_t n = 0;

    if (fd < 0)
        return errno == ELOOP || errno == ENXIO ? -EEXIST : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EEXIST;
    size_t size = (uint64_t)st.st_size < DROPIN_SIZE_MAX ? (size_t)st.st_size : DROPIN_SIZE_MAX;
    _cleanup_(freep) char *text = xcalloc(size + 1, 1);
    int r = read_all(fd, text, size, &n);
    if (r < 0)
        return r;
    if (!dropin_is_ours(text))
        return -EEXIST;
    if ((uint64_t)st.st_size > DROPIN_SIZE_MAX)
        return -EFBIG;
    for (char *p = text; (p = memchr(p, '\0', n - (size_t)(p - text)));)
        *p = '\n';
    *ret = TAKE_PTR(text);
    return 0;
}

static int read_text(int folder, char **ret)
{
    return read_named(folder, DROPIN_NAME, ret);
}

static bool is_ours(int r)
{
    return r >= 0 || r == -EFBIG;
}

int dropin_store_read(const DropinStore *store, const char *unit, char **ret)
{
    _cleanup_(freep) char *name = xasprintf("%s" FOLDER_SUFFIX, unit);
    _cleanup_(closep) int folder = -1;

    if (!unit_is_service_instance(unit))
        return -EINVAL;
    int r = open_folder(store->fd, name, &folder);
    return r < 0 ? r : read_text(folder, ret);
}

/* ---- writing ---- */

static int write_all(int fd, const char *text)
{
    for (size_t n = strlen(text); n > 0;) {
        ssize_t written = write(fd, text, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        text += written;
        n -= (size_t)written;
    }
    return 0;
}

/* If there was none, a file of somebody else that appears in between is not replaced. */
static int rename_file(int folder, const char *from, const char *to, bool replace)
{
    if (!replace) {
        if (renameat2(folder, from, folder, to, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EINVAL) /* not every file system can do that */
            return -errno;
    }
    return renameat(folder, from, folder, to) < 0 ? -errno : 0;
}

/* Locked, so that sweep() can tell it from one that a crash left: a lock goes with its process. */
static int fill_file(int fd, const char *text)
{
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return -errno;
    int r = write_all(fd, text);
    if (r < 0)
        return r;
    /* The mode is set here, regardless of the umask; the data is on the disk before its name is. */
    return fchmod(fd, 0644) < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* Up to the rename; a failure before that leaves nothing behind. */
static int replace_file(int folder, const char *name, const char *text, bool replace)
{
    uint64_t random = 0;

    if (getrandom(&random, sizeof(random), 0) < 0)
        return -errno;
    _cleanup_(freep) char *temporary = xasprintf(TEMPORARY_PREFIX "%016" PRIx64, random);
    _cleanup_(closep) int fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int r = fill_file(fd, text);
    if (r >= 0)
        r = rename_file(folder, temporary, name, replace);
    if (r < 0)
        (void)unlinkat(folder, temporary, 0);
    return r;
}

/* 1: made; 0: it was there. */
static int make_folder(int root, const char *name, int *ret)
{
    int r = open_folder(root, name, ret);
    if (r != -ENOENT || root < 0)
        return r;
    if (mkdirat(root, name, 0755) < 0)
        return -errno;
    r = open_folder(root, name, ret);
    if (r >= 0 && fchmod(*ret, 0755) < 0) /* regardless of the umask */
        r = -errno;
    if (r < 0)
        (void)unlinkat(root, name, AT_REMOVEDIR);
    return r < 0 ? r : 1;
}

int dropin_store_write(DropinStore *store, const char *unit, const char *text)
{
    _cleanup_(freep) char *name = xasprintf("%s" FOLDER_SUFFIX, unit), *before = NULL;
    _cleanup_(closep) int folder = -1;

    assert(dropin_is_ours(text));
    if (!unit_is_service_instance(unit))
        return -EINVAL;
    if (strlen(text) > DROPIN_SIZE_MAX)
        return -EFBIG;
    int made = make_folder(store->fd, name, &folder);
    if (made < 0)
        return made;
    int r = read_text(folder, &before);
    if (r >= 0 && streq(before, text))
        return 0;
    if (is_ours(r) || r == -ENOENT)
        r = replace_file(folder, DROPIN_NAME, text, r != -ENOENT);
    if (r < 0) {
        if (made)
            (void)unlinkat(store->fd, name, AT_REMOVEDIR);
        return r;
    }
    if (fsync(folder) < 0 || (made && fsync(store->fd) < 0))
        return -errno;
    return 1;
}

/* ---- the way back ---- */

/* Was there one? */
static bool remove_kept(int folder)
{
    _cleanup_(freep) char *text = NULL;

    return is_ours(read_named(folder, KEPT_NAME, &text)) && unlinkat(folder, KEPT_NAME, 0) == 0;
}

static int keep_in(int folder, const char *text)
{
    _cleanup_(freep) char *kept = NULL, *present = NULL;
    int r = read_named(folder, KEPT_NAME, &kept);

    if (r >= 0 && streq(kept, text))
        return 0;
    if (!is_ours(r) && r != -ENOENT)
        return r;
    if (read_text(folder, &present) < 0 || !streq(present, text))
        return replace_file(folder, KEPT_NAME, text, r != -ENOENT);
    if (r != -ENOENT && unlinkat(folder, KEPT_NAME, 0) < 0)
        return -errno;
    if (linkat(folder, DROPIN_NAME, folder, KEPT_NAME, 0) == 0)
        return 0;
    /* Not every file system has hard links. */
    return errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK
               ? replace_file(folder, KEPT_NAME, text, false)
               : -errno;
}

int dropin_store_keep(DropinStore *store, const char *unit, const char *text)
{
    _cleanup_(freep) char *name = xasprintf("%s" FOLDER_SUFFIX, unit);
    _cleanup_(closep) int folder = -1;

    if (!text) {
        dropin_store_forget(store, unit);
        return 0;
    }
    assert(dropin_is_ours(text));
    if (!unit_is_service_instance(unit))
        return -EINVAL;
    int made = make_folder(store->fd, name, &folder);
    if (made < 0)
        return made;
    int r = keep_in(folder, text);
    if (r < 0 && made)
        (void)unlinkat(store->fd, name, AT_REMOVEDIR);
    return r;
}

void dropin_store_forget(DropinStore *store, const char *unit)
{
    _cleanup_(freep) char *name = xasprintf("%s" FOLDER_SUFFIX, unit);
    _cleanup_(closep) int folder = -1;

    if (!unit_is_service_instance(unit) || open_folder(store->fd, name, &folder) < 0)
        return;
    if (remove_kept(folder))
        (void)unlinkat(store->fd, name, AT_REMOVEDIR); /* one that is not empty stays */
}

/* -ENOENT: what is kept, if anything, is not this. */
static int rename_kept(int folder, const char *text)
{
    _cleanup_(freep) char *kept = NULL, *present = NULL;
    int r = read_named(folder, KEPT_NAME, &kept);

    if (r < 0 || !streq(kept, text))
        return -ENOENT;
    r = read_text(folder, &present);
    if (r >= 0 && streq(present, text)) /* perhaps the same file, which rename(2) would leave as it is */
        return 0;
    if (!is_ours(r) && r != -ENOENT)
        return r;
    r = rename_file(folder, KEPT_NAME, DROPIN_NAME, r != -ENOENT);
    return r < 0 ? r : fsync(folder) < 0 ? -errno : 1;
}

int dropin_store_put_back(DropinStore *store, const char *unit, const char *text)
{
    _cleanup_(freep) char *name = xasprintf("%s" FOLDER_SUFFIX, unit);
    _cleanup_(closep) int folder = -1;

    if (!text)
        return dropin_store_remove(store, unit);
    if (!unit_is_service_instance(unit))
        return -EINVAL;
    int r = open_folder(store->fd, name, &folder);
    if (r >= 0)
        r = rename_kept(folder, text);
    return r == -ENOENT ? dropin_store_write(store, unit, text) : r;
}

/* ---- removing and listing ---- */

/* With a description of its own: a copy of `fd` would share its position. NULL with errno. */
static DIR *open_entries(int fd)
{
    _cleanup_(closep) int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);

    if (dir)
        (void)TAKE_FD(own);
    return dir;
}

/* NULL at the end, with errno 0, or on an error. */
static const char *next_entry(DIR *dir)
{
    errno = 0;
    const struct dirent *e = readdir(dir);
    return e ? e->d_name : NULL;
}

/* Removes what a crash left. Was there something? */
static bool sweep(int folder)
{
    _cleanup_(closedirp) DIR *dir = open_entries(folder);
    bool swept = false;

    for (const char *name; dir && (name = next_entry(dir));) {
        if (strncmp(name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) != 0)
            continue;
        _cleanup_(closep) int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(folder, name, 0) == 0)
            swept = true;
    }
    return swept;
}

int dropin_store_remove(DropinStore *store, const char *unit)
{
    _cleanup_(freep) char *name = xasprintf("%s" FOLDER_SUFFIX, unit), *text = NULL;
    _cleanup_(closep) int folder = -1;

    if (!unit_is_service_instance(unit))
        return -EINVAL;
    int r = open_folder(store->fd, name, &folder);
    if (r >= 0)
        r = read_text(folder, &text);
    if (!is_ours(r))
        return r == -ENOENT ? 0 : r;
    if (unlinkat(folder, DROPIN_NAME, 0) < 0 || fsync(folder) < 0)
        return -errno;
    (void)sweep(folder);
    if (unlinkat(store->fd, name, AT_REMOVEDIR) == 0 && fsync(store->fd) < 0)
        return -errno;
    return 1; /* a directory that is not empty stays */
}

/* The unit of a directory's name ("tor@a.service.d"), NULL when it is not one. */
static char *unit_of_folder(const char *name)
{
    size_t n = strlen(name), suffix = strlen(FOLDER_SUFFIX);

    if (n <= suffix || !streq(name + n - suffix, FOLDER_SUFFIX))
        return NULL;
    _cleanup_(freep) char *unit = xstrndup(name, n - suffix);
    return unit_is_service_instance(unit) ? TAKE_PTR(unit) : NULL;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Does the directory hold a drop-in of ours? 1, 0, or an error that may pass. */
static int visit_folder(int root, const char *name, bool needs_kept)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(closep) int folder = -1;
    int r = open_folder(root, name, &folder);

    if (r < 0)
        return error_is_passing(r) ? r : 0;
    bool swept = sweep(folder) || (!needs_kept && remove_kept(folder));
    r = read_text(folder, &text);
    if (error_is_passing(r))
        return r;
    if (swept && !is_ours(r)) /* made for a file that was never finished */
        (void)unlinkat(root, name, AT_REMOVEDIR);
    return is_ours(r);
}

int dropin_store_list(DropinStore *store, char *const *moving, char ***ret)
{
    _cleanup_(closedirp) DIR *dir = store->fd < 0 ? NULL : open_entries(store->fd);
    _cleanup_(strv_freep) char **units = NULL;
    size_t n = 0, capacity = 0;
    int unread = 0;

    if (!dir && store->fd >= 0)
        return -errno;
    for (const char *name; dir && (name = next_entry(dir));) {
        _cleanup_(freep) char *unit = unit_of_folder(name);
        int r = unit ? visit_folder(store->fd, name, strv_contains(moving, unit)) : 0;
        if (r < 0)
            unread = r;
        if (r <= 0)
            continue;
        if (n == UNITS_MAX)
            return -E2BIG;
        GROW(units, capacity, n + 1);
        units[n++] = TAKE_PTR(unit);
        units[n] = NULL;
    }
    if (dir && errno != 0)
        unread = -errno;
    if (n > 0)
        qsort(units, n, sizeof(*units), compare_strings);
    *ret = TAKE_PTR(units);
    return unread;
}

void dropin_store_look(const DropinStore *store, RelayFacts *relay)
{
    char *text = NULL;
    int r = dropin_store_read(store, relay->unit, &text);

    facts_take_dropin(relay, dropin_store_path(store, relay->unit), r, text);
}
