/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/relay.h"

#include "io/setting-files.h"
#include "io/unit-log.h"
#include "manager/loop.h"
#include "manager/setup.h"
#include "manager/tor.h"

#include <errno.h>
#include <syslog.h>

#define UNIT_LOG_LINES 6
#define REREAD_DELAY (5 * USEC_PER_SEC)
#define REOPEN_DELAY USEC_PER_SEC
#define REOPEN_TRIES 5 /* then with each sample */
#define UNREADABLE_AFTER (5 * USEC_PER_SEC)
/* How long a unit is not read again because it says that it has changed: longer and longer while that goes
 * on. */
#define SIGNAL_PAUSE_MIN (50 * USEC_PER_MSEC)
#define SIGNAL_PAUSE_MAX USEC_PER_SEC
#define SIGNAL_QUIET (2 * USEC_PER_SEC)

Relay *relay_free(Relay *relay)
{
    if (!relay)
        return NULL;
    relay->manager->n_in_state[relay->state]--;
    systemd1_cancel(relay->refresh);
    sd_bus_slot_unref(relay->watch);
    tor_forget(relay);
    process_free(relay->process);
    relay_facts_clear(&relay->facts);
    sd_event_source_disable_unref(relay->signal_due);
    free(relay->logged);
    strv_free(relay->conflicts_told);
    free(relay->unlogged);
    free(relay->shown_properties);
    free(relay);
    return NULL;
}

Relay *relay_new(Manager *m, const char *name, const char *unit)
{
    Relay *relay = xcalloc(1, sizeof(*relay));

    relay->manager = m;
    relay->facts = relay_facts_new(name, unit);
    relay->tor.view.progress = -1;
    relay->state = relay->shown = RELAY_STOPPED;
    m->n_in_state[RELAY_STOPPED]++;
    relay->run_item = SIZE_MAX;
    relay_read_dropin(relay);
    return relay;
}

bool relay_up(const Relay *relay)
{
    return unit_up(relay->facts.info);
}

const Group *relay_target(const Relay *relay)
{
    const HostFacts host = setup_host(relay->manager);

    return facts_target(&host, &relay->facts);
}

void relay_read_dropin(Relay *relay)
{
    _cleanup_(freep) char *before = xstrdup(relay->facts.present);

    dropin_store_look(relay->manager->dropins, &relay->facts);
    /* What was said of it before speaks of another file. */
    if (relay->facts.info && !streq_null(before, relay->facts.present))
        relay_prove(relay);
}

Event relay_event(const Relay *relay)
{
    const RelayFacts *f = &relay->facts;
    const Group *g = setup_group(relay->manager->setup, f->group);

    return (Event){
        .relay = f->name,
        .unit = f->unit,
        .group = g ? g->name : NULL,
        .allocator = isempty(f->running) ? NULL : f->running,
        .version = f->version,
        .library = f->process.running.path,
        .pid = f->process.pid,
        .rollout = relay->run_item != SIZE_MAX ? relay->manager->state->rollout_id : 0,
    };
}

char *relay_unit_log(const Relay *relay)
{
    char *text = unit_log_tail(relay->facts.unit, UNIT_LOG_LINES);

    if (*text)
        return text;
    free(text);
    return NULL;
}

/* ---- what it runs ---- */

/* It is up, and its process is not in hand. */
static bool unopened(const Relay *relay)
{
    return relay_up(relay) && !relay->process;
}

static int on_reopen(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->reopen = sd_event_source_unref(m->reopen);
    for (size_t i = 0; i < m->n_relays; i++)
        if (unopened(m->relays[i]))
            relay_retry(m->relays[i]);
    return 0;
}

/* Its main process has ended since systemd named it: it is about to name another one. Like a new process that
 * shows nothing yet, for as long as that may be. */
