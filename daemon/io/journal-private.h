/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the journal reader share: the files, each held by a descriptor, and the walk over one of
 * them. For journal-files.c, journal-walk.c and journal-read.c alone. */
#pragma once

#include "io/journal-read.h"

#include <sys/stat.h>

struct sd_journal;

typedef struct JournalFileEntry {
    char *path; /* for messages: by now it may have another name */
    int fd;
    char *copy; /* the mended copy that fd is of, to be deleted; NULL: fd is the file itself */
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
const char *journal_why_unreadable(int r);
void journal_files_complain(JournalFiles *files, const JournalFileEntry *file, const char *format, ...)
    _printf_(3, 4);

/* ---- the walk over one file ---- */

#define JOURNAL_RELAY 1U
#define JOURNAL_FLEET 2U

typedef struct JournalWalk {
    JournalFiles *files;
    const JournalFileEntry *file;
    usec_t since, until;
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
/* 1: there may be entries; 0: there are none, or the file cannot be read (and is complained of). To be ended
 * in any case. */
int journal_walk_begin(JournalWalk *walk, JournalFiles *files, const JournalFileEntry *file, usec_t since,
                       usec_t until, bool events);
bool journal_walk_next(JournalWalk *walk, usec_t *ret_time);
void journal_walk_end(JournalWalk *walk);
