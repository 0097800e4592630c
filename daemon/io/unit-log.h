/* SPDX-License-Identifier: BSD-3-Clause */
/* The last lines of a unit in the journal. */
#pragma once

#include "core/util.h"

#include <sys/types.h>

/* At most `lines` of them, oldest first, each ended by a newline; ours about the unit are left out. "" when
 * there are none, or the journal cannot be read. Owned by the caller. Reads a few index pages; some ms. */
char *unit_log_tail(const char *unit, size_t lines);

/* The newest line with `words` in it that process `pid` wrote in that run of a unit (its InvocationID:
 * numbers of processes come again); NULL: none among its last few hundred. Owned by the caller. */
char *unit_log_find(const char *invocation, pid_t pid, const char *words);
