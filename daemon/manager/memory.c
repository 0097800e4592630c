/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/memory.h"

#include "io/state-file.h"

#include <syslog.h>

int memory_save(Manager *m)
{
    int r = state_file_save(m->state_dir, m->state);

    if (r < 0)
        eventlog_line(LOG_ERR, "Cannot save %s/state: %s.", m->state_dir, strerror(-r));
    m->state_error = r;
    return r;
}
