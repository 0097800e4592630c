/* SPDX-License-Identifier: BSD-3-Clause */
/* Folds a stream of samples into what a report needs, without keeping them: for each relay under each
 * allocator (a track) the exact time-weighted sum, what was left out and why, and means by slice of time for
 * slopes and charts. 200 relays for 30 days are 8.6 million samples and a few MiB here. Pure.
 *
 * A sample stands for the time to the relay's next sample, but for no more than one step when the next one is
 * further than three steps away, and not beyond the end of its process. A step is the relay's usual interval
 * of sampling; it changes when seven intervals in a row are unlike it.
 *
 * A relay is identified by its fingerprint if a sample has one, whatever its name and its host; else by its
 * name on its host. Samples without one before the first with one, and in between, are the same relay's as
 * long as no other has had that name there. */
#pragma once

#include "core/sample.h"
#include "report/flags.h"

#define SERIES_NONE SIZE_MAX
/* More than any fleet has; beyond that samples are refused, so that a hostile file cannot fill the memory. */
#define SERIES_RELAYS_MAX 20000
#define SERIES_KEYS_MAX 4096
#define SERIES_EVENTS_MAX 5000
#define SERIES_DAYS_MAX 1000000
/* This many intervals in a row make a new step: more than a few manual collections. */
#define SERIES_ODD_STEPS 7

typedef struct SeriesOptions {
    usec_t since, until;     /* what is counted, realtime; 0 and USEC_INFINITY: everything */
    usec_t warmup;           /* left out after each start of a process */
    usec_t step;             /* the usual interval, for a relay's first samples; 0: its first interval */
    usec_t slice;            /* width of a slice; 0: one minute */
    usec_t at;               /* also remember each relay's sample nearest to this time; 0: do not */
    bool by_group;           /* samples of different groups are kept apart */
    bool by_host;            /* with by_group: the caller gives hosts for groups */
    bool allocator_required; /* samples of which no allocator was proved belong nowhere */
} SeriesOptions;

/* What a track is about. Never NULL; "" where it does not apply or is not known. */
typedef struct SeriesKey {
    char *group, *allocator, *version;
} SeriesKey;

typedef struct Slice {
    double sum;     /* bytes · s */
    double moment;  /* Σ of (time of the sample, in s) · s: sum of weights times when */
    double seconds; /* that samples in it stand for; a double, because it divides times since 1970 */
    uint32_t run;   /* changes when the process does */
    uint32_t index;
    bool warm; /* within the warm-up */
} Slice;

typedef struct Track {
    size_t relay, key;
    size_t next;         /* of the same relay; SERIES_NONE: the last */
    uint64_t samples;    /* within the time asked for */
    double sum;          /* bytes · s, counted */
    usec_t counted;      /* time counted */
    usec_t warm;         /* left out as warm-up */
    usec_t gap;          /* without samples */
    usec_t first, last;  /* begin and end of what was counted; 0: nothing */
    unsigned restarts;   /* without those that changed the key: */
    unsigned moves;      /* starts of a process that began it, or came back to it */
    usec_t began;        /* its first sample */
    bool has_before;     /* the relay ran under another key before: */
    uint64_t before_rss; /* its memory then, */
    usec_t before_age;   /* and how long its process had run */
    Slice *slices;       /* in order of time */
    size_t n_slices, capacity;
    FlagTally *flags; /* NULL: they were never told */
} Track;

typedef struct SeriesRelay {
    char *name;        /* the last that it had */
    char *fingerprint; /* NULL: never known */
    size_t host;       /* the last that it was on */
    size_t tracks;     /* the first; SERIES_NONE */
    usec_t first;      /* its first sample */
    /* its last sample */
    usec_t time, since;
    uint64_t rss, hwm, swap;
    size_t track; /* SERIES_NONE: no allocator proved */
    usec_t start; /* of the process; where since is not known, of its first sample */
    uint32_t run;
    FlagWatch flags;          /* its last look at them */
    size_t first_day, n_days; /* in the series' days, once they are settled */
    /* the usual interval */
    usec_t step;
    double odd[SERIES_ODD_STEPS];
    unsigned n_odd;
    /* the sample nearest to options.at */
    usec_t at_time, at_start; /* 0: none */
    uint64_t at_rss;
    size_t at_track;
    usec_t at_step;
} SeriesRelay;

typedef struct SeriesEvent {
    usec_t time;
    size_t relay, track;
    bool moved; /* it runs under another key now; else a restart */
} SeriesEvent;

/* What a relay moved, of a day most often. */
typedef struct SeriesDay {
    size_t relay;
    usec_t from, to;
    double moved; /* bytes */
    size_t track; /* what it ran then; SERIES_NONE: several, or it is not known */
    bool warm;    /* within the warm-up, or a part of it */
} SeriesDay;

typedef struct Series {
    SeriesOptions options;
    char **hosts;
    SeriesKey *keys;
    SeriesRelay *relays;
    Track *tracks;
    SeriesEvent *events;
    SeriesDay *days;   /* by relay and time */
    bool only_written; /* that is what they tell; else read and written together */
    size_t n_hosts, hosts_capacity, n_keys, keys_capacity, n_relays, relays_capacity, n_tracks,
        tracks_capacity, n_events, events_capacity, n_days, days_capacity;
    size_t *buckets; /* of relays, by hash of each name and fingerprint that they had; a power of two */
    size_t n_buckets, n_entered;
    size_t hint;        /* the relay found last */
    bool names_shared;  /* two relays of a host had one name, at some time */
    uint64_t samples;   /* added, within the time asked for */
    uint64_t unproved;  /* of them without an allocator where one is required */
    usec_t first, last; /* times of samples within the time asked for; 0: none */
    uint64_t refused;   /* beyond the bounds above */
} Series;

void series_init(Series *series, const SeriesOptions *options);
void series_clear(Series *series);

/* The number of a host, new when the name is. */
size_t series_host(Series *series, const char *name);

/* Adds one sample; those of a relay in order of time. 0; -EEXIST: this very sample is there already;
 * -ENOTUNIQ: another value for the same relay and time; -ESTALE: older than the relay's last; -E2BIG. In
 * these cases nothing changes. */
int series_add(Series *series, size_t host, usec_t time, const SampleRow *row);

/* Counts the last samples for one step. After it no sample is added. */
void series_finish(Series *series);

/* Adds what a relay moved from `from` to `to`; in any order. 0; -EINVAL: no such time; -E2BIG. */
int series_add_day(Series *series, size_t relay, usec_t from, usec_t to, double moved);
/* Finds out what was run on each day, when samples and days are all there. A day that was added twice counts
 * once. */
void series_settle_days(Series *series);

/* The relay that a row of that host is about: that of its fingerprint where it tells one, else the only one
 * of its name on the host; SERIES_NONE: none that was seen, or not the only one. */
size_t series_find(const Series *series, size_t host, const SampleRow *row);

/* The relay's name, with its host before it ("host/name") where there are several, and the first digits of
 * its fingerprint behind it ("name (A6A3A450)") where another has the same. Owned by the caller. */
char *series_relay_name(const Series *series, size_t relay);

/* Does another relay on its host have the same name now? */
bool series_name_shared(const Series *series, size_t relay);
/* Was it sampled at the end, within three steps of the last sample? (one that has a single sample, and so no
 * step: within an hour) */
bool series_is_current(const Series *series, const SeriesRelay *relay);
