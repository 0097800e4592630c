/* SPDX-License-Identifier: BSD-3-Clause */
/* Takes the events, and decides what each means for its relay: whether it goes on, ends or turns back. Whose
 * turn is next is decided in rollout-wave.c. */
#include "core/rollout-private.h"

#include <assert.h>

#define ASK_INTERVAL (2 * USEC_PER_SEC)

/* Halts, aborts or hands over to a successor: relays already restarted are finished, no others are started. A
 * halt overrides the others: an operator must hear of it. */
static void begin_end(Rollout *r, RolloutState end)
{
    if (rollout_halts(r))
        return;
    r->state = ROLLOUT_ENDING;
    r->end = end;
}

static void take_back(Rollout *r, Item *i)
{
    item_set_step(r, i, STEP_BACK_WRITING);
    rollout_emit_item(r, COMMAND_RESTORE, i);
}

/* No relay was touched, so the others continue: no strike. */
static void refuse_item(Rollout *r, Item *i, Gate gate)
{
    i->gate = gate;
    take_back(r, i);
}

static void fail_item(Rollout *r, Item *i, Gate gate)
{
    i->gate = gate;
    r->strikes += !i->item.outdated;
    rollout_emit_item(r, NOTE_FAILED_GATE, i);
    /* A directory that takes no file and a systemd that does not reload are faults of the host and not of
     * this relay: no other relay is started. */
    if (gate == GATE_WRITE || gate == GATE_RELOAD ||
        (!i->item.outdated && (r->strikes >= r->policy.max_failed || !r->policy.put_back || i->item.as_is)))
        begin_end(r, ROLLOUT_HALTED);
    if ((!r->policy.put_back || i->no_way_back || i->item.as_is) && i->touched)
        item_end(r, i, STEP_LOST);
    else
        take_back(r, i);
}

static usec_t settle_of(const Rollout *r, const Item *i)
{
    return i->canary ? r->policy.canary_settle : r->policy.settle;
}

usec_t rollout_settle(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return settle_of(r, &r->items[item]);
}

static void start_settling(Rollout *r, Item *i, usec_t now)
{
    item_set_step(r, i, STEP_SETTLING);
    if (!i->item.recover)
        i->settles_at = now + settle_of(r, i);
    if (i->settles_at <= now)
        item_end(r, i, STEP_DONE); /* proved this very moment, nothing to wait for */
}

static void ask(Rollout *r, Item *i)
{
    i->asking = true;
    rollout_emit_item(r, COMMAND_ASK, i);
}

static void check(Rollout *r, Item *i)
{
    i->checking = true;
    i->check_next = false;
    rollout_emit_item(r, COMMAND_VERIFY, i);
}

/* It is up and runs what it should: from now on this process is watched. */
static void start_watching(Rollout *r, Item *i, const RolloutEvent *e, usec_t now)
{
    usec_t settle = settle_of(r, i);

    i->pid = e->pid;
    i->n_restarts = e->n_restarts;
    if (i->item.recover) /* it has settled since it became active */
        i->settles_at = now + (e->age < settle ? settle - e->age : 0);
    if (!i->ready) {
        start_settling(r, i, now);
        return;
    }
    item_set_step(r, i, STEP_BOOTSTRAPPING);
    i->ready_by = now + r->policy.ready_timeout;
    ask(r, i);
}

static void on_ready(Rollout *r, Item *i, Readiness readiness, usec_t now)
{
    i->asking = false;
    i->asked_next = now + ASK_INTERVAL;
    if (readiness == READINESS_NO_NETWORK)
        i->ready_by = now + r->policy.ready_timeout;
    if (i->check_next)
        check(r, i);
    else if (readiness == READINESS_YES)
        start_settling(r, i, now);
    else if (now >= i->ready_by)
        fail_item(r, i, GATE_READY);
}

/* A process that was proved is looked at again: it settles, or is not ready yet. */
static bool is_watched(const Item *i)
{
    return i->step == STEP_SETTLING || i->step == STEP_BOOTSTRAPPING;
}

