/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the text of a sample: the row of a fleet entry and the sentence for people. Must never copy while it
 * reads, nor trust a number's length. */
#include "core/sample.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>

#define KIB 1024U
#define NO_FLAGS "."
#define FINGERPRINT_SIZE 40
#define FLAGS_MAX 200

/* A word of the row: nothing in it may end the column or the line. Names are free of such characters by
 * core/relay; a version comes from the library itself. */
static void put_word(FILE *f, const char *word)
{
    if (!word || !*word) {
        fputs("-\t", f);
        return;
    }
    for (const char *p = word; *p; p++)
        fputc((unsigned char)*p < ' ' || *p == 0x7f ? '?' : *p, f);
    fputc('\t', f);
}

usec_t sample_next_beat(usec_t now, usec_t interval)
{
    return (now / interval + 1) * interval;
}

static void put_own_words(FILE *f, const Sample *sample)
{
    fputc('\t', f);
    if (sample->has_bootstrap)
        fprintf(f, "%u\t", sample->bootstrap);
    else
        put_word(f, NULL);
    put_word(f, sample->flags && !*sample->flags ? NO_FLAGS : sample->flags);
    fputs(isempty(sample->fingerprint) ? "-" : sample->fingerprint, f);
}

static void put_amount(FILE *f, uint64_t bytes)
{
    if (bytes % KIB != 0 || bytes == 0)
        fprintf(f, "\t%" PRIu64, bytes);
    else
        fprintf(f, "\t%" PRIu64 "k", bytes / KIB);
}

/* What a relay has beside its anonymous memory, and how far it is from its peak, hardly change, and are the
 * same for many: that is what makes the rows small once journald has compressed them. */
static void put_memory(FILE *f, const Memory *memory)
{
    const bool whole = memory->rss % KIB == 0;

    put_amount(f, memory->rss);
    if (whole && memory->anon > 0 && memory->anon <= memory->rss && memory->anon % KIB == 0)
        fprintf(f, "\t-%" PRIu64 "k", (memory->rss - memory->anon) / KIB);
    else
        put_amount(f, memory->anon);
    put_amount(f, memory->swap);
    if (whole && memory->hwm > 0 && memory->hwm >= memory->rss && memory->hwm % KIB == 0)
        fprintf(f, "\t+%" PRIu64 "k", (memory->hwm - memory->rss) / KIB);
    else
        put_amount(f, memory->hwm);
}

void sample_write_row(FILE *f, const Sample *sample)
{
    assert(!isempty(sample->relay));
    put_word(f, sample->relay);
    put_word(f, sample->group);
    put_word(f, sample->allocator);
    put_word(f, sample->version);
    fprintf(f, "%" PRIu64, sample->since);
    put_memory(f, &sample->memory);
    if (sample->has_bootstrap || sample->flags || !isempty(sample->fingerprint))
        put_own_words(f, sample);
    fputc('\n', f);
}

static bool read_word(const char **cursor, const char *end, Span *ret)
{
    const char *tab = memchr(*cursor, '\t', (size_t)(end - *cursor));

    if (!tab || tab == *cursor)
        return false;
    *ret = (Span){ *cursor, (size_t)(tab - *cursor) };
    *cursor = tab + 1;
    return true;
}

static bool read_name(const char **cursor, const char *end, Span *ret)
{
    if (!read_word(cursor, end, ret))
        return false;
    if (ret->n == 1 && *ret->p == '-')
        *ret = (Span){ 0 };
    return true;
}

/* Of 19 digits every number fits. */
#define DIGITS_SAFE 19

