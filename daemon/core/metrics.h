/* SPDX-License-Identifier: BSD-3-Clause */
/* The relays' numbers in Prometheus' text format (the exposition format 0.0.4, for the textfile collector of
 * node_exporter). Pure. */
#pragma once

#include "core/sample.h"

typedef struct MetricsRelay {
    Sample sample;     /* memory and since only count when it is up */
    const char *state; /* the state word */
    bool up;
} MetricsRelay;

/* Gauges relayalloc_relay_{resident,anonymous,swap,resident_peak}_bytes, relayalloc_relay_start_time_seconds
 * and relayalloc_relay_state, labelled relay, group, allocator, version (state: relay, group, state). A relay
 * that is down has a state only. Sampled at `now` (µs realtime): relayalloc_sample_time_seconds. */
void metrics_write(FILE *f, const MetricsRelay *relays, size_t n, usec_t now);

/* The directory that the unit of the daemon lets it write to, if it is there when the daemon starts: the one
 * of Debian's node exporter. */
#define METRICS_DIRECTORY "/var/lib/prometheus/node-exporter"

/* Why the file at `path`, an absolute one, could not be written (a negative errno of io/metrics-file), and
 * which command helps, if one does; a sentence. Owned by the caller. */
char *metrics_failure(const char *path, int error);

/* May a unit with ProtectSystem=strict and these ReadWritePaths= (systemd.exec(5), a strv, as systemd shows
 * them) write the file at `path`? */
bool metrics_may_be_written(const char *path, char *const *writable);
