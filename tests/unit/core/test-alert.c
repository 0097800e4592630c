/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/alert.h"
#include "core/relay.h"

#include <ctype.h>

static void assert_unit(AlertKind kind, const char *relay, const char *unit)
{
    _cleanup_(freep) char *found = alert_unit(kind, relay);

    assert_string_equal(found, unit);
    assert_true(unit_is_service_instance(found));
}

/* What `systemd-escape --template=relayalloc-alert@.service EVENT/RELAY` prints. */
static void test_unit(void **state)
{
    (void)state;
    assert_unit(ALERT_DOWN, "relay1", "relayalloc-alert@down-relay1.service");
    assert_unit(ALERT_HALTED, "my-relay", "relayalloc-alert@halted-my\\x2drelay.service");
    assert_unit(ALERT_LOST, "1.2.3.4_9000", "relayalloc-alert@lost-1.2.3.4_9000.service");
    assert_unit(ALERT_FULL, "a b\\x2d", "relayalloc-alert@full-a\\x20b\\x5cx2d.service");
    assert_unit(ALERT_LARGE, "ä@", "relayalloc-alert@large-\\xc3\\xa4\\x40.service");
    assert_unit(ALERT_LARGE, "..", "relayalloc-alert@large-...service");
}

/* Cut between two characters, so that it can still be read back. */
static void test_long_name(void **state)
{
    char name[300];

    (void)state;
    for (size_t n = 200; n < sizeof(name); n++) {
        memset(name, 'x', n);
        memcpy(name + n - 100, "ä-ä-ä-ä-ä-ä-ä-ä-ä-ä-ä-ä-ä-ä-ä-", 45);
        name[n] = '\0';
        _cleanup_(freep) char *unit = alert_unit(ALERT_HALTED, name);
        assert_true(unit_is_service_instance(unit));
        assert_true(strlen(unit) <= UNIT_NAME_LONGEST);
        for (const char *p = unit; (p = strchr(p, '\\')); p++)
            assert_true(p[1] == 'x' && isxdigit((unsigned char)p[2]) && isxdigit((unsigned char)p[3]));
    }
}

static void test_same_not_at_once(void **state)
{
    _cleanup_(alerts_clear) Alerts a = { 0 };
    const usec_t t = 5 * USEC_PER_SEC;

    (void)state;
    assert_int_equal(alerts_add(&a, ALERT_DOWN, "a", t), ALERT_START);
    assert_int_equal(alerts_add(&a, ALERT_DOWN, "a", t), ALERT_TOO_SOON);
    assert_int_equal(alerts_add(&a, ALERT_DOWN, "b", t + 1), ALERT_START);
    assert_int_equal(alerts_add(&a, ALERT_DOWN, "a", t + ALERT_PAUSE - 1), ALERT_TOO_SOON);
    assert_int_equal(alerts_add(&a, ALERT_DOWN, "a", t + ALERT_PAUSE), ALERT_START);
    /* somebody has resumed, and it halts again */
    assert_int_equal(alerts_add(&a, ALERT_HALTED, "h", t + ALERT_PAUSE), ALERT_START);
    assert_int_equal(alerts_add(&a, ALERT_HALTED, "h", t + ALERT_PAUSE + ALERT_HALTED_PAUSE - 1),
                     ALERT_TOO_SOON);
    assert_int_equal(alerts_add(&a, ALERT_HALTED, "h", t + ALERT_PAUSE + ALERT_HALTED_PAUSE), ALERT_START);
}

static void test_not_started(void **state)
{
    _cleanup_(alerts_clear) Alerts a = { 0 };

    (void)state;
    assert_int_equal(alerts_add(&a, ALERT_DOWN, "a", 1), ALERT_START);
    alerts_forget(&a, "b");
    assert_int_equal(alerts_add(&a, ALERT_DOWN, "a", 2), ALERT_TOO_SOON);
    alerts_forget(&a, "a");
    assert_int_equal(alerts_add(&a, ALERT_DOWN, "a", 3), ALERT_START);
}

/* A host that loses its network: some of its relays tell of it. */
static void test_many(void **state)
{
    _cleanup_(alerts_clear) Alerts a = { 0 };
    char unit[16];

    (void)state;
    for (int i = 0; i < 200; i++) {
        snprintf(unit, sizeof(unit), "relay%d", i);
        assert_int_equal(alerts_add(&a, ALERT_DOWN, unit, 1), i < ALERTS_AN_HOUR    ? ALERT_START
                                                              : i == ALERTS_AN_HOUR ? ALERT_TOO_MANY
                                                                                    : ALERT_STILL_MANY);
    }
    assert_int_equal(alerts_add(&a, ALERT_HALTED, "h", 2), ALERT_START); /* whatever else there is */
    assert_int_equal(alerts_add(&a, ALERT_DOWN, "other", 3), ALERT_STILL_MANY);
    assert_int_equal(alerts_add(&a, ALERT_DOWN, "other", 1 + ALERT_PAUSE), ALERT_START);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unit),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_same_not_at_once),
        cmocka_unit_test(test_not_started),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
