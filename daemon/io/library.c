/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/library.h"

#include "core/release.h"
#include "io/library-private.h"
#include "io/subprocess.h"
#include "io/text-file.h"
#include "io/trust.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>

#define TRACE_TIMEOUT (10 * USEC_PER_SEC)

const char *library_package(const char *name)
{
    _cleanup_(freep) char *os_release = NULL;

    (void)text_file_read("/etc/os-release", &os_release);
    return release_package(os_release, name);
}

/* release_advice() for this system. */
static char *package_hint(const char *name)
{
    _cleanup_(freep) char *os_release = NULL;

    (void)text_file_read("/etc/os-release", &os_release);
    return release_advice(os_release, name);
}

void library_clear(Library *library)
{
    free(library->path);
    free(library->realpath);
    strv_free(library->looked);
    *library = (Library){ 0 };
}

char *library_build_id(const Library *library)
{
    return xasprintf("%" PRIuMAX ":%" PRIuMAX ":%" PRIdMAX ".%09ld:%" PRIu64, (uintmax_t)library->dev,
                     (uintmax_t)library->inode, (intmax_t)library->mtime.tv_sec, library->mtime.tv_nsec,
                     library->size);
}

static char *build_id(const struct stat *st)
{
    return library_build_id(&(Library){
        .dev = st->st_dev, .inode = st->st_ino, .mtime = st->st_mtim, .size = (uint64_t)st->st_size });
}

/* ---- who could change it ---- */

static int walk(const char *path, char ***looked, char **ret_realpath, struct stat *ret_stat,
                char **ret_reason)
{
    const TrustRules rules = { .owner = 0, .shared = true, .looked = looked };
    /* A package helps only where packages put libraries. */
    const bool packaged = strncmp(path, "/usr/lib/", 9) == 0 || strncmp(path, "/lib/", 5) == 0;
    _cleanup_(freep) char *hint = package_hint(packaged ? strrchr(path, '/') + 1 : ""), *reason = NULL;
    int r = trust_walk(path, &rules, ret_realpath, ret_stat, &reason);

    if (r < 0)
        return REFUSE(r, ret_reason, "%s %s%s", path, reason, r == -ENOENT ? hint : "");
    return r;
}

char *library_build_id_of(const char *path)
{
    struct stat st;

    return stat(path, &st) < 0 ? NULL : build_id(&st);
}

char *library_guard(char *const *looked)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    STRV_FOREACH (path, looked) {
        struct stat st;
        if (lstat(*path, &st) < 0) {
            fputs("- ", f);
            continue;
        }
        fprintf(f, "%o:%u:%u", (unsigned)st.st_mode, (unsigned)st.st_uid, (unsigned)st.st_gid);
        if (!S_ISDIR(st.st_mode)) { /* the times of a directory change with each file in it */
            _cleanup_(freep) char *id = build_id(&st);
            fprintf(f, ":%s", id);
        }
        fputc(' ', f);
    }
    fclose(f);
    return text;
}

/* ---- what is in it ---- */

/* What the headers of both classes begin with; the fields of interest are at the same place in each. */
typedef struct ElfStart {
    unsigned char ident[EI_NIDENT];
    uint16_t type;
    uint16_t machine;
} ElfStart;

/* 0; -ENOEXEC: no ELF file. */
static int elf_read(const char *path, ElfStart *ret)
{
    /* O_NONBLOCK: should it have become a FIFO since it was looked at. */
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    ElfStart start;
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = pread(fd, &start, sizeof(start), 0);
    if (n < 0)
        return -errno;
    if ((size_t)n < sizeof(start) || memcmp(start.ident, ELFMAG, SELFMAG) != 0)
        return -ENOEXEC;
    *ret = start;
    return 0;
}

int library_check_elf(const char *path, const char *probe_path, char **ret_reason)
{
    ElfStart library = { 0 }, probe = { 0 };
    int r = elf_read(probe_path, &probe);

    if (r < 0)
        return REFUSE(r, ret_reason, "%s cannot be checked: %s: %s", path, probe_path, strerror(-r));
    r = elf_read(path, &library);
    if (r == -ENOEXEC)
        return REFUSE(r, ret_reason, "%s is not a library: it is not an ELF file", path);
    if (r < 0)
        return REFUSE(r, ret_reason, "%s cannot be read: %s", path, strerror(-r));
    if (library.ident[EI_CLASS] != probe.ident[EI_CLASS])
        return REFUSE(-ENOEXEC, ret_reason,
                      "%s is for another architecture: it is a %s-bit library, programs here are %s-bit",
                      path, library.ident[EI_CLASS] == ELFCLASS32 ? "32" : "64",
                      probe.ident[EI_CLASS] == ELFCLASS32 ? "32" : "64");
    if (library.ident[EI_DATA] != probe.ident[EI_DATA])
        return REFUSE(-ENOEXEC, ret_reason, "%s is for another architecture: its byte order is different",
                      path);
    /* Both have the same byte order, so they can be compared as they are, whatever ours is. */
    if (library.machine != probe.machine)
        return REFUSE(-ENOEXEC, ret_reason,
                      "%s is for another architecture: its ELF machine is %u, that of programs here is %u",
                      path, library.machine, probe.machine);
    if (library.type != ET_DYN)
        return REFUSE(-ENOEXEC, ret_reason, "%s is not a library, but a program or another kind of ELF file",
                      path);
    return 0;
}

