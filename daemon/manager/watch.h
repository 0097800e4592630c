/* SPDX-License-Identifier: BSD-3-Clause */
/* Says when memory is going to run out, once a day, and does nothing about it: the settings of `watch`. */
#pragma once

#include "manager/model.h"

/* With each sample, when the relays have been measured. */
void watch_look(Manager *m);
