/* SPDX-License-Identifier: BSD-3-Clause */
/* A folder for one test program: files, compiled libraries and helper programs, gone at its end. Everybody
 * may read it, as what is tested runs as nobody. */
#pragma once

#include "core/util.h"
#include "io/library.h"
#include "test.h"

#include <assert.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* Not TMPDIR: that may be a folder that nobody cannot enter. */
static inline char *scratch_new(void)
{
    char *folder = xstrdup("/tmp/relayalloc-test-XXXXXX");

    if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
        abort();
    return folder;
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static inline void scratch_free(char *folder)
{
    nftw(folder, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(folder);
}

/* The path of a file of that content and mode. Owned by the caller, as all paths here. */
static inline char *scratch_write(const char *folder, const char *name, const void *data, size_t n,
                                  mode_t mode)
{
    char *path = xasprintf("%s/%s", folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, data, n) != (ssize_t)n || fchmod(fd, mode) < 0)
        abort();
    close(fd);
    return path;
}

/* Runs a program to its end and gives its exit status (128 + signal); *ret_out what it wrote to stdout. */
static inline int scratch_run(char *const *argv, char *const *environment, char **ret_out)
{
    extern char **environ;
    _cleanup_(fclosep) FILE *f = tmpfile();
    posix_spawn_file_actions_t actions;
    long size;
    pid_t pid;
    int status = 0;

    if (!f || posix_spawn_file_actions_init(&actions) != 0 ||
        posix_spawn_file_actions_adddup2(&actions, fileno(f), STDOUT_FILENO) != 0 ||
        posix_spawnp(&pid, argv[0], &actions, NULL, argv, environment ? environment : environ) != 0)
        abort();
    posix_spawn_file_actions_destroy(&actions);
    if (waitpid(pid, &status, 0) != pid || fseek(f, 0, SEEK_END) < 0 || (size = ftell(f)) < 0)
        abort();
    rewind(f);
    if (ret_out) {
        *ret_out = xcalloc((size_t)size + 1, 1);
        if (fread(*ret_out, 1, (size_t)size, f) != (size_t)size)
            abort();
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Compiles C source into a program, or with "-shared" into a library. `flags` may be NULL. */
static inline char *scratch_compile(const char *folder, const char *name, const char *source,
                                    const char *const *flags)
{
    _cleanup_(freep) char *file = xasprintf("%s/%s.c", folder, name);
    char *path = xasprintf("%s/%s", folder, name);
    const char *argv[16] = { "cc", "-w", "-O0", "-fPIC", "-D_GNU_SOURCE" };
    size_t n = 5;

    free(scratch_write(folder, strrchr(file, '/') + 1, source, strlen(source), 0644));
    for (; flags && *flags; flags++)
        argv[n++] = *flags;
    argv[n++] = "-o";
    argv[n++] = path;
    argv[n++] = file;
    assert(n < ELEMENTSOF(argv));
    if (scratch_run((char *const *)argv, NULL, NULL) != 0 || chmod(path, 0755) < 0)
        abort();
    return path;
}

static inline bool scratch_has_library(const char *name)
{
    int status = 0;
    pid_t child = fork(); /* an allocator that was loaded once does not like to go */

    if (child == 0)
        _exit(!dlopen(name, RTLD_LAZY | RTLD_LOCAL) &&
              strstr(dlerror(), "cannot open shared object file: No such file"));
    if (child < 0 || waitpid(child, &status, 0) != child)
        abort();
    return status == 0;
}

/* Skips the test when the dynamic linker does not find the library. */
static inline void scratch_need_library(const char *name)
{
    if (!scratch_has_library(name))
        skip_because("%s is not installed (apt install %s)", name, library_package(name));
}

/* Debian 12 and Ubuntu 24.04 have mimalloc 2, Debian 13 has mimalloc 3. */
static inline const char *scratch_mimalloc(void)
{
    return scratch_has_library("libmimalloc.so.2") ? "libmimalloc.so.2" : "libmimalloc.so.3";
}

static inline size_t scratch_count_fds(void)
{
    DIR *d = opendir("/proc/self/fd");
    size_t n = 0;

    if (!d)
        abort();
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}
