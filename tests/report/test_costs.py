"""What an allocator costs in bandwidth and flags: from real journal files and from a table of bandwidth, against numbers
that are known here."""

import csv
import io
import random
import re
import statistics

import pytest
from conftest import DAY, GIB, HOUR, START, Fleet, Relay

FLAGS = ["Guard", "HSDir", "Running", "Fast", "Stable"]
ALL = "Fast,Guard,HSDir,Running,Stable,V2Dir,Valid"


def row_of(report, name):
    return next(row for row in report["rows"] if row["allocator"] == name)


def two_groups(n=5, levels=(400000, 1000000), names=("mimalloc", "glibc")):
    """Relays of one age that ran all the time; less memory with the first."""
    generator = random.Random(3)
    return [Relay(f"{allocator[0]}{i}", allocator[0].upper(), allocator, level * generator.uniform(0.95, 1.05), noise=2000)
            for allocator, level in zip(names, levels) for i in range(n)]


def log_days(journal, relays, moved, days=6):
    for day in range(1, days + 1):
        for relay in relays:
            journal.day(START + day * DAY, relay, int(moved(relay, day)))


def log_samples(journal, relays, days=6, flags=lambda relay, time: ALL, step=600):
    for time, rows in Fleet(relays, days, step).collections():
        for i, (relay, kib) in enumerate(rows):
            journal.sample(time, relay, kib, offset=i * 70, flags=flags(relay, time))


def report(ctl, journal, *arguments):
    done = ctl("report", "-D", journal.directory, "--json=short", *arguments)
    assert done.status == 0 and done.err == "", done
    return done.json


def test_numbers(ctl, journal):
    """Half of the traffic, and who lost which flag."""
    relays = two_groups()
    generator = random.Random(11)
    level = {r.name: (50 if r.allocator == "mimalloc" else 100) * GIB * generator.uniform(0.9, 1.1) for r in relays}

    def flags(relay, time):
        if relay.name == "m0":
            return "Fast,Running,Stable"  # never had the others
        return "Fast,HSDir,Running,Stable" if relay.name == "m1" and time >= START + 3 * DAY else ALL

    log_samples(journal, relays, flags=flags)
    log_days(journal, relays, lambda relay, day: level[relay.name] * (1 + 0.01 * day))
    journal.write()
    found = report(ctl, journal, "--warmup=0")
    mean = {}
    for allocator in ("mimalloc", "glibc"):
        values = [statistics.fmean(int(level[r.name] * (1 + 0.01 * day)) for day in range(1, 7))
                  for r in relays if r.allocator == allocator]
        mean[allocator] = statistics.fmean(values)
        traffic = row_of(found, allocator)["traffic"]
        assert traffic["bytes_per_day"] == pytest.approx(mean[allocator], rel=1e-6)
        assert traffic["relays"] == 5 and traffic["days"] == pytest.approx(30)
        members = {m["relay"]: m["traffic_bytes_per_day"] for m in row_of(found, allocator)["members"]}
        assert sorted(members.values()) == pytest.approx(sorted(values), rel=1e-6)
    traffic = row_of(found, "mimalloc")["traffic"]
    assert traffic["difference"] == pytest.approx(mean["mimalloc"] / mean["glibc"] - 1, abs=1e-5)
    low, high = traffic["interval"]
    assert -0.65 < low < traffic["difference"] < high < -0.35 and traffic["reason"] is None
    assert row_of(found, "glibc")["traffic"]["difference"] is None
    by = row_of(found, "mimalloc")["flags"]
    assert by["Running"]["share"] == 1 and by["Fast"]["share"] == 1 and by["Stable"]["share"] == 1
    assert by["Guard"]["share"] == pytest.approx((3 * 6 + 3) / 30, abs=0.001)
    assert by["HSDir"]["share"] == pytest.approx(4 / 5, abs=0.001)
    assert (by["Guard"]["had"], by["Guard"]["kept"]) == (4, 3)
    assert (by["HSDir"]["had"], by["HSDir"]["kept"]) == (4, 4)
    last = {m["relay"]: m["flags"] for m in row_of(found, "mimalloc")["members"]}
    assert last["m0"] == ["Running", "Fast", "Stable"] and last["m1"] == ["HSDir", "Running", "Fast", "Stable"]
    assert last["m2"] == FLAGS
    cost = row_of(found, "mimalloc")["cost"]
    assert re.match(r"bandwidth differs by -\d+ % \(-\d+ to -\d+ %\), Guard kept by 3 of 4, HSDir kept by 4 of 4, "
                    r"Running kept by 5 of 5, Fast kept by 5 of 5, Stable kept by 5 of 5$", cost), cost


