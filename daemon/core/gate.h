/* SPDX-License-Identifier: BSD-3-Clause */
/* What the unit of rollout.gate says: may the next wave begin? Only a run of its own that ends well opens it,
 * so that neither a unit that goes on running nor one that systemd skips is taken for consent. Pure. */
#pragma once

#include "core/unit.h"

/* Why it must not be started, as it is now; to follow "it", without full stop. Owned by the caller; NULL: it
 * may be. What is no such service never is: a relay, say, that its operator has stopped. */
char *gate_unfit(const UnitInfo *info);

/* The same of its end. `job`: how its start ended; `before`: its invocation before that, NULL: it was being
 * started already; `end`: the unit afterwards. NULL: it has succeeded. */
char *gate_fault(JobResult job, const char *before, const UnitInfo *end);
