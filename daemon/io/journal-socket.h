/* SPDX-License-Identifier: BSD-3-Clause */
/* A connection to journald that is kept: an entry is one system call, where sd_journal_sendv(3) that must not
 * block needs three. Speaks the native protocol (systemd, docs/JOURNAL_NATIVE_PROTOCOL.md). */
#pragma once

#include <stddef.h>
#include <sys/uio.h>

typedef struct JournalSocket {
    const char *path;       /* of journald's socket; borrowed */
    const char *identifier; /* SYSLOG_IDENTIFIER of every entry; borrowed */
    int fd;                 /* -1: not connected */
} JournalSocket;

/* At most so many fields of an entry. */
#define JOURNAL_SOCKET_FIELDS_MAX 32

/* One entry; fields are "NAME=value". Never blocks. Connects when it is not connected, and again when who
 * listened is gone. 0; -EAGAIN: too much is waiting; -EMSGSIZE: too large for a datagram (journald then wants
 * a file, which sd_journal_sendv(3) makes); other negative errno: nobody listens. */
int journal_socket_send(JournalSocket *socket, const struct iovec *fields, size_t n);
void journal_socket_close(JournalSocket *socket);
