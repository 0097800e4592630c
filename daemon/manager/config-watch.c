/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/config-watch.h"

#include "io/config-file.h"
#include "manager/loop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <syslog.h>

#define LOOK_DELAY (100 * USEC_PER_MSEC)
/* So long it must stay as it is: most editors and tools save in several steps. */
#define SETTLED_AFTER (100 * USEC_PER_MSEC)
#define SETTLED_AFTER_INCOMPLETE (2 * USEC_PER_SEC)
/* A file that is open for writing may not be complete yet. */
#define WRITING_AT_MOST (5 * USEC_PER_SEC)
#define LINKS_MAX 8
#define FOLDERS_MAX 256

#define FOLDER_GONE (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)
#define FOLDER_EVENTS                                                                                        \
    (IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ATTRIB |          \
     IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

typedef struct Folder {
    char *path;
    sd_event_source *source;
} Folder;

struct ConfigWatch {
    Manager *manager;
    Folder *folders;
    size_t n_folders;
    char **names;       /* strv: what counts in them */
    uint64_t read;      /* ConfigOnDisk.digest when it was last read */
    uint64_t seen;      /* what it was at the last look */
    usec_t seen_since;  /* monotonic */
    usec_t write_until; /* monotonic: since when it is open for writing; 0: it is not */
    sd_event_source *timer;
    int error; /* of the last try to watch: logged once */
};

bool config_watch_changed(const ConfigWatch *w)
{
    return w->seen != w->read;
}

/* ---- what is watched ---- */

static void forget_folders(ConfigWatch *w)
{
    for (size_t i = 0; i < w->n_folders; i++) {
        sd_event_source_disable_unref(w->folders[i].source);
        free(w->folders[i].path);
    }
    free(w->folders);
    w->folders = NULL;
    w->n_folders = 0;
}

/* The directory of `path`, and its name in *ret_name. */
static char *folder_of(const char *path, const char **ret_name)
{
    const char *slash = strrchr(path, '/');

    *ret_name = slash ? slash + 1 : path;
    return slash == path ? xstrdup("/") : slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
}

static void add_name(char ***folders, char ***names, char *take_folder, const char *name)
{
    if (strv_contains(*folders, take_folder) || strv_length(*folders) >= FOLDERS_MAX)
        free(take_folder);
    else
        strv_push(folders, take_folder);
    if (!strv_contains(*names, name))
        strv_push(names, xstrdup(name));
}

/* The target of the link at `path`, which is in `folder`; NULL: it is not a link. */
static char *link_target(const char *path, const char *folder)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target));

    if (n <= 0)
        return NULL;
    return *target == '/' ? xstrndup(target, (size_t)n) : xasprintf("%s/%.*s", folder, (int)n, target);
}

/* The directories in which a part of that path may change: its own, or as much of it as exists, and those of
 * its links. */
static void add_path(char ***folders, char ***names, const char *path)
{
    char *at = xstrdup(path);

    for (size_t i = 0; at && i < LINKS_MAX; i++) {
        _cleanup_(freep) char *before = at;
        const char *name;
        char *folder = folder_of(before, &name);

        at = link_target(before, folder);
        if (!at && access(folder, F_OK) < 0 && strchr(folder + 1, '/'))
            at = xstrdup(folder);
        add_name(folders, names, folder, name);
    }
    free(at);
}

static int on_event(sd_event_source *source, const struct inotify_event *event, void *userdata);

static void watch_folder(ConfigWatch *w, Folder *folder)
{
    Manager *m = w->manager;
    int r = sd_event_add_inotify(m->event, &folder->source, folder->path, FOLDER_EVENTS, on_event, w);

    if (r < 0 && r != -ENOENT && r != -ENOTDIR && r != w->error)
        eventlog_line(LOG_WARNING, "Cannot watch %s: %s; saves there are noticed with the next sample.",
                      folder->path, strerror(-r));
    if (r < 0)
        w->error = r;
}

static bool same_folders(const ConfigWatch *w, char *const *folders)
{
    if (strv_length(folders) != w->n_folders)
        return false;
    for (size_t i = 0; folders && i < w->n_folders; i++)
        if (!streq(w->folders[i].path, folders[i]))
            return false;
    return true;
}

/* true: others than before. */
static bool watch(ConfigWatch *w, char *const *files)
{
    _cleanup_(strv_freep) char **folders = NULL, **names = NULL;

    STRV_FOREACH (file, files)
        add_path(&folders, &names, *file);
    if (same_folders(w, folders) && strv_equal(names, w->names))
        return false;
    forget_folders(w);
    strv_free(w->names);
    w->names = TAKE_PTR(names);
    w->folders = xcalloc(strv_length(folders), sizeof(*w->folders));
    STRV_FOREACH (folder, folders) {
        w->folders[w->n_folders].path = xstrdup(*folder);
        watch_folder(w, &w->folders[w->n_folders++]);
    }
    return true;
}

