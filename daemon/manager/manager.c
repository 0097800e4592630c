/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's life: start, reload, stop, and what follows from what its parts report. Whatever happens
 * around it, it keeps running: a bad file changes nothing. */
#include "manager/manager.h"

#include "io/paths.h"
#include "io/state-file.h"
#include "manager/alert.h"
#include "manager/config-watch.h"
#include "manager/connection.h"
#include "manager/left-over.h"
#include "manager/loop.h"
#include "manager/memory.h"
#include "manager/plan.h"
#include "manager/read-only.h"
#include "manager/relay.h"
#include "manager/relays.h"
#include "manager/reload.h"
#include "manager/run.h"
#include "manager/sampler.h"
#include "manager/setup.h"
#include "manager/status.h"
#include "manager/watch.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>

#define PLAN_DELAY (50 * USEC_PER_MSEC)
#define FAILURE_PAUSE USEC_PER_MINUTE
#define REFUSED_PAUSE (10 * USEC_PER_MINUTE) /* until what was refused when it was tried is tried again */
#define LOG_LATER (5 * USEC_PER_SEC)
#define SAVE_PAUSE (5 * USEC_PER_SEC)
/* Somewhat longer than samples are apart that are taken as usual. */
#define LOOK_INTERVAL (65 * USEC_PER_SEC)

/* Who waits for us calls us next, so the names on the bus are waited for as well. */
static void tell_ready(Manager *m)
{
    if (m->ready || !m->scanned || !m->view->served(m))
        return;
    m->ready = true;
    sd_notify(0, "READY=1");
    status_show(m);
}

/* ---- planning ---- */

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata);
static void plan_soon(Manager *m);

static void update_state(Relay *relay)
{
    Manager *m = relay->manager;

    if (plan_update_state(relay)) /* something is to be logged later */
        loop_schedule(m, &m->retry, LOG_LATER, on_retry);
    m->view->relay_changed(relay);
}

static void update_states(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++)
        update_state(m->relays[i]);
    status_show(m);
}

/* With thousands of relays a rollout brings tens of thousands of these. */
static void on_run_moved(Manager *m)
{
    for (Relay *relay; (relay = run_next_moved(m));)
        update_state(relay);
    status_show(m);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->retry = sd_event_source_unref(m->retry);
    manager_plan(m);
    return 0;
}

/* Its file is away, and may be back in a moment: it is put back, or could not be read. */
static bool may_come_back(const Relay *relay)
{
    const RelayFacts *f = &relay->facts;

    return !f->present && (relay->run_item != SIZE_MAX || f->dropin_unread ||
                           memory_find_flight(relay->manager->state, f->name));
}

/* Whose drop-in is our work: those that a group asks for. Others' with our mark were left by an earlier
 * installation. */
static void remember_written(Manager *m)
{
    bool changed = false;

    for (size_t i = 0; i < m->n_relays; i++) {
        const RelayFacts *f = &m->relays[i]->facts;

        if (f->old_unit || may_come_back(m->relays[i]))
            continue;
        if (!f->present || relay_target(m->relays[i]) || m->state->from_before)
            changed |= memory_set_written(m->state, f->name, f->present);
    }
    m->state->from_before = false;
    if (changed)
        (void)memory_save(m);
}

/* What stopped relays may come up with. */
static void remember_proved(Manager *m)
{
    const HostFacts host = setup_host(m);
    bool changed = false;

    for (size_t i = 0; i < m->n_relays; i++) {
        const RelayFacts *f = &m->relays[i]->facts;
        _cleanup_(freep) char *recipe =
            facts_proves(&host, f) ? facts_recipe(facts_allocator(&host, f), facts_resolved(&host, f)) : NULL;
        changed |= recipe && memory_set_proved(m->state, recipe);
    }
    if (changed)
        (void)memory_save(m);
}

/* A requested restart ends with the process that it was for, whoever ended that; and one that must not be is
 * not kept for later. */
static void end_restarts(Manager *m)
{
    bool changed = false;

    for (size_t i = 0; i < m->n_relays; i++) {
        const RelayFacts *f = &m->relays[i]->facts;

        if (!f->info || m->relays[i]->run_item != SIZE_MAX)
            continue;
        bool wanted = memory_restart_wanted(m->state, f->name, f->info->invocation);
        bool refused = wanted && f->action == ACTION_REFUSED;
        if (refused)
            eventlog_line(LOG_WARNING, "%s is not restarted as requested: %s.", f->name,
                          f->reason ? f->reason : "reason unknown");
        if (!wanted || refused)
            changed |= memory_end_restart(m->state, f->name);
    }
    if (!changed)
        return;
    (void)memory_save(m);
    plan_make(m);
}

