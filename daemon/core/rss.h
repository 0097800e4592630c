/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of a process from /proc/PID/statm and /proc/PID/status (proc(5)). Pure: takes the text. */
#pragma once

#include "core/util.h"

typedef struct Memory {
    uint64_t rss;  /* bytes, VmRSS */
    uint64_t anon; /* bytes, RssAnon */
    uint64_t swap; /* bytes, VmSwap */
    uint64_t hwm;  /* bytes, VmHWM: the peak of rss */
} Memory;

/* From the text of /proc/PID/status. 0; -ENODATA: no VmRSS (a kernel thread or a zombie); -EINVAL: malformed.
 */
int memory_from_status(const char *status, Memory *ret);
