/* SPDX-License-Identifier: BSD-3-Clause */
/* The rollout in progress: carries out the commands of core/rollout and answers each with one event. It
 * decides nothing of the rollout's order. */
#pragma once

#include "manager/model.h"

/* From m->plan and the flights that a crash left. While the rollout is on hold, only what cannot wait: relays
 * that a crash left down, and those that an operator reverts. 0 also when there was nothing to do. */
int run_start(Manager *m);
Run *run_free(Run *run);
void run_event(Manager *m,
               RolloutEventKind kind); /* pause, resume, abort, supersede; without a rollout nothing */
/* A relay that the rollout has moved, or said something else of, since it was last named here: in any order;
 * NULL: no other. */
Relay *run_next_moved(Manager *m);
void run_unit_changed(Relay *relay);
void run_relay_told(Relay *relay); /* tor_ask() is answered */
void run_job_removed(Manager *m, const char *job, const char *unit, JobResult result);
/* What could not be put back, on a disk that was read-only, say. true: something can be now, and is planned
 * for.
 */
bool run_put_back_again(Manager *m);
/* Is there one that still cannot be put back? */
bool run_is_stuck(const Manager *m);
/* Does a relay that is to be recovered wait for the end of the rollout in progress? That may be in hours. */
bool run_is_waited_for(Manager *m);
/* strv of the relays that wait for it, or that a crash left and nobody has looked at yet; owned by the
 * caller. */
char **run_not_put_back(const Manager *m);
bool run_reloads(const Manager *m); /* is systemd reading all unit files because the rollout asked for it? */
void run_forget_bus(Manager *m);
void run_bus_back(Manager *m); /* what was in progress when the bus was lost is requested again */
const Rollout *run_rollout(const Run *run);
uint64_t run_id(const Manager *m);
/* "idle", "running", "waiting", "paused", "ending" (relays in progress are finished, no others are started),
 * "halted", "aborted": of the rollout in progress, or of what holds the next. */
const char *run_word(const Manager *m);
const char *run_reason(const Manager *m); /* why it ended or ends, or the last one did; "" while one goes */
RunCounts run_counts(const Manager *m);   /* of the rollout in progress, else of the last one */
usec_t run_ends(const Manager *m);        /* estimate, realtime; 0: none */
/* Likewise of the plan that nothing carries out yet. */
usec_t run_plan_ends(const Manager *m);
bool run_failed(const Manager *m); /* something failed in it, and is still wanted */
/* The wave of a new plan, counted as the rollout in progress counts: that of the relay's turn in it, or, when
 * it is not in it, one after its end. 0 stays: no turn. */
size_t run_plan_wave(const Relay *relay, size_t planned);
