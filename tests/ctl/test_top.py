"""top on a real terminal emulator (tmux)."""

import fcntl
import os
import pty
import re
import shlex
import signal
import struct
import subprocess
import termios
import uuid

import pytest

from conftest import CTL, HOUR, NOW, relay, wait_until


class Screen:
    def __init__(self, ctl, arguments, columns, rows):
        self.socket = f"relayalloc-{uuid.uuid4().hex[:8]}"
        self.environment = ctl.environment
        command = " ".join(["exec", "env", *(f"{k}={shlex.quote(v)}" for k, v in ctl.environment.items()), str(CTL), *arguments])
        self.tmux("-f", "/dev/null", "-u", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                  f"sh -c {shlex.quote(command + '; ')}; echo \"ended: $?\"; sleep 1000", ";", "set", "-g", "status", "off")

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-L", self.socket, *arguments], check=True, capture_output=True, text=True,
                              env={**self.environment, "LC_ALL": "C.UTF-8"}).stdout

    @property
    def lines(self):
        return self.tmux("capture-pane", "-p").splitlines()

    def has(self, pattern):
        wait_until(lambda: re.search(pattern, "\n".join(self.lines), re.M), what=lambda: "\n".join(self.lines))
        return self.lines

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def close(self):
        self.tmux("kill-server")


@pytest.fixture
def screen(ctl):
    opened = []

    def show(*arguments, columns=100, rows=12):
        opened.append(Screen(ctl, arguments, columns, rows))
        return opened[-1]

    yield show
    for s in opened:
        s.close()


def names(lines):
    return [line.split()[0] for line in lines[4:] if line.strip()]


FLEET = [relay("a", running="jemalloc-tuned", rss=10 << 20, peak=90 << 20, since=NOW - 2 * HOUR),
         relay("b", "drifted", group="Z", running="glibc", rss=30 << 20, since=NOW - 2 * HOUR),
         relay("c" * 30, rss=20 << 20, since=NOW - 100 * HOUR), relay("d", "stopped", running="", version="", rss=0,
                                                                     peak=0, since=0)]


def test_shows_and_sorts(daemon, screen):
    daemon.says(FLEET, Rollout="running", RolloutDone=3, RolloutTotal=9, RolloutFailed=1)
    s = screen("top", columns=130)
    lines = s.has("^RELAY")
    assert lines[0].strip() == "4 relays: 2 ok, 1 drifted, 1 stopped"
    assert lines[1].strip() == "60.0 MiB resident; rollout running: 3 of 9 moved, 1 failed; h: keys"
    assert lines[3].split() == ["RELAY", "GROUP", "RUNNING", "VERSION", "STATE", "RSS", "PEAK", "SINCE", "READY",
                                "LAST", "HOUR"]
    assert names(lines) == ["b", "c" * 30, "a", "d"]
    assert "jemalloc-tuned 2.0.9" in lines[6]
    assert lines[4].split()[:7] == ["b", "Z", "glibc", "2.0.9", "drifted", "30.0", "MiB"]
    assert lines[4].rstrip()[-1] in "▁▂▃▄▅▆▇█" and lines[7].split() == ["d", "A", "-", "-", "stopped", "-", "-", "-", "-"]
    for key, order in (("n", "abcd"), ("p", "bcad"), ("g", "acdb"), ("s", "bacd"), ("t", "abcd"), ("m", "bcad"), ("r", "dacb")):
        s.keys(key)
        wait_until(lambda: "".join(n[0] for n in names(s.lines)) == order, what=lambda: f"{key}: {s.lines}")
    s.keys("h")
    s.has("q: quit")
    s.keys("x")
    s.has("^RELAY")
    s.keys("q")
    s.has("^ended: 0")


