/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/survey.h"

#include "core/assign.h"
#include "core/dropin.h"
#include "core/identify.h"
#include "core/relay.h"
#include "io/config-file.h"
#include "io/dropin-store.h"
#include "io/instances.h"
#include "io/state-file.h"
#include "io/text-file.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#define DROPIN_ROOT "/etc/systemd/system"
#define STATE_DIR "/var/lib/relayalloc"
#define RELAYS_MAX 10000 /* more drop-ins than that are not ours */

void survey_clear(Survey *survey)
{
    for (size_t i = 0; i < survey->n; i++) {
        SurveyRelay *r = &survey->relays[i];
        free(r->name);
        free(r->unit);
        mapped_library_clear(&r->running);
        strv_free(r->environ);
        free(r->label);
        free(r->present);
        free(r->wanted);
        free(r->dropin);
        free(r->refusal);
        verdict_clear(&r->verdict);
        free(r->runs);
        free(r->version);
        strv_free(r->dropins);
    }
    free(survey->relays);
    if (survey->config)
        facts_array_free(survey->libraries, survey->config->n_allocators);
    config_free(survey->config);
    *survey = (Survey){ 0 };
}

/* ---- which relays there are ---- */

static void add_relay(Survey *survey, const char *unit)
{
    char *name = NULL;

    for (size_t i = 0; i < survey->n; i++)
        if (streq(survey->relays[i].unit, unit))
            return;
    if (relay_name_from_unit(survey->config->unit, unit, &name) < 0)
        return;
    GROW(survey->relays, survey->capacity, survey->n);
    survey->relays[survey->n++] = (SurveyRelay){
        .name = name,
        .unit = xstrdup(unit),
        .group = GROUP_NONE,
        .target = GROUP_NONE,
        .runs = xstrdup(""),
        .version = xstrdup(""),
    };
}

/* A folder that cannot be read is the daemon's to complain of. */
static void find_stopped(Survey *survey)
{
    _cleanup_(strv_freep) char **units = NULL;

    (void)instances_list(survey->config->instances_dir, survey->config->unit, &units);
    STRV_FOREACH (unit, units)
        add_relay(survey, *unit);
}

/* Units that still have a drop-in of ours, whatever became of them. (Not by dropin_store_list(), which tidies
 * up.) */
static void find_dropins(Survey *survey, const DropinStore *store)
{
    DIR *dir = opendir(DROPIN_ROOT);

    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir)) && survey->n < RELAYS_MAX;) {
        size_t n = strlen(e->d_name);
        _cleanup_(freep) char *text = NULL;
        if (n < 3 || !streq(e->d_name + n - 2, ".d"))
            continue;
        _cleanup_(freep) char *unit = xstrndup(e->d_name, n - 2);
        if (unit_is_instance(survey->config->unit, unit) && dropin_store_read(store, unit, &text) == 0)
            add_relay(survey, unit);
    }
    closedir(dir);
}

static int by_name(const void *a, const void *b)
{
    const SurveyRelay *x = a, *y = b;

    return strcmp(x->name, y->name);
}

/* ---- what they run ---- */

static void read_process(SurveyRelay *r, pid_t pid, char *const *ours)
{
    _cleanup_(process_freep) Process *process = NULL;
    _cleanup_(freep) char *maps = NULL;

    if (process_open("/proc", pid, &process) < 0)
        return;
    r->up = true;
    r->pid = pid;
    r->since = process_started(process);
    if (process_memory(process, &r->memory) < 0)
        r->memory = (Memory){ 0 };
    if (process_maps(process, &maps) < 0 || process_environ(process, &r->environ) < 0)
        return; /* not root */
    if (process_label(process, &r->label) < 0)
        r->label = NULL;
    r->proved = maps_find_allocator(maps, strv_env_get(r->environ, "LD_PRELOAD"), ours, &r->running) == 0;
}

