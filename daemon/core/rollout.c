/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/rollout.h"

#include <assert.h>

/* To what is asked before anybody is touched. */
typedef enum Answer {
    ANSWER_NONE,
    ANSWER_PENDING,
    ANSWER_OK,
    ANSWER_REFUSED,
} Answer;

/* What is done to it in its turn. */
typedef enum Turn {
    TURN_UNTOUCHED, /* only the file changes */
    TURN_RESTART,
    TURN_STOPPED,
    _TURN_MAX,
} Turn;

/* Each item is in one of these, so that nobody has to look at all of them: those whose turn has not come, by
 * what it will be; those in progress; and those that have ended. All but the last are in the order of the
 * items. */
typedef enum ItemPlace {
    PLACE_WAITING, /* + Turn */
    PLACE_GOING = PLACE_WAITING + _TURN_MAX,
    PLACE_ENDED,
    _PLACE_MAX,
} ItemPlace;

#define NOBODY SIZE_MAX

typedef struct Item {
    RolloutItem item;
    size_t trial; /* index; of an item without an allocator nothing */
    Answer config;
    Step step;             /* by set_step() */
    size_t before, behind; /* its neighbours in its place: indices, or NOBODY */
    bool moved;            /* it is in Rollout.moved */
    bool reloading;        /* the reload that is out serves it */
    Gate gate;
    bool touched;    /* systemd took a restart job for it: it may not be what it was */
    bool checking;   /* a VERIFY is out while it settles, or is not ready yet */
    bool ready;      /* it has to be ready before it settles */
    bool asking;     /* an ASK is out, … */
    bool check_next; /* …and a VERIFY follows it */
    bool canary;
    bool down;        /* before its turn: somebody has stopped it */
    bool stopped;     /* in its turn: it is taken back, and not started */
    bool no_way_back; /* it crashed before: what it had is no better */
    size_t wave;
    uint32_t pid, n_restarts;
    unsigned resettled;
    usec_t ready_by;   /* while it is not ready: until when it may be so, … */
    usec_t asked_next; /* …and when it is asked again */
    usec_t settles_at;
} Item;

#define ASK_INTERVAL (2 * USEC_PER_SEC)
/* So long a gate may stay open for a wave that something else delays. */
#define GATE_KEEPS (5 * USEC_PER_MINUTE)

/* One allocator of this rollout. */
typedef struct Kind {
    size_t allocator;
    unsigned canaries_left;
    bool proved; /* a relay of this rollout was restarted with it and has settled */
} Kind;

/* An allocator in a sandbox that some of its relays share. */
typedef struct Trial {
    size_t allocator;
    uint64_t sandbox;
    Answer preflight;
} Trial;

struct Rollout {
    RolloutPolicy policy;
    Item *items;
    size_t n_items;
    struct {
        size_t first, last; /* indices, or NOBODY */
    } places[_PLACE_MAX];
    size_t n_in[_STEP_MAX]; /* so many items are in each step */
    size_t n_verifying;     /* so many wait for the answer about their configuration, and for their turn */
    bool verified;          /* one may have an answer that is good for the next wave only */
    size_t *moved, n_moved; /* for rollout_next_moved() */
    Kind *kinds;
    size_t n_kinds;
    Trial *trials;
    size_t n_trials;
    RolloutState state;
    RolloutState end; /* what ROLLOUT_ENDING becomes */
    size_t wave;
    unsigned strikes; /* failures that count against max_failed */
    Answer gate;      /* for the next wave */
    usec_t gate_told; /* when it was answered */
    bool reload_out;  /* a RELOAD is out; items written since wait for the next */
    RolloutCommand *queue;
    size_t n_queue, head, capacity;
};

static const char *const gate_names[_GATE_MAX] = {
    [GATE_NONE] = "none",   [GATE_PREFLIGHT] = "preflight", [GATE_VERIFY_CONFIG] = "verify-config",
    [GATE_WRITE] = "write", [GATE_RELOAD] = "reload",       [GATE_SETTINGS] = "settings",
    [GATE_JOB] = "job",     [GATE_ACTIVE] = "active",       [GATE_PROOF] = "proof",
    [GATE_READY] = "ready", [GATE_SETTLE] = "settle",
};

