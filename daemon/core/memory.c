/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/memory.h"

#include "core/relay.h"

#define PROVED_MAX 64 /* more than there are allocators, and some builds of each */

static const char *const hold_names[_HOLD_MAX] = {
    [HOLD_NONE] = "none",
    [HOLD_HALTED] = "halted",
    [HOLD_ABORTED] = "aborted",
};

const char *hold_to_string(Hold h)
{
    return hold_names[h];
}

Hold hold_from_string(const char *s)
{
    for (int i = 0; i < _HOLD_MAX; i++)
        if (streq(s, hold_names[i]))
            return (Hold)i;
    return _HOLD_INVALID;
}

static void flight_clear(Flight *f)
{
    free(f->relay);
    free(f->unit);
    free(f->previous);
    free(f->before);
    free(f->allocator);
    free(f->build);
}

static void refusal_clear(Refusal *r)
{
    free(r->relay);
    free(r->allocator);
    free(r->build);
    free(r->reason);
}

static void revert_clear(Revert *r)
{
    free(r->relay);
    free(r->group);
    free(r->allocator);
}

static void clear_causes(State *s)
{
    for (size_t i = 0; i < s->n_causes; i++)
        refusal_clear(&s->causes[i]);
    s->n_causes = 0;
}

State *memory_free(State *s)
{
    if (!s)
        return NULL;
    for (size_t i = 0; i < s->n_flights; i++)
        flight_clear(&s->flights[i]);
    free(s->flights);
    memory_clear_refusals(s);
    free(s->refusals);
    free(s->hold_reason);
    free(s->config_id);
    free(s->reviewed_id);
    clear_causes(s);
    free(s->causes);
    for (size_t i = 0; i < s->n_reverts; i++)
        revert_clear(&s->reverts[i]);
    free(s->reverts);
    free(s->metrics);
    free(s->started_for);
    strv_free(s->waiting);
    strv_free(s->restarts);
    strv_free(s->written);
    strv_free(s->proved);
    free(s);
    return NULL;
}

Flight *memory_find_flight(const State *s, const char *relay)
{
    for (size_t i = 0; i < s->n_flights; i++)
        if (streq(s->flights[i].relay, relay))
            return &s->flights[i];
    return NULL;
}

void memory_add_flight(State *s, const Flight *flight)
{
    memory_remove_flight(s, flight->relay);
    GROW(s->flights, s->c_flights, s->n_flights);
    Flight *f = &s->flights[s->n_flights++];
    *f = *flight;
    f->relay = xstrdup(flight->relay);
    f->unit = xstrdup(flight->unit);
    f->previous = xstrdup(flight->previous);
    f->before = xstrdup(flight->before);
    f->allocator = xstrdup(flight->allocator);
    f->build = xstrdup(flight->build);
}

void memory_remove_flight(State *s, const char *relay)
{
    Flight *f = memory_find_flight(s, relay);

    if (!f)
        return;
    flight_clear(f);
    *f = s->flights[--s->n_flights];
}

void memory_name_flights(State *s, const char *unit_template)
{
    for (size_t i = 0; i < s->n_flights; i++) {
        Flight *f = &s->flights[i];
        char *name = NULL;

        if (!f->unit)
            continue;
        if (relay_name_from_unit(unit_template, f->unit, &name) < 0)
            name = xstrdup(f->unit);
        free(f->relay);
        f->relay = name;
    }
}

const Refusal *memory_find_refusal(const State *s, const char *relay, const char *allocator,
                                   const char *build)
{
    for (size_t i = 0; i < s->n_refusals; i++)
        if (streq(s->refusals[i].relay, relay) && streq(s->refusals[i].allocator, allocator) &&
            streq(s->refusals[i].build, build))
            return &s->refusals[i];
    return NULL;
}

void memory_add_refusal(State *s, const char *relay, const char *allocator, const char *build,
                        const char *reason, bool untouched)
{
    if (memory_find_refusal(s, relay, allocator, build))
        return;
    GROW(s->refusals, s->c_refusals, s->n_refusals);
    s->refusals[s->n_refusals++] = (Refusal){ .relay = xstrdup(relay),
                                              .allocator = xstrdup(allocator),
                                              .build = xstrdup(build),
                                              .reason = xstrdup(reason),
                                              .untouched = untouched };
}

