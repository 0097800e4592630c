"""What a lost bus and a refused preflight must not lead to."""
import errno
import itertools
import signal
import subprocess

import pytest

from conftest import wait_until
from test_careful import settling
from test_jobs import LIBRARY, begin, restarts
from test_libraries import NO_FILE, preload_calls, with_own_clock
from test_life import mounts_in
from test_once import stays
from test_operator import FORGOTTEN
from test_relays import sampling


def test_bus_dies_in_mid_restart(world):
    begin(world, "a", "b")
    world.script("a", {"delay": 1})
    world.start()
    world.wait_said("a: restarting")
    world.bus_process.kill()
    world.bus_process.wait()
    world.wait_said("Lost the connection to the system bus")
    world.fake.terminate()
    world.fake.wait()
    (world.path / "bus").unlink(missing_ok=True)
    world.start_bus()
    world.start_fake("a", "b")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "all ok again", 30)
    assert not world.said("could not be moved")


def test_preflight_refusal_is_not_tried_in_a_loop(world):
    begin(world, "a", "b")
    world.do("hide-preload", value=True)
    world.start()
    world.wait_said("Rollout 1 finished: 0 done, 2 failed")
    wait_until(lambda: set(world.states().values()) == {"pending"}, "states")
    world.manager("Verify")
    assert world.property("RolloutID") == 1
    world.do("hide-preload", value=False)
    world.manager("Reload")
    world.wait_said("Rollout 2 finished: 2 done, 0 failed")


def test_way_back_survives_a_crash_while_a_process_is_too_young_to_be_judged(world):
    """It was told to load the library and has not, which counts after three seconds. The daemon ends before."""
    begin(world, "a")
    deaf = str(world.path / "deaf")
    subprocess.run(["cc", "-static", "-x", "c", "-o", deaf, "-"], input="#include <unistd.h>\nint main(void) { return pause(); }\n",
                   text=True, check=True)
    world.script("a", *[{"program": [deaf]}] * 2)
    before = world.unit("a")["pid"]
    world.start()
    wait_until(lambda: world.unit("a")["pid"] not in (0, before), "the new process")
    world.stop(9)
    world.start()
    world.wait_said("Rollout 3 halted: 0 done, 1 failed")
    assert restarts(world, "a") == (2, 1)
    assert world.said("a was put back and runs as before") and world.dropin("a") is None


def test_way_back_after_a_crash_is_to_the_library_before_it(world):
    """It has been moved from one library to another, and goes down while nobody looks."""
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done")
    world.write_config('{ name = "A"; allocator = "mimalloc"; relays = [ "*" ]; }', "settle = 600; canary = 0;")
    world.manager("Reload")
    wait_until(lambda: world.said("Rollout 2") and world.states()["a"] == "settling", "settling")
    world.stop(9)
    world.do("set", unit="tor@a.service", values={"active": "failed", "sub": "failed", "result": "exit-code"})
    world.start()
    world.wait_said("a was put back and runs as before")
    assert world.runs("a", LIBRARY) and "jemalloc" in world.dropin("a") and restarts(world, "a") == (2, 1)


@pytest.mark.parametrize("as_found", [
    {"active": "inactive", "sub": "dead", "result": "success"},  # its job is still to start it
    {"active": "inactive", "sub": "dead", "result": "exec-condition", "job": 0},
    {"active": "deactivating", "sub": "stop-post", "result": "success", "job": 0},
    {"active": "activating", "sub": "auto-restart", "result": "success", "job": 0},  # Restart=always
])
def test_relay_that_is_down_after_a_crash_is_looked_after(world, as_found):
    """It is our restart job that took it down, and nobody's will."""
    begin(world, "a", "b")
    world.script("a", {"stuck": True})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.stop(9)
    world.do("set", unit="tor@a.service", values=as_found)
    world.start()
    world.wait_said("Rollout 2")
    world.do("set", unit="tor@a.service", values={"job": 0, "active": "failed", "sub": "failed", "result": "exit-code"})
    world.wait_said("a was put back and runs as before")
    assert restarts(world, "a") == (1, 1) and world.dropin("a") is None and not world.runs("a", LIBRARY)


