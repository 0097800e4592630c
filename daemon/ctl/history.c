/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb history: the samples of one relay, of both kinds of entries. Only reads. */
#include "core/sample.h"
#include "ctl/lib/journal.h"

/* An hour of the default interval; more is asked for. */
#define LINES_DEFAULT 60

enum {
    COL_TIME,
    COL_RSS,
    COL_ANON,
    COL_SWAP,
    COL_PEAK,
    COL_ALLOCATOR,
    COL_VERSION,
    COL_DEFAULT,
    COL_GROUP = COL_DEFAULT,
    COL_SINCE
};

static const Column columns[] = {
    [COL_TIME] = { "TIME", COLUMN_TIME, "when it was taken" },
    [COL_RSS] = { "RSS", COLUMN_BYTES, "resident memory" },
    [COL_ANON] = { "ANON", COLUMN_BYTES, "of that, anonymous" },
    [COL_SWAP] = { "SWAP", COLUMN_BYTES, "swapped out" },
    [COL_PEAK] = { "PEAK", COLUMN_BYTES, "peak of resident memory since the process started" },
    [COL_ALLOCATOR] = { "ALLOCATOR", COLUMN_TEXT, "what it ran, proved" },
    [COL_VERSION] = { "VERSION", COLUMN_TEXT, "version of that" },
    [COL_GROUP] = { "GROUP", COLUMN_TEXT, "its group" },
    [COL_SINCE] = { "SINCE", COLUMN_TIME, "start of its process" },
};

typedef struct HistoryRow {
    usec_t time, since;
    Memory memory;
    char *allocator, *version, *group;
} HistoryRow;

typedef struct History {
    const char *relay;
    HistoryRow *items; /* newest first */
    size_t n, capacity;
} History;

static void history_clear(History *history)
{
    for (size_t i = 0; i < history->n; i++) {
        free(history->items[i].allocator);
        free(history->items[i].version);
        free(history->items[i].group);
    }
    free(history->items);
    *history = (History){ 0 };
}

static HistoryRow *add_row(History *history, usec_t time)
{
    GROW(history->items, history->capacity, history->n);
    history->items[history->n] = (HistoryRow){ .time = time };
    return &history->items[history->n++];
}

static uint64_t number_field(sd_journal *j, const char *name)
{
    _cleanup_(freep) char *text = journal_field(j, name);
    uint64_t v = 0;

    return text && parse_u64(text, &v) >= 0 ? v : 0;
}

static char *span_copy(Span span)
{
    return span.n > 0 ? xstrndup(span.p, span.n) : NULL;
}

/* Its row among those of a fleet: 1; 0: it has none. */
static int take_fleet(History *history, sd_journal *j, usec_t realtime)
{
    const void *data = NULL;
    size_t size = 0, skip = strlen("RELAYALLOC_FLEET=");
    SampleRow row;

    if (sd_journal_get_data(j, "RELAYALLOC_FLEET", &data, &size) < 0 || size < skip)
        return 0;
    const char *cursor = (const char *)data + skip, *end = (const char *)data + size;
    for (int r; (r = sample_read_row(&cursor, end, &row)) != 0;) {
        if (r < 0 || row.relay.n != strlen(history->relay) ||
            memcmp(row.relay.p, history->relay, row.relay.n) != 0)
            continue;
        HistoryRow *h = add_row(history, realtime);
        h->since = row.since;
        h->memory = row.memory;
        h->allocator = span_copy(row.allocator);
        h->version = span_copy(row.version);
        h->group = span_copy(row.group);
        return 1;
    }
    return 0;
}

