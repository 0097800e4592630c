/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/dropin.h"
#include "core/forecast.h"
#include "io/systemd1.h"
#include "manager/loop.h"
#include "manager/memory.h"
#include "manager/plan.h"
#include "manager/relay.h"
#include "manager/relays.h"
#include "manager/run-item.h"
#include "manager/setup.h"
#include "manager/tor.h"
#include "manager/window.h"

#include <errno.h>
#include <inttypes.h>
#include <syslog.h>

#define REASON_LONGEST 1000

static void pump(Run *run);
static int on_run_over(sd_event_source *source, uint64_t usec, void *userdata);

const Rollout *run_rollout(const Run *run)
{
    return run->rollout;
}

uint64_t run_id(const Manager *m)
{
    return m->state->rollout_id;
}

/* Our own sentences follow it, and systemd's words may be of any length. */
static char *shortened(char *take_text)
{
    size_t n = strlen(take_text), end = 0;

    while (n > 0 && (take_text[n - 1] == '.' || take_text[n - 1] == '\n'))
        take_text[--n] = '\0';
    if (n <= REASON_LONGEST)
        return take_text;
    for (size_t k; end < REASON_LONGEST && (k = utf8_character(take_text + end)) > 0;)
        end += k;
    char *text = xasprintf("%.*s…", (int)end, take_text);
    free(take_text);
    return text;
}

static void note_moved(RunItem *i)
{
    if (!i->moved)
        i->run->moved[i->run->n_moved++] = i->index;
    i->moved = true;
}

Relay *run_next_moved(Manager *m)
{
    Run *run = m->run;

    if (!run || run->n_moved == 0)
        return NULL;
    RunItem *i = &run->items[run->moved[--run->n_moved]];
    i->moved = false;
    return i->relay;
}

void item_set_reason(RunItem *i, char *take_reason)
{
    note_moved(i);
    free(i->reason);
    i->reason = take_reason ? shortened(take_reason) : NULL;
    i->relay->run_reason = i->reason;
}

void item_add_reason(RunItem *i, char *take_reason)
{
    bool back = i->operation == OPERATION_START || i->operation == OPERATION_VERIFY_BACK;
    _cleanup_(freep) char *first = back ? xstrdup(i->reason) : NULL, *then = shortened(take_reason);

    item_set_reason(i, first ? xasprintf("%s; while it was put back: %s", first, then) : TAKE_PTR(then));
}

const char *item_allocator_name(const RunItem *i)
{
    return *i->moves_to ? i->moves_to : "the settings of its own unit";
}

/* ---- time ---- */

static RolloutNow rollout_now(const Run *run)
{
    return (RolloutNow){ .monotonic = loop_monotonic(run->manager),
                         .window_open = window_open(run->manager) };
}

void run_send(Run *run, RolloutEvent e)
{
    note_moved(&run->items[e.item]); /* of events that are about none it is item 0, which does no harm */
    rollout_event(run->rollout, &e, rollout_now(run));
    pump(run);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
    Run *run = userdata;

    (void)source;
    (void)usec;
    run_send(run, (RolloutEvent){ .kind = EVENT_TICK });
    return 0;
}

/* At the machine's deadline; and outside the window at the next minute, since clocks are set and summer ends.
 */
static void set_timer(Run *run)
{
    usec_t deadline = rollout_deadline(run->rollout);

    if (rollout_state(run->rollout) == ROLLOUT_WAITING) {
        usec_t next_minute =
            loop_monotonic(run->manager) + USEC_PER_MINUTE - loop_realtime() % USEC_PER_MINUTE;
        deadline = deadline < next_minute ? deadline : next_minute;
    }
    run->timer = sd_event_source_disable_unref(run->timer);
    if (deadline != USEC_INFINITY)
        (void)sd_event_add_time(run->manager->event, &run->timer, CLOCK_MONOTONIC, deadline, 1, on_tick, run);
}

/* ---- the commands ---- */

