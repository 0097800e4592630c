/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes the text of a configuration file and keeps all that stands around the change, comments included.
 * Pure.
 */
#pragma once

/* The text with `groups` (one setting, with its comment and line end) in the place of its top-level "groups",
 * or at its end where it has none. Owned by the caller. */
char *config_text_with_groups(const char *text, const char *groups);