def test_what_relays_say_of_themselves(daemon, screen):
    """In a wide window; traffic by the day alone, and not from the daemon."""
    daemon.says([relay("a"), relay("b")], fields=[
        ("a", "Ready", "b", 1), ("a", "Bootstrap", "s", "100 % (done)"), ("a", "Flags", "s", "Fast,Guard"),
        ("b", "Ready", "b", 0), ("b", "Bootstrap", "s", "45 % (loading descriptors)"), ("b", "Flags", "s", "")])
    s = screen("top", columns=170)
    lines = s.has("^RELAY")
    assert lines[3].split()[-5:] == ["READY", "TRAFFIC/DAY", "FLAGS", "LAST", "HOUR"]
    assert s.has("^a .* yes +- Fast,Guard ") and s.has("^b .* 45 % .* - - ")
    for key, order in (("b", "ba"), ("f", "ba"), ("n", "ab"), ("d", "ab")):
        s.keys(key)
        wait_until(lambda: "".join(names(s.lines)) == order, what=lambda: f"{key}: {s.lines}")


def test_is_live(daemon, screen):
    daemon.says(FLEET)
    s = screen("top")
    s.has("^b .*30.0 MiB")
    daemon.says([relay("b", rss=50 << 20), relay("new", "pending")])
    lines = s.has("^b .*50.0 MiB")
    assert names(lines) == ["new", "b"] and "2 relays" in lines[0]
    daemon.stop()
    s.has("relayallocd is not running")
    assert names(s.lines) == ["new", "b"]
    daemon.start()
    s.has("^2 relays")


def test_forty_columns_and_resizing(daemon, screen):
    daemon.says(FLEET)
    s = screen("top", columns=40)
    lines = s.has("^RELAY")
    assert lines[3].split() == ["RELAY", "RUNNING", "STATE", "RSS"]
    assert all(len(line) <= 40 for line in lines) and "cccccccc…" in lines[5]
    s.resize(160, 30)
    lines = s.has("LAST HOUR")
    assert names(lines)[1] == "c" * 30 and "SINCE" in lines[3]
    s.resize(12, 5)
    wait_until(lambda: max(map(len, s.lines)) <= 12 and s.lines[3].startswith("RELAY"), what=lambda: s.lines)
    s.resize(40, 10)
    s.has("^RELAY.*STATE")
    s.keys("q")
    s.has("^ended: 0")


def test_scrolls(daemon, screen):
    daemon.says([relay(f"r{i:03}", rss=(1000 - i) << 20) for i in range(200)])
    s = screen("top", rows=14)
    assert names(s.has("^RELAY")) == [f"r{i:03}" for i in range(10)]
    for key, first in (("Down", 1), ("NPage", 11), ("End", 190), ("Down", 190), ("Up", 189), ("PPage", 179), ("Home", 0),
                       ("Up", 0), ("PPage", 0)):
        s.keys(key)
        wait_until(lambda: names(s.lines)[0] == f"r{first:03}", what=lambda: f"{key}: {s.lines}")


@pytest.mark.parametrize("n", [0, 1])
def test_small_fleets(daemon, screen, n):
    daemon.says([relay("a")] * n)
    s = screen("top")
    s.has(f"^{n} relay")
    s.keys("End")
    s.keys("q")
    s.has("^ended: 0")


def test_a_terminal_that_cannot(ctl, daemon):
    daemon.says(FLEET)
    done = ctl.on_terminal("top", TERM="no-such-terminal")
    assert done.status == 2 and "TERM=no-such-terminal" in done.out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_the_terminal_as_it_was(ctl, daemon, number):
    daemon.says(FLEET)
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 100, 0, 0))
    before = termios.tcgetattr(follower)
    process = subprocess.Popen([CTL, "top"], stdin=follower, stdout=follower, stderr=follower, start_new_session=True,
                               env={"TERM": "xterm-256color", **ctl.environment},
                               # what runs the tests in the background may ignore it, which is inherited
                               preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    out = b""
    while b"LAST HOUR" not in out:
        out += os.read(leader, 65536)
    assert termios.tcgetattr(follower)[3] != before[3]
    process.send_signal(number)
    process.wait(timeout=20)
    out = os.read(leader, 65536)
    assert termios.tcgetattr(follower) == before and b"\033[?1049l" in out
    os.close(leader)
    os.close(follower)
