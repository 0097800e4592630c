/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/relays.h"

#include "core/relay.h"
#include "io/instances.h"
#include "io/torrc.h"
#include "manager/loop.h"
#include "manager/memory.h"
#include "manager/relay.h"

#include <errno.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <syslog.h>

#define SCAN_DELAY (200 * USEC_PER_MSEC)
#define SCAN_DELAY_IN_RUN (5 * USEC_PER_SEC) /* each of its reloads announces all units again */
#define SCAN_RETRY (2 * USEC_PER_SEC)
#define LOOK_AGAIN_INTERVAL (5 * USEC_PER_SEC) /* while others reload systemd without end */

Relay *relays_find(Manager *m, const char *name)
{
    size_t low = 0, high = m->n_relays;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = name_compare(name, m->relays[middle]->facts.name);

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
        name = xstrdup(unit); /* of an old one */
    Relay *relay = relays_find(m, name);
    return relay && streq(relay->facts.unit, unit) ? relay : NULL;
}

static int compare_relays(const void *a, const void *b)
{
    return name_compare((*(Relay *const *)a)->facts.name, (*(Relay *const *)b)->facts.name);
}

static void add_named(Manager *m, const char *name, const char *unit)
{
    Relay *relay = relays_find(m, name);

    if (!relay) {
        relay = relay_new(m, name, unit);
        GROW(m->relays, m->c_relays, m->n_relays);
        m->relays[m->n_relays++] = relay;
        m->plan = plan_free(m->plan); /* it names relays by their place in the table */
        qsort(m->relays, m->n_relays, sizeof(*m->relays), compare_relays);
        m->table_changed = true;
        if (m->scanned)
            eventlog_write(MESSAGE_RELAY_APPEARED, &(Event){ .relay = name, .unit = unit }, "%s appeared.",
                           name);
        relay_watch(relay);
    }
    relay->found = true;
}

static void add_unit(Manager *m, const char *unit)
{
    _cleanup_(freep) char *name = NULL;

    if (relay_name_from_unit(m->setup->config->unit, unit, &name) >= 0)
        add_named(m, name, unit);
}

/* One with a drop-in of ours, or that loses it right now: also of a template that `unit` was before. */
static void add_any_unit(Manager *m, const char *unit)
{
    if (unit_is_instance(m->setup->config->unit, unit))
        add_unit(m, unit);
    else if (unit_is_service_instance(unit))
        add_named(m, unit, unit);
}

static void add_instances(Manager *m)
{
    _cleanup_(strv_freep) char **units = NULL;
    int e = instances_list(m->setup->config->instances_dir, m->setup->config->unit, &units);

    if (e < 0 && e != m->instances_error)
        eventlog_line(LOG_WARNING, "Cannot read %s: %s.", m->setup->config->instances_dir, strerror(-e));
    m->instances_error = e;
    /* A directory that cannot be read for a moment must not remove relays from the table, and so change the
     * groups of others. */
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *relay = m->relays[i];

        relay->facts.has_instance = e < 0 && relay->facts.has_instance;
        relay->found = relay->found || relay->facts.has_instance;
    }
    STRV_FOREACH (unit, units) {
        add_unit(m, *unit);
        Relay *relay = relays_find_unit(m, *unit);
        if (relay)
            relay->facts.has_instance = true;
    }
}

/* The units of relays whose drop-in may have to be put back; a strv. */
static char **units_moving(Manager *m)
{
    char **units = NULL;

    for (size_t i = 0; i < m->n_relays; i++)
        if (m->relays[i]->run_item != SIZE_MAX || memory_find_flight(m->state, m->relays[i]->facts.name))
            strv_push(&units, xstrdup(m->relays[i]->facts.unit));
    return units;
}

