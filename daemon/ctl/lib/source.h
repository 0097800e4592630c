/* SPDX-License-Identifier: BSD-3-Clause */
/* Where report, export, experiment and recommend take their samples from: the options that they share, and
 * the journal that they name. Says what could not be read; knows nothing of the outcome. */
#pragma once

#include "ctl/lib/ctl.h"
#include "io/journal.h"
#include "report/grouping.h"

#include <getopt.h>

typedef struct CtlSource {
    const char *file; /* a table of measurements; NULL: the journal */
    JournalSource journal;
    const char *since_text, *until_text, *at_text, *warmup_text;
    usec_t now, since, until, at;
    usec_t warmup;
    bool warmup_given;
    bool quiet;
    bool relays_only;      /* which allocator ran does not matter */
    const char *groups;    /* a table of groups, in place of those of the samples; NULL */
    const char *bandwidth; /* a table of it, in place of the traffic in the journal; NULL */
    const CtlOptions *options;
    /* what reading found */
    bool nothing;                  /* no samples, which was said */
    Grouping grouping;             /* while it reads */
    bool has_group, has_allocator; /* of a table: some row has one */
    bool from_config; /* allocators and groups are those of the configuration: assigned, not proved */
} CtlSource;

/* The options as getopt_long wants them; their values are above those of any letter. */
enum {
    SOURCE_OPTION_FILE = 0x1000,
    SOURCE_OPTION_AT,
    SOURCE_OPTION_WARMUP,
    SOURCE_OPTION_BANDWIDTH, /* not for all verbs */
    SOURCE_OPTION_END,
};
#define SOURCE_LONG_OPTIONS                                                                                  \
    { "since", required_argument, NULL, 'S' }, { "until", required_argument, NULL, 'U' },                    \
        { "directory", required_argument, NULL, 'D' }, { "merge", no_argument, NULL, 'm' },                  \
        { "file", required_argument, NULL, SOURCE_OPTION_FILE },                                             \
        { "at", required_argument, NULL, SOURCE_OPTION_AT },                                                 \
    {                                                                                                        \
        "warmup", required_argument, NULL, SOURCE_OPTION_WARMUP                                              \
    }

/* Takes one of the verb's own options. 0, or EXIT_USAGE after a message. */
typedef int SourceOptionFunc(int c, const char *value, void *userdata);
/* The arguments of a verb: those of SOURCE_LONG_OPTIONS that are in `long_options` go to *ret, the others to
 * take(), which may be NULL. `ret_operands` NULL: it takes none. 0, or EXIT_USAGE after a message; then comes
 * ctl_source_check(). */
int ctl_source_arguments(int argc, char *argv[], const CtlOptions *options, const struct option *long_options,
                         SourceOptionFunc *take, void *userdata, CtlSource *ret, char *const **ret_operands);
/* To be called when all options are read. 0, or EXIT_USAGE after a message. */
int ctl_source_check(CtlSource *source);

/* For messages: the file, the container, the directory. */
const char *ctl_source_name(const CtlSource *source);
/* Says that there are no samples, and returns EXIT_FAILED. */
int ctl_source_nothing(CtlSource *source);

/* Opens the journal. 0, or an ExitStatus after a message. */
int ctl_source_open(const CtlSource *source, JournalReader **ret);
/* Says that it cannot be read; EXIT_FAILED. */
int ctl_source_failed(const CtlSource *source, int r);
/* Says what could not be read of it. */
void ctl_source_complain(const JournalReader *reader);

/* Passes on all samples of the journal in the time asked for. 0, or an ExitStatus after a message. */
int ctl_source_samples(const CtlSource *source, JournalSampleFunc *func, void *userdata);
