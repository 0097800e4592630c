/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb status, as far as it shows the daemon, its configuration and its rollout. Changes nothing. */
#include "ctl/status.h"

#include "ctl/lib/fleet.h"
#include "ctl/lib/hosts.h"
#include "ctl/lib/manager.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>

#define REASONS_SHOWN 5 /* of relays in one state; a screen shall do */
#define NAMES_SHOWN 8   /* of relays with one reason */

static void print_rollout(FILE *f, const CtlOptions *options, const ManagerStatus *m)
{
    if (m->id == 0 || isempty(m->rollout)) {
        status_field(f, "Rollout", "none yet");
        return;
    }
    bool idle = streq(m->rollout, "idle");
    const char *word = idle && !isempty(m->result) ? manager_result_words(m) : m->rollout;
    const char *sgr = streq(word, "halted") || streq(word, "aborted") ? "1;31" : idle ? "32" : "33";
    _cleanup_(freep) char *painted = ctl_paint(options, sgr, word);

    if (idle && streq_null(m->result, "none"))
        status_field(f, "Rollout", "none since the daemon started; the last was %" PRIu64, m->id);
    else if (idle)
        status_field(f, "Rollout",
                     "none in progress; the last (%" PRIu64 "): %s, %u of %u relays moved, %u failed", m->id,
                     painted, m->done, m->total, m->failed);
    else if (m->total == 0) /* it was in progress before the daemon started */
        status_field(f, "Rollout", "%s (%" PRIu64 ")", painted, m->id);
    else
        status_field(f, "Rollout", "%s (%" PRIu64 "): wave %u of %u, %u of %u relays moved, %u failed",
                     painted, m->id, m->wave, m->waves, m->done, m->total, m->failed);
    if (!isempty(m->reason))
        status_field(f, "Reason", "%s", m->reason);
    if (m->paused && !streq(m->rollout, "paused"))
        status_field(f, "Paused", "by an operator, until \"relayallocctl resume\"");
    if (idle)
        return;
    _cleanup_(freep) char *started = status_moment(m->started);
    if (m->started > 0)
        status_field(f, "Started", "%s", started);
    _cleanup_(freep) char *window = streq(m->rollout, "waiting") ? manager_window_words(m) : NULL;
    if (window)
        status_field(f, "Window", "%s (\"relayallocctl resume --now\" does not wait)", window);
    usec_t now = ctl_now();
    char span[FORMAT_SPAN_MAX];
    if (m->ends > now)
        status_field(f, "Left", "about %s", format_span(span, m->ends - now));
    if (streq(m->rollout, "halted"))
        status_field(f, "Resume",
                     "\"relayallocctl resume\", or a file that gives what failed another allocator");
    else if (streq(m->rollout, "aborted") || streq(m->rollout, "paused"))
        status_field(f, "Resume", "\"relayallocctl resume\"");
}

static bool is_under_way(const FleetRow *row)
{
    return streq(row->state, "restarting") || streq(row->state, "settling");
}

static bool alike(const FleetRow *a, const FleetRow *b)
{
    return streq(a->state, b->state) && streq(a->reason ? a->reason : "", b->reason ? b->reason : "");
}

/* The names of those that are as row `first` is, which comes before them. */
static void put_alike(FILE *f, const Fleet *fleet, size_t first)
{
    size_t n = 0;

    for (size_t i = first; i < fleet->n; i++)
        if (alike(&fleet->rows[i], &fleet->rows[first]) && n++ < NAMES_SHOWN)
            fprintf(f, "%s%s", n > 1 ? ", " : "", fleet->rows[i].relay);
    if (n > NAMES_SHOWN)
        fprintf(f, " and %zu more", n - NAMES_SHOWN);
}

