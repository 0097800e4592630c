"""Who said before its restart that it is bootstrapped has to say so after it (rollout.ready)."""
import os
import pathlib
import re
import subprocess

import dbus
import pytest

from conftest import BUILD, HERE, wait_until
from test_jobs import GROUP, restarts

REMOTE = pathlib.Path("/lib/systemd/systemd-journal-remote")


def begin(world, *relays, ready_timeout=2):
    control = world.path / "tor"
    text = f'settle = 0; canary = 0; ready_timeout = {ready_timeout}; }}; tor = {{ control = "{control}/%i/control";'
    world.write_config(GROUP, text)
    world.start_fake(*relays)
    for relay in relays:
        (control / relay).mkdir(parents=True)


def says(world, relay, word, file="before"):
    """Whole, or as it was: it may be read at any moment."""
    path = world.path / "tor" / relay / file
    path.with_suffix(".new").write_text(word)
    os.rename(path.with_suffix(".new"), path)


def asked(world, relay):
    path = world.path / "tor" / relay / "asked"
    return path.stat().st_size if path.exists() else 0


def ctl(world, *arguments):
    env = {"PATH": os.environ["PATH"], "DBUS_SYSTEM_BUS_ADDRESS": world.address, "RELAYALLOC_DROPIN_ROOT": str(world.root),
           "RELAYALLOC_STATE_DIR": str(world.state), "ASAN_OPTIONS": "detect_leaks=1"}
    return subprocess.run([BUILD / "relayallocctl", f"--config={world.config}", *arguments], env=env, capture_output=True,
                          text=True, timeout=60)


def start_relay(world, relay, before, after, hostile=None):
    """What it says until it is restarted, and then; or how it then answers nothing that makes sense."""
    folder = world.path / "tor" / relay
    program = ["/usr/bin/python3", str(HERE / "fake_tor.py"), str(folder)]
    says(world, relay, before)
    says(world, relay, after, "after")
    world.do("restart-by-hand", unit=f"tor@{relay}.service", program=[*program, "before"])
    wait_until((folder / "control").exists, "its socket")
    world.script(relay, {"program": ["/usr/bin/python3", str(HERE / "hostile_tor.py"), str(folder / "control"), hostile]
                         if hostile else [*program, "after"]})


def test_who_does_not_say_it_again_is_put_back(world):
    begin(world, "a")
    start_relay(world, "a", "100", "10")
    world.start()
    world.wait_said("a: .*it has not bootstrapped within 2s: bootstrapping 10 %")
    world.wait_said("Rollout 1 halted")
    assert restarts(world, "a") == (1, 1)
    assert world.dropin("a") is None


@pytest.mark.parametrize("mode", ["garbage", "nothing", "slowly", "megabyte", "close", "refuse"])
def test_who_only_answers_nonsense_then_is_put_back(world, mode):
    begin(world, "a", "b")
    start_relay(world, "a", "100", "", hostile=mode)
    world.start()
    world.wait_said("a: .*it has not bootstrapped within 2s")
    world.wait_said("Rollout 1 halted")
    assert restarts(world, "a") == (1, 1) and restarts(world, "b") == (0, 0)
    assert world.dropin("a") is None and world.dropin("b") is None


def journal(world, inside, outside, **fields):
    """One line, in the journal of the machine on which the daemon runs."""
    if not REMOTE.exists():
        pytest.skip("systemd-journal-remote is not installed")
    machine = pathlib.Path("/etc/machine-id").read_text().strip()
    (outside / "journal" / machine).mkdir(parents=True)
    subprocess.run([*world.inside, "mount", "--bind", inside, "/var/log"], check=True)
    entry = {"__REALTIME_TIMESTAMP": 1700000000000000, "__MONOTONIC_TIMESTAMP": 1000000, "_BOOT_ID": "0" * 31 + "1",
             "_MACHINE_ID": machine, **fields}
    subprocess.run([REMOTE, "-o", outside / "journal" / machine / "system.journal", "-"], check=True, capture_output=True,
                   input="".join(f"{name}={value}\n" for name, value in entry.items()) + "\n", text=True)


@pytest.mark.parametrize("whose", ["its own", "an earlier one's"])
def test_what_the_log_of_an_earlier_process_says_is_not_believed(world, whose):
    """A relay without a control socket says it in its log; and a number is given to more than one process, over boots."""
    inside, outside = world.own_folder()
    begin(world, "a")
    unit = world.unit("a")
    journal(world, inside, outside, _SYSTEMD_UNIT="tor@a.service", _PID=unit["pid"], MESSAGE="Bootstrapped 100% (done): Done",
            _SYSTEMD_INVOCATION_ID=unit["invocation"] if whose == "its own" else "0" * 31 + "1")
    world.start()
    if whose == "its own":  # and so it has to say it again
        world.wait_said("a: .*it has not bootstrapped within 2s: bootstrapping: it does not say how far it is")
    else:
        world.wait_said("a does not say whether it is bootstrapped")
        world.wait_said("Rollout 1 finished: 1 done")


