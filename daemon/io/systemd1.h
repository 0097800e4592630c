/* SPDX-License-Identifier: BSD-3-Clause */
/* systemd's D-Bus interface (org.freedesktop.systemd1(5)), as far as we use it. Asynchronous throughout:
 * every call answers through its callback exactly once, unless its Systemd1Call is freed first, which cancels
 * it. Decides nothing.
 *
 * Signals are believed only from the connection that owns org.freedesktop.systemd1: on the system bus
 * everybody may send signals to everybody. */
#pragma once

#include "core/unit.h"

#include <systemd/sd-bus.h>

typedef struct Systemd1 Systemd1;
typedef struct Systemd1Call Systemd1Call;

typedef struct Systemd1Events {
    void (*unit_changed)(void *userdata, const char *unit);  /* one that is watched */
    void (*units_changed)(void *userdata, const char *unit); /* it came or went; NULL: systemd reloaded */
    void (*job_removed)(void *userdata, const char *job, const char *unit, JobResult result);
    void (*owner_changed)(void *userdata, bool present); /* systemd re-executed, or left and came back */
} Systemd1Events;

/* `bus` is referenced. Subscribes; again by itself whenever systemd changes its owner. `events` NULL: for one
 * who only asks, no signals are subscribed to. */
int systemd1_new(sd_bus *bus, const Systemd1Events *events, void *userdata, Systemd1 **ret);
Systemd1 *systemd1_free(Systemd1 *s); /* cancels all calls */
DEFINE_CLEANUP(Systemd1, systemd1_free)
/* Does it have its name on the bus? A call that gets no answer then is not asked again by any owner_changed.
 */
bool systemd1_present(const Systemd1 *s);

/* Cancels; no callback follows. NULL is fine. Returns NULL. */
Systemd1Call *systemd1_cancel(Systemd1Call *call);

/* PropertiesChanged of one unit; the slot is the caller's to unref. */
int systemd1_watch(Systemd1 *s, const char *unit, sd_bus_slot **ret);

/* All callbacks: `error` 0 or negative errno (-ENOTCONN: the bus or systemd disappeared before it answered,
 * so that it is unknown whether the call was carried out; owner_changed follows when it is back), `message`
 * systemd's words for it (NULL with 0). */
typedef void (*Systemd1UnitsCallback)(void *userdata, int error, const char *message,
                                      char **units /* taken */);
typedef void (*Systemd1UnitCallback)(void *userdata, int error, const char *message,
                                     UnitInfo *info /* taken */);
typedef void (*Systemd1JobCallback)(void *userdata, int error, const char *message, const char *job);
typedef void (*Systemd1DoneCallback)(void *userdata, int error, const char *message);

/* Loaded units of the pattern, without those that are only referred to but do not exist. */
int systemd1_list_units(Systemd1 *s, const char *pattern, Systemd1UnitsCallback callback, void *userdata,
                        Systemd1Call **ret);
/* Units of the pattern that have a unit file of their own, or are enabled, loaded or not. */
int systemd1_list_unit_files(Systemd1 *s, const char *pattern, Systemd1UnitsCallback callback, void *userdata,
                             Systemd1Call **ret);
/* The environment that systemd gives to every service (DefaultEnvironment=, `systemctl set-environment`): a
 * strv of NAME=VALUE. */
int systemd1_get_environment(Systemd1 *s, Systemd1UnitsCallback callback, void *userdata, Systemd1Call **ret);
int systemd1_get_unit(Systemd1 *s, const char *unit, Systemd1UnitCallback callback, void *userdata,
                      Systemd1Call **ret);
/* May take long: systemd answers when it is done. -EBUSY: refused by its rate limit; try again later. */
int systemd1_reload(Systemd1 *s, usec_t timeout, Systemd1DoneCallback callback, void *userdata,
                    Systemd1Call **ret);
/* StartUnit with this mode (systemctl(1), --job-mode=). -ENOENT: there is no such unit; -ERFKILL: it is
 * masked. */
int systemd1_start(Systemd1 *s, const char *unit, const char *mode, Systemd1JobCallback callback,
                   void *userdata, Systemd1Call **ret);
/* TryRestartUnit (`only_if_up`) or RestartUnit, mode "replace". */
int systemd1_restart(Systemd1 *s, const char *unit, bool only_if_up, Systemd1JobCallback callback,
                     void *userdata, Systemd1Call **ret);
int systemd1_reset_failed(Systemd1 *s, const char *unit, Systemd1DoneCallback callback, void *userdata,
                          Systemd1Call **ret);

/* Runs argv as the transient service `name` in the sandbox of `like` (the properties that say what it may see
 * and load are copied), with that environment, or, with NULL, in all as `like` itself would be started, only
 * that nothing is preloaded; its standard output and error go to `output` (a descriptor, not taken over). How
 * it ended can be read by systemd1_get_unit() until it is let go, or the bus is gone. */
int systemd1_run_like(Systemd1 *s, const char *name, const char *like, char *const *argv,
                      char *const *environment, int output, Systemd1JobCallback callback, void *userdata,
                      Systemd1Call **ret);
/* Then systemd forgets it as soon as it has ended. */
void systemd1_let_go(Systemd1 *s, const char *name);