STOPPED = {"job": 0, "active": "inactive", "sub": "dead", "result": "success"}
# Stopped while it waits to be started again: it has the result of its failure.
STOPPED_IN_AUTO_RESTART = {**STOPPED, "result": "signal"}
# A stop kills the pre-start commands with the unit's KillSignal=, and the unit has failed by it.
STOPPED_IN_PRE_START = {"job": 0, "active": "failed", "sub": "failed", "result": "signal", "pre_start_signal": signal.SIGINT}


# A process that does not end within TimeoutStopSec= is killed, and the unit has failed by that.
STOP_TIMED_OUT = {"job": 0, "active": "failed", "sub": "failed", "result": "timeout", "since": 10, "left": 20}
# A process that crashes on its way out: the unit began to stop before it ended.
STOP_CRASHED = {**STOP_TIMED_OUT, "result": "core-dump", "ended": 21, "dead": 22, "changed": 22}


@pytest.mark.parametrize("how, state", [(STOPPED, "stopped"), (STOPPED_IN_AUTO_RESTART, "stopped"), (STOPPED_IN_PRE_START, "down"), (STOP_TIMED_OUT, "down"),
                                        (STOP_CRASHED, "down")], ids=["plainly", "in-auto-restart", "in-pre-start", "for-too-long", "with-a-crash"])
def test_relay_that_is_stopped_while_the_daemon_is_away_stays_so(world, how, state):
    begin(world, "a", "b")
    world.script("a", {"delay": 600, "meanwhile": "activating"})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.stop(9)
    world.do("set", unit="tor@a.service", values=how)
    world.start()
    world.wait_said("Rollout 2 finished: 1 done, 0 failed, 1 skipped")
    assert restarts(world, "a") == (1, 0) and world.states() == {"a": state, "b": "ok"}
    assert world.dropin("a") is None, "it must not come up with what nobody has proved"


def test_relay_whose_pre_start_command_dies_while_the_daemon_is_away_is_looked_after(world):
    """By another signal than that of a stop: nobody has stopped it."""
    begin(world, "a")
    world.script("a", {"delay": 600, "meanwhile": "activating"})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.stop(9)
    world.do("set", unit="tor@a.service", values={**STOPPED_IN_PRE_START, "pre_start_signal": signal.SIGSEGV})
    world.start()
    world.wait_said("a was put back")
    assert restarts(world, "a") == (1, 1) and world.unit("a")["active"] == "active"


NO_LISTS = NO_FILE % (".", "%s", errno.ENFILE) + """
#include <dirent.h>
DIR *opendir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (access("%s", F_OK) == 0) {
        errno = ENFILE;
        return NULL;
    }
    return fdopendir(fd);
}
"""


def test_relay_that_is_not_listed_after_a_crash_keeps_its_way_back(world):
    """The host is short of descriptors when the daemon is started again: the relay, which is stopped, is found later."""
    begin(world, "a", rollout="settle = 600; canary = 0;")
    world.start()
    settling(world, "a", 1)
    world.stop(9)
    world.do("set", unit="tor@a.service", values={"listed": False, "active": "inactive", "sub": "dead", "result": "success"})
    assert "jemalloc" in world.dropin("a")
    cause = world.path / "cause"
    cause.touch()
    preload_calls(world, NO_LISTS % (cause, cause))
    sampling(world, 1)
    world.start()
    world.wait_ready(2)
    assert world.said("Cannot look for drop-ins: Too many open files in system") and world.states() == {}
    cause.unlink()
    wait_until(lambda: world.dropin("a") is None, "what nobody has proved to be taken back")
    wait_until(lambda: world.states() == {"a": "stopped"}, "the state")


