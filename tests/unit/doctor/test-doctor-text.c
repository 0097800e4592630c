/* SPDX-License-Identifier: BSD-3-Clause */
#include "test.h"

#include "core/dropin.h"
#include "doctor/doctor-text.h"

#include <errno.h>

static void assert_torrc(const char *text, const char *option, const char *value)
{
    _cleanup_(freep) char *v = torrc_value(text, option);
    if (!streq_null(v, value))
        fail_msg("%s in \"%s\": %s", option, text, v);
}

static void test_torrc(void **state)
{
    (void)state;
    static const char text[] =
        "Nickname x\n  sandbox\t0\n#Sandbox 0\nSANDBOX 1 # on\r\nMaxMemInQueues 2 GB\nSandboxed 0";
    assert_torrc(text, "Sandbox", "1");
    assert_torrc(text, "MaxMemInQueues", "2 GB");
    assert_torrc(text, "Sandboxed", "0");
    assert_torrc(text, "ORPort", NULL);
    assert_torrc("", "Sandbox", NULL);
    assert_torrc("Sandbox", "Sandbox", "");
}

static void test_quantities(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int r;
        uint64_t value;
    } tor[] = {
        { "0", 0, 0 },
        { "1073741824", 0, 1 << 30 },
        { "8 GB", 0, 8ULL << 30 },
        { "512 MBytes", 0, 512 << 20 },
        { "512mb", 0, 512 << 20 },
        { "1.5 GB", 0, 3ULL << 29 },
        { "2 KB", 0, 2048 },
        { "2 parsecs", -EINVAL, 0 },
        { "", -EINVAL, 0 },
        { "-1", -EINVAL, 0 },
        { "GB", -EINVAL, 0 },
        { "1e3", -EINVAL, 0 },
        { "99999999999999999999 TB", -EINVAL, 0 },
    };
    static const struct {
        const char *text;
        int r;
        uint64_t value;
    } size[] = {
        { "512M", 0, 512 << 20 }, { "1G", 0, 1 << 30 }, { "100", 0, 100 },
        { "1m", -EINVAL, 0 },     { "", -EINVAL, 0 },
    };
    for (size_t i = 0; i < ELEMENTSOF(tor); i++) {
        uint64_t v = 0;
        if (torrc_memory(tor[i].text, &v) != tor[i].r || v != tor[i].value)
            fail_msg("tor \"%s\": %llu", tor[i].text, (unsigned long long)v);
    }
    for (size_t i = 0; i < ELEMENTSOF(size); i++) {
        uint64_t v = 0;
        if (systemd_size(size[i].text, &v) != size[i].r || v != size[i].value)
            fail_msg("size \"%s\": %llu", size[i].text, (unsigned long long)v);
    }
    assert_int_equal(systemd_bool("yes"), 1);
    assert_int_equal(systemd_bool("On"), 1);
    assert_int_equal(systemd_bool("0"), 0);
    assert_int_equal(systemd_bool("tmpfs"), -EINVAL);
    assert_int_equal(meminfo_total("Slab: 4 kB\nMemTotal:       16384 kB\nMemFree: 1 kB\n"), 16 << 20);
    assert_int_equal(meminfo_total("MemFree: 1 kB\n"), 0);
}

static void assert_values(char **take, const char *joined)
{
    _cleanup_(freep) char *all = xstrdup("");
    STRV_FOREACH (v, take) {
        char *longer = xasprintf("%s[%s]", all, *v);
        free(all);
        all = longer;
    }
    strv_free(take);
    assert_string_equal(all, joined);
}

