/* SPDX-License-Identifier: BSD-3-Clause */
/* The allocators of a configuration as they are on this host: each library found, judged safe (io/library)
 * and tried (io/probe). Blocks for some ms for each that is new. */
#pragma once

#include "core/facts.h"

typedef struct AllocatorsAsk {
    const Config *config;
    const char *probe; /* path of the probe */
    bool try_all;      /* also those that no group uses and that share a library with another */
    /* A configuration that was examined before: what was found about an allocator and still holds is copied.
     * NULL without one. */
    const Config *known_config;
    const AllocatorFacts *known;
    void (*progress)(void *userdata); /* called after each; NULL */
    void *userdata;
} AllocatorsAsk;

/* An array of config->n_allocators; allocators_free() frees it. */
AllocatorFacts *allocators_look(const AllocatorsAsk *ask);
/* Could one that is in use not be tested yet, for trouble of the host? */
bool allocators_untested(const Config *config, const AllocatorFacts *facts);
AllocatorFacts *allocators_free(AllocatorFacts *facts, size_t n);

/* What the libraries look like from outside: differs when one was installed, removed or replaced, and when
 * others than root can change one that they could not, or no more. Costs some dozen calls of stat(2) for
 * each, and for one in use that was unresolved a run of the dynamic linker: could it be resolved now? Without
 * `probe`, of libraries just looked at, nothing is run, and what changed while they were looked at makes it
 * one that no other is like. Owned by the caller. */
char *allocators_stamp(const Config *config, const AllocatorFacts *facts, const char *probe);
