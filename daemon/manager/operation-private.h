/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of an operation, shared by its three files alone:
 *
 *   operation.c         how each begins, waits and ends; restart, start, is it ready?
 *   operation-check.c   before the restart: would it do what it is for, and is there need of one?
 *   operation-verify.c  after it: what does the unit say, and what does its process prove? */
#pragma once

#include "manager/run-item.h"

#define POLL_JOB (2 * USEC_PER_SEC)       /* a lost JobRemoved is found by looking */
#define POLL_VERIFY (200 * USEC_PER_MSEC) /* a unit in transition is looked at again */

/* The unit is looked at again after that. */
void operation_wait(RunItem *i, usec_t delay);
bool operation_past_deadline(const RunItem *i);
/* The same after an answer that was an error: while systemd is not there at all, no relay has failed. */
bool operation_gave_up(const RunItem *i, int error);
/* Unless a call is out already. */
void operation_read_unit(RunItem *i, Systemd1UnitCallback callback);

/* ---- answers of systemd, of the type Systemd1UnitCallback; userdata: the item ---- */
void operation_on_check_read(void *userdata, int error, const char *message, UnitInfo *info);
void operation_on_verify_read(void *userdata, int error, const char *message, UnitInfo *info);

/* Its relay has said whether it is ready, which was asked for the check, or did not answer. */
void operation_told_before(RunItem *i);
