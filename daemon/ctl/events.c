/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb events: what the daemon did and saw, all kinds of entries but the samples. Only reads. */
#include "ctl/lib/fleet.h"
#include "ctl/lib/last.h"

#include <errno.h>
#include <fnmatch.h>
#include <json-c/json.h>
#include <syslog.h>

#define LINES_BEFORE_FOLLOW 10

/* The order of the table; those from COL_UNIT on are there for -o. */
enum {
    COL_TIME,
    COL_EVENT,
    COL_RELAY,
    COL_MESSAGE,
    COL_UNIT,
    COL_GROUP,
    COL_ALLOCATOR,
    COL_VERSION,
    COL_LIBRARY,
    COL_REASON,
    COL_RESULT,
    COL_ROLLOUT,
    COL_WAVE,
    COL_PRIORITY,
    COL_HOST,
    COL_MAX,
};

static const Column columns[COL_MAX] = {
    [COL_TIME] = { "TIME", COLUMN_TIME, "when it happened" },
    [COL_EVENT] = { "EVENT", COLUMN_TEXT, "what kind of event" },
    [COL_RELAY] = { "RELAY", COLUMN_TEXT, "the relay, if it is about one" },
    [COL_MESSAGE] = { "MESSAGE", COLUMN_PROSE, "the sentence" },
    [COL_UNIT] = { "UNIT", COLUMN_TEXT, "the unit of the relay" },
    [COL_GROUP] = { "GROUP", COLUMN_TEXT, "the group of the relay" },
    [COL_ALLOCATOR] = { "ALLOCATOR", COLUMN_TEXT, "the allocator" },
    [COL_VERSION] = { "VERSION", COLUMN_TEXT, "version of that" },
    [COL_LIBRARY] = { "LIBRARY", COLUMN_TEXT, "its file" },
    [COL_REASON] = { "REASON", COLUMN_PROSE, "why" },
    [COL_RESULT] = { "RESULT", COLUMN_TEXT, "how it ended" },
    [COL_ROLLOUT] = { "ROLLOUT", COLUMN_NUMBER, "number of the rollout" },
    [COL_WAVE] = { "WAVE", COLUMN_NUMBER, "number of the wave in it" },
    [COL_PRIORITY] = { "PRIORITY", COLUMN_NUMBER, "3 error, 4 warning, 5 notice, 6 information" },
    [COL_HOST] = { "HOST", COLUMN_TEXT, "the host that logged it" },
};

/* Columns that show a field. */
static const struct {
    size_t column;
    JournalField field;
} fields[] = {
    { COL_RELAY, JOURNAL_RELAY },         { COL_MESSAGE, JOURNAL_MESSAGE },
    { COL_UNIT, JOURNAL_UNIT },           { COL_GROUP, JOURNAL_GROUP },
    { COL_LIBRARY, JOURNAL_LIBRARY },     { COL_REASON, JOURNAL_REASON },
    { COL_ALLOCATOR, JOURNAL_ALLOCATOR }, { COL_VERSION, JOURNAL_VERSION },
    { COL_RESULT, JOURNAL_RESULT },       { COL_ROLLOUT, JOURNAL_ROLLOUT },
    { COL_WAVE, JOURNAL_WAVE },           { COL_PRIORITY, JOURNAL_PRIORITY },
};

typedef struct Events {
    const CtlOptions *options;
    bool gathered;   /* the journal may be that of several hosts */
    char **patterns; /* names and shell patterns, as typed and as meant; NULL: all */
} Events;

/* A JournalWantFunc. */
static bool is_selected(const JournalEvent *event, void *userdata)
{
    const Events *events = userdata;
    const char *relay = event->fields[JOURNAL_RELAY];

    STRV_FOREACH (pattern, events->patterns)
        if (relay && (streq(*pattern, relay) || fnmatch(*pattern, relay, 0) == 0))
            return true;
    return !events->patterns;
}

static const char *event_color(const JournalEvent *event)
{
    int priority = message_priority(event->kind);

    return priority <= LOG_ERR ? "31" : priority == LOG_WARNING ? "33" : NULL;
}

static int print_table(const CtlOptions *options, const JournalList *list)
{
    static const size_t droppable[] = { COL_RELAY, COL_EVENT }; /* the sentence names the relay, too */
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;

    if (ctl_table_new(options, columns, COL_MAX, COL_UNIT, &table) < 0)
        return EXIT_USAGE;
    if (ctl_last_hosts(list) > 1)
        ctl_table_lead(table, COL_HOST);
    ctl_table_droppable(table, droppable, ELEMENTSOF(droppable));
    for (size_t i = 0; i < list->n; i++) {
        const JournalEvent *event = &list->items[i].event;
        ctl_table_row(table);
        ctl_table_text(table, COL_HOST, event->host);
        ctl_table_number(table, COL_TIME, event->time);
        ctl_table_text(table, COL_EVENT, message_name(event->kind));
        for (size_t k = 0; k < ELEMENTSOF(fields); k++) {
            const char *value = event->fields[fields[k].field];
            size_t c = fields[k].column;
            uint64_t v = 0;
            if (columns[c].type == COLUMN_TEXT || columns[c].type == COLUMN_PROSE)
                ctl_table_text(table, c, value);
            else if (value && parse_u64(value, &v) >= 0)
                ctl_table_number(table, c, v);
        }
        if (event_color(event))
            ctl_table_color(table, COL_EVENT, event_color(event));
    }
    return ctl_table_print(table) < 0 ? EXIT_FAILED : EXIT_FINE;
}

