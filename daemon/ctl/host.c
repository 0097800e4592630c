/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/host.h"

#include "core/dropin.h"
#include "core/timestamp.h"
#include "doctor/doctor-text.h"
#include "io/process.h"
#include "io/text-file.h"

#include <dirent.h>
#include <glob.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define FOLDER_MAX 4096        /* files of one directory */
#define MAPPINGS_MAX (1 << 24) /* counted of one process */

/* ---- files ---- */

char *host_read(const char *root, const char *path)
{
    _cleanup_(freep) char *full = xasprintf("%s%s", root, path);
    char *text = NULL;

    return text_file_read(full, &text) < 0 ? NULL : text;
}

static bool exists(const char *root, const char *path)
{
    _cleanup_(freep) char *full = xasprintf("%s%s", root, path);

    return access(full, F_OK) == 0;
}

void host_files_clear(HostFiles *files)
{
    for (size_t i = 0; i < files->n; i++) {
        free(files->items[i].path);
        free(files->items[i].text);
    }
    free(files->items);
    *files = (HostFiles){ 0 };
}

static void files_add(HostFiles *files, const char *root, char *take_path)
{
    char *text = host_read(root, take_path);

    GROW(files->items, files->capacity, files->n);
    files->items[files->n++] = (HostFile){ .path = take_path, .text = text ? text : xstrdup("") };
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static int by_base_name(const void *a, const void *b)
{
    const HostFile *x = a, *y = b;

    return strcmp(base_name(x->path), base_name(y->path));
}

/* A name in an earlier directory hides the same name in this one, as everywhere in systemd. */
static bool has_base_name(const HostFiles *files, size_t from, const char *name)
{
    for (size_t i = from; i < files->n; i++)
        if (streq(base_name(files->items[i].path), name))
            return true;
    return false;
}

static bool name_counts(const char *name, const char *suffix)
{
    size_t n = strlen(name), m = suffix ? strlen(suffix) : 0;

    if (name[0] == '.')
        return false;
    return suffix ? n > m && streq(name + n - m, suffix) : !strchr(name, '.') && name[n - 1] != '~';
}

static void add_folder(const char *root, const char *folder, const char *suffix, size_t from,
                       HostFiles *files)
{
    _cleanup_(freep) char *full = xasprintf("%s%s", root, folder);
    DIR *dir = opendir(full);

    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir)) && files->n < FOLDER_MAX;)
        if (name_counts(e->d_name, suffix) && !has_base_name(files, from, e->d_name))
            files_add(files, root, xasprintf("%s/%s", folder, e->d_name));
    closedir(dir);
}

static void sort_from(HostFiles *files, size_t from)
{
    if (files->n > from)
        qsort(files->items + from, files->n - from, sizeof(*files->items), by_base_name);
}

static void folder_files(const char *root, const char *folder, const char *suffix, HostFiles *files)
{
    size_t from = files->n;

    add_folder(root, folder, suffix, from, files);
    sort_from(files, from);
}

/* ---- unit files ---- */

static const char *const unit_folders[] = { "/etc/systemd/system", "/run/systemd/system",
                                            "/usr/local/lib/systemd/system", "/usr/lib/systemd/system",
                                            "/lib/systemd/system" };

/* "tor@.service" of "tor@x.service". */
static char *template_of(const char *unit)
{
    const char *at = strchr(unit, '@'), *dot = strrchr(unit, '.');

    return at && dot ? xasprintf("%.*s@%s", (int)(at - unit), unit, dot) : xstrdup(unit);
}

/* The first of the names in the first of the directories; NULL: none, or it is a link to /dev/null. */
static char *find_fragment(const char *root, const char *const *names)
{
    for (size_t i = 0; names[i]; i++)
        for (size_t j = 0; j < ELEMENTSOF(unit_folders); j++) {
            _cleanup_(freep) char *path = xasprintf("%s/%s", unit_folders[j], names[i]);
            _cleanup_(freep) char *full = xasprintf("%s%s", root, path);
            struct stat st;
            if (stat(full, &st) == 0)
                return S_ISREG(st.st_mode) ? TAKE_PTR(path) : NULL;
        }
    return NULL;
}

