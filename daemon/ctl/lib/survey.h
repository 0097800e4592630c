/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon would know, found without it: relays, drop-ins and processes, from the configuration, the
 * directories, systemd and /proc; and what follows from it, by the daemon's own code (core/facts). Changes
 * nothing. */
#pragma once

#include "core/facts.h"
#include "core/rss.h"

#include <systemd/sd-bus.h>

typedef struct SurveyRelay {
    RelayFacts facts;
    Memory memory; /* zero: not running, or not known */
} SurveyRelay;

typedef struct Survey {
    Config *config;
    char *config_path; /* as drop-ins name it */
    AllocatorFacts *allocators;
    State *state;
    char **manager_environment;
    SurveyRelay **relays; /* sorted by name */
    size_t n, capacity;
    bool asked_systemd; /* false: there is no systemd on the bus, so that nobody knows which relays run */
} Survey;
void survey_clear(Survey *survey);

/* Reads `file`; drop-ins are rendered as if it lay at `as`. `bus`: the system bus, NULL when there is none.
 * 0, or an ExitStatus after a message. */
int survey_load(const char *file, const char *as, sd_bus *bus, Survey *ret);
/* The same with the defaults, which are what a file without groups says. */
Survey survey_without_file(const char *as, sd_bus *bus);

/* What systemd gives to every service, a strv of NAME=VALUE; 0, or an errno without a message. */
int survey_environment(sd_bus *bus, char ***ret);

HostFacts survey_host(const Survey *survey);
/* The plan; action and reason of each relay are set as well. */
Plan *survey_plan(Survey *survey);
/* How long it takes if it begins now, the window included. `ready`: of each relay, whether it is
 * bootstrapped; NULL: nobody knows, so each is taken for one that is. USEC_INFINITY: nothing is to be done,
 * or not known. */
usec_t survey_plan_length(const Survey *survey, const Plan *plan, const bool *ready);
/* Behind "cannot read what it runs", for ProcessFacts.error: why, or what to do about it. Owned by the
 * caller.
 */
char *survey_unread_words(int error);
/* How a relay stands after survey_plan(); "" when that was not seen. */
const char *survey_state(const Survey *survey, const SurveyRelay *relay);

/* What in the file means no relay of this host (facts_judge_names()). `bus` as in survey_load(). */
void survey_judge_names(const Config *config, sd_bus *bus, Problems *problems);
