/* SPDX-License-Identifier: BSD-3-Clause */
/* relayallocctl export: the samples of the journal as the table that 1AEO's scripts write and read. */
#include "core/timestamp.h"
#include "ctl/lib/source.h"
#include "report/csv.h"
#include "report/series.h"

#include <errno.h>
#include <inttypes.h>

/* Samples of one collection are logged one after the other, in no time. */
#define COLLECTION_SPAN (5 * USEC_PER_SEC)

typedef struct ExportRow {
    char *relay, *group, *allocator, *version, *flags;
    const char *fingerprint; /* of the Series; NULL */
    usec_t since;
    Memory memory;
} ExportRow;

typedef struct Export {
    TimestampStyle style;
    bool all;   /* with the columns that are ours */
    bool flags; /* some sample tells them */
    Series who; /* the relays and their fingerprints, which few samples tell */
    /* the collection that is being gathered */
    usec_t time;
    char *host;
    ExportRow *rows;
    size_t n, capacity;
    uint64_t written;
} Export;

static void clear_rows(Export *e)
{
    for (size_t i = 0; i < e->n; i++) {
        free(e->rows[i].relay);
        free(e->rows[i].group);
        free(e->rows[i].allocator);
        free(e->rows[i].version);
        free(e->rows[i].flags);
    }
    e->n = 0;
}

static void export_clear(Export *e)
{
    clear_rows(e);
    free(e->rows);
    free(e->host);
    series_clear(&e->who);
}

static void put_fields(size_t n, const char *const *fields)
{
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            putchar(',');
        csv_write(stdout, fields[i]);
    }
}

static void put_aggregate(const Export *e, const char *time)
{
    const char *const head[] = { time, e->host, "aggregate" };
    uint64_t total = 0, least = UINT64_MAX, most = 0;

    for (size_t i = 0; i < e->n; i++) {
        uint64_t kib = e->rows[i].memory.rss / 1024;
        total += kib;
        least = kib < least ? kib : least;
        most = kib > most ? kib : most;
    }
    put_fields(ELEMENTSOF(head), head);
    printf(",,,,,,,,%zu,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 "%s\n", e->n, total, total / e->n,
           least, most,
           e->all && e->flags ? ",,,,"
           : e->all           ? ",,,"
                              : "");
}

static void put_relay(const Export *e, const char *time, const ExportRow *row)
{
    const char *const head[] = { time, e->host, "relay", row->fingerprint, row->relay, row->group };
    char started[TIMESTAMP_MAX];

    put_fields(ELEMENTSOF(head), head);
    printf(",%" PRIu64 ",,%" PRIu64 ",,,,,,", row->memory.rss / 1024, row->memory.hwm / 1024);
    if (e->all) {
        const char *const own[] = { "", row->allocator, row->version,
                                    row->since > 0 ? timestamp_format(started, row->since, e->style) : "" };
        put_fields(ELEMENTSOF(own), own);
        if (e->flags) {
            putchar(',');
            csv_write(stdout, row->flags);
        }
    }
    putchar('\n');
}

/* Only when there is something below it: a table without rows looks like a fleet without relays. */
static void put_header(const Export *e)
{
    printf("timestamp,server,type,fingerprint,nickname,group,rss_kb,vmsize_kb,hwm_kb,frag_ratio,count,"
           "total_kb,avg_kb,min_kb,max_kb%s%s\n",
           e->all ? ",allocator,version,started" : "", e->all && e->flags ? ",flags" : "");
}

/* 0; -EPIPE and the like: nobody is reading any more. */
static int flush_collection(Export *e)
{
    char time[TIMESTAMP_MAX];

    if (e->n == 0)
        return 0;
    timestamp_format(time, e->time, e->style);
    if (e->written == 0)
        put_header(e);
    put_aggregate(e, time);
    for (size_t i = 0; i < e->n; i++)
        put_relay(e, time, &e->rows[i]);
    e->written += e->n;
    clear_rows(e);
    return ferror(stdout) ? -EIO : 0;
}

/* The first reading: who they are. */
static int take_identity(const JournalSample *s, void *userdata)
{
    Export *e = userdata;

    e->flags = e->flags || s->row.has_flags;
    (void)series_add(&e->who, series_host(&e->who, s->host), s->time, &s->row);
    return 0;
}

