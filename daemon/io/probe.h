/* SPDX-License-Identifier: BSD-3-Clause */
/* Starts relayalloc-probe with a library preloaded and reads what it says. The probe runs as an unprivileged
 * user (nobody, or as it is when we are not root) with nothing but the given environment, bounded in time and
 * output. */
#pragma once

#include "core/config.h"
#include "core/maps.h"

typedef struct ProbeResult {
    Family family;
    char *version;  /* "2.0.9", "5.3.0", "2.10", "2.36"; "" when the library does not tell */
    char *library;  /* real path of the object that serves malloc */
    char *warnings; /* what the library or ld.so printed on stderr (a bad MALLOC_CONF, a library ignored), or
                       NULL */
} ProbeResult;
void probe_result_clear(ProbeResult *result);

/* `library`: absolute path or NULL. 0; -ETIMEDOUT (10 s); -EPROTO: it crashed or said nothing that can be
 * read; then *ret_reason is a sentence that says so (signal, exit status, first line of stderr). Blocks: load
 * time only. */
int probe_run(const char *probe_path, const char *library, const EnvVar *environment, size_t n_environment,
              ProbeResult *ret, char **ret_reason);

/* Parses the probe's output (see relayalloc-probe.c: lines of NAME=VALUE). 0; -EPROTO. */
int probe_parse(const char *output, ProbeResult *ret);
