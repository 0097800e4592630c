/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the random numbers of the report. Must give the same ones for the same seed on every machine. */
#include "report/rng.h"

#include <assert.h>

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

Rng rng_new(uint64_t seed)
{
    Rng rng;

    for (size_t i = 0; i < ELEMENTSOF(rng.s); i++)
        rng.s[i] = splitmix64(&seed);
    return rng;
}

static uint64_t rotate_left(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

uint64_t rng_next(Rng *rng)
{
    uint64_t *s = rng->s, result = rotate_left(s[0] + s[3], 23) + s[0], t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

size_t rng_below(Rng *rng, size_t n)
{
    assert(n > 0);
    /* The upper half of x·n is uniform but for the values of x whose lower half is below 2^64 mod n (Lemire):
     * they are drawn again. */
    for (;;) {
        unsigned __int128 product = (unsigned __int128)rng_next(rng) * n;
        if ((uint64_t)product >= n || (uint64_t)product >= -(uint64_t)n % n)
            return (size_t)(product >> 64);
    }
}

void rng_shuffle(Rng *rng, size_t *items, size_t n)
{
    for (size_t i = n; i > 1; i--) {
        size_t j = rng_below(rng, i), t = items[i - 1];
        items[i - 1] = items[j];
        items[j] = t;
    }
}
