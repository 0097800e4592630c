/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/journal.h"

#include "core/dropin.h"
#include "core/timestamp.h"

#include <errno.h>
#include <getopt.h>

/* More rows than this are not for the eye; report and export read without such a bound. */
#define ROWS_MAX 1000000

static int read_time(const char *option, const char *value, usec_t *ret)
{
    if (timestamp_parse(value, ctl_now(), ret) >= 0)
        return 0;
    ctl_error("--%s=%s: not a time; write it like \"2026-01-08 06:00\", \"yesterday\" or \"-3d\"", option,
              value);
    return EXIT_USAGE;
}

static int read_lines(const char *value, JournalOptions *o)
{
    uint64_t n = 0;

    o->lines_set = true;
    if (streq(value, "all")) {
        o->lines = SIZE_MAX;
        return 0;
    }
    if (parse_u64(value, &n) < 0 || n > ROWS_MAX) {
        ctl_error("--lines=%s: must be a number up to %d, or \"all\"", value, ROWS_MAX);
        return EXIT_USAGE;
    }
    o->lines = (size_t)n;
    return 0;
}

int journal_options_read(int argc, char *argv[], bool may_follow, JournalOptions *ret)
{
    static const struct option long_options[] = {
        { "since", required_argument, NULL, 'S' },     { "until", required_argument, NULL, 'U' },
        { "lines", required_argument, NULL, 'n' },     { "follow", no_argument, NULL, 'f' },
        { "directory", required_argument, NULL, 'D' }, { 0 },
    };
    JournalOptions o = { .until = USEC_INFINITY, .lines = SIZE_MAX };
    int r = 0;

    opterr = 0;
    optind = 0;
    for (int c; r == 0 && (c = getopt_long(argc, argv, ":S:U:n:fD:", long_options, NULL)) != -1;)
        if (c == 'S') {
            r = read_time("since", optarg, &o.since);
        } else if (c == 'U') {
            r = read_time("until", optarg, &o.until);
        } else if (c == 'n') {
            r = read_lines(optarg, &o);
        } else if (c == 'D') {
            o.directory = optarg;
        } else if (c == 'f' && may_follow) {
            o.follow = true;
        } else {
            r = ctl_bad_option(c, argv);
        }
    if (r == 0 && o.follow && o.until != USEC_INFINITY) {
        ctl_error("--follow and --until cannot be combined");
        r = EXIT_USAGE;
    }
    if (r != 0)
        return r;
    o.operands = argv + optind;
    *ret = o;
    return 0;
}

/* The root folder of a container, as machined notes it (readable by root). */
static char *machine_root(const char *machine)
{
    _cleanup_(freep) char *path = xasprintf("/run/systemd/machines/%s", machine);
    _cleanup_(fclosep) FILE *f = strchr(machine, '/') ? NULL : fopen(path, "re");
    char text[16384];

    if (!f)
        return NULL;
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    _cleanup_(strv_freep) char **state = environment_file_parse(text);
    return xstrdup(strv_env_get(state, "ROOT"));
}

int journal_open(const CtlOptions *options, const JournalOptions *wanted, sd_journal **ret)
{
    _cleanup_(sd_journal_closep) sd_journal *j = NULL;
    int r = 0;

    if (options->host) {
        ctl_error("the journal of another host cannot be read over its bus; run relayallocctl there");
        return EXIT_USAGE;
    }
    if (wanted->directory) {
        r = sd_journal_open_directory(&j, wanted->directory, 0);
    } else if (options->machine && !streq(options->machine, ".host")) {
        _cleanup_(freep) char *root = machine_root(options->machine);
        r = root ? sd_journal_open_directory(&j, root, SD_JOURNAL_OS_ROOT) : -ENOENT;
    } else {
        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
    }
    if (r >= 0)
        r = sd_journal_set_data_threshold(j, 0); /* a fleet's rows are one long field */
    if (r < 0) {
        ctl_error("cannot open the journal%s%s: %s", wanted->directory || options->machine ? " of " : "",
                  wanted->directory  ? wanted->directory
                  : options->machine ? options->machine
                                     : "",
                  strerror(-r));
        return EXIT_FAILED;
    }
    /* Files that may not be read are left out in silence; with none left there is nothing to say. */
    uint64_t readable = 0;
    if (geteuid() != 0 && !wanted->directory && sd_journal_get_usage(j, &readable) >= 0 && readable == 0) {
        ctl_error("not allowed to read the journal; run as root or as a member of the group systemd-journal");
        return EXIT_FAILED;
    }
    *ret = TAKE_PTR(j);
    return 0;
}

int journal_match(sd_journal *j, const char *field, const char *value)
{
    _cleanup_(freep) char *match = xasprintf("%s=%s", field, value);

    return sd_journal_add_match(j, match, 0);
}

int journal_match_events(sd_journal *j)
{
    int r = journal_match(j, "_UID", "0");

    for (int kind = 0; r >= 0 && kind < _MESSAGE_MAX; kind++)
        if (kind != MESSAGE_SAMPLE_RELAY && kind != MESSAGE_SAMPLE_FLEET)
            r = journal_match(j, "MESSAGE_ID", message_id((MessageKind)kind));
    return r;
}

char *journal_field(sd_journal *j, const char *name)
{
    const void *data = NULL;
    size_t size = 0, skip = strlen(name) + 1;

    if (sd_journal_get_data(j, name, &data, &size) < 0 || size < skip)
        return NULL;
    char *value = xstrndup((const char *)data + skip, size - skip);
    for (char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
    return value;
}

int journal_walk_back(sd_journal *j, const JournalOptions *wanted, JournalTake take, void *userdata)
{
    size_t taken = 0, most = wanted->lines < ROWS_MAX ? wanted->lines : ROWS_MAX;
    int r = wanted->until == USEC_INFINITY ? sd_journal_seek_tail(j)
                                           : sd_journal_seek_realtime_usec(j, wanted->until + 1);

    while (r >= 0 && taken < most && (r = sd_journal_previous(j)) > 0) {
        usec_t t = 0;
        r = sd_journal_get_realtime_usec(j, &t);
        if (r < 0 || t < wanted->since)
            break;
        if (t > wanted->until)
            continue;
        r = take(j, t, userdata);
        taken += r > 0;
    }
    return r < 0 ? r : 0;
}

int journal_follow(sd_journal *j, JournalTake take, void *userdata)
{
    for (;;) {
        int r;
        while ((r = sd_journal_next(j)) > 0) {
            usec_t t = 0;
            r = sd_journal_get_realtime_usec(j, &t);
            if (r >= 0)
                r = take(j, t, userdata);
            if (r < 0)
                return r;
        }
        if (r >= 0)
            r = sd_journal_wait(j, UINT64_MAX);
        if (r < 0)
            return r;
    }
}

void journal_hint_nothing(const CtlOptions *options, const JournalOptions *wanted)
{
    if (geteuid() != 0 && !wanted->directory && !options->quiet)
        fputs("Only the entries that you may read were searched; root and members of the group "
              "systemd-journal may read all.\n",
              stderr);
}
