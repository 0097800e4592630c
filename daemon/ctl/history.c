/* SPDX-License-Identifier: BSD-3-Clause */
/* The verb history: the samples of one relay, of both kinds of entries. Only reads. */
#include "ctl/lib/fleet.h"
#include "ctl/lib/last.h"

#include <errno.h>

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
    COL_SINCE,
    COL_HOST,
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
    [COL_HOST] = { "HOST", COLUMN_TEXT, "the host that took it" },
};

static const char *text_of(Span span)
{
    return span.n > 0 ? span.p : NULL;
}

static int print_history(const CtlOptions *options, const JournalList *samples)
{
    static const size_t droppable[] = { COL_VERSION, COL_SWAP, COL_ANON };
    _cleanup_(ctl_table_freep) CtlTable *table = NULL;

    if (ctl_table_new(options, columns, ELEMENTSOF(columns), COL_DEFAULT, &table) < 0)
        return EXIT_USAGE;
    if (ctl_last_hosts(samples) > 1)
        ctl_table_lead(table, COL_HOST);
    ctl_table_droppable(table, droppable, ELEMENTSOF(droppable));
    for (size_t i = 0; i < samples->n; i++) {
        const SampleRow *row = &samples->items[i].sample.row;
        ctl_table_row(table);
        ctl_table_text(table, COL_HOST, samples->items[i].sample.host);
        ctl_table_number(table, COL_TIME, samples->items[i].time);
        ctl_table_number(table, COL_RSS, row->memory.rss);
        ctl_table_number(table, COL_ANON, row->memory.anon);
        ctl_table_number(table, COL_SWAP, row->memory.swap);
        ctl_table_number(table, COL_PEAK, row->memory.hwm);
        ctl_table_text(table, COL_ALLOCATOR, text_of(row->allocator));
        ctl_table_text(table, COL_VERSION, text_of(row->version));
        ctl_table_text(table, COL_GROUP, text_of(row->group));
        if (row->since > 0)
            ctl_table_number(table, COL_SINCE, row->since);
    }
    return ctl_table_print(table) < 0 ? EXIT_FAILED : EXIT_FINE;
}

/* The daemon of this host knows the relay that its journal does not. 1: yes; 0: no, and *ret_near is the most
 * similar name (NULL: none is; owned by the caller); -ENXIO: it is not running; other errno: it cannot be
 * asked. */
static int is_known(const CtlOptions *options, const char *relay, char **ret_near)
{
    _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
    _cleanup_(fleet_clear) Fleet fleet = { 0 };

    int r = ctl_bus_open(options, true, &bus);
    if (r >= 0)
        r = fleet_from_daemon(bus, SAY_NOTHING, &fleet);
    if (r < 0)
        return r;
    *ret_near = xstrdup(fleet_near(&fleet, relay));
    return fleet_find(&fleet, relay) != NULL;
}

static int say_nothing_found(const CtlOptions *options, const CtlLast *last, const char *relay)
{
    const bool bounded = last->source.since > 0 || last->source.until != USEC_INFINITY;
    _cleanup_(freep) char *near = NULL;
    const int known = ctl_last_gathered(last) || last->source.journal.machine || bounded
                          ? -ENODATA
                          : is_known(options, relay, &near);

    if (known > 0) {
        ctl_error(
            "there is no sample of %s yet; relayallocd takes the first of a relay within a minute, or after "
            "the sample.interval of its file",
            relay);
        return EXIT_FAILED;
    }
    if (near) {
        ctl_error("no relay is named \"%s\" (did you mean \"%s\"?)", relay, near);
        return EXIT_NO_RELAY;
    }
    ctl_error("the journal has no samples of a relay named \"%s\"%s%s", relay, bounded ? " in that time" : "",
              known == 0        ? "; \"relayallocctl list\" shows what relays there are"
              : known == -ENXIO ? "; relayallocd, which logs them, is not running"
                                : "");
    return EXIT_NO_RELAY;
}

int ctl_history(int argc, char *argv[], const CtlOptions *options)
{
    _cleanup_(journal_reader_freep) JournalReader *reader = NULL;
    _cleanup_(journal_list_clear) JournalList samples = { 0 };
    CtlLast last;

    int status = ctl_last_arguments(argc, argv, options, false, &last);
    if (status != 0)
        return status;
    if (ctl_columns_help(options, columns, ELEMENTSOF(columns)))
        return EXIT_FINE;
    if (!last.operands[0] || last.operands[1]) {
        ctl_error("history takes the name of one relay");
        return EXIT_USAGE;
    }
    _cleanup_(freep) char *relay = fleet_name_typed(options, last.operands[0]);
    JournalQuery query = ctl_last_query(&last);
    query.relay = relay;
    if (!last.lines_set && query.since == 0 && query.until == USEC_INFINITY)
        last.lines = LINES_DEFAULT;
    status = ctl_source_open(&last.source, &reader);
    if (status != 0)
        return status;
    int r = journal_last_samples(reader, &query, last.lines, &samples);
    ctl_source_complain(reader);
    if (r < 0)
        return ctl_source_failed(&last.source, r);
    if (samples.n == 0)
        return say_nothing_found(options, &last, relay);
    return print_history(options, &samples);
}
