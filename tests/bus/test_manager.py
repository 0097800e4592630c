"""Reloads of systemd, owners of names, lost buses, and an operator's requests."""
import os
import subprocess
import time

import dbus
import pytest

from conftest import wait_until
from test_jobs import GROUP, LIBRARY, begin, restarts


@pytest.mark.slow
def test_reload_takes_longer_than_a_default_call(world):
    begin(world, "a")
    world.do("reload-script", steps=[{"delay": 26}])
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed", timeout=60)


def test_reload_refused_by_rate_limit(world):
    begin(world, "a")
    world.do("reload-script", steps=[{"error": "org.freedesktop.DBus.Error.LimitsExceeded"}] * 2)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert world.do("look")["reloads"] == 3 and restarts(world, "a") == (1, 0)


def test_reload_fails_for_good(world):
    begin(world, "a", "b")
    world.do("reload-script", steps=[{"error": "org.freedesktop.DBus.Error.AccessDenied"}])
    world.start()
    world.wait_said("Rollout 1 halted: 0 done, 1 failed, 1 untouched")
    assert world.said("systemd did not reload")
    assert restarts(world, "a") == (0, 0) and world.dropin("a") is None
    assert world.states()["a"] == "pending", "the host's trouble, not this relay's: it is not remembered"


def test_owner_changes_in_mid_job(world):
    begin(world, "a", "b")
    world.script("a", {"delay": 2})
    world.start()
    world.wait_said("a: restarting")
    world.do("reconnect")
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert restarts(world, "a") == (1, 0) and world.do("look")["subscriptions"] == 2


def test_bus_dies_and_comes_back(world):
    begin(world, "a", "b", rollout="settle = 1; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.bus_process.kill()
    world.bus_process.wait()
    world.wait_said("Lost the connection to the system bus")
    world.fake.terminate()
    world.fake.wait()
    (world.path / "bus").unlink(missing_ok=True)
    world.start_bus()
    world.start_fake("a", "b")
    world.wait_said("Reconnected to the system bus")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "all ok again", 30)
    assert world.runs("b", LIBRARY)


def test_preflight_refuses_before_anybody_is_touched(world):
    begin(world, "a", "b")
    world.do("hide-preload", value=True)
    world.start()
    world.wait_said("Allocator jemalloc is refused before any relay is restarted")
    world.wait_said("Rollout 1 finished: 0 done, 2 failed")
    assert [restarts(world, r) for r in "ab"] == [(0, 0)] * 2
    assert world.dropin("a") is None


