/* SPDX-License-Identifier: BSD-3-Clause */
/* What to say of a text that is no libconfig file: where it stops being one, shown in its line, and the
 * sentence that helps, above all where the text is in the syntax of another kind of file. Pure. */
#pragma once

#include <stddef.h>

/* Where the tokens of the line at `line` start, as far as there is room in ret[]. Returns how many. */
size_t config_syntax_tokens(const char *line, size_t *ret, size_t room);

/* Where the text ends, but for blanks and comments, and (NULL: none) the innermost bracket that is open
 * there. */
const char *config_syntax_end(const char *text, const char **ret_open);

/* `text`: of the whole file; `at`: the token at which it stops being one; `otherwise`: what to say where
 * nothing better is known, NULL: where to look. The sentence, and below it the line and a mark under the
 * token, each after a newline and four blanks. Owned by the caller. */
char *config_syntax_explain(const char *text, const char *at, const char *otherwise);
