/* SPDX-License-Identifier: BSD-3-Clause */
/* Opens mapped files, hands their bytes to core/lookup and keeps its answers. The files are those of a
 * process that may be hostile: never follows a link out of its root, opens nothing but regular files, and
 * keeps a bounded number of answers. */
#include "io/elf-file.h"

#include "core/preload.h"
#include "io/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
    ENTRIES_MAX = 512, /* all forgotten at once when there are more */
    PRELOAD_FILE_MAX = 16 * 1024,
    LINKS_MAX = 40, /* as in the kernel */
};

typedef struct Entry {
    dev_t dev;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
    bool program;
    /* As maps shows it, which on overlayfs and btrfs is not what stat(2) shows; zero: not known to differ. */
    unsigned mapped_major, mapped_minor;
    uint64_t mapped_inode;
    int error; /* what came of reading it: 0, or a negative errno */
    ObjectFacts *facts;
} Entry;

struct ElfCache {
    Entry *entries;
    size_t n, capacity;
    size_t reads;
};

ElfCache *elf_cache_new(void)
{
    return xcalloc(1, sizeof(ElfCache));
}

static void forget_all(ElfCache *cache)
{
    for (size_t i = 0; i < cache->n; i++) {
        object_facts_clear(cache->entries[i].facts);
        free(cache->entries[i].facts);
    }
    cache->n = 0;
}

ElfCache *elf_cache_free(ElfCache *cache)
{
    if (cache) {
        forget_all(cache);
        free(cache->entries);
        free(cache);
    }
    return NULL;
}

size_t elf_cache_reads(const ElfCache *cache)
{
    return cache->reads;
}

/* ---- one file ---- */

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* The change time cannot be set back by who wrote the file. */
static Entry *find_entry(const ElfCache *cache, const struct stat *st, bool program)
{
    for (Entry *e = cache->entries; e < cache->entries + cache->n; e++)
        if (e->inode == st->st_ino && e->dev == st->st_dev && e->size == st->st_size &&
            e->program == program && same_time(e->modified, st->st_mtim) &&
            same_time(e->changed, st->st_ctim))
            return e;
    return NULL;
}

static int read_bytes(void *userdata, uint64_t offset, void *buffer, size_t n)
{
    const int *fd = userdata;

    while (n > 0) {
        ssize_t k = pread(*fd, buffer, n, (off_t)offset);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -errno;
        if (k == 0)
            return -EBADMSG; /* it has become shorter */
        buffer = (char *)buffer + k;
        offset += (uint64_t)k;
        n -= (size_t)k;
    }
    return 0;
}

/* A descriptor, or a negative errno; links are followed. */
static int open_regular(const char *path, uint64_t *ret_size)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -EINVAL;
    *ret_size = (uint64_t)st.st_size;
    return TAKE_FD(fd);
}

int elf_file_read(const char *path, ObjectFacts *ret)
{
    ElfInput input = { .read = read_bytes };
    _cleanup_(closep) int fd = open_regular(path, &input.size);

    input.userdata = (void *)&fd;
    return fd < 0 ? fd : object_facts_read(&input, false, ret);
}

int elf_file_names(const char *path, Elf *ret)
{
    ElfInput input = { .read = read_bytes };
    _cleanup_(closep) int fd = open_regular(path, &input.size);

    input.userdata = (void *)&fd;
    return fd < 0 ? fd : elf_parse(&input, ret);
}

/* ---- preloads of others ---- */

/* The path of an entry of LD_PRELOAD; NULL: not found. Owned by the caller. */
static char *find_preload(const char *entry, char *const *libraries)
{
    static const char *const usual[] = { "/lib", "/usr/lib", "/usr/local/lib" };

    if (strchr(entry, '/'))
        return xstrdup(entry);
    STRV_FOREACH (library, libraries) {
        const char *slash = strrchr(*library, '/');
        char *path = xasprintf("%.*s/%s", (int)(slash ? slash - *library : 0), *library, entry);
        if (slash && access(path, F_OK) == 0)
            return path;
        free(path);
    }
    for (size_t i = 0; i < ELEMENTSOF(usual); i++) {
        char *path = xasprintf("%s/%s", usual[i], entry);
        if (access(path, F_OK) == 0)
            return path;
        free(path);
    }
    return NULL;
}

/* 1, 0, or an error that may pass. */
static int brings_allocator(const char *entry, char *const *libraries)
{
    _cleanup_(freep) char *path = find_preload(entry, libraries);
    _cleanup_(freep) char *real = path ? realpath(path, NULL) : NULL;
    _cleanup_(object_facts_clear) ObjectFacts facts = { 0 };
    const char *slash = strrchr(entry, '/');

    if (real && strv_contains(libraries, real))
        return 1;
    int r = path ? elf_file_read(path, &facts) : -ENOENT;
    if (r >= 0)
        return facts.serves;
    if (error_is_passing(r))
        return r;
    return family_of_library(entry) != FAMILY_OTHER || strstr(slash ? slash : entry, "malloc");
}

