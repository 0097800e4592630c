/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/unit.h"

UnitInfo *unit_info_free(UnitInfo *info)
{
    if (info) {
        free(info->unit);
        free(info->load_state);
        free(info->sub_state);
        free(info->result);
        free(info->fragment);
        strv_free(info->environment);
        strv_free(info->environment_files);
        strv_free(info->dropins);
        free(info);
    }
    return NULL;
}

bool unit_masked(const UnitInfo *info)
{
    return info && streq_null(info->load_state, "masked");
}

bool unit_up(const UnitInfo *info)
{
    return info && (info->active == ACTIVE_ACTIVE || info->active == ACTIVE_RELOADING) && info->main_pid > 0;
}

bool unit_stopped(const UnitInfo *info)
{
    return info &&
           (info->active == ACTIVE_DEACTIVATING ||
            (info->active == ACTIVE_INACTIVE && streq_null(info->result, "success") && info->job == 0));
}

bool unit_failed(const UnitInfo *info)
{
    if (!info)
        return false;
    return info->active == ACTIVE_FAILED ||
           (info->active == ACTIVE_ACTIVATING && streq_null(info->sub_state, "auto-restart")) ||
           (info->active == ACTIVE_RELOADING && info->main_pid == 0);
}
