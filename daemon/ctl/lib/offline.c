/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/offline.h"

#include "core/dropin.h"
#include "core/state.h"

/* Was its process started with something that our drop-in sets? */
static bool carries(const SurveyRelay *r)
{
    _cleanup_(strv_freep) char **set = r->present && r->proved ? dropin_environment(r->present) : NULL;

    STRV_FOREACH (variable, set) {
        const char *equals = strchr(*variable, '=');
        if (equals && equals[1] && strv_contains(r->environ, *variable))
            return true;
    }
    return false;
}

PlanRelay *survey_plan_relays(const Survey *survey)
{
    PlanRelay *relays = xcalloc(survey->n, sizeof(*relays));

    for (size_t i = 0; i < survey->n; i++) {
        const SurveyRelay *r = &survey->relays[i];
        bool taken = r->target != GROUP_NONE;
        size_t allocator = taken ? survey->config->groups[r->target].allocator : 0;
        relays[i] = (PlanRelay){
            .name = r->name,
            .group = r->target,
            .allocator = taken ? survey->config->allocators[allocator].name : NULL,
            .allocator_index = allocator,
            .refusal = r->refusal,
            .wanted = r->wanted,
            .present = r->present,
            .up = r->up,
            .verdict = taken && r->up ? &r->verdict : NULL,
            .carries_ours = !taken && carries(r),
        };
    }
    return relays;
}

static RolloutPolicy policy_of(const Config *config, size_t fleet)
{
    return (RolloutPolicy){
        .parallel = amount_of(config->rollout.parallel, fleet),
        .canary = config->rollout.canary,
        .settle = config->rollout.settle,
        .canary_settle = config->rollout.canary_settle,
        .max_failed = config->rollout.max_failed,
        .put_back = config->rollout.on_failure == ON_FAILURE_ROLLBACK,
    };
}

Plan *survey_plan(const Survey *survey)
{
    _cleanup_(freep) PlanRelay *relays = survey_plan_relays(survey);
    RolloutPolicy policy = policy_of(survey->config, survey->n);

    return plan_new(relays, survey->n, &policy);
}

/* What was not seen has no state. */
static bool state_known(const Survey *survey, const SurveyRelay *r, Action action)
{
    return survey->asked_systemd && (action != ACTION_NONE || r->verdict.cause != CAUSE_UNREADABLE);
}

void survey_fleet(const Survey *survey, Fleet *ret)
{
    _cleanup_(freep) PlanRelay *relays = survey_plan_relays(survey);

    for (size_t i = 0; i < survey->n; i++) {
        const SurveyRelay *s = &survey->relays[i];
        _cleanup_(freep) char *reason = NULL;
        Action action = plan_relay(&relays[i], &reason);
        bool assigned = s->target != GROUP_NONE, known = state_known(survey, s, action);
        RelayState state = relay_state(&(StateFacts){
            .assigned = assigned,
            .up = s->up,
            .remembered_failure = action == ACTION_REFUSED && s->failed_before,
            .action = action,
            .cause = s->verdict.cause,
        });
        GROW(ret->rows, ret->capacity, ret->n);
        ret->rows[ret->n++] = (FleetRow){
            .relay = xstrdup(s->name),
            .group = xstrdup(s->group != GROUP_NONE ? survey->config->groups[s->group].name : ""),
            .assigned = xstrdup(assigned ? relays[i].allocator : ""),
            .running = xstrdup(s->runs),
            .version = xstrdup(s->version),
            .state = xstrdup(known ? relay_state_to_string(state) : ""),
            .rss = s->memory.rss,
            .peak = s->memory.hwm,
            .since = s->since,
            .reason = TAKE_PTR(reason),
        };
    }
}
