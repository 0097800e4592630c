import curves
import kept
import pytest
import samples

RUN = {**dict.fromkeys(kept.RUN, "x"), "minutes": "40", "counted_from_s": "1200", "interval_s": "100"}
RELAYS = [{"relay": "relay1", "group": "glibc", "mapped": "glibc", "version": "2.41", "environment": ""},
          {"relay": "relay2", "group": "je", "mapped": "jemalloc", "version": "5.3.0", "environment": "MALLOC_CONF=a:b"},
          {"relay": "relay3", "group": "je", "mapped": "jemalloc", "version": "5.3.0", "environment": "MALLOC_CONF=a:b"},
          {"relay": "relay4", "group": "live", "mapped": "glibc", "version": "2.41", "environment": ""}]


def sample(seconds, relay, anon_mib, live_mib=""):
    group = next(r["group"] for r in RELAYS if r["relay"] == relay)
    return dict(zip(samples.COLUMNS, (seconds, relay, group, 1, anon_mib * 1024, anon_mib * 1024, 0, seconds / 200, 3,
                                      live_mib and live_mib * 1024)))


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
    assert je["bytes"] == pytest.approx(5000) and je["requests"] == 10 and je["cpu_s_a_1000"] == pytest.approx(1175)
    assert je["late_requests"] == 9 and je["late_cpu_s_a_1000"] == pytest.approx(500)


def test_growth_is_that_of_the_floor_and_not_of_peaks():
    glibc, je, _ = kept.rows(RUN, RELAYS, SAMPLES, LOAD, SERVED)
    assert glibc["slope_mib_h"] == pytest.approx(36) and je["slope_mib_h"] == pytest.approx(0)
    assert glibc["live_slope_mib_h"] == pytest.approx(0)
    # one that ended early stands at another height, but did not grow
    gone = [r for r in SAMPLES if r["relay"] != "relay3" or float(r["seconds"]) < 1800]
    assert kept.rows(RUN, RELAYS, gone, LOAD, SERVED)[1]["slope_mib_h"] == pytest.approx(0)


def test_nothing_is_said_of_growth_by_minutes_nor_while_the_work_grows():
    assert kept.slope(SAMPLES, "anon_kb", 1200, 2390, 100) is None and kept.slope([], "anon_kb", 0, 2400, 100) is None
    assert kept.rows({**RUN, "interval_s": "110"}, RELAYS, SAMPLES, LOAD, SERVED)[0]["slope_mib_h"] is None


def test_curves_have_live_bytes_and_not_the_memory_of_those_that_count():
    columns, rows = kept.curve(RELAYS, SAMPLES)
    assert columns == ["minutes", "glibc", "je", "live bytes"]
    assert [row[0] for row in rows[:3]] == [0, 0.5, 1.5] and rows[0][2:] == [50, 30]
    script = curves.script("a.csv", columns)
    assert "'a.csv' using 1:4 with filledcurves" in script and "'a.csv' using 1:3 with lines" in script


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


def test_what_was_served_over_time():
    columns, rows = kept.progress(SERVED)
    assert columns == ["minutes", "requests", "mib_served"] and rows[:3] == [[0, 0, 0], [5, 12, 1], [10, 24, 2]]
