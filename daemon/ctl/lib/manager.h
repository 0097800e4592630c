/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's D-Bus objects read into structs: the manager with its rollout, and one relay. Only reads. */
#pragma once

#include "ctl/lib/ctl.h"

/* Strings are NULL if the daemon's version does not have them; use them with isempty(). */
typedef struct ManagerStatus {
    char *version, *config_path, *config_error, *config_warnings;
    uint64_t config_loaded; /* µs realtime */
    bool config_changed;    /* on disk since, not read */
    bool config_waits;      /* read, in force when the rollout in progress has ended */
    char *state_error;      /* "": the state is saved */
    char **host_settings, **memory_warnings, **not_put_back;
    uint32_t relays, ok, pending, busy, failed_relays, drifted, down, stopped, observed;
    char *rollout; /* idle, running, waiting, paused, ending, halted, aborted */
    bool paused;   /* also while it is halted or aborted */
    char *reason;
    char *result; /* none, done, halted, aborted, superseded */
    uint64_t id;  /* 0: there was none yet */
    uint32_t wave, waves, total, done, failed;
    uint64_t started, ends; /* µs realtime; 0 */
    uint64_t plan_ends;     /* µs realtime; 0: nothing is planned */
    char *window;           /* "02:00-06:00"; "": none */
    char *gate;             /* unit; "": none */
    uint64_t window_opens;  /* µs realtime; 0: it is open */
} ManagerStatus;
void manager_status_clear(ManagerStatus *facts);

typedef struct RelayStatus {
    char *name, *unit, *group, *assigned, *running, *version, *state, *reason, *library;
    uint32_t pid;
    uint64_t since, rss, anonymous, swap, peak, sampled;
    char *dropin; /* "": none */
    char **dropins;
    char **notes; /* sentences without full stop */
    bool ready;
    char *bootstrap, *flags, *fingerprint; /* as in bus/api.h */
} RelayStatus;
void relay_status_clear(RelayStatus *facts);

/* 0; -ENXIO: the daemon is not running; other errno. Messages as `say` has it. */
int manager_status_get(sd_bus *bus, Say say, ManagerStatus *ret);
/* The same in two steps: the call, without a destination, and what its reply says. */
int manager_status_call(sd_bus *bus, sd_bus_message **ret);
int manager_status_read(sd_bus_message *reply, ManagerStatus *ret);
int relay_status_get(sd_bus *bus, const char *path, Say say, RelayStatus *ret);

/* "waiting for the window 02:00-06:00, which opens in 14h 49min"; owned by the caller. NULL: it is open. */
char *manager_window_words(const ManagerStatus *facts);
/* How the last rollout ended, for people. */
const char *manager_result_words(const ManagerStatus *facts);
/* The window of a file that may come into force. */
char *config_window_words(const Config *config);

/* Objects owned by the caller. */
struct json_object *manager_status_json(const ManagerStatus *facts);
struct json_object *relay_status_json(const RelayStatus *facts);
