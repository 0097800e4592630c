/* SPDX-License-Identifier: BSD-3-Clause */
/* What the lab says of this host's release (core/evidence), for those who have measured nothing themselves.
 */
#pragma once

#include "core/evidence.h"

/* Rows of the table, the first one first; at most `max` into ret. *ret_os_release: the text of
 * /etc/os-release, NULL where there is none. Owned by the caller. */
size_t lab_candidates(const Evidence **ret, size_t max, char **ret_os_release);
