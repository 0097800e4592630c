/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the last entries of a journal: it is read forwards, as always, in stretches that go back from its end
 * and grow, until enough was found. Must never read on after that. */
#include "io/journal-private.h"

#define STRETCH_FIRST USEC_PER_HOUR
#define STRETCH_GROWTH 4

typedef struct Last {
    JournalList *list;
    size_t most;
    bool seen; /* an entry, wanted or not */
    JournalWantFunc *want;
    void *userdata;
} Last;

/* ---- copies ---- */

static void free_copy(const char *p)
{
    free((char *)p);
}

static void item_clear(const JournalList *list, JournalItem *item)
{
    if (list->samples) {
        free_copy(item->sample.row.relay.p);
        free_copy(item->sample.row.group.p);
        free_copy(item->sample.row.allocator.p);
        free_copy(item->sample.row.version.p);
    } else {
        for (size_t f = 0; f < _JOURNAL_FIELD_MAX; f++)
            free_copy(item->event.fields[f]);
    }
}

void journal_list_clear(JournalList *list)
{
    for (size_t i = 0; i < list->n; i++)
        item_clear(list, &list->items[i]);
    free(list->items);
    *list = (JournalList){ 0 };
}

static JournalItem *add(JournalList *list, usec_t time)
{
    GROW(list->items, list->capacity, list->n);
    list->items[list->n] = (JournalItem){ .time = time, .order = list->n };
    return &list->items[list->n++];
}

static Span copy_span(Span span)
{
    return (Span){ span.n > 0 ? xstrndup(span.p, span.n) : NULL, span.n };
}

static int keep_sample(const JournalSample *sample, void *userdata)
{
    Last *last = userdata;

    last->seen = true;
    if (last->most == 0)
        return 0;
    JournalSample *copy = &add(last->list, sample->time)->sample;
    *copy = *sample;
    copy->row.relay = copy_span(sample->row.relay);
    copy->row.group = copy_span(sample->row.group);
    copy->row.allocator = copy_span(sample->row.allocator);
    copy->row.version = copy_span(sample->row.version);
    return 0;
}

static int keep_event(const JournalEvent *event, void *userdata)
{
    Last *last = userdata;

    last->seen = true;
    if (last->most == 0 || (last->want && !last->want(event, last->userdata)))
        return 0;
    JournalEvent *copy = &add(last->list, event->time)->event;
    *copy = *event;
    for (size_t f = 0; f < _JOURNAL_FIELD_MAX; f++)
        copy->fields[f] = xstrdup(event->fields[f]);
    return 0;
}

/* ---- stretches ---- */

static int item_compare(const void *a, const void *b)
{
    const JournalItem *x = a, *y = b;

    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Files, and hosts in them, overlap; and the first stretch that was enough was more than enough. */
static void sort_and_cut(JournalList *list, size_t most)
{
    size_t surplus = list->n > most ? list->n - most : 0;

    if (list->n > 0)
        qsort(list->items, list->n, sizeof(*list->items), item_compare);
    for (size_t i = 0; i < surplus; i++)
        item_clear(list, &list->items[i]);
    list->n -= surplus;
    if (surplus > 0)
        memmove(list->items, list->items + surplus, list->n * sizeof(*list->items));
}

static int read_back(JournalReader *reader, JournalJob *job, Last *last)
{
    const usec_t since = job->query.since, until = job->query.until;
    usec_t first = USEC_INFINITY, end = 0, stretch = STRETCH_FIRST;

    for (size_t i = 0; i < reader->files.n; i++) {
        const JournalFileEntry *file = &reader->files.items[i];
        first = file->first < first ? file->first : first;
        end = file->last > end ? file->last : end;
    }
    end = until < end ? until : end;
    for (bool more = true; more; stretch *= STRETCH_GROWTH) {
        more = last->most != SIZE_MAX && end > stretch && end - stretch > first && end - stretch > since;
        job->query.since = more ? end - stretch : since;
        int r = journal_read_files(reader, job);
        if (r < 0)
            return r;
        if (last->seen && last->list->n >= last->most)
            break;
        end = job->query.until = job->query.since > 0 ? job->query.since - 1 : 0;
    }
    return 0;
}

static int read_last(JournalReader *reader, JournalJob *job, Last *last, JournalList *ret)
{
    int r = read_back(reader, job, last);

    if (r < 0) {
        journal_list_clear(last->list);
        return r;
    }
    sort_and_cut(last->list, last->most);
    *ret = *last->list;
    return 0;
}

int journal_last_samples(JournalReader *reader, const JournalQuery *query, size_t most, JournalList *ret)
{
    JournalList list = { .samples = true };
    Last last = { .list = &list, .most = most };
    JournalJob job = { .query = *query, .sample = keep_sample, .userdata = &last };

    return read_last(reader, &job, &last, ret);
}

int journal_last_events(JournalReader *reader, const JournalQuery *query, size_t most, JournalWantFunc *want,
                        void *userdata, JournalList *ret)
{
    JournalList list = { 0 };
    Last last = { .list = &list, .most = most, .want = want, .userdata = userdata };
    JournalJob job = { .query = *query, .event = keep_event, .userdata = &last, .keep_cursor = true };

    return read_last(reader, &job, &last, ret);
}
