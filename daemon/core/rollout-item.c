/* SPDX-License-Identifier: BSD-3-Clause */
/* Keeps account: in which step each item is, by lists, so that nobody has to look at all of them; and which
 * commands are still to be taken out. Decides nothing. */
#include "core/rollout-private.h"

void rollout_emit(Rollout *r, RolloutCommand command)
{
    GROW(r->queue, r->capacity, r->n_queue);
    r->queue[r->n_queue++] = command;
}

void rollout_emit_item(Rollout *r, RolloutCommandKind kind, const Item *i)
{
    rollout_emit(r, (RolloutCommand){ .kind = kind, .item = (size_t)(i - r->items), .gate = i->gate });
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

Kind *rollout_kind_of(const Rollout *r, size_t allocator)
{
    for (size_t k = 0; k < r->n_kinds; k++)
        if (r->kinds[k].allocator == allocator)
            return &r->kinds[k];
    return NULL;
}

Trial *item_trial(const Rollout *r, const Item *i)
{
    return i->item.allocator == ROLLOUT_NO_ALLOCATOR ? NULL : &r->trials[i->trial];
}

/* ---- where the items are ---- */

Turn item_turn(const RolloutItem *item)
{
    return item->restart ? TURN_RESTART : item->stopped ? TURN_STOPPED : TURN_UNTOUCHED;
}

static ItemPlace place_of(const Item *i, Step step)
{
    return step_ended(step)       ? PLACE_ENDED
           : step != STEP_WAITING ? PLACE_GOING
                                  : (ItemPlace)(PLACE_WAITING + (int)item_turn(&i->item));
}

static Item *item_at(const Rollout *r, size_t index)
{
    return index == NOBODY ? NULL : &r->items[index];
}

Item *item_first_in(const Rollout *r, ItemPlace place)
{
    return item_at(r, r->places[place].first);
}

Item *item_next(const Rollout *r, const Item *i)
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

void item_set_config(Rollout *r, Item *i, Answer config)
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

void item_set_step(Rollout *r, Item *i, Step step)
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

void item_place_all(Rollout *r)
{
    for (int place = 0; place < _PLACE_MAX; place++)
        r->places[place].first = r->places[place].last = NOBODY;
    for (size_t n = 0; n < r->n_items; n++)
        enter(r, &r->items[n], place_of(&r->items[n], STEP_WAITING));
    r->n_in[STEP_WAITING] = r->n_items;
}

bool rollout_next_moved(Rollout *r, size_t *ret)
{
    if (r->n_moved == 0)
        return false;
    *ret = r->moved[--r->n_moved];
    r->items[*ret].moved = false;
    return true;
}

void item_end(Rollout *r, Item *i, Step step)
{
    Kind *k = step == STEP_DONE && i->item.restart ? rollout_kind_of(r, i->item.allocator) : NULL;

    item_set_step(r, i, step);
    if (k) {
        k->proved = true;
        if (i->canary && k->canaries_left > 0)
            k->canaries_left--;
    }
    rollout_emit_item(r, NOTE_ENDED, i);
}
