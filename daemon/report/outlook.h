/* SPDX-License-Identifier: BSD-3-Clause */
/* When will the host be full, at the growth that its relays have shown? Each relay's memory by the hour, of
 * the last two days of its present process, its Theil–Sen slope, and the memory that is available. Nothing is
 * said of less than a day: memory follows the time of day, and a process grows fast at first. Pure. */
#pragma once

#include "core/util.h"

#define OUTLOOK_HOURS 48
#define OUTLOOK_HOURS_MIN 24

/* All zero: nothing is known. A new process begins with that. */
typedef struct Growing {
    usec_t hour; /* the one in progress, counted from the origin of the clock */
    double sum;  /* of what was added in it, */
    unsigned n;  /* so often */
    struct {
        usec_t hour;
        double mean;        /* bytes */
    } hours[OUTLOOK_HOURS]; /* those that are over, oldest first */
    unsigned n_hours;
    bool known;
    double per_day; /* bytes; 0 also for what is below report/growth's GROWTH_NOTABLE */
} Growing;

/* A sample of the relay, `now` µs of a clock that is not set; `hour`: its length in µs. */
void outlook_add(Growing *growing, usec_t hour, usec_t now, uint64_t bytes);

/* What is kept of it for a later run of the daemon: a row "\nrelay7 PROCESS 1234:1048576 1235:1048580", hours
 * and KiB; nothing while no hour is over. `process`: a word that no other process has, such as an invocation
 * of systemd's. */
void outlook_write_row(FILE *f, const char *relay, const char *process, const Growing *growing);
/* Finds it again among the rows of all. false: there is none, or it is damaged. */
bool outlook_read_row(const char *rows, const char *relay, const char *process, Growing *ret);

typedef struct OutlookRelay {
    const char *relay, *allocator, *version;
    bool known;
    double per_day;
} OutlookRelay;

typedef struct Outlook {
    double per_day;                  /* bytes, of all relays of which it is known */
    double full_in;                  /* days; INFINITY: they do not grow, or nothing is known yet */
    const char *relay;               /* that grows most; NULL: none does */
    const char *allocator, *version; /* of that */
    double most;                     /* bytes a day, of that */
} Outlook;

/* `available`: bytes, MemAvailable of proc_meminfo(5). */
Outlook outlook_of(const OutlookRelay *relays, size_t n, uint64_t available);

/* "at this growth the host is full in 2.6 days (relay7, mimalloc3 3.0.1, +1.00 GiB a day)"; owned by the
 * caller; NULL: it will not be. */
char *outlook_sentence(const Outlook *outlook);

/* Bytes of the line MemAvailable of /proc/meminfo. 0; -ENODATA. */
int outlook_available(const char *meminfo, uint64_t *ret);
