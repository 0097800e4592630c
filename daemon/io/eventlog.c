/* SPDX-License-Identifier: BSD-3-Clause */
/* The log is the one thing of the process that is global by nature: one journal, one level, one target. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "io/eventlog.h"

#include "io/journal-socket.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <systemd/sd-login.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static int max_level = LOG_INFO;
static EventTarget target = EVENT_TARGET_JOURNAL;
static uint64_t lost;

void eventlog_set_max_level(int level)
{
    max_level = level;
}

int eventlog_max_level(void)
{
    return max_level;
}

void eventlog_set_target(EventTarget t)
{
    target = t;
}

EventTarget eventlog_target(void)
{
    return target;
}

/* sd_journal_sendv(3) blocks while journald's socket is full. A connected datagram socket of ours sees that
 * queue by poll(2) (unix_dgram_poll), so that we can ask first. Connected again each time: once journald's
 * socket was recreated, the old one would forever report that it accepts everything. */
static bool journal_takes(void)
{
    static int fd = -1;
    const struct sockaddr_un sun = { .sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET };

    if (fd < 0)
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&sun, sizeof(sun)) < 0)
        return false;
    struct pollfd p = { .fd = fd, .events = POLLOUT };
    return poll(&p, 1, 0) > 0 && p.revents == POLLOUT;
}

enum { FIELDS_MAX = JOURNAL_SOCKET_FIELDS_MAX };

typedef struct LogEntry {
    struct iovec iov[FIELDS_MAX];
    int n;
} LogEntry;

static void entry_take(LogEntry *e, char *field)
{
    if (e->n == FIELDS_MAX) {
        free(field);
        return;
    }
    e->iov[e->n++] = (struct iovec){ .iov_base = field, .iov_len = strlen(field) };
}

static void entry_text(LogEntry *e, const char *name, const char *value)
{
    if (value)
        entry_take(e, xasprintf("%s=%s", name, value));
}

static void entry_number(LogEntry *e, const char *name, uint64_t value)
{
    entry_take(e, xasprintf("%s=%" PRIu64, name, value));
}

static void entry_clear(LogEntry *e)
{
    for (int i = 0; i < e->n; i++)
        free(e->iov[i].iov_base);
    e->n = 0;
}

static bool is_sample(MessageKind kind)
{
    return kind == MESSAGE_SAMPLE_RELAY || kind == MESSAGE_SAMPLE_FLEET;
}

/* journald looks up in /proc whose entry it is, which it cannot of a process that has ended meanwhile:
 * "journalctl -u" would not show why a start failed. So the entry says it, too; journalctl believes root
 * (journalctl(1), -u). */
static void entry_origin(LogEntry *e)
{
    static char *unit = NULL;

    if (!unit && sd_pid_get_unit(0, &unit) < 0)
        unit = xstrdup("");
    entry_text(e, "OBJECT_SYSTEMD_UNIT", isempty(unit) ? NULL : unit);
}

static LogEntry entry_new(MessageKind kind, int priority, const char *text)
{
    LogEntry e = { .n = 0 };

    entry_text(&e, "MESSAGE", text);
    entry_text(&e, "MESSAGE_ID", message_id(kind));
    entry_number(&e, "PRIORITY", (uint64_t)priority);
    if (!is_sample(kind)) /* they are many, and of a daemon that lives */
        entry_origin(&e);
    return e;
}

/* By a connection that is kept. What that cannot send (too large, too much of it waiting there) goes the
 * other way. */
static bool deliver(const LogEntry *e)
{
    static JournalSocket kept = { .path = JOURNAL_SOCKET, .fd = -1 };

    kept.identifier = program_invocation_short_name;
    return journal_socket_send(&kept, e->iov, (size_t)e->n) == 0 ||
           (journal_takes() && sd_journal_sendv(e->iov, e->n) >= 0);
}

static void send_entry(LogEntry *e)
{
    if (lost > 0) {
        _cleanup_(freep) char *text =
            xasprintf("The journal accepted nothing for a while; %" PRIu64 " entries were lost.", lost);
        LogEntry apology = entry_new(MESSAGE_DAEMON_NOTE, LOG_WARNING, text);

        if (deliver(&apology))
            lost = 0;
        entry_clear(&apology);
    }
    if (lost > 0 || !deliver(e))
        lost++;
    entry_clear(e);
}

void eventlog_line(int priority, const char *format, ...)
{
    va_list ap;
    _cleanup_(freep) char *text = NULL;

    if (priority > max_level)
        return;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    if (target == EVENT_TARGET_CONSOLE) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    LogEntry e = entry_new(MESSAGE_DAEMON_NOTE, priority, text);
    send_entry(&e);
}

void eventlog_write(MessageKind kind, const Event *v, const char *format, ...)
{
    int priority = message_priority(kind);
    _cleanup_(freep) char *text = NULL;
    va_list ap;

    if (priority > max_level && !is_sample(kind))
        return;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0)
        return;
    if (target == EVENT_TARGET_CONSOLE) {
        fprintf(stderr, "%s\n", text);
        return;
    }
    LogEntry e = entry_new(kind, priority, text);
    entry_text(&e, "RELAYALLOC_RELAY", v->relay);
    entry_text(&e, "RELAYALLOC_UNIT", v->unit);
    entry_text(&e, "RELAYALLOC_GROUP", v->group);
    entry_text(&e, "RELAYALLOC_ALLOCATOR", v->allocator);
    entry_text(&e, "RELAYALLOC_VERSION", isempty(v->version) ? NULL : v->version);
    entry_text(&e, "RELAYALLOC_LIBRARY", v->library);
    entry_text(&e, "RELAYALLOC_REASON", v->reason);
    entry_text(&e, "RELAYALLOC_RESULT", v->result);
    entry_text(&e, "RELAYALLOC_FLEET", v->fleet);
    entry_text(&e, "RELAYALLOC_UNIT_LOG", v->unit_log);
    if (v->memory) {
        entry_number(&e, "RELAYALLOC_RSS", v->memory->rss);
        entry_number(&e, "RELAYALLOC_ANON", v->memory->anon);
        entry_number(&e, "RELAYALLOC_SWAP", v->memory->swap);
        entry_number(&e, "RELAYALLOC_HWM", v->memory->hwm);
    }
    if (v->bootstrap)
        entry_number(&e, "RELAYALLOC_BOOTSTRAP", *v->bootstrap);
    entry_text(&e, "RELAYALLOC_FLAGS", v->flags);
    entry_text(&e, "RELAYALLOC_FINGERPRINT", isempty(v->fingerprint) ? NULL : v->fingerprint);
    if (v->traffic) {
        entry_number(&e, "RELAYALLOC_READ", v->traffic->read);
        entry_number(&e, "RELAYALLOC_WRITTEN", v->traffic->written);
        entry_number(&e, "RELAYALLOC_SINCE", v->traffic->since);
        entry_number(&e, "RELAYALLOC_UNTIL", v->traffic->until);
    }
    if (v->since > 0)
        entry_number(&e, "RELAYALLOC_SINCE", v->since);
    if (v->rollout > 0)
        entry_number(&e, "RELAYALLOC_ROLLOUT", v->rollout);
    if (v->wave > 0)
        entry_number(&e, "RELAYALLOC_WAVE", v->wave);
    if (v->pid > 0)
        entry_number(&e, "OBJECT_PID", (uint64_t)v->pid);
    send_entry(&e);
}
