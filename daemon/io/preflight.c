/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/preflight.h"

#include "core/preload.h"
#include "core/sandbox.h"
#include "core/verdict.h"
#include "core/verify-config.h"
#include "io/eventlog.h"
#include "io/probe.h"
#include "io/unit-log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <syslog.h>

#define PREFLIGHT_TIMEOUT (60 * USEC_PER_SEC)
#define OUTPUT_MAX ((size_t)64 * 1024)
#define LOOK_AGAIN (50 * USEC_PER_MSEC) /* how it ended: systemd may learn of it later than we do, … */
#define LOG_TRIES 100                   /* …and journald even later: seconds, on a busy host */
#define LOG_LINES 12

/* Two tries: the library preloaded, as a relay would have it; then, for a relay that AppArmor confines,
 * loaded by a probe that has entered the same profile. */
typedef enum Try {
    TRY_PRELOAD,
    TRY_CONFINED,
    TRY_CONFIG, /* another one: its configuration */
} Try;

struct Preflight {
    PreflightAsk ask; /* what of it outlives us */
    PreflightCallback callback;
    void *userdata;
    Try at;
    char *profile;        /* AppArmor's, NULL: unconfined */
    char *path, *library; /* of the library: as it is preloaded, and its real path */
    char **environment;   /* strv: the allocator's, LD_PRELOAD among it */
    char **argv;          /* strv of the command that verifies its configuration */
    char *unit;
    Systemd1Call *call;
    sd_event_source *reader, *deadline, *look_again;
    int output; /* read end */
    char *text;
    size_t n;
    unsigned looks; /* after its end, for the log */
};

static Systemd1 *systemd_of(const Preflight *p)
{
    return *p->ask.systemd;
}

static void close_try(Preflight *p)
{
    p->call = systemd1_cancel(p->call);
    p->reader = sd_event_source_disable_unref(p->reader);
    p->deadline = sd_event_source_disable_unref(p->deadline);
    p->look_again = sd_event_source_disable_unref(p->look_again);
    if (p->unit && systemd_of(p))
        systemd1_let_go(systemd_of(p), p->unit);
    closep(&p->output);
    p->output = -1;
    free(p->text);
    free(p->unit);
    p->text = p->unit = NULL;
    p->n = 0;
    p->looks = 0;
}

Preflight *preflight_free(Preflight *p)
{
    if (p) {
        close_try(p);
        free(p->profile);
        free(p->path);
        free(p->library);
        strv_free(p->environment);
        strv_free(p->argv);
        free(p);
    }
    return NULL;
}

/* The last thing that is done with it: the callback may free it. */
static void answer(Preflight *p, char *reason)
{
    close_try(p);
    p->callback(p->userdata, reason ? PREFLIGHT_REFUSES : PREFLIGHT_FINE, reason);
    free(reason);
}

/* The same when it could not even be started. */
static void answer_error(Preflight *p, int error, const char *message)
{
    _cleanup_(freep) char *reason =
        xasprintf("the preflight could not be started: %s", message ? message : strerror(-error));

    close_try(p);
    p->callback(p->userdata, error_is_passing(error) ? PREFLIGHT_UNTESTED : PREFLIGHT_REFUSES, reason);
}

/* The same when it did not end by itself, which says nothing of what was tried. */
static void answer_untested(Preflight *p, const char *what)
{
    _cleanup_(freep) char *reason = xasprintf(
        "%s %s", p->at == TRY_CONFIG ? "the verification of its configuration" : "the preflight", what);

    close_try(p);
    p->callback(p->userdata, PREFLIGHT_UNTESTED, reason);
}

static int start_try(Preflight *p);

static char *first_line(const char *text)
{
    return xstrndup(text, strcspn(text, "\n"));
}

/* Why the probe said nothing; owned by the caller. */
static char *silence(const Preflight *p, const UnitInfo *end, const char *log)
{
    char *fault = sandbox_fault(end, p->ask.probe, p->ask.relay->unit, log);

    return fault ? fault : xstrdup("the probe printed nothing");
}

static char *judge_confined(const Preflight *p, const char *text, const UnitInfo *end, const char *log)
{
    const char *library = p->library;
    const char *error = strstr(text, "error=");
    _cleanup_(freep) char *why = error ? first_line(error + strlen("error=")) : silence(p, end, log);

    if (strstr(text, "loadable=no"))
        return xasprintf("AppArmor profile %s of %s does not let it load %s: %s", p->profile,
                         p->ask.relay->unit, library, why);
    if (!strstr(text, "loadable=yes")) /* no verdict: the canary will show it */
        eventlog_line(LOG_WARNING, "Cannot test %s under AppArmor profile %s: %s.", library, p->profile, why);
    return NULL;
}

