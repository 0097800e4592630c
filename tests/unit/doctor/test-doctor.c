/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "doctor/doctor.h"

#define GIB (UINT64_C(1) << 30)

static Findings taken;

/* What a judge said: takes the finding, so that all are freed in one place, and returns it, or NULL. */
static const Finding *take(bool found, Finding *finding)
{
    if (!found)
        return NULL;
    findings_clear(&taken);
    findings_add(&taken, NULL, finding);
    const Finding *f = &taken.items[0];
    bool known = false;
    for (size_t i = 0; finding_ids[i]; i++)
        known = known || streq(finding_ids[i], f->id);
    assert_true(known);
    assert_true(f->what[strlen(f->what) - 1] != '.');
    assert_false(isempty(f->why));
    assert_false(isempty(f->advice));
    return f;
}

static int clear(void **state)
{
    (void)state;
    findings_clear(&taken);
    return 0;
}

static void assert_finding(const Finding *f, const char *id, Severity severity, const char *in_what)
{
    assert_non_null(f);
    assert_string_equal(f->id, id);
    assert_int_equal(f->severity, severity);
    if (!strstr(f->what, in_what))
        fail_msg("\"%s\" does not have \"%s\"", f->what, in_what);
}

static void test_library(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_library("jemalloc", NULL, &f), &f));
    assert_null(take(doctor_library("jemalloc", "", &f), &f));
    assert_finding(take(doctor_library("pinned", "/opt/x.so does not exist", &f), &f), "library-refused",
                   SEVERITY_WARNING, "\"pinned\" is refused: /opt/x.so does not exist");
}

static void test_configuration(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_configuration(NULL, &f), &f));
    assert_finding(
        take(doctor_configuration("/x can be changed by users other than root: … (chmod o-w /x)", &f), &f),
        "configuration-refused", SEVERITY_WARNING, "is refused: /x can be changed by users other than root");
}

static void test_setting(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_renamed("new", NULL, &f), &f));
    assert_finding(take(doctor_renamed("old", "new", &f), &f), "allocator-renamed", SEVERITY_NOTE,
                   "allocator \"old\" is called \"new\" now");
    assert_null(take(doctor_setting("tuned", "", &f), &f));
    assert_finding(take(doctor_setting("tuned", "TCMALLOC_X: tcmalloc 2.10 has no such setting", &f), &f),
                   "setting-unknown", SEVERITY_WARNING,
                   "\"tuned\": TCMALLOC_X: tcmalloc 2.10 has no such setting");
}

static void test_known(void **state)
{
    (void)state;
    static const struct {
        const char *path, *version;
        bool found;
    } cases[] = {
        { "/usr/lib/x86_64-linux-gnu/libmimalloc.so.3.0", "3.0.1", true },
        { "/usr/lib/x86_64-linux-gnu/libmimalloc.so.3.0", NULL, true },
        { "/opt/libmimalloc-secure-3.1.so", "", true },
        { "/usr/local/lib/libmimalloc.so", "3.0.0", true },
        { "/usr/lib/libmimalloc.so.2.0", "2.0.9", false },
        { "/usr/lib/libmimalloc.so.2.0", NULL, false },
        { "/usr/lib/libmimalloc-2.3.3.so", NULL, false },
        { "/usr/lib/libmimalloc.so.3.0", "2.2.0", false }, /* the version knows better than the name */
        { "/opt/v3/libmimalloc.so", NULL, false },
        { "/usr/lib/libjemalloc.so.3", "3.6.0", false },
        { NULL, NULL, false },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Finding f = { 0 };
        const Finding *found = take(doctor_known("m", cases[i].path, cases[i].version, &f), &f);
        if (!!found != cases[i].found)
            fail_msg("%s %s", cases[i].path, cases[i].version);
        if (found)
            assert_finding(found, "mimalloc3-grows", SEVERITY_WARNING, "mimalloc 3");
    }
}