static void test_apt(void **state)
{
    (void)state;
    static const char text[] = "// APT::Periodic::Unattended-Upgrade \"9\";\n"
                               "APT::Periodic::Unattended-Upgrade \"1\";\n"
                               "apt { Periodic { unattended-upgrade \"2\"; }; Other 3; }\n"
                               "/* Unattended-Upgrade::Package-Blacklist { \"never\"; }; */\n"
                               "Unattended-Upgrade::Package-Blacklist {\n"
                               "  // \"libc6\";\n  \"linux-\"; # why\n  \"tor$\";\n};\n"
                               "Unattended-Upgrade::Package-Blacklist:: \"late\";\n";
    assert_values(apt_values(text, "APT::Periodic::Unattended-Upgrade"), "[1][2]");
    assert_values(apt_values(text, "APT::Other"), "[3]");
    assert_values(apt_values(text, "Unattended-Upgrade::Package-Blacklist"), "[linux-][tor$][late]");
    assert_values(apt_values(text, "APT::Periodic"), "");
    assert_values(apt_values("A \"unclosed", "A"), "");
    assert_values(apt_values("}}} A::B 1;", "A::B"), "[1]");
    assert_values(apt_values("{{{{{{{{{{{{{{{{{{{{ 1; /* open", "A"), "");
}

static void test_needrestart(void **state)
{
    (void)state;
    assert_int_equal(needrestart_mode(""), '\0');
    assert_int_equal(needrestart_mode("#$nrconf{restart} = 'a';\n"), '\0');
    assert_int_equal(needrestart_mode("$nrconf{restart} = 'l';\n  $nrconf{restart}='a';\n"), 'a');
    assert_int_equal(needrestart_mode("$nrconf{restart} = \"i\";"), 'i');
    assert_int_equal(needrestart_mode("$nrconf{restart}"), '\0');

    static const struct {
        const char *text;
        bool spares;
    } cases[] = {
        { "$nrconf{override_rc} = {\n  qr(^dbus) => 0,\n};\n", false },
        { "$nrconf{override_rc} = {\n  qr(^tor@) => 0,\n};\n", true },
        { "  # qr(^tor@) => 0,\n", false },
        { "  qr(^tor@) => 1,\n", false },
        { "$nrconf{override_rc}{qr(^tor@)} = 0;", true },
        { "$nrconf{override_rc}->{qr{^tor}} = 0;", true },
        { "$nrconf{blacklist} = [ qr(^/usr/bin/tor$) ];", false },
        { "  qr(^(tor|dbus)) => 0,", true },
        { "  qr#^tor@# => 0,", true },
        { "  qr(.) => 0,", true },
        { "  qr(* => 0,", false },
        { "qr", false },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        if (needrestart_spares(cases[i].text, "tor@relay1.service") != cases[i].spares)
            fail_msg("%s", cases[i].text);
}

static void test_apparmor(void **state)
{
    (void)state;
    static const struct {
        const char *rules;
        bool allows;
    } cases[] = {
        { "", false },
        { "  /opt/m/lib.so mr,\n", true },
        { "\"/opt/m/lib.so\" rm,\n", true },
        { "# /opt/m/lib.so mr,\n", false },
        { "/opt/m/lib.so r,\n", false },
        { "deny /opt/m/lib.so mr,\n", false },
        { "/opt/** mr,\n", true },
        { "/opt/*.so mr,\n", false },
        { "/opt/*/*.so mr,\n", true },
        { "/opt/m/lib.so.2 mr,\n", false },
        { "/var/lib/tor/** r,\n/opt/m/lib.so mr,", true },
    };
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        if (apparmor_allows(cases[i].rules, "/opt/m/lib.so") != cases[i].allows)
            fail_msg("%s", cases[i].rules);
}

static void test_settings(void **state)
{
    (void)state;
    static const char text[] =
        "[Unit]\nProtectHome=no\n[Service]\n ProtectHome = yes \nInaccessiblePaths=/a \\\n  /b\n"
        "# ProtectHome=no\nInaccessiblePaths=\n[Journal]\nSystemMaxUse=1G\n[Service]\nProtectHome=x";
    assert_values(settings_values(text, "Service", "ProtectHome"), "[yes][x]");
    assert_values(settings_values(text, "Service", "InaccessiblePaths"), "[/a    /b][]");
    assert_values(settings_values(text, "Journal", "SystemMaxUse"), "[1G]");
    assert_values(settings_values(text, "Serv", "ProtectHome"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torrc),    cmocka_unit_test(test_quantities),
        cmocka_unit_test(test_apt),      cmocka_unit_test(test_needrestart),
        cmocka_unit_test(test_apparmor), cmocka_unit_test(test_settings),
    };
    return cmocka_run_group_tests_name("doctor-text", tests, NULL, NULL);
}
