/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/fleet.h"

#include "bus/api.h"
#include "core/relay.h"
#include "core/state.h"
#include "ctl/lib/hosts.h"
#include "ctl/lib/manager.h"
#include "io/config-file.h"

#include <errno.h>
#include <fnmatch.h>
#include <sys/stat.h>

#define OLD_UNITS_NAMED 8

static void row_clear(FleetRow *row)
{
    free(row->host);
    free(row->relay);
    free(row->group);
    free(row->assigned);
    free(row->running);
    free(row->version);
    free(row->state);
    free(row->path);
    free(row->unit);
    free(row->reason);
    for (size_t i = 0; i < row->n_fields; i++) {
        free(row->fields[i].name);
        free(row->fields[i].text);
    }
    free(row->fields);
}

void fleet_clear(Fleet *fleet)
{
    for (size_t i = 0; i < fleet->n; i++)
        row_clear(&fleet->rows[i]);
    free(fleet->rows);
    if (fleet->survey)
        survey_clear(fleet->survey);
    free(fleet->survey);
    *fleet = (Fleet){ 0 };
}

const FleetRow *fleet_find(const Fleet *fleet, const char *relay)
{
    for (size_t i = 0; i < fleet->n; i++)
        if (streq(fleet->rows[i].relay, relay))
            return &fleet->rows[i];
    return NULL;
}

const FleetField *fleet_field(const FleetRow *row, const char *property)
{
    for (size_t i = 0; i < row->n_fields; i++)
        if (streq(row->fields[i].name, property))
            return &row->fields[i];
    return NULL;
}

const char *fleet_ready(const FleetRow *row)
{
    const FleetField *ready = fleet_field(row, "Ready"), *bootstrap = fleet_field(row, "Bootstrap");

    if (ready && ready->number > 0)
        return "yes";
    return bootstrap && !isempty(bootstrap->text) ? bootstrap->text : NULL;
}

static void add_field(FleetRow *row, const char *property, const char *text, uint64_t number)
{
    GROW(row->fields, row->c_fields, row->n_fields);
    row->fields[row->n_fields++] =
        (FleetField){ .name = xstrdup(property), .text = xstrdup(text), .number = number };
}

/* ---- what the daemon tells: GetRelays, see bus/api.h ---- */

static const struct {
    const char *name;
    char type;
    size_t offset;
} members[] = {
    { "Group", 's', offsetof(FleetRow, group) },     { "Assigned", 's', offsetof(FleetRow, assigned) },
    { "Running", 's', offsetof(FleetRow, running) }, { "Version", 's', offsetof(FleetRow, version) },
    { "State", 's', offsetof(FleetRow, state) },     { "Reason", 's', offsetof(FleetRow, reason) },
    { "RSS", 't', offsetof(FleetRow, rss) },         { "Peak", 't', offsetof(FleetRow, peak) },
    { "Since", 't', offsetof(FleetRow, since) },     { "Unit", 's', offsetof(FleetRow, unit) },
};

