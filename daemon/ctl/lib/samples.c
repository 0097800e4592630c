/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/samples.h"

#include "core/assign.h"
#include "io/config-file.h"
#include "io/measurements-file.h"
#include "io/text-file.h"
#include "report/rates.h"
#include "report/report.h"

#include <errno.h>
#include <inttypes.h>

/* So many relays of a table of groups that have no samples are named. */
#define GROUPS_UNUSED_MAX 10

/* The choices that depend on all samples. Those before --since count for the warm-up: they tell how old the
 * relays are. */
static SeriesOptions choose(const CtlSource *source, SamplesBy by, usec_t first, usec_t last, usec_t step)
{
    last = source->until < last ? source->until : last;
    const usec_t warmup = source->warmup_given ? source->warmup : report_warmup(first, last);
    first = source->since > first ? source->since : first;
    SeriesOptions options = {
        .since = source->since,
        .until = source->until,
        .warmup = warmup,
        .step = step,
        .slice = report_slice(first, last),
        .at = source->at,
        .by_group = by == SAMPLES_BY_GROUP || by == SAMPLES_BY_HOST,
        .by_host = by == SAMPLES_BY_HOST,
    };
    if (options.slice < step)
        options.slice = step < USEC_PER_MINUTE ? USEC_PER_MINUTE : step;
    return options;
}

/* ---- a table ---- */

/* Groups and allocators by the configuration, in place of those of the table. */
typedef struct AssignedBy {
    Config *config;
    size_t *groups; /* by relay of the survey */
} AssignedBy;

typedef struct TableFeed {
    CtlSource *source;
    Series *series;
    Series *survey; /* NULL: this is the survey */
    AssignedBy *assigned;
    bool by_server; /* relays with the same name on two servers are two relays */
} TableFeed;

static Span span_of(const char *s)
{
    return (Span){ s, strlen(s) };
}

/* `host` of the survey. */
static void assign(const TableFeed *feed, size_t host, SampleRow *row)
{
    const Config *config = feed->assigned->config;
    size_t relay = series_find(feed->survey, host, row);

    row->group = row->allocator = row->version = (Span){ 0 };
    if (relay == SERIES_NONE || feed->assigned->groups[relay] == GROUP_NONE)
        return;
    const Group *group = &config->groups[feed->assigned->groups[relay]];
    row->group = span_of(group->name);
    row->allocator = span_of(config->allocators[group->allocator].name);
}

/* The group by the table of groups; and the allocator, where a table of measurements names none. */
static void regroup(CtlSource *source, SampleRow *row)
{
    if (!source->groups)
        return;
    const GroupingEntry *entry = grouping_find(&source->grouping, row);
    row->group = span_of(entry ? entry->group : "");
    if (source->file && row->allocator.n == 0 && entry)
        row->allocator = span_of(entry->allocator);
}

/* Why a row does not count. */
static char *why_not_added(const SampleRow *row, int r)
{
    return xasprintf("%.*s: %s", (int)row->relay.n, row->relay.p,
                     r == -EEXIST ? "this row appears twice"
                     : r == -ENOTUNIQ && row->fingerprint.n == 0
                         ? "another value for the same relay and time; the first counts (fingerprints would "
                           "distinguish relays with the same nickname)"
                     : r == -ENOTUNIQ ? "another value for the same relay and time; the first counts"
                     : r == -ESTALE   ? "older than the relay's previous row; rows must be in order of time"
                                      : "too many relays or groups");
}

static int feed_measurement(const Measurement *m, void *userdata, char **ret_error)
{
    TableFeed *feed = userdata;
    SampleRow row = m->row;

    if (feed->source->journal.hosts && !list_has(feed->source->journal.hosts, m->server.p, m->server.n))
        return 0;
    _cleanup_(freep) char *server = m->server.n > 0 ? xstrndup(m->server.p, m->server.n) : xstrdup("");
    size_t host = series_host(feed->series, feed->by_server ? server : "");

    regroup(feed->source, &row);
    if (!feed->survey) {
        feed->source->has_group |= row.group.n > 0;
        feed->source->has_allocator |= row.allocator.n > 0;
    } else if (feed->assigned->config)
        assign(feed, series_host(feed->survey, server), &row);
    if (feed->survey && feed->source->from_config)
        regroup(feed->source, &row);
    if (feed->series->options.by_host)
        row.group = span_of(server);
    int r = series_add(feed->series, host, m->time, &row);
    if (r == 0)
        return 0;
    *ret_error = why_not_added(&row, r);
    return -EINVAL;
}

