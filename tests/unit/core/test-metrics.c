/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/metrics.h"

#include <errno.h>

static const MetricsHost idle = {
    .version = "1.2",
    .config_valid = true,
    .config_read = 4500000,
    .state_saved = true,
    .rollout = "idle",
    .interval = 60 * USEC_PER_SEC,
    .now = 2 * USEC_PER_SEC,
};

/* Owned by the caller. */
/* Inlined, gcc 12 takes what was found in it for a pointer to the local variable. */
__attribute__((noinline)) static char *written(const MetricsHost *host, const MetricsRelay *relays, size_t n)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    metrics_write(f, host, relays, n);
    fclose(f);
    return text;
}

static void test_relays(void **state)
{
    (void)state;
    const MetricsRelay relays[] = {
        { .sample = { .relay = "one",
                      .group = "B",
                      .allocator = "mimalloc",
                      .version = "2.0.9",
                      .since = 1500000,
                      .memory = { .rss = 1, .anon = 2, .swap = 3, .hwm = 4 } },
          .unit = "tor@one.service",
          .assigned = "mimalloc",
          .fingerprint = "A1",
          .state = "ok",
          .up = true,
          .bootstrap = 85,
          .flags = "Fast,Guard" },
        { .sample = { .relay = "new" }, .state = "observed", .up = true, .bootstrap = 100, .flags = "" },
        { .sample = { .relay = "mute" }, .state = "observed", .up = true, .bootstrap = -1 },
        { .sample = { .relay = "a\"b\\c\nd\xff", .group = "B", .allocator = "jemalloc", .version = "5.3.0" },
          .unit = "tor@a.service",
          .assigned = NULL,
          .fingerprint = "",
          .state = "stopped",
          .bootstrap = 100,
          .flags = "Guard" },
    };
    _cleanup_(freep) char *text = written(&idle, relays, ELEMENTSOF(relays));
    static const char *const lines[] = {
        "# TYPE relayalloc_relay_resident_bytes gauge\n",
        "relayalloc_relay_resident_bytes{relay=\"one\",group=\"B\",allocator=\"mimalloc\",version=\"2.0.9\"} "
        "1\n",
        "relayalloc_relay_anonymous_bytes{relay=\"one\",group=\"B\",allocator=\"mimalloc\",version=\"2.0.9\"}"
        " 2\n",
        "relayalloc_relay_swap_bytes{relay=\"one\",group=\"B\",allocator=\"mimalloc\",version=\"2.0.9\"} 3\n",
        "relayalloc_relay_resident_peak_bytes{relay=\"one\",group=\"B\",allocator=\"mimalloc\",version=\"2.0."
        "9\"} 4\n",
        "relayalloc_relay_start_time_seconds{relay=\"one\",group=\"B\",allocator=\"mimalloc\",version=\"2.0."
        "9\"} 1.500\n",
        "relayalloc_relay_state{relay=\"one\",group=\"B\",state=\"ok\"} 1\n",
        "relayalloc_relay_state{relay=\"a\\\"b\\\\c\\nd?\",group=\"B\",state=\"stopped\"} 1\n",
        "relayalloc_relay_info{relay=\"one\",unit=\"tor@one.service\",group=\"B\",assigned=\"mimalloc\","
        "allocator=\"mimalloc\",version=\"2.0.9\",fingerprint=\"A1\"} 1\n",
        /* what it ran before it was stopped is over */
        "relayalloc_relay_info{relay=\"a\\\"b\\\\c\\nd?\",unit=\"tor@a.service\",group=\"B\",assigned=\"\","
        "allocator=\"\",version=\"\",fingerprint=\"\"} 1\n",
        "relayalloc_relay_bootstrap_ratio{relay=\"one\",group=\"B\"} 0.85\n",
        "relayalloc_relay_bootstrap_ratio{relay=\"new\",group=\"\"} 1.00\n",
        "relayalloc_relay_flags_info{relay=\"one\",group=\"B\",flags=\"Fast,Guard\"} 1\n",
        "relayalloc_relay_flags_info{relay=\"new\",group=\"\",flags=\"\"} 1\n",
    };
    for (size_t i = 0; i < ELEMENTSOF(lines); i++)
        assert_non_null(strstr(text, lines[i]));
    assert_null(strstr(text, "bytes{relay=\"a")); /* it is down: no numbers */
    assert_null(strstr(text, "jemalloc"));
    assert_null(strstr(text, "ratio{relay=\"mute")); /* what it has not said is not there */
    assert_null(strstr(text, "flags_info{relay=\"mute"));
    assert_null(strstr(text, "ratio{relay=\"a")); /* nor what it said before it went */
    assert_null(strstr(text, "flags_info{relay=\"a"));
}

