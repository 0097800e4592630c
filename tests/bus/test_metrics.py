"""The file for Prometheus: what it says at each turn, and that it goes."""
import re
import time

import pytest

from conftest import wait_until
from test_libraries import preload_calls
from test_others import begin_with_own_proc
from test_tor import with_sockets

A = '{ name = "A"; allocator = "jemalloc"; relays = [ "a*" ]; }'


def text(world, name="m.prom"):
    path = world.path / name
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def write_config(world, groups, rollout="settle = 0; canary = 0;", name="m.prom"):
    world.write_config(groups, rollout)
    extra = f'metrics = {{ textfile = "{world.path}/{name}"; }};\nsample = {{ interval = 1; }};\n' if name else ""
    temporary = world.config.with_suffix(".new")
    temporary.write_text(world.config.read_text() + extra)
    temporary.rename(world.config)


def wait_line(world, line, name="m.prom"):
    wait_until(lambda: line + "\n" in text(world, name), line)


def test_what_it_says_of_relays_and_of_a_rollout(world):
    write_config(world, A)
    world.start_fake("a1", "a2", "b")
    world.start()
    wait_line(world, 'relayalloc_rollout_relays{result="done"} 2')
    wait_line(world, 'relayalloc_relay_state{relay="a1",group="A",state="ok"} 1')
    now = text(world)
    assert re.search(r'relay_info{relay="a1",unit="tor@a1.service",group="A",assigned="jemalloc",allocator="jemalloc",'
                     r'version="[0-9.-]+",fingerprint=""} 1\n', now), now
    assert re.search(r'relay_info{relay="b",unit="tor@b.service",group="",assigned="",allocator="glibc",', now), now
    assert 'relayalloc_relay_state{relay="b",group="",state="observed"} 1\n' in now
    assert re.search(r'resident_bytes{relay="a1",group="A",allocator="jemalloc",.*} [0-9]{6,}\n', now), now
    assert 'relayalloc_rollout_state{state="idle"} 1\n' in now and 'relayalloc_rollout_state{state="halted"} 0\n' in now
    assert "relayalloc_config_last_reload_successful 1\n" in now and 'relayalloc_build_info{version="' in now
    world.manager("Pause")
    wait_line(world, 'relayalloc_rollout_state{state="paused"} 1')
    world.manager("Resume")
    wait_line(world, 'relayalloc_rollout_state{state="idle"} 1')


def test_what_relays_say_of_themselves(world):
    """Not of one that says nothing, nor when they are not to be asked."""
    with_sockets(world, a="honest", b="nothing")
    settings = world.config.read_text() + f'metrics = {{ textfile = "{world.path}/m.prom"; }};\n'
    world.config.write_text(settings)
    world.start()
    wait_line(world, 'relayalloc_relay_flags_info{relay="a",group="A",flags="Fast,Guard,Running"} 1')
    wait_line(world, 'relayalloc_relay_bootstrap_ratio{relay="a",group="A"} 1.00')
    assert 'relayalloc_relay_info{relay="b"' in text(world)
    assert not re.search(r'(flags_info|ratio){relay="b"', text(world))
    temporary = world.config.with_suffix(".new")
    temporary.write_text(settings.replace("interval = 1;", "interval = 1; tor = false;"))
    temporary.rename(world.config)
    wait_until(lambda: text(world) and "flags_info{" not in text(world) and "ratio{" not in text(world), "them to go")


def test_a_halt_and_a_relay_that_is_down(world):
    write_config(world, A)
    world.start_fake("a1", "a2")
    world.script("a1", {"result": "failed", "then": "failed"}, {"result": "failed", "then": "failed"})
    world.start()
    wait_line(world, 'relayalloc_rollout_state{state="halted"} 1')
    wait_line(world, 'relayalloc_relay_state{relay="a1",group="A",state="down"} 1')
    now = text(world)
    assert 'relayalloc_rollout_relays{result="failed"} 1\n' in now and 'relayalloc_rollout_relays{result="pending"} 1\n' in now
    assert re.search(r'relay_info{relay="a1",unit="tor@a1.service",group="A",assigned="jemalloc",allocator="",version="",', now)
    assert 'bytes{relay="a1"' not in now and 'bytes{relay="a2"' in now


