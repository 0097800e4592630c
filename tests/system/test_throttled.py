"""Two groups of four relays that pass traffic in a Tor network of their own: one throttled to half of the other shows in
the report, twins do not, and its flags are those that tor tells. It takes minutes, so it has a target of its own:
make check-traffic."""

import contextlib
import json
import subprocess
import sys
import time

import pytest

from network import Network

RELAYS = 8
DAY = 8  # seconds
KB = 1024
FLAGS = {"Guard", "HSDir", "Running", "Fast", "Stable"}
# Asks each port for descriptors as fast as it gets them, by three connections at a time.
LOAD = """
import sys, threading, urllib.request
def load(port):
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/tor/server/all", timeout=30) as answer:
                answer.read()
        except OSError:
            pass
for port in sys.argv[1:]:
    for _ in range(3):
        threading.Thread(target=load, args=(port,), daemon=True).start()
threading.Event().wait()
"""


@pytest.fixture(scope="module")
def network(machine):
    machine.reset()
    return Network(machine)


def dir_port(m, name):
    return 9100 + m.names.index(name)


def groups_of(m):
    half = len(m.names) // 2
    return {"A": m.names[:half], "Z": m.names[half:]}


@contextlib.contextmanager
def traffic(m):
    ports = [str(dir_port(m, name)) for name in m.names]
    load = subprocess.Popen(["nsenter", "-t", str(m.leader), "-n", sys.executable, "-c", LOAD, *ports],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        load.kill()
        load.wait()


def report_of(net, m, rates, days=6):
    """The report by group over so many days of traffic of every relay, with these limits (bytes a second)."""
    groups = groups_of(m)
    for group, names in groups.items():
        for name in names:
            net.configure(name, f"DirPort 127.0.0.1:{dir_port(m, name)}", f"RelayBandwidthRate {rates[group]} bytes",
                          f"RelayBandwidthBurst {rates[group]} bytes")
    m.sh("systemctl restart " + " ".join(m.unit(r) for r in m.names))
    net.wait_bootstrapped()
    m.write("/etc/systemd/system/relayallocd.service.d/80-day.conf", f"[Service]\nEnvironment=RELAYALLOC_DAY={DAY}\n")
    m.write_conf(m.settings([(g, "glibc", "relays = [ " + ", ".join(f'"{n}"' for n in names) + " ]")
                             for g, names in groups.items()]))
    m.systemctl("daemon-reload")
    with traffic(m):
        time.sleep(2)
        m.mark()
        m.start_daemon()
        # The first day of each began with its process, before there was any traffic.
        m.wait_until(lambda: all(len(m.events("relay-traffic", relay=n)) > 1 for n in m.names), 120, "the first days")
        since = time.time()
        m.wait_until(lambda: all(len(m.events("relay-traffic", relay=n)) > 1 + days for n in m.names), 240, "more days")
        m.sh("journalctl --sync")
        return json.loads(m.sh(f"relayallocctl report --by=group --baseline=Z --warmup=0 --since=@{since:.0f} --json=short"))


def row_of(report, group):
    return next(row for row in report["rows"] if row["group"] == group)


def test_half_shows(network, fresh):
    report = report_of(network, fresh, {"A": 100 * KB, "Z": 200 * KB})
    found = row_of(report, "A")["traffic"]
    low, high = found["interval"]
    assert low < found["difference"] < high < 0 and -0.7 < found["difference"] < -0.3, found
    assert "bandwidth differs by -" in row_of(report, "A")["cost"]
    check_flags(network, fresh)


def test_twins_do_not(network, fresh):
    found = row_of(report_of(network, fresh, {"A": 200 * KB, "Z": 200 * KB}), "A")["traffic"]
    low, high = found["interval"]
    # One interval of twenty misses zero; those of twins that are held at one rate are narrow, and miss it by little.
    assert low < 0.02 and high > -0.02 and abs(found["difference"]) < 0.1, found


def check_flags(net, m):
    """What tor tells by hand, what stands in the journal, and what the report makes of it."""
    def told(name):
        entry = net.ask(name, f"ns/id/{net.ask(name, 'fingerprint').strip()}") or ""
        line = next((line for line in entry.splitlines() if line.startswith("s ")), "s")
        return set(line.split()[1:])

    def three():
        logged = {}
        for e in m.events("sample-relay"):
            if "RELAYALLOC_FLAGS" in e:
                logged[e["RELAYALLOC_RELAY"]] = set(filter(None, e["RELAYALLOC_FLAGS"].split(",")))
        report = json.loads(m.sh("relayallocctl report --by=group --warmup=0 --json=short"))
        members = {x["relay"]: set(x["flags"]) for row in report["rows"] for x in row["members"]}
        return [(told(n), logged.get(n), members.get(n)) for n in m.names]

    m.wait_until(lambda: all(a and a == b and a & FLAGS == c for a, b, c in three()), 60, "the flags to be the same",
                 three)
