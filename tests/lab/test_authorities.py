import pathlib

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


def test_one_that_is_late_keeps_nothing_from_the_others(monkeypatch):
    posted = []

    def post(port, body):
        posted.append((port, body))
        if port == 2:
            raise TimeoutError("timed out")
        return (400, "no") if body.startswith("x") else (200, "ok")

    monkeypatch.setattr(authorities, "post", post)
    texts = ["x"] + ["y"] * authorities.MOST_A_POST
    refused = authorities.post_all(texts, (1, 2, 3))
    assert len(posted) == 6 and [port for port, _ in posted] == [1, 2, 3] * 2
    assert [(port, status) for port, status, _ in refused] == [(1, 400), (2, 0), (3, 400), (2, 0)]
    assert "timed out" in str(refused[1][2])
