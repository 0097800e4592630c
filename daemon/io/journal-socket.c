/* SPDX-License-Identifier: BSD-3-Clause */
#include "io/journal-socket.h"

#include "core/util.h"

#include <endian.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Of a field: its name, the end of the line, the size of its value, the value, the end of the line. */
#define PARTS_OF_FIELD 5
#define PARTS_MAX (PARTS_OF_FIELD * JOURNAL_SOCKET_FIELDS_MAX + 3)
/* All that waits there is counted against it; the kernel gives as much as it allows. */
#define SEND_BUFFER (8 * 1024 * 1024)

typedef struct Datagram {
    struct iovec parts[PARTS_MAX];
    size_t n;
    uint64_t sizes[JOURNAL_SOCKET_FIELDS_MAX];
    size_t n_sizes;
} Datagram;

static void part(Datagram *d, const void *p, size_t n)
{
    d->parts[d->n++] = (struct iovec){ .iov_base = (void *)p, .iov_len = n };
}

static void line_end(Datagram *d)
{
    part(d, "\n", 1);
}

/* A value of several lines is preceded by its size. */
static void field(Datagram *d, const struct iovec *f)
{
    const char *text = f->iov_base, *equals = memchr(text, '=', f->iov_len);

    if (!equals || !memchr(text, '\n', f->iov_len)) {
        part(d, text, f->iov_len);
        line_end(d);
        return;
    }
    const size_t name = (size_t)(equals - text), size = f->iov_len - name - 1;
    uint64_t *le = &d->sizes[d->n_sizes++];
    *le = htole64(size);
    part(d, text, name);
    line_end(d);
    part(d, le, sizeof(*le));
    part(d, equals + 1, size);
    line_end(d);
}

static int open_socket(JournalSocket *s)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const int size = SEND_BUFFER;

    if (strlen(s->path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, s->path, strlen(s->path) + 1);
    _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    s->fd = TAKE_FD(fd);
    return 0;
}

void journal_socket_close(JournalSocket *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

int journal_socket_send(JournalSocket *s, const struct iovec *fields, size_t n)
{
    Datagram d = { .n = 0 };
    struct msghdr m = { .msg_iov = d.parts };
    bool fresh = s->fd < 0;

    if (n > JOURNAL_SOCKET_FIELDS_MAX)
        return -E2BIG;
    for (size_t i = 0; i < n; i++)
        field(&d, &fields[i]);
    part(&d, "SYSLOG_IDENTIFIER=", strlen("SYSLOG_IDENTIFIER="));
    part(&d, s->identifier, strlen(s->identifier));
    line_end(&d);
    m.msg_iovlen = d.n;
    for (;; fresh = true) {
        int r = s->fd < 0 ? open_socket(s) : 0;
        if (r < 0)
            return r;
        if (sendmsg(s->fd, &m, MSG_NOSIGNAL) >= 0)
            return 0;
        r = -errno;
        if (r == -EAGAIN || r == -EMSGSIZE)
            return r;
        journal_socket_close(s); /* who listened is gone; somebody else may listen by now */
        if (fresh)
            return r;
    }
}
