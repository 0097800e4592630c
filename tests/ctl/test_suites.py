"""What runs and counts the tests: nothing hides by not running, or by not ending."""
import os
import pathlib
import re
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


RUN_ALL = (TESTS / "run-all").read_text()
JOBS = re.search(r"^jobs=\((.*)\)$", RUN_ALL, re.M)[1].split()
RUN_LANE = re.search(r"^run_lane\(\) \{\n.*?^\}\n", RUN_ALL, re.S | re.M)[0]
RUN_JOB = re.search(r"^run_job\(\) \{\n(.*?)^\}\n", RUN_ALL, re.S | re.M)[1]


def test_each_job_is_run_once_whoever_comes_to_it(tmp_path):
    lanes = f"set -euo pipefail\nresults=$1 jobs=({' '.join(JOBS)})\nrun_job() {{ echo $1; }}\n{RUN_LANE}run_lane &\nrun_lane &\nrun_lane\nwait\n"
    r = subprocess.run(["bash", "-c", lanes, "lanes", tmp_path], capture_output=True, text=True)
    assert (r.returncode, r.stderr, sorted(r.stdout.split())) == (0, "", sorted(JOBS))


def test_each_job_does_something_and_counts_in_the_sum():
    assert sorted(re.findall(r"^    ([\w-]+)\) .*;;$", RUN_JOB, re.M)) == sorted(JOBS)
    where = {"ctl": "build/results/ctl.xml", "ctl-asan": "build/asan/results/ctl.xml", "report-asan": "build/asan/results/report.xml",
             "system": "$results/system-$release.xml", "system-asan": "$results/system-$host-asan.xml"}
    counted = RUN_ALL[RUN_ALL.index("files=("):].replace('"', "")
    for name in JOBS:
        assert any(where.get(name, f"$results/{name}{end}") in counted for end in (".xml", ".log")), name


def test_what_is_chosen_by_name_is_there():
    """pytest takes a name that no file has for a choice of nothing, and says no word."""
    chosen = re.search(r"^scripts='(.*)'$", RUN_ALL, re.M)[1].split(" or ")
    assert all((TESTS / "ctl" / f"{name}.py").exists() for name in chosen), chosen


def collected(*part):
    env = {**os.environ, "PART": "/".join(part)} if part else {k: v for k, v in os.environ.items() if k != "PART"}
    command = ["/usr/bin/python3", "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "--collect-only", TESTS / "system"]
    out = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    return {line for line in out.splitlines() if "::" in line}


def test_a_short_run_leaves_no_system_test_out():
    """Each on one of the releases, and what most of the others rest on upon each."""
    whole, first, last = collected(), collected("0", "2"), collected("1", "2")
    assert first | last == whole
    assert {test.split("::")[0] for test in first & last} == {f"tests/system/test_{name}.py" for name in ("rollout", "proof")}
    assert 0.8 < len(first) / len(last) < 1.25
