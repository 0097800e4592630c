/* SPDX-License-Identifier: BSD-3-Clause */
/* The one word that says how a relay stands. Pure. */
#pragma once

#include "core/plan.h"

typedef enum RelayState {
    RELAY_OK,         /* runs what it is assigned */
    RELAY_PENDING,    /* its turn comes */
    RELAY_RESTARTING, /* being moved or put back, or started by others, and not proved yet */
    RELAY_SETTLING,   /* moved and proved; must stay up for a while */
    RELAY_FAILED,     /* could not be moved */
    RELAY_DRIFTED,    /* runs something else than assigned, and nothing will be done about it by itself */
    RELAY_DOWN,       /* systemd wants it up, and it is not: failed, start limit, or crashes repeatedly */
    RELAY_STOPPED,    /* has no process, by request */
    RELAY_OBSERVED,   /* in no group */
    RELAY_REVERTED,   /* an operator took it out of its group */
    _RELAY_STATE_MAX,
    _RELAY_STATE_INVALID = -1,
} RelayState;
const char *relay_state_to_string(RelayState s);
RelayState relay_state_from_string(const char *s);

/* "9 relays listed: 8 ok, 1 stopped", with `noun` " listed"; counts by state, states without a relay left
 * out. `n` may be more than their sum: states of a later version. Owned by the caller. */
char *relay_states_summary(size_t n, const char *noun, const size_t counts[_RELAY_STATE_MAX]);

typedef struct StateFacts {
    bool assigned; /* a group takes it */
    bool reverted; /* an operator took it out of its group */
    bool up;
    bool down;      /* it is not up, and systemd wants it up */
    bool starting;  /* it is not up, and on its way there */
    bool too_new;   /* it is up, and what is wrong with it may come right by itself */
    bool under_way; /* in the rollout, at `step` */
    Step step;
    bool remembered_failure; /* this relay with this allocator failed before and was refused since */
    bool untested;           /* its allocator could not be tested yet, which is no fault of it */
    bool never_moved; /* its allocator is refused, and it never had it: there is nothing to drift from */
    Action action;    /* what the plan says */
    Cause cause;      /* the verdict; CAUSE_NONE when there is none */
} StateFacts;

RelayState relay_state(const StateFacts *facts);

/* Is that "as assigned"? (exit status 3 of list, status and verify when not) */
bool relay_state_fine(RelayState s);
