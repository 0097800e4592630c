"""The gate of packaging/alert, asked of a real Prometheus with the alerts that its unit selects: while one fires that a rollout must wait
for, it fails and names it; the watchdog and those of the rollout itself hold nothing up."""
import os
import pathlib
import re
import shlex
import socket
import subprocess

import conftest
import pytest

ALERT = pathlib.Path(__file__).parent.parent.parent / "packaging/alert"

wait_until = conftest.bus.wait_until


def of_the_unit():
    """Environment= of the unit, as systemd reads it."""
    lines = re.findall(r"^Environment=(.*)$", (ALERT / "relayalloc-gate.service").read_text(), re.M)
    return dict(shlex.split(line)[0].split("=", 1) for line in lines)


@pytest.fixture
def firing(tools, tmp_path):
    """The address of a Prometheus in which alerts of these names fire."""
    servers = []

    def start(*names):
        rules = "".join(f"      - alert: {name}\n        expr: vector(1)\n" for name in names)
        (tmp_path / "rules.yml").write_text(f"groups:\n  - name: made\n    interval: 1s\n    rules:\n{rules}")
        server = conftest.Prometheus(tools, tmp_path, "rule_files: [ rules.yml ]\n")
        servers.append(server)
        wait_until(lambda: {s["metric"]["alertname"] for s in server.get("query", query='ALERTS{alertstate="firing"}')["result"]} ==
                   set(names), "all of them to fire", 120)
        return f"http://{server.address}"
    yield start
    for server in servers:
        server.stop()


def gate(address, alerts):
    return subprocess.run([ALERT / "relayalloc-gate"], capture_output=True, text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "PROMETHEUS": address, "ALERTS": alerts})


def test_shut_while_an_alert_fires(firing):
    done = gate(firing("Disk", "Watchdog", "RelayallocRolloutHalted"), of_the_unit()["ALERTS"])
    assert done.returncode == 1 and "Disk" in done.stderr
    assert "Watchdog" not in done.stderr and "Relayalloc" not in done.stderr


def test_open_in_spite_of_the_watchdog_and_of_the_rollouts_own(firing):
    done = gate(firing("Watchdog", "RelayallocRolloutHalted"), of_the_unit()["ALERTS"])
    assert (done.returncode, done.stderr) == (0, "")


def test_shut_when_prometheus_does_not_answer():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))  # nobody listens
        done = gate(f"http://127.0.0.1:{s.getsockname()[1]}", of_the_unit()["ALERTS"])
    assert done.returncode != 0 and "curl" in done.stderr