/* ---- what the dynamic linker makes of it ---- */

/* The linker's own words on why it does not accept the library, from "ERROR: ld.so: object '…' from
 * LD_PRELOAD cannot be preloaded (WORDS): ignored."; NULL: it accepts it. Owned by the caller. */
static char *trace_refusal(const char *err)
{
    static const char before[] = "cannot be preloaded (", after[] = "): ignored";
    const char *words = strstr(err, before), *end;

    if (!words)
        return NULL;
    words += strlen(before);
    end = strstr(words, after);
    return xstrndup(words, end ? (size_t)(end - words) : strcspn(words, "\n"));
}

/* Runs the dynamic linker on the probe with `preload`, without loading anything. */
static int trace(const char *preload, const char *probe_path, SubprocessResult *ret, char **ret_reason)
{
    _cleanup_(strv_freep) char **environment = NULL;
    int r;

    strv_push(&environment, xstrdup("LD_TRACE_LOADED_OBJECTS=1"));
    strv_push(&environment, xasprintf("LD_PRELOAD=%s", preload));
    r = subprocess_run(probe_path, environment, TRACE_TIMEOUT, ret);
    if (r < 0)
        return REFUSE(r, ret_reason, "%s cannot be looked up: %s cannot be run: %s", preload, probe_path,
                      strerror(-r));
    return 0;
}

/* One line of the trace: "\tNAME => PATH (0x7f…)", "\tNAME => not found", "\tPATH (0x7f…)", and others that
 * name no file (the vdso). False for those. *ret_path is NULL when it was not found. */
static bool trace_line(const char *line, char **ret_name, char **ret_path)
{
    _cleanup_(freep) char *text = xstrndup(line, strcspn(line, "\n"));
    char *name = text + strspn(text, "\t "), *arrow = strstr(name, " => "), *path = name, *address;

    if (arrow) {
        *arrow = '\0';
        path = arrow + strlen(" => ");
    } else if (name[0] != '/')
        return false;
    address = strstr(path, " (0x");
    if (address)
        *address = '\0';
    *ret_name = xstrdup(name);
    *ret_path = path[0] == '/' ? xstrdup(path) : NULL;
    return true;
}

/* The path that the trace gives for a bare name, or NULL. */
static char *trace_find(const char *out, const char *name)
{
    for (const char *line = out; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        _cleanup_(freep) char *found = NULL, *path = NULL;

        if (trace_line(line, &found, &path) && streq(found, name))
            return TAKE_PTR(path);
    }
    return NULL;
}

/* Everything that is loaded into a process with the library must exist, and be as safe as the library. */
static int check_needed(const char *library, const char *out, char ***looked, char **ret_reason)
{
    _cleanup_(strv_freep) char **files = NULL;

    strv_push(&files, xstrdup(library));
    for (const char *line = out; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        _cleanup_(freep) char *name = NULL, *path = NULL, *real = NULL, *reason = NULL;
        struct stat st;
        int r;

        if (!trace_line(line, &name, &path))
            continue;
        if (!path)
            return REFUSE(-ENOENT, ret_reason, "%s needs %s, which is not installed", library, name);
        r = walk(path, looked, &real, &st, &reason);
        if (r < 0)
            return REFUSE(r, ret_reason, "%s needs %s: %s", library, name, reason);
        strv_push(&files, TAKE_PTR(path));
    }
    return library_check_search(files, looked, ret_reason);
}

/* ld.so splits LD_PRELOAD at blanks and colons and expands "$ORIGIN" and the like, and there is no way to
 * quote; control characters have no place in a drop-in. */
static bool can_be_preloaded(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == ':' || *s == '$' || *s == '\x7f')
            return false;
    return true;
}

static int check_name(const char *name, char **ret_reason)
{
    if (!*name)
        return REFUSE(-EINVAL, ret_reason, "the library has no name");
    if (strlen(name) >= PATH_MAX)
        return REFUSE(-EINVAL, ret_reason, "the library's name is too long");
    if (!can_be_preloaded(name))
        return REFUSE(
            -EINVAL, ret_reason,
            "\"%s\" cannot be preloaded: the dynamic linker accepts no blanks, colons or \"$\" in a "
            "library's name",
            name);
    if (strchr(name, '/') && name[0] != '/')
        return REFUSE(-EINVAL, ret_reason, "\"%s\" is neither a bare name nor an absolute path", name);
    return 0;
}

