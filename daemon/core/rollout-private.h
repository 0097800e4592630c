/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of the rollout, shared by its four files alone. From below, each with its reason to change:
 *
 *   rollout-item.c   the account: who is in which step, what waits to be taken out
 *   rollout-wave.c   whose turn it is: the order, what is asked before, when a wave and the end come
 *   rollout-event.c  what an event means for a relay: its way, how it fails, its way back
 *   rollout.c        the outside: how a rollout is made, shown and copied
 *
 * A file calls those before it in this list, and of the others only what rollout.h offers. */
#pragma once

#include "core/rollout.h"

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
    Step step;             /* by item_set_step() */
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
    bool up;          /* with item.stopped: somebody has started it since */
    bool stopped;     /* in its turn: it is taken back, and not started */
    bool no_way_back; /* it crashed before: what it had is no better */
    bool handed_over; /* to the next rollout, while it was watched */
    size_t wave;
    uint32_t pid, n_restarts;
    unsigned resettled;
    usec_t ready_by;   /* while it is not ready: until when it may be so, … */
    usec_t asked_next; /* …and when it is asked again */
    usec_t settles_at;
} Item;

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
    bool hands_over;  /* and nobody is watched until then */
    size_t wave;
    unsigned strikes; /* failures that count against max_failed */
    Answer gate;      /* for the next wave */
    usec_t gate_told; /* when it was answered */
    bool reload_out;  /* a RELOAD is out; items written since wait for the next */
    RolloutCommand *queue;
    size_t n_queue, head, capacity;
};

/* ---- rollout-item.c ---- */

void rollout_emit(Rollout *r, RolloutCommand command);
void rollout_emit_item(Rollout *r, RolloutCommandKind kind, const Item *i);

Kind *rollout_kind_of(const Rollout *r, size_t allocator); /* NULL: none of this rollout */
Trial *item_trial(const Rollout *r, const Item *i);        /* NULL: it has no allocator to be tried */

Turn item_turn(const RolloutItem *item);
/* Through a place; NULL: no other. The next is to be looked up before an item moves. */
Item *item_first_in(const Rollout *r, ItemPlace place);
Item *item_next(const Rollout *r, const Item *i);
/* Once; at first all wait. */
void item_place_all(Rollout *r);
/* Nothing else changes a step, … */
void item_set_step(Rollout *r, Item *i, Step step);
/* …and nothing else this answer. */
void item_set_config(Rollout *r, Item *i, Answer config);
/* With a step that has ended, or STEP_WAITING when it was taken back. Notes what that proves of its
 * allocator, and that it is over. */
void item_end(Rollout *r, Item *i, Step step);

/* ---- rollout-wave.c ---- */

void wave_on_gate(Rollout *r, bool ok, usec_t now);
/* What follows once an event is dealt with: a reload, the next wave or what it waits for, the end. */
void wave_advance(Rollout *r, RolloutNow now);

/* ---- rollout-event.c ---- */

/* The command that an item waits for to be answered; COMMAND_RELOAD: none. */
RolloutCommandKind item_command_out(const Item *i);
