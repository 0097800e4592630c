/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb status for relays: each in full, by the daemon or without it. Changes nothing. */
#include "bus/api.h"
#include "ctl/lib/fleet.h"
#include "ctl/lib/manager.h"
#include "ctl/lib/traffic.h"
#include "ctl/status.h"
#include "io/journal.h"

#include <errno.h>
#include <json-c/json.h>

#define EVENTS_SHOWN 10

static void print_memory(FILE *f, const RelayStatus *r)
{
    char rss[FORMAT_BYTES_MAX], anonymous[FORMAT_BYTES_MAX], swap[FORMAT_BYTES_MAX], peak[FORMAT_BYTES_MAX];

    status_field(f, "Memory", "%s (peak: %s, anonymous: %s, swap: %s)", format_bytes(rss, r->rss),
                 format_bytes(peak, r->peak), format_bytes(anonymous, r->anonymous),
                 format_bytes(swap, r->swap));
}

static void print_dropins(FILE *f, const RelayStatus *r)
{
    const char *name = "Drop-Ins";

    if (strv_length(r->dropins) == 0 && isempty(r->dropin))
        status_field(f, name, "none");
    STRV_FOREACH (path, r->dropins) {
        status_field(f, name, "%s%s", *path, streq_null(*path, r->dropin) ? " (ours)" : "");
        name = "";
    }
    if (!isempty(r->dropin) && !strv_contains(r->dropins, r->dropin))
        status_field(f, name, "%s (ours, not loaded by systemd yet)", r->dropin);
}

/* What it says of itself; nothing where it was not asked, or does not answer. */
static void print_own_words(FILE *f, const RelayStatus *r, const TrafficDays *days)
{
    char buf[FORMAT_BYTES_MAX];
    uint64_t traffic;

    if (r->ready)
        status_field(f, "Ready", "yes, it is bootstrapped");
    else if (!isempty(r->bootstrap))
        status_field(f, "Ready", "bootstrapping %s", r->bootstrap);
    if (!isempty(r->flags))
        status_field(f, "Flags", "%s",
                     streq(r->flags, BUS_FLAGS_NONE) ? "none: it is in no consensus" : r->flags);
    if (!isempty(r->fingerprint))
        status_field(f, "Fingerprint", "%s", r->fingerprint);
    if (traffic_days_find(days, r->name, &traffic))
        status_field(f, "Traffic", "%s read and written in the last whole day", format_bytes(buf, traffic));
}

static const char *or_dash(const char *s)
{
    return isempty(s) ? "-" : s;
}

static void print_relay(FILE *f, const CtlOptions *options, const RelayStatus *r, const JournalList *events,
                        const TrafficDays *days)
{
    const char *sgr = state_color(r->state ? r->state : "");
    _cleanup_(freep) char *dot = ctl_paint(options, sgr, !ctl_utf8() ? "*" : r->pid > 0 ? "●" : "○");
    _cleanup_(freep) char *state = ctl_paint(options, sgr, isempty(r->state) ? "unknown" : r->state);
    _cleanup_(freep) char *since = status_moment(r->since);

    fprintf(f, "%s %s - %s\n", dot, or_dash(r->name), or_dash(r->unit));
    if (isempty(r->reason))
        status_field(f, "State", "%s", state);
    else
        status_field(f, "State", "%s: %s", state, r->reason);
    if (isempty(r->group))
        status_field(f, "Group", "none (observed only)");
    else
        status_field(f, "Group", "%s", r->group);
    status_field(f, "Assigned", "%s", or_dash(r->assigned));
    status_field(f, "Running", "%s%s%s", or_dash(r->running), isempty(r->version) ? "" : " ",
                 isempty(r->version) ? "" : r->version);
    if (!isempty(r->library))
        status_field(f, "Library", "%s", r->library);
    STRV_FOREACH (note, r->notes)
        status_field(f, "Note", "%s", *note);
    if (r->pid > 0) {
        status_field(f, "Main PID", "%u", r->pid);
        status_field(f, "Since", "%s", since);
        print_memory(f, r);
        print_own_words(f, r, days);
    }
    print_dropins(f, r);
    if (events->n > 0)
        fputc('\n', f);
    for (size_t i = 0; i < events->n; i++) {
        _cleanup_(freep) char *time = ctl_format_time(events->items[i].time);
        fputs(time, f);
        ctl_write_wrapped(f, events->items[i].event.fields[JOURNAL_MESSAGE], ctl_terminal_width(),
                          (int)strlen(time) + 1, strlen(time));
    }
}

