"""What must not move a relay, and what must be said when it runs something else than assigned."""

import pytest

RELAYS = 4
SETTINGS_DIR = "/etc/systemd/system/tor@{}.service.d/{}"


def library(m, name):
    found = m.sh(f"ldconfig -p | sed -n 's/.*{name} .*=> //p' | head -n 1").strip()
    assert found, f"{name} is not in the machine"
    return found


def reasons(m, *events, relay=None):
    return "\n".join(e.get("RELAYALLOC_REASON", "") + " " + e["MESSAGE"] for e in m.events(*events, relay=relay))


def all_in(m, allocator, **options):
    return m.settings([("A", allocator, 'relays = [ "*" ]')], parallel=4, **options)


def test_bad_file_on_reload_keeps_the_running_configuration(fresh):
    m = fresh
    m.write_conf(all_in(m, "jemalloc"))
    m.start_daemon()
    m.wait_all("ok")
    before = m.invocations()
    m.mark()
    m.write_conf('groups = (\n  { name = "A"; allocator = "jemaloc"; relays = [ "*" ]; }\n);\nsampel = { };\n')
    m.wait_event("config-refused")
    said = "\n".join(e["MESSAGE"] for e in m.journal("-u", "relayallocd"))
    assert ('/etc/relayalloc.conf:2: groups[0].allocator: no allocator named "jemaloc" (did you mean "jemalloc"?)'
            in said)
    assert "/etc/relayalloc.conf:4: sampel:" in said, "all errors of a file are told in one run"
    assert m.is_active("relayallocd")
    m.mark()
    m.wait_event("sample-relay", count=4)
    assert set(m.states().values()) == {"ok"}
    assert m.invocations() == before
    assert m.events("rollout-started") == []
    # and a good file is taken again
    m.mark()
    m.write_conf(all_in(m, "tcmalloc"))
    m.wait_event("config-loaded")
    m.wait_until(lambda: {m.allocator_in_maps(r) for r in m.names} == {"tcmalloc"}, 60, "all to run tcmalloc")


def test_syntax_error_is_told_with_its_line(fresh):
    m = fresh
    m.write_conf(all_in(m, "jemalloc"))
    m.start_daemon()
    m.wait_all("ok")
    m.mark()
    m.write_conf("groups = (\n\n  { name = ;\n")
    m.wait_event("config-refused")
    assert "/etc/relayalloc.conf:3:" in "\n".join(e["MESSAGE"] for e in m.journal("-u", "relayallocd"))
    assert m.is_active("relayallocd")
    assert set(m.states().values()) == {"ok"}


def test_start_with_a_bad_file_fails_and_says_why(fresh):
    m = fresh
    before = m.invocations()
    m.write_conf("nonsense = 1;\n")
    assert m.run("systemctl start relayallocd").returncode != 0
    m.wait_event("config-refused")
    assert "/etc/relayalloc.conf:1: nonsense:" in "\n".join(e["MESSAGE"] for e in m.journal("-u", "relayallocd"))
    assert m.invocations() == before


def test_start_that_fails_is_explained_by_a_journald_that_is_late(fresh):
    """journald reads an entry when the process is gone, and no longer finds out of which unit it was."""
    m = fresh
    m.write_conf("nonsense = 1;\n")
    m.sh("kill -STOP $(systemctl show -P MainPID systemd-journald)")
    assert m.run("systemctl start relayallocd").returncode != 0
    m.sh("kill -CONT $(systemctl show -P MainPID systemd-journald); journalctl --sync")
    assert "/etc/relayalloc.conf:1: nonsense:" in "\n".join(e["MESSAGE"] for e in m.journal("-u", "relayallocd"))


def test_missing_library_is_refused_and_nobody_restarted(fresh):
    m = fresh
    before = m.invocations()
    m.write_conf('allocators = { ghost = { library = "libghost.so.9"; }; };\n'
                 + m.settings([("A", "ghost", 'relays = [ "relay1", "relay2" ]'),
                               ("B", "jemalloc", 'relays = [ "relay3" ]')]))
    m.start_daemon()
    m.wait_event("library-refused")
    assert "libghost.so.9" in reasons(m, "library-refused")
    m.wait_all("ok", ["relay3"])
    after = m.invocations()
    for relay in ("relay1", "relay2", "relay4"):
        assert after[relay] == before[relay], f"{relay} was restarted"
        assert m.drop_in(relay) is None
    listing = m.listing()
    for relay in ("relay1", "relay2"):
        assert listing[relay]["state"] == "pending", listing[relay]
        assert (listing[relay]["assigned"], listing[relay]["running"]) == ("ghost", "glibc")
    assert m.run("relayallocctl list").returncode == 3


