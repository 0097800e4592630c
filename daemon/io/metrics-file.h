/* SPDX-License-Identifier: BSD-3-Clause */
/* Replaces a file that others read at any time, whole: temporary file beside it, then rename. Not synced:
 * after a crash of the host the next minute writes it anew. */
#pragma once

#include "core/util.h"

/* Mode 0644. 0 or negative errno; on failure the old file stays and no temporary one. */
int metrics_file_replace(const char *path, const char *text, size_t n);