static struct json_object *relay_json(const RelayStatus *r, const JournalList *events,
                                      const TrafficDays *days)
{
    struct json_object *json = relay_status_json(r), *array = json_object_new_array();
    uint64_t traffic;

    json_object_object_add(json, "traffic/day",
                           traffic_days_find(days, r->name, &traffic) ? json_object_new_uint64(traffic)
                                                                      : NULL);

    for (size_t i = 0; i < events->n; i++) {
        struct json_object *event = json_object_new_object();
        json_object_object_add(event, "time", json_object_new_uint64(events->items[i].time));
        json_object_object_add(event, "event", ctl_json_text(message_name(events->items[i].event.kind)));
        json_object_object_add(event, "message",
                               ctl_json_text(events->items[i].event.fields[JOURNAL_MESSAGE]));
        json_object_array_add(array, event);
    }
    json_object_object_add(json, "events", array);
    return json;
}

/* The same facts without the daemon. */
static RelayStatus facts_of_survey(const Survey *survey, const FleetRow *row)
{
    size_t i = 0;

    while (!streq(survey->relays[i]->facts.name, row->relay)) /* each row was made of one */
        i++;
    const SurveyRelay *s = survey->relays[i];
    const RelayFacts *r = &s->facts;
    return (RelayStatus){
        .name = xstrdup(row->relay),
        .unit = xstrdup(r->unit),
        .group = xstrdup(row->group),
        .assigned = xstrdup(row->assigned),
        .running = xstrdup(row->running),
        .version = xstrdup(row->version),
        .state = xstrdup(row->state),
        .reason = xstrdup(row->reason),
        .library = xstrdup(r->process.running.path),
        .pid = (uint32_t)r->process.pid,
        .since = r->process.started,
        .rss = s->memory.rss,
        .anonymous = s->memory.anon,
        .swap = s->memory.swap,
        .peak = s->memory.hwm,
        .dropin = xstrdup(r->present ? r->dropin : NULL),
        .dropins = r->info ? strv_copy(r->info->dropins) : NULL,
        .notes = facts_notes(r),
    };
}

static int relay_status(sd_bus *bus, const Fleet *fleet, const FleetRow *row, RelayStatus *ret)
{
    if (fleet->survey) {
        *ret = facts_of_survey(fleet->survey, row);
        return 0;
    }
    return relay_status_get(bus, row->path, SAY_ALL, ret);
}

static bool has_message(const JournalEvent *event, void *userdata)
{
    (void)userdata;
    return event->fields[JOURNAL_MESSAGE] != NULL;
}

int status_relays(char *const *patterns, const CtlOptions *options)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(journal_reader_freep) JournalReader *reader = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { 0 };
    _cleanup_(traffic_days_clear) TrafficDays days = { 0 };
    _cleanup_(freep) char *text = NULL;
    struct json_object *array = json_object_new_array();
    bool local = !options->host && !options->machine, fine = true;
    size_t size = 0;

    int status = fleet_get(options, &fleet, &bus);
    bool missing = status == 0 && fleet_select(&fleet, patterns) < 0;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    /* The journal of another host is not to be had over its bus. One that may not be read adds nothing. */
    if (status == 0 && local)
        (void)journal_reader_open(&(JournalSource){ 0 }, &reader);
    if (status == 0)
        (void)traffic_days_read(options, &days);
    for (size_t i = 0; status == 0 && i < fleet.n; i++) {
        _cleanup_(relay_status_clear) RelayStatus facts = { 0 };
        _cleanup_(journal_list_clear) JournalList events = { 0 };
        const JournalQuery query = { .until = USEC_INFINITY, .relay = fleet.rows[i].relay };
        if (relay_status(bus, &fleet, &fleet.rows[i], &facts) < 0) {
            status = EXIT_FAILED;
            break;
        }
        if (reader)
            (void)journal_last_events(reader, &query, EVENTS_SHOWN, has_message, NULL, &events);
        fine = fine && state_is_fine(fleet.rows[i].state);
        if (options->json != JSON_OFF) {
            json_object_array_add(array, relay_json(&facts, &events, &days));
            continue;
        }
        if (i > 0)
            fputc('\n', f);
        print_relay(f, options, &facts, &events, &days);
    }
    fclose(f);
    if (status == 0 && options->json != JSON_OFF)
        status = ctl_print_json(options, json_object_get(array)) < 0 ? EXIT_FAILED : 0;
    else if (status == 0)
        status = ctl_print(options, text) < 0 ? EXIT_FAILED : 0;
    json_object_put(array);
    if (status != 0)
        return status;
    return missing ? EXIT_NO_RELAY : fine ? EXIT_FINE : EXIT_DIFFERS;
}
