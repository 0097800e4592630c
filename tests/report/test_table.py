"""Tables that are not as they should be: each bad line is named, and the good ones count; a file that is no table is
refused as a whole."""

import datetime

import pytest
from conftest import COLUMNS, HOUR, KIB, Fleet, Relay


def relays():
    return [Relay(f"{g.lower()}{i}", g, None, 1000 * (1 if g == "A" else 4)) for g in "AZ" for i in range(3)]


@pytest.fixture
def small():
    return Fleet(relays(), 4, step=HOUR)


def report(ctl, path, *more, **how):
    return ctl("report", f"--file={path}", "--baseline=Z", "--json=short", *more, **how)


def average(done, group):
    return next(r["average"] for r in done.json["rows"] if r["group"] == group)


def test_stdin(ctl, small, table):
    text = small.csv()
    done = report(ctl, "-", stdin=text.encode())
    assert done.status == 0 and average(done, "A") == 1000 * KIB
    assert done.out == report(ctl, table(text)).out


def test_crlf_and_byte_order_mark(ctl, small, table):
    plain = report(ctl, table(small.csv()))
    odd = report(ctl, table("\ufeff" + small.csv(newline="\r\n"), "odd.csv"))
    assert odd.status == 0 and odd.err == "" and odd.out == plain.out


@pytest.mark.parametrize("header, words", [
    ("time,nickname,rss_kb", 'no column "timestamp"'),
    (COLUMNS.replace("rss_kb", "rss"), 'no column "rss_kb"'),
    (COLUMNS.replace("vmsize_kb", "rss_kb"), 'two columns are named "rss_kb"'),
    ("", "no column"),
])
def test_wrong_columns(ctl, small, table, header, words):
    path = table(small.csv(header=header))
    done = report(ctl, path)
    assert done.status == 2 and done.out == ""
    assert done.err.startswith(f"{path}:1: ") and words in done.err, done.err


def test_no_rows(ctl, table):
    for text in (COLUMNS + "\n", COLUMNS + "\n2026-01-01T00:00:00,co,aggregate,,,,,,,,2,4,2,,\n"):
        done = report(ctl, table(text))
        assert done.status == 1 and done.out == "" and "there are no samples of relays" in done.err
    done = report(ctl, "-", stdin=COLUMNS.encode())
    assert done.status == 1 and "standard input: there are no samples of relays" in done.err


def test_not_a_table(ctl, table, tmp_path):
    assert report(ctl, table("", "empty.csv")).status == 2
    assert "empty.csv: empty" in report(ctl, table("", "empty.csv")).err
    done = report(ctl, tmp_path / "missing.csv")
    assert done.status == 1 and "No such file" in done.err
    done = report(ctl, tmp_path)
    assert done.status == 1 and "Is a directory" in done.err
    done = report(ctl, "/dev/zero")
    assert done.status == 1 and "not a regular file" in done.err
    noise = table(bytes(range(256)) * 100, "noise.csv")
    assert report(ctl, noise).status == 2


def test_bad_lines(ctl, small, table):
    lines = small.csv().splitlines()
    bad = {20: lines[20].replace("000,", "000.5,"), 30: lines[30].replace(",relay,", ",rely,"), 40: "short,line",
           51: '"' + lines[51], 60: lines[60].replace("2026-01-01", "2026-02-30"), 70: lines[70] + ",more",
           # 80 stays
           90: lines[90].replace("000,", "00-0,"), 100: lines[100].replace("co,relay,,", "co,relay,,\x1b")}
    for number, line in bad.items():
        assert line != lines[number], number
        lines[number] = line
    path = table("\n".join(lines) + "\n")
    done = report(ctl, path)
    assert done.status == 0
    assert [int(l.split(":")[1]) for l in done.err.splitlines()] == [n + 1 for n in bad]
    assert "\x1b" not in done.err
    assert done.json["samples"] == len(small.samples) - len(bad)
    assert average(done, "A") == 1000 * KIB


def test_many_bad_lines(ctl, small, table):
    done = report(ctl, table(small.csv() + "x\n" * 1000))
    assert done.status == 0
    lines = done.err.splitlines()
    assert len(lines) == 11 and lines[-1] == "and 990 more lines."


