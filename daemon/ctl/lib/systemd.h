/* SPDX-License-Identifier: BSD-3-Clause */
/* What systemd knows of the relays' units, asked in one go: for the verbs that work without the daemon, and
 * for status. Only reads. */
#pragma once

#include "core/util.h"

#include <systemd/sd-bus.h>

typedef struct UnitFacts {
    char *unit;
    bool up;                  /* active or reloading */
    uint32_t pid;             /* MainPID; 0: no process */
    char **environment;       /* merged Environment= */
    char *fragment;           /* FragmentPath, "" */
    char **dropins;           /* DropInPaths, in the order in which they are read */
    char **environment_files; /* EnvironmentFiles, without the mark for optional ones */
} UnitFacts;

typedef struct UnitList {
    UnitFacts *items;
    size_t n, capacity;
} UnitList;
void unit_list_clear(UnitList *units);

/* All units of a shell pattern ("tor@*.service") that are loaded, or have a unit file of their own. Negative
 * errno, nothing said. */
int systemd_units(sd_bus *bus, const char *pattern, UnitList *ret);
