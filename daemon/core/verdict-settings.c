/* SPDX-License-Identifier: BSD-3-Clause */
/* Weighs the files that set a relay's environment as systemd does: which is read after which, and what wins.
 * Reads no file, and knows nothing of what the relay really runs. */
#include "core/verdict-settings.h"

#include "core/dropin.h"
#include "core/preload.h"

bool verdict_same_value(const char *name, const char *a, const char *b)
{
    if (streq(name, PRELOAD_VARIABLE)) /* empty and unset are the same to ld.so */
        return preload_same(a, b);
    return streq_null(a, b);
}

const char *settings_assigned(const VerdictFacts *f, const char *name)
{
    if (streq(name, PRELOAD_VARIABLE))
        return f->preload ? f->preload : f->library ? f->library : "";
    for (size_t i = 0; i < f->n_environment; i++)
        if (streq(f->environment[i].name, name))
            return f->environment[i].value;
    return NULL;
}

/* ---- the files that systemd reads ---- */

static bool is_own(const VerdictFacts *f, const SettingFile *file)
{
    return f->own_dropin && !file->environment_file && streq(file->path, f->own_dropin);
}

const SettingFile *settings_own_file(const VerdictFacts *f)
{
    for (size_t i = 0; i < f->n_files; i++)
        if (is_own(f, &f->files[i]))
            return &f->files[i];
    return NULL;
}

char **settings_of_file(const SettingFile *file)
{
    if (!file || !file->text)
        return NULL;
    return file->environment_file ? environment_file_parse(file->text) : dropin_environment(file->text);
}

static bool has_word(const char *words, const char *word)
{
    static const char blanks[] = " \t\"'";

    for (size_t n; *(words += strspn(words, blanks)); words += n) {
        n = strcspn(words, blanks);
        size_t name = strcspn(words, "="); /* NAME=VALUE removes the variable that has this value */
        if (strlen(word) == (name < n ? name : n) && strncmp(words, word, strlen(word)) == 0)
            return true;
    }
    return false;
}

/* UnsetEnvironment= is applied after everything else, wherever it stands (systemd.exec(5)). */
static bool unsets(const SettingFile *file, const char *name)
{
    _cleanup_(strv_freep) char **values =
        file->environment_file ? NULL : settings_values(file->text, "Service", "UnsetEnvironment");
    bool found = false;

    STRV_FOREACH (value, values)
        found = **value && (found || has_word(*value, name)); /* an empty one takes back those before it */
    return found;
}

/* "Environment=" throws away all that was read before. */
static bool resets(const SettingFile *file)
{
    _cleanup_(strv_freep) char **values =
        file->environment_file ? NULL : settings_values(file->text, "Service", "Environment");

    return strv_contains(values, "");
}

char **settings_of_others(const VerdictFacts *f, bool *ret_complete)
{
    char **all = strv_copy(f->manager_environment);
    bool complete = true;

    for (size_t i = 0; i < f->n_files; i++) {
        if (is_own(f, &f->files[i]))
            continue;
        complete = complete && f->files[i].text;
        _cleanup_(strv_freep) char **environment = settings_of_file(&f->files[i]);
        STRV_FOREACH (e, environment)
            strv_push(&all, xstrdup(*e));
    }
    *ret_complete = complete;
    return all;
}

/* Drop-ins of all directories are read in the order of their file names (systemd.unit(5)); while ours is not
 * among them, its place follows from its name. */
static bool read_after_own(const SettingFile *file, const SettingFile *own)
{
    if (file->environment_file)
        return true;
    if (own)
        return file > own;
    const char *slash = strrchr(file->path, '/');
    return slash && strstr(file->path, ".d/") && strcmp(slash + 1, DROPIN_NAME) > 0;
}

const SettingFile *settings_gone_file(const VerdictFacts *f)
{
    const SettingFile *own = settings_own_file(f);

    for (size_t i = 0; own && i < f->n_files; i++)
        if (f->files[i].gone && read_after_own(&f->files[i], own))
            return &f->files[i];
    return NULL;
}

