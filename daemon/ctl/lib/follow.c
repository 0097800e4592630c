/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/follow.h"

#include "bus/api.h"
#include "ctl/lib/manager.h"

#include <errno.h>
#include <signal.h>

#define TICK USEC_PER_SEC               /* the time left changes without signals */
#define POLL (5 * USEC_PER_SEC)         /* and a signal may be lost */
#define START_LIMIT (10 * USEC_PER_SEC) /* within it, a planned rollout must have started */

struct Follow {
    const CtlOptions *options;
    sd_bus *bus;
    sd_bus_slot *changed, *rollout;
    uint64_t before; /* id of the last rollout that had ended before we started */
    bool stale;      /* a signal came since the facts were read */
    bool terminal;
    char *shown; /* the line that was last shown */
};

Follow *follow_free(Follow *follow)
{
    if (!follow)
        return NULL;
    sd_bus_slot_unref(follow->changed);
    sd_bus_slot_unref(follow->rollout);
    sd_bus_unref(follow->bus);
    free(follow->shown);
    free(follow);
    return NULL;
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
    Follow *follow = userdata;

    (void)m;
    (void)error;
    follow->stale = true;
    return 0;
}

int follow_new(const CtlOptions *options, sd_bus *bus, Follow **ret)
{
    _cleanup_(follow_freep) Follow *follow = xcalloc(1, sizeof(*follow));
    _cleanup_(manager_status_clear) ManagerStatus facts = { 0 };
    const char *term = getenv("TERM");

    follow->options = options;
    follow->bus = sd_bus_ref(bus);
    follow->terminal = isatty(STDOUT_FILENO) && !isempty(term) && !streq(term, "dumb");
    int r = sd_bus_match_signal(bus, &follow->changed, BUS_NAME, BUS_PATH, "org.freedesktop.DBus.Properties",
                                "PropertiesChanged", on_signal, follow);
    if (r >= 0)
        r = sd_bus_match_signal(bus, &follow->rollout, BUS_NAME, BUS_PATH, BUS_MANAGER_INTERFACE,
                                "RolloutChanged", on_signal, follow);
    if (r < 0) {
        ctl_error("cannot listen to the daemon: %s", strerror(-r));
        return r;
    }
    r = manager_status_get(bus, SAY_ALL, &facts);
    if (r < 0)
        return r;
    /* One that is already in progress is followed, too: saving the file was enough to start it. */
    bool goes = streq_null(facts.rollout, "running") || streq_null(facts.rollout, "waiting") ||
                streq_null(facts.rollout, "ending");
    follow->before = goes && facts.id > 0 ? facts.id - 1 : facts.id;
    *ret = TAKE_PTR(follow);
    return 0;
}

/* ---- what is shown ---- */

static char *progress_bar(size_t width, uint32_t done, uint32_t total)
{
    bool utf8 = ctl_utf8();
    size_t full = total > 0 ? width * done / total : 0, size = 0;
    char *text = NULL;

    FILE *f = open_memstream(&text, &size);
    if (!f)
        abort();
    for (size_t i = 0; i < width; i++)
        fputs(i < full ? (utf8 ? "█" : "#") : (utf8 ? "░" : "."), f);
    fclose(f);
    return text;
}

/* `left`: the time left in words, "" when it is not shown. */
static char *describe(const ManagerStatus *m, const char *left)
{
    bool runs = streq(m->rollout, "running");

    /* with a reason it waits for something else */
    _cleanup_(freep) char *window = streq(m->rollout, "waiting") && !isempty(m->window) && isempty(m->reason)
                                        ? xasprintf(" for the window %s", m->window)
                                        : xstrdup("");

    return xasprintf("wave %u of %u, %u of %u relays moved, %u failed%s%s%s%s%s%s", m->wave, m->waves,
                     m->done, m->total, m->failed, left, runs ? "" : "; ", runs ? "" : m->rollout, window,
                     isempty(m->reason) ? "" : ": ", isempty(m->reason) ? "" : m->reason);
}

static void show_terminal(const ManagerStatus *m)
{
    size_t width = ctl_terminal_width(), bar_width = width >= 60 ? 20 : 10;
    _cleanup_(freep) char *bar = progress_bar(bar_width, m->done + m->failed, m->total), *text = NULL,
                          *left = NULL;
    char span[FORMAT_SPAN_MAX];
    usec_t now = ctl_now();

    left = m->ends > now ? xasprintf(", %s left", format_span(span, m->ends - now)) : xstrdup("");
    if (width >= 60)
        text = describe(m, left);
    else
        text =
            xasprintf("%u/%u%s%s", m->done + m->failed, m->total, m->failed > 0 ? " (failures)" : "", left);
    /* A line that wraps could not be overwritten. */
    ctl_shorten(&text, width > bar_width + 2 ? width - bar_width - 2 : 0);
    printf("\r%s %s\033[K", bar, text);
    fflush(stdout);
}

static void show_line(Follow *follow, const ManagerStatus *m)
{
    _cleanup_(freep) char *line = describe(m, "");

    if (follow->shown && streq(follow->shown, line))
        return;
    puts(line);
    fflush(stdout);
    free(follow->shown);
    follow->shown = TAKE_PTR(line);
}

