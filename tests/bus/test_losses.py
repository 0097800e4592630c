"""Answers that are lost, with systemd's connection or with the whole bus, at each operation."""
import signal

import pytest

from conftest import wait_until
from test_jobs import LIBRARY, begin, restarts


def test_owner_changes_before_the_restart_is_answered(world):
    begin(world, "a", "b")
    world.script("a", {"reply": 60, "delay": 1})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.do("reconnect")
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert restarts(world, "a") == (1, 0) and world.runs("a", LIBRARY) and world.dropin("a")


def test_owner_changes_in_mid_reload(world):
    begin(world, "a", "b")
    world.do("reload-script", steps=[{"delay": 60}])
    world.start()
    wait_until(lambda: world.do("look")["reloads"] == 1, "the reload")
    world.do("reconnect")
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


def test_owner_changes_in_mid_preflight(world):
    begin(world, "a")
    world.do("transient-script", steps=[{"delay": 60}])
    world.start()
    wait_until(lambda: world.do("look")["transients"], "the preflight")
    world.do("reconnect")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")


def test_bus_dies_before_the_restart_is_answered(world):
    begin(world, "a", "b")
    world.script("a", {"reply": 60, "delay": 1})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.restart_bus()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert restarts(world, "a") == (1, 0) and world.runs("a", LIBRARY) and world.dropin("a")


def test_bus_dies_in_mid_reload(world):
    begin(world, "a", "b")
    world.do("reload-script", steps=[{"delay": 60}])
    world.start()
    wait_until(lambda: world.do("look")["reloads"] == 1, "the reload")
    world.restart_bus()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


def test_bus_dies_while_a_reload_waits_to_be_tried_again(world):
    begin(world, "a")
    world.do("reload-script", steps=[{"error": "org.freedesktop.DBus.Error.LimitsExceeded"}] * 2)
    world.start()
    world.wait_said("systemd limits how often it reloads")
    world.restart_bus()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (1, 0)


def test_bus_dies_in_mid_preflight(world):
    begin(world, "a")
    world.do("transient-script", steps=[{"delay": 60}])
    world.start()
    wait_until(lambda: world.do("look")["transients"], "the preflight")
    world.restart_bus()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    names = world.do("look")["transients"]
    assert len(names) == len(set(names)), "the one before may still be there"


def test_bus_dies_in_mid_put_back(world):
    """Between forgetting the start limit and the start itself: the relay must not be left down."""
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "failed"})
    world.do("reset-delay", seconds=60)
    world.start()
    wait_until(lambda: world.unit("a")["resets"] == 1, "the put-back")
    world.do("reset-delay", seconds=0)
    world.restart_bus()
    world.wait_said("Rollout 1 halted: 0 done, 1 failed")
    assert world.unit("a")["active"] == "active" and restarts(world, "a") == (1, 1)
    assert world.said("a was put back and runs as before")


def test_bus_dies_before_the_first_list_is_answered(world):
    begin(world, "a")
    world.do("list-errors", errors=["org.freedesktop.DBus.Error.NoReply"] * 2)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    world.wait_ready()


def test_bus_dies_while_the_relay_is_away(world):
    begin(world, "a", "b")
    world.script("a", {"delay": 3, "meanwhile": "activating"})
    world.start()
    wait_until(lambda: world.unit("a")["active"] == "activating", "the restart")
    world.restart_bus()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert restarts(world, "a") == (1, 0)


def test_bus_dies_at_the_very_moment_of_a_reload(world):
    """The preflight's end and the bus's are seen in one go: the reload that follows is refused by our own side."""
    begin(world, "a", "b")
    world.do("transient-script", steps=[{"delay": 0.5}])
    world.start()
    wait_until(lambda: world.do("look")["transients"], "the preflight")
    world.daemon.send_signal(signal.SIGSTOP)
    wait_until(lambda: world.do("look")["finished"], "the end of the preflight")
    world.bus_process.kill()
    world.bus_process.wait()
    (world.path / "bus").unlink(missing_ok=True)
    world.daemon.send_signal(signal.SIGCONT)
    world.wait_said("Lost the connection to the system bus")
    world.start_bus()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


