/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/traffic.h"

static uint64_t rounded(uint64_t bytes)
{
    return bytes - bytes % TRAFFIC_UNIT;
}

static void begin(TrafficDay *day, TrafficTime now, usec_t before, uint64_t read, uint64_t written)
{
    *day = (TrafficDay){
        .begins = now.monotonic - before,
        .since = now.realtime - before,
        .read = read,
        .written = written,
    };
}

static void keep(TrafficDay *day, TrafficTime now, uint64_t read, uint64_t written)
{
    day->last = now.monotonic;
    day->until = now.realtime;
    day->last_read = read;
    day->last_written = written;
}

static void moved(const TrafficDay *day, Traffic *ret)
{
    *ret = (Traffic){ .read = rounded(day->last_read - day->read),
                      .written = rounded(day->last_written - day->written),
                      .since = day->since,
                      .until = day->until };
}

bool traffic_count(TrafficDay *day, usec_t length, usec_t started, TrafficTime now, uint64_t read,
                   uint64_t written, Traffic *ret)
{
    const bool known = day->last > 0 && read >= day->last_read && written >= day->last_written;

    if (!known) { /* or no honest counter: it never falls */
        const usec_t age = now.realtime > started ? now.realtime - started : 0;
        const bool whole = day->last == 0 && age < length && age < now.monotonic;
        begin(day, now, whole ? age : 0, whole ? 0 : read, whole ? 0 : written);
        day->partial = !whole;
    }
    keep(day, now, read, written);
    if (now.monotonic - day->begins < length)
        return false;
    moved(day, ret);
    begin(day, now, 0, read, written);
    keep(day, now, read, written);
    return true;
}

bool traffic_end(TrafficDay *day, Traffic *ret)
{
    const bool known = day->last > day->begins && !day->partial;

    if (known)
        moved(day, ret);
    *day = (TrafficDay){ 0 };
    return known;
}

char *traffic_sentence(const char *relay, const Traffic *traffic)
{
    char read[FORMAT_BYTES_MAX], written[FORMAT_BYTES_MAX], span[FORMAT_SPAN_MAX];

    return xasprintf(
        "%s: %s read and %s written in %s", relay, format_bytes(read, traffic->read),
        format_bytes(written, traffic->written),
        format_span(span, traffic->until > traffic->since ? traffic->until - traffic->since : 0));
}