@pytest.mark.parametrize("new, word", [
    ('{ name = "A"; allocator = "mimalloc"; relays = [ "*" ]; }', "ok"),
    ("", "observed"),
])
def test_failure_of_what_a_crash_interrupted_is_not_the_new_plans(world, new, word):
    """It was being moved to jemalloc and crashes on it; a file that wants something else was saved before the daemon was back.
    What fails is jemalloc, and what is wanted now has not been tried."""
    begin(world, "a", "b")
    world.script("a", {"stuck": True})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.stop(9)
    world.do("set", unit="tor@a.service", values={"job": 0, "active": "activating", "sub": "auto-restart", "result": "signal"})
    world.write_config(new)
    world.start()
    world.wait_said("a could not be moved to jemalloc")
    world.wait_said("a was put back and runs as before")
    wait_until(lambda: world.states() == {"a": word, "b": word}, "states")
    assert world.property("Rollout") == "idle" and not world.said("halted")
    assert not world.said("moved to (mimalloc|the settings)")
    # and it is still remembered, should that file come back before anything has changed
    assert 'allocator = "jemalloc"' in (world.state / "state").read_text()


def take_place_of_dropin(world, relay):
    """By a file of others; returns its path."""
    path = world.root / f"tor@{relay}.service.d/zz-relayalloc.conf"
    theirs = path.with_suffix(".new")
    theirs.write_text("[Service]\nEnvironment=MINE=1\n")
    theirs.rename(path)
    return path


def test_drop_in_that_cannot_be_put_back_is_tried_again(world):
    """A file that is not ours stands in its place; the same as on a disk that takes nothing for a while."""
    begin(world, "a", "b", rollout="settle = 600; canary = 0; };\nsample = { interval = 1;")
    world.script("a", {}, {"result": "failed", "then": "failed"})
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    ours = take_place_of_dropin(world, "a")
    world.do("crash", unit="tor@a.service")
    said = world.wait_said("a COULD NOT BE PUT BACK.*").group(0)
    assert "a file that is not ours is in its place" in said and "tried again with each sample" in said
    world.wait_said("Rollout 1 halted")
    assert [str(r) for r in world.property("NotPutBack")] == ["a"] and world.states()["a"] == "down"
    stays(world, lambda: ours.read_text() == "[Service]\nEnvironment=MINE=1\n" and world.property("RolloutID") == 1, 2.5)
    ours.unlink()
    world.wait_said("a was put back and runs as before")
    assert world.dropin("a") is None and not world.runs("a", LIBRARY) and not world.property("NotPutBack")
    assert world.property("Rollout") == "halted" and world.states() == {"a": "failed", "b": "pending"}


@pytest.mark.parametrize("ready", [True, False], ids=["after-it-was-ready", "before"])
def test_relay_that_crashes_on_and_cannot_be_put_back_is_told_and_tried_again(world, ready):
    """Whenever it is looked at, it has another process that is too new to be judged, or is starting."""
    begin(world, "a", rollout="settle = 600; canary = 0; };\nsample = { interval = 1;")
    world.start()
    settling(world)
    theirs = take_place_of_dropin(world, "a")
    crashes = itertools.count(1)

    def crash():
        if ready:
            return world.do("crash", unit="tor@a.service")
        return world.do("set", unit="tor@a.service", values={"active": "activating", "sub": "auto-restart", "result": "exit-code", "n_restarts": next(crashes)})

    world.script("a", {"result": "done", **({} if ready else {"then": "activating"})})
    wait_until(lambda: crash() and world.said("a COULD NOT BE PUT BACK"), "its end", timeout=20)
    world.wait_said("Rollout 1 halted")
    # (with each sample it is on its way back for a moment)
    wait_until(lambda: world.states() == {"a": "failed" if ready else "down"} and world.property("NotPutBack"), "its state")
    theirs.unlink()
    world.wait_said("a was put back and runs as before")
    assert not world.runs("a", LIBRARY) and not world.property("NotPutBack")


