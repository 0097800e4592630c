/* SPDX-License-Identifier: BSD-3-Clause */
/* Our drop-ins on disk: ROOT/UNIT.d/zz-relayalloc.conf, ROOT being /etc/systemd/system; and, beside one that
 * changes, what it was before, zz-relayalloc.conf.previous, until the relay has settled. Writes whole files
 * only (temp + fsync + rename + fsync of the directory), follows no symbolic link, and never changes a file
 * without our mark. */
#pragma once

#include "core/facts.h"

typedef struct DropinStore DropinStore;

/* The largest drop-in; systemd takes no line longer than that. */
#define DROPIN_SIZE_MAX ((size_t)1 << 20)

/* `root`: the directory of the drop-in directories; opened once. One that does not exist has no drop-ins, and
 * nothing can be written to it (-ENOENT): creating it is up to the system. */
int dropin_store_new(const char *root, DropinStore **ret);
DropinStore *dropin_store_free(DropinStore *store);
DEFINE_CLEANUP(DropinStore, dropin_store_free)

/* `unit` is a service instance's name ("tor@a.service") everywhere below; -EINVAL: it is not. -ENOTDIR: its
 * drop-in directory is something else, a symbolic link for example; then nothing of ours is in there. */

const char *dropin_store_root(const DropinStore *store);
/* The absolute path of the unit's drop-in; owned by the caller. */
char *dropin_store_path(const DropinStore *store, const char *unit);

/* Our text for `unit`. 0; -ENOENT: none; -EEXIST: a file of that name is there that is not ours (no mark, not
 * a regular file); -EFBIG; other errno. The caller owns *ret. A NUL in the file, which ends a line for
 * systemd, is a newline in *ret. */
int dropin_store_read(const DropinStore *store, const char *unit, char **ret);

/* The same into the facts of a relay (facts_take_dropin()). */
void dropin_store_look(const DropinStore *store, RelayFacts *relay);

/* 1: written; 0: it already had this text; -EEXIST: the file that is there is not ours; -EROFS, -ENOSPC, …:
 * nothing was changed (no temporary file stays behind, a directory made for it is removed again); only when
 * the last step, to bring the directory's own entries to the disk, fails (-EIO) is the new file there
 * already. The text must begin with the mark. A process that is killed at any point leaves the old file or
 * the new one. */
int dropin_store_write(DropinStore *store, const char *unit, const char *text);

/* 1: removed, and the directory too if ours was the last file in it; 0: there was none; -EEXIST: not ours. */
int dropin_store_remove(DropinStore *store, const char *unit);

/* While a relay is being moved, `text` (of its drop-in before; NULL: there was none) is kept beside it, as a
 * hard link where the drop-in still has it, else as a copy: to put it back then needs no space on the disk.
 * 0; -ENOSPC, -EROFS, …: it is not kept, and nothing else was changed. */
int dropin_store_keep(DropinStore *store, const char *unit, const char *text);

/* Makes the drop-in be `text` again (NULL: none), out of what is kept if that is it. As dropin_store_write()
 * and dropin_store_remove(). */
int dropin_store_put_back(DropinStore *store, const char *unit, const char *text);

/* What is kept is not needed any more. */
void dropin_store_forget(DropinStore *store, const char *unit);

/* The units (strv, sorted) that have a drop-in of ours, whatever the template: what an earlier configuration
 * left. Temporary files of ours that a crash left behind are removed on the way, and so are what is kept for
 * a relay whose unit is not among `moving` (strv), and a directory that has nothing else in it; one that
 * another process is just writing stays. 0; -E2BIG: unreasonably many; an error that may pass, of the
 * directory or of any of them: *ret, owned by the caller in any case, then has those that could be read. */
int dropin_store_list(DropinStore *store, char *const *moving, char ***ret);
