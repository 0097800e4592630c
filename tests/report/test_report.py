"""The report from end to end, against a second implementation in these few lines: other code, another language."""

import itertools
import json
import math
import statistics

import pytest
from conftest import DAY, GIB, HOUR, KIB, MIB, SAMPLE_RELAY, START, Fleet, Relay


def row_of(report, name, by="allocator"):
    return next(row for row in report["rows"] if row[by] == name)


def expected_means(fleet, step=600, warmup_until=0):
    """Each relay's time-weighted mean over regular samples, in bytes."""
    values = {}
    for time, relay, kib in fleet.samples:
        if time >= warmup_until:
            values.setdefault(relay, []).append(kib * KIB)
    return {relay: statistics.fmean(v) for relay, v in values.items()}


def theil_sen(points):
    return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(points, 2))


def test_numbers(ctl, journal, fleet):
    journal.relays(fleet)
    journal.write()
    done = ctl("report", "-D", journal.directory, "--json=short")
    assert done.status == 0 and done.err == "", done
    report = done.json
    means = expected_means(fleet)
    by = {}
    for relay, mean in means.items():
        by.setdefault(relay.allocator, []).append(mean)
    assert [row["allocator"] for row in report["rows"]] == sorted(by, key=lambda a: statistics.fmean(by[a]))
    for allocator, values in by.items():
        row = row_of(report, allocator)
        assert row["relays"] == 5
        assert row["average"] == pytest.approx(statistics.fmean(values), rel=1e-6)
        assert row["deviation"] == pytest.approx(statistics.stdev(values), rel=1e-4)
        assert row["counted"] == 5 * 6 * DAY * 1000000
        if allocator == "glibc":
            assert row["baseline"] and row["reduction"] is None
        else:
            reduction = 1 - statistics.fmean(values) / statistics.fmean(by["glibc"])
            assert row["reduction"] == pytest.approx(reduction, abs=1e-5)
            low, high = row["reduction_interval"]
            # Welch's interval of the logarithm is near: the spread is small and nearly normal.
            se = math.sqrt(sum(statistics.variance(v) / len(v) / statistics.fmean(v) ** 2 for v in (values, by["glibc"])))
            assert low == pytest.approx(1 - (1 - reduction) * math.exp(2.31 * se), abs=0.025)
            assert high == pytest.approx(1 - (1 - reduction) * math.exp(-2.31 * se), abs=0.025)
    assert report["samples"] == len(fleet.samples)
    assert report["first"] == START * 10 ** 6
    assert report["last"] == pytest.approx((START + 6 * DAY - 600) * 10 ** 6, abs=2000)


