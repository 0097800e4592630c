/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads a configuration file with libconfig into the neutral tree that core/config judges. Decides nothing.
 */
#pragma once

#include "core/config.h"

/* Parses `path` and builds the Config. 0; -EINVAL: the file has problems (all of them in *problems, syntax
 * errors, unreadable and missing files included); another error, with it in *problems: trouble of the host
 * that may pass (error_is_passing()) kept it from being read, so nothing is known of the file. libconfig's
 * @include works, relative to the file's directory. `path` is what the messages name. */
int config_file_load(const char *path, Problems *problems, Config **ret);

/* A path that means standard input, which has to be a regular file; its includes are relative to the current
 * directory. */
#define CONFIG_STDIN "/dev/stdin"

/* The same, and checks who could change the file, each that it includes, and the links and directories on the
 * way: what users other than root can change is a problem, as it is for the daemon. The main file is judged
 * by the one at `as`, which is `path` itself or the one that it will replace with the same owner and mode.
 * `warnings`, if it is given, gets that instead: the file is a draft that is valid anyway, and the directory
 * in which it is now does not count. */
int config_file_load_judged(const char *path, const char *as, Problems *problems, Problems *warnings,
                            Config **ret);

typedef struct ConfigOnDisk {
    uint64_t digest; /* the same for the same text, the same people who could change it, and the same
                        problems in reading it */
    bool
        incomplete; /* a file is missing, not readable or empty, as for a moment when an editor replaces it */
    char **files;   /* strv of their paths, the main one first, also of those that could not be read */
} ConfigOnDisk;
void config_on_disk_clear(ConfigOnDisk *looked);
/* What is there now, not parsed: cheap enough to be asked each minute. */
void config_file_look(const char *path, ConfigOnDisk *ret);
