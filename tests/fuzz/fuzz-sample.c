/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as the rows of a fleet entry: reading ends, stays within the text, and what was read is written
 * as the same row again. */
#include "core/sample.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): this must hold however the library was built. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static char *copy(Span span)
{
    return xstrndup(span.p ? span.p : "", span.n);
}

static bool equal(Span a, const char *b)
{
    return strlen(b) == a.n && (a.n == 0 || memcmp(a.p, b, a.n) == 0);
}

static bool plain(Span span)
{
    for (size_t i = 0; i < span.n; i++)
        if ((unsigned char)span.p[i] < ' ' || span.p[i] == 0x7f)
            return false;
    return true;
}

/* Of names that the daemon would not write (control characters) nothing is promised. */
static void check_round_trip(const SampleRow *row)
{
    char *relay = copy(row->relay), *group = copy(row->group), *allocator = copy(row->allocator),
         *version = copy(row->version);
    char *flags = row->has_flags ? copy(row->flags) : NULL, *fingerprint = copy(row->fingerprint);
    const Sample sample = { .relay = relay,
                            .group = group,
                            .allocator = allocator,
                            .version = version,
                            .since = row->since,
                            .memory = row->memory,
                            .has_bootstrap = row->has_bootstrap,
                            .bootstrap = row->bootstrap,
                            .flags = flags,
                            .fingerprint = fingerprint };
    char *text = NULL;
    size_t size = 0;
    SampleRow again;

    FILE *f = open_memstream(&text, &size);
    must(f != NULL);
    sample_write_row(f, &sample);
    fclose(f);
    const char *cursor = text;
    must(sample_read_row(&cursor, text + size, &again) == 1 && cursor == text + size);
    must(equal(again.relay, relay) && equal(again.group, group) && equal(again.allocator, allocator) &&
         equal(again.version, version) && again.since == row->since &&
         memcmp(&again.memory, &row->memory, sizeof(again.memory)) == 0);
    must(again.has_bootstrap == row->has_bootstrap && again.bootstrap == row->bootstrap &&
         again.has_flags == row->has_flags && equal(again.flags, flags ? flags : "") &&
         equal(again.fingerprint, fingerprint));
    free(flags);
    free(fingerprint);
    free(text);
    free(relay);
    free(group);
    free(allocator);
    free(version);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xcalloc(1, size > 0 ? size : 1); /* no NUL behind it */
    memcpy(text, data, size);
    const char *cursor = text, *end = text + size;
    SampleRow row;
    int r;

    for (const char *before = cursor; (r = sample_read_row(&cursor, end, &row)) != 0; before = cursor) {
        must(cursor > before && cursor <= end);
        if (r > 0 && plain(row.relay) && plain(row.group) && plain(row.allocator) && plain(row.version))
            check_round_trip(&row);
    }
    must(cursor == end);
    free(text);
    return 0;
}
