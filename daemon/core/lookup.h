/* SPDX-License-Identifier: BSD-3-Clause */
/* Who serves malloc in a process: decided as the dynamic linker does, by what the mapped files define and in
 * the order in which it looks (ld.so(8)), and not by what they are called. Pure: the files were read
 * elsewhere.
 *
 * The order: the program, the entries of LD_PRELOAD, those of /etc/ld.so.preload, then what all of these need
 * (DT_NEEDED), then what that needs, and so on. What is mapped and is not in this order was loaded later
 * (dlopen(3)), or by an /etc/ld.so.preload that has been changed since. It counts as serving malloc when
 * nothing but libc does otherwise: of the latter that is true, and of the former, which serves nobody but
 * itself, none is known that tor would load and that defines malloc. */
#pragma once

#include "core/elf.h"
#include "core/maps.h"

#define SYSTEM_PRELOAD "/etc/ld.so.preload"

/* What one file says. */
typedef struct ObjectFacts {
    bool serves;   /* defines malloc, for others, or as the program itself */
    Family family; /* whose malloc that is, by other functions beside it; FAMILY_OTHER: an unknown one */
    bool silent;   /* a program that is linked statically and stripped: it cannot be seen */
    char *soname;  /* NULL: none */
    char **needed;
} ObjectFacts;

/* `program`: it is the process's program, in which malloc may be linked statically, so that the whole symbol
 * table is looked at, too. 0, also for what is no ELF file (which defines nothing), else as elf_parse(). */
int object_facts_read(const ElfInput *input, bool program, ObjectFacts *ret);
void object_facts_clear(ObjectFacts *facts);

typedef struct PreloadEntry {
    char *name;    /* as it is written */
    char *target;  /* of one that is a path: where it leads, all links followed; NULL: not looked up, or to
                      nothing */
    bool system;   /* from /etc/ld.so.preload */
    bool serves;   /* what it leads to, or what came by it, defines malloc */
    size_t object; /* index of the mapped file that came by it, set by lookup_malloc(); SIZE_MAX: none */
} PreloadEntry;

/* The first of each source; ld.so itself has no bound. */
#define PRELOADS_MAX 64

typedef struct Preloads {
    PreloadEntry *items; /* in the order of lookup */
    size_t n, capacity;
} Preloads;
/* `variable`: the value of LD_PRELOAD, `system`: the text of /etc/ld.so.preload; each may be NULL. */
Preloads preloads_parse(const char *variable, const char *system);
void preloads_clear(Preloads *preloads);
/* The first entry of /etc/ld.so.preload that brings an allocator into every process that starts now; NULL:
 * none. */
const PreloadEntry *preloads_system_allocator(const Preloads *preloads);
/* A strv, owned by the caller, of the entries of LD_PRELOAD by which nothing came; after lookup_malloc(). */
char **preloads_not_loaded(const Preloads *preloads);

typedef enum Origin {
    ORIGIN_LIBC,           /* none but glibc */
    ORIGIN_PROGRAM,        /* linked into the program itself */
    ORIGIN_PRELOAD,        /* by LD_PRELOAD */
    ORIGIN_SYSTEM_PRELOAD, /* by /etc/ld.so.preload */
    ORIGIN_NEEDED,         /* the program, or a library, is linked with it */
    ORIGIN_LOADED,         /* by none of these */
    _ORIGIN_MAX,
} Origin;

typedef struct MappedLibrary {
    char *path;     /* what serves malloc, as mapped; NULL: glibc */
    uint64_t inode; /* 0 when glibc */
    bool deleted;
    bool elsewhere; /* known to be another file than the one of that path here: the process has mounts, or a
                       root, of its own */
    Family family;
    Origin origin;
    /* A file that could not be read and may decide, so that names had to do; NULL: it is proved. */
    char *unread;
} MappedLibrary;
void mapped_library_clear(MappedLibrary *m);

typedef struct LookupFacts {
    const MappedObjects *objects;
    const ObjectFacts *const *facts; /* by index of the object; NULL: it could not be read */
    const bool *elsewhere;           /* likewise, as MappedLibrary has it; NULL: of none */
    const char *program;             /* its path; NULL: not known */
    char *const
        *ours; /* strv of the resolved (realpath) libraries of the configuration: allocators by any name */
} LookupFacts;

/* A mapped file belongs to a preload entry when it is where the entry leads, when its soname or its file name
 * is the entry's, or the file name is the entry's followed by "." and more: libmimalloc.so.2 is a link to
 * libmimalloc.so.2.0, and maps shows the latter. Directories are not compared (an entry may be a bare name or
 * contain $LIB), but the nearest match counts.
 *
 * A file that could not be read counts as an allocator when it is one by its name (family_of_library()), is
 * in `ours`, or is preloaded and its name contains "malloc". */
void lookup_malloc(const LookupFacts *facts, Preloads *preloads, MappedLibrary *ret);
