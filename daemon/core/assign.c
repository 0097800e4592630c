/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns which relay belongs to which group. Must stay a function of the names and the configuration alone:
 * the order of the relays, the locale and the past must never matter. */
#include "core/assign.h"

#include <assert.h>
#include <errno.h>
#include <fnmatch.h>
#include <locale.h>

typedef struct Candidate {
    size_t relay; /* index into the caller's names */
    const char *name;
    unsigned rank; /* 0: this group holds it; 1: by a file that is not known; 2; 3: another one holds it */
    uint64_t score;
} Candidate;

/* The score of a relay in a group. It must never change: another function here would move relays, and so
 * restart them, on the day of an upgrade. FNV-1a (64 bits) over seed, NUL, group, NUL, relay; its upper bits
 * differ too little for names that differ in the last character, so the finaliser of splitmix64 mixes them.
 */
static uint64_t rendezvous_score(const char *seed, const char *group, const char *relay)
{
    const char *const parts[] = { seed, group, relay };
    uint64_t h = HASH_BEGIN;

    for (size_t i = 0; i < ELEMENTSOF(parts); i++) /* each with its NUL, but for the last */
        h = hash_bytes(h, parts[i], strlen(parts[i]) + (i + 1 < ELEMENTSOF(parts)));
    h = (h ^ (h >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ (h >> 27)) * UINT64_C(0x94d049bb133111eb);
    return h ^ (h >> 31);
}

/* Highest score first; the name decides between equals. */
static int candidate_compare(const void *a, const void *b)
{
    const Candidate *x = a, *y = b;

    if (x->rank != y->rank)
        return x->rank < y->rank ? -1 : 1;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* A name may look like a pattern ("my\x2drelay"), so it also matches itself. */
static bool matches(const char *pattern, const char *relay)
{
    return streq(pattern, relay) || fnmatch(pattern, relay, 0) == 0;
}

static bool group_names(const Group *group, const char *relay)
{
    STRV_FOREACH (pattern, group->except)
        if (matches(*pattern, relay))
            return false;
    if (!group->patterns || !group->patterns[0])
        return true;
    STRV_FOREACH (pattern, group->patterns)
        if (matches(*pattern, relay))
            return true;
    return false;
}

static size_t quota_of(const Group *group, size_t eligible)
{
    double quota = (double)eligible;

    switch (group->quota) {
    case QUOTA_ALL:
        return eligible;
    case QUOTA_SIZE:
        quota = group->amount;
        break;
    case QUOTA_SHARE:
        quota = group->amount * (double)eligible / 100 + 0.5; /* exact for halves, in this order */
        break;
    }
    return quota < (double)eligible ? (size_t)quota : eligible;
}

/* The group that holds the relay, of those that hold; GROUP_NONE. */
static size_t holder_of(const Config *config, const char *has)
{
    for (size_t g = 0; has && g < config->n_groups; g++)
        if (config->groups[g].hold && streq(config->groups[g].name, has))
            return g;
    return GROUP_NONE;
}

static void assign_group(const Config *config, size_t index, const char *const *relays, const size_t *holder,
                         const bool *unknown, size_t n, Candidate *candidates, size_t *ret)
{
    const Group *group = &config->groups[index];
    size_t eligible = 0;

    for (size_t i = 0; i < n; i++)
        if (ret[i] == GROUP_NONE && group_names(group, relays[i]))
            candidates[eligible++] = (Candidate){
                .relay = i,
                .name = relays[i],
                .rank = holder[i] == index        ? unknown && unknown[i]
                        : holder[i] == GROUP_NONE ? 2
                                                  : 3,
                .score = rendezvous_score(group->seed, group->name, relays[i]),
            };
    size_t quota = quota_of(group, eligible);
    if (quota < eligible)
        qsort(candidates, eligible, sizeof(*candidates), candidate_compare);
    for (size_t i = 0; i < quota; i++)
        ret[candidates[i].relay] = index;
}

/* fnmatch() follows the locale: "[a-z]" and "?" would mean one thing to the daemon and another to a command
 * line that has called setlocale(). */
static locale_t locale_enter(void)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    assert(c); /* the C locale is built into libc and takes no memory */
    return uselocale(c);
}

static void locale_leave(locale_t before)
{
    freelocale(uselocale(before));
}

void assign_groups(const Config *config, const char *const *relays, size_t n, size_t *ret)
{
    assign_groups_holding(config, relays, NULL, NULL, n, ret);
}

void assign_groups_holding(const Config *config, const char *const *relays, const char *const *has,
                           const bool *unknown, size_t n, size_t *ret)
{
    _cleanup_(freep) Candidate *candidates = xcalloc(n, sizeof(*candidates));
    _cleanup_(freep) size_t *holder = xcalloc(n, sizeof(*holder));
    bool all_kept;

    for (size_t i = 0; i < n; i++)
        holder[i] = holder_of(config, has ? has[i] : NULL);

    locale_t before = locale_enter();
    do {
        for (size_t i = 0; i < n; i++)
            ret[i] = GROUP_NONE;
        for (size_t g = 0; g < config->n_groups; g++)
            assign_group(config, g, relays, holder, unknown, n, candidates, ret);
        /* Whom its group does not keep is free for the others from the start: else the draw would change as
         * soon as it has left. */
        all_kept = true;
        for (size_t i = 0; i < n; i++)
            if (holder[i] != GROUP_NONE && holder[i] != ret[i]) {
                holder[i] = GROUP_NONE;
                all_kept = false;
            }
    } while (!all_kept);
    locale_leave(before);
}

size_t assign_without_quota(const Config *config, const char *relay)
{
    size_t found = GROUP_NONE;
    locale_t before = locale_enter();

    for (size_t g = 0; found == GROUP_NONE && g < config->n_groups; g++)
        if (config->groups[g].quota == QUOTA_ALL && group_names(&config->groups[g], relay))
            found = g;
    locale_leave(before);
    return found;
}

/* ---- names that mean nobody ---- */

typedef struct Judging {
    const Config *config;
    const char *const *relays; /* n of them, then NULL */
    size_t n;
    const size_t *assigned;
    Problems *problems;
} Judging;

static bool is_fingerprint(const char *s)
{
    return strlen(s) == 40 && strspn(s, "0123456789abcdefABCDEF") == 40;
}

static bool is_pattern(const char *s)
{
    return strpbrk(s, "*?[") != NULL;
}

/* "guard*" for "gaurd*": as many letters of some relay's name as stand before the first special one. */
static char *pattern_meant(const Judging *j, const char *pattern)
{
    size_t n = strcspn(pattern, "*?[\\");
    _cleanup_(freep) char *begins = xstrndup(pattern, n);
    _cleanup_(strv_freep) char **starts = NULL;

    for (size_t i = 0; i < j->n; i++)
        strv_push(&starts, xstrndup(j->relays[i], n));
    const char *near = n > 1 ? did_you_mean(begins, (const char *const *)starts) : NULL;
    return near ? xasprintf("%s%s", near, pattern + n) : NULL;
}

/* What to do about a name or pattern that no relay has, to follow in the sentence; owned by the caller. */
static char *advice(const Judging *j, const char *pattern, const Wording *w)
{
    if (w->pieces)
        return xasprintf(": a comma is missing between %s", w->pieces);
    if (is_fingerprint(pattern))
        return xstrdup(
            ": this is a fingerprint, and relays go by the names that \"relayallocctl list\" shows");
    if (is_pattern(pattern)) {
        _cleanup_(freep) char *meant = pattern_meant(j, pattern);
        return meant ? xasprintf(" (did you mean \"%s\"?)", meant) : xstrdup("");
    }
    const char *at = strrchr(pattern, '@'), *near = did_you_mean(pattern, j->relays);
    if (!near && at)
        near = did_you_mean(at + 1, j->relays);
    return near ? xasprintf(" (did you mean \"%s\"?)", near) : xstrdup("");
}

static void judge_name(const Judging *j, size_t group, size_t i)
{
    const char *pattern = j->config->groups[group].patterns[i];
    const Wording *w = &j->config->groups[group].wordings[i];
    _cleanup_(freep) char *setting = xasprintf("groups[%zu].relays[%zu]", group, i);
    size_t matching = 0, taken = 0, by = GROUP_NONE;

    for (size_t k = 0; k < j->n; k++)
        if (matches(pattern, j->relays[k])) {
            matching++;
            taken += j->assigned[k] < group;
            by = j->assigned[k];
        }
    if (matching > taken)
        return;
    if (matching == 0) {
        _cleanup_(freep) char *then = advice(j, pattern, w);
        problems_add(j->problems, w->place.file, w->place.line, setting, "no relay of this host %s \"%s\"%s",
                     is_pattern(pattern) ? "matches" : "is called", w->text, then);
    } else if (matching > 1) {
        problems_add(j->problems, w->place.file, w->place.line, setting,
                     "earlier groups take all %zu relays that match \"%s\"", matching, w->text);
    } else {
        problems_add(j->problems, w->place.file, w->place.line, setting,
                     "group %s comes before and takes \"%s\"", j->config->groups[by].name, w->text);
    }
}

/* What is to be left out and is not there is often a relay that is taken by mistake. */
static void judge_exception(const Judging *j, size_t group, size_t i)
{
    const char *pattern = j->config->groups[group].except[i];
    const Wording *w = &j->config->groups[group].except_wordings[i];
    _cleanup_(freep) char *setting = xasprintf("groups[%zu].except[%zu]", group, i);

    for (size_t k = 0; k < j->n; k++)
        if (matches(pattern, j->relays[k]))
            return;
    _cleanup_(freep) char *then = advice(j, pattern, w);
    problems_add(j->problems, w->place.file, w->place.line, setting, "no relay of this host %s \"%s\"%s",
                 is_pattern(pattern) ? "matches" : "is called", w->text, then);
}

static void judge_group(const Judging *j, size_t group)
{
    const Group *g = &j->config->groups[group];
    _cleanup_(freep) char *setting = xasprintf("groups[%zu]", group);
    size_t named = 0, eligible = 0;

    for (size_t i = 0; i < j->n; i++) {
        if (j->assigned[i] == group)
            return;
        named += group_names(g, j->relays[i]);
        eligible += j->assigned[i] > group && group_names(g, j->relays[i]);
    }
    if (g->quota == QUOTA_SHARE && eligible > 0)
        problems_add(j->problems, g->place.file, g->place.line, setting,
                     "group %s takes no relay: its share of %zu is less than half a relay", g->name,
                     eligible);
    else if (named == 0)
        problems_add(j->problems, g->place.file, g->place.line, setting,
                     "group %s takes no relay: its \"except\" leaves out all that it names", g->name);
    else
        problems_add(j->problems, g->place.file, g->place.line, setting,
                     "group %s takes no relay: earlier groups take them all", g->name);
}

void assign_judge(const Config *config, const char *const *relays, size_t n, const size_t *assigned,
                  Problems *problems)
{
    const Judging j = {
        .config = config, .relays = relays, .n = n, .assigned = assigned, .problems = problems
    };

    if (n == 0)
        return;
    locale_t before = locale_enter();
    for (size_t g = 0; g < config->n_groups; g++) {
        const size_t told = problems->n;

        for (size_t i = 0; i < strv_length(config->groups[g].patterns); i++)
            judge_name(&j, g, i);
        for (size_t i = 0; i < strv_length(config->groups[g].except); i++)
            judge_exception(&j, g, i);
        if (problems->n == told)
            judge_group(&j, g);
    }
    locale_leave(before);
}
