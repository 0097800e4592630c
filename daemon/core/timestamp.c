/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns the reading and writing of times. Must never ask a clock. */
#include "core/timestamp.h"

#include <errno.h>
#include <time.h>

/* A cursor over n bytes that need not end in NUL. */
typedef struct Scan {
    const char *p, *end;
} Scan;

static bool take(Scan *scan, const char *literal)
{
    size_t n = strlen(literal);

    if ((size_t)(scan->end - scan->p) < n || memcmp(scan->p, literal, n) != 0)
        return false;
    scan->p += n;
    return true;
}

static bool take_digits(Scan *scan, int count, int *ret)
{
    int v = 0;

    for (int i = 0; i < count; i++, scan->p++) {
        if (scan->p >= scan->end || *scan->p < '0' || *scan->p > '9')
            return false;
        v = 10 * v + (*scan->p - '0');
    }
    *ret = v;
    return true;
}

/* Digits after the point, to the microsecond; further ones are dropped. */
static bool take_fraction(Scan *scan, usec_t *ret)
{
    usec_t unit = USEC_PER_SEC / 10, v = 0;
    const char *first = scan->p;

    for (; scan->p < scan->end && *scan->p >= '0' && *scan->p <= '9'; scan->p++, unit /= 10)
        v += (usec_t)(*scan->p - '0') * unit;
    *ret = v;
    return scan->p > first;
}

typedef struct Civil {
    int year, month, day, hour, minute, second;
    usec_t fraction;
    bool has_offset;
    int offset; /* seconds east of Greenwich */
} Civil;

static bool take_date(Scan *scan, Civil *c)
{
    return take_digits(scan, 4, &c->year) && take(scan, "-") && take_digits(scan, 2, &c->month) &&
           take(scan, "-") && take_digits(scan, 2, &c->day);
}

static bool take_time(Scan *scan, Civil *c)
{
    if (!take_digits(scan, 2, &c->hour) || !take(scan, ":") || !take_digits(scan, 2, &c->minute))
        return false;
    if (!take(scan, ":"))
        return true;
    return take_digits(scan, 2, &c->second) && (!take(scan, ".") || take_fraction(scan, &c->fraction));
}

static bool take_offset(Scan *scan, Civil *c)
{
    int sign, hours, minutes = 0;

    take(scan, " ");
    if (scan->p == scan->end)
        return true;
    c->has_offset = true;
    if (take(scan, "Z") || take(scan, "UTC"))
        return scan->p == scan->end;
    sign = take(scan, "+") ? 1 : take(scan, "-") ? -1 : 0;
    if (sign == 0 || !take_digits(scan, 2, &hours))
        return false;
    take(scan, ":");
    if (scan->p < scan->end && !take_digits(scan, 2, &minutes))
        return false;
    c->offset = sign * (hours * 3600 + minutes * 60);
    return scan->p == scan->end && hours <= 15 && minutes <= 59;
}

static bool civil_valid(const Civil *c)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;

    return c->month >= 1 && c->month <= 12 && c->day >= 1 &&
           c->day <= days[c->month - 1] + (c->month == 2 && leap) && c->hour <= 23 && c->minute <= 59 &&
           c->second <= 59;
}

static struct tm civil_tm(const Civil *c)
{
    return (struct tm){ .tm_year = c->year - 1900,
                        .tm_mon = c->month - 1,
                        .tm_mday = c->day,
                        .tm_hour = c->hour,
                        .tm_min = c->minute,
                        .tm_sec = c->second };
}

