/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what an entry of a relay's traffic says. Must never take a number for a day that it does not parse. */
#include "io/journal.h"

typedef struct TrafficJob {
    JournalTrafficFunc *func;
    void *userdata;
} TrafficJob;

static bool number_of(const JournalEvent *event, JournalField field, uint64_t *ret)
{
    return event->fields[field] && parse_u64(event->fields[field], ret) == 0;
}

static Span text_of(const JournalEvent *event, JournalField field)
{
    const char *text = event->fields[field];

    return (Span){ text, text ? strlen(text) : 0 };
}

static int take(const JournalEvent *event, void *userdata)
{
    const TrafficJob *job = userdata;
    JournalTraffic t = { .host = event->host, .relay = text_of(event, JOURNAL_RELAY) };
    SampleRow who = { 0 };

    if (event->kind != MESSAGE_RELAY_TRAFFIC || t.relay.n == 0 || !number_of(event, JOURNAL_READ, &t.read) ||
        !number_of(event, JOURNAL_WRITTEN, &t.written) || !number_of(event, JOURNAL_SINCE, &t.since) ||
        !number_of(event, JOURNAL_UNTIL, &t.until) || t.since >= t.until)
        return 0;
    sample_take_fingerprint(&who, text_of(event, JOURNAL_FINGERPRINT));
    t.fingerprint = who.fingerprint;
    return job->func(&t, job->userdata);
}

int journal_read_traffic(JournalReader *reader, const JournalQuery *query, JournalTrafficFunc *func,
                         void *userdata)
{
    TrafficJob job = { func, userdata };
    JournalQuery only = *query;

    only.traffic = true;
    return journal_read_events(reader, &only, take, &job);
}
