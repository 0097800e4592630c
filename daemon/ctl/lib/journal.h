/* SPDX-License-Identifier: BSD-3-Clause */
/* Our own entries in a journal: which one, since and until when, and going through them. Only what root has
 * logged counts: anybody may log under our names. Only reads. */
#pragma once

#include "core/messages.h"
#include "ctl/lib/ctl.h"

#include <systemd/sd-journal.h>

typedef struct JournalOptions {
    usec_t since, until; /* realtime; 0 and USEC_INFINITY: no bound */
    size_t lines;        /* so many of the last; SIZE_MAX: all */
    bool lines_set;
    bool follow;           /* -f */
    const char *directory; /* --directory=; NULL: this host's, or that of -M */
    char *const *operands;
} JournalOptions;

/* --since, --until, -n, --directory, and -f where `may_follow`. 0, or an ExitStatus after a message. */
int journal_options_read(int argc, char *argv[], bool may_follow, JournalOptions *ret);

/* Opens it; long fields come whole. 0, or an ExitStatus after a message. */
int journal_open(const CtlOptions *options, const JournalOptions *wanted, sd_journal **ret);

/* Adds FIELD=VALUE to the matches. */
int journal_match(sd_journal *j, const char *field, const char *value);
/* Of root's entries: all kinds but the samples. */
int journal_match_events(sd_journal *j);

/* The value of a field of the present entry, its control characters made blanks; NULL when there is none. */
char *journal_field(sd_journal *j, const char *name);

/* Goes back through the entries that match, newest first, as far as `wanted` reaches. take() returns 1 when
 * it took the entry, 0 when it did not want it, negative errno to stop. 0 or negative errno, nothing said. */
typedef int (*JournalTake)(sd_journal *j, usec_t realtime, void *userdata);
int journal_walk_back(sd_journal *j, const JournalOptions *wanted, JournalTake take, void *userdata);

/* From the place where the journal stands, each entry as it comes, for ever; negative errno, nothing said. */
int journal_follow(sd_journal *j, JournalTake take, void *userdata);

/* Says on stderr that nothing was found and that this may be for want of permission, where it may. */
void journal_hint_nothing(const CtlOptions *options, const JournalOptions *wanted);
