/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds the file behind an allocator's library and refuses what must not be preloaded into a relay. */
#pragma once

#include "core/util.h"

#include <sys/stat.h>

typedef struct Library {
    char *path;     /* to write into the drop-in: the folder's real path, the file's own name
                       ("…/libmimalloc.so.2") */
    char *realpath; /* all links resolved: what /proc/PID/maps will show */
    dev_t dev;
    ino_t inode;
    struct timespec mtime;
    uint64_t size;
} Library;
void library_clear(Library *library);
/* "dev:inode:mtime:size": the identity of one build of a library, to remember it refused. Owned by the
 * caller. */
char *library_build_id(const Library *library);

/* Resolves `name`: an absolute path as it stands; a bare name by asking the dynamic linker itself, which
 * loads nothing: the probe started with LD_TRACE_LOADED_OBJECTS=1 (ld.so(8)) and LD_PRELOAD=name, as an
 * unprivileged process. Then checks: a regular file; an ELF shared object of the class and machine of
 * `probe_path` itself; file and every folder on its path (of the name as given and of the real path) owned by
 * root and writable by root alone (sticky bits do not help). 0; on refusal -ENOENT (not found), -ENOEXEC (not
 * ELF, or wrong class or machine), -EPERM (unsafe), -EINVAL, and *ret_reason a sentence without full stop
 * that names the path, the fault, and the Debian package to install where it is known ("libjemalloc2" for
 * libjemalloc.so.2, …). Blocks for some ms: used at load time, not in the loop. */
int library_resolve(const char *name, const char *probe_path, Library *ret, char **ret_reason);

/* The Debian/Ubuntu package that ships a bare library name, or NULL. */
const char *library_package(const char *name);
