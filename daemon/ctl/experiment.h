/* SPDX-License-Identifier: BSD-3-Clause */
/* The two halves of `relayallocctl experiment`. */
#pragma once

#include "ctl/lib/source.h"

/* experiment plan: argv[0] is "plan". */
int ctl_experiment_plan(int argc, char *argv[], const CtlOptions *options);
