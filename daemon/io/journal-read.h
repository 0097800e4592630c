/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads samples and events from journal files. Decides nothing about them but whether they can be ours: an
 * entry that a process other than root logged is none (anybody may log under our names).
 *
 * Files are read one after the other, oldest first, each through an sd_journal of its own: so a damaged file
 * costs what cannot be read of it and is named, a file that is rotated meanwhile is read to its end, and
 * memory stays small. */
#pragma once

#include "core/messages.h"
#include "core/sample.h"

typedef struct JournalSource {
    const char *directory; /* NULL: the journals of this host */
    bool merge;            /* of this host: also those that other hosts sent here */
} JournalSource;

typedef struct JournalSample {
    usec_t time;      /* realtime of the entry */
    const char *host; /* name of the host that took it, the same pointer while it is the same; never NULL */
    SampleRow row;    /* its strings are valid during the call */
} JournalSample;

typedef struct JournalEvent {
    usec_t time;
    const char *host;
    MessageKind kind;
    /* "" where the entry has none; valid during the call */
    const char *message, *relay, *group, *allocator, *version, *reason, *result;
} JournalEvent;

typedef struct JournalReader JournalReader;

/* Opens all files that there are now. 0; -ENOENT: no such directory; -EACCES: there are files, but none of
 * them may be read; else why. */
int journal_reader_open(const JournalSource *source, JournalReader **ret);
JournalReader *journal_reader_free(JournalReader *reader);
DEFINE_CLEANUP(JournalReader, journal_reader_free)

/* Callbacks return 0 to go on, anything else to end the reading, which then returns it. */
typedef int JournalSampleFunc(const JournalSample *sample, void *userdata);
typedef int JournalEventFunc(const JournalEvent *event, void *userdata);

/* Samples of both kinds from `since` to `until` (realtime, both included; 0 and USEC_INFINITY: no bound);
 * those of a relay on a host in order of time. */
int journal_read_samples(JournalReader *reader, usec_t since, usec_t until, JournalSampleFunc *func,
                         void *userdata);
/* Everything that is no sample; file by file in order of time. */
int journal_read_events(JournalReader *reader, usec_t since, usec_t until, JournalEventFunc *func,
                        void *userdata);

/* When the first and the last sample between since and until were logged, from a look at the ends of the
 * files. 0; -ENODATA: there are none. */
int journal_survey(JournalReader *reader, usec_t since, usec_t until, usec_t *ret_first, usec_t *ret_last);

/* What could not be read, a strv of sentences that name file and reason; owned by the reader, grows while
 * reading. */
char *const *journal_reader_complaints(const JournalReader *reader);
