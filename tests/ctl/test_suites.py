"""What runs and counts the unit tests: nothing hides by not running, or by not ending."""
import os
import pathlib
import subprocess

TESTS = pathlib.Path(__file__).parent.parent


def program(folder, name, script):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def run(*programs, limit="60"):
    return subprocess.run([TESTS / "unit/run", *programs], env={**os.environ, "LIMIT": limit}, capture_output=True, text=True)


def test_skips_are_told_at_the_end(tmp_path):
    skips = program(tmp_path, "skips", "echo 'skipped: gnuplot is not installed (apt install gnuplot-nox)'; echo '[  SKIPPED ] test_chart'")
    r = run(skips, program(tmp_path, "passes", "echo '[  PASSED  ] 1 test(s).'"), skips)
    assert r.returncode == 0
    assert r.stdout.endswith("\n2 skipped: gnuplot is not installed (apt install gnuplot-nox)\n")


def test_what_does_not_end_is_named(tmp_path):
    hangs = program(tmp_path, "hangs", "echo before; exec sleep 600")
    fails = program(tmp_path, "fails", "exit 3")
    r = run(hangs, program(tmp_path, "passes", "echo after"), fails, limit="1")
    assert r.returncode == 1
    assert r.stdout == f"before\nafter\nfailed: {hangs} (not finished after 1 s)\nfailed: {fails}\n"


def test_skips_and_what_did_not_end_count_as_failed(tmp_path):
    log = tmp_path / "unit.log"
    log.write_text("[==========] Running 3 test(s).\n[       OK ] test_line\n[  SKIPPED ] test_chart\n[  PASSED  ] 1 test(s).\n"
                   "[  SKIPPED ] test_chart\nfailed: build/tests/io/test-probe (not finished after 120 s)\nexit status: 1\n")
    r = subprocess.run([TESTS / "sum-results", log], capture_output=True, text=True)
    assert r.returncode == 1
    assert "failed: test_chart (skipped), build/tests/io/test-probe (not finished after 120 s)" in r.stdout
    assert r.stdout.endswith("1 passed, 2 failed\n")