static void test_sandbox(void **state)
{
    (void)state;
    static const struct {
        const char *library;
        const char *settings[12]; /* pairs */
        const char *guilty;       /* NULL: it is visible */
    } cases[] = {
        { "/usr/lib/x/l.so", { "ProtectHome", "yes", "PrivateTmp", "yes" }, NULL },
        { "/home/tor/l.so", { "ProtectHome", "yes" }, "ProtectHome=yes" },
        { "/root/l.so", { "ProtectHome", "true" }, "ProtectHome=true" },
        { "/run/user/0/l.so", { "ProtectHome", "tmpfs" }, "ProtectHome=tmpfs" },
        { "/home/tor/l.so", { "ProtectHome", "read-only" }, NULL },
        { "/home/tor/l.so", { "ProtectHome", "yes", "ProtectHome", "no" }, NULL },
        { "/home/tor/l.so", { "ProtectHome", "no", "ProtectHome", "on" }, "ProtectHome=on" },
        { "/homes/tor/l.so", { "ProtectHome", "yes" }, NULL },
        { "/tmp/l.so", { "PrivateTmp", "yes" }, "PrivateTmp=yes" },
        { "/var/tmp/a/l.so", { "PrivateTmp", "1" }, "PrivateTmp=1" },
        { "/tmp/l.so", { "PrivateTmp", "no" }, NULL },
        { "/opt/l.so", { "InaccessiblePaths", "-/srv -/opt" }, "InaccessiblePaths=-/srv -/opt" },
        { "/opt/l.so", { "InaccessiblePaths", "+/opt/" }, "InaccessiblePaths=+/opt/" },
        { "/opt/l.so", { "InaccessiblePaths", "/opt", "InaccessiblePaths", "" }, NULL },
        { "/opt/l.so", { "InaccessiblePaths", "", "InaccessiblePaths", "/opt" }, "InaccessiblePaths=/opt" },
        { "/optional/l.so", { "InaccessiblePaths", "/opt" }, NULL },
        { "/opt/l.so", { "InaccessibleDirectories", "/opt" }, "InaccessibleDirectories=/opt" },
        { "/opt/l.so", { "InaccessiblePaths", "/opt/l.so" }, "InaccessiblePaths=/opt/l.so" },
        { "/opt/l.so", { "TemporaryFileSystem", "/opt:ro,size=1M" }, "TemporaryFileSystem=/opt:ro,size=1M" },
        { "/opt/a/l.so",
          { "TemporaryFileSystem", "/opt", "BindReadOnlyPaths", "/srv/a:/opt/a:norbind" },
          NULL },
        { "/opt/b/l.so",
          { "BindReadOnlyPaths", "/srv/a:/opt/a", "TemporaryFileSystem", "/opt" },
          "TemporaryFileSystem=/opt" },
        { "/opt/l.so", { "BindPaths", "/opt", "InaccessiblePaths", "/opt" }, "InaccessiblePaths=/opt" },
        { "/opt/l.so", { "InaccessiblePaths", "/opt", "BindPaths", "/opt" }, "InaccessiblePaths=/opt" },
        { "/home/tor/l.so", { "ProtectHome", "tmpfs", "BindPaths", "-/home/tor" }, NULL },
        { "/opt/l.so", { "NoExecPaths", "/", "ExecPaths", "/usr /lib" }, "NoExecPaths=/" },
        { "/usr/lib/l.so", { "NoExecPaths", "/", "ExecPaths", "/usr /lib" }, NULL },
        { "/usr/lib/l.so", { "NoExecPaths", "/srv" }, NULL },
        { "/usr/lib/l.so", { "RootDirectory", "/srv/tor" }, "RootDirectory=/srv/tor" },
        { "/usr/lib/l.so", { "RootDirectory", "/" }, NULL },
        { "/usr/lib/l.so", { "RootImage", "/srv/tor.raw" }, "RootImage=/srv/tor.raw" },
        { "/usr/lib/l.so", { "RootDirectory", "/srv/tor", "BindReadOnlyPaths", "/usr" }, NULL },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        UnitSetting settings[6];
        size_t n = 0;
        for (; cases[i].settings[2 * n]; n++)
            settings[n] =
                (UnitSetting){ "/etc/u.conf", cases[i].settings[2 * n], cases[i].settings[2 * n + 1] };
        Finding f = { 0 };
        const Finding *found = take(doctor_sandbox(settings, n, cases[i].library, &f), &f);
        if (!!found != !!cases[i].guilty)
            fail_msg("case %zu: %s", i, cases[i].library);
        if (!found)
            continue;
        _cleanup_(freep) char *what =
            xasprintf("%s in /etc/u.conf keeps the relay from %s", cases[i].guilty, cases[i].library);
        assert_finding(found, "library-hidden", SEVERITY_WARNING, what);
    }
}

