/* SPDX-License-Identifier: BSD-3-Clause */
/* From the table of relays to a plan, and the states that follow from it and from the rollout. */
#pragma once

#include "manager/model.h"

RolloutPolicy plan_policy(const Manager *m); /* of the next rollout */
void plan_make(Manager *m);                  /* into m->plan, and into the relays' facts */
void plan_one(Relay *relay); /* what should be done about it by now; the plan itself stays as it is */
/* Proves again those whose process was new; are there some that still are? */
bool plan_prove_new(Manager *m);
/* And logs what has newly been proved; true: some of it later, because it changes too fast. */
bool plan_update_state(Relay *relay);
const char *plan_reason(const Relay *relay); /* why it is not as assigned; NULL: it is, or nothing is known */
