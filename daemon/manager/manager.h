/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's middle: owns the event loop, the bus, the configuration in force, the table of relays and the
 * rollout in progress, and conducts what follows from what. It decides nothing that core decides, and touches
 * the world only through io. See manager/model.h for its parts. */
#pragma once

#include "manager/model.h"

/* `view` outlives it. -EINVAL: the configuration is at fault, and another try would not help. */
int manager_new(const char *config_path, const ManagerView *view, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager, manager_free)
/* 0; -ESTALE: it is to be started again at once (manager/read-only.h); another error. */
int manager_run(Manager *m);
/* The names on the bus are ours, or are refused (logged): from the view, when its served() becomes true. */
void manager_served(Manager *m);

/* Reads the file again; -EINVAL: it has problems (logged, and in m->config_error), what runs stays; another
 * error: it could not be read at present, and is with a later sample. */
int manager_reload(Manager *m);
/* Looks again at all that a proof speaks of, libraries and drop-ins on disk included, and proves every relay.
 */
void manager_verify(Manager *m);
/* Makes the plan, updates states, starts a rollout when there is something to do. */
void manager_plan(Manager *m);