/* The value of a variant of a basic type. */
static int read_variant(sd_bus_message *m, char type, void *ret)
{
    const char contents[] = { type, '\0' };
    int r = sd_bus_message_enter_container(m, 'v', contents);

    if (r >= 0)
        r = sd_bus_message_read_basic(m, type, ret);
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_member(sd_bus_message *m, FleetRow *row, size_t member)
{
    void *place = (char *)row + members[member].offset;
    const char *value = NULL;

    if (members[member].type != 's')
        return read_variant(m, members[member].type, place);
    int r = read_variant(m, 's', &value);
    if (r >= 0) {
        free(*(char **)place);
        *(char **)place = xstrdup(value);
    }
    return r;
}

static int read_field(sd_bus_message *m, FleetRow *row, const char *name)
{
    const char *type = NULL, *text = NULL;
    uint64_t number = 0;
    uint32_t small = 0; /* of "u" and of "b", which sd-bus reads as an int */

    int r = sd_bus_message_peek_type(m, NULL, &type);
    if (r < 0)
        return r;
    if (streq(type, "s"))
        r = read_variant(m, 's', &text);
    else if (streq(type, "t"))
        r = read_variant(m, 't', &number);
    else if (streq(type, "u") || streq(type, "b"))
        r = read_variant(m, *type, &small);
    else
        return sd_bus_message_skip(m, "v"); /* none that a row could have */
    if (r < 0)
        return r;
    add_field(row, name, text, number + small);
    return 0;
}

static int read_entry(sd_bus_message *m, FleetRow *row)
{
    const char *name = NULL;
    size_t i = 0;

    int r = sd_bus_message_read_basic(m, 's', &name);
    if (r < 0)
        return r;
    while (i < ELEMENTSOF(members) && !streq(members[i].name, name))
        i++;
    r = i < ELEMENTSOF(members) ? read_member(m, row, i) : read_field(m, row, name);
    return r == -ENXIO ? sd_bus_message_skip(m, "v") : r; /* a later version has made another type of it */
}

static int read_entries(sd_bus_message *m, FleetRow *row)
{
    int r = sd_bus_message_enter_container(m, 'a', "{sv}");

    while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
        r = read_entry(m, row);
        if (r >= 0)
            r = sd_bus_message_exit_container(m);
    }
    return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* 1: a row; 0: there are no more. */
static int read_row(sd_bus_message *m, FleetRow *row)
{
    char **const never_null[] = { &row->group, &row->assigned, &row->running, &row->version, &row->state };
    const char *path = NULL;

    int r = sd_bus_message_enter_container(m, 'r', "oa{sv}");
    if (r <= 0)
        return r;
    r = sd_bus_message_read_basic(m, 'o', &path);
    if (r >= 0)
        r = read_entries(m, row);
    if (r >= 0)
        r = sd_bus_message_exit_container(m);
    if (r < 0)
        return r;
    row->path = xstrdup(path);
    if (sd_bus_path_decode(path, BUS_RELAY_PREFIX, &row->relay) <= 0)
        return -EBADMSG;
    for (size_t i = 0; i < ELEMENTSOF(never_null); i++)
        if (!*never_null[i])
            *never_null[i] = xstrdup("");
    return 1;
}

static int make_call(sd_bus *bus, const char *const *properties, sd_bus_message **ret)
{
    static const char *const always[] = { "Group", "Assigned", "Running", "Version", "State",
                                          "RSS",   "Peak",     "Since",   "Unit" };
    int r = sd_bus_message_new_method_call(bus, ret, NULL, BUS_PATH, BUS_MANAGER_INTERFACE, "GetRelays");

    if (r >= 0)
        r = sd_bus_message_open_container(*ret, 'a', "s");
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(always); i++)
        r = sd_bus_message_append_basic(*ret, 's', always[i]);
    for (; r >= 0 && properties && *properties; properties++)
        r = sd_bus_message_append_basic(*ret, 's', *properties);
    return r < 0 ? r : sd_bus_message_close_container(*ret);
}

/* Adds the rows of a reply to GetRelays. */
static int read_rows(sd_bus_message *reply, const char *host, Fleet *fleet)
{
    int r = sd_bus_message_enter_container(reply, 'a', "(oa{sv})");

    while (r > 0) {
        GROW(fleet->rows, fleet->capacity, fleet->n);
        FleetRow *row = &fleet->rows[fleet->n];
        *row = (FleetRow){ 0 };
        r = read_row(reply, row);
        if (r <= 0)
            row_clear(row);
        else
            row->host = xstrdup(host);
        fleet->n += r > 0;
    }
    return r;
}

int fleet_from_daemon(sd_bus *bus, Say say, Fleet *ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { .properties = ret->properties };

    int r = make_call(bus, fleet.properties, &call);
    if (r >= 0)
        r = ctl_bus_send(bus, call, say, &reply);
    if (r < 0)
        return r;
    r = read_rows(reply, NULL, &fleet);
    if (r < 0)
        return say == SAY_NOTHING ? -EBADMSG : ctl_bus_unreadable("GetRelays", r);
    *ret = fleet;
    memset(&fleet, 0, sizeof(fleet));
    return 0;
}

