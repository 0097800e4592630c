/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of relays: which there are, and which group takes them. A relay is there when systemd has its
 * unit loaded or knows a unit file of its own, when it has a folder among the instances, or when a drop-in of
 * ours lies for it. */
#include "core/relay.h"
#include "io/instances.h"
#include "manager/manager.h"

#include <errno.h>
#include <sys/inotify.h>
#include <syslog.h>

#define SCAN_DELAY (200 * USEC_PER_MSEC)
#define SCAN_DELAY_IN_RUN (5 * USEC_PER_SEC) /* each of its reloads announces all units anew */
#define SCAN_RETRY (2 * USEC_PER_SEC)

Relay *relays_find(Manager *m, const char *name)
{
    size_t low = 0, high = m->n_relays;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = strcmp(name, m->relays[middle]->name);

        if (c == 0)
            return m->relays[middle];
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

Relay *relays_find_unit(Manager *m, const char *unit)
{
    _cleanup_(freep) char *name = NULL;

    if (relay_name_from_unit(m->setup->config->unit, unit, &name) < 0)
        return NULL;
    return relays_find(m, name);
}

static int compare_relays(const void *a, const void *b)
{
    return strcmp((*(Relay *const *)a)->name, (*(Relay *const *)b)->name);
}

static void add_unit(Manager *m, const char *unit)
{
    _cleanup_(freep) char *name = NULL;

    if (relay_name_from_unit(m->setup->config->unit, unit, &name) < 0)
        return;
    Relay *r = relays_find(m, name);
    if (!r) {
        r = relay_new(m, name, unit);
        GROW(m->relays, m->c_relays, m->n_relays);
        m->relays[m->n_relays++] = r;
        m->plan = plan_free(m->plan); /* it names relays by their place in the table */
        qsort(m->relays, m->n_relays, sizeof(*m->relays), compare_relays);
        m->table_changed = true;
        if (m->scanned)
            eventlog_write(MESSAGE_RELAY_APPEARED, &(Event){ .relay = name, .unit = unit }, "%s appeared.",
                           name);
        relay_watch(r);
    }
    r->found = true;
}

static void add_instances(Manager *m)
{
    _cleanup_(strv_freep) char **units = NULL;
    int e = instances_list(m->setup->config->instances_dir, m->setup->config->unit, &units);

    if (e < 0 && e != m->instances_error)
        eventlog_line(LOG_WARNING, "Cannot read %s: %s.", m->setup->config->instances_dir, strerror(-e));
    m->instances_error = e;
    /* A folder that cannot be read for a moment must not make relays vanish, and others change their groups.
     */
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *r = m->relays[i];

        r->has_folder = e < 0 && r->has_folder;
        r->found = r->found || r->has_folder;
    }
    STRV_FOREACH (unit, units) {
        add_unit(m, *unit);
        Relay *r = relays_find_unit(m, *unit);
        if (r)
            r->has_folder = true;
    }
}

static void add_dropins(Manager *m)
{
    _cleanup_(strv_freep) char **units = NULL;
    int e = dropin_store_list(m->dropins, &units);

    if (e < 0 && e != m->dropins_error)
        eventlog_line(LOG_WARNING, "Cannot look for drop-ins: %s.", strerror(-e));
    m->dropins_error = e;
    for (size_t i = 0; e < 0 && i < m->n_relays; i++)
        m->relays[i]->found = m->relays[i]->found || m->relays[i]->present;
    STRV_FOREACH (unit, units)
        add_unit(m, *unit);
}

void relays_drop_vanished(Manager *m)
{
    size_t kept = 0;
    bool supersede = false;

    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *r = m->relays[i];

        if (r->found || r->run_item != SIZE_MAX) {
            m->relays[kept++] = r;
            supersede = supersede || (!r->found && run_item_waits(m->run, r->run_item));
            continue;
        }
        m->table_changed = true;
        m->plan = plan_free(m->plan);
        eventlog_write(MESSAGE_RELAY_VANISHED, &(Event){ .relay = r->name, .unit = r->unit }, "%s is gone.",
                       r->name);
        relay_free(r);
    }
    m->n_relays = kept;
    if (supersede) /* nothing may be written for one that is gone */
        run_event(m, EVENT_SUPERSEDE);
}

