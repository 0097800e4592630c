/* SPDX-License-Identifier: BSD-3-Clause */
/* The folders of tor's instances, where relays that do not run are found, too. */
#pragma once

/* Units of the template (a strv) whose folders lie in `dir`: folders and links to folders; others' names,
 * those with a dot in front, and what no unit can be called are passed over. Without `dir` there are none.
 * 0; -E2BIG: beyond all sense; or why it cannot be read. */
int instances_list(const char *dir, const char *unit_template, char ***ret_units);