static void add_dropins(Manager *m)
{
    _cleanup_(strv_freep) char **units = NULL, **moving = units_moving(m);
    int e = dropin_store_list(m->dropins, moving, &units);

    if (e < 0 && e != m->dropins_error)
        eventlog_line(LOG_WARNING, "Cannot look for drop-ins: %s.", strerror(-e));
    m->dropins_error = e;
    for (size_t i = 0; e < 0 && i < m->n_relays; i++)
        m->relays[i]->found = m->relays[i]->found || m->relays[i]->facts.present;
    STRV_FOREACH (unit, units)
        add_any_unit(m, *unit);
    for (size_t i = 0; i < m->state->n_flights; i++)
        if (unit_is_service_instance(m->state->flights[i].relay))
            add_any_unit(m, m->state->flights[i].relay);
}

void relays_drop_vanished(Manager *m)
{
    size_t kept = 0;
    bool outdated = false, forgotten = false;

    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *relay = m->relays[i];

        if (relay->found || relay->run_item != SIZE_MAX) {
            m->relays[kept++] = relay;
            outdated = outdated || (!relay->found && relay->step == STEP_WAITING);
            continue;
        }
        m->table_changed = true;
        m->plan = plan_free(m->plan);
        if (relay->facts.old_unit) /* it has lost our drop-in, and with it all that it was known for */
            forgotten = memory_remove_revert(m->state, relay->facts.name) || forgotten;
        else
            eventlog_write(MESSAGE_RELAY_VANISHED,
                           &(Event){ .relay = relay->facts.name, .unit = relay->facts.unit }, "%s is gone.",
                           relay->facts.name);
        relay_free(relay);
    }
    m->n_relays = kept;
    if (forgotten)
        (void)memory_save(m);
    if (outdated) /* nothing may be written for one that is gone */
        m->reports->plan_outdated(m);
}

RelayFacts **relays_facts(const Manager *m)
{
    RelayFacts **facts = xcalloc(m->n_relays, sizeof(*facts));

    for (size_t i = 0; i < m->n_relays; i++)
        facts[i] = &m->relays[i]->facts;
    return facts;
}

static unsigned standing(const Relay *relay)
{
    const Config *c = relay->manager->setup->config;

    return (unsigned)facts_counts(c, &relay->facts) + facts_draws(c, &relay->facts);
}

bool relays_standing_changed(const Relay *relay)
{
    return standing(relay) != relay->standing;
}

/* What the file says of relays that nobody is: kept for who asks, and logged of a file that is new. */
static void judge_names(Manager *m)
{
    _cleanup_(freep) RelayFacts **facts = relays_facts(m);
    _cleanup_(problems_clear) Problems problems = { 0 };

    facts_judge_names(m->setup->config, (const RelayFacts *const *)facts, m->n_relays, &problems);
    for (size_t i = 0; i < problems.n; i++) {
        _cleanup_(freep) char *line = problem_to_string(&problems.items[i]);
        bool draw = strstr(line, " gives up ") && !(m->config_warnings && strstr(m->config_warnings, line));
        if (m->look_at_groups || draw) /* what relays bring about that come or go is told when it does */
            eventlog_line(LOG_WARNING, "%s.", line);
    }
    free(m->config_warnings);
    m->config_warnings = problems.n > 0 ? problems_to_string(&problems) : NULL;
}

void relays_assign(Manager *m)
{
    _cleanup_(freep) RelayFacts **facts = relays_facts(m);
    _cleanup_(freep) size_t *groups = xcalloc(m->n_relays, sizeof(size_t));
    bool outdated = false;

    for (size_t i = 0; i < m->n_relays; i++)
        facts_take_memory(facts[i], m->state);
    facts_assign(m->setup->config, (const RelayFacts *const *)facts, m->n_relays, groups);
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *relay = m->relays[i];
        bool reverted = memory_find_revert(m->state, relay->facts.name) != NULL;

        relay->standing = standing(relay);
        if (relay->run_item != SIZE_MAX) {
            outdated = outdated || relay->facts.group != groups[i] || relay->facts.reverted != reverted;
            continue;
        }
        relay->facts.group = groups[i];
        relay->facts.reverted = reverted;
        relay_read_dropin(relay);
        relay_prove(relay);
    }
    if (!m->look_at_groups)
        judge_names(m);
    if (outdated)
        m->reports->plan_outdated(m);
}