static bool named(const Config *c, const char *relay)
{
    for (size_t g = 0; g < c->n_groups; g++)
        if (strv_contains(c->groups[g].patterns, relay))
            return true;
    return false;
}

/* tor ships tor@default.service: as long as nobody runs it, it is a unit file and no relay, and must not take
 * a place that `size` or `share` meant for one; who names it means it. What only a drop-in of ours tells of
 * was a relay once. */
static bool counts_as_relay(const Relay *r)
{
    return r->has_folder || (r->info && r->info->active != ACTIVE_INACTIVE) ||
           (r->has_file && (r->present || named(r->manager->setup->config, r->name)));
}

/* The relays that count, in the order of the table, and their groups; both have room for all. Returns their
 * number. */
static size_t assign_counted(const Manager *m, const char **ret_names, size_t *ret_groups)
{
    size_t n = 0;

    for (size_t i = 0; i < m->n_relays; i++)
        if (counts_as_relay(m->relays[i]))
            ret_names[n++] = m->relays[i]->name;
    assign_groups(m->setup->config, ret_names, n, ret_groups);
    return n;
}

/* A slip in a pattern would else show nowhere. */
static void say_empty_groups(const Manager *m)
{
    _cleanup_(freep) const char **names = xcalloc(m->n_relays, sizeof(char *));
    _cleanup_(freep) size_t *groups = xcalloc(m->n_relays, sizeof(size_t));
    size_t n = assign_counted(m, names, groups);

    for (size_t g = 0; g < m->setup->config->n_groups; g++) {
        _cleanup_(freep) char *why = assign_why_empty(m->setup->config, g, names, n, groups);
        if (why)
            eventlog_line(LOG_WARNING, "%s.", why);
    }
}

void relays_assign(Manager *m)
{
    _cleanup_(freep) const char **names = xcalloc(m->n_relays, sizeof(char *));
    _cleanup_(freep) size_t *groups = xcalloc(m->n_relays, sizeof(size_t));
    size_t n = 0;
    bool supersede = false;

    (void)assign_counted(m, names, groups);
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *r = m->relays[i];
        bool reverted = strv_contains(m->state->reverted, r->name);
        size_t group;

        r->counted = counts_as_relay(r);
        group = r->counted ? groups[n++] : GROUP_NONE;

        if (r->run_item != SIZE_MAX) {
            supersede = supersede || r->group != group || r->reverted != reverted;
            continue;
        }
        r->group = group;
        r->reverted = reverted;
        relay_read_dropin(r);
        relay_prove(r);
    }
    if (supersede)
        run_event(m, EVENT_SUPERSEDE);
}

/* ---- looking for relays ---- */

static void scan(Manager *m);

/* The first time that every relay's unit has been read, the table is complete: now plans may be made. A new
 * configuration waits for a scan of its own; its folder of instances may be another. */
void relays_check_scanned(Manager *m)
{
    if ((m->scanned && !m->look_at_groups) || m->scan || !m->scan_done)
        return;
    for (size_t i = 0; i < m->n_relays; i++)
        if (!m->relays[i]->info && !m->relays[i]->unread)
            return;
    if (m->look_at_groups && !m->rescan) {
        say_empty_groups(m);
        m->look_at_groups = false;
    }
    if (m->scanned)
        return;
    m->scanned = true;
    relays_assign(m); /* who counts as a relay depends on what was read */
    plan_now(m);
    manager_ready(m);
}

static void scan_finish(Manager *m)
{
    m->scan_failures = 0;
    if (!m->instances_watch) /* it was not there, or another one took its place */
        relays_watch_instances(m);
    for (size_t i = 0; i < m->n_relays; i++)
        m->relays[i]->found = m->relays[i]->has_file = false;
    STRV_FOREACH (unit, m->scan_units)
        add_unit(m, *unit);
    STRV_FOREACH (unit, m->scan_files) {
        add_unit(m, *unit);
        Relay *r = relays_find_unit(m, *unit);
        if (r)
            r->has_file = true;
    }
    m->scan_units = strv_free(m->scan_units);
    m->scan_files = strv_free(m->scan_files);
    add_instances(m);
    add_dropins(m);
    relays_drop_vanished(m);
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *r = m->relays[i];

        if (r->run_item == SIZE_MAX)
            relay_read_dropin(r); /* `systemctl revert` deletes ours, too */
        m->table_changed = m->table_changed || counts_as_relay(r) != r->counted;
    }
    m->scan_done = true;
    if (m->table_changed && m->scanned)
        relays_assign(m);
    m->table_changed = false;
    plan_soon(m);
    relays_check_scanned(m);
    if (m->scan_again)
        scan(m);
}

