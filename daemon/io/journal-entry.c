/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the way from a journal entry to a sample or an event. Must never let one damaged entry end the
 * reading. */
#include "io/journal-private.h"

#include <systemd/sd-journal.h>

/* A field beyond this is none of ours. The rows of a fleet of thousands stay far below. */
#define FIELD_MAX ((size_t)16 * 1024 * 1024)
#define NAME_MAX_BYTES 512

static const struct {
    const char *name;
    size_t length;
} fields[JOURNAL_VALUES] = {
#define FIELD(x)                                                                                             \
    {                                                                                                        \
        x "=", sizeof(x "=") - 1                                                                             \
    }
    [JOURNAL_MESSAGE] = FIELD("MESSAGE"),
    [JOURNAL_RELAY] = FIELD("RELAYALLOC_RELAY"),
    [JOURNAL_UNIT] = FIELD("RELAYALLOC_UNIT"),
    [JOURNAL_GROUP] = FIELD("RELAYALLOC_GROUP"),
    [JOURNAL_ALLOCATOR] = FIELD("RELAYALLOC_ALLOCATOR"),
    [JOURNAL_VERSION] = FIELD("RELAYALLOC_VERSION"),
    [JOURNAL_LIBRARY] = FIELD("RELAYALLOC_LIBRARY"),
    [JOURNAL_REASON] = FIELD("RELAYALLOC_REASON"),
    [JOURNAL_RESULT] = FIELD("RELAYALLOC_RESULT"),
    [JOURNAL_ROLLOUT] = FIELD("RELAYALLOC_ROLLOUT"),
    [JOURNAL_WAVE] = FIELD("RELAYALLOC_WAVE"),
    [JOURNAL_PRIORITY] = FIELD("PRIORITY"),
    [JOURNAL_FINGERPRINT] = FIELD("RELAYALLOC_FINGERPRINT"),
    [JOURNAL_SINCE] = FIELD("RELAYALLOC_SINCE"),
    [JOURNAL_UNTIL] = FIELD("RELAYALLOC_UNTIL"),
    [JOURNAL_READ] = FIELD("RELAYALLOC_READ"),
    [JOURNAL_WRITTEN] = FIELD("RELAYALLOC_WRITTEN"),
    [JOURNAL_RSS] = FIELD("RELAYALLOC_RSS"),
    [JOURNAL_ANON] = FIELD("RELAYALLOC_ANON"),
    [JOURNAL_SWAP] = FIELD("RELAYALLOC_SWAP"),
    [JOURNAL_HWM] = FIELD("RELAYALLOC_HWM"),
    [JOURNAL_BOOTSTRAP] = FIELD("RELAYALLOC_BOOTSTRAP"),
    [JOURNAL_FLAGS] = FIELD("RELAYALLOC_FLAGS"),
    [JOURNAL_FLEET] = FIELD("RELAYALLOC_FLEET"),
    [JOURNAL_MESSAGE_ID] = FIELD("MESSAGE_ID"),
    [JOURNAL_UID] = FIELD("_UID"),
    [JOURNAL_HOSTNAME] = FIELD("_HOSTNAME"),
    [JOURNAL_MACHINE] = FIELD("_MACHINE_ID"),
#undef FIELD
};

/* Which of them an entry is read for. */
#define BIT(f) (1U << (f))
#define ORIGIN_FIELDS (BIT(JOURNAL_UID) | BIT(JOURNAL_HOSTNAME) | BIT(JOURNAL_MACHINE))
#define SAMPLE_FIELDS                                                                                        \
    (ORIGIN_FIELDS | BIT(JOURNAL_RELAY) | BIT(JOURNAL_GROUP) | BIT(JOURNAL_ALLOCATOR) |                      \
     BIT(JOURNAL_VERSION) | BIT(JOURNAL_SINCE) | BIT(JOURNAL_RSS) | BIT(JOURNAL_ANON) | BIT(JOURNAL_SWAP) |  \
     BIT(JOURNAL_HWM) | BIT(JOURNAL_FLEET) | BIT(JOURNAL_BOOTSTRAP) | BIT(JOURNAL_FLAGS) |                   \
     BIT(JOURNAL_FINGERPRINT))
#define EVENT_FIELDS (ORIGIN_FIELDS | BIT(JOURNAL_MESSAGE_ID) | (BIT(_JOURNAL_FIELD_MAX) - 1))

/* ---- fields ---- */

static void set_value(JournalValue *value, const char *p, size_t n)
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

