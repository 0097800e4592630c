/* SPDX-License-Identifier: BSD-3-Clause */
/* Groups of relays from a table, such as 1AEO's relay_config.csv:
 *   fingerprint,nickname,group,allocator,config,notes
 * Columns are found by name, in any order; "group" must be there, and one of "fingerprint", "nickname" and
 * "relay". "allocator" is read where it is, all others are not. Pure. */
#pragma once

#include "core/config.h"
#include "core/sample.h"

/* No fleet has more. */
#define GROUPING_MAX 20000

typedef struct GroupingEntry {
    char *name, *fingerprint; /* one of them may be NULL */
    char *group, *allocator;  /* never NULL, "": none */
    unsigned line;
    bool used; /* some row was its relay's */
} GroupingEntry;

typedef struct Grouping {
    GroupingEntry *entries; /* in order of the file */
    size_t n, capacity;
    GroupingEntry **by_name, **by_fingerprint; /* sorted */
    size_t n_names, n_fingerprints;
    bool has_allocator;
} Grouping;
void grouping_clear(Grouping *grouping);

/* Takes the text apart, which it changes. Everything that is wrong goes to `problems`, with its line of
 * `path`. 0; -EINVAL: something is wrong. */
int grouping_parse(char *text, const char *path, Problems *problems, Grouping *ret);

/* The entry of the relay that a row is about: by its fingerprint where both tell one, else by its name, if
 * only one has it. NULL: none. Marks it as used. */
const GroupingEntry *grouping_find(Grouping *grouping, const SampleRow *row);
