/* SPDX-License-Identifier: BSD-3-Clause */
/* Weighs what a relay should run against what it does run, and finds the one cause that explains a
 * difference. Quotes nothing of the process's own environment in its sentences: a relay writes that itself.
 */
#include "core/verdict.h"

#include "core/preload.h"
#include "core/verdict-settings.h"

#include <assert.h>
#include <stdarg.h>

void verdict_clear(Verdict *v)
{
    free(v->reason);
    *v = (Verdict){ 0 };
}

static Verdict because(Cause cause, const char *format, ...) _printf_(2, 3);
static Verdict because(Cause cause, const char *format, ...)
{
    Verdict v = { .cause = cause };
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&v.reason, format, ap) < 0)
        abort();
    va_end(ap);
    return v;
}

/* Variables by which the allocators are set, whoever sets them. */
static bool is_allocator_variable(const char *name)
{
    return strncmp(name, "MALLOC_", 7) == 0 || strncmp(name, "MIMALLOC_", 9) == 0 ||
           strncmp(name, "TCMALLOC_", 9) == 0 || streq(name, "GLIBC_TUNABLES");
}

char **verdict_host_settings(char *const *manager_environment)
{
    char **settings = NULL;

    STRV_FOREACH (e, manager_environment) {
        size_t n = strcspn(*e, "=");
        _cleanup_(freep) char *name = xstrndup(*e, n);
        bool preload = streq(name, PRELOAD_VARIABLE) && (*e)[n] && (*e)[n + 1]; /* empty is as unset */
        if (preload || is_allocator_variable(name))
            strv_push(&settings, xstrdup(*e));
    }
    return settings;
}

static bool judge_override(const VerdictFacts *f, const char *name, Verdict *ret)
{
    Override o = settings_find_override(f, name);

    if (!o.file)
        return false;
    *ret = because(CAUSE_OVERRIDDEN, "%s %s %s", name, o.how, o.file->path);
    ret->unannounced = o.file->environment_file;
    return true;
}

/* ---- variables that the allocator does not set, left over from an earlier assignment ---- */

/* Also keeps a relay from writing what it likes into our sentence. */
static bool is_plain_name(const char *s, size_t n)
{
    return n > 0 && n <= 64 && strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") >= n;
}

/* The name of such a variable in the process, or NULL: one that our drop-in still sets, or one of an
 * allocator's that nothing sets any more. */
static char *find_leftover(const VerdictFacts *f)
{
    bool complete;
    _cleanup_(strv_freep) char **ours = settings_of_file(settings_own_file(f));
    _cleanup_(strv_freep) char **others = settings_of_others(f, &complete);

    if (!complete) /* the file that could not be read may set anything */
        return NULL;
    STRV_FOREACH (e, f->process_environ) {
        size_t n = strcspn(*e, "=");
        if (!is_plain_name(*e, n))
            continue;
        _cleanup_(freep) char *name = xstrndup(*e, n);
        if (settings_assigned(f, name) || strv_env_get(others, name))
            continue;
        bool nobody_sets_it = is_allocator_variable(name) && !strv_env_get(f->unit_environment, name);
        if (strv_env_get(ours, name) || nobody_sets_it)
            return TAKE_PTR(name);
    }
    return NULL;
}

/* ---- what is still to be done before the process can have what it is assigned ---- */

static bool says_what_is_assigned(const VerdictFacts *f, char *const *environment)
{
    if (!verdict_same_value(PRELOAD_VARIABLE, strv_env_get(environment, PRELOAD_VARIABLE),
                            settings_assigned(f, PRELOAD_VARIABLE)))
        return false;
    for (size_t i = 0; i < f->n_environment; i++)
        if (!streq_null(strv_env_get(environment, f->environment[i].name), f->environment[i].value))
            return false;
    STRV_FOREACH (e, environment) {
        _cleanup_(freep) char *name = xstrndup(*e, strcspn(*e, "="));
        if (!settings_assigned(f, name))
            return false;
    }
    return true;
}

/* `what` is wrong with the variable `name`, and nothing overrides it: so far nothing has corrected it. */
static Verdict not_restarted(const VerdictFacts *f, const char *name, const char *what)
{
    const SettingFile *own = settings_own_file(f);
    _cleanup_(strv_freep) char **environment = settings_of_file(own);

    if (!f->own_dropin)
        return because(CAUSE_NOT_RESTARTED, "%s: its drop-in is not written yet", what);
    if (own && own->text && !says_what_is_assigned(f, environment))
        return because(CAUSE_NOT_RESTARTED, "%s: its drop-in is from an earlier assignment", what);
    const SettingFile *gone = settings_gone_file(f);
    const bool loaded =
        verdict_same_value(name, strv_env_get(f->unit_environment, name), settings_assigned(f, name));
    if (!loaded && gone)
        return because(CAUSE_NOT_RESTARTED, "%s: %s is deleted, but systemd has not reloaded since", what,
                       gone->path);
    if (!loaded)
        return because(CAUSE_NOT_RESTARTED, "%s: systemd has not loaded the drop-in yet", what);
    if (f->started_since)
        return because(
            CAUSE_UNKNOWN,
            "%s, although systemd started it with our drop-in: does a wrapper in ExecStart= change %s?", what,
            name);
    return because(CAUSE_NOT_RESTARTED, "%s: started before the drop-in was written, so it needs a restart",
                   what);
}