def test_a_refused_file_leaves_a_trace_until_it_is_right(world):
    write_config(world, A)
    world.start_fake("a1")
    world.start()
    wait_line(world, "relayalloc_config_last_reload_successful 1")
    read = re.search(r"^relayalloc_config_last_reload_success_timestamp_seconds (.*)$", text(world), re.M).group(1)
    assert abs(float(read) - time.time()) < 600
    write_config(world, A.replace("jemalloc", "jemaloc"))
    wait_line(world, "relayalloc_config_last_reload_successful 0")
    wait_line(world, f"relayalloc_config_last_reload_success_timestamp_seconds {read}")  # the last one that was right
    write_config(world, A)
    wait_line(world, "relayalloc_config_last_reload_successful 1")
    assert f"_timestamp_seconds {read}\n" not in text(world)


def test_it_goes_with_the_setting_and_with_the_daemon(world):
    """Also what a daemon wrote that was killed before it could remove it."""
    write_config(world, A)
    world.start_fake("a1")
    world.start()
    wait_until(lambda: text(world), "the file")
    write_config(world, A, name="n.prom")
    wait_until(lambda: text(world, "n.prom") and not text(world), "the other file, and not the first")
    world.daemon.kill()
    world.daemon.wait()
    assert text(world, "n.prom")
    assert re.search(r'^metrics = "/.*/n\.prom";$', (world.state / "state").read_text(), re.M), "which postrm reads"
    write_config(world, A, name=None)
    world.start()
    wait_until(lambda: not text(world, "n.prom"), "the file of the daemon that was killed to go")
    write_config(world, A)
    wait_until(lambda: text(world), "the file")
    assert world.stop() == 0
    assert not text(world)


# m.prom cannot be removed while the other file is there.
NO_UNLINK = """
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int unlinkat(int dir, const char *path, int flags)
{
    if (strcmp(path, "m.prom") == 0 && access("%s", F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_unlinkat, dir, path, flags);
}
"""


@pytest.mark.parametrize("name", ["n.prom", None])
def test_one_that_cannot_be_removed_for_a_moment_goes_later(world, name):
    """Else its last figures would be shown as the current ones for ever: also by the next daemon."""
    cause = world.path / "cause"
    cause.touch()
    preload_calls(world, NO_UNLINK % cause)
    write_config(world, A)
    world.start_fake("a1")
    world.start()
    wait_until(lambda: text(world), "the file")
    assert world.stop() == 0
    assert text(world) and world.said("Cannot remove .*/m.prom, whose figures are out of date: Input/output error")
    write_config(world, A, name=name)
    world.start()
    wait_until(lambda: world.text().count("Cannot remove") == 2, "the next daemon to try")
    assert text(world) and not text(world, "n.prom")
    cause.unlink()
    wait_until(lambda: not text(world) and bool(text(world, "n.prom")) == bool(name), "the old file to go, and none but a new one to be there")
    assert world.text().count("Cannot remove") == 2


NO_RENAME = """
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
int renameat(int old_dir, const char *old, int dir, const char *path)
{
    if (strcmp(path, "m.prom") == 0) {
        errno = EROFS;
        return -1;
    }
    return (int)syscall(SYS_renameat2, old_dir, old, dir, path, 0);
}
"""


@pytest.mark.parametrize(("host", "words"), [("ro", "Read-only file system"), ("rw", "the sandbox of relayallocd does not let it write to")])
def test_why_it_cannot_be_written_is_said(world, host, words):
    """A disk that is read-only for all is no matter of our sandbox."""
    proc, _ = begin_with_own_proc(world, A)
    (proc / "1").mkdir()
    (proc / "1/mountinfo").write_text(f"1 0 0:1 / / {host} - ext4 x {host}\n")
    preload_calls(world, NO_RENAME)
    write_config(world, A)
    world.start()
    world.wait_said(f"Metrics: cannot write {world.path}/m.prom: {words}")