static void on_reload(void *userdata, bool ok, const char *message)
{
    Run *run = userdata;

    run->reload = reload_free(run->reload);
    for (size_t n = 0; n < run->n; n++) {
        RunItem *i = &run->items[n];
        const Step step = rollout_step(run->rollout, n);

        if (step == STEP_BACK_WRITTEN)
            i->back_unread = !ok;
        if (!ok && step == STEP_WRITTEN)
            item_set_reason(i, xasprintf("systemd did not reload: %s", message));
        else if (!ok && step == STEP_BACK_WRITTEN && rollout_gate(run->rollout, n) != GATE_RELOAD &&
                 i->reason)
            item_set_reason(
                i, xasprintf("%s; while it was put back: systemd did not reload: %s", i->reason, message));
    }
    run_send(run, (RolloutEvent){ .kind = EVENT_RELOADED, .ok = ok });
}

static void answer_written(RunItem *i, bool ok)
{
    run_send(i->run, (RolloutEvent){ .kind = EVENT_WRITTEN, .item = i->index, .ok = ok });
}

static void do_restart(RunItem *i)
{
    Event e = relay_event(i->relay);

    e.wave = rollout_wave_of(i->run->rollout, i->index);
    if (i->item.as_is)
        eventlog_write(MESSAGE_RELAY_RESTARTING, &e, "%s: restarting, as an operator requested.",
                       i->relay->facts.name);
    else
        eventlog_write(MESSAGE_RELAY_RESTARTING, &e, "%s: restarting for %s.", i->relay->facts.name,
                       item_allocator_name(i));
    operation_start(i, OPERATION_RESTART);
}

static void carry_out(Run *run, const RolloutCommand *c)
{
    RunItem *i = &run->items[c->item]; /* item 0 in commands that are about none */

    switch (c->kind) {
    case COMMAND_PREFLIGHT:
        examine_allocator(i);
        break;
    case COMMAND_VERIFY_CONFIG:
        examine_config(i);
        break;
    case COMMAND_GATE:
        gate_start(run);
        break;
    case COMMAND_WRITE:
        answer_written(i, file_write(i));
        break;
    case COMMAND_RESTORE:
        answer_written(i, file_put_back(i));
        break;
    case COMMAND_RELOAD:
        run->reload = reload_new(run->manager, on_reload, run);
        reload_start(run->reload);
        break;
    case COMMAND_CHECK:
        operation_start(i, OPERATION_CHECK);
        break;
    case COMMAND_RESTART:
        do_restart(i);
        break;
    case COMMAND_START:
        operation_start(i, OPERATION_START);
        break;
    case COMMAND_VERIFY:
        operation_start(i, OPERATION_VERIFY);
        break;
    case COMMAND_ASK:
        operation_start(i, OPERATION_ASK);
        break;
    case COMMAND_VERIFY_BACK:
        operation_start(i, OPERATION_VERIFY_BACK);
        break;
    case NOTE_WAVE:
        notice_wave(run, c);
        break;
    case NOTE_ENDED:
        notice_ended(run, c);
        break;
    case NOTE_FAILED_GATE:
        notice_failed_gate(run, c);
        break;
    case NOTE_OVER:
        notice_over(run);
        break;
    }
}

/* Carries out all commands that are out. Answers may come at once and bring new commands: no recursion. */
static void pump(Run *run)
{
    Manager *m = run->manager;
    RolloutCommand c;
    size_t moved;

    if (run->pumping)
        return;
    run->pumping = true;
    while (rollout_next(run->rollout, &c))
        carry_out(run, &c);
    run->pumping = false;
    while (rollout_next_moved(run->rollout, &moved)) {
        run->items[moved].relay->step = rollout_step(run->rollout, moved);
        note_moved(&run->items[moved]);
    }
    if (rollout_over(run->rollout))
        loop_schedule(m, &m->run_over, 0, on_run_over);
    else
        set_timer(run);
    m->reports->run_moved(m);
}

static int on_run_over(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->run_over = sd_event_source_unref(m->run_over);
    m->reports->run_over(m);
    return 0;
}

/* ---- start ---- */

/* What the relay is assigned now, as in Refusal; the build is owned by the caller. */
static void name_target(const Relay *relay, const char **ret_allocator, char **ret_build)
{
    const HostFacts host = setup_host(relay->manager);
    const Allocator *a = facts_allocator(&host, &relay->facts);

    *ret_allocator = a ? a->name : "";
    *ret_build = a ? facts_failure_build(a, facts_resolved(&host, &relay->facts)) : xstrdup("");
}

/* Is what the relay is moved to not what it is assigned any more? */
static bool is_outdated(const Relay *relay, const Flight *flight)
{
    const char *allocator;
    _cleanup_(freep) char *build = NULL;

    name_target(relay, &allocator, &build);
    return flight->allocator && flight->build &&
           !(streq(flight->allocator, allocator) && streq(flight->build, build));
}

