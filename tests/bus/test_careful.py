"""Nobody comes up with what has not been proved, and nobody is restarted for what cannot help."""
import os
import time

import pytest

from conftest import wait_until
from test_jobs import LIBRARY, begin, restarts, stop_relay
from test_once import stays

SETTLE = "settle = 5; canary_settle = 6; canary = 1;"


def settling(world, relay="a", rollout=1):
    wait_until(lambda: world.said(f"Rollout {rollout}") and world.states().get(relay) == "settling", "settling")


def start_again(world, times, sig=9):
    world.stop(sig)
    world.start()
    wait_until(lambda: world.text().count("started.") == times, "the next start")
    world.wait_ready(times)
    wait_until(world.states, "its relays")  # a reload before it has been ready once more, too


def begun(world, relay):
    return restarts(world, relay) != (0, 0) or world.dropin(relay) is not None


@pytest.mark.parametrize("sig", [9, 15])
def test_relay_settles_on_when_the_daemon_is_started_again(world, sig):
    begin(world, "a", "b", rollout=SETTLE)
    world.start()
    settling(world)
    for times in (2, 3):
        start_again(world, times, sig)
        settling(world)
        assert not begun(world, "b"), "nobody else begins before it has settled"
    world.wait_said("a runs jemalloc .*, proved and settled for 6s")
    world.wait_said("b runs jemalloc .*, proved and settled for 5s")
    assert restarts(world, "a") == (1, 0) and restarts(world, "b") == (1, 0)


def test_relay_settles_from_when_it_is_ready(world):
    """One that starts slowly has run for a while by then: that is no part of its settling."""
    begin(world, "a", "b", rollout="settle = 3; canary = 0;")
    world.start()
    settling(world)
    world.stop(9)
    began = os.stat(f"/proc/{world.unit('a')['pid']}").st_mtime
    wait_until(lambda: time.time() > began + 4, "its process to be older than settle")
    world.do("set", unit="tor@a.service", values={"since": time.monotonic()})
    world.start()
    settling(world)
    assert not begun(world, "b")
    world.wait_said("a runs jemalloc .*, proved and settled for 3s")
    assert restarts(world, "a") == (1, 0)


def test_relay_that_fails_while_the_daemon_is_away_is_put_back(world):
    begin(world, "a", "b", rollout="settle = 600; canary = 0;")
    world.start()
    settling(world)
    world.stop(9)
    world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "exit-code"})
    world.start()
    world.wait_said("a was put back and runs as before")
    assert world.dropin("a") is None and restarts(world, "a") == (1, 1) and not begun(world, "b")
    assert world.property("Rollout") == "halted" and world.states() == {"a": "failed", "b": "pending"}


def test_relay_that_fails_after_the_daemon_came_back_is_put_back(world):
    begin(world, "a", "b", rollout="settle = 600; canary = 0;")
    world.start()
    settling(world)
    start_again(world, 2)
    wait_until(lambda: world.states().get("a") == "settling", "settling")
    world.do("crash", unit="tor@a.service")
    world.wait_said("a could not be moved to jemalloc .*it did not stay up while settling")
    world.wait_said("a was put back and runs as before")
    assert world.dropin("a") is None and not begun(world, "b")


def test_fleet_that_is_stopped_in_mid_rollout_is_not_written_ahead(world):
    begin(world, "a", "b", "c", rollout="settle = 3; canary = 0;")
    world.start()
    settling(world)
    for relay in "bc":
        world.do("stop", unit=f"tor@{relay}.service")
    world.wait_said("b was stopped before its turn")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed, 2 skipped, 0 untouched")
    stays(world, lambda: not begun(world, "b") and not begun(world, "c"))
    start_again(world, 2)
    stays(world, lambda: not begun(world, "b") and not begun(world, "c"))
    assert world.states() == {"a": "ok", "b": "stopped", "c": "stopped"}
    for relay in "bc":
        world.do("restart-by-hand", unit=f"tor@{relay}.service")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok", "c": "ok"}, "both, in one rollout or in two")
    assert world.runs("b", LIBRARY) and world.runs("c", LIBRARY)
    assert restarts(world, "b") == (1, 0) == restarts(world, "c")


