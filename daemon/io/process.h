/* SPDX-License-Identifier: BSD-3-Clause */
/* One running process, held so that pid reuse cannot be mistaken: a pidfd is taken first, the files of
 * /proc/PID are opened through one directory descriptor and kept; after each read the pidfd is asked whether
 * the process still lives. Decides nothing. */
#pragma once

#include "core/facts.h"
#include "core/rss.h"
#include "io/elf-file.h"

#include <sys/types.h>

typedef struct Process Process;

/* `proc`: "/proc", or a directory that looks like it in tests (then no pidfd is taken). 0; -ESRCH: no such
 * process, or only its zombie; -EACCES: it is hidden (hidepid=); other errno. Which process has the pid is
 * fixed here: a caller that got the pid from somewhere must ask there again afterwards. */
int process_open(const char *proc, pid_t pid, Process **ret);
Process *process_free(Process *process);
DEFINE_CLEANUP(Process, process_free)

pid_t process_pid(const Process *process);

/* Start time in µs of CLOCK_REALTIME, to two clock ticks (20 ms) and never late: stat's starttime, which
 * counts from boot, by the wall clock at the time when the Process was opened. It never changes in one
 * Process, and all Processes of the same process, of other programs and later runs too, have the same to the
 * bit, unless the wall clock was stepped between their opening: then they differ by the step. So equal times
 * of one pid mean the same process, but different times do not prove another one. */
usec_t process_started(const Process *process);

/* By pread on a kept descriptor: about 12 µs. 0; -ESRCH: it has exited, or is just about to (its memory is
 * gone). */
int process_memory(Process *process, Memory *ret);

/* The same for who asks each minute, at a seventh of the cost: rss and anon are of this moment. swap and peak
 * are at most ten minutes old; swap is of this moment while there is some, and after memory_fell(); the peak
 * is no less than rss. `now`: monotonic. */
int process_memory_often(Process *process, usec_t now, Memory *ret);

/* Its effective user. Errors as above. */
int process_user(Process *process, uid_t *ret);

/* Of maps the lines of executable mappings, of which an allocator with guard pages has no more than others;
 * environ whole; bounded (4 MiB and 1 MiB). 0; -ESRCH as above; -EACCES: no CAP_SYS_PTRACE (tor is not
 * dumpable); -EFBIG: longer than that. maps is read a page at a time while the process runs on: mappings that
 * appear or disappear in the meantime may be in it or not, those that stay are. environ is what the process
 * was executed with, as long as it has not written over it; never NULL. */
int process_maps(Process *process, char **ret);
int process_environ(Process *process, char ***ret_strv);
/* How many mappings it has, however many; counting ends at `most`. Reads maps without keeping it. Errors as
 * above. */
int process_count_maps(Process *process, size_t most, size_t *ret);
/* The service that it belongs to, by its control group; NULL: none. Owned by the caller. Errors as above. */
int process_unit(Process *process, char **ret);
/* Everything that shows which allocator it runs. `libraries`: as elf_cache_lookup() has `ours`; `now`:
 * realtime. A process that has just been executed and shows no environment yet is not readable: systemd gives
 * every service one. */
void process_look(Process *process, ElfCache *cache, char *const *libraries, usec_t now, ProcessFacts *ret);
/* The program that it runs, without " (deleted)": a path as its own root has it. Errors as above. */
int process_program(Process *process, char **ret);
/* Was it started in secure-execution mode (AT_SECURE in its auxiliary vector, getauxval(3))? Then the dynamic
 * linker ignores LD_PRELOAD, and libc ignores what else it reads from the environment (ld.so(8)). Errors as
 * above. */
int process_secure(Process *process, bool *ret);
/* Does the file give capabilities to whoever executes it (capabilities(7)), so that it starts in
 * secure-execution mode unless root does? false also when it cannot be asked. */
bool program_has_capabilities(const char *path);
/* /proc/PID/attr/current without newline, "" when there is no LSM. Errors as above. */
int process_label(Process *process, char **ret);