static void add_item(Run *run, Relay *relay, RolloutItem item)
{
    Manager *m = run->manager;
    const HostFacts host = setup_host(m);
    RunItem *i = &run->items[run->n];
    const Flight *flight = memory_find_flight(m->state, relay->facts.name);
    const char *moves_to;
    _cleanup_(freep) char *build = NULL;

    *i = (RunItem){ .run = run, .index = run->n, .relay = relay, .item = item, .allocator = item.allocator };
    i->wanted = facts_wanted(&host, &relay->facts);
    name_target(relay, &moves_to, &build);
    i->moves_to = xstrdup(item.outdated ? flight->allocator : moves_to);
    i->build = xstrdup(item.outdated ? flight->build : build);
    /* After a crash in mid-move the way back is the one from before it. Where its file stands already and its
     * process does not run it, nobody remembers what was there before: the way back is without ours. */
    const bool ahead = item.restart && !item.as_is && streq_null(i->wanted, relay->facts.present);
    i->previous = flight ? xstrdup(flight->previous) : ahead ? NULL : xstrdup(relay->facts.present);
    i->before = xstrdup(flight ? flight->before : relay->facts.process.running.path);
    const char *had = i->previous ? i->previous : relay->facts.removed;
    i->carried = had ? dropin_environment(had) : NULL;
    if (!item.recover)
        snprintf(i->replaces, sizeof(i->replaces), "%s", relay->facts.info->invocation);
    relay->run_item = run->n++;
    relay->step = STEP_WAITING;
}

/* An earlier run of the daemon has not seen it through. One that is up has not settled; one that is down may
 * be so by our own restart; and one that somebody has stopped must not start with what was written for it. */
static bool needs_recovery(const Relay *relay)
{
    return relay->facts.info && relay->facts.info->exists;
}

/* Nothing is to be done about it, or it may not be moved and its file is what it was. One that is too new
 * cannot be judged yet. */
static bool is_over(const Flight *flight, const Relay *relay)
{
    const RelayFacts *f = &relay->facts;

    return f->info && relay->run_item == SIZE_MAX && !flight->stuck && !relay->too_new &&
           (f->action == ACTION_NONE ||
            (f->action == ACTION_REFUSED && streq_null(f->present, flight->previous)));
}

/* Relays may be missing of the table: where they are listed could not be read for a moment. */
static bool is_incomplete(const Manager *m)
{
    return error_is_passing(m->instances_error) || error_is_passing(m->dropins_error);
}

/* Removes the flights of relays that need nothing any more. */
static int end_flights(Manager *m)
{
    size_t before = m->state->n_flights;

    for (size_t f = m->state->n_flights; f-- > 0;) {
        const Relay *relay = relays_find(m, m->state->flights[f].relay);

        if (relay ? is_over(&m->state->flights[f], relay) : !is_incomplete(m))
            memory_remove_flight(m->state, m->state->flights[f].relay);
    }
    return before == m->state->n_flights ? 0 : memory_save(m);
}

/* While the rollout is halted or aborted, what an operator reverts continues; while it is paused, nothing
 * does. And who does not wait for the window to revert a relay does not mean others by it. */
static bool on_hold(const Relay *relay)
{
    const Manager *m = relay->manager;
    bool only_reverted =
        m->state->hold != HOLD_NONE || (m->outside_window == OUTSIDE_REVERTED && !window_opened(m));

    return m->state->paused || (only_reverted && !relay->facts.reverted);
}

/* An operator requested its restart, and nothing else is to be done. */
static bool restarts_as_is(const Relay *relay)
{
    const HostFacts host = setup_host(relay->manager);
    const RelayFacts *f = &relay->facts;
    _cleanup_(freep) char *wanted = facts_wanted(&host, f);

    return f->info && memory_restart_wanted(host.state, f->name, f->info->invocation) &&
           streq_null(wanted, f->present);
}

