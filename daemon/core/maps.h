/* SPDX-License-Identifier: BSD-3-Clause */
/* Which allocator a process really runs, judged from the text of its /proc/PID/maps (proc(5)) and its
 * environment. Pure. */
#pragma once

#include "core/util.h"

typedef enum Family {
    FAMILY_GLIBC, /* nothing but libc serves malloc */
    FAMILY_JEMALLOC,
    FAMILY_MIMALLOC,
    FAMILY_TCMALLOC, /* gperftools */
    FAMILY_OTHER,    /* a preloaded library that the probe knows by no name */
    _FAMILY_MAX,
    _FAMILY_INVALID = -1,
} Family;
const char *family_to_string(Family f); /* "glibc", "jemalloc", "mimalloc", "tcmalloc", "other" */
Family family_from_string(const char *s);

/* By file name: libjemalloc*.so*, libmimalloc*.so*, libtcmalloc*.so*; anything else is FAMILY_OTHER. */
Family family_of_library(const char *path);

typedef struct MappedLibrary {
    char *path; /* as mapped, octal escapes undone, without " (deleted)"; NULL: none (glibc serves malloc) */
    uint64_t inode; /* 0 when none */
    bool deleted;   /* the file was removed or replaced since it was mapped */
    Family family;
} MappedLibrary;
void mapped_library_clear(MappedLibrary *m);

/* The library that serves malloc: of all libraries with an executable mapping, the one that stands first in
 * `preload` (the value of LD_PRELOAD of the process, names or paths separated by blanks or colons; may be
 * NULL); else one that is an allocator by its file name (the program may be linked with it, or
 * /etc/ld.so.preload name it); else none. A preloaded library counts as allocator when it is one by name, or
 * when its path is in `ours`, a strv of the resolved (realpath) libraries of the configuration, which may
 * bear any name. 0; -ENODATA: the text has no mapping at all (a zombie, or a kernel thread). */
int maps_find_allocator(const char *maps, const char *preload, char *const *ours, MappedLibrary *ret);

/* Is a file of that path mapped executable? (deleted or not) */
bool maps_has_file(const char *maps, const char *path);