void host_unit_files(const char *root, const char *unit, HostFiles *ret)
{
    _cleanup_(freep) char *template = template_of(unit);
    const char *names[] = { unit, template, NULL }, *folders[] = { unit, template, "service" };
    HostFiles files = { 0 };
    char *fragment = find_fragment(root, names);

    if (fragment) {
        files_add(&files, root, fragment);
        for (size_t i = 0; i < ELEMENTSOF(folders); i++)
            for (size_t j = 0; j < ELEMENTSOF(unit_folders); j++) {
                _cleanup_(freep) char *folder = xasprintf("%s/%s.d", unit_folders[j], folders[i]);
                add_folder(root, folder, ".conf", 1, &files);
            }
        sort_from(&files, 1);
    }
    *ret = files;
}

/* The main file of a daemon of systemd ("journald.conf") and its drop-ins. */
static void conf_files(const char *root, const char *name, HostFiles *ret)
{
    static const char *const folders[] = { "/etc/systemd", "/run/systemd", "/usr/local/lib/systemd",
                                           "/usr/lib/systemd" };
    HostFiles files = { 0 };

    for (size_t i = 0; i < ELEMENTSOF(folders) && files.n == 0; i++) {
        char *path = xasprintf("%s/%s", folders[i], name);
        if (exists(root, path))
            files_add(&files, root, path);
        else
            free(path);
    }
    size_t from = files.n;
    for (size_t i = 0; i < ELEMENTSOF(folders); i++) {
        _cleanup_(freep) char *folder = xasprintf("%s/%s.d", folders[i], name);
        add_folder(root, folder, ".conf", from, &files);
    }
    sort_from(&files, from);
    *ret = files;
}

/* ---- what they say ---- */

static char *last_value(const HostFiles *files, const char *section, const char *key)
{
    char *last = NULL;

    for (size_t i = 0; i < files->n; i++) {
        _cleanup_(strv_freep) char **values = settings_values(files->items[i].text, section, key);
        STRV_FOREACH (value, values) {
            free(last);
            last = xstrdup(*value);
        }
    }
    return last;
}

char *host_service_type(const HostFiles *files)
{
    return last_value(files, "Service", "Type");
}

/* Where one file has both, the narrower name counts: which of the two comes later in it is not looked at. */
char *host_start_timeout(const HostFiles *files)
{
    char *last = NULL;

    for (size_t i = 0; i < files->n; i++) {
        const HostFiles one = { .items = &files->items[i], .n = 1 };
        char *value = last_value(&one, "Service", "TimeoutStartSec");
        if (!value)
            value = last_value(&one, "Service", "TimeoutSec");
        if (value) {
            free(last);
            last = value;
        }
    }
    return last;
}

/* "%i" and "%I" (of names without escapes), "%n" and "%%". */
static char *resolve_specifiers(const char *s, const char *unit)
{
    const char *at = strchr(unit, '@'), *dot = strrchr(unit, '.');
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f)
        abort();
    for (; *s; s++)
        if (s[0] == '%' && (s[1] == 'i' || s[1] == 'I') && at && dot)
            s += fprintf(f, "%.*s", (int)(dot - at - 1), at + 1) >= 0;
        else if (s[0] == '%' && s[1] == 'n')
            s += fputs(unit, f) >= 0;
        else if (s[0] == '%' && s[1] == '%')
            s += fputc('%', f) >= 0;
        else
            fputc(*s, f);
    fclose(f);
    return text;
}

char **host_environment_files(const HostFiles *files, const char *unit)
{
    char **paths = NULL;

    for (size_t i = 0; i < files->n; i++) {
        _cleanup_(strv_freep) char **values =
            settings_values(files->items[i].text, "Service", "EnvironmentFile");
        STRV_FOREACH (value, values)
            if (isempty(*value))
                paths = strv_free(paths);
            else
                strv_push(&paths, resolve_specifiers(*value + (**value == '-'), unit));
    }
    return paths;
}

