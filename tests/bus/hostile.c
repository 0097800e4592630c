/* SPDX-License-Identifier: BSD-3-Clause */
/* Calls of somebody who means ill, over connections of his own. Prints "ready" when they are there, and what
 * came back, as a line of JSON, when all is answered or the time is over.
 *
 * hostile BUS-ADDRESS UID METHOD [NAME=VALUE]…, as root:
 *   UID             whom to play
 *   METHOD          of org.relayalloc1.Manager
 *   size=BYTES      of its argument, a list with one text (0: it gets none)
 *   texts=N         or so many empty ones
 *   connections=1
 *   calls=N         of each connection
 *   in_flight=1     of each connection, without an answer
 *   seconds=10      after which it ends
 *   silent=0        1: no answers are wanted
 *   deaf=0          1: they are wanted, and not read
 *   interactive=0   1: somebody could be asked for a password
 *   control=0       1: to the name that is for root
 *   signal=BYTES    before each call, a signal of that size to that name */
#include "bus/api.h"
#include "core/util.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

typedef struct Attack Attack;

typedef struct Connection {
    Attack *attack;
    sd_bus *bus;
    uint64_t sent, waiting;
} Connection;

typedef struct Result {
    char *name;
    uint64_t n;
} Result;

struct Attack {
    const char *method;
    uint64_t size, texts, connections, calls, in_flight, seconds, silent, deaf, interactive, control, signal;
    Connection *list;
    Result results[16];
    sd_event *event;
};

static void count(Attack *a, const char *name)
{
    size_t i = 0;

    while (i + 1 < ELEMENTSOF(a->results) && a->results[i].name && !streq(a->results[i].name, name))
        i++;
    if (!a->results[i].name)
        a->results[i].name = xstrdup(name);
    a->results[i].n++;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Connection *c = userdata;

    (void)error;
    c->waiting--;
    count(c->attack, sd_bus_message_is_method_error(m, NULL) ? sd_bus_message_get_error(m)->name : "ok");
    return 0;
}

static int append_text(sd_bus_message *m, uint64_t size)
{
    _cleanup_(freep) char *text = xcalloc(size + 1, 1);

    memset(text, 'a', size);
    return sd_bus_message_append_basic(m, 's', text);
}

static int append_texts(const Attack *a, sd_bus_message *m)
{
    int r = sd_bus_message_open_container(m, 'a', "s");

    if (r >= 0 && a->size > 0)
        r = append_text(m, a->size);
    for (uint64_t i = 0; r >= 0 && i < a->texts; i++)
        r = sd_bus_message_append_basic(m, 's', "");
    return r < 0 ? r : sd_bus_message_close_container(m);
}

static int send_signal(const Connection *c)
{
    const Attack *a = c->attack;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = sd_bus_message_new_signal(c->bus, &m, BUS_PATH, BUS_MANAGER_INTERFACE, "Nonsense");

    if (r >= 0)
        r = sd_bus_message_set_destination(m, a->control > 0 ? BUS_CONTROL_NAME : BUS_NAME);
    if (r >= 0)
        r = append_text(m, a->signal);
    return r < 0 ? r : sd_bus_send(c->bus, m, NULL);
}

static int call(Connection *c)
{
    const Attack *a = c->attack;
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
    int r = a->signal > 0 ? send_signal(c) : 0;

    if (r >= 0)
        r = sd_bus_message_new_method_call(c->bus, &m,
                                           a->control > 0 && a->signal == 0 ? BUS_CONTROL_NAME : BUS_NAME,
                                           BUS_PATH, BUS_MANAGER_INTERFACE, a->method);
    if (r >= 0 && (a->size > 0 || a->texts > 0))
        r = append_texts(a, m);
    if (r >= 0)
        r = sd_bus_message_set_allow_interactive_authorization(m, a->interactive > 0);
    if (r < 0)
        return r;
    c->sent++;
    if (a->silent > 0 || a->deaf > 0)
        return sd_bus_send(c->bus, m, a->deaf > 0 ? &(uint64_t){ 0 } : NULL);
    c->waiting++;
    return sd_bus_call_async(c->bus, NULL, m, on_answer, c, USEC_PER_HOUR);
}

/* As much as may be on its way; true: there is more to come. */
static bool go_on(Connection *c)
{
    const Attack *a = c->attack;
    uint64_t queued = 0;
    int r = 0;

    while (r >= 0 && c->sent < a->calls && c->waiting < a->in_flight &&
           (a->silent == 0 || (sd_bus_get_n_queued_write(c->bus, &queued) >= 0 && queued < 16)))
        r = call(c);
    if (r < 0) {
        count(c->attack, strerror(-r));
        c->sent = a->calls;
    }
    (void)sd_bus_get_n_queued_write(c->bus, &queued);
    return c->sent < a->calls || c->waiting > 0 || queued > 0;
}

