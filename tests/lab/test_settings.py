import os
import subprocess

import pytest

import evidence
import settings


def read(environment, release="bookworm", files=None):
    return settings.from_environment(environment, release, (files or {}).__getitem__)


def test_what_is_not_said_is_the_large_trial():
    s = read({"LAB_SEED": ""})
    assert (s.minutes, s.network, s.relays, s.cpus, s.consensuses, s.seed, s.interval) == (30, 8000, 12, 16, 12, "1", 120)
    assert s.groups[:4] == ("glibc", "jemalloc", "mimalloc", "tcmalloc")
    assert "mimalloc3" in read({}, "trixie").groups


def test_each_builtin_allocator_stands_beside_the_others():
    """All whose library the release has, by their present names; and the counting relay."""
    builtins = evidence.builtin((evidence.REPO / "daemon/core/config.c").read_text())
    missing = {"bookworm": "libmimalloc.so.3", "trixie": "libmimalloc.so.2", "noble": "libmimalloc.so.3"}
    assert set(missing) == set(settings.DEFAULT_GROUPS)
    for release, library in missing.items():
        assert set(read({}, release).groups) == {b.name for b in builtins if b.library != library} | {"live"}


def test_every_setting_is_taken():
    s = read({"LAB_MINUTES": "2.5", "LAB_GROUPS": "glibc,mine  jemalloc", "LAB_RELAYS": "6", "LAB_NETWORK": "200",
              "LAB_CPUS": "4", "LAB_SEED": "x", "LAB_RELEASE": "trixie", "LAB_CLIENTS": "7", "LAB_INTERVAL": "30",
              "LAB_ALLOCATORS": "/a", "LAB_LIBRARIES": "sid/libx3, bookworm/liby2.0", "LAB_CONSENSUSES": "24",
              "LAB_HUGE_PAGES": "always"}, files={"/a": "allocators = { };"})
    assert s == settings.Settings("trixie", 2.5, ("glibc", "mine", "jemalloc"), "allocators = { };", 6, 200, 4, "x", 7, 30,
                                  24, (("sid", "libx3"), ("bookworm", "liby2.0")), "always")
    assert (s.seconds, s.ramp) == (150, 720)


@pytest.mark.parametrize("environment, says", [
    ({"LAB_MINUTES": "soon"}, "LAB_MINUTES is a number"), ({"LAB_MINUTES": "nan"}, "LAB_MINUTES"),
    ({"LAB_RELAYS": "41"}, "from 1 to 40"), ({"LAB_RELAYS": "2"}, "10 groups need LAB_RELAYS=10"),
    ({"LAB_RELEASE": "sid"}, "LAB_RELEASE is one of bookworm"), ({"LAB_GROUPS": "a a"}, "twice"),
    ({"LAB_GROUPS": 'a"; b'}, "is none"), ({"LAB_NETWORK": "1e3"}, "LAB_NETWORK"), ({"LAB_CONSENSUSES": "0"}, "from 1 to 72"), ({"LAB_HUGE_PAGES": "on"}, "one of always, madvise, never, not 'on'"),
    ({"LAB_LIBRARIES": "libx3"}, "as SUITE/PACKAGE"), ({"LAB_LIBRARIES": "sid/../x"}, "is none")])
def test_mistakes_are_told(environment, says):
    with pytest.raises(ValueError, match=says):
        read(environment)


def test_more_groups_than_usual_get_a_relay_each():
    assert read({"LAB_GROUPS": " ".join(f"g{i}" for i in range(20))}).relays == 20


@pytest.mark.parametrize("relays, clients", [("4", 200), ("12", 200), ("18", 133), ("30", 80), ("40", 60)])
def test_more_relays_are_not_more_than_a_machine_gets_done(relays, clients):
    """Three a group at 200 connections each would take more processors than there are, and answers would not come whole."""
    assert read({"LAB_RELAYS": relays, "LAB_GROUPS": "glibc"}).clients == clients
    assert read({"LAB_RELAYS": relays, "LAB_GROUPS": "glibc", "LAB_CLIENTS": "400"}).clients == 400


@pytest.mark.parametrize("network", [20, 500, 501, 2000, 8000])
def test_intervals_divide_a_day(network):
    assert 86400 % read({"LAB_NETWORK": str(network)}).interval == 0


OWN = """# Not so: commented = { };
allocators = {
  mine-a = { environment = { A = "b"; }; };
  mine-b = { library = "libx.so.1"; };
  other = { };
};
"""


def test_a_star_stands_for_allocators_of_the_file():
    s = read({"LAB_GROUPS": "glibc mine-* live", "LAB_ALLOCATORS": "/a"}, files={"/a": OWN})
    assert s.groups == ("glibc", "mine-a", "mine-b", "live")
    assert read({"LAB_GROUPS": "*", "LAB_ALLOCATORS": "/a"}, files={"/a": OWN}).groups == ("mine-a", "mine-b", "other")
    for groups in ("yours-*", "commented*", "environ*"):
        with pytest.raises(ValueError, match="stands for no allocator of LAB_ALLOCATORS"):
            read({"LAB_GROUPS": groups, "LAB_ALLOCATORS": "/a"}, files={"/a": OWN})


@pytest.mark.parametrize("target", ["lab", "lab-smoke"])
def test_groups_may_stand_on_several_lines(target, tmp_path):
    """As docs/lab.md writes them."""
    run = tmp_path / "tests/lab/run"
    run.parent.mkdir(parents=True)
    run.write_text('#!/bin/sh\nprintf %s "$LAB_GROUPS|$LAB_SEED|$LAB_RELEASE"\n')
    run.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "LAB_RELEASE": "trixie"}
    done = subprocess.run(["make", "-s", "-f", evidence.REPO / "tests/lab.mk", target, "LAB_GROUPS=glibc\n  live", "LAB_SEED=it's"],
                          cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("glibc\n  live|it's|trixie", "")
    assert read({"LAB_GROUPS": "glibc\n  live"}).groups == ("glibc", "live")