static void print_problems(const Problems *problems, uint64_t bad)
{
    ctl_print_problems(problems);
    if (bad > problems->n)
        fprintf(stderr, "and %" PRIu64 " more lines.\n", bad - problems->n);
}

static int cannot_read(const CtlSource *source, int r)
{
    ctl_error("%s: %s", ctl_source_name(source), r == -EINVAL ? "not a regular file" : strerror(-r));
    return EXIT_FAILED;
}

/* The usual interval of most relays. */
static usec_t survey_step(const Series *survey)
{
    _cleanup_(freep) double *steps = xcalloc(survey->n_relays, sizeof(*steps));
    size_t n = 0;

    for (size_t i = 0; i < survey->n_relays; i++)
        if (survey->relays[i].step > 0)
            steps[n++] = (double)survey->relays[i].step;
    return n > 0 ? (usec_t)stats_median(steps, n) : 0;
}

/* A server may be renamed in the course of a table, so a relay without a fingerprint is its name, whatever
 * the server; unless the same name was measured on two servers at the same time. */
static bool names_overlap(const Series *survey)
{
    for (size_t i = 0; i < survey->n_relays; i++)
        for (size_t k = 0; k < i; k++) {
            const SeriesRelay *a = &survey->relays[i], *b = &survey->relays[k];
            if (!(a->fingerprint && b->fingerprint) && a->host != b->host && streq(a->name, b->name) &&
                a->first <= b->time && b->first <= a->time)
                return true;
        }
    return false;
}

static int load_config(const CtlSource *source, const Series *survey, AssignedBy *ret)
{
    _cleanup_(problems_clear) Problems problems = { 0 };
    _cleanup_(freep) const char **names = xcalloc(survey->n_relays, sizeof(*names));

    if (config_file_load(source->options->config, &problems, &ret->config) < 0) {
        print_problems(&problems, 0);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < survey->n_relays; i++)
        names[i] = survey->relays[i].name;
    ret->groups = xcalloc(survey->n_relays, sizeof(*ret->groups));
    assign_groups(ret->config, names, survey->n_relays, ret->groups);
    return 0;
}

static void assigned_clear(AssignedBy *assigned)
{
    config_free(assigned->config);
    free(assigned->groups);
}

static void tell_zones(const CtlSource *source, const MeasurementTable *table)
{
    if (!source->quiet && table->with_offset > 0 && table->without_offset > 0)
        fprintf(stderr,
                "%s: %" PRIu64 " rows have a UTC offset, %" PRIu64
                " have none and are read as local time (TZ).\n",
                ctl_source_name(source), table->with_offset, table->without_offset);
}

/* Read twice: once for what the choices depend on, once to count. */
static int read_table(CtlSource *source, SamplesBy by, Series *ret)
{
    _cleanup_(measurements_file_freep) MeasurementsFile *file = NULL;
    _cleanup_(series_clear) Series survey = { 0 };
    _cleanup_(assigned_clear) AssignedBy assigned = { 0 };
    _cleanup_(problems_clear) Problems problems = { 0 };
    _cleanup_(measurement_table_clear) MeasurementTable table = { 0 };
    TableFeed feed = { .source = source, .series = &survey, .assigned = &assigned, .by_server = true };
    uint64_t bad = 0;

    int r = measurements_file_open(source->file, &file);
    if (r < 0)
        return cannot_read(source, r);
    series_init(&survey, &(SeriesOptions){ .until = USEC_INFINITY, .slice = USEC_PER_DAY });
    r = measurements_file_read(file, false, feed_measurement, &feed, &problems, &bad, &table);
    print_problems(&problems, bad);
    if (r == -EINVAL)
        return EXIT_USAGE;
    if (r < 0)
        return cannot_read(source, r);
    tell_zones(source, &table);
    if (survey.samples == 0)
        return ctl_source_nothing(source);

    source->from_config = source->options->config_given && !source->relays_only;
    if (source->from_config) {
        r = load_config(source, &survey, &assigned);
        if (r != 0)
            return r;
        source->has_group = source->has_allocator = true;
    }
    if (by == SAMPLES_BY_DEFAULT)
        by = source->has_allocator || !source->has_group ? SAMPLES_BY_ALLOCATOR : SAMPLES_BY_GROUP;
    if (by == SAMPLES_BY_ALLOCATOR && !source->has_allocator && !source->relays_only) {
        ctl_error("%s names no allocators; give the configuration with --config=FILE, or use --by=group",
                  ctl_source_name(source));
        return EXIT_USAGE;
    }
    SeriesOptions options = choose(source, by, survey.first, survey.last, survey_step(&survey));
    /* A table of groups need not name all relays. */
    options.allocator_required = source->has_allocator && !source->relays_only && !source->groups;
    series_init(ret, &options);
    feed.series = ret;
    feed.survey = &survey;
    feed.by_server = names_overlap(&survey);
    r = measurements_file_read(file, false, feed_measurement, &feed, NULL, NULL, NULL);
    if (r < 0) {
        series_clear(ret);
        return cannot_read(source, r);
    }
    series_finish(ret);
    return 0;
}

