/* SPDX-License-Identifier: BSD-3-Clause */
/* The flags that the authorities give a relay, over time: how long it had each, and what a restart cost. A
 * relay tells them with some samples (a look); what it said last stands until the next look. Pure. */
#pragma once

#include "core/util.h"

/* Those that are worth something to the network, the rarest first. */
typedef enum Flag {
    FLAG_GUARD,
    FLAG_HSDIR,
    FLAG_RUNNING,
    FLAG_FAST,
    FLAG_STABLE,
    _FLAG_MAX,
} Flag;

/* "Guard" */
const char *flag_to_string(Flag flag);
/* A set, one bit for each, of "Fast,Guard,Running": others are passed over. */
unsigned flags_from_text(Span text);
static inline bool flags_have(unsigned set, Flag flag)
{
    return (set >> flag & 1U) != 0;
}

/* A look stands for no longer than this when the next one is further away than three of them. */
#define FLAGS_LOOK (10 * USEC_PER_MINUTE)
/* A flag that is lost within this time of a start was lost by the restart: the authorities vote once an hour.
 */
#define FLAGS_RESTART (24 * USEC_PER_HOUR)
/* By when a flag should be back: HSDir takes 96 h of uptime, and the next consensus. */
#define FLAGS_HSDIR_AGE (100 * USEC_PER_HOUR)

/* What restarts cost of one flag. */
typedef struct FlagReturns {
    unsigned had;  /* restarts of a relay that had it before, */
    unsigned lost; /* that lost it, */
    unsigned back; /* and got it back within the same process: */
    double *times; /* from the start of the process until then, s; n is `back` */
    size_t n, capacity;
} FlagReturns;

/* Of a relay under one key. */
typedef struct FlagTally {
    double looked;          /* s for which its flags are known */
    double held[_FLAG_MAX]; /* of these with the flag */
    unsigned before;        /* the set before it ran this, or with the first look; */
    unsigned last;          /* with the last look, */
    usec_t last_age;        /* and how old the process was then */
    FlagReturns returns[_FLAG_MAX];
} FlagTally;
FlagTally *flag_tally_free(FlagTally *tally);

/* A relay's last look, and its present process. */
typedef struct FlagWatch {
    usec_t time; /* 0: there was none */
    unsigned set;
    uint32_t run;
    FlagTally *under;     /* where it counts; NULL: nowhere */
    unsigned watched;     /* what it had before the restart and may lose by it, or has lost, */
    unsigned lost;        /* and has */
    FlagTally *restarted; /* where that counts */
} FlagWatch;

typedef struct FlagLook {
    usec_t time, started; /* of the process */
    uint32_t run;         /* changes when the process does */
    unsigned set;
    bool counts; /* it lies in the time that is counted */
} FlagLook;

/* How long the last look stands when the next one is at `next`, of a process that started at `started` if it
 * is another one; `step`: the usual time between two samples. */
usec_t flags_end(const FlagWatch *watch, usec_t next, usec_t started, bool other, usec_t step);
/* Counts the last look's flags for so many seconds. */
void flags_hold(FlagWatch *watch, double seconds);
/* Takes the next look; `tally` NULL: it counts nowhere. */
void flags_take(FlagWatch *watch, FlagTally *tally, const FlagLook *look);
