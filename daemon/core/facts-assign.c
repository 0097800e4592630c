/* SPDX-License-Identifier: BSD-3-Clause */
/* The part of core/facts.h that says who counts, and who has which place. */
#include "core/dropin.h"
#include "core/facts.h"

static bool named(const Config *c, const char *relay)
{
    for (size_t g = 0; g < c->n_groups; g++)
        if (strv_contains(c->groups[g].patterns, relay))
            return true;
    return false;
}

bool facts_counts(const Config *config, const RelayFacts *r)
{
    if (r->old_unit)
        return false;
    if (r->info && r->info->active != ACTIVE_INACTIVE)
        return true;
    if (unit_masked(r->info))
        return false;
    return r->has_instance ||
           (r->has_file && (r->present || !isempty(r->reverted_from) || named(config, r->name)));
}

RolloutPolicy facts_policy(const Config *config, RelayFacts *const *relays, size_t n)
{
    const RolloutConfig *c = &config->rollout;
    size_t fleet = 0;

    for (size_t i = 0; i < n; i++)
        fleet += facts_counts(config, relays[i]);

    return (RolloutPolicy){
        .parallel = amount_of(c->parallel, fleet),
        .canary = c->canary,
        .settle = c->settle,
        .canary_settle = c->canary_settle,
        .ready_timeout = c->ready_timeout,
        .max_failed = c->max_failed,
        .put_back = c->on_failure == ON_FAILURE_ROLLBACK,
        .gate = !isempty(c->gate),
    };
}

/* "": none. */
static char *group_of_dropin(const RelayFacts *r)
{
    char *group = r->present ? dropin_group(r->present) : NULL;

    return group ? group : xstrdup("");
}

void facts_take_memory(RelayFacts *r, const State *state)
{
    const Revert *revert = memory_find_revert(state, r->name);

    free(r->reverted_from);
    r->reverted_from = revert ? xstrdup(revert->group) : NULL;
    r->dropin_unknown =
        r->present && strv_length(state->written) > 0 && !strv_contains(state->written, r->name);
}

/* "": none. One that was reverted keeps its place, although its drop-in goes: somebody else would get its
 * allocator for it. */
static char *group_it_has(const RelayFacts *r)
{
    return isempty(r->reverted_from) ? group_of_dropin(r) : xstrdup(r->reverted_from);
}

/* Does something of ours say that it has a place? A group that takes whoever it names does not: it is given
 * to those that have never run, too. */
static bool has_place(const Config *config, const RelayFacts *r)
{
    _cleanup_(freep) char *group = group_it_has(r);

    for (size_t g = 0; !r->dropin_unknown && g < config->n_groups; g++)
        if (config->groups[g].quota != QUOTA_ALL && streq(config->groups[g].name, group))
            return true;
    return false;
}

/* One that has not been read yet is not known to run. One that cannot be read may: without it others would be
 * restarted, and back again as soon as it is read. */
static bool is_dormant(const Config *config, const RelayFacts *r)
{
    if (r->info ? r->info->active != ACTIVE_INACTIVE || *r->info->invocation || r->info->wanted : r->unread)
        return false;
    return !has_place(config, r);
}

bool facts_draws(const Config *config, const RelayFacts *r)
{
    return facts_counts(config, r) && !is_dormant(config, r);
}

void facts_assign(const Config *config, const RelayFacts *const *relays, size_t n, size_t *ret)
{
    _cleanup_(freep) const char **names = xcalloc(n, sizeof(char *));
    _cleanup_(freep) size_t *groups = xcalloc(n, sizeof(size_t));
    _cleanup_(freep) bool *unknown = xcalloc(n, sizeof(bool));
    _cleanup_(strv_freep) char **has = NULL;
    size_t drawn = 0;

    for (size_t i = 0; i < n; i++)
        if (facts_draws(config, relays[i])) {
            strv_push(&has, group_it_has(relays[i]));
            unknown[drawn] = relays[i]->dropin_unknown;
            names[drawn++] = relays[i]->name;
        }
    assign_groups_holding(config, names, (const char *const *)has, unknown, drawn, groups);
    drawn = 0;
    for (size_t i = 0; i < n; i++)
        if (facts_draws(config, relays[i]))
            ret[i] = groups[drawn++];
        else
            ret[i] =
                facts_counts(config, relays[i]) ? assign_without_quota(config, relays[i]->name) : GROUP_NONE;
}

#define GIVEN_UP_NAMED 5

/* A draw that comes out otherwise restarts relays that have settled. groups[]: of each relay. */
static void judge_draw(const Config *config, size_t group, const RelayFacts *const *relays, size_t n,
                       const size_t *groups, Problems *problems)
{
    const Group *g = &config->groups[group];
    _cleanup_(freep) char *setting =
        xasprintf("groups[%zu].%s", group, g->quota == QUOTA_SIZE ? "size" : "share");
    _cleanup_(freep) char *names = xstrdup("");
    size_t n_gone = 0;

    for (size_t i = 0; i < n; i++) {
        _cleanup_(freep) char *has = group_of_dropin(relays[i]);
        if (relays[i]->old_unit || relays[i]->dropin_unknown || !streq(has, g->name) || groups[i] == group ||
            ++n_gone > GIVEN_UP_NAMED)
            continue;
        char *more = xasprintf("%s%s%s", names, *names ? ", " : "", relays[i]->name);
        free(names);
        names = more;
    }
    if (n_gone > 0)
        problems_add(
            problems, g->place.file, g->place.line, setting,
            "group %s gives up %zu relay%s that it has (%s%s), because relays came or went or the file "
            "has changed; with \"hold = true\" it keeps what it may have",
            g->name, n_gone, n_gone == 1 ? "" : "s", names, n_gone > GIVEN_UP_NAMED ? ", …" : "");
}

void facts_judge_names(const Config *config, const RelayFacts *const *relays, size_t n, Problems *problems)
{
    _cleanup_(freep) const char **names = xcalloc(n + 1, sizeof(char *));
    _cleanup_(freep) size_t *groups = xcalloc(n, sizeof(size_t));
    size_t k = 0;

    facts_assign(config, relays, n, groups);
    for (size_t g = 0; g < config->n_groups; g++)
        if (config->groups[g].quota != QUOTA_ALL)
            judge_draw(config, g, relays, n, groups, problems);
    for (size_t i = 0; i < n; i++) {
        if (!facts_counts(config, relays[i]))
            continue;
        names[k] = relays[i]->name;
        groups[k++] = groups[i];
    }
    assign_judge(config, names, k, groups, problems);
}