static void on_verified(Rollout *r, Item *i, const RolloutEvent *e, usec_t now)
{
    bool watched = is_watched(i);

    if (watched && !i->checking)
        return;
    i->checking = false;
    i->no_way_back = i->no_way_back || e->crashing;
    switch (e->proof) {
    case PROOF_STOPPED:
        i->stopped = true;
        take_back(r, i);
        return;
    case PROOF_GONE:
        item_end(r, i, STEP_SKIPPED);
        return;
    case PROOF_FAILED:
        fail_item(r, i, watched ? GATE_SETTLE : GATE_ACTIVE);
        return;
    case PROOF_WRONG:
        if (!(i->item.recover && !watched)) {
            fail_item(r, i, GATE_PROOF);
            return;
        }
        /* It is up, and not on what was written for it: that must not wait for its next start. */
        i->stopped = true;
        take_back(r, i);
        return;
    case PROOF_OK:
        break;
    }
    if (!watched) {
        start_watching(r, i, e, now);
    } else if (e->n_restarts > i->n_restarts) {
        fail_item(r, i, GATE_SETTLE); /* systemd restarted it by itself: it crashed */
    } else if (e->pid != i->pid) {
        /* Somebody restarted it, and it runs what it should: it settles again, but not without end. */
        if (++i->resettled > ROLLOUT_RESETTLE_MAX)
            fail_item(r, i, GATE_SETTLE);
        else
            start_watching(r, i, e, now);
    } else if (i->step == STEP_SETTLING && now >= i->settles_at) {
        item_end(r, i, STEP_DONE);
    }
}

static void on_unit_changed(Rollout *r, Item *i)
{
    if (i->asking)
        i->check_next = true; /* one question at a time */
    else if (!i->checking)
        check(r, i);
}

static void on_verified_back(Rollout *r, Item *i, const RolloutEvent *e)
{
    switch (e->proof) {
    case PROOF_OK:
    case PROOF_STOPPED:
    case PROOF_GONE:
        break;
    case PROOF_FAILED:
    case PROOF_WRONG:
        if (!i->touched) /* it was so before, or became so by itself */
            break;
        item_end(r, i, STEP_LOST);
        return;
    }
    if (i->gate == GATE_NONE) { /* it has failed nowhere: taken back before its restart */
        i->wave = 0;
        item_end(r, i, STEP_WAITING);
    } else {
        item_end(r, i, STEP_FAILED);
    }
}

static void on_job(Rollout *r, Item *i, JobResult job)
{
    i->touched = i->touched || job != JOB_REFUSED;
    if (i->step == STEP_BACK_RESTARTING) {
        /* Whatever the job's result: what counts is how the unit stands now. */
        item_set_step(r, i, STEP_BACK_VERIFYING);
        rollout_emit_item(r, COMMAND_VERIFY_BACK, i);
        return;
    }
    switch (job) {
    case JOB_DONE:
    case JOB_CANCELED:
    case JOB_SKIPPED:
        item_set_step(r, i, STEP_VERIFYING);
        rollout_emit_item(r, COMMAND_VERIFY, i);
        return;
    default:
        fail_item(r, i, GATE_JOB);
    }
}

static void on_written(Rollout *r, Item *i, bool ok)
{
    if (i->step == STEP_WRITING) {
        if (ok)
            item_set_step(r, i, STEP_WRITTEN);
        else
            fail_item(r, i, GATE_WRITE);
    } else if (ok) {
        item_set_step(r, i, STEP_BACK_WRITTEN);
    } else if (i->stopped) {
        item_end(r, i, STEP_SKIPPED);
    } else if (i->touched) {
        /* The old file cannot be restored (full disk, say). Bring it up with what there is: better than down.
         */
        item_set_step(r, i, STEP_BACK_RESTARTING);
        rollout_emit_item(r, COMMAND_START, i);
    } else {
        /* If the new file could not be written, the old one is still there; else a disk that takes no file is
         * no reason to continue. */
        if (i->gate != GATE_WRITE)
            begin_end(r, ROLLOUT_HALTED);
        item_end(r, i, i->gate == GATE_WRITE ? STEP_FAILED : STEP_LOST);
    }
}

