/* SPDX-License-Identifier: BSD-3-Clause */
/* Writes structured entries to the journal. Never blocks: when journald accepts nothing (stopped,
 * overloaded), entries are counted as lost, and the next one that gets through is preceded by one that says
 * how many. */
#pragma once

#include "core/messages.h"
#include "core/rss.h"
#include "core/traffic.h"

#include <sys/types.h>

/* The fields of one entry; what is NULL or 0 is left out. The names in the journal are RELAYALLOC_ and these.
 */
typedef struct Event {
    const char *relay, *unit, *group, *allocator, *version, *library;
    const char *reason, *result;
    const char *fleet;    /* rows of core/sample */
    const char *unit_log; /* RELAYALLOC_UNIT_LOG: the relay's own last lines */
    const Memory *memory;
    const unsigned *bootstrap; /* percent */
    const char *flags;         /* "" is written, too: in no consensus */
    const char *fingerprint;
    const Traffic *traffic; /* with its begin as RELAYALLOC_SINCE, its end as RELAYALLOC_UNTIL */
    usec_t since;
    uint64_t rollout, wave;
    pid_t pid; /* OBJECT_PID: shows the entry under `journalctl -u tor@NAME`, too */
} Event;

/* `format`: one sentence, MESSAGE=. */
void eventlog_write(MessageKind kind, const Event *event, const char *format, ...) _printf_(3, 4);

/* Entries of a priority numerically above this are dropped (syslog(3); LOG_INFO by default; samples always
 * pass). */
void eventlog_set_max_level(int level);
int eventlog_max_level(void);

/* A line without an event of its own (debugging, warnings about the daemon itself). */
void eventlog_line(int priority, const char *format, ...) _printf_(2, 3);

/* Where entries go: to the journal, or, for manual runs, only their sentences to stderr ("console"). */
typedef enum EventTarget {
    EVENT_TARGET_JOURNAL,
    EVENT_TARGET_CONSOLE,
} EventTarget;
void eventlog_set_target(EventTarget target);
EventTarget eventlog_target(void);