def test_relay_that_is_up_again_before_the_end_takes_its_turn(world):
    begin(world, "a", "b", "c", rollout="settle = 3; canary = 0;")
    world.start()
    settling(world)
    world.do("stop", unit="tor@b.service")
    settling(world, "c")
    assert not begun(world, "b")
    world.do("restart-by-hand", unit="tor@b.service")
    world.wait_said("Rollout 1 finished: 3 done, 0 failed")


def test_relays_stopped_while_paused_are_not_written_ahead(world):
    begin(world, "a", "b", rollout="settle = 2; canary = 0;")
    world.start()
    settling(world)
    world.manager("Pause")
    world.wait_said("a runs jemalloc .*, proved and settled")
    stop_relay(world, "b")
    world.manager("Resume")
    stays(world, lambda: not begun(world, "b"))


def test_relay_that_was_down_all_along_gets_its_file(world):
    begin(world, "a", "b")
    world.do("stop", unit="tor@b.service")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert restarts(world, "b") == (0, 0) and LIBRARY in world.dropin("b")


@pytest.mark.parametrize("name, text, why", [
    ("zzz-reset.conf", "[Service]\nEnvironment=\n", "is overridden by an empty Environment= in"),
    ("50-unset.conf", "[Service]\nUnsetEnvironment=LD_PRELOAD\n", "is removed by UnsetEnvironment= in"),
    ("zzz-own.conf", "[Service]\nEnvironment=LD_PRELOAD=/usr/lib/x.so\n", "is overridden by"),
])
def test_override_that_our_reload_brings_in_costs_no_restart(world, name, text, why):
    """A file of somebody's that systemd has not loaded yet: only the reload shows what the unit says now."""
    begin(world, "a", "b")
    directory = world.root / "tor@a.service.d"
    directory.mkdir()
    (directory / name).write_text(text)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 1 failed")
    assert restarts(world, "a") == (0, 0) and world.dropin("a") is None
    assert world.runs("b", LIBRARY)
    assert why in world.reason("a") and name in world.reason("a")
    stays(world, lambda: restarts(world, "a") == (0, 0))


def test_crash_looping_relay_is_moved_off_its_library(world):
    """NRestarts is not counted from 0 again when the restart finds the unit waiting to be started again."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.manager("Pause")
    world.write_config('{ name = "A"; allocator = "glibc"; relays = [ "*" ]; }')
    world.manager("Reload")
    wait_until(lambda: world.states().get("a") == "pending", "the new file")
    world.script("a", {"n_restarts": 4, "then": "active"})
    world.do("set", unit="tor@a.service", values={"n_restarts": 4})
    world.manager("Resume")
    wait_until(lambda: world.said("Rollout 2 finished: 1 done, 0 failed") or world.said("Rollout 2 halted"), "the end")
    assert world.said("Rollout 2 finished") and world.states() == {"a": "ok"} and not world.runs("a", LIBRARY)


def test_what_a_lost_move_left_written_is_not_what_it_is_put_back_to(world):
    """The file stands already, and nobody remembers what was there before: what failed must not come up again."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.stop()
    text, path = world.dropin("a"), world.root / "tor@a.service.d" / "zz-relayalloc.conf"
    path.unlink()
    world.do("restart-by-hand", unit="tor@a.service", environment=[])
    assert not world.runs("a", LIBRARY)
    path.write_text(text)
    world.script("a", {"result": "failed", "then": "failed"})
    world.start()
    world.wait_said("a was put back and runs as before")
    assert world.dropin("a") is None and not world.runs("a", LIBRARY)
    assert world.states() == {"a": "failed"} and world.unit("a")["active"] == "active"


# ---- down ----

FAILED = {"active": "failed", "sub": "failed", "result": "exit-code"}