@pytest.mark.slow
def test_systemd_never_answers_a_reload(world):
    world.environment["RELAYALLOC_RELOAD_TIMEOUT"] = "3"
    begin(world, "a", "b")
    world.do("reload-script", steps=[{"delay": 3600}])
    world.start()
    world.wait_said("The rollout waits: systemd has not answered the request to reload for .*Without an answer within 3s")
    assert "systemd has not answered the request" in world.property("RolloutReason")
    assert world.property("Rollout") == "running" and world.do("look")["reloads"] == 1
    world.wait_said("Rollout 1 halted: 0 done, 1 failed")
    assert "systemd did not reload: it has not answered for 3s" in world.property("RolloutReason")
    assert [restarts(world, r) for r in "ab"] == [(0, 0)] * 2 and world.dropin("a") is None
    assert world.do("look")["reloads"] == 2  # the second for what was put back


def test_systemd_takes_no_reload_for_long(world):
    """As while it is not there: that is no refusal, and the tries are not counted."""
    begin(world, "a")
    world.do("reload-script", steps=[{"error": "org.freedesktop.DBus.Error.ServiceUnknown"}] * 25)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed", timeout=60)
    assert world.do("look")["reloads"] == 26


def test_change_of_a_unit_that_systemd_does_not_tell_for_long(world):
    """As when it has not answered for ten minutes: nothing else announces that the relay is down."""
    world.write_config("")
    world.start_fake("a")
    world.start()
    world.wait_ready()
    world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "exit-code",
                                                  "error_once": "org.freedesktop.DBus.Error.NoReply"})
    wait_until(lambda: world.states() == {"a": "down"}, "the state", timeout=30)


@pytest.mark.slow
def test_systemd_away_for_longer_than_the_unit_allows(world):
    """systemd cannot be asked in the meantime: that is not the relay's failure."""
    begin(world, "a", "b")
    for relay in "ab":
        world.do("timeout", unit=f"tor@{relay}.service", usec=100_000)
    world.script("a", {"delay": 2})
    world.start()
    world.wait_said("a: restarting")
    world.do("leave", seconds=20)
    world.wait_said("Rollout 1 finished: 2 done, 0 failed", timeout=60)
    assert [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


@pytest.mark.slow
def test_start_that_goes_on_after_systemd_was_away_for_longer_than_the_unit_allows(world):
    """Its time starts again: what it did in the meantime could not be seen."""
    begin(world, "a", "b")
    for relay in "ab":
        world.do("timeout", unit=f"tor@{relay}.service", usec=100_000)
    world.script("a", {"then": "activating"})
    world.start()
    wait_until(lambda: world.unit("a")["active"] == "activating", "the restart")
    world.do("leave", seconds=18)
    wait_until(lambda: world.do("look")["subscriptions"] == 2, "it to be back", timeout=40)
    reads = world.unit("a")["reads"]
    wait_until(lambda: world.unit("a")["reads"] > reads + 2, "it to be looked at again")
    world.do("restart-by-hand", unit="tor@a.service")
    world.wait_said("Rollout 1 finished: 2 done, 0 failed", timeout=60)
    assert [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


@pytest.mark.slow
def test_unit_that_cannot_be_read_any_more_does_not_hold_the_rollout_for_ever(world):
    begin(world, "a", "b")
    world.do("timeout", unit="tor@a.service", usec=100_000)
    world.script("a", {"reply": 60, "delay": 1})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.do("set", unit="tor@a.service", values={"error": "org.freedesktop.DBus.Error.InvalidArgs"})
    world.do("reconnect")
    world.wait_said("Rollout 1 halted: 0 done, 1 failed", timeout=90)