def test_drop_in_that_cannot_be_put_back_is_tried_again_every_minute_without_samples(world):
    """They may be an hour apart, and the relay is down."""
    later = with_own_clock(world)
    begin(world, "a", rollout="settle = 600; canary = 0; };\nsample = { interval = 3600;")
    world.script("a", {}, {"result": "failed", "then": "failed"})
    world.start()
    settling(world)
    theirs = take_place_of_dropin(world, "a")
    world.do("crash", unit="tor@a.service")
    world.wait_said("a COULD NOT BE PUT BACK")
    world.wait_said("Rollout 1 halted")
    later(66)
    assert world.states() == {"a": "down"}
    theirs.unlink()
    later(2 * 66)
    # (the kernel's clock is not ahead: a question wakes the daemon)
    wait_until(lambda: world.states() == {"a": "failed"} and world.said("a was put back and runs as before"), "the way back")
    assert not world.property("NotPutBack")


@pytest.mark.parametrize("then", ["", "Pause"])
def test_way_back_does_not_wait_for_the_end_of_a_rollout(world, then):
    """Its file can be put back while another relay settles, perhaps for a day, or while nobody else is to begin."""
    begin(world, "a", "b", "c", rollout="parallel = 2; max_failed = 9; settle = 600; canary = 0; };\nsample = { interval = 1;")
    world.script("a", {}, {"result": "failed", "then": "failed"})
    world.start()
    settling(world, "a")
    settling(world, "b")
    theirs = take_place_of_dropin(world, "a")
    if then:
        world.manager(then)
    world.do("crash", unit="tor@a.service")
    world.wait_said("a COULD NOT BE PUT BACK")
    assert world.property("Rollout") == (then.lower() + "d" if then else "running") and world.states()["a"] == "down"
    theirs.unlink()
    world.wait_said("a was put back and runs as before")
    settling(world, "b")
    assert restarts(world, "b") == (1, 0), "it only settles on"
    assert "flight" in (world.state / "state").read_text() and world.states()["a"] == "failed"
    assert (restarts(world, "c") == (0, 0)) == bool(then)


def test_start_for_new_mounts_does_not_wait_for_the_end_of_a_rollout(world):
    """The disk was read-only when the daemon was started after a crash. One relay is down and cannot be put back, another settles."""
    later, proc = with_own_clock(world), world.path / "proc"
    proc.mkdir()
    world.environment["RELAYALLOC_PROC"] = str(proc)
    begin(world, "a", "b", rollout="parallel = 2; settle = 600; canary = 0; };\nsample = { interval = 1;")
    world.do("proc", path=str(proc), label="")
    world.script("a", {}, {"result": "failed", "then": "failed"})
    mounted = mounts_in(proc, world.root)
    mounted("self", "ro")
    mounted("1", "ro")
    world.start()
    settling(world, "a")
    settling(world, "b")
    theirs = take_place_of_dropin(world, "a")
    world.do("crash", unit="tor@a.service")
    world.wait_said("a COULD NOT BE PUT BACK")
    mounted("1", "rw")
    later(31)
    world.wait_said(f"{world.root} was read-only for relayallocd when it started.* systemd starts it again")
    assert world.daemon.wait(30) == 75
    theirs.unlink()
    world.start()
    world.wait_said("a was put back and runs as before")
    settling(world, "b")
    assert restarts(world, "b") == (1, 0)


