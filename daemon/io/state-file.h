/* SPDX-License-Identifier: BSD-3-Clause */
/* What cannot be read back from the world after a crash: /var/lib/relayalloc/state, in libconfig's syntax,
 * written whole (temp + fsync + rename + fsync of the directory). */
#pragma once

#include "core/memory.h"

/* `dir` is the directory. 0, also when there is no file yet (an empty State); -EBADMSG: the file is damaged
 * (an empty State is returned anyway: nothing in it is worth not starting for); other errno. */
int state_file_load(const char *dir, State **ret);
int state_file_save(const char *dir, const State *state);
