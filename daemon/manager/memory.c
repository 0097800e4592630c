/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/memory.h"

#include "io/state-file.h"
#include "manager/loop.h"

#include <syslog.h>

#define SAVE_DELAY USEC_PER_SEC

int memory_save(Manager *m)
{
    int r = state_file_save(m->state_dir, m->state);

    if (r < 0)
        eventlog_line(LOG_ERR, "Cannot save %s/state: %s.", m->state_dir, strerror(-r));
    m->state_error = r;
    m->saving = sd_event_source_unref(m->saving);
    return r;
}

static int on_save(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    (void)memory_save(userdata);
    return 0;
}

void memory_save_soon(Manager *m)
{
    loop_schedule(m, &m->saving, SAVE_DELAY, on_save);
}

void memory_save_pending(Manager *m)
{
    if (m->saving)
        (void)memory_save(m);
}
