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

/* "%include PATH" or "%include \"PATH\"". */
static void add_includes(Stamp *s, const char *text, unsigned depth)
{
    static const char keyword[] = "%include";

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        const char *at = line + strspn(line, " \t");

        if (strncasecmp(at, keyword, strlen(keyword)) != 0)
            continue;
        at += strlen(keyword);
        at += strspn(at, " \t\"");
        _cleanup_(freep) char *pattern = xstrndup(at, strcspn(at, "\"#\r\n"));
        for (size_t n = strlen(pattern); n > 0 && (pattern[n - 1] == ' ' || pattern[n - 1] == '\t');)
            pattern[--n] = '\0';
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
