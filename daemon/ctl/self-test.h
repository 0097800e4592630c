/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "ctl/lib/ctl.h"

/* Prints a row for each allocator: whether it works here, the version that served malloc, or why not. An
 * ExitStatus. Blocks for some ms for each. */
int self_test_print(const CtlOptions *options, const Config *config);
