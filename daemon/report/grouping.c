/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns what a table of groups means. Must never put a relay into a group when two lines disagree. */
#include "report/grouping.h"

#include "report/csv.h"

#include <errno.h>

#define COLUMNS_MAX 64

typedef enum GroupingColumn {
    GROUPING_FINGERPRINT,
    GROUPING_NICKNAME,
    GROUPING_RELAY,
    GROUPING_GROUP,
    GROUPING_ALLOCATOR,
    _GROUPING_COLUMN_MAX,
} GroupingColumn;

static const char *const column_names[_GROUPING_COLUMN_MAX] = {
    [GROUPING_FINGERPRINT] = "fingerprint",
    [GROUPING_NICKNAME] = "nickname",
    [GROUPING_RELAY] = "relay",
    [GROUPING_GROUP] = "group",
    [GROUPING_ALLOCATOR] = "allocator",
};

typedef struct Parse {
    const char *path;
    Problems *problems;
    unsigned line;
    ssize_t at[_GROUPING_COLUMN_MAX]; /* -1: no such column */
    size_t n_columns;
} Parse;

void grouping_clear(Grouping *grouping)
{
    for (size_t i = 0; i < grouping->n; i++) {
        free(grouping->entries[i].name);
        free(grouping->entries[i].fingerprint);
        free(grouping->entries[i].group);
        free(grouping->entries[i].allocator);
    }
    free(grouping->entries);
    free(grouping->by_name);
    free(grouping->by_fingerprint);
    *grouping = (Grouping){ 0 };
}

#define complain(parse, ...) problems_add((parse)->problems, (parse)->path, (parse)->line, NULL, __VA_ARGS__)

static int parse_header(Parse *parse, const Span *fields, size_t n)
{
    for (size_t c = 0; c < _GROUPING_COLUMN_MAX; c++) {
        parse->at[c] = -1;
        for (size_t i = 0; i < n && parse->at[c] < 0; i++)
            if (span_is(fields[i], column_names[c]))
                parse->at[c] = (ssize_t)i;
    }
    parse->n_columns = n;
    if (parse->at[GROUPING_GROUP] >= 0 &&
        (parse->at[GROUPING_FINGERPRINT] >= 0 || parse->at[GROUPING_NICKNAME] >= 0 ||
         parse->at[GROUPING_RELAY] >= 0))
        return 0;
    complain(parse, "the first line must name the columns, separated by commas: \"group\", and \"relay\", "
                    "\"nickname\" or \"fingerprint\", as in fingerprint,nickname,group");
    return -EINVAL;
}

static Span field_of(const Parse *parse, const Span *fields, GroupingColumn column)
{
    return parse->at[column] >= 0 ? fields[parse->at[column]] : (Span){ 0 };
}

static char *copy_of(Span span)
{
    return span.n > 0 ? xstrndup(span.p, span.n) : NULL;
}

/* In capitals, without the "$" that some write before it. NULL: it is none. */
static char *fingerprint_of(Span field)
{
    if (field.n > 0 && *field.p == '$')
        field = (Span){ field.p + 1, field.n - 1 };
    if (field.n != 40)
        return NULL;
    char *text = xstrndup(field.p, field.n);
    for (char *p = text; *p; p++) {
        if (*p >= 'a' && *p <= 'f')
            *p = (char)(*p - 'a' + 'A');
        if (!strchr("0123456789ABCDEF", *p)) {
            free(text);
            return NULL;
        }
    }
    return text;
}

static void add_entry(Parse *parse, const Span *fields, Grouping *grouping)
{
    const Span fingerprint = field_of(parse, fields, GROUPING_FINGERPRINT);
    const Span group = field_of(parse, fields, GROUPING_GROUP);
    const Span allocator = field_of(parse, fields, GROUPING_ALLOCATOR);
    Span name = field_of(parse, fields, GROUPING_RELAY);
    GroupingEntry entry = { .line = parse->line };

    if (name.n == 0)
        name = field_of(parse, fields, GROUPING_NICKNAME);
    entry.fingerprint = fingerprint_of(fingerprint);
    if (fingerprint.n > 0 && !entry.fingerprint)
        complain(parse, "\"%.*s\" is no fingerprint of 40 hexadecimal digits",
                 (int)(fingerprint.n < 60 ? fingerprint.n : 60), fingerprint.p);
    else if (fingerprint.n == 0 && name.n == 0)
        complain(parse, "neither the name nor the fingerprint of a relay");
    else if (grouping->n == GROUPING_MAX)
        complain(parse, "more than %d relays", GROUPING_MAX);
    else {
        entry.name = copy_of(name);
        entry.group = xstrndup(group.p ? group.p : "", group.n);
        entry.allocator = xstrndup(allocator.p ? allocator.p : "", allocator.n);
        grouping->has_allocator |= allocator.n > 0;
        GROW(grouping->entries, grouping->capacity, grouping->n);
        grouping->entries[grouping->n++] = entry;
        return;
    }
    free(entry.fingerprint);
}