static void take_gone(Relay *relay)
{
    const HostFacts host = setup_host(relay->manager);
    ProcessFacts gone = { .pid = (pid_t)relay->facts.info->main_pid, .started = host.now };

    if (relay->facts.process.pid != gone.pid)
        facts_take_process(&host, &relay->facts, &gone);
}

/* We may be short of descriptors or memory for a moment. */
static void try_to_open(Relay *relay)
{
    Manager *m = relay->manager;
    const uint32_t pid = relay->facts.info->main_pid;
    int r = process_open(m->proc, (pid_t)pid, &relay->process);

    if (r < 0 && r != -ESRCH && r != relay->open_error)
        eventlog_line(LOG_WARNING, "%s: cannot inspect process %u: %s.", relay->facts.name, pid,
                      strerror(-r));
    relay->open_error = r;
    if (r == -ESRCH)
        take_gone(relay);
    if (r < 0 && ++relay->open_failures < REOPEN_TRIES)
        loop_schedule(m, &m->reopen, REOPEN_DELAY, on_reopen);
}

static void tell_conflicts(Relay *relay, char **take)
{
    STRV_FOREACH (c, take) {
        Event e = relay_event(relay);

        e.reason = *c;
        if (!strv_contains(relay->conflicts_told, *c))
            eventlog_write(MESSAGE_DROPIN_CONFLICT, &e, "%s: %s as well.", relay->facts.name, *c);
    }
    strv_free(relay->conflicts_told);
    relay->conflicts_told = take;
}

void relay_prove(Relay *relay)
{
    _cleanup_(setting_files_clear) SettingFiles files = { 0 };
    const HostFacts host = setup_host(relay->manager);
    ProcessFacts process;

    if (unopened(relay))
        try_to_open(relay);
    if (relay_up(relay) && relay->process) {
        process_look(relay->process, relay->manager->elf_cache, relay->manager->setup->libraries, host.now,
                     &process);
        facts_take_process(&host, &relay->facts, &process);
    }
    if (relay->facts.info &&
        (facts_target(&host, &relay->facts) || relay->facts.present || relay->run_item != SIZE_MAX))
        setting_files_look(&host, &relay->facts, relay->manager->setup->libraries, &files);
    else
        facts_take_unread(&relay->facts, NULL, 0);
    facts_judge(&host, &relay->facts, files.files, files.n);
    if (files.n > 0 && !relay->facts.settings_unread && relay_up(relay) &&
        facts_target(&host, &relay->facts) && relay->facts.present)
        tell_conflicts(relay, strv_copy(relay->facts.conflicts));
}

void relay_tell_conflicts(Relay *relay)
{
    _cleanup_(setting_files_clear) SettingFiles files = { 0 };
    const HostFacts host = setup_host(relay->manager);

    if (!relay->facts.info || relay->facts.settings_unread) /* told when they can be read */
        return;
    setting_files_read(relay->facts.info, &files);
    tell_conflicts(relay, facts_conflicts(&host, &relay->facts, files.files, files.n));
}

/* ---- what its unit says ---- */

static void forget_process(Relay *relay)
{
    const HostFacts host = setup_host(relay->manager);
    ProcessFacts none = { 0 };

    tor_process_ended(relay);
    relay->growing = (Growing){ 0 };
    relay->process = process_free(relay->process);
    relay->open_failures = 0;
    relay->open_error = 0;
    relay->told_unreadable = 0;
    facts_take_process(&host, &relay->facts, &none);
    relay->seen_up = relay->seen_up || relay_up(relay);
}

/* Each reason once, and not for the moment in which it has just been executed or is about to be gone. */
static void tell_unreadable(Relay *relay)
{
    const int error = relay->facts.process.error;

    if (!relay->process || error == -ESRCH || error == relay->told_unreadable ||
        loop_realtime() < process_started(relay->process) + UNREADABLE_AFTER)
        return;
    relay->told_unreadable = error;
    eventlog_line(
        LOG_WARNING,
        "%s: the files of process %d in /proc cannot be read (%s), so what it runs is not known, and "
        "it is left alone.%s",
        relay->facts.name, (int)process_pid(relay->process), strerror(-error),
        error == -EACCES ? " If a drop-in takes CAP_SYS_PTRACE from relayallocd, remove that." : "");
}