static void prove_all(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++)
        relay_prove(m->relays[i]);
}

void relays_verify(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *relay = m->relays[i];

        if (relay->run_item == SIZE_MAX)
            relay_read_dropin(relay);
        relay_prove(relay);
    }
}

static int on_look_again(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->look_again = sd_event_source_unref(m->look_again);
    m->looked_again = loop_monotonic(m);
    m->reports->looks_again(m);
    for (size_t i = 0; i < m->n_relays; i++)
        relay_look_again(m->relays[i]);
    return 0;
}

void relays_look_again(Manager *m, bool by_run)
{
    usec_t now = loop_monotonic(m), next = m->looked_again + LOOK_AGAIN_INTERVAL;
    bool soon = m->looked_again == 0 || next < now + SCAN_DELAY;

    m->look_again_after_run = by_run;
    if (!by_run)
        loop_schedule(m, &m->look_again, soon ? SCAN_DELAY : next - now, on_look_again);
}

/* ---- looking for relays ---- */

static void scan(Manager *m);

/* The first time that every relay's unit has been read, the table is complete: now plans may be made. A new
 * configuration waits for a scan of its own; its directory of instances may be another. */
void relays_check_scanned(Manager *m)
{
    if ((m->scanned && !m->look_at_groups) || m->scan || !m->scan_done)
        return;
    for (size_t i = 0; i < m->n_relays; i++)
        if (!m->relays[i]->facts.info && !m->relays[i]->facts.unread)
            return;
    if (m->look_at_groups && !m->rescan) {
        judge_names(m);
        m->look_at_groups = false;
    }
    if (m->scanned)
        return;
    m->scanned = true;
    relays_assign(m); /* who counts as a relay depends on what was read */
    m->reports->table_complete(m);
}

static void scan_finish(Manager *m)
{
    m->scan_failures = 0;
    if (!m->instances_watch) /* it was not there, or another one took its place */
        relays_watch_instances(m);
    for (size_t i = 0; i < m->n_relays; i++)
        m->relays[i]->found = m->relays[i]->facts.has_file = false;
    STRV_FOREACH (unit, m->scan_units)
        add_unit(m, *unit);
    STRV_FOREACH (unit, m->scan_files) {
        add_unit(m, *unit);
        Relay *relay = relays_find_unit(m, *unit);
        if (relay)
            relay->facts.has_file = true;
    }
    m->scan_units = strv_free(m->scan_units);
    m->scan_files = strv_free(m->scan_files);
    add_instances(m);
    add_dropins(m);
    relays_drop_vanished(m);
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *relay = m->relays[i];

        if (relay->run_item == SIZE_MAX)
            relay_read_dropin(relay); /* `systemctl revert` deletes ours, too */
        m->table_changed = m->table_changed || standing(relay) != relay->standing;
    }
    m->scan_done = true;
    if (m->table_changed && m->scanned)
        relays_assign(m);
    m->table_changed = false;
    m->reports->table_read(m);
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
    m->scan_files = strv_free(m->scan_files);
    loop_schedule(m, &m->rescan, SCAN_RETRY, on_rescan);
}

bool relays_take_environment(Manager *m, char **take)
{
    bool changed = !strv_equal(take, m->environment);

    strv_free(m->environment);
    m->environment = take;
    if (changed)
        prove_all(m);
    return changed;
}

static void on_environment_read(void *userdata, int error, const char *message, char **environment)
{
    Manager *m = userdata;

    (void)message;
    m->environment_read = NULL;
    if (error == 0 && relays_take_environment(m, environment))
        m->reports->table_read(m);
}

void relays_read_environment(Manager *m)
{
    if (m->systemd && !m->environment_read)
        (void)systemd1_get_environment(m->systemd, on_environment_read, m, &m->environment_read);
}