int elf_preloads_kept(const char *preload, char *const *libraries, char ***ret)
{
    _cleanup_(strv_freep) char **entries = preload_split(preload), **kept = NULL;

    STRV_FOREACH (entry, entries) {
        int r = strchr(*entry, '%') ? 1 : brings_allocator(*entry, libraries);
        if (r < 0)
            return r;
        if (r == 0)
            strv_push(&kept, xstrdup(*entry));
    }
    *ret = TAKE_PTR(kept);
    return 0;
}

/* Reads a regular file that is open. */
static Entry *read_entry(ElfCache *cache, int fd, bool program)
{
    ObjectFacts facts = { 0 };
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0)
        return NULL;
    const ElfInput input = { read_bytes, &fd, (uint64_t)st.st_size };
    int r = object_facts_read(&input, program, &facts);
    cache->reads++;
    if (error_is_passing(r)) /* which says nothing of the file, and is not kept */
        return NULL;
    GROW(cache->entries, cache->capacity, cache->n);
    Entry *e = &cache->entries[cache->n++];
    *e = (Entry){
        .dev = st.st_dev,
        .inode = st.st_ino,
        .size = st.st_size,
        .modified = st.st_mtim,
        .changed = st.st_ctim,
        .program = program,
        .error = r,
        .facts = xcalloc(1, sizeof(*e->facts)),
    };
    *e->facts = facts;
    return e;
}