static int take_sample(sd_journal *j, usec_t realtime, void *userdata)
{
    History *history = userdata;
    _cleanup_(freep) char *id = journal_field(j, "MESSAGE_ID");

    if (id && message_from_id(id) == MESSAGE_SAMPLE_FLEET)
        return take_fleet(history, j, realtime);
    HistoryRow *h = add_row(history, realtime);
    h->since = number_field(j, "RELAYALLOC_SINCE");
    h->memory = (Memory){
        .rss = number_field(j, "RELAYALLOC_RSS"),
        .anon = number_field(j, "RELAYALLOC_ANON"),
        .swap = number_field(j, "RELAYALLOC_SWAP"),
        .hwm = number_field(j, "RELAYALLOC_HWM"),
    };
    h->allocator = journal_field(j, "RELAYALLOC_ALLOCATOR");
    h->version = journal_field(j, "RELAYALLOC_VERSION");
    h->group = journal_field(j, "RELAYALLOC_GROUP");
    return 1;
}

static int match_samples(sd_journal *j, const char *relay)
{
    int r = journal_match(j, "MESSAGE_ID", message_id(MESSAGE_SAMPLE_RELAY));

    if (r >= 0)
        r = journal_match(j, "RELAYALLOC_RELAY", relay);
    if (r >= 0)
        r = journal_match(j, "_UID", "0");
    if (r >= 0)
        r = sd_journal_add_disjunction(j);
    if (r >= 0)
        r = journal_match(j, "MESSAGE_ID", message_id(MESSAGE_SAMPLE_FLEET));
    if (r >= 0)
        r = journal_match(j, "_UID", "0");
    return r;
}

static int print_history(const CtlOptions *options, const History *history)
{
    static const size_t droppable[] = { COL_VERSION, COL_SWAP, COL_ANON };
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;

    if (ctl_table_new(options, columns, ELEMENTSOF(columns), COL_DEFAULT, &table) < 0)
        return EXIT_USAGE;
    ctl_table_droppable(table, droppable, ELEMENTSOF(droppable));
    for (size_t i = history->n; i-- > 0;) {
        const HistoryRow *h = &history->items[i];
        ctl_table_row(table);
        ctl_table_number(table, COL_TIME, h->time);
        ctl_table_number(table, COL_RSS, h->memory.rss);
        ctl_table_number(table, COL_ANON, h->memory.anon);
        ctl_table_number(table, COL_SWAP, h->memory.swap);
        ctl_table_number(table, COL_PEAK, h->memory.hwm);
        ctl_table_text(table, COL_ALLOCATOR, h->allocator);
        ctl_table_text(table, COL_VERSION, h->version);
        ctl_table_text(table, COL_GROUP, h->group);
        if (h->since > 0)
            ctl_table_number(table, COL_SINCE, h->since);
    }
    return ctl_table_print(table) < 0 ? EXIT_FAILED : EXIT_FINE;
}

int ctl_history(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(history_clear) History history = { 0 };
    _cleanup_(sd_journal_closep) sd_journal *j = NULL;
    JournalOptions wanted;

    int status = journal_options_read(argc, argv, false, &wanted);
    if (status != 0)
        return status;
    if (!wanted.operands[0] || wanted.operands[1]) {
        ctl_error("history takes the name of one relay");
        return EXIT_USAGE;
    }
    if (!wanted.lines_set && wanted.since == 0 && wanted.until == USEC_INFINITY)
        wanted.lines = LINES_DEFAULT;
    history.relay = wanted.operands[0];
    status = journal_open(options, &wanted, &j);
    if (status != 0)
        return status;
    int r = match_samples(j, history.relay);
    if (r >= 0)
        r = journal_walk_back(j, &wanted, take_sample, &history);
    if (r < 0) {
        ctl_error("cannot read the journal: %s", strerror(-r));
        return EXIT_FAILED;
    }
    if (history.n == 0) {
        ctl_error("the journal has no samples of a relay named \"%s\"%s", history.relay,
                  wanted.since > 0 || wanted.until != USEC_INFINITY ? " in that time" : "");
        journal_hint_nothing(options, &wanted);
        return EXIT_NO_RELAY;
    }
    return print_history(options, &history);
}
