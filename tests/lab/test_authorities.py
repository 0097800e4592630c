import http.client
import pathlib
import socket
import threading

import authorities
import pytest


@pytest.mark.parametrize("interval", [20, 60, 120, 3600])
def test_votes_have_all_the_time_that_tor_allows(interval):
    assert 0.18 * interval < authorities.delay(interval) < interval / 4


class Machine:
    """Only what the start of authorities asks for; its /proc is a folder."""

    def __init__(self, root):
        self.root = root
        self.commands = []

    def path(self, path):
        return self.root / path.lstrip("/")

    def write(self, path, text):
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)

    def sh(self, command):
        self.commands.append(command)

    def prop(self, unit, name):
        return unit.removeprefix("lab-a") + "00"


def started(root, pids):
    for pid in pids:
        (root / f"proc/{pid}").mkdir(parents=True)
        (root / f"proc/{pid}/autogroup").write_text("/autogroup-1 nice 0")
    the = authorities.Authorities.__new__(authorities.Authorities)
    the.m, the.interval = Machine(root), 20
    the.start("bandwidth")
    return the.m


def test_authorities_come_before_relays(tmp_path):
    m = started(tmp_path, (100, 200, 300))
    assert all("Nice=-10" in command for command in m.commands) and len(m.commands) == 3
    assert [pathlib.Path(tmp_path / f"proc/{pid}/autogroup").read_text() for pid in (100, 200, 300)] == ["-15"] * 3


def test_a_kernel_without_groups_of_sessions_is_none_of_its_mistakes(tmp_path):
    assert len(started(tmp_path, ()).commands) == 3


class Time:
    """Nobody waits for it; each post takes as long as it is told to."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


TEXTS = ["a"] * authorities.MOST_A_POST + ["b"] * authorities.MOST_A_POST + ["c"]


@pytest.fixture
def posting(monkeypatch):
    """post_all() with authorities that answer by `said(port, body, how often that was posted)`: a status and reason, or an
    exception. (what it tells, [(port, first letter of the body)], the time)"""
    def run(said, texts=TEXTS, ports=(1, 2, 3), seconds=0.0):
        posted, time = [], Time()

        def post(port, body):
            posted.append((port, body[0]))
            time.now += seconds
            answer = said(port, body[0], posted.count((port, body[0])))
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(authorities, "post", post)
        return authorities.post_all(texts, ports, time.sleep, lambda: time.now), posted, time
    return run


def test_each_descriptor_goes_once_to_each_that_answers(posting):
    told, posted, time = posting(lambda *_: (200, "ok"))
    assert told == [] and sorted(posted) == [(port, body) for port in (1, 2, 3) for body in "abc"] and time.slept == []


@pytest.mark.parametrize("error", [TimeoutError("timed out"), ConnectionResetError(104, "Connection reset by peer"),
                                   http.client.IncompleteRead(b"")])
def test_what_a_busy_authority_does_not_answer_is_posted_again(posting, error):
    """And nothing is kept from the others meanwhile, nor is it asked for more until it has answered."""
    told, posted, time = posting(lambda port, body, times: error if (port, body) == (2, "b") and times < 3 else (200, "ok"))
    assert told == [] and time.slept == [1, 2]
    assert posted == [(1, "a"), (1, "b"), (1, "c"), (2, "a"), (2, "b"), (3, "a"), (3, "b"), (3, "c"), (2, "b"), (2, "b"), (2, "c")]


def test_one_that_answers_now_and_then_gets_all(posting):
    told, posted, _ = posting(lambda port, body, times: TimeoutError() if times < authorities.ATTEMPTS else (200, "ok"), ports=(7,))
    assert told == [] and len(posted) == 3 * authorities.ATTEMPTS


def test_what_is_given_up_is_told_with_its_reason(posting):
    told, posted, time = posting(lambda port, body, times: TimeoutError("timed out") if port == 2 else (200, "ok"))
    assert told == ["port 2: 3 posts given up after 4 attempts without an answer, in 7 s: timed out"]
    assert posted.count((2, "a")) == authorities.ATTEMPTS == 4 and len(posted) == 6 + 4 and time.slept == [1, 2, 4]


def test_a_reason_without_words_has_its_name(posting):
    told, _, _ = posting(lambda *_: http.client.RemoteDisconnected(), ports=(7,), texts=["a"])
    assert told == ["port 7: 1 post given up after 4 attempts without an answer, in 7 s: RemoteDisconnected"]


def test_it_does_not_go_on_for_longer_than_its_patience(posting):
    told, posted, time = posting(lambda port, body, times: TimeoutError("timed out"), texts=["a"], ports=(7,), seconds=60)
    assert told == ["port 7: 1 post given up after 2 attempts without an answer, in 121 s: timed out"] and len(posted) == 2
    assert time.now <= authorities.PATIENCE + 60


def test_what_is_refused_is_told_and_not_posted_again(posting):
    told, posted, _ = posting(lambda port, body, times: (400, "Fingerprint is\tmarked") if body == "b" and port != 2 else (200, "ok"))
    assert told == [f"port {port}: refused with 400 Fingerprint is\tmarked" for port in (1, 3)] and len(posted) == 9


def test_a_connection_that_is_closed_without_a_word_is_made_again():
    """By real sockets: what the HTTP library makes of it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        had = []

        def serve():
            for answer in (b"", b"HTTP/1.0 2", b"HTTP/1.0 200 OK\r\n\r\n"):
                connection, _ = server.accept()
                with connection, connection.makefile("rb") as request:
                    while (line := request.readline().strip()) != b"":
                        size = int(line.split(b": ")[1]) if line.lower().startswith(b"content-length") else 0
                    had.append(request.read(size) if answer else b"")
                    connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = server.getsockname()[1]
        assert authorities.post_all(["descriptor"], (port,), sleep=lambda _: None) == []
        thread.join(10)
    assert had[-1] == b"descriptor" and len(had) == 3
