/* SPDX-License-Identifier: BSD-3-Clause */
/* The samples of a source, a table or a journal, read into a Series: with the groups of a table of groups,
 * the allocators of a configuration, and the bandwidth of a table where these are asked for. */
#pragma once

#include "ctl/lib/source.h"
#include "report/series.h"

typedef enum SamplesBy {
    SAMPLES_BY_DEFAULT, /* by allocator where there are any, else by group */
    SAMPLES_BY_ALLOCATOR,
    SAMPLES_BY_GROUP,
    SAMPLES_BY_HOST,
} SamplesBy;

/* Called for each event of the journal in the time asked for, when not NULL. */
typedef struct SamplesEvents {
    JournalEventFunc *func;
    void *userdata;
} SamplesEvents;

/* Reads all samples into *ret, finished, to be cleared. 0, or an ExitStatus after a message. */
int ctl_samples_read(CtlSource *source, SamplesBy by, const SamplesEvents *events, Series *ret);
