/* SPDX-License-Identifier: BSD-3-Clause */
/* Scans /proc/PID/status for four lines, in one pass and by hand: it runs for every relay every minute. Never
 * guesses: a wanted line or number that cannot be read is an error. */
#include "core/rss.h"

#include <assert.h>
#include <errno.h>

/* "   13632 kB", up to the end of the line. */
static int parse_kb(const char *p, const char *end, uint64_t *ret)
{
    static const char unit[] = " kB";
    uint64_t v = 0;

    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    const char *digits = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return -EINVAL;
    if (p == digits || (size_t)(end - p) != sizeof(unit) - 1 || memcmp(p, unit, sizeof(unit) - 1) != 0)
        return -EINVAL;
    return __builtin_mul_overflow(v, 1024, ret) ? -EINVAL : 0;
}

int memory_from_status(const char *status, Memory *ret)
{
    enum { RSS, ANON, SWAP, HWM, N };
    static const char *const keys[N] = {
        [RSS] = "VmRSS:", [ANON] = "RssAnon:", [SWAP] = "VmSwap:", [HWM] = "VmHWM:"
    };
    uint64_t values[N] = { 0 };
    bool found[N] = { false };
    unsigned left = N;

    assert(status);
    for (const char *line = status; *line && left > 0;) {
        const char *end = strchrnul(line, '\n');
        for (size_t i = 0; i < N && (*line == 'V' || *line == 'R'); i++) {
            size_t n = strlen(keys[i]);
            if (found[i] || strncmp(line, keys[i], n) != 0)
                continue;
            int r = parse_kb(line + n, end, &values[i]);
            if (r < 0)
                return r;
            found[i] = true;
            left--;
            break;
        }
        line = *end ? end + 1 : end;
    }
    if (!found[RSS])
        return -ENODATA;

    *ret = (Memory){
        .rss = values[RSS],
        .anon = values[ANON],
        .swap = values[SWAP],
        .hwm = found[HWM] ? values[HWM] : values[RSS],
    };
    return 0;
}

int memory_from_statm(const char *statm, uint64_t page, Memory *memory)
{
    enum { SIZE, RESIDENT, SHARED, N };
    uint64_t bytes[N];

    for (size_t i = 0; i < N; i++) {
        char *end;

        errno = 0;
        const unsigned long long pages = strtoull(statm, &end, 10);
        if (*statm < '0' || *statm > '9' || *end != ' ' || errno != 0 ||
            __builtin_mul_overflow(pages, page, &bytes[i]))
            return -EINVAL;
        statm = end + 1;
    }
    if (bytes[SIZE] == 0)
        return -ENODATA;
    memory->rss = bytes[RESIDENT];
    memory->anon = bytes[RESIDENT] > bytes[SHARED] ? bytes[RESIDENT] - bytes[SHARED] : 0;
    memory->hwm = memory->hwm > memory->rss ? memory->hwm : memory->rss;
    return 0;
}

bool memory_fell(const Memory *before, const Memory *now)
{
    return now->rss < before->rss - before->rss / 32;
}
