"""Start, reload and stop as systemd sees them, and a daemon that is not alone."""
import re
import signal
import socket

import dbus
import pytest

from conftest import wait_until
from test_jobs import GROUP, begin, restarts
from test_others import begin_with_own_proc
from test_libraries import with_own_clock
from test_relays import samples, sampling


def test_what_systemd_is_told(world):
    begin(world, "a")
    world.start()
    world.wait_ready()
    assert "STATUS=Looking for relays" in world.notified
    world.daemon.send_signal(signal.SIGHUP)
    world.wait_ready(times=2)
    reloading = world.notified.index("RELOADING=1")
    assert re.fullmatch("MONOTONIC_USEC=[0-9]+", world.notified[reloading + 1])
    assert "READY=1" in world.notified[reloading:]
    world.write_config("nonsense")
    world.daemon.send_signal(signal.SIGHUP)
    world.wait_ready(times=3)
    world.wait_said("is invalid; the previous configuration stays in force")
    assert world.stop() == 0
    wait_until(lambda: "STOPPING=1" in world.notified, "STOPPING=1")


def test_ready_waits_for_the_first_look(world):
    begin(world, "a")
    world.do("list-errors", errors=["org.freedesktop.DBus.Error.AccessDenied"])
    world.start()
    world.wait_said("Cannot list units")
    world.daemon.send_signal(signal.SIGHUP)
    wait_until(lambda: world.log.read_text().count("Loaded ") == 2, "the reload")
    assert "READY=1" not in world.notified or world.said("Rollout 1")
    world.wait_ready()


def test_who_calls_when_it_is_ready_is_answered(world):
    """What comes after the start in a script, or After= it in a unit, calls at once."""
    begin(world, "a", rollout='settle = 0; window = "00:00-00:01";')
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(world.path / "told"))
        told.settimeout(60)
        world.environment["NOTIFY_SOCKET"] = str(world.path / "told")
        for _ in range(8):
            world.start()
            while "READY=1" not in told.recv(65536).decode().split("\n"):
                pass
            assert world.states()
            assert world.stop() == 0


def test_bad_file_at_the_start(world):
    world.write_config("nonsense")
    world.start()
    assert world.daemon.wait(20) == 78
    assert world.said("relayalloc.conf:2: ")
    world.daemon = None


def test_file_that_is_being_saved_at_the_start(world):
    """It is empty for a moment, as most editors and tools save: the daemon would stay down for that."""
    begin(world, "a")
    text = world.config.read_text()
    world.config.write_text("")
    world.start()
    world.wait_said("the file is empty")
    world.config.write_text(text)
    world.wait_said("Rollout 1 finished: 1 done")


def test_no_bus_at_the_start(world):
    begin(world, "a")
    world.address = "unix:path=/nonexistent/bus"
    world.start()
    assert world.daemon.wait(20) == 1
    assert world.said("Cannot connect to the system bus")
    world.daemon = None


def test_second_daemon_gives_way(world):
    begin(world, "a", rollout='settle = 0; window = "00:00-00:01";')
    world.start()
    world.wait_ready()
    first = world.daemon
    world.start()
    assert world.daemon.wait(20) == 1
    assert world.said("Another relayallocd")
    world.daemon = first
    assert len(world.states()) == 1


def test_file_with_bytes_that_are_no_text(world):
    begin(world, "a")
    world.start()
    world.wait_said("Rollout 1 finished")
    world.config.write_bytes(b'groups = ( { name = "A\xff"; allocator = "je\xffmalloc"; relays = [ "*" ]; } );\n')
    with pytest.raises(dbus.DBusException, match="relayalloc.conf:1"):
        world.manager("Reload")
    assert "relayalloc.conf:1" in world.property("ConfigError")


