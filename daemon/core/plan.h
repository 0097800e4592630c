/* SPDX-License-Identifier: BSD-3-Clause */
/* The plan: what differs between what the file says and what is, with a reason for each relay. Pure; the
 * rollout carries it out. */
#pragma once

#include "core/assign.h"
#include "core/rollout.h"
#include "core/verdict.h"

typedef enum Action {
    ACTION_NONE,
    ACTION_WRITE,   /* the drop-in changes; the process runs the right thing already, or there is none */
    ACTION_REMOVE,  /* our drop-in goes; no restart */
    ACTION_RESTART, /* the drop-in changes (or goes, or stands already) and the process must be replaced */
    ACTION_REFUSED, /* something should be done but must not */
    _ACTION_MAX,
} Action;
const char *action_to_string(Action a); /* "none", "write", "remove", "restart", "refused" */

typedef struct PlanRelay {
    const char *name;
    size_t group;          /* index in the configuration, or GROUP_NONE */
    const char *allocator; /* its name; NULL without a group */
    size_t allocator_index;
    const char *refusal;    /* why nothing may be done now (library refused, a file that is not ours, failed
                               before); NULL */
    const char *no_restart; /* why it would not come up again: its file may change, it must not be restarted;
                               NULL */
    const char *wanted;     /* text that the drop-in should have; NULL: there should be none */
    const char *present;    /* text of our drop-in on disk; NULL: none */
    bool up;                /* it has a process */
    bool unproved; /* it is stopped, and `wanted` is what no relay of this host is known to have settled with:
                      it would come up with that and no way back */
    const Verdict *verdict; /* with a group and up: on what it runs; else NULL */
    bool carries_ours;      /* without a group: its process was started with what our drop-in sets, and its
                               unit's other settings do not give it the same */
    bool restart_wanted;    /* up, and an operator requested a restart of this process */
    bool keeps;             /* without a group and up: it runs what it would without our drop-in */
} PlanRelay;

typedef struct PlanItem {
    size_t relay; /* index in the array given */
    Action action;
    size_t wave;   /* 1…; 0: none (refused) */
    bool unproved; /* its relay's: its turn comes when another relay of this plan has settled with it */
    char *reason;
} PlanItem;

typedef struct Plan {
    PlanItem *items; /* relays that need nothing are not in it; in order of group, then name */
    size_t n;
} Plan;

Plan *plan_free(Plan *plan);
DEFINE_CLEANUP(Plan, plan_free)

/* What must be done about one relay by itself; *ret_reason (owned by the caller; NULL with ACTION_NONE) says
 * why. */
Action plan_relay(const PlanRelay *relay, char **ret_reason);

Plan *plan_new(const PlanRelay *relays, size_t n, const RolloutPolicy *policy);

/* The items of a plan that a rollout carries out, in its order; ret[] has room for plan->n. Returns how many,
 * and in ret_index[] which plan item each is. */
size_t plan_rollout_items(const Plan *plan, const PlanRelay *relays, RolloutItem *ret, size_t *ret_index);
