/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/facts.h"

#include "core/dropin.h"
#include "core/identify.h"
#include "core/preload.h"

#include <errno.h>
#include <inttypes.h>

#define BUILT_IN "built-in"
#define WORD_MAX 64 /* bytes of a name that a relay chose */

void allocator_facts_clear(AllocatorFacts *a)
{
    free(a->path);
    free(a->realpath);
    free(a->build);
    free(a->version);
    free(a->refusal);
    strv_free(a->looked);
    free(a->guard);
    free(a->warnings);
    free(a->remark);
    strv_free(a->settings);
    *a = (AllocatorFacts){ 0 };
}

static void process_facts_clear(ProcessFacts *p)
{
    mapped_library_clear(&p->running);
    strv_free(p->environ);
    free(p->label);
    strv_free(p->not_loaded);
    free(p->system_allocator);
    free(p->program);
    *p = (ProcessFacts){ 0 };
}

RelayFacts relay_facts_new(const char *name, const char *unit)
{
    return (RelayFacts){
        .name = xstrdup(name),
        .unit = xstrdup(unit),
        .old_unit = streq(name, unit),
        .group = GROUP_NONE,
        .running = xstrdup(""),
        .version = xstrdup(""),
    };
}

void relay_facts_clear(RelayFacts *r)
{
    unit_info_free(r->info);
    process_facts_clear(&r->process);
    verdict_clear(&r->verdict);
    strv_free(r->conflicts);
    free(r->name);
    free(r->unit);
    free(r->dropin);
    free(r->present);
    free(r->removed);
    free(r->foreign);
    strv_free(r->own_settings);
    strv_free(r->kept);
    free(r->kept_from);
    free(r->settings_unread);
    free(r->config_fault);
    free(r->running);
    free(r->version);
    free(r->reason);
    free(r->reverted_from);
    free(r->down);
    free(r->fresh_invocation);
    free(r->fresh_dropin);
    *r = (RelayFacts){ 0 };
}

/* ---- the host ---- */

bool facts_allocator_in_use(const Config *config, size_t allocator)
{
    for (size_t g = 0; g < config->n_groups; g++)
        if (config->groups[g].allocator == allocator)
            return true;
    return false;
}

bool facts_allocator_offered(const Config *config, size_t allocator)
{
    return !config->allocators[allocator].renamed || facts_allocator_in_use(config, allocator);
}

size_t facts_allocators_offered(const Config *config)
{
    size_t n = 0;

    for (size_t i = 0; i < config->n_allocators; i++)
        n += facts_allocator_offered(config, i);
    return n;
}

char *facts_identity(const Config *config, const AllocatorFacts *allocators)
{
    uint64_t libraries = HASH_BEGIN;

    for (size_t i = 0; i < config->n_allocators; i++)
        if (facts_allocator_in_use(config, i)) /* each build with its NUL */
            libraries = hash_bytes(libraries, allocators[i].build, strlen(allocators[i].build) + 1);
    return xasprintf("%016" PRIx64 "-%016" PRIx64, config->digest, libraries);
}

const Group *facts_target(const HostFacts *h, const RelayFacts *r)
{
    return r->reverted || r->group == GROUP_NONE ? NULL : &h->config->groups[r->group];
}

const Allocator *facts_allocator(const HostFacts *h, const RelayFacts *r)
{
    const Group *g = facts_target(h, r);

    return g ? &h->config->allocators[g->allocator] : NULL;
}

const AllocatorFacts *facts_resolved(const HostFacts *h, const RelayFacts *r)
{
    const Group *g = facts_target(h, r);

    return g ? &h->allocators[g->allocator] : NULL;
}

char *facts_failure_build(const Allocator *a, const AllocatorFacts *resolved)
{
    uint64_t hash = HASH_BEGIN;

    if (a->n_environment == 0)
        return xstrdup(resolved->build);
    for (size_t i = 0; i < a->n_environment; i++) { /* each with its NUL */
        hash = hash_bytes(hash, a->environment[i].name, strlen(a->environment[i].name) + 1);
        hash = hash_bytes(hash, a->environment[i].value, strlen(a->environment[i].value) + 1);
    }
    return xasprintf("%s+%016" PRIx64, resolved->build, hash);
}