int run_start(Manager *m)
{
    Run *run = xcalloc(1, sizeof(*run));
    size_t most = m->plan->n + m->state->n_flights;
    _cleanup_(freep) RolloutItem *items = xcalloc(most, sizeof(*items));
    const RolloutPolicy policy = plan_policy(m);
    size_t n = 0;

    run->manager = m;
    run->items = xcalloc(most, sizeof(*run->items));
    for (size_t f = m->state->n_flights; f-- > 0;) {
        Flight *flight = &m->state->flights[f];
        Relay *relay = relays_find(m, flight->relay);
        bool left = flight->left, canary = flight->canary, ready = flight->ready;

        flight->left = left && !(relay && relay->facts.info);
        if (left && relay && needs_recovery(relay)) {
            const Group *g = relay_target(relay);
            items[n] = (RolloutItem){ .allocator = g ? g->allocator : ROLLOUT_NO_ALLOCATOR,
                                      .restart = true,
                                      .recover = true,
                                      .canary = canary,
                                      .ready = ready,
                                      .outdated = is_outdated(relay, flight) };
            add_item(run, relay, items[n++]);
        }
    }
    run->recovery = n > 0;
    for (size_t p = 0; p < m->plan->n; p++) {
        const PlanItem *item = &m->plan->items[p];
        Relay *relay = m->relays[item->relay];
        const Group *g = relay_target(relay);

        if (item->action == ACTION_REFUSED || relay->run_item != SIZE_MAX || on_hold(relay))
            continue;
        items[n] = (RolloutItem){
            .allocator = g ? g->allocator : ROLLOUT_NO_ALLOCATOR,
            .restart = item->action == ACTION_RESTART,
            .verifies = relay->facts.info && relay->facts.info->verify_config,
            .stopped = !relay_up(relay),
            .unproved = item->unproved,
            .sandbox = facts_sandbox(&relay->facts),
            .as_is = item->action == ACTION_RESTART && restarts_as_is(relay),
        };
        add_item(run, relay, items[n++]);
        run->recovery = false;
    }
    if (n == 0) {
        run_free(run);
        return end_flights(m);
    }
    (void)end_flights(m);
    m->state->rollout_id++;
    m->run = run;
    m->run_started = loop_realtime();
    run->rollout = rollout_new(&policy, items, n);
    run->moved = xcalloc(n, sizeof(*run->moved));
    _cleanup_(freep) size_t *waves = xcalloc(n, sizeof(*waves));
    run->waves = forecast_waves(&policy, items, n, waves);
    for (size_t i = 0; i < n; i++)
        run->items[i].wave = waves[i];
    const Event e = { .rollout = run_id(m) };
    _cleanup_(freep) char *window = window_words(m);
    eventlog_write(MESSAGE_ROLLOUT_STARTED, &e, "Rollout %" PRIu64 ": %zu relay%s, %zu at a time%s.",
                   run_id(m), n, n == 1 ? "" : "s", policy.parallel, window);
    run_send(run, (RolloutEvent){ .kind = EVENT_TICK });
    return 0;
}

Run *run_free(Run *run)
{
    if (!run)
        return NULL;
    for (size_t n = 0; n < run->n; n++) {
        RunItem *i = &run->items[n];

        operation_end(i);
        examine_end(i);
        i->relay->run_item = SIZE_MAX;
        i->relay->run_reason = NULL;
        free(i->moves_to);
        free(i->build);
        free(i->wanted);
        free(i->previous);
        free(i->before);
        free(i->reason);
        free(i->unit_log);
        strv_free(i->carried);
    }
    reload_free(run->reload);
    gate_free(run->gate);
    free(run->gate_fault);
    free(run->waits);
    free(run->moved);
    sd_event_source_disable_unref(run->timer);
    rollout_free(run->rollout);
    free(run->items);
    free(run);
    return NULL;
}

/* ---- from outside ---- */

static bool in_progress(const Relay *relay)
{
    return relay->run_item != SIZE_MAX && relay->step != STEP_WAITING && !step_ended(relay->step);
}

/* To the rollout that recovers it. */
static bool leave(Flight *flight)
{
    flight->stuck = flight->unread = false;
    return flight->left = true;
}

static void on_put_back_reload(void *userdata, bool ok, const char *message)
{
    Manager *m = userdata;
    bool any = false;

    (void)message;
    m->put_back_reload = reload_free(m->put_back_reload);
    for (size_t f = 0; ok && f < m->state->n_flights; f++)
        any |= m->state->flights[f].unread && leave(&m->state->flights[f]);
    if (any)
        m->reports->asked(m);
}