static int make_call_of_host(sd_bus *bus, const void *userdata, sd_bus_message **ret)
{
    return make_call(bus, userdata, ret);
}

static int fleet_from_hosts(const CtlOptions *options, Fleet *ret)
{
    _cleanup_(host_answers_clear) HostAnswers answers = { 0 };

    if (hosts_ask(options, make_call_of_host, ret->properties, &answers) < 0)
        return EXIT_FAILED;
    ret->incomplete = !answers.complete;
    for (size_t i = 0; i < answers.n; i++) {
        const HostAnswer *a = &answers.items[i];
        int r = a->reply ? read_rows(a->reply, hosts_label(a->host), ret) : 0;
        if (r < 0) {
            ctl_error("%s: its answer cannot be read (%s); do the versions of both programs differ?", a->host,
                      strerror(-r));
            ret->incomplete = true;
        }
    }
    return 0;
}

Config *fleet_config(const CtlOptions *options, sd_bus *bus, bool offline)
{
    _cleanup_(manager_status_clear) ManagerStatus manager = { .config_loaded = UINT64_MAX };
    _cleanup_(problems_clear) Problems problems = { 0 };
    Config *config = NULL;
    struct stat st;

    if (options->host || options->machine)
        return NULL;
    if (!offline && manager_status_get(bus, SAY_NOTHING, &manager) < 0)
        return NULL;
    if (stat(options->config, &st) < 0 ||
        (usec_t)st.st_mtim.tv_sec * USEC_PER_SEC + (usec_t)st.st_mtim.tv_nsec / 1000 > manager.config_loaded)
        return NULL;
    return config_file_load(options->config, &problems, &config) < 0 ? NULL : config;
}

/* The relays in the state that the survey shows. */
static void fleet_from_survey(Survey *survey, Fleet *ret)
{
    const HostFacts host = survey_host(survey);

    plan_free(survey_plan(survey)); /* sets what the states below depend on */
    for (size_t i = 0; i < survey->n; i++) {
        const SurveyRelay *s = survey->relays[i];
        const RelayFacts *r = &s->facts;
        const Allocator *assigned = facts_allocator(&host, r);
        const char *reason = facts_reason(r);

        GROW(ret->rows, ret->capacity, ret->n);
        ret->rows[ret->n++] = (FleetRow){
            .relay = xstrdup(r->name),
            .group = xstrdup(r->group != GROUP_NONE ? survey->config->groups[r->group].name : ""),
            .assigned = xstrdup(assigned ? assigned->name : ""),
            .running = xstrdup(r->running),
            .version = xstrdup(r->version),
            .state = xstrdup(survey_state(survey, s)),
            .rss = s->memory.rss,
            .peak = s->memory.hwm,
            .since = r->process.started,
            .reason = xstrdup(reason),
            .unit = xstrdup(r->unit),
        };
        if (r->info)
            add_field(&ret->rows[i], "NRestarts", NULL, r->info->n_restarts);
    }
}

void fleet_say_offline(const CtlOptions *options)
{
    if (!options->quiet)
        ctl_complain("relayallocd is not running; this is what files and systemd show.");
}

static void say_invalid(const char *config)
{
    const bool missing = access(config, F_OK) < 0 && errno == ENOENT;
    _cleanup_(freep) char *text = xasprintf(
        "As long as the file is %s relayallocd does not start; the relays run on as they are. %s, then run "
        "\"systemctl start relayallocd\".",
        missing ? "missing" : "invalid",
        missing ? "Save what \"relayallocctl adopt\" prints, which restarts no relay"
                : "Fix it with \"relayallocctl edit\"");

    ctl_complain(text);
}