char **facts_assigned(const HostFacts *h, const RelayFacts *const *relays, size_t n, Assignment *ret)
{
    char **builds = xcalloc(h->config->n_allocators + 1, sizeof(char *));

    for (size_t i = 0; i < h->config->n_allocators; i++)
        builds[i] = facts_failure_build(&h->config->allocators[i], &h->allocators[i]);
    for (size_t i = 0; i < n; i++) {
        const Group *g = relays[i]->group == GROUP_NONE ? NULL : &h->config->groups[relays[i]->group];

        ret[i] = (Assignment){ .relay = relays[i]->name,
                               .group = g ? g->name : "",
                               .allocator = g ? h->config->allocators[g->allocator].name : "",
                               .build = g ? builds[g->allocator] : "" };
    }
    return builds;
}

char *facts_wanted(const HostFacts *h, const RelayFacts *r)
{
    const Group *g = facts_target(h, r);

    if (!g)
        return NULL;
    return dropin_render(h->config_path, g->name, facts_allocator(h, r), facts_resolved(h, r)->path, r->kept);
}

uint64_t facts_sandbox(const RelayFacts *r)
{
    _cleanup_(freep) char *profile = verdict_denying_profile(r->process.label);
    uint64_t sandbox = r->info ? r->info->sandbox : 0;

    STRV_FOREACH (library, r->kept)
        sandbox = hash_bytes(sandbox, *library, strlen(*library) + 1);
    return profile ? hash_bytes(sandbox, profile, strlen(profile)) : sandbox;
}

char *facts_recipe(const Allocator *a, const AllocatorFacts *resolved)
{
    if (!a || (!a->library && a->n_environment == 0))
        return NULL;
    uint64_t hash = hash_bytes(HASH_BEGIN, resolved->build, strlen(resolved->build) + 1);
    for (size_t i = 0; i < a->n_environment; i++) {
        hash = hash_bytes(hash, a->environment[i].name, strlen(a->environment[i].name) + 1);
        hash = hash_bytes(hash, a->environment[i].value, strlen(a->environment[i].value) + 1);
    }
    return xasprintf("%016" PRIx64, hash);
}

bool facts_proves(const HostFacts *h, const RelayFacts *r)
{
    return unit_up(r->info) && facts_target(h, r) && r->process.readable && r->verdict.cause == CAUSE_NONE &&
           !memory_find_flight(h->state, r->name) && r->process.started + h->config->rollout.settle <= h->now;
}

/* ---- its drop-in ---- */

void facts_take_dropin(RelayFacts *r, char *take_path, int error, char *take_text)
{
    free(r->dropin);
    free(r->foreign);
    r->dropin = take_path;
    r->foreign = NULL;
    r->dropin_unread = error_is_passing(error);
    if (!r->dropin_unread) {
        free(r->present);
        r->present = take_text;
    }
    if (error == -EEXIST)
        r->foreign = xasprintf("%s is not ours, so it is left alone; remove or rename it", r->dropin);
    else if (error < 0 && error != -ENOENT)
        r->foreign = xasprintf("cannot read %s: %s", r->dropin, strerror(-error));
}

/* ---- what others set for it ---- */

char *facts_take_settings(const HostFacts *h, RelayFacts *r, const SettingFile *files, size_t n_files)
{
    const VerdictFacts facts = {
        /* As long as our drop-in lies there, the unit's own view holds it, or is older. */
        .unit_environment = r->info && !r->present ? r->info->environment : NULL,
        .manager_environment = h->manager_environment,
        .files = files,
        .n_files = n_files,
        .own_dropin = r->dropin,
    };
    const char *from;
    char *preload = verdict_inherited_preload(&facts, &from);

    strv_free(r->own_settings);
    free(r->kept_from);
    r->own_settings = verdict_own_settings(&facts);
    r->kept_from = xstrdup(from);
    return preload;
}

void facts_take_kept(RelayFacts *r, char **take)
{
    strv_free(r->kept);
    r->kept = take;
}

void facts_take_unread(RelayFacts *r, const char *path, int error)
{
    free(r->settings_unread);
    r->settings_unread = path ? xasprintf("cannot read %s: %s", path, strerror(-error)) : NULL;
}

char *facts_kept_words(const RelayFacts *r, const char *entry)
{
    return xasprintf("%s preloads %s", r->kept_from ? r->kept_from : "the environment of systemd", entry);
}

const char *facts_carried(const RelayFacts *r, char *const *ours)
{
    STRV_FOREACH (e, ours) {
        _cleanup_(freep) char *name = xstrndup(*e, strcspn(*e, "="));
        const char *value = strv_env_get(ours, name), *has = strv_env_get(r->process.environ, name);

        if (verdict_same_value(name, has, value) &&
            !verdict_same_value(name, has, strv_env_get(r->own_settings, name)))
            return *e;
    }
    return NULL;
}

void facts_take_config_fault(RelayFacts *r, const char *reason, uint64_t stamp)
{
    free(r->config_fault);
    r->config_fault = xstrdup(reason);
    r->config_stamp = stamp;
}

