/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of others. The daemon is root without CAP_DAC_OVERRIDE, so that files and directories that are
 * private to other users are closed to it (the control socket of a relay, an EnvironmentFile=, the directory
 * of an exporter). What was refused it tries again as their owner would: as that user where files are
 * concerned (setfsuid(2)), and as itself in all else. Root with all its powers, and users, are never refused
 * anything that this could change. */
#pragma once

#include "core/util.h"

#include <sys/types.h>

/* From now on files are accessed as the owner of `path`, or, where that is hidden, of the directory that
 * hides it. 0, and then owner_leave() has to follow; -EACCES: it is root's, or we may not become another. */
int owner_enter(const char *path);
/* The same as this user, where it is known whose they are: half as many system calls. */
int owner_enter_user(uid_t uid);
void owner_leave(void); /* errno is kept */

/* open(2), or openat(2), of an existing file, and once more as its owner where that is refused. A
 * descriptor, or negative errno. */
int owner_open(const char *path, int flags);
int owner_openat(int dir, const char *path, int flags);
