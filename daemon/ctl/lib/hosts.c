/* SPDX-License-Identifier: BSD-3-Clause */
#include "ctl/lib/hosts.h"

#include "bus/api.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/utsname.h>
#include <systemd/sd-event.h>
#include <time.h>

/* One host while it is asked. */
typedef struct HostAsked {
    HostAnswer *answer;
    sd_event *event;
    sd_bus *bus;
    size_t *left; /* of all hosts */
    bool over;
} HostAsked;

void host_answers_clear(HostAnswers *answers)
{
    for (size_t i = 0; i < answers->n; i++) {
        free(answers->items[i].host);
        sd_bus_message_unref(answers->items[i].reply);
    }
    free(answers->items);
    *answers = (HostAnswers){ 0 };
}

bool hosts_several(const CtlOptions *options)
{
    return options->host && strchr(options->host, ',');
}

const char *hosts_label(const char *host)
{
    const char *at = strrchr(host, '@');

    return at ? at + 1 : host;
}

char *hosts_name(const CtlOptions *options)
{
    struct utsname name;

    if (options->host || options->machine)
        return xstrdup(options->host ? hosts_label(options->host) : options->machine);
    return xstrdup(uname(&name) < 0 ? "localhost" : name.nodename);
}

/* sd-bus takes "HOST:PORT" and "HOST/CONTAINER", too. */
static bool is_host(const char *name, size_t n)
{
    const char *at = memrchr(name, '@', n);
    const char *host = at ? at + 1 : name;

    if (n == 0 || *name == '-' || host == name + n || *host == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f)
            return false;
    return true;
}

int hosts_check(const char *list)
{
    for (const char *p = list;; p++) {
        size_t n = strcspn(p, ",");
        if (!is_host(p, n)) {
            ctl_error("--host=%s: \"%.*s\" is not the name of a host%s", list, (int)n, p,
                      strchr(list, ',') ? "; write them with commas and without blanks in between" : "");
            return EXIT_USAGE;
        }
        p += n;
        if (!*p)
            return 0;
    }
}

static bool is_named(const HostAnswers *answers, const char *name)
{
    for (size_t i = 0; i < answers->n; i++)
        if (streq(hosts_label(answers->items[i].host), hosts_label(name)))
            return true;
    return false;
}

static void names_of(const char *list, HostAnswers *ret)
{
    size_t capacity = 0;

    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ",");
        _cleanup_(freep) char *name = xstrndup(p, n);
        if (!is_named(ret, name)) {
            GROW(ret->items, capacity, ret->n);
            ret->items[ret->n++] = (HostAnswer){ .host = TAKE_PTR(name) };
        }
        p += n + (p[n] == ',');
    }
}

/* For tests it is shorter. */
static usec_t timeout_of_hosts(usec_t usual)
{
    const char *seconds = getenv("RELAYALLOC_HOSTS_TIMEOUT");
    uint64_t n;

    return seconds && parse_u64(seconds, &n) == 0 && n > 0 && n < 3600 ? n * USEC_PER_SEC : usual;
}

static void tell_unreachable(const char *host)
{
    ctl_error("%s: cannot be reached: \"ssh %s\" ended before relayallocd answered", host, host);
}

static void tell_silent(const char *host, usec_t timeout)
{
    char span[FORMAT_SPAN_MAX];

    ctl_error("%s: no answer within %s", host, format_span(span, timeout));
}

/* sd-bus starts ssh, and has no option for its BatchMode: who answers its questions does so with a failure.
 */
static void let_ssh_ask_nobody(void)
{
    (void)setenv("SSH_ASKPASS", "/bin/false", false);
    (void)setenv("SSH_ASKPASS_REQUIRE", "force", false);
}

