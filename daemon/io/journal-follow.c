/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the waiting for entries that are yet to come. Must never show an entry twice, nor miss one that
 * arrived between the reading and the waiting. */
#include "io/journal-private.h"

#include <systemd/sd-journal.h>

static void closep_journal(sd_journal **j)
{
    sd_journal_close(*j);
}

/* Before the first event that was not seen yet, or onto the last that was: then *ret_seen. */
static int place(sd_journal *j, const JournalReader *reader, const JournalQuery *query)
{
    if (reader->newest)
        return sd_journal_seek_cursor(j, reader->newest);
    return query->since > 0 ? sd_journal_seek_realtime_usec(j, query->since) : sd_journal_seek_head(j);
}

static bool seen_before(sd_journal *j, const JournalReader *reader)
{
    return reader->newest && sd_journal_test_cursor(j, reader->newest) > 0;
}

int journal_follow_events(JournalReader *reader, const JournalQuery *query, JournalEventFunc *func,
                          void *userdata)
{
    _cleanup_(closep_journal) sd_journal *j = NULL;
    const JournalJob job = { .query = *query, .event = func, .userdata = userdata };
    int r = journal_live_reader(&reader->source, &j);

    if (r >= 0)
        r = journal_match_events(j, query);
    if (r >= 0)
        r = place(j, reader, query);
    while (r >= 0) {
        while ((r = sd_journal_next(j)) > 0) {
            usec_t time = 0;
            if (seen_before(j, reader))
                continue;
            r = sd_journal_get_realtime_usec(j, &time);
            if (r >= 0)
                r = journal_entry_take(reader, &job, j, 0, time);
            if (r != 0)
                return r;
        }
        if (r >= 0)
            r = sd_journal_wait(j, UINT64_MAX);
    }
    return r;
}
