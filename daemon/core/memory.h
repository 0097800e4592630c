/* SPDX-License-Identifier: BSD-3-Clause */
/* What must outlive a crash or a restart of the daemon because it cannot be read back: which relays are in
 * progress, what failed and is not tried again, what an operator requested. Pure; io/state-file reads and
 * writes it. */
#pragma once

#include "core/util.h"

/* A pause is another thing: it neither ends a hold nor ends with one. */
typedef enum Hold {
    HOLD_NONE,
    HOLD_HALTED,  /* by failures; until the configuration or a library changes, or resume */
    HOLD_ABORTED, /* by an operator; the same */
    _HOLD_MAX,
    _HOLD_INVALID = -1,
} Hold;
const char *hold_to_string(Hold h);
Hold hold_from_string(const char *s);

/* A relay between its first write and the end of its settling. */
typedef struct Flight {
    char *relay;
    char *previous;          /* text of the drop-in before; NULL: there was none */
    char *before;            /* library that it ran before; NULL: glibc */
    char *allocator, *build; /* what it is moved to, "" for one that loses our drop-in; NULL: not known, saved
                                by a version that did not say */
    bool canary;             /* it goes as one */
    bool left;               /* by an earlier run of the daemon, and not looked at since */
} Flight;

/* A move that failed: not tried again while relay, allocator and library build are the same. Allocator and
 * build are "" for one that was to lose our drop-in. */
typedef struct Refusal {
    char *relay, *allocator, *build, *reason;
    bool untouched; /* a gate stopped it before anything was done to the relay: looking again costs nothing,
                       so it is not saved, and forgotten at each reload */
} Refusal;

typedef struct State {
    Hold hold;
    bool paused; /* by an operator; until resume */
    char *hold_reason;
    char *config_id; /* of the configuration that hold, refusals and reverted belong to */
    uint64_t rollout_id;
    Flight *flights;
    size_t n_flights, c_flights;
    Refusal *refusals;
    size_t n_refusals, c_refusals;
    char **written;   /* strv of relays whose drop-in is this installation's work */
    bool from_before; /* saved by a version that had no such list: what is there is taken for its work */
    char **waiting;   /* strv of relays that somebody stopped before their turn in a rollout came */
    char **restarts;  /* strv of "INVOCATION RELAY": an operator requested a restart of that process of the
                         relay */
    char **reverted;  /* strv of relays that an operator took out until the file changes */
    char **proved;    /* strv of facts_recipe(): a relay of this host has settled with each */
    char *metrics;    /* the metrics file that was written last, and is to go; NULL */
} State;

State *memory_free(State *state);
DEFINE_CLEANUP(State, memory_free)

Flight *memory_find_flight(const State *state, const char *relay);
/* Its texts are copied; it replaces the one of the same relay. */
void memory_add_flight(State *state, const Flight *flight);
void memory_remove_flight(State *state, const char *relay);

const Refusal *memory_find_refusal(const State *state, const char *relay, const char *allocator,
                                   const char *build);
void memory_add_refusal(State *state, const char *relay, const char *allocator, const char *build,
                        const char *reason, bool untouched);
void memory_remove_refusal(State *state, const char *relay, const char *allocator, const char *build);
void memory_clear_refusals(State *state);
void memory_clear_untouched(State *state); /* those of relays that nothing was done to */

/* For a relay that was up before its turn, and that somebody has stopped since. Nothing is written ahead for
 * it: else a fleet that is stopped in mid-rollout would come up on what has not been proved. true: that is
 * new. */
bool memory_set_waiting(State *state, const char *relay, bool waiting);

/* Whether the relay's drop-in is this installation's work. true: that is new. */
bool memory_set_written(State *state, const char *relay, bool written);

/* A relay has settled with what this stands for (facts_recipe()); the oldest of many is forgotten. true: that
 * is new. */
bool memory_set_proved(State *state, const char *recipe);

/* An operator requested a restart of the relay; one that has another process since (another invocation of its
 * unit, as systemd names it) has been restarted. */
bool memory_restart_wanted(const State *state, const char *relay, const char *invocation);
/* true: that is new. */
bool memory_want_restart(State *state, const char *relay, const char *invocation);
bool memory_end_restart(State *state, const char *relay); /* true: there was a request */

/* Replaces the hold and its reason (copied; NULL: none). */
void memory_hold(State *state, Hold hold, const char *reason);
static inline bool memory_held(const State *state)
{
    return state->paused || state->hold != HOLD_NONE;
}

/* Replaces the path of the metrics file (copied; NULL: none). true: it was another. */
bool memory_metrics(State *state, const char *path);

/* The configuration with this identity (facts_identity(): "FILE-LIBRARIES") comes into force. What failed
 * with another file or another build of a library gets a new chance. What an operator aborted or reverted
 * stays so until the file changes, which an upgrade of a library does not; what is paused stays paused. true:
 * something was forgotten. */
bool memory_adopt(State *state, const char *id);
