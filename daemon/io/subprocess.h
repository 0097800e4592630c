/* SPDX-License-Identifier: BSD-3-Clause */
/* Runs a helper program to its end: unprivileged, alone, bounded in time and output. Does not interpret its
 * output; like eventlog, a building block that other modules of io may include. */
#pragma once

#include "core/util.h"

#include <sys/types.h>

/* Who the helper runs as when we are root: nobody and nogroup, by number as in the kernel's overflow ids. */
#define SUBPROCESS_UID ((uid_t)65534)
#define SUBPROCESS_GID ((gid_t)65534)
/* What is kept of each output; the rest is read and dropped (an allocator may print statistics of any size),
 * up to SUBPROCESS_FLOOD in all, which ends it. */
#define SUBPROCESS_OUTPUT_MAX ((size_t)64 * 1024)
#define SUBPROCESS_FLOOD ((size_t)16 * 1024 * 1024)

typedef struct SubprocessResult {
    int signal;      /* that ended it; 0: it exited */
    int exit_status; /* when it exited */
    char *out, *err; /* what it wrote to stdout and stderr; never NULL */
} SubprocessResult;
void subprocess_result_clear(SubprocessResult *result);

/* Starts the program at `path` without arguments and with exactly `environment` (a strv), waits for its end,
 * and leaves no process behind: what it started in its session is killed with it. It has no new privileges, a
 * session of its own, / as its directory, /dev/null as stdin, no core dump; as root we start it as nobody,
 * which takes CAP_SETUID and CAP_SETGID; that user needs no access to the directories
 * of `path`. 0 whatever it said; -ETIMEDOUT; -EFBIG (a flood of output); else why it could not be started or
 * heard. Blocks. */
int subprocess_run(const char *path, char *const *environment, usec_t timeout, SubprocessResult *ret);
/* The same with an argument. */
int subprocess_run_with(const char *path, const char *argument, char *const *environment, usec_t timeout,
                        SubprocessResult *ret);
