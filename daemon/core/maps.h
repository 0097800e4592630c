/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that a process runs code of, from the text of its /proc/PID/maps (proc(5)), and what their names
 * say about allocators. Pure. The text may be hostile: lines that are no mapping are passed over. */
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

/* A file of which a process has mapped something executable. */
typedef struct MappedObject {
    char *path;  /* as mapped, newlines restored, without " (deleted)" */
    char *range; /* one of its mappings, as /proc/PID/map_files names it: "7f45b8c15000-7f45b8c3b000" */
    unsigned major, minor;
    uint64_t inode;
    bool deleted; /* the file was removed or replaced since it was mapped */
} MappedObject;

/* More files than that are left out: a relay can map what it likes. tor maps about twenty. */
#define MAPPED_OBJECTS_MAX 256

typedef struct MappedObjects {
    MappedObject *items; /* by address */
    size_t n, capacity;
    bool complete; /* none was left out */
} MappedObjects;
void mapped_objects_clear(MappedObjects *objects);

/* Leaves of the complete lines among these `n` bytes those of executable mappings, and what follows the last
 * line break; how many bytes are left. For who reads maps in pieces: others there may be a million. */
size_t maps_keep_executable(char *text, size_t n);

/* Those in the text of /proc/PID/maps, each once. 0; -ENODATA: the text has no mapping at all (a zombie, or a
 * kernel thread).
 *
 * The kernel writes a newline in a path as "\012" and nothing else so; a name that holds these four
 * characters, or that ends in " (deleted)" by itself, cannot be distinguished (proc(5)). */
int maps_objects(const char *maps, MappedObjects *ret);