/* ---- the library ---- */

/* A newer or older file of the same link: in the same directory, libmimalloc.so.2.0 for libmimalloc.so.2. */
static bool is_version_of(const char *path, const char *library)
{
    size_t n = strlen(library);

    return strncmp(path, library, n) == 0 && path[n] == '.' && !strchr(path + n, '/');
}

/* The library that our drop-in names, perhaps an earlier file of the same link: LD_PRELOAD names nothing
 * else. (Links of quite another name and family cannot be followed back.) */
static bool runs_right_library(const VerdictFacts *f, const char *preload)
{
    const char *path = f->running->path;

    if (!f->library || !path)
        return !f->library && !path;
    if (streq_null(path, f->realpath) || streq(path, f->library))
        return true;
    if (preload_names(preload, f->library) && is_version_of(path, f->library))
        return true;
    return preload_begins(preload, f->library) && f->running->origin != ORIGIN_SYSTEM_PRELOAD &&
           f->running->family != FAMILY_OTHER &&
           f->running->family == family_of_library(f->realpath ? f->realpath : f->library);
}

/* The allocator that runs, as briefly as it can be distinguished from the one assigned. */
static const char *running_name(const VerdictFacts *f)
{
    const MappedLibrary *m = f->running;

    if (!m->path)
        return family_to_string(FAMILY_GLIBC);
    if (m->family == FAMILY_OTHER || (f->library && family_of_library(f->library) == m->family))
        return m->path;
    return family_to_string(m->family);
}

/* AppArmor's label of a confined process is "PROFILE (MODE)". */
char *verdict_denying_profile(const char *label)
{
    static const char *const modes[] = { " (enforce)", " (kill)", " (mixed)" };

    for (size_t i = 0; label && i < ELEMENTSOF(modes); i++) {
        size_t n = strlen(label), suffix = strlen(modes[i]);
        if (n > suffix && streq(label + n - suffix, modes[i]))
            return xstrndup(label, n - suffix);
    }
    return NULL;
}

static Verdict not_loaded(const VerdictFacts *f)
{
    _cleanup_(freep) char *profile = verdict_denying_profile(f->apparmor);

    if (!f->realpath)
        return because(CAUSE_MISSING, "the library %s is missing, so ld.so ignored it and %s serves malloc",
                       f->library, running_name(f));
    if (profile)
        return because(CAUSE_DENIED,
                       "the library %s exists but was not loaded: denied by AppArmor profile %s", f->library,
                       profile);
    return because(
        CAUSE_DENIED,
        "the library %s exists but was not loaded: hidden or denied by the unit's sandbox, or it was "
        "missing when the relay started",
        f->library);
}

/* What decides at every start, whatever LD_PRELOAD says. */
static bool judge_program(const VerdictFacts *f, Verdict *ret)
{
    if (f->running->origin != ORIGIN_PROGRAM)
        return false;
    *ret = because(CAUSE_OVERRIDDEN, "an allocator is linked into %s itself, which LD_PRELOAD cannot change",
                   f->running->path);
    return true;
}

/* What stays when LD_PRELOAD is empty. */
static bool judge_without_preload(const VerdictFacts *f, const char *what, Verdict *ret)
{
    if (f->library)
        return false;
    if (f->system_allocator)
        *ret = because(CAUSE_OVERRIDDEN, "%s: " SYSTEM_PRELOAD " loads %s into every process", what,
                       f->system_allocator);
    else if (f->running->origin == ORIGIN_NEEDED)
        *ret = because(CAUSE_OVERRIDDEN, "%s: %s is linked with %s", what,
                       f->program ? f->program : "its program", f->running->path);
    else
        return false;
    ret->unannounced = f->system_allocator != NULL;
    return true;
}

/* ---- secure-execution mode ---- */

static char *why_secure(const VerdictFacts *f)
{
    const char *program = f->program ? f->program : "its program";

    if (f->secure == SECURE_CAPABILITIES)
        return xasprintf("file capabilities on %s", program);
    if (f->secure == SECURE_SET_ID)
        return xasprintf("the set-user-ID or set-group-ID bit of %s", program);
    return xstrdup("a security module such as SELinux changes its domain");
}

