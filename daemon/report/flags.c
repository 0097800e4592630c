/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what flags were held and lost. Must never count a time for which no look stands. */
#include "report/flags.h"

#include <assert.h>

static const char *const names[_FLAG_MAX] = {
    [FLAG_GUARD] = "Guard", [FLAG_HSDIR] = "HSDir",   [FLAG_RUNNING] = "Running",
    [FLAG_FAST] = "Fast",   [FLAG_STABLE] = "Stable",
};

const char *flag_to_string(Flag flag)
{
    assert(flag < _FLAG_MAX);
    return names[flag];
}

static unsigned flag_of(const char *word, size_t n)
{
    for (Flag f = 0; f < _FLAG_MAX; f++)
        if (strlen(names[f]) == n && memcmp(names[f], word, n) == 0)
            return 1U << f;
    return 0;
}

unsigned flags_from_text(Span text)
{
    unsigned set = 0;

    for (size_t begin = 0, i = 0; i <= text.n && text.n > 0; i++)
        if (i == text.n || text.p[i] == ',') {
            set |= flag_of(text.p + begin, i - begin);
            begin = i + 1;
        }
    return set;
}

FlagTally *flag_tally_free(FlagTally *tally)
{
    for (Flag f = 0; tally && f < _FLAG_MAX; f++)
        free(tally->returns[f].times);
    free(tally);
    return NULL;
}

usec_t flags_end(const FlagWatch *watch, usec_t next, usec_t started, bool other, usec_t step)
{
    const usec_t most = FLAGS_LOOK > step ? FLAGS_LOOK : step;
    usec_t end = next - watch->time > 3 * most ? watch->time + most : next;

    if (other && started > watch->time && started < end)
        end = started;
    return end;
}

void flags_hold(FlagWatch *watch, double seconds)
{
    if (!watch->under)
        return;
    watch->under->looked += seconds;
    for (Flag f = 0; f < _FLAG_MAX; f++)
        if (flags_have(watch->set, f))
            watch->under->held[f] += seconds;
}

/* The first look at another process: what it had before is at stake. */
static void begin_watch(FlagWatch *watch, FlagTally *tally, bool counts)
{
    watch->restarted = counts ? tally : NULL;
    watch->watched = watch->restarted ? watch->set : 0;
    watch->lost = 0;
    for (Flag f = 0; f < _FLAG_MAX; f++)
        if (flags_have(watch->watched, f))
            watch->restarted->returns[f].had++;
}

static void come_back(FlagReturns *returns, double seconds)
{
    GROW(returns->times, returns->capacity, returns->n);
    returns->times[returns->n++] = seconds;
    returns->back++;
}

static void follow_watch(FlagWatch *watch, const FlagLook *look)
{
    const usec_t age = look->time > look->started ? look->time - look->started : 0;
    const unsigned missing = watch->watched & ~look->set & ~watch->lost;
    const unsigned lost = age <= FLAGS_RESTART ? missing : 0, back = watch->lost & look->set;

    for (Flag f = 0; f < _FLAG_MAX; f++) {
        if (flags_have(lost, f))
            watch->restarted->returns[f].lost++;
        if (flags_have(back, f))
            come_back(&watch->restarted->returns[f], (double)age / (double)USEC_PER_SEC);
    }
    watch->lost = (watch->lost | lost) & ~back;
    watch->watched &= ~back;
}

void flags_take(FlagWatch *watch, FlagTally *tally, const FlagLook *look)
{
    const bool first = watch->time == 0;

    if (tally && look->counts && tally->last_age == 0 && !(tally->looked > 0))
        tally->before = first ? look->set : watch->set;
    if (!first && watch->run != look->run)
        begin_watch(watch, tally, look->counts);
    if (watch->watched != 0)
        follow_watch(watch, look);
    watch->time = look->time;
    watch->set = look->set;
    watch->run = look->run;
    watch->under = tally;
    if (!tally || !look->counts)
        return;
    tally->last = look->set;
    tally->last_age = look->time > look->started ? look->time - look->started : 1;
}
