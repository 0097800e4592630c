/* SPDX-License-Identifier: BSD-3-Clause */
/* Reads the files of others that doctor examines: torrc, apt.conf, needrestart's Perl, AppArmor rules,
 * systemd's sizes and spans. Extracts from each what doctor needs and never fails on the rest. Pure. */
#pragma once

#include "core/util.h"

/* The value that a torrc gives an option (in any case; the last line wins), without comment; NULL: not set.
 * Owned by the caller. */
char *torrc_value(const char *text, const char *option);

/* "8 GB", "512 MBytes", "1073741824": bytes. 0 or -EINVAL (also when there is an unknown unit). */
int torrc_memory(const char *value, uint64_t *ret);

/* "512M", "1G" of journald.conf(5), in bytes. 0 or -EINVAL. */
int systemd_size(const char *value, uint64_t *ret);

/* A boolean as systemd takes it: 1, 0, or -EINVAL. */
int systemd_bool(const char *value);

/* MemTotal of /proc/meminfo in bytes; 0: not there. */
uint64_t meminfo_total(const char *text);

/* The strv of all values that apt.conf(5) text gives to `name` ("APT::Periodic::Unattended-Upgrade", in any
 * case), of the list of that name as well. */
char **apt_values(const char *text, const char *name);

/* The letter that needrestart.conf sets $nrconf{restart} to ('a': restarts by itself); '\0': not set. */
char needrestart_mode(const char *text);

/* Does it keep needrestart from restarting this unit? (a pattern => 0) */
bool needrestart_spares(const char *text, const char *unit);

/* Does a rule among these lines (of /etc/apparmor.d/local/…) let a process map the file? Globs with {} are
 * not understood and count as not matching. */
bool apparmor_allows(const char *rules, const char *path);
