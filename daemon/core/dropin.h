/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of our drop-in, rendered and recognised. Quoting follows systemd.syntax(7) and the specifiers of
 * systemd.unit(5): "%" is written "%%", quotes and backslashes are escaped. Pure. */
#pragma once

#include "core/config.h"

#define DROPIN_NAME "zz-relayalloc.conf"
#define DROPIN_MARK "# relayalloc: written from "

/* The whole file for a relay of `group` with `allocator`. `library` is the absolute path to preload, or NULL;
 * `kept` (strv) is preloaded behind it. With neither the file says Environment="LD_PRELOAD=" so that no other
 * drop-in's preload gets through. LD_PRELOAD is the first line; a variable that the allocator sets twice has
 * its last value. Whatever the strings hold, the text has no other lines than these; systemd ignores a
 * variable whose name is not of letters, digits and underscores, and stops reading the file at a value that
 * is not UTF-8. */
char *dropin_render(const char *config_path, const char *group, const Allocator *allocator,
                    const char *library, char *const *kept);

/* The group for which it was written, as its first line says; owned by the caller. NULL: not ours, or it does
 * not say. */
char *dropin_group(const char *text);

/* Was this text written by us? (first line begins with the mark) */
bool dropin_is_ours(const char *text);

/* The readers below read what others wrote as systemd does: what it ignores is left out, and where it stops
 * reading a file (a line that is not UTF-8, a section header without "]") they stop. At most this many
 * variables, or values, of one text are taken. */
#define DROPIN_ENVIRONMENT_MAX 4096

/* The strv of NAME=VALUE that the text's Environment= lines of [Service] amount to: each name once, unquoted,
 * specifiers "%%" undone (others kept as they are). Also for drop-ins of others: used to find who else sets a
 * variable. An empty assignment ("Environment=") resets the list, as in systemd; what it takes away from
 * files before this one is not to be seen here. */
char **dropin_environment(const char *text);

/* The same of DefaultEnvironment= in [Manager] of system.conf (systemd-system.conf(5)) and its drop-ins, one
 * after the other in one text. */
char **system_conf_environment(const char *text);

/* The strv of NAME=VALUE, each name once, of an EnvironmentFile (systemd.exec(5)): comments (# ;), quotes and
 * continuation lines handled. NULL when it is not UTF-8: systemd ignores the whole file then. */
char **environment_file_parse(const char *text);

/* The strv of the values that `key` is given in the sections of that name, in the text's order and as they
 * stand. An empty one, which takes away what was said before, is kept. For unit files and for all that has
 * their syntax. */
char **settings_values(const char *text, const char *section, const char *key);
