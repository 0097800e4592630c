/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl-offline.h"

#include "core/dropin.h"
#include "core/state.h"

PlanRelay *survey_plan_relays(const Survey *survey)
{
    PlanRelay *relays = xcalloc(survey->n, sizeof(*relays));

    for (size_t i = 0; i < survey->n; i++) {
        const SurveyRelay *r = &survey->relays[i];
        size_t allocator = r->group == GROUP_NONE ? 0 : survey->config->groups[r->group].allocator;
        _cleanup_(strv_freep) char **set = r->present ? dropin_environment(r->present) : NULL;
        bool carries = r->group == GROUP_NONE && r->proved && set;
        STRV_FOREACH (variable, set)
            carries = carries && strv_contains(r->environ, *variable);
        relays[i] = (PlanRelay){
            .name = r->name,
            .group = r->group,
            .allocator = r->group == GROUP_NONE ? NULL : survey->config->allocators[allocator].name,
            .allocator_index = allocator,
            .refusal = r->refusal,
            .wanted = r->wanted,
            .present = r->present,
            .up = r->up,
            .verdict = r->group != GROUP_NONE && r->up ? &r->verdict : NULL,
            .carries_ours = carries,
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
        bool assigned = s->group != GROUP_NONE, known = state_known(survey, s, action);
        RelayState state = relay_state(&(StateFacts){
            .assigned = assigned,
            .up = s->up,
            .action = action,
            .cause = s->verdict.cause,
        });
        GROW(ret->rows, ret->capacity, ret->n);
        ret->rows[ret->n++] = (FleetRow){
            .relay = xstrdup(s->name),
            .group = xstrdup(assigned ? survey->config->groups[s->group].name : ""),
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