void memory_remove_refusal(State *s, const char *relay, const char *allocator, const char *build)
{
    Refusal *r = (Refusal *)memory_find_refusal(s, relay, allocator, build);

    if (!r)
        return;
    refusal_clear(r);
    *r = s->refusals[--s->n_refusals];
}

void memory_clear_untouched(State *s)
{
    for (size_t i = s->n_refusals; i-- > 0;) {
        if (!s->refusals[i].untouched)
            continue;
        refusal_clear(&s->refusals[i]);
        s->refusals[i] = s->refusals[--s->n_refusals];
    }
}

void memory_clear_refusals(State *s)
{
    for (size_t i = 0; i < s->n_refusals; i++)
        refusal_clear(&s->refusals[i]);
    s->n_refusals = 0;
}

static bool replace(char **text, const char *by)
{
    if (streq_null(*text, by))
        return false;
    free(*text);
    *text = xstrdup(by);
    return true;
}

bool memory_metrics(State *s, const char *path)
{
    return replace(&s->metrics, path);
}

bool memory_started_for(State *s, const char *directory)
{
    return replace(&s->started_for, directory);
}

void memory_hold(State *s, Hold hold, const char *reason)
{
    char *copy = xstrdup(reason);

    s->hold = hold;
    free(s->hold_reason);
    s->hold_reason = copy;
    if (hold != HOLD_HALTED)
        clear_causes(s);
}

void memory_add_cause(State *s, const char *relay, const char *allocator, const char *build)
{
    for (size_t i = 0; i < s->n_causes; i++)
        if (streq(s->causes[i].relay, relay) && streq(s->causes[i].allocator, allocator) &&
            streq(s->causes[i].build, build))
            return;
    GROW(s->causes, s->c_causes, s->n_causes);
    s->causes[s->n_causes++] =
        (Refusal){ .relay = xstrdup(relay), .allocator = xstrdup(allocator), .build = xstrdup(build) };
}

/* ---- reverts ---- */

const Revert *memory_find_revert(const State *s, const char *relay)
{
    for (size_t i = 0; i < s->n_reverts; i++)
        if (streq(s->reverts[i].relay, relay))
            return &s->reverts[i];
    return NULL;
}

void memory_add_revert(State *s, const char *relay, const char *group, const char *allocator)
{
    (void)memory_remove_revert(s, relay);
    GROW(s->reverts, s->c_reverts, s->n_reverts);
    s->reverts[s->n_reverts++] =
        (Revert){ .relay = xstrdup(relay), .group = xstrdup(group), .allocator = xstrdup(allocator) };
}

bool memory_remove_revert(State *s, const char *relay)
{
    Revert *r = (Revert *)memory_find_revert(s, relay);

    if (!r)
        return false;
    revert_clear(r);
    *r = s->reverts[--s->n_reverts];
    return true;
}

bool memory_forget_failures(State *s, const char *relay)
{
    size_t before = s->n_refusals;

    for (size_t i = s->n_refusals; i-- > 0;) {
        if (!streq(s->refusals[i].relay, relay))
            continue;
        refusal_clear(&s->refusals[i]);
        s->refusals[i] = s->refusals[--s->n_refusals];
    }
    return s->n_refusals < before;
}

/* ---- another configuration ---- */

/* "FILE-" of both identities is the same. */
static bool same_file(const char *a, const char *b)
{
    return a && strncmp(a, b, strcspn(b, "-") + 1) == 0;
}

bool memory_adopt(State *s, const char *id)
{
    if (streq_null(s->config_id, id))
        return false;
    if (s->hold == HOLD_ABORTED && !same_file(s->config_id, id))
        memory_hold(s, HOLD_NONE, NULL);
    free(s->config_id);
    s->config_id = xstrdup(id);
    return true;
}

static const Assignment *find_assigned(const Assignment *assigned, size_t n, const char *relay)
{
    for (size_t i = 0; i < n; i++)
        if (streq(assigned[i].relay, relay))
            return &assigned[i];
    return NULL;
}