/* What it runs is known: not at all, by file names only, for certain. */
typedef enum Knowledge { KNOWN_NOT, KNOWN_BY_NAME, KNOWN } Knowledge;

static Knowledge knowledge(const Relay *relay)
{
    const ProcessFacts *p = &relay->facts.process;

    if (relay_up(relay) && !(relay->process && p->readable))
        return KNOWN_NOT;
    return relay_up(relay) && p->running.unread ? KNOWN_BY_NAME : KNOWN;
}

/* A line in an EnvironmentFile= is in its way, say, which others take away without a reload of systemd. While
 * a rollout has it, that looks for itself. File capabilities are no such matter: with them the relay may lose
 * what it needs to start, until its unit gives it that, and then no way back would help. */
static bool is_kept_off(const Relay *relay)
{
    return relay->run_item == SIZE_MAX && relay->facts.verdict.unannounced;
}

/* Likewise of a file of others in the place of its drop-in. */
static bool retry_dropin(Relay *relay)
{
    RelayFacts *f = &relay->facts;

    if (relay->run_item != SIZE_MAX || (!f->dropin_unread && !f->foreign))
        return false;
    const bool unread = f->dropin_unread;
    _cleanup_(freep) char *foreign = xstrdup(f->foreign);
    relay_read_dropin(relay);
    return unread != f->dropin_unread || !streq_null(foreign, f->foreign);
}

/* Does its proof say something else than before? */
static bool retry_proof(Relay *relay)
{
    const RelayFacts *f = &relay->facts;
    const Knowledge before = knowledge(relay);
    const bool unread = f->settings_unread, kept_off = is_kept_off(relay);

    if (before == KNOWN && !unread && !kept_off)
        return false;
    _cleanup_(freep) char *reason = xstrdup(f->verdict.reason);
    relay_prove(relay);
    return knowledge(relay) > before || (unread && !f->settings_unread) ||
           (kept_off && !streq_null(reason, f->verdict.reason));
}

void relay_retry(Relay *relay)
{
    if (!relay->watch)
        relay_watch(relay);
    const bool other_file = retry_dropin(relay), other_proof = retry_proof(relay);
    if (other_file || other_proof)
        relay->manager->reports->relay_changed(relay, relay_up(relay));
    if (knowledge(relay) == KNOWN_NOT)
        tell_unreadable(relay);
}

/* Did systemd read other files for it, or something else in them? */
static bool other_settings(const UnitInfo *a, const UnitInfo *b)
{
    return !strv_equal(a->environment, b->environment) || !strv_equal(a->dropins, b->dropins) ||
           !strv_equal(a->environment_files, b->environment_files) || !streq_null(a->fragment, b->fragment);
}

void relay_take_info(Relay *relay, UnitInfo *take)
{
    const UnitInfo *before = relay->facts.info;
    bool was_up = relay_up(relay);
    bool new_process =
        !before || before->main_pid != take->main_pid || !streq(before->invocation, take->invocation);
    bool changed = new_process || before->active != take->active || before->n_restarts != take->n_restarts ||
                   (before->job != 0) != (take->job != 0);
    bool look = relay->look_again || !before || other_settings(before, take);

    unit_info_free(relay->facts.info);
    relay->facts.info = take;
    relay->look_again = false;
    if (new_process) /* where there is one, its configuration was fine */
        facts_take_config_fault(&relay->facts, NULL, 0);
    if (new_process || was_up != relay_up(relay)) {
        forget_process(relay);
        look = true;
    }
    if (look) {
        relay_read_dropin(relay);
        relay_prove(relay);
    }
    if (changed || look)
        relay->manager->reports->relay_changed(relay, was_up);
}

