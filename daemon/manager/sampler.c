/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/sampler.h"
#include "core/known.h"
#include "core/metrics.h"
#include "io/metrics-file.h"
#include "manager/alert.h"
#include "manager/loop.h"
#include "manager/memory.h"
#include "manager/read-only.h"
#include "manager/relay.h"
#include "manager/run.h"
#include "manager/setup.h"
#include "manager/tor.h"
#include "manager/watch.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <syslog.h>
#include <time.h>

#define WATCH_CLOCK_AGAIN (10 * USEC_PER_SEC)

static Sample sample_of(const Relay *relay)
{
    const Group *g = setup_group(relay->manager->setup, relay->facts.group);

    return (Sample){
        .relay = relay->facts.name,
        .group = g ? g->name : "",
        .allocator = relay->facts.running,
        .version = relay->facts.version,
        .since = relay->process ? process_started(relay->process) : 0,
        .memory = relay->memory,
    };
}

static void log_relay(Relay *relay)
{
    Sample s = sample_of(relay);
    tor_sample(relay, &s);
    _cleanup_(freep) char *sentence = sample_sentence(&s);
    Event e = relay_event(relay);

    e.memory = &s.memory;
    e.since = s.since;
    e.bootstrap = s.has_bootstrap ? &s.bootstrap : NULL;
    e.flags = s.flags;
    e.fingerprint = s.fingerprint;
    e.pid = 0; /* a sample is no event: it stays out of the relay's own log */
    e.rollout = 0;
    eventlog_write(MESSAGE_SAMPLE_RELAY, &e, "%s", sentence);
}

/* Its absence is an event once, not every minute; an absence that we caused ourselves is none. */
static void tell_presence(Relay *relay)
{
    Event e = relay_event(relay);

    if (relay->measured && relay->told_down) {
        relay->told_down = relay->alerted_down = false;
        eventlog_write(MESSAGE_RELAY_UP, &e, "%s is up again.", relay->facts.name);
    } else if (!relay->measured && !relay->told_down && (relay->seen_up || relay->state == RELAY_DOWN) &&
               relay->run_item == SIZE_MAX && !relay_up(relay)) {
        /* not one that cannot be read, or has just ended: systemd's word is awaited */
        relay->told_down = true;
        e.reason = relay->facts.down;
        eventlog_write(MESSAGE_RELAY_DOWN, &e, "%s is down%s%s: no samples until it is up again.",
                       relay->facts.name, e.reason ? ", " : "", e.reason ? e.reason : "");
    }
    /* Nobody is called for what somebody stops, or starts anew just now: only if it fails on the way. */
    if (relay->told_down && !relay->alerted_down && unit_failed(relay->facts.info)) {
        relay->alerted_down = true;
        alert_raise(relay->manager, ALERT_DOWN, relay->facts.name);
    }
}

static void measure(Relay *relay, usec_t now)
{
    relay_retry(relay);
    relay->measured = relay->process && process_memory_often(relay->process, loop_monotonic(relay->manager),
                                                             &relay->memory) == 0;
    if (relay->measured)
        relay->sampled = now;
    if (!relay->facts.old_unit)
        tell_presence(relay);
}

static void sample_all(Manager *m)
{
    const Config *c = m->setup->config;
    usec_t now = loop_realtime();
    char *rows = NULL;
    size_t size, n = 0;
    uint64_t rss = 0;
    FILE *fleet = c->sample_entry == SAMPLE_ENTRY_FLEET ? open_memstream(&rows, &size) : NULL;

    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *relay = m->relays[i];

        measure(relay, now);
        if (!relay->measured || relay->facts.old_unit)
            continue;
        n++;
        rss += relay->memory.rss;
        if (fleet) {
            Sample s = sample_of(relay);
            tor_sample(relay, &s);
            sample_write_row(fleet, &s);
        } else {
            log_relay(relay);
        }
        tor_sampled(relay);
    }
    if (!fleet)
        return;
    fclose(fleet);
    _cleanup_(freep) char *sentence = sample_fleet_sentence(n, rss);
    const Event e = { .fleet = rows };
    if (n > 0)
        eventlog_write(MESSAGE_SAMPLE_FLEET, &e, "%s", sentence);
    free(rows);
}

static MetricsRelay metrics_of(const Relay *relay)
{
    const RelayFacts *facts = &relay->facts;
    const HostFacts host = setup_host(relay->manager);
    const Allocator *assigned = facts_allocator(&host, facts);
    const bool asked = relay->manager->setup->config->sample_tor;
    _cleanup_(freep) char *known = known_warning(facts->process.running.family, facts->version);

    return (MetricsRelay){
        .sample = sample_of(relay),
        .unit = facts->unit,
        .assigned = assigned ? assigned->name : "",
        .fingerprint = relay->tor.view.fingerprint,
        .state = relay_state_to_string(relay->state),
        .up = relay->measured,
        .suspect = known,
        .bootstrap = asked ? relay->tor.view.progress : -1,
        .flags = asked ? relay->tor.view.flags : NULL,
    };
}

static MetricsHost metrics_of_host(const Manager *m)
{
    const RunCounts counts = run_counts(m);

    return (MetricsHost){
        .version = VERSION,
        .config_valid = !m->config_error,
        .config_read = (m->next_setup ? m->next_setup : m->setup)->loaded,
        .state_saved = m->state_error >= 0,
        .rollout = run_word(m),
        .total = counts.total,
        .done = counts.done,
        .skipped = counts.skipped,
        .failed = counts.failed,
        .full_in = m->outlook.full_in,
        .growth = m->outlook.per_day,
        .interval = m->setup->config->sample_interval,
        .now = loop_realtime(),
    };
}