/* What a new configuration ends: a halt, a revert, what is not tried again. Relays of the rollout in progress
 * keep their groups, so that its end is waited for. */
static void review(Manager *m)
{
    if (m->run || setup_untested(m->setup)) /* a build that could not be looked at is no other one */
        return;
    _cleanup_(freep) const RelayFacts **relays = xcalloc(m->n_relays, sizeof(*relays));
    _cleanup_(freep) Assignment *assigned = xcalloc(m->n_relays, sizeof(*assigned));
    const HostFacts host = setup_host(m);

    for (size_t i = 0; i < m->n_relays; i++)
        relays[i] = &m->relays[i]->facts;
    _cleanup_(strv_freep) char **builds = facts_assigned(&host, relays, m->n_relays, assigned);
    const Review done = memory_review(m->state, m->setup->id, assigned, m->n_relays);
    if (done.halt_ended)
        eventlog_line(LOG_NOTICE, "The halt is over: what failed has been changed.");
    if (done.changed)
        (void)memory_save(m);
    if (done.regrouped)
        relays_assign(m);
}

void manager_plan(Manager *m)
{
    usec_t now = loop_monotonic(m);

    if (!m->scanned)
        return;
    if (plan_prove_new(m))
        loop_schedule(m, &m->retry, PROCESS_NEW, on_retry);
    review(m);
    remember_written(m);
    remember_proved(m);
    plan_make(m);
    end_restarts(m);
    if (run_is_waited_for(m))
        run_event(m, EVENT_HAND_OVER);
    if (now < m->not_before)
        loop_schedule(m, &m->retry, m->not_before - now, on_retry);
    else if (!m->run && m->systemd && !read_only_look(m))
        (void)run_start(m);
    update_states(m);
    if (!m->run && m->systemd && now >= m->not_before && m->outside_window != OUTSIDE_NOBODY) {
        m->outside_window = OUTSIDE_NOBODY; /* all of it is done; what others wait for is still to come */
        plan_soon(m);
    }
}

static void check_libraries(Manager *m);

static int on_replan(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->replan = sd_event_source_unref(m->replan);
    if (m->look_at_libraries) {
        m->look_at_libraries = false;
        check_libraries(m);
    }
    manager_plan(m);
    return 0;
}

/* A fact has changed: a request for the plan before then gets a new one. */
static void plan_soon(Manager *m)
{
    m->plan = plan_free(m->plan);
    loop_schedule(m, &m->replan, PLAN_DELAY, on_replan);
}

/* ---- reload ---- */

static void forget_old_failures(Manager *m, const Setup *setup)
{
    /* A build that could not be looked at is no other one. */
    if (!setup_untested(setup) && memory_adopt(m->state, setup->id))
        (void)memory_save(m);
}

/* Why the file cannot be read at present is told once, however often it is tried. */
static void tell_refused(const Manager *m, const char *problems, bool passing, const char *before)
{
    const Event e = { .reason = problems };
    const char *stays = m->setup ? "; the previous configuration stays in force" : "";

    if (!passing)
        eventlog_write(MESSAGE_CONFIG_REFUSED, &e, "%s is invalid%s:\n%s", m->config_path, stays, problems);
    else if (!streq_null(problems, before))
        eventlog_line(LOG_ERR, "%s cannot be read at present, and is read again later%s:\n%s", m->config_path,
                      stays, problems);
}

static int load_config(Manager *m, Setup **ret)
{
    _cleanup_(freep) char *problems = NULL, *before = TAKE_PTR(m->config_error);

    config_watch_read(m->config_watch); /* before: what is saved while it is read must not be missed */
    int r = setup_load(m, m->config_path, ret, &problems);

    if (r >= 0)
        return 0;
    tell_refused(m, problems, r != -EINVAL, before);
    if (r != -EINVAL)
        config_watch_missed(m->config_watch);
    m->config_error = TAKE_PTR(problems);
    return r;
}

static void adopt(Manager *m, Setup *take)
{
    if (m->setup && !streq(m->setup->config->unit, take->config->unit))
        relays_forget(m);
    setup_free(m->setup);
    m->setup = take;
    m->not_before = 0;
    m->refused_again = 0; /* from the next look on: there may be no loop yet */
    free(m->tried_stamp); /* it was of the one before */
    m->tried_stamp = NULL;
    (void)relays_forget_config_faults(m, true);
    m->look_at_groups = true;
    free(m->config_warnings);
    m->config_warnings = NULL;
    forget_old_failures(m, take);
    memory_clear_untouched(m->state);
    memory_name_flights(m->state, take->config->unit);
    eventlog_write(MESSAGE_CONFIG_LOADED, &(Event){ 0 }, "Loaded %s: %zu group%s.", m->config_path,
                   m->setup->config->n_groups, m->setup->config->n_groups == 1 ? "" : "s");
}

