"""Fixtures of the tests of relayallocctl that need neither root nor systemd: the program of the build (BUILD, default
build/), a private bus in place of the system's, and a stand-in for the daemon on it (mock.c)."""

import fcntl
import json
import os
import pathlib
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD") or REPO / "build").resolve()
CTL = BUILD / "relayallocctl"
MOCK = BUILD / "tests/ctl/mock"
NOW = int(time.time() * 1_000_000)
HOUR = 3_600_000_000

BUS_CONF = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={socket}</listen><auth>EXTERNAL</auth>
<servicedir>{services}</servicedir>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow eavesdrop="false"/>
<allow send_type="signal"/></policy></busconfig>
"""


class Done:
    """What a command printed and how it ended."""

    def __init__(self, status, out, err=""):
        self.status, self.out, self.err = status, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"<status {self.status}>\n{self.out}\n{self.err}"


class Ctl:
    """Runs relayallocctl, in an environment of its own."""

    def __init__(self, address, home):
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "DBUS_SYSTEM_BUS_ADDRESS": address,
            "ASAN_OPTIONS": "detect_leaks=1:exitcode=99",
            "TZ": "UTC",
        }

    def __call__(self, *arguments, stdin="", timeout=60, **environment):
        done = subprocess.run([CTL, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                              timeout=timeout, env={**self.environment, **environment})
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments, **environment):
        return subprocess.Popen([CTL, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env={**self.environment, **environment})

    def on_terminal(self, *arguments, columns=80, rows=50, keys="", timeout=60, **environment):
        """On a terminal of that size; both outputs come as one. `keys` are typed one by one, each when the program
        has become quiet."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        process = subprocess.Popen([CTL, *map(str, arguments)], stdin=follower, stdout=follower, stderr=follower,
                                   start_new_session=True, close_fds=True,
                                   preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
                                   env={"TERM": "xterm-256color", **self.environment, **environment})
        os.close(follower)
        out, left, deadline = b"", list(keys), time.monotonic() + timeout
        while True:
            assert time.monotonic() < deadline, f"does not end:\n{out.decode(errors='replace')}"
            readable, _, _ = select.select([leader], [], [], 0.3)
            if readable:
                try:
                    piece = os.read(leader, 65536)
                except OSError:
                    break
                if not piece:
                    break
                out += piece
            elif left:
                os.write(leader, left.pop(0).encode())
        os.close(leader)
        return Done(process.wait(timeout=10), out.decode(errors="replace").replace("\r\n", "\n"))


class Daemon:
    """The stand-in: its script is written by the test."""

    def __init__(self, address, folder):
        self.script = folder / "script"
        # It is no part of what is tested, and a look for leaks at its end costs more than all else that it does.
        self.environment = {"PATH": os.environ["PATH"], "DBUS_SYSTEM_BUS_ADDRESS": address, "ASAN_OPTIONS": "detect_leaks=0"}
        self.process = None

    def start(self):
        self.process = subprocess.Popen([MOCK, self.script], stdout=subprocess.PIPE, text=True, env=self.environment)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=10)
            self.process.stdout.close()
            self.process = None

    @staticmethod
    def text(relays=(), plan=(), errors=(), garbled=(), fields=(), untold=(), **properties):
        known = {"Version": "0.1.0", "ConfigPath": "/etc/relayalloc.conf", "ConfigError": "", "ConfigWarnings": "",
                 "StateError": "", "Rollout": "idle",
                 "RolloutReason": "", "RolloutResult": "none", "Window": "", "Gate": ""}
        numbers = {"ConfigLoaded": NOW - HOUR, "RolloutID": 0, "RolloutStarted": 0, "RolloutEnds": 0, "WindowOpens": 0, "PlanEnds": 0}
        small = dict.fromkeys(["Relays", "RelaysOk", "RelaysPending", "RelaysBusy", "RelaysFailed", "RelaysDrifted",
                               "RelaysDown", "RelaysStopped", "RelaysObserved", "RolloutWave", "RolloutWaves", "RolloutTotal",
                               "RolloutDone", "RolloutFailed"], 0)
        lines = []
        flags, lists = {"ConfigChanged": 0, "ConfigWaits": 0, "RolloutPaused": 0}, {"HostSettings": "", "NotPutBack": ""}
        for kind, values in (("s", known), ("t", numbers), ("u", small), ("b", flags), ("a", lists)):
            for name, value in values.items():
                value = str(properties.pop(name, value)).replace("\n", "\\n")
                lines.append(["property", name, kind, value])
        assert not properties, f"no such property: {properties}"
        lines += [["relay", *map(str, relay)] for relay in relays]
        lines += [["plan", *map(str, item)] for item in plan]
        lines += [["error", *error] for error in errors]
        lines += [["garble", method] for method in garbled]
        lines += [["field", *map(str, field)] for field in fields]
        lines += [["untold", name] for name in untold]
        return "".join("\t".join(field.replace("\n", "\\n") for field in line) + "\n" for line in lines)

    def write(self, text, to=None):
        where = to or self.script
        temporary = where.with_name(where.name + ".new")
        temporary.write_text(text)
        temporary.rename(where)

    def says(self, *arguments, **properties):
        self.write(self.text(*arguments, **properties))
        if not self.process:
            self.start()

    def says_after(self, method, *arguments, **properties):
        """From the call of that method on."""
        self.write(self.text(*arguments, **properties), self.script.with_name(f"script.after-{method}"))

    def changes(self, *arguments, **properties):
        """From now on, with the signal."""
        self.says(*arguments, **properties)
        self.process.send_signal(signal.SIGUSR1)

    @property
    def calls(self):
        noted = self.script.with_name("script.calls")
        return noted.read_text().splitlines() if noted.exists() else []


