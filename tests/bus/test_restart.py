"""Restarts that an operator requests: nothing changes but the process, in the same machine as any rollout."""
import dbus
import pytest

from conftest import wait_until
from test_jobs import GROUP, LIBRARY, begin, restarts
from test_libraries import configure
from test_operator import start_again


def moved(world, *relays, rollout="settle = 0; canary = 0;"):
    begin(world, *relays, rollout=rollout)
    world.start()
    world.wait_said(f"Rollout 1 finished: {len(relays)} done, 0 failed")


def test_relays_are_restarted_as_they_are(world):
    moved(world, "a", "b", "c")
    texts = {r: world.dropin(r) for r in world.relays}
    assert world.manager("Restart", ["a", "c"]) == 2
    world.wait_said("Rollout 2 finished: 2 done, 0 failed")
    assert [restarts(world, r) for r in world.relays] == [(2, 0), (1, 0), (2, 0)]
    assert world.said("a: restarting, as an operator requested") and world.said("c runs jemalloc")
    assert {r: world.dropin(r) for r in world.relays} == texts and world.runs("a", LIBRARY)
    assert set(world.states().values()) == {"ok"}
    assert world.manager("Restart", dbus.Array([], signature="s")) == 3, "none named: all"
    world.wait_said("Rollout 3 finished: 3 done, 0 failed")
    assert [restarts(world, r) for r in world.relays] == [(3, 0), (2, 0), (3, 0)]


def test_canaries_go_first_and_settle(world):
    moved(world, "a", "b", "c", rollout="settle = 0; canary = 1; canary_settle = 0; parallel = 5;")
    assert world.manager("Restart", dbus.Array([], signature="s")) == 3
    world.wait_said("Rollout 2 finished: 3 done, 0 failed")
    assert world.said("Rollout 2, wave 1: 1 relay") and world.said("Rollout 2, wave 2: 2 relays")


def test_plan_says_why(world):
    moved(world, "a", "b")
    world.manager("Pause")
    world.manager("Restart", ["b"])
    wait_until(lambda: world.states().get("b") == "pending", "the state")
    assert world.reason("b") == "an operator requested a restart"
    (row,) = world.manager("Plan")
    assert [str(x) for x in row[1:3]] == ["b", "restart"]
    assert restarts(world, "b") == (1, 0)
    world.manager("Resume")
    world.wait_said("Rollout 2 finished: 1 done")
    assert restarts(world, "b") == (2, 0)


def test_relays_of_no_group(world):
    world.write_config("")
    world.start_fake("a", "b")
    world.start()
    world.wait_ready()
    assert world.manager("Restart", ["a"]) == 1
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert [restarts(world, r) for r in world.relays] == [(1, 0), (0, 0)]
    assert world.dropin("a") is None and world.states() == {"a": "observed", "b": "observed"}


def test_failure_halts_and_nothing_is_put_back(world):
    moved(world, "a", "b", rollout="settle = 0; canary = 0; max_failed = 5;")
    world.script("a", {"result": "failed", "then": "failed"})
    text = world.dropin("a")
    assert world.manager("Restart", ["a", "b"]) == 2
    world.wait_said("Rollout 2 halted: 0 done, 1 failed, 1 untouched")
    assert world.said("a could not be restarted as requested") and world.said("a was left as it is, because nothing had changed")
    assert restarts(world, "a") == (2, 0) and world.dropin("a") == text, "started by nobody, put back by nobody"
    assert restarts(world, "b") == (1, 0)
    wait_until(lambda: world.states() == {"a": "down", "b": "pending"}, "the states")
    world.do("restart-by-hand", unit="tor@a.service")
    wait_until(lambda: world.states().get("a") == "ok", "a to be well when it is up again")
    world.manager("Resume")
    world.wait_said("Rollout 3 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (2, 0) and restarts(world, "b") == (2, 0)


def test_request_survives_a_crash_and_is_met_once(world):
    moved(world, "a", "b")
    world.manager("Pause")
    world.manager("Restart", ["a", "b"])
    start_again(world)
    assert [restarts(world, r) for r in world.relays] == [(1, 0), (1, 0)]
    world.do("restart-by-hand", unit="tor@b.service")  # whoever did it: it has a new process
    wait_until(lambda: world.states() == {"a": "pending", "b": "ok"}, "the states")
    world.manager("Resume")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert [restarts(world, r) for r in world.relays] == [(2, 0), (1, 0)]
    assert "restarts = ( )" in (world.state / "state").read_text().replace("restarts = [ ]", "restarts = ( )")


def test_who_is_down_is_not_restarted(world):
    moved(world, "a", "b")
    world.do("stop", unit="tor@b.service")
    wait_until(lambda: world.states().get("b") == "stopped", "the stop")
    assert world.manager("Restart", ["a", "b"]) == 1
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert restarts(world, "b") == (1, 0) and world.states()["b"] == "stopped"


def test_who_must_not_be_restarted_is_named(world):
    """Of a library that is missing now, a restart would leave the relay without any. The request is not kept for later."""
    moved(world, "a")
    configure(world, "/no/such/lib.so", "a")
    world.manager("Reload")
    assert world.manager("Restart", ["a"]) == 1
    world.wait_said("a is not restarted as requested: allocator own is refused: ")
    world.write_config(GROUP)
    world.manager("Reload")
    wait_until(lambda: world.states() == {"a": "ok"}, "the state")
    assert restarts(world, "a") == (1, 0)


def test_a_name_that_is_none_restarts_nobody(world):
    moved(world, "a")
    with pytest.raises(dbus.DBusException) as e:
        world.manager("Restart", ["a", "nobody"])
    assert e.value.get_dbus_name() == "org.relayalloc1.Error.NoSuchRelay"
    assert restarts(world, "a") == (1, 0) and world.states() == {"a": "ok"}


def test_restart_that_is_requested_while_it_settles_is_not_forgotten(world):
    begin(world, "a", rollout="settle = 3; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states().get("a") == "settling", "settling")
    world.manager("Restart", ["a"])
    world.wait_said("Rollout 1 ended early")
    wait_until(lambda: restarts(world, "a") == (2, 0), "the restart")


def test_restart_that_is_requested_while_its_file_changes_is_not_forgotten(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.stop()
    (world.root / "tor@a.service.d/zz-relayalloc.conf").unlink()
    world.do("reload-script", steps=[{"delay": 2}])
    world.start()
    wait_until(lambda: world.dropin("a"), "the file")
    wait_until(lambda: (world.manager("Restart", ["a"]), True), "the daemon to have its name")
    wait_until(lambda: restarts(world, "a") == (2, 0), "the restart")
