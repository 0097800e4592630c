/* SPDX-License-Identifier: BSD-3-Clause */
/* Any bytes as a table of measurements, and as one of bandwidth: each line is a measurement whose every
 * promise holds, or is refused with a reason that a terminal can show; and whatever was taken can be counted.
 */
#include "report/measurements.h"
#include "report/series.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): this must hold however the library was built. */
static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_error(char *error)
{
    must(error != NULL);
    for (const char *p = error; *p; p++)
        must((unsigned char)*p >= 0x20 && *p != 0x7f);
    free(error);
}

static void check_name(Span name)
{
    must(name.n <= MEASUREMENT_NAME_MAX);
    for (size_t i = 0; i < name.n; i++)
        must((unsigned char)name.p[i] >= 0x20 && name.p[i] != 0x7f);
}

static void check_measurement(const Measurement *m, bool bandwidth)
{
    const Span names[] = { m->server, m->row.relay, m->row.group, m->row.allocator, m->row.version };

    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        check_name(names[i]);
    if (bandwidth)
        must(m->written >= 0 && m->written < 1e15);
    else
        must(m->row.relay.n > 0 && m->row.memory.rss > 0);
}

static void read_table(const uint8_t *data, size_t size, bool bandwidth)
{
    MeasurementTable table = { .bandwidth = bandwidth };
    Series series;
    char *text = xcalloc(1, size + 1), *error = NULL;
    bool header = true;

    memcpy(text, data, size);
    series_init(&series,
                &(SeriesOptions){ .until = USEC_INFINITY, .warmup = USEC_PER_HOUR, .by_group = true });
    series_host(&series, "host");
    for (char *p = text, *end = text + size; p < end;) {
        char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);
        if (header) {
            if (measurement_table_header(&table, p, n, &error) < 0) {
                check_error(error);
                break;
            }
            header = false;
        } else {
            Measurement m;
            int r = measurement_table_row(&table, p, n, !newline, &m, &error);
            if (r < 0)
                check_error(error);
            if (r > 0) {
                check_measurement(&m, bandwidth);
                series_add(&series, 0, m.time, &m.row);
            }
        }
        p = newline ? newline + 1 : end;
    }
    series_finish(&series);
    for (size_t i = 0; i < series.n_tracks; i++)
        must(series.tracks[i].counted == 0 || series.tracks[i].last > series.tracks[i].first);
    series_clear(&series);
    measurement_table_clear(&table);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_table(data, size, false);
    read_table(data, size, true);
    return 0;
}
