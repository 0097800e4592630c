/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the fold over the samples. Must never keep a sample, nor count one for an allocator that it did not
 * name. */
#include "report/series.h"

#include "report/stats.h"

#include <assert.h>
#include <errno.h>

/* The start of a process is computed from two clocks: it may differ by this much without being another. */
#define START_SLACK (2 * USEC_PER_SEC)
/* A gap is longer than this many steps. */
#define GAP_STEPS 3

void series_clear(Series *series)
{
    for (size_t i = 0; i < series->n_hosts; i++)
        free(series->hosts[i]);
    for (size_t i = 0; i < series->n_keys; i++) {
        free(series->keys[i].group);
        free(series->keys[i].allocator);
        free(series->keys[i].version);
    }
    for (size_t i = 0; i < series->n_relays; i++) {
        free(series->relays[i].name);
        free(series->relays[i].fingerprint);
    }
    for (size_t i = 0; i < series->n_tracks; i++) {
        free(series->tracks[i].slices);
        flag_tally_free(series->tracks[i].flags);
    }
    free(series->hosts);
    free(series->keys);
    free(series->relays);
    free(series->tracks);
    free(series->events);
    free(series->days);
    free(series->buckets);
    *series = (Series){ 0 };
}

size_t series_host(Series *series, const char *name)
{
    for (size_t i = 0; i < series->n_hosts; i++)
        if (streq(series->hosts[i], name))
            return i;
    GROW(series->hosts, series->hosts_capacity, series->n_hosts);
    series->hosts[series->n_hosts] = xstrdup(name);
    return series->n_hosts++;
}

/* ---- relays and keys by name ---- */

static bool has_name(const SeriesRelay *relay, size_t host, Span name)
{
    return relay->host == host && span_is(name, relay->name);
}

static bool has_fingerprint(const SeriesRelay *relay, Span fingerprint)
{
    return relay->fingerprint && span_is(fingerprint, relay->fingerprint);
}

/* Fingerprints belong to no host. */
static size_t bucket_of(const Series *series, size_t host, Span text)
{
    uint64_t h = hash_bytes(HASH_BEGIN ^ host, text.p, text.n);

    return (size_t)(h ^ h >> 32) & (series->n_buckets - 1);
}

static size_t next_bucket(const Series *series, size_t bucket)
{
    return (bucket + 1) & (series->n_buckets - 1);
}

static Span span_of(const char *s)
{
    return (Span){ s, strlen(s) };
}

static void put_in_bucket(Series *series, size_t relay, size_t host, const char *text)
{
    size_t b = bucket_of(series, host, span_of(text));

    while (series->buckets[b] != SERIES_NONE && series->buckets[b] != relay)
        b = next_bucket(series, b);
    series->n_entered += series->buckets[b] == SERIES_NONE;
    series->buckets[b] = relay;
}

/* By the current names of relays: earlier names are forgotten. */
static void enter_all(Series *series)
{
    series->n_entered = 0;
    series->buckets = xcalloc(series->n_buckets, sizeof(*series->buckets));
    memset(series->buckets, 0xff, series->n_buckets * sizeof(*series->buckets)); /* SERIES_NONE */
    for (size_t i = 0; i < series->n_relays; i++) {
        const SeriesRelay *r = &series->relays[i];
        put_in_bucket(series, i, r->host, r->name);
        if (r->fingerprint)
            put_in_bucket(series, i, SERIES_NONE, r->fingerprint);
    }
}

void series_init(Series *series, const SeriesOptions *options)
{
    *series = (Series){ .options = *options, .n_buckets = 256, .hint = SERIES_NONE };
    if (series->options.slice == 0)
        series->options.slice = USEC_PER_MINUTE;
    enter_all(series);
}

/* Makes the relay known by `text` on `host`, which it has got already. */
static void enter(Series *series, size_t relay, size_t host, const char *text)
{
    if (2 * (series->n_entered + 1) <= series->n_buckets) {
        put_in_bucket(series, relay, host, text);
        return;
    }
    free(series->buckets);
    series->n_buckets = 256;
    while (series->n_buckets < 8 * series->n_relays) /* at most two entries each: a quarter full */
        series->n_buckets *= 2;
    enter_all(series);
}