/* What follows from a new configuration once the loop runs. */
static void apply(Manager *m)
{
    relays_watch_instances(m);
    relays_assign(m);
    if (m->scanned)
        review(m);
    relays_scan(m);
    (void)sampler_start(m);
    plan_soon(m);
}

/* Puts a loaded configuration in force that had to wait for the end of a rollout; true: there was one. */
static bool adopt_next(Manager *m)
{
    if (!m->next_setup)
        return false;
    adopt(m, TAKE_PTR(m->next_setup));
    apply(m);
    return true;
}

int manager_reload(Manager *m)
{
    _cleanup_(setup_freep) Setup *setup = NULL;

    if (m->ready) /* else READY=1 is still to come, when all relays have been looked at */
        sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=Reading %s",
                   (unsigned long long)loop_monotonic(m), m->config_path);
    free(m->status);
    m->status = NULL;
    int r = load_config(m, &setup);
    if (r >= 0 && m->run) {
        /* Relays in progress were started under the old file and are finished under it; then everything is
         * planned again from the state at that time. */
        bool same = !m->next_setup && streq(setup->id, m->setup->id);

        setup_free(m->next_setup);
        m->next_setup = TAKE_PTR(setup);
        forget_old_failures(m, m->next_setup); /* now: what fails, or is aborted, from here on counts */
        if (!same)
            run_event(m, EVENT_SUPERSEDE);
    } else if (r >= 0) {
        adopt(m, TAKE_PTR(setup));
        apply(m);
    }
    if (m->ready)
        sd_notify(0, "READY=1");
    status_show(m);
    return r;
}

/* Reloads when a library of the configuration was installed, removed or replaced since, or when others can
 * change it now, or can no longer. false: that waits for a file that is just being saved: when it is read,
 * all libraries are looked at. */
static bool look_for_changed_libraries(Manager *m)
{
    _cleanup_(freep) char *stamp = setup_changed(m);

    if (!stamp || streq_null(stamp, m->tried_stamp))
        return true;
    if (config_watch_saving(m->config_watch))
        return false;
    free(m->tried_stamp);
    m->tried_stamp = TAKE_PTR(stamp); /* once, even if the file is refused in the meantime */
    eventlog_line(LOG_INFO, "A library, or who can change it, has changed; checking all of them again.");
    (void)manager_reload(m);
    return true;
}

static void check_libraries(Manager *m)
{
    /* One with which a program hangs takes 10 s each time. */
    const usec_t now = loop_monotonic(m);
    const bool refused = !m->run && m->refused_again && now >= m->refused_again;

    if (refused || !m->refused_again)
        m->refused_again = now + REFUSED_PAUSE;
    /* Beside a file that is refused it waits for the next one, which tests all of them. */
    if (!m->next_setup && !m->config_error && setup_can_be_tested(m, refused) &&
        !config_watch_saving(m->config_watch)) {
        eventlog_line(LOG_INFO, "An allocator that could not be tested before can be now.");
        (void)manager_reload(m);
    } else {
        (void)look_for_changed_libraries(m);
    }
}

/* Nobody is restarted with what nobody has looked at. */
static void on_restart_next(Manager *m)
{
    if (look_for_changed_libraries(m))
        return;
    m->not_before = loop_monotonic(m) + SAVE_PAUSE; /* a file that is read ends that */
    run_event(m, EVENT_SUPERSEDE);
}

/* Before relays are proved by them. */
static void look_at_installed(Manager *m)
{
    check_libraries(m);
    setup_look(m->setup);
    if (relays_forget_config_faults(m, false)) {
        m->not_before = 0;
        plan_soon(m);
    }
}

static void look_at_files(Manager *m)
{
    config_watch_look(m->config_watch);
    look_at_installed(m);
}

void manager_verify(Manager *m)
{
    look_at_files(m);
    relays_verify(m);
    manager_plan(m);
}

/* ---- what the parts report ---- */