static void on_reloaded(Rollout *r, bool ok)
{
    if (!r->reload_out)
        return;
    r->reload_out = false;
    for (Item *i = item_first_in(r, PLACE_GOING), *next; i; i = next) {
        next = item_next(r, i);
        if (!i->reloading)
            continue;
        i->reloading = false;
        if (i->step == STEP_WRITTEN) {
            if (!ok) {
                fail_item(r, i, GATE_RELOAD);
            } else if (i->up) { /* with the old file, or with this one: nobody can tell */
                i->stopped = true;
                take_back(r, i);
            } else if (!i->item.restart) {
                item_end(r, i, STEP_DONE);
            } else if (r->state == ROLLOUT_ENDING) { /* since it was written */
                take_back(r, i);
            } else {
                item_set_step(r, i, STEP_CHECKING);
                rollout_emit_item(r, COMMAND_CHECK, i);
            }
        } else if (i->step == STEP_BACK_WRITTEN && i->stopped) {
            item_end(r, i, STEP_SKIPPED);
        } else if (i->step == STEP_BACK_WRITTEN) {
            /* Even when the reload failed, a relay that was touched is brought up with what systemd has. */
            item_set_step(r, i, i->touched ? STEP_BACK_RESTARTING : STEP_BACK_VERIFYING);
            rollout_emit_item(r, i->touched ? COMMAND_START : COMMAND_VERIFY_BACK, i);
        }
    }
}

static void on_checked(Rollout *r, Item *i, const RolloutEvent *e)
{
    if (e->ok && e->needless) {
        item_end(r, i, STEP_DONE);
    } else if (e->ok && e->restarted) {
        i->touched = true;
        i->ready = e->ready;
        item_set_step(r, i, STEP_VERIFYING);
        rollout_emit_item(r, COMMAND_VERIFY, i);
    } else if (r->state == ROLLOUT_ENDING) {
        take_back(r, i);
    } else if (e->ok) {
        i->ready = e->ready;
        item_set_step(r, i, STEP_RESTARTING);
        rollout_emit_item(r, COMMAND_RESTART, i);
    } else {
        refuse_item(r, i, GATE_SETTINGS);
    }
}

static void on_preflight(Rollout *r, const Item *asked, bool ok, bool untested)
{
    Trial *t = item_trial(r, asked);

    if (!t || t->preflight != ANSWER_PENDING)
        return;
    t->preflight = ok ? ANSWER_OK : ANSWER_REFUSED;
    if (ok)
        return;
    /* No relay was touched, so the others continue: a refusal is no strike. */
    for (size_t n = 0; n < r->n_items; n++) {
        Item *i = &r->items[n];

        if (i->step == STEP_WAITING && item_trial(r, i) == t) {
            i->gate = untested ? GATE_NONE : GATE_PREFLIGHT;
            item_end(r, i, untested ? STEP_SKIPPED : STEP_FAILED);
        }
    }
}

/* A refusal is no strike here either: it is the fault of no allocator, and the others go on. */
static void on_config(Rollout *r, Item *i, bool ok)
{
    item_set_config(r, i, ok ? ANSWER_OK : ANSWER_REFUSED);
    if (ok)
        return;
    i->gate = GATE_VERIFY_CONFIG;
    item_end(r, i, STEP_FAILED);
}

/* Nothing but time has to be done for these, and the next rollout counts from when they were up. */
static void hand_over(Rollout *r)
{
    for (Item *i = item_first_in(r, PLACE_GOING), *next; i; i = next) {
        next = item_next(r, i);
        if (!is_watched(i) || i->checking || i->asking)
            continue;
        i->handed_over = true;
        item_end(r, i, STEP_SKIPPED);
    }
}

/* When it is to be looked at next; USEC_INFINITY: not by time. */
static usec_t due(const Item *i)
{
    if (i->checking || i->asking)
        return USEC_INFINITY;
    return i->step == STEP_SETTLING        ? i->settles_at
           : i->step == STEP_BOOTSTRAPPING ? i->asked_next
                                           : USEC_INFINITY;
}

static void on_tick(Rollout *r, usec_t now)
{
    if (now >= rollout_gate_again(r))
        r->gate = ANSWER_NONE; /* and is asked for when a wave could begin */
    for (Item *i = item_first_in(r, PLACE_GOING); i; i = item_next(r, i)) {
        if (now < due(i))
            continue;
        if (i->step == STEP_SETTLING)
            check(r, i);
        else
            ask(r, i);
    }
}

