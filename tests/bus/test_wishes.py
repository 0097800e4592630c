"""What an operator wished, or a failure decided, holds: through a crash, and whatever else happens at the same time."""
import shutil

import dbus
import pytest

from conftest import wait_until
from test_jobs import GROUP, LIBRARY, begin, restarts


def start_again(world):
    world.stop(9)
    world.start()
    wait_until(lambda: world.text().count("started.") == 2, "the second start")
    world.wait_ready(times=2)


def begin_settling(world, *relays, seconds=600):
    begin(world, *relays, rollout=f"settle = {seconds}; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")


def test_abort_survives_a_crash(world):
    begin_settling(world, "a", "b")
    world.manager("Abort")
    start_again(world)
    assert world.property("Rollout") == "aborted" and restarts(world, "b") == (0, 0)
    world.manager("Resume")
    wait_until(lambda: restarts(world, "b") == (1, 0), "it to go on")


def test_halt_survives_a_crash_in_the_put_back(world):
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "failed"}, {"delay": 1, "meanwhile": "activating"})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 1), "the put-back")
    world.stop(9)
    wait_until(lambda: world.unit("a")["active"] == "active", "the relay")
    world.start()
    wait_until(lambda: world.text().count("started.") == 2, "the second start")
    world.wait_ready(times=2)
    assert world.property("Rollout") == "halted" and "a: " in world.property("RolloutReason")
    assert restarts(world, "b") == (0, 0) and world.states() == {"a": "failed", "b": "pending"}


def test_relay_that_joins_does_not_undo_an_abort(world):
    begin_settling(world, "a", "b", seconds=3)
    world.manager("Abort")
    world.write_config('{ name = "A"; allocator = "jemalloc"; size = 1; }', "settle = 3; canary = 0;")
    world.manager("Revert", ["b"])  # supersedes what is under way
    wait_until(lambda: world.states()["a"] == "ok", "what was under way to be finished")
    assert world.property("Rollout") == "aborted"
    assert restarts(world, "b") == (0, 0) and world.property("RolloutID") == 1


def test_new_file_ends_an_abort_that_is_still_being_finished(world):
    begin_settling(world, "a", "b", seconds=3)
    world.manager("Abort")
    world.write_config(GROUP, "settle = 0; canary = 0;")
    world.manager("Reload")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "the new file to be carried out")


def test_resume_of_what_is_still_halting(world):
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "failed"}, {"delay": 2, "meanwhile": "activating"})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 1), "the put-back")
    world.manager("Resume")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "a new chance for all")
    assert restarts(world, "a") == (2, 1)


def test_pause_does_not_weaken_a_halt(world):
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted")
    world.manager("Pause")
    assert world.property("Rollout") == "halted" and "a: " in world.property("RolloutReason")
    world.manager("Resume")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "a new chance for all")


def test_stopped_by_its_operator_before_it_is_put_back(world):
    """It was up and ran the wrong thing; while systemd reloads, it is stopped: that is somebody's will."""
    begin(world, "a", "b")
    world.script("a", {"environment": []})
    world.do("reload-script", steps=[{}, {"delay": 2}])
    world.start()
    wait_until(lambda: world.do("look")["reloads"] == 2, "the reload of the put-back")
    world.do("stop", unit="tor@a.service")
    world.wait_said("Rollout 1 halted: 0 done, 1 failed")
    assert restarts(world, "a") == (1, 0) and world.unit("a")["active"] == "inactive"
    assert world.dropin("a") is None and world.said("a was put back and stays down, because somebody else stopped it")


def test_crashed_before_it_is_put_back(world):
    begin(world, "a", "b")
    world.script("a", {"environment": []})
    world.do("reload-script", steps=[{}, {"delay": 2}])
    world.start()
    wait_until(lambda: world.do("look")["reloads"] == 2, "the reload of the put-back")
    world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "exit-code"})
    world.wait_said("a was put back and runs as before")
    assert restarts(world, "a") == (1, 1) and world.unit("a")["active"] == "active"


def test_failed_relay_is_never_called_drifted(world):
    """Plans that were made while it was on its way know nothing of it."""
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "auto-restart"},
                 {"delay": 0.5, "meanwhile": "activating"})
    world.start()
    world.wait_said("Rollout 1 halted")
    wait_until(lambda: world.states() == {"a": "failed", "b": "pending"}, "states")
    assert not world.said("drifted")


def test_failed_relay_that_is_left_so_is_shown_as_it_is(world):
    begin(world, "a", "b", rollout='settle = 0; canary = 0; on_failure = "stop";')
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("a was left as it is")
    world.wait_said("Rollout 1 halted")
    assert restarts(world, "a") == (1, 0)
    wait_until(lambda: relay_property(world, "a", "MainPID") == 0, "its end to be seen")
    wait_until(lambda: world.states()["a"] == "failed", "its state: nobody stopped it")
    assert "failed" in relay_property(world, "a", "Reason")


def relay_property(world, relay, name):
    import dbus.bus

    bus = dbus.bus.BusConnection(world.address)
    try:
        path = world.manager("GetRelay", relay)
        return bus.get_object("org.relayalloc1", path, introspect=False).Get(
            "org.relayalloc1.Relay", name, dbus_interface="org.freedesktop.DBus.Properties")
    finally:
        bus.close()


def test_wish_that_cannot_be_saved_is_not_called_done(world):
    begin_settling(world, "a", "b")
    shutil.rmtree(world.state)
    world.state.write_text("no folder")
    for wish in ("Pause", "Resume", "Abort"):
        with pytest.raises(dbus.DBusException, match="cannot be saved .*it is lost when relayallocd restarts"):
            world.manager(wish)
    assert world.property("Rollout") == "ending"  # it holds nevertheless


def test_empty_file_takes_no_relay_out(world):
    """As a full disk leaves it."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.config.write_text("")
    with pytest.raises(dbus.DBusException, match="the file is empty"):
        world.manager("Reload")
    assert world.dropin("a") and world.states() == {"a": "ok"}
