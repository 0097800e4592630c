/* SPDX-License-Identifier: BSD-3-Clause */
/* What operators request: remembered at once, so that neither a crash nor a new plan undoes it. */
#pragma once

#include "manager/model.h"

void operator_pause(Manager *m);
/* Continues; unless it was only paused, what failed is tried again. -ENOENT: nothing is on hold, and nothing
 * failed. */
int operator_resume(Manager *m);
/* These alone: reverted ones return to their groups, those that failed are tried again; of how many. -ESRCH:
 * no such relay; -ENOENT: none of them is either. */
int operator_resume_relays(Manager *m, char *const *relays, size_t *ret_n);
/* -ENOENT: no rollout in progress. */
int operator_abort(Manager *m);
/* Of those that are up; none named: of all. *ret_n: how many. -ENOENT: no such relay. */
int operator_restart(Manager *m, char *const *relays, size_t *ret_n);
/* None named: all. -ENOENT: no such relay. */
int operator_revert(Manager *m, char *const *relays, size_t *ret_n);
/* These need not wait for the window until no rollout is left to be done. Behind the request that it belongs
 * to. */
void operator_ignore_window(Manager *m, Outside who);
