/* SPDX-License-Identifier: BSD-3-Clause */
/* The table of relays: which there are, what their units say, what their processes run. A relay is there when
 * systemd has its unit loaded or knows a unit file of its own, when it has a folder among the instances, or
 * when a drop-in of ours lies for it. */
#include "core/dropin.h"
#include "core/identify.h"
#include "core/relay.h"
#include "io/unit-log.h"
#include "manager.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <syslog.h>

#define SCAN_DELAY (200 * USEC_PER_MSEC)
#define SETTING_FILE_MAX ((size_t)64 * 1024)
#define UNIT_LOG_LINES 6

/* ---- one relay ---- */

static Relay *relay_free(Relay *r)
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
    free(r->present);
    free(r->foreign);
    free(r->reason);
    free(r->fresh_invocation);
    free(r->name);
    free(r->unit);
    free(r);
    return NULL;
}

static Relay *relay_new(Manager *m, const char *name, const char *unit)
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
    r->foreign =
        e == -EEXIST
            ? xasprintf("%s is not ours, so it is left alone; remove it or give it another name", path)
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
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;

    if (fd < 0)
        return errno == ENOENT ? xstrdup("") : NULL;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return NULL;
    char *text = xcalloc(1, SETTING_FILE_MAX + 1);
    size_t n = 0;
    ssize_t got = 0;
    while (n < SETTING_FILE_MAX && (got = read(fd, text + n, SETTING_FILE_MAX - n)) > 0)
        n += (size_t)got;
    if (got >= 0)
        return text;
    free(text);
    return NULL;
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
    char **environ = NULL;
    char *label = NULL;

    if (process_environ(r->process, &environ) < 0)
        return false;
    r->environ = (strv_free(r->environ), environ);
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
    int e = process_open(r->manager->proc, (pid_t)r->info->main_pid, &r->process);
    if (e < 0 && e != -ESRCH)
        eventlog_line(LOG_WARNING, "%s: cannot look at process %u: %s.", r->name, r->info->main_pid,
                      strerror(-e));
}

