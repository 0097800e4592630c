/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/watch.h"

#include "io/metrics-file.h"
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

/* ---- what is known of their growth, kept through restarts of the daemon ---- */

static usec_t growth_hour(void)
{
    return tor_control_day() / 24;
}

static char *growth_path(const Manager *m)
{
    return xasprintf("%s/growth", m->state_dir);
}

/* At its process's first sample. */
static void take_up(Relay *relay)
{
    const char *rows = relay->manager->growth_rows;

    if (rows && relay->growing.n == 0 && relay->growing.n_hours == 0 && relay->facts.info)
        (void)outlook_read_row(rows, relay->facts.name, relay->facts.info->invocation, &relay->growing);
}

static void save(const Manager *m)
{
    _cleanup_(freep) char *path = growth_path(m), *rows = NULL;
    size_t size;
    FILE *f = open_memstream(&rows, &size);

    if (!f)
        return;
    fputs("# relay, invocation, its memory by the hour of the monotonic clock: hour:KiB", f);
    for (size_t i = 0; i < m->n_relays; i++) {
        const Relay *relay = m->relays[i];

        if (relay->process && relay->facts.info)
            outlook_write_row(f, relay->facts.name, relay->facts.info->invocation, &relay->growing);
    }
    fputc('\n', f);
    if (fclose(f) == 0)
        (void)metrics_file_replace(path, rows, size);
}

/* Saved with each hour, whole and unsynced; nothing depends on it but that it need not be learnt anew. */
static void keep(Manager *m)
{
    const usec_t hour = loop_monotonic(m) / growth_hour();

    if (m->growth_hour != 0 && m->growth_hour != hour) {
        free(TAKE_PTR(m->growth_rows));
        save(m);
    }
    m->growth_hour = hour;
}

/* ---- what is told ---- */

static void look_at_relay(Relay *relay)
{
    const uint64_t most = relay->manager->setup->config->watch_rss;
    char rss[FORMAT_BYTES_MAX], limit[FORMAT_BYTES_MAX];

    if (!relay->measured)
        return;
    take_up(relay);
    outlook_add(&relay->growing, growth_hour(), loop_monotonic(relay->manager), relay->memory.rss);
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

/* MemAvailable is at the beginning. The file is kept open: opening it costs as much as reading it. */
#define MEMINFO_MAX 512

static Outlook look_ahead(Manager *m)
{
    _cleanup_(freep) char *path = xasprintf("%s/meminfo", m->proc);
    char meminfo[MEMINFO_MAX];
    _cleanup_(freep) OutlookRelay *relays = xcalloc(m->n_relays, sizeof(*relays));
    uint64_t available = 0;

    if (text_file_read_again(&m->meminfo, path, meminfo, sizeof(meminfo)) < 0 ||
        outlook_available(meminfo, &available) < 0)
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

void watch_open(Manager *m)
{
    _cleanup_(freep) char *path = growth_path(m);

    (void)text_file_read(path, &m->growth_rows);
}

void watch_look(Manager *m)
{
    m->watched = strv_free(m->watched);
    for (size_t i = 0; i < m->n_relays; i++)
        look_at_relay(m->relays[i]);
    keep(m);
    m->outlook = look_ahead(m);
    tell_outlook(m);
    m->outlook.relay = m->outlook.allocator = m->outlook.version = NULL;
}