static int on_rescan(sd_event_source *source, uint64_t usec, void *userdata);

static void scan_failed(Manager *m, int error, const char *message)
{
    if (error != -ENOTCONN && m->scan_failures++ == 0)
        eventlog_line(LOG_WARNING, "Cannot list units: %s; trying again.",
                      message ? message : strerror(-error));
    m->scan_units = strv_free(m->scan_units);
    manager_schedule(m, &m->rescan, SCAN_RETRY, on_rescan);
}

static void on_unit_files(void *userdata, int error, const char *message, char **units)
{
    Manager *m = userdata;

    m->scan = NULL;
    if (error < 0) {
        scan_failed(m, error, message);
        return;
    }
    m->scan_files = units;
    scan_finish(m);
}

static char *unit_pattern(const Manager *m)
{
    const char *unit = m->setup->config->unit, *at = strchr(unit, '@');

    return xasprintf("%.*s@*%s", (int)(at - unit), unit, at + 1);
}

static void on_units(void *userdata, int error, const char *message, char **units)
{
    Manager *m = userdata;
    _cleanup_(freep) char *pattern = unit_pattern(m);

    m->scan = NULL;
    if (error < 0) {
        scan_failed(m, error, message);
        return;
    }
    m->scan_units = units;
    int r = systemd1_list_unit_files(m->systemd, pattern, on_unit_files, m, &m->scan);
    if (r < 0)
        scan_failed(m, r, NULL);
}

static void scan(Manager *m)
{
    _cleanup_(freep) char *pattern = unit_pattern(m);

    m->scan_again = false;
    int r = systemd1_list_units(m->systemd, pattern, on_units, m, &m->scan);
    if (r < 0)
        scan_failed(m, r, NULL);
}

static int on_rescan(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->rescan = sd_event_source_unref(m->rescan);
    if (m->scan)
        m->scan_again = true;
    else if (m->systemd)
        scan(m);
    return 0;
}

void relays_scan(Manager *m)
{
    usec_t delay = m->run ? SCAN_DELAY_IN_RUN : SCAN_DELAY;

    manager_schedule(m, &m->rescan, m->scanned ? delay : 0, on_rescan);
}

static int on_instances(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    if (event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT))
        m->instances_watch = sd_event_source_disable_unref(m->instances_watch);
    relays_scan(m);
    return 0;
}

void relays_watch_instances(Manager *m)
{
    m->instances_watch = sd_event_source_disable_unref(m->instances_watch);
    int r = sd_event_add_inotify(m->event, &m->instances_watch, m->setup->config->instances_dir,
                                 IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                     IN_MOVE_SELF | IN_ONLYDIR,
                                 on_instances, m);
    if (r < 0 && r != -ENOENT && r != m->watch_error)
        eventlog_line(LOG_WARNING, "Cannot watch %s: %s.", m->setup->config->instances_dir, strerror(-r));
    m->watch_error = r;
}

void relays_forget_bus(Manager *m)
{
    m->scan = systemd1_cancel(m->scan);
    m->scan_units = strv_free(m->scan_units);
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *r = m->relays[i];

        r->refresh = systemd1_cancel(r->refresh);
        r->refresh_again = false;
        r->watch = sd_bus_slot_unref(r->watch);
    }
}

void relays_bus_back(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++) {
        relay_watch(m->relays[i]);
        relay_unit_changed(m->relays[i]);
    }
    relays_scan(m);
}

void relays_free(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++)
        relay_free(m->relays[i]);
    free(m->relays);
    m->relays = NULL;
    m->n_relays = m->c_relays = 0;
    m->plan = plan_free(m->plan);
}

void relays_forget(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++)
        if (m->relays[i]->present)
            eventlog_line(
                LOG_WARNING,
                "%s is no longer a relay, but keeps the drop-in that was written for it; to remove it, "
                "restore the former `unit` and run \"relayallocctl revert\".",
                m->relays[i]->unit);
    m->scan = systemd1_cancel(m->scan);
    m->scan_units = strv_free(m->scan_units);
    relays_free(m);
    m->scanned = m->scan_done = false;
}
