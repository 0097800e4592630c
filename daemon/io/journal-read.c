/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the way from a journal entry to a sample or an event. Must never let one damaged entry end the
 * reading, nor keep more of a file in memory than it needs. */
#include "io/journal-private.h"

#include <errno.h>
#include <inttypes.h>
#include <systemd/sd-journal.h>

/* A field beyond this is none of ours. The rows of a fleet of thousands stay far below. */
#define FIELD_MAX ((size_t)16 * 1024 * 1024)
#define NAME_MAX_BYTES 512

/* A field as it was in the entry read last. It is copied, because what sd-journal returns is valid only until
 * its next call. */
typedef struct Value {
    char *p;
    size_t n, capacity;
    bool set;
} Value;

typedef enum Field {
    FIELD_RELAY,
    FIELD_GROUP,
    FIELD_ALLOCATOR,
    FIELD_VERSION,
    FIELD_SINCE,
    FIELD_RSS,
    FIELD_ANON,
    FIELD_SWAP,
    FIELD_HWM,
    FIELD_FLEET,
    FIELD_REASON,
    FIELD_RESULT,
    FIELD_MESSAGE,
    FIELD_MESSAGE_ID,
    FIELD_UID,
    FIELD_HOSTNAME,
    FIELD_MACHINE,
    _FIELD_MAX,
} Field;

static const struct {
    const char *name;
    size_t length;
} fields[_FIELD_MAX] = {
#define FIELD(x)                                                                                             \
    {                                                                                                        \
        x "=", sizeof(x "=") - 1                                                                             \
    }
    [FIELD_RELAY] = FIELD("RELAYALLOC_RELAY"),
    [FIELD_GROUP] = FIELD("RELAYALLOC_GROUP"),
    [FIELD_ALLOCATOR] = FIELD("RELAYALLOC_ALLOCATOR"),
    [FIELD_VERSION] = FIELD("RELAYALLOC_VERSION"),
    [FIELD_SINCE] = FIELD("RELAYALLOC_SINCE"),
    [FIELD_RSS] = FIELD("RELAYALLOC_RSS"),
    [FIELD_ANON] = FIELD("RELAYALLOC_ANON"),
    [FIELD_SWAP] = FIELD("RELAYALLOC_SWAP"),
    [FIELD_HWM] = FIELD("RELAYALLOC_HWM"),
    [FIELD_FLEET] = FIELD("RELAYALLOC_FLEET"),
    [FIELD_REASON] = FIELD("RELAYALLOC_REASON"),
    [FIELD_RESULT] = FIELD("RELAYALLOC_RESULT"),
    [FIELD_MESSAGE] = FIELD("MESSAGE"),
    [FIELD_MESSAGE_ID] = FIELD("MESSAGE_ID"),
    [FIELD_UID] = FIELD("_UID"),
    [FIELD_HOSTNAME] = FIELD("_HOSTNAME"),
    [FIELD_MACHINE] = FIELD("_MACHINE_ID"),
#undef FIELD
};

/* Which of them an entry is read for. */
#define BIT(f) (1U << (f))
#define ORIGIN_FIELDS (BIT(FIELD_UID) | BIT(FIELD_HOSTNAME) | BIT(FIELD_MACHINE))
#define SAMPLE_FIELDS                                                                                        \
    (ORIGIN_FIELDS | BIT(FIELD_RELAY) | BIT(FIELD_GROUP) | BIT(FIELD_ALLOCATOR) | BIT(FIELD_VERSION) |       \
     BIT(FIELD_SINCE) | BIT(FIELD_RSS) | BIT(FIELD_ANON) | BIT(FIELD_SWAP) | BIT(FIELD_HWM) |                \
     BIT(FIELD_FLEET))
#define EVENT_FIELDS                                                                                         \
    (ORIGIN_FIELDS | BIT(FIELD_RELAY) | BIT(FIELD_GROUP) | BIT(FIELD_ALLOCATOR) | BIT(FIELD_VERSION) |       \
     BIT(FIELD_REASON) | BIT(FIELD_RESULT) | BIT(FIELD_MESSAGE) | BIT(FIELD_MESSAGE_ID))

typedef struct Host {
    char *machine; /* id, or "" */
    char *name;    /* unique */
} Host;

struct JournalReader {
    JournalFiles files;
    Host *hosts;
    size_t n_hosts, hosts_capacity;
    size_t host; /* of the entry read last; SIZE_MAX */
    Value values[_FIELD_MAX];
};

