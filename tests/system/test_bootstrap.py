"""Relays that are moved in a Tor network of their own: who was bootstrapped has to be so again before it counts as
moved, and before anybody else is restarted."""

import datetime
import json
import re
import time

import pytest

from network import Network, day_of

RELAYS = 5
pytestmark = pytest.mark.release("first")
REPORTED = {"Guard", "HSDir", "Running", "Fast", "Stable"}  # flags that a report tells of


@pytest.fixture(scope="module")
def network(machine):
    machine.reset()
    return Network(machine)


@pytest.fixture
def net(network, fresh):
    network.wait_bootstrapped()
    yield network
    for name in fresh.names:
        network.configure(name)
    fresh.sh("systemctl restart " + " ".join(fresh.unit(r) for r in fresh.names))


def conf(m, relays="*", ready_timeout=120, **options):
    text = m.settings([("A", "jemalloc", f'relays = [ {relays} ]')], **options)
    return text.replace("rollout = {", f"rollout = {{ ready_timeout = {ready_timeout};")


def times(m, name):
    return {e["RELAYALLOC_RELAY"]: int(e["__REALTIME_TIMESTAMP"]) / 1e6 for e in m.events(name)}


def test_each_is_bootstrapped_before_the_next(net, fresh):
    m = fresh
    net.wait_bootstrapped()
    m.write_conf(conf(m, '"*"'))
    m.start_daemon()
    m.wait_event("rollout-finished", timeout=180)
    m.wait_all("ok")
    assert all(m.starts(r) == 1 for r in m.names)
    restarted, moved = times(m, "relay-restarting"), times(m, "relay-moved")
    assert set(moved) == set(m.names)
    order = sorted(m.names, key=restarted.get)
    for name, following in zip(order, order[1:] + [None]):
        ready = net.bootstrapped_at(name)
        assert restarted[name] < ready < moved[name] + 0.1
        assert following is None or ready < restarted[following]


@pytest.mark.parametrize("lines", [[], ["ControlSocket 0", "ControlPort 0"], ["Sandbox 1"]],
                         ids=["control socket", "log", "tor's sandbox"])
def test_one_that_does_not_bootstrap_again_is_put_back(net, fresh, lines):
    m = fresh
    net.configure("relay2", *lines)
    m.sh("systemctl restart tor@relay2")
    m.wait_until(lambda: net.bootstrapped_at("relay2"), 90, "relay2 to be bootstrapped")
    if lines[:1] == ["ControlSocket 0"]:  # its log says how far it is and who, and nothing else
        m.write_conf(m.settings([]))
        m.start_daemon()
        shown = m.wait_until(lambda: [r for r in json.loads(m.sh(
            "relayallocctl list --json=short -o relay,ready,flags,fingerprint relay2")) if r["ready"]], 60, "its log to be read")
        assert shown[0]["ready"] == "yes" and shown[0]["flags"] is None
        assert shown[0]["fingerprint"] in m.read("/var/lib/tor-instances/relay2/fingerprint")
        m.systemctl("stop", "relayallocd")
    net.configure("relay2", *lines, nowhere=True)
    before = m.invocations()
    m.mark()
    m.write_conf(conf(m, '"relay2", "relay3"', ready_timeout=8))
    m.start_daemon()
    m.wait_event("rollout-halted", timeout=90)
    failed = m.events("relay-failed")
    assert [e["RELAYALLOC_RELAY"] for e in failed] == ["relay2"] and failed[0]["RELAYALLOC_RESULT"] == "ready"
    assert "it has not bootstrapped within 8s: bootstrapping " in failed[0]["RELAYALLOC_REASON"]
    assert m.drop_in("relay2") is None and m.is_active("tor@relay2.service")
    assert m.allocator_in_maps("relay2") == "glibc" and m.starts("relay2") == 2
    assert m.invocation("relay3") == before["relay3"] and m.drop_in("relay3") is None
    assert m.listing()["relay2"]["state"] == "failed"