/* "Environment=" discards what was read before. */
static bool resets_environment(const char *text)
{
    _cleanup_(strv_freep) char **values = settings_values(text, "Service", "Environment");

    return strv_contains(values, "");
}

static void take_variable(char **environment, const char *variable, bool resets, char *file, char **value,
                          char **ret_file)
{
    const char *set = strv_env_get(environment, variable);

    if (!set && !resets)
        return;
    free(*value);
    *value = xstrdup(set);
    *ret_file = file;
}

char *host_variable(const char *root, const HostFiles *files, const char *unit, const char *variable,
                    bool behind_ours, char **ret_file)
{
    _cleanup_(strv_freep) char **paths = host_environment_files(files, unit);
    char *value = NULL, *file = NULL;

    for (size_t i = 0; i < files->n; i++) {
        const HostFile *f = &files->items[i];
        const int order = strstr(f->path, ".d/") ? strcmp(base_name(f->path), DROPIN_NAME) : -1;
        if (order == 0 || (behind_ours && order < 0))
            continue;
        _cleanup_(strv_freep) char **environment = dropin_environment(f->text);
        take_variable(environment, variable, resets_environment(f->text), f->path, &value, &file);
    }
    STRV_FOREACH (path, paths) {
        _cleanup_(freep) char *text = host_read(root, *path);
        _cleanup_(strv_freep) char **environment = text ? environment_file_parse(text) : NULL;
        take_variable(environment, variable, false, *path, &value, &file);
    }
    *ret_file = xstrdup(file);
    return value;
}

/* The first word of the last ExecStart=, without what says how it is started (systemd.service(5)). */
char *host_program(const HostFiles *files)
{
    _cleanup_(freep) char *line = last_value(files, "Service", "ExecStart");

    if (!line)
        return NULL;
    const char *program = line + strspn(line, "@-:+!|");
    return *program == '/' ? xstrndup(program, strcspn(program, " \t")) : NULL;
}

char *host_user(const HostFiles *files)
{
    _cleanup_(freep) char *user = last_value(files, "Service", "User");
    _cleanup_(freep) char *dynamic = last_value(files, "Service", "DynamicUser");

    if (!isempty(user))
        return TAKE_PTR(user);
    return dynamic && systemd_bool(dynamic) == 1 ? xstrdup("(dynamic)") : NULL;
}

/* ---- libraries ---- */

static char *find_in(const char *root, const char *folder, const char *name)
{
    _cleanup_(freep) char *path = xasprintf("%s/%s", folder, name);

    return exists(root, path) ? TAKE_PTR(path) : NULL;
}

/* In the directories that a file for ldconfig(8) names. */
static char *find_configured(const char *root, const char *text, const char *name)
{
    static const char separators[] = " \t\n,:";

    for (size_t n; *(text += strspn(text, separators)); text += n) {
        n = *text == '#' ? strcspn(text, "\n") : strcspn(text, separators);
        _cleanup_(freep) char *folder = xstrndup(text, n);
        char *found = *folder == '/' ? find_in(root, folder, name) : NULL;
        if (found)
            return found;
    }
    return NULL;
}

char *host_find_library(const char *root, const char *name)
{
    _cleanup_(freep) char *pattern = xasprintf("%s{/usr/local/lib,{/usr,}/lib{/*-linux-*,64,}}", root);
    _cleanup_(globfree) glob_t folders = { 0 };
    char *found = NULL;

    if (strchr(name, '/'))
        return *name == '/' && exists(root, name) ? xstrdup(name) : NULL;
    if (glob(pattern, GLOB_BRACE, NULL, &folders) != 0)
        folders.gl_pathc = 0;
    for (size_t i = 0; i < folders.gl_pathc && !found; i++)
        found = find_in(root, folders.gl_pathv[i] + strlen(root), name);
    _cleanup_(host_files_clear) HostFiles files = { 0 };
    folder_files(root, "/etc/ld.so.conf.d", ".conf", &files);
    files_add(&files, root, xstrdup("/etc/ld.so.conf"));
    for (size_t i = 0; i < files.n && !found; i++)
        found = find_configured(root, files.items[i].text, name);
    return found;
}