typedef struct Job {
    usec_t since, until;
    unsigned fields;
    JournalSampleFunc *sample;
    JournalEventFunc *event;
    void *userdata;
} Job;

/* What is going on in one file. */
typedef struct Pass {
    JournalReader *reader;
    const Job *job;
    JournalWalk walk;
    uint64_t malformed, foreign; /* entries that were not taken */
} Pass;

int journal_reader_open(const JournalSource *source, JournalReader **ret)
{
    JournalReader *reader = xcalloc(1, sizeof(*reader));
    int r = journal_files_open(source, &reader->files);

    reader->host = SIZE_MAX;
    if (r < 0) {
        journal_reader_free(reader);
        return r;
    }
    *ret = reader;
    return 0;
}

JournalReader *journal_reader_free(JournalReader *reader)
{
    if (!reader)
        return NULL;
    journal_files_clear(&reader->files);
    for (size_t i = 0; i < reader->n_hosts; i++) {
        free(reader->hosts[i].machine);
        free(reader->hosts[i].name);
    }
    free(reader->hosts);
    for (size_t i = 0; i < _FIELD_MAX; i++)
        free(reader->values[i].p);
    free(reader);
    return NULL;
}

char *const *journal_reader_complaints(const JournalReader *reader)
{
    return reader->files.complaints;
}

/* ---- fields ---- */

static void set_value(Value *value, const char *p, size_t n)
{
    value->set = true;
    if (n == value->n && value->p && memcmp(value->p, p, n) == 0)
        return; /* most repeat from entry to entry */
    if (!value->p || n + 1 > value->capacity) {
        free(value->p);
        value->capacity = 2 * n + 64;
        value->p = xcalloc(1, value->capacity);
    }
    memcpy(value->p, p, n);
    value->p[n] = '\0';
    value->n = n;
}

/* Which of the wanted fields is this? Nearly all of the time of a report goes by in this loop, so the first
 * letter that tells them apart decides what is compared. */
static Field find_field(const char *data, size_t size, unsigned wanted)
{
    static const unsigned by_letter[26] = {
        ['A' - 'A'] = BIT(FIELD_ALLOCATOR) | BIT(FIELD_ANON),
        ['F' - 'A'] = BIT(FIELD_FLEET),
        ['G' - 'A'] = BIT(FIELD_GROUP),
        ['H' - 'A'] = BIT(FIELD_HWM) | BIT(FIELD_HOSTNAME),
        ['M' - 'A'] = BIT(FIELD_MACHINE) | BIT(FIELD_MESSAGE) | BIT(FIELD_MESSAGE_ID),
        ['R' - 'A'] = BIT(FIELD_RELAY) | BIT(FIELD_RSS) | BIT(FIELD_REASON) | BIT(FIELD_RESULT),
        ['S' - 'A'] = BIT(FIELD_SINCE) | BIT(FIELD_SWAP),
        ['U' - 'A'] = BIT(FIELD_UID),
        ['V' - 'A'] = BIT(FIELD_VERSION),
    };
    const size_t at = *data == 'R' ? sizeof("RELAYALLOC_") - 1 : *data == '_' ? 1 : 0;

    if (size <= at || (*data != 'R' && *data != '_' && *data != 'M') || data[at] < 'A' || data[at] > 'Z')
        return _FIELD_MAX;
    for (unsigned left = wanted & by_letter[data[at] - 'A']; left; left &= left - 1) {
        Field f = (Field)__builtin_ctz(left);
        if (size >= fields[f].length && memcmp(data, fields[f].name, fields[f].length) == 0)
            return f;
    }
    return _FIELD_MAX;
}

/* Reads the fields of the present entry. A damaged field costs only itself. */
static void read_fields(Pass *pass)
{
    Value *values = pass->reader->values;
    unsigned left = pass->job->fields;
    const void *data;
    size_t size;

    if (pass->walk.kinds > 0) /* all that are wanted were found: that ends the loop early */
        left &= ~(pass->walk.kinds & JOURNAL_FLEET ? 0 : BIT(FIELD_FLEET));
    for (size_t f = 0; f < _FIELD_MAX; f++)
        values[f].set = false;
    sd_journal_restart_data(pass->walk.j);
    while (left && sd_journal_enumerate_available_data(pass->walk.j, &data, &size) > 0) {
        Field f = size > 0 && size <= FIELD_MAX ? find_field(data, size, left) : _FIELD_MAX;
        if (f == _FIELD_MAX)
            continue;
        set_value(&values[f], (const char *)data + fields[f].length, size - fields[f].length);
        left &= ~BIT(f);
    }
}

