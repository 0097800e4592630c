"""Users who mean ill, on a real bus with our policy: a rollout continues, and root can control it."""

import json
import subprocess

import pytest

from machine import REPO

RELAYS = 2
CALL = "busctl call --timeout=10 org.relayalloc1 /org/relayalloc1 org.relayalloc1.Manager "
NOBODY = "setpriv --reuid=65534 --regid=65534 --clear-groups "
BUS = "unix:path=/run/dbus/system_bus_socket"
# The queue that dbus-daemon has for a connection holds 127 MiB, which takes a while to fill.
LIMITS = ("<!DOCTYPE busconfig PUBLIC '-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN' "
          "'http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd'>\n"
          "<busconfig><limit name='max_outgoing_bytes'>8000000</limit></busconfig>\n")


@pytest.fixture(scope="module")
def hostile(machine, tmp_path_factory):
    built = tmp_path_factory.mktemp("hostile") / "hostile"
    subprocess.run(["gcc", "-O1", "-std=gnu11", "-D_GNU_SOURCE", f"-I{REPO}/daemon", "-o", built, REPO / "tests/bus/hostile.c",
                    REPO / "daemon/core/util.c", "-lsystemd"], check=True)
    target = machine.path("/usr/local/bin/hostile")
    target.write_bytes(built.read_bytes())
    target.chmod(0o755)

    def run(method, uid=65534, seconds=60, **wanted):
        """Begins it as that user; ended by `systemctl stop hostile`, or waited for."""
        options = " ".join(f"{name}={value}" for name, value in {"seconds": seconds, **wanted}.items())
        machine.sh(f"systemd-run -q --unit=hostile --collect sh -c 'hostile {BUS} {uid} {method} {options} >/run/hostile'")
    return run


@pytest.fixture
def small_queue(fresh):
    reload = "busctl call org.freedesktop.DBus / org.freedesktop.DBus ReloadConfig"
    fresh.write("/etc/dbus-1/system-local.conf", LIMITS)
    fresh.sh(reload)
    yield fresh
    fresh.run("systemctl stop hostile")
    fresh.path("/etc/dbus-1/system-local.conf").unlink()
    fresh.sh(reload)


def test_a_flood_stops_neither_root_nor_the_rollout(small_queue, hostile):
    m = small_queue
    m.start_daemon()
    m.wait_all("observed")
    hostile("Revert", size=4 << 20, connections=12, in_flight=4, calls=1000000, seconds=600)
    m.wait_until(lambda: "full message queue" in m.run(CALL + "ListRelays").stderr, 30, "the queue to be full")
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')], settle=1))
    m.sh("relayallocctl reload")
    for _ in range(5):
        assert m.run("timeout 5 relayallocctl pause").returncode == 0
        assert m.run("timeout 5 relayallocctl resume").returncode in (0, 1)  # 1: it is over
        assert m.run("timeout 5 relayallocctl list").returncode in (0, 3)
    m.wait_all("ok")
    assert {m.allocator_in_maps(relay) for relay in m.names} == {"jemalloc"}
    assert m.is_active("hostile") and m.prop("relayallocd", "NRestarts") == "0"
    peak = int(m.read(f"/proc/{m.prop('relayallocd', 'MainPID')}/status").split("VmHWM:")[1].split()[0])
    assert m.sanitize or peak < 60 << 10  # KiB


def test_nobody_but_root_reaches_the_name_for_root(fresh):
    m = fresh
    m.start_daemon()
    control = CALL.replace("org.relayalloc1 /", "org.relayalloc1.Control /")
    assert m.run(control + "ListRelays").returncode == 0
    owner = json.loads(m.sh("busctl --json=short call org.freedesktop.DBus / org.freedesktop.DBus GetNameOwner s "
                            "org.relayalloc1.Control"))["data"][0]
    for call in (control, CALL.replace("org.relayalloc1 /", owner + " /")):
        denied = m.run(NOBODY + call + "ListRelays")
        assert denied.returncode != 0 and "denied" in denied.stderr.lower()
    assert m.run(NOBODY + CALL + "ListRelays").returncode == 0
    own = "busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus RequestName su org.relayalloc1.Control 0"
    assert "denied" in m.run(NOBODY + own).stderr.lower()


# A process of the relay's own unit that tells systemd of one main process and of another, as fast as it can.
FLAP = """
use Socket;
my ($seconds, $tor) = @ARGV;
my $to = sockaddr_un($ENV{NOTIFY_SOCKET});
socket(my $s, PF_UNIX, SOCK_DGRAM, 0) or die;
my $end = time + $seconds;
while (time < $end) {
    foreach my $pid ($$, $tor) {
        send($s, "MAINPID=$pid\\nSTATUS=" . ++$n, 0, $to);
        select(undef, undef, undef, 0.001);
    }
}
"""


def cpu_seconds(m, unit):
    fields = m.read(f"/proc/{m.prop(unit, 'MainPID')}/stat").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


@pytest.fixture
def flapping(fresh):
    """relay1 flaps for 15 s when /run/flap-now comes to be."""
    m = fresh
    m.write("/run/flap.pl", FLAP)
    m.write("/run/flap", "while [ ! -e /run/flap-now ]; do sleep 0.2; done\nexec env -u LD_PRELOAD perl /run/flap.pl 15 $1\n")
    m.write("/etc/systemd/system/tor@relay1.service.d/flap.conf",
            "[Service]\nNotifyAccess=all\nExecStartPost=/bin/sh -c 'sh /run/flap $MAINPID >/dev/null 2>&1 &'\n")
    m.systemctl("daemon-reload")
    yield m
    m.run("rm -f /run/flap-now; pkill -x perl")


def test_a_relay_that_flaps_its_notify_messages(flapping, figures):
    m = flapping
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')], interval=60))
    m.start_daemon()
    m.wait_all("ok", timeout=90)
    tor, seen = m.pid("relay1"), set()
    m.mark()
    ours, systemd = cpu_seconds(m, "relayallocd"), m.path("/proc/1/stat")
    before = sum(map(int, systemd.read_text().rsplit(")", 1)[1].split()[11:13]))
    m.sh("touch /run/flap-now")
    m.wait_until(lambda: seen.add(m.pid("relay1")) or len(seen) > 1, 10, "relay1 to flap")
    m.wait_until(lambda: not m.run("pgrep -x perl").stdout, 40, "relay1 to be quiet again")
    ours = cpu_seconds(m, "relayallocd") - ours
    theirs = (sum(map(int, systemd.read_text().rsplit(")", 1)[1].split()[11:13])) - before) / 100
    told = len(m.events("relay-verified", "relay-drifted", relay="relay1"))
    figures(f"a relay flaps for 15 s: {told} entries about it, {ours:.2f} s of CPU (systemd: {theirs:.2f} s)")
    assert told <= 7 and (ours < theirs / 2 or m.sanitize)
    # How it ends is what is shown, and the other relay is as ever.
    m.wait_all("ok")
    assert m.pid("relay1") == tor and m.allocator_in_maps("relay1") == "jemalloc"
    assert all(m.starts(relay) == 0 for relay in m.names)
