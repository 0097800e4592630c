/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/mounts.h"

#include <errno.h>

/* The next word of the line, which it is taken from; n == 0: there is none. */
static Span take_word(Span *line)
{
    size_t blanks = 0;

    while (blanks < line->n && line->p[blanks] == ' ')
        blanks++;
    Span word = { .p = line->p + blanks };
    while (blanks + word.n < line->n && word.p[word.n] != ' ')
        word.n++;
    line->p = word.p + word.n;
    line->n -= blanks + word.n;
    return word;
}

/* A blank, a tab, a line end and a backslash stand there as \040 and the like. */
static char take_character(Span *word)
{
    const char *p = word->p;
    size_t n = 1;
    char c = *p;

    if (c == '\\' && word->n >= 4) {
        c = (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0'));
        n = 4;
    }
    word->p += n;
    word->n -= n;
    return c;
}

static bool covers(Span mount_point, const char *path)
{
    bool root = mount_point.n == 1 && *mount_point.p == '/';

    while (mount_point.n > 0 && *path)
        if (take_character(&mount_point) != *path++)
            return false;
    return mount_point.n == 0 && (root || !*path || *path == '/');
}

static bool is_read_only(Span options)
{
    return options.n >= 2 && strncmp(options.p, "ro", 2) == 0 && (options.n == 2 || options.p[2] == ',');
}

/* "36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw,errors=continue": 1, 0, or -ENOENT
 * when it does not cover the path. */
static int judge_line(Span line, const char *path)
{
    Span point = { 0 }, own = { 0 }, word;

    for (size_t i = 0; i < 4; i++)
        (void)take_word(&line);
    point = take_word(&line);
    own = take_word(&line);
    if (point.n == 0 || !covers(point, path))
        return -ENOENT;
    do
        word = take_word(&line);
    while (word.n > 0 && !(word.n == 1 && *word.p == '-'));
    (void)take_word(&line);
    (void)take_word(&line);
    return is_read_only(own) || is_read_only(take_word(&line));
}

int mounts_read_only(const char *mountinfo, const char *path)
{
    int found = -ENOENT;

    for (const char *p = mountinfo; *p;) {
        Span line = { .p = p, .n = strcspn(p, "\n") };
        int r = judge_line(line, path);

        if (r >= 0) /* what is mounted later is on top */
            found = r;
        p += line.n + (p[line.n] == '\n');
    }
    return found;
}

bool mounts_outdated(int host, int own)
{
    return host == 0 && own == 1;
}
