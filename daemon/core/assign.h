/* SPDX-License-Identifier: BSD-3-Clause */
/* Which relay belongs to which group: the first group that takes a relay keeps it. Sized groups choose by
 * rendezvous hashing, so that a relay that joins or leaves moves at most one other relay in each of them.
 * Pure. */
#pragma once

#include "core/config.h"

#define GROUP_NONE SIZE_MAX

/* For each of the n relay names (unique), the index of its group in config->groups, or GROUP_NONE: observed
 * only. ret[] has room for n. The order of the names does not matter to the outcome. */
void assign_groups(const Config *config, const char *const *relays, size_t n, size_t *ret);
