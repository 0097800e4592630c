"""A booted machine with the daemon, node exporter and Prometheus, whose rules fire after a second."""
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
COLLECTED = "/var/lib/prometheus/node-exporter"
CONFIG = """global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: [ relayalloc.rules.yml ]
scrape_configs: [ { job_name: node, static_configs: [ { targets: [ "127.0.0.1:9100" ] } ] } ]
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
        self.machine.wait_until(lambda: self.alerts() == wanted, 120, f"{wanted} to fire, and nothing else", lambda: str(self.alerts()))


@pytest.fixture(scope="module")
def machine():
    m = Machine.boot(f"alerts-{os.getpid()}", Machine.host_release(), 3)
    try:
        m.install()
        tools = pathlib.Path(subprocess.run([REPO / "tests/prometheus/tools", "prometheus-node-exporter"], check=True, capture_output=True, text=True).stdout.strip())
        for name in ("prometheus", "promtool", "prometheus-node-exporter"):
            shutil.copy(tools / name, m.path(f"/usr/local/bin/{name}"))
        m.write("/etc/prometheus/prometheus.yml", CONFIG)
        m.write("/etc/prometheus/relayalloc.rules.yml", impatient(RULES.read_text()))
        m.sh(f"mkdir -p {COLLECTED}")
        m.sh("systemd-run -q --unit=node-exporter /usr/local/bin/prometheus-node-exporter --collector.disable-defaults "
             f"--collector.textfile --collector.textfile.directory={COLLECTED} --web.listen-address=127.0.0.1:9100")
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


def conf(machine, allocator="jemalloc", before="", gate=""):
    text = before + machine.settings([("A", allocator, 'relays = [ "*" ]')], parallel=3)
    if gate:
        text = text.replace("rollout = {", f'rollout = {{ gate = "{gate}";')
    return text + f'metrics = {{ textfile = "{COLLECTED}/relayalloc.prom"; }};\n'