static bool digits(const char *p, size_t n, uint64_t *ret)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        unsigned digit = (unsigned char)p[i] - (unsigned)'0';
        if (i < DIGITS_SAFE)
            v = 10 * v + digit;
        else if (__builtin_mul_overflow(v, 10U, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *ret = v;
    return n > 0;
}

/* Decimal digits up to a tab or the end of the line; "-" is 0: not known. */
static bool read_number(const char **cursor, const char *end, uint64_t *ret)
{
    const char *p = *cursor;

    if (p < end && *p == '-') {
        *ret = 0;
        p++;
    } else {
        const char *first = p;
        while (p < end && (unsigned char)(*p - '0') <= 9)
            p++;
        if (!digits(first, (size_t)(p - first), ret))
            return false;
    }
    if (p < end && *p != '\t')
        return false;
    *cursor = p < end ? p + 1 : p;
    return true;
}

/* Decimal digits, of KiB where a "k" follows; up to a tab or the end of the line. */
static bool read_bytes(const char **cursor, const char *end, uint64_t *ret)
{
    const char *p = *cursor, *first = p;

    while (p < end && (unsigned char)(*p - '0') <= 9)
        p++;
    if (!digits(first, (size_t)(p - first), ret))
        return false;
    if (p < end && *p == 'k') {
        if (__builtin_mul_overflow(*ret, KIB, ret))
            return false;
        p++;
    }
    if (p < end && *p != '\t')
        return false;
    *cursor = p < end ? p + 1 : p;
    return true;
}

/* An amount; "-" is 0: not known; with a sign it is so much more or less than `from` (NULL: none has). */
static bool read_amount(const char **cursor, const char *end, const uint64_t *from, uint64_t *ret)
{
    const char *p = *cursor;
    const char sign = p < end && (*p == '-' || *p == '+') ? *p : '\0';
    const bool none = sign == '-' && (p + 1 == end || p[1] == '\t');
    uint64_t by;

    if (none || !sign)
        return none ? read_number(cursor, end, ret) : read_bytes(cursor, end, ret);
    *cursor = p + 1;
    if (!from || !read_bytes(cursor, end, &by))
        return false;
    return sign == '-' ? !__builtin_sub_overflow(*from, by, ret) : !__builtin_add_overflow(*from, by, ret);
}

static bool read_memory(const char **cursor, const char *end, Memory *ret)
{
    return read_amount(cursor, end, NULL, &ret->rss) && read_amount(cursor, end, &ret->rss, &ret->anon) &&
           read_amount(cursor, end, NULL, &ret->swap) && read_amount(cursor, end, &ret->rss, &ret->hwm);
}

static bool all_of(Span text, const char *characters)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\0' || !strchr(characters, text.p[i]))
            return false;
    return true;
}

void sample_take_bootstrap(SampleRow *row, Span text)
{
    uint64_t percent;

    if (text.n > 3 || !all_of(text, "0123456789") || !digits(text.p, text.n, &percent) || percent > 100)
        return;
    row->has_bootstrap = true;
    row->bootstrap = (unsigned)percent;
}

void sample_take_flags(SampleRow *row, Span text)
{
    if (text.n > FLAGS_MAX ||
        !all_of(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789,"))
        return;
    row->has_flags = true;
    row->flags = text;
}

void sample_take_fingerprint(SampleRow *row, Span text)
{
    if (text.n == FINGERPRINT_SIZE && all_of(text, "0123456789ABCDEF"))
        row->fingerprint = text;
}

/* What the relay says of itself, behind the rest. */
static void read_own_words(const char *p, const char *end, SampleRow *row)
{
    Span bootstrap, flags;

    if (!read_word(&p, end, &bootstrap) || !read_word(&p, end, &flags))
        return;
    const char *tab = p < end ? memchr(p, '\t', (size_t)(end - p)) : NULL;
    sample_take_bootstrap(row, bootstrap);
    sample_take_flags(row, flags.n == 1 && *flags.p == *NO_FLAGS ? (Span){ flags.p, 0 } : flags);
    sample_take_fingerprint(row, (Span){ p, (size_t)((tab ? tab : end) - p) });
}

int sample_read_row(const char **cursor, const char *end, SampleRow *ret)
{
    const char *p = *cursor;
    SampleRow row = { 0 };

    if (p >= end)
        return 0;
    const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
    *cursor = newline ? newline + 1 : end;
    if (!read_word(&p, stop, &row.relay) || !read_name(&p, stop, &row.group) ||
        !read_name(&p, stop, &row.allocator) || !read_name(&p, stop, &row.version) ||
        !read_number(&p, stop, &row.since) || !read_memory(&p, stop, &row.memory))
        return -EINVAL;
    read_own_words(p, stop, &row);
    *ret = row;
    return 1;
}

char *sample_sentence(const Sample *sample)
{
    char rss[FORMAT_BYTES_MAX];
    bool known = !isempty(sample->allocator), version = known && !isempty(sample->version);
    bool grouped = !isempty(sample->group);

    return xasprintf("%s: %s resident, %s%s%s%s%s", sample->relay, format_bytes(rss, sample->memory.rss),
                     known ? sample->allocator : "allocator unknown", version ? " " : "",
                     version ? sample->version : "", grouped ? ", group " : "", grouped ? sample->group : "");
}

char *sample_fleet_sentence(size_t relays, uint64_t rss)
{
    char buf[FORMAT_BYTES_MAX];

    return xasprintf("%zu relay%s: %s resident", relays, relays == 1 ? "" : "s", format_bytes(buf, rss));
}