/* ---- following ---- */

static int print_json_line(const Events *events, const JournalEvent *event)
{
    struct json_object *object = json_object_new_object();

    if (events->gathered)
        json_object_object_add(object, "host", ctl_json_text(event->host));
    json_object_object_add(object, "time", json_object_new_int64((int64_t)event->time));
    json_object_object_add(object, "event", ctl_json_text(message_name(event->kind)));
    json_object_object_add(object, "relay", ctl_json_text(event->fields[JOURNAL_RELAY]));
    json_object_object_add(object, "message", ctl_json_text(event->fields[JOURNAL_MESSAGE]));
    return ctl_print_json(events->options, object);
}

/* A line as it arrives: nothing can be aligned with what is still to come. */
static int print_line(const Events *events, const JournalEvent *event)
{
    const CtlOptions *options = events->options;
    _cleanup_(freep) char *time = ctl_format_time(event->time);
    const char *color = options->color ? event_color(event) : NULL, *message = event->fields[JOURNAL_MESSAGE];

    if (options->json != JSON_OFF)
        return print_json_line(events, event);
    printf("%s%s%s %s%s%s%-17s%s %s\n", events->gathered ? event->host : "", events->gathered ? " " : "",
           time, color ? "\033[" : "", color ? color : "", color ? "m" : "", message_name(event->kind),
           color ? "\033[0m" : "", message ? message : "");
    return fflush(stdout) == EOF ? -EIO : 0;
}

static int follow_event(const JournalEvent *event, void *userdata)
{
    const Events *events = userdata;

    return is_selected(event, userdata) ? print_line(events, event) : 0;
}

/* What was found going back, then what comes. */
static int follow(JournalReader *reader, const JournalQuery *query, Events *events, const JournalList *list)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < list->n; i++)
        r = print_line(events, &list->items[i].event);
    return r < 0 ? r : journal_follow_events(reader, query, follow_event, events);
}

static bool has_events(const JournalList *list, char *typed, char *meant)
{
    char *patterns[] = { typed, meant, NULL };
    Events of_it = { .patterns = patterns };

    for (size_t i = 0; i < list->n; i++)
        if (is_selected(&list->items[i].event, &of_it))
            return true;
    return false;
}

/* Of names without an event only the daemon knows whether a relay has them, or a typo. EXIT_FINE;
 * EXIT_NO_RELAY after a message. */
static int check_names(const CtlOptions *options, const CtlLast *last, const JournalList *list)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { 0 };
    _cleanup_(strv_freep) char **without = NULL;

    if (ctl_last_gathered(last) || last->source.journal.machine)
        return EXIT_FINE;
    STRV_FOREACH (typed, last->operands) {
        _cleanup_(freep) char *meant = fleet_name_typed(options, *typed);
        if (!has_events(list, *typed, meant))
            strv_push(&without, xstrdup(*typed));
    }
    if (!without || ctl_bus_open(options, true, &bus) < 0 || fleet_from_daemon(bus, SAY_NOTHING, &fleet) < 0)
        return EXIT_FINE;
    return fleet_select(&fleet, without) < 0 ? EXIT_NO_RELAY : EXIT_FINE;
}

int ctl_events(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(journal_reader_freep) JournalReader *reader = NULL;
    _cleanup_(journal_list_clear) JournalList list = { 0 };
    Events events = { .options = options };
    CtlLast last;

    int status = ctl_last_arguments(argc, argv, options, true, &last);
    if (status != 0)
        return status;
    if (ctl_columns_help(options, columns, ELEMENTSOF(columns)))
        return EXIT_FINE;
    if (last.follow && options->columns) {
        ctl_error("--follow and --columns cannot be combined");
        return EXIT_USAGE;
    }
    events.gathered = ctl_last_gathered(&last);
    const JournalQuery query = ctl_last_query(&last);
    if (last.follow && !last.lines_set && query.since == 0)
        last.lines = LINES_BEFORE_FOLLOW;
    _cleanup_(strv_freep) char **patterns = NULL;
    STRV_FOREACH (typed, last.operands) {
        strv_push(&patterns, xstrdup(*typed));
        strv_push(&patterns, fleet_name_typed(options, *typed));
    }
    events.patterns = patterns;
    status = ctl_source_open(&last.source, &reader);
    if (status != 0)
        return status;
    int r = journal_last_events(reader, &query, last.lines, is_selected, &events, &list);
    ctl_source_complain(reader);
    const int named = r >= 0 ? check_names(options, &last, &list) : EXIT_FINE;
    if (r >= 0 && last.follow && named == EXIT_FINE)
        r = follow(reader, &query, &events, &list);
    if (r < 0)
        return ctl_source_failed(&last.source, r);
    status = print_table(options, &list);
    return status == EXIT_FINE ? named : status;
}
