/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs gnuplot on a script. Knows nothing of what it draws. */
#pragma once

#include "core/util.h"

/* What gnuplot wrote to stdout, *ret_size bytes and a NUL behind them. It reads no configuration of the
 * user's. 0; -ENOENT: it is not installed; -EIO with what it said in *ret_error (owned by the caller; NULL
 * otherwise): it failed; -ETIMEDOUT; other errno. Blocks. */
int gnuplot_run(const char *script, usec_t timeout, char **ret, size_t *ret_size, char **ret_error);