static int on_reread(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->reread = sd_event_source_unref(m->reread);
    for (size_t i = 0; i < m->n_relays; i++)
        if (m->relays[i]->facts.unread || m->relays[i]->unanswered)
            relay_unit_changed(m->relays[i]);
    return 0;
}

static void on_refreshed(void *userdata, int error, const char *message, UnitInfo *info)
{
    Relay *relay = userdata;
    Manager *m = relay->manager;

    relay->refresh = NULL;
    relay->unanswered = error == -ENOTCONN && systemd1_present(m->systemd);
    if (relay->unanswered)
        loop_schedule(m, &m->reread, REREAD_DELAY, on_reread);
    if (error == -ENOTCONN)
        return; /* asked again when the bus is back */
    if (error < 0) {
        if (!relay->facts.unread)
            eventlog_line(LOG_WARNING, "%s: cannot read its unit: %s.", relay->facts.name,
                          message ? message : strerror(-error));
        loop_schedule(m, &m->reread, REREAD_DELAY, on_reread);
    } else {
        relay_take_info(relay, info);
    }
    relay->facts.unread = error < 0;
    if (relay->refresh_again) {
        relay->refresh_again = false;
        relay_unit_changed(relay);
    }
    m->reports->relay_read(relay);
}

void relay_unit_changed(Relay *relay)
{
    Manager *m = relay->manager;

    if (!m->systemd || relay->read_by_run)
        return;
    if (relay->refresh) {
        relay->refresh_again = true; /* the pending answer may be older than this */
        return;
    }
    int r = systemd1_get_unit(m->systemd, relay->facts.unit, on_refreshed, relay, &relay->refresh);
    if (r < 0)
        on_refreshed(relay, r, NULL, NULL);
}

void relay_look_again(Relay *relay)
{
    relay->look_again = true;
    relay_unit_changed(relay);
}

static void read_for_signal(Relay *relay)
{
    relay->signalled = loop_monotonic(relay->manager);
    relay->signal_pause = relay->signal_pause == 0 ? SIGNAL_PAUSE_MIN : 2 * relay->signal_pause;
    if (relay->signal_pause > SIGNAL_PAUSE_MAX)
        relay->signal_pause = SIGNAL_PAUSE_MAX;
    relay_unit_changed(relay);
}

static int on_signal_due(sd_event_source *source, uint64_t usec, void *userdata)
{
    Relay *relay = userdata;

    (void)source;
    (void)usec;
    relay->signal_due = sd_event_source_unref(relay->signal_due);
    read_for_signal(relay);
    return 0;
}

/* A service can make systemd say that its unit has changed a thousand times a second (sd_notify(3)). */
void relay_unit_signalled(Relay *relay)
{
    const usec_t now = loop_monotonic(relay->manager);

    if (relay->signal_due)
        return;
    if (now - relay->signalled >= SIGNAL_QUIET)
        relay->signal_pause = 0;
    const usec_t due = relay->signalled + relay->signal_pause;
    if (now < due && sd_event_add_time(relay->manager->event, &relay->signal_due, CLOCK_MONOTONIC, due,
                                       USEC_PER_MSEC, on_signal_due, relay) >= 0)
        return;
    read_for_signal(relay);
}

void relay_watch(Relay *relay)
{
    Manager *m = relay->manager;

    if (!m->systemd || relay->watch)
        return;
    int r = systemd1_watch(m->systemd, relay->facts.unit, &relay->watch);
    if (r < 0)
        eventlog_line(LOG_WARNING, "%s: cannot watch its unit: %s.", relay->facts.name, strerror(-r));
    relay_unit_changed(relay);
}

void relay_forget_bus(Relay *relay)
{
    relay->refresh = systemd1_cancel(relay->refresh);
    relay->refresh_again = false;
    relay->watch = sd_bus_slot_unref(relay->watch);
}
