"""What must happen once and not again and again, and what must not happen at all."""
import shutil
import time

import pytest

from conftest import wait_until
from test_jobs import LIBRARY, begin, restarts


def rollouts(world):
    return int(world.property("RolloutID"))


def stays(world, condition, seconds=1.5):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), world.log.read_text()
        time.sleep(0.1)


def test_relay_that_failed_before_its_turn_is_left_as_it_is(world):
    begin(world, "a", "b", rollout="settle = 2; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.do("set", unit="tor@b.service", values={"active": "failed", "sub": "failed", "result": "exit-code"})
    world.wait_said("Rollout 1 finished: 1 done, 0 failed, 1 skipped")
    assert restarts(world, "b")[1] == 0, "it was down before we came: nobody asked for its start"
    assert world.unit("b")["active"] == "failed" and world.dropin("b") is None


def test_relay_in_a_restart_of_its_own_before_its_turn(world):
    begin(world, "a", "b", rollout="settle = 2; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.do("set", unit="tor@b.service", values={"active": "activating", "sub": "auto-restart", "result": "exit-code", "n_restarts": 4})
    world.script("b", {"n_restarts": 4})  # systemd has nothing to restart, and continues counting
    wait_until(lambda: restarts(world, "b")[0] == 1, "its turn")
    world.do("crash", unit="tor@b.service")  # comes up by itself, with the new file
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert restarts(world, "b") == (1, 0) and world.runs("b", LIBRARY)


def test_crash_between_restart_and_proof_is_seen_without_settling(world):
    begin(world, "a")
    world.script("a", {"n_restarts": 1})
    world.start()
    world.wait_said("a could not be moved to jemalloc")
    world.wait_said("a was put back")


def test_proof_that_came_too_early_is_forgotten(world):
    begin(world, "a", "b", rollout="settle = 600; canary = 0;")
    world.script("a", {"late": 1})
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    assert world.reason("a") == ""
    world.do("crash", unit="tor@a.service")
    world.wait_said("a could not be moved to jemalloc .*it did not stay up while settling")


def test_process_that_is_about_to_be_executed_is_not_judged(world):
    """Before execve() it has whatever environment its parent had, and glibc's malloc."""
    begin(world, "a")
    world.script("a", {"late": 1, "first": ["HOME=/"]})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (1, 0) and world.runs("a", LIBRARY)


def test_foreign_file_in_the_place_of_one_that_is_to_go(world):
    """After a crash: it runs with a file of ours that somebody has replaced by his own in the meantime."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.do("reload-script", steps=[{"delay": 60}])
    world.write_config('{ name = "A"; allocator = "mimalloc"; relays = [ "*" ]; }')
    world.manager("Reload")
    wait_until(lambda: "mimalloc" in world.dropin("a"), "the other file")
    world.stop(9)
    (world.root / "tor@a.service.d/zz-relayalloc.conf").write_text("[Service]\n# somebody else's\n")
    world.write_config("")
    world.start()
    world.wait_ready(times=3)  # the reload was one, too
    assert "is not ours, so it is left alone" in world.reason("a") and world.states() == {"a": "drifted"}
    assert world.property("Rollout") == "idle" and restarts(world, "a") == (1, 0)
    assert world.dropin("a") == "[Service]\n# somebody else's\n"


def test_relay_that_cannot_be_reverted_is_not_restarted_for_ever(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    library = next(e for e in world.unit("a")["environment"] if e.startswith("LD_PRELOAD="))
    # somebody else's file sets it, too; nor is a process believed that has no environment yet
    world.script("a", {"environment": [library], "late": 1}, *[{"environment": [library]}] * 20)
    world.manager("Revert", ["a"])
    world.wait_said("a could not be moved to the settings of its own unit")
    world.wait_said("Rollout 2 halted")
    stays(world, lambda: restarts(world, "a") == (2, 1))
    assert world.states()["a"] == "failed"
    world.do("forget-scripts")
    world.manager("Revert", ["a"])  # the operator has fixed it
    world.wait_said("Rollout 3 finished: 1 done")
    assert world.states() == {"a": "reverted", "b": "ok"}


def test_dropin_that_cannot_be_removed_is_not_tried_for_ever(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.do("reload-script", steps=[{"error": "org.freedesktop.DBus.Error.AccessDenied"}] * 50)
    world.manager("Revert", ["a"])
    world.wait_said("Rollout 2 halted")
    stays(world, lambda: rollouts(world) == 2)
    assert restarts(world, "a") == (1, 0) and world.dropin("a")


def test_group_less_relay_that_fails_is_not_restarted_for_ever(world):
    begin(world, "a", "b", rollout="settle = 0; canary = 0; max_failed = 9;")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    library = next(e for e in world.unit("a")["environment"] if e.startswith("LD_PRELOAD="))
    world.script("a", *[{"environment": [library]}] * 20)
    world.write_config("", "settle = 0; canary = 0; max_failed = 9;")
    world.manager("Reload")
    world.wait_said("Rollout 2 finished: 1 done, 1 failed")
    stays(world, lambda: restarts(world, "a") == (2, 1))


def relay_comes(world, name):
    world.add_instance(name)
    world.do("add", unit=f"tor@{name}.service")
    wait_until(lambda: world.states().get(name) not in (None, "stopped"), f"{name} to be planned")


@pytest.mark.slow
def test_minute_passes_after_failures_that_did_not_halt(world):
    begin(world, "a", "b", rollout="settle = 0; canary = 0; max_failed = 9;")
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 1 failed")
    ended = time.monotonic()
    relay_comes(world, "c")
    assert rollouts(world) == 1 and world.states() == {"a": "failed", "b": "ok", "c": "pending"}
    world.wait_said("Rollout 2", timeout=90)
    assert time.monotonic() - ended > 55
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")


def test_nobody_waits_a_minute_after_a_success(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    relay_comes(world, "b")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")


def test_change_of_an_included_file_lifts_a_halt(world):
    begin(world, "a")
    groups = world.path / "groups.conf"
    groups.write_text('groups = ( { name = "A"; allocator = "jemalloc"; relays = [ "*" ]; } );\n')
    world.config.write_text(f'instances_dir = "{world.instances}";\n@include "groups.conf"\n'
                            "rollout = { settle = 0; canary = 0; };\n")
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("Rollout 1 halted")
    world.manager("Reload")
    stays(world, lambda: not world.said("Rollout 2"))
    groups.write_text(groups.read_text() + "# looked at\n")
    world.manager("Reload")
    stays(world, lambda: not world.said("Rollout 2"))  # which changes nothing of what failed
    groups.write_text(groups.read_text().replace("jemalloc", "mimalloc"))
    world.manager("Reload")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")


def test_vanished_relay_gets_no_dropin(world):
    begin(world, "a", "b", rollout="settle = 2; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    shutil.rmtree(world.instances / "b")
    world.do("remove", unit="tor@b.service")
    world.wait_said("b is gone")
    wait_until(lambda: world.states() == {"a": "ok"}, "the others")
    assert world.dropin("b") is None


def test_relay_vanishes_and_comes_back_in_mid_rollout(world):
    begin(world, "a", "b", rollout="settle = 2; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    for _ in range(3):
        world.remove_instance("b")
        world.do("remove", unit="tor@b.service")
        world.add_instance("b")
        world.do("add", unit="tor@b.service")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "all")
    assert world.runs("b", LIBRARY) and restarts(world, "a") == (1, 0)


def test_unit_that_is_gone_loses_its_dropin(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished")
    world.remove_instance("a")
    world.do("set", unit="tor@a.service", values={"load_state": "not-found", "active": "inactive", "sub": "dead"})
    world.do("reloading")
    wait_until(lambda: world.dropin("a") is None, "the drop-in to go")
    assert restarts(world, "a") == (1, 0)


def test_others_units_cost_nothing(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished")
    world.wait_ready()
    time.sleep(0.5)
    before = world.do("look")
    world.do("noise", n=200)
    time.sleep(1)
    after = world.do("look")
    assert after["lists"] == before["lists"], "units that are no relays came and went"
    assert after["units"]["tor@a.service"]["reads"] - before["units"]["tor@a.service"]["reads"] < 20
    assert world.states() == {"a": "ok", "b": "ok"}


def test_many_reloads_change_nothing(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished")
    before = world.do("look")
    for _ in range(5):
        world.manager("Reload")
        world.daemon.send_signal(1)
        world.do("reloading")
    wait_until(lambda: world.log.read_text().count("Loaded ") >= 10, "the reloads")
    assert rollouts(world) == 1
    after = world.do("look")
    assert after["reloads"] == before["reloads"]
    assert [restarts(world, r) for r in "ab"] == [(1, 0)] * 2


def test_killed_in_mid_put_back_costs_no_further_restart(world):
    begin(world, "a", "b")
    world.script("a", {"result": "failed", "then": "failed"}, {"delay": 2, "meanwhile": "activating"})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 1), "the put-back")
    world.stop(9)
    world.start()
    wait_until(lambda: world.unit("a")["active"] == "active", "the relay")
    wait_until(lambda: world.log.read_text().count("started.") == 2 and world.states().get("a") in ("failed", "ok"), "its end")
    stays(world, lambda: restarts(world, "a") == (1, 1), 1)
    assert world.states()["a"] == "failed"
