"""org.relayalloc1 as others see it: what signals tell, and whom polkit lets change something."""
import json
import os
import subprocess
from xml.etree import ElementTree

import dbus
import dbus.bus
import pytest

from conftest import HERE, wait_until
from test_jobs import GROUP, LIBRARY, begin

RELAY = "/org/relayalloc1/relay/"


class Signals:
    """All signals of the daemon from now on."""

    def __init__(self, world):
        self.process = subprocess.Popen(["busctl", f"--address={world.address}", "--json=short", "monitor", "org.relayalloc1"],
                                        stdout=open(world.path / "signals", "w"), stderr=subprocess.PIPE, text=True)
        assert "Monitoring" in self.process.stderr.readline()
        self.path = world.path / "signals"

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()

    def all(self, member, path=None):
        lines = self.path.read_text().split("\n")[:-1]
        messages = [m for m in map(json.loads, lines) if m["type"] == "signal" and m["member"] == member]
        return [m["payload"]["data"] for m in messages if path in (None, m["path"])]

    def changes(self, path):
        """What PropertiesChanged has told of an object, in order."""
        return [{k: v["data"] for k, v in changed.items()} for _, changed, _ in self.all("PropertiesChanged", path)]


def test_signals_follow_a_rollout(world):
    begin(world, "a", "b")
    world.start()
    world.wait_ready()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    signals = Signals(world)
    try:
        # Another allocator: the relays are restarted.
        world.write_config(GROUP.replace("jemalloc", "glibc-tuned"))
        world.manager("Reload")
        world.wait_said("Rollout 2 finished: 2 done, 0 failed")
        wait_until(lambda: ["b", "ok"] in signals.all("RelayChanged"), "the last signal of b")
        wait_until(lambda: [2, "idle", 2, 0, 2] in signals.all("RolloutChanged"), "the last signal of the rollout")
        states = [state for relay, state in signals.all("RelayChanged") if relay == "b"]
        assert states[0] == "pending" and states[-1] == "ok" and "restarting" in states
        last = signals.changes(RELAY + "a")[-1]
        assert (last["State"], last["Running"], last["Assigned"], last["Group"]) == ("ok", "glibc-tuned", "glibc-tuned", "A")
        manager = signals.changes("/org/relayalloc1")
        assert manager[-1]["Rollout"] == "idle" and manager[-1]["RelaysOk"] == 2 and manager[-1]["RolloutID"] == 2
        assert any(change["Rollout"] == "running" for change in manager)
    finally:
        signals.close()


def test_a_relay_that_changes_without_changing_its_state(world):
    """Whoever keeps what PropertiesChanged told has the truth."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    world.manager("Pause")
    world.write_config(GROUP.replace("jemalloc", "glibc"))
    world.manager("Reload")
    wait_until(lambda: world.states() == {"a": "pending"}, "a to wait")
    signals = Signals(world)
    try:
        world.write_config(GROUP.replace('"A"', '"Z"').replace("jemalloc", "glibc-tuned"))
        world.manager("Reload")
        wait_until(lambda: any((change["State"], change["Group"], change["Assigned"]) == ("pending", "Z", "glibc-tuned")
                               for change in signals.changes(RELAY + "a")), "the signal of a")
        assert signals.all("RelayChanged") == []
        before, told = len(signals.changes(RELAY + "a")), len(signals.all("RolloutChanged"))
        world.manager("Verify")
        world.manager("Pause")
        wait_until(lambda: len(signals.all("RolloutChanged")) > told, "the signal of the pause")
        assert len(signals.changes(RELAY + "a")) == before  # nothing is told twice
    finally:
        signals.close()


def test_what_is_said_to_be_announced_is(world):
    """Whoever keeps what GetAll told, and what PropertiesChanged told since, has the truth."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    bus = dbus.bus.BusConnection(world.address)
    manager = bus.get_object("org.relayalloc1", "/org/relayalloc1", introspect=False)
    properties = ElementTree.fromstring(manager.Introspect(dbus_interface="org.freedesktop.DBus.Introspectable"))
    promised = {p.get("name") for p in properties.iterfind("interface[@name='org.relayalloc1.Manager']/property")
                if p.find("annotation[@name='org.freedesktop.DBus.Property.EmitsChangedSignal']") is None}
    signals = Signals(world)
    try:
        world.write_config(GROUP, 'settle = 0; canary = 0; gate = "quiet.service";')
        world.manager("Reload")
        assert world.property("Gate") == "quiet.service"
        world.do("set-environment", environment=["MALLOC_ARENA_MAX=1"])
        world.manager("Reload")
        wait_until(lambda: world.property("HostSettings") == ["MALLOC_ARENA_MAX=1"], "what systemd gives to all")
        wait_until(lambda: any(change.get("HostSettings") == ["MALLOC_ARENA_MAX=1"] and change["Gate"] == "quiet.service"
                               for change in signals.changes("/org/relayalloc1")), "the signal")
        assert set(signals.changes("/org/relayalloc1")[-1]) == promised
    finally:
        signals.close()
        bus.close()


