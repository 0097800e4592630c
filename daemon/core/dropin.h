/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of our drop-in, rendered and recognised. Quoting follows systemd.syntax(7) and the specifiers of
 * systemd.unit(5): "%" is written "%%", quotes and backslashes are escaped. Pure. */
#pragma once

#include "core/config.h"

#define DROPIN_NAME "zz-relayalloc.conf"
#define DROPIN_MARK "# relayalloc: written from "

/* The whole file for a relay of `group` with `allocator`. `library` is the absolute path to preload, or NULL:
 * then the file says Environment="LD_PRELOAD=" so that no other drop-in's preload gets through. */
char *dropin_render(const char *config_path, const char *group, const Allocator *allocator,
                    const char *library);

/* Was this text written by us? (first line begins with the mark) */
bool dropin_is_ours(const char *text);

/* The strv of NAME=VALUE that the text's Environment= lines of [Service] amount to, unquoted, specifiers "%%"
 * undone (others kept as they are). Also for drop-ins of others: used to find who else sets a variable. An
 * empty assignment
 * ("Environment=") resets the list, as in systemd. */
char **dropin_environment(const char *text);

/* The strv of paths of its EnvironmentFile= lines, with a leading "-" kept. */
char **dropin_environment_files(const char *text);

/* NAME=VALUE lines of an EnvironmentFile (systemd.exec(5)): comments (# ;), quotes and continuation lines
 * handled. */
char **environment_file_parse(const char *text);
