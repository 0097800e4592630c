"""Others act while a rollout is in progress, or the host fails around it: each has one outcome (docs/design.md)."""

import json

RELAYS = 5


def conf(m, relays, **options):
    names = ", ".join(f'"{r}"' for r in relays)
    return m.settings([("A", "jemalloc", f"relays = [ {names} ]")], **options)


def begin_settling(m, relays, settle=30):
    m.write_conf(conf(m, relays, settle=settle))
    m.start_daemon()
    m.wait_until(lambda: m.states(relays[0])[relays[0]] == "settling", 60, f"{relays[0]} to settle", m.journal_text)


def test_crash_of_its_own_while_it_settles(fresh):
    m = fresh
    begin_settling(m, ["relay1", "relay2"])
    m.sh(f"kill -SEGV {m.pid('relay1')}")
    m.wait_event("relay-put-back", relay="relay1", timeout=90)
    m.wait_event("rollout-halted")
    assert m.events("relay-failed", relay="relay1")[0]["RELAYALLOC_RESULT"] == "settle"
    assert m.is_active(m.unit("relay1")) and m.allocator_in_maps("relay1") == "glibc" and m.drop_in("relay1") is None
    assert m.starts("relay2") == 0


def test_masked_before_its_turn(fresh):
    m = fresh
    begin_settling(m, ["relay1", "relay2"], settle=6)
    before = m.invocation("relay2")
    m.systemctl("mask", m.unit("relay2"))
    m.wait_all("ok", ["relay1"])
    m.wait_event("rollout-finished")
    assert "its unit is masked" in m.run("relayallocctl status").stdout and m.states("relay2") == {"relay2": "drifted"}
    assert m.invocation("relay2") == before and m.is_active(m.unit("relay2")) and m.drop_in("relay2") is None
    m.systemctl("unmask", m.unit("relay2"))
    m.wait_all("ok", ["relay1", "relay2"], timeout=90)
    assert m.events("rollout-halted") == []


def test_systemctl_revert_costs_no_restart(fresh):
    m = fresh
    m.write_conf(conf(m, ["relay1"]))
    m.start_daemon()
    m.wait_all("ok", ["relay1"])
    before, text = m.invocation("relay1"), m.drop_in("relay1")
    m.systemctl("revert", m.unit("relay1"))
    assert m.drop_in("relay1") is None
    m.wait_until(lambda: m.drop_in("relay1") == text, 30, "the drop-in to be written again", m.journal_text)
    m.wait_all("ok", ["relay1"])
    assert m.invocation("relay1") == before


def test_unit_that_vanishes_before_its_turn(fresh):
    m = fresh
    begin_settling(m, ["relay1", "relay2", "relay3"], settle=6)
    try:
        m.sh("systemctl stop tor@relay2; mv /etc/tor/instances/relay2 /root/; systemctl daemon-reload")
        m.wait_all("ok", ["relay1", "relay3"], timeout=90)
        m.wait_until(lambda: "relay2" not in m.listing(), 30, "relay2 to be gone", m.journal_text)
        assert m.drop_in("relay2") is None and m.starts("relay2") == 0 and m.events("rollout-halted") == []
    finally:
        m.sh("mv /root/relay2 /etc/tor/instances/; systemctl daemon-reload")


def test_full_etc_halts_and_nothing_is_truncated(fresh):
    m = fresh
    other = "/etc/systemd/system/tor@relay1.service.d/override.conf"
    m.write(other, "[Service]\nNice=3\n")
    m.systemctl("daemon-reload")
    before = m.invocations()
    m.write_conf(conf(m, m.names))
    m.sh("mkdir -p /root/full && mount -t tmpfs -o size=256k tmpfs /root/full && cp -a /etc/systemd/system/. /root/full/ && "
         "{ dd if=/dev/zero of=/root/full/filler bs=4k 2>/dev/null; true; } && mount --bind /root/full /etc/systemd/system")
    try:
        m.start_daemon()
        m.wait_event("rollout-halted", timeout=60)
        assert "no space left on the device" in json.dumps(m.events("relay-failed", "rollout-halted"))
        assert "last lines of its log" not in json.dumps(m.events("relay-failed"))  # which tell nothing of it
        assert m.invocations() == before and m.drop_in_times() == {}
        assert m.read(other) == "[Service]\nNice=3\n"
        assert m.sh("find /etc/systemd/system -name '.zz-relayalloc*'") == ""
    finally:
        m.sh("systemctl stop relayallocd; umount /etc/systemd/system /root/full; systemctl daemon-reload")


def test_journald_stopped_in_mid_rollout(fresh):
    m = fresh
    begin_settling(m, m.names, settle=1)
    m.systemctl("stop", "systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald-audit.socket",
                "systemd-journald")
    try:
        m.wait_until(lambda: {m.allocator_in_maps(r) for r in m.names} == {"jemalloc"}, 90, "all to run jemalloc")
        m.wait_all("ok")
    finally:
        m.systemctl("start", "systemd-journald.socket", "systemd-journald-dev-log.socket", "systemd-journald")
    m.wait_until(lambda: "entries were lost" in m.journal_text(), 90, "the daemon to say what journald has missed")
