/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb events: what the daemon did and saw, all kinds of entries but the samples. Only reads. */
#include "ctl/lib/journal.h"

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
};

static const char *const fields[COL_MAX] = {
    [COL_RELAY] = "RELAYALLOC_RELAY",         [COL_MESSAGE] = "MESSAGE",
    [COL_UNIT] = "RELAYALLOC_UNIT",           [COL_GROUP] = "RELAYALLOC_GROUP",
    [COL_ALLOCATOR] = "RELAYALLOC_ALLOCATOR", [COL_VERSION] = "RELAYALLOC_VERSION",
    [COL_LIBRARY] = "RELAYALLOC_LIBRARY",     [COL_REASON] = "RELAYALLOC_REASON",
    [COL_RESULT] = "RELAYALLOC_RESULT",       [COL_ROLLOUT] = "RELAYALLOC_ROLLOUT",
    [COL_WAVE] = "RELAYALLOC_WAVE",           [COL_PRIORITY] = "PRIORITY",
};

typedef struct EventRow {
    usec_t time;
    MessageKind kind;
    char *values[COL_MAX]; /* NULL: none */
} EventRow;

typedef struct Events {
    const CtlOptions *options;
    char *const *patterns; /* names and shell patterns; empty: all */
    EventRow *items;       /* newest first */
    size_t n, capacity;
    char *cursor; /* of the newest */
} Events;

static void row_clear(EventRow *row)
{
    for (size_t c = 0; c < COL_MAX; c++)
        free(row->values[c]);
    *row = (EventRow){ 0 };
}

static void events_clear(Events *events)
{
    for (size_t i = 0; i < events->n; i++)
        row_clear(&events->items[i]);
    free(events->items);
    free(events->cursor);
    *events = (Events){ 0 };
}

static bool selected(const Events *events, const char *relay)
{
    STRV_FOREACH (pattern, events->patterns)
        if (relay && fnmatch(*pattern, relay, 0) == 0)
            return true;
    return !events->patterns[0];
}

/* 1: *ret is the entry; 0: it is not wanted. */
static int read_row(const Events *events, sd_journal *j, usec_t realtime, EventRow *ret)
{
    _cleanup_(freep) char *id = journal_field(j, "MESSAGE_ID");
    _cleanup_(freep) char *relay = journal_field(j, fields[COL_RELAY]);
    int kind = id ? message_from_id(id) : -1;

    if (kind < 0 || !selected(events, relay))
        return 0;
    *ret = (EventRow){ .time = realtime, .kind = (MessageKind)kind };
    for (size_t c = 0; c < COL_MAX; c++)
        if (fields[c])
            ret->values[c] = journal_field(j, fields[c]);
    return 1;
}

static int take_event(sd_journal *j, usec_t realtime, void *userdata)
{
    Events *events = userdata;
    EventRow row;

    if (read_row(events, j, realtime, &row) == 0)
        return 0;
    GROW(events->items, events->capacity, events->n);
    events->items[events->n++] = row;
    if (events->n > 1)
        return 1;
    int r = sd_journal_get_cursor(j, &events->cursor);
    return r < 0 ? r : 1;
}

static const char *row_color(const EventRow *row)
{
    int priority = message_priority(row->kind);

    return priority <= LOG_ERR ? "31" : priority == LOG_WARNING ? "33" : NULL;
}

static int print_table(const Events *events)
{
    static const size_t droppable[] = { COL_RELAY, COL_EVENT }; /* the sentence names the relay, too */
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;

    if (ctl_table_new(events->options, columns, COL_MAX, COL_UNIT, &table) < 0)
        return EXIT_USAGE;
    ctl_table_droppable(table, droppable, ELEMENTSOF(droppable));
    for (size_t i = events->n; i-- > 0;) {
        const EventRow *row = &events->items[i];
        ctl_table_row(table);
        ctl_table_number(table, COL_TIME, row->time);
        ctl_table_text(table, COL_EVENT, message_name(row->kind));
        for (size_t c = 0; c < COL_MAX; c++) {
            uint64_t v = 0;
            if (!row->values[c])
                continue;
            if (columns[c].type == COLUMN_TEXT || columns[c].type == COLUMN_PROSE)
                ctl_table_text(table, c, row->values[c]);
            else if (parse_u64(row->values[c], &v) >= 0)
                ctl_table_number(table, c, v);
        }
        if (row_color(row))
            ctl_table_color(table, COL_EVENT, row_color(row));
    }
    return ctl_table_print(table) < 0 ? EXIT_FAILED : EXIT_FINE;
}