const char *gate_to_string(Gate gate)
{
    return gate_names[gate];
}

static const char *const state_names[_ROLLOUT_STATE_MAX] = {
    [ROLLOUT_RUNNING] = "running", [ROLLOUT_WAITING] = "waiting",
    [ROLLOUT_PAUSED] = "paused",   [ROLLOUT_ENDING] = "ending",
    [ROLLOUT_DONE] = "done",       [ROLLOUT_HALTED] = "halted",
    [ROLLOUT_ABORTED] = "aborted", [ROLLOUT_SUPERSEDED] = "superseded",
};

const char *rollout_state_to_string(RolloutState s)
{
    return state_names[s];
}

static void emit(Rollout *r, RolloutCommand command)
{
    GROW(r->queue, r->capacity, r->n_queue);
    r->queue[r->n_queue++] = command;
}

static void emit_item(Rollout *r, RolloutCommandKind kind, const Item *i)
{
    emit(r, (RolloutCommand){ .kind = kind, .item = (size_t)(i - r->items), .gate = i->gate });
}

/* ---- where the items are ---- */

static Turn turn_of(const RolloutItem *item)
{
    return item->restart ? TURN_RESTART : item->stopped ? TURN_STOPPED : TURN_UNTOUCHED;
}

static ItemPlace place_of(const Item *i, Step step)
{
    return step_ended(step)       ? PLACE_ENDED
           : step != STEP_WAITING ? PLACE_GOING
                                  : (ItemPlace)(PLACE_WAITING + (int)turn_of(&i->item));
}

static Item *item_at(const Rollout *r, size_t index)
{
    return index == NOBODY ? NULL : &r->items[index];
}

static Item *first_in(const Rollout *r, ItemPlace place)
{
    return item_at(r, r->places[place].first);
}

static Item *next_of(const Rollout *r, const Item *i)
{
    return item_at(r, i->behind);
}

/* Who comes and goes does so nearly always in the order of the items: from the end it is not far. */
static void enter(Rollout *r, Item *i, ItemPlace place)
{
    const size_t index = (size_t)(i - r->items);
    size_t before = r->places[place].last;

    while (place != PLACE_ENDED && before != NOBODY && before > index)
        before = r->items[before].before;
    i->before = before;
    i->behind = before == NOBODY ? r->places[place].first : r->items[before].behind;
    *(i->behind == NOBODY ? &r->places[place].last : &r->items[i->behind].before) = index;
    *(before == NOBODY ? &r->places[place].first : &r->items[before].behind) = index;
}

static void leave(Rollout *r, const Item *i, ItemPlace place)
{
    *(i->behind == NOBODY ? &r->places[place].last : &r->items[i->behind].before) = i->before;
    *(i->before == NOBODY ? &r->places[place].first : &r->items[i->before].behind) = i->behind;
}

static bool is_verifying(const Item *i)
{
    return i->step == STEP_WAITING && i->config == ANSWER_PENDING;
}

static void set_config(Rollout *r, Item *i, Answer config)
{
    r->n_verifying -= is_verifying(i);
    i->config = config;
    r->n_verifying += is_verifying(i);
    r->verified = r->verified || config == ANSWER_OK;
}

static void note_moved(Rollout *r, Item *i)
{
    if (!i->moved)
        r->moved[r->n_moved++] = (size_t)(i - r->items);
    i->moved = true;
}

/* Nothing else changes a step. */
static void set_step(Rollout *r, Item *i, Step step)
{
    const ItemPlace from = place_of(i, i->step), to = place_of(i, step);

    r->n_verifying -= is_verifying(i);
    r->n_in[i->step]--;
    if (from != to)
        leave(r, i, from);
    i->step = step;
    if (from != to)
        enter(r, i, to);
    r->n_in[step]++;
    r->n_verifying += is_verifying(i);
    note_moved(r, i);
}

