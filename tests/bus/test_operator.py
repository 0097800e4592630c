"""What an operator wished, or a failure decided, holds: through a crash, and whatever else happens at the same time."""
import re
import shutil

import dbus
import pytest

from conftest import wait_until
from test_jobs import GROUP, begin, restarts


def start_again(world):
    world.stop(9)
    world.start()
    wait_until(lambda: world.text().count("started.") == 2, "the second start")
    world.wait_ready(times=2)
    wait_until(world.states, "its relays")  # a reload before it has been ready once more, too


def begin_settling(world, *relays, seconds=600):
    begin(world, *relays, rollout=f"settle = {seconds}; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")


def test_abort_survives_a_crash(world):
    begin_settling(world, "a", "b", seconds=6)
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
    wait_until(lambda: world.states() == {"a": "failed", "b": "pending"}, "what was put back to be seen")
    assert restarts(world, "b") == (0, 0)


def test_halt_is_told_with_its_reason_while_the_put_back_goes_on(world):
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "failed"}, {"delay": 5, "meanwhile": "activating"})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 1), "the put-back")
    start_again(world)
    assert (world.property("Rollout"), world.property("RolloutReason")[:3]) == ("halted", "a: ")
    assert world.unit("a")["active"] == "activating"
    wait_until(lambda: world.unit("a")["active"] == "active", "the relay")
    assert world.property("Rollout") == "halted" and restarts(world, "b") == (0, 0)


def test_relay_that_joins_does_not_undo_an_abort(world):
    begin_settling(world, "a", "b", seconds=3)
    world.manager("Abort")
    world.manager("Revert", ["b"])  # supersedes the rollout in progress
    wait_until(lambda: world.states().get("a") == "ok", "relays in progress to be finished")
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
    assert world.property("RolloutPaused")
    world.manager("Resume")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "a new chance for all")
    assert not world.property("RolloutPaused")


OTHER = GROUP.replace("jemalloc", "mimalloc")


def test_what_ends_a_halt_does_not_end_a_pause(world):
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted")
    world.manager("Pause")
    start_again(world)
    assert world.property("Rollout") == "halted" and world.property("RolloutPaused")
    world.write_config(OTHER)
    wait_until(lambda: world.property("Rollout") == "paused", "the halt to end")
    wait_until(lambda: world.states() == {"a": "pending", "b": "pending"}, "the new plan")
    assert world.property("RolloutID") == 1
    world.manager("Resume")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "the new file to be carried out")


def test_pause_outlives_an_abort(world):
    begin_settling(world, "a", "b", seconds=2)
    world.manager("Pause")
    world.manager("Abort")
    wait_until(lambda: world.property("Rollout") == "aborted", "its end")
    world.write_config(OTHER)
    wait_until(lambda: world.property("Rollout") == "paused", "the new file")
    wait_until(lambda: set(world.states().values()) == {"pending"}, "the new plan")
    assert restarts(world, "b") == (0, 0)


def test_halt_of_what_is_under_way_does_not_end_a_pause(world):
    begin(world, "a", "b")
    world.script("a", {"delay": 1, "result": "failed", "then": "failed"})
    world.start()
    world.wait_said("a: restarting")
    world.manager("Pause")
    world.wait_said("Rollout 1 halted")
    assert world.property("Rollout") == "halted" and world.property("RolloutPaused")


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


# It failed, and somebody has reset that since.
FORGOTTEN = {"active": "inactive", "sub": "dead", "result": "success", "dead": 20, "changed": 21}


@pytest.mark.parametrize("job, result", [("done", "success"), ("failed", "success"), ("failed", "signal")])
def test_stopped_by_its_operator_while_it_waits_to_be_started_again(world, job, result):
    """It crashes with its library; while systemd reloads for the way back, it is stopped. It keeps the result of the crash if
    anything refers to its unit."""
    begin(world, "a", "b")
    world.script("a", {"result": job, "then": "auto-restart"})
    world.do("reload-script", steps=[{}, {"delay": 2}])
    world.start()
    wait_until(lambda: world.do("look")["reloads"] == 2, "the reload of the put-back")
    world.do("set", unit="tor@a.service", values={"job": 0, "active": "inactive", "sub": "dead", "result": result})
    world.wait_said("Rollout 1 halted: 0 done, 1 failed")
    assert restarts(world, "a") == (1, 0) and world.unit("a")["active"] == "inactive"
    assert world.dropin("a") is None and world.said("a was put back and stays down, because somebody else stopped it")


