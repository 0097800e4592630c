/* SPDX-License-Identifier: BSD-3-Clause */
/* The verdict on one relay: does it run what it is assigned, and if not, why not, in one sentence. Pure:
 * every fact was read elsewhere and is handed in as a value. */
#pragma once

#include "core/config.h"
#include "core/maps.h"

typedef enum Cause {
    CAUSE_NONE,          /* it runs what it is assigned */
    CAUSE_NOT_RESTARTED, /* the process is older than the assignment */
    CAUSE_OVERRIDDEN,    /* another drop-in or an EnvironmentFile= sets a variable that we set */
    CAUSE_MISSING,       /* the library is not there (any more); ld.so ignores that silently */
    CAUSE_DENIED,     /* it is there, the process was told to load it, and it did not: AppArmor or the unit's
                         sandbox */
    CAUSE_REPLACED,   /* it runs a library that has since been replaced on disk: "(deleted)" */
    CAUSE_UNREADABLE, /* /proc could not be read: nothing is proved */
    CAUSE_UNKNOWN,    /* runs something else, and nothing above explains it */
    _CAUSE_MAX,
    _CAUSE_INVALID = -1,
} Cause;
const char *cause_to_string(Cause c); /* "none", "not-restarted", "overridden", "missing", "denied", … */
Cause cause_from_string(const char *s);

typedef struct SettingFile {
    const char *path;
    const char *text;
    bool environment_file; /* an EnvironmentFile=, else a drop-in or unit file */
} SettingFile;

typedef struct VerdictFacts {
    /* what it should run */
    const char *allocator; /* its name in the configuration */
    const char *library;   /* path that our drop-in names; NULL: none (glibc) */
    const char *realpath;  /* the same with symbolic links resolved now; NULL: the file is missing */
    const EnvVar *environment;
    size_t n_environment;
    /* what it does run */
    const MappedLibrary *running; /* NULL: could not be read */
    char *const *process_environ; /* strv; NULL: could not be read */
    const char *apparmor;         /* /proc/PID/attr/current without newline; NULL or "unconfined": none */
    /* what systemd would start now */
    char *const *unit_environment; /* strv, the unit's merged Environment= */
    const SettingFile *files;      /* all drop-ins and environment files in the order systemd reads them */
    size_t n_files;
    const char *own_dropin; /* path of our drop-in among them; NULL: not written yet */
} VerdictFacts;

typedef struct Verdict {
    Cause cause;
    char *reason; /* one sentence without final full stop; NULL with CAUSE_NONE */
} Verdict;
void verdict_clear(Verdict *v);

Verdict verdict_judge(const VerdictFacts *facts);

/* Files that are not ours and set one of the variables that the allocator sets (LD_PRELOAD included), for the
 * warning when our drop-in is written: a strv of "PATH sets NAME". An own_dropin and files equal to it are
 * left out. */
char **verdict_conflicts(const VerdictFacts *facts);
