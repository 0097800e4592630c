/* SPDX-License-Identifier: BSD-3-Clause */
/* doctor's judgements about the host. Must never report anything about a host on which all is well. */
#include "doctor/doctor.h"

#include "core/timestamp.h"

#include <inttypes.h>
#include <regex.h>

#define GIB (UINT64_C(1) << 30)

bool doctor_system_preload(const char *entry, Finding *ret)
{
    if (isempty(entry))
        return false;
    *ret = (Finding){
        .id = "system-preload",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("/etc/ld.so.preload loads %s, an allocator, into every process", entry),
        .why = xstrdup("It serves malloc in every relay that preloads nothing else: none of them runs on "
                       "glibc's allocator, so there is no glibc group to compare with."),
        .advice = xstrdup("Remove it from that file. That takes effect for each process at its next start."),
    };
    return true;
}

bool doctor_host_setting(const char *setting, Finding *ret)
{
    int n = (int)strcspn(setting, "=");

    *ret = (Finding){
        .id = "host-environment",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("systemd gives %s to every service", setting),
        .why =
            xstrdup("Every relay gets it whose group does not set the same variable. It changes what an "
                    "allocator does, so that groups are not compared as the configuration describes them."),
        .advice =
            xasprintf("Remove it now with\n  systemctl unset-environment %.*s\n"
                      "and from DefaultEnvironment= in /etc/systemd/system.conf and system.conf.d, if it "
                      "is there, followed by\n  systemctl daemon-reexec\n"
                      "It takes effect for each relay at its next restart.",
                      n, setting),
    };
    return true;
}

bool doctor_hugepages(const char *enabled, Finding *ret)
{
    if (!enabled || !strstr(enabled, "[always]"))
        return false;
    *ret = (Finding){
        .id = "huge-pages",
        .severity = SEVERITY_WARNING,
        .what = xstrdup("transparent huge pages are set to \"always\""),
        .why = xstrdup(
            "The kernel then backs the large areas that allocators reserve with pages of 2 MiB, used or not, "
            "and undoes their attempts to return memory. That costs memory and distorts every comparison."),
        .advice = xstrdup(
            "Set it to \"madvise\" now with\n  echo madvise >/sys/kernel/mm/transparent_hugepage/enabled\n"
            "and for every boot with this line in /etc/tmpfiles.d/transparent-hugepages.conf\n"
            "  w /sys/kernel/mm/transparent_hugepage/enabled - - - - madvise\n"
            "It takes effect for each relay at its next restart."),
    };
    return true;
}

/* compute_real_max_mem_in_queues() of tor, for 64-bit hosts. */
uint64_t doctor_max_mem_in_queues(uint64_t configured, uint64_t memory)
{
    if (configured > 0)
        return configured;
    uint64_t v = memory >= 8 * GIB ? memory / 5 * 2 : memory / 4 * 3;
    return v > 8 * GIB ? 8 * GIB : v < GIB / 4 ? GIB / 4 : v;
}

bool doctor_queues(const uint64_t *configured, size_t n, uint64_t memory, Finding *ret)
{
    char sum_text[FORMAT_BYTES_MAX], memory_text[FORMAT_BYTES_MAX];
    uint64_t sum = 0;
    size_t defaults = 0;

    for (size_t i = 0; i < n; i++) {
        uint64_t v = doctor_max_mem_in_queues(configured[i], memory);
        sum = v > UINT64_MAX - sum ? UINT64_MAX : sum + v;
        defaults += configured[i] == 0;
    }
    if (memory == 0 || sum <= memory)
        return false;
    *ret = (Finding){
        .id = "queues-too-big",
        .severity = SEVERITY_WARNING,
        .what =
            xasprintf("MaxMemInQueues of the %zu relays is %s in all, more than the %s that this host has", n,
                      format_bytes(sum_text, sum), format_bytes(memory_text, memory)),
        .why = xasprintf("Each relay frees memory under pressure only when its own queues exceed that limit. "
                         "Together they can fill the host first, and then the kernel kills one. %zu of them "
                         "leave it to tor, which allows each a share of the whole host.",
                         defaults),
        .advice = xasprintf("Set it in the torrc of each relay, to no more than\n  MaxMemInQueues %" PRIu64
                            " MB\nwhich takes effect on reload.",
                            memory / 4 * 3 / n >> 20),
    };
    return true;
}