int fleet_get(const CtlOptions *options, Fleet *ret, sd_bus **ret_bus)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    bool remote = options->host || options->machine;

    if (hosts_several(options))
        return fleet_from_hosts(options, ret);
    int r = ctl_bus_open(options, !remote, &bus);
    if (r >= 0)
        r = fleet_from_daemon(bus, SAY_FAILURES, ret);
    else if (!remote && (r == -EACCES || r == -EPERM)) /* whether the daemon runs is not known then */
        ctl_error("this user is not allowed to connect to the system bus");
    else if (!remote)
        r = -ENXIO; /* no bus, no daemon on it */
    if (r == -ENXIO) {
        if (remote) {
            ctl_error("relayallocd is not running on %s", options->host ? options->host : options->machine);
            return EXIT_FAILED;
        }
        fleet_say_offline(options);
        _cleanup_(freep) Survey *survey = xcalloc(1, sizeof(*survey));
        r = survey_load(options->config, options->config, bus, survey);
        if (r == EXIT_USAGE && !options->quiet)
            say_invalid(options->config);
        if (r != 0)
            return r;
        fleet_from_survey(survey, ret);
        ret->survey = TAKE_PTR(survey);
    } else if (r < 0)
        return EXIT_FAILED;
    if (ret_bus)
        *ret_bus = TAKE_PTR(bus);
    return 0;
}

bool state_is_fine(const char *state)
{
    RelayState s = relay_state_from_string(state);

    return s == _RELAY_STATE_INVALID || relay_state_fine(s); /* unknown is not known to be wrong */
}

const char *state_color(const char *state)
{
    static const char *const colors[_RELAY_STATE_MAX] = {
        [RELAY_OK] = "32",       [RELAY_PENDING] = "33",  [RELAY_RESTARTING] = "33", [RELAY_SETTLING] = "33",
        [RELAY_FAILED] = "1;31", [RELAY_DRIFTED] = "31",  [RELAY_STOPPED] = "90",    [RELAY_OBSERVED] = "90",
        [RELAY_DOWN] = "1;31",   [RELAY_REVERTED] = "90",
    };
    RelayState s = relay_state_from_string(state);

    return s == _RELAY_STATE_INVALID ? NULL : colors[s];
}

char *fleet_summary(const Fleet *fleet, const char *noun)
{
    size_t counts[_RELAY_STATE_MAX] = { 0 }, old = 0;

    for (size_t i = 0; i < fleet->n; i++) {
        RelayState s = relay_state_from_string(fleet->rows[i].state);
        if (fleet_row_is_old(&fleet->rows[i]))
            old++;
        else if (s != _RELAY_STATE_INVALID)
            counts[s]++;
    }
    _cleanup_(freep) char *relays = relay_states_summary(fleet->n - old, noun, counts);
    return old > 0 ? xasprintf("%s; %zu left over of another unit", relays, old) : TAKE_PTR(relays);
}

/* "3 drop-ins of tor@.service (a, b, …)" with what removes them. */
static char *old_units_of(const Fleet *fleet, const char *unit_template)
{
    _cleanup_(freep) char *names = xstrdup("");
    size_t n = 0;

    for (size_t i = 0; i < fleet->n; i++) {
        const FleetRow *row = &fleet->rows[i];
        if (!fleet_row_is_old(row) || !unit_is_instance(unit_template, row->unit) || n++ >= OLD_UNITS_NAMED)
            continue;
        char *more = xasprintf("%s%s%s", names, *names ? ", " : "", row->unit);
        free(names);
        names = more;
    }
    return xasprintf("%zu drop-in%s of %s (%s%s): \"relayallocctl revert --unit=%s\" removes %s", n,
                     n == 1 ? "" : "s", unit_template, names, n > OLD_UNITS_NAMED ? ", …" : "", unit_template,
                     n == 1 ? "it" : "them");
}

char *fleet_left_over(const Fleet *fleet)
{
    _cleanup_(strv_freep) char **told = NULL;
    char *text = NULL;

    for (size_t i = 0; i < fleet->n; i++) {
        if (!fleet_row_is_old(&fleet->rows[i]))
            continue;
        _cleanup_(freep) char *unit_template = relay_template_of(fleet->rows[i].unit);
        if (strv_contains(told, unit_template))
            continue;
        _cleanup_(freep) char *line = old_units_of(fleet, unit_template), *before = text;
        text = xasprintf("%s%s%s", before ? before : "", before ? "\n" : "", line);
        strv_push(&told, TAKE_PTR(unit_template));
    }
    return text;
}

