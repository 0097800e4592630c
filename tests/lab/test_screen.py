"""The screening of settings: a balanced design of each family, which the lab can run at a time; what is told of its factors. That
each library understands its settings is tested in tests/unit/io/test-lab-settings.c."""

import collections
import csv
import itertools
import re
import subprocess

import pytest

import effects
import evidence
import settings

CONF = evidence.REPO / "tests/lab/screen.conf"
STOCK = {"glibc": "", "jemalloc": "jemalloc", "mimalloc2": "mimalloc2", "mimalloc3": "mimalloc3", "mimalloc36": "mimalloc36", "tcmalloc": "tcmalloc"}


def groups_of(family):
    told = {"LAB_ALLOCATORS": "screen.conf", "LAB_GROUPS": f"glibc {STOCK[family]} screen-{family}-* live".replace("  ", " ")}
    return settings.from_environment(told, "trixie", lambda _: CONF.read_text()).groups


def settings_of(name):
    """Of the file, each by itself: of a variable that has several in its value, too."""
    body = re.search(rf"^  {re.escape(name)} = \{{(.*?)\}}; \}};$", CONF.read_text(), re.S | re.M)[1]
    found = re.findall(r'([A-Z_]+) = "([^"]+)"', body)
    separator = {"GLIBC_TUNABLES": ":", "MALLOC_CONF": ","}
    return {(name, word) for name, value in found for word in (value.split(separator[name]) if name in separator else [value])}


@pytest.mark.parametrize("family", STOCK)
def test_a_family_is_a_balanced_half_of_all_combinations(family):
    """Each factor is there as often as not, and so with each other factor: their effects are independent."""
    runs = [effects.factors(name) for name in groups_of(family) if effects.factors(name)]
    assert {of for of, _ in runs} == {family}
    runs = [present for _, present in runs]
    names = set().union(*runs)
    assert len(runs) == len(set(runs)) == 2 ** (len(names) - 1) and len(names) in (3, 4)
    for a, b in itertools.combinations(names, 2):
        count = collections.Counter((a in run, b in run) for run in runs)
        assert set(count.values()) == {len(runs) // 4} and len(count) == 4


@pytest.mark.parametrize("family", STOCK)
def test_its_names_say_what_it_sets(family):
    names = [name for name in groups_of(family) if effects.factors(name)]
    alone = {next(iter(effects.factors(name)[1])): settings_of(name) for name in names if len(effects.factors(name)[1]) == 1}
    for name in names:
        assert settings_of(name) == set().union(*(alone[factor] for factor in effects.factors(name)[1])), name


def test_a_family_fits_on_one_machine_and_all_are_there():
    assert {effects.factors(name)[0] for name in settings.names_in(CONF.read_text()) if effects.factors(name)} == set(STOCK)
    assert all(len(groups_of(family)) <= 11 for family in STOCK)


def row(group, anon, cpu, requests=1000):
    return {"group": group, "anon_mib": f"{anon}", "cpu_ms_a_request": f"{cpu}", "requests": f"{requests}"}


DOES = {"a": (0.5, 1.2), "b": (1.0, 1.0), "c": (0.8, 0.9), "d": (1.1, 1.0)}


def screened(family="x", scale=100.0):
    rows = []
    for count in (1, 3):
        for present in itertools.combinations(DOES, count):
            anon, cpu = scale, 5.0
            for factor in present:
                anon, cpu = anon * DOES[factor][0], cpu * DOES[factor][1]
            rows.append(row(f"screen-{family}-{'-'.join(present)}", anon, cpu))
    return rows


def test_what_each_factor_does_is_found():
    told = effects.of([row("glibc", 900, 4), *screened(), row("live", 1, 1)])
    assert [(family, factor) for family, factor, *_ in told] == [("x", "a"), ("x", "c"), ("x", "b"), ("x", "d")], "the least memory first"
    for _, factor, memory, cpu, requests in told:
        assert (memory, cpu, requests) == (pytest.approx(DOES[factor][0]), pytest.approx(DOES[factor][1]), pytest.approx(1))


def test_a_family_that_is_not_whole_says_nothing():
    """Half of a design would call an effect what another factor has done."""
    with pytest.raises(ValueError, match="x: screen-x-a has no result"):
        effects.of([row("screen-x-a", "", ""), *screened()[1:]])
    with pytest.raises(ValueError, match="x: screen-x-a has no result"):
        effects.of([row("screen-x-a", 1, 1, 0), *screened()[1:]])
    with pytest.raises(ValueError, match="x: factor a is there in 4 of 7"):
        effects.of([r for r in screened() if r["group"] != "screen-x-b"])


def test_of_a_folder_and_of_kept_results(tmp_path):
    """Which have CPU time by another name."""
    for name, column in (("summary.csv", "cpu_ms_a_request"), ("trixie-9.csv", "cpu_s_a_1000")):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, ("group", "anon_mib", column, "requests"))
            writer.writeheader()
            writer.writerows({"group": r["group"], "anon_mib": r["anon_mib"], column: r["cpu_ms_a_request"], "requests": "9"} for r in screened())
        done = subprocess.run([evidence.REPO / "tests/lab/effects.py", tmp_path / name], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "| x | a | −50 % | +20 % | +0 % |" in done.stdout
