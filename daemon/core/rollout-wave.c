/* SPDX-License-Identifier: BSD-3-Clause */
/* Decides who goes next, and when. It has the files of a wave written; what then becomes of each relay is
 * decided in rollout-event.c. */
#include "core/rollout-private.h"

/* So long a gate may stay open for a wave that something else delays. */
#define GATE_KEEPS (5 * USEC_PER_MINUTE)

#define ANY_ALLOCATOR (SIZE_MAX - 1)

static size_t n_going(const Rollout *r)
{
    size_t n = 0;

    for (Step s = STEP_WAITING + 1; !step_ended(s); s++)
        n += r->n_in[s];
    return n;
}

/* One reload for all that has been written; it waits until no write is out. */
static void maybe_reload(Rollout *r)
{
    if (r->reload_out || r->n_in[STEP_WRITING] > 0 || r->n_in[STEP_BACK_WRITING] > 0 ||
        r->n_in[STEP_WRITTEN] + r->n_in[STEP_BACK_WRITTEN] == 0)
        return;
    for (Item *i = item_first_in(r, PLACE_GOING); i; i = item_next(r, i))
        i->reloading = i->step == STEP_WRITTEN || i->step == STEP_BACK_WRITTEN;
    r->reload_out = true;
    rollout_emit(r, (RolloutCommand){ .kind = COMMAND_RELOAD });
}

/* Has its turn not come, and may it come? */
static bool may_go(const Rollout *r, const Item *i)
{
    const Kind *k = i->item.unproved ? rollout_kind_of(r, i->item.allocator) : NULL;

    return i->step == STEP_WAITING && !(i->down && item_turn(&i->item) == TURN_RESTART) && !i->up &&
           !(i->item.unproved && !(k && k->proved));
}

static bool any_may_go(const Rollout *r)
{
    for (int turn = 0; turn < _TURN_MAX; turn++)
        for (const Item *i = item_first_in(r, (ItemPlace)(PLACE_WAITING + turn)); i; i = item_next(r, i))
            if (may_go(r, i))
                return true;
    return false;
}

static size_t pick(const Rollout *r, size_t *picked, size_t limit, Turn turn, size_t allocator)
{
    size_t n_picked = 0;

    for (const Item *i = item_first_in(r, (ItemPlace)(PLACE_WAITING + (int)turn)); i && n_picked < limit;
         i = item_next(r, i))
        if (may_go(r, i) && (allocator == ANY_ALLOCATOR || i->item.allocator == allocator))
            picked[n_picked++] = (size_t)(i - r->items);
    return n_picked;
}

/* None may join while it is in progress. */
static bool goes_alone(const Item *i)
{
    return i->item.recover || i->canary || item_turn(&i->item) == TURN_UNTOUCHED;
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
        Trial *t = item_turn(&i->item) == TURN_UNTOUCHED ? NULL : item_trial(r, i);

        if (t && t->preflight == ANSWER_NONE) {
            t->preflight = ANSWER_PENDING;
            rollout_emit_item(r, COMMAND_PREFLIGHT, i);
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

        if (!i->item.verifies || item_turn(&i->item) != TURN_RESTART)
            continue;
        if (i->config == ANSWER_NONE) {
            item_set_config(r, i, ANSWER_PENDING);
            rollout_emit_item(r, COMMAND_VERIFY_CONFIG, i);
        }
        asked = asked || i->config == ANSWER_PENDING;
    }
    return asked;
}

void wave_on_gate(Rollout *r, bool ok, usec_t now)
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
        rollout_emit(r, (RolloutCommand){ .kind = COMMAND_GATE });
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
            item_set_config(r, &r->items[n], ANSWER_NONE);
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
    rollout_emit(r, (RolloutCommand){ .kind = NOTE_WAVE, .wave = r->wave, .count = n });
    for (size_t p = 0; p < n; p++) {
        Item *i = &r->items[picked[p]];

        item_set_step(r, i, STEP_WRITING);
        i->canary = canary;
        i->wave = r->wave;
        rollout_emit_item(r, COMMAND_WRITE, i);
    }
}

/* Nobody is left whose turn it still is. Nothing is written ahead for those that are stopped, and those that
 * were and are up are planned anew: their processes have what their files said when they were started. */
static void skip_others(Rollout *r)
{
    for (size_t n = 0; r->n_in[STEP_WAITING] > 0 && n < r->n_items; n++)
        if (r->items[n].step == STEP_WAITING && !may_go(r, &r->items[n]))
            item_end(r, &r->items[n], STEP_SKIPPED);
}

/* Does something have to be answered, or come further, before another relay is touched? */
static bool is_busy(const Rollout *r)
{
    if (r->n_verifying > 0)
        return true;
    for (size_t t = 0; t < r->n_trials; t++)
        if (r->trials[t].preflight == ANSWER_PENDING)
            return true;
    for (const Item *i = item_first_in(r, PLACE_GOING); i; i = item_next(r, i))
        if (goes_alone(i) || awaits_ready(i))
            return true;
    return false;
}

/* The next wave begins when half of the places are free, so that none has to wait for the slowest of the wave
 * before. Never while a reload is pending: places that become free in the meantime share the next, and
 * whatever is WRITTEN is in this one. */
void wave_advance(Rollout *r, RolloutNow now)
{
    const size_t under_way = n_going(r);

    maybe_reload(r);
    if (r->reload_out || 2 * under_way > r->policy.parallel || is_busy(r))
        return;
    if (under_way == 0) {
        if (!any_may_go(r) || r->state == ROLLOUT_ENDING) {
            if (r->state != ROLLOUT_ENDING)
                skip_others(r);
            r->state = r->state == ROLLOUT_ENDING ? r->end : ROLLOUT_DONE;
            rollout_emit(r, (RolloutCommand){ .kind = NOTE_OVER });
        } else if (r->state != ROLLOUT_PAUSED) {
            r->state = now.window_open ? ROLLOUT_RUNNING : ROLLOUT_WAITING;
        }
    }
    if (r->state == ROLLOUT_RUNNING && now.window_open)
        start_wave(r, under_way, now.monotonic);
    else
        forget_answers(r);
}
