/* SPDX-License-Identifier: BSD-3-Clause */
/* The conversation with a control socket: as tor answers (its words taken from tor 0.4.9), and as somebody
 * answers who means ill. */
#include "test.h"

#include "core/tor-control.h"

#include <errno.h>

#define FP "0123456789ABCDEF0123456789ABCDEF01234567"

static const char honest[] = "250 OK\r\n"
                             "250-status/bootstrap-phase=NOTICE BOOTSTRAP PROGRESS=45 "
                             "TAG=requesting_descriptors SUMMARY=\"Asking for relay "
                             "descriptors\" WARNING=\"No route to host\" REASON=NOROUTE COUNT=3\r\n250 OK\r\n"
                             "250-process/pid=4711\r\n250 OK\r\n"
                             "250-fingerprint=" FP "\r\n250 OK\r\n"
                             "250-traffic/read=1000\r\n250 OK\r\n"
                             "250-traffic/written=2000\r\n250 OK\r\n"
                             "250+ns/id/$" FP "=\r\nr relay1 abc def 2026-01-08 06:00:00 127.0.0.1 9001 0\r\n"
                             "s Running Guard Fast V2Dir\r\nw Bandwidth=20\r\n.\r\n250 OK\r\n"
                             "250 closing connection\r\n";

static int feed(TorReplies *t, const char *text)
{
    return tor_replies_feed(t, text, strlen(text));
}

static void assert_honest(const TorView *v)
{
    assert_int_equal(v->progress, 45);
    assert_string_equal(v->tag, "requesting_descriptors");
    assert_string_equal(v->summary, "Asking for relay descriptors");
    assert_string_equal(v->warning, "No route to host");
    assert_int_equal(v->pid, 4711);
    assert_string_equal(v->fingerprint, FP);
    assert_true(v->has_traffic);
    assert_int_equal(v->read, 1000);
    assert_int_equal(v->written, 2000);
    assert_string_equal(v->flags, "Fast,Guard,Running,V2Dir");
}

static void test_what_is_sent(void **state)
{
    unsigned char cookie[TOR_COOKIE_SIZE] = { 0xab, 1 };
    _cleanup_(freep) char *all = tor_control_requests(cookie, FP), *some = tor_control_requests(cookie, NULL);

    (void)state;
    assert_memory_equal(all, "AUTHENTICATE AB01000000", 23);
    assert_non_null(strstr(all, "0000\r\nGETINFO status/bootstrap-phase\r\n"));
    assert_non_null(strstr(all, "GETINFO ns/id/$" FP "\r\nQUIT\r\n"));
    assert_null(strstr(some, "ns/id"));
    assert_non_null(strstr(some, "GETINFO traffic/written\r\nQUIT\r\n"));
}

static void test_answers_as_tor_gives_them(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof(honest); piece *= 3) {
        _cleanup_(tor_replies_freep) TorReplies *t = tor_replies_new(true);
        _cleanup_(tor_view_clear) TorView v;
        int r = 0;

        for (size_t at = 0; at < strlen(honest) && r == 0; at += piece) {
            size_t left = strlen(honest) - at;
            r = tor_replies_feed(t, honest + at, left < piece ? left : piece);
        }
        assert_int_equal(r, 1);
        tor_replies_take(t, &v);
        assert_honest(&v);
    }
}

static void test_without_flags_it_ends_earlier(void **state)
{
    _cleanup_(tor_replies_freep) TorReplies *t = tor_replies_new(false);
    _cleanup_(tor_view_clear) TorView v;
    _cleanup_(freep) char *text = xstrndup(honest, (size_t)(strstr(honest, "250+ns") - honest));

    (void)state;
    assert_int_equal(feed(t, text), 1);
    tor_replies_take(t, &v);
    assert_null(v.flags);
    assert_int_equal(v.written, 2000);
}

