/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads what core/lookup wants to know of the files that a process has mapped, as the process sees them, and
 * remembers it, so that one build is read once for all relays. Decides nothing. */
#pragma once

#include "core/elf.h"
#include "core/lookup.h"

/* What was read, by device, inode, size and times of the file. */
typedef struct ElfCache ElfCache;
ElfCache *elf_cache_new(void);
ElfCache *elf_cache_free(ElfCache *cache);
DEFINE_CLEANUP(ElfCache, elf_cache_free)

/* How many files were read and parsed so far: for the tests. */
size_t elf_cache_reads(const ElfCache *cache);

/* What one file says, by its path; links are followed. 0; -EINVAL: it is no regular file; else as
 * object_facts_read(), or what opening it gave. */
int elf_file_read(const char *path, ObjectFacts *ret);

/* What elf_parse() reads of a regular file; its symbols cannot be asked for. 0, to be cleared; -EINVAL: no
 * regular file; errors of open(2) and elf_parse(). */
int elf_file_names(const char *path, Elf *ret);

/* What of an LD_PRELOAD of others (NULL: none) brings no allocator: in *ret a strv of its entries, in their
 * order, owned by the caller. 0, or an error that may pass, of an entry that could not be read. An entry that
 * is one of `libraries`, or leads to one (both as LookupFacts.ours, or what they are links to), brings one;
 * else what the file defines decides, and where it cannot be read, its name. A bare name is looked for beside
 * `libraries` and in the usual directories. An entry with a "%" is left out: what it stands for only systemd
 * knows. */
int elf_preloads_kept(const char *preload, char *const *libraries, char ***ret);

typedef struct ElfProcess {
    int dir;             /* its directory in /proc, open with O_PATH */
    const char *maps;    /* the text of its maps */
    const char *program; /* the path of what it runs; NULL: not known */
    const char *preload; /* its LD_PRELOAD; NULL: unset */
} ElfProcess;

/* Who serves malloc in the process. `ours` as in LookupFacts. *ret_preloads: what it, and the
 * /etc/ld.so.preload of its root, preload, judged by lookup_malloc().
 *
 * A mapped file is taken by its path where that has the very inode; else by /proc/PID/map_files, which needs
 * CAP_CHECKPOINT_RESTORE and leads to the file even when it was replaced or removed; else by its path below
 * /proc/PID/root. Only regular files are opened, and nothing is waited for. What cannot be read is judged by
 * its name (MappedLibrary.unread). 0; -ENODATA: `maps` has no mapping. */
int elf_cache_lookup(ElfCache *cache, const ElfProcess *process, char *const *ours, MappedLibrary *ret,
                     Preloads *ret_preloads);
