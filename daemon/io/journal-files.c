/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds journal files and opens them. What sd-journal silently leaves out (a file that is truncated, or not
 * readable) is opened or named here. */
#include "core/dropin.h"
#include "io/journal-private.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#define FILES_MAX 100000
#define FILE_SIZE_MAX ((off_t)4 * 1024 * 1024 * 1024) /* journald's own bound */

static void entry_clear(JournalFileEntry *entry)
{
    closep(&entry->fd);
    if (entry->copy)
        unlink(entry->copy);
    free(entry->copy);
    free(entry->path);
}

void journal_files_clear(JournalFiles *files)
{
    for (size_t i = 0; i < files->n; i++)
        entry_clear(&files->items[i]);
    free(files->items);
    strv_free(files->complaints);
    *files = (JournalFiles){ 0 };
}

void journal_files_complain(JournalFiles *files, const JournalFileEntry *file, const char *format, ...)
{
    char *what = NULL;
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&what, format, ap) < 0)
        abort();
    va_end(ap);
    char *text = xasprintf("%s: %s", file->path, what);
    if (strv_contains(files->complaints, text)) /* it is examined more than once */
        free(text);
    else
        strv_push(&files->complaints, text);
    free(what);
}

int journal_file_reader(const JournalFileEntry *file, sd_journal **ret)
{
    sd_journal *j = NULL;
    int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 3);

    if (fd < 0)
        return -errno;
    int r = sd_journal_open_files_fd(&j, &fd, 1, 0); /* takes the descriptor when it succeeds */
    if (r < 0) {
        close(fd);
        return r;
    }
    *ret = j;
    return 0;
}

/* ---- a file that is cut off ---- */

/* From https://systemd.io/JOURNAL_FILE_FORMAT: the part of the header that says how long the file should be.
 */
typedef struct JournalHeader {
    char signature[8];
    uint8_t flags_state_ids[80];
    uint64_t header_size, arena_size; /* little endian */
} JournalHeader;
_Static_assert(offsetof(JournalHeader, header_size) == 88, "the format is fixed");

static int copy_bytes(int from, int to, off_t size)
{
    _cleanup_(freep) char *buffer = xcalloc(1, 65536);

    for (off_t at = 0; at < size;) {
        ssize_t n = pread(from, buffer, 65536, at);
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        if (pwrite(to, buffer, (size_t)n, at) != n)
            return errno > 0 ? -errno : -EIO;
        at += n;
    }
    return 0;
}

/* sd-journal refuses a file that is shorter than its header says, with all that is in it. A copy with zeros
 * after it can be read up to there. It keeps its name while it is read, because sd-journal refuses files
 * without one. */
static int mend_short_file(JournalFileEntry *file, off_t size)
{
    JournalHeader header;
    char name[] = "/var/tmp/relayalloc-XXXXXX";

    if (pread(file->fd, &header, sizeof(header), 0) != sizeof(header) ||
        memcmp(header.signature, "LPKSHHRH", 8) != 0)
        return -EBADMSG;
    uint64_t header_size = le64toh(header.header_size), arena_size = le64toh(header.arena_size);
    if (header_size > (uint64_t)FILE_SIZE_MAX || arena_size > (uint64_t)FILE_SIZE_MAX ||
        header_size + arena_size <= (uint64_t)size)
        return -EBADMSG;
    _cleanup_(closep) int copy = mkostemp(name, O_CLOEXEC);
    if (copy < 0)
        return -errno;
    file->copy = xstrdup(name);
    int r = copy_bytes(file->fd, copy, size);
    if (r < 0)
        return r;
    if (ftruncate(copy, (off_t)(header_size + arena_size)) < 0)
        return -errno;
    close(file->fd);
    file->fd = TAKE_FD(copy);
    return 0;
}

/* ---- finding them ---- */

static bool is_journal_name(const char *name)
{
    size_t n = strlen(name);

    return (n > 8 && streq(name + n - 8, ".journal")) || (n > 9 && streq(name + n - 9, ".journal~"));
}

static bool is_known(const JournalFiles *files, const struct stat *st)
{
    for (size_t i = 0; i < files->n; i++)
        if (files->items[i].device == st->st_dev && files->items[i].inode == st->st_ino)
            return true;
    return false;
}

const char *journal_why_unreadable(int r)
{
    switch (-r) {
    case EBADMSG:
    case ENODATA:
    case EIO:
        return "damaged";
    case EIDRM:
        return "deleted in the meantime";
    case EPROTONOSUPPORT:
        return "written by a newer version of systemd";
    case ESHUTDOWN:
    case ECANCELED:
        return "not closed cleanly, and cannot be read";
    default:
        return strerror(-r);
    }
}

/* Adds the file if it can be read and has entries. */
static void examine(JournalFiles *files, JournalFileEntry *take, off_t size)
{
    sd_journal *j = NULL;
    int r = journal_file_reader(take, &j);

    if (r < 0 && (r == -ENODATA || r == -EBADMSG) && mend_short_file(take, size) == 0) {
        r = journal_file_reader(take, &j);
        if (r >= 0)
            journal_files_complain(files, take, "truncated; what is left of it is read");
    }
    if (r >= 0)
        r = sd_journal_get_cutoff_realtime_usec(j, &take->first, &take->last);
    sd_journal_close(j);
    if (r > 0) {
        GROW(files->items, files->capacity, files->n);
        files->items[files->n++] = *take;
        return;
    }
    /* Just created, not a byte in it yet, or without entries: that is no damage. */
    if (r < 0 && size > 0)
        journal_files_complain(files, take, "%s; not read", journal_why_unreadable(r));
    entry_clear(take);
}

