/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration file judged and planned before it counts; shared by check, plan and edit. Changes nothing.
 */
#pragma once

#include "core/config.h"
#include "ctl/lib/ctl.h"

typedef struct FileVerdict {
    Config *config;    /* NULL: the file is invalid */
    Problems problems; /* what makes it invalid, in the file's order */
    Problems warnings; /* valid, but not so that it would work on this host */
} FileVerdict;
void file_verdict_clear(FileVerdict *verdict);

/* Reads and judges `file`; messages name it `as`. */
void file_judge(const char *file, const char *as, FileVerdict *ret);
/* A problem a line on stderr. */
void file_verdict_print(const FileVerdict *verdict);

/* Prints what `file`, once it stands at `as`, would change. *ret_changes: on how many relays. 0, or an
 * ExitStatus after a message. */
int file_print_plan(const CtlOptions *options, const char *file, const char *as, size_t *ret_changes);