/* Which of the wanted fields is this? A report spends nearly all of its time in this loop, so the first
 * letter that distinguishes them decides what is compared. */
static unsigned find_field(const char *data, size_t size, unsigned wanted)
{
    static const unsigned by_letter[26] = {
        ['A' - 'A'] = BIT(JOURNAL_ALLOCATOR) | BIT(JOURNAL_ANON),
        ['B' - 'A'] = BIT(JOURNAL_BOOTSTRAP),
        ['F' - 'A'] = BIT(JOURNAL_FLEET) | BIT(JOURNAL_FLAGS) | BIT(JOURNAL_FINGERPRINT),
        ['G' - 'A'] = BIT(JOURNAL_GROUP),
        ['H' - 'A'] = BIT(JOURNAL_HWM) | BIT(JOURNAL_HOSTNAME),
        ['L' - 'A'] = BIT(JOURNAL_LIBRARY),
        ['M' - 'A'] = BIT(JOURNAL_MACHINE) | BIT(JOURNAL_MESSAGE) | BIT(JOURNAL_MESSAGE_ID),
        ['P' - 'A'] = BIT(JOURNAL_PRIORITY),
        ['R' - 'A'] = BIT(JOURNAL_RELAY) | BIT(JOURNAL_RSS) | BIT(JOURNAL_READ) | BIT(JOURNAL_REASON) |
                      BIT(JOURNAL_RESULT) | BIT(JOURNAL_ROLLOUT),
        ['S' - 'A'] = BIT(JOURNAL_SINCE) | BIT(JOURNAL_SWAP),
        ['U' - 'A'] = BIT(JOURNAL_UID) | BIT(JOURNAL_UNIT) | BIT(JOURNAL_UNTIL),
        ['V' - 'A'] = BIT(JOURNAL_VERSION),
        ['W' - 'A'] = BIT(JOURNAL_WAVE) | BIT(JOURNAL_WRITTEN),
    };
    const size_t at = *data == 'R' ? sizeof("RELAYALLOC_") - 1 : *data == '_' ? 1 : 0;

    if (size <= at || (*data != 'R' && *data != '_' && *data != 'M' && *data != 'P') || data[at] < 'A' ||
        data[at] > 'Z')
        return JOURNAL_VALUES;
    for (unsigned left = wanted & by_letter[data[at] - 'A']; left; left &= left - 1) {
        unsigned f = (unsigned)__builtin_ctz(left);
        if (size >= fields[f].length && memcmp(data, fields[f].name, fields[f].length) == 0)
            return f;
    }
    return JOURNAL_VALUES;
}

/* Reads these fields of the present entry. A damaged field costs only itself. */
static void read_fields(JournalReader *reader, sd_journal *j, unsigned left)
{
    const void *data;
    size_t size;

    for (size_t f = 0; f < JOURNAL_VALUES; f++)
        reader->values[f].set = false;
    sd_journal_restart_data(j);
    while (left && sd_journal_enumerate_available_data(j, &data, &size) > 0) {
        unsigned f = size > 0 && size <= FIELD_MAX ? find_field(data, size, left) : JOURNAL_VALUES;
        if (f == JOURNAL_VALUES)
            continue;
        set_value(&reader->values[f], (const char *)data + fields[f].length, size - fields[f].length);
        left &= ~BIT(f);
    }
}

/* A name or a sentence: without NUL and other control characters, "" when it is not there. */
static bool text_of(const JournalValue *value, Span *ret)
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
static bool number_of(const JournalValue *value, uint64_t *ret)
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

/* A host is its machine id; two with the same name are distinguished by the beginning of it. */
static const char *host_of(JournalReader *reader)
{
    const JournalValue *name = &reader->values[JOURNAL_HOSTNAME], *machine = &reader->values[JOURNAL_MACHINE];
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
    reader->hosts[reader->n_hosts] = (JournalHost){ xstrdup(id), label };
    reader->host = reader->n_hosts++;
    return label;
}

static bool host_asked_for(const JournalReader *reader, const char *host)
{
    const JournalValue *own = &reader->values[JOURNAL_HOSTNAME];
    const char *hosts = reader->source.hosts;

    return !hosts || list_has(hosts, host, strlen(host)) || (own->set && list_has(hosts, own->p, own->n));
}

/* journald itself writes down who logged; an entry without that was collected from elsewhere as a whole. */
static bool from_root(const JournalReader *reader)
{
    const JournalValue *uid = &reader->values[JOURNAL_UID];

    return !uid->set || streq(uid->p, "0");
}