static void show(Follow *follow, const ManagerStatus *m)
{
    if (!ctl_chatty(follow->options) || m->id == follow->before || isempty(m->rollout))
        return;
    if (follow->terminal)
        show_terminal(m);
    else
        show_line(follow, m);
}

static bool is_stuck(const ManagerStatus *m)
{
    return streq_null(m->rollout, "halted") || streq_null(m->rollout, "aborted");
}

static int show_end(Follow *follow, const ManagerStatus *m)
{
    const bool early = streq_null(m->result, "superseded");
    const bool fine = early || isempty(m->result) || streq(m->result, "done") || streq(m->result, "none");

    if (follow->terminal && ctl_chatty(follow->options))
        fputs("\r\033[K", stdout);
    if (m->id == follow->before && is_stuck(m)) {
        ctl_error("the rollout was already %s%s%s; \"relayallocctl resume\" continues it", m->rollout,
                  isempty(m->reason) ? "" : ": ", isempty(m->reason) ? "" : m->reason);
        return EXIT_FAILED;
    }
    if (m->id == follow->before) {
        if (ctl_chatty(follow->options))
            puts("Nothing to do: no drop-in to write, no relay to restart.");
        return EXIT_FINE;
    }
    if (!fine)
        ctl_error("the rollout was %s after %u of %u relays, %u failed%s%s", m->result, m->done, m->total,
                  m->failed, isempty(m->reason) ? "" : ": ", isempty(m->reason) ? "" : m->reason);
    else if (early && ctl_chatty(follow->options))
        printf("The rollout %s: %u of %u relays moved, %u failed.\n", manager_result_words(m), m->done,
               m->total, m->failed);
    else if (ctl_chatty(follow->options))
        printf("Done: %u of %u relays moved, %u failed.\n", m->done, m->total, m->failed);
    return fine ? EXIT_FINE : EXIT_FAILED;
}

/* ---- waiting ---- */

static bool is_under_way(const ManagerStatus *m)
{
    return streq_null(m->rollout, "running") || streq_null(m->rollout, "waiting") ||
           streq_null(m->rollout, "paused") || streq_null(m->rollout, "ending") || m->config_waits;
}

/* Is there something that the daemon has not started yet? Its plan may be a moment old; Verify makes it look
 * and plan again. 1, 0, negative errno after a message. */
static int more_to_do(Follow *follow, ManagerStatus *facts)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
    uint32_t wave = 0;
    bool more = false;

    int r = ctl_bus_call(follow->bus, "Verify", NULL, NULL);
    if (r >= 0)
        r = ctl_bus_call(follow->bus, "Plan", &reply, NULL);
    if (r >= 0) {
        manager_status_clear(facts);
        r = manager_status_get(follow->bus, SAY_ALL, facts);
    }
    if (r < 0)
        return r;
    r = sd_bus_message_enter_container(reply, 'a', "(usssss)");
    while (r >= 0 && (r = sd_bus_message_read(reply, "(usssss)", &wave, NULL, NULL, NULL, NULL, NULL)) > 0)
        more = more || wave > 0;
    if (r < 0)
        return ctl_bus_unreadable("Plan", r);
    return more || is_under_way(facts);
}

/* Whoever stops waiting must not think that this stopped the rollout. Only system calls that are safe in a
 * signal handler; a second Ctrl-C has the usual effect. */
static void on_interrupt(int number)
{
    static const char text[] =
        "\n"
        "The rollout continues; \"relayallocctl status\" shows it, \"relayallocctl pause\" pauses it.\n";

    if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
        return;
    raise(number); /* is delivered when this returns, and ends us */
}

/* Processes what has arrived, or waits for it for a while. 0; negative errno after a message. */
static int wait_for_signal(Follow *follow, usec_t patience)
{
    int r = sd_bus_process(follow->bus, NULL);

    if (r == 0 && !follow->stale)
        r = sd_bus_wait(follow->bus, patience);
    if (r < 0 && r != -EINTR) {
        ctl_error("lost the connection to the daemon: %s", strerror(-r));
        return r;
    }
    return 0;
}

int follow_to_end(Follow *follow)
{
    usec_t read_at = 0, idle_since = 0;
    _cleanup_(manager_status_clear) ManagerStatus m = { 0 };

    if (!follow->options->quiet)
        sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND },
                  NULL);
    follow->stale = true;
    for (;;) {
        usec_t now = ctl_now();
        int r = 0;
        if (follow->stale || now - read_at >= POLL) {
            follow->stale = false;
            read_at = now;
            manager_status_clear(&m);
            r = manager_status_get(follow->bus, SAY_FAILURES, &m);
            if (r == -ENXIO)
                ctl_error("relayallocd has exited; it continues the rollout when it is started again");
            if (r < 0)
                return EXIT_FAILED;
            if (is_under_way(&m))
                idle_since = 0;
            else {
                /* The next one may not have started yet, after a reload or when a new file has ended this one
                 * early. */
                r = is_stuck(&m) && m.id != follow->before ? 0 : more_to_do(follow, &m);
                idle_since = idle_since > 0 ? idle_since : now;
                if (r < 0)
                    return EXIT_FAILED;
                if (r == 0 || now - idle_since >= START_LIMIT)
                    return show_end(follow, &m);
            }
        }
        show(follow, &m);
        if (wait_for_signal(follow, TICK) < 0)
            return EXIT_FAILED;
    }
}
