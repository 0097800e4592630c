/* SPDX-License-Identifier: BSD-3-Clause */
/* The directories of tor's instances, where relays that do not run are found, too. */
#pragma once

/* Units of the template (a strv) whose directories lie in `dir`: directories (and links to them) that have a
 * torrc; names that are not an instance's, those with a leading dot, and those that no unit can have are
 * skipped. Without `dir` there are none. 0; -E2BIG: unreasonably many; or why it, or for a moment what is in
 * it, cannot be read: the list, owned by the caller in any case, then has those that could be, NULL: none. */
int instances_list(const char *dir, const char *unit_template, char ***ret_units);