/* The file alone, and quietly: what else has to be done about the relay, a rollout does that begins with it.
 */
bool run_put_back_again(Manager *m)
{
    bool any = false, unread = false;

    for (size_t f = 0; f < m->state->n_flights; f++) {
        Flight *flight = &m->state->flights[f];
        Relay *relay = flight->stuck ? relays_find(m, flight->relay) : NULL;

        if (!relay || in_progress(relay) || !file_put_back_again(relay, flight))
            continue;
        if (flight->unread)
            unread = true;
        else
            any = leave(flight);
    }
    if (unread && !m->put_back_reload) {
        m->put_back_reload = reload_new(m, on_put_back_reload, m);
        reload_start(m->put_back_reload);
    }
    return any;
}

bool run_is_stuck(const Manager *m)
{
    for (size_t f = 0; f < m->state->n_flights; f++)
        if (m->state->flights[f].stuck)
            return true;
    return false;
}

/* It could not be put back, or not be looked at, when the rollout began. */
bool run_is_waited_for(Manager *m)
{
    for (size_t f = 0; m->run && f < m->state->n_flights; f++) {
        const Flight *flight = &m->state->flights[f];
        const Relay *relay = flight->left ? relays_find(m, flight->relay) : NULL;

        if (relay && needs_recovery(relay) && !in_progress(relay))
            return true;
    }
    return false;
}

char **run_not_put_back(const Manager *m)
{
    char **names = NULL;

    for (size_t f = 0; f < m->state->n_flights; f++)
        if (m->state->flights[f].stuck || m->state->flights[f].left)
            strv_push(&names, xstrdup(m->state->flights[f].relay));
    return names;
}

void run_event(Manager *m, RolloutEventKind kind)
{
    if (m->run)
        run_send(m->run, (RolloutEvent){ .kind = kind });
}

void run_unit_changed(Relay *relay)
{
    Manager *m = relay->manager;

    if (!m->run || relay->run_item == SIZE_MAX)
        return;
    operation_told(&m->run->items[relay->run_item]);
    run_send(m->run, (RolloutEvent){ .kind = EVENT_UNIT,
                                     .item = relay->run_item,
                                     .down = facts_down(&relay->facts),
                                     .up = relay_up(relay) });
}

void run_relay_told(Relay *relay)
{
    if (relay->manager->run && relay->run_item != SIZE_MAX)
        operation_told(&relay->manager->run->items[relay->run_item]);
}

void run_job_removed(Manager *m, const char *job, const char *unit, JobResult result)
{
    gate_job_removed(m, job, unit, result);
    operation_job_removed(m, job, unit, result);
}

bool run_reloads(const Manager *m)
{
    return m->run && m->run->reload;
}

void run_forget_bus(Manager *m)
{
    Run *run = m->run;

    reload_forget_bus(m->put_back_reload);
    if (!run)
        return;
    reload_forget_bus(run->reload);
    gate_forget_bus(run->gate);
    for (size_t n = 0; n < run->n; n++) {
        RunItem *i = &run->items[n];

        i->call = systemd1_cancel(i->call);
        examine_forget_bus(i);
    }
}

void run_bus_back(Manager *m)
{
    Run *run = m->run;

    reload_bus_back(m->put_back_reload);
    if (!run)
        return;
    for (size_t n = 0; n < run->n; n++) {
        RunItem *i = &run->items[n];

        operation_bus_back(i);
        examine_bus_back(i);
    }
    reload_bus_back(run->reload);
    gate_bus_back(run->gate);
}

/* Is there a rollout to tell of? What puts relays right after an interruption is not one while another is
 * held: of that one operators must hear. */
static bool is_told(const Manager *m)
{
    return m->run && !rollout_over(m->run->rollout) && !(memory_held(m->state) && m->run->recovery);
}

const char *run_word(const Manager *m)
{
    if (is_told(m))
        return rollout_state_to_string(rollout_state(m->run->rollout));
    if (m->state->hold != HOLD_NONE) /* what an operator must hear of first */
        return hold_to_string(m->state->hold);
    return m->state->paused ? "paused" : "idle";
}

