import struct
import types

import pytest

import host
import result
import samples


def rows(*given):
    return [dict(zip(samples.COLUMNS, (*row, "")[:len(samples.COLUMNS)])) for row in given]


SAMPLES = rows(
    (0, "relay1", "glibc", 1, 9999, 9999, 0, 1.0, 3), (10, "relay1", "glibc", 1, 4096, 2048, 0, 2.0, 3),
    (20, "relay1", "glibc", 1, 8192, 4096, 0, 5.0, 3),
    (10, "relay2", "je", 2, 2048, 1024, 512, 1.0, 3), (20, "relay2", "je", 2, 2048, 1024, 512, 2.0, 3),
    (10, "relay3", "je", 3, 4096, 2048, 0, 1.0, 3), (20, "relay3", "je", 3, 4096, 2048, 0, 1.5, 3))
LOAD = [{"relay": f"relay{n}", "kind": k, "encoding": "identity", "requests": str(r), "bytes": str(b), "refused": "1", "broken": "0"}
        for n, k, r, b in ((1, "micro", 4, 1 << 20), (1, "keys", 4, 1 << 20), (2, "micro", 2, 1 << 20), (3, "micro", 4, 3 << 20))]

SERVED = [{"seconds": f"{second}", "relay": f"relay{n}", "requests": f"{second * n}", "bytes": "0", "refused": "0", "broken": "0"}
          for second in (5, 11, 19) for n in (1, 2, 3)]


def test_a_row_a_group():
    glibc, je = result.summary({"glibc": ["relay1"], "je": ["relay2", "relay3"]}, SAMPLES, LOAD, SERVED, counted_from=10)
    assert glibc == {"group": "glibc", "relays": 1, "ended": 0, "rss_mib": 6.0, "anon_mib": 3.0, "anon_of_glibc": 1.0, "lazyfree_mib": 0.0, "huge_mib": None, "live_mib": None,
                     "cpu_s": 4.0, "requests": 8.0, "mib_served": 2.0, "cpu_ms_a_request": 500.0, "refused": 2.0, "broken": 0.0,
                     "late_requests": 8.0, "late_cpu_ms_a_request": None}
    assert je["cpu_s"] == 0.75 and je["rss_mib"] == 3.0 and je["anon_of_glibc"] == 0.5 and je["lazyfree_mib"] == 0.25
    assert je["requests"] == 3.0 and je["mib_served"] == 2.0


def test_what_is_late_is_of_one_time_for_requests_and_cpu():
    """From the first count of requests that comes after the ramp."""
    more = rows(*((second, "relay2", "je", 2, 2048, 1024, 0, second / 4, 3) for second in range(0, 22, 2)))
    row, = result.summary({"je": ["relay2"]}, more, LOAD, SERVED, counted_from=10)
    assert row["late_requests"] == 16 and row["late_cpu_ms_a_request"] == pytest.approx(1000 * (18 - 12) / 4 / 16)
    for served in ([], SERVED[:6]):
        row, = result.summary({"je": ["relay2"]}, more, LOAD, served, counted_from=10)
        assert row["late_requests"] is row["late_cpu_ms_a_request"] is None and row["cpu_s"] == 5


@pytest.mark.parametrize("change", [{"pid": 4, "anon_kb": 10, "cpu_s": 0.1}, {"seconds": -50}])
def test_a_relay_that_ended_counts_for_nothing(change):
    """Whether another process took its place, whose memory is young, or none: its requests were not those of the others."""
    cut = [{**row, **change} if (row["relay"], row["seconds"]) == ("relay3", 20) else row for row in SAMPLES if (row["relay"], row["seconds"]) != ("relay3", 10)
           or "pid" in change]
    glibc, je = result.summary({"glibc": ["relay1"], "je": ["relay2", "relay3"]}, cut, LOAD, SERVED, counted_from=10)
    assert (je["relays"], je["ended"], je["anon_mib"], je["cpu_s"], je["requests"]) == (1, 1, 1.0, 1.0, 2.0) and glibc["ended"] == 0
    alone, = result.summary({"je": ["relay3"]}, cut, LOAD, SERVED, counted_from=10)
    assert (alone["relays"], alone["ended"], alone["anon_mib"], alone["requests"], alone["cpu_ms_a_request"]) == (0, 1, None, None, None)


