/* SPDX-License-Identifier: BSD-3-Clause */
#include "report/outlook.h"

#include "report/growth.h"
#include "report/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

static void judge(Growing *g)
{
    Point points[OUTLOOK_HOURS] = { 0 };
    double slope, sum = 0;
    size_t pairs;

    if (g->hours[g->n_hours - 1].hour - g->hours[0].hour < OUTLOOK_HOURS_MIN - 1)
        return;
    for (unsigned i = 0; i < g->n_hours; i++) {
        points[i] = (Point){ .x = (double)(g->hours[i].hour - g->hours[0].hour), .y = g->hours[i].mean };
        sum += g->hours[i].mean;
    }
    if (stats_theil_sen(points, g->n_hours, &slope, &pairs) < 0)
        return;
    g->known = true;
    g->per_day = slope * 24;
    if (fabs(g->per_day) < GROWTH_NOTABLE * sum / g->n_hours)
        g->per_day = 0;
}

static void end_hour(Growing *g)
{
    if (g->n_hours == OUTLOOK_HOURS)
        memmove(&g->hours[0], &g->hours[1], --g->n_hours * sizeof(g->hours[0]));
    g->hours[g->n_hours].hour = g->hour;
    g->hours[g->n_hours++].mean = g->sum / g->n;
    g->sum = 0;
    g->n = 0;
    judge(g);
}

void outlook_add(Growing *g, usec_t hour, usec_t now, uint64_t bytes)
{
    if (g->n > 0 && now / hour != g->hour)
        end_hour(g);
    g->hour = now / hour;
    g->sum += (double)bytes;
    g->n++;
}

void outlook_write_row(FILE *f, const char *relay, const char *process, const Growing *g)
{
    if (g->n_hours == 0)
        return;
    fprintf(f, "\n%s %s", relay, process);
    for (unsigned i = 0; i < g->n_hours; i++)
        fprintf(f, " %" PRIu64 ":%.0f", g->hours[i].hour, g->hours[i].mean / 1024);
}

static bool read_number(const char **cursor, uint64_t *ret)
{
    const size_t n = strspn(*cursor, "0123456789");

    if (n == 0 || n > 15)
        return false;
    *ret = strtoull(*cursor, NULL, 10);
    *cursor += n;
    return true;
}

/* "1234:1048576", which follows the hour before. */
static bool read_hour(const char **cursor, Growing *g)
{
    uint64_t hour, kib;

    if (g->n_hours == OUTLOOK_HOURS || !read_number(cursor, &hour) || *(*cursor)++ != ':' ||
        !read_number(cursor, &kib) || (g->n_hours > 0 && hour <= g->hours[g->n_hours - 1].hour))
        return false;
    g->hours[g->n_hours].hour = hour;
    g->hours[g->n_hours++].mean = (double)kib * 1024;
    return true;
}

bool outlook_read_row(const char *rows, const char *relay, const char *process, Growing *ret)
{
    _cleanup_(freep) char *words = xasprintf("\n%s %s ", relay, process);
    const char *row = strstr(rows, words);
    Growing g = { 0 };

    if (!row)
        return false;
    row += strlen(words) - 1;
    do {
        row++;
        if (!read_hour(&row, &g))
            return false;
    } while (*row == ' ');
    if (*row != '\n' && *row != '\0')
        return false;
    judge(&g);
    *ret = g;
    return true;
}

Outlook outlook_of(const OutlookRelay *relays, size_t n, uint64_t available)
{
    Outlook outlook = { .full_in = INFINITY };

    for (size_t i = 0; i < n; i++) {
        if (!relays[i].known)
            continue;
        outlook.per_day += relays[i].per_day;
        if (relays[i].per_day <= outlook.most)
            continue;
        outlook.most = relays[i].per_day;
        outlook.relay = relays[i].relay;
        outlook.allocator = relays[i].allocator;
        outlook.version = relays[i].version;
    }
    if (outlook.per_day > 0)
        outlook.full_in = (double)available / outlook.per_day;
    return outlook;
}

char *outlook_sentence(const Outlook *outlook)
{
    char most[FORMAT_BYTES_MAX];

    if (!outlook->relay || isinf(outlook->full_in))
        return NULL;
    const bool known = !isempty(outlook->allocator), version = known && !isempty(outlook->version);
    return xasprintf("at this growth the host is full in %.1f days (%s, %s%s%s, +%s a day)", outlook->full_in,
                     outlook->relay, known ? outlook->allocator : "allocator unknown", version ? " " : "",
                     version ? outlook->version : "", format_bytes(most, (uint64_t)outlook->most));
}

int outlook_available(const char *meminfo, uint64_t *ret)
{
    static const char name[] = "MemAvailable:";
    const char *line = strstr(meminfo, name);
    char *end;

    if (!line || (line > meminfo && line[-1] != '\n'))
        return -ENODATA;
    const char *digits = line + strlen(name) + strspn(line + strlen(name), " \t");
    errno = 0;
    const unsigned long long kib = strtoull(digits, &end, 10);
    if (end == digits || errno != 0 || strncmp(end, " kB", 3) != 0 || kib > UINT64_MAX / 1024)
        return -ENODATA;
    *ret = kib * 1024;
    return 0;
}
