"""docs/lab.md says what the kept results say, and these agree with one another: who edits a figure by hand is told. What `make
evidence` makes of them is held by test_evidence.py."""

import csv
import re
import statistics

import pytest

import evidence
import kept
import live
import tables

PAGE = evidence.REPO / "docs/lab.md"
RUNS = sorted(path.stem for path in evidence.RESULTS.glob("*.csv") if evidence.rows_of(path))
ROUNDED = 0.002  # cells have four digits
CURVE = 0.2  # the curve is a mean of half minutes, and a busy machine is sampled less often


def rows_of(name):
    with (evidence.RESULTS / name).open(newline="") as file:
        return list(csv.DictReader(file))


def put(text):
    builtins = evidence.builtins_of(evidence.REPO)
    return tables.put(text, lambda run: rows_of(f"{run}.csv"), lambda row: evidence.named(row, builtins))


def whole(rows):
    """Without those of which nothing can be said, as of a relay that did not last."""
    return [row for row in rows if row["anon_mib"] and row["requests"] != "0"]


def near(value, told, within=ROUNDED):
    return float(told) == pytest.approx(value, rel=within)


def test_tables_are_what_keep_makes_of_the_kept_results():
    text = PAGE.read_text()
    assert put(text) == text, "docs/lab.md: run tests/lab/keep --again"


@pytest.mark.parametrize("row", [r"\| jemalloc-decay \| jemalloc 5", r"\| the best stock library", r"\| mimalloc3 3.6.0 \| [–0].", "\ntrixie-3: 2026"])
def test_a_figure_that_was_edited_by_hand_does_not_stay(row):
    text = PAGE.read_text()
    edited = re.sub(rf"({row}[^\n]*?)\d( [%|]|,|\n)", r"\g<1>77\2", text, count=1)
    assert edited != text and put(edited) == text


def test_each_kept_trial_has_its_table_and_its_files():
    found = tables.runs_in(PAGE.read_text())
    assert RUNS and sorted(found) == RUNS, "docs/lab.md: <!-- trial RUN -->"
    assert found.index("trixie-9") < found.index("trixie-10")
    for run in RUNS:
        assert all((evidence.RESULTS / f"{run}.{kind}").exists() for kind in ("conf", "curve.csv", "progress.csv", "svg", "churn.log")), run


@pytest.mark.parametrize("run", RUNS)
def test_ratios_of_a_row_are_those_of_its_figures(run):
    rows = rows_of(f"{run}.csv")
    baseline = next(row for row in rows if row["group"] == evidence.BASELINE)
    for row in whole(rows):
        assert tuple(row) == kept.COLUMNS and row["run"] == run
        assert near(float(row["anon_mib"]) / float(baseline["anon_mib"]), row["anon_of_glibc"]), row["group"]
        assert near(1000 * float(row["cpu_s"]) / float(row["requests"]), row["cpu_s_a_1000"]), row["group"]
        assert float(row["anon_least_mib"]) <= float(row["anon_mib"]) <= float(row["anon_most_mib"]), row["group"]


@pytest.mark.parametrize("run", RUNS)
def test_memory_is_that_of_the_curve(run):
    curve = rows_of(f"{run}.curve.csv")
    for row in whole(rows_of(f"{run}.csv")):
        column, told = ("live bytes", row["live_mib"]) if row["group"] == live.GROUP else (row["group"], row["anon_mib"])
        counted = [float(at[column]) for at in curve
                   if float(row["counted_from_s"]) / 60 <= float(at["minutes"]) < float(row["minutes"]) and at[column] != ""]
        assert near(statistics.fmean(counted), told, CURVE), row["group"]


@pytest.mark.parametrize("run", [run for run in RUNS if (evidence.RESULTS / f"{run}.relays.csv").exists()])
def test_a_group_is_the_mean_of_its_relays(run):
    relays = rows_of(f"{run}.relays.csv")
    for row in whole(rows_of(f"{run}.csv")):
        mine = [relay for relay in relays if relay["group"] == row["group"]]
        assert len(mine) == int(row["relays"])
        for column in ("rss_mib", "anon_mib", "cpu_s", "requests", "bytes", "refused", "broken"):
            assert near(statistics.fmean(float(relay[column]) for relay in mine), row[column]), (row["group"], column)
        for column, extreme in (("anon_least_mib", min), ("anon_most_mib", max)):
            assert near(extreme(float(relay["anon_mib"]) for relay in mine), row[column]), (row["group"], column)
