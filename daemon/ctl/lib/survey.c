/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/survey.h"

#include "core/relay.h"
#include "ctl/lib/ctl.h"
#include "io/allocators.h"
#include "io/config-file.h"
#include "io/dropin-store.h"
#include "io/instances.h"
#include "io/paths.h"
#include "io/process.h"
#include "io/setting-files.h"
#include "io/state-file.h"
#include "io/systemd1.h"

#include <dirent.h>
#include <errno.h>
#include <time.h>

#define RELAYS_MAX 10000 /* more drop-ins than that are not ours */
#define SYSTEMD_TIMEOUT (25 * USEC_PER_SEC)

static void survey_relay_free(SurveyRelay *r)
{
    relay_facts_clear(&r->facts);
    free(r);
}

void survey_clear(Survey *s)
{
    for (size_t i = 0; i < s->n; i++)
        survey_relay_free(s->relays[i]);
    free(s->relays);
    if (s->config)
        allocators_free(s->allocators, s->config->n_allocators);
    config_free(s->config);
    free(s->config_path);
    memory_free(s->state);
    strv_free(s->manager_environment);
    *s = (Survey){ 0 };
}

HostFacts survey_host(const Survey *s)
{
    return (HostFacts){
        .config = s->config,
        .config_path = s->config_path,
        .allocators = s->allocators,
        .state = s->state,
        .manager_environment = s->manager_environment,
        .now = ctl_now(),
    };
}

/* ---- asking systemd, and waiting for its answers ---- */

typedef struct Asking {
    size_t waiting; /* calls without an answer */
    int error;      /* of the first that failed */
    char **units, **files, **environment;
} Asking;

static void asking_clear(Asking *a)
{
    strv_free(a->units);
    strv_free(a->files);
    strv_free(a->environment);
}

static void answered(Asking *a, int error)
{
    a->waiting--;
    a->error = a->error < 0 ? a->error : error;
}

static void on_units(void *userdata, int error, const char *message, char **units)
{
    Asking *a = userdata;

    (void)message;
    a->units = units;
    answered(a, error);
}

static void on_files(void *userdata, int error, const char *message, char **files)
{
    Asking *a = userdata;

    (void)message;
    a->files = files;
    answered(a, error);
}

static void on_environment(void *userdata, int error, const char *message, char **environment)
{
    Asking *a = userdata;

    (void)message;
    a->environment = environment;
    answered(a, error < 0 ? 0 : error); /* it is only one more fact */
}

typedef struct UnitQuestion {
    Asking *asking;
    RelayFacts *relay;
} UnitQuestion;

/* A unit that cannot be read is not known: nothing is said of it. */
static void on_unit(void *userdata, int error, const char *message, UnitInfo *info)
{
    UnitQuestion *q = userdata;

    (void)message;
    q->relay->info = info;
    q->relay->unread = error < 0;
    answered(q->asking, 0);
}

static int wait_for_answers(sd_bus *bus, Asking *a)
{
    usec_t deadline = ctl_now() + SYSTEMD_TIMEOUT;

    while (a->waiting > 0 && a->error >= 0) {
        usec_t now = ctl_now();
        int r = sd_bus_process(bus, NULL);

        if (r == 0)
            r = now < deadline ? sd_bus_wait(bus, deadline - now) : -ETIMEDOUT;
        if (r < 0 && r != -EINTR)
            return r;
    }
    return a->error;
}

/* One more call is out; `r`: of sending it. */
static void asked(Asking *a, int r)
{
    a->waiting++;
    if (r < 0)
        answered(a, r);
}

static int ask_lists(sd_bus *bus, const char *pattern, Asking *a)
{
    _cleanup_(systemd1_freep) Systemd1 *systemd = NULL;
    Systemd1Call *call;
    int r = systemd1_new(bus, NULL, NULL, &systemd);

    if (r < 0)
        return r;
    asked(a, systemd1_list_units(systemd, pattern, on_units, a, &call));
    asked(a, systemd1_list_unit_files(systemd, pattern, on_files, a, &call));
    asked(a, systemd1_get_environment(systemd, on_environment, a, &call));
    return wait_for_answers(bus, a);
}

