/* SPDX-License-Identifier: BSD-3-Clause */
/* Which relay belongs to which group: the first group that takes a relay keeps it. Sized groups choose by
 * rendezvous hashing, so that a relay that joins or leaves moves at most one other relay in each of them.
 * Pure. */
#pragma once

#include "core/config.h"

#define GROUP_NONE SIZE_MAX

/* For each of the n relay names (unique), the index of its group in config->groups, or GROUP_NONE: observed
 * only. ret[] has room for n. The order of the names does not matter to the outcome, nor does the locale.
 *
 * Names match exactly, patterns as of fnmatch(3) without flags: "*" also matches a leading "." and "/".
 * A share is of the relays that are free and match, rounded to the nearest, halves up.
 *
 * "At most one other" holds as long as no more than one share group has patterns of its own. Overlapping ones
 * can round up together for one relay, and then each draws one more from a group after them. */
void assign_groups(const Config *config, const char *const *relays, size_t n, size_t *ret);

/* The same where groups that `hold` keep whom they have, as long as they may have so many: has[] names the
 * group that each relay has now (NULL: none, or not known), and those of which unknown[] says (NULL: of none)
 * that nobody remembers how they came by it stand back behind the others. Only then does the past matter. */
void assign_groups_holding(const Config *config, const char *const *relays, const char *const *has,
                           const bool *unknown, size_t n, size_t *ret);

/* The first group without `size` and `share` that names the relay; GROUP_NONE. */
size_t assign_without_quota(const Config *config, const char *relay);

/* Notes each name and pattern that none of these relays has, or of which an earlier group leaves nothing, and
 * each group that gets no relay for another reason, with where it stands. `relays` ends with NULL behind the
 * n names; `assigned` is what assign_groups() made of them. Of a host without relays nothing is noted. */
void assign_judge(const Config *config, const char *const *relays, size_t n, const size_t *assigned,
                  Problems *problems);
