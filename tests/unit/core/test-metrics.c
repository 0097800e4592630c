/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/metrics.h"

#include <errno.h>

static void test_text(void **state)
{
    (void)state;
    const MetricsRelay relays[] = {
        { .sample = { .relay = "one",
                      .group = "B",
                      .allocator = "mimalloc",
                      .version = "2.0.9",
                      .since = 1500000,
                      .memory = { .rss = 1, .anon = 2, .swap = 3, .hwm = 4 } },
          .state = "ok",
          .up = true },
        { .sample = { .relay = "a\"b\\c", .group = NULL, .allocator = "", .version = "" },
          .state = "stopped" },
    };
    _cleanup_(freep) char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    metrics_write(f, relays, 2, 2 * USEC_PER_SEC);
    fclose(f);
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
        "relayalloc_relay_state{relay=\"a\\\"b\\\\c\",group=\"\",state=\"stopped\"} 1\n",
        "relayalloc_sample_time_seconds 2.000\n",
    };
    for (size_t i = 0; i < ELEMENTSOF(lines); i++)
        assert_non_null(strstr(text, lines[i]));
    assert_null(strstr(text, "bytes{relay=\"a")); /* it is down: no numbers */
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
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_text), cmocka_unit_test(test_sandbox),
                                        cmocka_unit_test(test_failure) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
