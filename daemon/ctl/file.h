/* SPDX-License-Identifier: BSD-3-Clause */
/* A configuration file judged and planned before it takes effect; shared by check, plan and edit. Changes
 * nothing. */
#pragma once

#include "core/config.h"
#include "ctl/lib/ctl.h"

typedef struct FileVerdict {
    Config *config;    /* NULL: the file is invalid */
    Problems problems; /* what makes it invalid, in the file's order */
    Problems warnings; /* valid, but not so that it would work on this host */
} FileVerdict;
void file_verdict_clear(FileVerdict *verdict);

/* Reads and judges `file`; messages name it `as`. What users other than root can change is a problem, in a
 * `draft` a warning. */
void file_judge(const char *file, const char *as, bool draft, FileVerdict *ret);
/* Is `file`, by whatever name, the one that the daemon reads? One of --config= is so for root alone: what
 * others name there is a file of their own. */
bool file_is_installed(const CtlOptions *options, const char *file);
/* One problem per line on stderr. */
void file_verdict_print(const FileVerdict *verdict);

/* Prints what `file` would change once it is at `as`. *ret_changes: on how many relays. 0, or an ExitStatus
 * after a message. */
int file_print_plan(const CtlOptions *options, const char *file, const char *as, size_t *ret_changes);

/* Puts these groups (as config_text_with_groups() takes them) in the place of those of the configuration, as
 * edit saves a file: shows the plan, asks, keeps the draft if it is not saved. An ExitStatus. */
int file_save_groups(const CtlOptions *options, const char *groups);