static size_t find_fingerprint(const Series *series, Span fingerprint)
{
    for (size_t b = bucket_of(series, SERIES_NONE, fingerprint); series->buckets[b] != SERIES_NONE;
         b = next_bucket(series, b))
        if (has_fingerprint(&series->relays[series->buckets[b]], fingerprint))
            return series->buckets[b];
    return SERIES_NONE;
}

/* The relay of that name of which no fingerprint is known, and how many others have the name and one. */
static size_t find_name(const Series *series, size_t host, Span name, size_t *ret_others, size_t *ret_other)
{
    size_t found = SERIES_NONE;

    *ret_others = 0;
    *ret_other = SERIES_NONE;
    for (size_t b = bucket_of(series, host, name); series->buckets[b] != SERIES_NONE;
         b = next_bucket(series, b)) {
        size_t relay = series->buckets[b];
        if (!has_name(&series->relays[relay], host, name))
            continue;
        if (!series->relays[relay].fingerprint)
            found = relay;
        else if (relay != *ret_other) {
            *ret_others += 1;
            *ret_other = relay;
        }
    }
    return found;
}

size_t series_find(const Series *series, size_t host, const SampleRow *row)
{
    size_t others, other, plain;

    if (row->fingerprint.n > 0) {
        size_t relay = find_fingerprint(series, row->fingerprint);
        if (relay != SERIES_NONE)
            return relay;
    }
    plain = find_name(series, host, row->relay, &others, &other);
    if (row->fingerprint.n > 0)
        return others == 0 ? plain : SERIES_NONE; /* known for the first time */
    return plain != SERIES_NONE || others != 1 ? plain : other;
}

/* Samples come in the same order at every collection, so the next relay is mostly the one after the last. */
static size_t find_relay(const Series *series, size_t host, const SampleRow *row)
{
    size_t guess = series->hint + 1 < series->n_relays ? series->hint + 1 : 0;

    if (guess < series->n_relays) {
        const SeriesRelay *r = &series->relays[guess];
        /* Fingerprints are told rarely: a name that nobody shares is as good. */
        if (row->fingerprint.n > 0
                ? has_fingerprint(r, row->fingerprint)
                : (!r->fingerprint || !series->names_shared) && has_name(r, host, row->relay))
            return guess;
    }
    return series_find(series, host, row);
}

/* A relay that is to get this name. */
static void note_sharing(Series *series, size_t host, Span name)
{
    size_t others, other;

    if (find_name(series, host, name, &others, &other) != SERIES_NONE || others > 0)
        series->names_shared = true;
}

static size_t new_relay(Series *series, size_t host, const SampleRow *row)
{
    size_t relay = series->n_relays;

    note_sharing(series, host, row->relay);
    GROW(series->relays, series->relays_capacity, series->n_relays);
    series->relays[series->n_relays++] = (SeriesRelay){
        .name = span_copy(row->relay),
        .host = host,
        .tracks = SERIES_NONE,
        .track = SERIES_NONE,
        .at_track = SERIES_NONE,
        .step = series->options.step,
    };
    enter(series, relay, host, series->relays[relay].name);
    return relay;
}

/* What the row says about the relay that was not known: its fingerprint, or another name or host. */
static void learn_identity(Series *series, size_t relay, size_t host, const SampleRow *row)
{
    SeriesRelay *r = &series->relays[relay];

    if (row->fingerprint.n == 0)
        return;
    if (!r->fingerprint) {
        r->fingerprint = span_copy(row->fingerprint);
        enter(series, relay, SERIES_NONE, r->fingerprint);
    }
    if (has_name(r, host, row->relay))
        return;
    note_sharing(series, host, row->relay);
    free(r->name);
    r->name = span_copy(row->relay);
    r->host = host;
    enter(series, relay, host, r->name);
}

bool series_name_shared(const Series *series, size_t relay)
{
    const SeriesRelay *r = &series->relays[relay];
    size_t others, other, plain = find_name(series, r->host, span_of(r->name), &others, &other);

    return others + (plain != SERIES_NONE) > 1;
}

/* Does another relay of the same name have a fingerprint that begins with the same `n` digits? */
static bool is_ambiguous(const Series *series, size_t relay, size_t n)
{
    const SeriesRelay *r = &series->relays[relay];

    for (size_t b = bucket_of(series, r->host, span_of(r->name)); series->buckets[b] != SERIES_NONE;
         b = next_bucket(series, b)) {
        const SeriesRelay *o = &series->relays[series->buckets[b]];
        if (o != r && has_name(o, r->host, span_of(r->name)) && o->fingerprint &&
            strncmp(o->fingerprint, r->fingerprint, n) == 0)
            return true;
    }
    return false;
}