/* It is only one more fact: without an answer what was known stands. */
static void on_environment(void *userdata, int error, const char *message, char **environment)
{
    Manager *m = userdata;

    (void)message;
    m->scan = NULL;
    if (error == 0)
        (void)relays_take_environment(m, environment);
    scan_finish(m);
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
    int r = systemd1_get_environment(m->systemd, on_environment, m, &m->scan);
    if (r < 0)
        scan_failed(m, r, NULL);
}

static void on_units(void *userdata, int error, const char *message, char **units)
{
    Manager *m = userdata;
    _cleanup_(freep) char *pattern = relay_unit_pattern(m->setup->config->unit);

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
    _cleanup_(freep) char *pattern = relay_unit_pattern(m->setup->config->unit);

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

    loop_schedule(m, &m->rescan, m->scanned ? delay : 0, on_rescan);
}

bool relays_forget_config_faults(Manager *m, bool all)
{
    bool any = false;

    for (size_t i = 0; i < m->n_relays; i++) {
        RelayFacts *f = &m->relays[i]->facts;

        if (!f->config_fault || (!all && f->info && torrc_stamp(f->info->verify_config) == f->config_stamp))
            continue;
        facts_take_config_fault(f, NULL, 0);
        any = true;
    }
    return any;
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

/* Which directory is there now; none: 0. false: that cannot be told. */
static bool find_instances(const Manager *m, dev_t *ret_device, ino_t *ret_inode)
{
    struct stat st = { 0 };

    if (stat(m->setup->config->instances_dir, &st) < 0 && errno != ENOENT && errno != ENOTDIR)
        return false;
    const bool there = S_ISDIR(st.st_mode);
    *ret_device = there ? st.st_dev : 0;
    *ret_inode = there ? st.st_ino : 0;
    return true;
}

void relays_watch_instances(Manager *m)
{
    m->instances_watch = sd_event_source_disable_unref(m->instances_watch);
    /* Before it is watched: if another one takes its place in between, the next look sees that. */
    (void)find_instances(m, &m->instances_device, &m->instances_inode);
    int r = sd_event_add_inotify(m->event, &m->instances_watch, m->setup->config->instances_dir,
                                 IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                     IN_MOVE_SELF | IN_ONLYDIR,
                                 on_instances, m);
    if (r < 0 && r != -ENOENT && r != m->watch_error)
        eventlog_line(LOG_WARNING, "Cannot watch %s: %s.", m->setup->config->instances_dir, strerror(-r));
    m->watch_error = r;
}

/* It was made, moved back or mounted over, or what it lies in was moved: a watch tells nothing of that. */
static bool other_instances(const Manager *m)
{
    dev_t device;
    ino_t inode;

    if (!find_instances(m, &device, &inode))
        return false;
    if (!m->instances_watch)
        return inode != 0;
    return device != m->instances_device || inode != m->instances_inode;
}

/* true: what was seen through the watch before is no longer what is there. */
static bool watch_other_instances(Manager *m)
{
    const bool watched = m->instances_watch;

    if (!other_instances(m))
        return false;
    relays_watch_instances(m);
    return watched || m->instances_watch; /* one that we must not read is no news each time */
}

/* Of an instance that nobody starts only the watch tells: without one they are looked for, which tries to
 * watch them again, too. */
void relays_retry(Manager *m)
{
    if (watch_other_instances(m) || error_is_passing(m->watch_error) ||
        error_is_passing(m->instances_error) || error_is_passing(m->dropins_error))
        relays_scan(m);
}

void relays_forget_bus(Manager *m)
{
    m->scan = systemd1_cancel(m->scan);
    m->environment_read = systemd1_cancel(m->environment_read);
    m->scan_units = strv_free(m->scan_units);
    m->scan_files = strv_free(m->scan_files);
    for (size_t i = 0; i < m->n_relays; i++)
        relay_forget_bus(m->relays[i]);
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
    m->scan = systemd1_cancel(m->scan);
    m->scan_units = strv_free(m->scan_units);
    m->scan_files = strv_free(m->scan_files);
    relays_free(m);
    m->scanned = m->scan_done = false;
}
