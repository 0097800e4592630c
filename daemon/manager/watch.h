/* SPDX-License-Identifier: BSD-3-Clause */
/* Says when memory is going to run out, once a day, and does nothing about it: the settings of `watch`. */
#pragma once

#include "manager/model.h"

/* Before the first sample: what an earlier run of the daemon has learnt of their growth. */
void watch_open(Manager *m);
/* With each sample, when the relays have been measured. */
void watch_look(Manager *m);
