"""A trial that was interrupted is kept as what it has, by the real command, in a checkout of its own."""

import csv
import json
import shutil
import subprocess

import pytest

import evidence
import kept
import load
import samples

RELAYS = ("relay", "group", "mapped", "version", "environment")
SETTINGS = {**dict.fromkeys(kept.RUN, 1), "date": "2026-11-29", "release": "trixie", "tor": "0.4.9.15", "minutes": 3.0, "counted_from_s": 60, "interval_s": 20}


@pytest.fixture
def checkout(tmp_path):
    for path in ("tests/lab", "tests/system", "daemon/core/config.c"):
        source, target = evidence.REPO / path, tmp_path / "repo" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    docs = tmp_path / "repo/docs"
    (docs / "lab").mkdir(parents=True)
    (docs / "lab.md").write_text("<!-- trial trixie-9 -->\n<!-- end of trial -->\n")
    return tmp_path / "repo"


@pytest.fixture
def interrupted(tmp_path):
    """It has no summary, and nobody has asked its allocators."""
    folder = tmp_path / "20261129"
    folder.mkdir()
    (folder / "settings.json").write_text(json.dumps(SETTINGS))
    (folder / "relayalloc.conf").write_text("groups = ();\n")
    tables = {"relays": [RELAYS, ("relay1", "glibc", "glibc", "2.41", "")],
              "samples": [samples.COLUMNS, *((t, "relay1", "glibc", 1, 3072, 2048, 0, t / 10, 3, "", 0) for t in range(0, 120, 5))],
              "load": [load.COLUMNS, ("relay1", "micro", "identity", 100, 5000, 0, 0)],
              "served": [load.NOTED, *((t, "relay1", t, t * 50, 0, 0) for t in range(0, 120, 30))], "host": [["seconds"], [30]]}
    for name, rows in tables.items():
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    return folder


@pytest.mark.parametrize("lacks", ["", "settings.json", "served.csv"])
def test_what_is_no_trial_is_refused(lacks, checkout, interrupted):
    """By a sentence, and nothing of it is kept."""
    (interrupted / lacks).unlink() if lacks else shutil.rmtree(interrupted)
    told = subprocess.run([checkout / "tests/lab/keep", interrupted, "trixie-9"], capture_output=True, text=True)
    assert told.returncode == 1 and told.stderr.startswith(f"keep: {interrupted} is no trial") and lacks in told.stderr
    assert "Traceback" not in told.stderr and not list((checkout / "docs/lab").iterdir())


def test_an_interrupted_trial_is_kept(checkout, interrupted):
    subprocess.run([checkout / "tests/lab/keep", interrupted, "trixie-9", "2", "2"], check=True)
    kinds = {path.name.removeprefix("trixie-9.") for path in (checkout / "docs/lab").iterdir()}
    assert kinds == {"csv", "relays.csv", "conf", "curve.csv", "progress.csv", "svg", "host.csv"}
    assert "| glibc | glibc 2.41 | 1 | 3 | 1.00 | 3 | 2 |" in (checkout / "docs/lab.md").read_text()
