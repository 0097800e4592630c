/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/fleet.h"

#include "bus/api.h"
#include "core/state.h"
#include "ctl/lib/manager.h"
#include "io/config-file.h"

#include <errno.h>
#include <fnmatch.h>
#include <sys/stat.h>

static void row_clear(FleetRow *row)
{
    free(row->relay);
    free(row->group);
    free(row->assigned);
    free(row->running);
    free(row->version);
    free(row->state);
    free(row->path);
    free(row->reason);
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

int fleet_from_daemon(sd_bus *bus, Say say, Fleet *ret)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL, *reply = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { 0 };
    const char *relay, *group, *assigned, *running, *version, *state, *path;
    uint64_t rss, peak, since;

    int r =
        sd_bus_message_new_method_call(bus, &call, BUS_NAME, BUS_PATH, BUS_MANAGER_INTERFACE, "ListRelays");
    if (r >= 0)
        r = ctl_bus_send(bus, call, say, &reply);
    if (r < 0)
        return r;
    r = sd_bus_message_enter_container(reply, 'a', "(ssssssttto)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(ssssssttto)", &relay, &group, &assigned, &running,
                                              &version, &state, &rss, &peak, &since, &path)) > 0) {
        GROW(fleet.rows, fleet.capacity, fleet.n);
        fleet.rows[fleet.n++] = (FleetRow){
            .relay = xstrdup(relay),
            .group = xstrdup(group),
            .assigned = xstrdup(assigned),
            .running = xstrdup(running),
            .version = xstrdup(version),
            .state = xstrdup(state),
            .rss = rss,
            .peak = peak,
            .since = since,
            .path = xstrdup(path),
        };
    }
    if (r < 0)
        return say == SAY_NOTHING ? -EBADMSG : ctl_bus_unreadable("ListRelays", r);
    *ret = fleet;
    memset(&fleet, 0, sizeof(fleet));
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
    _cleanup_(plan_freep) Plan *plan = survey_plan(survey);

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
        };
    }
}

void fleet_say_offline(const CtlOptions *options)
{
    if (!options->quiet)
        ctl_complain("relayallocd is not running; this is what files and systemd show.");
}

int fleet_get(const CtlOptions *options, Fleet *ret, sd_bus **ret_bus)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    bool remote = options->host || options->machine;

    int r = ctl_bus_open(options, !remote, &bus);
    if (r >= 0)
        r = fleet_from_daemon(bus, SAY_FAILURES, ret);
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
        [RELAY_OK] = "32",       [RELAY_PENDING] = "33", [RELAY_RESTARTING] = "33", [RELAY_SETTLING] = "33",
        [RELAY_FAILED] = "1;31", [RELAY_DRIFTED] = "31", [RELAY_STOPPED] = "90",    [RELAY_OBSERVED] = "90",
    };
    RelayState s = relay_state_from_string(state);

    return s == _RELAY_STATE_INVALID ? NULL : colors[s];
}

char *fleet_summary(const Fleet *fleet, const char *noun)
{
    size_t counts[_RELAY_STATE_MAX] = { 0 };

    for (size_t i = 0; i < fleet->n; i++) {
        RelayState s = relay_state_from_string(fleet->rows[i].state);
        if (s != _RELAY_STATE_INVALID)
            counts[s]++;
    }
    return relay_states_summary(fleet->n, noun, counts);
}

int fleet_select(Fleet *fleet, char *const *patterns)
{
    int r = 0;
    size_t kept = 0;

    if (!patterns || !*patterns)
        return 0;
    STRV_FOREACH (pattern, patterns)
        if (!strpbrk(*pattern, "*?[") && !fleet_find(fleet, *pattern)) {
            ctl_error("no relay is named \"%s\"", *pattern);
            r = -ENOENT;
        }
    for (size_t i = 0; i < fleet->n; i++) {
        bool match = false;
        STRV_FOREACH (pattern, patterns)
            match = match || streq(*pattern, fleet->rows[i].relay) ||
                    fnmatch(*pattern, fleet->rows[i].relay, 0) == 0;
        if (match)
            fleet->rows[kept++] = fleet->rows[i];
        else
            row_clear(&fleet->rows[i]);
    }
    fleet->n = kept;
    return r;
}
