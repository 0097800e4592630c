/* SPDX-License-Identifier: BSD-3-Clause */
/* The parts of `relayallocctl experiment`. */
#pragma once

#include "ctl/lib/samples.h"

/* experiment plan, and with `start` the same groups put into the configuration, after plan and question.
 * argv[0] is "plan" or "start". */
int ctl_experiment_plan(int argc, char *argv[], const CtlOptions *options, bool start);
/* experiment adopt: all relays into one group of what the measurements support, after plan and question. */
int ctl_experiment_adopt(int argc, char *argv[], const CtlOptions *options);
