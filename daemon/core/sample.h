/* SPDX-License-Identifier: BSD-3-Clause */
/* One measurement of one relay, and how it is written to the journal: as an entry of its own (fields) or as a
 * row of a fleet entry (one text field, RELAYALLOC_FLEET, one line per relay). Pure. */
#pragma once

#include "core/rss.h"

/* The row format of RELAYALLOC_FLEET, one line a relay, columns separated by one tab, "-" for none:
 *   relay group allocator version since rss anon swap hwm [bootstrap flags fingerprint]
 * since in µs of CLOCK_REALTIME. The four amounts are bytes, or KiB with a "k" behind them ("13312k"); with a
 * sign, which anon and hwm may have, so much less or more than rss ("-6300k", "+120k"). Earlier versions
 * wrote bytes throughout: readers take both. Names cannot contain tabs or newlines (core/relay). The last
 * three are there when one of them is known; "." are the flags of a relay that is in no consensus. A reader
 * accepts lines with more columns (a later version) and ignores what it does not know. */
typedef struct Sample {
    const char *relay;
    const char *group;     /* NULL or "": observed, in no group */
    const char *allocator; /* what runs, proved: name in the configuration ("mimalloc-tuned"), or the family;
                              "" : unknown */
    const char *version;   /* "2.0.9"; "" unknown */
    usec_t since;          /* realtime start of the process, so that a reader sees restarts */
    Memory memory;
    /* What the relay says of itself. How long it has been up is the sample's time less `since`. */
    bool has_bootstrap;
    unsigned bootstrap;      /* percent */
    const char *flags;       /* of its consensus entry, "Fast,Guard,Running"; "": it is in no consensus; NULL:
                                not asked since the last sample */
    const char *fingerprint; /* NULL or "": not known, or told before */
} Sample;

/* When the next sample is due: at a whole multiple of the interval since 1970, so that hosts and days line
 * up, and always later than `now` (all in µs realtime). */
usec_t sample_next_beat(usec_t now, usec_t interval);

/* Appends one row, newline included. */
void sample_write_row(FILE *f, const Sample *sample);

/* A sample as it is read, in spans of the text. */
typedef struct SampleRow {
    Span relay, group, allocator, version; /* n == 0: none */
    usec_t since;
    Memory memory;
    Span fingerprint; /* 40 hexadecimal digits in capitals; n == 0: not known, or not told this time */
    bool has_bootstrap, has_flags; /* it told them this time */
    unsigned bootstrap;            /* percent */
    Span flags; /* letters, digits, commas: "Fast,Guard,Running"; n == 0: it is in no consensus */
} SampleRow;

/* Takes over what a sample says of these, where it is well formed; nothing else of a sample depends on it. */
void sample_take_bootstrap(SampleRow *row, Span text);
void sample_take_flags(SampleRow *row, Span text);
void sample_take_fingerprint(SampleRow *row, Span text);

/* Parses the row at *cursor in text that ends at `end`, without copying. Made to be fast: 200 relays × 30
 * days are 8.6 million rows. 1: a row, *cursor after it; 0: the end; -EINVAL: malformed, *cursor after that
 * line. */
int sample_read_row(const char **cursor, const char *end, SampleRow *ret);

/* "relay7: 1.16 GiB resident, mimalloc 2.0.9, group B" */
char *sample_sentence(const Sample *sample);
/* "40 relays: 61.2 GiB resident" */
char *sample_fleet_sentence(size_t relays, uint64_t rss);