const char *run_reason(const Manager *m)
{
    bool told = is_told(m);

    if (m->run && reload_trouble(m->run->reload))
        return reload_trouble(m->run->reload);
    if (told && rollout_state(m->run->rollout) <= ROLLOUT_WAITING) {
        free(m->run->waits);
        m->run->waits = gate_words(m->run);
        if (m->run->waits)
            return m->run->waits;
    }
    /* A revert continues in spite of a halt, and what failed before it is not reported again. */
    if (told && rollout_state(m->run->rollout) != ROLLOUT_ENDING)
        return "";
    const char *reason = m->state->hold_reason ? m->state->hold_reason : told ? NULL : m->last_reason;
    return reason ? reason : "";
}

RunCounts run_counts(const Manager *m)
{
    const Run *run = m->run;
    RunCounts c;

    if (!run)
        return m->last_counts;
    const RolloutCounts n = rollout_counts(run->rollout);
    c.total = n.total;
    c.done = n.done;
    c.skipped = n.skipped;
    c.failed = n.failed;
    c.wave = rollout_wave(run->rollout);
    c.waves = run->waves > c.wave ? run->waves : c.wave;
    return c;
}

size_t run_plan_wave(const Relay *relay, size_t planned)
{
    const Run *run = relay->manager->run;

    if (!run || planned == 0)
        return planned;
    return relay->run_item != SIZE_MAX ? run->items[relay->run_item].wave
                                       : run_counts(relay->manager).waves + planned;
}

bool run_failed(const Manager *m)
{
    const Run *run = m->run;

    for (size_t n = 0; n < run->n; n++) {
        Step step = rollout_step(run->rollout, n);
        if ((step == STEP_FAILED || step == STEP_LOST) && !run->items[n].item.outdated)
            return true;
    }
    return false;
}

/* ---- how long it takes ---- */

static usec_t measured(usec_t took, usec_t otherwise)
{
    return took > 0 ? took : otherwise;
}

static ForecastTimes times_of(const Manager *m)
{
    return (ForecastTimes){
        .preflight = measured(m->took.preflight, FORECAST_PREFLIGHT),
        .verify_config = measured(m->took.verify_config, FORECAST_VERIFY_CONFIG),
        .reload = measured(m->took.reload, FORECAST_RELOAD),
        .gate = m->took.gate,
        .ready = measured(m->took.ready, FORECAST_READY),
        .window = m->outside_window == OUTSIDE_NOBODY ? m->setup->config->rollout.window : (Window){ 0 },
        .since_midnight = window_clock(),
    };
}

usec_t run_ends(const Manager *m)
{
    const Run *run = m->run;

    if (!run || rollout_over(run->rollout))
        return 0;
    _cleanup_(freep) const UnitInfo **units = xcalloc(run->n, sizeof(*units));
    _cleanup_(freep) usec_t *restart = xcalloc(run->n, sizeof(*restart));
    _cleanup_(freep) usec_t *begun = xcalloc(run->n, sizeof(*begun));
    _cleanup_(freep) usec_t *asked = xcalloc(run->n, sizeof(*asked));
    _cleanup_(freep) bool *ready = xcalloc(run->n, sizeof(*ready));
    for (size_t i = 0; i < run->n; i++) {
        units[i] = run->items[i].relay->facts.info;
        begun[i] = run->items[i].begun;
        asked[i] = run->items[i].asked_ready;
        ready[i] = tor_is_demanded(run->items[i].relay);
    }
    ForecastTimes times = times_of(m);
    forecast_restarts(units, run->n, restart);
    times.restart = restart;
    times.begun = begun;
    times.asked = asked;
    times.ready_now = ready;
    usec_t left = forecast_left(run->rollout, &times, loop_monotonic(m));
    return left == USEC_INFINITY ? 0 : loop_realtime() + left;
}

usec_t run_plan_ends(const Manager *m)
{
    if (m->run || !m->plan)
        return run_ends(m);
    const HostFacts host = setup_host(m);
    _cleanup_(freep) RelayFacts **relays = xcalloc(m->n_relays, sizeof(*relays));
    _cleanup_(freep) bool *ready = xcalloc(m->n_relays, sizeof(*ready));
    for (size_t i = 0; i < m->n_relays; i++) {
        relays[i] = &m->relays[i]->facts;
        ready[i] = tor_is_demanded(m->relays[i]);
    }
    ForecastTimes times = times_of(m);
    times.ready_now = ready;
    usec_t length = facts_plan_length(&host, relays, m->n_relays, m->plan, times);
    return length == USEC_INFINITY ? 0 : loop_realtime() + length;
}
