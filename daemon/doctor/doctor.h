/* SPDX-License-Identifier: BSD-3-Clause */
/* What makes allocators fail or figures mislead on a host: each finding is one judgement on values that were
 * read elsewhere. A judge returns true and the finding, or false when there is nothing to say. Pure. */
#pragma once

#include "core/maps.h"

typedef enum Severity {
    SEVERITY_NOTE,    /* good to know; nothing has to be done */
    SEVERITY_WARNING, /* will fail, cost memory, or mislead */
    _SEVERITY_MAX,
} Severity;
const char *severity_to_string(Severity severity);

typedef struct Finding {
    const char *id; /* "library-hidden": for programs; a constant */
    Severity severity;
    char *what; /* one sentence without full stop, the same for every relay that it is about */
    char *why;
    char *advice;  /* may contain commands or lines to write, which begin with two blanks */
    char **relays; /* strv; NULL: about the host */
} Finding;

typedef struct Findings {
    Finding *items;
    size_t n, capacity;
} Findings;
/* Takes ownership of the finding. The same one (id and what) about another relay joins the first. `relay`:
 * NULL, or the relay that it is about. */
void findings_add(Findings *findings, const char *relay, Finding *take);
void findings_clear(Findings *findings);
size_t findings_warnings(const Findings *findings);
/* Ids of all findings that there are, NULL-terminated: for the tests and the manual. */
extern const char *const finding_ids[];

/* ---- about the configuration, an allocator, or a relay ---- */

/* Users other than root can change the configuration, or what it includes; `reason` says who, and how to fix
 * it. */
bool doctor_configuration(const char *reason, Finding *ret);

/* The library was refused, with this reason. */
bool doctor_library(const char *allocator, const char *reason, Finding *ret);

/* A setting that the allocator does not understand, in a sentence of tunables_judge(). */
bool doctor_setting(const char *allocator, const char *warning, Finding *ret);

/* What is known against this version of an allocator (core/known), by the library's file name where it could
 * not be asked (`version` NULL). */
bool doctor_known(const char *allocator, const char *realpath, const char *version, Finding *ret);

/* A group uses a built-in allocator by a former name; `name` is its present one, NULL: it is no former name.
 */
bool doctor_renamed(const char *former, const char *name, Finding *ret);

/* A setting of the relay's unit, in the order in which systemd reads them. */
typedef struct UnitSetting {
    const char *file, *name, *value;
} UnitSetting;
/* The names of the settings that doctor_sandbox() looks at, NULL-terminated. */
extern const char *const sandbox_settings[];
/* Does the unit's sandbox (systemd.exec(5)) keep the relay from the library? */
bool doctor_sandbox(const UnitSetting *settings, size_t n, const char *library, Finding *ret);

/* The profile of AppArmorProfile=, of which Debian's kind allows libraries under /usr/lib and /lib only, and
 * what its local file adds ("" when there is none). */
bool doctor_apparmor(const char *profile, const char *local_rules, const char *realpath, Finding *ret);

/* tor's own system call filter (Sandbox 1 in torrc). */
bool doctor_tor_sandbox(const char *sandbox, const char *allocator, Family family, Finding *ret);

/* Another file sets, or unsets, what we set; `conflict` as from verdict_conflicts(). `wins`: whatever our
 * drop-in says. */
bool doctor_override(const char *conflict, bool wins, Finding *ret);

/* An entry of the LD_PRELOAD that `file` gives the relay. `there`: the dynamic linker would find it; `rest`:
 * another entry of the same value is found. */
bool doctor_preload(const char *file, const char *entry, bool there, bool rest, Finding *ret);

/* The program that the unit starts, and the user it starts it as (NULL: root), are such that the dynamic
 * linker ignores LD_PRELOAD. */
bool doctor_secure(const char *program, bool has_capabilities, const char *user, Finding *ret);

/* One of its processes has `count` memory mappings; `limit`: vm.max_map_count, 0: not known. */
bool doctor_mappings(uint64_t count, uint64_t limit, Finding *ret);

/* ---- about the host ---- */

/* The entry of /etc/ld.so.preload that brings an allocator; NULL: none does. */
bool doctor_system_preload(const char *entry, Finding *ret);

/* A NAME=VALUE of verdict_host_settings(). */
bool doctor_host_setting(const char *setting, Finding *ret);

/* The text of /sys/kernel/mm/transparent_hugepage/enabled. */
bool doctor_hugepages(const char *enabled, Finding *ret);

/* What tor makes of MaxMemInQueues: `configured` 0 is its default, which comes from the host's memory. */
uint64_t doctor_max_mem_in_queues(uint64_t configured, uint64_t memory);
/* MaxMemInQueues of n relays (0: not set) against the host's memory. */
bool doctor_queues(const uint64_t *configured, size_t n, uint64_t memory, Finding *ret);

/* A report over less than two weeks can hardly distinguish growth from chance. */
#define DOCTOR_JOURNAL_DAYS 14
typedef struct JournalFacts {
    bool persistent;  /* else it is kept in memory, and gone with the next boot */
    uint64_t space;   /* bytes that journald may take */
    usec_t retention; /* MaxRetentionSec=; USEC_INFINITY: none */
    size_t relays;
    usec_t interval;
    bool fleet; /* sample.entry = "fleet" */
} JournalFacts;
bool doctor_journal(const JournalFacts *facts, Finding *ret);

/* needrestart's mode ('a': restarts by itself), and whether the relays are spared. */
bool doctor_needrestart(char mode, bool spared, Finding *ret);

/* unattended-upgrades upgrades tor. */
bool doctor_upgrades(bool enabled, char *const *blacklist, Finding *ret);

/* A unit of this template has a drop-in of ours, and `unit` of the configuration is another one by now. */
bool doctor_left_over(const char *unit_template, const char *unit, Finding *ret);

/* The unit of rollout.gate; `type` and `timeout`: its Type= and TimeoutStartSec=, NULL: not set. */
bool doctor_gate(const char *unit, const char *type, const char *timeout, Finding *ret);

/* The directory of unit files, where our drop-ins go, lies on a file system that cannot be written to. */
bool doctor_unit_files(const char *directory, bool read_only, Finding *ret);
