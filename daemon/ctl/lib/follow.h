/* SPDX-License-Identifier: BSD-3-Clause */
/* Follows a rollout to its end: a progress bar on a terminal, else a line for each change. Changes nothing.
 */
#pragma once

#include "ctl/lib/ctl.h"

typedef struct Follow Follow;

/* Listens from now on; before the call that may start the rollout. 0; negative errno after a message (-ENXIO:
 * the daemon is not running). */
int follow_new(const CtlOptions *options, sd_bus *bus, Follow **ret);
Follow *follow_free(Follow *follow);
DEFINE_CLEANUP(Follow, follow_free)

/* Until the daemon has nothing more to do: EXIT_FINE, or EXIT_FAILED when the rollout was halted or aborted,
 * or the daemon exited. */
int follow_to_end(Follow *follow);
