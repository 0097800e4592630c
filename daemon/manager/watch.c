/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/watch.h"

#include "io/text-file.h"
#include "manager/alert.h"
#include "manager/loop.h"
#include "manager/relay.h"

/* Once a day. `told`: when it was last logged; 0. */
static bool is_due(const Manager *m, usec_t *told)
{
    const usec_t now = loop_monotonic(m);

    if (*told > 0 && now - *told < tor_control_day())
        return false;
    *told = now;
    return true;
}

static void look_at_relay(Relay *relay)
{
    const uint64_t most = relay->manager->setup->config->watch_rss;
    char rss[FORMAT_BYTES_MAX], limit[FORMAT_BYTES_MAX];

    if (!relay->measured)
        return;
    outlook_add(&relay->growing, tor_control_day() / 24, loop_monotonic(relay->manager), relay->memory.rss);
    if (most == 0 || relay->memory.rss <= most)
        return;
    char *sentence = xasprintf("%s has %s resident, more than watch.rss (%s)", relay->facts.name,
                               format_bytes(rss, relay->memory.rss), format_bytes(limit, most));
    Event e = relay_event(relay);
    e.memory = &relay->memory;
    e.rollout = 0;
    if (is_due(relay->manager, &relay->told_large)) {
        eventlog_write(MESSAGE_RELAY_LARGE, &e, "%s.", sentence);
        alert_raise(relay->manager, ALERT_LARGE, relay->facts.name);
    }
    strv_push(&relay->manager->watched, sentence);
}

static Outlook look_ahead(const Manager *m)
{
    _cleanup_(freep) char *path = xasprintf("%s/meminfo", m->proc), *meminfo = NULL;
    _cleanup_(freep) OutlookRelay *relays = xcalloc(m->n_relays, sizeof(*relays));
    uint64_t available = 0;

    if (text_file_read(path, &meminfo) < 0 || outlook_available(meminfo, &available) < 0)
        return outlook_of(NULL, 0, 0);
    for (size_t i = 0; i < m->n_relays; i++) {
        const Relay *relay = m->relays[i];

        relays[i] = (OutlookRelay){ .relay = relay->facts.name,
                                    .allocator = relay->facts.running,
                                    .version = relay->facts.version,
                                    .known = relay->measured && relay->growing.known,
                                    .per_day = relay->growing.per_day };
    }
    return outlook_of(relays, m->n_relays, available);
}

static void tell_outlook(Manager *m)
{
    char *sentence = outlook_sentence(&m->outlook);

    if (!sentence || m->outlook.full_in >= m->setup->config->watch_full_in) {
        free(sentence);
        return;
    }
    const Event e = { .relay = m->outlook.relay,
                      .allocator = isempty(m->outlook.allocator) ? NULL : m->outlook.allocator,
                      .version = m->outlook.version,
                      .reason = sentence };
    if (is_due(m, &m->told_short)) {
        eventlog_write(MESSAGE_MEMORY_SHORT, &e, "Memory runs out: %s.", sentence);
        alert_raise(m, ALERT_FULL, m->outlook.relay);
    }
    strv_push(&m->watched, sentence);
}

void watch_look(Manager *m)
{
    m->watched = strv_free(m->watched);
    for (size_t i = 0; i < m->n_relays; i++)
        look_at_relay(m->relays[i]);
    m->outlook = look_ahead(m);
    tell_outlook(m);
    m->outlook.relay = m->outlook.allocator = m->outlook.version = NULL;
}
