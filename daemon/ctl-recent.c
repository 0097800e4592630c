/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl-recent.h"

#include "core/messages.h"

#include <systemd/sd-journal.h>

void recent_events_clear(RecentEvents *events)
{
    for (size_t i = 0; i < events->n; i++)
        free(events->items[i].message);
    free(events->items);
    *events = (RecentEvents){ 0 };
}

static int add_match(sd_journal *j, const char *field, const char *value)
{
    _cleanup_(freep) char *match = xasprintf("%s=%s", field, value);

    return sd_journal_add_match(j, match, 0);
}

/* Events of this relay, no samples, and only what root has written: anybody may log under our names. */
static int match_events(sd_journal *j, const char *relay)
{
    int r = add_match(j, "RELAYALLOC_RELAY", relay);

    if (r >= 0)
        r = add_match(j, "_UID", "0");
    for (int kind = 0; r >= 0 && kind < _MESSAGE_MAX; kind++)
        if (kind != MESSAGE_SAMPLE_RELAY && kind != MESSAGE_SAMPLE_FLEET)
            r = add_match(j, "MESSAGE_ID", message_id((MessageKind)kind));
    return r;
}

/* The value of a field, its control characters made blanks; NULL when there is none. */
static char *get_field(sd_journal *j, const char *name)
{
    const void *data = NULL;
    size_t size = 0, skip = strlen(name) + 1;

    if (sd_journal_get_data(j, name, &data, &size) < 0 || size < skip)
        return NULL;
    char *value = xstrndup((const char *)data + skip, size - skip);
    for (char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return value;
}

static int read_event(sd_journal *j, RecentEvent *ret)
{
    _cleanup_(freep) char *id = get_field(j, "MESSAGE_ID");
    int kind = id ? message_from_id(id) : -1;

    if (kind < 0)
        return 0;
    int r = sd_journal_get_realtime_usec(j, &ret->time);
    if (r < 0)
        return r;
    ret->name = message_name((MessageKind)kind);
    ret->message = get_field(j, "MESSAGE");
    if (!ret->message)
        ret->message = xstrdup(ret->name);
    return 1;
}

int recent_events_read(const char *relay, size_t most, RecentEvents *ret)
{
    _cleanup_(recent_events_clear) RecentEvents events = { 0 };
    _cleanup_(sd_journal_closep) sd_journal *j = NULL;

    int r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
    if (r >= 0)
        r = match_events(j, relay);
    if (r >= 0)
        r = sd_journal_seek_tail(j);
    if (r < 0)
        return r;
    events.items = xcalloc(most, sizeof(*events.items));
    while (events.n < most && (r = sd_journal_previous(j)) > 0) {
        /* From the newest back; each is put before those that were read. */
        RecentEvent event = { 0 };
        r = read_event(j, &event);
        if (r < 0)
            break;
        if (r > 0) {
            memmove(events.items + 1, events.items, events.n * sizeof(event));
            events.items[0] = event;
            events.n++;
        }
    }
    if (r < 0)
        return r;
    *ret = events;
    memset(&events, 0, sizeof(events));
    return 0;
}