@pytest.mark.not_sanitized
def test_the_default_instance_is_put_back_likewise(net, fresh):
    """Its socket is at a place of its own."""
    m = fresh
    net.configure("default")
    m.sh("systemctl restart tor@default")
    m.wait_until(lambda: net.progress("default") == 100, 90, "tor@default to be bootstrapped")
    net.configure("default", nowhere=True)
    m.write_conf(conf(m, '"default"', ready_timeout=8))
    m.start_daemon()
    m.wait_event("rollout-halted", timeout=90)
    failed = m.events("relay-failed")
    assert [(e["RELAYALLOC_RELAY"], e["RELAYALLOC_RESULT"]) for e in failed] == [("default", "ready")]
    assert "it has not bootstrapped within 8s: bootstrapping " in failed[0]["RELAYALLOC_REASON"]
    assert m.drop_in("default") is None and m.is_active("tor@default.service")
    assert m.allocator_in_maps("default") == "glibc"


def test_one_that_was_not_bootstrapped_is_moved_all_the_same(net, fresh):
    m = fresh
    net.configure("relay2", nowhere=True)
    m.sh("systemctl restart tor@relay2")
    m.wait_until(lambda: net.progress("relay2") is not None, 30, "its control socket")
    m.write_conf(conf(m, '"relay2"', ready_timeout=60))
    m.start_daemon()
    m.wait_event("rollout-finished", timeout=30)
    m.wait_all("ok", ["relay2"])
    m.wait_until(lambda: net.progress("relay2") is not None, 30, "its control socket")
    assert net.progress("relay2") < 100
    assert "relay2 was not bootstrapped before its restart" in m.journal_text()


def test_what_the_network_does_is_nobodys_fault(net, fresh):
    m = fresh
    ready_timeout = 90  # also what tor has, when the network is back, to find out
    m.write_conf(conf(m, '"*"', ready_timeout=ready_timeout))
    m.start_daemon()
    m.wait_event("relay-restarting", timeout=60)
    with net.cut():
        lost = m.wait_event("network-lost", timeout=150)[0]  # tor may need its unit's 60 s to stop first
        until = int(lost["__REALTIME_TIMESTAMP"]) / 1e6 + ready_timeout
        m.wait_until(lambda: time.time() > until, 2 * ready_timeout, "the time that it may take to be ready to pass")
        assert m.events("relay-failed") == [] and len(m.events("relay-restarting")) <= 2
        status = m.run("relayallocctl status").stdout
        assert "waits for the network" in " ".join(status.split()), status
    m.wait_event("network-back", timeout=60)
    m.wait_event("rollout-finished", timeout=180)
    m.wait_all("ok")
    assert m.events("relay-failed") == [] and all(m.starts(r) == 1 for r in m.names)


def own_words(entry):
    return [entry.get(f"RELAYALLOC_{name}") for name in ("BOOTSTRAP", "FLAGS", "FINGERPRINT")]


def flags_of(net, name, fingerprint):
    said = net.ask(name, f"ns/id/${fingerprint}")
    return ",".join(sorted(re.search(r"^s (.*?)\r?$", said, re.M)[1].split()))