def test_pause_resume_abort(world):
    begin(world, "a", "b", "c", rollout="settle = 2; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.manager("Pause")
    wait_until(lambda: world.states().get("a") == "ok", "relays in progress are finished")
    assert world.property("Rollout") == "paused" and restarts(world, "b") == (0, 0)
    # What is left has the waves of this rollout, not of a new one.
    assert [(p[0], p[1]) for p in world.manager("Plan")] == [(2, "b"), (3, "c")]
    world.stop()
    world.start()
    wait_until(lambda: world.log.read_text().count("started.") == 2 and world.property("Rollout") == "paused", "still paused")
    assert restarts(world, "b") == (0, 0)
    world.manager("Resume")
    wait_until(lambda: world.states().get("b") == "settling", "going on")
    world.manager("Abort")
    assert world.property("Rollout") == "ending" and world.states()["b"] == "settling"
    world.wait_said("Rollout 2 aborted: 1 done, 0 failed, 1 untouched")
    assert world.property("Rollout") == "aborted" and restarts(world, "c") == (0, 0)
    with pytest.raises(dbus.DBusException):
        world.manager("Abort")


def test_revert_is_a_rollout(world):
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    assert world.manager("Revert", dbus.Array([], signature="s")) == 2
    world.wait_said("Rollout 2 finished: 2 done, 0 failed")
    for relay in "ab":
        assert world.dropin(relay) is None and not world.runs(relay, LIBRARY)
        assert restarts(world, relay) == (2, 0)
    assert not list(world.root.iterdir()), "the folders go with our files"
    world.stop()
    world.start()
    wait_until(lambda: world.log.read_text().count("started.") == 2 and set(world.states().values()) == {"reverted"}, "reverted stays reverted")
    assert restarts(world, "a") == (2, 0)
    with pytest.raises(dbus.DBusException, match="No relay named"):
        world.manager("Revert", ["nobody"])


def test_new_configuration_in_mid_rollout(world):
    begin(world, "a", "b", "c", rollout="settle = 2; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "a" ]; }, '
                       '{ name = "B"; allocator = "mimalloc"; relays = [ "b" ]; }')
    world.manager("Reload")
    world.wait_said("Rollout 1 ended early: the configuration changed; 1 done, 0 failed, 2 untouched")
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert world.runs("a", "libjemalloc") and world.runs("b", "libmimalloc")
    assert [restarts(world, r) for r in "abc"] == [(1, 0), (1, 0), (0, 0)]
    assert world.states() == {"a": "ok", "b": "ok", "c": "observed"}


def test_rollout_that_a_newer_file_ends_was_not_done(world):
    """The file waits for the relay in progress; and what is said of the rollout then is that it ended early."""
    begin(world, "a", "b", rollout="settle = 5; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "a" ]; }')
    world.manager("Reload")
    assert world.property("ConfigWaits") == 1 and world.property("Rollout") == "ending"
    world.wait_said("Rollout 1 ended early: the configuration changed; 1 done, 0 failed, 1 untouched")
    wait_until(lambda: world.property("ConfigWaits") == 0, "the file to be in force")
    assert world.property("RolloutResult") == "superseded" and world.states() == {"a": "ok", "b": "observed"}


def test_bad_file_keeps_what_runs(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished")
    world.write_config('{ name = "A"; allocator = "jemaloc"; relays = [ "*" ]; }')
    with pytest.raises(dbus.DBusException, match='no allocator named "jemaloc"'):
        world.manager("Reload")
    assert 'relayalloc.conf:2: groups[0].allocator' in world.property("ConfigError")
    assert world.states() == {"a": "ok"}
    world.write_config(GROUP)
    world.manager("Reload")
    assert world.property("ConfigError") == "" and restarts(world, "a") == (1, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's daemon judges who could change its file")
def test_file_that_others_can_change_keeps_what_runs(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished")
    included = world.path / "more.conf"
    included.write_text('rollout = { settle = 0; canary = 0; };\n')
    included.chmod(0o666)
    world.config.write_text(world.config.read_text().replace("rollout = { settle = 0; canary = 0; };",
                                                             '\n@include "more.conf"\n'))
    with pytest.raises(dbus.DBusException, match="can be changed by users other than root: it is writable by everybody"):
        world.manager("Reload")
    assert f"{included}: can be changed by users other than root" in world.property("ConfigError")
    assert f"(chmod o-w {included})" in world.property("ConfigError")
    included.chmod(0o644)
    world.manager("Reload")
    assert world.property("ConfigError") == ""
    os.chown(world.config, 65534, 0)
    with pytest.raises(dbus.DBusException, match="it belongs to user .nobody. .chown root "):
        world.manager("Reload")
    assert world.states() == {"a": "ok"} and restarts(world, "a") == (1, 0)
    # and no daemon begins with it
    world.stop()
    world.start()
    assert world.daemon.wait(20) == 78
    world.daemon = None


def test_outside_its_window_nothing_begins(world):
    now = subprocess.run(["date", "+%H:%M"], capture_output=True, text=True, check=True).stdout.strip()
    hour = int(now[:2])
    window = f"{(hour + 6) % 24:02}:00-{(hour + 8) % 24:02}:00"
    begin(world, "a", rollout=f'settle = 0; window = "{window}";')
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.property("Rollout") == "waiting", "waiting")
    assert world.states() == {"a": "pending"} and world.dropin("a") is None
    world.write_config(GROUP)
    world.manager("Reload")
    wait_until(lambda: world.states() == {"a": "ok"}, "without a window it goes")


def closed_window():
    """Text of a window that opens in some hours, and those hours."""
    hour = int(subprocess.run(["date", "+%H"], capture_output=True, text=True, check=True).stdout)
    return f"{(hour + 6) % 24:02}:00-{(hour + 8) % 24:02}:00"


def test_window_that_is_waited_for_is_told(world):
    window = closed_window()
    begin(world, "a", rollout=f'settle = 0; window = "{window}";')
    world.start()
    world.wait_said(rf"Rollout 1: 1 relay, 1 at a time; waiting for the window {window}, which opens in 5h")
    assert world.property("Window") == window
    assert 5 * 3600e6 < world.property("WindowOpens") - time.time() * 1e6 <= 6 * 3600e6
    world.write_config(GROUP)
    world.manager("Reload")
    wait_until(lambda: world.states() == {"a": "ok"}, "without a window it goes")
    assert world.property("Window") == "" and world.property("WindowOpens") == 0


def test_a_resume_that_is_refused_opens_no_window(world):
    """Nothing waits yet: the relay in progress is finished first, then the new file's window counts."""
    begin(world, "a", "b", rollout="settle = 3; canary = 0;")
    world.start()
    wait_until(lambda: world.states().get("a") == "settling", "the first")
    world.write_config(GROUP, f'settle = 0; canary = 0; window = "{closed_window()}";')
    world.manager("Reload")
    with pytest.raises(dbus.DBusException, match="NoRollout"):
        world.manager("ResumeNow")
    wait_until(lambda: world.property("Rollout") == "waiting", "the window to be waited for")
    assert restarts(world, "b") == (0, 0) and world.states() == {"a": "ok", "b": "pending"}


@pytest.mark.parametrize("method", ["ResumeNow", "ReloadNow"])
def test_window_is_not_waited_for_when_an_operator_says_so(world, method):
    begin(world, "a", "b", rollout=f'settle = 0; canary = 0; window = "{closed_window()}";')
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.property("Rollout") == "waiting", "waiting")
    if method == "ResumeNow":
        with pytest.raises(dbus.DBusException, match="NoRollout"):
            world.manager("Resume")
    world.manager(method)
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "both to go")
    world.do("restart-by-hand", unit="tor@b.service", environment=[])  # another day: what comes later waits again
    wait_until(lambda: world.property("Rollout") == "waiting", "what comes later to wait again")
    assert world.states() == {"a": "ok", "b": "pending"} and restarts(world, "b") == (1, 0)


def test_revert_that_does_not_wait_means_nobody_else(world):
    """Others that wait for the window go on waiting."""
    begin(world, "a", "b", "c")
    world.start()
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok", "c": "ok"}, "all to be moved")
    world.write_config('{ name = "A"; allocator = "glibc"; relays = [ "*" ]; }',
                       f'settle = 0; canary = 0; window = "{closed_window()}";')
    world.manager("Reload")
    wait_until(lambda: world.property("Rollout") == "waiting", "waiting")
    assert world.manager("RevertNow", ["b"]) == 1
    wait_until(lambda: world.dropin("b") is None and world.states()["b"] == "reverted", "b to be put back")
    wait_until(lambda: world.property("Rollout") == "waiting", "the others to wait again")
    assert world.states() == {"a": "pending", "b": "reverted", "c": "pending"}
    assert restarts(world, "a") == restarts(world, "c") == (1, 0)
    with pytest.raises(dbus.DBusException, match="NoSuchRelay"):
        world.manager("RevertNow", ["nobody"])


def seconds_from_now(moment):
    return int(moment) / 1e6 - time.time()


def test_forecast(world):
    """Before it begins, while it goes, and after it: by the times that systemd has measured, or as tor takes by default."""
    begin(world, "a", "b", "c", rollout='settle = 100; canary = 0; parallel = 2;')
    world.do("set", unit="tor@a.service", values={"took": [4, 6]})
    world.do("set", unit="tor@b.service", values={"took": [4, 6]})
    world.start()
    wait_until(lambda: world.states().get("a") == "settling" and world.states()["b"] == "settling", "both to settle")
    assert 205 < seconds_from_now(world.property("RolloutEnds")) < 212  # 100 s each, and the restart of c
    assert abs(world.property("PlanEnds") - world.property("RolloutEnds")) < 2e6
    world.manager("Pause")
    assert world.property("RolloutEnds") == 0, "until somebody resumes it"
    world.manager("Abort")
    wait_until(lambda: 90 < seconds_from_now(world.property("RolloutEnds")) <= 100, "what settles to be all that is left")


def test_a_file_where_the_folder_should_be(world):
    begin(world, "a", "b")
    (world.root / "tor@a.service.d").write_text("somebody's\n")
    world.start()
    world.wait_said("a drifted from jemalloc: cannot read .*: Not a directory")
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (0, 0) and world.states() == {"a": "drifted", "b": "ok"}
    assert (world.root / "tor@a.service.d").read_text() == "somebody's\n"


def test_state_cannot_be_saved(world):
    begin(world, "a", "b")
    world.write_config("")
    world.start()
    wait_until(lambda: set(world.states().values()) == {"observed"}, "observed")
    for file in world.state.iterdir():
        file.unlink()
    world.state.rmdir()
    world.state.write_text("a file where the folder should be")
    world.write_config(GROUP)
    world.manager("Reload")
    world.wait_said("Rollout 1 halted: 0 done, 1 failed, 1 untouched")
    assert world.said("so recovery from a crash would be impossible")
    assert restarts(world, "a") == (0, 0) and world.dropin("a") is None


def test_foreign_file_of_our_name_is_left_alone(world):
    folder = world.root / "tor@a.service.d"
    folder.mkdir()
    (folder / "zz-relayalloc.conf").write_text("[Service]\n# somebody else's\n")
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert (folder / "zz-relayalloc.conf").read_text() == "[Service]\n# somebody else's\n"
    assert restarts(world, "a") == (0, 0)
    assert world.states() == {"a": "drifted", "b": "ok"}


def test_revert_takes_in_one_that_comes_and_goes(world):
    begin(world, "a", "b", "c")
    world.start()
    world.wait_said("Rollout 1 finished: 3 done")
    world.do("set", unit="tor@c.service", values={"active": "activating", "sub": "auto-restart", "pid": 0})
    wait_until(lambda: world.states().get("c") == "down", "it to be seen")
    assert world.manager("Revert", dbus.Array([], signature="s")) == 3
    world.wait_said("Rollout 2 finished: 3 done, 0 failed")
    assert [world.dropin(relay) for relay in "abc"] == [None] * 3
    world.do("restart-by-hand", unit="tor@c.service")  # it comes up
    wait_until(lambda: set(world.states().values()) == {"reverted"}, "the end")
    assert not world.runs("c", LIBRARY) and [restarts(world, r) for r in "ab"] == [(2, 0)] * 2