/* Why the file could not be written; owned by the caller. */
static char *metrics_words(const Manager *m, const char *path, int error)
{
    if (error == -EROFS && read_only_on_host(m, path)) /* which is no matter of our sandbox */
        return xasprintf("cannot write %s: %s", path, strerror(EROFS));
    return metrics_failure(path, error);
}

/* Prometheus would take its last numbers for the current ones without end; without the file their series end.
 * It is known until it is gone, unless that is in vain: the next daemon tries, too. */
static void remove_metrics(Manager *m)
{
    if (!m->state->metrics)
        return;
    int e = metrics_file_remove(m->state->metrics);
    e = e == -ENOENT || e == -ENOTDIR ? 0 : e;
    if (e < 0 && e != m->metrics_error)
        eventlog_line(LOG_WARNING, "Cannot remove %s, whose figures are out of date: %s.", m->state->metrics,
                      strerror(-e));
    m->metrics_error = e;
    if (e < 0 && (m->stopping || error_is_passing(e)))
        return;
    (void)memory_metrics(m->state, NULL);
    (void)memory_save(m);
}

/* true: none but that of the file in force is left. */
static bool remove_old_metrics(Manager *m)
{
    const char *path = m->setup->config->metrics_textfile;

    if (m->state->metrics && !streq(m->state->metrics, path))
        remove_metrics(m);
    return !m->state->metrics || streq(m->state->metrics, path);
}

/* Not beside an old one: an exporter takes no series twice. */
static void write_metrics(Manager *m)
{
    const char *path = m->setup->config->metrics_textfile;
    _cleanup_(freep) MetricsRelay *relays = xcalloc(m->n_relays, sizeof(*relays));
    _cleanup_(freep) char *text = NULL;
    size_t size, n = 0;

    if (!remove_old_metrics(m) || isempty(path))
        return;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        return;
    for (size_t i = 0; i < m->n_relays; i++)
        if (!m->relays[i]->facts.old_unit)
            relays[n++] = metrics_of(m->relays[i]);
    const MetricsHost host = metrics_of_host(m);
    metrics_write(f, &host, relays, n);
    fclose(f);
    if (memory_metrics(m->state, path)) /* before it is there, so that it is known whenever we die */
        (void)memory_save(m);
    int e = metrics_file_replace(path, text, size);
    if (e < 0 && e != m->metrics_error) {
        _cleanup_(freep) char *sentence = metrics_words(m, path, e);
        eventlog_line(LOG_WARNING, "Metrics: %s.", sentence);
    }
    m->metrics_error = e; /* logged once, not every minute */
}

static usec_t next_beat(const Manager *m)
{
    return sample_next_beat(loop_realtime(), m->setup->config->sample_interval);
}

static int on_minute(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)usec;
    sample_all(m);
    watch_look(m);
    tor_ask_all(m);
    write_metrics(m);
    m->reports->sampled(m);
    source = m->sampling; /* a reload makes it again */
    int r = sd_event_source_set_time(source, next_beat(m));
    return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_clock_set(sd_event_source *source, int fd, uint32_t revents, void *userdata);

/* A timer on the wall clock would wait for hours after the clock was set back. One that never expires is
 * canceled whenever the clock is set (timerfd_create(2)). */
static int watch_clock(Manager *m)
{
    const struct itimerspec never = { .it_value.tv_sec = INT64_MAX };

    m->clock_watch = sd_event_source_disable_unref(m->clock_watch);
    int fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    int r = timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &never, NULL) < 0 ? -errno : 0;
    if (r >= 0)
        r = sd_event_add_io(m->event, &m->clock_watch, fd, EPOLLIN, on_clock_set, m);
    if (r < 0) {
        close(fd);
        return r;
    }
    return sd_event_source_set_io_fd_own(m->clock_watch, true);
}

static int on_clock_set(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    (void)source;
    (void)fd;
    (void)revents;
    (void)sampler_start(userdata);
    return 0;
}

/* The clock may have been set while it was not watched, so the next sample is made due anew. */
static int on_watch_clock_again(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->watch_clock_again = sd_event_source_unref(m->watch_clock_again);
    (void)sampler_start(m);
    return 0;
}

/* Not tried again with each sample: after a clock that was set back, that could be in hours. */
static void keep_clock_watched(Manager *m)
{
    int r = watch_clock(m);

    if (r < 0 && r != m->clock_error)
        eventlog_line(LOG_WARNING, "Cannot watch the clock being set: %s; it is tried again every 10s.",
                      strerror(-r));
    m->clock_error = r;
    if (r < 0)
        loop_schedule(m, &m->watch_clock_again, WATCH_CLOCK_AGAIN, on_watch_clock_again);
}

int sampler_start(Manager *m)
{
    (void)remove_old_metrics(m);
    m->sampling = sd_event_source_disable_unref(m->sampling);
    int r =
        sd_event_add_time(m->event, &m->sampling, CLOCK_REALTIME, next_beat(m), USEC_PER_MSEC, on_minute, m);
    if (r < 0)
        eventlog_line(LOG_ERR, "Cannot set the sampling timer: %s.", strerror(-r));
    keep_clock_watched(m);
    return r;
}

void sampler_stop(Manager *m)
{
    m->sampling = sd_event_source_disable_unref(m->sampling);
    remove_metrics(m);
}