static void name_running(const Survey *survey, SurveyRelay *r)
{
    const Config *config = survey->config;
    _cleanup_(freep) const char **realpaths = xcalloc(config->n_allocators, sizeof(char *));

    if (!r->proved)
        return;
    for (size_t i = 0; i < config->n_allocators; i++)
        realpaths[i] = survey->libraries[i].library.realpath;
    ssize_t i = identify_allocator(config, realpaths, &r->running, r->environ,
                                   r->target == GROUP_NONE ? SIZE_MAX : config->groups[r->target].allocator);
    free(r->runs);
    r->runs = xstrdup(i >= 0 ? config->allocators[i].name : family_to_string(r->running.family));
    if (i >= 0 && !r->running.deleted && survey->libraries[i].probe.version) {
        free(r->version);
        r->version = xstrdup(survey->libraries[i].probe.version);
    }
}

/* ---- what they should run ---- */

/* NULL: there, but not readable. A file that does not exist sets nothing. */
static char *read_setting_file(const char *path)
{
    char *text = NULL;
    int r = text_file_read(path, &text);

    return r == -ENOENT ? xstrdup("") : text;
}

static size_t read_setting_files(char *const *paths, bool environment_files, SettingFile *files, size_t n)
{
    STRV_FOREACH (path, paths)
        files[n++] = (SettingFile){
            .path = *path,
            .text = read_setting_file(*path),
            .environment_file = environment_files,
        };
    return n;
}

static void judge(const Survey *survey, SurveyRelay *r, const UnitFacts *unit)
{
    const size_t index = survey->config->groups[r->target].allocator;
    const Allocator *allocator = &survey->config->allocators[index];
    const AllocatorFacts *facts = &survey->libraries[index];
    size_t n = 0;

    if (!r->proved) {
        /* What runs cannot be read. A drop-in that is yet to be written was not there when it started; one
         * that stands proves nothing. */
        r->verdict = streq_null(r->wanted, r->present)
                         ? (Verdict){ CAUSE_UNREADABLE, xstrdup("what it runs cannot be read; root can") }
                         : (Verdict){ CAUSE_NOT_RESTARTED, xstrdup("its drop-in is to change") };
        return;
    }
    _cleanup_(freep) SettingFile *files =
        xcalloc(1 + strv_length(unit->dropins) + strv_length(unit->environment_files), sizeof(SettingFile));
    char *fragment[] = { unit->fragment, NULL };
    if (!isempty(unit->fragment))
        n = read_setting_files(fragment, false, files, n);
    n = read_setting_files(unit->dropins, false, files, n);
    n = read_setting_files(unit->environment_files, true, files, n);
    r->verdict = verdict_judge(&(VerdictFacts){
        .allocator = allocator->name,
        .library = facts->library.path ? facts->library.path : allocator->library,
        .realpath = facts->library.realpath,
        .environment = allocator->environment,
        .n_environment = allocator->n_environment,
        .running = &r->running,
        .process_environ = r->environ,
        .apparmor = r->label,
        .unit_environment = unit->environment,
        .files = files,
        .n_files = n,
        .own_dropin = r->present ? r->dropin : NULL,
    });
    for (size_t i = 0; i < n; i++)
        free((char *)files[i].text);
}

/* Why nothing may be done about it, in the daemon's words; NULL: nothing speaks against it. */
static char *refusal_of(const State *state, const Allocator *allocator, const AllocatorFacts *facts,
                        SurveyRelay *r, bool foreign)
{
    if (facts->refusal)
        return xasprintf("allocator %s is refused: %s", allocator->name, facts->refusal);
    if (foreign)
        return xasprintf("%s is not ours, so it is left alone; remove or rename it", r->dropin);
    _cleanup_(freep) char *build = facts->library.path ? library_build_id(&facts->library) : xstrdup("");
    const Refusal *failed = state ? state_find_refusal(state, r->name, allocator->name, build) : NULL;
    if (!failed)
        return NULL;
    r->failed_before = true;
    return xasprintf("failed before with this build of %s: %s", allocator->name,
                     failed->reason ? failed->reason : "reason unknown");
}

static void read_dropin(const Survey *survey, const State *state, DropinStore *store, const char *as,
                        SurveyRelay *r)
{
    bool foreign = false;

    if (store) {
        r->dropin = dropin_store_path(store, r->unit);
        foreign = dropin_store_read(store, r->unit, &r->present) == -EEXIST;
    }
    if (r->target == GROUP_NONE)
        return;
    const Group *group = &survey->config->groups[r->target];
    const Allocator *allocator = &survey->config->allocators[group->allocator];
    const AllocatorFacts *facts = &survey->libraries[group->allocator];
    r->refusal = refusal_of(state, allocator, facts, r, foreign);
    r->wanted = dropin_render(as, group->name, allocator, facts->library.path);
}

