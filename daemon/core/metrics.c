/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/metrics.h"

#include <errno.h>
#include <inttypes.h>

#define FULL_IN_MAX 3650.0 /* days; beyond that nobody asks */

/* Label values escape backslash, quote and newline, and are UTF-8: the exporter refuses the whole file for
 * one that is not. */
static void write_label(FILE *f, const char *name, const char *value, bool first)
{
    _cleanup_(freep) char *text = printable(value ? value : "", SIZE_MAX);

    fprintf(f, "%s%s=\"", first ? "{" : ",", name);
    for (const char *p = text; *p; p++) {
        if (*p == '\n')
            fputs("\\n", f);
        else if (*p == '\\' || *p == '"')
            fprintf(f, "\\%c", *p);
        else
            fputc(*p, f);
    }
    fputc('"', f);
}

static void write_head(FILE *f, const char *name, const char *help)
{
    fprintf(f, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void write_labels(FILE *f, const char *name, const Sample *s)
{
    fputs(name, f);
    write_label(f, "relay", s->relay, true);
    write_label(f, "group", s->group, false);
    write_label(f, "allocator", s->allocator, false);
    write_label(f, "version", s->version, false);
    fputs("} ", f);
}

static void write_bytes(FILE *f, const MetricsRelay *relays, size_t n, const char *name, const char *help,
                        size_t offset)
{
    write_head(f, name, help);
    for (size_t i = 0; i < n; i++) {
        uint64_t value;

        if (!relays[i].up)
            continue;
        memcpy(&value, (const char *)&relays[i].sample.memory + offset, sizeof(value));
        write_labels(f, name, &relays[i].sample);
        fprintf(f, "%" PRIu64 "\n", value);
    }
}

static void write_relays(FILE *f, const MetricsRelay *relays, size_t n)
{
    write_bytes(f, relays, n, "relayalloc_relay_resident_bytes", "Resident memory (VmRSS).",
                offsetof(Memory, rss));
    write_bytes(f, relays, n, "relayalloc_relay_anonymous_bytes", "Resident anonymous memory (RssAnon).",
                offsetof(Memory, anon));
    write_bytes(f, relays, n, "relayalloc_relay_swap_bytes", "Memory swapped out (VmSwap).",
                offsetof(Memory, swap));
    write_bytes(f, relays, n, "relayalloc_relay_resident_peak_bytes", "Peak of resident memory (VmHWM).",
                offsetof(Memory, hwm));
    write_head(f, "relayalloc_relay_start_time_seconds", "Start of the relay's process since 1970.");
    for (size_t i = 0; i < n; i++) {
        if (!relays[i].up)
            continue;
        write_labels(f, "relayalloc_relay_start_time_seconds", &relays[i].sample);
        fprintf(f, "%.3f\n", (double)relays[i].sample.since / (double)USEC_PER_SEC);
    }
    write_head(f, "relayalloc_relay_state", "1 for the state that the relay is in.");
    for (size_t i = 0; i < n; i++) {
        fputs("relayalloc_relay_state", f);
        write_label(f, "relay", relays[i].sample.relay, true);
        write_label(f, "group", relays[i].sample.group, false);
        write_label(f, "state", relays[i].state, false);
        fputs("} 1\n", f);
    }
}

static void write_info(FILE *f, const MetricsRelay *relays, size_t n)
{
    write_head(f, "relayalloc_relay_info",
               "1; what the relay is, what it is assigned, and what it runs (proved).");
    for (size_t i = 0; i < n; i++) {
        const MetricsRelay *relay = &relays[i];

        fputs("relayalloc_relay_info", f);
        write_label(f, "relay", relay->sample.relay, true);
        write_label(f, "unit", relay->unit, false);
        write_label(f, "group", relay->sample.group, false);
        write_label(f, "assigned", relay->assigned, false);
        write_label(f, "allocator", relay->up ? relay->sample.allocator : "", false);
        write_label(f, "version", relay->up ? relay->sample.version : "", false);
        write_label(f, "fingerprint", relay->fingerprint, false);
        fputs("} 1\n", f);
    }
}

/* What relays say of themselves: only of those that are up and have said it. */
static void write_told(FILE *f, const MetricsRelay *relays, size_t n)
{
    write_head(f, "relayalloc_relay_bootstrap_ratio",
               "How far the relay is bootstrapped, as it says itself; 1: it is ready.");
    for (size_t i = 0; i < n; i++) {
        if (!relays[i].up || relays[i].bootstrap < 0)
            continue;
        fputs("relayalloc_relay_bootstrap_ratio", f);
        write_label(f, "relay", relays[i].sample.relay, true);
        write_label(f, "group", relays[i].sample.group, false);
        fprintf(f, "} %.2f\n", relays[i].bootstrap / 100.0);
    }
    write_head(f, "relayalloc_relay_flags_info",
               "1; the flags of the relay's entry in the consensus, as it says itself; none: it is in no "
               "consensus.");
    for (size_t i = 0; i < n; i++) {
        if (!relays[i].up || !relays[i].flags)
            continue;
        fputs("relayalloc_relay_flags_info", f);
        write_label(f, "relay", relays[i].sample.relay, true);
        write_label(f, "group", relays[i].sample.group, false);
        write_label(f, "flags", relays[i].flags, false);
        fputs("} 1\n", f);
    }
}

/* Is the same written for a relay before it? */
static bool allocator_written(const MetricsRelay *relays, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (relays[k].up && streq(relays[k].sample.allocator, relays[i].sample.allocator) &&
            streq(relays[k].sample.version, relays[i].sample.version))
            return true;
    return false;
}

static void write_allocators(FILE *f, const MetricsRelay *relays, size_t n)
{
    write_head(f, "relayalloc_allocator_suspect",
               "1 if this version was measured to grow under tor, or has not been measured although one near "
               "it grows.");
    for (size_t i = 0; i < n; i++) {
        if (!relays[i].up || isempty(relays[i].sample.allocator) || allocator_written(relays, i))
            continue;
        fputs("relayalloc_allocator_suspect", f);
        write_label(f, "allocator", relays[i].sample.allocator, true);
        write_label(f, "version", relays[i].sample.version, false);
        fprintf(f, "} %d\n", relays[i].suspect);
    }
}

static void write_flag(FILE *f, const char *name, const char *help, bool value)
{
    write_head(f, name, help);
    fprintf(f, "%s %d\n", name, value);
}

static void write_seconds(FILE *f, const char *name, const char *help, usec_t value)
{
    write_head(f, name, help);
    fprintf(f, "%s %.3f\n", name, (double)value / (double)USEC_PER_SEC);
}

static void write_rollout(FILE *f, const MetricsHost *host)
{
    static const char *const states[] = { "idle",   "running", "waiting", "paused",
                                          "ending", "halted",  "aborted" };
    const size_t over = host->done + host->skipped + host->failed;
    const struct {
        const char *name;
        size_t n;
    } results[] = {
        { "done", host->done },
        { "skipped", host->skipped },
        { "failed", host->failed },
        { "pending", host->total > over ? host->total - over : 0 },
    };

    write_head(f, "relayalloc_rollout_state", "1 for the state that the rollout is in, 0 for each other.");
    for (size_t i = 0; i < ELEMENTSOF(states); i++)
        fprintf(f, "relayalloc_rollout_state{state=\"%s\"} %d\n", states[i],
                streq_null(states[i], host->rollout));
    write_head(f, "relayalloc_rollout_relays",
               "Relays of the rollout in progress, or else of the last one, by how it went.");
    for (size_t i = 0; i < ELEMENTSOF(results); i++)
        fprintf(f, "relayalloc_rollout_relays{result=\"%s\"} %zu\n", results[i].name, results[i].n);
}

static void write_host(FILE *f, const MetricsHost *host)
{
    write_head(f, "relayalloc_build_info", "1; the version of the daemon.");
    fputs("relayalloc_build_info", f);
    write_label(f, "version", host->version, true);
    fputs("} 1\n", f);
    write_flag(f, "relayalloc_config_last_reload_successful",
               "1 if the configuration was valid when it was last read.", host->config_valid);
    write_seconds(f, "relayalloc_config_last_reload_success_timestamp_seconds",
                  "When a valid configuration was last read, since 1970.", host->config_read);
    write_flag(f, "relayalloc_state_last_save_successful",
               "1 if what must outlive a crash could be saved the last time.", host->state_saved);
    write_rollout(f, host);
    write_head(f, "relayalloc_memory_growth_bytes_per_day",
               "Growth of the relays over the last one or two days; 0 when less is known.");
    fprintf(f, "relayalloc_memory_growth_bytes_per_day %.0f\n", host->growth);
    if (host->full_in > 0 && host->full_in < FULL_IN_MAX)
        write_seconds(f, "relayalloc_memory_full_in_seconds",
                      "When MemAvailable would be used up at that growth.",
                      (usec_t)(host->full_in * (double)USEC_PER_DAY));
    write_seconds(f, "relayalloc_sample_interval_seconds", "Time between two samples.", host->interval);
    write_seconds(f, "relayalloc_sample_time_seconds", "When these numbers were read, since 1970.",
                  host->now);
}

void metrics_write(FILE *f, const MetricsHost *host, const MetricsRelay *relays, size_t n)
{
    write_host(f, host);
    write_allocators(f, relays, n);
    write_info(f, relays, n);
    write_relays(f, relays, n);
    write_told(f, relays, n);
}

#define RESTART "\"systemctl restart relayallocd\", which restarts no relay"

/* A directory that is not there when the daemon starts cannot be in its mount namespace (ReadWritePaths= of
 * systemd.exec(5)), and everything else is read-only in it. */
static char *failure_reason(const char *directory, int error)
{
    switch (error) {
    case -ENOENT:
        return xasprintf("there is no directory %s; create it, then run " RESTART, directory);
    case -EROFS:
        if (streq(directory, METRICS_DIRECTORY))
            return xasprintf("%s was created after relayallocd started, and its sandbox does not let it "
                             "write there yet; run " RESTART,
                             directory);
        return xasprintf(
            "the sandbox of relayallocd does not let it write to %s; run \"systemctl edit relayallocd\", add "
            "the lines \"[Service]\" and \"ReadWritePaths=%s\", then run " RESTART,
            directory, directory);
    case -ELOOP:
        return xasprintf("its path has a link that users other than root could change; write the path "
                         "without links in metrics.textfile (\"realpath %s\" shows it)",
                         directory);
    default:
        return xstrdup(strerror(-error));
    }
}

char *metrics_failure(const char *path, int error)
{
    const char *slash = strrchr(path, '/');
    _cleanup_(freep) char *directory = xstrndup(path, slash > path ? (size_t)(slash - path) : 1);
    _cleanup_(freep) char *reason = failure_reason(directory, error);

    return xasprintf("cannot write %s: %s", path, reason);
}

bool metrics_may_be_written(const char *path, char *const *writable)
{
    STRV_FOREACH (entry, writable) {
        const char *directory = *entry + strspn(*entry, "-+"); /* may be missing; below RootDirectory= */
        size_t n = strlen(directory);
        while (n > 0 && directory[n - 1] == '/')
            n--;
        if (strncmp(path, directory, n) == 0 && path[n] == '/')
            return true;
    }
    return false;
}
