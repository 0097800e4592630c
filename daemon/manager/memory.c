/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/memory.h"

#include "io/state-file.h"
#include "manager/loop.h"

#include <syslog.h>

#define SAVE_DELAY USEC_PER_SEC

int memory_save(Manager *m)
{
    const int before = m->state_error, r = state_file_save(m->state_dir, m->state);

    if (r < 0 && r != before) /* told once, however often it is tried */
        eventlog_line(LOG_ERR,
                      "Cannot save %s/state: %s. It is tried again with each sample; until then a restart of "
                      "relayallocd would forget what has changed.",
                      m->state_dir, strerror(-r));
    else if (r >= 0 && before < 0)
        eventlog_line(LOG_NOTICE, "%s/state is saved again.", m->state_dir);
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
    if (m->saving || m->state_error < 0)
        (void)memory_save(m);
}