/* It goes down while its restart is still to come: outside of a rollout, in one, or between two. */
static void note_stopped(Relay *relay, bool was_up)
{
    Manager *m = relay->manager;
    bool to_come =
        relay->facts.action == ACTION_RESTART && (relay->run_item == SIZE_MAX || relay->step == STEP_WAITING);
    bool changed = false;

    if (relay_up(relay))
        changed = memory_set_waiting(m->state, relay->facts.name, false);
    else if (was_up && to_come && facts_down(&relay->facts))
        changed = memory_set_waiting(m->state, relay->facts.name, true);
    if (changed)
        (void)memory_save(m);
}

static void on_relay_changed(Relay *relay, bool was_up)
{
    Manager *m = relay->manager;

    if (m->scanned && relays_standing_changed(relay))
        relays_scan(m); /* it may take a place now, or not any more */
    run_unit_changed(relay);
    note_stopped(relay, was_up);
    /* It has mapped what is on disk now, so it is named after that; and has what systemd gives to all now. */
    if (relay_up(relay) && process_is_new(relay->facts.process.started, loop_realtime())) {
        m->look_at_libraries = true;
        relays_read_environment(m);
    }
    plan_soon(m);
}

static void on_relay_read(Relay *relay)
{
    relays_check_scanned(relay->manager);
}

static void on_table_complete(Manager *m)
{
    left_over_log(m);
    manager_plan(m);
    tell_ready(m);
}

void manager_served(Manager *m)
{
    tell_ready(m);
}

static void on_plan_outdated(Manager *m)
{
    run_event(m, EVENT_SUPERSEDE);
}

static void on_run_over(Manager *m)
{
    /* Whatever failed without halting is remembered; should anything not be, it must not be tried in a tight
     * loop. */
    if (rollout_state(run_rollout(m->run)) == ROLLOUT_DONE && run_failed(m))
        m->not_before = loop_monotonic(m) + FAILURE_PAUSE;
    m->run = run_free(m->run);
    if (m->look_again_after_run)
        relays_look_again(m, false);
    relays_drop_vanished(m);
    if (!adopt_next(m)) {
        relays_assign(m);
        relays_scan(m);
    }
    manager_plan(m); /* what has changed in the meantime, and new relays */
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata);

/* What could not be done is tried again, and what nobody announces is looked for. */
static void on_sampled(Manager *m)
{
    m->looking = sd_event_source_disable_unref(m->looking);
    loop_schedule(m, &m->looking, LOOK_INTERVAL, on_look);
    if (m->state_error < 0) { /* the disk was full, say */
        (void)memory_save(m);
        status_show(m);
    }
    if (!m->run)
        (void)read_only_look(m);
    else if (run_is_stuck(m) && read_only_ends(m)) /* when the rollout is over, which may be in hours */
        run_event(m, EVENT_HAND_OVER);
    if (run_put_back_again(m))
        plan_soon(m);
    config_watch_sampled(m->config_watch);
    relays_retry(m);
    look_at_installed(m);
}

/* No sample has been taken for so long: they may be an hour apart. */
static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    for (size_t i = 0; i < m->n_relays; i++)
        relay_retry(m->relays[i]);
    on_sampled(m);
    return 0;
}

static void on_config_saved(Manager *m)
{
    (void)manager_reload(m);
}

static const ManagerReports reports = {
    .relay_changed = on_relay_changed,
    .relay_read = on_relay_read,
    .table_read = plan_soon,
    .table_complete = on_table_complete,
    .plan_outdated = on_plan_outdated,
    .run_moved = on_run_moved,
    .run_over = on_run_over,
    .restart_next = on_restart_next,
    .relay_told = run_relay_told,
    .sampled = on_sampled,
    .looks_again = look_at_files,
    .asked = plan_soon,
    .config_changed = status_show,
    .config_saved = on_config_saved,
};

/* ---- life ---- */

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    (void)source;
    (void)info;
    (void)manager_reload(userdata);
    return 0;
}

static int on_terminate(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)info;
    m->stopping = true;
    sampler_stop(m);
    memory_save_pending(m);
    sd_notify(0, "STOPPING=1\nSTATUS=Stopping; the relays are left as they are");
    return sd_event_exit(m->event, 0);
}

static int open_state(Manager *m)
{
    if (mkdir(m->state_dir, 0700) < 0 && errno != EEXIST)
        eventlog_line(LOG_WARNING, "Cannot create %s: %s.", m->state_dir, strerror(errno));
    int r = state_file_load(m->state_dir, &m->state);
    if (r == -EBADMSG)
        eventlog_line(LOG_WARNING, "%s/state is damaged; starting without it.", m->state_dir);
    else if (r < 0)
        eventlog_line(LOG_ERR, "Cannot read %s/state: %s.", m->state_dir, strerror(-r));
    watch_open(m);
    return r == -EBADMSG ? 0 : r;
}

