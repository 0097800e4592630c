/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration as it is on this host: the file, and each allocator's library found, judged safe and tried.
 * Blocks for the moment that this takes: at the start and at a reload only. */
#pragma once

#include "manager/model.h"

/* 0; -EINVAL: the file is at fault; another error: it cannot be read at present; with the problems as lines
 * in *ret_problems. Logs refused libraries. */
int setup_load(const Manager *m, const char *path, Setup **ret, char **ret_problems);
Setup *setup_free(Setup *setup);
DEFINE_CLEANUP(Setup, setup_free)
/* Was one of its libraries installed, removed or replaced since it was loaded? Then what they look like now,
 * owned by the caller; else NULL. Costs what allocators_stamp() does. */
char *setup_changed(const Manager *m);
/* Could an allocator in use not be tested, because the host was short of something? */
bool setup_untested(const Setup *setup);
/* Can one be tested now that could not be, with m->setup? One that no group uses counts, too: a relay may
 * still run it, and its version is not known until then. `refused`: also one in use with which a program was
 * tried and failed, which may have been the host's fault. Blocks as a load does if there is one. */
bool setup_can_be_tested(const Manager *m, bool refused);
/* Is the library of each allocator there now? A rollout in progress keeps its setup until it has ended. */
void setup_look(Setup *setup);
const Group *setup_group(const Setup *setup, size_t group); /* NULL: GROUP_NONE */

/* The facts that all relays have in common, as of now. */
HostFacts setup_host(const Manager *m);