/* "relay1 (settling: bootstrapping 45 % (loading descriptors)), relay2, relay3 (restarting)" */
static void print_under_way(FILE *f, const Fleet *fleet)
{
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;
    FILE *list = open_memstream(&text, &size);

    if (!list)
        abort();
    for (size_t i = 0; i < fleet->n; i++) {
        const FleetRow *row = &fleet->rows[i];
        bool first = is_under_way(row);
        for (size_t k = 0; first && k < i; k++)
            first = !alike(row, &fleet->rows[k]);
        if (!first)
            continue;
        _cleanup_(freep) char *reason = printable(row->reason ? row->reason : "", SIZE_MAX);
        fputs(ftell(list) > 0 ? ", " : "", list);
        put_alike(list, fleet, i);
        fprintf(list, " (%s%s%s)", row->state, *reason ? ": " : "", reason);
    }
    fclose(list);
    if (!isempty(text))
        status_field(f, "In progress", "%s", text);
}

/* A reason without the relay's own name in it, so that those of several relays can be compared. */
static char *common_reason(const FleetRow *row)
{
    _cleanup_(freep) char *own = xasprintf("@%s.service", row->relay);
    char *reason = printable(row->reason ? row->reason : "", SIZE_MAX);

    for (char *at; (at = strstr(reason, own));) {
        char *more = xasprintf("%.*s@*.service%s", (int)(at - reason), reason, at + strlen(own));
        free(reason);
        reason = more;
    }
    return reason;
}

/* "relay1: it crashed", "12 relays: it crashed (relay1, relay2, relay3, …)" */
static void print_reason(FILE *f, const CtlOptions *options, const char *title, const Fleet *fleet,
                         size_t first, const char *state, char *const *reasons)
{
    _cleanup_(freep) char *names = NULL;
    size_t size = 0, n = 0;
    FILE *list = open_memstream(&names, &size);

    if (!list)
        abort();
    for (size_t i = first; i < fleet->n; i++)
        if (reasons[i] && streq(reasons[i], reasons[first]) && n++ < NAMES_SHOWN)
            fprintf(list, "%s%s", n > 1 ? ", " : "", fleet->rows[i].relay);
    if (n > NAMES_SHOWN)
        fprintf(list, " and %zu more", n - NAMES_SHOWN);
    fclose(list);
    _cleanup_(freep) char *who = n == 1 ? xstrdup(names) : xasprintf("%zu relays", n);
    _cleanup_(freep) char *painted = ctl_paint(options, state_color(state), who);
    _cleanup_(freep) char *own =
        n == 1 ? printable(fleet->rows[first].reason ? fleet->rows[first].reason : "", SIZE_MAX) : NULL;
    const char *reason = own ? own : reasons[first];
    status_field(f, title, "%s%s%s%s%s%s", painted, *reason ? ": " : "", reason, n > 1 ? " (" : "",
                 n > 1 ? names : "", n > 1 ? ")" : "");
}

/* The relays of that state, a line for each reason. */
static void print_relays_of(FILE *f, const CtlOptions *options, const Fleet *fleet, const char *title,
                            const char *state)
{
    char **reasons = xcalloc(fleet->n + 1, sizeof(char *));
    size_t lines = 0, left = 0;

    for (size_t i = 0; i < fleet->n; i++)
        reasons[i] = streq(fleet->rows[i].state, state) ? common_reason(&fleet->rows[i]) : NULL;
    for (size_t i = 0; i < fleet->n; i++) {
        bool first = reasons[i] != NULL;

        for (size_t k = 0; first && k < i; k++)
            first = !reasons[k] || !streq(reasons[k], reasons[i]);
        if (first && lines++ < REASONS_SHOWN)
            print_reason(f, options, lines == 1 ? title : "", fleet, i, state, reasons);
        else if (first)
            left++;
    }
    if (left > 0)
        status_field(f, "", "and %zu more reason%s; \"relayallocctl verify\" shows all", left,
                     left == 1 ? "" : "s");
    for (size_t i = 0; i < fleet->n; i++)
        free(reasons[i]);
    free(reasons);
}

