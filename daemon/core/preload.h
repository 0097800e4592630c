/* SPDX-License-Identifier: BSD-3-Clause */
/* The value of LD_PRELOAD as the list that it is: separated by blanks or colons, with no way to quote either
 * (ld.so(8)). Pure. */
#pragma once

#include "core/util.h"

/* More entries than that are not looked at. */
#define PRELOAD_ENTRIES_MAX 64

/* A strv of its entries; NULL: none. */
char **preload_split(const char *value);

/* `first` (NULL: none), then the others, in their order; "" when that is nothing. Owned by the caller. */
char *preload_join(const char *first, char *const *others);

/* Is it one of the entries? The first of them? */
bool preload_names(const char *value, const char *entry);
bool preload_begins(const char *value, const char *entry);

/* Do both preload the same, in the same order? NULL is as "". */
bool preload_same(const char *a, const char *b);
