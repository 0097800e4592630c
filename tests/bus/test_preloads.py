"""What others preload besides an allocator: kept behind ours, told, and forgotten with its file."""
import errno
import fcntl
import os
import shutil
import signal
import subprocess
import time

import pytest

from conftest import wait_until
from test_jobs import LIBRARY, begin, restarts
from test_libraries import NO_FILE, preload_calls
from test_plan import ctl
from test_relays import relay_properties, samples, sampling


def wrapper(world, name="libwrap.so"):
    """A library that is no allocator, as mptcpize(8) preloads one."""
    path = world.path / name
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-o", path, "-"], input="int wrapped(void) { return 1; }", text=True, check=True)
    return str(path)


def put(world, relay, preload, name="50-wrap.conf"):
    """A drop-in of its operator, loaded by systemd; None takes it away."""
    path = world.root / f"tor@{relay}.service.d" / name
    path.parent.mkdir(exist_ok=True)
    if preload is None:
        path.unlink()
    else:
        path.write_text(f'[Service]\nEnvironment="LD_PRELOAD={preload}"\n')
    world.do("reloading")


def preload_line(world, relay):
    dropin = world.dropin(relay)
    return next((line for line in dropin.splitlines() if "LD_PRELOAD" in line), None) if dropin else None


def test_preload_of_others_is_kept(world):
    begin(world, "a", "b")
    wrap = wrapper(world)
    put(world, "a", wrap)
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    assert preload_line(world, "a").endswith(f':{wrap}"') and wrap not in world.dropin("b")
    assert world.runs("a", LIBRARY) and world.runs("a", wrap) and world.states() == {"a": "ok", "b": "ok"}
    path = world.root / "tor@a.service.d/50-wrap.conf"
    assert world.said(f"a: {path} preloads {wrap}, which is kept behind jemalloc")
    assert not world.said("a: .* as well"), "it is no conflict"
    assert relay_properties(world, "a")["Notes"] == [f"{path} preloads {wrap}, which is kept behind its allocator"]
    assert relay_properties(world, "b")["Notes"] == []


def test_preload_of_others_is_kept_without_an_allocator_of_ours(world):
    begin(world, "a")
    wrap = wrapper(world)
    put(world, "a", wrap)
    world.write_config('{ name = "G"; allocator = "glibc"; relays = [ "*" ]; }')
    world.start()
    wait_until(lambda: preload_line(world, "a") == f'Environment="LD_PRELOAD={wrap}"', "the drop-in")
    wait_until(lambda: world.states() == {"a": "ok"}, "ok")
    assert restarts(world, "a") == (0, 0), "what it runs is right already"


def test_preload_that_cannot_be_read_yet_is_no_conflict(world):
    """When the daemon starts, what it may be is not known from before."""
    wrap = begin_wrapped(world)
    world.stop()
    shutil.copy(wrap, wrap + ".new")  # nobody has mapped this one, as a lease demands
    os.rename(wrap + ".new", wrap)
    release = keep_from_reading(wrap)
    world.start()
    world.wait_ready(times=2)
    wait_until(lambda: world.reason("a") == f"cannot read {wrap}: Resource temporarily unavailable", "the reason")
    release()
    wait_until(lambda: world.states() == {"a": "ok"}, "ok")
    assert not world.said(" as well") and wrap in preload_line(world, "a") and restarts(world, "a") == (1, 0)


def test_allocator_of_others_is_not_kept(world):
    begin(world, "a")
    wrap = wrapper(world)
    put(world, "a", f"libmimalloc.so.2 {wrap}")
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    assert "mimalloc" not in preload_line(world, "a") and wrap in preload_line(world, "a")
    assert world.said("a: .*50-wrap.conf sets LD_PRELOAD as well")


def test_preload_that_comes_and_goes_costs_no_restart(world):
    begin(world, "a")
    wrap = wrapper(world)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    put(world, "a", wrap)
    wait_until(lambda: wrap in preload_line(world, "a"), "the drop-in to name it")
    wait_until(lambda: world.states() == {"a": "ok"}, "ok")
    put(world, "a", None)
    wait_until(lambda: wrap not in preload_line(world, "a"), "the drop-in to forget it")
    wait_until(lambda: world.states() == {"a": "ok"}, "ok")
    assert restarts(world, "a") == (1, 0)


def test_revert_leaves_what_others_preload(world):
    begin(world, "a", "b")
    wrap = wrapper(world)
    put(world, "a", wrap)
    put(world, "b", wrap)
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "a" ]; }, { name = "G"; allocator = "glibc"; relays = [ "b" ]; }')
    world.start()
    world.wait_said("Rollout 1 finished: 2 done, 0 failed")
    world.manager("Revert", ["a", "b"])
    world.wait_said("Rollout 2 finished: 2 done, 0 failed")
    assert world.runs("a", wrap) and not world.runs("a", LIBRARY)
    assert [restarts(world, r) for r in "ab"] == [(2, 0), (0, 0)], "b runs just what it would without us"
    assert world.dropin("a") is None and (world.root / "tor@a.service.d/50-wrap.conf").exists()


def keep_from_reading(path):
    """By a lease (fcntl(2)): who opens the file without waiting gets EAGAIN, until the returned function is called, or the kernel ends
    that, 45 s after the first."""
    fd = os.open(path, os.O_RDONLY)
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)  # which does nothing
    def taken():
        try:
            return fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK) == 0
        except BlockingIOError:  # somebody is just reading it
            return False
    wait_until(taken, "the lease")
    return lambda: os.close(fd)


