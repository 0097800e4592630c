"""What a smoke run asserts of its trial; each check gives sentences that say what is wrong."""

import xml.etree.ElementTree as ElementTree

import authorities
import live
import result
import stream


def consensus_has_all(trial, table):
    wanted = trial.settings.network + authorities.COUNT + trial.settings.relays
    if trial.in_consensus < wanted:
        yield f"the consensus has {trial.in_consensus} relays, not {wanted}"


def each_has_the_directory(trial, table):
    for name in trial.names:
        if not trial.had_directory.get(name):
            yield f"{name} never had the directory"


def each_runs_its_allocator(trial, table):
    for name, group, proved, state, mapped in trial.proof:
        allocator = "glibc" if group == live.GROUP else group.removesuffix("-tuned")
        if state != "ok" or proved != group or not allocator.startswith(mapped):
            yield f"{name} of group {group}: the daemon says {proved}, {state}; mapped is {mapped}"


def each_served_each_kind(trial, table):
    served = result.served_by_kind(trial.load_rows())
    for name in trial.names:
        for kind in stream.KINDS:
            if served[name, kind] <= 0:
                yield f"{name} has served nothing of the kind {kind}"


def the_report_has_all_groups(trial, table):
    path = trial.folder / "report.txt"
    text = path.read_text() if path.exists() else ""
    for row in table:
        if not any(line.split()[:1] == [row["group"]] for line in text.splitlines()):
            yield f"the report has no row of group {row['group']}"


def the_summary_is_whole(trial, table):
    for row in table:
        for column, value in row.items():
            if value is None and (column != "live_mib" or row["group"] == live.GROUP):
                yield f"group {row['group']}: nothing can be said of {column}"


def each_allocator_was_asked(trial, table):
    had = {row["relay"]: row for row in trial.read_csv("inside.csv")}
    for name in trial.names:
        if name not in had:
            yield f"{name} was not asked for its allocator's statistics"
        elif not had[name]["used_kb"] or not had[name]["held_kb"]:  # those of a smoke run all have both
            yield f"{name}: the statistics of its allocator are not understood"


ALL = (consensus_has_all, each_has_the_directory, each_runs_its_allocator, each_served_each_kind, the_report_has_all_groups,
       each_allocator_was_asked, the_summary_is_whole)
TRIAL = "the_trial_ends"


def has_served_all(trial):
    """May the load end? On a busy machine, and of kinds that are rarely asked for, some minutes may not show each."""
    return not any(each_served_each_kind(trial, None))


def judged(trial, table):
    """{name of a check: what is wrong, "" if nothing is}, of a trial that has ended."""
    return {TRIAL: "", **{check.__name__: "; ".join(check(trial, table)) for check in ALL}}


def as_junit(verdict):
    """judged() as JUnit has it, for tests/sum-results."""
    suite = ElementTree.Element("testsuite", name="lab-smoke")
    for name, wrong in verdict.items():
        case = ElementTree.SubElement(suite, "testcase", classname="lab", name=name)
        if wrong:
            ElementTree.SubElement(case, "failure", message=wrong)
    return ElementTree.tostring(suite, encoding="unicode") + "\n"
