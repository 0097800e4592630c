/* SPDX-License-Identifier: BSD-3-Clause */
/* What history and events have in common: they show the last entries of a journal, a given number of them. */
#pragma once

#include "ctl/lib/source.h"

typedef struct CtlLast {
    CtlSource source; /* since, until, and the journal */
    size_t lines;     /* how many of the last; SIZE_MAX: all */
    bool lines_set;
    bool follow; /* -f */
    char *const *operands;
} CtlLast;

/* -f where `may_follow`. 0, or EXIT_USAGE after a message. */
int ctl_last_arguments(int argc, char *argv[], const CtlOptions *options, bool may_follow, CtlLast *ret);
/* May the journal be that of several hosts? */
bool ctl_last_gathered(const CtlLast *last);
/* How many hosts they are of: 0, 1, or 2 for several. */
size_t ctl_last_hosts(const JournalList *list);
/* The time in question. */
JournalQuery ctl_last_query(const CtlLast *last);
