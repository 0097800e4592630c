"""What systemd may say of a job, in every order, and what the rollout makes of it."""
import re

import dbus
import dbus.bus
import pytest

from conftest import wait_until

GROUP = '{ name = "A"; allocator = "jemalloc"; relays = [ "*" ]; }'
LIBRARY = "libjemalloc"


def begin(world, *relays, rollout="settle = 0; canary = 0;"):
    world.write_config(GROUP, rollout)
    world.start_fake(*relays)


def stop_relay(world, relay):
    """By its operator's will."""
    world.do("stop", unit=f"tor@{relay}.service")
    wait_until(lambda: world.states().get(relay) == "stopped", f"{relay} to be stopped")


def restarts(world, relay):
    u = world.unit(relay)
    return u["restarts"], u["starts"]


def test_plain_rollout_then_nothing(world):
    begin(world, "a", "b", "c")
    world.start()
    world.wait_said("Rollout 1 finished: 3 done, 0 failed")
    for relay in world.relays:
        assert world.runs(relay, LIBRARY)
        assert restarts(world, relay) == (1, 0)
        assert world.dropin(relay).startswith("# relayalloc: written from ")
    assert set(world.states().values()) == {"ok"}
    assert world.do("look")["reloads"] == 3, "one reload a wave"
    world.stop()
    world.start()
    wait_until(lambda: world.log.read_text().count("started.") == 2, "the second start")
    wait_until(lambda: set(world.states().values()) == {"ok"}, "states")
    assert [restarts(world, r) for r in world.relays] == [(1, 0)] * 3
    assert world.do("look")["reloads"] == 3


