/* SPDX-License-Identifier: BSD-3-Clause */
/* One relay: what its unit says, what its process runs, proved. */
#include "core/dropin.h"
#include "core/identify.h"
#include "io/text-file.h"
#include "io/unit-log.h"
#include "manager/manager.h"

#include <errno.h>
#include <syslog.h>

#define UNIT_LOG_LINES 6
#define REREAD_DELAY (5 * USEC_PER_SEC)

Relay *relay_free(Relay *r)
{
    if (!r)
        return NULL;
    systemd1_cancel(r->refresh);
    sd_bus_slot_unref(r->watch);
    unit_info_free(r->info);
    process_free(r->process);
    mapped_library_clear(&r->running);
    verdict_clear(&r->verdict);
    strv_free(r->environ);
    free(r->label);
    free(r->running_name);
    free(r->version);
    free(r->told);
    free(r->shown_properties);
    free(r->present);
    free(r->foreign);
    free(r->reason);
    free(r->fresh_invocation);
    free(r->name);
    free(r->unit);
    free(r);
    return NULL;
}

Relay *relay_new(Manager *m, const char *name, const char *unit)
{
    Relay *r = xcalloc(1, sizeof(*r));

    r->manager = m;
    r->name = xstrdup(name);
    r->unit = xstrdup(unit);
    r->group = GROUP_NONE;
    r->running_name = xstrdup("");
    r->version = xstrdup("");
    r->state = r->shown = RELAY_STOPPED;
    r->run_item = SIZE_MAX;
    relay_read_dropin(r);
    return r;
}

bool relay_up(const Relay *r)
{
    return r->info && (r->info->active == ACTIVE_ACTIVE || r->info->active == ACTIVE_RELOADING) &&
           r->info->main_pid > 0;
}

static bool is_young(const Process *process)
{
    usec_t now = now_realtime(), started = process_started(process);

    return started <= now &&
           now - started < RELAY_GROWN_UP; /* one from the future is old: the clock was set back */
}

bool relay_too_young(const Relay *r)
{
    Cause c = r->verdict.cause;

    return r->process && (!r->readable || c == CAUSE_DENIED || c == CAUSE_MISSING || c == CAUSE_UNKNOWN) &&
           is_young(r->process);
}

const Group *relay_target(const Relay *r)
{
    return r->reverted ? NULL : setup_group(r->manager->setup, r->group);
}

const Resolved *relay_resolved(const Relay *r)
{
    const Group *g = relay_target(r);

    return g ? &r->manager->setup->resolved[g->allocator] : NULL;
}

static const Allocator *relay_allocator(const Relay *r)
{
    const Group *g = relay_target(r);

    return g ? &r->manager->setup->config->allocators[g->allocator] : NULL;
}

char *relay_wanted_text(const Relay *r)
{
    const Group *g = relay_target(r);

    if (!g)
        return NULL;
    return dropin_render(r->manager->config_path, g->name, relay_allocator(r),
                         relay_resolved(r)->library.path);
}

void relay_read_dropin(Relay *r)
{
    free(r->present);
    free(r->foreign);
    r->present = r->foreign = NULL;
    int e = dropin_store_read(r->manager->dropins, r->unit, &r->present);
    if (e == 0 || e == -ENOENT)
        return;
    _cleanup_(freep) char *path = dropin_store_path(r->manager->dropins, r->unit);
    r->foreign = e == -EEXIST ? xasprintf("%s is not ours, so it is left alone; remove or rename it", path)
                              : xasprintf("cannot read %s: %s", path, strerror(-e));
}

Event relay_event(const Relay *r)
{
    const Group *g = setup_group(r->manager->setup, r->group);

    return (Event){
        .relay = r->name,
        .unit = r->unit,
        .group = g ? g->name : NULL,
        .allocator = isempty(r->running_name) ? NULL : r->running_name,
        .version = r->version,
        .library = r->running.path,
        .pid = r->process ? process_pid(r->process) : 0,
        .rollout = r->run_item != SIZE_MAX ? run_id(r->manager) : 0,
    };
}

char *relay_unit_log(const Relay *r)
{
    char *text = unit_log_tail(r->unit, UNIT_LOG_LINES);

    if (*text)
        return text;
    free(text);
    return NULL;
}

/* ---- what it runs ---- */

/* NULL: there, but not readable. A file that does not exist sets nothing. */
static char *read_setting_file(const char *path)
{
    char *text = NULL;
    int r = text_file_read(path, &text);

    return r == -ENOENT ? xstrdup("") : text;
}