static int on_turn(sd_event_source *source, void *userdata)
{
    Attack *a = userdata;
    bool more = false;

    (void)source;
    for (uint64_t i = 0; i < a->connections; i++)
        more = go_on(&a->list[i]) || more;
    return more ? 0 : sd_event_exit(a->event, 0);
}

/* Only writes. */
static void shout(Attack *a)
{
    int r = 0;

    for (uint64_t n = 0; r >= 0 && n < a->calls; n++)
        for (uint64_t i = 0; r >= 0 && i < a->connections; i++) {
            r = call(&a->list[i]);
            if (r >= 0)
                r = sd_bus_flush(a->list[i].bus);
        }
    sleep((unsigned)a->seconds);
}

static int open_connection(Attack *a, const char *address, Connection *c)
{
    *c = (Connection){ .attack = a };
    int r = sd_bus_new(&c->bus);
    if (r >= 0)
        r = sd_bus_set_address(c->bus, address);
    if (r >= 0)
        r = sd_bus_set_bus_client(c->bus, true);
    if (r >= 0)
        r = sd_bus_start(c->bus);
    if (r >= 0)
        r = sd_bus_get_unique_name(c->bus, &(const char *){ NULL }); /* waits for it */
    return r < 0 ? r : sd_bus_attach_event(c->bus, a->event, 0);
}

static int read_option(Attack *a, const char *word)
{
    const struct {
        const char *name;
        uint64_t *value;
    } options[] = {
        { "size", &a->size },       { "texts", &a->texts },         { "connections", &a->connections },
        { "calls", &a->calls },     { "in_flight", &a->in_flight }, { "seconds", &a->seconds },
        { "silent", &a->silent },   { "deaf", &a->deaf },           { "interactive", &a->interactive },
        { "control", &a->control }, { "signal", &a->signal }
    };
    const char *equals = strchr(word, '=');

    for (size_t i = 0; equals && i < ELEMENTSOF(options); i++)
        if (strlen(options[i].name) == (size_t)(equals - word) &&
            strncmp(options[i].name, word, (size_t)(equals - word)) == 0)
            return parse_u64(equals + 1, options[i].value);
    return -EINVAL;
}

static int become(const char *uid)
{
    uint64_t id;

    if (parse_u64(uid, &id) < 0 || setgroups(0, NULL) < 0 || setresgid((gid_t)id, (gid_t)id, (gid_t)id) < 0 ||
        setresuid((uid_t)id, (uid_t)id, (uid_t)id) < 0)
        return -EPERM;
    return 0;
}

static void print(const Attack *a)
{
    uint64_t sent = 0, waiting = 0;

    for (uint64_t i = 0; i < a->connections; i++) {
        sent += a->list[i].sent;
        waiting += a->list[i].waiting;
    }
    printf("{\"sent\": %" PRIu64 ", \"waiting\": %" PRIu64, sent, waiting);
    for (size_t i = 0; i < ELEMENTSOF(a->results) && a->results[i].name; i++)
        printf(", \"%s\": %" PRIu64, a->results[i].name, a->results[i].n);
    puts("}");
}

int main(int argc, char *argv[])
{
    Attack a = { .connections = 1, .in_flight = 1, .seconds = 10 };
    int r = argc < 4 ? -EINVAL : become(argv[2]);

    for (int i = 4; r >= 0 && i < argc; i++)
        r = read_option(&a, argv[i]);
    if (r >= 0)
        r = sd_event_new(&a.event);
    a.method = argc < 4 ? "" : argv[3];
    a.list = xcalloc(a.connections, sizeof(*a.list));
    for (uint64_t i = 0; r >= 0 && i < a.connections; i++)
        r = open_connection(&a, argv[1], &a.list[i]);
    if (r >= 0)
        r = sd_event_add_time_relative(a.event, NULL, CLOCK_MONOTONIC, a.seconds * USEC_PER_SEC, 0, NULL,
                                       NULL);
    if (r >= 0)
        r = sd_event_add_post(a.event, NULL, on_turn, &a);
    if (r >= 0) {
        puts("ready");
        fflush(stdout);
        if (a.deaf > 0)
            shout(&a);
        else if (on_turn(NULL, &a) >= 0)
            r = sd_event_loop(a.event);
    }
    if (r < 0)
        fprintf(stderr, "hostile: %s\n", strerror(-r));
    print(&a);
    return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
