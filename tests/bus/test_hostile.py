"""Users who mean ill: what they send costs little, and keeps nobody else from anything. Only root can play
other users."""
import json
import os
import re
import subprocess
import time

import dbus
import dbus.bus
import pytest

from conftest import BUILD, HERE, wait_until
from test_interface import RELAY, Signals
from test_jobs import begin
from test_relays import samples, sampling

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")

TOO_MUCH = "org.freedesktop.DBus.Error.LimitsExceeded"
DENIED = "org.freedesktop.DBus.Error.AccessDenied"
MIB = 1 << 20
# ASan copies a message each time that it grows, and keeps what is freed: less is sent then, and memory tells nothing.
SANITIZED = b"libasan" in (BUILD / "relayallocd").read_bytes()
LARGE = (3 if SANITIZED else 30) * MIB
OTHER = 2  # an ordinary user as well; the bus takes only those that the host knows


class User:
    """hostile.c as that user, from now on."""

    def __init__(self, world, method, uid=65534, **wanted):
        world.path.chmod(0o755)
        options = [f"{name}={value}" for name, value in wanted.items()]
        self.process = subprocess.Popen([BUILD / "tests/bus/hostile", world.address, str(uid), method, *options],
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def end(self):
        """What came of it."""
        line = self.process.stdout.readline()
        self.process.wait(60)
        self.process.stdout.close()
        return json.loads(line)

    def kill(self):
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()


class Polkit:
    def __init__(self, world, answer, uid=0):
        self.questions = world.path / "questions"
        self.process = subprocess.Popen(["/usr/bin/python3", HERE / "fake_polkit.py", world.address, answer, str(uid)],
                                        stdout=open(self.questions, "w"))
        wait_until(self.questions.read_text, "polkit")

    def asked(self):
        return [json.loads(line) for line in self.questions.read_text().splitlines()[1:]]

    def close(self):
        self.process.terminate()
        self.process.wait(10)


def settled(world, *relays):
    begin(world, *relays)
    world.start()
    world.wait_said(f"Rollout 1 finished: {len(relays)} done, 0 failed")


def peak(world):
    """The most memory that the daemon ever had, in bytes."""
    return int(re.search(r"VmHWM:\s*(\d+)", open(f"/proc/{world.daemon.pid}/status").read())[1]) * 1024


def assert_peak_below(world, limit):
    assert SANITIZED or peak(world) < limit


def cpu(world):
    """Seconds that it has used so far."""
    return int(open(f"/proc/{world.daemon.pid}/schedstat").read().split()[0]) / 1e9


def control(world, method, *arguments):
    """As root does it, over the name that others do not reach. How long it took, in seconds."""
    started = time.monotonic()
    bus = dbus.bus.BusConnection(world.address)
    try:
        manager = bus.get_object("org.relayalloc1.Control", "/org/relayalloc1", introspect=False)
        getattr(manager, method)(*arguments, dbus_interface="org.relayalloc1.Manager", timeout=10)
    finally:
        bus.close()
    return time.monotonic() - started


def states_now(world):
    try:
        return len(world.manager("ListRelays", timeout=1))
    except dbus.DBusException:
        return None


# ---- calls that wait for polkit ----

def test_large_calls_do_not_wait_for_polkit(world):
    settled(world, "a")
    polkit = Polkit(world, "never")
    try:
        user = User(world, "Revert", size=LARGE, calls=6, in_flight=6, interactive=1, seconds=60)
        assert user.end()[TOO_MUCH] == 6
        assert polkit.asked() == []
        assert_peak_below(world, 120 * MIB)
        # What fits is asked about, and kept without the message.
        user = User(world, "Revert", size=65000, calls=2, in_flight=2, interactive=1, seconds=600)
        wait_until(lambda: len(polkit.asked()) == 2, "the questions")
        user.kill()
        assert control(world, "Pause") < 5
    finally:
        polkit.close()


def test_few_calls_of_a_user_wait_for_polkit(world):
    settled(world, "a")
    polkit = Polkit(world, "never")
    users = []
    try:
        users.append(User(world, "Pause", connections=20, calls=3, in_flight=3, seconds=600))
        wait_until(lambda: len(polkit.asked()) == 4, "the questions")
        # Others are not kept from asking by that, and root is not asked.
        users.append(User(world, "Pause", uid=OTHER, calls=1, seconds=600))
        wait_until(lambda: len(polkit.asked()) == 5, "the question of another user")
        assert control(world, "Pause") < 5 and world.property("Rollout") == "paused"
        time.sleep(0.5)
        assert len(polkit.asked()) == 5
    finally:
        for user in users:
            user.kill()
        polkit.close()


def test_who_is_refused_may_come_again(world):
    settled(world, "a")
    polkit = Polkit(world, "no")
    try:
        for _ in range(3):
            came = User(world, "Pause", calls=8, in_flight=1, seconds=60).end()
            assert came[DENIED] == 8, came
    finally:
        polkit.close()


def test_a_caller_that_has_gone_is_not_waited_for(world):
    settled(world, "a")
    for _ in range(5):
        user = User(world, "Pause", connections=10, calls=4, in_flight=4, silent=1, seconds=60)
        user.end()
    assert User(world, "Pause", uid=OTHER, calls=1, seconds=60).end()[DENIED] == 1


def test_the_policy_of_the_bus(world):
    """Nobody but root reaches the name that is for root, by whatever message, except by the answer to a question."""
    settled(world, "a")
    world.path.chmod(0o755)
    world.limits = f"<include>{HERE.parent.parent / 'units/org.relayalloc1.conf'}</include>"
    world.restart_bus()
    wait_until(lambda: world.states() == {"a": "ok"}, "the daemon to be back")
    assert User(world, "ListRelays", calls=1).end()["ok"] == 1
    assert User(world, "ListRelays", control=1, calls=2).end()[DENIED] == 2
    assert User(world, "ListRelays", uid=0, control=1, calls=2).end()["ok"] == 2
    assert world.owner("org.relayalloc1.Control") != world.owner("org.relayalloc1")
    before = peak(world)
    assert User(world, "ListRelays", signal=20 * MIB, control=1, calls=2, seconds=300).end()["ok"] == 2
    assert_peak_below(world, before + 10 * MIB)
    assert User(world, "ListRelays", signal=20 * MIB, calls=2, seconds=300).end()["ok"] == 2
    assert SANITIZED or peak(world) > before + 10 * MIB  # these came through
    polkit = Polkit(world, "yes", uid=OTHER)
    try:
        assert User(world, "Pause", calls=1).end()["ok"] == 1 and len(polkit.asked()) == 1
    finally:
        polkit.close()


# ---- arguments that are none of ours ----

@pytest.mark.parametrize("method", ["ListRelays", "GetRelay", "GetRelays", "Plan", "Verify", "Pause", "Reload", "Revert", "NoSuch"])
def test_large_arguments_are_refused(world, method):
    settled(world, "a")
    came = User(world, method, size=LARGE // 3, calls=3, seconds=60).end()
    assert came.get(TOO_MUCH, 0) + came.get("org.freedesktop.DBus.Error.InvalidArgs", 0) == 3, came
    came = User(world, method, uid=OTHER, texts=500000, calls=3, seconds=60).end()
    assert came.get(TOO_MUCH, 0) + came.get("org.freedesktop.DBus.Error.InvalidArgs", 0) == 3, came
    assert_peak_below(world, 60 * MIB)


# ---- floods ----

def test_a_flood_of_large_calls_holds_nobody_up(world):
    """The queue that dbus-daemon has for a connection is full at 127 MiB (less here), and what comes then is lost."""
    settled(world, "a", "b")
    world.limits = "<limit name='max_outgoing_bytes'>4000000</limit>"
    world.restart_bus()
    wait_until(lambda: len(world.states()) == 2, "the daemon to be back")
    flood = User(world, "Revert", size=2 * MIB, connections=12, calls=1000000, in_flight=4, seconds=600)
    try:
        wait_until(lambda: states_now(world) is None, "the queue to be full")
        world.write_config('{ name = "A"; allocator = "glibc"; relays = [ "*" ]; }')
        control(world, "Reload")
        slowest = max(control(world, method) for method in ("Pause", "Resume") * 10)
        world.wait_said("Rollout 2 finished: 2 done, 0 failed")
        assert slowest < 10  # a caller gives up after 25 s
    finally:
        flood.kill()
    assert_peak_below(world, 60 * MIB)


def test_a_user_has_a_budget(world):
    relays = [f"r{i:02}" for i in range(20)]
    settled(world, *relays)
    before = cpu(world)
    came = User(world, "ListRelays", connections=4, calls=100000, in_flight=32, seconds=6).end()
    used = cpu(world) - before
    assert came["ok"] > 100
    assert came["waiting"] > 0, came  # at last it got no answer any more
    assert used < 3.0, used           # a second at once, a twentieth of the rest, and refusals
    # Others have theirs, and root needs none.
    assert User(world, "ListRelays", uid=OTHER, calls=50, in_flight=1, seconds=60).end()["ok"] == 50
    assert control(world, "ListRelays") < 1
    for _ in range(20):
        assert len(world.states()) == 20
    # It comes back when the flood is over.
    wait_until(lambda: User(world, "ListRelays", calls=1, seconds=2).end().get("ok") == 1, "the user to be served again", 30)


def test_answers_that_nobody_reads(world):
    """dbus-daemon counts what we sent and others do not read, and at 127 MiB takes no more from that connection; less here."""
    settled(world, *[f"r{i:02}" for i in range(20)])
    world.limits = "<limit name='max_incoming_bytes'>300000</limit>"
    world.restart_bus()
    wait_until(lambda: len(world.states()) == 20, "the daemon to be back")
    deaf = User(world, "ListRelays", connections=2, calls=400, deaf=1, seconds=600)
    try:
        wait_until(lambda: states_now(world) is None, "the bus to take nothing more")
        assert control(world, "Pause") < 2 and control(world, "Verify") < 2
    finally:
        deaf.kill()
    wait_until(lambda: states_now(world) == 20, "the daemon to be heard again")
    assert world.property("Rollout") == "paused"


def test_what_changes_while_the_bus_takes_nothing_is_told_later(world):
    """Whoever keeps what PropertiesChanged told has the truth, also when that could not be told at once."""
    relays = [f"r{i:02}" for i in range(20)]
    settled(world, *relays)
    world.limits = "<limit name='max_incoming_bytes'>300000</limit>"
    world.restart_bus()
    wait_until(lambda: len(world.states()) == 20, "the daemon to be back")
    signals = Signals(world)
    try:
        deaf = User(world, "ListRelays", connections=2, calls=400, deaf=1, seconds=600)
        try:
            wait_until(lambda: states_now(world) is None, "the bus to take nothing more")
            control(world, "Pause")
            world.write_config('{ name = "another"; allocator = "glibc-tuned"; relays = [ "*" ]; }')
            sampling(world, 1)
            begun = samples(world, "r19")
            wait_until(lambda: samples(world, "r19") > begun + 2, "all to have been looked at with the new file")
        finally:
            deaf.kill()
        for relay in relays:
            wait_until(lambda: [c["Group"] for c in signals.changes(RELAY + relay)][-1:] == ["another"], f"the signal of {relay}")
    finally:
        signals.close()


# ---- Verify ----

def looks(world):
    return world.text().count("Looking at all relays")


def debug(world):
    subprocess.run(["busctl", f"--address={world.address}", "set-property", "org.relayalloc1", "/org/freedesktop/LogControl1",
                    "org.freedesktop.LogControl1", "LogLevel", "s", "debug"], check=True)


def test_verify_of_many_is_one_look(world):
    settled(world, "a", "b")
    debug(world)
    before = looks(world)
    started = time.monotonic()
    came = User(world, "Verify", connections=10, calls=20, in_flight=1, seconds=60).end()
    assert came["ok"] == 200, came
    assert 1 <= looks(world) - before <= 2 + int(time.monotonic() - started)
    # Root's is always a fresh one; what comes at the same time shares it.
    before = looks(world)
    for _ in range(3):
        control(world, "Verify")
    assert looks(world) - before == 3
    came = User(world, "Verify", uid=0, connections=30, calls=1, in_flight=1, seconds=60).end()
    assert came["ok"] == 30 and looks(world) - before <= 3 + 10


def test_verify_of_a_user_is_no_older_than_a_second(world):
    settled(world, "a", "b")
    debug(world)
    for n in range(1, 4):
        assert User(world, "Verify", calls=1, seconds=60).end()["ok"] == 1
        assert looks(world) == n
        time.sleep(1.1)


# ---- relays that mean ill ----

@pytest.mark.slow
def test_a_relay_that_tells_of_changes_without_end(world):
    settled(world, "a", "b")
    told = lambda relay: len(re.findall(rf"^{relay} (?:runs|drifted) ", world.text(), re.M))
    reads, before = world.unit("a")["reads"], told("a")
    world.do("flap", unit="tor@a.service", seconds=13, every=0.001)
    time.sleep(2)
    assert world.unit("a")["reads"] - reads < 12
    time.sleep(1)
    # Another one is read at once in the meantime.
    world.do("restart-by-hand", unit="tor@b.service", environment=["X=1"])
    wait_until(lambda: world.states().get("b") != "ok", "b to be read", 0.7)
    time.sleep(10)
    assert world.unit("a")["reads"] - reads < 24
    assert told("a") - before <= 7
    # How it ends is seen, and logged when its turn comes, with what was left out.
    wait_until(lambda: world.states().get("a") == "ok", "the last change to be read", 1.5)
    assert relay_pid(world, "a") == world.unit("a")["pid"]
    world.wait_said(r"(?m)^a runs jemalloc .*; \d+ changes before that came too fast to be logged\.$", 30)


def relay_pid(world, relay):
    return next(int(r["MainPID"]) for path, r in world.manager("GetRelays", ["MainPID"]) if path.endswith("/" + relay))
