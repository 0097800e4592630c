/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a configuration file with libconfig into the neutral tree that core/config judges. Decides nothing.
 */
#pragma once

#include "core/config.h"

/* Parses `path` and builds the Config. 0; -EINVAL: the file has problems (all of them in *problems, syntax
 * errors, unreadable and missing files included). libconfig's @include works, relative to the file's folder.
 * `path` is what the messages name. */
int config_file_load(const char *path, Problems *problems, Config **ret);
