/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/source.h"

#include "core/timestamp.h"

#include <errno.h>
#include <time.h>

static void source_init(CtlSource *source, const CtlOptions *options)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    *source = (CtlSource){
        .now = (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000,
        .until = USEC_INFINITY,
        .options = options,
        .quiet = options->quiet,
    };
}

static bool take_option(CtlSource *source, int c, const char *value)
{
    switch (c) {
    case 'S':
        source->since_text = value;
        return true;
    case 'U':
        source->until_text = value;
        return true;
    case 'D':
        source->journal.directory = value;
        return true;
    case 'm':
        source->journal.merge = true;
        return true;
    case SOURCE_OPTION_FILE:
        source->file = value;
        return true;
    case SOURCE_OPTION_AT:
        source->at_text = value;
        return true;
    case SOURCE_OPTION_WARMUP:
        source->warmup_text = value;
        return true;
    case SOURCE_OPTION_BANDWIDTH:
        source->bandwidth = value;
        return true;
    default:
        return false;
    }
}

/* ":", then the letters of those that have one. */
static void short_options(const struct option *option, char ret[static 64])
{
    *ret++ = ':';
    for (; option->name; option++)
        if (option->val < SOURCE_OPTION_FILE) {
            *ret++ = (char)option->val;
            if (option->has_arg == required_argument)
                *ret++ = ':';
        }
    *ret = '\0';
}

int ctl_source_arguments(int argc, char *argv[], const CtlOptions *options, const struct option *long_options,
                         SourceOptionFunc *take, void *userdata, CtlSource *ret, char *const **ret_operands)
{
    char letters[64];

    short_options(long_options, letters);
    source_init(ret, options);
    optind = 0;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, letters, long_options, NULL)) != -1;) {
        if (c == ':' || c == '?')
            return ctl_bad_option(c, argv);
        int r = take_option(ret, c, optarg) ? 0 : take(c, optarg, userdata);
        if (r != 0)
            return r;
    }
    if (ret_operands) {
        *ret_operands = argv + optind;
    } else if (optind < argc) {
        ctl_error("%s takes no operand \"%s\"", argv[0], argv[optind]);
        return EXIT_USAGE;
    }
    return 0;
}

static int take_time(const CtlSource *source, const char *option, const char *text, usec_t *ret)
{
    if (!text)
        return 0;
    int r = timestamp_parse(text, source->now, ret);
    if (r == 0)
        return 0;
    ctl_error("--%s=%s: %s", option, text,
              r == -EDOM     ? "the clocks skipped this local time"
              : r == -ERANGE ? "out of range"
                             : "not a time; write it like \"2026-01-08 06:00\", \"yesterday\" or \"-3d\"");
    return EXIT_USAGE;
}

/* Whose journal? */
static int check_place(CtlSource *source)
{
    const CtlOptions *options = source->options;

    if (options->host && !source->file && !source->journal.directory && !source->journal.merge) {
        ctl_error("the journal of another host cannot be read with --host; run relayallocctl there, or "
                  "collect it with systemd-journal-remote and use --directory=DIR --host=NAME");
        return EXIT_USAGE;
    }
    source->journal.hosts = options->host;
    if (!options->machine)
        return 0;
    if (source->file || source->journal.directory || source->journal.merge) {
        ctl_error("--machine and --%s cannot be combined", source->file                ? "file"
                                                           : source->journal.directory ? "directory"
                                                                                       : "merge");
        return EXIT_USAGE;
    }
    if (!streq(options->machine, ".host"))
        source->journal.machine = options->machine;
    return 0;
}

int ctl_source_check(CtlSource *source)
{
    if (take_time(source, "since", source->since_text, &source->since) != 0 ||
        take_time(source, "until", source->until_text, &source->until) != 0 ||
        take_time(source, "at", source->at_text, &source->at) != 0)
        return EXIT_USAGE;
    if (source->warmup_text) {
        source->warmup_given = true;
        if (timespan_parse(source->warmup_text, &source->warmup) < 0) {
            ctl_error("--warmup=%s: not a time span; write it like \"48h\" or \"90min\"",
                      source->warmup_text);
            return EXIT_USAGE;
        }
    }
    if (source->file && !*source->file) {
        ctl_error("--file=: the name of the file is empty");
        return EXIT_USAGE;
    }
    if (source->file && ctl_not_into(source->file) != 0)
        return EXIT_USAGE;
    if (source->bandwidth && ctl_not_into(source->bandwidth) != 0)
        return EXIT_USAGE;
    if (source->file && (source->journal.directory || source->journal.merge)) {
        ctl_error("--file and --%s cannot be combined", source->journal.directory ? "directory" : "merge");
        return EXIT_USAGE;
    }
    if (source->journal.directory && source->journal.merge) {
        ctl_error("--directory and --merge cannot be combined; all journals of a directory are read anyway");
        return EXIT_USAGE;
    }
    if (source->at > 0) {
        if (source->until_text) {
            ctl_error("--at and --until cannot be combined");
            return EXIT_USAGE;
        }
        source->until = source->at;
    }
    if (source->since > source->until) {
        ctl_error("--since is after --%s", source->at > 0 ? "at" : "until");
        return EXIT_USAGE;
    }
    return check_place(source);
}

const char *ctl_source_name(const CtlSource *source)
{
    if (source->file)
        return streq(source->file, "-") ? "standard input" : source->file;
    if (source->journal.machine)
        return source->journal.machine;
    return source->journal.directory ? source->journal.directory : "the journal";
}

int ctl_source_nothing(CtlSource *source)
{
    source->nothing = true;
    if (source->since_text || source->until_text || source->at_text)
        ctl_error("%s: there are no samples in that time", ctl_source_name(source));
    else if (source->journal.hosts)
        ctl_error("%s: there are no samples of a host named \"%s\"", ctl_source_name(source),
                  source->journal.hosts);
    else
        ctl_error("%s: there are no samples of relays%s", ctl_source_name(source),
                  source->file ? "" : "; relayallocd logs them while it runs");
    return EXIT_FAILED;
}

int ctl_source_failed(const CtlSource *source, int r)
{
    const char *where = ctl_source_name(source);

    if (r == -EACCES)
        ctl_error("%s: not allowed to read it; run as root or as a member of the group systemd-journal",
                  where);
    else if (r == -ENOENT && source->journal.machine)
        ctl_error("%s: there is no container with this name", where);
    else
        ctl_error("%s: %s", where, strerror(-r));
    return EXIT_FAILED;
}

int ctl_source_open(const CtlSource *source, JournalReader **ret)
{
    int r = journal_reader_open(&source->journal, ret);

    return r < 0 ? ctl_source_failed(source, r) : 0;
}

void ctl_source_complain(const JournalReader *reader)
{
    STRV_FOREACH (c, journal_reader_complaints(reader))
        ctl_error("%s", *c);
}

int ctl_source_samples(const CtlSource *source, JournalSampleFunc *func, void *userdata)
{
    _cleanup_(journal_reader_freep) JournalReader *reader = NULL;
    const JournalQuery query = { .since = source->since, .until = source->until };
    int r = ctl_source_open(source, &reader);

    if (r != 0)
        return r;
    r = journal_read_samples(reader, &query, func, userdata);
    ctl_source_complain(reader);
    return r < 0 ? ctl_source_failed(source, r) : 0;
}