@pytest.mark.parametrize("then", ("failed", "auto-restart"))
def test_failure_that_is_forgotten_before_it_is_put_back_is_no_stop(world, then):
    """systemctl reset-failed makes a unit inactive, as a stop does. Before that it may have come to its start limit."""
    begin(world, "a")
    world.script("a", {"result": "failed", "then": then})
    world.do("reload-script", steps=[{}, {"delay": 2}])
    world.start()
    wait_until(lambda: world.do("look")["reloads"] == 2, "the reload of the put-back")
    world.do("set", unit="tor@a.service", values={**FORGOTTEN, "job": 0})
    world.wait_said("a was put back and runs as before")
    assert restarts(world, "a") == (1, 1)


def test_masked_before_it_is_put_back(world):
    """Its operator masks it while it is restarted: systemd forgets how it is started, and refuses to start it again."""
    begin(world, "a")
    world.script("a", {"delay": 1, "result": "failed", "then": "inactive"},
                 {"refuse": "org.freedesktop.systemd1.UnitMasked", "message": "Unit tor@a.service is masked."})
    world.start()
    world.wait_said("a: restarting")
    world.do("set", unit="tor@a.service", values={"load_state": "masked"})
    world.wait_said("Rollout 1 halted: 0 done, 1 failed")
    assert world.said("a was put back and stays down, because its unit is masked")
    assert world.dropin("a") is None and world.unit("a")["active"] == "inactive"


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
    wait_until(lambda: world.states().get("a") == "down", "its state: nobody stopped it")
    assert 'failed (result "exit-code"' in relay_property(world, "a", "Reason")
    assert "its restart job ended" in relay_property(world, "a", "Reason"), "and why"


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
    for method in ("Pause", "Resume", "Abort"):
        with pytest.raises(dbus.DBusException, match="cannot be saved .*it is lost when relayallocd restarts"):
            world.manager(method)
    assert world.property("Rollout") == "ending"  # it holds nevertheless
    assert len(re.findall("Cannot save", world.text())) == 1 and "Not a directory" in world.property("StateError")


SAMPLES = "settle = 0; canary = 0; };\nsample = { interval = 1;"


def test_state_that_could_not_be_saved_is_saved_with_a_later_sample(world):
    begin(world, "a", "b", rollout=SAMPLES)
    world.script("a", {"result": "failed", "then": "failed"}, {"delay": 1})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 1), "the put-back")
    kept = world.state.with_name("kept")
    world.state.rename(kept)
    world.state.write_text("no folder")
    world.wait_said("Rollout 1 halted")
    wait_until(lambda: "Not a directory" in world.property("StateError"), "it to be told")
    assert "; the state cannot be saved" in [n for n in world.notified if n.startswith("STATUS=")][-1]
    world.state.unlink()
    kept.rename(world.state)
    world.wait_said("/state is saved again")
    assert world.property("StateError") == ""
    start_again(world)
    assert world.property("Rollout") == "halted" and restarts(world, "b") == (0, 0)


def test_state_that_could_not_be_saved_is_saved_at_the_stop(world):
    begin_settling(world, "a", "b")
    kept = world.state.with_name("kept")
    world.state.rename(kept)
    world.state.write_text("no folder")
    with pytest.raises(dbus.DBusException, match="cannot be saved"):
        world.manager("Pause")
    world.state.unlink()
    kept.rename(world.state)
    world.stop()
    world.start()
    world.wait_ready(times=2)
    assert world.property("Rollout") == "paused"