static void test_apparmor(void **state)
{
    (void)state;
    static const struct {
        const char *profile, *rules, *path;
        bool found;
    } cases[] = {
        { "system_tor", "", "/usr/local/lib/m/libmimalloc-2.0.9.so", true },
        { "system_tor", "# none\n", "/opt/libx.so", true },
        { "system_tor", "  /opt/libx.so mr,\n", "/opt/libx.so", false },
        { "system_tor", "  /opt/liby.so mr,\n", "/opt/libx.so", true },
        { "system_tor", "", "/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", false },
        { "system_tor", "", "/lib/libjemalloc.so.2", false },
        { "system_tor", "", "/usr/lib/allocator", true },
        { "system_tor", "", "/usr/libexec/x.so", true },
        { "", "", "/opt/libx.so", false },
        { NULL, "", "/opt/libx.so", false },
        { "system_tor", "", NULL, false },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        Finding f = { 0 };
        const Finding *found = take(doctor_apparmor(cases[i].profile, cases[i].rules, cases[i].path, &f), &f);
        if (!!found != cases[i].found)
            fail_msg("case %zu", i);
        if (!found)
            continue;
        assert_finding(found, "library-denied", SEVERITY_WARNING, cases[i].path);
        _cleanup_(freep) char *rule = xasprintf("\n  %s mr,\n", cases[i].path);
        assert_non_null(strstr(found->advice, rule));
        assert_non_null(strstr(found->advice, "/etc/apparmor.d/local/system_tor"));
    }
}

static void test_tor_sandbox(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_tor_sandbox(NULL, "m", FAMILY_MIMALLOC, &f), &f));
    assert_null(take(doctor_tor_sandbox("0", "m", FAMILY_MIMALLOC, &f), &f));
    assert_null(take(doctor_tor_sandbox("1", "glibc", FAMILY_GLIBC, &f), &f));
    const Finding *found = take(doctor_tor_sandbox("1", "m", FAMILY_MIMALLOC, &f), &f);
    assert_finding(found, "tor-sandbox", SEVERITY_NOTE, "Sandbox 1");
    assert_non_null(strstr(found->why, "known to start"));
    found = take(doctor_tor_sandbox("1", "t", FAMILY_OTHER, &f), &f);
    assert_non_null(strstr(found->why, "not been tested"));
}

static void test_override(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_override("", true, &f), &f));
    assert_finding(take(doctor_override("/etc/default/tor sets LD_PRELOAD", true, &f), &f), "overridden",
                   SEVERITY_WARNING, "/etc/default/tor sets LD_PRELOAD");
    assert_finding(take(doctor_override("/x/override.conf sets LD_PRELOAD", false, &f), &f), "also-set",
                   SEVERITY_NOTE, "override.conf");
}