/* At first all wait. */
static void place_items(Rollout *r)
{
    for (int place = 0; place < _PLACE_MAX; place++)
        r->places[place].first = r->places[place].last = NOBODY;
    for (size_t n = 0; n < r->n_items; n++)
        enter(r, &r->items[n], place_of(&r->items[n], STEP_WAITING));
    r->n_in[STEP_WAITING] = r->n_items;
}

static size_t n_going(const Rollout *r)
{
    size_t n = 0;

    for (Step s = STEP_WAITING + 1; !step_ended(s); s++)
        n += r->n_in[s];
    return n;
}

bool rollout_next_moved(Rollout *r, size_t *ret)
{
    if (r->n_moved == 0)
        return false;
    *ret = r->moved[--r->n_moved];
    r->items[*ret].moved = false;
    return true;
}

static Kind *kind_of(const Rollout *r, size_t allocator)
{
    for (size_t k = 0; k < r->n_kinds; k++)
        if (r->kinds[k].allocator == allocator)
            return &r->kinds[k];
    return NULL;
}

/* The index of the trial of these two, which is made when it is the first. */
static size_t trial_of(Rollout *r, size_t allocator, uint64_t sandbox)
{
    size_t t = 0;

    while (t < r->n_trials && (r->trials[t].allocator != allocator || r->trials[t].sandbox != sandbox))
        t++;
    if (t == r->n_trials)
        r->trials[r->n_trials++] = (Trial){ .allocator = allocator, .sandbox = sandbox };
    return t;
}

Rollout *rollout_new(const RolloutPolicy *policy, const RolloutItem *items, size_t n)
{
    Rollout *r = xcalloc(1, sizeof(*r));

    assert(policy->parallel >= 1 && policy->max_failed >= 1);
    r->policy = *policy;
    r->items = xcalloc(n, sizeof(*r->items));
    r->moved = xcalloc(n, sizeof(*r->moved));
    r->kinds = xcalloc(n, sizeof(*r->kinds));
    r->trials = xcalloc(n, sizeof(*r->trials));
    r->n_items = n;
    for (size_t i = 0; i < n; i++)
        r->items[i].item = items[i];
    place_items(r);
    for (size_t i = 0; i < n; i++) {
        size_t allocator = items[i].allocator;

        if (items[i].recover) {
            set_step(r, &r->items[i], STEP_VERIFYING);
            r->items[i].touched = true;
            r->items[i].canary = items[i].canary;
            r->items[i].ready = items[i].ready;
            emit_item(r, COMMAND_VERIFY, &r->items[i]);
        }
        if (allocator == ROLLOUT_NO_ALLOCATOR)
            continue;
        r->items[i].trial = trial_of(r, allocator, items[i].sandbox);
        if (!kind_of(r, allocator))
            r->kinds[r->n_kinds++] = (Kind){ .allocator = allocator, .canaries_left = policy->canary };
    }
    return r;
}

Rollout *rollout_free(Rollout *r)
{
    if (r) {
        free(r->items);
        free(r->moved);
        free(r->kinds);
        free(r->trials);
        free(r->queue);
        free(r);
    }
    return NULL;
}

static void end_item(Rollout *r, Item *i, Step step)
{
    Kind *k = step == STEP_DONE && i->item.restart ? kind_of(r, i->item.allocator) : NULL;

    set_step(r, i, step);
    if (k) {
        k->proved = true;
        if (i->canary && k->canaries_left > 0)
            k->canaries_left--;
    }
    emit_item(r, NOTE_ENDED, i);
}

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
    set_step(r, i, STEP_BACK_WRITING);
    emit_item(r, COMMAND_RESTORE, i);
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
    emit_item(r, NOTE_FAILED_GATE, i);
    /* A directory that takes no file and a systemd that does not reload are faults of the host and not of
     * this relay: no other relay is started. */
    if (gate == GATE_WRITE || gate == GATE_RELOAD ||
        (!i->item.outdated && (r->strikes >= r->policy.max_failed || !r->policy.put_back || i->item.as_is)))
        begin_end(r, ROLLOUT_HALTED);
    if ((!r->policy.put_back || i->no_way_back || i->item.as_is) && i->touched)
        end_item(r, i, STEP_LOST);
    else
        take_back(r, i);
}