static int add_signals(Manager *m)
{
    static const int terminating[] = { SIGTERM, SIGINT };
    int r = sd_event_add_signal(m->event, NULL, SIGHUP | SD_EVENT_SIGNAL_PROCMASK, on_hangup, m);

    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(terminating); i++)
        r = sd_event_add_signal(m->event, NULL, terminating[i] | SD_EVENT_SIGNAL_PROCMASK, on_terminate, m);
    return r;
}

int manager_new(const char *config_path, const ManagerView *view, Manager **ret)
{
    _cleanup_(manager_freep) Manager *m = xcalloc(1, sizeof(*m));
    _cleanup_(freep) char *dropin_root = path_of_dropins(), *mounts = NULL;

    m->reports = &reports;
    m->view = view;
    m->config_path = xstrdup(config_path);
    m->state_dir = path_of_state();
    m->proc = path_of_proc();
    m->meminfo = -1;
    mounts = read_only_start(m);
    m->probe = path_of_probe();
    m->config_watch = config_watch_new(m);
    int r = open_state(m);
    if (r < 0)
        return r;
    Setup *setup = NULL;
    do
        r = load_config(m, &setup);
    while (r == -EINVAL && config_watch_wait(m->config_watch)); /* for a bad file nobody starts it again */
    if (r < 0)
        return r;
    adopt(m, setup);
    m->elf_cache = elf_cache_new();
    r = dropin_store_new(dropin_root, &m->dropins);
    if (r < 0) {
        eventlog_line(LOG_ERR, "Cannot open %s: %s.", dropin_root, strerror(-r));
        return r;
    }
    r = sd_event_default(&m->event);
    if (r >= 0)
        r = add_signals(m);
    if (r >= 0)
        r = sd_event_set_watchdog(m->event, true);
    if (r < 0) {
        eventlog_line(LOG_ERR, "Cannot set up the event loop: %s.", strerror(-r));
        return r;
    }
    r = connection_open(m);
    if (r < 0) {
        eventlog_line(LOG_ERR, "Cannot connect to the system bus: %s.", strerror(-r));
        return r;
    }
    read_only_begin(m, mounts);
    relays_watch_instances(m);
    config_watch_start(m->config_watch);
    *ret = TAKE_PTR(m);
    return 0;
}

Manager *manager_free(Manager *m)
{
    if (!m)
        return NULL;
    m->stopping = true;
    m->run = run_free(m->run);
    m->put_back_reload = reload_free(m->put_back_reload);
    connection_close(m);
    alert_free(m);
    relays_free(m);
    plan_free(m->plan);
    sd_event_source_unref(m->reconnect);
    sd_event_source_unref(m->saving);
    sd_event_source_unref(m->rescan);
    sd_event_source_unref(m->reread);
    sd_event_source_unref(m->reopen);
    sd_event_source_unref(m->look_again);
    sd_event_source_unref(m->replan);
    sd_event_source_unref(m->sampling);
    sd_event_source_unref(m->looking);
    sd_event_source_unref(m->run_over);
    sd_event_source_unref(m->retry);
    sd_event_source_unref(m->instances_watch);
    sd_event_source_unref(m->clock_watch);
    sd_event_source_unref(m->watch_clock_again);
    config_watch_free(m->config_watch);
    sd_event_unref(m->event);
    dropin_store_free(m->dropins);
    elf_cache_free(m->elf_cache);
    memory_free(m->state);
    setup_free(m->setup);
    setup_free(m->next_setup);
    free(m->last_reason);
    free(m->config_warnings);
    free(m->config_error);
    free(m->status);
    free(m->tried_stamp);
    strv_free(m->environment);
    strv_free(m->watched);
    free(m->growth_rows);
    strv_free(m->read_only);
    strv_free(m->only_ours_read_only);
    free(m->config_path);
    free(m->state_dir);
    free(m->proc);
    closep(&m->meminfo);
    free(m->probe);
    free(m);
    return NULL;
}

int manager_run(Manager *m)
{
    eventlog_write(MESSAGE_DAEMON_STARTED, &(Event){ .version = VERSION },
                   "relayallocd " VERSION " started.");
    sd_notify(0, "STATUS=Looking for relays");
    loop_schedule(m, &m->looking, LOOK_INTERVAL, on_look);
    int r = sampler_start(m);
    if (r >= 0)
        r = sd_event_loop(m->event);
    eventlog_write(MESSAGE_DAEMON_STOPPED, &(Event){ 0 },
                   "relayallocd stopped; the relays are left as they are.");
    return r;
}