def test_missing_library_of_a_known_allocator_names_the_package(fresh):
    m = fresh
    link = library(m, "libjemalloc.so.2")
    path = m.sh(f"readlink -f {link}").strip()
    # out of the way of ldconfig, which links a library under its soname whatever its file is called
    m.sh(f"mv {path} /root/away; rm -f {link}; ldconfig")
    try:
        before = m.invocations()
        m.write_conf(all_in(m, "jemalloc"))
        m.start_daemon()
        m.wait_event("library-refused")
        assert "libjemalloc2" in reasons(m, "library-refused")
        m.wait_event("sample-relay", count=2 * RELAYS)  # time enough to do wrong
        assert m.invocations() == before
    finally:
        m.sh(f"systemctl stop relayallocd; mv /root/away {path}; [ -e {link} ] || ln -s {path} {link}; ldconfig")


def test_library_that_is_put_back_without_ldconfig_is_found(fresh):
    """Its name was known to nobody but the dynamic linker's cache, which has not changed."""
    m = fresh
    path = m.sh(f"readlink -f {library(m, 'libjemalloc.so.2')}").strip()
    m.sh(f"mv {path} /root/away")
    try:
        m.write_conf(all_in(m, "jemalloc"))
        m.start_daemon()
        m.wait_event("library-refused")
    finally:
        m.sh(f"mv /root/away {path}")
    m.wait_all("ok", timeout=90)
    assert all(m.allocator_in_maps(relay) == "jemalloc" for relay in m.names)


@pytest.mark.parametrize("spoil, word", [
    ("chmod 0666 LIB", "writ"),
    ("chmod 0777 /opt/relay-test", "writ"),
    ("printf 'no library' >LIB", "ELF"),
    # e_machine (offset 18) says which architecture the code is for
    ("printf '\\363' | dd of=LIB bs=1 seek=18 conv=notrunc status=none", "architecture"),
    ("rm LIB && mkdir LIB", "regular"),
], ids=["writable file", "writable folder", "no ELF file", "other architecture", "folder"])
def test_unsafe_library_is_refused(fresh, spoil, word):
    m = fresh
    mine = "/opt/relay-test/libmine.so"
    m.sh(f"rm -rf /opt/relay-test; mkdir -m 0755 -p /opt/relay-test; cp -L {library(m, 'libjemalloc.so.2')} {mine};"
         f" chmod 0644 {mine}; {spoil.replace('LIB', mine)}")
    before = m.invocations()
    m.write_conf(f'allocators = {{ mine = {{ library = "{mine}"; }}; }};\n' + all_in(m, "mine"))
    m.start_daemon()
    m.wait_event("library-refused")
    said = reasons(m, "library-refused")
    assert "/opt/relay-test" in said and word in said
    m.wait_event("sample-relay", count=2 * RELAYS)  # time enough to do wrong
    assert m.invocations() == before
    assert m.drop_in_times() == {}


def test_override_conf_with_ld_preload_loses_to_ours_and_is_named(fresh):
    m = fresh
    other = SETTINGS_DIR.format("relay1", "override.conf")
    text = f"[Service]\nEnvironment=LD_PRELOAD={library(m, 'libtcmalloc.so.4')}\n"
    m.write(other, text)
    m.systemctl("daemon-reload")
    m.write_conf(all_in(m, "jemalloc"))
    m.start_daemon()
    m.wait_all("ok")
    assert m.allocator_in_maps("relay1") == "jemalloc"
    conflicts = m.wait_event("dropin-conflict", relay="relay1")
    assert other in conflicts[0]["MESSAGE"] and "LD_PRELOAD" in conflicts[0]["MESSAGE"]
    assert m.events("dropin-conflict", relay="relay2") == []
    assert m.read(other) == text