/* ---- the journal ---- */

typedef struct JournalFeed {
    CtlSource *source;
    Series *series;
    const char *host; /* as the reader last named it */
    size_t host_index;
} JournalFeed;

static int feed_sample(const JournalSample *sample, void *userdata)
{
    JournalFeed *feed = userdata;

    if (sample->host != feed->host) {
        feed->host = sample->host;
        feed->host_index = series_host(feed->series, sample->host);
    }
    SampleRow row = sample->row;
    regroup(feed->source, &row);
    if (feed->series->options.by_host)
        row.group = span_of(sample->host);
    /* What occurs twice was read from a copy of the file, or is beyond the bounds, which the Series counts.
     */
    series_add(feed->series, feed->host_index, sample->time, &row);
    return 0;
}

static int feed_traffic(const JournalTraffic *traffic, void *userdata)
{
    Series *series = userdata;
    const SampleRow who = { .relay = traffic->relay, .fingerprint = traffic->fingerprint };
    const size_t relay = series_find(series, series_host(series, traffic->host), &who);

    if (relay != SERIES_NONE)
        (void)series_add_day(series, relay, traffic->since, traffic->until,
                             (double)traffic->read + (double)traffic->written);
    return 0;
}

/* Enough for some collections of any fleet. */
#define SURVEY_SAMPLES 4000

static int feed_survey(const JournalSample *sample, void *userdata)
{
    JournalFeed *feed = userdata;

    feed_sample(sample, userdata);
    return feed->series->samples >= SURVEY_SAMPLES;
}

/* The usual interval, from the first samples. */
static int survey_journal(CtlSource *source, JournalReader *reader, usec_t *ret_step)
{
    _cleanup_(series_clear) Series survey = { 0 };
    JournalFeed feed = { .source = source, .series = &survey };

    series_init(&survey, &(SeriesOptions){ .until = USEC_INFINITY, .slice = USEC_PER_DAY });
    const JournalQuery query = { .since = source->since, .until = USEC_INFINITY };
    int r = journal_read_samples(reader, &query, feed_survey, &feed);
    if (r < 0)
        return r;
    *ret_step = survey_step(&survey);
    return 0;
}

typedef struct Range {
    usec_t first, last;
} Range;

static int widen(const JournalSample *sample, void *userdata)
{
    Range *range = userdata;

    if (range->first == 0 || sample->time < range->first)
        range->first = sample->time;
    if (sample->time > range->last)
        range->last = sample->time;
    return 0;
}

/* The first and the last sample. The ends of the files say nothing of some of the hosts in them. */
static int survey_range(const CtlSource *source, JournalReader *reader, usec_t since, usec_t until,
                        Range *ret)
{
    const JournalQuery query = { .since = since, .until = until };

    if (!source->journal.hosts)
        return journal_survey(reader, since, until, &ret->first, &ret->last);
    *ret = (Range){ 0 };
    int r = journal_read_samples(reader, &query, widen, ret);
    return r < 0 ? r : ret->first == 0 ? -ENODATA : 0;
}