static bool fleet_has(const Fleet *fleet, const char *state)
{
    for (size_t i = 0; i < fleet->n; i++)
        if (streq(fleet->rows[i].state, state))
            return true;
    return false;
}

static void print_fleet(FILE *f, const CtlOptions *options, const Fleet *fleet, bool idle)
{
    _cleanup_(freep) char *summary = fleet_summary(fleet, "");

    status_field(f, "Fleet", "%s", summary);
    print_relays_of(f, options, fleet, "Down", "down");
    if (fleet_has(fleet, "down"))
        status_field(f, "",
                     "see \"journalctl -u UNIT\"; when the cause is fixed: \"systemctl reset-failed UNIT; "
                     "systemctl start UNIT\"");
    print_relays_of(f, options, fleet, "Failed", "failed");
    print_relays_of(f, options, fleet, "Drifted", "drifted");
    if (idle) /* else it is their turn that they wait for */
        print_relays_of(f, options, fleet, "Pending", "pending");
    print_relays_of(f, options, fleet, "Reverted", "reverted");
}

/* The first beside the title, the others below it. */
static void print_lines(FILE *f, const char *title, const char *lines)
{
    while (*lines) {
        size_t n = strcspn(lines, "\n");
        status_field(f, title, "%.*s", (int)n, lines);
        lines += n + (lines[n] == '\n');
        title = "";
    }
}

static void print_refused(FILE *f, const CtlOptions *options, const char *problems)
{
    _cleanup_(freep) char *first =
        ctl_paint(options, "1;31", "the file has changed, but the new version is not in force:");

    status_field(f, "Refused", "%s", first);
    print_lines(f, "", problems);
}

static void print_host_settings(FILE *f, char *const *settings)
{
    STRV_FOREACH (setting, settings) {
        _cleanup_(freep) char *text = printable(*setting, SIZE_MAX);
        status_field(f, "Host sets", "%s for every service (\"relayallocctl doctor\" says more)", text);
    }
}

static void print_left_over(FILE *f, const Fleet *fleet)
{
    _cleanup_(freep) char *text = fleet_left_over(fleet);

    if (text)
        print_lines(f, "Left over", text);
}

static void print_memory_warnings(FILE *f, char *const *warnings)
{
    STRV_FOREACH (warning, warnings) {
        _cleanup_(freep) char *text = printable(*warning, SIZE_MAX);
        status_field(f, "Memory", "%s", text);
    }
}

static void print_not_put_back(FILE *f, char *const *relays)
{
    STRV_FOREACH (relay, relays) {
        _cleanup_(freep) char *name = printable(*relay, SIZE_MAX);
        status_field(f, "Not back", "%s: still to be put back as it was before; tried again with each sample",
                     name);
    }
}

static int print_manager(const CtlOptions *options, const ManagerStatus *m, const Fleet *fleet)
{
    _cleanup_(freep) char *loaded = status_moment(m->config_loaded);
    _cleanup_(freep) char *dot = ctl_paint(options, "1;32", ctl_utf8() ? "●" : "*"), *text = NULL;
    size_t size = 0;

    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    fprintf(f, "%s relayallocd %s\n", dot, m->version ? m->version : "");
    status_field(f, "Config", "%s", m->config_path ? m->config_path : "-");
    status_field(f, "Loaded", "%s", loaded);
    if (m->config_waits)
        status_field(f, "Changed", "read since, in force when rollout %" PRIu64 " has ended", m->id);
    if (m->config_changed)
        status_field(f, "Changed", "on disk since, not read yet");
    if (!isempty(m->config_error))
        print_refused(f, options, m->config_error);
    if (!isempty(m->state_error))
        status_field(
            f, "Not saved",
            "%s; tried again with each sample (a restart of relayallocd would forget what has changed)",
            m->state_error);
    if (!isempty(m->config_warnings))
        print_lines(f, "Warnings", m->config_warnings);
    print_host_settings(f, m->host_settings);
    print_left_over(f, fleet);
    print_not_put_back(f, m->not_put_back);
    print_memory_warnings(f, m->memory_warnings);
    print_fleet(f, options, fleet, isempty(m->rollout) || streq(m->rollout, "idle"));
    print_rollout(f, options, m);
    print_under_way(f, fleet);
    fclose(f);
    return ctl_print(options, text);
}