def test_growth(ctl, journal, fleet):
    journal.fleet(fleet)
    journal.write()
    report = ctl("report", "-D", journal.directory, "--json=short").json
    verdicts = {row["allocator"]: row["verdict"] for row in report["rows"]}
    assert verdicts == {"jemalloc": "steady", "mimalloc": "steady", "glibc": "steady", "mimalloc3": "growing"}
    growing = row_of(report, "mimalloc3")
    assert growing["growth"]["bytes_per_day"] == pytest.approx(60000 * KIB, rel=0.01)
    # Each relay's slope, from hourly means of the later half by brute force.
    for member in growing["members"]:
        hours = {}
        for time, relay, kib in fleet.samples:
            if relay.name == member["relay"] and time >= START + 3 * DAY:
                hours.setdefault((time - START) // HOUR, []).append(kib * KIB)
        points = [(hour / 24, statistics.fmean(v)) for hour, v in hours.items()]
        assert member["growth_bytes_per_day"] == pytest.approx(theil_sen(points), rel=0.02)


def test_both_kinds_give_the_same(ctl, another_journal, fleet):
    texts = []
    for kind in ("relays", "fleet"):
        journal = another_journal(kind)
        getattr(journal, kind)(fleet)
        journal.write()
        report = ctl("report", "-D", journal.directory, "--json=short").json
        report.pop("last"), report.pop("first")
        texts.append(report)
    # Entries of a collection are some µs apart; beyond that there is no difference.
    for a, b in zip(texts[0]["rows"], texts[1]["rows"]):
        assert a["average"] == pytest.approx(b["average"], rel=1e-6)
        assert a["reduction"] == b["reduction"] or a["reduction"] == pytest.approx(b["reduction"], abs=1e-6)
        assert (a["allocator"], a["verdict"], a["samples"]) == (b["allocator"], b["verdict"], b["samples"])


def test_table_of_a_table(ctl, table, fleet):
    done = ctl("report", f"--file={table(fleet.csv())}", "--by=group", "--baseline=Z")
    assert done.status == 0 and done.err == "", done
    lines = done.out.splitlines()
    assert lines[0].split() == ["GROUP", "RELAYS", "AVERAGE", "REDUCTION", "INTERVAL", "GROWTH/DAY", "VERDICT"]
    rows = {line.split()[0]: line for line in lines[1:5]}
    assert set(rows) == {"A", "B", "I", "Z"}
    assert "growing" in rows["I"] and "steady" in rows["A"] and "baseline" in rows["Z"]
    assert "left out as warm-up (the first 48h after each start)" in done.out
    assert "Reduction against Z" in done.out


def test_group_is_the_default_where_nothing_names_allocators(ctl, table, fleet):
    path = table(fleet.csv())
    assert ctl("report", f"--file={path}").out.splitlines()[0].startswith("GROUP")
    done = ctl("report", f"--file={path}", "--by=allocator")
    assert done.status == 2 and "--config=FILE" in done.err


def test_config_gives_allocators(ctl, table, fleet, config):
    # The groups of the table are other ones: those of the configuration count.
    path = table(fleet.csv().replace(",A,", ",X,"))
    done = ctl("report", f"--file={path}", f"--config={config}")
    assert done.status == 0, done
    assert "jemalloc" in done.out and "does not prove" in done.out
    report = ctl("report", f"--file={path}", f"--config={config}", "--json=short").json
    assert [r["allocator"] for r in report["rows"]] == ["mimalloc", "jemalloc", "mimalloc3", "glibc"]
    assert report["proved"] is False and report["baseline"] == "glibc"


def test_bad_config(ctl, table, fleet, tmp_path):
    bad = tmp_path / "bad.conf"
    bad.write_text('groups = ( { name = "A"; allocator = "mimaloc"; relays = [ "*" ]; } );\n')
    done = ctl("report", f"--file={table(fleet.csv())}", f"--config={bad}")
    assert done.status == 2 and f"{bad}:1: groups[0].allocator" in done.err


def test_at(ctl, table, fleet):
    at = START + 4 * DAY
    done = ctl("report", f"--file={table(fleet.csv())}", "--by=group", "--baseline=Z", "--at=2026-01-05T00:00:00",
               "--json=short")
    assert done.status == 0, done
    report = done.json
    for group in "ABIZ":
        values = [kib * KIB for time, relay, kib in fleet.samples if time == at and relay.group == group]
        assert row_of(report, group, "group")["average"] == pytest.approx(statistics.fmean(values), rel=1e-6)
    # The verdict rests on what came before.
    assert row_of(report, "I", "group")["verdict"] == "growing"
    near = ctl("report", f"--file={table(fleet.csv())}", "--by=group", "--baseline=Z", "--at=2026-01-05T00:04:59",
               "--json=short").json
    assert near["rows"][0]["average"] == report["rows"][0]["average"]


def test_at_a_time_without_collection(ctl, table):
    relays = [Relay("a", "A", None, 1000), Relay("z", "Z", None, 1000)]
    fleet = Fleet(relays, 2, step=HOUR)
    text = "\n".join(l for l in fleet.csv().splitlines() if not l.startswith("2026-01-01T1")) + "\n"
    done = ctl("report", f"--file={table(text)}", "--at=2026-01-01T15:00")
    assert done.status == 1 and "no collection at that time" in done.err


def test_since_and_until(ctl, journal, fleet):
    journal.fleet(fleet)
    journal.write()
    report = ctl("report", "-D", journal.directory, "--since=2026-01-02", "--until=2026-01-03", "--warmup=0",
                 "--json=short").json
    assert report["first"] == (START + DAY) * 10 ** 6 and report["last"] == (START + 2 * DAY) * 10 ** 6
    assert row_of(report, "glibc")["counted"] == 5 * DAY * 10 ** 6
    assert ctl("report", "-D", journal.directory, "--since=2026-02-01").status == 1


def test_counts_what_ran_not_what_was_assigned(ctl, journal):
    relays = [Relay(f"z{i}", "Z", "glibc", 1000000 + i * 1000) for i in range(4)]
    relays += [Relay(f"y{i}", "Z", "mimalloc", 200000 + i * 1000) for i in range(4)]  # assigned glibc, runs mimalloc
    journal.fleet(Fleet(relays, 4))
    journal.write()
    report = ctl("report", "-D", journal.directory, "--json=short").json
    assert row_of(report, "glibc")["average"] == pytest.approx(1001500 * KIB, rel=1e-6)
    assert row_of(report, "glibc")["relays"] == 4
    by_group = ctl("report", "-D", journal.directory, "--by=group", "--json=short").json
    assert sorted((r["group"], r["allocator"]) for r in by_group["rows"]) == [("Z", "glibc"), ("Z", "mimalloc")]


def test_nothing_counts_without_proof(ctl, journal):
    relays = [Relay("a", "A", "mimalloc", 1000), Relay("b", "A", None, 9000)]
    journal.fleet(Fleet(relays, 3))
    journal.write()
    report = ctl("report", "-D", journal.directory, "--json=short").json
    assert len(report["rows"]) == 1 and report["rows"][0]["average"] == 1000 * KIB
    assert report["unproved"] == 432
    assert "432 samples are not counted because it was not proved" in ctl("report", "-D", journal.directory).out


def test_moved_relays(ctl, journal):
    """All of them, so nothing ran beside: that is said, and what there is instead is an option."""
    move = START + 3 * DAY
    before = [Relay(f"r{i}", None, "glibc", 1000000 + i * 50000, end=move) for i in range(5)]
    after = [Relay(f"r{i}", "B", "mimalloc", 200000 + i * 10000, begin=move, started=move - 5) for i in range(5)]
    journal.fleet(Fleet(before + after, 8))
    journal.write()
    done = ctl("report", "-D", journal.directory)
    assert "no control beside it" in done.out and "nothing ran glibc 1.0 beside the others" in done.out, done
    assert "5 restarts, 5 of them to move." in done.out
    report = ctl("report", "-D", journal.directory, "--compare=all", "--json=short").json
    row = row_of(report, "mimalloc")
    assert row["mixed"] == 5 and report["mixed"] == 5
    assert row["restarts"] == row["moves"] == report["restarts"] == 5
    # The two days after the restart are warm-up: five seconds of them had gone by.
    assert row["warmup"] == pytest.approx(5 * (2 * DAY - 5) * 10 ** 6)
    assert row["counted"] == pytest.approx(5 * (3 * DAY + 5) * 10 ** 6)
    low, high = row["reduction_interval"]
    assert low <= 0.8 <= high and high - low < 0.001  # pairs: what differs between relays falls out


def trial(turn_after=HOUR):
    """All relays ran glibc for weeks; then each group was restarted, Z onto glibc, B onto mimalloc."""
    begin, move = START + 4 * DAY, START + 4 * DAY + turn_after
    relays = []
    for i in range(10):
        group, allocator, level = ("B", "mimalloc", 300000) if i < 5 else ("Z", "glibc", 400000)
        relays.append(Relay(f"r{i}", None, "glibc", 900000 + 5000 * i, end=begin))
        relays.append(Relay(f"r{i}", group, "glibc", 900000 + 5000 * i, begin=begin, end=move))
        relays.append(Relay(f"r{i}", group, allocator, level + 5000 * (i % 5), begin=move, started=move))
    return Fleet(relays, 14)


@pytest.mark.parametrize("by", ["allocator", "group"])
def test_report_and_experiment_compare_the_same(ctl, journal, by):
    """A quarter less than the control beside, not two thirds less than weeks ago; what came before is one line."""
    journal.fleet(trial())
    journal.write()
    report = ctl("report", "-D", journal.directory, f"--by={by}", "--json=short").json
    assert [(r["allocator"], r["waiting"]) for r in report["rows"]] == [("mimalloc", False), ("glibc", False), ("glibc", True)]
    row, control, waiting = report["rows"]
    assert control["baseline"] and control["average"] == pytest.approx(410000 * KIB, rel=0.01)
    assert row["reduction"] == pytest.approx(1 - 310 / 410, abs=0.005)
    assert waiting["reduction"] is None and waiting["verdict"] is None and waiting["restarts"] == 0
    state = ctl("experiment", "-D", journal.directory, "--json=short").json
    assert next(g for g in state["groups"] if g["group"] == "B")["reduction"] == pytest.approx(row["reduction"], abs=1e-5)
    done = ctl("report", "-D", journal.directory, f"--by={by}")
    assert "over the time that both ran" in done.out and "on glibc before their turn came" in done.out, done
    assert "10 restarts, " in done.out
    old = ctl("report", "-D", journal.directory, f"--by={by}", "--compare=all", "--json=short").json
    reduction = next(r for r in old["rows"] if r["allocator"] == "mimalloc")["reduction"]
    assert reduction > 0.4 if by == "allocator" else old["compare"] == "all"


def test_why_there_is_no_number(ctl, table):
    relays = [Relay(f"z{i}", "Z", None, 1000 + i) for i in range(4)] + [Relay(f"b{i}", "B", None, 500 + i) for i in range(2)]
    relays += [Relay(f"w{i}", "W", None, 500 + i, begin=START + 5 * DAY, started=None) for i in range(3)]
    path = table(Fleet(relays, 6).csv())
    done = ctl("report", f"--file={path}", "--baseline=Z")
    rows = {line.split()[0]: line for line in done.out.splitlines() if line[:2] in ("Z ", "B ", "W ")}
    assert "only two relays" in rows["B"] and "50 %" in rows["B"] and "all of it warm-up" in rows["W"], done
    reasons = {r["group"]: r["reduction_reason"] for r in ctl("report", f"--file={path}", "--baseline=Z", "--json=short").json["rows"]}
    assert reasons == {"B": "only two relays", "Z": None, "W": "all of it warm-up"}
    assert 'reason' in ctl("report", f"--file={path}", "--baseline=Z", "--format=csv").out.splitlines()[0].split(",")


def test_intervals_of_several_rows(ctl, table, fleet):
    path = table(fleet.csv())
    wide = ctl("report", f"--file={path}", "--baseline=Z", "--json=short").json
    narrow = ctl("report", f"--file={path}", "--baseline=Z", "--uncorrected", "--json=short").json
    assert wide["compared"] == narrow["compared"] == 3
    assert wide["confidence"] == pytest.approx(1 - 0.05 / 3, abs=1e-6) and narrow["confidence"] == 0.95
    width = lambda report: [i[1] - i[0] for i in (r["reduction_interval"] for r in report["rows"]) if i]
    assert all(w > 1.2 * n for w, n in zip(width(wide), width(narrow))) and len(width(wide)) == 3
    assert "so that all 3 hold together (Bonferroni: 98.33 % each; --uncorrected" in ctl("report", f"--file={path}", "--baseline=Z").out


def test_same_seed_same_report(ctl, table, fleet):
    path = table(fleet.csv())
    one, two, other = (ctl("report", f"--file={path}", "--baseline=Z", f"--seed={s}", "--json=short").out for s in (5, 5, 6))
    assert one == two
    assert json.loads(one)["rows"][0]["reduction_interval"] != json.loads(other)["rows"][0]["reduction_interval"]


def test_columns(ctl, table, fleet):
    done = ctl("report", f"--file={table(fleet.csv())}", "--by=group", "-o", "GROUP,SAMPLES,hours,restarts", "--no-legend")
    assert done.status == 0 and done.out.splitlines()[0].split()[1:] == ["4320", "480.0", "0"], done
    assert ctl("report", f"--file={table(fleet.csv())}", "-o", "GRUOP").status == 2


@pytest.mark.parametrize("arguments, words", [
    (["--by=relay"], "--by=relay"),
    (["--format=jpeg"], "table, json, csv, markdown, html, svg or png"),
    (["--format=htlm"], 'did you mean html?'),
    (["--since=soon"], "not a time"),
    (["--since=2026-01-03", "--until=2026-01-02"], "--since is after --until"),
    (["--at=now", "--until=now"], "cannot be combined"),
    (["--warmup=long"], "not a time span"),
    (["--seed=x"], "not a whole number"),
    (["--compare=now"], 'must be "beside" or "all"'),
    (["--merge"], "cannot be combined"),
    (["operand"], "no operand"),
    (["--json=short", "--format=html"], "cannot be combined"),
    (["--nonsense"], ""),
])
def test_wrong_usage(ctl, table, fleet, arguments, words):
    done = ctl("report", f"--file={table(fleet.csv())}", *arguments)
    assert done.status == 2 and words in done.err and done.out == "", done


def test_unknown_baseline(ctl, table, fleet):
    done = ctl("report", f"--file={table(fleet.csv())}", "--baseline=Q")
    assert done.status == 2 and "there are: B, A, I, Z" in done.err, done


def test_warmup_rule_is_said(ctl, journal):
    relays = [Relay(f"z{i}", "Z", "glibc", 1000) for i in range(3)]
    journal.fleet(Fleet(relays, 0.5))
    journal.write()
    done = ctl("report", "-D", journal.directory)
    assert "The warm-up is 5h" in done.out
    assert "too short" in done.out and "less than a day counted" in done.out


def test_swap_is_said(ctl, journal):
    """Resident memory is low, too, when the rest was swapped out."""
    for time in range(START, START + 3 * DAY, HOUR):
        for name, swap in (("a", 0), ("b", 300 * MIB), ("c", 724 * MIB)):
            journal.add(time, {"MESSAGE_ID": SAMPLE_RELAY, "RELAYALLOC_RELAY": name, "RELAYALLOC_ALLOCATOR": "glibc",
                               "RELAYALLOC_RSS": 100 * MIB, "RELAYALLOC_SWAP": swap, "RELAYALLOC_SINCE": START * 10 ** 6})
    journal.write()
    done = ctl("report", "-D", journal.directory)
    assert "1.00 GiB of 2 relays were in swap at the end, which no average includes." in done.out, done


def test_two_hosts(ctl, tmp_path, another_journal):
    for host, machine, level in (("alpha", "a" * 32, 1000), ("beta", "b" * 32, 3000)):
        journal = another_journal("remote", host=host, machine=machine)
        journal.fleet(Fleet([Relay("default", None, "glibc", level)], 3))
        journal.write(f"remote-{host}.journal")
    report = ctl("report", "-D", tmp_path / "remote", "--json=short").json
    assert [m["relay"] for m in report["rows"][0]["members"]] == ["alpha/default", "beta/default"]
    assert report["rows"][0]["average"] == 2000 * KIB
    by_host = ctl("report", "-D", tmp_path / "remote", "--by=host", "--json=short").json
    assert by_host["by"] == "host"
    assert [(row["host"], row["average"]) for row in by_host["rows"]] == [("alpha", 1000 * KIB), ("beta", 3000 * KIB)]
    table = ctl("report", "-D", tmp_path / "remote", "--by=host").out.splitlines()
    assert table[0].split()[:2] == ["HOST", "ALLOCATOR"] and table[1].split()[0] == "alpha"
    page = ctl("report", "-D", tmp_path / "remote", "--by=host", "--format=html").out
    assert "<title>Memory of Tor relays by host</title>" in page and '<th scope="col">Host</th>' in page


def test_one_of_two_hosts(ctl, tmp_path, another_journal):
    """A host that came later is judged by its own time: half of that, and not of all hosts', is its warm-up."""
    for host, machine, begin, days in (("alpha", "a" * 32, START, 20), ("beta", "b" * 32, START + 19 * DAY, 1)):
        journal = another_journal("remote", host=host, machine=machine)
        journal.fleet(Fleet([Relay("default", None, "glibc", 3000, begin=begin, started=begin)], days if host == "alpha" else 20))
        journal.write(f"remote-{host}.journal")
    remote = tmp_path / "remote"
    one = ctl("report", "-D", remote, "--host=beta", "--json=short")
    assert one.status == 0 and [m["relay"] for m in one.json["rows"][0]["members"]] == ["default"], one
    assert one.json["first"] >= (START + 19 * DAY) * 10 ** 6 and 0 < one.json["rows"][0]["warmup"] <= 13 * HOUR * 10 ** 6
    both = ctl("report", "-D", remote, "--host=beta,alpha", "--json=short").json
    assert len(both["rows"][0]["members"]) == 2
    done = ctl("report", "-D", remote, "--host=gamma")
    assert done.status == 1 and 'there are no samples of a host named "gamma"' in done.err
    servers = {line.split(",")[1] for line in ctl("export", "-D", remote, "--host=beta").out.splitlines()[1:]}
    assert servers == {"beta"}
    state = ctl("experiment", "-D", remote, "--host=beta", "--json=short")
    assert "alpha" not in state.out + state.err


def test_one_server_of_a_table(ctl, fleet):
    table = fleet.csv().encode()
    both = table + b"".join(line.replace(b",co,", b",other,") + b"\n" for line in table.splitlines()[1:])
    relays = sum(row["relays"] for row in ctl("report", "--file=-", "--by=group", "--json=short", stdin=table).json["rows"])
    chosen = ctl("report", "--file=-", "--by=group", "--host=other", "--json=short", stdin=both).json
    assert sum(row["relays"] for row in chosen["rows"]) == relays
    hosts = ctl("report", "--file=-", "--by=host", "--json=short", stdin=both).json["rows"]
    assert {row["host"] for row in hosts} == {"co", "other"}


def test_no_directory_no_samples(ctl, tmp_path):
    done = ctl("report", "-D", tmp_path / "missing")
    assert done.status == 1 and "No such file or directory" in done.err
    (tmp_path / "empty").mkdir()
    done = ctl("report", "-D", tmp_path / "empty")
    assert done.status == 1 and "no samples" in done.err


def test_damaged_journal(ctl, journal, fleet):
    """Cut off in the middle of the night: what is left is reported, and said to be all that is left."""
    journal.relays(fleet)
    path = journal.write()
    whole = ctl("report", "-D", journal.directory, "--json=short").json
    with open(path, "r+b") as f:
        f.truncate(path.stat().st_size * 2 // 3)
    done = ctl("report", "-D", journal.directory, "--json=short")
    assert done.status == 0 and "truncated; what is left of it is read" in done.err, done
    assert 0.3 * whole["samples"] < done.json["samples"] < whole["samples"]
    for row in done.json["rows"]:
        if row["allocator"] != "mimalloc3":
            assert row["average"] == pytest.approx(row_of(whole, row["allocator"])["average"], rel=0.01)


def test_entries_of_others_do_not_count(ctl, journal):
    relay = Relay("a", "A", "glibc", 1000)
    for time in range(START, START + 3 * DAY, 600):
        journal.sample(time, relay, 1000)
        journal.sample(time + 60, relay, 1, uid="1000")
    journal.write()
    done = ctl("report", "-D", journal.directory, "--json=short")
    assert done.json["rows"][0]["average"] == 1000 * KIB
    assert "432 entries under our names were not logged by root" in done.err


def test_formats_agree(ctl, table, fleet):
    path = table(fleet.csv())
    report = ctl("report", f"--file={path}", "--baseline=Z", "--json=short").json
    csv = [line.split(",") for line in ctl("report", f"--file={path}", "--baseline=Z", "--format=csv").out.splitlines()]
    assert [dict(zip(csv[0], line))["group"] for line in csv[1:]] == [row["group"] for row in report["rows"]]
    for line, row in zip(csv[1:], report["rows"]):
        values = dict(zip(csv[0], line))
        assert float(values["average_bytes"]) == pytest.approx(row["average"], abs=1)
        assert values["verdict"] == row["verdict"]
    markdown = ctl("report", f"--file={path}", "--baseline=Z", "--format=markdown").out
    assert markdown.startswith("| Group | Relays | Average |") and "| growing |" in markdown
    assert all(len(line.split("|")) == 9 for line in markdown.splitlines() if line.startswith("|"))


def test_image_formats(ctl, table, fleet):
    path = table(fleet.csv())
    svg = ctl("report", f"--file={path}", "--baseline=Z", "--format=svg")
    assert svg.status == 0 and svg.out.startswith("<?xml") and svg.out.rstrip().endswith("</svg>")
    png = ctl("report", f"--file={path}", "--baseline=Z", "--format=png")
    assert png.status == 0 and png.raw.startswith(b"\x89PNG") and len(png.raw) > 20000


def test_without_gnuplot(ctl, table, fleet, tmp_path):
    path = table(fleet.csv())
    empty = tmp_path / "bin"
    empty.mkdir()
    for form in ("svg", "png"):
        done = ctl("report", f"--file={path}", f"--format={form}", PATH=str(empty))
        assert done.status == 1 and "gnuplot is not installed (on Debian: apt install gnuplot-nox)" in done.err
        assert done.out == ""
    done = ctl("report", f"--file={path}", "--format=html", PATH=str(empty))
    assert done.status == 0 and "gnuplot is not installed" in done.err
    assert "<table>" in done.out and "No charts: gnuplot is not installed" in done.out and "<svg" not in done.out


def test_few_samples_of_many_relays(ctl, table):
    """Two samples of each relay that count say little, twenty relays that all rise say it all."""
    relays = [Relay(f"r{i}", "A", None, 4 * GIB // KIB + 1000 * i, per_day=GIB // KIB) for i in range(20)]
    done = ctl("report", f"--file={table(Fleet(relays, 6, step=DAY).csv())}", "--json=short")
    (row,) = done.json["rows"]
    assert row["verdict"] == "growing" and row["growth"]["relays"] == 20, done
    assert row["growth"]["bytes_per_day"] == pytest.approx(GIB, rel=0.01)


def test_too_short_has_no_figure(ctl, table):
    relays = [Relay(f"r{i}", "A", None, 1000000 + 1000 * i, per_day=50000) for i in range(5)]
    path = table(Fleet(relays, 0.75).csv())
    (row,) = ctl("report", f"--file={path}", "--warmup=0", "--json=short").json["rows"]
    assert row["verdict"] == "too short" and row["growth"]["bytes_per_day"] is None and row["growth"]["interval"] is None
    assert "MiB (" not in ctl("report", f"--file={path}", "--warmup=0").out
    header, line = ctl("report", f"--file={path}", "--warmup=0", "--format=csv").out.splitlines()
    assert dict(zip(header.split(","), line.split(",")))["growth_bytes_per_day"] == ""


@pytest.mark.parametrize("kind", ["table", "journal"])
def test_since_knows_what_came_before(ctl, table, journal, kind):
    """The last two and a half days of ten: the relays are old, which only the rows before --since say."""
    relays = [Relay(f"r{i}", "A", "glibc", 1000000 + 1000 * i, started=START) for i in range(4)]
    young = Relay("young", "A", "glibc", 5000000, begin=START + 9 * DAY, started=START + 9 * DAY)
    fleet = Fleet(relays + [young], 10, step=HOUR)
    if kind == "table":
        source = f"--file={table(fleet.csv())}"
    else:
        journal.fleet(fleet)
        journal.write()
        source = f"--directory={journal.directory}"
    report = ctl("report", source, "--since=2026-01-08 12:00", "--json=short").json
    assert report["warmup"] == 48 * HOUR * 10 ** 6  # by all ten days, not by those asked for
    assert report["left_out_as_warmup"] == 24 * HOUR * 10 ** 6  # the young one's alone
    assert report["counted"] == 4 * 60 * HOUR * 10 ** 6
    assert report["rows"][0]["relays"] == 4 and report["rows"][0]["verdict"] == "steady"


def test_groups_of_a_table(ctl, table, journal):
    """Columns as in 1AEO's relay_config.csv; by name here. Groups of a table of measurements, or of the journal."""
    relays = [Relay(f"r{i}", "X", "glibc" if i < 4 else "mimalloc", 1000000 if i < 4 else 400000) for i in range(8)]
    fleet = Fleet(relays, 6)
    groups = table("fingerprint,nickname,group,dircache,maxmem,notes\n" +
                   "".join(f",r{i},{'Z' if i < 4 else 'B'},0,2GB,\"a, b\"\n" for i in range(7)) + ",gone,B,,,\n", "groups.csv")
    journal.fleet(fleet)
    journal.write()
    for source in (f"--file={table(fleet.csv())}", f"--directory={journal.directory}"):
        done = ctl("report", source, f"--groups={groups}", "--baseline=Z", "--json=short")
        assert done.status == 0 and done.err == f"{groups}:9: there are no samples of gone\n", done
        rows = {r["group"]: r for r in done.json["rows"]}
        assert {g: r["relays"] for g, r in rows.items()} == {"Z": 4, "B": 3, None: 1}
        assert rows["B"]["reduction"] == pytest.approx(0.6, abs=0.001)
        assert f"Groups are those of {groups}." in done.json["notes"]
    assert rows["B"]["allocator"] == "mimalloc"  # which of the two is proved, the group is not


def test_groups_and_allocators_of_a_table(ctl, table):
    relays = [Relay(f"r{i}", None, None, 1000000 if i < 4 else 400000) for i in range(8)]
    groups = table("nickname,allocator,group\n" + "".join(f"r{i},{'glibc,Z' if i < 4 else 'jemalloc,A'}\n" for i in range(8)), "groups.csv")
    report = ctl("report", f"--file={table(Fleet(relays, 6).csv())}", f"--groups={groups}", "--by=allocator", "--json=short").json
    assert {r["allocator"]: r["relays"] for r in report["rows"]} == {"glibc": 4, "jemalloc": 4} and report["baseline"] == "glibc"


def test_wrong_groups(ctl, table, fleet, tmp_path):
    path = table(fleet.csv())
    done = ctl("report", f"--file={path}", f"--groups={tmp_path}/missing")
    assert done.status == 2 and "missing: No such file" in done.err and done.out == "", done
    groups = table("nickname,group\na1,A\na1,B\n", "groups.csv")
    done = ctl("report", f"--file={path}", f"--groups={groups}")
    assert done.status == 2 and f"{groups}:3: a1 was on line 2 already" in done.err and done.out == "", done


def test_report_of_nothing(ctl, journal):
    """Restarted every night: all of it is warm-up, and that is what the words say."""
    relays = [Relay(f"r{i}", "A", "glibc", 1000, begin=START + d * DAY, end=START + (d + 1) * DAY, started=START + d * DAY)
              for d in range(5) for i in range(3)]
    journal.fleet(Fleet(relays, 5, step=HOUR))
    journal.write()
    done = ctl("report", "-D", journal.directory)
    assert done.status == 0 and ": no relay-hours counted, 360 left out as warm-up" in done.out, done
    assert "--warmup=0 counts it" in done.out
