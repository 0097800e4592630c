import subprocess
import types

import pytest

import libraries

MAPS = """7f00-7f01 r-xp 00000000 00:21 1   /usr/lib/x86_64-linux-gnu/libc.so.6
7f02-7f03 r-xp 00000000 00:21 2   {}
"""


def test_the_library_that_serves_a_process():
    for path in ("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", "/usr/local/lib/relayalloc-lab/sid-libmimalloc3/libmimalloc.so.3",
                 "/usr/lib/x86_64-linux-gnu/libtcmalloc.so.4.5.10"):
        assert libraries.mapped_in(MAPS.format(path)) == path
    assert libraries.mapped_in(MAPS.format("/usr/lib/x86_64-linux-gnu/libz.so.1")) == "/usr/lib/x86_64-linux-gnu/libc.so.6"


def test_versions_are_those_of_the_makers():
    assert [libraries.upstream(v) for v in ("3.6.0+ds-1", "2:5.3.0-3", "2.41-12+deb13u5")] == ["3.6.0", "5.3.0", "2.41"]


def test_a_library_of_another_release_says_its_version_itself():
    path = libraries.FOLDER + "/sid-libmimalloc3/libmimalloc.so.3"
    assert libraries.version(None, MAPS.format(path), {libraries.FOLDER + "/sid-libmimalloc3": "3.6.0+ds-1"}) == "3.6.0"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """With what `library` fetches; run() answers as it is told to."""
    fetched = tmp_path / "sid-libx3"
    fetched.mkdir()
    (fetched / "libx.so.3").write_text("x")
    (fetched / "version").write_text("3.6.0+ds-1\n")
    (tmp_path / "fetch").write_text(f"#!/bin/sh\n[ $1 = sid ] && echo {fetched} || {{ echo 'library: no network' >&2; exit 1; }}\n")
    (tmp_path / "fetch").chmod(0o755)
    monkeypatch.setattr(libraries, "FETCH", tmp_path / "fetch")
    return types.SimpleNamespace(release="bookworm", sh=lambda _: (tmp_path / "there").mkdir(), path=lambda path: tmp_path / "there" / path.rpartition("/")[2],
                                 run=lambda command: subprocess.CompletedProcess(command, 0, "", ""))


def test_libraries_are_put_into_the_machine(machine):
    assert libraries.install(machine, [("sid", "libx3")]) == {libraries.FOLDER + "/sid-libx3": "3.6.0+ds-1"}
    assert machine.path("libx.so.3").read_text() == "x"
    with pytest.raises(AssertionError, match="^library: no network$"):
        libraries.install(machine, [("other", "libx3")])


@pytest.mark.parametrize("status, says", [
    (1, "true: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /x)"),
    (0, "ERROR: ld.so: object '/x' from LD_PRELOAD cannot be preloaded (wrong ELF class): ignored.")])
def test_one_that_does_not_work_there_is_told_before_anything_else(machine, status, says):
    """As of sid's on a release whose C library is older; what one only says by itself is not for here."""
    asked = []
    machine.run = lambda command: asked.append(command) or subprocess.CompletedProcess(command, status, "", says + "\n")
    with pytest.raises(AssertionError, match="sid-libx3/libx.so.3 does not work on bookworm: ") as why:
        libraries.install(machine, [("sid", "libx3")])
    assert says in str(why.value) and asked == [["env", f"LD_PRELOAD={libraries.FOLDER}/sid-libx3/libx.so.3", "true"]]
    machine.run = lambda command: subprocess.CompletedProcess(command, 0, "", "mimalloc: warning: x\n")
    machine.sh = lambda _: None
    libraries.install(machine, [("sid", "libx3")])