def test_library_change_is_no_new_file(world):
    """What an operator reverted or aborted stays so when a package brings a new build of a library."""
    begin(world, "a", "b")
    world.start()
    world.wait_said("Rollout 1 finished")
    world.manager("Revert", ["a"])
    world.wait_said("Rollout 2 finished")
    world.stop()
    state = world.state / "state"
    text, n = re.subn(r'((?:config|reviewed)_id = "[0-9a-f]+-)[0-9a-f]+"', r'\g<1>0"', state.read_text())
    assert n == 2
    state.write_text(text)
    world.start()
    world.wait_ready(times=2)
    assert world.states() == {"a": "reverted", "b": "ok"}
    world.write_config(GROUP.replace("jemalloc", "mimalloc"))
    world.manager("Reload")
    wait_until(lambda: world.states() == {"a": "ok", "b": "ok"}, "a new file to count")


def test_abort_outlives_a_reload_that_was_waiting(world):
    begin(world, "a", "b", "c", rollout="settle = 2; canary = 0;")
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.write_config(GROUP, "settle = 1; canary = 0;")
    world.manager("Reload")
    world.manager("Abort")
    wait_until(lambda: world.property("Rollout") == "aborted", "the abort")
    wait_until(lambda: world.log.read_text().count("Loaded ") == 2, "the new file")
    assert world.property("Rollout") == "aborted" and restarts(world, "b") == (0, 0)


def test_same_file_again_in_mid_rollout_changes_nothing(world):
    begin(world, "a", "b", rollout="settle = 5; canary = 0;")
    world.script("b", {"result": "failed", "then": "failed"})
    world.start()
    wait_until(lambda: world.said("Rollout 1") and world.states()["a"] == "settling", "settling")
    world.manager("Reload")
    assert world.property("ConfigWaits") == 1 and world.property("Rollout") == "running"
    world.wait_said("Rollout 1 halted: 1 done, 1 failed")
    wait_until(lambda: world.log.read_text().count("Loaded ") == 2, "the file to be in force")
    assert world.property("ConfigWaits") == 0
    assert world.property("Rollout") == "halted" and world.property("RolloutID") == 1
    assert world.states() == {"a": "ok", "b": "failed"}


def test_endless_words_of_systemd(world):
    begin(world, "a")
    world.script("a", {"refuse": "org.freedesktop.systemd1.UnitMasked", "message": "x" * 300000})
    world.start()
    world.wait_said("Rollout 1 halted: 0 done, 1 failed")
    assert len(world.property("RolloutReason")) < 5000
    assert world.states() == {"a": "failed"}


def test_put_back_that_is_refused_tells_both_reasons(world):
    begin(world, "a")
    world.script("a", {"result": "failed", "then": "failed"}, {"refuse": "org.freedesktop.systemd1.UnitMasked", "message": "Unit is masked."})
    world.start()
    said = world.wait_said("a COULD NOT BE PUT BACK.*").group(0)
    assert 'ended with "failed"' in said and "Unit is masked" in said


@pytest.mark.parametrize("then", ["inactive", "stopping"])
def test_relay_stopped_while_it_is_put_back(world, then):
    begin(world, "a")
    world.script("a", {"result": "failed", "then": "failed"}, {"result": "canceled", "then": then})
    world.start()
    world.wait_said("Rollout 1 halted")
    assert not world.said("a was put back and runs as before"), "it does not run"
    assert world.said("a .*stopped")


def with_own_mounts(world, directory=None):
    """mounted("1" or "self", "ro" or "rw"): how the host, or the daemon, sees a directory; without one: the state's."""
    proc, _ = begin_with_own_proc(world, GROUP)
    world.write_config("")
    sampling(world, 1)
    return mounts_in(proc, directory or world.state)


def mounts_in(proc, directory):
    def mounted(process, flag):
        (proc / process).mkdir(exist_ok=True)
        (proc / process / "mountinfo").write_text(f"1 0 0:1 / / rw - ext4 x rw\n2 1 0:2 / {directory} {flag} - ext4 y {flag}\n")
    return mounted


