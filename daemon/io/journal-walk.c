/* SPDX-License-Identifier: BSD-3-Clause */
/* Walks over the entries of one journal file that match. Must never accept the silence of sd-journal as the
 * end of the file: it drops a file in which it meets damage, as if the file ended there. */
#include "core/timestamp.h"
#include "io/journal-private.h"

#include <fcntl.h>
#include <systemd/sd-journal.h>

/* sd-journal maps what it reads and keeps it mapped, so a large file would end up in memory as a whole. Every
 * so many entries we look how much of files we have in memory, and open the file again when it is more than
 * this. */
#define ENTRIES_PER_LOOK 256
#define MAPPED_MAX ((size_t)46 * 1024 * 1024)
/* The number of damaged places in one file after which the rest of it is given up. */
#define REPAIRS_MAX 200
/* An index of samples that ends so long before the file is looked behind, for so many entries of any kind. */
#define INDEX_SLACK (5 * USEC_PER_MINUTE)
#define LOOK_BACK 1000

bool journal_file_reaches(const JournalFileEntry *file, usec_t since, usec_t until)
{
    const char *name = strrchr(file->path, '/');
    /* An archived file stays as it is; the one that is written to may have more than its header said when it
     * was opened. */
    bool archived = strchr(name ? name : file->path, '@') || file->path[strlen(file->path) - 1] == '~';

    return file->first <= until && (!archived || file->last >= since);
}

/* ---- matches ---- */

static int match_kind(sd_journal *j, MessageKind kind)
{
    _cleanup_(freep) char *match = xasprintf("MESSAGE_ID=%s", message_id(kind));

    return sd_journal_add_match(j, match, 0);
}

static int match_relay(sd_journal *j, const char *relay)
{
    _cleanup_(freep) char *match = relay ? xasprintf("RELAYALLOC_RELAY=%s", relay) : NULL;

    return match ? sd_journal_add_match(j, match, 0) : 0;
}

static int match_samples(sd_journal *j, unsigned kinds, const char *relay)
{
    int r = 0;

    if (kinds & JOURNAL_KIND_RELAY) {
        r = match_kind(j, MESSAGE_SAMPLE_RELAY);
        if (r >= 0)
            r = match_relay(j, relay);
    }
    if (r >= 0 && kinds & JOURNAL_KIND_FLEET) {
        r = sd_journal_add_disjunction(j);
        if (r >= 0)
            r = match_kind(j, MESSAGE_SAMPLE_FLEET);
    }
    return r;
}

int journal_match_events(sd_journal *j, const JournalQuery *query)
{
    int r = match_relay(j, query->relay);

    if (r >= 0 && query->traffic)
        return match_kind(j, MESSAGE_RELAY_TRAFFIC);
    for (MessageKind kind = 0; r >= 0 && kind < _MESSAGE_MAX; kind++)
        if (kind != MESSAGE_SAMPLE_RELAY && kind != MESSAGE_SAMPLE_FLEET)
            r = match_kind(j, kind);
    return r;
}

/* A fresh reader of the file. */
static int reopen(JournalWalk *walk)
{
    sd_journal_close(TAKE_PTR(walk->j));
    int r = journal_file_reader(walk->file, &walk->j);
    if (r >= 0)
        r = sd_journal_set_data_threshold(walk->j, 0);
    return r;
}

static int reopen_matched(JournalWalk *walk)
{
    int r = reopen(walk);

    if (r < 0 || walk->unmatched)
        return r;
    return walk->events ? journal_match_events(walk->j, &walk->query)
                        : match_samples(walk->j, walk->kinds, walk->query.relay);
}

/* ---- places ---- */

static const struct {
    MessageKind kind;
    unsigned bit;
} sample_kinds[] = { { MESSAGE_SAMPLE_RELAY, JOURNAL_KIND_RELAY },
                     { MESSAGE_SAMPLE_FLEET, JOURNAL_KIND_FLEET } };

/* The kind of sample that the present entry is; 0: none. */
static unsigned kind_here(sd_journal *j)
{
    static const size_t skip = sizeof("MESSAGE_ID=") - 1;
    const void *data;
    size_t size;

    if (sd_journal_get_data(j, "MESSAGE_ID", &data, &size) < 0)
        return 0;
    for (size_t i = 0; i < ELEMENTSOF(sample_kinds); i++) {
        const char *id = message_id(sample_kinds[i].kind);
        if (size == skip + strlen(id) && memcmp((const char *)data + skip, id, strlen(id)) == 0)
            return sample_kinds[i].bit;
    }
    return 0;
}

