/* SPDX-License-Identifier: BSD-3-Clause */
/* One running process, held so that pid reuse cannot be mistaken: a pidfd is taken first, the files of
 * /proc/PID are opened through one directory descriptor and kept; after each read the pidfd is asked whether
 * the process still lives. Decides nothing. */
#pragma once

#include "core/rss.h"

#include <sys/types.h>

typedef struct Process Process;

/* `proc`: "/proc", or a folder that looks like it in tests (then no pidfd is taken). 0; -ESRCH: no such
 * process. */
int process_open(const char *proc, pid_t pid, Process **ret);
Process *process_free(Process *process);
DEFINE_CLEANUP(Process, process_free)

pid_t process_pid(const Process *process);
/* Readable (POLLIN) when the process has exited: for sd_event_add_io. -1 in tests. Owned by the Process. */
int process_pidfd(const Process *process);

/* Start time in µs of CLOCK_REALTIME, from stat's starttime and the boot time; stable for the life of the
 * process. */
usec_t process_started(const Process *process);

/* By pread on a kept descriptor: about 12 µs. 0; -ESRCH: it has exited. */
int process_memory(Process *process, Memory *ret);

/* Whole files, bounded (maps 4 MiB, environ 1 MiB). 0; -ESRCH; -EACCES: no CAP_SYS_PTRACE (tor is not
 * dumpable). */
int process_maps(Process *process, char **ret);
int process_environ(Process *process, char ***ret_strv);
/* /proc/PID/attr/current without newline, "" when there is no LSM. */
int process_label(Process *process, char **ret);
