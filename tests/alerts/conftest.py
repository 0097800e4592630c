"""A booted machine with the daemon, node exporter and Prometheus, whose rules fire after a second. Of Debian 13: its mimalloc is one that
grows under tor."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).parent.parent.parent
sys.path.insert(0, str(REPO / "tests/system"))
from machine import Machine  # noqa: E402

RULES = REPO / "packaging/prometheus/relayalloc.rules.yml"
ADDRESS = "10.98.0.2"
VERSION = re.search(r"^VERSION := (\S+)$", (REPO / "Makefile").read_text(), re.M)[1]
OTHER_VERSION = re.sub(r"\d", "9", VERSION)  # as long: it replaces it in the program
COLLECTED = "/var/lib/prometheus/node-exporter"
CONFIG = """global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ relayalloc.rules.yml ]
scrape_configs: [ { job_name: node, file_sd_configs: [ { files: [ hosts.json ] } ] } ]
"""


def impatient(rules):
    """Each alert after a second, and samples that are seconds old are too old."""
    rules, n = re.subn(r"^        for: \w+$", "        for: 1s", rules, flags=re.M)
    assert n > 0
    return rules.replace("_seconds + 60\n", "_seconds + 5\n")


class Monitor:
    def __init__(self, machine):
        self.machine = machine

    def alerts(self):
        """{(alert, relay or "")} that fire."""
        done = self.machine.run(["promtool", "query", "instant", "http://127.0.0.1:9090", 'ALERTS{alertstate="firing"}'])
        assert done.returncode == 0, done.stderr
        found = set()
        for line in filter(None, done.stdout.splitlines()):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            found.add((labels["alertname"], labels.get("relay", "")))
        return found

    def wait(self, *alerts):
        """Until these fire and no others: a relay's as (alert, relay)."""
        wanted = {a if isinstance(a, tuple) else (a, "") for a in alerts}
        self.machine.wait_until(lambda: self.alerts() == wanted, 300, f"{wanted} to fire, and nothing else", lambda: str(self.alerts()))


    def hosts(self, *targets):
        """Whom Prometheus asks."""
        self.machine.write("/etc/prometheus/hosts.json", json.dumps([{"targets": targets}]))


def start_exporter(m, address):
    m.sh(f"mkdir -p {COLLECTED}")
    m.sh("systemd-run -q --unit=node-exporter /usr/local/bin/prometheus-node-exporter --collector.disable-defaults "
         f"--collector.textfile --collector.textfile.directory={COLLECTED} --web.listen-address={address}:9100")


@pytest.fixture(scope="module")
def tools():
    return pathlib.Path(subprocess.run([REPO / "tests/prometheus/tools", "prometheus-node-exporter"], check=True, capture_output=True,
                                       text=True).stdout.strip())


@pytest.fixture(scope="module")
def machine(tools):
    m = Machine.boot(f"alerts-{os.getpid()}", "trixie", 3)
    try:
        m.install()
        for name in ("prometheus", "promtool", "prometheus-node-exporter"):
            shutil.copy(tools / name, m.path(f"/usr/local/bin/{name}"))
        m.write("/etc/prometheus/prometheus.yml", CONFIG)
        m.write("/etc/prometheus/relayalloc.rules.yml", impatient(RULES.read_text()))
        Monitor(m).hosts("127.0.0.1:9100")
        start_exporter(m, "127.0.0.1")
        m.sh("systemd-run -q --unit=prometheus /usr/local/bin/prometheus --config.file=/etc/prometheus/prometheus.yml "
             "--storage.tsdb.path=/var/tmp/prometheus --web.listen-address=127.0.0.1:9090")
        m.wait_until(lambda: m.run("promtool query instant http://127.0.0.1:9090 up").returncode == 0, 60, "Prometheus")
        yield m
    finally:
        m.stop()


@pytest.fixture
def monitor(machine):
    """All relays run jemalloc, and nothing is told."""
    machine.reset()
    machine.write_conf(conf(machine))
    machine.start_daemon()
    machine.wait_all("ok", timeout=120)
    found = Monitor(machine)
    found.wait()
    return found


@pytest.fixture
def other(machine, tools):
    """A second host, which Prometheus reaches at its ADDRESS, and whose daemon is of another version."""
    m = Machine.boot(f"other-{os.getpid()}", machine.release, 1)
    try:
        m.install()
        m.sh(f"sed -i 's/{VERSION}/{OTHER_VERSION}/g' /usr/sbin/relayallocd")
        shutil.copy(tools / "prometheus-node-exporter", m.path("/usr/local/bin"))
        ends = [f"{side}{os.getpid()}" for side in "ab"]
        subprocess.run(["ip", "link", "add", ends[0], "netns", str(machine.leader), "type", "veth", "peer", "name", ends[1],
                        "netns", str(m.leader)], check=True)
        for host, end, address in ((machine, ends[0], "10.98.0.1"), (m, ends[1], ADDRESS)):
            host.sh(f"ip address add {address}/24 dev {end} && ip link set {end} up")
        start_exporter(m, ADDRESS)
        m.reset()
        m.write_conf(conf(m))
        m.start_daemon()
        m.wait_all("ok", timeout=120)
        yield m
    finally:
        m.stop()


def conf(machine, allocator="jemalloc", before="", gate=""):
    text = before + machine.settings([("A", allocator, 'relays = [ "*" ]')], parallel=3)
    if gate:
        text = text.replace("rollout = {", f'rollout = {{ gate = "{gate}";')
    return text + f'metrics = {{ textfile = "{COLLECTED}/relayalloc.prom"; }};\n'