char *series_relay_name(const Series *series, size_t relay)
{
    const SeriesRelay *r = &series->relays[relay];
    _cleanup_(freep) char *name =
        series->n_hosts < 2 ? xstrdup(r->name) : xasprintf("%s/%s", series->hosts[r->host], r->name);
    int digits = 8;

    if (!r->fingerprint || !series_name_shared(series, relay))
        return TAKE_PTR(name);
    if (is_ambiguous(series, relay, (size_t)digits))
        digits = (int)strlen(r->fingerprint);
    return xasprintf("%s (%.*s)", name, digits, r->fingerprint);
}

static bool key_equal(const SeriesKey *key, Span group, const SampleRow *row)
{
    return span_is(group, key->group) && span_is(row->allocator, key->allocator) &&
           span_is(row->version, key->version);
}

static size_t find_key(const Series *series, Span group, const SampleRow *row)
{
    for (size_t i = 0; i < series->n_keys; i++)
        if (key_equal(&series->keys[i], group, row))
            return i;
    return SERIES_NONE;
}

static size_t new_key(Series *series, Span group, const SampleRow *row)
{
    GROW(series->keys, series->keys_capacity, series->n_keys);
    series->keys[series->n_keys] = (SeriesKey){
        .group = span_copy(group),
        .allocator = span_copy(row->allocator),
        .version = span_copy(row->version),
    };
    return series->n_keys++;
}

/* The relay's track of that key, new when there is none. */
static size_t enter_track(Series *series, size_t relay, size_t key, usec_t time)
{
    size_t track = series->relays[relay].tracks;

    for (; track != SERIES_NONE; track = series->tracks[track].next)
        if (series->tracks[track].key == key)
            return track;
    track = series->n_tracks;
    GROW(series->tracks, series->tracks_capacity, series->n_tracks);
    series->tracks[series->n_tracks++] =
        (Track){ .relay = relay, .key = key, .next = series->relays[relay].tracks, .began = time };
    series->relays[relay].tracks = track;
    return track;
}

/* ---- time ---- */

static usec_t min_usec(usec_t a, usec_t b)
{
    return a < b ? a : b;
}

static usec_t max_usec(usec_t a, usec_t b)
{
    return a > b ? a : b;
}

/* a + b, at most the end of time. */
static usec_t later(usec_t a, usec_t b)
{
    return b > USEC_INFINITY - a ? USEC_INFINITY : a + b;
}

static bool in_window(const Series *series, usec_t time)
{
    return time >= series->options.since && time <= series->options.until;
}

static void add_slice(const Series *series, Track *track, const SeriesRelay *relay, usec_t span)
{
    uint32_t index = (uint32_t)min_usec(relay->time / series->options.slice, UINT32_MAX);
    bool warm = relay->time < later(relay->start, series->options.warmup);
    Slice *slice = track->n_slices > 0 ? &track->slices[track->n_slices - 1] : NULL;
    double seconds = (double)span / (double)USEC_PER_SEC;

    if (!slice || slice->index != index || slice->run != relay->run || slice->warm != warm) {
        GROW(track->slices, track->capacity, track->n_slices);
        slice = &track->slices[track->n_slices++];
        *slice = (Slice){ .run = relay->run, .index = index, .warm = warm };
    }
    slice->sum += (double)relay->rss * seconds;
    slice->moment += (double)relay->time / (double)USEC_PER_SEC * seconds;
    slice->seconds += seconds;
}

/* The relay's last sample stands for the time until `end`; from there to `next` there is none. */
static void close_sample(Series *series, const SeriesRelay *relay, usec_t end, usec_t next)
{
    const usec_t since = series->options.since, until = series->options.until;
    usec_t from = max_usec(relay->time, since), to = min_usec(end, until);
    usec_t gap_from = max_usec(end, since), gap_to = min_usec(next, until);

    if (relay->track == SERIES_NONE)
        return;
    Track *track = &series->tracks[relay->track];
    if (gap_to > gap_from)
        track->gap += gap_to - gap_from;
    if (to <= from)
        return;
    add_slice(series, track, relay, to - from);
    usec_t warm_until = max_usec(min_usec(later(relay->start, series->options.warmup), to), from);
    track->warm += warm_until - from;
    if (warm_until == to)
        return;
    track->counted += to - warm_until;
    track->sum += (double)relay->rss * ((double)(to - warm_until) / (double)USEC_PER_SEC);
    if (track->first == 0)
        track->first = warm_until;
    track->last = to;
}