static long offset_at(time_t t)
{
    struct tm tm;

    return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

/* The offsets from UTC a day before and a day after are all that can hold at that time. Each gives a time; it
 * is the one that was meant if that offset applies there: both in the hour that is repeated, neither in the
 * one that is skipped. (mktime(3) makes something of every local time, and takes 25 µs where it has to
 * search.) */
static int local_time(const Civil *c, usec_t after, time_t *ret)
{
    struct tm tm = civil_tm(c);
    const time_t utc = timegm(&tm);
    const long offsets[] = { offset_at(utc - 86400), offset_at(utc + 86400) };
    time_t found[2];
    size_t n = 0;

    for (size_t i = 0; i < (offsets[0] == offsets[1] ? 1 : 2); i++)
        if (offset_at(utc - offsets[i]) == offsets[i])
            found[n++] = utc - offsets[i];
    if (n == 0)
        return -EDOM;
    /* The clocks go back from the greater offset to the smaller one: the first is the earlier. */
    *ret = n == 2 && found[0] >= 0 && (usec_t)found[0] * USEC_PER_SEC + c->fraction < after ? found[1]
                                                                                            : found[0];
    return 0;
}

static int civil_to_realtime(const Civil *c, usec_t after, usec_t *ret)
{
    time_t t;

    if (!civil_valid(c))
        return -EINVAL;
    if (c->has_offset) {
        struct tm tm = civil_tm(c);
        t = timegm(&tm) - c->offset;
    } else {
        int r = local_time(c, after, &t);
        if (r < 0)
            return r;
    }
    if (t < 0)
        return -ERANGE;
    *ret = (usec_t)t * USEC_PER_SEC + c->fraction;
    return 0;
}

int timestamp_parse_row(const char *s, size_t n, usec_t after, usec_t *ret, bool *ret_offset)
{
    Scan scan = { s, s + n };
    Civil c = { 0 };

    if (!take_date(&scan, &c) || (!take(&scan, "T") && !take(&scan, " ")) || !take_time(&scan, &c) ||
        !take_offset(&scan, &c))
        return -EINVAL;
    int r = civil_to_realtime(&c, after, ret);
    if (r < 0)
        return r;
    *ret_offset = c.has_offset;
    return 0;
}

/* ---- spans ---- */

int timespan_parse(const char *s, usec_t *ret)
{
    static const struct {
        const char *name;
        usec_t usec;
    } units[] = {
        { "us", 1 },
        { "ms", USEC_PER_MSEC },
        { "s", USEC_PER_SEC },
        { "sec", USEC_PER_SEC },
        { "second", USEC_PER_SEC },
        { "seconds", USEC_PER_SEC },
        { "m", USEC_PER_MINUTE },
        { "min", USEC_PER_MINUTE },
        { "minute", USEC_PER_MINUTE },
        { "minutes", USEC_PER_MINUTE },
        { "h", USEC_PER_HOUR },
        { "hr", USEC_PER_HOUR },
        { "hour", USEC_PER_HOUR },
        { "hours", USEC_PER_HOUR },
        { "d", USEC_PER_DAY },
        { "day", USEC_PER_DAY },
        { "days", USEC_PER_DAY },
        { "w", 7 * USEC_PER_DAY },
        { "week", 7 * USEC_PER_DAY },
        { "weeks", 7 * USEC_PER_DAY },
        { "M", 2629800 * USEC_PER_SEC }, /* systemd.time(7): 30.44 and 365.25 days */
        { "month", 2629800 * USEC_PER_SEC },
        { "months", 2629800 * USEC_PER_SEC },
        { "y", 31557600 * USEC_PER_SEC },
        { "year", 31557600 * USEC_PER_SEC },
        { "years", 31557600 * USEC_PER_SEC },
    };
    usec_t total = 0;
    const char *p = s + strspn(s, " ");

    if (!*p)
        return -EINVAL;
    while (*p) {
        char *end = NULL;
        if (*p < '0' || *p > '9')
            return -EINVAL;
        errno = 0;
        unsigned long long number = strtoull(p, &end, 10);
        if (errno != 0)
            return -errno;
        p = end + strspn(end, " ");
        size_t n = strspn(p, "Mabcdefghijklmnopqrstuvwxyz");
        usec_t unit = n == 0 && !*p ? USEC_PER_SEC : 0, part;
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
            if (strlen(units[i].name) == n && strncmp(units[i].name, p, n) == 0)
                unit = units[i].usec;
        if (unit == 0)
            return -EINVAL;
        if (__builtin_mul_overflow(number, unit, &part) || __builtin_add_overflow(total, part, &total))
            return -ERANGE;
        p += n + strspn(p + n, " ");
    }
    *ret = total;
    return 0;
}

/* ---- what --since takes ---- */

static int span_from_now(const char *s, size_t n, int sign, usec_t now, usec_t *ret)
{
    _cleanup_(freep) char *span = xstrndup(s, n);
    usec_t v = 0;

    int r = timespan_parse(span, &v);
    if (r < 0)
        return r;
    if (sign < 0 ? v > now : v > USEC_INFINITY - 1 - now)
        return -ERANGE;
    *ret = sign < 0 ? now - v : now + v;
    return 0;
}

static int at_seconds(const char *s, usec_t *ret)
{
    Scan scan = { s, s + strlen(s) };
    uint64_t seconds = 0;
    usec_t fraction = 0;

    _cleanup_(freep) char *whole = xstrndup(s, strcspn(s, "."));
    int r = parse_u64(whole, &seconds);
    if (r < 0)
        return r;
    scan.p += strlen(whole);
    if (take(&scan, ".") && !take_fraction(&scan, &fraction))
        return -EINVAL;
    if (scan.p != scan.end)
        return -EINVAL;
    if (seconds > UINT64_C(253402300799)) /* the last of the year 9999 */
        return -ERANGE;
    *ret = seconds * USEC_PER_SEC + fraction;
    return 0;
}

/* The date of `now` moved by so many days, at midnight. */
static Civil day_of(usec_t now, int days)
{
    time_t t = (time_t)(now / USEC_PER_SEC);
    struct tm tm = { 0 };

    localtime_r(&t, &tm);
    tm.tm_mday += days;
    tm.tm_hour = 12; /* no clock is changed at noon */
    tm.tm_isdst = -1;
    mktime(&tm);
    return (Civil){ .year = tm.tm_year + 1900, .month = tm.tm_mon + 1, .day = tm.tm_mday };
}

static int named_time(const char *s, usec_t now, usec_t *ret)
{
    static const struct {
        const char *name;
        int days;
    } names[] = { { "yesterday", -1 }, { "today", 0 }, { "tomorrow", 1 } };

    if (streq(s, "now")) {
        *ret = now;
        return 0;
    }
    for (size_t i = 0; i < ELEMENTSOF(names); i++)
        if (streq(s, names[i].name)) {
            Civil c = day_of(now, names[i].days);
            int r = civil_to_realtime(&c, 0, ret);
            c.hour = 1; /* where the clocks change at midnight, the day starts at one */
            return r == -EDOM ? civil_to_realtime(&c, 0, ret) : r;
        }
    return -ENOENT;
}

int timestamp_parse(const char *s, usec_t now, usec_t *ret)
{
    size_t n = strlen(s);
    Scan scan = { s, s + n };
    Civil c = { 0 };

    int r = named_time(s, now, ret);
    if (r != -ENOENT)
        return r;
    if (*s == '@')
        return at_seconds(s + 1, ret);
    if (*s == '-' || *s == '+')
        return span_from_now(s + 1, n - 1, *s == '-' ? -1 : 1, now, ret);
    if (n > 4 && streq(s + n - 4, " ago"))
        return span_from_now(s, n - 4, -1, now, ret);
    if (take_date(&scan, &c)) {
        if (scan.p < scan.end && !((take(&scan, "T") || take(&scan, " ")) && take_time(&scan, &c)))
            return -EINVAL;
    } else {
        scan.p = s;
        c = day_of(now, 0);
        if (!take_time(&scan, &c))
            return -EINVAL;
    }
    return take_offset(&scan, &c) ? civil_to_realtime(&c, 0, ret) : -EINVAL;
}

const char *timestamp_format(char buf[static TIMESTAMP_MAX], usec_t realtime, TimestampStyle style)
{
    time_t t = (time_t)(realtime / USEC_PER_SEC);
    struct tm tm = { 0 };
    bool known = style == TIMESTAMP_UTC ? gmtime_r(&t, &tm) : localtime_r(&t, &tm);
    size_t n = 0, size = TIMESTAMP_MAX - 1;

    if (known && style == TIMESTAMP_PEOPLE)
        n = strftime(buf, size, "%Y-%m-%d %H:%M", &tm);
    else if (known && style == TIMESTAMP_OFFSET)
        n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S%z", &tm);
    else if (known)
        n = strftime(buf, size, style == TIMESTAMP_UTC ? "%Y-%m-%dT%H:%M:%SZ" : "%Y-%m-%dT%H:%M:%S", &tm);
    if (n == 0)
        snprintf(buf, TIMESTAMP_MAX, "?");
    else if (style == TIMESTAMP_OFFSET) { /* strftime writes +0100; beside a time with colons it is +01:00 */
        memmove(buf + n - 1, buf + n - 2, 3);
        buf[n - 2] = ':';
    }
    return buf;
}