def test_torn_last_line(ctl, small, table):
    text = small.csv()
    whole = report(ctl, table(text))
    last = text.splitlines()[-1]
    for cut in (1, 12, 30, 40, len(last) - 5):
        path = table(text[:-len(last) - 1] + last[:cut], "torn.csv")
        done = report(ctl, path)
        assert done.status == 0
        assert f":{len(text.splitlines())}: the file ends within this line" in done.err, (cut, done.err)
        assert done.json["samples"] == whole.json["samples"] - 1
    done = report(ctl, table(text[:-1], "no-newline.csv"))  # all columns are there, the last is none that counts
    assert done.err == "" and done.out == whole.out


def test_duplicates(ctl, small, table):
    lines = small.csv().splitlines()
    other = lines[100].replace(",1000,", ",999999,").replace(",4000,", ",999999,")
    assert other != lines[100]
    text = "\n".join(lines[:101] + [lines[100], other] + lines[101:]) + "\n"
    path = table(text)
    done = report(ctl, path)
    assert done.status == 0
    assert f"{path}:102: " in done.err and "this row appears twice" in done.err
    assert f"{path}:103: " in done.err and "another value for the same relay and time; the first counts" in done.err
    assert done.out == report(ctl, table(small.csv(), "plain.csv")).out


def test_out_of_order(ctl, small, table):
    lines = small.csv().splitlines()
    text = "\n".join(lines + lines[7:9]) + "\n"
    done = report(ctl, table(text))
    assert done.status == 0 and "older than the relay's previous row" in done.err


def test_two_tables_in_one(ctl, table, tmp_path):
    """cat a.csv b.csv: the header comes again; relays of one name on two servers are two."""
    a = Fleet([Relay("default", "A", None, 1000)], 3, step=HOUR).csv()
    b = Fleet([Relay("default", "A", None, 3000)], 3, step=HOUR).csv().replace(",co,", ",other,")
    done = report(ctl, table(a + b), "--by=group", "--baseline=A")
    assert done.status == 0 and done.err == "", done
    assert average(done, "A") == 2000 * KIB
    assert [m["relay"] for m in done.json["rows"][0]["members"]] == ["co/default", "other/default"]


def test_renamed_server(ctl, small, table):
    """The same relays go on under another name of the server."""
    lines = small.csv().splitlines()
    half = len(lines) // 2
    text = "\n".join(lines[:half] + [l.replace(",co,", ",renamed,") for l in lines[half:]]) + "\n"
    done = report(ctl, table(text))
    assert done.out == report(ctl, table(small.csv(), "plain.csv")).out


