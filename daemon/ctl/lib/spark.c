/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/spark.h"

#include "ctl/lib/ctl.h"
#include "io/journal.h"

void sparks_clear(Sparks *sparks)
{
    for (size_t i = 0; i < sparks->n; i++)
        free(sparks->items[i].relay);
    free(sparks->items);
    *sparks = (Sparks){ 0 };
}

/* Where the relay is, or would be. */
static size_t position(const Sparks *sparks, const char *relay, size_t length, bool *ret_found)
{
    size_t low = 0, high = sparks->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *name = sparks->items[middle].relay;
        int c = strncmp(name, relay, length);
        if (c == 0)
            c = name[length] != '\0';
        if (c == 0) {
            *ret_found = true;
            return middle;
        }
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = false;
    return low;
}

void sparks_add(Sparks *sparks, const char *relay, size_t relay_length, usec_t realtime, uint64_t rss)
{
    uint64_t minute = realtime / USEC_PER_MINUTE;
    bool found = false;
    size_t i = position(sparks, relay, relay_length, &found);

    if (!found) {
        GROW(sparks->items, sparks->capacity, sparks->n);
        memmove(&sparks->items[i + 1], &sparks->items[i], (sparks->n - i) * sizeof(*sparks->items));
        sparks->items[i] = (Spark){ .relay = xstrndup(relay, relay_length), .last = minute };
        sparks->n++;
    }
    Spark *spark = &sparks->items[i];
    if (minute + SPARK_MINUTES <= spark->last)
        return;
    for (; spark->last < minute; spark->last++) /* what was not seen in between is not known */
        if (minute - spark->last <= SPARK_MINUTES)
            spark->values[(spark->last + 1) % SPARK_MINUTES] = 0;
    spark->values[minute % SPARK_MINUTES] = rss;
}

static int take_sample(const JournalSample *sample, void *userdata)
{
    sparks_add(userdata, sample->row.relay.p, sample->row.relay.n, sample->time, sample->row.memory.rss);
    return 0;
}

int sparks_read_journal(Sparks *sparks, usec_t now)
{
    _cleanup_(journal_reader_freep) JournalReader *reader = NULL;

    int r = journal_reader_open(&(JournalSource){ 0 }, &reader);
    if (r < 0)
        return r;
    const JournalQuery hour = { .since = now - SPARK_MINUTES * USEC_PER_MINUTE, .until = USEC_INFINITY };
    return journal_read_samples(reader, &hour, take_sample, sparks);
}

/* ---- drawing ---- */

/* The mean of the known values of minutes [from, to); 0: none. */
static uint64_t mean(const Spark *spark, uint64_t from, uint64_t to)
{
    uint64_t sum = 0, n = 0;

    for (uint64_t t = from; t < to; t++)
        if (t <= spark->last && t + SPARK_MINUTES > spark->last && spark->values[t % SPARK_MINUTES] > 0) {
            sum += spark->values[t % SPARK_MINUTES];
            n++;
        }
    return n > 0 ? sum / n : 0;
}

char *sparks_draw(const Sparks *sparks, const char *relay, usec_t now, size_t width)
{
    static const char *const blocks[] = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
    static const char *const plain[] = { "_", ".", ",", "-", "~", "=", "+", "#" };
    const char *const *levels = ctl_utf8() ? blocks : plain;
    _cleanup_(freep) uint64_t *values = xcalloc(width, sizeof(*values));
    uint64_t end = now / USEC_PER_MINUTE + 1, low = UINT64_MAX, high = 0;
    bool found = false;
    size_t i = position(sparks, relay, strlen(relay), &found), size = 0;
    char *text = NULL;

    for (size_t c = 0; found && c < width; c++) {
        values[c] = mean(&sparks->items[i], end - SPARK_MINUTES + c * SPARK_MINUTES / width,
                         end - SPARK_MINUTES + (c + 1) * SPARK_MINUTES / width);
        if (values[c] > 0 && values[c] < low)
            low = values[c];
        if (values[c] > high)
            high = values[c];
    }
    /* What changes by less than a twentieth is drawn as constant. */
    uint64_t range = high - low > high / 20 ? high - low : high / 20 + 1;
    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    for (size_t c = 0; c < width; c++)
        fputs(values[c] > 0 ? levels[(values[c] - low) * 7 / range] : " ", f);
    fclose(f);
    return text;
}