int survey_environment(sd_bus *bus, char ***ret)
{
    _cleanup_(asking_clear) Asking a = { 0 };
    _cleanup_(systemd1_freep) Systemd1 *systemd = NULL;
    Systemd1Call *call;
    int r = systemd1_new(bus, NULL, NULL, &systemd);

    if (r < 0)
        return r;
    asked(&a, systemd1_get_environment(systemd, on_environment, &a, &call));
    r = wait_for_answers(bus, &a);
    if (r == 0)
        *ret = TAKE_PTR(a.environment);
    return r;
}

static int ask_units(sd_bus *bus, Survey *s)
{
    Asking a = { 0 };
    _cleanup_(freep) UnitQuestion *questions = xcalloc(s->n, sizeof(*questions));
    _cleanup_(systemd1_freep) Systemd1 *systemd = NULL; /* goes before the questions do */
    Systemd1Call *call;
    int r = systemd1_new(bus, NULL, NULL, &systemd);

    if (r < 0)
        return r;
    for (size_t i = 0; i < s->n; i++) {
        RelayFacts *relay = &s->relays[i]->facts;

        questions[i] = (UnitQuestion){ .asking = &a, .relay = relay };
        asked(&a, systemd1_get_unit(systemd, relay->unit, on_unit, &questions[i], &call));
    }
    return wait_for_answers(bus, &a);
}

/* ---- which relays there are ---- */

static RelayFacts *add_named(Survey *s, const char *name, const char *unit)
{
    for (size_t i = 0; i < s->n; i++)
        if (streq(s->relays[i]->facts.unit, unit))
            return &s->relays[i]->facts;
    if (s->n >= RELAYS_MAX)
        return NULL;
    SurveyRelay *r = xcalloc(1, sizeof(*r));
    r->facts = relay_facts_new(name, unit);
    GROW(s->relays, s->capacity, s->n);
    s->relays[s->n++] = r;
    return &r->facts;
}

/* NULL: the unit is no relay's. */
static RelayFacts *add_relay(Survey *s, const char *unit)
{
    _cleanup_(freep) char *name = NULL;

    return relay_name_from_unit(s->config->unit, unit, &name) < 0 ? NULL : add_named(s, name, unit);
}

static void add_asked(Survey *s, const Asking *a)
{
    STRV_FOREACH (unit, a->units)
        add_relay(s, *unit);
    STRV_FOREACH (unit, a->files) {
        RelayFacts *r = add_relay(s, *unit);
        if (r)
            r->has_file = true;
    }
}

/* A directory that cannot be read is the daemon's to complain of. */
static void find_instances(Survey *s)
{
    _cleanup_(strv_freep) char **units = NULL;

    (void)instances_list(s->config->instances_dir, s->config->unit, &units);
    STRV_FOREACH (unit, units) {
        RelayFacts *r = add_relay(s, *unit);
        if (r)
            r->has_instance = true;
    }
}

/* Units that still have a drop-in of ours, whatever became of them. (Not by dropin_store_list(), which tidies
 * up.) */
static void find_dropins(Survey *s, const char *root, const DropinStore *store)
{
    DIR *dir = opendir(root);

    if (!dir)
        return;
    for (const struct dirent *e; (e = readdir(dir)) && s->n < RELAYS_MAX;) {
        size_t n = strlen(e->d_name);
        _cleanup_(freep) char *text = NULL;
        if (n < 3 || !streq(e->d_name + n - 2, ".d"))
            continue;
        _cleanup_(freep) char *unit = xstrndup(e->d_name, n - 2);
        if (!unit_is_service_instance(unit) || dropin_store_read(store, unit, &text) < 0)
            continue;
        if (!add_relay(s, unit)) /* what a former `unit` left */
            add_named(s, unit, unit);
    }
    closedir(dir);
}