static usec_t settle_of(const Rollout *r, const Item *i)
{
    return i->canary ? r->policy.canary_settle : r->policy.settle;
}

static void start_settling(Rollout *r, Item *i, usec_t now)
{
    set_step(r, i, STEP_SETTLING);
    if (!i->item.recover)
        i->settles_at = now + settle_of(r, i);
    if (i->settles_at <= now)
        end_item(r, i, STEP_DONE); /* proved this very moment, nothing to wait for */
}

static void ask(Rollout *r, Item *i)
{
    i->asking = true;
    emit_item(r, COMMAND_ASK, i);
}

static void check(Rollout *r, Item *i)
{
    i->checking = true;
    i->check_next = false;
    emit_item(r, COMMAND_VERIFY, i);
}

/* It is up and runs what it should: from now on this process is watched. */
static void start_watching(Rollout *r, Item *i, const RolloutEvent *e, usec_t now)
{
    usec_t settle = settle_of(r, i);

    i->pid = e->pid;
    i->n_restarts = e->n_restarts;
    if (i->item.recover) /* it has settled for as long as its process lives */
        i->settles_at = now + (e->age < settle ? settle - e->age : 0);
    if (!i->ready) {
        start_settling(r, i, now);
        return;
    }
    set_step(r, i, STEP_BOOTSTRAPPING);
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
        end_item(r, i, STEP_SKIPPED);
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
        end_item(r, i, STEP_DONE);
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
        end_item(r, i, STEP_LOST);
        return;
    }
    if (i->gate == GATE_NONE) { /* it has failed nowhere: taken back before its restart */
        i->wave = 0;
        end_item(r, i, STEP_WAITING);
    } else {
        end_item(r, i, STEP_FAILED);
    }
}

static void on_job(Rollout *r, Item *i, JobResult job)
{
    i->touched = i->touched || job != JOB_REFUSED;
    if (i->step == STEP_BACK_RESTARTING) {
        /* Whatever the job's result: what counts is how the unit stands now. */
        set_step(r, i, STEP_BACK_VERIFYING);
        emit_item(r, COMMAND_VERIFY_BACK, i);
        return;
    }
    switch (job) {
    case JOB_DONE:
    case JOB_CANCELED:
    case JOB_SKIPPED:
        set_step(r, i, STEP_VERIFYING);
        emit_item(r, COMMAND_VERIFY, i);
        return;
    default:
        fail_item(r, i, GATE_JOB);
    }
}

static void on_written(Rollout *r, Item *i, bool ok)
{
    if (i->step == STEP_WRITING) {
        if (ok)
            set_step(r, i, STEP_WRITTEN);
        else
            fail_item(r, i, GATE_WRITE);
    } else if (ok) {
        set_step(r, i, STEP_BACK_WRITTEN);
    } else if (i->stopped) {
        end_item(r, i, STEP_SKIPPED);
    } else if (i->touched) {
        /* The old file cannot be restored (full disk, say). Bring it up with what there is: better than down.
         */
        set_step(r, i, STEP_BACK_RESTARTING);
        emit_item(r, COMMAND_START, i);
    } else {
        /* If the new file could not be written, the old one is still there; else a disk that takes no file is
         * no reason to continue. */
        if (i->gate != GATE_WRITE)
            begin_end(r, ROLLOUT_HALTED);
        end_item(r, i, i->gate == GATE_WRITE ? STEP_FAILED : STEP_LOST);
    }
}