@pytest.mark.parametrize("broken, says", [(0, None), (10, None), (11, "Try LAB_CLIENTS=100"), (300, "900 answers did not come whole")])
def test_a_machine_that_was_too_busy_is_told(broken, says):
    """By the rule by which the evidence leaves CPU time out."""
    table = [{"requests": 100.0, "broken": broken, "relays": 3}, {"requests": None, "broken": None, "relays": 0}]
    told = result.too_busy(table, 200)
    assert told is None if says is None else says in told
    assert result.too_busy(table[1:], 200) is None


def test_nothing_is_said_where_nothing_is_known():
    row, = result.summary({"je": ["relay9"]}, SAMPLES, LOAD, SERVED, 0)
    assert row["rss_mib"] is None and row["anon_of_glibc"] is None and row["cpu_s"] is None and row["cpu_ms_a_request"] is None
    assert "-" in result.as_text([row])


def test_the_kernels_words():
    text = "55c0-7fff ---p 00000000 00:00 0 [rollup]\nRss:   100 kB\nPss:  1 kB\nAnonymous:      60 kB\nLazyFree:    8 kB\nAnonHugePages:  4 kB\n"
    assert samples.parse_rollup(text) == (100, 60, 8, 4)
    stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 5 0 1 1 1"
    assert samples.parse_stat(stat) == (300 / samples.TICKS, 5)


@pytest.mark.parametrize("why", [ProcessLookupError(), struct.error("unpack requires a buffer of 8 bytes"), None])
def test_a_process_that_ends_while_it_is_sampled_is_left_out(why):
    """None: its rollup is empty."""
    texts = {"smaps_rollup": "" if why is None else "Rss: 1 kB\nAnonymous: 1 kB\nLazyFree: 0 kB\nAnonHugePages: 0 kB\n",
             "stat": "7 (a) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 5 0 1 1 1"}

    def counter(_):
        raise why
    assert samples.sample(types.SimpleNamespace(read=lambda path: texts[path.split("/")[3]]), [("relay1", "live", 7)], 1, counter) == []


def test_bytes_by_kind():
    assert result.served_by_kind(LOAD)["relay3", "micro"] == 3 << 20 and result.served_by_kind(LOAD)["relay3", "keys"] == 0


def test_live_bytes_where_somebody_counts():
    counted = rows((10, "relay1", "live", 1, 4096, 2048, 0, 2.0, 3, 1024, 512), (20, "relay1", "live", 1, 4096, 2048, 0, 2.0, 3, 3072, 512))
    row, = result.summary({"live": ["relay1"]}, counted, LOAD, [], 0)
    assert row["live_mib"] == 2.0 and row["huge_mib"] == 0.5


def test_how_the_host_fares(tmp_path):
    """In shares since the row before, and no row too soon after another."""
    def stat(*ticks):
        (tmp_path / "stat").write_text(f"cpu  {' '.join(map(str, ticks))} 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n")
    (tmp_path / "loadavg").write_text("3.52 1.10 0.80 2/300 4711\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:    2097152 kB\n")
    stat(10, 0, 10, 100, 0, 0, 0, 0)
    it = host.Host(tmp_path, tmp_path)
    stat(40, 5, 20, 120, 10, 2, 3, 20)
    assert dict(zip(host.COLUMNS, it.row(0.04))) | {"room_mib": 0} == {
        "seconds": 0.0, "busy": 0.5, "stolen": 0.2, "load_1m": 3.52, "available_mib": 2048, "room_mib": 0}
    assert it.row(29) is None and it.row(31)[1:3] == ["", ""]
    assert host.lacks([0, 0, 0, 0, 1024, 1024]) is None and host.lacks([0, 0, 0, 0, 1024, 7]) == "only 7 MiB of room for files in the machine are left"
