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

    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* A name may look like a pattern ("my\x2drelay"), so it also matches itself. */
static bool group_names(const Group *group, const char *relay)
{
    if (!group->patterns || !group->patterns[0])
        return true;
    STRV_FOREACH (pattern, group->patterns)
        if (streq(*pattern, relay) || fnmatch(*pattern, relay, 0) == 0)
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

static void assign_group(const Config *config, size_t index, const char *const *relays, size_t n,
                         Candidate *candidates, size_t *ret)
{
    const Group *group = &config->groups[index];
    size_t eligible = 0;

    for (size_t i = 0; i < n; i++)
        if (ret[i] == GROUP_NONE && group_names(group, relays[i]))
            candidates[eligible++] = (Candidate){
                .relay = i,
                .name = relays[i],
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
    _cleanup_(freep) Candidate *candidates = xcalloc(n, sizeof(*candidates));

    for (size_t i = 0; i < n; i++)
        ret[i] = GROUP_NONE;

    locale_t before = locale_enter();
    for (size_t g = 0; g < config->n_groups; g++)
        assign_group(config, g, relays, n, candidates, ret);
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

static char *patterns_quoted(char *const *patterns)
{
    char *text = NULL;

    STRV_FOREACH (pattern, patterns) {
        char *longer = xasprintf("%s%s\"%s\"", text ? text : "", text ? ", " : "", *pattern);
        free(text);
        text = longer;
    }
    return text;
}

char *assign_why_empty(const Config *config, size_t group, const char *const *relays, size_t n,
                       const size_t *assigned)
{
    const Group *g = &config->groups[group];
    size_t matching = 0, eligible = 0;

    for (size_t i = 0; i < n; i++)
        if (assigned[i] == group)
            return NULL;
    if (n == 0)
        return NULL;
    locale_t before = locale_enter();
    for (size_t i = 0; i < n; i++)
        if (group_names(g, relays[i])) {
            matching++;
            eligible += assigned[i] == GROUP_NONE || assigned[i] > group;
        }
    locale_leave(before);
    if (matching == 0) {
        _cleanup_(freep) char *patterns = patterns_quoted(g->patterns);
        return xasprintf("Group %s takes no relay: no name matches %s", g->name, patterns);
    }
    if (g->quota == QUOTA_SHARE && eligible > 0)
        return xasprintf("Group %s takes no relay: its share of %zu is less than half a relay", g->name,
                         eligible);
    return xasprintf("Group %s takes no relay: earlier groups take every relay%s", g->name,
                     g->patterns && g->patterns[0] ? " that matches" : "");
}
