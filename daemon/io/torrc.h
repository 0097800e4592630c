/* SPDX-License-Identifier: BSD-3-Clause */
/* Has something changed that decides whether a relay's configuration verifies? Does not judge it: tor does.
 * And which MetricsPort it sets. */
#pragma once

#include "core/metrics-port.h"

/* A number that changes when the command does, or a file that it names, or what such a file includes
 * (torrc's %include: files, directories, patterns). `argv`: of the command, a strv. */
uint64_t torrc_stamp(char *const *argv);

/* Adds what the file, and what it includes at that place, says. One that cannot be read says nothing. */
void torrc_metrics_ports(const char *path, MetricsPorts *ports);
