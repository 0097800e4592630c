import re

import curves
import kept
import pytest
import samples

RUN = {**dict.fromkeys(kept.RUN, "x"), "minutes": "40", "counted_from_s": "1200", "interval_s": "100", "consensuses": "12"}
RELAYS = [{"relay": "relay1", "group": "glibc", "mapped": "glibc", "version": "2.41", "environment": ""},
          {"relay": "relay2", "group": "je", "mapped": "jemalloc", "version": "5.3.0", "environment": "MALLOC_CONF=a:b"},
          {"relay": "relay3", "group": "je", "mapped": "jemalloc", "version": "5.3.0", "environment": "MALLOC_CONF=a:b"},
          {"relay": "relay4", "group": "live", "mapped": "glibc", "version": "2.41", "environment": ""}]


def sample(seconds, relay, anon_mib, live_mib=""):
    group = next(r["group"] for r in RELAYS if r["relay"] == relay)
    return dict(zip(samples.COLUMNS, (seconds, relay, group, 1, int(anon_mib * 1024), int(anon_mib * 1024), 0, seconds / 200, 3,
                                      live_mib and int(live_mib * 1024))))


# glibc grows by 1 MiB in each interval of 100 s and has peaks; je does not, and its relays stand at different heights
SAMPLES = [row for t in range(0, 2400, 50) for row in (
    sample(t, "relay1", 100 + t // 100 + (500 if t % 100 else 0)), sample(t, "relay2", 40), sample(t, "relay3", 60),
    sample(t, "relay4", 200, 30))]
LOAD = [{"relay": f"relay{n}", "kind": "micro", "encoding": "identity", "requests": "10", "bytes": "5000", "refused": "1", "broken": "0"}
        for n in (1, 2, 3, 4)]
SERVED = [{"seconds": f"{t}", "relay": f"relay{n}", "requests": f"{t // 100}", "bytes": f"{t * 1024}", "refused": "0", "broken": "0"}
          for t in range(0, 2400, 300) for n in (1, 2, 3, 4)]


def test_a_row_a_group():
    glibc, je, live = kept.rows(RUN, RELAYS, SAMPLES, LOAD, SERVED)
    assert tuple(je) and set(je) == set(kept.COLUMNS)
    assert (je["library"], je["version"], je["environment"], je["relays"]) == ("jemalloc", "5.3.0", "MALLOC_CONF=a:b", 2)
    assert (je["anon_mib"], je["anon_least_mib"], je["anon_most_mib"]) == (50, 40, 60)
    assert je["live_mib"] == glibc["live_mib"] == 30 and glibc["anon_of_glibc"] == 1
    assert (je["rss_high_mib"], glibc["live_floor_mib"]) == (50, 30)
    assert je["bytes"] == pytest.approx(5000) and je["requests"] == 10 and je["cpu_s_a_1000"] == pytest.approx(1175)
    assert je["late_requests"] == 9 and je["late_cpu_s_a_1000"] == pytest.approx(500)


def grown(anon, counted=lambda t: 30, minutes=60, run=None, relay="relay1"):
    """(early, late) of a relay whose memory is anon(seconds), and of the live bytes."""
    rows = [row for t in range(0, minutes * 60, 50) for row in (sample(t, relay, anon(t)), sample(t, "relay4", 200, counted(t)))]
    mine = kept.rows({**RUN, "minutes": f"{minutes}", **(run or {})}, RELAYS, rows, LOAD, SERVED)
    mine = next(row for row in mine if row["group"] == next(r["group"] for r in RELAYS if r["relay"] == relay))
    return tuple(tuple(mine[column] for column in columns) for columns in (kept.GROWTH, kept.LIVE_GROWTH))


def near(early, late):
    return pytest.approx(early, abs=0.01), pytest.approx(late, abs=0.01)


@pytest.mark.parametrize("anon, early, late", [
    (lambda t: 100 + t / 100, 36, 36),  # without bound
    (lambda t: 100 + min(t, 2000) / 100, 20.25, 0),  # levels off
    (lambda t: 100 + max(0, t - 2800) / 100, 0, 15.75),  # begins late
    (lambda t: 100, 0, 0),
    (lambda t: 500 if t < 1200 else 100, 0, 0),  # the ramp does not count
    (lambda t: 100 + (900 if t % 100 else 0), 0, 0),  # nor do peaks,
    (lambda t: 100 + (900 if 1900 <= t < 2100 else -90 if 3300 <= t < 3500 else 0), 0, 0)])  # nor what soon passes
def test_growth_tells_what_levels_off_from_what_goes_on(anon, early, late):
    own, of_live = grown(anon, lambda t: 30 + t / 200)
    assert own == near(early, late) and of_live == near(18, 18)


def test_peaks_that_last_are_told_and_what_is_there_between_them():
    """A tenth of the time is a peak; a shorter one has no place in what memory an operator needs."""
    def high(share):
        return kept._high([sample(t, "relay1", 900 if t % 1000 < 1000 * share else 100) for t in range(0, 10000, 10)], "rss_kb", ["relay1"])
    assert high(0.1) == 900 and high(0.04) == 100 and kept._high([], "rss_kb", []) is None and kept._high([], "rss_kb", ["relay1"]) is None
    rows = [sample(t, "relay4", 0, 500 if t % 100 else 30 + t / 1000) for t in range(0, 2400, 50)]
    assert kept._floor(rows, "live_kb", 1200, 2400, 100) == pytest.approx(31.75, abs=0.1) and kept._floor([], "live_kb", 0, 1, 100) is None


def test_relays_at_different_heights_are_no_growth():
    rows = [row for t in range(0, 3600, 50) for row in (sample(t, "relay2", 40 + t / 100), sample(t, "relay3", 160 + t / 50))]
    assert kept.growth(rows, "anon_kb", 1200, 3600, 100) == near(54, 54)
    # of one there is nothing in the middle
    gap = [row for row in rows if row["relay"] != "relay3" or not 2000 <= float(row["seconds"]) < 2600]
    assert kept.growth(gap, "anon_kb", 1200, 3600, 100) == near(36, 36)


def test_nothing_is_said_of_growth_by_minutes_nor_while_the_work_grows():
    nothing = (None, None)
    assert grown(lambda t: t, minutes=49) == (nothing, nothing) and grown(lambda t: t, minutes=50) != (nothing, nothing)
    assert grown(lambda t: t, run={"interval_s": "160"}) == (nothing, nothing)
    assert grown(lambda t: t, run={"consensuses": "19"}) == (nothing, nothing) and grown(lambda t: t, run={"consensuses": "18"}) != (nothing, nothing)
    assert kept.growth([], "anon_kb", 0, 2400, 100) == nothing
    assert {kept.rows(RUN, RELAYS, SAMPLES, LOAD, SERVED)[0][column] for column in (*kept.GROWTH, *kept.LIVE_GROWTH)} == {None}


def test_curves_have_live_bytes_and_not_the_memory_of_those_that_count():
    columns, rows = kept.curve(RELAYS, SAMPLES)
    assert columns == ["minutes", "glibc", "je", "live bytes"]
    assert [row[0] for row in rows[:3]] == [0, 0.5, 1.5] and rows[0][2:] == [50, 30]
    script = curves.script("a.csv", columns)
    assert "'a.csv' using 1:4 with filledcurves" in script and "'a.csv' using 1:3 with lines" in script


def test_curves_are_of_the_relays_that_count():
    """Another height of one that ended would be a step in the line of its group; of a group all of whose relays ended it is all there is."""
    def shown(*gone):
        return kept.curve(RELAYS, [r for r in SAMPLES if r["relay"] not in gone or float(r["seconds"]) < 1800])[1]
    assert {row[2] for row in shown("relay3")} == {40} and {row[2] for row in shown("relay2")} == {60}
    assert [row[2] for row in shown("relay2", "relay3") if row[2] is not None] == [50] * 36


def test_forty_lines_are_told_apart_and_their_names_have_room():
    names = [f"g{n}" for n in range(40)]
    text = curves.script("a.csv", ["minutes", *names])
    assert len(set(re.findall(r"lc rgb '(\S+)' dt (\S+) title", text))) == 40
    heights = [int(re.search(r"svg size 900,(\d+)", curves.script("a.csv", ["minutes", *names[:n]]))[1]) for n in (3, 40)]
    assert heights == [520, 40 * curves.A_NAME + 76] and "maxcols 1" in text


def test_settings_of_an_allocator():
    assert kept.environment_in("HOME=/\0MIMALLOC_PURGE_DELAY=0\0LD_PRELOAD=x\0MALLOC_CONF=a:b\0") == "MALLOC_CONF=a:b MIMALLOC_PURGE_DELAY=0"


def test_cells():
    assert [kept.cell(v) for v in (None, 3.14159, 1234567.8, 14, "x", 0.0)] == ["", "3.142", "1234568", "14", "x", "0"]


def test_a_trial_that_was_disturbed_is_cut():
    assert kept.cut(RUN, SAMPLES, SERVED, float("inf")) == ({**RUN, "minutes": 40.0, "counted_from_s": 1200.0}, SAMPLES, SERVED)
    run, rows, served = kept.cut(RUN, SAMPLES, SERVED, 20.0)
    assert (run["minutes"], run["counted_from_s"]) == (20.0, 600) and max(row["seconds"] for row in rows) == 1150 and served[-1]["seconds"] == "900"
    glibc, *_ = kept.of_a_part(RUN, RELAYS, SAMPLES, LOAD, SERVED, 20.0, float("inf"))
    assert glibc["minutes"] == 20.0 and glibc["anon_mib"] == kept.rows(run, RELAYS, rows, LOAD, SERVED)[0]["anon_mib"] and glibc["cpu_s"] == 11.75
    of_cpu = kept.of_a_part(RUN, RELAYS, SAMPLES, LOAD, SERVED, 40.0, 20.0)[0]
    assert of_cpu["cpu_s"] == 5.75 and of_cpu["late_requests"] == 3 and of_cpu["late_cpu_s_a_1000"] == pytest.approx(500)
    # what was asked after that, and answered or not, does not count either
    broken = [{**row, "broken": "0" if int(row["seconds"]) < 1200 else "99"} for row in SERVED]
    of_cpu = kept.of_a_part(RUN, RELAYS, SAMPLES, [{**row, "broken": "99"} for row in LOAD], broken, 20.0, 20.0)[0]
    assert (of_cpu["requests"], of_cpu["broken"], of_cpu["bytes"]) == (9, 0, 900 * 1024) and of_cpu["cpu_s_a_1000"] == pytest.approx(1000 * 5.75 / 9)
    assert (glibc["requests"], glibc["bytes"]) == (10, 5000)


def test_a_row_a_relay():
    """Each of them as its group's is, so that the mean of a group is that of its relays."""
    trial = RUN, RELAYS, SAMPLES, LOAD, SERVED, 40.0, 20.0
    found = {row["relay"]: row for row in kept.relays_of_a_part(*trial)}
    assert {name: row["group"] for name, row in found.items()} == {row["relay"]: row["group"] for row in RELAYS}
    assert [found[name]["anon_mib"] for name in ("relay2", "relay3")] == [40, 60] and found["relay2"]["requests"] == 9
    je = next(row for row in kept.of_a_part(*trial) if row["group"] == "je")
    for column in kept.RELAY[2:]:
        both = [found[name][column] for name in ("relay2", "relay3")]
        assert je[column] is None is both[0] or je[column] == pytest.approx(sum(both) / 2), column


def test_what_was_served_over_time():
    columns, rows = kept.progress(SERVED)
    assert columns == ["minutes", "requests", "mib_served"] and rows[:3] == [[0, 0, 0], [5, 12, 1], [10, 24, 2]]
