/* SPDX-License-Identifier: BSD-3-Clause */
/* By which of the configuration's names a running allocator goes. Pure. */
#pragma once

#include "core/config.h"
#include "core/lookup.h"

/* Index of the allocator whose library (realpaths[i]; NULL: none) is the one that runs and whose environment
 * the process has in full; of several the one with the most variables, then `preferred` (an index or
 * SIZE_MAX), then the first. -ENOENT: it goes by no name. */
ssize_t identify_allocator(const Config *config, const char *const *realpaths, const MappedLibrary *running,
                           char *const *process_environ, size_t preferred);
