"""The completion for bash in a bash, and the syntax of both."""

import os
import subprocess

import pytest

from conftest import BUILD, REPO

HARNESS = """
. /usr/share/bash-completion/bash_completion
. "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*"
COMP_LINE=${COMP_LINE// = /=} COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
_relayallocctl 2>/dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def complete(ctl, fleet, tmp_path):
    """What bash offers for these words, the last of which is being typed. bash makes a word of each "="."""

    def run(*typed, here=tmp_path):
        env = {**ctl.environment, "PATH": f"{BUILD}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "--norc", "-c", HARNESS, "bash", REPO / "units/completion/bash", "relayallocctl",
                               *typed], capture_output=True, text=True, env=env, timeout=30, cwd=here)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


def test_verbs(complete):
    assert complete("re") == ["reload", "resume", "revert", "report", "recommend"]
    assert "list" in complete("") and len(complete("")) == 21
    assert complete("-q", "--json", "=", "short", "h") == ["history"]
    assert complete("-o", "list", "gr") == ["groups"]  # "list" is an argument here


def test_options(complete):
    assert complete("--no") == ["--no-pager", "--no-legend"]
    assert complete("history", "--li") == ["--lines="]
    assert complete("list", "--li") == []
    assert complete("events", "--fo") == ["--follow"]
    assert complete("--json", "=", "s") == ["short"]
    assert complete("report", "--format", "=", "h") == ["html"]
    assert complete("report", "--by", "g") == ["group"]


def test_relays(complete, daemon):
    assert complete("list", "st") == ["starter", "stands"]
    assert complete("history", "--since", "yesterday", "dr") == ["drifter"]
    assert len(complete("revert", "done", "")) == 8
    daemon.stop()
    assert complete("pause", "st") == []


def test_columns(complete):
    assert complete("list", "-o", "re") == ["relay"]
    assert complete("-o", "re") == ["relay"]
    assert complete("events", "-o", "time,re") == ["time,relay", "time,reason", "time,result"]
    assert complete("events", "--columns", "=", "+wa") == ["+wave"]
    assert complete("history", "-o", "st") == []


def test_groups_and_allocators(complete):
    offered = complete("report", "--baseline", "")
    assert {"A", "B"} <= set(offered)


def test_files(complete, tmp_path):
    (tmp_path / "one.conf").touch()
    (tmp_path / "folder").mkdir()
    assert set(complete("check", "")) >= {"one.conf", "folder"}
    assert complete("--config", "o") == ["one.conf"]
    assert "folder" in complete("doctor", "--root", "") and "one.conf" not in complete("doctor", "--root", "")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_syntax(shell):
    done = subprocess.run([shell, "-n", REPO / "units/completion" / shell], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
