/* SPDX-License-Identifier: BSD-3-Clause */
/* The files that set a unit's environment, read. Does not judge what they say. */
#pragma once

#include "core/unit.h"
#include "core/verdict.h"

typedef struct SettingFiles {
    SettingFile *files; /* paths belong to the UnitInfo, texts to this */
    size_t n;
    int error;          /* that may pass, of one that could not be read: what they set is not known; 0 */
    const char *unread; /* with it: that one's path */
} SettingFiles;
void setting_files_clear(SettingFiles *files);

/* In the order in which systemd reads them: the unit file, its drop-ins, then all environment files. */
void setting_files_read(const UnitInfo *info, SettingFiles *ret);
