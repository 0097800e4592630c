/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by tunables.c and tunables-table.c alone. */
#pragma once

#include "core/util.h"

typedef enum TunableValue {
    TUNABLE_NUMBER,
    TUNABLE_SIZE, /* a number with or without K, M, G and so on */
    TUNABLE_REAL,
    TUNABLE_FLAG,
    TUNABLE_TEXT,
} TunableValue;

/* A setting in the versions from `since` on and before `before` (0: there is no later one), each as
 * major · 10000 + minor · 100 + patch. A name that went and came back has two rows. */
typedef struct Tunable {
    const char *name; /* behind the prefix that all have */
    TunableValue value;
    unsigned since, before;
    const char *purpose; /* the same for names of one setting in different versions; NULL */
} Tunable;

extern const Tunable mimalloc_tunables[]; /* ends with a NULL name; likewise the next */
extern const Tunable tcmalloc_tunables[];
