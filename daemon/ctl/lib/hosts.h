/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemons of several hosts, asked at once over SSH (-H a,b,c). One that cannot be reached costs its own
 * answer and a message on stderr, and the others no more than HOSTS_TIMEOUT. */
#pragma once

#include "ctl/lib/ctl.h"

#define HOSTS_TIMEOUT (25 * USEC_PER_SEC) /* as long as sd-bus waits for any answer */
#define HOST_LOGIN                                                                                           \
    (2 * USEC_PER_MINUTE) /* one host, and somebody is there whom ssh may ask for a password                 \
                           */

/* Are these (the argument of -H) names of hosts? 0, or EXIT_USAGE after a message. */
int hosts_check(const char *list);

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

/* Waits until the bus of the one host of -H is there, on which no call of sd-bus has a bound. 0, or a
 * negative errno after a message unless `quietly`; `bus` is then to be closed and not to be flushed. */
int hosts_wait(sd_bus *bus, const char *host, bool quietly);

/* One call to each; a host that is named twice is asked once. ssh asks nobody: several would at once. `make`
 * makes it for a bus, without a destination. 0, or a negative errno after a message; that nobody answers is
 * no error. */
int hosts_ask(const CtlOptions *options, int (*make)(sd_bus *bus, const void *userdata, sd_bus_message **ret),
              const void *userdata, HostAnswers *ret);

/* A host of -H without the user. */
const char *hosts_label(const char *host);
/* The label of the one host of -H, the machine of -M, or the name of this host. Owned by the caller. */
char *hosts_name(const CtlOptions *options);
