/* SPDX-License-Identifier: BSD-3-Clause */
/* The single words of a configuration file: is this a name, a library, a shell pattern, a window? Each check
 * returns NULL if the word is fine, else what it must be, to follow the name of the setting. Pure. */
#pragma once

#include "core/config.h"

/* Longer than any path, name or option list needs to be. */
#define CONFIG_TEXT_MAX 4096
#define CONFIG_NAME_MAX 64

/* Any string: valid UTF-8 (it goes over D-Bus), no control characters (it goes into unit files and the
 * journal), not endless. */
const char *word_text_problem(const char *s);

/* The name of an allocator or a group: [A-Za-z0-9._-]. */
const char *word_name_problem(const char *s);

/* What LD_PRELOAD can name: ld.so(8) splits it at colons and blanks and expands "$". */
const char *word_library_problem(const char *s);

/* The name of a variable that an allocator reads. What would make ld.so, libc or OpenSSL load other code into
 * the relay is refused. */
const char *word_variable_problem(const char *s);

/* Characters that have a meaning in a pattern, or that word_pattern_problem() takes for a mistake: in the
 * name of a relay a backslash goes before them. */
#define WORD_PATTERN_SPECIAL "*?[]\\{},; |()$+/'\"!^"

/* A name or glob(7) pattern. fnmatch(3) reads a bracket that is never closed as a plain character, which is
 * never intended. */
const char *word_pattern_problem(const char *s);

/* "HH:MM-HH:MM", or "" for always open: 0 or -EINVAL. */
int window_parse(const char *s, Window *ret);

/* "10%", 1 to 100: 0 or -EINVAL. */
int percent_parse(const char *s, Amount *ret);
