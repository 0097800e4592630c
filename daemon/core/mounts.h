/* SPDX-License-Identifier: BSD-3-Clause */
/* What a mountinfo file (proc_pid_mountinfo(5)) says of a path. */
#pragma once

#include "core/util.h"

/* Is the file system at the absolute `path`, which has no links in it, read-only there? 1; 0; -ENOENT: no
 * mount in the text covers the path. Either the mount or the file system itself may be (mount(2), MS_BIND).
 */
int mounts_read_only(const char *mountinfo, const char *path);

/* A service with mounts of its own has copies of the host's, flags included, as of when systemd started it
 * (mount_namespaces(7)): a mount that was read-only then stays so for it, whatever becomes of the host's. Two
 * answers of mounts_read_only() about a path that was read-only on the host at the start; of others it is the
 * service's own sandbox that has it so, which another start does not cure. */
bool mounts_outdated(int host, int own);
