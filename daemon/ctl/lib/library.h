/* SPDX-License-Identifier: BSD-3-Clause */
/* What is behind an allocator's name on this host: the library's file, its version, what speaks against it.
 * Only looks: the library is tried in the probe, an unprivileged process. */
#pragma once

#include "core/config.h"
#include "io/library.h"
#include "io/probe.h"

typedef struct AllocatorFacts {
    Library library;   /* path NULL: glibc, or refused */
    ProbeResult probe; /* version NULL: not tried, or it failed */
    char *refusal;     /* why it must not be used here, a sentence without full stop; NULL */
    char *warning;     /* what it or ld.so printed, on one line; NULL */
} AllocatorFacts;
void allocator_facts_clear(AllocatorFacts *facts);

/* Resolves and tries it. Takes some ms. */
void allocator_facts_read(const Allocator *allocator, AllocatorFacts *ret);

/* For each of the configuration's allocators that a group uses (or of all of them), the facts; those that are
 * not read are empty. An array of n_allocators; facts_array_free() frees it. */
AllocatorFacts *facts_array_read(const Config *config, bool all);
AllocatorFacts *facts_array_free(AllocatorFacts *facts, size_t n);