/* ---- what it runs ---- */

bool process_is_new(usec_t started, usec_t now)
{
    return started <= now &&
           now - started < PROCESS_NEW; /* one from the future is old: the clock was set back */
}

/* A file's name as a word that can stand in a column, a row of a fleet entry or a report: a relay maps files
 * of any name. */
static char *word_of(const char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-@/";
    char *word = xstrndup(name, WORD_MAX);

    for (char *p = word; *(p += strspn(p, plain)); p++)
        *p = '?';
    return word;
}

/* What runs and goes by no name of the configuration. */
static char *name_of_library(const Config *config, const MappedLibrary *running)
{
    const char *slash = running->path ? strrchr(running->path, '/') : NULL;

    if (running->family != FAMILY_OTHER)
        return xstrdup(family_to_string(running->family));
    if (running->origin == ORIGIN_PROGRAM)
        return xstrdup(BUILT_IN);
    char *name = word_of(slash + 1);
    if (config_find_allocator(config, name) < 0 && family_from_string(name) < 0 && !streq(name, BUILT_IN) &&
        !streq(name, "-"))
        return name;
    free(name); /* a file that is called like an allocator does not become it */
    return word_of(running->path);
}

static void name_running(const HostFacts *h, RelayFacts *r, bool same_library)
{
    const Config *c = h->config;
    _cleanup_(freep) const char **realpaths = xcalloc(c->n_allocators, sizeof(char *));
    const MappedLibrary *running = &r->process.running;
    const Group *g = facts_target(h, r);

    for (size_t i = 0; i < c->n_allocators; i++)
        realpaths[i] = h->allocators[i].realpath;
    ssize_t i = identify_allocator(c, realpaths, running, r->process.environ, g ? g->allocator : SIZE_MAX);
    free(r->running);
    r->running = i >= 0 ? xstrdup(c->allocators[i].name) : name_of_library(c, running);
    if (running->deleted && same_library && !isempty(r->version))
        return; /* what is on disk now is another build; what we knew of this one stays true */
    free(r->version);
    r->version = xstrdup(i >= 0 && !running->deleted && !running->elsewhere ? h->allocators[i].version : "");
}

void facts_take_process(const HostFacts *h, RelayFacts *r, ProcessFacts *take)
{
    ProcessFacts *p = &r->process;
    bool same = take->pid == p->pid && streq_null(take->running.path, p->running.path);

    if (take->pid == 0) {
        process_facts_clear(p);
        free(r->running);
        free(r->version);
        r->running = xstrdup("");
        r->version = xstrdup("");
    } else if (!take->readable) {
        p->pid = take->pid;
        p->started = take->started;
        p->readable = false;
        p->error = take->error;
        process_facts_clear(take);
    } else {
        process_facts_clear(p);
        *p = *take;
        *take = (ProcessFacts){ 0 };
        name_running(h, r, same);
    }
}

/* LD_PRELOAD as its drop-in should say it. Owned by the caller. */
static char *wanted_preload(const HostFacts *h, const RelayFacts *r)
{
    const AllocatorFacts *resolved = facts_resolved(h, r);

    return preload_join(resolved->path ? resolved->path : facts_allocator(h, r)->library, r->kept);
}

static VerdictFacts verdict_facts(const HostFacts *h, const RelayFacts *r, const char *preload,
                                  const SettingFile *files, size_t n_files, const char *own_dropin)
{
    const Allocator *a = facts_allocator(h, r);
    const AllocatorFacts *resolved = facts_resolved(h, r);
    const ProcessFacts *p = &r->process;

    return (VerdictFacts){
        .allocator = a->name,
        .library = resolved->path ? resolved->path : a->library,
        .preload = preload,
        .kept = r->kept,
        .realpath = resolved->gone ? NULL : resolved->realpath,
        .refusal = resolved->unsafe ? resolved->refusal : NULL,
        .untested = resolved->untested ? resolved->refusal : NULL,
        .environment = a->environment,
        .n_environment = a->n_environment,
        .running = p->readable ? &p->running : NULL,
        .process_environ = p->readable ? p->environ : NULL,
        .apparmor = p->label,
        .system_allocator = p->system_allocator,
        .program = p->program,
        .secure = p->readable ? p->secure : SECURE_NONE,
        .started_since = r->fresh_invocation && streq(r->fresh_invocation, r->info->invocation) &&
                         streq_null(r->fresh_dropin, r->present),
        .unit_environment = r->info->environment,
        .manager_environment = h->manager_environment,
        .files = files,
        .n_files = n_files,
        .own_dropin = own_dropin,
    };
}