static void test_preloads(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_preload("/x/o.conf", "/l/x.so", true, true, &f), &f));
    assert_finding(take(doctor_preload("/x/o.conf", "/l/x.so", false, false, &f), &f), "preload-missing",
                   SEVERITY_WARNING, "LD_PRELOAD in /x/o.conf names /l/x.so, which does not exist");
    assert_finding(take(doctor_preload("/x/o.conf", "x.so", false, true, &f), &f), "preload-missing",
                   SEVERITY_NOTE, "names x.so, which does not exist");
    assert_finding(take(doctor_preload("/x/o.conf", "=/l/x.so", false, false, &f), &f), "preload-missing",
                   SEVERITY_WARNING, "names =/l/x.so, which is not an absolute path");
    assert_null(take(doctor_system_preload(NULL, &f), &f));
    assert_finding(take(doctor_system_preload("/l/x.so", &f), &f), "system-preload", SEVERITY_WARNING,
                   "/etc/ld.so.preload loads /l/x.so");
}

static void test_host_setting(void **state)
{
    (void)state;
    Finding f = { 0 };
    const Finding *found = take(doctor_host_setting("LD_PRELOAD=/l/x.so", &f), &f);
    assert_finding(found, "host-environment", SEVERITY_WARNING,
                   "systemd gives LD_PRELOAD=/l/x.so to every service");
    assert_non_null(strstr(found->advice, "\n  systemctl unset-environment LD_PRELOAD\n"));
}

static void test_secure(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_secure("/t", false, "u", &f), &f));
    assert_null(take(doctor_secure("/t", true, NULL, &f), &f));
    assert_null(take(doctor_secure("/t", true, "root", &f), &f));
    assert_null(take(doctor_secure("/t", true, "0", &f), &f));
    const Finding *found = take(doctor_secure("/t", true, "u", &f), &f);
    assert_finding(found, "secure-execution", SEVERITY_WARNING,
                   "/t has file capabilities, and is started as user u");
    assert_non_null(strstr(found->advice, "\n  setcap -r /t\n"));
}

static void test_mappings(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_mappings(0, 65530, &f), &f));
    assert_null(take(doctor_mappings(1861, 65530, &f), &f)); /* hardened_malloc, idle */
    assert_null(take(doctor_mappings(52423, 65530, &f), &f));
    assert_null(take(doctor_mappings(52424, 0, &f), &f)); /* the limit is not known */
    const Finding *found = take(doctor_mappings(52424, 65530, &f), &f);
    assert_finding(found, "mappings-near-limit", SEVERITY_WARNING,
                   "has 52424 memory mappings, and the kernel allows a process 65530 (vm.max_map_count)");
    assert_non_null(strstr(found->advice, "\n  sysctl -w vm.max_map_count=1048576\n"));
    assert_non_null(strstr(found->advice, "\n  vm.max_map_count = 1048576\n"));
    found = take(doctor_mappings(1048577, 1048576, &f), &f);
    assert_non_null(strstr(found->advice, "\n  sysctl -w vm.max_map_count=2097152\n"));
}

static void test_hugepages(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_hugepages(NULL, &f), &f));
    assert_null(take(doctor_hugepages("always [madvise] never\n", &f), &f));
    assert_null(take(doctor_hugepages("always madvise [never]\n", &f), &f));
    assert_finding(take(doctor_hugepages("[always] madvise never\n", &f), &f), "huge-pages", SEVERITY_WARNING,
                   "always");
}

