/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemons of several hosts, asked at once over SSH (-H a,b,c). One that cannot be reached costs its own
 * answer and a message on stderr, and the others no more than HOSTS_TIMEOUT. */
#pragma once

#include "ctl/lib/ctl.h"

#define HOSTS_TIMEOUT (25 * USEC_PER_SEC) /* as long as sd-bus waits for any answer */

typedef struct HostAnswer {
    char *host;
    sd_bus_message *reply; /* NULL: none; a message has said why */
} HostAnswer;

typedef struct HostAnswers {
    HostAnswer *items; /* in the order in which -H names the hosts */
    size_t n;
    bool complete; /* each has a reply */
} HostAnswers;
void host_answers_clear(HostAnswers *answers);

/* Does -H name more than one? */
bool hosts_several(const CtlOptions *options);

/* One call to each; `make` makes it for a bus, without a destination. 0, or a negative errno after a message;
 * that nobody answers is no error. */
int hosts_ask(const CtlOptions *options, int (*make)(sd_bus *bus, const void *userdata, sd_bus_message **ret),
              const void *userdata, HostAnswers *ret);

/* A host of -H without the user. */
const char *hosts_label(const char *host);
/* The label of the one host of -H, the machine of -M, or the name of this host. Owned by the caller. */
char *hosts_name(const CtlOptions *options);