static char *judge_preload(const Preflight *p, const char *text, const UnitInfo *end, const char *log)
{
    const char *library = p->library;
    const char *error = strstr(text, "error=");
    _cleanup_(probe_result_clear) ProbeResult result = { 0 };

    if (probe_parse(text, &result) < 0) {
        char *fault = error ? NULL : sandbox_fault(end, p->ask.probe, p->ask.relay->unit, log);
        if (fault)
            return fault;
        _cleanup_(freep) char *why = first_line(error   ? error + strlen("error=")
                                                : *text ? text
                                                        : "the probe printed nothing");
        return xasprintf("the probe failed with it in the sandbox of %s: %s", p->ask.relay->unit, why);
    }
    if (library && !streq_null(result.library, library))
        return xasprintf("in the sandbox of %s, %s is not loaded and %s serves malloc (do ProtectHome=, "
                         "InaccessiblePaths= or similar hide it?)",
                         p->ask.relay->unit, library, result.library ? result.library : "the C library");
    return NULL;
}

/* What came of this try: NULL: fine; else the reason to refuse. `end`, `log`: how its unit ended; NULL when
 * the probe itself said all. */
static char *judge(const Preflight *p, const UnitInfo *end, const char *log)
{
    const char *text = p->text ? p->text : "";

    if (p->at == TRY_CONFIG)
        return verify_config_fault(end, p->argv[0], p->ask.relay->unit, text, log);
    return p->at == TRY_CONFINED ? judge_confined(p, text, end, log) : judge_preload(p, text, end, log);
}

#define NOT_IN_TIME "did not finish in time"

/* What the host has done to it; NULL: nothing, so that its end says something. */
static const char *cut_short(const UnitInfo *end)
{
    if (!end || !end->exists)
        return NULL;
    if (streq_null(end->result, "timeout"))
        return NOT_IN_TIME;
    if (streq_null(end->result, "oom-kill") || (end->exit_code == CLD_KILLED && end->exit_status == SIGKILL))
        return "was killed from outside, as for lack of memory";
    return NULL;
}

static void try_over(Preflight *p, const UnitInfo *end, const char *log)
{
    const char *cut = cut_short(end);

    if (cut) {
        answer_untested(p, cut);
        return;
    }
    /* systemd could not even fork, say; or it did not find a file that the unit's own start needs, too */
    if (p->at != TRY_CONFIG && end && streq_null(end->result, "resources")) {
        answer_error(p, -EAGAIN, "systemd is short of resources");
        return;
    }
    char *reason = judge(p, end, log);

    close_try(p);
    if (!reason && p->at == TRY_PRELOAD && p->profile) {
        p->at = TRY_CONFINED;
        int r = start_try(p);
        if (r < 0 && r != -ENOTCONN)
            answer_error(p, r, NULL);
        return;
    }
    answer(p, reason);
}

/* ---- how its unit ended ---- */

static void look_at_end(Preflight *p);

static int on_look_again(sd_event_source *source, uint64_t usec, void *userdata)
{
    Preflight *p = userdata;

    (void)source;
    (void)usec;
    p->look_again = sd_event_source_disable_unref(p->look_again);
    look_at_end(p);
    return 0;
}

static void look_again(Preflight *p)
{
    (void)sd_event_add_time_relative(p->ask.event, &p->look_again, CLOCK_MONOTONIC, LOOK_AGAIN, 0,
                                     on_look_again, p);
}

static void on_end(void *userdata, int error, const char *message, UnitInfo *take)
{
    Preflight *p = userdata;
    _cleanup_(unit_info_freep) UnitInfo *end = take;

    (void)message;
    p->call = NULL;
    if (error == -ENOTCONN) {
        close_try(p); /* all is started again when the bus is back */
        return;
    }
    if (error == 0 && end->active != ACTIVE_INACTIVE && end->active != ACTIVE_FAILED) {
        look_again(p);
        return;
    }
    _cleanup_(freep) char *log = unit_log_tail(p->unit, LOG_LINES);
    if (!sandbox_log_complete(end, log) && ++p->looks < LOG_TRIES)
        look_again(p);
    else
        try_over(p, end, log);
}

static void look_at_end(Preflight *p)
{
    int r = 0;

    if (p->call) { /* that it was started has not even been answered yet */
        look_again(p);
        return;
    }
    if (systemd_of(p))
        r = systemd1_get_unit(systemd_of(p), p->unit, on_end, p, &p->call);
    if (r < 0)
        on_end(p, r, NULL, NULL);
}

static bool says_all(const Preflight *p)
{
    const char *text = p->text ? p->text : "";

    if (p->at == TRY_CONFIG)
        return false; /* how it ends says it */
    return strstr(text, "error=") || strstr(text, p->at == TRY_CONFINED ? "loadable=" : "family=");
}

/* ---- running it ---- */

