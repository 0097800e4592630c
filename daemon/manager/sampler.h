/* SPDX-License-Identifier: BSD-3-Clause */
/* The minute timer: reads each relay's memory and logs it, with what the relay really ran at that time. */
#pragma once

#include "manager/model.h"

int sampler_start(Manager *m); /* also after a reload that changed the interval */
void sampler_stop(Manager *m); /* the daemon ends: what it shows of the relays is not true any more */
