/* SPDX-License-Identifier: BSD-3-Clause */
/* What cannot be read back from the world after a crash: /var/lib/relayalloc/state, in libconfig's syntax,
 * written whole (temp + fsync + rename + fsync of the folder). */
#pragma once

#include "core/util.h"

typedef enum Hold {
    HOLD_NONE,
    HOLD_PAUSED,  /* by an operator; until resume */
    HOLD_HALTED,  /* by failures; until the configuration or a library changes, or resume */
    HOLD_ABORTED, /* by an operator; the same */
    _HOLD_MAX,
    _HOLD_INVALID = -1,
} Hold;
const char *hold_to_string(Hold h);
Hold hold_from_string(const char *s);

/* A relay between its first write and its end in a rollout. */
typedef struct Flight {
    char *relay;
    char *previous; /* text of the drop-in before; NULL: there was none */
    char *before;   /* library that it ran before; NULL: glibc */
    bool left;      /* by an earlier run of the daemon, and not looked at since */
} Flight;

/* A move that failed: not tried again while relay, allocator and library build are the same. Allocator and
 * build are "" for one that was to lose our drop-in. */
typedef struct Refusal {
    char *relay, *allocator, *build, *reason;
} Refusal;

typedef struct State {
    Hold hold;
    char *hold_reason;
    char *config_id; /* of the configuration that hold, refusals and reverted belong to */
    uint64_t rollout_id;
    Flight *flights;
    size_t n_flights, c_flights;
    Refusal *refusals;
    size_t n_refusals, c_refusals;
    char **reverted; /* strv of relays that an operator took out until the file changes */
} State;

State *state_free(State *state);
DEFINE_CLEANUP(State, state_free)

/* `dir` is the folder. 0, also when there is no file yet (an empty State); -EBADMSG: the file is damaged (an
 * empty State is returned all the same: nothing in it is worth not starting for); other errno. */
int state_file_load(const char *dir, State **ret);
int state_file_save(const char *dir, const State *state);

Flight *state_find_flight(State *state, const char *relay);
void state_add_flight(State *state, const char *relay, const char *previous, const char *before);
void state_remove_flight(State *state, const char *relay);

const Refusal *state_find_refusal(const State *state, const char *relay, const char *allocator,
                                  const char *build);
void state_add_refusal(State *state, const char *relay, const char *allocator, const char *build,
                       const char *reason);
void state_remove_refusal(State *state, const char *relay, const char *allocator, const char *build);
void state_clear_refusals(State *state);
