/* SPDX-License-Identifier: BSD-3-Clause */
/* Who sets a variable of a relay: our drop-in, others' files, systemd. Used by verdict.c alone. Pure. */
#pragma once

#include "core/verdict.h"

#define PRELOAD_VARIABLE "LD_PRELOAD"

/* The value that `name` is assigned: NULL when the allocator does not set it. Our drop-in always sets
 * LD_PRELOAD. */
const char *settings_assigned(const VerdictFacts *f, const char *name);

/* Our drop-in among the files, or NULL. */
const SettingFile *settings_own_file(const VerdictFacts *f);

/* A drop-in of others that systemd has loaded behind ours, and that was deleted since; NULL: none. */
const SettingFile *settings_gone_file(const VerdictFacts *f);

/* What the file sets, a strv of NAME=VALUE owned by the caller; NULL: nothing, or no such file or text. */
char **settings_of_file(const SettingFile *file);

/* What all files but our drop-in set, and the manager's environment; *ret_complete: every file could be read.
 */
char **settings_of_others(const VerdictFacts *f, bool *ret_complete);

typedef struct Override {
    const SettingFile *file; /* NULL: nothing overrides */
    const char *how;         /* between the variable's name and the file's in a sentence */
} Override;

/* Who makes `name` something else than assigned at every start, whatever our drop-in says? */
Override settings_find_override(const VerdictFacts *f, const char *name);