/* Onto the next entry that is wanted. */
static bool step(const JournalWalk *walk)
{
    while (sd_journal_next(walk->j) > 0)
        if (!walk->unmatched || kind_here(walk->j) & walk->kinds)
            return true;
    return false;
}

static bool was_dropped(sd_journal *j)
{
    usec_t from, to;

    return sd_journal_get_cutoff_realtime_usec(j, &from, &to) <= 0;
}

/* Onto the first entry at or after `from`. */
static bool seek_first(const JournalWalk *walk, usec_t from)
{
    int r = from > 0 ? sd_journal_seek_realtime_usec(walk->j, from) : sd_journal_seek_head(walk->j);

    return r >= 0 && step(walk);
}

/* Behind the last entry at or before `until`. */
static int seek_behind(sd_journal *j, usec_t until)
{
    return until < USEC_INFINITY ? sd_journal_seek_realtime_usec(j, until + 1) : sd_journal_seek_tail(j);
}

/* The time of the last entry at or before `until`; 0: none, or it cannot be read. */
static usec_t last_time(sd_journal *j, usec_t until)
{
    usec_t time = 0;

    if (seek_behind(j, until) < 0 || sd_journal_previous(j) <= 0 ||
        sd_journal_get_realtime_usec(j, &time) < 0)
        return 0;
    return time;
}

/* Which kinds of samples are there? Nearly always one: a file is not searched for two when it has one. */
static int find_kinds(JournalWalk *walk)
{
    for (size_t i = 0; i < ELEMENTSOF(sample_kinds); i++) {
        sd_journal_flush_matches(walk->j);
        int r = match_kind(walk->j, sample_kinds[i].kind);
        bool found = r >= 0 && seek_first(walk, 0);
        if (r >= 0 && !found && was_dropped(walk->j)) { /* its head is damaged: look from the end */
            r = reopen(walk);
            if (r >= 0)
                r = match_kind(walk->j, sample_kinds[i].kind);
            found = r >= 0 && last_time(walk->j, USEC_INFINITY) > 0;
            if (r >= 0)
                r = reopen(walk);
        }
        if (r < 0)
            return r;
        if (found)
            walk->kinds |= sample_kinds[i].bit;
    }
    return 0;
}

/* The time of the last sample, by the looks of the entries. The indexes of a file, one of all entries and one
 * of those that match, are chains: where a link is damaged they end, and sd-journal does not report it. When
 * that of all entries ends before the header says that it does, there may be samples until then. 0: none. */
static usec_t look_back(JournalWalk *walk)
{
    usec_t time = 0, newest = 0;
    unsigned kind = 0;

    walk->unmatched = true;
    if (reopen_matched(walk) >= 0 && seek_behind(walk->j, walk->query.until) >= 0)
        for (size_t i = 0; kind == 0 && i < LOOK_BACK && sd_journal_previous(walk->j) > 0; i++)
            if (sd_journal_get_realtime_usec(walk->j, &time) >= 0) {
                newest = time > newest ? time : newest;
                kind = kind_here(walk->j);
            }
    walk->unmatched = false;
    walk->kinds |= kind;
    if (walk->query.until >= walk->file->last && newest + INDEX_SLACK < walk->file->last) {
        walk->kinds |= walk->kinds == 0 ? JOURNAL_KIND_RELAY | JOURNAL_KIND_FLEET : 0;
        return walk->file->last;
    }
    return kind != 0 ? time : 0;
}

/* The time of the last entry that should come. If the end is damaged, the header knows it, though only for
 * all entries together. 0: none. */
static usec_t expected_end(JournalWalk *walk)
{
    const usec_t end = walk->file->last < walk->query.until ? walk->file->last : walk->query.until;
    usec_t time = last_time(walk->j, walk->query.until);

    if (time == 0 && was_dropped(walk->j))
        return reopen_matched(walk) < 0 ? 0 : end;
    if (walk->events || walk->query.relay || time + INDEX_SLACK >= end)
        return time;
    usec_t seen = look_back(walk);
    if (reopen_matched(walk) < 0)
        return 0;
    return seen > time ? seen : time;
}

