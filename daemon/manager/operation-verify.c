/* SPDX-License-Identifier: BSD-3-Clause */
/* After a restart, or while a relay is put back: what its unit says, and what its process proves. */
#include "manager/loop.h"
#include "manager/memory.h"
#include "manager/operation-private.h"
#include "manager/relay.h"
#include "manager/setup.h"

#include <string.h>

static void answer_verified(RunItem *i, Proof proof)
{
    const UnitInfo *info = i->relay->facts.info;

    operation_end(i);
    i->failed_alive = relay_up(i->relay) || unit_auto_restarts(info);
    run_send(i->run, (RolloutEvent){ .kind = EVENT_VERIFIED,
                                     .item = i->index,
                                     .proof = proof,
                                     .pid = info->main_pid,
                                     .n_restarts = info->n_restarts,
                                     .age = unit_active_for(info, loop_monotonic(i->run->manager)),
                                     .crashing = i->crashing });
}

/* It has what it was started for, and what has changed on the disk since does not change its process. */
static bool outlived_its_library(const RunItem *i)
{
    const RelayFacts *f = &i->relay->facts;
    const bool watched = rollout_step(i->run->rollout, i->index) != STEP_VERIFYING;

    return f->verdict.outlived && (watched || (i->asked && !streq(i->invocation, f->info->invocation)));
}

static Proof proof_of_assigned(RunItem *i)
{
    Relay *relay = i->relay;

    if (i->item.restart && i->invocation[0] && !streq(i->invocation, relay->facts.info->invocation)) {
        free(relay->facts.fresh_invocation);
        relay->facts.fresh_invocation = xstrdup(relay->facts.info->invocation);
        free(relay->facts.fresh_dropin);
        relay->facts.fresh_dropin = xstrdup(i->wanted);
    }
    relay_prove(relay);
    if (i->allocator == ROLLOUT_NO_ALLOCATOR) {
        if (!relay->facts.process.readable) {
            item_set_reason(i, xstrdup("its process could not be read, so nothing is proved"));
            return PROOF_WRONG;
        }
        const char *carried = facts_carried(&relay->facts, i->carried);
        if (carried)
            item_set_reason(i, xasprintf("it still runs with %s", carried));
        return carried ? PROOF_WRONG : PROOF_OK;
    }
    if (relay->facts.verdict.cause == CAUSE_NONE || outlived_its_library(i))
        return PROOF_OK;
    item_set_reason(i, xstrdup(relay->facts.verdict.reason));
    return PROOF_WRONG;
}

static Proof proof_of_before(RunItem *i)
{
    relay_prove(i->relay);
    return i->relay->facts.process.readable && streq_null(i->relay->facts.process.running.path, i->before)
               ? PROOF_OK
               : PROOF_WRONG;
}

/* Is the unit on its way to another state? A job that others requested counts, too: its end shows the result.
 * A relay that crashed and waits for systemd to start it again is not: that is a failure, unless it is being
 * put back or did so before its turn. */
static bool on_its_way(const RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;

    if (info->job != 0 || info->active == ACTIVE_DEACTIVATING)
        return true;
    return info->active == ACTIVE_ACTIVATING &&
           (i->operation == OPERATION_VERIFY_BACK || i->was_down || !unit_auto_restarts(info));
}

/* Our restart has set systemd's count to 0, unless the unit was waiting to be started again (then it
 * continues counting): what is there at the first look came after it, and by no request. What is added while
 * it settles, core/rollout sees. */
static bool crashed_since_restart(const RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;

    return rollout_step(i->run->rollout, i->index) == STEP_VERIFYING && i->asked && !i->was_down &&
           info->n_restarts > 0 && info->n_restarts != i->n_restarts &&
           !streq(i->invocation, info->invocation);
}

/* May the next look find another library in it? What it had before is not what the verdict is about. */
static bool too_new(const RunItem *i)
{
    const HostFacts host = setup_host(i->run->manager);
    const ProcessFacts *process = &i->relay->facts.process;

    return i->operation == OPERATION_VERIFY_BACK
               ? process->pid != 0 && process_is_new(process->started, host.now)
               : facts_too_new(&host, &i->relay->facts);
}

/* It failed with what it runs before an earlier run of the daemon ended: that was about to put it back. NULL:
 * it did not. */
static const char *failure_before(const RunItem *i)
{
    const Refusal *failed = i->item.recover ? memory_find_refusal(i->run->manager->state,
                                                                  i->relay->facts.name, i->moves_to, i->build)
                                            : NULL;

    return failed ? failed->reason : NULL;
}