UnitSetting *host_sandbox(const HostFiles *files, char ***ret_values, size_t *ret_n)
{
    UnitSetting *settings = NULL;
    char **values = NULL;
    size_t n = 0, capacity = 0;

    for (size_t k = 0; sandbox_settings[k]; k++)
        for (size_t i = 0; i < files->n; i++) {
            _cleanup_(strv_freep) char **found =
                settings_values(files->items[i].text, "Service", sandbox_settings[k]);
            STRV_FOREACH (value, found) {
                char *kept = xstrdup(*value);
                strv_push(&values, kept);
                GROW(settings, capacity, n);
                settings[n++] = (UnitSetting){ files->items[i].path, sandbox_settings[k], kept };
            }
        }
    *ret_values = values;
    *ret_n = n;
    return settings;
}

/* ---- AppArmor ---- */

/* Is the profile in the kernel's list, in a mode other than "enforce"? No list that can be read (in a
 * container, or without root): its file speaks for it. */
static bool profile_enforced(const char *root, const char *profile)
{
    _cleanup_(freep) char *loaded = host_read(root, "/sys/kernel/security/apparmor/profiles");
    _cleanup_(freep) char *file = xasprintf("/etc/apparmor.d/%s", profile);
    _cleanup_(freep) char *disabled = xasprintf("/etc/apparmor.d/disable/%s", profile);
    _cleanup_(freep) char *enforced = xasprintf("%s (enforce)\n", profile);

    if (isempty(loaded))
        return exists(root, file) && !exists(root, disabled);
    for (const char *p = loaded; (p = strstr(p, enforced)); p++)
        if (p == loaded || p[-1] == '\n')
            return true;
    return false;
}

char *host_apparmor_profile(const char *root, const HostFiles *unit_files)
{
    _cleanup_(freep) char *value = last_value(unit_files, "Service", "AppArmorProfile");
    _cleanup_(freep) char *enabled = host_read(root, "/sys/module/apparmor/parameters/enabled");

    if (!value || !enabled || *enabled != 'Y')
        return NULL;
    const char *profile = value + (*value == '-');
    if (!*profile || strchr(profile, '/') || streq(profile, "unconfined") || !profile_enforced(root, profile))
        return NULL;
    return xstrdup(profile);
}

/* ---- journald, needrestart, unattended-upgrades ---- */

void host_journal(const char *root, JournalFacts *facts)
{
    _cleanup_(host_files_clear) HostFiles files = { 0 };
    const uint64_t most = UINT64_C(4) << 30; /* journald's own bound, see SystemMaxUse= */
    struct statvfs fs;

    conf_files(root, "journald.conf", &files);
    _cleanup_(freep) char *storage = last_value(&files, "Journal", "Storage");
    _cleanup_(freep) char *use = last_value(&files, "Journal", "SystemMaxUse");
    _cleanup_(freep) char *retention = last_value(&files, "Journal", "MaxRetentionSec");
    _cleanup_(freep) char *folder = xasprintf("%s/var/log/journal", root);
    _cleanup_(freep) char *parent = xasprintf("%s/var/log", root);
    bool named = !isempty(storage) && !streq(storage, "auto");

    facts->persistent = named ? streq(storage, "persistent") : access(folder, F_OK) == 0;
    if (isempty(use) || systemd_size(use, &facts->space) < 0) {
        facts->space = most;
        if (statvfs(folder, &fs) == 0 || statvfs(parent, &fs) == 0) {
            uint64_t tenth = (uint64_t)fs.f_blocks * fs.f_frsize / 10;
            facts->space = tenth < most ? tenth : most;
        }
    }
    if (isempty(retention) || timespan_parse(retention, &facts->retention) < 0 || facts->retention == 0)
        facts->retention = USEC_INFINITY;
}

char **host_default_environment(const char *root)
{
    _cleanup_(host_files_clear) HostFiles files = { 0 };
    _cleanup_(freep) char *all = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&all, &size);

    if (!f)
        abort();
    conf_files(root, "system.conf", &files);
    for (size_t i = 0; i < files.n; i++)
        fprintf(f, "%s\n", files.items[i].text);
    fclose(f);
    return system_conf_environment(all);
}

