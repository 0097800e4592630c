/* SPDX-License-Identifier: BSD-3-Clause */
/* Comma-separated values as RFC 4180 has them, one line at a time. A field that a spreadsheet would read as a
 * formula gets a leading apostrophe, and loses it when it is read again. Pure. */
#pragma once

#include "core/sample.h"

/* Splits one line of n bytes (no newline; a final CR is dropped) into fields, unquoted in place. 0;
 * -EINVAL: a quote that is not closed on its line, or text after one; -E2BIG: more than `max` fields. */
int csv_split(char *line, size_t n, Span *fields, size_t max, size_t *ret_n);

/* Writes one field, quoted where it has to be. NULL is empty. */
void csv_write(FILE *f, const char *field);
