/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the journal reader share: the files, each held by a descriptor, the walk over one of
 * them, and what an entry says. For journal-*.c alone. */
#pragma once

#include "io/journal.h"

#include <sys/stat.h>

struct sd_journal;

typedef struct JournalFileEntry {
    char *path; /* for messages: by now it may have another name */
    int fd;
    char *copy; /* the repaired copy that fd is of, to be deleted; NULL: fd is the file itself */
    dev_t device;
    ino_t inode;
    usec_t first, last; /* realtime of all entries in it, by its header */
} JournalFileEntry;

typedef struct JournalFiles {
    JournalFileEntry *items; /* oldest first */
    size_t n, capacity;
    size_t denied; /* files that we may not read */
    char **complaints;
} JournalFiles;

void journal_files_clear(JournalFiles *files);
/* 0; -ENOENT and such: the directory; -EACCES: there are files, but none of them may be read. */
int journal_files_open(const JournalSource *source, JournalFiles *ret);
/* A reader of one file, to be closed with sd_journal_close(). */
int journal_file_reader(const JournalFileEntry *file, struct sd_journal **ret);
/* A reader of all files of a source together, and of those that come; closed likewise. */
int journal_live_reader(const JournalSource *source, struct sd_journal **ret);
const char *journal_why_unreadable(int r);
void journal_files_complain(JournalFiles *files, const JournalFileEntry *file, const char *format, ...)
    _printf_(3, 4);

/* ---- the walk over one file ---- */

#define JOURNAL_KIND_RELAY 1U
#define JOURNAL_KIND_FLEET 2U

typedef struct JournalWalk {
    JournalFiles *files;
    const JournalFileEntry *file;
    JournalQuery query;
    bool events;    /* else samples, */
    unsigned kinds; /* of these kinds */
    bool unmatched; /* the file's index of our entries is damaged: each entry is looked at */
    struct sd_journal *j;
    usec_t last; /* time of the entry read last; 0 */
    usec_t tail; /* of the last that should come; 0: none */
    bool found;
    uint64_t entries;
    size_t repairs;
    int statm; /* /proc/self/statm */
} JournalWalk;

/* Can it have entries of that time? */
bool journal_file_reaches(const JournalFileEntry *file, usec_t since, usec_t until);
/* Matches the events that are asked for. */
int journal_match_events(struct sd_journal *j, const JournalQuery *query);
/* 1: there may be entries; 0: there are none, or the file cannot be read (and is complained of). To be ended
 * in any case. */
int journal_walk_begin(JournalWalk *walk, JournalFiles *files, const JournalFileEntry *file,
                       const JournalQuery *query, bool events);
bool journal_walk_next(JournalWalk *walk, usec_t *ret_time);
void journal_walk_end(JournalWalk *walk);

/* ---- an entry ---- */

typedef struct JournalHost {
    char *machine; /* id, or "" */
    char *name;    /* unique */
} JournalHost;

/* The fields of an entry: those of an event, then what else is read. */
enum {
    JOURNAL_RSS = _JOURNAL_FIELD_MAX,
    JOURNAL_ANON,
    JOURNAL_SWAP,
    JOURNAL_HWM,
    JOURNAL_BOOTSTRAP,
    JOURNAL_FLAGS,
    JOURNAL_FLEET,
    JOURNAL_MESSAGE_ID,
    JOURNAL_UID,
    JOURNAL_HOSTNAME,
    JOURNAL_MACHINE,
    JOURNAL_VALUES,
};

/* A field as it was in the entry read last. It is copied, because what sd-journal returns is valid only until
 * its next call. */
typedef struct JournalValue {
    char *p;
    size_t n, capacity;
    bool set;
} JournalValue;

struct JournalReader {
    JournalSource source;
    JournalFiles files;
    JournalHost *hosts;
    size_t n_hosts, hosts_capacity;
    size_t host; /* of the entry read last; SIZE_MAX */
    JournalValue values[JOURNAL_VALUES];
    uint64_t malformed, foreign; /* entries of the present file that were not taken */
    char *newest;                /* cursor of the last event that journal_last_events() saw */
    usec_t newest_time;
};

/* What entries are read for. */
typedef struct JournalJob {
    JournalQuery query;
    JournalSampleFunc *sample; /* or */
    JournalEventFunc *event;
    void *userdata;
    bool keep_cursor;
} JournalJob;

/* Reads the present entry of `j` and hands it on; `kinds` of samples there can be. What the callback returns;
 * 0 as well for an entry that was not taken. */
int journal_entry_take(JournalReader *reader, const JournalJob *job, struct sd_journal *j, unsigned kinds,
                       usec_t time);
/* All entries, file by file. */
int journal_read_files(JournalReader *reader, const JournalJob *job);
