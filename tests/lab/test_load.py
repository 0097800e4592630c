"""An answer, however it is cut, and how it is counted; relays and ports."""

import asyncio
import csv
import os
import pathlib
import resource
import signal
import types

import pytest

import authorities
import load
import relays
import stream
import workers

ANSWER = b"HTTP/1.0 200 OK\r\nContent-Encoding: x-zstd\r\nContent-Length: 10\r\n\r\n0123456789"


@pytest.mark.parametrize("size", [1, 7, 66, 1000])
def test_an_answer_in_pieces(size):
    answer = load.Answer()
    for at in range(0, len(ANSWER), size):
        answer.take(ANSWER[at:at + size])
    answer.end()
    assert (answer.status, answer.encoding, answer.bytes, answer.broken) == (200, "x-zstd", 10, False)


@pytest.mark.parametrize("data, status, broken", [
    (ANSWER[:-1], 200, True), (b"", 0, True), (b"HTTP/1.0 404 Not found\r\n\r\n", 404, False), (b"rubbish\r\n\r\n", 599, False)])
def test_what_is_not_whole_is_broken(data, status, broken):
    answer = load.Answer()
    answer.take(data)
    answer.end()
    assert (answer.status, answer.broken) == (status, broken)


def test_clients_have_the_consensuses_that_relays_keep(monkeypatch):
    now = [0]
    monkeypatch.setattr(authorities, "fetch", lambda port, path: (200, "", f"{path} {now[0]}".encode()))
    monkeypatch.setattr(load, "consensus", types.SimpleNamespace(
        valid_after=lambda text: text, signed_hash=lambda text: text.split()[-1], **dict.fromkeys(("micro_digests", "server_digests", "fingerprints"), lambda text: [])))
    keeper = load.Load({}, "s", stream.Shape(1, 1, kept=3), pathlib.Path("load.csv")).keeper
    for now[0] in range(6):
        keeper.look()
        keeper.look()
    assert keeper.catalogue.older == dict.fromkeys(("consensus", "consensus-microdesc"), ["2", "3", "4"])


def test_what_is_served_is_noted_over_time(tmp_path, monkeypatch):
    """And at the end; who has been asked nothing has a row as well."""
    monkeypatch.setattr(load, "NOTED_EVERY", 0.02)
    monkeypatch.setattr(stream, "wave", lambda *_: [])
    it = load.Load({"relay1": 9501, "relay2": 9502}, "s", stream.Shape(1, 1), tmp_path / "load.csv")
    monkeypatch.setattr(it.keeper, "look", lambda: None)
    for kind in ("micro", "keys"):
        it.counts["relay1", kind, "identity"].update(requests=2, bytes=5)
    asyncio.run(it.run(0.2, 20))
    with (tmp_path / "served.csv").open(newline="") as file:
        noted = list(csv.DictReader(file))
    assert tuple(noted[0]) == load.NOTED and len(noted) >= 4 and len(noted) % 2 == 0
    assert [(r["relay"], r["requests"], r["bytes"], r["broken"]) for r in noted[-2:]] == [("relay1", "4", "10", "0"), ("relay2", "0", "0", "0")]
    assert 0.2 <= float(noted[-1]["seconds"]) < 30


def test_who_is_where_is_drawn_from_the_seed_and_evenly():
    names = [f"relay{n}" for n in range(1, 13)]
    members = relays.shared_out(names, ["a", "b", "c", "d", "e"], "s")
    assert sorted(map(len, members.values())) == [2, 2, 2, 3, 3]
    assert sorted(sum(members.values(), [])) == sorted(names) and members == relays.shared_out(names, list("abcde"), "s")
    assert members != relays.shared_out(names, list("abcde"), "t")
    ports = relays.ports_of(names, "s")
    assert len({p for pair in ports.values() for p in pair}) == 24 and ports != relays.ports_of(names, "t")


def test_the_configuration_names_each_group():
    text = relays.configuration({"glibc": ["relay2"], "mine": ["relay1", "relay3"]}, "allocators = { mine = { }; };")
    assert '{ name = "mine"; allocator = "mine"; relays = [ "relay1", "relay3" ]; }' in text
    assert text.startswith("allocators = { mine = { }; };") and "parallel = 3" in text


def test_some_of_all_over_the_list():
    assert relays.some_of([]) == [] and relays.some_of([1, 2]) == [1, 2]
    for length in (59, 60, 61, 8000):
        some = relays.some_of(list(range(length)))
        assert 30 <= len(some) <= 60 and some[-1] >= length * 0.9


def test_a_load_may_have_all_its_connections_open(tmp_path, monkeypatch):
    """Also by a shell that was given few files; nothing of this is for the process that started it."""
    shape = stream.Shape(clients=60, seconds=35)
    assert load.most_open(dict.fromkeys(range(38)), shape) == 38 * 60 * 3 and load.most_open({1: 1}, stream.Shape(10, 60)) == 20
    monkeypatch.setattr(load.Load, "run", lambda *_: asyncio.sleep(0, (tmp_path / "limit").write_text(f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]}")))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    try:
        child = workers.child(load.run, {"relay1": 9501, "relay2": 9502}, "s", shape, 1, 20, tmp_path / "load.csv")
        child.join(30)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 200
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert child.exitcode == 0 and int((tmp_path / "limit").read_text()) == 2 * 60 * 3 + load.OTHER_FILES


@pytest.mark.parametrize("handler, ends", [(signal.SIG_IGN, False), (signal.SIG_DFL, True)])
def test_a_trial_without_a_terminal_goes_on(handler, ends, tmp_path):
    """nohup has the signal ignored, and so it is by all processes of the trial."""
    before = signal.signal(signal.SIGHUP, handler)
    try:
        workers.exit_at(signal.SIGHUP, 129)
        assert (signal.getsignal(signal.SIGHUP) == handler) != ends
        child = workers.child(lambda: os.kill(os.getpid(), signal.SIGHUP))
        child.join(30)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert child.exitcode == (-signal.SIGHUP if ends else 0)


def test_the_load_comes_before_relays_under_test(tmp_path):
    (tmp_path / "autogroup").write_text("/autogroup-1 nice 0")
    workers.prefer(tmp_path)
    assert (tmp_path / "autogroup").read_text() == "-15"
    workers.prefer(tmp_path / "of a kernel that has none")