/* Is that what the relay is to get now? */
static bool to_be_had(const Refusal *r, const Assignment *a)
{
    return !a || (streq(r->allocator, a->allocator) && streq(r->build, a->build));
}

static void review_reverts(State *s, bool new_file, const Assignment *assigned, size_t n, Review *ret)
{
    for (size_t i = s->n_reverts; i-- > 0;) {
        Revert *r = &s->reverts[i];
        const Assignment *a = find_assigned(assigned, n, r->relay);

        if (!a || (streq_null(r->group, a->group) && streq_null(r->allocator, a->allocator)))
            continue;
        ret->changed = true;
        if (new_file && r->group) {
            ret->regrouped = true;
            (void)memory_remove_revert(s, r->relay);
        } else { /* relays have come or gone: what the next file is compared with */
            memory_add_revert(s, a->relay, a->group, a->allocator);
        }
    }
}

static void review_refusals(State *s, const Assignment *assigned, size_t n, Review *ret)
{
    for (size_t i = s->n_refusals; i-- > 0;) {
        if (to_be_had(&s->refusals[i], find_assigned(assigned, n, s->refusals[i].relay)))
            continue;
        refusal_clear(&s->refusals[i]);
        s->refusals[i] = s->refusals[--s->n_refusals];
        ret->changed = true;
    }
}

static bool halt_lasts(const State *s, const Assignment *assigned, size_t n)
{
    for (size_t i = 0; i < s->n_causes; i++)
        if (to_be_had(&s->causes[i], find_assigned(assigned, n, s->causes[i].relay)))
            return true;
    return false;
}

Review memory_review(State *s, const char *id, const Assignment *assigned, size_t n)
{
    const bool another = !streq_null(s->reviewed_id, id), new_file = !same_file(s->reviewed_id, id);
    Review review = { .changed = another };

    review_reverts(s, new_file, assigned, n, &review);
    if (!another)
        return review;
    if (new_file)
        review_refusals(s, assigned, n, &review);
    if (s->hold == HOLD_HALTED && !halt_lasts(s, assigned, n)) {
        memory_hold(s, HOLD_NONE, NULL);
        review.halt_ended = true;
    }
    free(s->reviewed_id);
    s->reviewed_id = xstrdup(id);
    return review;
}

static bool set_in(char ***strv, const char *relay, bool in)
{
    if (strv_contains(*strv, relay) == in)
        return false;
    if (in)
        strv_push(strv, xstrdup(relay));
    else
        strv_remove(*strv, relay);
    return true;
}

bool memory_restart_wanted(const State *s, const char *relay, const char *invocation)
{
    _cleanup_(freep) char *request = xasprintf("%s %s", invocation, relay);

    return strv_contains(s->restarts, request);
}

bool memory_end_restart(State *s, const char *relay)
{
    STRV_FOREACH (request, s->restarts) {
        const char *blank = strchr(*request, ' ');
        if (!blank || !streq(blank + 1, relay))
            continue;
        _cleanup_(freep) char *text = xstrdup(*request);
        strv_remove(s->restarts, text);
        return true;
    }
    return false;
}

bool memory_want_restart(State *s, const char *relay, const char *invocation)
{
    if (memory_restart_wanted(s, relay, invocation))
        return false;
    (void)memory_end_restart(s, relay);
    strv_push(&s->restarts, xasprintf("%s %s", invocation, relay));
    return true;
}

bool memory_set_waiting(State *s, const char *relay, bool waiting)
{
    return set_in(&s->waiting, relay, waiting);
}

bool memory_set_written(State *s, const char *relay, bool written)
{
    return set_in(&s->written, relay, written);
}

bool memory_set_proved(State *s, const char *recipe)
{
    if (strv_length(s->proved) == PROVED_MAX && !strv_contains(s->proved, recipe)) {
        _cleanup_(freep) char *oldest = xstrdup(s->proved[0]);
        strv_remove(s->proved, oldest);
    }
    return set_in(&s->proved, recipe, true);
}