static Verdict ignored(const VerdictFacts *f, const char *what)
{
    const char *slash = f->program ? strrchr(f->program, '/') : NULL;
    _cleanup_(freep) char *why = why_secure(f);

    return because(CAUSE_SECURE, "%s starts in secure-execution mode (%s): %s", slash ? slash + 1 : "it", why,
                   what);
}

static Verdict judge_library(const VerdictFacts *f, const char *preload)
{
    bool told = f->library && preload_names(preload, f->library);
    Verdict v;

    if (judge_program(f, &v))
        return v;
    if (f->library && f->secure != SECURE_NONE)
        return ignored(f, "the dynamic linker ignores " PRELOAD_VARIABLE);
    /* With others before it in LD_PRELOAD, one of those may serve malloc although ours was loaded too. */
    if (told && (!f->running->path || preload_begins(preload, f->library)))
        return not_loaded(f);
    if (judge_override(f, PRELOAD_VARIABLE, &v))
        return v;

    _cleanup_(freep) char *what = xasprintf("runs %s, not %s", running_name(f), f->allocator);
    if (judge_without_preload(f, what, &v))
        return v;
    if (f->library && f->refusal)
        return because(CAUSE_REFUSED, "%s, which is refused: %s", what, f->refusal);
    if (f->library && !f->realpath)
        return because(CAUSE_MISSING, "%s: the library %s is missing, so a restart would not help", what,
                       f->library);
    if (!f->library && isempty(preload))
        return because(CAUSE_UNKNOWN,
                       "%s, although nothing preloads it now: an earlier " SYSTEM_PRELOAD
                       " or the program itself has loaded it",
                       what);
    return not_restarted(f, PRELOAD_VARIABLE, what);
}

/* ---- its variables ---- */

static bool judge_environment(const VerdictFacts *f, Verdict *ret)
{
    const EnvVar *wrong = NULL;

    for (size_t i = 0; i < f->n_environment; i++) {
        const EnvVar *v = &f->environment[i];
        if (streq_null(strv_env_get(f->process_environ, v->name), v->value))
            continue;
        if (judge_override(f, v->name, ret)) /* of all that is wrong, this a restart would not cure */
            return true;
        if (!wrong)
            wrong = v;
    }
    if (wrong) {
        _cleanup_(freep) char *what = xasprintf("runs without %s=%s", wrong->name, wrong->value);
        *ret = not_restarted(f, wrong->name, what);
        return true;
    }

    _cleanup_(freep) char *leftover = find_leftover(f);
    if (leftover) {
        _cleanup_(freep) char *what =
            xasprintf("runs with %s, which %s does not set", leftover, f->allocator);
        *ret = not_restarted(f, leftover, what);
        return true;
    }
    return false;
}

/* ---- the right library, but another build than the one on disk? ---- */

static Verdict judge_build(const VerdictFacts *f)
{
    const char *path = f->running->path;

    if (!f->library)
        return (Verdict){ .cause = CAUSE_NONE };
    if (f->refusal)
        return because(CAUSE_REFUSED, "runs %s, which is refused now: %s", path, f->refusal);
    if (!f->realpath)
        return because(CAUSE_MISSING,
                       "runs %s, but the library %s is missing now: a restart would leave it on glibc", path,
                       f->library);
    if (f->running->deleted)
        return because(CAUSE_REPLACED,
                       "runs %s, which has been replaced on disk since (a restart loads the new one)", path);
    if (!streq(path, f->realpath) && !streq(path, f->library))
        return because(CAUSE_REPLACED, "runs %s, but %s now points to %s (a restart loads that one)", path,
                       f->library, f->realpath);
    return (Verdict){ .cause = CAUSE_NONE };
}

Verdict verdict_judge(const VerdictFacts *f)
{
    const char *preload;
    Verdict v;

    assert(f->allocator);
    if (!f->running || !f->process_environ)
        return because(CAUSE_UNREADABLE, "its files in /proc could not be read, so nothing is proved");

    if (f->untested && !f->realpath)
        return because(CAUSE_UNREADABLE, "allocator %s could not be tested yet: %s", f->allocator,
                       f->untested);
    preload = strv_env_get(f->process_environ, PRELOAD_VARIABLE);
    if (!runs_right_library(f, preload))
        return judge_library(f, preload);
    if (f->secure != SECURE_NONE && f->n_environment > 0) {
        _cleanup_(freep) char *what = xasprintf("%s is ignored", f->environment[0].name);
        return ignored(f, what);
    }
    if (judge_environment(f, &v))
        return v;
    v = judge_build(f);
    v.outlived = v.cause != CAUSE_NONE;
    return v;
}
