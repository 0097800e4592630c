/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/metrics-port.h"

/* The lines of one file after the other; "--" ends the defaults. */
static void check(const char *const *lines, const char *const *ports)
{
    MetricsPorts found = { 0 };
    size_t n = 0;

    for (; *lines; lines++)
        if (streq(*lines, "--"))
            metrics_ports_next(&found);
        else
            metrics_ports_line(&found, *lines);
    for (; ports[n]; n++) {
        assert_true(n < strv_length(found.ports));
        assert_string_equal(found.ports[n], ports[n]);
    }
    assert_int_equal(strv_length(found.ports), n);
    metrics_ports_clear(&found);
}

#define LINES(...)                                                                                           \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        __VA_ARGS__, NULL                                                                                    \
    }
#define NO_PORT                                                                                              \
    (const char *const[])                                                                                    \
    {                                                                                                        \
        NULL                                                                                                 \
    }

static void test_forms(void **state)
{
    (void)state;
    check(LINES("MetricsPort 9035"), LINES("127.0.0.1:9035"));
    check(LINES("  metricsport\t127.0.0.1:9035 prometheus"), LINES("127.0.0.1:9035"));
    check(LINES("MetricsPort [::1]:9035 # here"), LINES("[::1]:9035"));
    check(LINES("MetricsPort \"10.0.0.1:9035\""), LINES("10.0.0.1:9035"));
    check(LINES("MetricsPort localhost:9035\r"), LINES("localhost:9035"));
}

static void test_none(void **state)
{
    (void)state;
    check(LINES("MetricsPort 0"), NO_PORT);
    check(LINES("MetricsPort auto"), NO_PORT);
    check(LINES("MetricsPort unix:/run/tor/metrics"), NO_PORT);
    check(LINES("MetricsPort 70000"), NO_PORT);
    check(LINES("MetricsPort"), NO_PORT);
    check(LINES("MetricsPort :9035"), NO_PORT);
    check(LINES("#MetricsPort 9035"), NO_PORT);
    check(LINES("MetricsPortPolicy accept 127.0.0.1"), NO_PORT);
    check(LINES("MetricsPort 0", "MetricsPort 9035"), LINES("127.0.0.1:9035")); /* tor warns, and opens it */
}

static void test_several_and_defaults(void **state)
{
    (void)state;
    check(LINES("MetricsPort 1", "MetricsPort 2"), LINES("127.0.0.1:1", "127.0.0.1:2"));
    check(LINES("MetricsPort 1", "--", "ORPort 9001"), LINES("127.0.0.1:1"));
    check(LINES("MetricsPort 1", "--", "MetricsPort 2"), LINES("127.0.0.1:2"));
    check(LINES("MetricsPort 1", "--", "+MetricsPort 2"), LINES("127.0.0.1:1", "127.0.0.1:2"));
    check(LINES("MetricsPort 1", "--", "MetricsPort 0"), NO_PORT);
    check(LINES("MetricsPort 1", "--", "/MetricsPort"), NO_PORT);
}

static void test_target(void **state)
{
    static const char *const cases[][2] = { { "127.0.0.1:1", "127.0.0.1:1" },
                                            { "0.0.0.0:1", "host1:1" },
                                            { "[::]:1", "host1:1" },
                                            { "[::1]:1", "[::1]:1" } };

    (void)state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(freep) char *target = metrics_port_target(cases[i][0], "host1");
        assert_string_equal(target, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_several_and_defaults),
        cmocka_unit_test(test_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
