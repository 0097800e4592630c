/* SPDX-License-Identifier: BSD-3-Clause */
/* What the two halves of the verb status share: lines of "   Name: value". */
#pragma once

#include "ctl/lib/ctl.h"

/* One line; without a name the value stands below the one before. */
void status_field(FILE *f, const char *name, const char *format, ...) _printf_(3, 4);
/* "2025-03-07 14:03:22; 3h 2min ago", "never" for 0; owned by the caller. */
char *status_moment(usec_t realtime);

/* ctl/status-relay.c: relays in full. */
int status_relays(char *const *patterns, const CtlOptions *options);

/* A line for each of the hosts that -H names. Returns an ExitStatus. */
int status_hosts(const CtlOptions *options);