static void on_reloaded(Rollout *r, bool ok)
{
    if (!r->reload_out)
        return;
    r->reload_out = false;
    for (Item *i = first_in(r, PLACE_GOING), *next; i; i = next) {
        next = next_of(r, i);
        if (!i->reloading)
            continue;
        i->reloading = false;
        if (i->step == STEP_WRITTEN) {
            if (!ok) {
                fail_item(r, i, GATE_RELOAD);
            } else if (!i->item.restart) {
                end_item(r, i, STEP_DONE);
            } else if (r->state == ROLLOUT_ENDING) { /* since it was written */
                take_back(r, i);
            } else {
                set_step(r, i, STEP_CHECKING);
                emit_item(r, COMMAND_CHECK, i);
            }
        } else if (i->step == STEP_BACK_WRITTEN && i->stopped) {
            end_item(r, i, STEP_SKIPPED);
        } else if (i->step == STEP_BACK_WRITTEN) {
            /* Even when the reload failed, a relay that was touched is brought up with what systemd has. */
            set_step(r, i, i->touched ? STEP_BACK_RESTARTING : STEP_BACK_VERIFYING);
            emit_item(r, i->touched ? COMMAND_START : COMMAND_VERIFY_BACK, i);
        }
    }
}

static void on_checked(Rollout *r, Item *i, const RolloutEvent *e)
{
    if (e->ok && e->needless) {
        end_item(r, i, STEP_DONE);
    } else if (r->state == ROLLOUT_ENDING) {
        take_back(r, i);
    } else if (e->ok) {
        i->ready = e->ready;
        set_step(r, i, STEP_RESTARTING);
        emit_item(r, COMMAND_RESTART, i);
    } else {
        refuse_item(r, i, GATE_SETTINGS);
    }
}

static Trial *item_trial(const Rollout *r, const Item *i)
{
    return i->item.allocator == ROLLOUT_NO_ALLOCATOR ? NULL : &r->trials[i->trial];
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
            end_item(r, i, untested ? STEP_SKIPPED : STEP_FAILED);
        }
    }
}

/* A refusal is no strike here either: it is the fault of no allocator, and the others go on. */
static void on_config(Rollout *r, Item *i, bool ok)
{
    set_config(r, i, ok ? ANSWER_OK : ANSWER_REFUSED);
    if (ok)
        return;
    i->gate = GATE_VERIFY_CONFIG;
    end_item(r, i, STEP_FAILED);
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
    for (Item *i = first_in(r, PLACE_GOING); i; i = next_of(r, i)) {
        if (now < due(i))
            continue;
        if (i->step == STEP_SETTLING)
            check(r, i);
        else
            ask(r, i);
    }
}

/* One reload for all that has been written; it waits until no write is out. */
static void maybe_reload(Rollout *r)
{
    if (r->reload_out || r->n_in[STEP_WRITING] > 0 || r->n_in[STEP_BACK_WRITING] > 0 ||
        r->n_in[STEP_WRITTEN] + r->n_in[STEP_BACK_WRITTEN] == 0)
        return;
    for (Item *i = first_in(r, PLACE_GOING); i; i = next_of(r, i))
        i->reloading = i->step == STEP_WRITTEN || i->step == STEP_BACK_WRITTEN;
    r->reload_out = true;
    emit(r, (RolloutCommand){ .kind = COMMAND_RELOAD });
}

#define ANY_ALLOCATOR (SIZE_MAX - 1)

/* Has its turn not come, and may it come? */
static bool may_go(const Rollout *r, const Item *i)
{
    const Kind *k = i->item.unproved ? kind_of(r, i->item.allocator) : NULL;

    return i->step == STEP_WAITING && !(i->down && turn_of(&i->item) == TURN_RESTART) &&
           !(i->item.unproved && !(k && k->proved));
}

static bool any_may_go(const Rollout *r)
{
    for (int turn = 0; turn < _TURN_MAX; turn++)
        for (const Item *i = first_in(r, (ItemPlace)(PLACE_WAITING + turn)); i; i = next_of(r, i))
            if (may_go(r, i))
                return true;
    return false;
}

