/* SPDX-License-Identifier: BSD-3-Clause */
/* Text files of others: configuration, unit files, files of /proc and /sys. Does not judge what they say. */
#pragma once

/* The text of a regular file, up to its first NUL. 0; -EINVAL: it is not one; -EFBIG: it is larger than 1
 * MiB; other negative errno. Owned by the caller. */
int text_file_read(const char *path, char **ret);