/* Measured: an entry with its fields and index, and a row of a fleet entry, which journald compresses. */
#define ENTRY_BYTES 700
#define FLEET_ENTRY_BYTES 1200
#define FLEET_ROW_BYTES 40

/* Roughly the bytes that a day of samples takes in the journal. */
static uint64_t journal_bytes_a_day(const JournalFacts *facts)
{
    uint64_t samples = facts->interval > 0 ? USEC_PER_DAY / facts->interval : 0;

    return samples *
           (facts->fleet ? FLEET_ENTRY_BYTES + FLEET_ROW_BYTES * facts->relays : ENTRY_BYTES * facts->relays);
}

static Finding journal_in_memory(void)
{
    return (Finding){
        .id = "journal-in-memory",
        .what = xstrdup("the journal is kept in memory and is lost at the next boot"),
        .why = xstrdup(
            "The samples are in the journal, so reports and the history of a relay start over at each boot."),
        .advice = xstrdup("Keep it on disk: create /var/log/journal, or set Storage=persistent in "
                          "/etc/systemd/journald.conf, and then\n  systemctl restart systemd-journald"),
    };
}

static Finding journal_short_of_space(const JournalFacts *facts, uint64_t a_day)
{
    char day[FORMAT_BYTES_MAX], space[FORMAT_BYTES_MAX];

    return (Finding){
        .id = "journal-too-small",
        .why = xasprintf("The samples of %zu relays take about %s a day, and journald may use %s for "
                         "everything that it keeps. A comparison of allocators needs %d days.",
                         facts->relays, format_bytes(day, a_day), format_bytes(space, facts->space),
                         DOCTOR_JOURNAL_DAYS),
        .advice = xasprintf(
            "Give it more space with a file such as /etc/systemd/journald.conf.d/relayalloc.conf\n"
            "  [Journal]\n  SystemMaxUse=%" PRIu64 "M\nand then\n  systemctl restart systemd-journald\n"
            "%sxport the samples in time (\"relayallocctl export\").",
            a_day * (DOCTOR_JOURNAL_DAYS + 7) / (1 << 20) + 64,
            facts->fleet ? "Or e" : "Or set sample.entry = \"fleet\", which takes far less, or e"),
    };
}

static Finding journal_short_of_time(void)
{
    return (Finding){
        .id = "journal-too-small",
        .why =
            xasprintf("MaxRetentionSec= of journald is that short. A comparison of allocators needs %d days.",
                      DOCTOR_JOURNAL_DAYS),
        .advice = xstrdup(
            "Set a longer MaxRetentionSec= in /etc/systemd/journald.conf, and then\n  systemctl restart "
            "systemd-journald"),
    };
}

bool doctor_journal(const JournalFacts *facts, Finding *ret)
{
    uint64_t a_day = journal_bytes_a_day(facts);

    if (a_day == 0)
        return false;
    uint64_t by_space = facts->space / a_day;
    uint64_t by_time = facts->retention == USEC_INFINITY ? UINT64_MAX : facts->retention / USEC_PER_DAY;
    uint64_t days = by_space < by_time ? by_space : by_time;
    if (facts->persistent && days >= DOCTOR_JOURNAL_DAYS)
        return false;
    if (!facts->persistent)
        *ret = journal_in_memory();
    else
        *ret = by_space <= by_time ? journal_short_of_space(facts, a_day) : journal_short_of_time();
    ret->severity = SEVERITY_WARNING;
    if (!ret->what)
        ret->what = days == 0 ? xstrdup("the journal keeps less than a day of samples")
                              : xasprintf("the journal keeps %" PRIu64 " day%s of samples", days,
                                          days > 1 ? "s" : "");
    return true;
}

