"""What the smoke run judges: each check notices what it is for, and no other does; and its result as `make check` adds it up."""

import pathlib
import subprocess
import types

import pytest

import evidence
import samples
import result
import smoke
import stream

NAMES = {"relay1": "glibc", "relay2": "jemalloc", "relay3": "glibc-tuned", "relay4": "live"}


@pytest.fixture
def trial(tmp_path):
    """One in which all is well."""
    rows = [dict(zip(samples.COLUMNS, (second, name, group, n, 9000, 8000, 0, second / 10, 3, 7000 if group == "live" else "", 0)))
            for second in (100, 110) for n, (name, group) in enumerate(NAMES.items())]
    load = [{"relay": name, "kind": kind, "encoding": "identity", "requests": "2", "bytes": "10", "refused": "0", "broken": "0"}
            for name in NAMES for kind in stream.KINDS]
    served = [{"seconds": f"{second}", "relay": name, "requests": f"{second}"} for second in (95, 115) for name in NAMES]
    (tmp_path / "report.txt").write_text("GROUP RELAYS\n" + "".join(f"{group} 1\n" for group in NAMES.values()))
    mapped = {"jemalloc": "jemalloc"}
    inside = [{"relay": name, "group": group, "used_kb": "5", "held_kb": "7"} for name, group in NAMES.items()]
    return types.SimpleNamespace(
        names=list(NAMES), settings=types.SimpleNamespace(network=200, relays=4), in_consensus=207, had_directory=dict.fromkeys(NAMES, True),
        proof=[[name, group, group, "ok", mapped.get(group, "glibc")] for name, group in NAMES.items()], load=load, folder=tmp_path,
        load_rows=lambda: load, inside=inside, read_csv={"inside.csv": inside}.get,
        table=result.summary({group: [name] for name, group in NAMES.items()}, rows, load, served, 90))


def failed(trial):
    return {name: sentence for name, sentence in smoke.judged(trial, trial.table).items() if sentence}


def test_all_is_well(trial):
    assert failed(trial) == {} and list(smoke.judged(trial, trial.table)) == [smoke.TRIAL, *(check.__name__ for check in smoke.ALL)]


def lose_a_relay(trial):
    trial.in_consensus = 206


def have_no_directory(trial):
    trial.had_directory["relay2"] = False


def run_another(trial):
    trial.proof[1][4] = "glibc"


def be_on_its_way(trial):
    trial.proof[2][3] = "moving"


def serve_no_diff(trial):
    trial.load[:] = [row for row in trial.load if (row["relay"], row["kind"]) != ("relay3", "diff")]


def leave_one_out(trial):
    (trial.folder / "report.txt").write_text("glibc 1\nglibc-tuned 1\nlive 1\n")


def have_no_report(trial):
    (trial.folder / "report.txt").unlink()


def count_nothing(trial):
    trial.table[3]["live_mib"] = None


def ask_all_but_one(trial):
    del trial.inside[1]


def understand_nothing(trial):
    trial.inside[2]["used_kb"] = ""


@pytest.mark.parametrize("harm, name, says", [
    (lose_a_relay, "consensus_has_all", "206 relays, not 207"), (have_no_directory, "each_has_the_directory", "relay2"),
    (run_another, "each_runs_its_allocator", "relay2"), (be_on_its_way, "each_runs_its_allocator", "relay3"),
    (serve_no_diff, "each_served_each_kind", "relay3 has served nothing of the kind diff"),
    (leave_one_out, "the_report_has_all_groups", "jemalloc"), (have_no_report, "the_report_has_all_groups", "glibc"),
    (ask_all_but_one, "each_allocator_was_asked", "relay2 was not asked"), (understand_nothing, "each_allocator_was_asked", "relay3: the statistics"),
    (count_nothing, "the_summary_is_whole", "live_mib")])
def test_what_is_wrong_is_told_by_its_name(trial, harm, name, says):
    harm(trial)
    found = failed(trial)
    assert list(found) == [name] and says in found[name]


def test_the_load_goes_on_until_each_kind_was_served(trial):
    assert smoke.has_served_all(trial)
    serve_no_diff(trial)
    assert not smoke.has_served_all(trial)


def added_up(path: pathlib.Path, verdict):
    path.write_text(smoke.as_junit(verdict))
    return subprocess.run([evidence.REPO / "tests/sum-results", path], capture_output=True, text=True)


def test_it_counts_in_the_sum_and_a_failure_has_its_name(trial, tmp_path):
    done = added_up(tmp_path / "lab-smoke.xml", smoke.judged(trial, trial.table))
    assert done.returncode == 0 and done.stdout.endswith(f"{1 + len(smoke.ALL)} passed, 0 failed\n")
    serve_no_diff(trial)
    done = added_up(tmp_path / "lab-smoke.xml", smoke.judged(trial, trial.table))
    assert done.returncode == 1 and "lab-smoke" in done.stdout and "failed: each_served_each_kind" in done.stdout
    assert done.stdout.endswith(f"{len(smoke.ALL)} passed, 1 failed\n")


def test_a_trial_that_did_not_end_is_a_failure(tmp_path):
    done = added_up(tmp_path / "lab-smoke.xml", {smoke.TRIAL: "waited 300 s in vain for <relays> & so on"})
    assert done.returncode == 1 and "failed: the_trial_ends" in done.stdout and done.stdout.endswith("0 passed, 1 failed\n")
