/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/metrics-file.h"

#include <errno.h>
#include <fcntl.h>

int metrics_file_replace(const char *path, const char *text, size_t n)
{
    /* node_exporter reads *.prom only, so it never sees this name. */
    _cleanup_(freep) char *temporary = xasprintf("%s.new", path);
    _cleanup_(closep) int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0)
        return -errno;
    while (n > 0) {
        ssize_t done = write(fd, text, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            break;
        text += done;
        n -= (size_t)done;
    }
    if (n == 0 && rename(temporary, path) == 0)
        return 0;
    int r = -errno;
    (void)unlink(temporary);
    return r;
}