def test_empty_file_takes_no_relay_out(world):
    """As a full disk leaves it."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.config.write_text("")
    with pytest.raises(dbus.DBusException, match="the file is empty"):
        world.manager("Reload")
    assert world.dropin("a") and world.states() == {"a": "ok"}


def test_pause_holds_what_is_to_be_reverted(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.manager("Pause")
    world.manager("Revert", ["a"])
    wait_until(lambda: world.states().get("a") == "pending", "it to be planned")
    assert world.property("RolloutID") == 1 and world.property("Rollout") == "paused"
    assert restarts(world, "a") == (1, 0) and world.dropin("a")
    world.manager("Resume")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (2, 0) and world.dropin("a") is None


def test_pause_holds_what_a_crash_left_to_be_done(world):
    """Written and not restarted yet: relays in progress are finished, but a crash ended that."""
    begin(world, "a", "b")
    world.do("reload-script", steps=[{"delay": 60}])
    world.start()
    wait_until(lambda: world.dropin("a"), "the first file")
    world.manager("Pause")
    start_again(world)
    wait_until(lambda: world.dropin("a") is None, "the way back: else its next start would be on what nobody has proved")
    wait_until(lambda: world.states() == {"a": "pending", "b": "pending"}, "both to wait")
    assert world.property("Rollout") == "paused"
    assert [restarts(world, r) for r in "ab"] == [(0, 0)] * 2
    world.manager("Resume")
    world.wait_said("finished: 2 done, 0 failed")
    assert [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


def test_pause_leaves_nobody_down(world):
    """A relay that a crash left in mid-restart is in progress, and so is finished."""
    begin(world, "a", "b")
    world.script("a", {"delay": 1, "result": "failed", "then": "failed"})
    world.start()
    world.wait_said("a: restarting")
    world.manager("Pause")
    world.stop(9)
    wait_until(lambda: world.unit("a")["active"] == "failed", "the failure")
    world.start()
    world.wait_said("a was put back and runs as before")
    assert world.unit("a")["active"] == "active" and restarts(world, "b") == (0, 0)


def test_resume_of_a_pause_forgets_no_failure(world):
    """Nobody has looked at what failed: only who resumes a halt says so."""
    begin(world, "a", "b", rollout="settle = 0; canary = 0; max_failed = 9;")
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 1 failed")
    world.manager("Pause")
    world.manager("Resume")
    world.manager("Revert", ["b"])  # a rollout, in which the other one would be, too
    world.wait_said("Rollout 2 finished")
    assert world.said("Rollout 2 finished: 1 done, 0 failed") and restarts(world, "a") == (1, 1)
    assert world.states() == {"a": "failed", "b": "reverted"}


def test_abort_does_not_weaken_a_halt(world):
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "failed"}, {"delay": 1, "meanwhile": "activating"})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 1), "the put-back")
    world.manager("Abort")
    assert world.property("Rollout") == "ending"
    world.wait_said("a was put back")
    wait_until(lambda: world.property("Rollout") != "ending", "its end")
    assert world.property("Rollout") == "halted" and "a: " in world.property("RolloutReason")
    start_again(world)
    assert world.property("Rollout") == "halted" and "a: " in world.property("RolloutReason")


def upgrade_libraries(world, failed=False):
    """Another build of a library, as a package brings it, while the daemon is not there."""
    state = world.state / "state"
    text, n = re.subn(r'((?:config|reviewed)_id = "[0-9a-f]+-)[0-9a-f]+"', r'\g<1>0"', state.read_text())
    assert n == 2
    state.write_text(re.sub(r'build = "[^"]+"', 'build = "an earlier one"', text) if failed else text)


def test_upgrade_of_a_library_does_not_undo_an_abort(world):
    begin_settling(world, "a", "b", seconds=1)
    world.manager("Abort")
    world.wait_said("Rollout 1 aborted: 1 done, 0 failed")
    world.stop()
    upgrade_libraries(world)
    world.start()
    world.wait_ready(times=2)
    assert world.property("Rollout") == "aborted" and restarts(world, "b") == (0, 0)
    world.write_config(GROUP, "settle = 0; canary = 0;")
    world.manager("Reload")
    world.wait_said("Rollout 2 finished: 1 done")
    assert restarts(world, "b") == (1, 0)


def test_upgrade_of_the_library_that_failed_lifts_a_halt(world):
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted")
    world.stop()
    upgrade_libraries(world)
    world.start()
    world.wait_ready(times=2)
    assert world.property("Rollout") == "halted", "the build that failed is the same"
    world.stop()
    upgrade_libraries(world, failed=True)
    world.start()
    world.wait_said("Rollout 2 finished: 2 done")
    assert world.states() == {"a": "ok", "b": "ok"}


def test_halt_does_not_outlive_a_file_that_waited_for_its_end(world):
    """What fails under the old file, when the new one is there already, holds up nothing of the new one."""
    begin(world, "a", "b", "c")
    world.script("a", {"delay": 2, "result": "failed", "then": "failed"})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.write_config(OTHER)
    world.manager("Reload")
    world.wait_said("a was put back and runs as before")
    world.wait_said("Rollout 2 finished: 3 done, 0 failed")
    wait_until(lambda: set(world.states().values()) == {"ok"}, "the new file")
    assert world.property("Rollout") == "idle"


def test_halt_outlives_a_file_that_changes_nothing_of_what_failed(world):
    begin(world, "a", "b", "c")
    world.script("a", {"delay": 2, "result": "failed", "then": "failed"})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.write_config(GROUP, "settle = 0; canary = 0; parallel = 2;")
    world.manager("Reload")  # while it is still failing
    world.wait_said("a was put back and runs as before")
    for text in ("# a comment\n", "sample = { interval = 30; };\n"):
        wait_until(lambda: world.property("Rollout") == "halted", "the halt")
        with world.config.open("a") as f:
            f.write(text)
        world.manager("Reload")
        wait_until(lambda: world.states() == {"a": "failed", "b": "pending", "c": "pending"}, "the plan")
    assert world.property("Rollout") == "halted" and [restarts(world, r) for r in "bc"] == [(0, 0)] * 2
    world.write_config('{ name = "B"; allocator = "mimalloc"; relays = [ "a" ]; }, ' + GROUP)
    world.wait_said("The halt is over: what failed has been changed")
    wait_until(lambda: set(world.states().values()) == {"ok"}, "the new file")


def test_revert_lasts_until_the_file_changes_what_that_relay_gets(world):
    begin(world, "a", "b", "c")
    world.start()
    world.wait_said("Rollout 1 finished: 3 done")
    world.manager("Revert", ["a", "b"])
    world.wait_said("Rollout 2 finished: 2 done")
    with world.config.open("a") as f:
        f.write("# a comment\n")
    world.manager("Reload")
    start_again(world)
    wait_until(lambda: world.states() == {"a": "reverted", "b": "reverted", "c": "ok"}, "the revert to last")
    assert "until the file gives it another group or allocator, or \"relayallocctl resume 'a'\"" in world.reason("a")
    world.write_config('{ name = "B"; allocator = "mimalloc"; relays = [ "a" ]; }, ' + GROUP)
    wait_until(lambda: world.states() == {"a": "ok", "b": "reverted", "c": "ok"}, "the other allocator")
    assert world.manager("ResumeRelays", ["b", "c"]) == 1
    wait_until(lambda: set(world.states().values()) == {"ok"}, "the other one")
    assert restarts(world, "c") == (1, 0)
    with pytest.raises(dbus.DBusException, match="None of these relays was reverted or has failed"):
        world.manager("ResumeRelays", ["b"])
    with pytest.raises(dbus.DBusException, match="There is no relay"):
        world.manager("ResumeRelays", ["x"])


def test_resume_of_a_relay_tries_it_again_and_nothing_else(world):
    begin(world, "a", "b", rollout="settle = 0; canary = 0; max_failed = 9;")
    for relay in "ab":
        world.script(relay, {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 2 failed")
    assert world.manager("ResumeRelays", ["b"]) == 1
    wait_until(lambda: world.states() == {"a": "failed", "b": "ok"}, "that one")


@pytest.mark.parametrize("as_found, word", [
    ({"active": "failed", "sub": "failed", "result": "exit-code"}, "down"),
    ({"active": "activating", "sub": "auto-restart", "result": "signal"}, "down"),
    ({"active": "activating", "sub": "start-pre", "result": "success", "n_restarts": 3}, "down"),  # tries it once more
    ({"active": "inactive", "sub": "dead", "result": "success"}, "stopped"),
])
def test_relay_that_waits_its_turn_is_called_what_it_is(world, as_found, word):
    """A rollout that is paused, and a new start of the daemon, tell the same of it."""
    begin_settling(world, "a", "b", seconds=2)
    world.manager("Pause")
    world.do("set", unit="tor@b.service", values=as_found)
    wait_until(lambda: world.states() == {"a": "ok", "b": word}, "states")
    start_again(world)
    wait_until(lambda: world.states() == {"a": "ok", "b": word}, "the same states")  # a's process is read first
    assert world.property("Rollout") == "paused"


STOPPED = {"active": "inactive", "sub": "dead", "result": "success"}
MIMALLOC = '{ name = "A"; allocator = "mimalloc"; relays = [ "*" ]; }'


def test_relays_stopped_all_together_get_no_file_of_what_nobody_has_proved(world):
    """Else all of them would come up on it at once, with no way back."""
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    for relay in "ab":
        world.do("set", unit=f"tor@{relay}.service", values=STOPPED)
    wait_until(lambda: world.states() == {"a": "stopped", "b": "stopped"}, "the stop")
    world.write_config(MIMALLOC)
    world.manager("Reload")
    wait_until(lambda: "no relay of this host has settled with mimalloc yet" in world.reason("b"), "the reason")
    start_again(world)
    assert "jemalloc" in world.dropin("a") and "jemalloc" in world.dropin("b") and world.property("RolloutID") == 1
    assert world.states() == {"a": "stopped", "b": "stopped"}
    world.do("restart-by-hand", unit="tor@a.service")  # on what it had; its turn comes
    world.wait_said("Rollout 2 finished: 2 done, 0 failed")
    assert restarts(world, "a") == (2, 0) and restarts(world, "b") == (1, 0)
    assert "mimalloc" in world.dropin("a") and "mimalloc" in world.dropin("b"), "b gets what a has proved"


@pytest.mark.parametrize("group", ["", GROUP])
def test_relay_that_failed_with_what_is_sound_gets_no_file_of_what_nobody_has_proved(world, group):
    """A crash of its own on glibc or jemalloc: its next start may be well, if nothing else is put under it."""
    begin(world, "a", "b")
    world.write_config(group)
    world.start()
    world.wait_said("Rollout 1 finished: 2 done" if group else "b runs .*, proved")
    for relay in "ab":
        world.do("set", unit=f"tor@{relay}.service", values={"active": "failed", "sub": "failed", "result": "signal"})
    wait_until(lambda: set(world.states().values()) == {"down"}, "the crash")
    files = [world.dropin(r) for r in "ab"]
    world.write_config(MIMALLOC)
    world.manager("Reload")
    wait_until(lambda: "no relay of this host has settled with mimalloc yet" in world.reason("b"), "the reason")
    assert [world.dropin(r) for r in "ab"] == files
    world.do("restart-by-hand", unit="tor@a.service")
    world.wait_said(f"Rollout {2 if group else 1} finished: 2 done, 0 failed")
    assert "mimalloc" in world.dropin("a") and "mimalloc" in world.dropin("b"), "b gets what a has proved"


def test_stopped_relay_gets_no_file_of_what_has_failed_on_another(world):
    """One failure does not halt here, and still nobody has settled with it."""
    begin(world, "a", "b", rollout="settle = 0; canary = 0; max_failed = 9;")
    world.do("set", unit="tor@b.service", values=STOPPED)
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 1 failed, 1 skipped")
    assert world.dropin("b") is None and world.property("RolloutID") == 1


def test_stopped_relay_gets_the_file_of_what_was_proved_before(world):
    """The others need not be up for it, nor the daemon the same; and what changes no setting needs no proof."""
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.do("set", unit="tor@a.service", values=STOPPED)
    wait_until(lambda: world.states().get("a") == "stopped", "the stop of a")
    world.write_config(MIMALLOC)
    world.manager("Reload")
    world.wait_said("Rollout 2 finished: 2 done")
    world.do("set", unit="tor@b.service", values=STOPPED)
    wait_until(lambda: world.states().get("b") == "stopped", "the stop of b")
    world.write_config(GROUP)
    start_again(world)
    wait_until(lambda: all("allocator jemalloc" in world.dropin(r) for r in "ab"), "the old allocator")
    world.write_config(GROUP.replace('name = "A"', 'name = "Z"'))
    world.manager("Reload")
    wait_until(lambda: all("group Z" in world.dropin(r) for r in "ab"), "the new name")
    assert restarts(world, "a") == (1, 0) and restarts(world, "b") == (2, 0)
