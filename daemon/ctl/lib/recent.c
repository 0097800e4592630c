/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/recent.h"

#include "ctl/lib/journal.h"

void recent_events_clear(RecentEvents *events)
{
    for (size_t i = 0; i < events->n; i++)
        free(events->items[i].message);
    free(events->items);
    *events = (RecentEvents){ 0 };
}

/* From the newest back; each is put before those that were read. */
static int take(sd_journal *j, usec_t realtime, void *userdata)
{
    RecentEvents *events = userdata;
    _cleanup_(freep) char *id = journal_field(j, "MESSAGE_ID"), *message = journal_field(j, "MESSAGE");
    int kind = id ? message_from_id(id) : -1;

    if (kind < 0 || !message)
        return 0;
    memmove(events->items + 1, events->items, events->n * sizeof(*events->items));
    events->items[0] = (RecentEvent){
        .time = realtime,
        .name = message_name((MessageKind)kind),
        .message = TAKE_PTR(message),
    };
    events->n++;
    return 1;
}

int recent_events_read(const char *relay, size_t most, RecentEvents *ret)
{
    RecentEvents events = { .items = xcalloc(most, sizeof(*events.items)) };
    const JournalOptions wanted = { .until = USEC_INFINITY, .lines = most };
    _cleanup_(sd_journal_closep) sd_journal *j = NULL;

    int r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
    if (r >= 0)
        r = journal_match_events(j);
    if (r >= 0)
        r = journal_match(j, "RELAYALLOC_RELAY", relay);
    if (r >= 0)
        r = journal_walk_back(j, &wanted, take, &events);
    if (r < 0) {
        recent_events_clear(&events);
        return r;
    }
    *ret = events;
    return 0;
}
