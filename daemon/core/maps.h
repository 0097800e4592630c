/* SPDX-License-Identifier: BSD-3-Clause */
/* Which allocator a process really runs, judged from the text of its /proc/PID/maps (proc(5)) and its
 * environment. Pure. The text may be hostile: lines that are no mapping are passed over. */
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
    char *path;     /* as mapped, newlines restored, without " (deleted)"; NULL: none (glibc serves malloc) */
    uint64_t inode; /* 0 when none */
    bool deleted;   /* the file was removed or replaced since it was mapped */
    Family family;
} MappedLibrary;
void mapped_library_clear(MappedLibrary *m);

/* The library that serves malloc: of all libraries with an executable mapping, the one that stands first in
 * `preload` (the value of LD_PRELOAD of the process, names or paths separated by blanks or colons; may be
 * NULL); else one that is an allocator by its file name or in `ours` (the program may be linked with it, or
 * /etc/ld.so.preload name it); else none. `ours` is a strv of the resolved (realpath) libraries of the
 * configuration, which may bear any name. 0; -ENODATA: the text has no mapping at all (a zombie, or a kernel
 * thread).
 *
 * A mapped file belongs to an entry of `preload` when its file name is the entry's, or the entry's followed
 * by "." and more: libmimalloc.so.2 is a link to libmimalloc.so.2.0, and maps shows the latter. Folders are
 * not compared (an entry may be a bare name, hold $LIB, or lead through links), but the very path wins over
 * the name alone. Such a file counts as the allocator when it is one by its name, is in `ours`, or is another
 * whose name contains "malloc" (FAMILY_OTHER).
 *
 * Limits: an entry that is a link to a file of quite another name is found only when that file is in `ours`,
 * and then ranks after all entries found by name. Of several allocators that are mapped but not preloaded,
 * the one at the lowest address is taken: the order of loading cannot be seen in maps. One that was linked
 * in statically cannot be seen either. Only the first 64 entries of `preload` are looked at.
 *
 * The kernel writes a newline in a path as "\012" and nothing else so; a name that holds these four
 * characters, or that ends in " (deleted)" by itself, cannot be told apart (proc(5)). */
int maps_find_allocator(const char *maps, const char *preload, char *const *ours, MappedLibrary *ret);