@pytest.mark.parametrize("result", ["failed", "timeout", "dependency"])
def test_job_goes_wrong_and_relay_is_put_back(world, result):
    begin(world, "a", "b")
    world.script("a", {"result": result, "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted: 0 done, 1 failed, 1 untouched")
    assert world.said("a was put back and runs as before")
    unit = world.unit("a")
    assert (unit["active"], unit["restarts"], unit["starts"], unit["resets"]) == ("active", 1, 1, 1)
    assert not world.runs("a", LIBRARY) and world.dropin("a") is None
    assert restarts(world, "b") == (0, 0) and world.dropin("b") is None
    assert world.states() == {"a": "failed", "b": "pending"}
    assert world.property("Rollout") == "halted" and "a: " in world.property("RolloutReason")


def test_relay_at_its_start_limit_is_put_back_and_started(world):
    """By our move: that limit is forgotten first, also where nobody waits for it to settle."""
    begin(world, "a", "b")
    world.script("a", {"then": "start-limit", "result": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted: 0 done, 1 failed, 1 untouched")
    assert world.said("a was put back and runs as before")
    assert world.unit("a")["active"] == "active" and restarts(world, "a") == (1, 1)
    assert world.dropin("a") is None and not world.runs("a", LIBRARY)


def test_relay_that_reaches_its_start_limit_after_its_move_is_left_to_its_operator(world):
    """It was moved, and nobody settles it: what comes later is no move that failed. Its file changes, and it is not started."""
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "start-limit-hit"})
    wait_until(lambda: world.states() == {"a": "down", "b": "ok"}, "it to be down")
    world.manager("Revert", ["a"])
    wait_until(lambda: world.dropin("a") is None, "its file to be taken back")
    world.wait_said("Rollout 2 finished: 1 done")
    assert world.unit("a")["active"] == "failed" and restarts(world, "a") == (1, 0)
    world.do("restart-by-hand", unit="tor@a.service")
    wait_until(lambda: world.states() == {"a": "reverted", "b": "ok"}, "it to be up again")


def test_relay_that_cannot_be_put_back_is_shouted_about(world):
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "failed"}, {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("a COULD NOT BE PUT BACK")
    world.wait_said("Rollout 1 halted")
    assert restarts(world, "a") == (1, 1), "never retried in a loop"


@pytest.mark.parametrize("then, word", [("inactive", "stopped"), ("failed", "down"), ("stopping", "down")])
def test_stopped_by_somebody_in_mid_job(world, then, word):
    """A stop kills the pre-start commands, at once or in a moment, and the unit has failed by it: it is not started again all
    the same."""
    begin(world, "a", "b")
    world.script("a", {"result": "canceled", "then": then})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed, 1 skipped")
    assert world.unit("a")["active"] == then.replace("stopping", "failed") and restarts(world, "a") == (1, 0)
    assert world.states() == {"a": word, "b": "ok"}
    assert world.dropin("a") is None, "it must not come up with what nobody has proved"


def test_relay_whose_conditions_do_not_hold_any_more(world):
    """systemd calls a restart done that ends with the stop, and the unit inactive: that is nobody's stop, or one after the other
    of the fleet would be taken down."""
    begin(world, "a", "b")
    world.script("a", {"then": "unmet"}, {"then": "unmet"})
    world.start()
    world.wait_said("Rollout 1 (halted|finished)")
    assert world.said("Rollout 1 halted: 0 done, 1 failed, 1 untouched") and restarts(world, "b") == (0, 0)
    assert world.said("a COULD NOT BE PUT BACK and needs a human: systemd does not start it: a condition of its unit does not hold")
    assert world.dropin("a") is None


def test_restarted_by_somebody_in_mid_job(world):
    begin(world, "a")
    world.script("a", {"result": "canceled", "then": "active"})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (1, 0) and world.runs("a", LIBRARY)


def test_job_skipped(world):
    begin(world, "a")
    world.script("a", {"result": "skipped", "then": "inactive"})
    world.start()
    world.wait_said("Rollout 1 finished")
    assert world.states() == {"a": "stopped"}


def test_signal_before_reply(world):
    begin(world, "a", "b")
    world.script("a", {"early": True})
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert restarts(world, "a") == (1, 0)


def test_failure_signal_before_reply(world):
    begin(world, "a")
    world.script("a", {"early": True, "result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted: 0 done, 1 failed")
    assert world.unit("a")["active"] == "active"
    assert world.said('a could not be moved .*its restart job ended with "failed"'), "not only found by looking"


def test_end_of_another_job_before_the_reply(world):
    """Which of them is ours, only the reply tells."""
    begin(world, "a")
    world.script("a", {"reply": 1.5, "delay": 3})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.do("other-job", unit="tor@a.service", number=999, result="failed")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (1, 0) and world.runs("a", LIBRARY)


def test_lost_signal_is_found_by_looking(world):
    begin(world, "a")
    world.script("a", {"lost": True})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (1, 0)


@pytest.mark.slow
def test_job_that_never_ends(world):
    begin(world, "a", "b")
    world.do("timeout", unit="tor@a.service", usec=500_000)
    world.script("a", {"stuck": True})
    world.start()
    world.wait_said("a could not be moved to jemalloc .*did not finish within the unit's timeout", timeout=40)
    world.wait_said("Rollout 1 halted", timeout=40)
    assert world.unit("a")["active"] == "active" and restarts(world, "a") == (1, 1)


def test_masked_unit_is_not_touched(world):
    begin(world, "a", "b")
    before = world.unit("a")["pid"]
    world.script("a", {"refuse": "org.freedesktop.systemd1.UnitMasked"})
    world.start()
    world.wait_said("Rollout 1 halted: 0 done, 1 failed")
    assert world.unit("a")["pid"] == before and restarts(world, "a") == (1, 0)
    assert world.dropin("a") is None


def test_wrong_environment_fails_the_proof(world):
    begin(world, "a")
    world.script("a", {"environment": []})
    world.start()
    world.wait_said(r'a could not be moved to jemalloc \(gate "proof"\)')
    world.wait_said("a was put back")


def test_unit_gone_in_mid_rollout(world):
    begin(world, "a", "b")
    world.script("a", {"then": "gone"})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed, 1 skipped")
    assert world.runs("b", LIBRARY)


def test_crash_while_settling(world):
    begin(world, "a", "b", rollout="settle = 600; canary = 0;")
    world.start()
    wait_until(lambda: world.property("Rollout") == "running" and world.states()["a"] == "settling", "settling")
    world.do("crash", unit="tor@a.service")
    world.wait_said(r'a could not be moved to jemalloc \(gate "settle"\)')
    world.wait_said("a was put back")
    assert not world.runs("a", LIBRARY)


def test_stopped_while_settling(world):
    begin(world, "a", rollout="settle = 600; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.do("stop", unit="tor@a.service")
    world.wait_said("Rollout 1 finished: 0 done, 0 failed, 1 skipped")
    assert world.unit("a")["active"] == "inactive" and world.states() == {"a": "stopped"}
    assert world.dropin("a") is None


@pytest.mark.parametrize("times, stopped", [({"ended": 21, "dead": 22, "changed": 22}, True),  # it began to stop, and then its process ended
                                            ({"ended": 19, "dead": 22, "changed": 22}, False),
                                            ({"ended": 21, "dead": 22, "changed": 23}, False)],  # and a start was refused since
                         ids=["stopped", "crashed", "not-started"])
def test_crash_of_a_relay_that_is_stopped_while_settling(world, times, stopped):
    """systemd calls it failed, and does not start it again."""
    begin(world, "a", rollout="settle = 600; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "core-dump", "since": 10, "left": 20, **times})
    world.wait_said("Rollout 1 (finished|halted)")
    assert restarts(world, "a") == ((1, 0) if stopped else (1, 1)) and world.dropin("a") is None
    assert world.states() == {"a": "down" if stopped else "failed"}


def test_restarted_by_hand_while_settling(world):
    begin(world, "a", rollout="settle = 2; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.do("restart-by-hand", unit="tor@a.service")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert world.runs("a", LIBRARY) and restarts(world, "a") == (1, 0)


def test_forged_signals_are_not_believed(world):
    """On the system bus anybody may send anybody a signal: only systemd's own count."""
    begin(world, "a")
    world.script("a", {"delay": 2})
    world.start()
    world.wait_said("a: restarting")
    forger = dbus.bus.BusConnection(world.address)
    for number in range(1, 4):
        m = dbus.lowlevel.SignalMessage("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", "JobRemoved")
        m.append(dbus.UInt32(number), dbus.ObjectPath(f"/org/freedesktop/systemd1/job/{number}"), "tor@a.service", "failed", signature="uoss")
        m.set_destination(forger.get_name_owner("org.relayalloc1"))
        forger.send_message(m)
    forger.flush()
    forger.close()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (1, 0)


def test_end_of_another_job_of_the_unit_is_not_ours(world):
    begin(world, "a")
    world.script("a", {"delay": 2})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.do("other-job", unit="tor@a.service", number=999, result="failed")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (1, 0)


def test_failure_is_remembered_until_the_file_gives_something_else(world):
    begin(world, "a")
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted")
    world.stop()
    world.start()
    wait_until(lambda: world.log.read_text().count("started.") == 2, "the second start")
    wait_until(lambda: world.states() == {"a": "failed"}, "the failure to be remembered")
    assert restarts(world, "a") == (1, 1)
    world.write_config(GROUP.replace("jemalloc", "mimalloc"))
    world.manager("Reload")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert world.states() == {"a": "ok"}


def test_resume_after_halt_tries_again(world):
    begin(world, "a")
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted")
    world.manager("Resume")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    with pytest.raises(dbus.DBusException, match="NoRollout|No rollout"):
        world.manager("Resume")


def test_resume_tries_again_what_failed_without_a_halt(world):
    begin(world, "a", "b", rollout="settle = 0; canary = 0; max_failed = 9;")
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 1 failed")
    wait_until(lambda: world.states() == {"a": "failed", "b": "ok"}, "states")
    world.manager("Resume")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert world.states() == {"a": "ok", "b": "ok"}


def test_a_revert_in_spite_of_a_halt_does_not_give_its_reason(world):
    begin(world, "a", "b", rollout="settle = 2; canary = 0;")
    world.script("b", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted: 1 done, 1 failed")
    assert "b: " in world.property("RolloutReason")
    world.manager("Revert", ["a"])
    wait_until(lambda: world.states().get("a") == "settling", "the revert")
    assert (world.property("Rollout"), world.property("RolloutReason")) == ("running", "")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert world.property("Rollout") == "halted" and "b: " in world.property("RolloutReason")


def test_killed_between_restart_and_proof(world):
    begin(world, "a", "b", rollout="settle = 600; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.stop(9)
    world.write_config(GROUP)
    world.start()
    world.wait_said("Rollout 2 finished: 2 done, 0 failed")
    assert restarts(world, "a") == (1, 0), "it already ran what it should"
    assert world.states() == {"a": "ok", "b": "ok"}


def test_killed_while_the_relay_fails_to_start(world):
    begin(world, "a", "b")
    world.script("a", {"delay": 1, "result": "failed", "then": "failed"})
    world.start()
    world.wait_said("a: restarting")
    world.stop(9)
    wait_until(lambda: world.unit("a")["active"] == "failed", "the failure")
    world.start()
    world.wait_said("a was put back and runs as before")
    assert world.unit("a")["active"] == "active" and not world.runs("a", LIBRARY)
    assert world.dropin("a") is None


def test_slow_relay_holds_nobody_up(world):
    begin(world, *[f"r{i}" for i in range(8)], rollout="settle = 0; canary = 0; parallel = 4;")
    world.script("r0", {"delay": 5})
    world.start()
    world.wait_said("Rollout 1 finished: 8 done")
    moved = re.findall(r"(r\d) runs jemalloc \S+, proved\.", world.text())
    assert moved[-1] == "r0" and sorted(moved) == sorted(world.relays)
    assert world.do("look")["reloads"] <= 4, "one for several"


def test_failure_during_a_reload_leaves_alone_who_is_only_written(world):
    begin(world, *"abcdefgh", rollout="settle = 0; canary = 0; parallel = 4;")
    world.do("reload-script", steps=[{}, {"delay": 3}])
    world.script("c", {"delay": 1, "result": "failed", "then": "failed"})
    world.script("d", {"delay": 1})
    world.start()
    world.wait_said("Rollout 1 halted: 3 done, 1 failed, 4 untouched")
    assert world.said("e: wrote"), "it was written when c failed"
    assert [restarts(world, r) for r in "efgh"] == [(0, 0)] * 4
    assert [world.dropin(r) for r in "efgh"] == [None] * 4
    assert [world.states()[r] for r in "efgh"] == ["pending"] * 4
    world.manager("Resume")
    world.wait_said("Rollout 2 finished: 5 done, 0 failed")
    assert [restarts(world, r) for r in "efgh"] == [(1, 0)] * 4


def test_refused_reload_beside_free_places(world):
    begin(world, *"abcdefgh", rollout="settle = 0; canary = 0; parallel = 4;")
    world.do("reload-script", steps=[{}, {"delay": 2, "error": "org.freedesktop.DBus.Error.AccessDenied"}])
    for relay in "cd":
        world.script(relay, {"delay": 0.5})
    world.start()
    world.wait_said("Rollout 1 halted: 4 done, 2 failed, 2 untouched")
    assert [restarts(world, r) for r in "efgh"] == [(0, 0)] * 4
    assert not world.said("g: wrote") and not world.said("h: wrote")


def test_refused_reload_loses_nobody_who_is_down(world):
    begin(world, "a")
    world.write_config(GROUP.replace("jemalloc", "glibc"))  # which needs no proof, so that its file is written
    world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "exit-code"})
    world.do("reload-script", steps=[{"error": "org.freedesktop.DBus.Error.AccessDenied"}])
    world.start()
    world.wait_said("Rollout 1 halted: 0 done, 1 failed")
    assert world.said("a was put back and stays down, because it had failed by itself: systemd did not reload")
    assert world.dropin("a") is None and restarts(world, "a") == (0, 0)


def test_restarted_by_others_while_systemd_reloads(world):
    """As by an upgrade of tor, which has systemd reload, too: it runs what it was to get, and settles as after our own restart."""
    begin(world, "a", "b", rollout="settle = 2; canary = 0;")
    world.do("reload-script", steps=[{"delay": 2}])
    world.start()
    world.wait_said("a: wrote")
    world.do("daemon-reload")
    world.do("restart-by-hand", unit="tor@a.service")
    world.wait_said("a was restarted by somebody else since its drop-in was written, and is not restarted again")
    world.wait_said("a runs jemalloc .*, proved and settled for 2s")
    world.wait_said("Rollout 1 finished: 2 done")
    assert restarts(world, "a") == (0, 0) and restarts(world, "b") == (1, 0)


def test_restart_by_others_that_is_under_way_is_waited_for(world):
    begin(world, "a")
    world.do("reload-script", steps=[{"delay": 2}])
    world.start()
    world.wait_said("a: wrote")
    world.do("daemon-reload")
    world.do("set", unit="tor@a.service", values={"active": "activating", "sub": "start", "job": 7})
    before = world.unit("a")["reads"]
    wait_until(lambda: world.do("look")["reloads"] == 1 and world.unit("a")["reads"] > before + 15, "it to be looked at")
    world.do("restart-by-hand", unit="tor@a.service")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (0, 0)