static bool somebody_is_there(void)
{
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static usec_t now_monotonic(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (usec_t)ts.tv_sec * USEC_PER_SEC + (usec_t)ts.tv_nsec / 1000;
}

/* -ETIME: not until then. */
static int wait_until_ready(sd_bus *bus, usec_t end)
{
    int r;

    while ((r = sd_bus_is_ready(bus)) == 0) {
        const usec_t now = now_monotonic();
        if (now >= end)
            return -ETIME;
        r = sd_bus_process(bus, NULL);
        if (r == 0)
            r = sd_bus_wait(bus, end - now);
        if (r < 0 && r != -EINTR)
            return r;
    }
    return r < 0 ? r : 0;
}

int hosts_wait(sd_bus *bus, const char *host, bool quietly)
{
    const usec_t timeout = timeout_of_hosts(somebody_is_there() ? HOST_LOGIN : HOSTS_TIMEOUT);
    int r = wait_until_ready(bus, now_monotonic() + timeout);

    if (r == -ETIME && !quietly)
        tell_silent(host, timeout);
    else if (r < 0 && !quietly)
        tell_unreachable(host);
    return r;
}

static void tell_error(const char *host, const sd_bus_error *error)
{
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
        sd_bus_error_has_name(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
        ctl_error("%s: relayallocd is not running there", host);
    else if (sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
        tell_unreachable(host);
    else
        ctl_error("%s: %s", host, error->message ? error->message : error->name);
}

/* Also when its connection is lost: sd-bus then answers in its place. */
static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *unused)
{
    HostAsked *a = userdata;
    const sd_bus_error *error = sd_bus_message_get_error(reply);

    (void)unused;
    a->over = true;
    if (error)
        tell_error(a->answer->host, error);
    else
        a->answer->reply = sd_bus_message_ref(reply);
    return --*a->left == 0 ? sd_event_exit(a->event, 0) : 0;
}

static int begin(HostAsked *a, int (*make)(sd_bus *bus, const void *userdata, sd_bus_message **ret),
                 const void *userdata, usec_t timeout)
{
    _cleanup_(sd_bus_message_unrefp) sd_bus_message *call = NULL;
    int r = sd_bus_open_system_remote(&a->bus, a->answer->host);

    if (r >= 0)
        r = sd_bus_set_close_on_exit(a->bus, false); /* it would be flushed, and that waits */
    if (r >= 0)
        r = sd_bus_attach_event(a->bus, a->event, SD_EVENT_PRIORITY_NORMAL);
    if (r >= 0)
        r = make(a->bus, userdata, &call);
    if (r >= 0)
        r = sd_bus_message_set_destination(call, BUS_NAME);
    if (r >= 0)
        r = sd_bus_message_set_auto_start(call, false);
    /* Its own time begins when the connection is there; on_time() counts from now. */
    return r < 0 ? r : sd_bus_call_async(a->bus, NULL, call, on_reply, a, timeout);
}

static int on_time(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)usec;
    (void)userdata;
    return sd_event_exit(sd_event_source_get_event(source), 0);
}

static int wait_for_all(sd_event *event, usec_t timeout, const size_t *left)
{
    int r = sd_event_add_time_relative(event, NULL, CLOCK_MONOTONIC, timeout, 0, on_time, NULL);

    if (r >= 0 && *left > 0)
        r = sd_event_loop(event);
    return r;
}

/* Nothing is flushed: that would wait for a host that is not there. */
static void finish(HostAsked *asking, size_t n, usec_t timeout)
{
    for (size_t i = 0; i < n; i++) {
        if (!asking[i].over)
            tell_silent(asking[i].answer->host, timeout);
        if (asking[i].bus)
            sd_bus_close_unref(asking[i].bus);
    }
}

int hosts_ask(const CtlOptions *options, int (*make)(sd_bus *bus, const void *userdata, sd_bus_message **ret),
              const void *userdata, HostAnswers *ret)
{
    const usec_t timeout = timeout_of_hosts(HOSTS_TIMEOUT);
    sd_event *event = NULL;
    int r = sd_event_new(&event);

    let_ssh_ask_nobody();
    names_of(options->host, ret);
    size_t left = ret->n;
    _cleanup_(freep) HostAsked *asking = xcalloc(ret->n, sizeof(*asking));
    for (size_t i = 0; r >= 0 && i < ret->n; i++) {
        asking[i] = (HostAsked){ .answer = &ret->items[i], .event = event, .left = &left };
        int e = begin(&asking[i], make, userdata, timeout);
        if (e < 0) {
            if (e == -EPIPE || e == -ECONNRESET || e == -ENOTCONN) /* it has ended already */
                tell_unreachable(ret->items[i].host);
            else
                ctl_error("%s: cannot be asked: %s", ret->items[i].host, strerror(-e));
            asking[i].over = true;
            left--;
        }
    }
    if (r >= 0)
        r = wait_for_all(event, timeout, &left);
    if (r < 0)
        ctl_error("cannot wait for the hosts: %s", strerror(-r));
    else
        finish(asking, ret->n, timeout);
    sd_event_unref(event);
    ret->complete = r >= 0 && ret->n > 0;
    for (size_t i = 0; i < ret->n; i++)
        ret->complete = ret->complete && ret->items[i].reply;
    return r < 0 ? r : 0;
}
