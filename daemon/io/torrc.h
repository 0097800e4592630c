/* SPDX-License-Identifier: BSD-3-Clause */
/* Has something changed that decides whether a relay's configuration verifies? Does not judge it: tor does.
 */
#pragma once

#include "core/util.h"

/* A number that changes when the command does, or a file that it names, or what such a file includes
 * (torrc's %include: files, directories, patterns). `argv`: of the command, a strv. */
uint64_t torrc_stamp(char *const *argv);
