/* SPDX-License-Identifier: BSD-3-Clause */
/* Divides relays into groups that are similar before the experiment begins: at random, within blocks of
 * relays with nearly the same memory, and of many such draws the one that is most similar in memory and age.
 * Pure. */
#pragma once

#include "report/stats.h"

#define BALANCE_DRAWS 2000
#define BALANCE_NONE SIZE_MAX

typedef struct BalanceRelay {
    double memory; /* bytes */
    double age;    /* of the process, s */
} BalanceRelay;

/* How far apart the two groups are that differ most, in standard deviations of all relays in groups, or in
 * what is negligible if that is more: 1 % of the memory, an hour of age. Below about 0.2 it is little. NAN:
 * fewer than two groups with relays. */
typedef struct Balance {
    double memory, age;
} Balance;

/* `group` of each relay: 0 … groups-1 or BALANCE_NONE. */
Balance balance_of(const BalanceRelay *relays, const size_t *group, size_t n, size_t groups);

/* Puts `size` of the n relays into each group. 0; -ERANGE: there are not that many. */
int balance_plan(const BalanceRelay *relays, size_t n, size_t groups, size_t size, uint64_t seed,
                 size_t *ret_group, Balance *ret);
