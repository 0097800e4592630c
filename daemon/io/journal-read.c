/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the reading file by file. Must never keep more of a file in memory than it needs. */
#include "io/journal-private.h"

#include <errno.h>
#include <inttypes.h>
#include <systemd/sd-journal.h>

int journal_reader_open(const JournalSource *source, JournalReader **ret)
{
    _cleanup_(journal_reader_freep) JournalReader *reader = xcalloc(1, sizeof(*reader));

    reader->source = *source;
    reader->host = SIZE_MAX;
    int r = journal_files_open(source, &reader->files);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(reader);
    return 0;
}

JournalReader *journal_reader_free(JournalReader *reader)
{
    if (!reader)
        return NULL;
    journal_files_clear(&reader->files);
    for (size_t i = 0; i < reader->n_hosts; i++) {
        free(reader->hosts[i].machine);
        free(reader->hosts[i].name);
    }
    free(reader->hosts);
    for (size_t i = 0; i < JOURNAL_VALUES; i++)
        free(reader->values[i].p);
    free(reader->newest);
    free(reader);
    return NULL;
}

char *const *journal_reader_complaints(const JournalReader *reader)
{
    return reader->files.complaints;
}

static void tell_losses(JournalReader *reader, const JournalFileEntry *file)
{
    if (reader->malformed > 0)
        journal_files_complain(&reader->files, file,
                               "%" PRIu64 " entries are incomplete or malformed, and not counted",
                               reader->malformed);
    if (reader->foreign > 0)
        journal_files_complain(&reader->files, file,
                               "%" PRIu64 " entries under our names were not logged by root, and not counted",
                               reader->foreign);
}

/* Where journal_follow_events() goes on. */
static void keep_cursor(JournalReader *reader, sd_journal *j, usec_t time)
{
    char *cursor = NULL;

    if (time < reader->newest_time || sd_journal_get_cursor(j, &cursor) < 0)
        return;
    free(reader->newest);
    reader->newest = cursor;
    reader->newest_time = time;
}

static int read_file(JournalReader *reader, const JournalJob *job, const JournalFileEntry *file)
{
    JournalWalk walk;
    usec_t time;
    int r = journal_walk_begin(&walk, &reader->files, file, &job->query, job->event != NULL);

    reader->malformed = reader->foreign = 0;
    if (r > 0) {
        r = 0;
        while (r == 0 && journal_walk_next(&walk, &time)) {
            if (job->keep_cursor)
                keep_cursor(reader, walk.j, time);
            r = journal_entry_take(reader, job, walk.j, walk.kinds, time);
        }
        tell_losses(reader, file);
    }
    journal_walk_end(&walk);
    return r;
}

int journal_read_files(JournalReader *reader, const JournalJob *job)
{
    for (size_t i = 0; i < reader->files.n; i++) {
        const JournalFileEntry *file = &reader->files.items[i];
        int r =
            journal_file_reaches(file, job->query.since, job->query.until) ? read_file(reader, job, file) : 0;
        if (r != 0)
            return r;
    }
    return 0;
}

int journal_read_samples(JournalReader *reader, const JournalQuery *query, JournalSampleFunc *func,
                         void *userdata)
{
    return journal_read_files(reader, &(JournalJob){ .query = *query, .sample = func, .userdata = userdata });
}

int journal_read_events(JournalReader *reader, const JournalQuery *query, JournalEventFunc *func,
                        void *userdata)
{
    return journal_read_files(reader, &(JournalJob){ .query = *query, .event = func, .userdata = userdata });
}

int journal_survey(JournalReader *reader, usec_t since, usec_t until, usec_t *ret_first, usec_t *ret_last)
{
    const JournalQuery query = { .since = since, .until = until };
    usec_t first = USEC_INFINITY, last = 0;

    for (size_t i = 0; i < reader->files.n; i++) {
        const JournalFileEntry *file = &reader->files.items[i];
        JournalWalk walk = { .statm = -1 };
        usec_t time;
        if (journal_file_reaches(file, since, until) &&
            journal_walk_begin(&walk, &reader->files, file, &query, false) > 0 &&
            journal_walk_next(&walk, &time)) {
            first = time < first ? time : first;
            last = walk.tail > last ? walk.tail : last;
        }
        journal_walk_end(&walk);
    }
    if (last == 0 || first > last)
        return -ENODATA;
    *ret_first = first;
    *ret_last = last;
    return 0;
}