def test_glibc_group_undoes_a_preload_of_override_conf(fresh):
    m = fresh
    m.write(SETTINGS_DIR.format("relay1", "override.conf"),
            f"[Service]\nEnvironment=LD_PRELOAD={library(m, 'libtcmalloc.so.4')}\n")
    m.systemctl("daemon-reload")
    m.systemctl("restart", "tor@relay1")
    assert m.allocator_in_maps("relay1") == "tcmalloc"
    m.write_conf(all_in(m, "glibc"))
    m.start_daemon()
    m.wait_all("ok")
    assert m.allocator_in_maps("relay1") == "glibc"


@pytest.mark.parametrize("kind", ["later drop-in", "EnvironmentFile"])
def test_what_beats_our_drop_in_is_named(fresh, kind):
    m = fresh
    tcmalloc = library(m, "libtcmalloc.so.4")
    if kind == "EnvironmentFile":
        culprit = "/etc/relay-test/env"
        m.write(culprit, f"LD_PRELOAD={tcmalloc}\n")
        m.write(SETTINGS_DIR.format("relay1", "10-env.conf"), f"[Service]\nEnvironmentFile={culprit}\n")
    else:
        culprit = SETTINGS_DIR.format("relay1", "zzz-mine.conf")
        m.write(culprit, f"[Service]\nEnvironment=LD_PRELOAD={tcmalloc}\n")
    m.systemctl("daemon-reload")
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    events = ("relay-failed", "relay-drifted", "preflight-failed", "dropin-conflict")
    m.wait_until(lambda: culprit in reasons(m, *events, relay="relay1"), 60, f"{culprit} to be named", m.journal_text)
    m.wait_until(lambda: m.states("relay1")["relay1"] in ("drifted", "failed") and m.is_active(m.unit("relay1")), 60,
                 "relay1 to be drifted or failed, and up", m.journal_text)
    assert m.starts("relay1") <= 2, "restarted at most for the move and for the way back"


def test_override_that_comes_later_shows_as_drifted(fresh):
    m = fresh
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    m.wait_all("ok", ["relay1"])
    m.mark()
    culprit = SETTINGS_DIR.format("relay1", "zzz-mine.conf")
    m.write(culprit, "[Service]\nEnvironment=LD_PRELOAD=\n")
    m.systemctl("daemon-reload")
    m.systemctl("restart", "tor@relay1")
    m.wait_event("relay-drifted", relay="relay1")
    assert culprit in reasons(m, "relay-drifted", relay="relay1")
    row = m.listing()["relay1"]
    assert (row["state"], row["assigned"], row["running"]) == ("drifted", "jemalloc", "glibc")
    assert m.run("relayallocctl list").returncode == 3


def test_library_replaced_on_disk_shows_as_drifted(fresh):
    m = fresh
    mine = "/usr/local/lib/libmine.so"
    m.sh(f"install -m 0644 {library(m, 'libjemalloc.so.2')} {mine}")
    m.write_conf(f'allocators = {{ mine = {{ library = "{mine}"; }}; }};\n'
                 + m.settings([("A", "mine", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    m.wait_all("ok", ["relay1"])
    m.mark()
    # as a package manager does it
    m.sh(f"cp {mine} {mine}.new && mv {mine}.new {mine}")
    assert "(deleted)" in m.proc("relay1", "maps")
    m.wait_event("relay-drifted", relay="relay1", timeout=30)
    said = reasons(m, "relay-drifted", relay="relay1")
    assert mine in said and "replaced" in said
    assert m.states("relay1") == {"relay1": "drifted"}


def test_allocator_settings_reach_the_process_unchanged(fresh):
    m = fresh
    # quotes, a backslash and a percent sign mean something to systemd and must arrive as they are
    value = r'a "b" %n \x41 $HOME c' + "'"
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    m.write_conf('allocators = { odd = { library = "libjemalloc.so.2"; '
                 f'environment = {{ RELAY_TEST = "{escaped}"; MALLOC_CONF = "background_thread:true"; }}; }}; }};\n'
                 + m.settings([("A", "odd", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    m.wait_all("ok", ["relay1"])
    environ = dict(v.split("=", 1) for v in m.proc("relay1", "environ").split("\0") if "=" in v)
    assert environ["RELAY_TEST"] == value
    assert environ["MALLOC_CONF"] == "background_thread:true"