def reported(m):
    """Since the mark: what relays ran in the tests before counts for other rows."""
    since = datetime.datetime.fromtimestamp(m.since, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    return json.loads(m.sh(["env", "RELAYALLOC_DAY=10", "relayallocctl", "report", "--warmup=0", "--json=short",
                            f"--since={since}"]))["rows"]


def told(m, name):
    """The samples of its present process in which it says something of itself."""
    samples = m.events("sample-relay", relay=name)
    return [e for e in samples if e["RELAYALLOC_SINCE"] == samples[-1]["RELAYALLOC_SINCE"] and own_words(e)[0]]


@pytest.mark.not_sanitized
def test_samples_and_days_say_what_relays_say_of_themselves(net, fresh):
    m = fresh
    fingerprint = net.ask("relay2", "fingerprint")
    m.write_conf(conf(m, '"relay1"'))
    with day_of(m, 10):
        m.start_daemon()
        m.wait_until(lambda: own_words(m.events("sample-relay", relay="relay2")[-1])[1], 60, "its flags")
        days = m.wait_event("relay-traffic", relay="relay2", count=2, timeout=90)
        # Flags may be voted anew at any moment.
        m.wait_until(lambda: own_words(m.events("sample-relay", relay="relay2")[-1])[1] == flags_of(net, "relay2", fingerprint),
                     60, "the flags by hand and those of the journal to be the same")
        samples = m.events("sample-relay", relay="relay2")
        row = m.wait_until(lambda: [r for r in json.loads(m.sh(
            "RELAYALLOC_DAY=10 relayallocctl list --json=short -o relay,ready,flags,fingerprint,traffic/day relay2"))
            if r["flags"] == flags_of(net, "relay2", fingerprint)], 60, "the list to show the same")[0]
        status = m.run("RELAYALLOC_DAY=10 relayallocctl status relay2").stdout
        m.wait_until(lambda: [set(x["flags"]) for row in reported(m) for x in row["members"] if x["relay"] == "relay2"]
                     == [set(flags_of(net, "relay2", fingerprint).split(",")) & REPORTED], 60, "the report to say the same",
                     lambda: reported(m))
        m.write_conf(conf(m, '"relay1"', entry="fleet"))
        m.wait_until(lambda: [line for e in m.events("sample-fleet") for line in e["RELAYALLOC_FLEET"].splitlines()
                              if re.fullmatch(r"relay2\t.*\t100\t[A-Za-z0-9,]+\t-", line)], 60, "a row of it")
    assert [own_words(e)[2] for e in samples if own_words(e)[2]] == [fingerprint], "once"
    assert {own_words(e)[0] for e in told(m, "relay2")} == {"100"}
    spans = [(int(e["RELAYALLOC_SINCE"]), int(e["RELAYALLOC_UNTIL"])) for e in days]
    assert all(until - since >= 10e6 for since, until in spans) and spans[0][1] == spans[1][0], spans
    for e in days:
        assert int(e["RELAYALLOC_READ"]) % 1024 == int(e["RELAYALLOC_WRITTEN"]) % 1024 == 0
        assert (e["RELAYALLOC_FINGERPRINT"], e["RELAYALLOC_ALLOCATOR"]) == (fingerprint, "glibc")
    assert (row["ready"], row["fingerprint"]) == ("yes", fingerprint)
    assert row["traffic/day"] in [int(e["RELAYALLOC_READ"]) + int(e["RELAYALLOC_WRITTEN"])
                                  for e in m.events("relay-traffic", relay="relay2")]
    assert re.search(rf"Ready: yes.*\n *Flags: [A-Za-z0-9]+,.*\n *Fingerprint: {fingerprint}\n *Traffic: ", status), status


@pytest.mark.not_sanitized
def test_traffic_at_the_end_of_a_process_is_logged_once_in_a_day(net, fresh):
    """And not at all when the daemon stops, or has only seen a part of the day."""
    m = fresh

    def process_of(name):
        return m.events("sample-relay", relay=name)[-1]["RELAYALLOC_SINCE"]

    m.write_conf(conf(m, '"relay1"'))
    with day_of(m, 1440):
        m.start_daemon()
        for samples in (2, 12):  # a new process is asked at once, and ten seconds later when it is more than moments old
            m.wait_until(lambda: len(told(m, "relay3")) >= samples, 90, "what it says of itself, for a while")
            before = process_of("relay3")
            m.systemctl("restart", m.unit("relay3"))
            m.wait_until(lambda: process_of("relay3") != before, 60, "a sample of its new process")
        seen = len(told(m, "relay2"))
        m.systemctl("restart", "relayallocd")
        m.wait_until(lambda: len(told(m, "relay2")) > seen, 60, "the daemon to ask again")
    ends = m.events("relay-traffic", relay="relay3")
    assert len(ends) == 1 and int(ends[0]["RELAYALLOC_UNTIL"]) - int(ends[0]["RELAYALLOC_SINCE"]) < 1440e6
    assert m.events("relay-traffic", relay="relay2") == []