def test_an_operator_may_be_content_with_less(world):
    """rollout.ready = "active": nobody waits for what the relay says."""
    begin(world, "a")
    start_relay(world, "a", "100", "10")
    world.config.write_text(world.config.read_text().replace("ready_timeout", 'ready = "active"; ready_timeout'))
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (1, 0) and world.dropin("a")


def test_how_far_it_is_is_shown_while_it_is_waited_for(world):
    begin(world, "a", ready_timeout=600)
    start_relay(world, "a", "100", "45")
    world.start()
    world.wait_said("a: restarting for jemalloc")
    wait_until(lambda: "bootstrapping 45 %" in " ".join(ctl(world, "status").stdout.split()), "status to say how far it is")
    says(world, "a", "100", "after")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")


def test_who_was_not_bootstrapped_need_not_be(world):
    begin(world, "a")
    start_relay(world, "a", "10", "10")
    world.start()
    world.wait_said("a was not bootstrapped before its restart, 10 %")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")


def test_no_answer_is_not_a_no(world):
    """It was busy when it was asked before its restart: it is asked again, and what it says then counts."""
    begin(world, "a", ready_timeout=60)
    start_relay(world, "a", "nothing", "10")
    world.start()
    wait_until(lambda: asked(world, "a") >= 1, "the question")
    says(world, "a", "100")
    world.wait_said("a: restarting for jemalloc")
    before = asked(world, "a")
    wait_until(lambda: asked(world, "a") >= before + 2, "it to be asked whether it is ready")
    assert not world.said("does not say whether it is bootstrapped") and not world.said("finished")
    says(world, "a", "100", "after")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (1, 0)


def test_who_never_answers_is_moved_all_the_same(world):
    begin(world, "a")
    start_relay(world, "a", "nothing", "nothing")
    world.start()
    world.wait_said("a does not say whether it is bootstrapped")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")


def is_ready(world, relay):
    bus = dbus.bus.BusConnection(world.address)
    try:
        found = bus.get_object("org.relayalloc1", world.manager("GetRelay", relay), introspect=False)
        return bool(found.Get("org.relayalloc1.Relay", "Ready", dbus_interface="org.freedesktop.DBus.Properties"))
    finally:
        bus.close()


def planned_length(world):
    """Seconds that the plan of a draft is to take."""
    draft = world.path / "draft"
    draft.write_text(f'instances_dir = "{world.instances}";\ngroups = ({GROUP});\nrollout = {{ settle = 20; canary = 0; }};\n')
    done = ctl(world, "plan", draft)
    assert done.returncode == 0, done.stderr
    span = re.search(r"takes about (?:(\d+)min ?)?(?:(\d+)s)?", done.stdout)
    return 60 * int(span[1] or 0) + int(span[2] or 0)


def test_plan_of_a_draft_asks_who_is_bootstrapped(world):
    """Only a relay that is has to be so again, which takes its time; without the daemon each is taken for one that is."""
    begin(world, "a", "b")
    start_relay(world, "a", "100", "100")
    start_relay(world, "b", "10", "100")
    world.write_config("", f'}}; tor = {{ control = "{world.path}/tor/%i/control";')
    without = planned_length(world)
    world.start()
    world.wait_ready()
    wait_until(lambda: is_ready(world, "a"), "what the relay says")
    assert without - 12 <= planned_length(world) <= without - 8 and not is_ready(world, "b")


def test_relay_that_fails_while_it_is_asked_before_its_restart(world):
    """That was before anything was done to it: its allocator is not to blame, and nobody asked for its start."""
    begin(world, "a", "b")
    start_relay(world, "a", "100", "100")
    world.start()
    says(world, "a", "nothing")
    wait_until(lambda: world.dropin("a"), "the file")
    before = asked(world, "a")
    wait_until(lambda: asked(world, "a") > before, "the question")
    world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "exit-code"})
    world.wait_said("Rollout 1 (finished|halted)")
    assert not world.said("could not be moved")
    assert restarts(world, "a")[1] == 0


def test_bus_dies_while_its_unit_is_read_once_more_before_its_restart(world):
    begin(world, "a", ready_timeout=60)
    start_relay(world, "a", "100", "100")
    world.start()
    says(world, "a", "nothing")
    wait_until(lambda: world.dropin("a"), "the file")
    before = asked(world, "a")
    wait_until(lambda: asked(world, "a") > before, "the question")
    world.do("set", unit="tor@a.service", values={"read_delay": 60})
    reads = world.unit("a")["reads"]
    says(world, "a", "100")
    wait_until(lambda: world.unit("a")["reads"] > reads, "it to be read")
    world.do("set", unit="tor@a.service", values={"read_delay": 0})
    world.restart_bus()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (1, 0)