/* Ubuntu made 'a' its default with 24.04; elsewhere it is 'i', which asks. */
static char needrestart_default(const char *root)
{
    _cleanup_(freep) char *text = host_read(root, "/etc/os-release");
    _cleanup_(strv_freep) char **os = text ? environment_file_parse(text) : NULL;
    const char *version = strv_env_get(os, "VERSION_ID");

    return streq_null(strv_env_get(os, "ID"), "ubuntu") && version && strverscmp(version, "24.04") >= 0 ? 'a'
                                                                                                        : 'i';
}

char host_needrestart(const char *root, const char *unit, bool *ret_spared)
{
    _cleanup_(host_files_clear) HostFiles files = { 0 };
    char mode = '\0';

    *ret_spared = false;
    if (!exists(root, "/usr/sbin/needrestart"))
        return '\0';
    mode = needrestart_default(root);
    files_add(&files, root, xstrdup("/etc/needrestart/needrestart.conf"));
    folder_files(root, "/etc/needrestart/conf.d", ".conf", &files);
    for (size_t i = 0; i < files.n; i++) {
        char set = needrestart_mode(files.items[i].text);
        mode = set ? set : mode;
        *ret_spared = *ret_spared || needrestart_spares(files.items[i].text, unit);
    }
    return mode;
}

bool host_unattended_upgrades(const char *root, char ***ret_blacklist)
{
    _cleanup_(host_files_clear) HostFiles files = { 0 };
    char **blacklist = NULL;
    bool runs = false, allowed = true;

    *ret_blacklist = NULL;
    if (!exists(root, "/usr/bin/unattended-upgrade"))
        return false;
    folder_files(root, "/etc/apt/apt.conf.d", NULL, &files);
    files_add(&files, root, xstrdup("/etc/apt/apt.conf"));
    for (size_t i = 0; i < files.n; i++) {
        const char *text = files.items[i].text;
        _cleanup_(strv_freep) char **upgrade = apt_values(text, "APT::Periodic::Unattended-Upgrade");
        _cleanup_(strv_freep) char **enable = apt_values(text, "APT::Periodic::Enable");
        _cleanup_(strv_freep) char **packages = apt_values(text, "Unattended-Upgrade::Package-Blacklist");
        STRV_FOREACH (v, upgrade)
            runs = !isempty(*v) && !streq(*v, "0");
        STRV_FOREACH (v, enable)
            allowed = !streq(*v, "0");
        STRV_FOREACH (v, packages)
            strv_push(&blacklist, xstrdup(*v));
    }
    *ret_blacklist = blacklist;
    return runs && allowed;
}

/* ---- processes ---- */

uint64_t host_mappings_limit(const char *root)
{
    _cleanup_(freep) char *text = host_read(root, "/proc/sys/vm/max_map_count");
    uint64_t limit = 0;

    if (text)
        text[strcspn(text, "\n")] = '\0';
    return text && parse_u64(text, &limit) == 0 ? limit : 0;
}

static void take_mappings(Process *process, const char *const *units, size_t n, size_t *ret)
{
    _cleanup_(freep) char *unit = NULL;
    size_t count;

    if (process_unit(process, &unit) < 0 || !unit)
        return;
    for (size_t i = 0; i < n; i++)
        if (streq(units[i], unit) && process_count_maps(process, MAPPINGS_MAX, &count) == 0 && count > ret[i])
            ret[i] = count;
}

void host_mappings(const char *root, const char *const *units, size_t n, size_t *ret)
{
    _cleanup_(freep) char *proc = xasprintf("%s/proc", root);
    DIR *dir = opendir(proc);

    memset(ret, 0, n * sizeof(*ret));
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        _cleanup_(process_freep) Process *process = NULL;
        uint64_t pid;
        if (parse_u64(e->d_name, &pid) == 0 && pid <= INT_MAX &&
            process_open(proc, (pid_t)pid, &process) == 0)
            take_mappings(process, units, n, ret);
    }
    if (dir)
        closedir(dir);
}
