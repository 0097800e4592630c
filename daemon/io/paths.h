/* SPDX-License-Identifier: BSD-3-Clause */
/* Where things are: our own programs, and the directories that we read and write. Decides nothing else. All
 * are owned by the caller. */
#pragma once

/* The path of relayalloc-probe: in the directory of the running program (an uninstalled build/), else
 * LIBEXECDIR "/relayalloc-probe", whether it exists there or not. */
char *path_of_probe(void);

/* The directory of the drop-in directories, that of our state, and /proc. Other places can be given by
 * RELAYALLOC_DROPIN_ROOT, RELAYALLOC_STATE_DIR and RELAYALLOC_PROC, for tests and for runs beside an
 * installed daemon; not in the manual. */
char *path_of_dropins(void);
char *path_of_state(void);
char *path_of_proc(void);