static void test_cookie_refused(void **state)
{
    _cleanup_(tor_replies_freep) TorReplies *t = tor_replies_new(false);

    (void)state;
    assert_int_equal(feed(t, "515 Authentication failed: Wrong length on authentication cookie.\r\n"),
                     -EACCES);
    assert_int_equal(feed(t, honest), -EACCES);
}

/* A client without ORPort has no fingerprint, and who is in no consensus no flags. */
static void test_questions_refused_leave_fields_unknown(void **state)
{
    _cleanup_(tor_replies_freep) TorReplies *t = tor_replies_new(true);
    _cleanup_(tor_view_clear) TorView v;

    (void)state;
    assert_int_equal(feed(t, "250 OK\r\n552 Unrecognized key \"status/bootstrap-phase\"\r\n551 no\r\n"
                             "551 Not running in server mode\r\n551 no\r\n250-traffic/written=5\r\n250 OK\r\n"
                             "552 Unrecognized key \"ns/id/$" FP "\"\r\n"),
                     1);
    tor_replies_take(t, &v);
    assert_int_equal(v.progress, -1);
    assert_string_equal(v.fingerprint, "");
    assert_int_equal(v.pid, 0);
    assert_false(v.has_traffic); /* half of it is none */
    assert_string_equal(v.flags, "");
}

static void assert_refused(const char *text, int error)
{
    _cleanup_(tor_replies_freep) TorReplies *t = tor_replies_new(true);
    int r = feed(t, text);

    if (r != error)
        fail_msg("%d, not %d: %.60s", r, error, text);
}

static char *repeat(const char *text, size_t n)
{
    char *all = xcalloc(n * strlen(text) + 1, 1);

    for (size_t i = 0; i < n; i++)
        memcpy(all + i * strlen(text), text, strlen(text));
    return all;
}

static void test_no_honest_answer(void **state)
{
    _cleanup_(freep) char *long_line = repeat("x", TOR_REPLIES_MAX + 1),
                          *lines = repeat("650 X\r\n", TOR_LINES_MAX + 1),
                          *data = repeat("s Fast\r\n", TOR_LINES_MAX);
    _cleanup_(freep) char *endless = xasprintf("250+x=\r\n%s", data);

    (void)state;
    assert_refused("HTTP/1.0 501 Tor is not an HTTP Proxy\r\n", -EBADMSG);
    assert_refused("\r\n", -EBADMSG);
    assert_refused("250\r\n", -EBADMSG);
    assert_refused("250~OK\r\n", -EBADMSG);
    assert_refused(long_line, -EFBIG);
    assert_refused(lines, -EFBIG);
    assert_refused(endless, -EFBIG);
    assert_refused("250 OK\r\n250-status", 0);
}

/* What is shown on terminals and kept in the journal carries nothing that steers either. */
static void test_values_of_a_liar(void **state)
{
    _cleanup_(tor_replies_freep) TorReplies *t = tor_replies_new(true);
    _cleanup_(tor_view_clear) TorView v;

    (void)state;
    assert_int_equal(
        feed(t, "250 OK\r\n250-status/bootstrap-phase=PROGRESS=101 TAG=x\r\n"
                "250-status/bootstrap-phase=XPROGRESS=4 PROGRESS=99 SUMMARY=\"\x1b[31m\xff red\r\n250 OK\r\n"
                "250-process/pid=-1\r\n250 OK\r\n250-fingerprint=" FP "0\r\n250 OK\r\n"
                "250-traffic/read=99999999999999999999999\r\n250 OK\r\n250-traffic/written=1\r\n250 OK\r\n"
                "250+ns/id/$=\r\ns Fast \x1b[2J Exit;rm Guard\r\n.\r\n250 OK\r\n"),
        1);
    tor_replies_take(t, &v);
    assert_int_equal(v.progress, 99);
    assert_string_equal(v.summary, "?[31m? red");
    assert_null(v.tag);
    assert_int_equal(v.pid, 0);
    assert_string_equal(v.fingerprint, "");
    assert_false(v.has_traffic);
    assert_string_equal(v.flags, "Fast,Guard");
}

