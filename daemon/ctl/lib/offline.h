/* SPDX-License-Identifier: BSD-3-Clause */
/* What follows from a survey: the plan for a file, and the fleet for list while the daemon does not run. */
#pragma once

#include "core/plan.h"
#include "ctl/lib/fleet.h"
#include "ctl/lib/survey.h"

/* The relays as plan_new() takes them: an array of n, whose strings belong to the survey. */
PlanRelay *survey_plan_relays(const Survey *survey);
Plan *survey_plan(const Survey *survey);

/* The relays in the state that the survey shows, added to `ret`. */
void survey_fleet(const Survey *survey, Fleet *ret);