/* ---- samples and events ---- */

static bool wanted(const JournalJob *job, Span relay)
{
    const char *name = job->query.relay;

    return !name || (strlen(name) == relay.n && memcmp(name, relay.p, relay.n) == 0);
}

/* A broken row costs only itself. */
static int take_fleet(JournalReader *reader, const JournalJob *job, usec_t time, const char *host)
{
    const JournalValue *value = &reader->values[JOURNAL_FLEET];
    const char *cursor = value->p, *end = value->p + value->n;
    JournalSample sample = { .time = time, .host = host };
    bool malformed = memchr(value->p, '\0', value->n) != NULL;
    int read, r = 0;

    if (malformed)
        end = cursor;
    while (r == 0 && (read = sample_read_row(&cursor, end, &sample.row)) != 0)
        if (read < 0)
            malformed = true;
        else if (wanted(job, sample.row.relay))
            r = job->sample(&sample, job->userdata);
    reader->malformed += malformed;
    return r;
}

/* What the relay says of itself: where it is malformed, the sample counts all the same. */
static void take_own_words(const JournalValue *v, SampleRow *row)
{
#define SPAN(f) ((Span){ v[f].p, v[f].n })
    if (v[JOURNAL_BOOTSTRAP].set)
        sample_take_bootstrap(row, SPAN(JOURNAL_BOOTSTRAP));
    if (v[JOURNAL_FLAGS].set)
        sample_take_flags(row, SPAN(JOURNAL_FLAGS));
    if (v[JOURNAL_FINGERPRINT].set)
        sample_take_fingerprint(row, SPAN(JOURNAL_FINGERPRINT));
#undef SPAN
}

static int take_relay(JournalReader *reader, const JournalJob *job, usec_t time, const char *host)
{
    const JournalValue *v = reader->values;
    JournalSample sample = { .time = time, .host = host };
    SampleRow *row = &sample.row;

    if (!text_of(&v[JOURNAL_RELAY], &row->relay) || row->relay.n == 0 ||
        !text_of(&v[JOURNAL_GROUP], &row->group) || !text_of(&v[JOURNAL_ALLOCATOR], &row->allocator) ||
        !text_of(&v[JOURNAL_VERSION], &row->version) || !number_of(&v[JOURNAL_SINCE], &row->since) ||
        !v[JOURNAL_RSS].set || !number_of(&v[JOURNAL_RSS], &row->memory.rss) ||
        !number_of(&v[JOURNAL_ANON], &row->memory.anon) || !number_of(&v[JOURNAL_SWAP], &row->memory.swap) ||
        !number_of(&v[JOURNAL_HWM], &row->memory.hwm)) {
        reader->malformed++;
        return 0;
    }
    take_own_words(v, row);
    return wanted(job, row->relay) ? job->sample(&sample, job->userdata) : 0;
}

/* One line: what was logged cannot control a terminal. */
static const char *line_of(JournalValue *value)
{
    for (char *p = value->p; value->set && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = ' ';
    return value->set ? value->p : NULL;
}

static int take_event(JournalReader *reader, const JournalJob *job, usec_t time, const char *host)
{
    JournalValue *v = reader->values;
    int kind = v[JOURNAL_MESSAGE_ID].set ? message_from_id(v[JOURNAL_MESSAGE_ID].p) : -1;

    if (kind < 0) {
        reader->malformed++;
        return 0;
    }
    JournalEvent event = { .time = time, .host = host, .kind = (MessageKind)kind };
    for (size_t f = 0; f < _JOURNAL_FIELD_MAX; f++)
        event.fields[f] = line_of(&v[f]);
    return job->event(&event, job->userdata);
}

int journal_entry_take(JournalReader *reader, const JournalJob *job, sd_journal *j, unsigned kinds,
                       usec_t time)
{
    unsigned left = job->event ? EVENT_FIELDS : SAMPLE_FIELDS;

    if (!(kinds & JOURNAL_KIND_FLEET)) /* all that are wanted were found: that ends the loop early */
        left &= ~BIT(JOURNAL_FLEET);
    read_fields(reader, j, left);
    if (!from_root(reader)) {
        reader->foreign++;
        return 0;
    }
    const char *host = host_of(reader);
    if (!host_asked_for(reader, host))
        return 0;
    if (job->event)
        return take_event(reader, job, time, host);
    return reader->values[JOURNAL_FLEET].set ? take_fleet(reader, job, time, host)
                                             : take_relay(reader, job, time, host);
}