Override settings_find_override(const VerdictFacts *f, const char *name)
{
    const char *assigned = settings_assigned(f, name);
    const SettingFile *own = settings_own_file(f);
    Override by_file = { 0 }, by_dropin = { 0 };
    bool file_decides = false;

    for (const SettingFile *file = f->files; file < f->files + f->n_files; file++) {
        if (file == own || !file->text)
            continue;
        if (!isempty(assigned) && unsets(file, name))
            return (Override){ file, "is removed by UnsetEnvironment= in" };
        if (!read_after_own(file, own))
            continue;

        _cleanup_(strv_freep) char **environment = settings_of_file(file);
        const char *value = strv_env_get(environment, name);
        bool differs = !verdict_same_value(name, value, assigned);
        if (file->environment_file && value) {
            file_decides = true;
            by_file = differs ? (Override){ file, "is overridden by EnvironmentFile" } : (Override){ 0 };
        } else if (value)
            by_dropin = differs ? (Override){ file, "is overridden by" } : (Override){ 0 };
        else if (differs && resets(file))
            by_dropin = (Override){ file, "is overridden by an empty Environment= in" };
    }
    if (file_decides)
        return by_file;
    /* The unit's own view decides: a drop-in may be newer than what systemd has loaded. */
    if (verdict_same_value(name, strv_env_get(f->unit_environment, name), assigned))
        return (Override){ 0 };
    return by_dropin;
}

static void append(char ***all, char *const *environment)
{
    STRV_FOREACH (e, environment)
        strv_push(all, xstrdup(*e));
}

/* Environment= of all unit files but our drop-in. */
static char **merged_environment(const VerdictFacts *f)
{
    char **all = NULL;

    for (const SettingFile *file = f->files; file < f->files + f->n_files; file++) {
        if (file->environment_file || !file->text || is_own(f, file))
            continue;
        _cleanup_(strv_freep) char **environment = settings_of_file(file);
        if (resets(file))
            all = strv_free(all);
        append(&all, environment);
    }
    return all;
}

static bool anybody_unsets(const VerdictFacts *f, const char *name)
{
    for (size_t i = 0; i < f->n_files; i++)
        if (f->files[i].text && !is_own(f, &f->files[i]) && unsets(&f->files[i], name))
            return true;
    return false;
}

char **verdict_own_settings(const VerdictFacts *f)
{
    _cleanup_(strv_freep) char **all = strv_copy(f->manager_environment);
    _cleanup_(strv_freep) char **merged =
        settings_own_file(f) || !f->unit_environment ? merged_environment(f) : strv_copy(f->unit_environment);
    char **left = NULL;

    append(&all, merged);
    for (size_t i = 0; i < f->n_files; i++) {
        _cleanup_(strv_freep) char **environment =
            f->files[i].environment_file ? settings_of_file(&f->files[i]) : NULL;
        append(&all, environment);
    }
    STRV_FOREACH (e, all) {
        _cleanup_(freep) char *name = xstrndup(*e, strcspn(*e, "="));
        if (!anybody_unsets(f, name))
            strv_push(&left, xstrdup(*e));
    }
    return left;
}

char *verdict_inherited_preload(const VerdictFacts *f, const char **ret_from)
{
    const SettingFile *own = settings_own_file(f);
    const char *systemds = strv_env_get(f->manager_environment, PRELOAD_VARIABLE);
    _cleanup_(freep) char *value = xstrdup(systemds);

    *ret_from = NULL;
    for (const SettingFile *file = f->files; file < f->files + f->n_files; file++) {
        if (file == own || !file->text)
            continue;
        if (unsets(file, PRELOAD_VARIABLE))
            return NULL;
        if (read_after_own(file, own))
            continue;

        _cleanup_(strv_freep) char **environment = settings_of_file(file);
        const char *set = strv_env_get(environment, PRELOAD_VARIABLE);
        if (!set && !resets(file))
            continue;
        free(value);
        value = xstrdup(set ? set : systemds); /* "Environment=" leaves systemd's own as it is */
        *ret_from = set ? file->path : NULL;
    }
    return TAKE_PTR(value);
}

/* Does the file preload nothing but what our drop-in preloads, too? */
static bool all_kept(const VerdictFacts *f, const SettingFile *file, const char *value)
{
    _cleanup_(strv_freep) char **entries = preload_split(value);

    if (file->environment_file || !entries) /* an empty value has a meaning of its own */
        return false;
    STRV_FOREACH (entry, entries)
        if (!strv_contains(f->kept, *entry))
            return false;
    return true;
}

char **verdict_conflicts(const VerdictFacts *f)
{
    char **conflicts = NULL;

    for (size_t i = 0; i < f->n_files; i++) {
        const SettingFile *file = &f->files[i];
        if (!file->text || is_own(f, file))
            continue;
        _cleanup_(strv_freep) char **environment = settings_of_file(file);
        for (size_t j = 0; j <= f->n_environment; j++) {
            const char *name = j == 0 ? PRELOAD_VARIABLE : f->environment[j - 1].name;
            const char *value = strv_env_get(environment, name);
            if (value && j == 0 && all_kept(f, file, value))
                continue;
            if (value)
                strv_push(&conflicts, xasprintf("%s sets %s", file->path, name));
            else if (unsets(file, name))
                strv_push(&conflicts, xasprintf("%s unsets %s", file->path, name));
        }
    }
    return conflicts;
}