/* Of a host whose relays have told all of what there is to tell. */
static void test_series_of_two_hundred_relays(void **state)
{
    enum { RELAYS = 200 };
    static MetricsRelay relays[RELAYS];
    MetricsHost host = idle;
    size_t series = 0;

    (void)state;
    for (size_t i = 0; i < RELAYS; i++)
        relays[i] = (MetricsRelay){
            .sample = { .relay = "relay", .group = "A", .allocator = "jemalloc", .version = "5.3.0" },
            .unit = "tor@relay.service",
            .state = "ok",
            .up = true,
            .bootstrap = 100,
            .flags = "Fast,Guard,HSDir,Running,Stable,V2Dir,Valid",
        };
    host.full_in = 3;
    _cleanup_(freep) char *text = written(&host, relays, RELAYS);
    for (const char *p = text; *p; p = strchr(p, '\n') + 1)
        series += *p != '#';
    assert_in_range(series, 9 * RELAYS + 1, 9 * RELAYS + 30);
    assert_true(series < 2000);
}

static void test_host(void **state)
{
    (void)state;
    _cleanup_(freep) char *text = written(&idle, NULL, 0);
    static const char *const lines[] = {
        "relayalloc_build_info{version=\"1.2\"} 1\n",
        "relayalloc_config_last_reload_successful 1\n",
        "relayalloc_config_last_reload_success_timestamp_seconds 4.500\n",
        "relayalloc_state_last_save_successful 1\n",
        "relayalloc_rollout_state{state=\"idle\"} 1\n",
        "relayalloc_rollout_state{state=\"halted\"} 0\n",
        "relayalloc_sample_interval_seconds 60.000\n",
        "relayalloc_sample_time_seconds 2.000\n",
    };
    for (size_t i = 0; i < ELEMENTSOF(lines); i++)
        assert_non_null(strstr(text, lines[i]));

    MetricsHost host = idle;
    host.config_valid = host.state_saved = false;
    host.rollout = "halted";
    host.total = 10;
    host.done = 3;
    host.skipped = 2;
    host.failed = 1;
    _cleanup_(freep) char *bad = written(&host, NULL, 0);
    static const char *const others[] = {
        "relayalloc_config_last_reload_successful 0\n",
        "relayalloc_state_last_save_successful 0\n",
        "relayalloc_rollout_state{state=\"idle\"} 0\n",
        "relayalloc_rollout_state{state=\"halted\"} 1\n",
        "relayalloc_rollout_relays{result=\"done\"} 3\n",
        "relayalloc_rollout_relays{result=\"skipped\"} 2\n",
        "relayalloc_rollout_relays{result=\"failed\"} 1\n",
        "relayalloc_rollout_relays{result=\"pending\"} 4\n",
    };
    for (size_t i = 0; i < ELEMENTSOF(others); i++)
        assert_non_null(strstr(bad, others[i]));
}

static size_t times(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *p = strstr(text, what); p; p = strstr(p + 1, what))
        n++;
    return n;
}

