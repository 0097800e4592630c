/* SPDX-License-Identifier: BSD-3-Clause */
/* What a rollout will do if all goes well: its state machine, run on successes. Pure. */
#pragma once

#include "core/config.h"
#include "core/rollout.h"
#include "core/unit.h"

/* The wave (1…) in which each item would go. Returns the waves. */
size_t forecast_waves(const RolloutPolicy *policy, const RolloutItem *items, size_t n, size_t *ret_waves);

#define FORECAST_RELOAD (USEC_PER_SEC / 2) /* where nothing was measured */
#define FORECAST_PREFLIGHT (USEC_PER_SEC / 2)
#define FORECAST_VERIFY_CONFIG (USEC_PER_SEC / 4)
#define FORECAST_READY (10 * USEC_PER_SEC) /* tor with the directory that it had before */
typedef struct ForecastTimes {
    usec_t preflight, verify_config, reload;
    usec_t gate;           /* until it opens */
    usec_t ready;          /* from the end of its restart until it is ready, of one that has to be */
    const bool *ready_now; /* of each item: it is, and so has to be after its restart; NULL: of none */
    const usec_t *restart; /* of each item: until its job has ended */
    const usec_t *begun;   /* when the restart that is out was asked for (monotonic); 0: now; NULL: of all */
    const usec_t *asked; /* since when it has been asked whether it is ready (monotonic); 0, NULL: not yet */
    Window window;
    usec_t since_midnight; /* local time now */
} ForecastTimes;

/* How long a rollout takes from now on. USEC_INFINITY: until somebody does something (it is paused, say). */
usec_t forecast_left(const Rollout *rollout, const ForecastTimes *times, usec_t monotonic);
/* The same of one that would begin now. */
usec_t forecast_length(const RolloutPolicy *policy, const RolloutItem *items, size_t n,
                       const ForecastTimes *times);

#define FORECAST_STOP (30 * USEC_PER_SEC) /* tor's ShutdownWaitLength, where nothing was measured */
#define FORECAST_START (3 * USEC_PER_SEC)
/* How long the restart of each unit takes: as its last stop and start did, as those of the others on average,
 * or as long as tor waits by default. */
void forecast_restarts(const UnitInfo *const *units, size_t n, usec_t *ret);