static bool unlike(usec_t interval, usec_t step)
{
    return interval < step - step / 4 || interval > step + step / 4;
}

static void learn_step(SeriesRelay *relay, usec_t interval)
{
    if (relay->step == 0)
        relay->step = interval;
    if (!unlike(interval, relay->step)) {
        relay->n_odd = 0;
        return;
    }
    relay->odd[relay->n_odd++] = (double)interval;
    if (relay->n_odd < ELEMENTSOF(relay->odd))
        return;
    relay->step = (usec_t)stats_median(relay->odd, relay->n_odd);
    relay->n_odd = 0;
}

/* A different process from the last sample's? Its start shows that; if it is not known, a peak that fell
 * does. The kernel's counters lag by some pages for each processor, so a fall of less than 3 % is none. A
 * start before the last sample is a clock that was set, not a restart. */
static bool restarted(const SeriesRelay *relay, usec_t time, const SampleRow *row)
{
    if (relay->since > 0 && row->since > 0) {
        usec_t difference = row->since > relay->since ? row->since - relay->since : relay->since - row->since;
        return difference > START_SLACK && later(row->since, START_SLACK) >= relay->time &&
               row->since <= time;
    }
    return row->memory.hwm < relay->hwm - relay->hwm / 32 && row->memory.hwm > 0;
}

static void add_event(Series *series, usec_t time, size_t relay, size_t track, bool moved)
{
    if (!in_window(series, time) || series->n_events == SERIES_EVENTS_MAX)
        return;
    GROW(series->events, series->events_capacity, series->n_events);
    series->events[series->n_events++] = (SeriesEvent){ time, relay, track, moved };
}

/* Ends the last sample and tells what happened between it and this one. */
static void step_over(Series *series, size_t index, usec_t time, const SampleRow *row, size_t track)
{
    SeriesRelay *relay = &series->relays[index];
    usec_t interval = time - relay->time, end = time;
    bool new_process = restarted(relay, time, row), new_track = track != relay->track;

    /* Without a known start a change of allocator is the only sign of the restart that it took. */
    if (new_track && (row->since == 0 || relay->since == 0) && track != SERIES_NONE &&
        relay->track != SERIES_NONE && series->tracks[track].key != series->tracks[relay->track].key &&
        !streq(series->keys[series->tracks[track].key].allocator,
               series->keys[series->tracks[relay->track].key].allocator))
        new_process = true;
    if (relay->step == 0)
        relay->step = interval;
    if (interval > GAP_STEPS * relay->step)
        end = relay->time + relay->step;
    if (new_process && row->since > relay->time)
        end = min_usec(end, row->since);
    close_sample(series, relay, end, time);
    learn_step(relay, interval);
    if (new_track && track != SERIES_NONE) {
        Track *t = &series->tracks[track];
        if (t->began == time && relay->track != SERIES_NONE) {
            t->has_before = true;
            t->before_rss = relay->rss;
            t->before_age = relay->time - min_usec(relay->start, relay->time);
        }
        if (relay->track != SERIES_NONE)
            add_event(series, time, index, track, true);
    }
    if (!new_process)
        return;
    relay->run++;
    relay->start = row->since > 0 ? row->since : time;
    if (track == SERIES_NONE || !in_window(series, time))
        return;
    if (new_track) {
        series->tracks[track].moves++;
        return;
    }
    series->tracks[track].restarts++;
    add_event(series, time, index, track, false);
}

/* The seconds between two times that lie in the time asked for. */
static double seconds_within(const Series *series, usec_t from, usec_t to)
{
    from = max_usec(from, series->options.since);
    to = min_usec(to, series->options.until);
    return to > from ? (double)(to - from) / (double)USEC_PER_SEC : 0;
}

/* What was said last stands until now, or is no longer known. */
static void hold_flags(const Series *series, SeriesRelay *relay, usec_t next)
{
    const bool other = relay->flags.run != relay->run;
    const usec_t end = flags_end(&relay->flags, next, relay->start, other, relay->step);

    flags_hold(&relay->flags, seconds_within(series, relay->flags.time, end));
}

