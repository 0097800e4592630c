/* SPDX-License-Identifier: BSD-3-Clause */
/* What is said of a sandbox that lets no program run, from systemd's own words. */
#include "test.h"

#include "core/sandbox.h"

#include <signal.h>

#define PROBE "/usr/libexec/relayalloc/relayalloc-probe"
#define LIKE "tor@relay1.service"
#define UNIT "relayalloc-preflight-7-1.service"

static UnitInfo ended(const char *result, int code, int status)
{
    return (UnitInfo){
        .unit = (char *)UNIT,
        .exists = true,
        .result = (char *)result,
        .exit_code = code,
        .exit_status = status,
    };
}

static void assert_fault(const UnitInfo *end, const char *log, const char *expected)
{
    _cleanup_(freep) char *fault = sandbox_fault(end, PROBE, LIKE, log);

    if (expected)
        assert_string_equal(fault, expected);
    else
        assert_null(fault);
}

static const char namespacing[] =
    UNIT ": Failed to set up mount namespacing: /run/systemd/unit-root/srv/tor/relay1: No such file or "
         "directory\n" UNIT ": Failed at step NAMESPACE spawning " PROBE ": No such file or directory\n" UNIT
         ": Main process exited, code=exited, status=226/NAMESPACE\n" UNIT
         ": Failed with result 'exit-code'.\nFailed to start " UNIT " - relayalloc preflight.\n";

static void test_path_that_is_missing(void **state)
{
    (void)state;
    UnitInfo end = ended("exit-code", CLD_EXITED, 226);

    assert_fault(&end, namespacing,
                 "systemd cannot set up the sandbox of " LIKE
                 " (226/NAMESPACE): /srv/tor/relay1: No such file "
                 "or directory");
    assert_fault(&end, UNIT ": Failed at step NAMESPACE spawning " PROBE ": Invalid argument\n",
                 "systemd cannot set up the sandbox of " LIKE " (226/NAMESPACE): Failed at step NAMESPACE "
                 "spawning " PROBE ": Invalid argument");
    assert_fault(&end, "", "systemd cannot set up the sandbox of " LIKE " (226/NAMESPACE): see its log");
    assert_fault(&end, NULL, "systemd cannot set up the sandbox of " LIKE " (226/NAMESPACE): see its log");
}

static void test_words_of_another_unit_are_not_quoted(void **state)
{
    (void)state;
    UnitInfo end = ended("exit-code", CLD_EXITED, 226);

    assert_fault(&end, "tor@x.service: Failed to set up mount namespacing: /secret: No such file\n",
                 "systemd cannot set up the sandbox of " LIKE " (226/NAMESPACE): see its log");
}

static void test_program_that_may_not_run(void **state)
{
    (void)state;
    UnitInfo end = ended("exit-code", CLD_EXITED, 203);

    assert_fault(&end,
                 UNIT ": Failed to locate executable " PROBE ": Permission denied\n" UNIT
                      ": Failed at step EXEC spawning " PROBE ": Permission denied\n",
                 "the sandbox of " LIKE " does not let " PROBE " run (203/EXEC): Failed to locate "
                 "executable " PROBE ": Permission denied; if NoExecPaths= is the reason, ExecPaths=" PROBE
                 " in a drop-in allows it");
}

static void test_other_steps(void **state)
{
    (void)state;
    UnitInfo end = ended("exit-code", CLD_EXITED, 217);

    assert_fault(&end, UNIT ": Failed to determine user credentials: No such process\n",
                 "systemd cannot set up the sandbox of " LIKE " (217/USER): Failed to determine user "
                 "credentials: No such process");
}

static void test_signals(void **state)
{
    (void)state;
    UnitInfo end = ended("signal", CLD_KILLED, SIGSYS);

    assert_fault(&end, "",
                 PROBE " was killed by signal 31 (SYS) in the sandbox of " LIKE
                       ": SystemCallFilter= forbids what it needs");
    end = ended("core-dump", CLD_DUMPED, SIGSEGV);
    assert_fault(&end, "", PROBE " was killed by signal 11 (SEGV) in the sandbox of " LIKE);
    end = ended("signal", CLD_KILLED, 4711);
    assert_fault(&end, "", PROBE " was killed by signal 4711 (?) in the sandbox of " LIKE);
    end = ended("timeout", CLD_KILLED, SIGTERM);
    assert_fault(&end, "", PROBE " did not finish in time in the sandbox of " LIKE);
}

static void test_end_of_the_programs_own(void **state)
{
    (void)state;
    static const int statuses[] = { 0, 1, 199, 223, 234, 244, 246, 255, -1 };

    for (size_t i = 0; i < ELEMENTSOF(statuses); i++) {
        UnitInfo end = ended("exit-code", CLD_EXITED, statuses[i]);
        print_message("status %d\n", statuses[i]);
        assert_fault(&end, namespacing, NULL);
        assert_true(sandbox_log_complete(&end, ""));
    }
}

static void test_unit_that_is_not_known_any_more(void **state)
{
    (void)state;
    UnitInfo end = ended("success", 0, 0);
    end.exists = false;

    assert_fault(NULL, namespacing, NULL);
    assert_fault(&end, namespacing, NULL);
    assert_true(sandbox_log_complete(NULL, ""));
}

static void test_log_that_is_still_to_come(void **state)
{
    (void)state;
    UnitInfo end = ended("exit-code", CLD_EXITED, 226);

    assert_false(sandbox_log_complete(&end, ""));
    assert_false(
        sandbox_log_complete(&end, UNIT ": Main process exited, code=exited, status=226/NAMESPACE\n"));
    assert_true(sandbox_log_complete(&end, namespacing));
    end = ended("signal", CLD_KILLED, SIGSYS);
    assert_true(sandbox_log_complete(&end, ""));
}

static void test_names_of_steps(void **state)
{
    (void)state;
    /* the ends of the ranges in systemd.exec(5), and those beside a number that is not in use */
    static const struct {
        int status;
        const char *name;
    } cases[] = { { 200, "CHDIR" },
                  { 203, "EXEC" },
                  { 222, "STDERR" },
                  { 224, "PAM" },
                  { 233, "RUNTIME_DIRECTORY" },
                  { 235, "CHOWN" },
                  { 243, "CREDENTIALS" },
                  { 245, "BPF" } };

    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_string_equal(exec_step_to_string(cases[i].status), cases[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_path_that_is_missing),
        cmocka_unit_test(test_words_of_another_unit_are_not_quoted),
        cmocka_unit_test(test_program_that_may_not_run),
        cmocka_unit_test(test_other_steps),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_end_of_the_programs_own),
        cmocka_unit_test(test_unit_that_is_not_known_any_more),
        cmocka_unit_test(test_log_that_is_still_to_come),
        cmocka_unit_test(test_names_of_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