static int by_name(const void *a, const void *b)
{
    return name_compare((*(SurveyRelay *const *)a)->facts.name, (*(SurveyRelay *const *)b)->facts.name);
}

/* Without systemd nobody knows what runs: a relay that may run is taken for one that does. */
static void assume_up(Survey *s)
{
    for (size_t i = 0; i < s->n; i++) {
        UnitInfo *info = xcalloc(1, sizeof(*info));

        *info = (UnitInfo){ .exists = true, .active = ACTIVE_ACTIVE, .main_pid = UINT32_MAX };
        s->relays[i]->facts.info = info;
    }
}

static void find_relays(Survey *s, sd_bus *bus, DropinStore *store, const char *dropin_root)
{
    _cleanup_(asking_clear) Asking asking = { 0 };
    _cleanup_(freep) char *pattern = relay_unit_pattern(s->config->unit);

    s->asked_systemd = bus && ask_lists(bus, pattern, &asking) >= 0;
    if (s->asked_systemd)
        add_asked(s, &asking);
    s->manager_environment = TAKE_PTR(asking.environment);
    find_instances(s);
    if (store)
        find_dropins(s, dropin_root, store);
    if (s->n > 0)
        qsort(s->relays, s->n, sizeof(*s->relays), by_name);
    if (s->asked_systemd && ask_units(bus, s) < 0)
        s->asked_systemd = false;
    if (!s->asked_systemd) {
        for (size_t i = 0; i < s->n; i++)
            s->relays[i]->facts.info = unit_info_free(s->relays[i]->facts.info);
        assume_up(s);
    }
}

/* ---- what they are assigned ---- */

/* What the daemon remembers and only root may read. */
static State *read_state(void)
{
    _cleanup_(freep) char *dir = path_of_state();
    State *state = NULL;

    return state_file_load(dir, &state) < 0 && !state ? xcalloc(1, sizeof(State)) : state;
}

static const RelayFacts **facts_of(const Survey *s)
{
    const RelayFacts **relays = xcalloc(s->n, sizeof(*relays));

    for (size_t i = 0; i < s->n; i++)
        relays[i] = &s->relays[i]->facts;
    return relays;
}

static void take_memory(const Survey *s)
{
    for (size_t i = 0; i < s->n; i++)
        facts_take_memory(&s->relays[i]->facts, s->state);
}

/* What a new file ends, as the daemon will see it. true: a revert. */
static bool review(const Survey *s, const RelayFacts *const *relays)
{
    _cleanup_(freep) char *id = facts_identity(s->config, s->allocators);
    _cleanup_(freep) Assignment *assigned = xcalloc(s->n, sizeof(*assigned));
    const HostFacts host = { .config = s->config, .allocators = s->allocators, .state = s->state };
    _cleanup_(strv_freep) char **builds = facts_assigned(&host, relays, s->n, assigned);

    return memory_review(s->state, id, assigned, s->n).regrouped;
}

static void form_groups(const Survey *s, const RelayFacts *const *relays)
{
    _cleanup_(freep) size_t *groups = xcalloc(s->n, sizeof(size_t));

    take_memory(s);
    facts_assign(s->config, relays, s->n, groups);
    for (size_t i = 0; i < s->n; i++)
        s->relays[i]->facts.group = groups[i];
}

static void assign(Survey *s)
{
    _cleanup_(freep) const RelayFacts **relays = facts_of(s);

    form_groups(s, relays);
    if (review(s, relays))
        form_groups(s, relays);
    for (size_t i = 0; i < s->n; i++)
        s->relays[i]->facts.reverted = memory_find_revert(s->state, s->relays[i]->facts.name) != NULL;
}

/* ---- what they run ---- */

