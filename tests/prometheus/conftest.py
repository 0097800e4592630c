"""Prometheus' own tools, and the daemon with the scripted systemd of tests/bus."""
import importlib.util
import pathlib
import re
import subprocess

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
