/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lab.h"

#include "io/text-file.h"

size_t lab_candidates(const Evidence **ret, size_t max, char **ret_os_release)
{
    *ret_os_release = NULL;
    (void)text_file_read("/etc/os-release", ret_os_release);
    return evidence_candidates(evidence_table, evidence_n, *ret_os_release, ret, max);
}