typedef struct SettingFiles {
    SettingFile *files;
    size_t n;
} SettingFiles;

static void setting_files_clear(SettingFiles *s)
{
    for (size_t i = 0; i < s->n; i++)
        free((char *)s->files[i].text);
    free(s->files);
}

/* In the order in which systemd reads them: the unit file, its drop-ins, then all environment files. */
static void setting_files_read(const UnitInfo *info, SettingFiles *ret)
{
    ret->files =
        xcalloc(1 + strv_length(info->dropins) + strv_length(info->environment_files), sizeof(SettingFile));
    if (!isempty(info->fragment))
        ret->files[ret->n++] =
            (SettingFile){ .path = info->fragment, .text = read_setting_file(info->fragment) };
    STRV_FOREACH (path, info->dropins)
        ret->files[ret->n++] = (SettingFile){ .path = *path, .text = read_setting_file(*path) };
    STRV_FOREACH (path, info->environment_files) {
        const char *p = **path == '-' ? *path + 1 : *path;
        ret->files[ret->n++] =
            (SettingFile){ .path = p, .text = read_setting_file(p), .environment_file = true };
    }
}

static void forget_process(Relay *r)
{
    r->process = process_free(r->process);
    mapped_library_clear(&r->running);
    r->running = (MappedLibrary){ 0 };
    r->environ = strv_free(r->environ);
    free(r->label);
    r->label = NULL;
    r->readable = false;
    free(r->running_name);
    r->running_name = xstrdup("");
    free(r->version);
    r->version = xstrdup("");
}

/* maps, environ and label of the process into the relay; false: they could not be read. */
static bool read_process(Relay *r, MappedLibrary *ret_running)
{
    _cleanup_(freep) char *maps = NULL;
    char **variables = NULL;
    char *label = NULL;

    if (process_environ(r->process, &variables) < 0)
        return false;
    strv_free(r->environ);
    r->environ = variables;
    /* systemd gives every service an environment, but in the middle of execve(2) a process shows none */
    if (!*r->environ && is_young(r->process))
        return false;
    if (process_label(r->process, &label) >= 0) {
        free(r->label);
        r->label = label;
    }
    return process_maps(r->process, &maps) >= 0 &&
           maps_find_allocator(maps, strv_env_get(r->environ, "LD_PRELOAD"), r->manager->setup->libraries,
                               ret_running) >= 0;
}

static void name_running(Relay *r, bool same_library)
{
    const Setup *s = r->manager->setup;
    _cleanup_(freep) const char **realpaths = xcalloc(s->config->n_allocators, sizeof(char *));
    const Group *g = relay_target(r);

    for (size_t i = 0; i < s->config->n_allocators; i++)
        realpaths[i] = s->resolved[i].library.realpath;
    ssize_t i =
        identify_allocator(s->config, realpaths, &r->running, r->environ, g ? g->allocator : SIZE_MAX);
    free(r->running_name);
    r->running_name = xstrdup(i >= 0 ? s->config->allocators[i].name : family_to_string(r->running.family));
    if (r->running.deleted && same_library && !isempty(r->version))
        return; /* what is on disk now is another build; what we knew of this one stays true */
    free(r->version);
    r->version = xstrdup(i >= 0 && !r->running.deleted ? s->resolved[i].version : "");
}

static VerdictFacts verdict_facts(const Relay *r, const SettingFiles *files, const char *own_dropin)
{
    const Allocator *a = relay_allocator(r);
    const Resolved *resolved = relay_resolved(r);

    return (VerdictFacts){
        .allocator = a->name,
        .library = resolved->library.path ? resolved->library.path : a->library,
        .realpath = resolved->library.realpath,
        .environment = a->environment,
        .n_environment = a->n_environment,
        .running = r->readable ? &r->running : NULL,
        .process_environ = r->readable ? r->environ : NULL,
        .apparmor = r->label,
        .started_since = r->fresh_invocation && streq(r->fresh_invocation, r->info->invocation),
        .unit_environment = r->info->environment,
        .files = files->files,
        .n_files = files->n,
        .own_dropin = own_dropin,
    };
}

