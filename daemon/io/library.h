/* SPDX-License-Identifier: BSD-3-Clause */
/* Finds the file behind an allocator's library and refuses what must not be preloaded into a relay. */
#pragma once

#include "core/util.h"

#include <sys/stat.h>

typedef struct Library {
    char *path;     /* to write into the drop-in: the directory's real path, the file's own name
                       ("…/libmimalloc.so.2"), so that an upgrade of the package does not break the drop-in */
    char *realpath; /* all links resolved: what /proc/PID/maps will show */
    dev_t dev;
    ino_t inode;
    struct timespec mtime;
    uint64_t size;
    char **looked; /* strv: all paths that decided whether it is safe */
} Library;
void library_clear(Library *library);
/* "dev:inode:mtime:size": the identity of one build of a library, to remember it refused. Owned by the
 * caller. */
char *library_build_id(const Library *library);
/* The same of the file at `path` now; NULL: it cannot be examined. */
char *library_build_id_of(const char *path);
/* How the paths in `looked` are now: differs when one of them became another file, or another's, or writable
 * by others, but not when a directory got another entry. An lstat(2) for each. Owned by the caller. */
char *library_guard(char *const *looked);

/* Resolves `name`: an absolute path as it is; a bare name by asking the dynamic linker itself, which loads
 * nothing: the probe started with LD_TRACE_LOADED_OBJECTS=1 (ld.so(8)) and LD_PRELOAD=name, as an
 * unprivileged process. Then checks: who could change it (io/trust), for root alone; a regular file;
 * library_check_elf(); that the dynamic linker would accept it, and finds the libraries that it needs; who
 * could change those, which come into the relay with it; and who could put others where it and they look for
 * them (DT_RPATH, DT_RUNPATH). 0; on refusal -ENOENT (it, or a library that it needs, is not installed),
 * -ENOEXEC (not ELF, wrong class or machine, or the dynamic linker does not want it), -EPERM (unsafe),
 * -EACCES (not readable for everybody), -EINVAL (no name or path that LD_PRELOAD can take, or no regular
 * file), or what else went wrong; and *ret_reason a sentence without full stop that names the path, the
 * fault, and what to do where it is known; and of *ret, to be cleared, `looked`, and but for -ENOENT path and
 * realpath where they are known. Blocks for some ms: used at load time, not in the loop. */
int library_resolve(const char *name, const char *probe_path, Library *ret, char **ret_reason);

/* The package of this release of Debian or Ubuntu that has a bare library name, or NULL. */
const char *library_package(const char *name);

/* ---- the steps of library_resolve(), apart for the tests; errors and *ret_reason as above ---- */

/* Is it an ELF shared object, of the class, byte order and machine of the probe itself, which is what relays
 * run here? */
int library_check_elf(const char *path, const char *probe_path, char **ret_reason);
