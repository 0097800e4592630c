/* SPDX-License-Identifier: BSD-3-Clause */
/* doctor --self-test: what the daemon does before it moves a relay, as a test of this host: every allocator
 * is tried, alone and in the sandboxes of the relays, and the file is planned. Changes nothing and restarts
 * nobody. */
#pragma once

#include "ctl/lib/ctl.h"
#include "ctl/lib/survey.h"

/* A row for each allocator: whether it works here and in the sandboxes, the version that served malloc, or
 * why not; then the plan (not in JSON). `config`: of the file options->config. An ExitStatus: EXIT_FAILED
 * when an allocator that a group uses is refused. Blocks for some ms for each allocator and sandbox. */
int self_test_print(const CtlOptions *options, const Config *config);

/* ---- ctl/self-test-sandbox.c ---- */

/* What came of an allocator in the sandboxes of relays. */
typedef struct SandboxResult {
    size_t tried;   /* sandboxes */
    char *refusal;  /* the first, a sentence without full stop; NULL: none */
    char *untested; /* why the first could not be tested; NULL: all could */
} SandboxResult;
void sandbox_results_free(SandboxResult *results, size_t n);

/* Tries each allocator that `facts` finds good in the sandbox of the first relay, and in each other sandbox
 * those that the file assigns there. Starts transient units, so it takes root. An array of one for each
 * allocator of the survey's configuration. `ret_sandboxes`: how many there are. */
SandboxResult *sandboxes_try(sd_bus *bus, const Survey *survey, const AllocatorFacts *facts,
                             size_t *ret_sandboxes);