static int read_journal(CtlSource *source, SamplesBy by, const SamplesEvents *events, Series *ret)
{
    _cleanup_(journal_reader_freep) JournalReader *reader = NULL;
    usec_t step = 0;
    Range range = { 0 };
    /* The collection at a time may have been logged a little after it. */
    usec_t until = source->at > 0 ? source->until + USEC_PER_DAY : source->until;

    source->has_group = source->has_allocator = true;
    int r = ctl_source_open(source, &reader);
    if (r != 0)
        return r;
    r = survey_range(source, reader, source->since, until, &range);
    if (r >= 0)
        r = survey_journal(source, reader, &step);
    if (r >= 0 && source->since > 0)
        r = survey_range(source, reader, 0, until, &range);
    if (r < 0) {
        ctl_source_complain(reader);
        if (r != -ENODATA)
            return ctl_source_failed(source, r);
        return ctl_source_nothing(source);
    }
    SeriesOptions options = choose(source, by, range.first, range.last, step);
    options.allocator_required = !source->relays_only;
    series_init(ret, &options);
    JournalFeed feed = { .source = source, .series = ret };
    if (source->at > 0) /* no further than the next collection */
        until = source->at + step;
    JournalQuery query = { .since = source->since, .until = until };
    r = journal_read_samples(reader, &query, feed_sample, &feed);
    query.until = source->until;
    if (r == 0 && !source->bandwidth)
        r = journal_read_traffic(reader, &query, feed_traffic, ret);
    if (r == 0 && events)
        r = journal_read_events(reader, &query, events->func, events->userdata);
    ctl_source_complain(reader);
    if (r < 0) {
        series_clear(ret);
        return ctl_source_failed(source, r);
    }
    series_finish(ret);
    return 0;
}

/* ---- bandwidth ---- */

typedef struct RateFeed {
    const Series *series;
    Rates rates;
} RateFeed;

static int feed_rate(const Measurement *m, void *userdata, char **ret_error)
{
    RateFeed *feed = userdata;

    int r = rates_add(&feed->rates, feed->series, &m->row, m->time, m->written);
    if (r == 0) /* also where it names others than were sampled */
        return 0;
    *ret_error = xasprintf("more than %d rows of bandwidth", SERIES_DAYS_MAX);
    return -EINVAL;
}

static int read_bandwidth(const CtlSource *source, Series *series)
{
    _cleanup_(measurements_file_freep) MeasurementsFile *file = NULL;
    _cleanup_(problems_clear) Problems problems = { 0 };
    RateFeed feed = { .series = series };
    uint64_t bad = 0;

    int r = measurements_file_open(source->bandwidth, &file);
    if (r >= 0)
        r = measurements_file_read(file, true, feed_rate, &feed, &problems, &bad, NULL);
    print_problems(&problems, bad);
    rates_finish(&feed.rates, series);
    if (r >= 0)
        return 0;
    if (r != -EINVAL || problems.n == 0)
        ctl_error("--bandwidth=%s: %s", source->bandwidth,
                  r == -EINVAL ? "not a regular file" : strerror(-r));
    return r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

static int load_groups(CtlSource *source)
{
    _cleanup_(problems_clear) Problems problems = { 0 };
    _cleanup_(freep) char *text = NULL;

    int r = text_file_read(source->groups, &text);
    if (r < 0) {
        ctl_error("--groups=%s: %s", source->groups, r == -EINVAL ? "not a regular file" : strerror(-r));
        return EXIT_USAGE;
    }
    r = grouping_parse(text, source->groups, &problems, &source->grouping);
    print_problems(&problems, 0);
    return r < 0 ? EXIT_USAGE : 0;
}

/* A name that is misspelt there would silently be in no group. */
static void tell_unused_groups(const CtlSource *source)
{
    size_t n = 0;

    for (size_t i = 0; i < source->grouping.n; i++) {
        const GroupingEntry *e = &source->grouping.entries[i];
        if (e->used)
            continue;
        if (n++ < GROUPS_UNUSED_MAX)
            fprintf(stderr, "%s:%u: there are no samples of %s\n", source->groups, e->line,
                    e->name ? e->name : e->fingerprint);
    }
    if (n > GROUPS_UNUSED_MAX)
        fprintf(stderr, "and %zu more.\n", n - GROUPS_UNUSED_MAX);
}

int ctl_samples_read(CtlSource *source, SamplesBy by, const SamplesEvents *events, Series *ret)
{
    int r = source->groups ? load_groups(source) : 0;

    if (r == 0 && by == SAMPLES_BY_DEFAULT && source->groups)
        by = SAMPLES_BY_GROUP;
    if (r == 0)
        r = source->file ? read_table(source, by, ret) : read_journal(source, by, events, ret);
    if (r == 0 && source->bandwidth)
        r = read_bandwidth(source, ret);
    if (r == 0)
        series_settle_days(ret);
    if (r == 0 && source->groups && !source->quiet)
        tell_unused_groups(source);
    grouping_clear(&source->grouping);
    return r;
}