/* The file that the dynamic linker finds for a bare name. */
static int find(const char *name, const char *probe_path, char **ret_path, char **ret_reason)
{
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };
    _cleanup_(freep) char *words = NULL, *path = NULL;
    int r = trace(name, probe_path, &result, ret_reason);

    if (r < 0)
        return r;
    path = trace_find(result.out, name);
    if (path) {
        *ret_path = TAKE_PTR(path);
        return 0;
    }
    words = trace_refusal(result.err);
    /* glibc says the same of a file that is not there and of one that it may not open. */
    if (!words || strstr(words, "cannot open shared object file")) {
        _cleanup_(freep) char *hint = package_hint(name);
        return REFUSE(-ENOENT, ret_reason, "%s is not installed: the dynamic linker finds no such library%s",
                      name, hint);
    }
    return REFUSE(-ENOEXEC, ret_reason, "%s is refused by the dynamic linker: %s", name, words);
}

/* Would it be loaded? Finds what the header did not show: a program, a damaged file, a missing library. */
static int check_loadable(const char *path, const char *probe_path, char ***looked, char **ret_reason)
{
    _cleanup_(subprocess_result_clear) SubprocessResult result = { 0 };
    _cleanup_(freep) char *words = NULL;
    _cleanup_(freep) char *reason = NULL;
    /* First where it looks itself, so that what others have put there already is not even asked. Whatever
     * else is wrong with it the dynamic linker says better. */
    int r = library_check_search((char *[]){ (char *)path, NULL }, looked, &reason);

    if (r == -EPERM) {
        *ret_reason = TAKE_PTR(reason);
        return r;
    }
    r = trace(path, probe_path, &result, ret_reason);
    if (r < 0)
        return r;
    words = trace_refusal(result.err);
    if (words)
        return REFUSE(-ENOEXEC, ret_reason, "%s is refused by the dynamic linker: %s", path, words);
    if (result.signal || result.exit_status)
        return REFUSE(-ENOEXEC, ret_reason, "%s is refused by the dynamic linker: %.*s", path,
                      (int)strcspn(result.err, "\n"), result.err);
    return check_needed(path, result.out, looked, ret_reason);
}

/* The directory without links, as AppArmor's rules name it, but the file by the name that stays the same. */
static void locate(const char *found, Library *library)
{
    const char *slash = strrchr(found, '/');
    _cleanup_(freep) char *folder = xstrndup(found, slash > found ? (size_t)(slash - found) : 1);
    _cleanup_(freep) char *real = realpath(folder, NULL);

    library->realpath = realpath(found, NULL);
    if (real && library->realpath)
        library->path = xasprintf("%s/%s", streq(real, "/") ? "" : real, slash + 1);
}

static int check_found(const char *found, const char *probe_path, Library *library, char **ret_reason)
{
    _cleanup_(freep) char *real = NULL;
    struct stat st;
    int r = walk(found, &library->looked, &real, &st, ret_reason);

    if (r >= 0)
        r = library_check_elf(real, probe_path, ret_reason);
    if (r < 0)
        return r;
    if (!library->path || !streq(real, library->realpath))
        return REFUSE(-ESTALE, ret_reason, "%s changed while it was examined", found);
    if (!can_be_preloaded(library->path) || !can_be_preloaded(real))
        return REFUSE(
            -EINVAL, ret_reason,
            "\"%s\" cannot be preloaded: the dynamic linker accepts no blanks, colons or \"$\" in a "
            "library's path",
            library->path);
    library->dev = st.st_dev;
    library->inode = st.st_ino;
    library->mtime = st.st_mtim;
    library->size = (uint64_t)st.st_size;
    return check_loadable(library->path, probe_path, &library->looked, ret_reason);
}

int library_resolve(const char *name, const char *probe_path, Library *ret, char **ret_reason)
{
    _cleanup_(freep) char *found = NULL;
    int r = check_name(name, ret_reason);

    if (r < 0)
        return r;
    if (name[0] == '/')
        found = xstrdup(name);
    else {
        r = find(name, probe_path, &found, ret_reason);
        if (r < 0)
            return r;
    }
    Library library = { 0 };
    locate(found, &library);
    r = check_found(found, probe_path, &library, ret_reason);
    if (r == -ENOENT) {
        free(TAKE_PTR(library.path));
        free(TAKE_PTR(library.realpath));
    }
    *ret = library;
    return r;
}
