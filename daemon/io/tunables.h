/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks the dynamic linker of this host which tunables its glibc has. Decides nothing. */
#pragma once

/* What "ld.so --list-tunables" prints: of the dynamic linker that this program was started with, run as an
 * unprivileged process, bounded in time and output. *ret NULL: it has no such option (glibc before 2.33), or
 * could not be run; owned by the caller. 0, or an error that may pass (-EAGAIN: it took longer than 5 s, or
 * was killed). Blocks for a few ms. */
int tunables_list(char **ret);
