"""rollout.gate: a unit that must succeed before each wave."""
import re

from conftest import wait_until
from test_jobs import GROUP, LIBRARY, restarts

GATE = "my-gate.service"


def begin(world, *relays, steps=(), rollout="settle = 0; canary = 0;", **service):
    world.write_config(GROUP, f'{rollout} gate = "{GATE}";')
    world.start_fake(*relays)
    if steps or service:
        world.do("service", name=GATE, steps=list(steps), **service)


def starts(world):
    return world.do("look")["started"].count([GATE, "replace"])


def test_before_each_wave(world):
    begin(world, "a", "b", "c", steps=[{}, {"early": True}, {"delay": 0.5}])
    world.start()
    world.wait_said("Rollout 1 finished: 3 done, 0 failed")
    assert starts(world) == 3 and world.text().count(", wave ") == 3
    assert not world.said("gate")


def test_shut_waits_is_named_and_tried_again(world):
    begin(world, "a", "b", steps=[{"status": 1}, {}])
    world.start()
    world.wait_said(rf"Rollout 1 waits for the gate {GATE}: it failed \(exit status 1\)\. It is tried again every 1min\.")
    wait_until(lambda: world.property("Rollout") == "waiting", "it to wait")
    reason = str(world.property("RolloutReason"))
    assert reason.startswith(f"waiting for the gate {GATE}: it failed (exit status 1); tried again in "), reason
    assert world.property("Gate") == GATE
    assert world.dropin("a") is None and restarts(world, "a") == (0, 0)
    world.manager("Pause")  # a resume tries it at once
    world.manager("Resume")
    world.wait_said(f"Rollout 1 goes on: the gate {GATE} has succeeded")
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert starts(world) == 3


def test_there_is_none(world):
    begin(world, "a")
    world.start()
    world.wait_said(f"waits for the gate {GATE}: it does not exist")
    assert starts(world) == 0
    world.write_config(GROUP)  # without it
    world.wait_said("finished: 1 done, 0 failed")


def test_neither_active_nor_skipped_is_consent(world):
    begin(world, "a", values={"ActiveState": "active"})
    world.start()
    world.wait_said("it is active, so that it cannot be run")
    assert starts(world) == 0
    world.do("service", name=GATE, steps=[{"skipped": True}])
    world.manager("Pause")
    world.manager("Resume")
    world.wait_said("it was not run, because a condition of it is not met")
    world.do("service", name=GATE, steps=[{"active": "active"}])
    world.manager("Pause")
    world.manager("Resume")
    world.wait_said("it stays active: a gate is a service with Type=oneshot")
    assert world.dropin("a") is None


def test_relay_that_is_named_by_a_typo_is_not_started(world):
    """Its operator has stopped it; a gate would be started."""
    world.write_config(GROUP, 'settle = 0; canary = 0; gate = "tor@b.service";')
    world.start_fake("a", "b")
    world.do("set", unit="tor@b.service", values={"active": "inactive", "sub": "dead", "result": "success"})
    world.start()
    world.wait_said("waits for the gate tor@b.service: it is not run: a gate is a service with Type=oneshot")
    assert world.unit("b")["active"] == "inactive" and world.do("look")["started"] == []


def test_systemd_does_not_start_it(world):
    begin(world, "a", steps=[{"error": "org.freedesktop.systemd1.LoadFailed", "message": "no such luck"}])
    world.start()
    world.wait_said("it cannot be started: no such luck")


def test_systemd_does_not_answer_for_long(world):
    """As when ten minutes have passed: it is tried again as a gate that is shut."""
    begin(world, "a", steps=[{"error": "org.freedesktop.DBus.Error.NoReply"}, {}])
    world.start()
    world.wait_said("it is not known: systemd does not answer. It is tried again every 1min")


def test_put_back_does_not_wait(world):
    """The gate lets the first wave pass and is shut from then on: who fails in it is put back."""
    begin(world, "a", "b", steps=[{}, {"status": 1}], rollout="settle = 0; canary = 0; max_failed = 2;")
    world.script("a", {"then": "failed", "result": "failed"})
    world.start()
    world.wait_said("a was put back and runs as before")
    world.wait_said("waits for the gate")
    assert restarts(world, "a") == (1, 1) and world.dropin("b") is None


def test_what_a_crash_left_does_not_wait(world):
    begin(world, "a", steps=[{}, {"status": 1}], rollout="settle = 60; canary = 0;")
    world.start()
    wait_until(lambda: world.states() == {"a": "settling"}, "it to settle")
    world.stop(9)
    world.script("a")
    world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "exit-code"})
    world.start()
    world.wait_said("a was put back and runs as before")
    assert restarts(world, "a")[1] == 1
    assert starts(world) == 1


def says_running(world, before="", after=r", and has no time limit \(TimeoutStartSec=\)"):
    """For how long it has been running: seconds, as long as nobody waits longer in a test; None: something else is said."""
    said = re.fullmatch(rf"waiting for the gate {GATE}: {before}it has been running for (?:(\d+)min ?)?(?:(\d+)s)?{after}",
                        str(world.property("RolloutReason")))
    return said and [60 * int(said[1] or 0) + int(said[2] or 0)]


def test_that_it_runs_is_said_and_for_how_long(world):
    begin(world, "a", steps=[{"stuck": True}])
    world.start()
    (first,) = wait_until(lambda: says_running(world), "that to be said")
    wait_until(lambda: says_running(world)[0] > first, "its time to pass")
    assert world.property("Rollout") == "waiting"


def test_time_limit_of_its_own(world):
    """It has failed once, and hangs at the second try; that it has a limit is known."""
    begin(world, "a", steps=[{"status": 1}, {"stuck": True}], values={"TimeoutStartUSec": 60_000_000})
    world.start()
    world.wait_said("it failed")
    world.manager("Pause")
    world.manager("Resume")
    wait_until(lambda: says_running(world, r"it failed \(exit status 1\); ", ""), "that to be said")


def test_bus_is_lost_while_it_runs(world):
    begin(world, "a", steps=[{"stuck": True}])
    world.start()
    wait_until(lambda: starts(world) == 1, "its start")
    wait_until(lambda: says_running(world), "that to be said")
    world.do("service", name=GATE, steps=[{}])
    world.restart_bus()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert world.runs("a", LIBRARY)


def test_abort_while_it_runs(world):
    begin(world, "a", steps=[{"stuck": True}])
    world.start()
    wait_until(lambda: starts(world) == 1, "its start")
    world.manager("Abort")
    world.wait_said("Rollout 1 aborted: 0 done, 0 failed, 1 untouched")
    assert world.dropin("a") is None
