/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/last.h"

/* More rows than this are not for people to read; report and export read without such a bound. */
#define ROWS_MAX 1000000

static int read_lines(const char *value, CtlLast *last)
{
    uint64_t n = 0;

    last->lines_set = true;
    if (streq(value, "all"))
        return 0;
    if (parse_u64(value, &n) < 0 || n > ROWS_MAX) {
        ctl_error("--lines=%s: must be a number up to %d, or \"all\"", value, ROWS_MAX);
        return EXIT_USAGE;
    }
    last->lines = (size_t)n;
    return 0;
}

static int take_option(int c, const char *value, void *userdata)
{
    CtlLast *last = userdata;

    if (c == 'n')
        return read_lines(value, last);
    last->follow = true;
    return 0;
}

int ctl_last_arguments(int argc, char *argv[], const CtlOptions *options, bool may_follow, CtlLast *ret)
{
    static const struct option long_options[] = {
        { "follow", no_argument, NULL, 'f' },
        { "since", required_argument, NULL, 'S' },
        { "until", required_argument, NULL, 'U' },
        { "lines", required_argument, NULL, 'n' },
        { "directory", required_argument, NULL, 'D' },
        { "merge", no_argument, NULL, 'm' },
        { 0 },
    };

    *ret = (CtlLast){ .lines = SIZE_MAX };
    int r = ctl_source_arguments(argc, argv, options, long_options + (may_follow ? 0 : 1), take_option, ret,
                                 &ret->source, &ret->operands);
    if (r != 0)
        return r;
    if (ret->follow && ret->source.until_text) {
        ctl_error("--follow and --until cannot be combined");
        return EXIT_USAGE;
    }
    return ctl_source_check(&ret->source);
}

bool ctl_last_gathered(const CtlLast *last)
{
    return last->source.journal.directory || last->source.journal.merge;
}

size_t ctl_last_hosts(const JournalList *list)
{
    const char *first = NULL;

    for (size_t i = 0; i < list->n; i++) {
        const JournalItem *item = &list->items[i];
        const char *host = list->samples ? item->sample.host : item->event.host;
        if (first && !streq(first, host))
            return 2;
        first = host;
    }
    return first != NULL;
}

JournalQuery ctl_last_query(const CtlLast *last)
{
    return (JournalQuery){ .since = last->source.since, .until = last->source.until };
}
