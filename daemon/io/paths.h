/* SPDX-License-Identifier: BSD-3-Clause */
/* Where our own programs lie: beside the running one when it was never installed, else under the prefix.
 * Decides nothing else. */
#pragma once

/* The path of relayalloc-probe: in the folder of the running program (an uninstalled build/), else
 * LIBEXECDIR "/relayalloc-probe", whether it exists there or not. Owned by the caller. */
char *path_of_probe(void);