@pytest.mark.slow
def test_what_is_forgotten_by_a_start_for_new_mounts_is_said(world):
    """Its state is on a disk that was read-only when it started, and is writable since for all but the daemon."""
    mounted = with_own_mounts(world)
    mounted("1", "ro")
    mounted("self", "ro")
    world.start()
    world.wait_ready()
    world.manager("Pause")
    kept = world.state.with_name("kept")
    world.state.rename(kept)
    with pytest.raises(dbus.DBusException, match="cannot be saved"):
        world.manager("Resume")
    mounted("1", "rw")
    world.wait_said("systemd starts it again. What could not be saved is forgotten: what operators requested since", timeout=120)
    assert world.daemon.wait(30) == 75
    kept.rename(world.state)
    world.start()
    wait_until(lambda: world.property("Rollout") == "paused", "the state as it was saved")


def wait_for_another_start(world, directory=None, starts=2):
    said = f"{directory or world.state} was read-only for relayallocd when it started.* systemd starts it again"
    wait_until(lambda: len(re.findall(said, world.text())) == starts - 1, "its end for new mounts", timeout=120)
    assert world.daemon.wait(30) == 75
    world.start()
    world.wait_ready(starts)


def wait_in_vain_for_another_start(world):
    before, starts = samples(world, "a"), world.text().count("systemd starts it again")
    wait_until(lambda: samples(world, "a") > before + 1, "samples")
    assert world.text().count("systemd starts it again") == starts and world.daemon.poll() is None


@pytest.mark.slow
def test_mounts_that_could_not_be_read_at_the_start_may_be_outdated(world):
    """No descriptor for a moment: without another start it could not save its state as long as it lives."""
    mounted = with_own_mounts(world)
    mounted("self", "ro")
    world.start()
    world.wait_ready()
    mounted("1", "rw")
    wait_for_another_start(world)


def test_what_is_read_only_for_the_daemon_alone_is_tried_again_seldom(world):
    """The host's mount became writable just when it started, or its sandbox has it so: then another start is in vain."""
    mounted, later = with_own_mounts(world, world.root), with_own_clock(world)
    mounted("self", "ro")
    mounted("1", "rw")
    world.start()
    world.wait_ready()
    wait_in_vain_for_another_start(world)
    later(30)
    wait_for_another_start(world, world.root)
    later(60)
    wait_in_vain_for_another_start(world)  # that it has tried outlives it
    later(60 + 600)
    wait_for_another_start(world, world.root, 3)
    mounted("self", "rw")
    assert world.stop() == 0
    world.start()
    world.wait_ready(4)
    wait_until(lambda: "started_for" not in (world.state / "state").read_text(), "that the start was not in vain to be remembered")


def test_start_for_new_mounts_of_all_that_it_writes_to_is_not_in_vain(world):
    """They are on one file system, which became writable just when it started. Its state cannot be saved either, which no unit
    brings about: a drop-in that is to be taken back does not wait for ten minutes."""
    mounted, later = with_own_mounts(world, world.path), with_own_clock(world)
    mounted("self", "ro")
    mounted("1", "rw")
    world.start()
    world.wait_ready()
    world.state.rename(world.state.with_name("kept"))
    later(31)
    wait_for_another_start(world, world.root)


def test_start_for_new_mounts_that_cannot_be_remembered_comes_seldom(world):
    """For the next process would not know that it was tried, and start again, and again."""
    mounted, later = with_own_mounts(world, world.root), with_own_clock(world)
    mounted("self", "ro")
    mounted("1", "rw")
    world.start()
    world.wait_ready()
    kept = world.state.with_name("kept")
    world.state.rename(kept)
    later(60)
    wait_in_vain_for_another_start(world)
    later(600)
    world.wait_said(f"{world.root} was read-only for relayallocd when it started.* systemd starts it again", timeout=120)
    assert world.daemon.wait(30) == 75
    kept.rename(world.state)
    world.start()
    world.wait_ready(2)
