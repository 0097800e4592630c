/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a relay serves its own metrics: the option MetricsPort of torrc, which may stand in it several times
 * (tor(1)). Pure. */
#pragma once

#include "core/util.h"

typedef struct MetricsPorts {
    char **ports; /* strv of "ADDRESS:PORT", as they stand there; of a port alone 127.0.0.1 */
    bool own;     /* set by a line of this file, which replaces those of the defaults */
} MetricsPorts;
void metrics_ports_clear(MetricsPorts *ports);

/* One line of a torrc. What is no port that one could ask ("0", "auto", "unix:…") adds none. */
void metrics_ports_line(MetricsPorts *ports, const char *line);

/* Those of the torrc that is read next are to replace what was read so far (--defaults-torrc). */
static inline void metrics_ports_next(MetricsPorts *ports)
{
    ports->own = false;
}

/* As another host would ask it: an address that means all of them is replaced by `host`. Owned by the caller.
 */
char *metrics_port_target(const char *port, const char *host);