static const char *fingerprint_of(Export *e, const JournalSample *s)
{
    const size_t relay = series_find(&e->who, series_host(&e->who, s->host), &s->row);

    return relay == SERIES_NONE ? NULL : e->who.relays[relay].fingerprint;
}

/* As a table has them: empty where they were not told. */
static char *flags_text(const SampleRow *row)
{
    if (!row->has_flags)
        return NULL;
    return row->flags.n > 0 ? xstrndup(row->flags.p, row->flags.n) : xstrdup("none");
}

static bool same_collection(const Export *e, const JournalSample *s)
{
    if (e->n == 0)
        return false;
    /* Relays come in the same order each time: when the first comes again, another collection begins. */
    const char *first = e->rows[0].relay;
    bool again = strlen(first) == s->row.relay.n && memcmp(first, s->row.relay.p, s->row.relay.n) == 0;
    return !again && s->time >= e->time && s->time - e->time < COLLECTION_SPAN && streq(e->host, s->host);
}

static int take_sample(const JournalSample *s, void *userdata)
{
    Export *e = userdata;

    if (!same_collection(e, s)) {
        int r = flush_collection(e);
        if (r < 0)
            return r;
        e->time = s->time;
        free(e->host);
        e->host = xstrdup(s->host);
    }
    GROW(e->rows, e->capacity, e->n);
    e->rows[e->n++] = (ExportRow){ .relay = span_copy(s->row.relay),
                                   .group = span_copy(s->row.group),
                                   .allocator = span_copy(s->row.allocator),
                                   .version = span_copy(s->row.version),
                                   .flags = flags_text(&s->row),
                                   .fingerprint = fingerprint_of(e, s),
                                   .since = s->row.since,
                                   .memory = s->row.memory };
    return 0;
}

enum {
    OPTION_UTC = SOURCE_OPTION_END,
    OPTION_UTC_OFFSET,
    OPTION_ALL,
};

static int take_option(int c, const char *value, void *userdata)
{
    Export *e = userdata;

    (void)value;
    if (c == OPTION_ALL)
        e->all = true;
    else
        e->style = c == OPTION_UTC ? TIMESTAMP_UTC : TIMESTAMP_OFFSET;
    return 0;
}

static int read_arguments(int argc, char *argv[], const CtlOptions *options, CtlSource *source, Export *e)
{
    static const struct option long_options[] = { SOURCE_LONG_OPTIONS,
                                                  { "utc", no_argument, NULL, OPTION_UTC },
                                                  { "utc-offset", no_argument, NULL, OPTION_UTC_OFFSET },
                                                  { "all", no_argument, NULL, OPTION_ALL },
                                                  { 0 } };
    int r = ctl_source_arguments(argc, argv, options, long_options, take_option, e, source, NULL);

    if (r != 0)
        return r;
    if (source->file || source->at_text || source->warmup_text) {
        ctl_error("export writes the samples of the journal; it takes no --%s", source->file      ? "file"
                                                                                : source->at_text ? "at"
                                                                                                  : "warmup");
        return EXIT_USAGE;
    }
    if (options->json != JSON_OFF) {
        ctl_error("export writes CSV; use report or history for JSON");
        return EXIT_USAGE;
    }
    return ctl_source_check(source);
}

/* What was told before the time asked for counts, too. */
static int read_identities(const CtlSource *source, Export *e)
{
    _cleanup_(journal_reader_freep) JournalReader *reader = NULL;
    const JournalQuery query = { .until = source->until };
    int r = ctl_source_open(source, &reader);

    if (r != 0)
        return r;
    r = journal_read_samples(reader, &query, take_identity, e);
    return r < 0 ? ctl_source_failed(source, r) : 0;
}

int ctl_export(int argc, char *argv[], const CtlOptions *options)
{
    CtlSource source;
    _cleanup_(export_clear) Export e = { .style = TIMESTAMP_LOCAL };

    int r = read_arguments(argc, argv, options, &source, &e);
    if (r != 0)
        return r;
    series_init(&e.who, &(SeriesOptions){ .until = USEC_INFINITY, .slice = USEC_PER_DAY });
    r = read_identities(&source, &e);
    if (r == 0)
        r = ctl_source_samples(&source, take_sample, &e);
    if (r != 0)
        return r;
    if (flush_collection(&e) < 0 || fflush(stdout) == EOF) {
        ctl_error("cannot write: %s", strerror(errno));
        return EXIT_FAILED;
    }
    return e.written > 0 ? EXIT_FINE : ctl_source_nothing(&source);
}