static int open_one(JournalFiles *files, int dir, const char *dir_path, const char *name)
{
    struct stat st;
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 && (errno == EACCES || errno == EPERM)) {
        files->denied++;
        return 0;
    }
    if (fd < 0)
        return errno == ENOENT || errno == ELOOP ? 0 : -errno; /* gone in the meantime */
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || is_known(files, &st) || files->n == FILES_MAX) {
        close(fd);
        return 0;
    }
    JournalFileEntry entry = {
        .path = xasprintf("%s/%s", dir_path, name), .fd = fd, .device = st.st_dev, .inode = st.st_ino
    };
    examine(files, &entry, st.st_size);
    return 0;
}

static void closedirp(DIR **d)
{
    if (*d)
        closedir(*d);
}

static int open_directory(JournalFiles *files, const char *path, bool deeper)
{
    _cleanup_(closedirp) DIR *d = opendir(path);
    struct dirent *e;
    int r = 0;

    if (!d)
        return -errno;
    while (r >= 0 && (errno = 0, e = readdir(d))) {
        if (is_journal_name(e->d_name)) {
            r = open_one(files, dirfd(d), path, e->d_name);
        } else if (deeper && e->d_name[0] != '.' && (e->d_type == DT_DIR || e->d_type == DT_UNKNOWN)) {
            _cleanup_(freep) char *inner = xasprintf("%s/%s", path, e->d_name);
            r = open_directory(files, inner, false);
            r = r == -ENOTDIR || r == -ENOENT ? 0 : r;
        }
        if (r == -EACCES) { /* what we may not see costs only itself */
            files->denied++;
            r = 0;
        }
    }
    return r;
}

/* The root directory of a local container, as machined notes it, readable by root; NULL: there is none of
 * that name. */
static char *machine_root(const char *machine)
{
    _cleanup_(freep) char *path = xasprintf("/run/systemd/machines/%s", machine);
    _cleanup_(fclosep) FILE *f = strchr(machine, '/') ? NULL : fopen(path, "re");
    char text[16384];

    if (!f)
        return NULL;
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    _cleanup_(strv_freep) char **state = environment_file_parse(text);
    return xstrdup(strv_env_get(state, "ROOT"));
}

/* `root`: "" for this host. NULL in place of `machine`: of all machines. */
static int open_root(JournalFiles *files, const char *root, const char *machine)
{
    static const char *const folders[] = { "/var/log/journal", "/run/log/journal" };

    for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
        _cleanup_(freep) char *path =
            xasprintf("%s%s%s%s", root, folders[i], machine ? "/" : "", machine ? machine : "");
        int r = open_directory(files, path, !machine);
        if (r < 0 && r != -ENOENT && r != -EACCES)
            return r;
        files->denied += r == -EACCES;
    }
    return 0;
}

static int open_source(JournalFiles *files, const JournalSource *source)
{
    char machine[SD_ID128_STRING_MAX];
    sd_id128_t id;

    if (source->directory)
        return open_directory(files, source->directory, true);
    if (source->machine) {
        _cleanup_(freep) char *root = machine_root(source->machine);
        return root ? open_root(files, root, NULL) : -ENOENT;
    }
    if (source->merge)
        return open_root(files, "", NULL);
    int r = sd_id128_get_machine(&id);
    return r < 0 ? r : open_root(files, "", sd_id128_to_string(id, machine));
}

int journal_live_reader(const JournalSource *source, sd_journal **ret)
{
    _cleanup_(freep) char *root = source->machine ? machine_root(source->machine) : NULL;
    sd_journal *j = NULL;
    int r;

    if (source->directory)
        r = sd_journal_open_directory(&j, source->directory, 0);
    else if (source->machine)
        r = root ? sd_journal_open_directory(&j, root, SD_JOURNAL_OS_ROOT) : -ENOENT;
    else
        r = sd_journal_open(&j, source->merge ? 0 : SD_JOURNAL_LOCAL_ONLY);
    if (r >= 0)
        r = sd_journal_set_data_threshold(j, 0);
    if (r < 0) {
        sd_journal_close(j);
        return r;
    }
    *ret = j;
    return 0;
}

static int file_compare(const void *a, const void *b)
{
    const JournalFileEntry *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    if (x->last != y->last)
        return x->last < y->last ? -1 : 1;
    return strcmp(x->path, y->path);
}

/* A host keeps some hundreds of files, more than the usual limit of descriptors for old programs. */
static void raise_descriptors(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int journal_files_open(const JournalSource *source, JournalFiles *ret)
{
    _cleanup_(journal_files_clear) JournalFiles files = { 0 };

    raise_descriptors();
    /* Once more until nothing is new: a file that was rotated while we looked has another name now. */
    for (size_t before = SIZE_MAX, round = 0; before != files.n && round < 4; round++) {
        before = files.n;
        files.denied = 0;
        int r = open_source(&files, source);
        if (r < 0)
            return r;
    }
    if (files.n == 0 && files.denied > 0)
        return -EACCES;
    if (files.denied > 0)
        strv_push(&files.complaints,
                  xasprintf("%zu journal files cannot be read: no permission", files.denied));
    if (files.n > 0)
        qsort(files.items, files.n, sizeof(*files.items), file_compare);
    *ret = files;
    files = (JournalFiles){ 0 };
    return 0;
}
