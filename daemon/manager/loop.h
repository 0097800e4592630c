/* SPDX-License-Identifier: BSD-3-Clause */
/* The clock and timers of the event loop. */
#pragma once

#include "manager/model.h"

usec_t loop_monotonic(const Manager *m); /* of this iteration of the loop */
usec_t loop_realtime(void);
/* Runs `handler` once, soon: several requests within `delay` become one. */
void loop_schedule(Manager *m, sd_event_source **source, usec_t delay, sd_event_time_handler_t handler);