usec_t rollout_deadline(const Rollout *r)
{
    usec_t deadline = rollout_gate_again(r);

    if (r->n_in[STEP_SETTLING] + r->n_in[STEP_BOOTSTRAPPING] == 0)
        return deadline;
    for (const Item *i = item_first_in(r, PLACE_GOING); i; i = item_next(r, i))
        deadline = due(i) < deadline ? due(i) : deadline;
    return deadline;
}

RolloutCommandKind item_command_out(const Item *i)
{
    static const RolloutCommandKind of_step[_STEP_MAX] = {
        [STEP_WAITING] = COMMAND_RELOAD,        [STEP_WRITING] = COMMAND_WRITE,
        [STEP_WRITTEN] = COMMAND_RELOAD,        [STEP_CHECKING] = COMMAND_CHECK,
        [STEP_RESTARTING] = COMMAND_RESTART,    [STEP_VERIFYING] = COMMAND_VERIFY,
        [STEP_BOOTSTRAPPING] = COMMAND_VERIFY,  [STEP_SETTLING] = COMMAND_VERIFY,
        [STEP_BACK_WRITING] = COMMAND_RESTORE,  [STEP_BACK_WRITTEN] = COMMAND_RELOAD,
        [STEP_BACK_RESTARTING] = COMMAND_START, [STEP_BACK_VERIFYING] = COMMAND_VERIFY_BACK,
    };

    if (i->asking)
        return COMMAND_ASK;
    if (step_ended(i->step) || (is_watched(i) && !i->checking))
        return COMMAND_RELOAD;
    return of_step[i->step];
}

void rollout_event(Rollout *r, const RolloutEvent *e, RolloutNow now)
{
    Item *i = e->item < r->n_items ? &r->items[e->item] : NULL;

    if (rollout_over(r))
        return;
    switch (e->kind) {
    case EVENT_PREFLIGHT:
        if (i)
            on_preflight(r, i, e->ok, e->untested);
        break;
    case EVENT_CONFIG:
        if (i && i->step == STEP_WAITING && i->config == ANSWER_PENDING)
            on_config(r, i, e->ok);
        break;
    case EVENT_GATE:
        wave_on_gate(r, e->ok, now.monotonic);
        break;
    case EVENT_WRITTEN:
        if (i && (i->step == STEP_WRITING || i->step == STEP_BACK_WRITING))
            on_written(r, i, e->ok);
        break;
    case EVENT_RELOADED:
        on_reloaded(r, e->ok);
        break;
    case EVENT_CHECKED:
        if (i && i->step == STEP_CHECKING)
            on_checked(r, i, e);
        break;
    case EVENT_JOB:
        if (i && (i->step == STEP_RESTARTING || i->step == STEP_BACK_RESTARTING))
            on_job(r, i, e->job);
        break;
    case EVENT_VERIFIED:
        if (i && (i->step == STEP_VERIFYING || is_watched(i)))
            on_verified(r, i, e, now.monotonic);
        else if (i && i->step == STEP_BACK_VERIFYING)
            on_verified_back(r, i, e);
        break;
    case EVENT_READY:
        if (i && i->step == STEP_BOOTSTRAPPING && i->asking)
            on_ready(r, i, e->readiness, now.monotonic);
        break;
    case EVENT_UNIT:
        if (i && is_watched(i))
            on_unit_changed(r, i);
        if (i && i->step == STEP_WAITING)
            i->down = e->down;
        if (i && i->item.stopped && i->step <= STEP_WRITTEN)
            i->up = e->up;
        break;
    case EVENT_PAUSE:
        if (r->state == ROLLOUT_RUNNING || r->state == ROLLOUT_WAITING)
            r->state = ROLLOUT_PAUSED;
        break;
    case EVENT_RESUME:
        if (r->state == ROLLOUT_PAUSED)
            r->state = ROLLOUT_RUNNING;
        break;
    case EVENT_ABORT:
        begin_end(r, ROLLOUT_ABORTED);
        break;
    case EVENT_SUPERSEDE:
        begin_end(r, ROLLOUT_SUPERSEDED);
        break;
    case EVENT_HAND_OVER:
        begin_end(r, ROLLOUT_SUPERSEDED);
        r->hands_over = true;
        break;
    case EVENT_TICK:
        on_tick(r, now.monotonic);
        break;
    }
    if (r->hands_over)
        hand_over(r);
    wave_advance(r, now);
}
