"""export, and the way back."""

import csv
import io
import os
import shutil
import subprocess

import pytest
from conftest import COLUMNS, CTL, HOUR, START, Fleet, Relay


def rows_of(done):
    return list(csv.DictReader(io.StringIO(done.out)))


@pytest.mark.parametrize("kind", ["relays", "fleet"])
def test_columns_and_rows(ctl, journal, kind):
    relays = [Relay("a", "A", "mimalloc", 1000), Relay("b", None, "glibc", 3001)]
    getattr(journal, kind)(Fleet(relays, 1, step=6 * HOUR))
    journal.write()
    done = ctl("export", "-D", journal.directory)
    assert done.status == 0 and done.err == ""
    assert done.out.splitlines()[0] == COLUMNS
    rows = rows_of(done)
    assert [r["type"] for r in rows] == ["aggregate", "relay", "relay"] * 4
    assert rows[0] == {**dict.fromkeys(COLUMNS.split(","), ""), "timestamp": "2026-01-01T00:00:00", "server": "hosta",
                       "type": "aggregate", "count": "2", "total_kb": "4001", "avg_kb": "2000", "min_kb": "1000",
                       "max_kb": "3001"}
    assert (rows[1]["nickname"], rows[1]["group"], rows[1]["rss_kb"], rows[1]["hwm_kb"]) == ("a", "A", "1000", "1000")
    assert (rows[2]["nickname"], rows[2]["group"]) == ("b", "")
    assert rows[4]["timestamp"] == "2026-01-01T06:00:00"


def test_times(ctl, journal):
    journal.relays(Fleet([Relay("a", "A", "mimalloc", 1000)], 0.2, step=HOUR))
    journal.write()
    zone = {"TZ": "CET-1CEST,M3.5.0,M10.5.0/3"}
    assert rows_of(ctl("export", "-D", journal.directory, **zone))[0]["timestamp"] == "2026-01-01T01:00:00"
    assert rows_of(ctl("export", "-D", journal.directory, "--utc-offset", **zone))[0]["timestamp"] == "2026-01-01T01:00:00+01:00"
    assert rows_of(ctl("export", "-D", journal.directory, "--utc", **zone))[0]["timestamp"] == "2026-01-01T00:00:00Z"


def test_bounds(ctl, journal):
    journal.relays(Fleet([Relay("a", "A", "mimalloc", 1000)], 1, step=HOUR))
    journal.write()
    rows = rows_of(ctl("export", "-D", journal.directory, "--since=2026-01-01 03:00", "--until=2026-01-01 05:00"))
    assert [r["timestamp"][11:13] for r in rows if r["type"] == "relay"] == ["03", "04", "05"]
    done = ctl("export", "-D", journal.directory, "--since=2027-01-01")
    assert done.status == 1 and "no samples" in done.err


def test_there_and_back(ctl, journal, fleet, table):
    """What is exported with all columns gives the same report again."""
    journal.fleet(fleet)
    journal.write()
    direct = ctl("report", "-D", journal.directory, "--json=short").json
    path = table(ctl("export", "-D", journal.directory, "--all", "--utc").out, "exported.csv")
    back = ctl("report", f"--file={path}", "--json=short").json
    assert back["rows"] == direct["rows"]
    by_group = ctl("report", "-D", journal.directory, "--by=group", "--baseline=Z", "--warmup=0", "--json=short").json
    plain = table(ctl("export", "-D", journal.directory).out, "plain.csv")
    back = ctl("report", f"--file={plain}", "--baseline=Z", "--warmup=0", "--json=short").json
    assert [(r["group"], r["average"]) for r in back["rows"]] == [(r["group"], r["average"]) for r in by_group["rows"]]


def test_fingerprint_and_flags(ctl, journal, table):
    """Told once, in a sample before the time asked for; flags every other time."""
    relays = [Relay("a", "A", "mimalloc", 1000), Relay("b", "A", "mimalloc", 2000)]
    for time, rows in Fleet(relays, 3, step=HOUR).collections():
        for relay, kib in rows:
            first = time == START + 5 * HOUR
            journal.sample(time, relay, kib, fingerprint="AB" * 20 if first and relay.name == "a" else None,
                           flags=("Fast,Guard" if relay.name == "a" else "") if time % (2 * HOUR) == 0 else None)
    journal.write()
    rows = rows_of(ctl("export", "-D", journal.directory, "--all", "--utc", "--since=2026-01-02"))
    assert {(r["nickname"], r["fingerprint"]) for r in rows if r["type"] == "relay"} == {("a", "AB" * 20), ("b", "")}
    assert [r["flags"] for r in rows if r["nickname"] == "a"][:3] == ["Fast,Guard", "", "Fast,Guard"]
    assert [r["flags"] for r in rows if r["nickname"] == "b"][:3] == ["none", "", "none"]
    assert "flags" not in ctl("export", "-D", journal.directory).out.splitlines()[0]
    direct = ctl("report", "-D", journal.directory, "--json=short").json
    path = table(ctl("export", "-D", journal.directory, "--all", "--utc").out, "exported.csv")
    back = ctl("report", f"--file={path}", "--json=short").json
    assert back["rows"] == direct["rows"] and direct["rows"][0]["flags"]["Guard"]["share"] == 0.5


def test_names(ctl, journal, table):
    journal.relays(Fleet([Relay("-x,y", '=A"B', "mimalloc", 1000)], 3, step=HOUR))
    journal.write()
    done = ctl("export", "-D", journal.directory)
    assert rows_of(done)[1]["nickname"] == "'-x,y"  # a spreadsheet would run it
    report = ctl("report", f"--file={table(done.out)}", "--json=short").json
    assert report["rows"][0]["group"] == '=A"B' and report["rows"][0]["members"][0]["relay"] == "-x,y"


def test_wrong_usage(ctl, journal, table):
    for arguments in (["--file=x"], ["--at=now"], ["--warmup=0"], ["operand"], ["--json=short"], ["--nonsense"]):
        assert ctl("export", *arguments).status == 2


def test_nothing_to_write_has_no_header(ctl, journal, tmp_path):
    """A table with a header and no rows looks like a fleet without relays to what reads it."""
    done = ctl("export", "-D", tmp_path / "missing")
    assert done.status == 1 and done.out == "" and "No such file or directory" in done.err, done
    done = ctl("export", "-D", journal.directory)
    assert done.status == 1 and done.out == "" and "no samples" in done.err, done


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes nobody, who may not read the journal")
def test_without_rights(ctl, journal, tmp_path):
    journal.relays(Fleet([Relay("a", "A", "mimalloc", 1000)], 0.1, step=HOUR))
    journal.write().chmod(0o600)
    for parent in [journal.directory, *list(journal.directory.parents)[:-2]]:
        parent.chmod(parent.stat().st_mode | 0o055)
    program = shutil.copy(CTL, tmp_path / "relayallocctl")
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program, "export", "-D", journal.directory],
                          capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == "", done
    assert "not allowed to read it; run as root or as a member of the group systemd-journal" in done.stderr