def test_restarts(ctl, journal):
    """From its start until a flag is seen again; a flag that is lost days later is not the restart's doing."""
    relays = two_groups()
    restart = START + 2 * DAY
    moved = [r for r in relays if r.allocator == "mimalloc"]
    back = {"m0": 100, "m1": 97, "m2": 97}  # hours; m3 has not got it back, m4 keeps it, and loses it a day later

    def flags(relay, time):
        age = (time - restart) / HOUR
        if relay not in moved or time < restart:
            return ALL
        without = "HSDir" if relay.name != "m4" and 1 <= age < back.get(relay.name, 10 ** 6) else None
        if relay.name == "m4" and age > 40:
            without = "HSDir"
        return ",".join(f for f in ALL.split(",") if f != without)

    for time, rows in Fleet(relays, 8, 600).collections():
        for i, (relay, kib) in enumerate(rows):
            if relay in moved and time >= restart:
                relay.started = restart
            journal.sample(time, relay, kib, offset=i * 70, flags=flags(relay, time))
    journal.write()
    found = report(ctl, journal)
    hsdir = row_of(found, "mimalloc")["flags"]["HSDir"]
    assert (hsdir["restarts"], hsdir["restarts_lost"], hsdir["restarts_back"]) == (5, 4, 3)
    assert hsdir["until_back"] == pytest.approx(97 * HOUR * 10 ** 6, abs=600 * 10 ** 6)
    guard = row_of(found, "mimalloc")["flags"]["Guard"]
    assert (guard["restarts"], guard["restarts_lost"]) == (5, 0) and guard["until_back"] is None
    assert row_of(found, "glibc")["flags"]["HSDir"]["restarts"] == 0
    assert ("What restarts cost: mimalloc 1.0: HSDir lost in 4 of 5, back after 4.0 days (median), 1 not back yet."
            in found["notes"])


def test_fleet_entries_say_the_same(ctl, another_journal):
    relays = two_groups(3)
    shares = []
    for kind in ("relays", "fleet"):
        journal = another_journal(kind)
        for time, rows in Fleet(relays, 3, 600).collections():
            if kind == "relays":
                for i, (relay, kib) in enumerate(rows):
                    journal.sample(time, relay, kib, offset=i * 70, flags="" if relay.name == "m0" else "Fast,Guard")
                continue
            journal.add(time, {"MESSAGE_ID": "5b76f9e833554684ac60789877ea8811", "MESSAGE": "a fleet",
                               "RELAYALLOC_FLEET": "".join("\t".join(map(str, (
                                   r.name, r.group, r.allocator, r.version, r.started * 10 ** 6, kib * 1024, 0, 0,
                                   kib * 1024, 100, "." if r.name == "m0" else "Fast,Guard", "-"))) + "\n"
                                   for r, kib in rows)})
        journal.write()
        found = report(ctl, journal)
        shares.append([[row["flags"][f]["share"] for f in FLAGS] for row in found["rows"]])
    assert shares[0] == [[pytest.approx(s, abs=1e-3) for s in row] for row in shares[1]]
    assert shares[0][0][0] == pytest.approx(2 / 3, abs=1e-3) and shares[0][1][0] == 1


def test_formats(ctl, journal):
    relays = two_groups()
    log_samples(journal, relays, flags=lambda relay, time: "Fast,Running")
    log_days(journal, relays, lambda relay, day: 100 * GIB * (1 + 0.001 * relays.index(relay)))
    journal.write()
    table = ctl("report", "-D", journal.directory)
    assert table.out.splitlines()[0].split()[-4:] == ["TRAFFIC/DAY", "BANDWIDTH", "RUNNING", "FAST"], table
    assert re.search(r"^mimalloc .* 100 GiB +-\d\.\d % \([-+\d.]+ to [-+\d.]+ %\) +100 % +100 %$", table.out, re.M), table
    assert "mimalloc 1.0: bandwidth differs by -0." in table.out and "Running kept by 5 of 5" in table.out
    rows = list(csv.DictReader(io.StringIO(ctl("report", "-D", journal.directory, "--format=csv").out)))
    assert float(rows[0]["bandwidth_low"]) < float(rows[0]["bandwidth_difference"]) < float(rows[0]["bandwidth_high"])
    assert rows[0]["running_share"] == "1.000000" and rows[0]["running_kept"] == "5" and rows[0]["guard_share"] == "0.000000"
    markdown = ctl("report", "-D", journal.directory, "--format=markdown").out
    assert "| Traffic/day | Bandwidth | Running | Fast |" in markdown.splitlines()[0]
    page = ctl("report", "-D", journal.directory, "--format=html").out
    assert "Traffic/day" in page and "Bandwidth differs by" in page and "Traffic by the day" in page
    assert page.count("<svg") == 6


