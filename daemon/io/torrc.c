/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/torrc.h"

#include "io/text-file.h"

#include <glob.h>
#include <sys/stat.h>

#define DEFAULT_TORRC "/etc/tor/torrc"

enum { DEPTH_MAX = 8, FILES_MAX = 256 }; /* tor itself goes 31 deep */

typedef struct Stamp {
    uint64_t hash;
    unsigned files;
} Stamp;

static void add_path(Stamp *s, const char *path, unsigned depth);

static void add_pattern(Stamp *s, const char *pattern, unsigned depth)
{
    glob_t found;

    if (glob(pattern, GLOB_NOCHECK, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        add_path(s, found.gl_pathv[i], depth);
    globfree(&found);
}

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

static void add_includes(Stamp *s, const char *text, unsigned depth)
{
    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        _cleanup_(freep) char *pattern = included(line);
        if (pattern)
            add_pattern(s, pattern, depth);
    }
}

static void add_path(Stamp *s, const char *path, unsigned depth)
{
    struct stat st = { 0 };
    _cleanup_(freep) char *text = NULL;

    if (depth > DEPTH_MAX || s->files++ > FILES_MAX)
        return;
    s->hash = hash_bytes(s->hash, path, strlen(path) + 1);
    if (stat(path, &st) < 0)
        return;
    const int64_t identity[] = { (int64_t)st.st_dev,         (int64_t)st.st_ino, (int64_t)st.st_size,
                                 (int64_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (int64_t)st.st_mode,
                                 (int64_t)st.st_uid,         (int64_t)st.st_gid };
    s->hash = hash_bytes(s->hash, identity, sizeof(identity));
    if (S_ISDIR(st.st_mode)) {
        _cleanup_(freep) char *all = xasprintf("%s/*", path);
        add_pattern(s, all, depth + 1);
    } else if (depth > 0 && text_file_read(path, &text) == 0) {
        add_includes(s, text, depth + 1);
    }
}

uint64_t torrc_stamp(char *const *argv)
{
    Stamp s = { .hash = HASH_BEGIN };
    bool named = false;

    for (size_t i = 0; argv && argv[i]; i++) {
        s.hash = hash_bytes(s.hash, argv[i], strlen(argv[i]) + 1);
        named = named || streq(argv[i], "-f");
        if (argv[i][0] == '/')
            add_path(&s, argv[i], i > 0); /* the program is no text, and includes nothing */
    }
    if (!named)
        add_path(&s, DEFAULT_TORRC, 1);
    return s.hash;
}

/* ---- MetricsPort ---- */

typedef struct PortReading {
    MetricsPorts *ports;
    unsigned files;
} PortReading;

static void read_path(PortReading *r, const char *path, unsigned depth, bool in_folder);

static void read_pattern(PortReading *r, const char *pattern, unsigned depth, bool in_folder)
{
    glob_t found;

    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_path(r, found.gl_pathv[i], depth, in_folder);
    globfree(&found);
}

/* Of a directory its files, in order, but those whose name begins with a dot; none of its own directories. */
static void read_path(PortReading *r, const char *path, unsigned depth, bool in_folder)
{
    struct stat st;
    _cleanup_(freep) char *text = NULL;

    if (depth > DEPTH_MAX || r->files++ > FILES_MAX || stat(path, &st) < 0)
        return;
    if (S_ISDIR(st.st_mode)) {
        _cleanup_(freep) char *all = xasprintf("%s/*", path);
        if (!in_folder)
            read_pattern(r, all, depth + 1, true);
        return;
    }
    if (text_file_read(path, &text) < 0)
        return;
    for (char *line = text, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        _cleanup_(freep) char *pattern = included(line);
        if (pattern)
            read_pattern(r, pattern, depth + 1, false);
        else
            metrics_ports_line(r->ports, line);
    }
}

void torrc_metrics_ports(const char *path, MetricsPorts *ports)
{
    PortReading r = { .ports = ports };

    read_path(&r, path, 0, false);
}