/* With the single relays of which the text speaks. */
static struct json_object *status_json(const ManagerStatus *m, const Fleet *fleet)
{
    struct json_object *o = manager_status_json(m), *differ = json_object_new_array();
    _cleanup_(freep) char *left_over = fleet_left_over(fleet);

    for (size_t i = 0; i < fleet->n; i++) {
        const FleetRow *row = &fleet->rows[i];
        if (state_is_fine(row->state) && !is_under_way(row) && !streq(row->state, "reverted"))
            continue;
        struct json_object *relay = json_object_new_object();
        json_object_object_add(relay, "relay", ctl_json_text(row->relay));
        json_object_object_add(relay, "state", ctl_json_text(row->state));
        json_object_object_add(relay, "reason", ctl_json_text(row->reason));
        json_object_array_add(differ, relay);
    }
    json_object_object_add(o, "differ", differ);
    json_object_object_add(o, "left_over", ctl_json_text(left_over));
    return o;
}

/* Without the daemon: only what the file and systemd say. */
static int print_offline(const CtlOptions *options, const Fleet *fleet)
{
    _cleanup_(strv_freep) char **settings = verdict_host_settings(fleet->survey->manager_environment);

    if (options->json != JSON_OFF) {
        struct json_object *o = json_object_new_object(), *relays = json_object_new_object();
        json_object_object_add(o, "version", NULL);
        json_object_object_add(o, "config", ctl_json_text(fleet->survey->config->path));
        json_object_object_add(o, "host_settings", ctl_json_strv(settings));
        json_object_object_add(relays, "total", json_object_new_uint64(fleet->n));
        json_object_object_add(o, "relays", relays);
        json_object_object_add(o, "rollout", NULL);
        return ctl_print_json(options, o);
    }
    _cleanup_(freep) char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    fprintf(f, "%s relayallocd (not running)\n", ctl_utf8() ? "○" : "*");
    status_field(f, "Config", "%s", fleet->survey->config->path);
    print_host_settings(f, settings);
    print_left_over(f, fleet);
    print_fleet(f, options, fleet, true);
    fclose(f);
    return ctl_print(options, text);
}

int ctl_status(int argc, char *argv[], const CtlOptions *options)
{
    static const char *const wanted[] = { "Reason", NULL };
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(manager_status_clear) ManagerStatus manager = { 0 };
    _cleanup_(fleet_clear) Fleet fleet = { .properties = wanted };
    char *const *patterns = NULL;
    bool fine = true;

    int status = ctl_operands(argc, argv, SIZE_MAX, &patterns);
    if (status == 0 && hosts_several(options)) {
        if (!*patterns)
            return status_hosts(options);
        ctl_error("\"status RELAY\" takes one host with -H");
        return EXIT_USAGE;
    }
    if (status == 0 && *patterns)
        return status_relays(patterns, options);
    if (status == 0)
        status = fleet_get(options, &fleet, &bus);
    if (status != 0)
        return status;
    if (fleet.survey) {
        print_offline(options, &fleet);
        return EXIT_FAILED;
    }
    int r = manager_status_get(bus, SAY_ALL, &manager);
    if (r < 0)
        return EXIT_FAILED;
    if (options->json != JSON_OFF)
        r = ctl_print_json(options, status_json(&manager, &fleet));
    else
        r = print_manager(options, &manager, &fleet);
    for (size_t i = 0; i < fleet.n; i++)
        fine = fine && state_is_fine(fleet.rows[i].state);
    return r < 0 ? EXIT_FAILED : fine ? EXIT_FINE : EXIT_DIFFERS;
}