def test_what_was_never_told_takes_no_place(ctl, journal):
    """Without flags and traffic the report is what it was."""
    journal.relays(Fleet(two_groups(), 6))
    journal.write()
    found = report(ctl, journal)
    assert not {"traffic", "flags", "cost"} & set(row_of(found, "mimalloc"))
    assert not {"traffic_bytes_per_day", "flags"} & set(row_of(found, "mimalloc")["members"][0])
    assert not [note for note in found["notes"] if re.search("bandwidth|flag|[Tt]raffic|restarts cost", note)]
    lines = ctl("report", "-D", journal.directory, "--format=csv").out.splitlines()
    assert lines[0].endswith(",waiting,reason")
    assert "VERDICT" == ctl("report", "-D", journal.directory).out.splitlines()[0].split()[-1]
    said = ctl("recommend", "-D", journal.directory)
    assert said.status == 0 and not re.search("andwidth|flag", said.out)
    assert ctl("report", "-D", journal.directory, "--format=html").out.count("<svg") == 4


def test_not_recommended_when_it_costs_bandwidth(ctl, journal):
    relays = two_groups()
    log_samples(journal, relays)
    log_days(journal, relays, lambda r, day: GIB * (70 if r.allocator == "mimalloc" else 100) * (1 + 0.002 * relays.index(r)))
    journal.write()
    said = ctl("recommend", "-D", journal.directory)
    text = " ".join(said.out.split())
    assert said.status == 1 and "No recommendation: what saves memory costs bandwidth or flags." in text, said
    assert re.search(r"mimalloc 1.0, costs bandwidth \(-\d+\.?\d* to -\d+\.?\d* %\)", text), text


@pytest.mark.parametrize("lost, status", [(8, 1), (1, 0)])
def test_not_recommended_when_it_loses_flags(ctl, journal, lost, status):
    """All of one and none of the other is no chance; one of eight is."""
    relays = two_groups(8)

    def flags(relay, time):
        gone = relay.allocator == "mimalloc" and int(relay.name[1:]) < lost and time > START + DAY
        return "Fast,Running" if gone else ALL

    log_samples(journal, relays, flags=flags)
    journal.write()
    said = ctl("recommend", "-D", journal.directory)
    text = " ".join(said.out.split())
    assert said.status == status, said
    if status == 1:
        assert "mimalloc 1.0, loses Guard (kept by 0 of 8, with glibc 1.0 by 8 of 8)" in text
    else:
        assert "Bandwidth not known (traffic not known), Guard kept by 7 of 8" in text


def test_unknown_is_said(ctl, journal):
    """Of one allocator nothing is known, of the others it is."""
    relays = two_groups() + [Relay(f"j{i}", "J", "jemalloc", 500000 + 1000 * i, noise=2000) for i in range(5)]
    log_samples(journal, relays, flags=lambda r, time: None if r.allocator == "mimalloc" else ALL)
    log_days(journal, [r for r in relays if r.allocator != "mimalloc"], lambda r, day: 100 * GIB + relays.index(r) * 1000)
    journal.write()
    text = " ".join(ctl("recommend", "-D", journal.directory).out.split())
    assert text.startswith("Use mimalloc 1.0") and "Bandwidth not known (traffic not known), flags not known." in text, text
    assert row_of(report(ctl, journal), "mimalloc")["traffic"]["reason"] == "traffic not known"


def test_a_day_of_a_move_and_of_a_warm_up_count_nowhere(ctl, journal):
    """Half a day each: neither row gets it; and what came in the warm-up of the new process is left out."""
    relays = two_groups()
    move = START + 4 * DAY + 12 * HOUR
    one = relays[0]
    for time, rows in Fleet(relays, 10, 600).collections():
        for i, (relay, kib) in enumerate(rows):
            if relay is one:
                one.allocator, one.started = ("glibc", START - 30 * DAY) if time < move else ("mimalloc", move)
            journal.sample(time, relay, kib, offset=i * 70)
    log_days(journal, relays, lambda r, day: GIB * (10 ** 6 if r is one and day in (5, 6) else 100), days=10)
    journal.write()
    found = report(ctl, journal, "--warmup=48h", "--compare=all")
    days = {row["allocator"]: row["traffic"] for row in found["rows"]}
    assert days["glibc"]["days"] == pytest.approx(5 * 10 + 4) and days["mimalloc"]["days"] == pytest.approx(4 * 10 + 3)
    assert days["glibc"]["bytes_per_day"] == days["mimalloc"]["bytes_per_day"] == 100 * GIB