@pytest.mark.parametrize("times", [1, 3])
def test_way_back_that_systemd_does_not_read_is_read_later(world, times):
    """/run is full for a while, say: the file is back, and the relay is started with what systemd has, which is what failed."""
    begin(world, "a", "b", rollout="settle = 0; canary = 0; };\nsample = { interval = 1;")
    world.script("a", *[{"result": "failed", "then": "failed"}] * 2)
    world.do("reload-script", steps=[{}, *[{"error": "org.freedesktop.systemd1.DiskFull"}] * times])
    world.start()
    said = world.wait_said("a COULD NOT BE PUT BACK.*").group(0)
    assert "systemd did not reload: scripted" in said and "systemd is asked again with each sample" in said
    world.wait_said("Rollout 1 halted")
    world.wait_said("a was put back and runs as before")
    assert not world.runs("a", LIBRARY) and not world.property("NotPutBack")
    assert restarts(world, "a") == (1, 2) and restarts(world, "b") == (0, 0)
    assert world.property("Rollout") == "halted" and world.states() == {"a": "failed", "b": "pending"}


def test_relay_whose_unit_cannot_be_read_after_a_crash_is_looked_after_when_it_can(world):
    """And not when the rollout is over that has begun in the meantime."""
    begin(world, "a", "b", rollout="settle = 600; canary = 0;")
    world.script("a", {"stuck": True})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.stop(9)
    world.do("set", unit="tor@a.service", values={"job": 0, "active": "failed", "sub": "failed", "result": "exit-code",
                                                  "error": "org.freedesktop.DBus.Error.InvalidArgs"})
    world.start()
    world.wait_said("a: cannot read its unit")
    settling(world, "b", 2)
    world.do("set", unit="tor@a.service", values={"error": None, "active": "failed", "sub": "failed", "result": "exit-code"})
    world.wait_said("a was put back and runs as before")
    assert restarts(world, "a") == (1, 1) and restarts(world, "b") == (1, 0)


def test_what_is_put_back_after_a_crash_and_then_refused_is_over(world):
    """Its file is what it was and it may not be moved: the next daemon has nothing to recover."""
    begin(world, "a", rollout="settle = 600; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states().get("a") == "settling", "settling")
    assert "flight" in (world.state / "state").read_text()
    world.stop(9)
    world.do("restart-by-hand", unit="tor@a.service", environment=[])
    world.write_config('{ name = "A"; allocator = "gone"; relays = [ "a" ]; }')
    world.config.write_text(f'allocators = {{ gone = {{ library = "{world.path}/libgone.so"; }}; }};' + world.config.read_text())
    world.start()
    world.wait_said("a is up after the interruption; its drop-in is as it was before")
    wait_until(lambda: world.states() == {"a": "pending"}, "the refusal")
    wait_until(lambda: "relay = \"a\"" not in (world.state / "state").read_text().partition("flights")[2].partition(");")[0],
               "nothing of it to be in flight")
    assert world.dropin("a") is None and restarts(world, "a") == (1, 0)


def test_what_is_put_back_untouched_is_still_our_work(world):
    """Its file was away for a moment, in which everybody was looked at: it is taken back by the next plan."""
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished: 2 done")
    world.do("reload-script", steps=[{"delay": 2}])
    world.write_config("")
    world.manager("Reload")
    world.wait_said("a: removed")
    world.manager("Verify")
    world.write_config("", "settle = 0; canary = 0; parallel = 2;")
    world.manager("Reload")
    world.wait_said("a was not touched; its drop-in is unchanged")
    wait_until(lambda: world.states() == {"a": "observed", "b": "observed"}, "nobody to be assigned anything")
    wait_until(lambda: not world.dropin("a") and not world.dropin("b"), "both files to be removed")
    wait_until(lambda: not world.runs("a", LIBRARY) and not world.runs("b", LIBRARY), "both to be without")


def test_what_failed_is_put_back_by_the_next_daemon_too(world):
    """It is up on what it crashed with, its old file is there already, and the daemon ends before the relay is restarted."""
    begin(world, "a", "b", rollout="settle = 4; canary = 0;")
    world.do("reload-script", steps=[{}, {"delay": 60}])
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states().get("a") == "settling", "settling")
    world.do("crash", unit="tor@a.service")
    world.wait_said("a: removed")
    world.stop(9)
    world.do("reload-script", steps=[])
    world.do("daemon-reload")
    world.start()
    world.wait_said("Rollout 2 (finished|halted)")
    assert not world.said("a runs jemalloc .*, proved and settled")
    assert not world.runs("a", LIBRARY) and restarts(world, "a") == (1, 1)


