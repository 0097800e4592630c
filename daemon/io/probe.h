/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts relayalloc-probe with a library preloaded and reads what it says. The probe runs as an unprivileged
 * user (nobody, or as it is when we are not root) with nothing but the given environment, bounded in time and
 * output (see io/subprocess.h). */
#pragma once

#include "core/config.h"
#include "core/maps.h"

#define PROBE_TIMEOUT (10 * USEC_PER_SEC)

typedef struct ProbeResult {
    Family family;
    char *version; /* "2.0.9", "5.3.0", "2.10", "2.36"; "" when the library does not tell */
    char *library; /* real path of the object that serves malloc: the C library itself when nothing else does,
                      so the caller compares it with the real path of the library that should */
    char *remark;  /* a fault that the probe found, and that no relay meets; NULL */
    char *warnings; /* what the library printed on stderr (a bad MALLOC_CONF); lines without the last newline;
                       or NULL */
} ProbeResult;
void probe_result_clear(ProbeResult *result);

/* `library`: absolute path or NULL; `environment` holds no LD_PRELOAD, as config sees to. 0; -ETIMEDOUT
 * (PROBE_TIMEOUT); -EACCES: the library cannot be read by an unprivileged user; -EPROTO: it was not loaded,
 * it crashed, misbehaved, or printed nothing that can be understood; -EAGAIN: others killed it; or why the
 * probe could not be started; and *ret_reason a sentence without full stop that says so (signal, exit status,
 * first line of stderr). Blocks: load time only. */
int probe_run(const char *probe_path, const char *library, const EnvVar *environment, size_t n_environment,
              ProbeResult *ret, char **ret_reason);

/* The same with another deadline than PROBE_TIMEOUT. */
int probe_run_within(usec_t timeout, const char *probe_path, const char *library, const EnvVar *environment,
                     size_t n_environment, ProbeResult *ret, char **ret_reason);

/* Parses the probe's output (see relayalloc-probe.c: lines of NAME=VALUE; lines that it does not know are
 * output of the library). 0; -EPROTO. */
int probe_parse(const char *output, ProbeResult *ret);