static void look_at_flags(Series *series, SeriesRelay *relay, const SampleRow *row)
{
    const FlagLook look = { .time = relay->time,
                            .started = relay->start,
                            .run = relay->run,
                            .set = flags_from_text(row->flags),
                            .counts = in_window(series, relay->time) };
    FlagTally *tally = NULL;

    if (relay->flags.time > 0)
        hold_flags(series, relay, look.time);
    if (relay->track != SERIES_NONE) {
        Track *track = &series->tracks[relay->track];
        if (!track->flags)
            track->flags = xcalloc(1, sizeof(*track->flags));
        tally = track->flags;
    }
    flags_take(&relay->flags, tally, &look);
}

static void note_at(const Series *series, SeriesRelay *relay, usec_t time)
{
    const usec_t at = series->options.at;
    usec_t distance = time > at ? time - at : at - time;
    usec_t best = relay->at_time > at ? relay->at_time - at : at - relay->at_time;

    if (at == 0 || (relay->at_time != 0 && distance >= best))
        return;
    relay->at_time = time;
    relay->at_rss = relay->rss;
    relay->at_track = relay->track;
    relay->at_start = relay->start;
    relay->at_step = relay->step;
}

static int check_order(const SeriesRelay *relay, usec_t time, const SampleRow *row)
{
    if (relay->time == 0 || time > relay->time)
        return 0;
    if (time < relay->time)
        return -ESTALE;
    return row->memory.rss == relay->rss ? -EEXIST : -ENOTUNIQ;
}

/* The track that this sample belongs to. 0; -E2BIG. */
static int choose_track(Series *series, size_t relay, usec_t time, const SampleRow *row, size_t *ret)
{
    Span group = series->options.by_group ? row->group : (Span){ 0 };
    size_t track = series->relays[relay].track, key = SERIES_NONE;

    *ret = SERIES_NONE;
    if (series->options.allocator_required && row->allocator.n == 0)
        return 0;
    if (track != SERIES_NONE && key_equal(&series->keys[series->tracks[track].key], group, row)) {
        *ret = track;
        return 0;
    }
    key = find_key(series, group, row);
    if (key == SERIES_NONE && series->n_keys == SERIES_KEYS_MAX)
        return -E2BIG;
    if (key == SERIES_NONE)
        key = new_key(series, group, row);
    *ret = enter_track(series, relay, key, time);
    return 0;
}

int series_add(Series *series, size_t host, usec_t time, const SampleRow *row)
{
    assert(host < series->n_hosts);
    size_t index = find_relay(series, host, row), track;
    int r;

    if (index == SERIES_NONE) {
        if (series->n_relays == SERIES_RELAYS_MAX) {
            series->refused++;
            return -E2BIG;
        }
        index = new_relay(series, host, row);
    }
    learn_identity(series, index, host, row);
    series->hint = index;
    r = check_order(&series->relays[index], time, row);
    if (r < 0)
        return r;
    r = choose_track(series, index, time, row, &track);
    if (r < 0) {
        series->refused++;
        return r;
    }

    SeriesRelay *relay = &series->relays[index];
    if (relay->time > 0)
        step_over(series, index, time, row, track);
    else
        relay->start = row->since > 0 ? min_usec(row->since, time) : time;
    if (relay->first == 0)
        relay->first = time;
    relay->time = time;
    relay->since = row->since;
    relay->rss = row->memory.rss;
    relay->hwm = row->memory.hwm;
    relay->swap = row->memory.swap;
    relay->track = track;
    if (row->has_flags)
        look_at_flags(series, relay, row);
    note_at(series, relay, time);
    if (!in_window(series, time))
        return 0;
    series->samples++;
    series->first = series->first == 0 ? time : min_usec(series->first, time);
    series->last = max_usec(series->last, time);
    if (track == SERIES_NONE)
        series->unproved++;
    else
        series->tracks[track].samples++;
    return 0;
}

void series_finish(Series *series)
{
    for (size_t i = 0; i < series->n_relays; i++) {
        SeriesRelay *relay = &series->relays[i];
        usec_t end = later(relay->time, relay->step);
        close_sample(series, relay, end, end);
        if (relay->flags.time > 0)
            hold_flags(series, relay, end);
    }
}

bool series_is_current(const Series *series, const SeriesRelay *relay)
{
    const usec_t slack = relay->step > 0 ? 3 * relay->step : USEC_PER_HOUR;

    return relay->time + slack >= series->last;
}
