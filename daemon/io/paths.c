/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/paths.h"

#include "core/util.h"

#include <limits.h>

char *path_of_probe(void)
{
    char self[PATH_MAX]; /* the kernel never gives more for a link of /proc/PID/exe (proc(5)) */
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n > 0) {
        self[n] = '\0';
        /* A program that was upgraded while it ran ends in " (deleted)"; its folder is the same. */
        char *slash = strrchr(self, '/');
        if (slash) {
            _cleanup_(freep) char *beside = xasprintf("%.*s/relayalloc-probe", (int)(slash - self), self);
            if (access(beside, X_OK) == 0)
                return TAKE_PTR(beside);
        }
    }
    return xstrdup(LIBEXECDIR "/relayalloc-probe");
}
