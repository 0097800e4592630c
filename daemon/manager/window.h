/* SPDX-License-Identifier: BSD-3-Clause */
/* The time of day in which a rollout may begin waves, by the host's clock and time zone as they are now. */
#pragma once

#include "manager/model.h"

/* May a wave begin now: within the window, without one, or because an operator does not wait for it? */
bool window_open(const Manager *m);
/* Is it the time of day? Whatever an operator wishes. */
bool window_opened(const Manager *m);
/* When it opens next (realtime), if a wave has to wait for it; 0: it may begin now. */
usec_t window_opens(const Manager *m);
/* Local time now, as what has passed since midnight. */
usec_t window_clock(void);
/* "; waiting for the window 02:00-06:00, which opens in 14h 49min", "" when nobody waits. Owned by the
 * caller.
 */
char *window_words(const Manager *m);
