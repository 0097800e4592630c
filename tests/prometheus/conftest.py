"""Prometheus' own tools, and the daemon with the scripted systemd of tests/bus."""
import importlib.util
import json
import pathlib
import re
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

HERE = pathlib.Path(__file__).parent
spec = importlib.util.spec_from_file_location("bus_conftest", HERE.parent / "bus/conftest.py")
bus = importlib.util.module_from_spec(spec)
spec.loader.exec_module(bus)


@pytest.fixture(scope="session")
def tools():
    return pathlib.Path(subprocess.run([HERE / "tools"], check=True, capture_output=True, text=True).stdout.strip())


@pytest.fixture
def world(tmp_path_factory):
    world = bus.World(tmp_path_factory.mktemp("world"))
    yield world
    world.close()


class Metrics(dict):
    """{(name, {label: value}): number} of a text file, with the labels as a frozen set of pairs."""

    def __init__(self, text):
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            pairs = frozenset(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', labels or ""))
            assert (name, pairs) not in self, line
            self[name, pairs] = float(value)

    def of(self, name, **labels):
        """The value of the only series that has these labels."""
        found = [v for (n, pairs), v in self.items() if n == name and labels.items() <= dict(pairs).items()]
        assert len(found) == 1, (name, labels, found)
        return found[0]

    def labels(self, name, **labels):
        return [dict(pairs) for (n, pairs) in self if n == name and labels.items() <= dict(pairs).items()]


class Prometheus:
    """A Prometheus with this configuration, in this folder, at a port of its own."""

    def __init__(self, tools, folder, configuration, *options):
        self.tools, self.folder, self.options = tools, folder, options
        (folder / "prometheus.yml").write_text(configuration)
        bus.wait_until(self.start, "a port that nobody takes meanwhile")

    def start(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{s.getsockname()[1]}"
        log = self.folder / "prometheus.log"
        self.process = subprocess.Popen(
            [self.tools / "prometheus", f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
             f"--web.listen-address={self.address}", *self.options], stdout=subprocess.DEVNULL, stderr=open(log, "w"))
        bus.wait_until(lambda: self.process.poll() is not None or self.is_ready(), "Prometheus to be ready", 120)
        if self.process.poll() is None:
            return True
        assert "address already in use" in log.read_text(), log.read_text()
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def is_ready(self):
        try:
            return urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=10).status == 200
        except (urllib.error.URLError, OSError):
            return False

    def get(self, path, **arguments):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(arguments)}"
        try:
            return json.load(urllib.request.urlopen(url, timeout=60))["data"]
        except urllib.error.HTTPError as e:
            raise AssertionError(f"{arguments}: {e.read().decode()}") from e