@pytest.mark.parametrize("values, why", [
    (FAILED, 'failed (result "exit-code", 0 restarts by systemd)'),
    ({"active": "activating", "sub": "auto-restart", "result": "signal", "n_restarts": 7},
     'crashes repeatedly (result "signal", 7 restarts by systemd)'),
    ({"active": "reloading", "sub": "reload-notify", "result": "success"},
     'its reload failed (result "success", 0 restarts by systemd)'),
])
def test_relay_that_systemd_wants_up_is_down_and_not_stopped(world, values, why):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.do("set", unit="tor@a.service", values=values)
    wait_until(lambda: world.states() == {"a": "down", "b": "ok"}, "the state")
    assert world.reason("a") == why and world.property("RelaysDown") == 1
    assert {str(r[0]): str(r[1]) for r in world.manager("Verify")} == {"a": "down", "b": "ok"}
    world.do("restart-by-hand", unit="tor@a.service")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "the state")


def test_relay_that_failed_while_the_daemon_was_away_is_logged(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.stop()
    world.do("set", unit="tor@a.service", values=FAILED)
    text = world.config.read_text()
    world.config.write_text(text + "sample = { interval = 1; };\n")
    world.start()
    world.wait_said("a is down, failed .*: no samples until it is up again")


# ---- who takes a place, and whose file it is ----

MARK = "# relayalloc: written from /etc/relayalloc.conf, group A, allocator jemalloc; changes made here are lost\n[Service]\n"
SIZED = '{ name = "A"; allocator = "jemalloc"; size = 2; seed = "x"; }'


@pytest.mark.parametrize("others", ["", f', {{ name = "B"; allocator = "glibc"; relays = [ "*" ]; }}'], ids=["of no group", "with our file"])
def test_stray_directories_take_no_place(world, others):
    """A directory without a torrc is no relay; a copy of one with a torrc has never run and is wanted by nothing."""
    world.write_config(SIZED + others)
    world.start_fake("a", "b", "c")
    world.start()
    world.wait_said("Rollout 1 finished")
    moved = {r for r in "abc" if world.runs(r, LIBRARY)}
    before = {r: restarts(world, r) for r in "abc"}
    for name in ("notes", "backup"):
        (world.instances / name).mkdir()
    names = [f"copy{i}" for i in range(12)]
    for name in names:
        world.do("add", unit=f"tor@{name}.service",
                 values={"active": "inactive", "sub": "dead", "file_only": True, "invocation": ""})
        world.add_instance(name)
    wait_until(lambda: set(names) <= set(world.states()), "the copies to be seen")
    wait_until(lambda: all((world.dropin(name) is not None) == bool(others) for name in names), "their files")
    assert not {"notes", "backup"} & set(world.states())
    stays(world, lambda: {r: restarts(world, r) for r in "abc"} == before)
    assert not any(world.unit(name)["active"] == "active" for name in names)
    assert {r for r in "abc" if world.runs(r, LIBRARY)} == moved and len(moved) == 2


def leave_over(world, *relays):
    for relay in relays:
        directory = world.root / f"tor@{relay}.service.d"
        directory.mkdir()
        (directory / "zz-relayalloc.conf").write_text(MARK + f'Environment="LD_PRELOAD={world.jemalloc}"\n')


def test_what_an_earlier_installation_left_is_kept(world):
    """As after a purge and a new installation: fresh state, a file without groups, drop-ins with our mark."""
    import ctypes.util
    import os
    world.jemalloc = f"/usr/lib/{os.uname().machine}-linux-gnu/{ctypes.util._findSoname_ldconfig('jemalloc')}"
    leave_over(world, "a", "b")
    world.write_config("")
    world.start_fake("a", "b", "c")
    texts = world.dropin("a"), world.dropin("b")
    world.start()
    world.wait_ready()
    world.wait_said(r"2 drop-ins are left over from an earlier installation and kept \(a, b\)")
    stays(world, lambda: (world.dropin("a"), world.dropin("b")) == texts)
    assert world.property("RolloutID") == 0 and set(world.states().values()) == {"observed"}
    assert "left over" in world.reason("a") and "relayallocctl revert 'a'" in world.reason("a")
    world.manager("Revert", ["a"])
    world.wait_said("Rollout 1 finished: 1 done")
    assert world.dropin("a") is None and world.dropin("b") == texts[1]
    assert restarts(world, "a") == (1, 0) and restarts(world, "b") == (0, 0)


def test_file_of_ours_is_taken_back_when_its_group_goes(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.stop()
    world.write_config("")
    world.start()
    world.wait_said("Rollout 2 finished: 1 done")
    assert world.dropin("a") is None


# ---- a process has what its file said when it was started ----

def test_stopped_relay_that_is_up_before_its_turn_loses_ours_by_a_restart(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    stop_relay(world, "b")
    world.write_config("", "settle = 3; canary = 0;")
    settling(world, "a", 2)
    world.do("restart-by-hand", unit="tor@b.service")
    wait_until(lambda: world.runs("b", LIBRARY), "b to run with ours")
    world.wait_said("Rollout 2 finished")
    wait_until(lambda: not world.runs("b", LIBRARY), "b to be without")
    assert restarts(world, "b") == (2, 0) and world.dropin("b") is None


def test_stopped_relay_that_is_up_while_systemd_reloads_loses_ours_by_a_restart(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    stop_relay(world, "b")
    world.do("reload-script", steps=[{}, {"delay": 2}])
    world.write_config("")
    world.wait_said("b: removed")
    world.do("restart-by-hand", unit="tor@b.service")
    wait_until(lambda: world.runs("b", LIBRARY), "b to run with ours")
    world.wait_said("Rollout 2 finished")
    wait_until(lambda: not world.runs("b", LIBRARY), "b to be without")
    assert world.dropin("b") is None


def test_stopped_relay_that_is_up_before_its_turn_has_its_way_back(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    stop_relay(world, "b")
    world.write_config('{ name = "A"; allocator = "mimalloc"; relays = [ "*" ]; }', "settle = 3; canary = 0;")
    settling(world, "a", 2)
    world.do("restart-by-hand", unit="tor@b.service")
    world.script("b", {"result": "failed", "then": "failed"})
    world.wait_said("Rollout 3 halted")
    assert world.runs("b", LIBRARY) and "jemalloc" in world.dropin("b")
    assert not world.said("COULD NOT BE PUT BACK")


def test_relay_that_others_give_what_our_file_gave_is_theirs(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    ours = world.dropin("a").splitlines()
    stop_relay(world, "a")
    world.write_config("")
    world.wait_said("Rollout 2 finished")
    (world.root / "tor@a.service.d" / "own.conf").parent.mkdir(exist_ok=True)
    (world.root / "tor@a.service.d" / "own.conf").write_text("\n".join(ours[1:]) + "\n")
    world.do("daemon-reload")
    world.do("restart-by-hand", unit="tor@a.service")
    wait_until(lambda: world.states().get("a") == "observed" and world.runs("a", LIBRARY), "it to be up")
    stays(world, lambda: restarts(world, "a") == (1, 0) and int(world.property("RolloutID")) <= 3)


def test_relay_that_is_reverted_while_it_starts_is_without(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.do("set", unit="tor@a.service", values={"active": "activating", "sub": "start", "result": "success"})
    wait_until(lambda: world.states().get("a") == "restarting", "the state")
    environment = world.unit("a")["environment"]
    world.manager("Revert", ["a"])
    world.wait_said("Rollout 2 finished")
    world.do("restart-by-hand", unit="tor@a.service", environment=environment)
    wait_until(lambda: restarts(world, "a") == (2, 0), "the restart")
    wait_until(lambda: world.states()["a"] == "reverted" and not world.runs("a", LIBRARY), "a to be without")
    assert world.dropin("a") is None
