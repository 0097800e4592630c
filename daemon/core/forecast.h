/* SPDX-License-Identifier: BSD-3-Clause */
/* What a rollout will do if all goes well: its state machine, run on successes. Pure. */
#pragma once

#include "core/rollout.h"

/* The wave (1…) in which each item would go. Returns the waves. */
size_t forecast_waves(const RolloutPolicy *policy, const RolloutItem *items, size_t n, size_t *ret_waves);
