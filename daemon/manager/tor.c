/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/tor.h"

#include "core/relay.h"
#include "io/unit-log.h"
#include "manager/loop.h"
#include "manager/relay.h"

#include <errno.h>
#include <syslog.h>

#define FLAGS_A_DAY 144 /* every ten minutes */
#define MINUTES_A_DAY 1440
#define ASK_INTERVAL (10 * USEC_PER_SEC)
#define ASK_EARLY (USEC_PER_SEC / 2) /* samples come on the beat, but not to the microsecond */
#define WITNESSES_MAX 5
#define WITNESS_INTERVAL (5 * USEC_PER_SEC)
#define WITNESS_FRESH (20 * USEC_PER_SEC)
/* What a relay receives in a second when only control connections reach it: ours, and perhaps one that an
 * operator looks at. A relay in the network receives more than that from each of its neighbours. */
#define SILENCE 64

void tor_forget(Relay *relay)
{
    RelayTor *tor = &relay->tor;

    tor->asking = tor_control_free(tor->asking);
    tor_view_clear(&tor->view);
    tor->told = tor->heard = tor->flags_told = tor->sample_asked = 0;
    tor->silent = tor->flags_unlogged = tor->fingerprint_logged = tor->complained = false;
    tor->day = (TrafficDay){ 0 };
}

/* ---- its traffic, by the day ---- */

static void log_traffic(Relay *relay, const Traffic *traffic)
{
    _cleanup_(freep) char *sentence = traffic_sentence(relay->facts.name, traffic);
    Event e = relay_event(relay);

    e.traffic = traffic;
    e.fingerprint = relay->tor.view.fingerprint;
    e.pid = 0; /* as a sample, it is no event */
    e.rollout = 0;
    e.library = NULL;
    eventlog_write(MESSAGE_RELAY_TRAFFIC, &e, "%s.", sentence);
}

static void count_traffic(Relay *relay, const TorView *view)
{
    const TrafficTime now = { loop_monotonic(relay->manager), loop_realtime() };
    Traffic traffic;

    if (view->has_traffic &&
        traffic_count(&relay->tor.day, tor_control_day(), process_started(relay->process), now, view->read,
                      view->written, &traffic))
        log_traffic(relay, &traffic);
}

void tor_process_ended(Relay *relay)
{
    const usec_t now = loop_monotonic(relay->manager);
    RelayTor *tor = &relay->tor;
    Traffic traffic;

    /* One that is started again and again would otherwise tell more than a day's sum; and so would the sum of
     * moments. */
    if (traffic_end(&tor->day, &traffic) &&
        traffic.until - traffic.since >= tor_control_day() / MINUTES_A_DAY &&
        (tor->end_logged == 0 || now - tor->end_logged >= tor_control_day())) {
        tor->end_logged = now;
        log_traffic(relay, &traffic);
    }
    tor_forget(relay);
}

/* ---- asking ---- */

bool tor_bootstrapped(const Relay *relay)
{
    return relay->tor.view.progress == 100;
}

bool tor_is_demanded(const Relay *relay)
{
    return relay->manager->setup->config->rollout.ready == READY_BOOTSTRAPPED && tor_bootstrapped(relay);
}

/* Does it receive less than a relay would that reaches anybody? Between two answers, not too close together.
 */
static void listen_to_traffic(RelayTor *tor, const TorView *now, usec_t monotonic)
{
    if (!now->has_traffic)
        return;
    const usec_t span = monotonic - tor->heard;
    if (tor->heard != 0 && now->read >= tor->read) {
        const uint64_t received = now->read - tor->read, own = tor->asked_since * TOR_REQUESTS_SIZE;
        if (span < WITNESS_INTERVAL)
            return;
        tor->silent = received <= own + SILENCE * (span / USEC_PER_SEC);
    }
    tor->heard = monotonic;
    tor->read = now->read;
    tor->asked_since = 0;
}

static void take_view(Relay *relay, TorView *take)
{
    RelayTor *tor = &relay->tor;

    listen_to_traffic(tor, take, loop_monotonic(relay->manager));
    if (isempty(take->fingerprint))
        memcpy(take->fingerprint, tor->view.fingerprint, sizeof(take->fingerprint));
    if (take->flags) {
        tor->flags_told = loop_monotonic(relay->manager);
        tor->flags_unlogged = true;
    } else {
        take->flags = TAKE_PTR(tor->view.flags);
    }
    tor_view_clear(&tor->view);
    tor->view = *take;
    tor->told = loop_monotonic(relay->manager);
    count_traffic(relay, &tor->view);
}

/* Whose flags to ask for: once in a while, when it is known. */
static const char *flags_of(const Relay *relay)
{
    const RelayTor *tor = &relay->tor;
    const usec_t interval = tor_control_day() / FLAGS_A_DAY;

    if (isempty(tor->view.fingerprint) ||
        (tor->flags_told > 0 && loop_monotonic(relay->manager) - tor->flags_told < interval))
        return NULL;
    return tor->view.fingerprint;
}

static char *find_line(const Relay *relay, const char *words)
{
    return unit_log_find(relay->facts.info->invocation, relay->facts.process.pid, words);
}

static void find_fingerprint(const Relay *relay, TorView *view)
{
    for (size_t i = 0; i < ELEMENTSOF(tor_fingerprint_words) && isempty(view->fingerprint); i++) {
        _cleanup_(freep) char *line = find_line(relay, tor_fingerprint_words[i]);
        tor_view_fingerprint_from_log(line, view);
    }
}

