/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of relays: which there are, and which group takes them. A relay is there when systemd has its
 * unit loaded or knows a unit file of its own, when it has a directory among the instances, or when there is
 * a drop-in of ours for it. */
#pragma once

#include "manager/model.h"

Relay *relays_find(Manager *m, const char *name);
Relay *relays_find_unit(Manager *m, const char *unit);
RelayFacts **relays_facts(const Manager *m); /* m->n_relays of them; the array is the caller's */

void relays_scan(Manager *m); /* looks for relays again; debounced */
/* systemd has read all unit files again: reads and proves all that it says, paced. `by_run`: for the rollout
 * in progress, which reads what it moves by itself; the others wait for its end. */
void relays_look_again(Manager *m, bool by_run);
/* Those whose configuration was found broken and has changed since, or `all`, may be restarted again. True:
 * there were any. */
bool relays_forget_config_faults(Manager *m, bool all);
void relays_watch_instances(Manager *m);
/* Looks for them again if that, or to watch for them, failed for a moment, or where instances are to be is
 * another directory now. */
void relays_retry(Manager *m);
void relays_check_scanned(Manager *m);            /* one more unit was read: is the table complete now? */
bool relays_standing_changed(const Relay *relay); /* since the groups were last formed */
void relays_drop_vanished(Manager *m); /* those that the last look did not find, and no rollout holds */

/* Groups by the configuration in force, then proves all. Relays in the rollout in progress keep what they
 * have until it is over; if theirs would change, the plan is outdated. */
void relays_assign(Manager *m);
void relays_verify(Manager *m); /* drop-ins on disk, too */
/* What systemd gives to every service: a strv of NAME=VALUE. Proves all when it has changed; true: it has. */
bool relays_take_environment(Manager *m, char **take);
/* Asks for it: that it was changed (systemctl set-environment) nobody is told. */
void relays_read_environment(Manager *m);

void relays_forget(Manager *m); /* all of them: the configuration looks for other units now */
void relays_free(Manager *m);
void relays_forget_bus(Manager *m);
void relays_bus_back(Manager *m);