bool doctor_needrestart(char mode, bool spared, Finding *ret)
{
    if (mode != 'a' || spared)
        return false;
    *ret = (Finding){
        .id = "needrestart",
        .severity = SEVERITY_WARNING,
        .what = xstrdup("needrestart restarts services on its own, including the relays"),
        .why = xstrdup("An upgrade of an allocator, or of any other library that tor uses, would restart all "
                       "relays at once, outside rollout.window and without waiting for any of them."),
        .advice = xstrdup("Exclude the relays, and restart them at your own pace, with this line in "
                          "/etc/needrestart/conf.d/relayalloc.conf\n"
                          "  $nrconf{override_rc}{qr(^tor@)} = 0;"),
    };
    return true;
}

/* unattended-upgrades matches its expressions at the beginning of the package's name (Python's re.match). */
static bool blacklisted(const char *pattern, const char *package)
{
    regmatch_t match;
    regex_t regex;

    if (regcomp(&regex, pattern, REG_EXTENDED) != 0)
        return false;
    bool found = regexec(&regex, package, 1, &match, 0) == 0 && match.rm_so == 0;
    regfree(&regex);
    return found;
}

bool doctor_upgrades(bool enabled, char *const *blacklist, Finding *ret)
{
    STRV_FOREACH (pattern, blacklist)
        enabled = enabled && !blacklisted(*pattern, "tor");
    if (!enabled)
        return false;
    *ret = (Finding){
        .id = "unattended-upgrades",
        .severity = SEVERITY_NOTE,
        .what = xstrdup("unattended-upgrades may upgrade tor, which restarts all relays at once"),
        .why = xstrdup("No relay loses its allocator because of that, and each is proved again, but all are "
                       "down at the same time, and a comparison starts over with each restart."),
        .advice = xstrdup("Fast security upgrades may be worth that. To choose the time yourself, put this "
                          "line in /etc/apt/apt.conf.d/52relayalloc\n"
                          "  Unattended-Upgrade::Package-Blacklist { \"tor$\"; };\n"
                          "and then upgrade tor soon after each of its releases."),
    };
    return true;
}

bool doctor_unit_files(const char *directory, bool read_only, Finding *ret)
{
    if (!read_only)
        return false;
    *ret = (Finding){
        .id = "unit-files-read-only",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("%s is on a read-only file system", directory),
        .why = xstrdup("The drop-ins that choose a relay's allocator are written there. As long as it is "
                       "read-only, no relay can be moved or taken back, and a rollout halts at its first "
                       "write."),
        .advice =
            xasprintf("See where it is mounted with\n  findmnt --target %s\nand make it writable with\n"
                      "  mount -o remount,rw MOUNTPOINT\n"
                      "If the kernel made it read-only after an error of the disk, the journal says so: "
                      "\n  journalctl -k -g 'read-only'\n"
                      "If /etc belongs to the system's image, this host cannot be managed that way.",
                      directory),
    };
    return true;
}

/* Of any other type systemd ends a start after a time, and the daemon does not run it (core/gate). */
bool doctor_gate(const char *unit, const char *type, const char *timeout, Finding *ret)
{
    usec_t limit = 0;

    if (!type || !streq(type, "oneshot") || (timeout && timespan_parse(timeout, &limit) >= 0 && limit > 0))
        return false;
    *ret = (Finding){
        .id = "gate-endless",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("%s, the gate of rollouts (rollout.gate), has no time limit", unit),
        .why = xstrdup(
            "systemd lets a oneshot service run for as long as it likes. If it hangs, the rollout waits "
            "for it without end, instead of trying it again."),
        .advice = xasprintf("Give it one with\n  systemctl edit %s\nand\n  [Service]\n  TimeoutStartSec=1min",
                            unit),
    };
    return true;
}

bool doctor_left_over(const char *unit_template, const char *unit, Finding *ret)
{
    if (streq(unit_template, unit))
        return false;
    *ret = (Finding){
        .id = "left-over",
        .severity = SEVERITY_WARNING,
        .what = xasprintf("drop-ins of ours for units of %s are left over from before `unit` was changed",
                          unit_template),
        .why = xasprintf(
            "They go on choosing an allocator for these units, which relayallocd does not look after "
            "any more: its relays are the units of %s.",
            unit),
        .advice = xasprintf("Take them away, and restart those that run with them one after the other, with\n"
                            "  relayallocctl revert --unit=%s",
                            unit_template),
    };
    return true;
}