/* Without an answer its log says how far it is, and who, and nothing else. What is done is not looked for
 * again. */
static void take_log(Relay *relay)
{
    if (tor_bootstrapped(relay))
        return;
    _cleanup_(freep) char *line = find_line(relay, "Bootstrapped ");
    TorView view;

    tor_view_from_log(line, &view);
    if (view.progress < 0)
        return;
    if (isempty(relay->tor.view.fingerprint))
        find_fingerprint(relay, &view);
    take_view(relay, &view);
}

static void on_answer(void *userdata, int error, TorView *take)
{
    Relay *relay = userdata;

    relay->tor.asking = tor_control_free(relay->tor.asking);
    if (error == 0)
        take_view(relay, take);
    else if (error != -ESRCH)
        take_log(relay);
    /* Without a socket, or with that of the process before, there is nothing to say; and only once of a
     * process, which may answer otherwise each time. */
    if (error < 0 && error != -ENOENT && error != -ECONNREFUSED && error != -ESRCH &&
        !relay->tor.complained) {
        relay->tor.complained = true;
        eventlog_line(LOG_NOTICE, "%s: its control socket does not answer: %s.", relay->facts.name,
                      strerror(-error));
    }
    relay->tor.error = error;
    relay->manager->reports->relay_told(relay);
}

bool tor_ask(Relay *relay)
{
    const Config *c = relay->manager->setup->config;
    uid_t uid;

    if (!c->sample_tor || relay->facts.old_unit || !unit_up(relay->facts.info) || !relay->process)
        return false;
    if (relay->tor.asking)
        return true;
    _cleanup_(freep) char *instance = relay_instance(c->unit, relay->facts.unit);
    _cleanup_(freep) char *path = tor_control_path(c->tor_control, instance);
    int r = process_user(relay->process, &uid);
    if (r >= 0) {
        relay->tor.asked_since++;
        r = tor_control_ask(relay->manager->event, path, process_pid(relay->process), uid, flags_of(relay),
                            TOR_CONTROL_TIMEOUT, on_answer, relay, &relay->tor.asking);
    }
    if (r < 0)
        on_answer(relay, r, &(TorView){ .progress = -1 });
    return true;
}

/* ---- the others ---- */

/* Up, and not in the hands of the rollout. */
static bool is_bystander(const Relay *relay)
{
    bool touched = relay->run_item != SIZE_MAX && relay->step != STEP_WAITING && !step_ended(relay->step);

    return unit_up(relay->facts.info) && !touched;
}

static bool is_witness(const Relay *relay)
{
    return is_bystander(relay) && tor_bootstrapped(relay) && relay->tor.heard > 0;
}

void tor_ask_witnesses(Manager *m)
{
    const usec_t now = loop_monotonic(m);

    for (size_t i = 0, n = 0; i < m->n_relays && n < WITNESSES_MAX; i++) {
        Relay *relay = m->relays[i];

        if (!is_bystander(relay) || (relay->tor.told > 0 && !is_witness(relay)))
            continue;
        n++;
        if (relay->tor.told == 0 || now - relay->tor.told >= WITNESS_INTERVAL)
            (void)tor_ask(relay);
    }
}

bool tor_network_is_lost(const Manager *m)
{
    const usec_t now = loop_monotonic(m);
    size_t n = 0;

    for (size_t i = 0; i < m->n_relays; i++) {
        const Relay *relay = m->relays[i];

        if (!is_witness(relay) || now - relay->tor.heard > WITNESS_FRESH)
            continue;
        if (!relay->tor.silent)
            return false;
        n++;
    }
    return n > 0;
}

bool tor_silent(const Relay *relay)
{
    return relay->tor.view.progress < 0 && relay->tor.error == -ETIMEDOUT;
}

/* Asking takes three times as long as measuring. A relay that is bootstrapped goes on saying so, and its
 * flags change by the hour, so that it is enough to ask it whenever they are due; until then more often. */
static bool is_due(const Relay *relay)
{
    const RelayTor *tor = &relay->tor;
    const bool all_known = tor_bootstrapped(relay) && (tor->flags_told > 0 || isempty(tor->view.fingerprint));
    const usec_t flags = tor_control_day() / FLAGS_A_DAY,
                 interval = all_known || flags < ASK_INTERVAL ? flags : ASK_INTERVAL;

    return tor->sample_asked == 0 ||
           loop_monotonic(relay->manager) - tor->sample_asked + ASK_EARLY >= interval;
}

void tor_ask_all(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *relay = m->relays[i];

        if (!m->setup->config->sample_tor)
            tor_forget(relay); /* what it said before does not become a sample any more */
        else if (is_due(relay) && tor_ask(relay))
            relay->tor.sample_asked = loop_monotonic(m);
    }
}

void tor_sample(Relay *relay, Sample *sample)
{
    RelayTor *tor = &relay->tor;

    if (!relay->manager->setup->config->sample_tor)
        return;
    sample->has_bootstrap = tor->view.progress >= 0;
    sample->bootstrap = sample->has_bootstrap ? (unsigned)tor->view.progress : 0;
    sample->flags = tor->flags_unlogged ? tor->view.flags : NULL;
    sample->fingerprint = tor->fingerprint_logged ? NULL : tor->view.fingerprint;
}

void tor_sampled(Relay *relay)
{
    relay->tor.flags_unlogged = false;
    relay->tor.fingerprint_logged = !isempty(relay->tor.view.fingerprint);
}
