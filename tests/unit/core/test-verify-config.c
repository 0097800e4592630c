/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said of a relay that would not start again, in tor's own words. */
#include "test.h"

#include "core/verify-config.h"

#include <signal.h>

#define TOR "/usr/bin/tor"
#define LIKE "tor@relay1.service"
#define UNIT "relayalloc-preflight-7-1.service"
#define HEAD                                                                                                 \
    "Nov 28 17:07:22.326 [notice] Tor 0.4.9.11 running on Linux with Glibc 2.36 as libc.\n"                  \
    "Nov 28 17:07:22.326 [notice] Read configuration file \"/etc/tor/torrc\".\n"
#define CONTACT "Nov 28 17:07:22.326 [warn] Your ContactInfo config option is not set.\n"
#define WARN "Nov 28 17:07:22.326 [warn] "
#define TAIL "Nov 28 17:07:22.326 [err] Reading config failed--see warnings above.\n"

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *what, *output, *words;
    } rows[] = {
        { "an unknown option",
          HEAD WARN "Failed to parse/validate config: Unknown option 'Fooo'.  Failing.\n" TAIL,
          "Unknown option 'Fooo'" },
        { "the line before says more",
          HEAD WARN "Couldn't parse address \"banana\" for ORPort\n" WARN
                    "Failed to parse/validate config: Invalid ORPort configuration\n" TAIL,
          "Couldn't parse address \"banana\" for ORPort (Invalid ORPort configuration)" },
        { "and so here",
          HEAD WARN "Error setting configured user: nobody2 not found\n" WARN
                    "Failed to parse/validate config: Problem with User value. See logs for details.\n" TAIL,
          "Error setting configured user: nobody2 not found (Problem with User value. See logs for "
          "details)" },
        { "a warning that is not the reason",
          HEAD CONTACT WARN
          "Failed to parse/validate config: BandwidthRate is set to 1024 bytes/second.\n" TAIL,
          "BandwidthRate is set to 1024 bytes/second" },
        { "an include that is missing",
          HEAD WARN "Error reading included configuration file or directory: \"/nonexistent/x\".\n" TAIL,
          "Error reading included configuration file or directory: \"/nonexistent/x\"" },
        { "no line of tor's log", "tor: error while loading shared libraries: libevent-2.1.so.7\n",
          "tor: error while loading shared libraries: libevent-2.1.so.7" },
        { "without a last newline", "[warn] Gone", "Gone" },
        { "what a terminal would obey", "[warn] \033[2J red\n", "?[2J red" },
        { "nothing", "", NULL },
        { "empty lines", "\n\n", NULL },
    };

    for (size_t i = 0; i < ELEMENTSOF(rows); i++) {
        _cleanup_(freep) char *words = verify_config_words(rows[i].output);
        print_message("%s\n", rows[i].what);
        if (rows[i].words)
            assert_string_equal(words, rows[i].words);
        else
            assert_null(words);
    }
}

static void test_words_are_bounded(void **state)
{
    (void)state;
    _cleanup_(freep) char *output = xcalloc(100000, 1);

    memset(output, 'x', 99999);
    _cleanup_(freep) char *words = verify_config_words(output);
    assert_true(strlen(words) <= 400);
}

static char *fault(ActiveState active, const char *result, int code, int status, const char *output)
{
    const UnitInfo end = {
        .unit = (char *)UNIT,
        .exists = true,
        .active = active,
        .result = (char *)result,
        .exit_code = code,
        .exit_status = status,
    };
    return verify_config_fault(&end, TOR, LIKE, output, "");
}

static void test_faults(void **state)
{
    (void)state;
    const UnitInfo gone = { .exists = false };
    _cleanup_(freep) char *fine =
        fault(ACTIVE_INACTIVE, "success", CLD_EXITED, 0, CONTACT "Configuration was valid\n");
    _cleanup_(freep) char *bad = fault(ACTIVE_FAILED, "exit-code", CLD_EXITED, 1, WARN "Nonsense.\n" TAIL);
    _cleanup_(freep) char *root_only =
        fault(ACTIVE_FAILED, "exit-code", CLD_EXITED, 1,
              WARN "Tor is already running as _tor-r.  You do not need …\n" TAIL);
    _cleanup_(freep) char *silent = fault(ACTIVE_FAILED, "exit-code", CLD_EXITED, 1, "");
    _cleanup_(freep) char *user = fault(ACTIVE_FAILED, "exit-code", CLD_EXITED, 217, "");
    _cleanup_(freep) char *killed = fault(ACTIVE_FAILED, "signal", CLD_KILLED, SIGSEGV, WARN "Not this.\n");
    _cleanup_(freep) char *late = fault(ACTIVE_FAILED, "timeout", CLD_KILLED, SIGTERM, WARN "Nor this.\n");
    _cleanup_(freep) char *resources = fault(ACTIVE_FAILED, "resources", 0, 0, "");
    _cleanup_(freep) char *unknown = verify_config_fault(NULL, TOR, LIKE, "", NULL);
    _cleanup_(freep) char *collected = verify_config_fault(&gone, TOR, LIKE, WARN "Nonsense.\n", NULL);

    assert_null(root_only);
    assert_null(fine);
    assert_string_equal(bad, "its torrc does not verify: Nonsense");
    assert_string_equal(silent, "its torrc does not verify: " TOR " ended with status 1");
    assert_string_equal(user, "systemd cannot set up the sandbox of " LIKE " (217/USER): see its log");
    assert_string_equal(killed, TOR " was killed by signal 11 (SEGV) in the sandbox of " LIKE);
    assert_string_equal(late, TOR " did not finish in time in the sandbox of " LIKE);
    assert_string_equal(resources, "systemd cannot start " TOR " as " LIKE " would (result \"resources\")");
    assert_null(unknown); /* nothing is known, so nobody is blamed */
    assert_null(collected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_words_are_bounded),
        cmocka_unit_test(test_faults),
    };

    return cmocka_run_group_tests_name("verify-config", tests, NULL, NULL);
}