static void read_process(const Survey *s, SurveyRelay *r, ElfCache *cache, char *const *libraries)
{
    _cleanup_(process_freep) Process *process = NULL;
    _cleanup_(freep) char *proc = path_of_proc();
    const HostFacts host = survey_host(s);
    ProcessFacts facts;

    if (!unit_up(r->facts.info))
        return;
    r->facts.process.error = process_open(proc, (pid_t)r->facts.info->main_pid, &process);
    if (!process)
        return;
    process_look(process, cache, libraries, host.now, &facts);
    if (process_memory(process, &r->memory) < 0)
        r->memory = (Memory){ 0 };
    facts_take_process(&host, &r->facts, &facts);
}

char *survey_unread_words(int error)
{
    return error == -EACCES ? xstrdup("; try again as root") : xasprintf(": %s", strerror(-error));
}

/* What runs cannot be read. A drop-in that is yet to be written was not there when it started; one that
 * stands proves nothing. */
static Verdict guess(const HostFacts *host, const RelayFacts *r)
{
    _cleanup_(freep) char *wanted = facts_wanted(host, r), *why = survey_unread_words(r->process.error);

    return streq_null(wanted, r->present)
               ? (Verdict){ .cause = CAUSE_UNREADABLE,
                            .reason = xasprintf("cannot read what it runs%s", why) }
               : (Verdict){ .cause = CAUSE_NOT_RESTARTED,
                            .reason = xstrdup("its drop-in is going to change") };
}

static void judge(const Survey *s, RelayFacts *r, char *const *libraries)
{
    _cleanup_(setting_files_clear) SettingFiles files = { 0 };
    const HostFacts host = survey_host(s);

    if (r->info && s->asked_systemd)
        setting_files_look(&host, r, libraries, &files);
    if (!unit_up(r->info) || !facts_target(&host, r))
        return;
    if (!s->asked_systemd) {
        r->verdict =
            (Verdict){ .cause = CAUSE_NOT_RESTARTED, .reason = xstrdup("cannot ask systemd what it runs") };
    } else if (!r->process.readable) {
        r->verdict = guess(&host, r);
    } else {
        facts_judge(&host, r, files.files, files.n);
    }
}

static void look_at_relays(Survey *s)
{
    _cleanup_(elf_cache_freep) ElfCache *cache = elf_cache_new();
    char **libraries = NULL;

    for (size_t i = 0; i < s->config->n_allocators; i++)
        if (s->allocators[i].realpath)
            strv_push(&libraries, xstrdup(s->allocators[i].realpath));
    for (size_t i = 0; i < s->n; i++) {
        RelayFacts *r = &s->relays[i]->facts;

        if (s->asked_systemd)
            read_process(s, s->relays[i], cache, libraries);
        judge(s, r, libraries);
    }
    strv_free(libraries);
}

/* As the daemon does before each plan. */
static void remember_proved(Survey *s)
{
    const HostFacts host = survey_host(s);

    for (size_t i = 0; i < s->n; i++) {
        const RelayFacts *r = &s->relays[i]->facts;
        _cleanup_(freep) char *recipe =
            facts_proves(&host, r) ? facts_recipe(facts_allocator(&host, r), facts_resolved(&host, r)) : NULL;
        if (recipe)
            (void)memory_set_proved(s->state, recipe);
    }
}

/* ---- all of it ---- */

static AllocatorFacts *look_at_allocators(const Config *config)
{
    _cleanup_(freep) char *probe = path_of_probe();

    return allocators_look(&(AllocatorsAsk){ .config = config, .probe = probe });
}