static void test_queues(void **state)
{
    (void)state;
    /* tor's own defaults */
    assert_int_equal(doctor_max_mem_in_queues(0, 16 * GIB), 16 * GIB / 5 * 2);
    assert_int_equal(doctor_max_mem_in_queues(0, 4 * GIB), 3 * GIB);
    assert_int_equal(doctor_max_mem_in_queues(0, 128 * GIB), 8 * GIB);
    assert_int_equal(doctor_max_mem_in_queues(0, GIB / 8), GIB / 4);
    assert_int_equal(doctor_max_mem_in_queues(5, 128 * GIB), 5);

    uint64_t limits[40] = { 0 };
    Finding f = { 0 };
    assert_null(take(doctor_queues(limits, 0, 16 * GIB, &f), &f));
    assert_null(take(doctor_queues(limits, 2, 16 * GIB, &f), &f));
    assert_null(take(doctor_queues(limits, 40, 0, &f), &f)); /* memory unknown */
    const Finding *found = take(doctor_queues(limits, 3, 16 * GIB, &f), &f);
    assert_finding(found, "queues-too-big", SEVERITY_WARNING, "19.2 GiB");
    assert_non_null(strstr(found->advice, "\n  MaxMemInQueues 4096 MB\n"));
    for (size_t i = 0; i < ELEMENTSOF(limits); i++)
        limits[i] = GIB;
    assert_null(take(doctor_queues(limits, 40, 40 * GIB, &f), &f));
    assert_finding(take(doctor_queues(limits, 40, 40 * GIB - 1, &f), &f), "queues-too-big", SEVERITY_WARNING,
                   "40 relays");
    limits[0] = limits[1] = UINT64_MAX; /* no overflow to a small sum */
    assert_non_null(take(doctor_queues(limits, 40, 64 * GIB, &f), &f));
}

static void test_journal(void **state)
{
    (void)state;
    JournalFacts facts = { .persistent = true,
                           .space = 4 * GIB,
                           .retention = USEC_INFINITY,
                           .relays = 200,
                           .interval = USEC_PER_MINUTE };
    Finding f = { 0 };
    assert_null(take(doctor_journal(&facts, &f), &f)); /* 202 MB a day: 21 days */
    facts.space = 2 * GIB;
    const Finding *found = take(doctor_journal(&facts, &f), &f);
    assert_finding(found, "journal-too-small", SEVERITY_WARNING, "keeps 10 days");
    assert_non_null(strstr(found->advice, "SystemMaxUse="));
    assert_non_null(strstr(found->advice, "fleet"));
    facts.fleet = true;
    assert_null(take(doctor_journal(&facts, &f), &f));
    facts.fleet = false;
    facts.space = 100 << 20;
    assert_finding(take(doctor_journal(&facts, &f), &f), "journal-too-small", SEVERITY_WARNING,
                   "less than a day of");
    facts.space = 300 << 20;
    assert_finding(take(doctor_journal(&facts, &f), &f), "journal-too-small", SEVERITY_WARNING,
                   "keeps 1 day of");

    facts.space = 4 * GIB;
    facts.retention = 5 * USEC_PER_DAY;
    found = take(doctor_journal(&facts, &f), &f);
    assert_finding(found, "journal-too-small", SEVERITY_WARNING, "5 days");
    assert_non_null(strstr(found->advice, "MaxRetentionSec="));
    facts.retention = 14 * USEC_PER_DAY;
    assert_null(take(doctor_journal(&facts, &f), &f));

    facts.persistent = false;
    assert_finding(take(doctor_journal(&facts, &f), &f), "journal-in-memory", SEVERITY_WARNING, "in memory");
    facts.relays = 0; /* nothing to keep */
    assert_null(take(doctor_journal(&facts, &f), &f));
}

static void test_restarts(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_needrestart('\0', false, &f), &f));
    assert_null(take(doctor_needrestart('i', false, &f), &f));
    assert_null(take(doctor_needrestart('a', true, &f), &f));
    assert_finding(take(doctor_needrestart('a', false, &f), &f), "needrestart", SEVERITY_WARNING,
                   "needrestart");

    char *none[] = { NULL }, *other[] = { (char *)"linux-", (char *)"or", NULL };
    char *tor[] = { (char *)"linux-", (char *)"tor$", NULL }, *broken[] = { (char *)"(", NULL };
    assert_null(take(doctor_upgrades(false, none, &f), &f));
    assert_null(take(doctor_upgrades(true, tor, &f), &f));
    assert_finding(take(doctor_upgrades(true, NULL, &f), &f), "unattended-upgrades", SEVERITY_NOTE, "tor");
    assert_non_null(take(doctor_upgrades(true, other, &f), &f));
    assert_non_null(take(doctor_upgrades(true, broken, &f), &f));
}