void facts_judge(const HostFacts *h, RelayFacts *r, const SettingFile *files, size_t n_files)
{
    verdict_clear(&r->verdict);
    r->conflicts = strv_free(r->conflicts);
    if (!unit_up(r->info) || !facts_target(h, r))
        return;
    _cleanup_(freep) char *preload = wanted_preload(h, r);
    const VerdictFacts facts = verdict_facts(h, r, preload, files, n_files, r->present ? r->dropin : NULL);
    r->verdict = verdict_judge(&facts);
    if (r->present)
        r->conflicts = verdict_conflicts(&facts);
    if (r->verdict.reason) { /* a relay maps files of any name */
        char *reason = printable(r->verdict.reason, SIZE_MAX);
        free(r->verdict.reason);
        r->verdict.reason = reason;
    }
}

bool facts_too_new(const HostFacts *h, const RelayFacts *r)
{
    Cause c = r->verdict.cause;

    return r->process.pid != 0 &&
           (!r->process.readable || c == CAUSE_DENIED || c == CAUSE_MISSING || c == CAUSE_UNKNOWN) &&
           process_is_new(r->process.started, h->now);
}

char **facts_conflicts(const HostFacts *h, const RelayFacts *r, const SettingFile *files, size_t n_files)
{
    if (!facts_target(h, r) || !r->info)
        return NULL;
    _cleanup_(freep) char *preload = wanted_preload(h, r);
    const VerdictFacts facts = verdict_facts(h, r, preload, files, n_files, r->dropin);
    return verdict_conflicts(&facts);
}

const char *facts_proof(const RelayFacts *r)
{
    return r->process.running.unread ? "by its file names only" : "proved";
}

static void add_note(char ***notes, char *take_note)
{
    strv_push(notes, printable(take_note, SIZE_MAX));
    free(take_note);
}

char **facts_notes(const RelayFacts *r)
{
    const ProcessFacts *p = &r->process;
    char **notes = NULL;

    if (r->group != GROUP_NONE && !r->reverted)
        STRV_FOREACH (entry, r->kept) {
            _cleanup_(freep) char *words = facts_kept_words(r, *entry);
            add_note(&notes, xasprintf("%s, which is kept behind its allocator", words));
        }
    STRV_FOREACH (conflict, r->conflicts)
        add_note(&notes, xasprintf("%s as well", *conflict));
    if (p->readable && p->running.unread)
        add_note(&notes,
                 xasprintf("what it runs is known by file names only: %s cannot be read", p->running.unread));
    if (p->readable && p->running.elsewhere)
        add_note(&notes,
                 xasprintf("its %s is another file than the one of that path on this host, by mounts or "
                           "a root of its own, so its version is not known",
                           p->running.path));
    for (char **name = p->readable ? p->not_loaded : NULL; name && *name; name++)
        add_note(&notes, xasprintf("its LD_PRELOAD names %s, which it has not loaded", *name));
    return notes;
}

/* ---- how it stands ---- */

const char *facts_reason(const RelayFacts *r)
{
    if (r->down)
        return r->down;
    if (r->action == ACTION_REFUSED && r->reason)
        return r->reason; /* why nothing is done about it says more than what is wrong */
    return r->verdict.reason ? r->verdict.reason : r->reason;
}

/* Its drop-in, if there is one, is not of the allocator that is assigned and refused. */
static bool never_moved(const HostFacts *h, const RelayFacts *r)
{
    const Allocator *a = facts_allocator(h, r);

    if (!a || !facts_resolved(h, r)->refusal)
        return false;
    _cleanup_(freep) char *named = xasprintf(", allocator %s;", a->name);
    return !r->present || !strstr(r->present, named);
}

RelayState facts_state(const HostFacts *h, const RelayFacts *r, const Step *step)
{
    return relay_state(&(StateFacts){
        .assigned = facts_target(h, r) != NULL,
        .reverted = r->reverted && r->group != GROUP_NONE,
        .down = unit_failed(r->info),
        .up = unit_up(r->info),
        .starting = unit_starting(r->info),
        /* a library that is not on disk does not come by waiting */
        .too_new = facts_too_new(h, r) && r->verdict.cause != CAUSE_MISSING,
        .under_way = step != NULL,
        .step = step ? *step : STEP_WAITING,
        .remembered_failure = r->failed_before,
        .untested = facts_target(h, r) && facts_resolved(h, r)->untested,
        .never_moved = never_moved(h, r),
        .action = r->action,
        .cause = r->verdict.cause,
    });
}
