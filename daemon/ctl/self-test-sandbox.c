/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/config.h"
#include "ctl/self-test.h"
#include "io/eventlog.h"
#include "io/paths.h"
#include "io/preflight.h"

#include <errno.h>

#define TRY_TIMEOUT (90 * USEC_PER_SEC) /* of two preflights, which have deadlines of their own */

void sandbox_results_free(SandboxResult *results, size_t n)
{
    for (size_t i = 0; results && i < n; i++) {
        free(results[i].refusal);
        free(results[i].untested);
    }
    free(results);
}

typedef struct Trials {
    sd_bus *bus;
    sd_event *event;
    Systemd1 *systemd;
    uint64_t counter;
    char *probe;
    const Survey *survey;
    const AllocatorFacts *facts;
    SandboxResult *results;
    /* of the one in progress */
    bool answered;
    SandboxResult *result;
} Trials;

static void note(char **where, const char *reason)
{
    if (!*where)
        *where = xstrdup(reason);
}

static void on_answer(void *userdata, PreflightAnswer answer, const char *reason)
{
    Trials *t = userdata;

    t->answered = true;
    if (answer == PREFLIGHT_REFUSES)
        note(&t->result->refusal, reason);
    else if (answer == PREFLIGHT_UNTESTED)
        note(&t->result->untested, reason);
}

/* The bus may go, and then no answer comes. */
static void wait_for_answer(Trials *t)
{
    usec_t deadline = ctl_now() + TRY_TIMEOUT;

    while (!t->answered && sd_bus_is_open(t->bus) > 0 && ctl_now() < deadline)
        if (sd_event_run(t->event, USEC_PER_SEC) < 0)
            break;
    if (!t->answered)
        note(&t->result->untested, "systemd did not answer");
}

static void try_one(Trials *t, const RelayFacts *relay, size_t allocator)
{
    _cleanup_(preflight_freep) Preflight *preflight = NULL;

    t->answered = false;
    t->result = &t->results[allocator];
    t->result->tried++;
    const PreflightAsk ask = {
        .event = t->event,
        .systemd = &t->systemd,
        .counter = &t->counter,
        .probe = t->probe,
        .relay = relay,
        .allocator = &t->survey->config->allocators[allocator],
        .library = &t->facts[allocator],
    };
    int r = preflight_start(&ask, on_answer, t, &preflight);
    if (r < 0)
        note(&t->result->untested, strerror(-r));
    else
        wait_for_answer(t);
}

/* Those that count and whose unit systemd knows. */
static bool has_sandbox(const Survey *survey, const SurveyRelay *relay)
{
    return facts_counts(survey->config, &relay->facts) && relay->facts.info && relay->facts.info->exists;
}

/* Does a relay before this one have the same sandbox, and the same allocator (SIZE_MAX: whatever it has)? */
static bool came_before(const Survey *survey, size_t at, size_t allocator)
{
    const HostFacts host = survey_host(survey);
    const uint64_t sandbox = facts_sandbox(&survey->relays[at]->facts);

    for (size_t i = 0; sandbox != 0 && i < at; i++) {
        const SurveyRelay *other = survey->relays[i];
        const Group *group = facts_target(&host, &other->facts);
        if (has_sandbox(survey, other) && facts_sandbox(&other->facts) == sandbox &&
            (allocator == SIZE_MAX || (group && group->allocator == allocator)))
            return true;
    }
    return false;
}

static bool can_be_tried(const Trials *t, size_t allocator)
{
    return t->facts[allocator].path && !t->facts[allocator].refusal;
}

static void try_relay(Trials *t, size_t at, bool first, uint64_t first_sandbox)
{
    const HostFacts host = survey_host(t->survey);
    const RelayFacts *relay = &t->survey->relays[at]->facts;
    const Group *group = facts_target(&host, relay);

    for (size_t i = 0; first && i < t->survey->config->n_allocators; i++)
        if (can_be_tried(t, i))
            try_one(t, relay, i);
    if (!first && facts_sandbox(relay) != first_sandbox && group && can_be_tried(t, group->allocator) &&
        !came_before(t->survey, at, group->allocator))
        try_one(t, relay, group->allocator);
}

static void try_relays(Trials *t, size_t *ret_sandboxes)
{
    uint64_t first_sandbox = 0;
    size_t sandboxes = 0;

    for (size_t i = 0; i < t->survey->n; i++) {
        if (!has_sandbox(t->survey, t->survey->relays[i]))
            continue;
        const bool first = sandboxes == 0;
        sandboxes += !came_before(t->survey, i, SIZE_MAX);
        if (first)
            first_sandbox = facts_sandbox(&t->survey->relays[i]->facts);
        try_relay(t, i, first, first_sandbox);
    }
    *ret_sandboxes = sandboxes;
}

SandboxResult *sandboxes_try(sd_bus *bus, const Survey *survey, const AllocatorFacts *facts,
                             size_t *ret_sandboxes)
{
    Trials t = {
        .bus = bus,
        .probe = path_of_probe(),
        .survey = survey,
        .facts = facts,
        .results = xcalloc(survey->config->n_allocators, sizeof(SandboxResult)),
    };
    const EventTarget before = eventlog_target();

    *ret_sandboxes = 0;
    eventlog_set_target(EVENT_TARGET_CONSOLE);
    if (sd_event_new(&t.event) >= 0 && sd_bus_attach_event(bus, t.event, 0) >= 0 &&
        systemd1_new(bus, NULL, NULL, &t.systemd) >= 0)
        try_relays(&t, ret_sandboxes);
    eventlog_set_target(before);
    systemd1_free(t.systemd);
    (void)sd_bus_detach_event(bus);
    sd_event_unref(t.event);
    free(t.probe);
    return t.results;
}
