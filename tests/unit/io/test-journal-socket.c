/* SPDX-License-Identifier: BSD-3-Clause */
/* io/journal-socket: what goes over the wire, and whose turn it is when nobody takes it. */
#include "io/journal-socket.h"
#include "scratch.h"
#include "test.h"

#include <sys/socket.h>
#include <sys/un.h>

static int listener(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    strcpy(address.sun_path, path);
    (void)unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void assert_received(int fd, const char *expected, size_t n)
{
    char buffer[256];

    assert_int_equal(recv(fd, buffer, sizeof(buffer), 0), n);
    assert_memory_equal(buffer, expected, n);
}

#define FIELD(text)                                                                                          \
    {                                                                                                        \
        .iov_base = (char *)(text), .iov_len = sizeof(text) - 1                                              \
    }

static void test_wire(void **state)
{
    (void)state;
    char *dir = scratch_new();
    _cleanup_(freep) char *path = xasprintf("%s/socket", dir);
    JournalSocket s = { .path = path, .identifier = "me", .fd = -1 };
    const struct iovec fields[] = { FIELD("MESSAGE=a b"), FIELD("ROWS=1\n2\n"), FIELD("EMPTY=") };
    static const char expected[] = "MESSAGE=a b\nROWS\n\x04\0\0\0\0\0\0\0"
                                   "1\n2\n\nEMPTY=\nSYSLOG_IDENTIFIER=me\n";
    int fd = listener(path);

    assert_int_equal(journal_socket_send(&s, fields, ELEMENTSOF(fields)), 0);
    assert_received(fd, expected, sizeof(expected) - 1);
    journal_socket_close(&s);
    close(fd);
    scratch_free(dir);
}

/* journald's socket was made again: the next entry goes there, and none is lost. */
static void test_another_listener(void **state)
{
    (void)state;
    char *dir = scratch_new();
    _cleanup_(freep) char *path = xasprintf("%s/socket", dir);
    JournalSocket s = { .path = path, .identifier = "me", .fd = -1 };
    const struct iovec field = FIELD("MESSAGE=a");
    static const char expected[] = "MESSAGE=a\nSYSLOG_IDENTIFIER=me\n";

    assert_int_equal(journal_socket_send(&s, &field, 1), -ENOENT);
    int fd = listener(path);
    assert_int_equal(journal_socket_send(&s, &field, 1), 0);
    assert_received(fd, expected, sizeof(expected) - 1);
    close(fd);
    assert_int_equal(journal_socket_send(&s, &field, 1), -ECONNREFUSED);
    fd = listener(path);
    assert_int_equal(journal_socket_send(&s, &field, 1), 0);
    close(fd);
    fd = listener(path); /* while it was connected to the one before */
    assert_int_equal(journal_socket_send(&s, &field, 1), 0);
    assert_received(fd, expected, sizeof(expected) - 1);
    journal_socket_close(&s);
    close(fd);
    scratch_free(dir);
}

static void test_refused(void **state)
{
    (void)state;
    enum { LARGE = 16 * 1024 * 1024 };
    char *dir = scratch_new();
    _cleanup_(freep) char *path = xasprintf("%s/socket", dir), *text = xcalloc(LARGE, 1);
    JournalSocket s = { .path = path, .identifier = "me", .fd = -1 };
    const struct iovec field = FIELD("MESSAGE=a"), large = { .iov_base = text, .iov_len = LARGE };
    int fd = listener(path), r = 0;

    memset(text, 'x', LARGE);
    assert_int_equal(journal_socket_send(&s, &large, 1), -EMSGSIZE);
    for (size_t i = 0; r == 0 && i < 100000; i++) /* it does not wait for who does not read */
        r = journal_socket_send(&s, &field, 1);
    assert_int_equal(r, -EAGAIN);
    while (recv(fd, text, LARGE, 0) >= 0)
        ;
    assert_int_equal(journal_socket_send(&s, &field, 1), 0);
    journal_socket_close(&s);
    close(fd);
    scratch_free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire),
        cmocka_unit_test(test_another_listener),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests_name("journal-socket", tests, NULL, NULL);
}
