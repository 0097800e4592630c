"""Answers that are lost, with systemd's connection or with the whole bus, at each operation."""
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