const char *fleet_near(const Fleet *fleet, const char *typed)
{
    _cleanup_(freep) const char **names = xcalloc(fleet->n + 1, sizeof(*names));

    for (size_t i = 0; i < fleet->n; i++)
        names[i] = fleet->rows[i].relay;
    return did_you_mean(typed, names);
}

char *fleet_name_typed(const CtlOptions *options, const char *typed)
{
    _cleanup_(problems_clear) Problems problems = { 0 };
    _cleanup_(config_freep) Config *config = NULL;

    if (!strchr(typed, '@') && !strstr(typed, ".service"))
        return xstrdup(typed);
    if (options->host || options->machine || config_file_load(options->config, &problems, &config) < 0)
        config = config_new(options->config);
    return relay_name_typed(config->unit, typed);
}

/* A name that some relay has as it stands (`exact`) means that one only: "x.service" may be a relay's name.
 */
static bool row_matches(const FleetRow *row, const char *typed, bool exact)
{
    if (exact || fleet_row_is_old(row)) /* of which no pattern is meant that is one of relays */
        return streq(typed, row->relay) || (strchr(typed, '@') && fnmatch(typed, row->relay, 0) == 0);
    _cleanup_(freep) char *unit_template = relay_template_of(row->unit ? row->unit : "tor");
    _cleanup_(freep) char *name = relay_name_typed(unit_template, typed);

    return streq(name, row->relay) || fnmatch(typed, row->relay, 0) == 0 || fnmatch(name, row->relay, 0) == 0;
}

static bool any_matches(const Fleet *fleet, const char *typed)
{
    for (size_t i = 0; i < fleet->n; i++)
        if (row_matches(&fleet->rows[i], typed, false))
            return true;
    return false;
}

static void say_unknown(const Fleet *fleet, const char *typed)
{
    const char *unit = fleet->n > 0 ? fleet->rows[0].unit : NULL;
    _cleanup_(freep) char *unit_template = relay_template_of(unit ? unit : "tor");
    _cleanup_(freep) char *name = relay_name_typed(unit_template, typed);
    const char *near = fleet_near(fleet, name);

    if (near)
        ctl_error("no relay is named \"%s\" (did you mean \"%s\"?)", typed, near);
    else
        ctl_error("no relay is named \"%s\"; \"relayallocctl list\" shows all of them", typed);
}

void fleet_keep(Fleet *fleet, FleetWant *want, void *userdata)
{
    size_t kept = 0;

    for (size_t i = 0; i < fleet->n; i++)
        if (want(&fleet->rows[i], userdata))
            fleet->rows[kept++] = fleet->rows[i];
        else
            row_clear(&fleet->rows[i]);
    fleet->n = kept;
}

typedef struct Selection {
    char *const *patterns;
    char **exact; /* those of them that are names as they stand */
} Selection;

/* A FleetWant. */
static bool is_selected(const FleetRow *row, void *userdata)
{
    const Selection *s = userdata;

    STRV_FOREACH (pattern, s->patterns)
        if (row_matches(row, *pattern, strv_contains(s->exact, *pattern)))
            return true;
    return false;
}

int fleet_select(Fleet *fleet, char *const *patterns)
{
    Selection selection = { .patterns = patterns };
    int r = 0;

    if (!patterns || !*patterns)
        return 0;
    STRV_FOREACH (pattern, patterns)
        if (fleet_find(fleet, *pattern)) {
            strv_push(&selection.exact, xstrdup(*pattern));
        } else if (!strpbrk(*pattern, "*?[") && !any_matches(fleet, *pattern)) {
            say_unknown(fleet, *pattern);
            r = -ENOENT;
        }
    fleet_keep(fleet, is_selected, &selection);
    strv_free(selection.exact);
    return r;
}
