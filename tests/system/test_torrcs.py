"""Torrcs that were broken since their relays began: whoever would not come up again is not restarted, and all of that is said."""

import pytest

UNKNOWN = "FamilyIdOfTheFuture 1\n"
WORDS = "its torrc does not verify: Unknown option 'FamilyIdOfTheFuture'"


def torrc(relay):
    return "/etc/tor/torrc" if relay == "default" else f"/etc/tor/instances/{relay}/torrc"


def append(m, relay, text):
    m.write(torrc(relay), m.read(torrc(relay)) + text)


@pytest.fixture
def torrcs(fresh):
    """A machine whose torrcs may be written to; they are put back."""
    m = fresh
    before = {r: m.read(torrc(r)) for r in m.names}
    yield m
    for relay, text in before.items():
        m.write(torrc(relay), text)
    m.sh("rm -rf /etc/relay-test")


def conf(m, **options):
    return m.settings([("A", "jemalloc", 'relays = [ "*" ]')], **options)


def faults(m):
    return {e["RELAYALLOC_RELAY"]: e for e in m.events("config-fault")}


def test_deployment_that_breaks_every_torrc_takes_no_relay_down(torrcs):
    """A line that this tor does not know, in all of them; then the fleet is to be moved."""
    m = torrcs
    before = m.invocations()
    for relay in m.names:
        append(m, relay, UNKNOWN)
    m.write_conf(conf(m, parallel=2, canary=1))
    m.start_daemon()
    m.wait_event("rollout-finished", timeout=60)
    assert m.invocations() == before and m.drop_in_times() == {}
    assert all(m.is_active(m.unit(r)) for r in m.names)
    assert set(faults(m)) == set(m.names)
    entry = faults(m)["relay1"]
    assert entry["RELAYALLOC_RESULT"] == "verify-config" and entry["RELAYALLOC_REASON"] == WORDS and int(entry["PRIORITY"]) <= 3
    assert m.states() == {r: "failed" for r in m.names}
    assert not m.events("preflight-failed") and not m.events("rollout-halted")
    assert m.run("relayallocctl list").returncode == 3
    assert WORDS in m.sh("relayallocctl plan") and WORDS in m.run("relayallocctl status relay1").stdout
    assert m.sh("systemctl list-units --all --no-legend 'relayalloc-preflight-*'").strip() == ""
    assert "Starting relayalloc-preflight" not in m.sh("journalctl -b --no-pager _PID=1"), "systemd's log stays as it is"


def test_only_who_would_not_come_up_is_left_out(torrcs):
    m = torrcs
    before = m.invocations()
    append(m, "relay1", UNKNOWN)  # which would be the canary
    append(m, "relay2", "%include /etc/relay-test/*.conf\n")
    append(m, "relay3", "%include /etc/relay-test/relay3\n")
    m.write("/etc/relay-test/x.conf", "# nothing yet\n")
    m.write("/etc/relay-test/relay3", "ORPort banana\n")
    m.write_conf(conf(m, canary=1))
    m.start_daemon()
    m.wait_event("rollout-finished", timeout=60)
    after = m.invocations()
    assert {r for r in m.names if after[r] == before[r]} == {"relay1", "relay3"}
    assert m.states() == {"relay1": "failed", "relay2": "ok", "relay3": "failed", "relay4": "ok"}
    assert "Couldn't parse address \"banana\" for ORPort" in faults(m)["relay3"]["RELAYALLOC_REASON"]
    # Mended, they are moved by themselves.
    m.write("/etc/relay-test/relay3", "# nothing\n")
    m.wait_all("ok", ["relay3"])
    m.write(torrc("relay1"), m.read(torrc("relay1")).replace(UNKNOWN, ""))
    m.wait_all("ok")
    assert all(m.starts(r) == 1 for r in m.names), "nobody is restarted twice"


def test_default_instance_and_its_includes(torrcs):
    m = torrcs
    m.write("/etc/tor/torrc", "SocksPort 0\nORPort 127.0.0.1:9900 NoAdvertise\nORPort 192.0.2.1:9900 NoListen\nAddress 192.0.2.1\n"
                              "ExitRelay 0\nPublishServerDescriptor 0\nAssumeReachable 1\nDisableNetwork 1\nShutdownWaitLength 0\n"
                              "%include /etc/relay-test/\n")
    m.write("/etc/relay-test/one", "# fine\n")
    m.sh("systemctl daemon-reload; systemctl restart tor@default")
    try:
        before = m.invocation("default")
        m.write("/etc/relay-test/two", UNKNOWN)
        m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "default" ]')]))
        m.start_daemon()
        m.wait_event("rollout-finished", timeout=60)
        assert m.invocation("default") == before and faults(m)["default"]["RELAYALLOC_REASON"] == WORDS
        m.sh("rm /etc/relay-test/two")
        m.sh("relayallocctl verify; true")
        m.wait_all("ok", ["default"])
    finally:
        m.sh("systemctl stop tor@default; rm -f /etc/tor/torrc")


FAULTS = {
    "environment file": ("EnvironmentFile=/etc/relay-test/gone", "result \"resources\""),
    "working directory": ("WorkingDirectory=/etc/relay-test/gone", "(200/CHDIR)"),
    "user": ("User=nobody-at-all", "(217/USER)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_else_would_keep_it_from_starting(torrcs, fault):
    """Of the same kind: what its unit needs went away, or never was, since it began."""
    m = torrcs
    line, words = FAULTS[fault]
    before = m.invocations()
    m.write("/etc/systemd/system/tor@relay2.service.d/50-fault.conf", f"[Service]\n{line}\n")
    m.systemctl("daemon-reload")
    m.write_conf(conf(m))
    m.start_daemon()
    m.wait_event("rollout-finished", timeout=90)
    assert m.invocation("relay2") == before["relay2"] and m.is_active(m.unit("relay2"))
    assert m.states()["relay2"] == "failed"
    assert words in m.listing()["relay2"]["reason"] if "reason" in m.listing()["relay2"] else words in m.run("relayallocctl status relay2").stdout
    m.sh("rm /etc/systemd/system/tor@relay2.service.d/50-fault.conf; systemctl daemon-reload; relayallocctl reload")
    m.wait_all("ok")
