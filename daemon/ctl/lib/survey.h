/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon would know, found without it: relays, drop-ins and processes, from the configuration, the
 * folders, systemd and /proc. Changes nothing. */
#pragma once

#include "core/assign.h"
#include "core/maps.h"
#include "core/verdict.h"
#include "ctl/lib/ctl.h"
#include "ctl/lib/library.h"
#include "ctl/lib/systemd.h"
#include "io/procfs.h"

typedef struct SurveyRelay {
    char *name, *unit;
    size_t group;       /* index in config->groups, or GROUP_NONE: by the file */
    size_t target;      /* the same, but GROUP_NONE also when an operator has taken it out (revert) */
    bool failed_before; /* with this allocator, and so refused */
    pid_t pid;          /* 0: none */
    bool up;            /* it has a process */
    bool proved;        /* /proc could be read: `running` and `environ` hold */
    MappedLibrary running;
    char **environ;
    char *label; /* AppArmor's */
    Memory memory;
    usec_t since;
    char *present, *wanted; /* our drop-in: as it is, as it should be; NULL: none */
    char *dropin;           /* its path */
    char *refusal;
    Verdict verdict;      /* with a target and up */
    char *runs, *version; /* the allocator by its name in the configuration, or its family; "" */
    char **dropins;       /* all that systemd merged, in order */
} SurveyRelay;

typedef struct Survey {
    Config *config;
    AllocatorFacts *libraries; /* by index of the allocator */
    SurveyRelay *relays;       /* sorted by name */
    size_t n, capacity;
    bool asked_systemd; /* false: there is no systemd on the bus, so that nobody knows which relays run */
} Survey;
void survey_clear(Survey *survey);

/* Reads `file`; drop-ins are rendered as if it lay at `as`. `bus`: the system bus, NULL when there is none.
 * 0, or an ExitStatus after a message. */
int survey_load(const char *file, const char *as, sd_bus *bus, Survey *ret);
