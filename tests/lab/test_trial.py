"""What a busy machine does to a trial, without a machine: the network is asked again, and the load goes on."""

import asyncio
import dataclasses
import http.client
import subprocess
import types

import pytest

import authorities
import host
import inside
import load
import samples
import settings
import stream
import trial

CUT = http.client.IncompleteRead(b"half of a consensus")


@pytest.fixture
def this(tmp_path, monkeypatch):
    (tmp_path / "ctl").touch(mode=0o755)
    told = settings.from_environment({"LAB_MINUTES": "3", "LAB_GROUPS": "glibc", "LAB_RELAYS": "1"}, "bookworm", None)
    it = trial.Trial(told, tmp_path, tmp_path / "ctl", types.SimpleNamespace(time_left=lambda *_: None))
    it.m = types.SimpleNamespace(sh=lambda _: "2026-11-29 12:00:00\n", path=lambda _: tmp_path)
    it.churner = types.SimpleNamespace(is_alive=lambda: True)
    it.relays = types.SimpleNamespace(dirports=lambda: {"relay1": 9501})
    it.processes = []
    monkeypatch.setattr(samples, "sample", lambda *_: [])
    return it


class Loader:
    """Asks for as long as it was told to, by a clock that nobody waits for."""

    def __init__(self, status=0):
        self.now, self.exitcode, self.killed, self.status = 0.0, None, False, status

    def child(self, function, relays, seed, shape, seconds, *rest):
        assert function is load.run
        self.seconds = seconds
        return self

    def is_alive(self):
        if self.now >= self.seconds or self.status:
            self.exitcode = self.status
        return self.exitcode is None

    def join(self, seconds):
        self.now += seconds

    def kill(self):
        self.killed = True


@pytest.fixture
def loader(monkeypatch):
    def made(status=0):
        it = Loader(status)
        monkeypatch.setattr(trial, "workers", it)
        monkeypatch.setattr(trial, "time", types.SimpleNamespace(monotonic=lambda: it.now))
        return it
    return made


def test_a_consensus_that_is_cut_is_asked_for_again(this, monkeypatch):
    def fetch(*_):
        raise CUT
    monkeypatch.setattr(authorities, "fetch", fetch)
    assert this._listed() == 0


def test_the_load_follows_the_network_after_an_answer_that_was_cut(tmp_path):
    looked, it = [], None

    def look():
        looked.append(1)
        if len(looked) == 1:
            raise CUT
        it.keeper.present = {"consensus-microdesc": (f"2026-11-29 00:0{len(looked) // 2}:00", "AA")}

    async def follow():
        nonlocal it
        it = load.Load({}, "s", stream.Shape(1, 1), tmp_path / "load.csv")
        it.keeper = types.SimpleNamespace(look=look, present={}, catalogue=types.SimpleNamespace(fingerprints=["a", "b"]))
        it.began = 0
        following = asyncio.create_task(it._follow(0.004))
        while len(looked) < 5 and not following.done():
            await asyncio.sleep(0)
        following.cancel()
    asyncio.run(follow())
    rows = (tmp_path / "consensuses.csv").read_text().splitlines()
    assert [row.split(",")[1:] for row in rows] == [["2026-11-29 00:01:00", "2"], ["2026-11-29 00:02:00", "2"]], "each once"


def test_a_load_takes_its_time_and_no_more(this, loader):
    it = loader()
    this._load()
    assert it.seconds == it.now == 180 and it.killed


def test_samples_are_added_to_those_that_are_there(this, loader, monkeypatch):
    """Not all of them written anew each time: after two hours that would be much, and a full disk would take what is there."""
    it, had = loader(), []

    def sample(*_):
        path = this.folder / "samples.csv"
        with path.open("a") as file:
            file.write(f"kept {len(had)}\r\n")
        had.append(path.read_text())
        return [[it.now, "relay1"]]

    monkeypatch.setattr(samples, "sample", sample)
    this._load()
    lines = (this.folder / "samples.csv").read_text().splitlines()
    assert lines[0] == ",".join(samples.COLUMNS) and len(lines) == 1 + 2 * 36 == 1 + 2 * len(had)
    assert lines[1:4] == ["kept 0", "0.0,relay1", "kept 1"]


