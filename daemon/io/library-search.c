/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the dynamic linker looks for what a library needs (ld.so(8), "the directories specified in DT_RPATH"
 * and DT_RUNPATH), and whether others than root could put something there. What it finds by its cache and in
 * its own directories the trace in library.c shows.
 *
 * The paths of all files that come with a library are judged, each for all that any of them needs: DT_RPATH
 * holds for the libraries below it, too, dlopen(3) uses both, and a directory behind the one where a library
 * is found now is next when that goes. What the dynamic linker would make of a path is not imitated where it
 * is not simple: that is refused. */
#include "core/elf.h"
#include "io/elf-file.h"
#include "io/library-private.h"
#include "io/trust.h"

#include <assert.h>
#include <errno.h>

#define ORIGIN "$ORIGIN"
#define ORIGIN_IN_BRACES "${ORIGIN}"
/* Of subdirectories, such as tls/haswell/avx512_1 in old glibcs. */
#define DEPTH_MAX 4

/* Into these subdirectories the dynamic linker looks first, as the processor is: those of today (glibc 2.33
 * on, on each architecture) and those before 2.37. */
static const char *const subdirectories[] = {
    "glibc-hwcaps", "x86-64-v2", "x86-64-v3", "x86-64-v4", "power9",   "power10", "z13",      "z14",
    "z15",          "z16",       "tls",       "haswell",   "xeon_phi", "x86_64",  "avx512_1",
};

/* A path of one file. */
typedef struct Search {
    const char *file, *kind; /* "RUNPATH" */
    char *const *needed;     /* of all files */
    char ***looked;
    char **ret_reason;
    char *advice;
} Search;

static int judge(const Search *s, const char *path, bool directory, char **ret_reason)
{
    const TrustRules rules = {
        .owner = 0, .directory = directory, .elsewhere = s->advice, .looked = s->looked
    };
    _cleanup_(freep) char *real = NULL;
    struct stat st;
    int r = trust_walk(path, &rules, &real, &st, ret_reason);

    /* What leads nowhere leads nowhere until root changes something. */
    return r == -ENOTDIR || r == -ELOOP || r == -EINVAL ? -ENOENT : r;
}

static int judge_files(const Search *s, const char *directory)
{
    STRV_FOREACH (name, s->needed) {
        _cleanup_(freep) char *path = xasprintf("%s/%s", directory, *name), *reason = NULL;
        int r = access(path, F_OK) < 0 && errno == ENOENT ? 0 : judge(s, path, false, &reason);

        if (r < 0 && r != -ENOENT)
            return REFUSE(r, s->ret_reason, "%s finds %s (%s), which %s", s->file, path, s->kind, reason);
    }
    return 0;
}

static int judge_directory(const Search *s, const char *directory, unsigned depth)
{
    _cleanup_(freep) char *reason = NULL;
    int r = judge(s, directory, true, &reason);

    if (r == -ENOENT)
        return 0;
    if (r < 0)
        return REFUSE(r, s->ret_reason, "%s looks for libraries in %s (%s), which %s", s->file, directory,
                      s->kind, reason);
    r = judge_files(s, directory);
    for (size_t i = 0; r >= 0 && depth < DEPTH_MAX && i < ELEMENTSOF(subdirectories); i++) {
        _cleanup_(freep) char *below = xasprintf("%s/%s", directory, subdirectories[i]);
        struct stat st;
        if (lstat(below, &st) == 0)
            r = judge_directory(s, below, depth + 1);
    }
    return r;
}

/* The element with the directory of the file in place of its token; NULL: there are other tokens in it. */
static char *expand(const char *element, const char *file)
{
    const char *token = strchr(element, '$');
    size_t n = !token                                                            ? 0
               : strncmp(token, ORIGIN, strlen(ORIGIN)) == 0                     ? strlen(ORIGIN)
               : strncmp(token, ORIGIN_IN_BRACES, strlen(ORIGIN_IN_BRACES)) == 0 ? strlen(ORIGIN_IN_BRACES)
                                                                                 : 0;

    if (!token)
        return xstrdup(element);
    if (n == 0 || strchr(token + n, '$'))
        return NULL;
    return xasprintf("%.*s%.*s%s", (int)(token - element), element, (int)(strrchr(file, '/') - file), file,
                     token + n);
}

static int judge_element(const Search *s, const char *element)
{
    _cleanup_(freep) char *directory = expand(element, s->file);
    size_t n = directory ? strlen(directory) : 0;

    if (!directory)
        return REFUSE(-EPERM, s->ret_reason,
                      "%s looks for libraries in \"%s\" (%s), and only $ORIGIN is followed here (%s)",
                      s->file, element, s->kind, s->advice);
    if (directory[0] != '/')
        return REFUSE(-EPERM, s->ret_reason,
                      "%s looks for libraries in \"%s\" (%s), relative to wherever a program is started (%s)",
                      s->file, element, s->kind, s->advice);
    while (n > 1 && directory[n - 1] == '/')
        directory[--n] = '\0';
    return judge_directory(s, directory, 0);
}

/* Elements are separated by colons, and an empty one is the current directory; a path that is empty as a
 * whole is none. */
static int judge_path(const Search *s, const char *path)
{
    int r = 0;

    for (const char *p = path; r >= 0 && !isempty(path); p++) {
        _cleanup_(freep) char *element = xstrndup(p, strcspn(p, ":"));

        r = judge_element(s, element);
        p += strlen(element);
        if (!*p)
            break;
    }
    return r;
}

static int read_file(const char *file, Elf *ret, char **ret_reason)
{
    int r = elf_file_names(file, ret);

    if (r == -EBADMSG)
        return REFUSE(-ENOEXEC, ret_reason, "%s is damaged", file);
    return r < 0 ? REFUSE(r, ret_reason, "%s cannot be read: %s", file, strerror(-r)) : 0;
}

static int add_needed(const char *file, char ***needed, char **ret_reason)
{
    _cleanup_(elf_clear) Elf elf = { 0 };
    int r = read_file(file, &elf, ret_reason);

    STRV_FOREACH (name, elf.needed) {
        if (**name != '/' && strchr(*name, '/'))
            return REFUSE(-EPERM, ret_reason, "%s needs %s, relative to wherever a program is started", file,
                          *name);
        if (**name != '/' && !strv_contains(*needed, *name))
            strv_push(needed, xstrdup(*name));
    }
    return r;
}

static int check_file(const char *file, char *const *needed, char ***looked, char **ret_reason)
{
    _cleanup_(elf_clear) Elf elf = { 0 };
    _cleanup_(freep) char *advice = xasprintf("patchelf --remove-rpath %s", file);
    int r = read_file(file, &elf, ret_reason);
    const Search s = {
        .file = file,
        .kind = elf.runpath ? "RUNPATH" : "RPATH", /* which is ignored beside the other */
        .needed = needed,
        .looked = looked,
        .ret_reason = ret_reason,
        .advice = advice,
    };

    return r < 0 ? r : judge_path(&s, elf.runpath ? elf.runpath : elf.rpath);
}

int library_check_search(char *const *files, char ***looked, char **ret_reason)
{
    _cleanup_(strv_freep) char **needed = NULL;
    int r = 0;

    STRV_FOREACH (file, files) {
        assert(**file == '/');
        r = r < 0 ? r : add_needed(*file, &needed, ret_reason);
    }
    STRV_FOREACH (file, files)
        r = r < 0 ? r : check_file(*file, needed, looked, ret_reason);
    return r;
}
