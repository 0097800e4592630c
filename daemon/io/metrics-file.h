/* SPDX-License-Identifier: BSD-3-Clause */
/* Replaces a file that others read at any time, whole: temporary file beside it, then rename. Not synced:
 * after a crash of the host the next minute writes it again.
 *
 * The usual directory of the exporter belongs to the exporter's user on Debian
 * (/var/lib/prometheus/node-exporter), and refusing it would refuse the place for it; so the work is done as
 * if that user were an enemy. The directory is held by a descriptor. On a path that users other than root
 * could change no link is followed, so that what they rearrange cannot lead out of what is theirs. The
 * temporary file is always a new one, under a name that nobody knows beforehand, and nothing that exists is
 * ever opened. */
#pragma once

#include "core/util.h"

/* Mode 0644. 0; -ENOENT: there is no such directory; -ELOOP: a link (or "..") on a path that users other than
 * root could change; -EROFS, -EISDIR and others. On failure the old file stays and no temporary one. */
int metrics_file_replace(const char *path, const char *text, size_t n);

/* With what a crash has left beside it. 0; -ENOENT: it is gone already; -EINVAL: it is not a regular file,
 * and stays; others as above. */
int metrics_file_remove(const char *path);
