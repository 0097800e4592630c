/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads samples and events from journal files. Decides nothing about them but whether they can be ours: an
 * entry that a process other than root's logged is not (anybody may log under our names).
 *
 * Files are read one after the other, oldest first, each through an sd_journal of its own: so a damaged file
 * costs what cannot be read of it and is named, a file that is rotated in the meantime is read to its end,
 * and memory stays small. */
#pragma once

#include "core/messages.h"
#include "core/sample.h"

typedef struct JournalSource {
    const char *directory; /* all journals in it and one level below; else */
    const char *machine;   /* all of this local container; else */
    bool merge;            /* those of this host, and also those that other hosts sent here */
    const char *hosts;     /* only what these hosts logged, separated by commas; NULL: all. By the name that
                              JournalSample.host has, or that the host gave to itself */
} JournalSource;

typedef struct JournalSample {
    usec_t time;      /* realtime of the entry */
    const char *host; /* name of the host that took it, the same pointer while it is the same; never NULL */
    SampleRow row;    /* its strings are valid during the call */
} JournalSample;

typedef enum JournalField {
    JOURNAL_MESSAGE,
    JOURNAL_RELAY,
    JOURNAL_UNIT,
    JOURNAL_GROUP,
    JOURNAL_ALLOCATOR,
    JOURNAL_VERSION,
    JOURNAL_LIBRARY,
    JOURNAL_REASON,
    JOURNAL_RESULT,
    JOURNAL_ROLLOUT,
    JOURNAL_WAVE,
    JOURNAL_PRIORITY,
    JOURNAL_FINGERPRINT,
    JOURNAL_SINCE, /* µs since 1970 in decimal, as the next one */
    JOURNAL_UNTIL,
    JOURNAL_READ, /* bytes in decimal; with MESSAGE_RELAY_TRAFFIC, as JOURNAL_UNTIL is */
    JOURNAL_WRITTEN,
    _JOURNAL_FIELD_MAX,
} JournalField;

typedef struct JournalEvent {
    usec_t time;
    const char *host;
    MessageKind kind;
    /* by JournalField: one line each, control characters made blanks; NULL: the entry has none; valid during
     * the call */
    const char *fields[_JOURNAL_FIELD_MAX];
} JournalEvent;

/* What is asked for. */
typedef struct JournalQuery {
    usec_t since, until; /* realtime, both included; 0 and USEC_INFINITY: no bound */
    const char *relay;   /* what is about this one; NULL: everything */
    bool traffic;        /* of events only MESSAGE_RELAY_TRAFFIC: a few a day are found among thousands */
} JournalQuery;
#define JOURNAL_QUERY_ALL ((JournalQuery){ .until = USEC_INFINITY })

typedef struct JournalReader JournalReader;

/* Opens all files that there are now. The strings of `source` must last as long as the reader. 0; -ENOENT: no
 * such directory or container; -EACCES: there are files, but none of them may be read; else why. */
int journal_reader_open(const JournalSource *source, JournalReader **ret);
JournalReader *journal_reader_free(JournalReader *reader);
DEFINE_CLEANUP(JournalReader, journal_reader_free)

/* Callbacks return 0 to go on, anything else to end the reading, which then returns it. */
typedef int JournalSampleFunc(const JournalSample *sample, void *userdata);
typedef int JournalEventFunc(const JournalEvent *event, void *userdata);

/* Samples of both kinds; those of a relay on a host in order of time. */
int journal_read_samples(JournalReader *reader, const JournalQuery *query, JournalSampleFunc *func,
                         void *userdata);
/* Everything that is no sample; file by file in order of time. */
int journal_read_events(JournalReader *reader, const JournalQuery *query, JournalEventFunc *func,
                        void *userdata);

/* What a relay moved in a day, or from the last one to the end of its process. */
typedef struct JournalTraffic {
    const char *host;
    Span relay, fingerprint; /* valid during the call; n == 0: not told */
    usec_t since, until;     /* realtime, since < until */
    uint64_t read, written;  /* bytes */
} JournalTraffic;
typedef int JournalTrafficFunc(const JournalTraffic *traffic, void *userdata);
/* File by file in order of time; those that ended between query->since and query->until. */
int journal_read_traffic(JournalReader *reader, const JournalQuery *query, JournalTrafficFunc *func,
                         void *userdata);

/* Copies of entries, oldest first. Hosts are named as long as the reader lives. */
typedef struct JournalItem {
    usec_t time;
    uint64_t order; /* in which they were read: of those of one time */
    union {
        JournalEvent event;
        JournalSample sample; /* NUL ends its strings, too */
    };
} JournalItem;
typedef struct JournalList {
    JournalItem *items;
    size_t n, capacity;
    bool samples; /* else events */
} JournalList;
void journal_list_clear(JournalList *list);

/* The last `most` (SIZE_MAX: all) samples, or events that want() is true of (NULL: of each). No more of the
 * journal is read than is needed. 0 or negative errno. */
typedef bool JournalWantFunc(const JournalEvent *event, void *userdata);
int journal_last_samples(JournalReader *reader, const JournalQuery *query, size_t most, JournalList *ret);
int journal_last_events(JournalReader *reader, const JournalQuery *query, size_t most, JournalWantFunc *want,
                        void *userdata, JournalList *ret);

/* After journal_last_events() with this query: each event that comes behind those that it saw, for ever, with
 * files that come later, too; `until` has no meaning. What a callback returned; negative errno. */
int journal_follow_events(JournalReader *reader, const JournalQuery *query, JournalEventFunc *func,
                          void *userdata);

/* When the first and the last sample between since and until were logged, from a look at the ends of the
 * files. 0; -ENODATA: there are none. */
int journal_survey(JournalReader *reader, usec_t since, usec_t until, usec_t *ret_first, usec_t *ret_last);

/* What could not be read, a strv of sentences that name file and reason; owned by the reader, grows while
 * reading. */
char *const *journal_reader_complaints(const JournalReader *reader);
