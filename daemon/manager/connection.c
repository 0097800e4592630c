/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the connection to the system bus: a lost one is opened again, without end. What systemd announces on
 * it goes to the parts that it is about. */
#include "manager/connection.h"

#include "core/relay.h"
#include "manager/alert.h"
#include "manager/config-watch.h"
#include "manager/loop.h"
#include "manager/relay.h"
#include "manager/relays.h"
#include "manager/run.h"

#include <syslog.h>

#define RECONNECT_DELAY (2 * USEC_PER_SEC)

static int on_reconnect(sd_event_source *source, uint64_t usec, void *userdata);

void connection_close(Manager *m)
{
    run_forget_bus(m);
    alert_forget_bus(m);
    relays_forget_bus(m);
    m->view->stop(m);
    m->systemd = systemd1_free(m->systemd);
    if (m->bus)
        sd_bus_detach_event(m->bus);
    m->bus = sd_bus_close_unref(m->bus);
}

static int on_disconnected(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
    Manager *m = userdata;

    (void)message;
    (void)error;
    if (m->stopping)
        return 0;
    if (!m->bus_lost)
        eventlog_write(MESSAGE_BUS_LOST, &(Event){ 0 },
                       "Lost the connection to the system bus; reconnecting.");
    /* Not from within the bus's own callback; and not at once when that was tried already. */
    loop_schedule(m, &m->reconnect, m->bus_lost ? RECONNECT_DELAY : 0, on_reconnect);
    m->bus_lost = true;
    return 0;
}

static void on_unit_changed(void *userdata, const char *unit)
{
    Relay *relay = relays_find_unit(userdata, unit);

    if (relay)
        relay_unit_signalled(relay);
}

/* Units come and go all the time on a busy host, and a list of unit files costs systemd a walk through its
 * directories: only what may be a relay is worth it. */
static void on_units_changed(void *userdata, const char *unit)
{
    Manager *m = userdata;

    if (!unit) {
        config_watch_look(m->config_watch);
        relays_look_again(m, run_reloads(m));
    }
    if (!unit || unit_is_instance(m->setup->config->unit, unit) || relays_find_unit(m, unit))
        relays_scan(m);
}

static void on_job_removed(void *userdata, const char *job, const char *unit, JobResult result)
{
    run_job_removed(userdata, job, unit, result);
}

static void on_owner_changed(void *userdata, bool present)
{
    Manager *m = userdata;

    if (!present)
        return;
    if (m->bus_lost)
        eventlog_line(LOG_INFO, "Reconnected to the system bus.");
    m->bus_lost = false;
    relays_bus_back(m);
    run_bus_back(m);
    alert_bus_back(m);
}

static const Systemd1Events systemd_events = {
    .unit_changed = on_unit_changed,
    .units_changed = on_units_changed,
    .job_removed = on_job_removed,
    .owner_changed = on_owner_changed,
};

int connection_open(Manager *m)
{
    int r = sd_bus_open_system(&m->bus);

    if (r >= 0)
        r = sd_bus_attach_event(m->bus, m->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = sd_bus_match_signal_async(m->bus, NULL, NULL, "/org/freedesktop/DBus/Local",
                                      "org.freedesktop.DBus.Local", "Disconnected", on_disconnected, NULL, m);
    if (r >= 0)
        r = systemd1_new(m->bus, &systemd_events, m, &m->systemd);
    if (r >= 0)
        r = m->view->start(m);
    if (r < 0)
        connection_close(m);
    return r;
}

static int on_reconnect(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->reconnect = sd_event_source_unref(m->reconnect);
    connection_close(m);
    int r = connection_open(m);
    if (r < 0)
        loop_schedule(m, &m->reconnect, RECONNECT_DELAY, on_reconnect);
    return 0;
}