/* Each allocator once, however many relays run it. */
static void test_allocators(void **state)
{
    (void)state;
    MetricsRelay relays[] = {
        { .sample = { .relay = "a", .allocator = "mimalloc3", .version = "3.0.1" },
          .up = true,
          .suspect = true },
        { .sample = { .relay = "b", .allocator = "glibc", .version = "2.36" }, .up = true },
        { .sample = { .relay = "c", .allocator = "mimalloc3", .version = "3.0.1" },
          .up = true,
          .suspect = true },
        { .sample = { .relay = "d", .allocator = "", .version = "" }, .up = true },
    };
    _cleanup_(freep) char *text = written(&idle, relays, ELEMENTSOF(relays));
    static const char line[] = "relayalloc_allocator_suspect{allocator=\"mimalloc3\",version=\"3.0.1\"} 1\n";
    assert_non_null(strstr(text, line));
    assert_int_equal(times(text, "suspect{allocator=\"mimalloc3\""), 1);
    assert_non_null(strstr(text, "suspect{allocator=\"glibc\",version=\"2.36\"} 0\n"));
    assert_null(strstr(text, "suspect{allocator=\"\""));
}

/* What to type, where typing helps. */
static void test_failure(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        int error;
        const char *text;
    } cases[] = {
        { "/var/lib/prometheus/node-exporter/relayalloc.prom", -EROFS,
          "cannot write /var/lib/prometheus/node-exporter/relayalloc.prom: /var/lib/prometheus/node-exporter "
          "was created after relayallocd started, and its sandbox does not let it write there yet; run "
          "\"systemctl restart relayallocd\", which restarts no relay" },
        { "/srv/metrics/r.prom", -EROFS,
          "cannot write /srv/metrics/r.prom: the sandbox of relayallocd does not let it write to "
          "/srv/metrics; run \"systemctl edit relayallocd\", add the lines \"[Service]\" and "
          "\"ReadWritePaths=/srv/metrics\", then run \"systemctl restart relayallocd\", which restarts no "
          "relay" },
        { "/srv/metrics/r.prom", -ENOENT,
          "cannot write /srv/metrics/r.prom: there is no directory /srv/metrics; create it, then run "
          "\"systemctl restart "
          "relayallocd\", which restarts no relay" },
        { "/srv/metrics/r.prom", -ELOOP,
          "cannot write /srv/metrics/r.prom: its path has a link that users other than root could change; "
          "write "
          "the path "
          "without links in metrics.textfile (\"realpath /srv/metrics\" shows it)" },
        { "/srv/metrics/r.prom", -EISDIR, "cannot write /srv/metrics/r.prom: Is a directory" },
        { "/r.prom", -EROFS,
          "cannot write /r.prom: the sandbox of relayallocd does not let it write to /; run \"systemctl edit "
          "relayallocd\", add the lines \"[Service]\" and \"ReadWritePaths=/\", then run \"systemctl restart "
          "relayallocd\", which restarts no relay" },
    };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *text = metrics_failure(cases[i].path, cases[i].error);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_sandbox(void **state)
{
    (void)state;
    char *paths[] = { (char *)"/etc/systemd/system", (char *)"-/var/lib/prometheus/node-exporter",
                      (char *)"-+/srv/metrics/", NULL };
    char *none[] = { NULL }, *all[] = { (char *)"/", NULL };

    assert_true(metrics_may_be_written("/var/lib/prometheus/node-exporter/r.prom", paths));
    assert_true(metrics_may_be_written("/srv/metrics/below/r.prom", paths));
    assert_true(metrics_may_be_written("/anywhere/r.prom", all));
    assert_false(metrics_may_be_written("/srv/metrics2/r.prom", paths));
    assert_false(metrics_may_be_written("/srv/r.prom", paths));
    assert_false(metrics_may_be_written("/srv/metrics/r.prom", none));
    assert_false(metrics_may_be_written("/srv/metrics/r.prom", NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_relays),  cmocka_unit_test(test_series_of_two_hundred_relays),
        cmocka_unit_test(test_host),    cmocka_unit_test(test_allocators),
        cmocka_unit_test(test_sandbox), cmocka_unit_test(test_failure)
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
