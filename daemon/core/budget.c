/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/budget.h"

#define MILLION INT64_C(1000000)

/* So much a second are so many millionths a microsecond, so that nothing is lost by rounding. */
static void refill(Budget *budget, const BudgetRule *rule, usec_t now)
{
    const int64_t most = rule->most * MILLION, missing = most - budget->left;
    const usec_t elapsed = now > budget->at ? now - budget->at : 0;

    if (budget->at == 0 || elapsed >= (usec_t)missing / rule->per_second + 1)
        budget->left = most;
    else
        budget->left += (int64_t)elapsed * rule->per_second;
    budget->at = now > budget->at ? now : budget->at;
}

int64_t budget_left(Budget *budget, const BudgetRule *rule, usec_t now)
{
    refill(budget, rule, now);
    return budget->left >= 0 ? budget->left / MILLION : -((MILLION - 1 - budget->left) / MILLION);
}

void budget_spend(Budget *budget, const BudgetRule *rule, usec_t now, uint64_t amount)
{
    const int64_t bottom = -(rule->debt * MILLION);

    refill(budget, rule, now);
    if (amount > UINT32_MAX || budget->left - (int64_t)amount * MILLION < bottom)
        budget->left = bottom;
    else
        budget->left -= (int64_t)amount * MILLION;
}