static int compare_names(const void *a, const void *b)
{
    const GroupingEntry *x = *(GroupingEntry *const *)a, *y = *(GroupingEntry *const *)b;
    const int c = strcmp(x->name, y->name);

    return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

static int compare_fingerprints(const void *a, const void *b)
{
    const GroupingEntry *x = *(GroupingEntry *const *)a, *y = *(GroupingEntry *const *)b;
    const int c = strcmp(x->fingerprint, y->fingerprint);

    return c != 0 ? c : (x->line > y->line) - (x->line < y->line);
}

static void sort_entries(Grouping *grouping)
{
    grouping->by_name = xcalloc(grouping->n, sizeof(*grouping->by_name));
    grouping->by_fingerprint = xcalloc(grouping->n, sizeof(*grouping->by_fingerprint));
    for (size_t i = 0; i < grouping->n; i++) {
        if (grouping->entries[i].name)
            grouping->by_name[grouping->n_names++] = &grouping->entries[i];
        if (grouping->entries[i].fingerprint)
            grouping->by_fingerprint[grouping->n_fingerprints++] = &grouping->entries[i];
    }
    if (grouping->n_names > 0)
        qsort(grouping->by_name, grouping->n_names, sizeof(*grouping->by_name), compare_names);
    if (grouping->n_fingerprints > 0)
        qsort(grouping->by_fingerprint, grouping->n_fingerprints, sizeof(*grouping->by_fingerprint),
              compare_fingerprints);
}

/* Two lines of one relay: the same fingerprint, or the same name and no fingerprint that tells them apart. */
static void find_contradictions(Parse *parse, const Grouping *grouping)
{
    for (size_t i = 1; i < grouping->n_fingerprints; i++) {
        const GroupingEntry *x = grouping->by_fingerprint[i - 1], *y = grouping->by_fingerprint[i];
        parse->line = y->line;
        if (streq(x->fingerprint, y->fingerprint))
            complain(parse, "%s was on line %u already", y->fingerprint, x->line);
    }
    for (size_t i = 1; i < grouping->n_names; i++) {
        const GroupingEntry *x = grouping->by_name[i - 1], *y = grouping->by_name[i];
        parse->line = y->line;
        if (streq(x->name, y->name) && !(x->fingerprint && y->fingerprint))
            complain(parse, "%s was on line %u already", y->name, x->line);
    }
}

int grouping_parse(char *text, const char *path, Problems *problems, Grouping *ret)
{
    Parse parse = { .path = path, .problems = problems };
    Grouping grouping = { 0 };
    const size_t before = problems->n;
    bool header = false;

    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) /* the byte order mark of spreadsheets */
        text += 3;
    for (char *line; (line = strsep(&text, "\n"));) {
        Span fields[COLUMNS_MAX];
        size_t n = 0;
        parse.line++;
        if (line[strspn(line, " \t\r")] == '\0')
            continue;
        if (csv_split(line, strlen(line), fields, COLUMNS_MAX, &n) < 0)
            complain(&parse, "more than %d columns, an unclosed quote, or text after a closing quote",
                     COLUMNS_MAX);
        else if (!header) {
            header = true;
            if (parse_header(&parse, fields, n) < 0)
                break;
        } else if (n != parse.n_columns)
            complain(&parse, "%zu columns, but the first line names %zu", n, parse.n_columns);
        else
            add_entry(&parse, fields, &grouping);
    }
    if (!header)
        complain(&parse, "empty");
    sort_entries(&grouping);
    find_contradictions(&parse, &grouping);
    if (problems->n > before) {
        grouping_clear(&grouping);
        return -EINVAL;
    }
    *ret = grouping;
    return 0;
}

/* ---- looking up ---- */

static int span_compare(Span span, const char *s)
{
    const size_t n = strlen(s);
    const int c = span.n > 0 && n > 0 ? memcmp(span.p, s, span.n < n ? span.n : n) : 0;

    return c != 0 ? c : (span.n > n) - (span.n < n);
}

/* The first of a sorted list whose text is not less than `key`. */
static size_t first_of(GroupingEntry *const *list, size_t n, Span key, bool by_name)
{
    size_t low = 0, high = n;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const GroupingEntry *e = list[middle];
        if (span_compare(key, by_name ? e->name : e->fingerprint) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static GroupingEntry *find_by_fingerprint(const Grouping *grouping, Span fingerprint)
{
    const size_t i = first_of(grouping->by_fingerprint, grouping->n_fingerprints, fingerprint, false);

    return i < grouping->n_fingerprints &&
                   span_compare(fingerprint, grouping->by_fingerprint[i]->fingerprint) == 0
               ? grouping->by_fingerprint[i]
               : NULL;
}

/* With a fingerprint, only a line without one can still be meant. */
static GroupingEntry *find_by_name(const Grouping *grouping, Span name, bool has_fingerprint)
{
    GroupingEntry *found = NULL;

    for (size_t i = first_of(grouping->by_name, grouping->n_names, name, true);
         i < grouping->n_names && span_compare(name, grouping->by_name[i]->name) == 0; i++) {
        if (has_fingerprint && grouping->by_name[i]->fingerprint)
            continue;
        if (found)
            return NULL;
        found = grouping->by_name[i];
    }
    return found;
}

const GroupingEntry *grouping_find(Grouping *grouping, const SampleRow *row)
{
    GroupingEntry *entry = row->fingerprint.n > 0 ? find_by_fingerprint(grouping, row->fingerprint) : NULL;

    if (!entry)
        entry = find_by_name(grouping, row->relay, row->fingerprint.n > 0);
    if (entry)
        entry->used = true;
    return entry;
}