/* The host under this configuration, which is taken over. */
static Survey survey_of(Config *config, const char *as, sd_bus *bus)
{
    Survey s = { .config = config };
    _cleanup_(dropin_store_freep) DropinStore *store = NULL;
    _cleanup_(freep) char *dropin_root = path_of_dropins();

    s.config_path = xstrdup(as);
    if (dropin_store_new(dropin_root, &store) < 0)
        store = NULL; /* no such directory: no drop-ins */
    s.allocators = look_at_allocators(s.config);
    s.state = read_state();
    _cleanup_(freep) char *id = facts_identity(s.config, s.allocators);
    memory_adopt(s.state, id);
    find_relays(&s, bus, store, dropin_root);
    for (size_t i = 0; store && i < s.n; i++) /* who counts depends on it */
        dropin_store_look(store, &s.relays[i]->facts);
    assign(&s);
    look_at_relays(&s);
    remember_proved(&s);
    return s;
}

int survey_load(const char *file, const char *as, sd_bus *bus, Survey *ret)
{
    _cleanup_(problems_clear) Problems problems = { 0 };
    Config *config = NULL;

    if (config_file_load(file, &problems, &config) < 0) {
        ctl_print_problems(&problems);
        return EXIT_USAGE;
    }
    *ret = survey_of(config, as, bus);
    return 0;
}

Survey survey_without_file(const char *as, sd_bus *bus)
{
    return survey_of(config_new(as), as, bus);
}

void survey_judge_names(const Config *config, sd_bus *bus, Problems *problems)
{
    Survey s = { .config = (Config *)config }; /* lent: nothing of it is changed */
    _cleanup_(dropin_store_freep) DropinStore *store = NULL;
    _cleanup_(freep) char *dropin_root = path_of_dropins();

    if (dropin_store_new(dropin_root, &store) < 0)
        store = NULL;
    find_relays(&s, bus, store, dropin_root);
    for (size_t i = 0; store && i < s.n; i++)
        dropin_store_look(store, &s.relays[i]->facts);
    s.state = read_state();
    take_memory(&s);
    _cleanup_(freep) const RelayFacts **relays = facts_of(&s);
    facts_judge_names(config, relays, s.n, problems);
    s.config = NULL;
    survey_clear(&s);
}

Plan *survey_plan(Survey *s)
{
    _cleanup_(freep) RelayFacts **relays = xcalloc(s->n, sizeof(*relays));
    const HostFacts host = survey_host(s);

    for (size_t i = 0; i < s->n; i++)
        relays[i] = &s->relays[i]->facts;
    return facts_plan(&host, relays, s->n);
}

usec_t survey_plan_length(const Survey *s, const Plan *plan, const bool *ready)
{
    _cleanup_(freep) RelayFacts **relays = xcalloc(s->n, sizeof(*relays));
    _cleanup_(freep) bool *demanded = xcalloc(s->n, sizeof(*demanded));
    const HostFacts host = survey_host(s);
    const time_t now = time(NULL);
    struct tm tm;

    if (!s->asked_systemd)
        return USEC_INFINITY;
    for (size_t i = 0; i < s->n; i++) {
        relays[i] = &s->relays[i]->facts;
        demanded[i] = s->config->rollout.ready == READY_BOOTSTRAPPED && (!ready || ready[i]);
    }
    localtime_r(&now, &tm);
    return facts_plan_length(
        &host, relays, s->n, plan,
        (ForecastTimes){ .preflight = FORECAST_PREFLIGHT,
                         .verify_config = FORECAST_VERIFY_CONFIG,
                         .reload = FORECAST_RELOAD,
                         .ready = FORECAST_READY,
                         .ready_now = demanded,
                         .window = s->config->rollout.window,
                         .since_midnight =
                             (usec_t)(tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec) * USEC_PER_SEC });
}

const char *survey_state(const Survey *s, const SurveyRelay *r)
{
    const HostFacts host = survey_host(s);

    if (!s->asked_systemd || (r->facts.action == ACTION_NONE && r->facts.verdict.cause == CAUSE_UNREADABLE))
        return "";
    return relay_state_to_string(facts_state(&host, &r->facts, NULL));
}