static void test_fingerprint_from_the_log(void **state)
{
    (void)state;
    static const struct {
        const char *line, *expected;
    } lines[] = {
        { "[notice] Your Tor server's identity key  fingerprint is 'relay7 " FP "'", FP },
        { "Your Tor server's identity key fingerprint is 'relay7 " FP "'", FP },
        { "Your Tor server's identity key ed25519 fingerprint is 'relay7 QhxG'", "" },
        { "Your Tor bridge's hashed identity key  fingerprint is 'relay7 " FP "'", "" },
        { "Your Tor server's identity key  fingerprint is 'relay7 " FP "0'", "" },
        { "Your Tor server's identity key  fingerprint is 'relay7 x" FP, "" },
        { "Your Tor server's identity key  fingerprint is '", "" },
        { NULL, "" },
    };
    for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
        TorView view = { .progress = -1 };
        tor_view_fingerprint_from_log(lines[i].line, &view);
        assert_string_equal(view.fingerprint, lines[i].expected);
    }
}

static void assert_shown(int progress, const char *tag, const char *expected)
{
    _cleanup_(freep) char *text = tor_view_bootstrap(&(TorView){ .progress = progress, .tag = (char *)tag });

    assert_string_equal(text, expected);
}

static void test_bootstrap_in_words(void **state)
{
    (void)state;
    assert_shown(-1, "done", "");
    assert_shown(45, "loading_descriptors", "45 % (loading descriptors)");
    assert_shown(5, NULL, "5 %");
}

static void assert_path(const char *pattern, const char *instance, const char *expected)
{
    _cleanup_(freep) char *path = tor_control_path(pattern, instance);

    assert_string_equal(path, expected);
}

static void test_where_the_socket_is(void **state)
{
    (void)state;
    assert_path("", "relay1", "/run/tor-instances/relay1/control");
    assert_path("", "default", "/run/tor/control");
    assert_path("/srv/%i/c-%i%", "r", "/srv/r/c-r%");
}

/* Of a message of several lines only the first is its: what follows would stand in our log as if we said it.
 */
static void test_progress_in_the_log(void **state)
{
    static const struct {
        const char *line;
        int progress;
        const char *tag, *summary;
    } lines[] = {
        { "Bootstrapped 45% (requesting_descriptors): Asking for relay descriptors", 45,
          "requesting_descriptors", "Asking for relay descriptors" },
        { "Bootstrapped 100% (done): Done\nrelay2 runs jemalloc, proved.", 100, "done", "Done" },
        { "Bootstrapped 5% (conn): \r\x1b[2Jx", 5, "conn", "" },
        { "Bootstrapped 5% (conn): \x1b[2Jx", 5, "conn", "?[2Jx" },
        { "Bootstrapped 101% (done): Done", -1, NULL, NULL },
        { "Bootstrapped 5% (Conn): Done", -1, NULL, NULL },
        { "nothing of the kind", -1, NULL, NULL },
        { NULL, -1, NULL, NULL },
    };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
        _cleanup_(tor_view_clear) TorView view;
        tor_view_from_log(lines[i].line, &view);
        assert_int_equal(view.progress, lines[i].progress);
        assert_true(streq_null(view.tag, lines[i].tag));
        assert_true(streq_null(view.summary, lines[i].summary));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sent),
        cmocka_unit_test(test_answers_as_tor_gives_them),
        cmocka_unit_test(test_without_flags_it_ends_earlier),
        cmocka_unit_test(test_cookie_refused),
        cmocka_unit_test(test_questions_refused_leave_fields_unknown),
        cmocka_unit_test(test_no_honest_answer),
        cmocka_unit_test(test_values_of_a_liar),
        cmocka_unit_test(test_fingerprint_from_the_log),
        cmocka_unit_test(test_bootstrap_in_words),
        cmocka_unit_test(test_where_the_socket_is),
        cmocka_unit_test(test_progress_in_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