/* ---- following ---- */

static int print_json_line(const CtlOptions *options, const EventRow *row)
{
    struct json_object *object = json_object_new_object();

    json_object_object_add(object, "time", json_object_new_int64((int64_t)row->time));
    json_object_object_add(object, "event", ctl_json_text(message_name(row->kind)));
    json_object_object_add(object, "relay", ctl_json_text(row->values[COL_RELAY]));
    json_object_object_add(object, "message", ctl_json_text(row->values[COL_MESSAGE]));
    return ctl_print_json(options, object);
}

/* A line as it comes: nothing can be lined up with what is yet to come. */
static int print_line(const CtlOptions *options, const EventRow *row)
{
    _cleanup_(freep) char *time = ctl_format_time(row->time);
    const char *color = options->color ? row_color(row) : NULL, *message = row->values[COL_MESSAGE];

    if (options->json != JSON_OFF)
        return print_json_line(options, row);
    printf("%s %s%s%s%-17s%s %s\n", time, color ? "\033[" : "", color ? color : "", color ? "m" : "",
           message_name(row->kind), color ? "\033[0m" : "", message ? message : "");
    return fflush(stdout) == EOF ? -EIO : 0;
}

static int follow_event(sd_journal *j, usec_t realtime, void *userdata)
{
    const Events *events = userdata;
    EventRow row;

    if (read_row(events, j, realtime, &row) == 0)
        return 0;
    int r = print_line(events->options, &row);
    row_clear(&row);
    return r;
}

/* What was found going back, then what comes. */
static int follow(sd_journal *j, const Events *events)
{
    int r = 0;

    for (size_t i = events->n; r >= 0 && i-- > 0;)
        r = print_line(events->options, &events->items[i]);
    return r < 0 ? r : journal_follow(j, follow_event, (void *)events);
}

/* ---- the verb ---- */

/* Places the journal so that what comes next is the first entry that has not been read yet. */
static int place_behind(sd_journal *j, const JournalOptions *wanted, const Events *events)
{
    int r;

    if (events->cursor) {
        r = sd_journal_seek_cursor(j, events->cursor);
        return r >= 0 ? sd_journal_next(j) : r;
    }
    if (wanted->lines > 0) /* nothing was found from there on */
        return sd_journal_seek_realtime_usec(j, wanted->since);
    r = sd_journal_seek_tail(j);
    if (r >= 0)
        r = sd_journal_previous(j);
    return r == 0 ? sd_journal_seek_head(j) : r;
}

static int read_events(sd_journal *j, const JournalOptions *wanted, Events *events)
{
    int r = journal_match_events(j);

    if (r >= 0)
        r = journal_walk_back(j, wanted, take_event, events);
    if (r >= 0 && wanted->follow)
        r = place_behind(j, wanted, events);
    return r;
}

int ctl_events(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(events_clear) Events events = { .options = options };
    _cleanup_(sd_journal_closep) sd_journal *j = NULL;
    JournalOptions wanted;

    int status = journal_options_read(argc, argv, true, &wanted);
    if (status != 0)
        return status;
    if (wanted.follow && options->columns) {
        ctl_error("--follow and --columns cannot be combined");
        return EXIT_USAGE;
    }
    if (wanted.follow && !wanted.lines_set && wanted.since == 0)
        wanted.lines = LINES_BEFORE_FOLLOW;
    events.patterns = wanted.operands;
    status = journal_open(options, &wanted, &j);
    if (status != 0)
        return status;
    int r = read_events(j, &wanted, &events);
    if (r >= 0 && wanted.follow)
        r = follow(j, &events);
    if (r < 0) {
        ctl_error("cannot read the journal: %s", strerror(-r));
        return EXIT_FAILED;
    }
    if (events.n == 0)
        journal_hint_nothing(options, &wanted);
    return print_table(&events);
}