/* Of jobs, only a stop takes the place of a restart; others are merged with it (systemd's job_type_merge).
 * One that comes while the pre-start commands run kills them, and the unit is "failed" by it, with the result
 * "signal". */
static bool stopped_by_request(const RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;

    return (unit_stopped(info) && !unit_failure_forgotten(info) && !unit_kept_down(info)) || i->canceled;
}

/* Why it is not up, and not because somebody stopped it; owned by the caller. */
static char *down_words(const RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;
    const char *failed = failure_before(i);

    if (failed)
        return xstrdup(failed);
    if (unit_failure_forgotten(info))
        return xstrdup("it had failed, and somebody has reset that");
    if (unit_kept_down(info))
        return xstrdup("systemd does not start it: a condition of its unit does not hold");
    return xasprintf("it is not up: %s (%s), result \"%s\"",
                     info->active == ACTIVE_FAILED ? "failed" : "not active",
                     info->sub_state ? info->sub_state : "?", info->result ? info->result : "?");
}

/* We are short of descriptors or memory for a moment: that nothing is proved is no failure of the relay. */
static bool unread_for_a_moment(const RunItem *i)
{
    const Relay *relay = i->relay;

    return error_is_passing(relay->process ? relay->facts.process.error : relay->open_error);
}

/* Has somebody started it since a stop took the place of our restart? Until that stop has killed the
 * pre-start commands, the unit is still seen to start. */
static void note_start(RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;
    const bool starting = info->active == ACTIVE_ACTIVATING;

    i->ended = i->ended || !starting;
    i->canceled = i->canceled && !relay_up(i->relay) && !(starting && (i->ended || info->job == 0));
}

/* Whenever it is looked at, it may be starting, or have a process that is too new to be judged. (One more
 * than at the first look may be that of its start.) */
static bool crashes_on(const RunItem *i)
{
    return i->relay->facts.info->n_restarts > (uint64_t)i->first_restarts + 1;
}

/* A process may not have mapped its library yet. That it has none proves nothing of one whose old drop-in is
 * not back. */
static bool judged_too_soon(const RunItem *i, Proof proof)
{
    return (proof == PROOF_WRONG || i->not_back) && too_new(i);
}

static void verify_looked(RunItem *i)
{
    const UnitInfo *info = i->relay->facts.info;
    bool back = i->operation == OPERATION_VERIFY_BACK;

    note_start(i);
    if (i->first_restarts == UINT32_MAX)
        i->first_restarts = info->n_restarts;
    if (!info->exists) {
        answer_verified(i, PROOF_GONE);
    } else if (on_its_way(i) && !operation_past_deadline(i) && !(back && crashes_on(i))) {
        operation_wait(i, POLL_VERIFY);
    } else if (relay_up(i->relay) && crashed_since_restart(i)) {
        item_set_reason(i, xstrdup("it crashed soon after it was started, and systemd restarted it"));
        answer_verified(i, PROOF_FAILED);
    } else if (relay_up(i->relay)) {
        Proof proof = back ? proof_of_before(i) : proof_of_assigned(i);

        i->was_down = false;
        if (proof == PROOF_OK && !back) { /* the reason logged when it was too new */
            item_set_reason(i, NULL);
        }
        const char *failed = proof == PROOF_OK && !back ? failure_before(i) : NULL;
        if (failed) {
            item_set_reason(i, xstrdup(failed));
            proof = PROOF_FAILED;
        }
        const bool too_soon = judged_too_soon(i, proof);
        if (too_soon && !back && crashes_on(i))
            item_set_reason(i, xstrdup("it crashes again and again"));
        if ((too_soon && !crashes_on(i)) ||
            (proof == PROOF_WRONG && unread_for_a_moment(i) && !operation_past_deadline(i)))
            operation_wait(i, POLL_VERIFY);
        else
            answer_verified(i, too_soon ? PROOF_FAILED : proof);
    } else if (stopped_by_request(i) || (i->was_down && !i->crashing)) {
        answer_verified(i, PROOF_STOPPED);
    } else {
        if (!back)
            item_set_reason(i, down_words(i));
        answer_verified(i, PROOF_FAILED);
    }
}

void operation_on_verify_read(void *userdata, int error, const char *message, UnitInfo *info)
{
    RunItem *i = userdata;

    i->call = NULL;
    if (error == 0) {
        relay_take_info(i->relay, info);
        verify_looked(i);
    } else if (operation_gave_up(i, error)) {
        item_add_reason(i, xasprintf("its unit cannot be read: %s", message ? message : strerror(-error)));
        answer_verified(i, PROOF_FAILED);
    } else {
        operation_wait(i, POLL_VERIFY);
    }
}
