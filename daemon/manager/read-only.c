/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/read-only.h"

#include "core/mounts.h"
#include "io/text-file.h"
#include "manager/loop.h"
#include "manager/memory.h"

#include <errno.h>
#include <syslog.h>

/* Ten starts within ten minutes, and systemd leaves it down (StartLimitBurst=). A disk that comes and goes
 * must not bring that about. */
#define RUN_AT_LEAST (30 * USEC_PER_SEC)

/* `process`: "1", the host as systemd sees it; "self". NULL: not known. */
static char *mounts_of(const Manager *m, const char *process)
{
    _cleanup_(freep) char *path = xasprintf("%s/%s/mountinfo", m->proc, process);
    char *text = NULL;

    return text_file_read(path, &text) < 0 ? NULL : text;
}

char *read_only_start(const Manager *m)
{
    return mounts_of(m, "1");
}

static void add(Manager *m, const char *mounts, const char *directory)
{
    char *path = realpath(directory, NULL);

    if (path && mounts_read_only(mounts, path) == 1)
        strv_push(&m->read_only, path);
    else
        free(path);
}

void read_only_begin(Manager *m, const char *mounts)
{
    const char *metrics = m->setup->config->metrics_textfile, *slash = strrchr(metrics, '/');

    m->began = loop_monotonic(m);
    if (!mounts)
        return;
    add(m, mounts, dropin_store_root(m->dropins));
    add(m, mounts, m->state_dir);
    if (slash) {
        _cleanup_(freep) char *directory = xstrndup(metrics, (size_t)(slash - metrics));
        add(m, mounts, directory);
    }
}

bool read_only_on_host(const Manager *m, const char *path)
{
    _cleanup_(freep) char *mounts = mounts_of(m, "1");
    _cleanup_(freep) char *directory = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    _cleanup_(freep) char *real = realpath(*directory ? directory : "/", NULL);

    return mounts && real && mounts_read_only(mounts, real) == 1;
}

/* The first that is outdated; NULL: none. */
static const char *find_outdated(const Manager *m)
{
    _cleanup_(freep) char *host = m->read_only ? mounts_of(m, "1") : NULL;
    _cleanup_(freep) char *own = m->read_only ? mounts_of(m, "self") : NULL;

    if (host && own)
        STRV_FOREACH (path, m->read_only)
            if (mounts_outdated(mounts_read_only(host, *path), mounts_read_only(own, *path)))
                return *path;
    return NULL;
}

bool read_only_look(Manager *m)
{
    const char *path = find_outdated(m);

    if (!path || m->stopping || loop_monotonic(m) - m->began < RUN_AT_LEAST)
        return path;
    m->stopping = true;
    memory_save_pending(m);
    eventlog_line(
        LOG_NOTICE,
        "%s was read-only when relayallocd started. It is writable again, but not for this process, whose "
        "mounts are as they were then: relayallocd ends, and systemd starts it again.%s",
        path,
        m->state_error < 0 ? " What could not be saved is forgotten: what operators requested since has to "
                             "be requested again."
                           : "");
    (void)sd_event_exit(m->event, -ESTALE);
    return true;
}