static size_t pick(const Rollout *r, size_t *picked, size_t limit, Turn turn, size_t allocator)
{
    size_t n_picked = 0;

    for (const Item *i = first_in(r, (ItemPlace)(PLACE_WAITING + (int)turn)); i && n_picked < limit;
         i = next_of(r, i))
        if (may_go(r, i) && (allocator == ANY_ALLOCATOR || i->item.allocator == allocator))
            picked[n_picked++] = (size_t)(i - r->items);
    return n_picked;
}

/* None may join while it is in progress. */
static bool goes_alone(const Item *i)
{
    return i->item.recover || i->canary || turn_of(&i->item) == TURN_UNTOUCHED;
}

/* Nobody joins before it is ready again: one library after the other may break what the network sees. */
static bool awaits_ready(const Item *i)
{
    return i->ready && i->step <= STEP_BOOTSTRAPPING;
}

/* Who goes next: first all whose process stays as it is, then each allocator's canaries, then as many as
 * there are free places, and at last the stopped ones. Only those who come for a place may go beside others.
 */
static size_t choose_wave(const Rollout *r, size_t under_way, size_t *picked, bool *ret_canary)
{
    const size_t places = r->policy.parallel - under_way;
    size_t n;

    *ret_canary = false;
    if (under_way > 0)
        return pick(r, picked, places, TURN_RESTART, ANY_ALLOCATOR);
    n = pick(r, picked, r->n_items, TURN_UNTOUCHED, ANY_ALLOCATOR);
    for (size_t k = 0; n == 0 && k < r->n_kinds; k++) {
        size_t canaries = r->kinds[k].canaries_left;

        n = pick(r, picked, canaries < places ? canaries : places, TURN_RESTART, r->kinds[k].allocator);
        *ret_canary = n > 0;
    }
    if (n == 0)
        n = pick(r, picked, places, TURN_RESTART, ANY_ALLOCATOR);
    return n > 0 ? n : pick(r, picked, r->n_items, TURN_STOPPED, ANY_ALLOCATOR);
}

/* Is one of the picked waiting for a preflight? Those that are still to be asked for are asked for. */
static bool in_preflight(Rollout *r, const size_t *picked, size_t n)
{
    bool asked = false;

    for (size_t p = 0; p < n; p++) {
        Item *i = &r->items[picked[p]];
        Trial *t = turn_of(&i->item) == TURN_UNTOUCHED ? NULL : item_trial(r, i);

        if (t && t->preflight == ANSWER_NONE) {
            t->preflight = ANSWER_PENDING;
            emit_item(r, COMMAND_PREFLIGHT, i);
        }
        asked = asked || (t && t->preflight == ANSWER_PENDING);
    }
    return asked;
}

/* The same of what only the relay's own start depends on: last, for it is of this very moment. */
static bool in_verification(Rollout *r, const size_t *picked, size_t n)
{
    bool asked = false;

    for (size_t p = 0; p < n; p++) {
        Item *i = &r->items[picked[p]];

        if (!i->item.verifies || turn_of(&i->item) != TURN_RESTART)
            continue;
        if (i->config == ANSWER_NONE) {
            set_config(r, i, ANSWER_PENDING);
            emit_item(r, COMMAND_VERIFY_CONFIG, i);
        }
        asked = asked || i->config == ANSWER_PENDING;
    }
    return asked;
}

static void on_gate(Rollout *r, bool ok, usec_t now)
{
    if (r->gate != ANSWER_PENDING)
        return;
    r->gate = ok ? ANSWER_OK : ANSWER_REFUSED;
    r->gate_told = now;
}

/* Is it shut, or not known whether it is open? Then it is asked for. */
static bool at_gate(Rollout *r, usec_t now)
{
    if (!r->policy.gate)
        return false;
    if (r->gate == ANSWER_OK && now > r->gate_told + GATE_KEEPS)
        r->gate = ANSWER_NONE;
    if (r->gate == ANSWER_NONE) {
        r->gate = ANSWER_PENDING;
        emit(r, (RolloutCommand){ .kind = COMMAND_GATE });
    }
    return r->gate != ANSWER_OK;
}