void relay_take_info(Relay *r, UnitInfo *take)
{
    bool was_up = relay_up(r);
    bool changed = !r->info || r->info->main_pid != take->main_pid || r->info->active != take->active ||
                   r->info->n_restarts != take->n_restarts || !streq(r->info->invocation, take->invocation);
    bool new_process =
        !r->info || r->info->main_pid != take->main_pid || !streq(r->info->invocation, take->invocation);

    unit_info_free(r->info);
    r->info = take;
    if (was_up != relay_up(r) && !r->has_folder && r->manager->scanned) {
        r->manager->table_changed = true; /* it counts as a relay now, or does not any more */
        relays_scan(r->manager);
    }
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

static void check_scanned(Manager *m);

static void on_refreshed(void *userdata, int error, const char *message, UnitInfo *info)
{
    Relay *r = userdata;
    Manager *m = r->manager;

    r->refresh = NULL;
    if (error < 0)
        eventlog_line(LOG_WARNING, "%s: cannot read its unit: %s.", r->name,
                      message ? message : strerror(-error));
    else
        relay_take_info(r, info);
    if (r->refresh_again) {
        r->refresh_again = false;
        relay_unit_changed(r);
    }
    check_scanned(m);
}

void relay_unit_changed(Relay *r)
{
    Manager *m = r->manager;

    if (!m->systemd)
        return;
    if (r->refresh) {
        r->refresh_again = true; /* the answer that is under way may be older than this */
        return;
    }
    int e = systemd1_get_unit(m->systemd, r->unit, on_refreshed, r, &r->refresh);
    if (e < 0)
        eventlog_line(LOG_WARNING, "%s: cannot ask for its unit: %s.", r->name, strerror(-e));
}

static void watch_relay(Relay *r)
{
    Manager *m = r->manager;

    if (!m->systemd || r->watch)
        return;
    int e = systemd1_watch(m->systemd, r->unit, &r->watch);
    if (e < 0)
        eventlog_line(LOG_WARNING, "%s: cannot watch its unit: %s.", r->name, strerror(-e));
    relay_unit_changed(r);
}

/* ---- the table ---- */

Relay *relays_find(Manager *m, const char *name)
{
    size_t low = 0, high = m->n_relays;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = strcmp(name, m->relays[middle]->name);

        if (c == 0)
            return m->relays[middle];
        if (c < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

Relay *relays_find_unit(Manager *m, const char *unit)
{
    _cleanup_(freep) char *name = NULL;

    if (relay_name_from_unit(m->setup->config->unit, unit, &name) < 0)
        return NULL;
    return relays_find(m, name);
}

static int compare_relays(const void *a, const void *b)
{
    return strcmp((*(Relay *const *)a)->name, (*(Relay *const *)b)->name);
}

static void add_unit(Manager *m, const char *unit)
{
    _cleanup_(freep) char *name = NULL;

    if (relay_name_from_unit(m->setup->config->unit, unit, &name) < 0)
        return;
    Relay *r = relays_find(m, name);
    if (!r) {
        r = relay_new(m, name, unit);
        GROW(m->relays, m->c_relays, m->n_relays);
        m->relays[m->n_relays++] = r;
        qsort(m->relays, m->n_relays, sizeof(*m->relays), compare_relays);
        m->table_changed = true;
        if (m->scanned)
            eventlog_write(MESSAGE_RELAY_APPEARED, &(Event){ .relay = name, .unit = unit }, "%s appeared.",
                           name);
        watch_relay(r);
    }
    r->found = true;
}

static void add_instances(Manager *m)
{
    DIR *d = opendir(m->setup->config->instances_dir);
    const struct dirent *e;

    while (d && (e = readdir(d))) {
        _cleanup_(freep) char *unit = NULL;

        if (e->d_name[0] != '.' && (e->d_type == DT_DIR || e->d_type == DT_LNK || e->d_type == DT_UNKNOWN) &&
            relay_unit_of_folder(m->setup->config->unit, e->d_name, &unit) == 0)
            add_unit(m, unit);
        Relay *r = unit ? relays_find_unit(m, unit) : NULL;
        if (r)
            r->has_folder = true;
    }
    if (d)
        closedir(d);
}

static void drop_vanished(Manager *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *r = m->relays[i];

        if (r->found || r->run_item != SIZE_MAX) {
            m->relays[kept++] = r;
            continue;
        }
        m->table_changed = true;
        eventlog_write(MESSAGE_RELAY_VANISHED, &(Event){ .relay = r->name, .unit = r->unit }, "%s is gone.",
                       r->name);
        relay_free(r);
    }
    m->n_relays = kept;
}

static bool named(const Config *c, const char *relay)
{
    for (size_t g = 0; g < c->n_groups; g++)
        if (strv_contains(c->groups[g].patterns, relay))
            return true;
    return false;
}

/* tor ships tor@default.service: as long as nobody runs it, it is a unit file and no relay, and must not take
 * a place that `size` or `share` meant for one. Who names it means it. */
static bool counts_as_relay(const Relay *r)
{
    return r->has_folder || r->present || (r->info && r->info->active != ACTIVE_INACTIVE) ||
           named(r->manager->setup->config, r->name);
}

void relays_assign(Manager *m)
{
    _cleanup_(freep) const char **names = xcalloc(m->n_relays, sizeof(char *));
    _cleanup_(freep) size_t *groups = xcalloc(m->n_relays, sizeof(size_t));
    size_t n = 0;
    bool supersede = false;

    for (size_t i = 0; i < m->n_relays; i++)
        if (counts_as_relay(m->relays[i]))
            names[n++] = m->relays[i]->name;
    assign_groups(m->setup->config, names, n, groups);
    n = 0;
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *r = m->relays[i];
        bool reverted = strv_contains(m->state->reverted, r->name);
        size_t group = counts_as_relay(r) ? groups[n++] : GROUP_NONE;

        if (r->run_item != SIZE_MAX) {
            supersede = supersede || r->group != group || r->reverted != reverted;
            continue;
        }
        r->group = group;
        r->reverted = reverted;
        relay_read_dropin(r);
        relay_prove(r);
    }
    if (supersede)
        run_event(m, EVENT_SUPERSEDE);
}

/* ---- looking for relays ---- */

static void scan(Manager *m);

/* The first time that every relay's unit has been read, the table is complete: now plans may be made. */
static void check_scanned(Manager *m)
{
    if (m->scanned || m->scan || !m->scan_done)
        return;
    for (size_t i = 0; i < m->n_relays; i++)
        if (!m->relays[i]->info)
            return;
    m->scanned = true;
    relays_assign(m); /* who counts as a relay depends on what was read */
    plan_now(m);
    manager_ready(m);
}

static void scan_finish(Manager *m)
{
    _cleanup_(strv_freep) char **ours = NULL;

    for (size_t i = 0; i < m->n_relays; i++)
        m->relays[i]->found = m->relays[i]->has_folder = false;
    STRV_FOREACH (unit, m->scan_units)
        add_unit(m, *unit);
    m->scan_units = strv_free(m->scan_units);
    add_instances(m);
    int r = dropin_store_list(m->dropins, &ours);
    if (r < 0)
        eventlog_line(LOG_WARNING, "Cannot look for drop-ins: %s.", strerror(-r));
    STRV_FOREACH (unit, ours)
        add_unit(m, *unit);
    drop_vanished(m);
    for (size_t i = 0; i < m->n_relays; i++)
        if (m->relays[i]->run_item == SIZE_MAX)
            relay_read_dropin(m->relays[i]); /* `systemctl revert` deletes ours, too */
    m->scan_done = true;
    if (m->table_changed && m->scanned)
        relays_assign(m);
    m->table_changed = false;
    plan_soon(m);
    check_scanned(m);
    if (m->scan_again)
        scan(m);
}

static void scan_failed(Manager *m, int error, const char *message)
{
    eventlog_line(LOG_WARNING, "Cannot list units: %s.", message ? message : strerror(-error));
    m->scan_units = strv_free(m->scan_units);
}

static void on_unit_files(void *userdata, int error, const char *message, char **units)
{
    Manager *m = userdata;

    m->scan = NULL;
    if (error < 0) {
        scan_failed(m, error, message);
        return;
    }
    STRV_FOREACH (unit, units)
        strv_push(&m->scan_units, xstrdup(*unit));
    strv_free(units);
    scan_finish(m);
}

static char *unit_pattern(const Manager *m)
{
    const char *unit = m->setup->config->unit, *at = strchr(unit, '@');

    return xasprintf("%.*s@*%s", (int)(at - unit), unit, at + 1);
}

static void on_units(void *userdata, int error, const char *message, char **units)
{
    Manager *m = userdata;
    _cleanup_(freep) char *pattern = unit_pattern(m);

    m->scan = NULL;
    if (error < 0) {
        scan_failed(m, error, message);
        return;
    }
    m->scan_units = units;
    int r = systemd1_list_unit_files(m->systemd, pattern, on_unit_files, m, &m->scan);
    if (r < 0)
        scan_failed(m, r, NULL);
}

static void scan(Manager *m)
{
    _cleanup_(freep) char *pattern = unit_pattern(m);

    m->scan_again = false;
    int r = systemd1_list_units(m->systemd, pattern, on_units, m, &m->scan);
    if (r < 0)
        scan_failed(m, r, NULL);
}

static int on_rescan(sd_event_source *source, uint64_t usec, void *userdata)
{
    Manager *m = userdata;

    (void)source;
    (void)usec;
    m->rescan = sd_event_source_unref(m->rescan);
    if (m->scan)
        m->scan_again = true;
    else if (m->systemd)
        scan(m);
    return 0;
}

void relays_scan(Manager *m)
{
    manager_schedule(m, &m->rescan, m->scanned ? SCAN_DELAY : 0, on_rescan);
}

static int on_instances(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    (void)source;
    (void)event;
    relays_scan(userdata);
    return 0;
}

void relays_watch_instances(Manager *m)
{
    m->instances_watch = sd_event_source_unref(m->instances_watch);
    int r = sd_event_add_inotify(m->event, &m->instances_watch, m->setup->config->instances_dir,
                                 IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR,
                                 on_instances, m);
    if (r < 0 && r != -ENOENT)
        eventlog_line(LOG_WARNING, "Cannot watch %s: %s.", m->setup->config->instances_dir, strerror(-r));
}

void relays_forget_bus(Manager *m)
{
    m->scan = systemd1_cancel(m->scan);
    m->scan_units = strv_free(m->scan_units);
    for (size_t i = 0; i < m->n_relays; i++) {
        Relay *r = m->relays[i];

        r->refresh = systemd1_cancel(r->refresh);
        r->refresh_again = false;
        r->watch = sd_bus_slot_unref(r->watch);
    }
}

void relays_bus_back(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++) {
        watch_relay(m->relays[i]);
        relay_unit_changed(m->relays[i]);
    }
    relays_scan(m);
}

void relays_free(Manager *m)
{
    for (size_t i = 0; i < m->n_relays; i++)
        relay_free(m->relays[i]);
    free(m->relays);
    m->relays = NULL;
    m->n_relays = 0;
}
