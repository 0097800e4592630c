/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/memory.h"

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
    free(f->previous);
    free(f->before);
    free(f->allocator);
    free(f->build);
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
    strv_free(s->reverted);
    free(s->metrics);
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

static void refusal_clear(Refusal *r)
{
    free(r->relay);
    free(r->allocator);
    free(r->build);
    free(r->reason);
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

bool memory_metrics(State *s, const char *path)
{
    if (streq_null(s->metrics, path))
        return false;
    free(s->metrics);
    s->metrics = xstrdup(path);
    return true;
}

void memory_hold(State *s, Hold hold, const char *reason)
{
    char *copy = xstrdup(reason);

    s->hold = hold;
    free(s->hold_reason);
    s->hold_reason = copy;
}

bool memory_adopt(State *s, const char *id)
{
    if (streq_null(s->config_id, id))
        return false;
    size_t n = strcspn(id, "-") + 1;
    bool new_file = !s->config_id || strncmp(s->config_id, id, n) != 0;
    free(s->config_id);
    s->config_id = xstrdup(id);
    if (new_file) { /* else they are distinguished by the build of the library */
        memory_clear_refusals(s);
        s->reverted = strv_free(s->reverted);
    }
    if (s->hold == HOLD_HALTED || (s->hold == HOLD_ABORTED && new_file))
        memory_hold(s, HOLD_NONE, NULL);
    return true;
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