/* What the daemon remembers and only root may read; what an operator took out by hand is void when the file
 * is newer. */
static State *read_state(const char *file, char *const **ret_reverted)
{
    struct stat conf, saved;
    State *state = NULL;

    *ret_reverted = NULL;
    if (stat(STATE_DIR "/state", &saved) < 0 || state_file_load(STATE_DIR, &state) < 0)
        return state;
    if (stat(file, &conf) == 0 && conf.st_mtim.tv_sec <= saved.st_mtim.tv_sec)
        *ret_reverted = state->reverted;
    return state;
}

static void assign(Survey *survey, char *const *reverted)
{
    _cleanup_(freep) const char **names = xcalloc(survey->n, sizeof(char *));
    _cleanup_(freep) size_t *groups = xcalloc(survey->n, sizeof(size_t));

    for (size_t i = 0; i < survey->n; i++)
        names[i] = survey->relays[i].name;
    assign_groups(survey->config, names, survey->n, groups);
    for (size_t i = 0; i < survey->n; i++) {
        SurveyRelay *r = &survey->relays[i];
        r->group = groups[i];
        r->target = strv_contains(reverted, r->name) ? GROUP_NONE : groups[i];
    }
}

static const UnitFacts *find_unit(const UnitList *units, const char *unit)
{
    for (size_t i = 0; i < units->n; i++)
        if (streq(units->items[i].unit, unit))
            return &units->items[i];
    return NULL;
}

static void survey_relays(Survey *survey, const char *as, const UnitList *units, const State *state,
                          DropinStore *store)
{
    char **ours = NULL;

    for (size_t i = 0; i < survey->config->n_allocators; i++)
        if (survey->libraries[i].library.realpath)
            strv_push(&ours, xstrdup(survey->libraries[i].library.realpath));
    for (size_t i = 0; i < survey->n; i++) {
        SurveyRelay *r = &survey->relays[i];
        const UnitFacts *unit = find_unit(units, r->unit);

        read_dropin(survey, state, store, as, r);
        if (!survey->asked_systemd && r->target != GROUP_NONE) {
            r->up = true;
            r->verdict = (Verdict){ CAUSE_NOT_RESTARTED, xstrdup("systemd cannot be asked what it runs") };
        }
        if (unit)
            r->dropins = strv_copy(unit->dropins);
        if (!unit || !unit->up || unit->pid == 0)
            continue;
        read_process(r, (pid_t)unit->pid, ours);
        if (r->up && r->target != GROUP_NONE)
            judge(survey, r, unit);
        name_running(survey, r);
    }
    strv_free(ours);
}

int survey_load(const char *file, const char *as, sd_bus *bus, Survey *ret)
{
    _cleanup_(problems_clear) Problems problems = { 0 };
    _cleanup_(survey_clear) Survey survey = { 0 };
    _cleanup_(unit_list_clear) UnitList units = { 0 };
    _cleanup_(dropin_store_freep) DropinStore *store = NULL;
    char *const *reverted = NULL;

    if (config_file_load(file, &problems, &survey.config) < 0) {
        ctl_print_problems(&problems);
        return EXIT_USAGE;
    }
    if (dropin_store_new(DROPIN_ROOT, &store) < 0)
        store = NULL; /* no such folder: no drop-ins */
    const char *at = strchr(survey.config->unit, '@');
    _cleanup_(freep) char *pattern =
        xasprintf("%.*s@*%s", (int)(at - survey.config->unit), survey.config->unit, at + 1);
    survey.asked_systemd = bus && systemd_units(bus, pattern, &units) >= 0;
    for (size_t i = 0; i < units.n; i++)
        add_relay(&survey, units.items[i].unit);
    find_stopped(&survey);
    if (store)
        find_dropins(&survey, store);
    if (survey.n > 0)
        qsort(survey.relays, survey.n, sizeof(*survey.relays), by_name);
    _cleanup_(state_freep) State *state = read_state(file, &reverted);
    assign(&survey, reverted);
    survey.libraries = facts_array_read(survey.config, false);
    survey_relays(&survey, as, &units, state, store);
    *ret = survey;
    survey = (Survey){ 0 };
    return 0;
}