/* ---- looking ---- */

static int on_look(sd_event_source *source, uint64_t usec, void *userdata);

static void look_in(ConfigWatch *w, usec_t delay)
{
    if (w->manager->event)
        loop_schedule(w->manager, &w->timer, delay, on_look);
}

/* How long what is there must still stay as it is; 0: it has settled. */
static usec_t unsettled(const ConfigWatch *w, const ConfigOnDisk *disk)
{
    usec_t now = loop_monotonic(w->manager);
    usec_t due = w->seen_since + (disk->incomplete ? SETTLED_AFTER_INCOMPLETE : SETTLED_AFTER);

    if (due < w->write_until)
        due = w->write_until;
    return due > now ? due - now : 0;
}

static void look(ConfigWatch *w)
{
    Manager *m = w->manager;
    _cleanup_(config_on_disk_clear) ConfigOnDisk disk = { 0 };
    bool was_changed = config_watch_changed(w);

    config_file_look(m->config_path, &disk);
    if (watch(w, disk.files)) { /* what was saved before it was watched */
        config_on_disk_clear(&disk);
        config_file_look(m->config_path, &disk);
    }
    if (disk.digest != w->seen)
        w->seen_since = loop_monotonic(m);
    w->seen = disk.digest;
    usec_t rest = config_watch_changed(w) ? unsettled(w, &disk) : 0;
    if (rest > 0)
        look_in(w, rest);
    if (config_watch_changed(w) != was_changed)
        m->reports->config_changed(m);
    if (config_watch_changed(w) && rest == 0)
        m->reports->config_saved(m);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;
    ConfigWatch *w = m->config_watch;

    (void)source;
    (void)usec;
    w->timer = sd_event_source_unref(w->timer);
    look(w);
    return 0;
}

bool config_watch_saving(ConfigWatch *w)
{
    _cleanup_(config_on_disk_clear) ConfigOnDisk disk = { 0 };

    config_file_look(w->manager->config_path, &disk);
    if (disk.digest == w->read)
        return false;
    config_watch_look(w); /* where nothing watches, nobody else would */
    return true;
}

bool config_watch_wait(ConfigWatch *w)
{
    for (usec_t waited = 0; waited < SETTLED_AFTER_INCOMPLETE; waited += LOOK_DELAY) {
        _cleanup_(config_on_disk_clear) ConfigOnDisk disk = { 0 };

        (void)poll(NULL, 0, LOOK_DELAY / USEC_PER_MSEC);
        config_file_look(w->manager->config_path, &disk);
        if (disk.digest != w->read)
            return true;
    }
    return false;
}

void config_watch_start(ConfigWatch *w)
{
    look(w);
}

void config_watch_look(ConfigWatch *w)
{
    look_in(w, LOOK_DELAY);
}

void config_watch_sampled(ConfigWatch *w)
{
    look(w);
}

void config_watch_read(ConfigWatch *w)
{
    _cleanup_(config_on_disk_clear) ConfigOnDisk disk = { 0 };

    config_file_look(w->manager->config_path, &disk);
    w->read = w->seen = disk.digest;
    config_watch_look(w); /* it may include others now */
}

void config_watch_missed(ConfigWatch *w)
{
    w->read = ~w->seen;
    w->timer = sd_event_source_unref(w->timer);
}

/* ---- inotify ---- */

/* Was a file made that is still to be filled? A link has all that it will have. */
static bool made_empty(const ConfigWatch *w, const struct inotify_event *event)
{
    struct stat st;

    for (size_t i = 0; i < w->n_folders; i++) {
        _cleanup_(freep) char *path = xasprintf("%s/%s", w->folders[i].path, event->name);
        if (lstat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1)
            return true;
    }
    return false;
}

static int on_event(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    ConfigWatch *w = userdata;
    bool named = event->len > 0;

    (void)source;
    if (named && !strv_contains(w->names, event->name))
        return 0;
    if (event->mask & FOLDER_GONE)
        forget_folders(w);
    else if (event->mask & (IN_CLOSE_WRITE | IN_MOVED_TO))
        w->write_until = 0;
    else if (event->mask & IN_MODIFY || (event->mask & IN_CREATE && named && made_empty(w, event)))
        w->write_until = loop_monotonic(w->manager) + WRITING_AT_MOST;
    look_in(w, LOOK_DELAY);
    return 0;
}

/* ---- life ---- */

ConfigWatch *config_watch_new(Manager *m)
{
    ConfigWatch *w = xcalloc(1, sizeof(*w));

    w->manager = m;
    return w;
}

ConfigWatch *config_watch_free(ConfigWatch *w)
{
    if (!w)
        return NULL;
    forget_folders(w);
    strv_free(w->names);
    sd_event_source_unref(w->timer);
    free(w);
    return NULL;
}