/* A name or a sentence: without NUL and other control characters, "" when it is not there. */
static bool text_of(const Value *value, Span *ret)
{
    *ret = (Span){ 0 };
    if (!value->set)
        return true;
    if (value->n > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < value->n; i++)
        if ((unsigned char)value->p[i] < ' ' || value->p[i] == 0x7f)
            return false;
    *ret = (Span){ value->p, value->n };
    return true;
}

/* 0 when it is not there. */
static bool number_of(const Value *value, uint64_t *ret)
{
    uint64_t v = 0;

    for (size_t i = 0; value->set && i < value->n; i++) {
        unsigned digit = (unsigned char)value->p[i] - (unsigned)'0';
        if (digit > 9 || __builtin_mul_overflow(v, 10U, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *ret = v;
    return !value->set || value->n > 0;
}

/* ---- where an entry comes from ---- */

static bool host_name_taken(const JournalReader *reader, const char *name)
{
    for (size_t i = 0; i < reader->n_hosts; i++)
        if (streq(reader->hosts[i].name, name))
            return true;
    return false;
}

/* A host is its machine id; two that bear the same name are told apart by the beginning of it. */
static const char *host_of(JournalReader *reader)
{
    const Value *name = &reader->values[FIELD_HOSTNAME], *machine = &reader->values[FIELD_MACHINE];
    const char *id = machine->set ? machine->p : "";
    Span text;

    if (reader->host < reader->n_hosts && streq(reader->hosts[reader->host].machine, id))
        return reader->hosts[reader->host].name;
    for (size_t i = 0; i < reader->n_hosts; i++)
        if (streq(reader->hosts[i].machine, id)) {
            reader->host = i;
            return reader->hosts[i].name;
        }
    bool named = text_of(name, &text) && text.n > 0;
    char *label = named ? xstrdup(name->p) : xstrdup("unknown");
    if (host_name_taken(reader, label)) {
        char *longer = xasprintf("%s-%.8s", label, id);
        free(label);
        label = longer;
    }
    GROW(reader->hosts, reader->hosts_capacity, reader->n_hosts);
    reader->hosts[reader->n_hosts] = (Host){ xstrdup(id), label };
    reader->host = reader->n_hosts++;
    return label;
}

/* journald itself writes down who logged; an entry without that was gathered from elsewhere as a whole. */
static bool from_root(const JournalReader *reader)
{
    const Value *uid = &reader->values[FIELD_UID];

    return !uid->set || streq(uid->p, "0");
}

/* ---- samples and events ---- */

static int take_fleet(Pass *pass, usec_t time, const char *host)
{
    const Value *value = &pass->reader->values[FIELD_FLEET];
    const char *cursor = value->p, *end = value->p + value->n;
    JournalSample sample = { .time = time, .host = host };
    bool malformed = memchr(value->p, '\0', value->n) != NULL;
    int r;

    while (!malformed && (r = sample_read_row(&cursor, end, &sample.row)) != 0) {
        if (r < 0) {
            malformed = true;
            continue;
        }
        r = pass->job->sample(&sample, pass->job->userdata);
        if (r != 0)
            return r;
    }
    pass->malformed += malformed;
    return 0;
}

static int take_relay(Pass *pass, usec_t time, const char *host)
{
    const Value *v = pass->reader->values;
    JournalSample sample = { .time = time, .host = host };
    SampleRow *row = &sample.row;

    if (!text_of(&v[FIELD_RELAY], &row->relay) || row->relay.n == 0 ||
        !text_of(&v[FIELD_GROUP], &row->group) || !text_of(&v[FIELD_ALLOCATOR], &row->allocator) ||
        !text_of(&v[FIELD_VERSION], &row->version) || !number_of(&v[FIELD_SINCE], &row->since) ||
        !v[FIELD_RSS].set || !number_of(&v[FIELD_RSS], &row->memory.rss) ||
        !number_of(&v[FIELD_ANON], &row->memory.anon) || !number_of(&v[FIELD_SWAP], &row->memory.swap) ||
        !number_of(&v[FIELD_HWM], &row->memory.hwm)) {
        pass->malformed++;
        return 0;
    }
    return pass->job->sample(&sample, pass->job->userdata);
}

static const char *string_of(const Value *value)
{
    return value->set ? value->p : "";
}

static int take_event(Pass *pass, usec_t time, const char *host)
{
    const Value *v = pass->reader->values;
    int kind = v[FIELD_MESSAGE_ID].set ? message_from_id(v[FIELD_MESSAGE_ID].p) : -1;

    if (kind < 0) {
        pass->malformed++;
        return 0;
    }
    const JournalEvent event = {
        .time = time,
        .host = host,
        .kind = (MessageKind)kind,
        .message = string_of(&v[FIELD_MESSAGE]),
        .relay = string_of(&v[FIELD_RELAY]),
        .group = string_of(&v[FIELD_GROUP]),
        .allocator = string_of(&v[FIELD_ALLOCATOR]),
        .version = string_of(&v[FIELD_VERSION]),
        .reason = string_of(&v[FIELD_REASON]),
        .result = string_of(&v[FIELD_RESULT]),
    };
    return pass->job->event(&event, pass->job->userdata);
}

static int take_entry(Pass *pass, usec_t time)
{
    read_fields(pass);
    if (!from_root(pass->reader)) {
        pass->foreign++;
        return 0;
    }
    const char *host = host_of(pass->reader);
    if (pass->job->event)
        return take_event(pass, time, host);
    return pass->reader->values[FIELD_FLEET].set ? take_fleet(pass, time, host)
                                                 : take_relay(pass, time, host);
}

/* ---- files ---- */

static void tell_losses(Pass *pass)
{
    const JournalFileEntry *file = pass->walk.file;

    if (pass->malformed > 0)
        journal_files_complain(&pass->reader->files, file,
                               "%" PRIu64 " entries are incomplete or malformed, and not counted",
                               pass->malformed);
    if (pass->foreign > 0)
        journal_files_complain(&pass->reader->files, file,
                               "%" PRIu64 " entries under our names were not logged by root, and not counted",
                               pass->foreign);
}

static int read_file(JournalReader *reader, const Job *job, const JournalFileEntry *file)
{
    Pass pass = { .reader = reader, .job = job };
    usec_t time;
    int r = journal_walk_begin(&pass.walk, &reader->files, file, job->since, job->until, job->event != NULL);

    if (r > 0) {
        r = 0;
        while (r == 0 && journal_walk_next(&pass.walk, &time))
            r = take_entry(&pass, time);
        tell_losses(&pass);
    }
    journal_walk_end(&pass.walk);
    return r;
}

static int read_files(JournalReader *reader, const Job *job)
{
    for (size_t i = 0; i < reader->files.n; i++) {
        const JournalFileEntry *file = &reader->files.items[i];
        int r = journal_file_reaches(file, job->since, job->until) ? read_file(reader, job, file) : 0;
        if (r != 0)
            return r;
    }
    return 0;
}

int journal_read_samples(JournalReader *reader, usec_t since, usec_t until, JournalSampleFunc *func,
                         void *userdata)
{
    const Job job = { since, until, SAMPLE_FIELDS, func, NULL, userdata };

    return read_files(reader, &job);
}

int journal_read_events(JournalReader *reader, usec_t since, usec_t until, JournalEventFunc *func,
                        void *userdata)
{
    const Job job = { since, until, EVENT_FIELDS, NULL, func, userdata };

    return read_files(reader, &job);
}

int journal_survey(JournalReader *reader, usec_t since, usec_t until, usec_t *ret_first, usec_t *ret_last)
{
    usec_t first = USEC_INFINITY, last = 0;

    for (size_t i = 0; i < reader->files.n; i++) {
        const JournalFileEntry *file = &reader->files.items[i];
        JournalWalk walk = { .statm = -1 };
        usec_t time;
        if (journal_file_reaches(file, since, until) &&
            journal_walk_begin(&walk, &reader->files, file, since, until, false) > 0 &&
            journal_walk_next(&walk, &time)) {
            first = time < first ? time : first;
            last = walk.tail > last ? walk.tail : last;
        }
        journal_walk_end(&walk);
    }
    if (last == 0 || first > last)
        return -ENODATA;
    *ret_first = first;
    *ret_last = last;
    return 0;
}
