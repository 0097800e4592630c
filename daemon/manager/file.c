/* SPDX-License-Identifier: BSD-3-Clause */
/* The drop-in of a relay in a rollout: written, and put back from what is kept until then. Each function
 * returns whether it succeeded; the reason is in the item. */
#include "manager/relay.h"
#include "manager/run-item.h"

#include <errno.h>
#include <syslog.h>

/* Errors that are the disk's and not the file's. Owned by the caller. */
static char *error_words(const RunItem *i, int error)
{
    const char *root = dropin_store_root(i->run->manager->dropins);

    if (error == -EEXIST)
        return xstrdup("a file that is not ours is in its place");
    if (error == -ENOSPC)
        return xasprintf("no space left on the device that holds %s", root);
    if (error == -EDQUOT)
        return xasprintf("the quota on the device that holds %s is used up", root);
    return xstrdup(strerror(-error)); /* NOLINT(concurrency-mt-unsafe) */
}

/* Why the file could not become `text`; logged, owned by the caller. */
static char *log_error(const RunItem *i, const char *text, int error)
{
    _cleanup_(freep) char *path = dropin_store_path(i->run->manager->dropins, i->relay->facts.unit);
    _cleanup_(freep) char *words = error_words(i, error);
    char *reason = xasprintf("cannot %s %s: %s", text ? "write" : "remove", path, words);

    eventlog_line(LOG_ERR, "%s: %s.", i->relay->facts.name, reason);
    return reason;
}

/* `text` is what stands there now. */
static void log_change(const Relay *relay, const char *text)
{
    _cleanup_(freep) char *path = dropin_store_path(relay->manager->dropins, relay->facts.unit);
    const Event e = relay_event(relay);
    const Group *g = relay_target(relay);

    if (text)
        eventlog_write(MESSAGE_DROPIN_WRITTEN, &e, "%s: wrote %s%s%s.", relay->facts.name, path,
                       g ? " for group " : "", g ? g->name : "");
    else
        eventlog_write(MESSAGE_DROPIN_REMOVED, &e, "%s: removed %s.", relay->facts.name, path);
}

static void log_kept(const RunItem *i)
{
    const RelayFacts *facts = &i->relay->facts;

    STRV_FOREACH (entry, facts->kept) {
        _cleanup_(freep) char *words = facts_kept_words(facts, *entry);
        Event e = relay_event(i->relay);

        e.reason = words;
        eventlog_write(MESSAGE_PRELOAD_KEPT, &e, "%s: %s, which is kept behind %s.", facts->name, words,
                       item_allocator_name(i));
    }
}

bool file_write(RunItem *i)
{
    Manager *m = i->run->manager;
    const char *unit = i->relay->facts.unit;

    if (i->run->unsafe) {
        item_set_reason(
            i, xasprintf("%s cannot be written, so recovery from a crash would be impossible", m->state_dir));
        return false;
    }
    int r = dropin_store_keep(m->dropins, unit, i->previous);
    if (r >= 0)
        r = i->wanted ? dropin_store_write(m->dropins, unit, i->wanted)
                      : dropin_store_remove(m->dropins, unit);
    relay_read_dropin(i->relay);
    if (r < 0) {
        item_set_reason(i, log_error(i, i->wanted, r));
        return false;
    }
    if (r > 0)
        log_change(i->relay, i->wanted);
    if (r > 0) { /* who is restarted has it no more */
        free(i->relay->facts.removed);
        i->relay->facts.removed = i->wanted || i->item.restart ? NULL : xstrdup(i->previous);
    }
    if (i->wanted) {
        log_kept(i);
        relay_tell_conflicts(i->relay);
    }
    return true;
}

bool file_put_back(RunItem *i)
{
    DropinStore *store = i->run->manager->dropins;
    const char *unit = i->relay->facts.unit;
    _cleanup_(freep) char *trouble = NULL;
    const char *text = i->previous;
    int r = dropin_store_put_back(store, unit, text);

    if (r < 0) {
        trouble = log_error(i, text, r);
        if (text) { /* without ours it comes up on what its other unit files say: better than what failed */
            text = NULL;
            r = dropin_store_remove(store, unit);
        }
    }
    relay_read_dropin(i->relay);
    if (trouble)
        item_set_reason(i, xasprintf("%s%s%s%s", i->reason ? i->reason : "",
                                     i->reason ? "; while it was put back: " : "", trouble,
                                     r >= 0 ? ", so our drop-in was removed instead" : ""));
    if (r > 0)
        log_change(i->relay, text);
    i->not_back = r < 0;
    return r >= 0;
}

bool file_put_back_again(Relay *relay, Flight *flight)
{
    int r = dropin_store_put_back(relay->manager->dropins, relay->facts.unit, flight->previous);

    if (r < 0)
        return false;
    relay_read_dropin(relay);
    if (r > 0)
        log_change(relay, flight->previous);
    return true;
}

void file_settled(RunItem *i)
{
    if (!i->not_back)
        dropin_store_forget(i->run->manager->dropins, i->relay->facts.unit);
}
