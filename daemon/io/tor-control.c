/* SPDX-License-Identifier: BSD-3-Clause */
/* Owns one conversation with a control socket. Sends nothing before it knows who listens there, and never
 * waits. */
#include "io/tor-control.h"

#include "io/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

usec_t tor_control_day(void)
{
    const char *value = secure_getenv("RELAYALLOC_DAY");
    uint64_t seconds;

    return value && parse_u64(value, &seconds) == 0 && seconds > 0 && seconds < USEC_PER_DAY / USEC_PER_SEC
               ? seconds * USEC_PER_SEC
               : USEC_PER_DAY;
}

struct TorControl {
    int fd;
    sd_event_source *io, *timer;
    TorReplies *replies;
    char *requests;
    size_t sent, length;
    TorControlCallback callback;
    void *userdata;
};

TorControl *tor_control_free(TorControl *c)
{
    if (!c)
        return NULL;
    sd_event_source_disable_unref(c->io);
    sd_event_source_disable_unref(c->timer);
    closep(&c->fd);
    tor_replies_free(c->replies);
    if (c->requests)
        explicit_bzero(c->requests, c->length); /* the cookie is in it */
    free(c->requests);
    free(c);
    return NULL;
}

static void end(TorControl *c, int error)
{
    TorView view = { .progress = -1 };

    c->io = sd_event_source_disable_unref(c->io);
    c->timer = sd_event_source_disable_unref(c->timer);
    if (error == 0)
        tor_replies_take(c->replies, &view);
    c->callback(c->userdata, error, &view); /* may have freed it */
}

static int read_cookie(const char *path, uid_t uid, unsigned char ret[static TOR_COOKIE_SIZE])
{
    _cleanup_(freep) char *file = xasprintf("%s.authcookie", path);
    _cleanup_(closep) int fd = open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return errno == ELOOP ? -EPERM : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    /* anything else may be another's secret, put there for us to read and send */
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != uid)
        return -EPERM;
    ssize_t n = st.st_size == TOR_COOKIE_SIZE ? read(fd, ret, TOR_COOKIE_SIZE) : 0;
    return n < 0 ? -errno : n == TOR_COOKIE_SIZE ? 0 : -EBADMSG;
}

/* Of the process that listens there. */
static int check_peer(int fd, pid_t pid)
{
    struct ucred peer;
    socklen_t n = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
        return -errno;
    return peer.pid == pid ? 0 : -EPERM;
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno; /* EAGAIN: its queue is full, which is an answer, too */
    return TAKE_FD(fd);
}

/* Connected to the process, with its cookie read. */
static int reach(const char *path, pid_t pid, uid_t uid, unsigned char cookie[static TOR_COOKIE_SIZE])
{
    _cleanup_(closep) int fd = connect_to(path);

    if (fd < 0)
        return fd;
    int r = check_peer(fd, pid);
    if (r >= 0)
        r = read_cookie(path, uid, cookie);
    return r < 0 ? r : TAKE_FD(fd);
}

/* As its user, whose socket and cookie are usually nobody else's; once for both, since it takes longer than
 * all the rest. Elsewhere they may be where only we get to. */
static int reach_as_user(const char *path, pid_t pid, uid_t uid, unsigned char cookie[static TOR_COOKIE_SIZE])
{
    int r = -EACCES;

    if (owner_enter_user(uid) == 0) {
        r = reach(path, pid, uid, cookie);
        owner_leave();
    }
    return r == -EACCES ? reach(path, pid, uid, cookie) : r;
}

/* 1: all is sent; 0: the rest has to wait. */
static int send_rest(TorControl *c)
{
    while (c->sent < c->length) {
        ssize_t n = send(c->fd, c->requests + c->sent, c->length - c->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        c->sent += (size_t)n;
    }
    return 1;
}

static int on_writable(TorControl *c)
{
    int r = send_rest(c);

    return r > 0 ? sd_event_source_set_io_events(c->io, EPOLLIN) : r;
}

/* One read each time that the loop comes by, so that no relay holds up the others. */
static int read_some(TorControl *c)
{
    char buffer[4096];
    ssize_t n = read(c->fd, buffer, sizeof(buffer));

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    return n == 0 ? -EBADMSG : tor_replies_feed(c->replies, buffer, (size_t)n);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
    TorControl *c = userdata;
    int r = events & EPOLLOUT ? on_writable(c) : 0;

    (void)source;
    (void)fd;
    if (r >= 0 && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        r = read_some(c);
    if (r != 0)
        end(c, r < 0 ? r : 0);
    return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata)
{
    (void)source;
    (void)usec;
    end(userdata, -ETIMEDOUT);
    return 0;
}

int tor_control_ask(sd_event *event, const char *path, pid_t pid, uid_t uid, const char *fingerprint,
                    usec_t timeout, TorControlCallback callback, void *userdata, TorControl **ret)
{
    unsigned char cookie[TOR_COOKIE_SIZE];
    _cleanup_(closep) int fd = reach_as_user(path, pid, uid, cookie);

    if (fd < 0)
        return fd;
    _cleanup_(tor_control_freep) TorControl *c = xcalloc(1, sizeof(*c));
    c->fd = TAKE_FD(fd);
    c->callback = callback;
    c->userdata = userdata;
    c->replies = tor_replies_new(!isempty(fingerprint));
    c->requests = tor_control_requests(cookie, fingerprint);
    c->length = strlen(c->requests);
    explicit_bzero(cookie, sizeof(cookie));
    int r = send_rest(c); /* almost always all of it, and one turn of the loop less */
    if (r >= 0)
        r = sd_event_add_io(event, &c->io, c->fd, r > 0 ? EPOLLIN : EPOLLIN | EPOLLOUT, on_io, c);
    if (r >= 0)
        r = sd_event_add_time_relative(event, &c->timer, CLOCK_MONOTONIC, timeout, 0, on_timeout, c);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}
