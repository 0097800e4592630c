/* SPDX-License-Identifier: BSD-3-Clause */
/* What a user may spend: so much at once, and so much a second (a token bucket). Pure. */
#pragma once

#include "core/util.h"

typedef struct BudgetRule {
    uint32_t most;       /* that a budget holds, and starts with */
    uint32_t per_second; /* that it gets back, 1 or more */
    uint32_t debt;       /* how far it can be overdrawn; what is spent beyond that is forgotten */
} BudgetRule;

typedef struct Budget { /* all zero: full */
    int64_t left;       /* in millionths */
    usec_t at;          /* monotonic, of `left`; 0: nothing was ever spent */
} Budget;

/* What is left now; 0 and less: nothing, and so much debt. */
int64_t budget_left(Budget *budget, const BudgetRule *rule, usec_t now);
void budget_spend(Budget *budget, const BudgetRule *rule, usec_t now, uint64_t amount);
