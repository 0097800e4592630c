"""A private bus, a scripted systemd on it, and the real relayallocd between them. Needs no root."""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import dbus
import dbus.bus
import pytest

HERE = pathlib.Path(__file__).parent
BUILD = pathlib.Path(os.environ.get("BUILD", HERE.parent.parent / "build")).resolve()


def wait_until(condition, what, timeout=60.0):
    deadline = time.monotonic() + timeout
    while True:
        try:
            value = condition()
        except dbus.DBusException as e:  # the daemon has not taken its name yet, or not asked for all relays
            if e.get_dbus_name() not in ("org.freedesktop.DBus.Error.ServiceUnknown", "org.relayalloc1.Error.NotRead"):
                raise
            value = None
        if value:
            return value
        assert time.monotonic() < deadline, f"waited {timeout} s for {what}"
        time.sleep(0.02)


def of_process(pid, file):
    """A file of /proc, as bytes; nothing of a process that has ended in the meantime."""
    try:
        return pathlib.Path(f"/proc/{pid}/{file}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


class World:
    def __init__(self, path):
        self.path = path
        self.root, self.state, self.instances = path / "system", path / "state", path / "instances"
        for d in (self.root, self.state, self.instances):
            d.mkdir()
        self.config = path / "relayalloc.conf"
        self.log = path / "log"
        self.daemon = self.fake = self.holder = None
        self.daemons = []
        self.made_ready = 0  # how often READY=1 had come when the daemon was started
        self.inside, self.environment = [], {}
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(path / "notify"))
        self.notified = []
        self.limits = ""  # of the bus, for its next start
        threading.Thread(target=self.read_notify, daemon=True).start()
        self.start_bus()

    def start_bus(self, address=None):
        config = self.path / "bus.conf"
        config.write_text(
            "<busconfig><type>custom</type><listen>%s</listen><auth>EXTERNAL</auth><policy context='default'><allow user='*'/>"
            "<allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/></policy>%s</busconfig>"
            % (address or f"unix:path={self.path}/bus", self.limits))
        self.bus_process = subprocess.Popen(["dbus-daemon", f"--config-file={config}", "--print-address", "--nofork"],
                                            stdout=subprocess.PIPE, stderr=open(self.path / "bus.log", "a"), text=True)
        self.address = self.bus_process.stdout.readline().strip().split(",")[0]

    def restart_bus(self):
        """The bus disappears with everything in progress on it; systemd comes back to the new one by itself."""
        self.bus_process.kill()
        self.bus_process.wait()
        (self.path / "bus").unlink(missing_ok=True)
        self.wait_said("Lost the connection to the system bus")
        self.start_bus()

    def own_folder(self):
        """One that is root's all the way from /, as that of a library must be: on a mount that only the daemon and the
        relays see, so it is asked for before they start. Returns the folder as they see it, and as the test does."""
        if os.geteuid() != 0:
            pytest.skip("only root can have a folder in which libraries are accepted")
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c",
                                        "mount -t tmpfs -o mode=0755 tmpfs /mnt && echo ready && exec sleep infinity"],
                                       stdout=subprocess.PIPE, text=True)
        assert self.holder.stdout.readline() == "ready\n"
        self.inside = ["nsenter", f"--mount=/proc/{self.holder.pid}/ns/mnt", "--"]
        return pathlib.Path("/mnt"), pathlib.Path(f"/proc/{self.holder.pid}/root/mnt")

    def start_fake(self, *relays):
        for relay in relays:
            self.add_instance(relay)
        self.relays = relays
        self.fake = subprocess.Popen([*self.inside, "/usr/bin/python3", HERE / "fake_systemd1.py", self.address, self.root, *relays],
                                     stdout=subprocess.PIPE, text=True)
        assert self.fake.stdout.readline() == "ready\n"

    def add_instance(self, relay):
        (self.instances / relay).mkdir(exist_ok=True)
        (self.instances / relay / "torrc").touch()

    def remove_instance(self, relay):
        shutil.rmtree(self.instances / relay)

    def do(self, what, **arguments):
        bus = dbus.bus.BusConnection(self.address)
        try:
            control = bus.get_object("org.relayalloc.Test", "/test", introspect=False)
            return json.loads(control.Do(json.dumps({"do": what, **arguments}), dbus_interface="org.relayalloc.Test"))
        finally:
            bus.close()

    def unit(self, relay):
        return self.do("look")["units"][f"tor@{relay}.service"]

    def script(self, relay, *steps):
        self.do("script", unit=f"tor@{relay}.service", steps=steps)

    def write_config(self, groups, rollout="settle = 0; canary = 0;"):
        text = f'instances_dir = "{self.instances}";\ngroups = ({groups});\nrollout = {{ {rollout} }};\n'
        temporary = self.config.with_suffix(".new")
        temporary.write_text(text)
        temporary.rename(self.config)

    def start(self):
        env = {"PATH": os.environ["PATH"], "DBUS_SYSTEM_BUS_ADDRESS": self.address,
               "RELAYALLOC_DROPIN_ROOT": str(self.root), "RELAYALLOC_STATE_DIR": str(self.state),
               "NOTIFY_SOCKET": str(self.path / "notify"),
               "ASAN_OPTIONS": "exitcode=99:detect_leaks=1", **self.environment}
        self.made_ready = self.notified.count("READY=1")
        self.daemon = subprocess.Popen([*self.inside, BUILD / "relayallocd", f"--config={self.config}", "--log-target=console"],
                                       stderr=open(self.log, "a"), env=env)
        self.daemons.append(self.daemon)

    def stop(self, sig=signal.SIGTERM):
        if self.daemon and self.daemon.poll() is None:
            self.daemon.send_signal(sig)
            self.daemon.wait(30)
        return self.daemon.returncode if self.daemon else 0

    def wait_ready(self, times=1):
        """READY=1 comes when all relays have been looked at and the first plan has been made."""
        wait_until(lambda: self.notified.count("READY=1") >= times, f"READY=1, {times} times")

    def read_notify(self):
        """What systemd is told; it must be read, or the daemon would wait until it is."""
        while message := self.notify.recv(65536):
            self.notified += message.decode().split("\n")

    def text(self):
        return self.log.read_text() if self.log.exists() else ""

    def said(self, pattern):
        return re.search(pattern, self.text())

    def wait_said(self, pattern, timeout=60.0):
        return wait_until(lambda: self.said(pattern), f"the log to say {pattern!r}", timeout)

    def manager(self, method, *arguments, **kw):
        bus = dbus.bus.BusConnection(self.address)
        try:
            manager = bus.get_object("org.relayalloc1", "/org/relayalloc1", introspect=False)
            return getattr(manager, method)(*arguments, dbus_interface="org.relayalloc1.Manager", **kw)
        finally:
            bus.close()

    def property(self, name):
        bus = dbus.bus.BusConnection(self.address)
        try:
            manager = bus.get_object("org.relayalloc1", "/org/relayalloc1", introspect=False)
            return manager.Get("org.relayalloc1.Manager", name, dbus_interface="org.freedesktop.DBus.Properties")
        finally:
            bus.close()

    def owner(self, name):
        bus = dbus.bus.BusConnection(self.address)
        try:
            return str(bus.get_name_owner(name))
        finally:
            bus.close()

    def states(self):
        return {str(r[0]): str(r[5]) for r in self.manager("ListRelays")}

    def reason(self, relay):
        bus = dbus.bus.BusConnection(self.address)
        try:
            path = self.manager("GetRelay", relay)
            return str(bus.get_object("org.relayalloc1", path, introspect=False)
                       .Get("org.relayalloc1.Relay", "Reason", dbus_interface="org.freedesktop.DBus.Properties"))
        finally:
            bus.close()

    def dropin(self, relay):
        path = self.root / f"tor@{relay}.service.d" / "zz-relayalloc.conf"
        try:
            return path.read_text()
        except FileNotFoundError:
            return None

    def runs(self, relay, library):
        pid = self.unit(relay)["pid"]
        return bool(pid) and library.encode() in of_process(pid, "maps")

    def close(self):
        """Ends all of it, however far it came; what the daemon said of its end is judged."""
        code, hung = 0, False
        try:
            code = self.stop()
        except subprocess.TimeoutExpired:
            hung = True
        for p in (*self.daemons, self.fake, self.bus_process, self.holder):
            if p and p.poll() is None:
                p.kill() if p in self.daemons else p.terminate()
                p.wait(60)
        self.notify.shutdown(socket.SHUT_RDWR)
        text = self.log.read_text() if self.log.exists() else ""
        assert not hung, f"relayallocd did not end:\n{text}"
        assert "Sanitizer" not in text and "runtime error" not in text, text
        # Until it has begun to serve nothing waits for SIGTERM; a test that fails meanwhile is to be told by its own error.
        begun = self.notified.count("READY=1") > self.made_ready
        assert code in (0, -signal.SIGKILL) or (code == -signal.SIGTERM and not begun), f"relayallocd ended with {code}:\n{text}"