/* Of a file that is open with O_PATH, so that it is not touched unless it is a regular one. */
static Entry *entry_of_path_fd(ElfCache *cache, int path_fd, bool program)
{
    char link[sizeof("/proc/self/fd/") + 10];
    struct stat st;

    if (fstat(path_fd, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    Entry *e = find_entry(cache, &st, program);
    if (e)
        return e;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
    _cleanup_(closep) int fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    return fd < 0 ? NULL : read_entry(cache, fd, program);
}

/* ---- as the process sees it ---- */

typedef struct ProcessView {
    ElfCache *cache;
    int process; /* descriptor of /proc/PID */
    bool asked;  /* was root opened? */
    int root;    /* of /proc/PID/root; -1: it cannot be opened */
} ProcessView;

static void view_clear(const ProcessView *view)
{
    closep(&view->root);
}

static int open_root(ProcessView *view)
{
    if (!view->asked)
        view->root = openat(view->process, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    view->asked = true;
    return view->root < 0 ? -EACCES : 0;
}

/* A link is replaced by what it says: *path is what is left to be walked, *done the way so far, both owned by
 * the caller. */
static int follow_link(const ProcessView *view, char **done, const char *link, const char *rest, char **path)
{
    _cleanup_(freep) char *target = xcalloc(PATH_MAX, 1);

    if (readlinkat(view->root, link, target, PATH_MAX - 1) < 0)
        return -errno;
    char *joined = xasprintf("%s%s", target, rest); /* `rest` begins with a slash, or is empty */
    free(*path);
    *path = joined;
    if (target[0] == '/')
        (*done)[0] = '\0';
    return 0;
}

/* Opens the path with O_PATH as the process would, so that no link leads out of its root. openat2(2) can do
 * that by itself, but RestrictSUIDSGID= of our unit denies it. What changes while it is walked is of no harm:
 * all that comes of it is an answer about the process that changed it. */
static int open_in_root(ProcessView *view, const char *path)
{
    _cleanup_(freep) char *done = xstrdup(""), *todo = xstrdup(path); /* `done` without a slash in front */
    const char *rest = todo;
    size_t links = 0;

    int r = open_root(view);
    while (r >= 0 && *(rest += strspn(rest, "/"))) {
        struct stat st;
        _cleanup_(freep) char *name = xstrndup(rest, strcspn(rest, "/"));
        _cleanup_(freep) char *next = xasprintf("%s%s%s", done, *done ? "/" : "", name);
        rest += strlen(name);
        if (streq(name, "..")) {
            char *slash = strrchr(done, '/');
            *(slash ? slash : done) = '\0';
            continue;
        }
        if (fstatat(view->root, next, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return -errno;
        if (S_ISLNK(st.st_mode)) {
            r = ++links > LINKS_MAX ? -ELOOP : follow_link(view, &done, next, rest, &todo);
            rest = todo;
        } else {
            free(done);
            done = TAKE_PTR(next);
        }
    }
    if (r < 0)
        return r;
    int fd = openat(view->root, done, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

static bool is_mapped_file(const struct stat *st, const MappedObject *o)
{
    return S_ISREG(st->st_mode) && st->st_ino == o->inode && st->st_dev == makedev(o->major, o->minor);
}

static bool was_mapped_file(const Entry *e, const MappedObject *o)
{
    return e->mapped_inode == o->inode && e->mapped_major == o->major && e->mapped_minor == o->minor;
}

/* The file at the same path here, if it is the very one: the usual case, and the cheapest. */
static const Entry *entry_by_own_path(ElfCache *cache, const MappedObject *o, bool program)
{
    struct stat st;

    if (o->deleted || lstat(o->path, &st) < 0)
        return NULL;
    const Entry *e = find_entry(cache, &st, program);
    if (e && (is_mapped_file(&st, o) || was_mapped_file(e, o)))
        return e;
    if (!is_mapped_file(&st, o))
        return NULL;
    _cleanup_(closep) int fd = open(o->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0 || !is_mapped_file(&st, o))
        return NULL;
    return read_entry(cache, fd, program);
}

static const Entry *remember_mapped(Entry *e, const MappedObject *o)
{
    if (e) {
        e->mapped_major = o->major;
        e->mapped_minor = o->minor;
        e->mapped_inode = o->inode;
    }
    return e;
}

/* Is there another file at its path here? The same is asked of both, so that overlayfs does no harm. */
static bool is_elsewhere(const MappedObject *o, const Entry *e)
{
    struct stat st;

    if (!e || o->deleted)
        return false;
    if (lstat(o->path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR;
    return st.st_dev != e->dev || st.st_ino != e->inode;
}

static const Entry *entry_by_process(ProcessView *view, const MappedObject *o, bool program)
{
    _cleanup_(freep) char *name = xasprintf("map_files/%s", o->range);
    _cleanup_(closep) int mapped = owner_openat(view->process, name, O_PATH | O_CLOEXEC);
    if (mapped >= 0)
        return remember_mapped(entry_of_path_fd(view->cache, mapped, program), o);
    if (o->deleted)
        return NULL;
    /* The kernel's own path, without links in it. */
    _cleanup_(closep) int in_root =
        open_root(view) < 0 ? -1 : openat(view->root, o->path + 1, O_PATH | O_CLOEXEC | O_NOFOLLOW);
    return in_root < 0 ? NULL : remember_mapped(entry_of_path_fd(view->cache, in_root, program), o);
}

/* ---- its preloads ---- */

/* NULL: none, or not readable. Root's file; the bound is far above what a system has. */
static char *read_system_preload(ProcessView *view)
{
    char link[sizeof("/proc/self/fd/") + 10];
    _cleanup_(closep) int path_fd = open_in_root(view, SYSTEM_PRELOAD);
    struct stat st;

    if (path_fd < 0 || fstat(path_fd, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", path_fd);
    _cleanup_(closep) int fd = open(link, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    _cleanup_(freep) char *text = xcalloc(PRELOAD_FILE_MAX + 1, 1);
    if (fd < 0 || read(fd, text, PRELOAD_FILE_MAX) < 0)
        return NULL;
    return TAKE_PTR(text);
}

static bool is_mapped_path(const MappedObjects *objects, const char *path)
{
    for (size_t i = 0; i < objects->n; i++)
        if (streq(objects->items[i].path, path))
            return true;
    return false;
}

/* Where the entry leads, and whether that is an allocator. */
static void follow_entry(ProcessView *view, const MappedObjects *objects, PreloadEntry *entry)
{
    char link[sizeof("/proc/self/fd/") + 10], target[PATH_MAX];

    if (entry->name[0] != '/' || is_mapped_path(objects, entry->name))
        return; /* nothing to be found out */
    _cleanup_(closep) int fd = open_in_root(view, entry->name);
    if (fd < 0)
        return;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, target, sizeof(target));
    if (n > 0)
        entry->target = xstrndup(target, (size_t)n);
    const Entry *e = entry->system ? entry_of_path_fd(view->cache, fd, false) : NULL;
    entry->serves = e && e->error == 0 && e->facts->serves;
}

/* ---- all of it ---- */

int elf_cache_lookup(ElfCache *cache, const ElfProcess *process, char *const *ours, MappedLibrary *ret,
                     Preloads *ret_preloads)
{
    _cleanup_(mapped_objects_clear) MappedObjects objects = { 0 };
    _cleanup_(view_clear) ProcessView view = { .cache = cache, .process = process->dir, .root = -1 };
    int r = maps_objects(process->maps, &objects);

    if (r < 0)
        return r;
    if (cache->n > ENTRIES_MAX)
        forget_all(cache);
    _cleanup_(freep) char *system = read_system_preload(&view);
    _cleanup_(freep) const ObjectFacts **facts = xcalloc(objects.n + 1, sizeof(*facts));
    _cleanup_(freep) bool *elsewhere = xcalloc(objects.n + 1, sizeof(*elsewhere));
    Preloads preloads = preloads_parse(process->preload, system);
    for (size_t i = 0; i < preloads.n; i++)
        follow_entry(&view, &objects, &preloads.items[i]);
    for (size_t i = 0; i < objects.n; i++) {
        const MappedObject *o = &objects.items[i];
        const bool is_program = streq_null(o->path, process->program);
        const Entry *own = entry_by_own_path(cache, o, is_program);
        const Entry *e = own ? own : entry_by_process(&view, o, is_program);
        facts[i] = e && e->error == 0 ? e->facts : NULL;
        elsewhere[i] = !own && is_elsewhere(o, e);
    }
    lookup_malloc(&(LookupFacts){ .objects = &objects,
                                  .facts = facts,
                                  .elsewhere = elsewhere,
                                  .program = process->program,
                                  .ours = ours },
                  &preloads, ret);
    *ret_preloads = preloads;
    return 0;
}
