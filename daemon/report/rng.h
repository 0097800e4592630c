/* SPDX-License-Identifier: BSD-3-Clause */
/* Random numbers: xoshiro256++ seeded by splitmix64 (Blackman and Vigna), the same on every machine. Pure. */
#pragma once

#include "core/util.h"

typedef struct Rng {
    uint64_t s[4];
} Rng;
Rng rng_new(uint64_t seed);
uint64_t rng_next(Rng *rng);
/* Uniform in 0 … n-1, without bias; n > 0. */
size_t rng_below(Rng *rng, size_t n);
/* A random order of 0 … n-1 (Fisher–Yates). */
void rng_shuffle(Rng *rng, size_t *items, size_t n);
