/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/metrics.h"

#include <errno.h>
#include <inttypes.h>

/* Label values escape backslash, quote and newline; names cannot contain newlines (core/relay), but groups
 * might. */
static void write_label(FILE *f, const char *name, const char *value, bool first)
{
    fprintf(f, "%s%s=\"", first ? "{" : ",", name);
    for (const char *p = value ? value : ""; *p; p++) {
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

void metrics_write(FILE *f, const MetricsRelay *relays, size_t n, usec_t now)
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
    write_head(f, "relayalloc_sample_time_seconds", "When these numbers were read, since 1970.");
    fprintf(f, "relayalloc_sample_time_seconds %.3f\n", (double)now / (double)USEC_PER_SEC);
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