def local(offset):
    return lambda t: datetime.datetime.fromtimestamp(t + offset, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")


def test_offsets(ctl, small, table):
    utc = report(ctl, table(small.csv()))
    shifted = small.csv(stamp=lambda t: local(5 * HOUR + 1800)(t) + "+05:30")
    done = report(ctl, table(shifted, "shifted.csv"), TZ="America/New_York")
    assert done.err == "" and done.json["rows"] == utc.json["rows"]


def test_mixed_offsets(ctl, small, table):
    lines = small.csv().splitlines()
    half = len(lines) // 2
    text = "\n".join(lines[:half] + [l.replace(",co,", "Z,co,", 1) for l in lines[half:]]) + "\n"
    plain = report(ctl, table(small.csv(), "plain.csv"))
    done = report(ctl, table(text))  # local time is UTC here
    assert done.status == 0 and done.out == plain.out
    assert "rows have a UTC offset" in done.err and "are read as local time (TZ)" in done.err
    wrong = report(ctl, table(text), TZ="CET-1")  # an hour that never was, and one that was twice
    assert wrong.status == 0 and "read as local time" in wrong.err


def test_clocks_go_back(ctl, table):
    """2026-10-25, 2 to 3 o'clock comes twice in Berlin; without offsets the order of the rows tells which is meant."""
    begin = 1792879200  # 2026-10-25 00:00 +02:00
    rule = "CET-1CEST,M3.5.0,M10.5.0/3"
    change = begin + 3 * HOUR
    times = range(begin, begin + 30 * HOUR, 1800)
    stamp = lambda t: local(2 * HOUR if t < change else HOUR)(t)
    lines = [COLUMNS] + [f"{stamp(t)},co,relay,,{r},{r[0].upper()},{1000 if r[0] == 'a' else 4000},,,,,,,," for t in times
                         for r in ("a1", "z1")]
    done = report(ctl, table("\n".join(lines) + "\n"), "--warmup=0", TZ=rule)
    assert done.status == 0 and done.err == "", done
    assert done.json["counted"] == 2 * 30 * HOUR * 10 ** 6
    assert done.json["gap"] == 0
    assert done.json["last"] == (begin + 30 * HOUR - 1800) * 10 ** 6


def test_clocks_go_forward(ctl, small, table):
    lines = small.csv().splitlines()
    lines.append(lines[-1].replace("2026-01-04T23", "2026-03-29T02"))
    path = table("\n".join(lines) + "\n")
    done = report(ctl, path, TZ="CET-1CEST,M3.5.0,M10.5.0/3")
    assert done.status == 0 and f"{path}:{len(lines)}: " in done.err and "the clocks skipped this local time" in done.err


def test_relays_that_did_not_run(ctl, small, table):
    lines = small.csv().splitlines()
    text = "\n".join(lines + [f"2026-01-05T0{h}:00:00,co,relay,,a0,A,{v},,,,,,,," for h, v in ((0, ""), (1, "0"))]) + "\n"
    done = report(ctl, table(text))
    assert done.status == 0 and done.err == "" and done.json["samples"] == len(small.samples)


def test_restarts_by_their_peak(ctl, table):
    lines = [COLUMNS]
    for hour in range(24 * 6):
        kib = 5000 if hour < 48 else 1000 + hour
        lines.append(f"2026-01-{1 + hour // 24:02}T{hour % 24:02}:00:00,co,relay,,a,A,{kib},,{kib},,,,,,")
    done = report(ctl, table("\n".join(lines) + "\n"), "--baseline=A", "--warmup=24h")
    assert done.json["restarts"] == 1
    assert done.json["left_out_as_warmup"] == 48 * HOUR * 10 ** 6
    assert done.json["counted"] == 96 * HOUR * 10 ** 6


def test_own_columns(ctl, small, table):
    text = "timestamp,nickname,rss_kb,allocator,version,started\n"
    for time, relay, kib in small.samples:
        text += f"{local(0)(time)}Z,{relay.name},{kib},{'jemalloc' if relay.group == 'A' else 'glibc'},5.3.0,2025-12-01T00:00:00Z\n"
    done = ctl("report", f"--file={table(text)}", "--json=short")
    assert done.status == 0
    assert [r["allocator"] for r in done.json["rows"]] == ["jemalloc", "glibc"]
    assert done.json["left_out_as_warmup"] == 0  # they had run for a month
    assert done.json["rows"][0]["reduction"] == 0.75


def test_names_are_names(ctl, table):
    evil = "=cmd|' /C calc'!A0<script>alert(1)</script>`id`"
    quoted = '"' + evil.replace('"', '""') + '"'
    lines = [COLUMNS] + [f"2026-01-0{1 + h // 24}T{h % 24:02}:00:00,co,relay,,{quoted},{quoted},1000,,1000,,,,,," for h in range(72)]
    path = table("\n".join(lines) + "\n")
    csv = ctl("report", f"--file={path}", "--format=csv").out
    assert f"\"'{evil}\"" in csv
    html = ctl("report", f"--file={path}", "--format=html").out
    assert "<script" not in html and "&lt;script&gt;" in html and "uid=" not in html
    svg = ctl("report", f"--file={path}", "--format=svg").out
    assert "<script" not in svg and "uid=" not in svg
    markdown = ctl("report", f"--file={path}", "--format=markdown").out
    assert "<script" not in markdown
    assert ctl("report", f"--file={path}", "--json=short").json["rows"][0]["group"] == evil


def fingerprinted(hours, name=lambda i, hour: "Example", told=lambda i, hour: True):
    """Six relays, by default of one nickname; the first three in group A with 1000 KiB, the others in Z with 4000."""
    lines = [COLUMNS]
    for hour in range(hours):
        for i in range(6):
            kib = 1000 * (1 if i < 3 else 4)
            lines.append(f"2026-01-{1 + hour // 24:02}T{hour % 24:02}:00:00,co,relay,{f'{i:040X}' if told(i, hour) else ''},"
                         f"{name(i, hour)},{'A' if i < 3 else 'Z'},{kib},,{kib},,,,,,")
    return "\n".join(lines) + "\n"


def test_relays_of_one_nickname(ctl, table):
    done = report(ctl, table(fingerprinted(72)))
    assert done.status == 0 and done.err == "", done
    assert [(r["group"], r["relays"], r["reduction"]) for r in done.json["rows"]] == [("A", 3, 0.75), ("Z", 3, None)]
    assert [m["relay"] for m in done.json["rows"][0]["members"]] == [f"Example ({i:040X})" for i in range(3)]
    plan = ctl("experiment", "plan", f"--file={table(fingerprinted(3))}", "--groups=A:jemalloc,Z:glibc", "--size=3")
    assert plan.status == 2 and 'more than one relay is named "Example"' in plan.err, plan


def test_relays_that_are_renamed(ctl, table):
    """Halfway, and one loses its fingerprint for some hours: it is still the only one of its name."""
    path = table(fingerprinted(72, lambda i, hour: f"r{i}" if hour < 36 else f"new{i}", lambda i, hour: i != 4 or hour not in (40, 41)))
    done = report(ctl, path)
    assert done.status == 0 and done.err == "", done
    members = [m["relay"] for r in done.json["rows"] for m in r["members"]]
    assert sorted(members) == [f"new{i}" for i in range(6)] and done.json["samples"] == 72 * 6


def test_fingerprints_with_a_configuration(ctl, table, tmp_path):
    config = tmp_path / "groups.conf"
    config.write_text('groups = ( { name = "A"; allocator = "jemalloc"; relays = [ "new1", "new2" ]; },\n'
                      '           { name = "Z"; allocator = "glibc"; relays = [ "*" ]; } );\n')
    path = table(fingerprinted(72, lambda i, hour: f"r{i}" if hour < 36 else f"new{i}"))
    done = ctl("report", f"--file={path}", f"--config={config}", "--json=short")
    assert done.status == 0, done
    assert {r["allocator"]: sorted(m["relay"] for m in r["members"]) for r in done.json["rows"]} == \
        {"jemalloc": ["new1", "new2"], "glibc": ["new0", "new3", "new4", "new5"]}


def test_nickname_twice_without_fingerprints(ctl, table):
    done = report(ctl, table(fingerprinted(3, told=lambda i, hour: False)), "--warmup=0", "--baseline=A")
    assert done.status == 0 and "another value for the same relay and time; the first counts (fingerprints would" in done.err


@pytest.mark.parametrize("change, words", [
    (lambda t: t.replace(",1000,", ",1000.0,").replace(",4000,", ",4000.0,"), None),
    (lambda t: t.replace(",", ";"), "semicolons"),
    (lambda t: t.replace(",", "\t"), "tabs"),
    (lambda t: t.replace(",server,", ", server,"), "has a blank before or after it"),
    (lambda t: t.replace(",1000,", ',"1,000",').replace(",4000,", ',"4,000",'), "between its thousands"),
    (lambda t: t.replace(",1000,", ",1.00000E+03,").replace(",4000,", ",4.00000E+03,"), "with an exponent"),
    (lambda t: t.replace("2026-01-01T", "1/1/2026 "), "day and month cannot be distinguished"),
    (lambda t: t.replace("2026-01-01T00:00:00", "1767225600"), "a number, not a date and time"),
])
def test_as_spreadsheets_write_it(ctl, small, table, change, words):
    """Refused with one sentence that names the cause; pandas' floats are read."""
    plain = report(ctl, table(small.csv()))
    done = report(ctl, table(change(small.csv()), "changed.csv"))
    if words is None:
        assert done.status == 0 and done.err == "" and done.out == plain.out
        return
    assert done.status == 2 and done.out == ""
    (line,) = done.err.splitlines()
    assert words in line and ".csv:" in line