# ---- all worlds wait most of the time: some tests at once, each in its own ----

WORLDS = int(os.environ.get("WORLDS", "4"))


def in_a_world(item):
    path = pathlib.Path(tempfile.mkdtemp(prefix="relayalloc-bus-"))
    world = World(path)
    try:
        item.function(world=world, **(item.callspec.params if hasattr(item, "callspec") else {}))
    except pytest.skip.Exception:
        raise
    except BaseException as e:
        raise AssertionError(f"{type(e).__name__}: {e}\n--- the daemon's log ---\n{world.text()}") from e
    finally:
        world.close()
        shutil.rmtree(path, ignore_errors=True)


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: begun before all others")


def pytest_collection_finish(session):
    if session.config.option.collectonly:
        return
    session.config.worlds = concurrent.futures.ThreadPoolExecutor(WORLDS)
    for item in sorted(session.items, key=lambda i: i.get_closest_marker("slow") is None):
        item.outcome_in_world = session.config.worlds.submit(in_a_world, item)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    pyfuncitem.outcome_in_world.result()
    return True


def pytest_sessionfinish(session):
    if worlds := getattr(session.config, "worlds", None):
        worlds.shutdown(wait=True, cancel_futures=True)


@pytest.fixture
def world():
    """Made by in_a_world()."""
