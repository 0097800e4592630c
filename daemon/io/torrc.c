/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/torrc.h"

#include "io/text-file.h"

#include <dirent.h>
#include <glob.h>
#include <sys/stat.h>

#define DEFAULT_TORRC "/etc/tor/torrc"

enum { DEPTH_MAX = 8, FILES_MAX = 256, ENTRIES_MAX = 16384 }; /* tor itself goes 31 deep */

/* A walk through a torrc and what it includes, in tor's order. */
typedef struct TorrcWalk {
    unsigned files;
    uint64_t hash;       /* of the paths, and of what stands there */
    MetricsPorts *ports; /* what its lines say of them; NULL: that is not asked */
} TorrcWalk;

/* "%include PATH" or "%include \"PATH\"": the path or pattern, owned by the caller. NULL: another line. */
static char *included(const char *line)
{
    static const char keyword[] = "%include";
    const char *at = line + strspn(line, " \t");

    if (strncasecmp(at, keyword, strlen(keyword)) != 0)
        return NULL;
    at += strlen(keyword);
    at += strspn(at, " \t\"");
    char *pattern = xstrndup(at, strcspn(at, "\"#\r\n"));
    for (size_t n = strlen(pattern); n > 0 && (pattern[n - 1] == ' ' || pattern[n - 1] == '\t');)
        pattern[--n] = '\0';
    return pattern;
}

static void walk_path(TorrcWalk *w, const char *path, unsigned depth, bool in_folder);

/* Entries of directories that the walk has read; glob(3) tells those whom it asks for one nothing of the
 * walk. */
static unsigned entries;

static struct dirent *read_entry(void *folder)
{
    return entries++ < ENTRIES_MAX ? readdir(folder) : NULL;
}

static void *open_folder(const char *path)
{
    return opendir(path);
}

static void close_folder(void *folder)
{
    closedir(folder);
}

static bool is_enough(const TorrcWalk *w)
{
    return w->files > FILES_MAX || entries > ENTRIES_MAX;
}

/* A path that is not there, either, is one that may appear. */
static void walk_pattern(TorrcWalk *w, const char *pattern, unsigned depth, bool in_folder)
{
    glob_t found = { .gl_opendir = open_folder,
                     .gl_readdir = read_entry,
                     .gl_closedir = close_folder,
                     .gl_stat = stat,
                     .gl_lstat = lstat };

    if (is_enough(w) || glob(pattern, GLOB_NOCHECK | GLOB_ALTDIRFUNC, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        walk_path(w, found.gl_pathv[i], depth, in_folder);
    globfree(&found);
}

static void walk_text(TorrcWalk *w, char *text, unsigned depth)
{
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        _cleanup_(freep) char *pattern = included(line);
        if (pattern)
            walk_pattern(w, pattern, depth + 1, false);
        else if (w->ports)
            metrics_ports_line(w->ports, line);
    }
}

/* 0 and *ret, or -1: it is not there. */
static int stamp(TorrcWalk *w, const char *path, struct stat *ret)
{
    w->hash = hash_bytes(w->hash, path, strlen(path) + 1);
    if (stat(path, ret) < 0)
        return -1;
    const int64_t identity[] = { (int64_t)ret->st_dev,         (int64_t)ret->st_ino, (int64_t)ret->st_size,
                                 (int64_t)ret->st_mtim.tv_sec, ret->st_mtim.tv_nsec, (int64_t)ret->st_mode,
                                 (int64_t)ret->st_uid,         (int64_t)ret->st_gid };
    w->hash = hash_bytes(w->hash, identity, sizeof(identity));
    return 0;
}

/* Of a directory its files, in order, but those whose name begins with a dot; none of its own directories. */
static void walk_path(TorrcWalk *w, const char *path, unsigned depth, bool in_folder)
{
    struct stat st = { 0 };
    _cleanup_(freep) char *text = NULL;

    if (depth > DEPTH_MAX || w->files++ > FILES_MAX || stamp(w, path, &st) < 0)
        return;
    if (S_ISDIR(st.st_mode)) {
        _cleanup_(freep) char *all = xasprintf("%s/*", path);
        if (!in_folder)
            walk_pattern(w, all, depth + 1, true);
    } else if (text_file_read(path, &text) == 0) {
        walk_text(w, text, depth);
    }
}

uint64_t torrc_stamp(char *const *argv)
{
    TorrcWalk w = { .hash = HASH_BEGIN };
    bool named = false;

    entries = 0;
    for (size_t i = 0; argv && argv[i]; i++) {
        struct stat st;
        w.hash = hash_bytes(w.hash, argv[i], strlen(argv[i]) + 1);
        named = named || streq(argv[i], "-f");
        if (i == 0)
            (void)stamp(&w, argv[i], &st); /* the program is no text */
        else if (argv[i][0] == '/')
            walk_path(&w, argv[i], 0, false);
    }
    if (!named)
        walk_path(&w, DEFAULT_TORRC, 0, false);
    return w.hash;
}

void torrc_metrics_ports(const char *path, MetricsPorts *ports)
{
    TorrcWalk w = { .hash = HASH_BEGIN, .ports = ports };

    entries = 0;
    walk_path(&w, path, 0, false);
}