def relay(name, state="ok", group="A", assigned="mimalloc", running="mimalloc", version="2.0.9", rss=100 << 20,
          peak=120 << 20, since=None, reason=""):
    """Started two hours before it is called, so that tables say "2h ago" however long all tests take."""
    since = int(time.time() * 1_000_000) - 2 * HOUR if since is None else since
    return (name, group, assigned, running, version, state, rss, peak, since, reason)


def wait_until(condition, timeout=20, what=lambda: ""):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what()}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """A bus where everybody may do everything."""
    folder = tmp_path_factory.mktemp("bus")
    socket = folder / "socket"
    services = folder / "services"
    services.mkdir()
    # It can be activated, like the real one; what that does is only noted.
    (services / "org.relayalloc1.service").write_text(
        f"[D-BUS Service]\nName=org.relayalloc1\nExec=/bin/touch {folder}/activated\nUser=root\n")
    (folder / "bus.conf").write_text(BUS_CONF.format(socket=socket, services=services))
    process = subprocess.Popen(["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--print-address"],
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline()
    yield f"unix:path={socket}"
    process.terminate()
    process.wait(timeout=10)


@pytest.fixture
def activated(address):
    """Exists when the bus was asked to start the daemon."""
    path = pathlib.Path(address.removeprefix("unix:path=")).with_name("activated")
    path.unlink(missing_ok=True)
    return path


@pytest.fixture
def ctl(address, tmp_path):
    """With a bus, on which nobody is but the test's own daemon."""
    return Ctl(address, tmp_path)


@pytest.fixture
def no_bus(tmp_path):
    return Ctl(f"unix:path={tmp_path}/no-such-bus", tmp_path)


@pytest.fixture
def daemon(address, tmp_path):
    d = Daemon(address, tmp_path)
    yield d
    d.stop()


@pytest.fixture
def fleet(daemon):
    """A daemon with one relay in each state."""
    daemon.says([
        relay("done"), relay("drifter", "drifted", running="glibc", version="2.36", reason="overridden by /etc/x.conf"),
        relay("fails", "failed", group="B", assigned="tcmalloc", running="glibc", reason="it crashed"),
        relay("settler", "settling"), relay("starter", "restarting", running="", version="", rss=0, peak=0, since=0),
        relay("stands", "stopped", running="", version="", rss=0, peak=0, since=0),
        relay("waits", "pending", running="glibc", version="2.36"),
        relay("watched", "observed", group="", assigned="", running="glibc", version="2.36"),
    ], Relays=8, RelaysOk=1, RelaysPending=1, RelaysBusy=2, RelaysFailed=1, RelaysDrifted=1, RelaysStopped=1,
        RelaysObserved=1)
    return daemon
