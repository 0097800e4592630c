"""relayallocctl targets: file_sd of the MetricsPorts, by the torrcs of this host."""
import os

import pytest

from conftest import relay

PORTS = {"relay1": "ORPort 9001\nMetricsPort 9035\n", "relay2": "MetricsPort 0\n", "relay10": "MetricsPort 0.0.0.0:9036\n%include {}/more\n",
         "quiet": "ORPort 9002\n"}


@pytest.fixture
def conf(tmp_path):
    (tmp_path / "more").write_text("MetricsPort [::1]:9037\n")
    for name, torrc in PORTS.items():
        (tmp_path / "instances" / name).mkdir(parents=True)
        (tmp_path / "instances" / name / "torrc").write_text(torrc.format(tmp_path))
    (tmp_path / "relayalloc.conf").write_text(
        f'instances_dir = "{tmp_path}/instances";\ngroups = ( {{ name = "A"; allocator = "glibc"; relays = [ "relay1*" ]; }} );\n')
    return tmp_path / "relayalloc.conf"


def labels(relay, group):
    return {"relay": relay, "unit": f"tor@{relay}.service", "group": group, "allocator": "", "host": os.uname().nodename}


def test_all(ctl, conf):
    done = ctl("targets", f"--config={conf}", "--json=short")
    assert done.status == 0
    assert done.json == [{"targets": ["127.0.0.1:9035"], "labels": labels("relay1", "A")},
                         {"targets": [f"{os.uname().nodename}:9036", "[::1]:9037"], "labels": labels("relay10", "A")}]
    assert ctl("targets", f"--config={conf}").json == done.json, "as a file it need not be asked for JSON"


def test_allocator_is_what_the_relay_runs(ctl, conf, daemon):
    """As the daemon has proved it, whatever the relay is assigned: the label by which groups are compared."""
    os.utime(conf, (0, 0))  # so that the daemon has read it
    daemon.says([relay("relay1", group="A", assigned="glibc", running="jemalloc"), relay("relay10", group="B", running="mimalloc")])
    found = {t["labels"]["relay"]: t["labels"] for t in ctl("targets", f"--config={conf}").json}
    assert {name: (labels["group"], labels["allocator"]) for name, labels in found.items()} == \
        {"relay1": ("A", "jemalloc"), "relay10": ("B", "mimalloc")}


def test_some_and_none(ctl, conf):
    assert [t["labels"]["relay"] for t in ctl("targets", f"--config={conf}", "relay10", "quiet").json] == ["relay10"]
    assert ctl("targets", f"--config={conf}", "quiet").json == []
    assert ctl("targets", f"--config={conf}", "relay3").status == 4


def test_only_here(ctl, conf):
    done = ctl("targets", "-H", "a")
    assert done.status == 2 and "targets reads the torrcs of this host" in done.err