int journal_walk_begin(JournalWalk *walk, JournalFiles *files, const JournalFileEntry *file,
                       const JournalQuery *query, bool events)
{
    *walk = (JournalWalk){ .files = files,
                           .file = file,
                           .query = *query,
                           .events = events,
                           .statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC) };
    int r = reopen(walk);
    if (r >= 0 && !events)
        r = find_kinds(walk);
    if (r >= 0 && !events && walk->kinds == 0 && look_back(walk) == 0)
        return 0;
    if (r >= 0)
        r = reopen_matched(walk);
    if (r < 0) { /* costs this file only */
        journal_files_complain(files, file, "%s; not read", journal_why_unreadable(r));
        return 0;
    }
    walk->tail = expected_end(walk);
    walk->found = seek_first(walk, query->since);
    return 1;
}

void journal_walk_end(JournalWalk *walk)
{
    sd_journal_close(walk->j);
    if (walk->files)
        closep(&walk->statm);
    *walk = (JournalWalk){ .statm = -1 };
}

/* Step by step from the head onto the first entry after that time: when not even seeking works, because the
 * entries that a search begins with are damaged. */
static bool walk_from_head(JournalWalk *walk, usec_t after)
{
    usec_t time;

    if (reopen_matched(walk) < 0 || !seek_first(walk, 0))
        return false;
    while (sd_journal_get_realtime_usec(walk->j, &time) < 0 || time <= after)
        if (!step(walk))
            return false;
    return true;
}

/* To the first entry after a damaged place, which is left in growing steps, because its end is unknown. */
static bool skip_damage(JournalWalk *walk)
{
    usec_t from = walk->query.since > walk->file->first ? walk->query.since : walk->file->first, time;

    if (walk->last > 0)
        from = walk->last;
    for (usec_t far = 1; from < walk->tail && far <= walk->tail - from; far += far)
        if (reopen_matched(walk) >= 0 && seek_first(walk, from + far) &&
            sd_journal_get_realtime_usec(walk->j, &time) >= 0 && time > from)
            return true;
    if (walk_from_head(walk, from))
        return true;
    if (walk->events || walk->unmatched)
        return false;
    walk->unmatched = true; /* not even so: then without the index, entry by entry */
    return skip_damage(walk);
}

static bool repair(JournalWalk *walk)
{
    char from[TIMESTAMP_MAX];

    timestamp_format(from, walk->last > 0 ? walk->last : walk->file->first, TIMESTAMP_LOCAL);
    if (++walk->repairs > REPAIRS_MAX) {
        journal_files_complain(walk->files, walk->file, "damaged; not read from %s on", from);
        return false;
    }
    if (walk->repairs == 1)
        journal_files_complain(walk->files, walk->file,
                               "damaged; entries after %s that cannot be read are left out", from);
    return skip_damage(walk);
}

/* Pages of files in our memory: the third number of proc(5)'s statm. Without /proc always too many, which is
 * slow but correct. */
static bool too_much_mapped(const JournalWalk *walk)
{
    char text[128], *number = text;
    ssize_t n = pread(walk->statm, text, sizeof(text) - 1, 0);

    text[n > 0 ? n : 0] = '\0';
    for (int i = 0; number && i < 2; i++) {
        number = strchr(number, ' ');
        if (number)
            number++;
    }
    return !number || strtoull(number, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) > MAPPED_MAX;
}

/* The same entry again, in a fresh reader. */
static bool reopen_here(JournalWalk *walk)
{
    _cleanup_(freep) char *cursor = NULL;

    return sd_journal_get_cursor(walk->j, &cursor) >= 0 && reopen_matched(walk) >= 0 &&
           sd_journal_seek_cursor(walk->j, cursor) >= 0 && sd_journal_next(walk->j) > 0;
}

bool journal_walk_next(JournalWalk *walk, usec_t *ret_time)
{
    usec_t time;

    if (walk->entries > 0)
        walk->found =
            (walk->entries % ENTRIES_PER_LOOK != 0 || !too_much_mapped(walk) || reopen_here(walk)) &&
            step(walk);
    walk->entries++;
    while (!walk->found || sd_journal_get_realtime_usec(walk->j, &time) < 0) {
        if (walk->last >= walk->tail || walk->tail < walk->query.since)
            return false; /* the end */
        walk->found = repair(walk);
        if (!walk->found)
            return false;
    }
    if (time > walk->query.until)
        return false;
    *ret_time = walk->last = time;
    return true;
}