usec_t rollout_gate_again(const Rollout *r)
{
    return r->gate == ANSWER_REFUSED ? r->gate_told + ROLLOUT_GATE_INTERVAL : USEC_INFINITY;
}

bool rollout_at_gate(const Rollout *r)
{
    return r->gate == ANSWER_PENDING;
}

/* What was found for a wave that does not begin after all is not true for ever. */
static void forget_answers(Rollout *r)
{
    if (r->gate != ANSWER_PENDING)
        r->gate = ANSWER_NONE;
    if (!r->verified)
        return;
    r->verified = false;
    for (size_t n = 0; n < r->n_items; n++)
        if (r->items[n].config == ANSWER_OK)
            set_config(r, &r->items[n], ANSWER_NONE);
}

/* Starts the next wave unless something about it is to be asked first. What is asked last is what may change
 * from one moment to the next. */
static void start_wave(Rollout *r, size_t under_way, usec_t now)
{
    _cleanup_(freep) size_t *picked = xcalloc(r->n_items, sizeof(size_t));
    bool canary;
    size_t n = choose_wave(r, under_way, picked, &canary);

    if (n == 0 || in_preflight(r, picked, n))
        return;
    const bool shut = at_gate(r, now);
    if (shut && under_way == 0) /* also while it is tried: one that hangs is waited for, too */
        r->state = ROLLOUT_WAITING;
    if (shut || in_verification(r, picked, n))
        return;
    r->gate = ANSWER_NONE; /* it was for this one */
    r->wave++;
    emit(r, (RolloutCommand){ .kind = NOTE_WAVE, .wave = r->wave, .count = n });
    for (size_t p = 0; p < n; p++) {
        Item *i = &r->items[picked[p]];

        set_step(r, i, STEP_WRITING);
        i->canary = canary;
        i->wave = r->wave;
        emit_item(r, COMMAND_WRITE, i);
    }
}

/* Nobody is up whose turn it still is. Nothing is written ahead for those that are stopped. */
static void skip_stopped(Rollout *r)
{
    for (size_t n = 0; r->n_in[STEP_WAITING] > 0 && n < r->n_items; n++)
        if (r->items[n].step == STEP_WAITING && !may_go(r, &r->items[n]))
            end_item(r, &r->items[n], STEP_SKIPPED);
}

/* Does something have to be answered, or come further, before another relay is touched? */
static bool is_busy(const Rollout *r)
{
    if (r->n_verifying > 0)
        return true;
    for (size_t t = 0; t < r->n_trials; t++)
        if (r->trials[t].preflight == ANSWER_PENDING)
            return true;
    for (const Item *i = first_in(r, PLACE_GOING); i; i = next_of(r, i))
        if (goes_alone(i) || awaits_ready(i))
            return true;
    return false;
}

/* The next wave begins when half of the places are free, so that none has to wait for the slowest of the wave
 * before. Never while a reload is pending: places that become free in the meantime share the next, and
 * whatever is WRITTEN is in this one. */
static void advance(Rollout *r, RolloutNow now)
{
    const size_t under_way = n_going(r);

    maybe_reload(r);
    if (r->reload_out || 2 * under_way > r->policy.parallel || is_busy(r))
        return;
    if (under_way == 0) {
        if (!any_may_go(r) || r->state == ROLLOUT_ENDING) {
            if (r->state != ROLLOUT_ENDING)
                skip_stopped(r);
            r->state = r->state == ROLLOUT_ENDING ? r->end : ROLLOUT_DONE;
            emit(r, (RolloutCommand){ .kind = NOTE_OVER });
        } else if (r->state != ROLLOUT_PAUSED) {
            r->state = now.window_open ? ROLLOUT_RUNNING : ROLLOUT_WAITING;
        }
    }
    if (r->state == ROLLOUT_RUNNING && now.window_open)
        start_wave(r, under_way, now.monotonic);
    else
        forget_answers(r);
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
        on_gate(r, e->ok, now.monotonic);
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
    case EVENT_TICK:
        on_tick(r, now.monotonic);
        break;
    }
    advance(r, now);
}

