/* SPDX-License-Identifier: BSD-3-Clause */
/* The verdict on one relay: does it run what it is assigned, and if not, why not, in one sentence. Pure:
 * every fact was read elsewhere and is handed in as a value. */
#pragma once

#include "core/config.h"
#include "core/lookup.h"

typedef enum Cause {
    CAUSE_NONE,          /* it runs what it is assigned */
    CAUSE_NOT_RESTARTED, /* the process is older than the assignment, or than our drop-in, or than its reload
                          */
    CAUSE_OVERRIDDEN, /* another drop-in or an EnvironmentFile= sets a variable that we set, or something else
                         decides at every start which allocator runs */
    CAUSE_SECURE,     /* started in secure-execution mode: what we set is ignored */
    CAUSE_REFUSED,    /* the library is there, and must not be used: others than root could change it */
    CAUSE_MISSING,    /* the library is not there (any more); ld.so ignores that silently */
    CAUSE_DENIED,     /* it exists, LD_PRELOAD names it, and it is not loaded: AppArmor or a sandbox */
    CAUSE_REPLACED,   /* it runs a build of the library that has since been replaced on disk */
    CAUSE_UNREADABLE, /* /proc could not be read: nothing is proved */
    CAUSE_UNKNOWN,    /* runs something else, and nothing above explains it */
    _CAUSE_MAX,
    _CAUSE_INVALID = -1,
} Cause;

/* Does the dynamic linker ignore what we set, as the program starts in secure-execution mode (ld.so(8))? */
typedef enum SecureMode {
    SECURE_NONE,
    SECURE_CAPABILITIES, /* the program's file has capabilities */
    SECURE_SET_ID,       /* it has the set-user-ID or set-group-ID bit */
    SECURE_OTHER,        /* a security module changes its domain at its start, or the like */
} SecureMode;

typedef struct SettingFile {
    const char *path;
    const char *text;      /* NULL: it is there and could not be read */
    bool environment_file; /* an EnvironmentFile=, else a drop-in or unit file */
    bool gone;             /* systemd has read it, and it is not there any more (text is empty) */
} SettingFile;

typedef struct VerdictFacts {
    /* what it should run */
    const char *allocator; /* its name in the configuration */
    const char *library;   /* path that our drop-in names, or, where it was not found, the name as configured;
                              NULL: none (glibc) */
    const char *preload;   /* the whole LD_PRELOAD of our drop-in; NULL: the library alone */
    char *const *kept;     /* strv of what it preloads for others */
    const char *realpath;  /* the same with symbolic links resolved now; NULL: the file is missing */
    const char
        *untested; /* why it could not be looked at yet; then realpath NULL says nothing; NULL: it was */
    const char *refusal; /* why it must not be used although it is there; NULL: it may be */
    const EnvVar *environment;
    size_t n_environment;
    /* what it does run */
    const MappedLibrary *running; /* NULL: could not be read */
    char *const *process_environ; /* strv; NULL: could not be read */
    const char *apparmor;         /* /proc/PID/attr/current without newline; NULL or "unconfined": none */
    const char *program;          /* the path of what it runs; NULL: not known */
    SecureMode secure;
    const char *system_allocator; /* the entry of /etc/ld.so.preload that brings an allocator into every
                                     process; NULL: none */
    bool started_since; /* known to have been started after our drop-in was written and reloaded, so that "not
                           restarted" explains nothing */
    /* what systemd would start now */
    char *const *unit_environment;    /* strv, the unit's merged Environment= */
    char *const *manager_environment; /* strv, the manager's own (DefaultEnvironment=); may be NULL */
    const SettingFile *files;         /* all drop-ins and environment files in the order systemd reads them */
    size_t n_files;
    const char *own_dropin; /* path of our drop-in among them; NULL: not written yet */
} VerdictFacts;

typedef struct Verdict {
    Cause cause;
    char *reason;     /* one sentence without final full stop; NULL with CAUSE_NONE */
    bool outlived;    /* it has all it should, and what lies on the disk now is not that any more */
    bool unannounced; /* OVERRIDDEN by what may go without a reload of systemd, so that nobody says so */
} Verdict;
void verdict_clear(Verdict *v);

/* What counts is what the process really has: the right library mapped (and for glibc, none), and the
 * allocator's variables in its environment as assigned, with none left over from an earlier assignment. An
 * override that would only take effect at the next restart is no fault yet. An empty LD_PRELOAD equals an
 * unset one.
 *
 * What explains a fault, the first that holds:
 * - what is set is ignored: SECURE; or malloc is linked into the program itself: OVERRIDDEN;
 * - LD_PRELOAD names the library and the process has not loaded it: MISSING, or DENIED when the file is
 *   there;
 * - something else decides a variable at every start: OVERRIDDEN, by EnvironmentFile= (read after all
 *   Environment=), by a drop-in that systemd reads after ours, or by UnsetEnvironment=; or, where glibc is
 *   assigned, by /etc/ld.so.preload, or the libraries that the program is linked with;
 * - the library is not there, or refused: MISSING, REFUSED (a restart would not help);
 * - NOT_RESTARTED, with what is still to be done: drop-in, reload or restart;
 * - UNKNOWN, when started_since rules that out, or when nothing was preloaded and still an allocator runs.
 *
 * A process that has all it should may run a file that is no longer the one on disk: REPLACED, or MISSING
 * when there is none now; or one that is REFUSED now. Inode numbers are not compared: overlayfs and btrfs
 * show others in maps than stat(2) does. */
Verdict verdict_judge(const VerdictFacts *facts);

/* The AppArmor profile of a process with that label, if it can deny anything; NULL: none. Owned by the
 * caller. */
char *verdict_denying_profile(const char *label);

/* Files that are not ours and set one of the variables that the allocator sets (LD_PRELOAD included), or
 * remove it, for the warning when our drop-in is written: a strv of "PATH sets NAME" and "PATH unsets NAME".
 * An own_dropin and files equal to it are left out, and a file of whose preloads all are kept. NULL: none. */
char **verdict_conflicts(const VerdictFacts *facts);

/* LD_PRELOAD as a process would get it without our drop-in, from what systemd reads before that: its own
 * environment, the unit and the drop-ins that sort before ours. *ret_from: the file that sets it, which
 * belongs to `facts`; NULL: systemd's own environment. NULL: nothing sets it, or it is unset in the end. What
 * an EnvironmentFile= sets, or a drop-in that sorts after ours, overrides ours, and is not inherited. Of the
 * facts only manager_environment, files and own_dropin are used. Owned by the caller. */
char *verdict_inherited_preload(const VerdictFacts *facts, const char **ret_from);

/* What of systemd's own environment, which every service gets, changes which allocator a relay runs or what
 * it does: a strv of NAME=VALUE; NULL: nothing. Owned by the caller. */
char **verdict_host_settings(char *const *manager_environment);

/* Are two values of the variable `name` (NULL: unset) the same to the process? */
bool verdict_same_value(const char *name, const char *a, const char *b);

/* What systemd gives to a new process of this unit when our drop-in is gone, a strv of NAME=VALUE of which
 * the last counts, owned by the caller; NULL: nothing. Of the facts only own_dropin, files, unit_environment
 * and manager_environment count. While our drop-in is among the files, or the unit's own view is not known,
 * the others are merged here and specifiers other than "%%" stand as they were written; else that view
 * counts. */
char **verdict_own_settings(const VerdictFacts *facts);