static void test_unit_files(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_unit_files("/etc/systemd/system", false, &f), &f));
    assert_finding(take(doctor_unit_files("/etc/systemd/system", true, &f), &f), "unit-files-read-only",
                   SEVERITY_WARNING, "/etc/systemd/system is on a read-only file system");
}

static void test_left_over(void **state)
{
    (void)state;
    Finding f = { 0 };
    assert_null(take(doctor_left_over("tor@.service", "tor@.service", &f), &f));
    assert_finding(take(doctor_left_over("tor@.service", "onion@.service", &f), &f), "left-over",
                   SEVERITY_WARNING, "drop-ins of ours for units of tor@.service are left over");
}

static void test_gate(void **state)
{
    (void)state;
    static const char *const limits[] = { "1min", "90", "1min 30s" }, *const none[] = { NULL, "", "infinity",
                                                                                        "0", "0s" };
    Finding f = { 0 };
    for (size_t i = 0; i < ELEMENTSOF(limits); i++)
        assert_null(take(doctor_gate("g.service", "oneshot", limits[i], &f), &f));
    for (size_t i = 0; i < ELEMENTSOF(none); i++)
        assert_finding(take(doctor_gate("g.service", "oneshot", none[i], &f), &f), "gate-endless",
                       SEVERITY_WARNING, "g.service, the gate of rollouts (rollout.gate), has no time limit");
    assert_null(take(doctor_gate("g.service", "simple", NULL, &f), &f)); /* is not run at all */
    assert_null(take(doctor_gate("g.service", NULL, NULL, &f), &f));
}

static void test_findings(void **state)
{
    (void)state;
    _cleanup_(findings_clear) Findings findings = { 0 };
    for (int i = 0; i < 3; i++) {
        Finding f = { 0 };
        assert_true(doctor_override("/x sets LD_PRELOAD", true, &f));
        findings_add(&findings, i == 0 ? "a" : "b", &f);
    }
    Finding note = { 0 }, host = { 0 };
    assert_true(doctor_override("/x sets LD_PRELOAD", false, &note));
    findings_add(&findings, "c", &note);
    assert_true(doctor_hugepages("[always]", &host));
    findings_add(&findings, NULL, &host);

    assert_int_equal(findings.n, 3);
    assert_int_equal(findings_warnings(&findings), 2);
    assert_int_equal(strv_length(findings.items[0].relays), 2);
    assert_string_equal(findings.items[0].relays[1], "b");
    assert_int_equal(strv_length(findings.items[1].relays), 1);
    assert_null(findings.items[2].relays);
    assert_string_equal(severity_to_string(findings.items[0].severity), "warning");
    assert_string_equal(severity_to_string(findings.items[1].severity), "note");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_configuration), cmocka_unit_test(test_library),
        cmocka_unit_test(test_setting),       cmocka_unit_test(test_known),
        cmocka_unit_test(test_sandbox),       cmocka_unit_test(test_apparmor),
        cmocka_unit_test(test_tor_sandbox),   cmocka_unit_test(test_override),
        cmocka_unit_test(test_preloads),      cmocka_unit_test(test_secure),
        cmocka_unit_test(test_host_setting),  cmocka_unit_test(test_mappings),
        cmocka_unit_test(test_hugepages),     cmocka_unit_test(test_queues),
        cmocka_unit_test(test_journal),       cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_findings),      cmocka_unit_test(test_unit_files),
        cmocka_unit_test(test_left_over),     cmocka_unit_test(test_gate),
    };
    return cmocka_run_group_tests_name("doctor", tests, NULL, clear);
}
