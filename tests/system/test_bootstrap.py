"""Relays that are moved in a Tor network of their own: who was bootstrapped has to be so again before it counts as
moved, and before anybody else is restarted."""

import time

import pytest

from network import Network

RELAYS = 5


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
    ready_timeout = 60  # also what tor has, when the network is back, to find out
    m.write_conf(conf(m, '"*"', ready_timeout=ready_timeout))
    m.start_daemon()
    m.wait_event("relay-restarting", timeout=60)
    with net.cut():
        lost = m.wait_event("network-lost", timeout=60)[0]
        until = int(lost["__REALTIME_TIMESTAMP"]) / 1e6 + ready_timeout
        m.wait_until(lambda: time.time() > until, 2 * ready_timeout, "the time that it may take to be ready to pass")
        assert m.events("relay-failed") == [] and len(m.events("relay-restarting")) <= 2
        status = m.run("relayallocctl status").stdout
        assert "waits for the network" in " ".join(status.split()), status
    m.wait_event("network-back", timeout=60)
    m.wait_event("rollout-finished", timeout=180)
    m.wait_all("ok")
    assert m.events("relay-failed") == [] and all(m.starts(r) == 1 for r in m.names)
