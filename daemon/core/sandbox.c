/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the sentences about a sandbox that lets no program run. Must never blame one that does. */
#include "core/sandbox.h"

#include <signal.h>

/* systemd sets up a unit's root here before it changes into it; paths in its messages start with this. */
#define UNIT_ROOT "/run/systemd/unit-root"

enum { STATUS_EXEC = 203, STATUS_FIRST = 200 };

static const char *const steps[] = {
    "CHDIR",
    "NICE",
    "FDS",
    "EXEC",
    "MEMORY",
    "LIMITS",
    "OOM_ADJUST",
    "SIGNAL_MASK",
    "STDIN",
    "STDOUT",
    "CHROOT",
    "IOPRIO",
    "TIMERSLACK",
    "SECUREBITS",
    "SETSCHEDULER",
    "CPUAFFINITY",
    "GROUP",
    "USER",
    "CAPABILITIES",
    "CGROUP",
    "SETSID",
    "CONFIRM",
    "STDERR",
    NULL,
    "PAM",
    "NETWORK",
    "NAMESPACE",
    "NO_NEW_PRIVILEGES",
    "SECCOMP",
    "SELINUX_CONTEXT",
    "PERSONALITY",
    "APPARMOR_PROFILE",
    "ADDRESS_FAMILIES",
    "RUNTIME_DIRECTORY",
    NULL,
    "CHOWN",
    "SMACK_PROCESS_LABEL",
    "KEYRING",
    "STATE_DIRECTORY",
    "CACHE_DIRECTORY",
    "LOGS_DIRECTORY",
    "CONFIGURATION_DIRECTORY",
    "NUMA_POLICY",
    "CREDENTIALS",
    NULL,
    "BPF",
};

const char *exec_step_to_string(int status)
{
    return status >= STATUS_FIRST && status < STATUS_FIRST + (int)ELEMENTSOF(steps)
               ? steps[status - STATUS_FIRST]
               : NULL;
}

/* A copy of the line, its paths as the unit sees them. */
static char *without_root(const char *line, size_t n)
{
    char *copy = xstrndup(line, n), *root;

    while ((root = strstr(copy, UNIT_ROOT)))
        memmove(root, root + strlen(UNIT_ROOT), strlen(root + strlen(UNIT_ROOT)) + 1);
    return copy;
}

/* What systemd complained of before it gave up: "/srv/tor: No such file or directory". NULL: not (yet) said.
 * The more precise line comes first: "UNIT: Failed to set up mount namespacing: PATH: ERROR", then "UNIT:
 * Failed at step NAMESPACE spawning PROGRAM: ERROR". */
static char *find_complaint(const char *unit, const char *log)
{
    static const char *const beginnings[] = { ": Failed to set up mount namespacing: ", ": Failed to ",
                                              ": Failed at step " };
    const size_t n = strlen(unit);

    for (size_t b = 0; b < ELEMENTSOF(beginnings); b++) {
        const char *beginning = beginnings[b];
        const size_t length = strlen(beginning);

        for (const char *line = log; line && *line; line += strcspn(line, "\n"), line += *line == '\n')
            if (strncmp(line, unit, n) == 0 && strncmp(line + n, beginning, length) == 0) {
                const char *rest = line + n + (b == 0 ? length : strlen(": "));
                return without_root(rest, strcspn(rest, "\n"));
            }
    }
    return NULL;
}

static bool exited(const UnitInfo *end)
{
    return end->exit_code == CLD_EXITED;
}

bool sandbox_log_complete(const UnitInfo *end, const char *log)
{
    if (!end || !exited(end) || !exec_step_to_string(end->exit_status))
        return true;
    _cleanup_(freep) char *complaint = find_complaint(end->unit, log);
    return complaint != NULL;
}

static char *step_fault(const UnitInfo *end, const char *program, const char *like, const char *log)
{
    const char *step = exec_step_to_string(end->exit_status);
    _cleanup_(freep) char *found = find_complaint(end->unit, log);
    const char *complaint = found ? found : "see its log";

    if (end->exit_status == STATUS_EXEC)
        return xasprintf("the sandbox of %s does not let %s run (203/EXEC): %s; if NoExecPaths= is the "
                         "reason, ExecPaths=%s in a drop-in allows it",
                         like, program, complaint, program);
    return xasprintf("systemd cannot set up the sandbox of %s (%d/%s): %s", like, end->exit_status, step,
                     complaint);
}

char *sandbox_fault(const UnitInfo *end, const char *program, const char *like, const char *log)
{
    if (!end || !end->exists)
        return NULL;
    if (streq_null(end->result, "timeout"))
        return xasprintf("%s did not finish in time in the sandbox of %s", program, like);
    if (exited(end))
        return exec_step_to_string(end->exit_status) ? step_fault(end, program, like, log) : NULL;
    if (end->exit_code == CLD_KILLED || end->exit_code == CLD_DUMPED)
        return xasprintf("%s was killed by signal %d (%s) in the sandbox of %s%s", program, end->exit_status,
                         sigabbrev_np(end->exit_status) ? sigabbrev_np(end->exit_status) : "?", like,
                         end->exit_status == SIGSYS ? ": SystemCallFilter= forbids what it needs" : "");
    return NULL;
}
