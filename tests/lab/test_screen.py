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


def long_trial():
    """As docs/lab.md has it."""
    command = re.search(r'nohup make lab LAB_GROUPS="([^"]+)"', (evidence.REPO / "docs/lab.md").read_text())[1]
    return settings.from_environment({"LAB_ALLOCATORS": "screen.conf", "LAB_GROUPS": command, "LAB_RELAYS": "38"}, "trixie", lambda _: CONF.read_text())


def test_the_long_trial_names_what_there_is():
    groups = long_trial().groups
    ours = {b.name for b in evidence.builtins_of(evidence.REPO)} | set(settings.names_in(CONF.read_text())) | {"live"}
    assert len(groups) == 38 <= settings.MOST_RELAYS and set(groups) <= ours
    whole = [family for family in STOCK if set(groups_of(family)) <= set(groups)]
    assert whole == ["glibc", "jemalloc", "mimalloc2"]


def test_the_long_trial_has_each_library_beside_its_settings():
    """A group that is no library as it is shipped stands beside the one of its own file."""
    text = CONF.read_text()
    for name in long_trial().groups:
        library = re.search(rf'^  {re.escape(name)} = {{ library = "(/[^"]+)"', text, re.M)
        if library:
            stock = re.findall(rf'^  (\S+) = {{ library = "{re.escape(library[1])}"; }};$', text, re.M)
            assert stock and stock[0] in long_trial().groups, name


def test_what_stands_beside_a_screening_is_what_the_twins_have():
    twins = (evidence.REPO / "tests/lab/twins.conf").read_text()
    for name in ("jemalloc531", "jemalloc531-decay", "mimalloc2", "mimalloc36", "mimalloc36-nothp"):
        found = [re.search(rf"^  {name} = \{{.*?\}};$", text, re.S | re.M)[0] for text in (CONF.read_text(), twins)]
        assert found[0] == found[1], name


def row(group, anon, cpu, requests=1000):
    return {"group": group, "anon_mib": f"{anon}", "late_cpu_ms_a_request": f"{cpu}", "late_requests": f"{requests}", "cpu_ms_a_request": "1",
            "requests": f"{len(group)}"}


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
    told, not_told = effects.of([row("glibc", 900, 4), *screened(), row("live", 1, 1)])
    assert not_told == [] and [(family, factor) for family, factor, *_ in told] == [("x", "a"), ("x", "c"), ("x", "b"), ("x", "d"), ("x", effects.PAIRS)], "the least memory first"
    for _, factor, memory, cpu, requests in told[:-1]:
        assert (memory, cpu, requests) == (pytest.approx(DOES[factor][0]), pytest.approx(DOES[factor][1]), pytest.approx(1))


def test_what_two_do_together_is_the_measure_of_chance():
    """b alone halves the memory, beside any other it does not: the three contrasts of two factors say so, and no relay was run twice."""
    assert effects.of(screened())[0][-1] == ("x", effects.PAIRS, *[pytest.approx(1)] * 3)
    chance = effects.of([*(r for r in screened() if r["group"] != "screen-x-b"), row("screen-x-b", 50, 5)])[0][-1]
    assert chance[:2] == ("x", effects.PAIRS) and chance[2] == pytest.approx(2 ** 0.25) and chance[3:] == (pytest.approx(1), pytest.approx(1))
    assert "| x | two together, at most | ±19 % | ±0 % | ±0 % |" in effects.as_markdown([chance])
    of_three = [row(f"screen-x-{names}", 1, 1) for names in ("a", "b", "c", "a-b-c")]
    assert [factor for _, factor, *_ in effects.of(of_three)[0]] == ["a", "b", "c"]


@pytest.mark.parametrize("rows, says", [
    ([row("screen-x-a", "", ""), *screened()[1:]], "x: screen-x-a has no result"),
    ([row("screen-x-a", 1, 1, 0), *screened()[1:]], "x: screen-x-a has no result"),
    ([row("screen-x-a", 50, 6, 799), *screened()[1:]], "x: screen-x-a answered 799 requests, another one 1000"),
    ([r for r in screened() if r["group"] != "screen-x-b"], "x: factor a is there in 4 of 7, not in half of them"),
    (screened()[:1], "x: factor a is there in 1 of 1, not in half of them")])
def test_a_family_that_is_not_whole_says_nothing_and_the_others_do(rows, says):
    """Half of a design would call an effect what another factor has done."""
    told, not_told = effects.of([*screened("w", 10), *rows, *screened("y", 1000)])
    assert not_told == [says] and [family for family, *_ in told] == ["w"] * 5 + ["y"] * 5
    assert [share for family, *shares in told for share in shares[1:] if family == "w"] == pytest.approx(
        [share for family, *shares in told for share in shares[1:] if family == "y"])


def test_of_a_folder_and_of_kept_results(tmp_path):
    """Which have CPU time by another name."""
    for name, column in (("summary.csv", "late_cpu_ms_a_request"), ("trixie-9.csv", "late_cpu_s_a_1000")):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, ("group", "anon_mib", column, "late_requests"))
            writer.writeheader()
            writer.writerows({"group": r["group"], "anon_mib": r["anon_mib"], column: r["late_cpu_ms_a_request"], "late_requests": "9"}
                             for r in (*screened(), row("screen-y-delay", 1, 1)))
        done = subprocess.run([evidence.REPO / "tests/lab/effects.py", tmp_path / name], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert "| x | a | −50 % | +20 % | +0 % |" in done.stdout
        assert "\n\nNothing is told of y: factor delay is there in 1 of 1, not in half of them.\n" in done.stdout
    (tmp_path / "none.csv").write_text("group,anon_mib,late_cpu_ms_a_request,late_requests\nscreen-y-delay,1,1,1\n")
    assert subprocess.run([evidence.REPO / "tests/lab/effects.py", tmp_path / "none.csv"], capture_output=True).returncode == 1
