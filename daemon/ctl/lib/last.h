/* SPDX-License-Identifier: BSD-3-Clause */
/* What history and events have in common: they show the last so many entries of a journal. */
#pragma once

#include "ctl/lib/source.h"

typedef struct CtlLast {
    CtlSource source; /* since, until, and the journal */
    size_t lines;     /* so many of the last; SIZE_MAX: all */
    bool lines_set;
    bool follow; /* -f */
    char *const *operands;
} CtlLast;

/* -f where `may_follow`. 0, or EXIT_USAGE after a message. */
int ctl_last_arguments(int argc, char *argv[], const CtlOptions *options, bool may_follow, CtlLast *ret);
/* The time that is asked about. */
JournalQuery ctl_last_query(const CtlLast *last);
