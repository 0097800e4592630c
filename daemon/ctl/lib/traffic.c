/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/traffic.h"

#include "io/journal.h"
#include "io/tor-control.h"

#include <errno.h>

void traffic_days_clear(TrafficDays *days)
{
    for (size_t i = 0; i < days->n; i++)
        free(days->items[i].relay);
    free(days->items);
    *days = (TrafficDays){ 0 };
}

static struct TrafficOfRelay *entry_of(TrafficDays *days, Span relay)
{
    for (size_t i = 0; i < days->n; i++)
        if (strlen(days->items[i].relay) == relay.n && memcmp(days->items[i].relay, relay.p, relay.n) == 0)
            return &days->items[i];
    GROW(days->items, days->capacity, days->n);
    days->items[days->n] = (struct TrafficOfRelay){ .relay = xstrndup(relay.p, relay.n) };
    return &days->items[days->n++];
}

/* At the end of a process less than a day is logged. The last one stays. */
static int take(const JournalTraffic *t, void *userdata)
{
    if (t->until - t->since >= tor_control_day() && t->read <= UINT64_MAX - t->written)
        entry_of(userdata, t->relay)->bytes = t->read + t->written;
    return 0;
}

int traffic_days_read(const CtlOptions *options, TrafficDays *ret)
{
    _cleanup_(journal_reader_freep) JournalReader *reader = NULL;
    const JournalQuery query = { .since = ctl_now() - 2 * USEC_PER_DAY, .until = USEC_INFINITY };

    *ret = (TrafficDays){ 0 };
    if (options->host || options->machine)
        return -EREMOTE;
    if (journal_reader_open(&(JournalSource){ 0 }, &reader) >= 0)
        (void)journal_read_traffic(reader, &query, take, ret);
    return 0;
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
