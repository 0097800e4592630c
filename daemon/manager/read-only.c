/* SPDX-License-Identifier: BSD-3-Clause */
#include "manager/read-only.h"

#include "core/mounts.h"
#include "io/text-file.h"
#include "manager/loop.h"
#include "manager/memory.h"

#include <errno.h>
#include <syslog.h>

/* A disk that comes and goes must not have it started again all the time. */
#define RUN_AT_LEAST (30 * USEC_PER_SEC)
/* The host's mount may have become writable between the start of this process, when systemd copied it, and
 * our first look. Or a drop-in of our unit has it read-only: then another start is in vain. Where the last
 * one was, or where the next process would not know that it was, it is not to come too often. */
#define RUN_AT_LEAST_IN_VAIN (10 * USEC_PER_MINUTE)

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

/* `mounts`: of the host; `own`, NULL: only what was read-only on the host counts. */
static void add(Manager *m, const char *mounts, const char *own, const char *directory)
{
    char *path = realpath(directory, NULL);

    if (!path && errno != ENOENT && errno != ENOTDIR)
        path = xstrdup(directory);
    if (path && (!mounts || mounts_read_only(mounts, path) == 1))
        strv_push(&m->read_only, path);
    else if (path && own && mounts_read_only(own, path) == 1)
        strv_push(&m->only_ours_read_only, path);
    else
        free(path);
}

void read_only_begin(Manager *m, const char *mounts)
{
    const char *metrics = m->setup->config->metrics_textfile, *slash = strrchr(metrics, '/');
    _cleanup_(freep) char *own = mounts_of(m, "self");

    m->began = loop_monotonic(m);
    add(m, mounts, own, dropin_store_root(m->dropins));
    add(m, mounts, own, m->state_dir);
    if (slash) {
        _cleanup_(freep) char *directory = xstrndup(metrics, (size_t)(slash - metrics));
        add(m, mounts, NULL, directory); /* which our unit need not let us write to */
    }
    if (m->state->started_for && !strv_contains(m->only_ours_read_only, m->state->started_for) &&
        memory_started_for(m->state, NULL))
        memory_save_soon(m);
}

bool read_only_on_host(const Manager *m, const char *path)
{
    _cleanup_(freep) char *mounts = mounts_of(m, "1");
    _cleanup_(freep) char *directory = xstrndup(path, (size_t)(strrchr(path, '/') - path));
    _cleanup_(freep) char *real = realpath(*directory ? directory : "/", NULL);

    return mounts && real && mounts_read_only(mounts, real) == 1;
}

/* The first of them that is outdated; NULL: none. */
static const char *find_outdated(const Manager *m, char *const *paths)
{
    _cleanup_(freep) char *host = paths ? mounts_of(m, "1") : NULL;
    _cleanup_(freep) char *own = paths ? mounts_of(m, "self") : NULL;

    if (host && own)
        STRV_FOREACH (path, paths)
            if (mounts_outdated(mounts_read_only(host, *path), mounts_read_only(own, *path)))
                return *path;
    return NULL;
}

static bool end_for(Manager *m, const char *path)
{
    m->stopping = true;
    memory_save_pending(m);
    eventlog_line(
        LOG_NOTICE,
        "%s was read-only for relayallocd when it started. It is writable on the host now, but not for this "
        "process, whose mounts are as they were then: relayallocd ends, and systemd starts it again.%s",
        path,
        m->state_error < 0 ? " What could not be saved is forgotten: what operators requested since has to "
                             "be requested again."
                           : "");
    (void)sd_event_exit(m->event, -ESTALE);
    return true;
}

/* Our unit lets us write to our state (StateDirectory=). If that was read-only for us as well, the host had
 * it so: another start is not in vain, and it need not be remembered, which could not be. */
static bool with_state(const Manager *m)
{
    _cleanup_(freep) char *real = realpath(m->state_dir, NULL);

    return strv_contains(m->only_ours_read_only, real ? real : m->state_dir);
}

/* Before a start that may be in vain: will the next process know of it? */
static bool remember(Manager *m, const char *path)
{
    if (!memory_started_for(m->state, path))
        return false; /* and it was in vain */
    if (memory_save(m) >= 0)
        return true;
    (void)memory_started_for(m->state, NULL);
    return false;
}

bool read_only_ends(const Manager *m)
{
    return loop_monotonic(m) - m->began >= RUN_AT_LEAST && find_outdated(m, m->read_only);
}

bool read_only_look(Manager *m)
{
    const usec_t age = loop_monotonic(m) - m->began;
    const char *path = find_outdated(m, m->read_only);

    if (path)
        return m->stopping || age < RUN_AT_LEAST || end_for(m, path);
    path = age < RUN_AT_LEAST || m->stopping ? NULL : find_outdated(m, m->only_ours_read_only);
    return path && (age >= RUN_AT_LEAST_IN_VAIN || with_state(m) || remember(m, path)) && end_for(m, path);
}
