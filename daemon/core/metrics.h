/* SPDX-License-Identifier: BSD-3-Clause */
/* The relays' numbers in Prometheus' text format (the exposition format 0.0.4, for the textfile collector of
 * node_exporter). Pure. */
#pragma once

#include "core/sample.h"

typedef struct MetricsRelay {
    Sample sample; /* relay and group always; the rest only counts when it is up */
    const char *unit;
    const char *assigned;    /* the allocator that the configuration assigns; "" none */
    const char *fingerprint; /* "" not known */
    const char *state;       /* the state word */
    bool up;
    bool suspect; /* known_warning() of what it runs */
    /* What it says of itself, as far as it is asked. */
    int bootstrap;     /* percent; -1: not known */
    const char *flags; /* of its consensus entry, "Fast,Guard,Running"; "": it is in none; NULL: not known */
} MetricsRelay;

typedef struct MetricsHost {
    const char *version; /* of the daemon */
    bool config_valid;   /* the file was read without a problem when it was last read */
    usec_t config_read;  /* realtime: when it last was */
    bool state_saved;
    const char *rollout;                 /* "idle", "running", … as `relayallocctl status` has it */
    size_t total, done, skipped, failed; /* relays of the rollout in progress, else of the last one */
    double full_in, growth; /* days until memory is used up (INFINITY: not known, or never); bytes a day */
    usec_t interval;        /* of samples */
    usec_t now;             /* realtime of the last one */
} MetricsHost;

/* All are gauges. Of the host:
 *   relayalloc_build_info{version}, relayalloc_config_last_reload_successful,
 *   relayalloc_config_last_reload_success_timestamp_seconds, relayalloc_state_last_save_successful,
 *   relayalloc_sample_{time,interval}_seconds,
 *   relayalloc_memory_growth_bytes_per_day of all relays, and, when memory would be used up at that growth,
 *   relayalloc_memory_full_in_seconds,
 *   relayalloc_rollout_state{state}: 1 for the one it is in, 0 for each other,
 *   relayalloc_rollout_relays{result="done|skipped|failed|pending"},
 *   relayalloc_allocator_suspect{allocator,version}: 0 or 1, of each that a relay runs.
 * Of a relay that is up, labelled relay, group, allocator, version:
 *   relayalloc_relay_{resident,anonymous,swap,resident_peak}_bytes, relayalloc_relay_start_time_seconds.
 * Of every relay:
 *   relayalloc_relay_state{relay,group,state}: 1, for the state that it is in,
 *   relayalloc_relay_info{relay,unit,group,assigned,allocator,version,fingerprint}: 1.
 * Of a relay that is up and has told it:
 *   relayalloc_relay_bootstrap_ratio{relay,group}: 0 to 1,
 *   relayalloc_relay_flags_info{relay,group,flags}: 1; all flags in one label, since a series for each of
 * them would be more than all others together. That is nine series a relay and some 25 a host. */
void metrics_write(FILE *f, const MetricsHost *host, const MetricsRelay *relays, size_t n);

/* The directory that the unit of the daemon lets it write to, if it is there when the daemon starts: the one
 * of Debian's node exporter. */
#define METRICS_DIRECTORY "/var/lib/prometheus/node-exporter"

/* Why the file at `path`, an absolute one, could not be written (a negative errno of io/metrics-file), and
 * which command helps, if one does; a sentence. Owned by the caller. */
char *metrics_failure(const char *path, int error);

/* May a unit with ProtectSystem=strict and these ReadWritePaths= (systemd.exec(5), a strv, as systemd shows
 * them) write the file at `path`? */
bool metrics_may_be_written(const char *path, char *const *writable);
