/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of a process from /proc/PID/status and statm (proc(5)). Pure: takes the text. */
#pragma once

#include "core/util.h"

/* As fresh as the kernel's counters: from Linux 6.2 on they may lag behind on machines with many cores. */
typedef struct Memory {
    uint64_t rss;  /* bytes, VmRSS */
    uint64_t anon; /* bytes, RssAnon; 0 where the kernel does not say (before Linux 4.5) */
    uint64_t swap; /* bytes, VmSwap; 0 where the kernel does not say */
    uint64_t hwm;  /* bytes, VmHWM: the peak of rss; rss where the kernel does not say */
} Memory;

/* From the text of /proc/PID/status; what follows the last of the four lines need not be complete. 0;
 * -ENODATA: no VmRSS (a kernel thread or a zombie); -EINVAL: a line that is wanted is malformed. */
int memory_from_status(const char *status, Memory *ret);

/* From the text of /proc/PID/statm, in pages of `page` bytes: rss and anon. `memory` is what was known of it
 * and becomes what is known now: swap stays, and hwm is no less than rss. 0; -ENODATA: it has no memory any
 * more; -EINVAL: malformed. Both errors leave `memory` alone. */
int memory_from_statm(const char *statm, uint64_t page, Memory *memory);

/* So much is no longer resident since `before` that some of it may have been swapped out. */
bool memory_fell(const Memory *before, const Memory *now);
