/* SPDX-License-Identifier: BSD-3-Clause */
/* What the log says of drop-ins with our mark that nobody answers for: of an installation before this one, or
 * of another `unit`. They are kept; list and doctor show them, too. */
#pragma once

#include "manager/model.h"

/* The table is complete. */
void left_over_log(const Manager *m);
