/* SPDX-License-Identifier: BSD-3-Clause */
/* Variables that an allocator would take for something else than they say, or not at all: of those that
 * configure allocators each name, and where it is known each value. What jemalloc makes of MALLOC_CONF it
 * says by itself when it is tried. Pure. */
#pragma once

#include "core/config.h"
#include "core/maps.h"

typedef struct TunablesAsk {
    const EnvVar *environment;
    size_t n;
    Family family;          /* what serves malloc with them; of FAMILY_OTHER nothing is known */
    const char *version;    /* its version; "" not known */
    const char *glibc_list; /* what "ld.so --list-tunables" prints (glibc 2.33 or later); NULL: not known */
} TunablesAsk;

/* A strv of sentences without full stop; NULL: nothing to say. Owned by the caller. */
char **tunables_judge(const TunablesAsk *ask);

/* Would glibc_list be looked at? */
bool tunables_need_glibc_list(const Allocator *allocator);
