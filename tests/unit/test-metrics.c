/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/metrics.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_text) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
