"""Hosts and files that are odd and right: each holds with real relays, whatever the daemon thinks of it."""

import re

import pytest

RELAYS = 3
pytestmark = pytest.mark.not_sanitized  # what is odd here is around the daemon
SUPERVISOR = "/usr/local/bin/test-supervisor"


def group(m, relays='relays = [ "*" ]', **more):
    return m.settings([("je", "jemalloc", relays)], **more)


def test_a_host_that_is_set_up_unusually(fresh):
    """Processes hidden from others, a journal with a strict rate limit, a torrc that asks for a daemon of its own, a
    masked tor@default, two bare names in LD_PRELOAD: all relays are moved and proved, and no sample is lost."""
    m = fresh
    torrc = m.read("/etc/tor/instances/relay3/torrc")
    m.write("/run/systemd/journald.conf.d/strict.conf", "[Journal]\nRateLimitIntervalSec=30s\nRateLimitBurst=5\n")
    try:
        m.sh("systemctl restart systemd-journald; systemctl mask tor@default; mount -o remount,hidepid=2 /proc")
        m.write("/etc/tor/instances/relay3/torrc", torrc + "RunAsDaemon 1\n")
        m.sh("systemctl restart tor@relay3")
        m.mark()
        m.write_conf(group(m, parallel=3))
        m.start_daemon()
        m.wait_all("ok")
        assert {m.allocator_in_maps(r) for r in m.names} == {"jemalloc"} and m.listing()["default"]["group"] is None
        assert not m.exists("/etc/systemd/system/tor@default.service.d")
        assert m.run("relayallocctl verify").returncode == 0

        def beats(relay):
            return {int(e["__REALTIME_TIMESTAMP"]) // 1_000_000 for e in m.events("sample-relay", relay=relay)}

        m.wait_until(lambda: all(len(beats(r)) >= 10 for r in m.names), 60, "ten samples of each")
        listed = m.listing()
        for relay in m.names:  # the process that systemd calls the main one is the one that is measured
            rss = int(re.search(r"VmRSS:\s+(\d+)", m.proc(relay, "status"))[1]) * 1024
            assert abs(listed[relay]["rss"] - rss) < rss // 4, relay
        assert not [e for e in m.journal("-u", "systemd-journald") if "from relayallocd" in e["MESSAGE"]]
    finally:
        m.write("/etc/tor/instances/relay3/torrc", torrc)
        m.sh("rm -rf /run/systemd/journald.conf.d; mount -o remount,hidepid=0 /proc; systemctl unmask tor@default;"
             " systemctl restart systemd-journald")


def test_a_supervisor_that_takes_the_library_away(fresh):
    """It stays the parent, tor says that it is the main process: judged by tor, put back, and the wrapper is named."""
    m = fresh
    m.write(SUPERVISOR, "#!/bin/sh\nenv -u LD_PRELOAD -u MALLOC_CONF \"$@\" &\nwait $!\n", 0o755)
    start = re.search(r"argv\[\]=(.*?) ;", m.prop("tor@relay1", "ExecStart"))[1]
    m.write("/etc/systemd/system/tor@relay1.service.d/wrapper.conf",
            f"[Service]\nNotifyAccess=all\nExecStart=\nExecStart={SUPERVISOR} {start}\n")
    try:
        m.sh("systemctl daemon-reload; systemctl restart tor@relay1")
        m.write_conf(group(m, 'relays = [ "relay1" ]'))
        m.start_daemon()
        (failed,) = m.wait_event("relay-failed", relay="relay1", timeout=60)
        assert "does a wrapper in ExecStart= change LD_PRELOAD" in failed["RELAYALLOC_REASON"], failed
        m.wait_until(lambda: m.states("relay1") == {"relay1": "failed"} and m.is_active("tor@relay1"), 30, "it to be put back")
        assert m.drop_in("relay1") is None
    finally:
        m.sh(f"rm -f {SUPERVISOR} /etc/systemd/system/tor@relay1.service.d/wrapper.conf; systemctl daemon-reload;"
             " systemctl restart tor@relay1")


def test_all_drop_ins_are_wiped_by_a_script(fresh):
    """A migration removes every drop-in and reloads: ours are written again, and who still runs the right thing is not
    restarted."""
    m = fresh
    m.write_conf(group(m, parallel=3))
    m.start_daemon()
    m.wait_all("ok")
    before = m.invocations()
    m.sh("rm -rf /etc/systemd/system/tor@*.service.d; systemctl daemon-reload")
    m.wait_until(lambda: all(m.drop_in(r) for r in m.names), 60, "ours to be written again")
    m.wait_all("ok")
    assert m.invocations() == before


def test_a_comment_moves_no_relay_that_was_reverted(fresh):
    """Nor does what concerns another one; what the file gives it anew does, and so does resume."""
    m = fresh
    m.write_conf(group(m, parallel=3))
    m.start_daemon()
    m.wait_all("ok")
    m.sh("relayallocctl revert -y tor@relay1.service relay2")
    m.wait_all("reverted", ["relay1", "relay2"])
    before = m.invocations()
    loaded = len(m.events("config-loaded"))
    m.write_conf("# a comment\n" + group(m, parallel=2))
    m.wait_event("config-loaded", count=loaded + 1)
    m.sh("relayallocctl verify")
    assert m.states() == {"relay1": "reverted", "relay2": "reverted", "relay3": "ok"} and m.invocations() == before
    m.write_conf(m.settings([("g", "glibc-tuned", 'relays = [ "relay1" ]'), ("je", "jemalloc", 'relays = [ "*" ]')]))
    m.wait_all("ok", ["relay1"])
    assert m.states("relay2") == {"relay2": "reverted"} and "GLIBC_TUNABLES" in m.drop_in("relay1")
    m.sh("relayallocctl resume relay2")
    m.wait_all("ok")
    assert {r: i for r, i in m.invocations().items() if r == "relay3"} == {"relay3": before["relay3"]}


def test_hold_keeps_those_that_have_settled(fresh):
    """A group of one and its relay; a file that draws another one says so, and with hold nobody is restarted."""
    m = fresh

    def text(seed, hold=""):
        return m.settings([("S", "jemalloc", f'size = 1; seed = "{seed}"{hold}')], parallel=3)

    m.write_conf(text(0))
    m.start_daemon()
    (settled,) = m.wait_until(lambda: [r for r, row in m.listing().items() if row["state"] == "ok"], 60, "one to be moved")
    before = m.invocations()

    def told(seed, hold=""):
        m.write("/root/draft.conf", text(seed, hold))
        return f"group S gives up 1 relay that it has ({settled})" in m.run("relayallocctl plan /root/draft.conf").stderr

    seed = next(seed for seed in range(1, 60) if told(seed))
    assert not told(seed, "; hold = true")
    loaded = len(m.events("config-loaded"))
    m.write_conf(text(seed, "; hold = true"))
    m.wait_event("config-loaded", count=loaded + 1)
    m.sh("relayallocctl verify")
    assert m.states(settled) == {settled: "ok"} and m.invocations() == before
    m.write_conf(text(seed))
    m.wait_until(lambda: m.listing()[settled]["state"] == "observed", 60, "the other draw, now that it may")