static int on_output(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    Preflight *p = userdata;
    char buffer[4096];
    ssize_t n = read(fd, buffer, sizeof(buffer));

    (void)source;
    (void)revents;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n <= 0) {
        p->reader = sd_event_source_disable_unref(p->reader);
        if (says_all(p))
            try_over(p, NULL, NULL);
        else
            look_at_end(p);
        return 0;
    }
    if (p->n + (size_t)n < OUTPUT_MAX) {
        p->text = realloc(p->text, p->n + (size_t)n + 1);
        if (!p->text)
            abort();
        memcpy(p->text + p->n, buffer, (size_t)n);
        p->n += (size_t)n;
        p->text[p->n] = '\0';
    }
    return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
    Preflight *p = userdata;

    (void)source;
    (void)usec;
    if (p->call) { /* it is systemd that has not answered: busy with others, say */
        answer_error(p, -EAGAIN, "systemd has not answered in time");
        return 0;
    }
    answer_untested(p, NOT_IN_TIME);
    return 0;
}

/* That says nothing of the relay. */
static void log_not_verified(const Preflight *p, const char *why)
{
    eventlog_line(LOG_WARNING, "%s: its configuration cannot be verified before its restart: %s.",
                  p->ask.relay->name, why);
}

static void on_started(void *userdata, int error, const char *message, const char *job)
{
    Preflight *p = userdata;

    (void)job;
    p->call = NULL;
    if (error == -ENOTCONN)
        close_try(p); /* all is started again when the bus is back */
    else if (error < 0 && p->at == TRY_CONFIG && !error_is_passing(error)) {
        log_not_verified(p, message ? message : strerror(-error));
        answer(p, NULL);
    } else if (error < 0) {
        answer_error(p, error, message);
    }
}

static void fill(const Preflight *p, char ***argv, char ***environment)
{
    if (p->at == TRY_CONFIG) {
        *argv = strv_copy(p->argv);
        return;
    }
    strv_push(argv, xstrdup(p->ask.probe));
    if (p->at == TRY_CONFINED) {
        strv_push(argv, xasprintf("--apparmor=%s", p->profile));
        strv_push(argv, xasprintf("--dlopen=%s", p->path));
        return;
    }
    *environment = strv_copy(p->environment);
}

static int start_try(Preflight *p)
{
    _cleanup_(strv_freep) char **argv = NULL, **environment = NULL;
    int fds[2];

    if (!systemd_of(p))
        return -ENOTCONN;
    fill(p, &argv, &environment);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    _cleanup_(closep) int write_end = fds[1];
    p->output = fds[0];
    (void)fcntl(p->output, F_SETFL, O_NONBLOCK);
    /* A name of its own each time: one from before a crash or a lost bus may still be there. */
    p->unit = xasprintf("relayalloc-preflight-%d-%" PRIu64 ".service", (int)getpid(), ++*p->ask.counter);
    int r = sd_event_add_io(p->ask.event, &p->reader, p->output, EPOLLIN, on_output, p);
    if (r >= 0)
        r = sd_event_add_time_relative(p->ask.event, &p->deadline, CLOCK_MONOTONIC, PREFLIGHT_TIMEOUT, 0,
                                       on_deadline, p);
    if (r >= 0)
        r = systemd1_run_like(systemd_of(p), p->unit, p->ask.relay->unit, argv, environment, write_end,
                              on_started, p, &p->call);
    if (r < 0)
        close_try(p);
    return r;
}

static Preflight *preflight_new(const PreflightAsk *ask, PreflightCallback callback, void *userdata)
{
    Preflight *p = xcalloc(1, sizeof(*p));

    *p = (Preflight){ .ask = *ask, .callback = callback, .userdata = userdata, .output = -1 };
    p->ask.allocator = NULL;
    p->ask.library = NULL;
    return p;
}

static int begin(Preflight *take, Preflight **ret)
{
    int r = start_try(take);

    if (r < 0) {
        preflight_free(take);
        return r;
    }
    *ret = take;
    return 0;
}

int preflight_start(const PreflightAsk *ask, PreflightCallback callback, void *userdata, Preflight **ret)
{
    Preflight *p = preflight_new(ask, callback, userdata);
    const Allocator *a = ask->allocator;

    p->path = xstrdup(ask->library->path);
    p->library = xstrdup(ask->library->realpath);
    _cleanup_(freep) char *preload = preload_join(p->path, ask->relay->kept);
    strv_push(&p->environment, xasprintf("LD_PRELOAD=%s", preload));
    for (size_t i = 0; i < a->n_environment; i++)
        strv_push(&p->environment, xasprintf("%s=%s", a->environment[i].name, a->environment[i].value));
    p->profile = verdict_denying_profile(ask->relay->process.label);
    return begin(p, ret);
}

int preflight_start_config(const PreflightAsk *ask, PreflightCallback callback, void *userdata,
                           Preflight **ret)
{
    Preflight *p = preflight_new(ask, callback, userdata);

    p->at = TRY_CONFIG;
    p->argv = strv_copy(ask->relay->info->verify_config);
    return begin(p, ret);
}
