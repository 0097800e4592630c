/* SPDX-License-Identifier: BSD-3-Clause */
/* Before a restart, with its drop-in written and read by systemd: would it do what it is for, does the relay
 * need one, and is it ready now, so that it has to be so again? */
#include "core/dropin.h"
#include "core/verdict.h"
#include "manager/loop.h"
#include "manager/memory.h"
#include "manager/operation-private.h"
#include "manager/relay.h"
#include "manager/setup.h"
#include "manager/tor.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#define QUESTIONS_MAX 3 /* to a relay that does not answer in time, before its restart */

static void tell_not_ready(const RunItem *i)
{
    const RelayTor *tor = &i->relay->tor;
    _cleanup_(freep) char *far = tor_view_bootstrap(&tor->view);

    if (tor->view.progress >= 0)
        eventlog_line(
            LOG_INFO,
            "%s was not bootstrapped before its restart, %s: the rollout does not wait until it is.",
            i->relay->facts.name, far);
    else if (!i->run->told_silent) /* once: on some hosts none of them has a control socket */
        eventlog_line(LOG_INFO,
                      "%s does not say whether it is bootstrapped (%s), so the rollout does not wait until "
                      "it is; likewise for other such relays.",
                      i->relay->facts.name, tor->error < 0 ? strerror(-tor->error) : "no answer");
    i->run->told_silent = i->run->told_silent || tor->view.progress < 0;
}

/* Its present process runs what it is assigned: it is not the one that was planned for, or was misjudged,
 * because systemd gives something else to every service than it did. */
static bool has_been_restarted(const RunItem *i)
{
    const RelayFacts *f = &i->relay->facts;
    const bool wanted = memory_restart_wanted(i->run->manager->state, f->name, f->info->invocation);

    return i->allocator != ROLLOUT_NO_ALLOCATOR && relay_up(i->relay) && f->process.readable &&
           f->verdict.cause == CAUSE_NONE && !(wanted && streq(f->info->invocation, i->replaces));
}

static void answer_checked(RunItem *i, bool ok)
{
    const bool ready = ok && i->checked && tor_bootstrapped(i->relay);
    Flight *flight = ready ? memory_find_flight(i->run->manager->state, i->relay->facts.name) : NULL;

    if (flight) {
        flight->ready = true;
        (void)memory_save(i->run->manager);
    }
    const bool restarted = ok && has_been_restarted(i);
    if (ok && !restarted && !i->needless)
        i->run->manager->reports->restart_next(i->run->manager); /* which may end the rollout */
    if (restarted)
        eventlog_line(LOG_INFO, "%s %s, and is not restarted again.", i->relay->facts.name,
                      streq(i->relay->facts.info->invocation, i->replaces)
                          ? "runs what it should, as is known now"
                          : "was restarted by somebody else since its drop-in was written");
    else if (ok && i->checked && !ready)
        tell_not_ready(i);
    operation_end(i);
    run_send(i->run, (RolloutEvent){ .kind = EVENT_CHECKED,
                                     .item = i->index,
                                     .ok = ok,
                                     .needless = i->needless,
                                     .restarted = restarted,
                                     .ready = ready });
}

/* One that loses our drop-in, and whose own settings say what it runs. */
static bool is_needless(const RunItem *i)
{
    const RelayFacts *f = &i->relay->facts;

    return i->allocator == ROLLOUT_NO_ALLOCATOR && relay_up(i->relay) && f->process.readable &&
           !facts_carried(f, i->carried);
}

/* A restart would do. Whether it is ready now decides whether it has to be so again. */
static void ask_before(RunItem *i)
{
    i->checked = i->run->manager->setup->config->rollout.ready == READY_BOOTSTRAPPED;
    i->told = false;
    if (!i->checked || !tor_ask(i->relay))
        answer_checked(i, true);
}

static void on_told_read(void *userdata, int error, const char *message, UnitInfo *info)
{
    RunItem *i = userdata;

    (void)message;
    i->call = NULL;
    if (error == 0)
        relay_take_info(i->relay, info);
    if (error == -ENOTCONN)
        operation_wait(i, POLL_VERIFY); /* all of it is done again */
    else
        answer_checked(i, true);
}

/* No answer is not a "no": a relay may be busy for a moment. It may also have gone down meanwhile. */
void operation_told_before(RunItem *i)
{
    if (tor_silent(i->relay) && ++i->questions < QUESTIONS_MAX && tor_ask(i->relay))
        return;
    i->told = true;
    if (i->run->manager->systemd)
        operation_read_unit(i, on_told_read);
    /* else operation_bus_back() does */
}

/* It is not waited for any longer: its time is over, or the rollout takes back what was only written. */
static bool check_is_over(const RunItem *i)
{
    return operation_past_deadline(i) || rollout_state(i->run->rollout) == ROLLOUT_ENDING;
}

/* A file of others that cannot be read might speak against the restart. */
static void wait_for_settings(RunItem *i, const char *unread)
{
    item_set_reason(i, xstrdup(unread));
    operation_wait(i, POLL_JOB);
}

/* Would a new process get what its drop-in is to give it? Somebody else may have removed the file before
 * systemd read it, or have put another behind it. */
static bool is_loaded(const RunItem *i)
{
    _cleanup_(strv_freep) char **ours = i->wanted ? dropin_environment(i->wanted) : NULL;

    STRV_FOREACH (e, ours) {
        _cleanup_(freep) char *name = xstrndup(*e, strcspn(*e, "="));
        const char *loaded = strv_env_get(i->relay->facts.info->environment, name);

        if (!verdict_same_value(name, loaded, strv_env_get(ours, name)))
            return false;
    }
    return true;
}

/* Why a restart would be in vain; owned by the caller. NULL: it would not. */
static char *why_in_vain(const RunItem *i)
{
    const RelayFacts *f = &i->relay->facts;

    if (f->settings_unread)
        return xstrdup(f->settings_unread);
    if (unit_masked(f->info)) /* systemd has nothing of it loaded, and does not start it */
        return xstrdup(UNIT_IS_MASKED);
    if (f->verdict.cause == CAUSE_OVERRIDDEN || f->verdict.cause == CAUSE_MISSING)
        return xstrdup(f->verdict.reason);
    return has_been_restarted(i) || is_loaded(i)
               ? NULL
               : xstrdup("systemd has loaded something else than its drop-in, which somebody has removed, "
                         "changed or overridden");
}

/* What systemd has loaded now is what the relay would be started with: there may have been something else on
 * disk that was not loaded before. */
void operation_on_check_read(void *userdata, int error, const char *message, UnitInfo *info)
{
    RunItem *i = userdata;

    i->call = NULL;
    if (error == 0) {
        relay_take_info(i->relay, info);
        relay_prove(i->relay);
        const char *unread = i->relay->facts.settings_unread;
        if (unread && !check_is_over(i)) {
            wait_for_settings(i, unread);
            return;
        }
        if (i->relay->facts.info->job != 0 &&
            !check_is_over(i)) { /* somebody restarts or stops it just now */
            operation_wait(i, POLL_VERIFY);
            return;
        }
        char *in_vain = why_in_vain(i);
        bool hopeless = in_vain;
        item_set_reason(i, in_vain);
        i->needless = !hopeless && !i->item.as_is && is_needless(i);
        if (hopeless || i->needless)
            answer_checked(i, !hopeless);
        else
            ask_before(i);
    } else if (error != -ENOTCONN && check_is_over(i)) {
        item_set_reason(i, xasprintf("its unit cannot be read: %s", message ? message : strerror(-error)));
        answer_checked(i, false);
    } else {
        operation_wait(i, POLL_VERIFY);
    }
}
