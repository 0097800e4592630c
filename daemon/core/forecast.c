/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/forecast.h"

#include <assert.h>

/* What a command is answered with when all goes well; false: nothing. */
static bool answer_to(const RolloutCommand *c, RolloutEvent *ret)
{
    static const RolloutEventKind kinds[] = {
        [COMMAND_PREFLIGHT] = EVENT_PREFLIGHT,  [COMMAND_VERIFY_CONFIG] = EVENT_CONFIG,
        [COMMAND_WRITE] = EVENT_WRITTEN,        [COMMAND_RELOAD] = EVENT_RELOADED,
        [COMMAND_CHECK] = EVENT_CHECKED,        [COMMAND_RESTART] = EVENT_JOB,
        [COMMAND_VERIFY] = EVENT_VERIFIED,      [COMMAND_ASK] = EVENT_READY,
        [COMMAND_RESTORE] = EVENT_WRITTEN,      [COMMAND_START] = EVENT_JOB,
        [COMMAND_VERIFY_BACK] = EVENT_VERIFIED, [COMMAND_GATE] = EVENT_GATE,
    };

    if (c->kind >= ELEMENTSOF(kinds))
        return false;
    *ret = (RolloutEvent){ .kind = kinds[c->kind], .item = c->item, .ok = true, .pid = 1 };
    return true;
}

size_t forecast_waves(const RolloutPolicy *policy, const RolloutItem *items, size_t n, size_t *ret_waves)
{
    _cleanup_(rollout_freep) Rollout *r = rollout_new(policy, items, n);
    RolloutNow now = { .window_open = true };
    RolloutEvent answer = { .kind = EVENT_TICK };
    RolloutCommand c;

    for (size_t i = 0; i < n; i++)
        ret_waves[i] = items[i].recover ? 1 : 0;
    rollout_event(r, &answer, now);
    while (!rollout_over(r)) {
        bool any = false;

        while (rollout_next(r, &c)) {
            if (!answer_to(&c, &answer))
                continue;
            if (c.kind == COMMAND_WRITE)
                ret_waves[c.item] = rollout_wave_of(r, c.item);
            any = true;
            rollout_event(r, &answer, now);
        }
        if (!any && !rollout_over(r)) {
            now.monotonic = rollout_deadline(r);
            assert(now.monotonic != USEC_INFINITY);
            rollout_event(r, &(RolloutEvent){ .kind = EVENT_TICK }, now);
        }
    }
    return rollout_wave(r);
}

/* ---- with times ---- */

typedef struct DueAnswer {
    usec_t due;
    RolloutEvent event;
} DueAnswer;

typedef struct Simulation {
    Rollout *rollout;
    const ForecastTimes *times;
    usec_t began, now;
    DueAnswer *answers; /* in the order of the commands */
    size_t n, capacity;
} Simulation;

static usec_t duration(const ForecastTimes *t, const RolloutCommand *c)
{
    switch (c->kind) {
    case COMMAND_PREFLIGHT:
        return t->preflight;
    case COMMAND_VERIFY_CONFIG:
        return t->verify_config;
    case COMMAND_RELOAD:
        return t->reload;
    case COMMAND_GATE:
        return t->gate;
    case COMMAND_RESTART:
    case COMMAND_START:
        return t->restart[c->item];
    case COMMAND_ASK:
        return t->ready;
    default:
        return 0;
    }
}

static usec_t due(const Simulation *s, const RolloutCommand *c)
{
    const ForecastTimes *t = s->times;
    usec_t begun = s->now;

    if (c->kind == COMMAND_ASK && t->asked && t->asked[c->item] > 0)
        begun = t->asked[c->item];
    else if ((c->kind == COMMAND_RESTART || c->kind == COMMAND_START) && t->begun && t->begun[c->item] > 0)
        begun = t->begun[c->item];
    usec_t end = begun + duration(t, c);
    return end > s->now ? end : s->now;
}