def begin_wrapped(world):
    """A relay that was moved and keeps a library that others preload, which is returned."""
    begin(world, "a")
    sampling(world, 1)
    wrap = wrapper(world)
    put(world, "a", wrap)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    return wrap


def test_file_of_others_that_cannot_be_read_for_a_moment_sets_what_it_set(world):
    """Nothing is written or restarted by what could not be read: neither what was right nor what is to change."""
    wrap = begin_wrapped(world)
    path = world.root / "tor@a.service.d/50-wrap.conf"
    release = keep_from_reading(path)
    world.manager("Verify")
    assert world.states() == {"a": "ok"} and wrap in preload_line(world, "a")
    world.write_config('{ name = "B"; allocator = "glibc"; relays = [ "*" ]; }')
    sampling(world, 1)
    world.manager("Reload")
    wait_until(lambda: f"cannot read {path}: Resource temporarily unavailable" in world.reason("a"), "the reason")
    assert world.runs("a", LIBRARY) and LIBRARY in preload_line(world, "a") and not world.said("Rollout 2")
    release()
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert preload_line(world, "a") == f'Environment="LD_PRELOAD={wrap}"' and world.runs("a", wrap)
    wait_until(lambda: world.states() == {"a": "ok"}, "ok")
    assert restarts(world, "a") == (2, 0)


def written_and_unread(world, keep=keep_from_reading):
    """A relay that waits between its new drop-in and its restart for a file of others, which nobody can read. Returns what ends
    that."""
    begin(world, "a")
    sampling(world, 1)
    environment = world.path / "environment"
    environment.write_text("OTHER=1\n")
    world.do("environment-file", unit="tor@a.service", path=str(environment))
    world.do("timeout", unit="tor@a.service", usec=600_000_000)
    world.start()
    world.wait_said("Rollout 1 finished: 1 done, 0 failed")
    world.do("reload-script", steps=[{"delay": 3}])
    world.write_config('{ name = "B"; allocator = "glibc"; relays = [ "*" ]; }')
    sampling(world, 1)
    wait_until(lambda: world.text().count("a: wrote") == 2, "the new drop-in")
    release = keep(environment)
    before = samples(world, "a")
    wait_until(lambda: samples(world, "a") > before + 5, "some seconds to pass")
    return release


def test_nobody_is_restarted_while_a_file_of_others_cannot_be_read(world):
    """It may speak against the restart: between what is written and the restart it is waited for."""
    release = written_and_unread(world)
    assert restarts(world, "a") == (1, 0) and world.states() == {"a": "restarting"}
    wait_until(lambda: world.reason("a") == f"cannot read {world.path}/environment: Resource temporarily unavailable", "the reason", timeout=30)
    release()
    world.wait_said("Rollout 2 finished: 1 done, 0 failed")
    assert restarts(world, "a") == (2, 0) and world.reason("a") == ""


def test_rollout_that_waits_for_a_file_of_others_can_be_aborted(world):
    """At once: not only when the file can be read, nor after all the time that the unit may take to start."""
    release = written_and_unread(world)
    world.manager("Abort")
    wait_until(lambda: world.property("Rollout") == "aborted", "the abort", timeout=30)
    assert LIBRARY in preload_line(world, "a") and restarts(world, "a") == (1, 0)
    release()


@pytest.mark.slow
def test_relay_that_waited_in_vain_for_a_file_of_others_is_moved_later(world):
    """What kept the file from being read has passed, and is not held against the relay; but a minute passes first, as after every
    failure."""
    cause = world.path / "cause"
    preload_calls(world, NO_FILE % ("environment", cause, errno.EMFILE))
    def keep(_):
        cause.touch()
        return cause.unlink
    release = written_and_unread(world, keep)
    world.wait_said("Rollout 2 finished: 0 done, 1 failed", timeout=120)
    assert LIBRARY in preload_line(world, "a") and restarts(world, "a") == (1, 0)
    ended = time.monotonic()
    release()
    world.wait_said("Rollout 3 finished: 1 done, 0 failed", timeout=120)
    assert time.monotonic() - ended > 55
    wait_until(lambda: world.states() == {"a": "ok"}, "ok")
    assert restarts(world, "a") == (2, 0)


def refusals(world):
    return {row["relay"]: (row["action"], row["reason"]) for row in ctl(world, "plan")}


def test_plan_without_the_daemon_refuses_what_the_daemon_would(world):
    """While a file of others cannot be read, or a library that one of them names."""
    begin(world, "a", "b")
    wrap = wrapper(world)
    put(world, "a", wrap)
    put(world, "b", "/nowhere/libwrap.so")
    world.write_config("")
    world.start()
    world.wait_ready()
    world.stop()
    world.write_config('{ name = "A"; allocator = "jemalloc"; relays = [ "*" ]; }')
    assert {relay: action for relay, (action, _) in refusals(world).items()} == {"a": "restart", "b": "restart"}
    unread = world.root / "tor@b.service.d/50-wrap.conf"
    held = [keep_from_reading(wrap), keep_from_reading(unread)]
    assert refusals(world) == {"a": ("refused", f"cannot read {wrap}: Resource temporarily unavailable"),
                               "b": ("refused", f"cannot read {unread}: Resource temporarily unavailable")}
    for release in held:
        release()
    assert {relay: action for relay, (action, _) in refusals(world).items()} == {"a": "restart", "b": "restart"}
