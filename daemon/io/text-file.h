/* SPDX-License-Identifier: BSD-3-Clause */
/* Text files of others: configuration, unit files, files of /proc and /sys. Does not judge what they say. */
#pragma once

#include <stddef.h>

/* The text of a regular file, up to its first NUL. 0; -EINVAL: it is not one; -EFBIG: it is larger than 1
 * MiB; other negative errno. Owned by the caller. */
int text_file_read(const char *path, char **ret);

/* The first n-1 bytes at most of a file of the kernel that is read again and again, and a NUL. *fd keeps it
 * open (-1: it is not yet; closed again when it cannot be read); the caller closes it. 0; negative errno. */
int text_file_read_again(int *fd, const char *path, char *buffer, size_t n);
