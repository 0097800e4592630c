/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that set a unit's environment, read. Does not judge what they say. */
#pragma once

#include "core/facts.h"

typedef struct SettingFiles {
    SettingFile *files; /* paths belong to the UnitInfo, texts to this */
    size_t n;
    int error;          /* that may pass, of one that could not be read: what they set is not known; 0 */
    const char *unread; /* with it: that one's path */
} SettingFiles;
void setting_files_clear(SettingFiles *files);

/* In the order in which systemd reads them: the unit file, its drop-ins, then all environment files. */
void setting_files_read(const UnitInfo *info, SettingFiles *ret);

/* The same, with what they say put into the facts of the relay, whose unit has been read: what others set for
 * it, and preload besides an allocator. While one of them, or a library that they preload, cannot be read for
 * trouble that may pass, what was known stands (facts_take_unread()). `libraries` as for elf_preloads_kept().
 */
void setting_files_look(const HostFacts *host, RelayFacts *relay, char *const *libraries, SettingFiles *ret);
