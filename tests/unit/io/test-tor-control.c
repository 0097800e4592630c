/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks over real sockets. Who listens is this process, as the kernel remembers it; a child answers. */
#include "io/tor-control.h"

#include "scratch.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

static const char answers[] =
    "250 OK\r\n250-status/bootstrap-phase=PROGRESS=100 TAG=done SUMMARY=\"Done\"\r\n250 OK\r\n"
    "250-process/pid=1\r\n250 OK\r\n551 no\r\n250-traffic/read=1\r\n250 OK\r\n"
    "250-traffic/written=2\r\n250 OK\r\n";

typedef struct World {
    char *folder, *path;
    sd_event *event;
    int listener;
    pid_t child;
    TorControl *control;
    /* what came */
    bool over;
    int error;
    TorView view;
} World;

static int set_up(void **state)
{
    World *w = xcalloc(1, sizeof(*w));
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    w->folder = scratch_new();
    w->path = xasprintf("%s/control", w->folder);
    strcpy(address.sun_path, w->path);
    w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (sd_event_new(&w->event) < 0 || bind(w->listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(w->listener, 4) < 0)
        return -1;
    free(scratch_write(w->folder, "control.authcookie", "0123456789abcdef0123456789abcdef", 32, 0640));
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    World *w = *state;

    tor_control_free(w->control);
    if (w->child > 0) {
        kill(w->child, SIGKILL);
        waitpid(w->child, NULL, 0);
    }
    close(w->listener);
    sd_event_unref(w->event);
    tor_view_clear(&w->view);
    scratch_free(w->folder);
    free(w->path);
    free(w);
    return 0;
}

static void on_answer(void *userdata, int error, TorView *take)
{
    World *w = userdata;

    w->over = true;
    w->error = error;
    w->view = *take;
    w->control = tor_control_free(w->control);
}

/* A child that takes the connection and writes `text` over and over (or once), after it has read the
 * questions. */
static void answer_with(World *w, const char *text, bool endless)
{
    w->child = fork();
    if (w->child != 0)
        return;
    char buffer[4096];
    int fd = accept(w->listener, NULL, NULL);

    if (fd < 0 || read(fd, buffer, sizeof(buffer)) < (ssize_t)strlen("AUTHENTICATE") ||
        strncmp(buffer, "AUTHENTICATE 3031323334353637383961", 35) != 0)
        _exit(1);
    while (write(fd, text, strlen(text)) > 0 && endless)
        ;
    pause();
    _exit(0);
}

static int ask(World *w, usec_t timeout)
{
    return tor_control_ask(w->event, w->path, getpid(), getuid(), NULL, timeout, on_answer, w, &w->control);
}

static int ask_and_wait(World *w, usec_t timeout)
{
    assert_int_equal(ask(w, timeout), 0);
    while (!w->over)
        assert_true(sd_event_run(w->event, 30 * USEC_PER_SEC) > 0);
    return w->error;
}

static void test_an_honest_relay(void **state)
{
    World *w = *state;

    answer_with(w, answers, false);
    assert_int_equal(ask_and_wait(w, 30 * USEC_PER_SEC), 0);
    assert_int_equal(w->view.progress, 100);
    assert_string_equal(w->view.summary, "Done");
    assert_true(w->view.has_traffic);
}

static void test_silence(void **state)
{
    World *w = *state;

    answer_with(w, "", false);
    assert_int_equal(ask_and_wait(w, 100 * USEC_PER_MSEC), -ETIMEDOUT);
    assert_int_equal(w->view.progress, -1);
}

static void test_too_slow(void **state)
{
    answer_with(*state, "250 OK\r\n250-", false);
    assert_int_equal(ask_and_wait(*state, 100 * USEC_PER_MSEC), -ETIMEDOUT);
}

static void test_garbage(void **state)
{
    answer_with(*state,
                "\x7f"
                "ELF garbage\n",
                false);
    assert_int_equal(ask_and_wait(*state, 30 * USEC_PER_SEC), -EBADMSG);
}

static void test_a_flood(void **state)
{
    answer_with(*state, "650 nobody asked for this\r\n", true);
    assert_int_equal(ask_and_wait(*state, 30 * USEC_PER_SEC), -EFBIG);
}

static void test_nobody_listens(void **state)
{
    World *w = *state;

    assert_int_equal(unlink(w->path), 0);
    assert_int_equal(ask(w, USEC_PER_SEC), -ENOENT);
    assert_false(w->over);
}

/* The socket of another process: of another relay, or of systemd. */
static void test_somebody_else_listens(void **state)
{
    World *w = *state;

    assert_int_equal(tor_control_ask(w->event, w->path, getppid(), getuid(), NULL, USEC_PER_SEC, on_answer, w,
                                     &w->control),
                     -EPERM);
    assert_null(w->control);
}

static void replace_cookie(const World *w, const char *target, bool symbolic)
{
    _cleanup_(freep) char *cookie = xasprintf("%s.authcookie", w->path);
    int r = unlink(cookie);

    if (target)
        r = symbolic ? symlink(target, cookie) : link(target, cookie);
    else
        r = mkfifo(cookie, 0600);
    assert_int_equal(r, 0);
}

/* Another's secret in the place of the cookie is not read and sent. */
static void test_cookie_of_others(void **state)
{
    World *w = *state;
    _cleanup_(freep) char *secret =
        scratch_write(w->folder, "secret", "0123456789abcdef0123456789abcdef", 32, 0600);

    replace_cookie(w, secret, true);
    assert_int_equal(ask(w, USEC_PER_SEC), -EPERM);
    replace_cookie(w, secret, false);
    assert_int_equal(ask(w, USEC_PER_SEC), -EPERM);
    replace_cookie(w, NULL, false);
    assert_int_equal(ask(w, USEC_PER_SEC), -EPERM);
    assert_int_equal(tor_control_ask(w->event, w->path, getpid(), getuid() + 1, NULL, USEC_PER_SEC, on_answer,
                                     w, &w->control),
                     -EPERM);
}

static void test_cookie_of_another_size(void **state)
{
    World *w = *state;

    free(scratch_write(w->folder, "control.authcookie", "short", 5, 0640));
    assert_int_equal(ask(w, USEC_PER_SEC), -EBADMSG);
}

static void test_freed_on_the_way(void **state)
{
    World *w = *state;

    answer_with(w, answers, false);
    assert_int_equal(ask(w, USEC_PER_SEC), 0);
    w->control = tor_control_free(w->control);
    assert_int_equal(sd_event_run(w->event, 0), 0);
    assert_false(w->over);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_an_honest_relay),
        TEST(test_silence),
        TEST(test_too_slow),
        TEST(test_garbage),
        TEST(test_a_flood),
        TEST(test_nobody_listens),
        TEST(test_somebody_else_listens),
        TEST(test_cookie_of_others),
        TEST(test_cookie_of_another_size),
        TEST(test_freed_on_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
