/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/traffic.h"

#include "io/journal.h"
#include "io/tor-control.h"

void traffic_days_clear(TrafficDays *days)
{
    for (size_t i = 0; i < days->n; i++)
        free(days->items[i].relay);
    free(days->items);
    *days = (TrafficDays){ 0 };
}

static struct TrafficOfRelay *entry_of(TrafficDays *days, const char *relay)
{
    for (size_t i = 0; i < days->n; i++)
        if (streq(days->items[i].relay, relay))
            return &days->items[i];
    GROW(days->items, days->capacity, days->n);
    days->items[days->n] = (struct TrafficOfRelay){ .relay = xstrdup(relay) };
    return &days->items[days->n++];
}

static bool number_of(const JournalEvent *event, JournalField field, uint64_t *ret)
{
    return event->fields[field] && parse_u64(event->fields[field], ret) == 0;
}

/* At the end of a process less than a day is logged. The last one stays. */
static int take(const JournalEvent *event, void *userdata)
{
    uint64_t read, written, since, until;

    if (event->kind == MESSAGE_RELAY_TRAFFIC && event->fields[JOURNAL_RELAY] &&
        number_of(event, JOURNAL_READ, &read) && number_of(event, JOURNAL_WRITTEN, &written) &&
        number_of(event, JOURNAL_SINCE, &since) && number_of(event, JOURNAL_UNTIL, &until) &&
        until >= since && until - since >= tor_control_day() && read <= UINT64_MAX - written)
        entry_of(userdata, event->fields[JOURNAL_RELAY])->bytes = read + written;
    return 0;
}

void traffic_days_read(const CtlOptions *options, TrafficDays *ret)
{
    _cleanup_(journal_reader_freep) JournalReader *reader = NULL;
    const JournalQuery query = { .since = ctl_now() - 2 * USEC_PER_DAY, .until = USEC_INFINITY };

    *ret = (TrafficDays){ 0 };
    if (options->host || options->machine || journal_reader_open(&(JournalSource){ 0 }, &reader) < 0)
        return;
    (void)journal_read_events(reader, &query, take, ret);
}

bool traffic_days_find(const TrafficDays *days, const char *relay, uint64_t *ret)
{
    for (size_t i = 0; i < days->n; i++)
        if (streq(days->items[i].relay, relay)) {
            *ret = days->items[i].bytes;
            return true;
        }
    return false;
}