void relay_prove(Relay *r)
{
    _cleanup_(setting_files_clear) SettingFiles files = { 0 };
    _cleanup_(freep) char *own = dropin_store_path(r->manager->dropins, r->unit);
    MappedLibrary running = { 0 };

    verdict_clear(&r->verdict);
    r->verdict = (Verdict){ .cause = CAUSE_NONE };
    if (!relay_up(r) || !r->process)
        return;
    r->readable = read_process(r, &running);
    if (r->readable) {
        bool same = streq_null(running.path, r->running.path);

        mapped_library_clear(&r->running);
        r->running = running;
        name_running(r, same);
    }
    if (!relay_target(r))
        return;
    setting_files_read(r->info, &files);
    const VerdictFacts facts = verdict_facts(r, &files, r->present ? own : NULL);
    r->verdict = verdict_judge(&facts);
    if (r->verdict.reason) { /* a relay maps files of any name */
        char *reason = printable(r->verdict.reason, SIZE_MAX);
        free(r->verdict.reason);
        r->verdict.reason = reason;
    }
}

char **relay_conflicts(const Relay *r)
{
    _cleanup_(setting_files_clear) SettingFiles files = { 0 };
    _cleanup_(freep) char *own = dropin_store_path(r->manager->dropins, r->unit);

    if (!relay_target(r) || !r->info)
        return NULL;
    setting_files_read(r->info, &files);
    const VerdictFacts facts = verdict_facts(r, &files, own);
    return verdict_conflicts(&facts);
}

void relays_prove_all(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++)
        relay_prove(m->relays[i]);
}

/* ---- what its unit says ---- */

static void open_process(Relay *r)
{
    forget_process(r);
    if (!relay_up(r))
        return;
    r->seen_up = true;
    int e = process_open(r->manager->proc, (pid_t)r->info->main_pid, &r->process);
    if (e < 0 && e != -ESRCH)
        eventlog_line(LOG_WARNING, "%s: cannot inspect process %u: %s.", r->name, r->info->main_pid,
                      strerror(-e));
}

void relay_take_info(Relay *r, UnitInfo *take)
{
    bool was_up = relay_up(r);
    bool changed = !r->info || r->info->main_pid != take->main_pid || r->info->active != take->active ||
                   r->info->n_restarts != take->n_restarts || (r->info->job != 0) != (take->job != 0) ||
                   !streq(r->info->invocation, take->invocation);
    bool new_process =
        !r->info || r->info->main_pid != take->main_pid || !streq(r->info->invocation, take->invocation);

    unit_info_free(r->info);
    r->info = take;
    if (was_up != relay_up(r) && !r->has_folder && r->manager->scanned)
        relays_scan(r->manager); /* it may count as a relay now, or not any more */
    if (new_process || was_up != relay_up(r)) {
        open_process(r);
        relay_read_dropin(r);
        relay_prove(r);
    }
    if (changed) {
        run_unit_changed(r);
        plan_soon(r->manager);
    }
}

static int on_reread(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->reread = sd_event_source_unref(m->reread);
    for (size_t i = 0; i < m->n_relays; i++)
        if (m->relays[i]->unread)
            relay_unit_changed(m->relays[i]);
    return 0;
}

static void on_refreshed(void *userdata, int error, const char *message, UnitInfo *info)
{
    Relay *r = userdata;
    Manager *m = r->manager;

    r->refresh = NULL;
    if (error == -ENOTCONN)
        return; /* asked again when the bus is back */
    if (error < 0) {
        if (!r->unread)
            eventlog_line(LOG_WARNING, "%s: cannot read its unit: %s.", r->name,
                          message ? message : strerror(-error));
        manager_schedule(m, &m->reread, REREAD_DELAY, on_reread);
    } else {
        relay_take_info(r, info);
    }
    r->unread = error < 0;
    if (r->refresh_again) {
        r->refresh_again = false;
        relay_unit_changed(r);
    }
    relays_check_scanned(m);
}

void relay_unit_changed(Relay *r)
{
    Manager *m = r->manager;

    if (!m->systemd || run_reads_unit(r))
        return;
    if (r->refresh) {
        r->refresh_again = true; /* the answer that is under way may be older than this */
        return;
    }
    int e = systemd1_get_unit(m->systemd, r->unit, on_refreshed, r, &r->refresh);
    if (e < 0)
        on_refreshed(r, e, NULL, NULL);
}

void relay_watch(Relay *r)
{
    Manager *m = r->manager;

    if (!m->systemd || r->watch)
        return;
    int e = systemd1_watch(m->systemd, r->unit, &r->watch);
    if (e < 0)
        eventlog_line(LOG_WARNING, "%s: cannot watch its unit: %s.", r->name, strerror(-e));
    relay_unit_changed(r);
}
