/* SPDX-License-Identifier: BSD-3-Clause */
/* Notices that what was read-only on the host when the daemon started is writable again there, and not for
 * the daemon: its copies of the mounts are from its start, and only another start makes new ones. */
#pragma once

#include "manager/model.h"

/* Before anything else at the start: how the host's mounts are now. Owned by the caller; NULL: not known. */
char *read_only_start(const Manager *m);
/* Remembers what it writes to, and was read-only then, or may have been. */
void read_only_begin(Manager *m, const char *mounts);

/* Is the directory of this file, which has an absolute path, read-only for all, and not only for the daemon?
 */
bool read_only_on_host(const Manager *m, const char *path);

/* Is that so? Then the daemon ends (its state is saved, and a relay in progress is found again as after a
 * crash), and systemd starts it again: at once, or when it has run for a while, for systemd does not do that
 * without end. true: no rollout is to begin until then. The loop ends with -ESTALE. */
bool read_only_look(Manager *m);
/* Would it end now, and certainly not in vain? */
bool read_only_ends(const Manager *m);