static void take_commands(Simulation *s)
{
    RolloutCommand c;
    RolloutEvent answer;

    while (rollout_next(s->rollout, &c)) {
        if (!answer_to(&c, &answer))
            continue;
        answer.ready = c.kind == COMMAND_CHECK && s->times->ready_now && s->times->ready_now[c.item];
        GROW(s->answers, s->capacity, s->n);
        s->answers[s->n++] = (DueAnswer){ .due = due(s, &c), .event = answer };
    }
}

static unsigned minute_of_day(const Simulation *s, usec_t *ret_past)
{
    usec_t clock = s->times->since_midnight + (s->now - s->began);

    *ret_past = clock % USEC_PER_MINUTE;
    return (unsigned)(clock / USEC_PER_MINUTE % (UINT64_C(24) * 60));
}

static void send_event(Simulation *s, const RolloutEvent *event)
{
    usec_t past;
    const RolloutNow now = { .monotonic = s->now,
                             .window_open = window_contains(s->times->window, minute_of_day(s, &past)) };

    rollout_event(s->rollout, event, now);
}

static usec_t next_tick(const Simulation *s)
{
    usec_t past, deadline = rollout_deadline(s->rollout);
    unsigned minutes = window_opens_in(s->times->window, minute_of_day(s, &past));

    if (rollout_state(s->rollout) != ROLLOUT_WAITING || minutes == 0)
        return deadline;
    usec_t opens = s->now + minutes * USEC_PER_MINUTE - past;
    return opens < deadline ? opens : deadline;
}

/* The next thing that happens; false: nothing does by itself. */
static bool step(Simulation *s)
{
    RolloutEvent event = { .kind = EVENT_TICK };
    usec_t at = next_tick(s);
    size_t first = s->n;

    for (size_t i = 0; i < s->n; i++)
        if (s->answers[i].due < (first < s->n ? s->answers[first].due : at) ||
            (first == s->n && s->answers[i].due == at))
            first = i;
    if (first < s->n) {
        at = s->answers[first].due;
        event = s->answers[first].event;
        memmove(&s->answers[first], &s->answers[first + 1], (s->n - first - 1) * sizeof(*s->answers));
        s->n--;
    }
    if (at == USEC_INFINITY)
        return false;
    s->now = at > s->now ? at : s->now;
    send_event(s, &event);
    take_commands(s);
    return true;
}

static usec_t simulate(Rollout *r, const ForecastTimes *times, usec_t monotonic)
{
    Simulation s = { .rollout = r, .times = times, .began = monotonic, .now = monotonic };
    bool goes = true;

    take_commands(&s);
    send_event(&s, &(RolloutEvent){ .kind = EVENT_TICK });
    take_commands(&s);
    while (goes && !rollout_over(r))
        goes = step(&s);
    free(s.answers);
    return rollout_over(r) ? s.now - s.began : USEC_INFINITY;
}

usec_t forecast_left(const Rollout *rollout, const ForecastTimes *times, usec_t monotonic)
{
    _cleanup_(rollout_freep) Rollout *copy = rollout_copy(rollout);

    return simulate(copy, times, monotonic);
}

usec_t forecast_length(const RolloutPolicy *policy, const RolloutItem *items, size_t n,
                       const ForecastTimes *times)
{
    _cleanup_(rollout_freep) Rollout *r = rollout_new(policy, items, n);

    return simulate(r, times, USEC_PER_SEC);
}

/* ---- how long restarts take ---- */

static usec_t average(const UnitInfo *const *units, size_t n, usec_t (*took)(const UnitInfo *),
                      usec_t otherwise)
{
    usec_t sum = 0;
    size_t known = 0;

    for (size_t i = 0; i < n; i++) {
        sum += took(units[i]);
        known += took(units[i]) > 0;
    }
    return known > 0 ? sum / known : otherwise;
}

void forecast_restarts(const UnitInfo *const *units, size_t n, usec_t *ret)
{
    const usec_t stop = average(units, n, unit_stop_took, FORECAST_STOP),
                 start = average(units, n, unit_start_took, FORECAST_START);

    for (size_t i = 0; i < n; i++) {
        usec_t stops = unit_stop_took(units[i]), starts = unit_start_took(units[i]);
        ret[i] = (stops > 0 ? stops : stop) + (starts > 0 ? starts : start);
    }
}