def test_relays_as_tuples_and_as_dictionaries(world):
    """ListRelays is what it has always been; GetRelays has all that the relays' own objects tell."""
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    world.do("stop", unit="tor@b.service")
    wait_until(lambda: world.states() == {"a": "ok", "b": "stopped"}, "b to be stopped")
    tuples, dictionaries = world.manager("ListRelays"), world.manager("GetRelays", dbus.Array([], signature="s"))
    assert tuples.signature == "(ssssssttto)" and dictionaries.signature == "(oa{sv})"
    assert [str(row[9]) for row in tuples] == [str(path) for path, _ in dictionaries] == [RELAY + "a", RELAY + "b"]
    bus = dbus.bus.BusConnection(world.address)
    memory = {"RSS", "Anonymous", "Swap", "Peak"}  # of the moment
    try:
        for row, (path, relay) in zip(tuples, dictionaries):
            assert [relay[key] for key in ("Name", "Group", "Assigned", "Running", "Version", "State")] == list(row[:6])
            assert relay["Since"] == row[8] and (relay["RSS"] > 0) == (row[6] > 0) and (relay["Peak"] > 0) == (row[7] > 0)
            own = bus.get_object("org.relayalloc1", path, introspect=False)
            everything = own.GetAll("org.relayalloc1.Relay", dbus_interface="org.freedesktop.DBus.Properties")
            assert set(everything) == set(relay) and memory < set(relay)
            for key, value in everything.items():
                one = own.Get("org.relayalloc1.Relay", key, dbus_interface="org.freedesktop.DBus.Properties")
                assert type(one) is type(value) is type(relay[key])
                assert key in memory or one == value == relay[key], key
        a, b = (relay for _, relay in dictionaries)
        assert a["RSS"] > 0 and a["MainPID"] == world.unit("a")["pid"] and LIBRARY in a["Library"]
        assert list(a["DropIns"]) == [a["DropIn"]] and a["DropIn"].endswith("tor@a.service.d/zz-relayalloc.conf")
        some = world.manager("GetRelays", ["RSS", "OfALaterVersion", "Group"])
        assert [(str(path), sorted(relay)) for path, relay in some] == [(RELAY + r, ["Group", "RSS"]) for r in "ab"]
        assert (b["RSS"], b["MainPID"], b["Since"], b["Library"], b["Running"]) == (0, 0, 0, "", "")
    finally:
        bus.close()


def call(world, method, *arguments):
    """As an ordinary user, where there is one to become."""
    other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    return subprocess.run([*other, "busctl", f"--address={world.address}", "call", "org.relayalloc1", "/org/relayalloc1",
                           "org.relayalloc1.Manager", method, *arguments], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("answer", ["yes", "no", "error", None])
def test_polkit_is_asked_for_those_who_are_not_root(world, answer):
    world.path.chmod(0o755)
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    polkit = None
    if answer:
        polkit = subprocess.Popen(["/usr/bin/python3", HERE / "fake_polkit.py", world.address, answer],
                                  stdout=subprocess.PIPE, text=True)
        assert polkit.stdout.readline() == "ready\n"
    try:
        # Who runs the daemon may do all that it does, and is not asked.
        let = answer == "yes" or os.geteuid() != 0
        assert call(world, "ListRelays").returncode == call(world, "Plan").returncode == call(world, "Verify").returncode == 0
        for method in ("Pause", "Resume", "Reload", "ReloadNow"):
            done = call(world, method)
            assert done.returncode == (0 if let else 1), done
            assert let or "Access denied" in done.stderr, done
        done = call(world, "Revert", "as", "1", "a")
        assert done.returncode == (0 if let else 1)
        if let:
            assert done.stdout == "u 1\n"
            world.wait_said("Rollout 2 finished: 1 done, 0 failed")
        assert (world.dropin("a") is None) == let and world.dropin("b")
        # With leave, the answer is that of the method.
        done = call(world, "Revert", "as", "1", "nobody")
        assert ('No relay named "nobody"' in done.stderr) == let, done
    finally:
        if polkit:
            polkit.terminate()
            questions = [json.loads(line) for line in polkit.stdout]
            polkit.wait(10)
            polkit.stdout.close()
            assert len(questions) == (6 if os.geteuid() == 0 else 0), questions
            assert all(q[0] == "system-bus-name" and q[1].startswith(":") and q[2:] == ["org.relayalloc1.manage", 1]
                       for q in questions), questions