bool rollout_next(Rollout *r, RolloutCommand *ret)
{
    if (r->head == r->n_queue) {
        r->head = r->n_queue = 0;
        return false;
    }
    *ret = r->queue[r->head++];
    return true;
}

usec_t rollout_deadline(const Rollout *r)
{
    usec_t deadline = rollout_gate_again(r);

    if (r->n_in[STEP_SETTLING] + r->n_in[STEP_BOOTSTRAPPING] == 0)
        return deadline;
    for (const Item *i = first_in(r, PLACE_GOING); i; i = next_of(r, i))
        deadline = due(i) < deadline ? due(i) : deadline;
    return deadline;
}

RolloutState rollout_state(const Rollout *r)
{
    return r->state;
}

bool rollout_halts(const Rollout *r)
{
    return r->end == ROLLOUT_HALTED;
}

Step rollout_step(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return r->items[item].step;
}

Gate rollout_gate(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return r->items[item].gate;
}

usec_t rollout_settle(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return settle_of(r, &r->items[item]);
}

bool rollout_canary(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return r->items[item].canary;
}

bool rollout_must_be_ready(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return r->items[item].ready;
}

size_t rollout_wave_of(const Rollout *r, size_t item)
{
    assert(item < r->n_items);
    return r->items[item].wave;
}

size_t rollout_wave(const Rollout *r)
{
    return r->wave;
}

RolloutCounts rollout_counts(const Rollout *r)
{
    return (RolloutCounts){
        .total = r->n_items,
        .done = r->n_in[STEP_DONE],
        .skipped = r->n_in[STEP_SKIPPED],
        .failed = r->n_in[STEP_FAILED] + r->n_in[STEP_LOST],
    };
}

/* The command that an item waits for to be answered; COMMAND_RELOAD: none. */
static RolloutCommandKind command_out(const Item *i)
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

static void emit_again(Rollout *r)
{
    for (size_t n = 0; n < r->n_items; n++) {
        Item *i = &r->items[n];
        RolloutCommandKind out = command_out(i);

        if (i->config == ANSWER_PENDING)
            emit_item(r, COMMAND_VERIFY_CONFIG, i);
        if (out != COMMAND_RELOAD)
            emit_item(r, out, i);
    }
    for (size_t t = 0; t < r->n_trials; t++)
        for (size_t n = 0; r->trials[t].preflight == ANSWER_PENDING && n < r->n_items; n++)
            if (item_trial(r, &r->items[n]) == &r->trials[t]) {
                emit_item(r, COMMAND_PREFLIGHT, &r->items[n]);
                break;
            }
    if (r->gate == ANSWER_PENDING)
        emit(r, (RolloutCommand){ .kind = COMMAND_GATE });
    if (r->reload_out)
        emit(r, (RolloutCommand){ .kind = COMMAND_RELOAD });
}

static void *copy_array(const void *array, size_t n, size_t size)
{
    void *copy = xcalloc(n, size);

    return n > 0 ? memcpy(copy, array, n * size) : copy;
}

Rollout *rollout_copy(const Rollout *r)
{
    Rollout *copy = copy_array(r, 1, sizeof(*r));

    copy->items = copy_array(r->items, r->n_items, sizeof(*r->items));
    copy->moved = copy_array(r->moved, r->n_items, sizeof(*r->moved));
    copy->kinds = copy_array(r->kinds, r->n_kinds, sizeof(*r->kinds));
    copy->trials = copy_array(r->trials, r->n_trials, sizeof(*r->trials));
    copy->queue = NULL;
    copy->n_queue = copy->head = copy->capacity = 0;
    for (size_t n = 0; n < copy->n_items; n++) {
        copy->items[n].pid = 1;
        copy->items[n].n_restarts = 0;
    }
    emit_again(copy);
    return copy;
}
