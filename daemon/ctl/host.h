/* SPDX-License-Identifier: BSD-3-Clause */
/* The host as doctor sees it, by its files alone: under `root`, "" for this host or a directory that looks
 * like one. Reads what systemd, journald and apt would read, in their order, and judges nothing. */
#pragma once

#include "core/config.h"
#include "doctor/doctor.h"

/* The file's text; NULL: there is none that can be read. Owned by the caller. */
char *host_read(const char *root, const char *path);

/* A file that counts, in the order in which its reader reads it. */
typedef struct HostFile {
    char *path; /* without the root */
    char *text;
} HostFile;
typedef struct HostFiles {
    HostFile *items;
    size_t n, capacity;
} HostFiles;
void host_files_clear(HostFiles *files);

/* The unit's file and its drop-ins; none: there is no such unit, or it is masked. */
void host_unit_files(const char *root, const char *unit, HostFiles *ret);

/* The strv of paths of EnvironmentFile= lines, specifiers of the instance resolved. */
char **host_environment_files(const HostFiles *files, const char *unit);
/* The value that the files give `variable` of the relay's environment at its next start, and the file that
 * does (*ret_file, owned by `files` or *ret_paths); NULL: none. Files that do not come after our drop-in
 * count only without `behind_ours`; our drop-in itself never. Owned by the caller. */
char *host_variable(const char *root, const HostFiles *files, const char *unit, const char *variable,
                    bool behind_ours, char **ret_file);
/* The program that the unit starts, without the root; NULL: none. Owned by the caller. */
char *host_program(const HostFiles *files);
/* Its Type=, and its TimeoutStartSec=, which TimeoutSec= sets, too; NULL: not set. Owned by the caller. */
char *host_service_type(const HostFiles *files);
char *host_start_timeout(const HostFiles *files);
/* The user as whom it is started; NULL: root. Owned by the caller. */
char *host_user(const HostFiles *files);
/* Where the dynamic linker finds a library by name or path, without the root; NULL: nowhere. Owned by the
 * caller. */
char *host_find_library(const char *root, const char *name);
/* The sandbox settings, an array owned by the caller, whose values are owned by *ret_values (a strv). */
UnitSetting *host_sandbox(const HostFiles *files, char ***ret_values, size_t *ret_n);

/* The AppArmor profile that confines the unit's processes; NULL: none, or it only complains. Owned by the
 * caller. */
char *host_apparmor_profile(const char *root, const HostFiles *unit_files);

/* The strv of NAME=VALUE that systemd gives to every service, by its files (DefaultEnvironment=). */
char **host_default_environment(const char *root);

/* The limit of vm.max_map_count; 0: not known. */
uint64_t host_mappings_limit(const char *root);
/* ret[i]: the mappings of that process of units[i] which has the most; 0: none runs, or we may not see them.
 */
void host_mappings(const char *root, const char *const *units, size_t n, size_t *ret);

/* What journald may take and keep; `facts` has relays, interval and fleet already. */
void host_journal(const char *root, JournalFacts *facts);
/* needrestart's mode, '\0' when it is not installed, and whether `unit` is spared. */
char host_needrestart(const char *root, const char *unit, bool *ret_spared);
/* Does unattended-upgrades run? *ret_blacklist: its Package-Blacklist, a strv. */
bool host_unattended_upgrades(const char *root, char ***ret_blacklist);