def bandwidth_table(relays, rate, days=6, fingerprint=None, stamp="2026-01-%02dT12:00:00"):
    """As 1AEO's script writes it from Onionoo."""
    lines = ["timestamp,fingerprint,nickname,group,observed_bps,advertised_bps,observed_mbps,advertised_mbps,write_bps,"
             "write_mbps,flags,running"]
    for day in range(1, days + 1):
        for r in relays:
            bps = rate(r)
            lines.append(f"{stamp % day},{fingerprint(r) if fingerprint else ''},{r.name},{r.group},,,,,{bps},"
                         f"{bps * 8 / 1e6},,")
    lines.append(f"2026-01-06T08:00:00.123456,,{relays[0].name},A,1000,2000,1,2,,,\"Fast,Guard\",True")
    return "\n".join(lines) + "\n"


def test_a_table_of_bandwidth(ctl, journal, table):
    relays = two_groups()
    log_samples(journal, relays, flags=lambda relay, time: None)
    log_days(journal, relays, lambda relay, day: 12345)  # is not used then
    journal.write()
    path = table(bandwidth_table(relays, lambda r: (1e6 if r.allocator == "mimalloc" else 2e6) * (1 + 0.01 * int(r.name[1:]))
                                 + 0.1632), "bandwidth.csv")
    found = report(ctl, journal, f"--bandwidth={path}", "--warmup=0")
    traffic = row_of(found, "mimalloc")["traffic"]
    assert traffic["bytes_per_day"] == pytest.approx(1.02e6 * DAY, rel=1e-4) and found["traffic_of"] == "written"
    assert traffic["difference"] == pytest.approx(-0.5, abs=1e-3) and traffic["interval"][1] < -0.4
    assert any("what was written" in note for note in found["notes"])
    # And beside a table of memory, relays by their names.
    memory = table(Fleet(relays, 6).csv())
    of_table = ctl("report", f"--file={memory}", f"--bandwidth={path}", "--warmup=0", "--baseline=G", "--json=short")
    assert of_table.status == 0, of_table
    assert of_table.json["rows"][0]["traffic"]["difference"] == pytest.approx(traffic["difference"], abs=1e-6)
    assert ctl("recommend", f"--file={memory}", f"--bandwidth={path}", "--warmup=0", "--baseline=G").status == 1


def test_a_bad_table_of_bandwidth(ctl, table, fleet):
    memory = table(fleet.csv())
    for text, words in (("timestamp,nickname\n", 'no column "write_bps"'),
                        ("timestamp,write_bps\n", 'neither a column "fingerprint" nor one "nickname"')):
        done = ctl("report", f"--file={memory}", f"--bandwidth={table(text, 'bad.csv')}")
        assert done.status == 2 and f"bad.csv:1: " in done.err and words in done.err, done
    bad = table("timestamp,nickname,write_bps\n2026-01-01T12:00:00,a0,many\n2026-01-02T12:00:00,a0,-1\n"
                "2026-01-03T12:00:00,a0,1e6\n", "bad.csv")
    done = ctl("report", f"--file={memory}", f"--bandwidth={bad}")
    assert done.status == 0 and 'bad.csv:2: write_bps "many": not a number of bytes in a second' in done.err, done
    assert 'bad.csv:3: write_bps "-1"' in done.err
    assert ctl("report", f"--file={memory}", "--bandwidth=/nowhere").status == 1


def test_by_host(ctl, tmp_path, another_journal):
    """Each host's own relays, also when those of two hosts have the same name: its traffic, its flags, the difference."""
    for host, machine, level in (("alpha", "a" * 32, 50 * GIB), ("beta", "b" * 32, 100 * GIB)):
        journal = another_journal("remote", host=host, machine=machine)
        relays = [Relay(f"r{i}", None, "glibc", 100000) for i in range(4)]
        log_samples(journal, relays, flags=lambda relay, time: "Fast,Running" if host == "alpha" else ALL)
        log_days(journal, relays, lambda relay, day: level * (1 + int(relay.name[1:]) / 100))
        journal.write(f"remote-{host}.journal")
    rows = ctl("report", "-D", tmp_path / "remote", "--by=host", "--baseline=beta", "--warmup=0", "--json=short").json["rows"]
    assert {r["host"]: (r["traffic"]["relays"], round(r["traffic"]["bytes_per_day"] / GIB)) for r in rows} == {
        "alpha": (4, 51), "beta": (4, 102)}
    alpha = next(r for r in rows if r["host"] == "alpha")
    assert alpha["traffic"]["difference"] == pytest.approx(-0.5, abs=0.001) and alpha["traffic"]["interval"][1] < -0.4
    assert (alpha["flags"]["Guard"]["share"], alpha["flags"]["Fast"]["share"]) == (0, 1)
    table = ctl("report", "-D", tmp_path / "remote", "--by=host", "--baseline=beta").out.splitlines()
    assert table[0].split()[0] == "HOST" and {"TRAFFIC/DAY", "BANDWIDTH", "GUARD"} <= set(table[0].split())
    assert re.search(r" -50.0 % \(", next(line for line in table if line.startswith("alpha"))), table