def test_failure_that_is_forgotten_while_the_daemon_is_away_is_no_stop(world):
    begin(world, "a")
    world.script("a", {"stuck": True})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.stop(9)
    world.do("set", unit="tor@a.service", values={**FORGOTTEN, "job": 0})
    world.start()
    world.wait_said("a was put back and runs as before: it had failed, and somebody has reset that")
    assert restarts(world, "a") == (1, 1) and world.dropin("a") is None


def test_what_failed_is_started_by_the_next_daemon_too(world):
    """It does not start with its library. The daemon ends between the two requests of its way back: that its failure be
    forgotten, which makes the unit inactive, and that it be started."""
    begin(world, "a")
    world.script("a", {"result": "failed", "then": "failed"})
    world.do("reset-delay", seconds=60)
    world.start()
    wait_until(lambda: world.do("look")["units"]["tor@a.service"]["resets"] == 1, "its failure to be forgotten")
    world.stop(9)
    world.do("set", unit="tor@a.service", values=FORGOTTEN)
    world.do("reset-delay", seconds=0)
    world.start()
    world.wait_said("Rollout 2 (finished|halted)")
    assert world.unit("a")["active"] == "active" and restarts(world, "a") == (1, 1) and not world.runs("a", LIBRARY)
    assert world.states() == {"a": "failed"} and world.property("Rollout") == "halted"


def test_file_that_cannot_be_taken_back_halts_for_good(world):
    """Nobody was restarted for it; the disk or whoever put a file in its place is reason enough to restart nobody else."""
    begin(world, "a", "b", "c", rollout="settle = 0; canary = 0; };\nsample = { interval = 1;")
    world.do("reload-script", steps=[{"delay": 2}])
    folder = world.root / "tor@a.service.d"
    folder.mkdir()
    (folder / "zzz-own.conf").write_text("[Service]\nEnvironment=LD_PRELOAD=/usr/lib/x.so\n")
    world.start()
    world.wait_said("a: wrote")
    ours = folder / "zz-relayalloc.conf"
    ours.with_suffix(".new").write_text("[Service]\nEnvironment=MINE=1\n")
    ours.with_suffix(".new").rename(ours)
    world.wait_said("Rollout 1 halted")
    stays(world, lambda: int(world.property("RolloutID")) == 1)
    assert world.property("Rollout") == "halted" and "a: LD_PRELOAD is overridden by" in world.property("RolloutReason")
    assert [restarts(world, r) for r in "abc"] == [(0, 0)] * 3 and 'hold = "halted"' in (world.state / "state").read_text()
    ours.unlink()  # and once it is back, that is still so
    wait_until(lambda: not world.property("NotPutBack"), "the old file")
    stays(world, lambda: world.property("Rollout") == "halted")
    assert [restarts(world, r) for r in "abc"] == [(0, 0)] * 3


def test_unit_that_is_another_after_a_crash(world):
    """Our restart has taken it down, and the file that is saved meanwhile names the units of relays otherwise."""
    begin(world, "a", "b")
    world.script("a", {"stuck": True})
    world.start()
    wait_until(lambda: restarts(world, "a") == (1, 0), "the restart")
    world.stop(9)
    world.do("set", unit="tor@a.service", values={"job": 0, "active": "failed", "sub": "failed", "result": "exit-code"})
    world.config.write_text('unit = "other@.service";\n' + world.config.read_text())
    world.start()
    world.wait_said("tor@a.service was put back and runs as before")
    assert world.unit("a")["active"] == "active" and world.dropin("a") is None and restarts(world, "a") == (1, 1)