def test_who_ends_is_told_once_and_what_follows_it_is_sampled(this, loader, monkeypatch):
    """Its unit starts it again; one that stays away is asked for, and a machine that does not answer is asked later."""
    it, said, sampled = loader(), [], []
    pids = {"relay1": [AssertionError("busy"), subprocess.TimeoutExpired("x", 1), 0, 21], "relay2": [2] * 99}

    def sample(_, processes, *__):
        sampled.append(list(processes))
        return [[it.now, name] for name, _, pid in processes if (name, pid) != ("relay1", 1)]

    def pid(name):
        now = pids[name].pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    monkeypatch.setattr(samples, "sample", sample)
    this.processes = [("relay1", "je", 1), ("relay2", "glibc", 2)]
    this.m.pid, this.say.line = pid, said.append
    this._load()
    assert said == ["0:00: relay1 of je has ended, and counts for nothing"]
    assert [mine[0][2] for mine in sampled[:6]] == [1, 1, 1, 1, 21, 21] and sampled[-1][1] == ("relay2", "glibc", 2)


def test_what_disturbs_all_relays_is_told_and_the_trial_goes_on(this, loader, monkeypatch):
    it, said = loader(), []
    monkeypatch.setattr(host.Host, "row", lambda _, seconds: [seconds, 0.5, 0, 1.0, 999 if seconds > 60 else 5000, 5000])
    this.churner = types.SimpleNamespace(is_alive=lambda: it.now < 90, exitcode=1)
    this.say.line = said.append
    this._load()
    assert said == ["1:05: only 999 MiB of memory are left", "1:30: the network changes no more, as its churn ended with status 1"]
    assert it.now == 180 and len((this.folder / "host.csv").read_text().splitlines()) == 1 + 36


@pytest.mark.parametrize("why", [AssertionError("status 1: relayallocctl"), subprocess.TimeoutExpired("relayallocctl", 300),
                                 StopIteration()])
def test_a_report_that_fails_takes_nothing_with_it(this, why):
    said = []

    def sh(*_, **__):
        raise why
    this.m.sh, this.say.line, this.relays.members, this.since = sh, said.append, {"glibc": ["relay1"]}, "x"
    this.table = this.folder / "load.csv"
    this.samples = [[second, "relay1", "glibc", 1, 2048, 1024, 0, second, 3, "", 0] for second in (0, 90, 170)]
    row, = this._results()
    assert row["anon_mib"] == 1 and "glibc" in (this.folder / "summary.csv").read_text() and said == [f"lab: no report: {str(why) or 'StopIteration'}"]


def test_an_allocator_that_cannot_be_asked_takes_nothing_with_it(this, monkeypatch):
    said = []
    this.processes, this.proof = [("relay1", "je", 11), ("relay2", "mi", 12), ("relay3", "glibc", 0)], [[..., "jemalloc"], [..., "mimalloc"], [..., "glibc"]]
    this.m.leader, this.m.root, this.say.line, this.say.part = 5, "/root", said.append, said.append
    monkeypatch.setattr(inside, "host_pids", {5: {11: 111, 12: 112}}.get)

    def asked(root, pid, relay, group, allocator, *_):
        if relay == "relay1":
            raise subprocess.TimeoutExpired("gdb", 60)
        return [relay, group, root, pid, allocator, 1]

    monkeypatch.setattr(inside, "asked", asked)
    this._ask_allocators()
    assert this.read_csv("inside.csv") == [dict(zip(inside.COLUMNS, ("relay2", "mi", "/root", "112", "mimalloc", "1")))]
    assert [line.partition(":")[0] for line in said if "says nothing" in line] == ["relay1 of je says nothing of its memory", "relay3 of glibc says nothing of its memory"]


def test_huge_pages_where_the_kernel_has_none_are_a_sentence(this, monkeypatch):
    this.settings = dataclasses.replace(this.settings, huge_pages="always")
    monkeypatch.setattr(host, "huge_pages", lambda: "none")
    with pytest.raises(trial.Refused, match="this kernel has no transparent huge pages"):
        this.run()


def test_a_load_that_ended_by_itself_is_no_trial(this, loader):
    loader(status=1)
    with pytest.raises(trial.Refused, match="ended early, with status 1"):
        this._load()


@pytest.mark.parametrize("served_after, ended", [(30, 180), (301, 305), (10000, 540)])
def test_a_load_goes_on_until_it_is_enough_but_not_for_ever(this, loader, served_after, ended):
    it = loader()
    this.enough = lambda same: same is this and it.now >= served_after
    this._load()
    assert it.now == ended and it.killed
