"""The completion for bash in a bash, that for zsh in a zsh on a terminal, and the syntax of both."""

import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import termios

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

    def run(*typed, here=tmp_path, timeout=30):
        env = {**ctl.environment, "PATH": f"{BUILD}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "--norc", "-c", HARNESS, "bash", REPO / "units/completion/bash", "relayallocctl",
                               *typed], capture_output=True, text=True, env=env, timeout=timeout, cwd=here)
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    return run


def test_verbs(complete):
    assert complete("re") == ["reload", "resume", "restart", "revert", "report", "recommend"]
    assert "list" in complete("") and len(complete("")) == 25
    assert complete("-q", "--json", "=", "short", "h") == ["history", "help"]
    assert complete("-o", "list", "gr") == ["groups"]  # "list" is an argument here


def test_options(complete):
    assert complete("--no") == ["--no-pager", "--no-legend", "--now"]
    assert complete("history", "--li") == ["--lines="]
    assert complete("list", "--li") == []
    assert complete("events", "--fo") == ["--follow"]
    assert complete("--json", "=", "s") == ["short"]
    assert complete("report", "--format", "=", "h") == ["html"]
    assert complete("report", "--by", "g") == ["group"]
    assert complete("list", "--state", "=", "d") == ["drifted", "down"]
    assert complete("list", "--state", "ok,re") == ["ok,restarting", "ok,reverted"]
    assert complete("help", "re") == complete("re")


def test_relays(complete, daemon):
    assert complete("list", "st") == ["starter", "stands"]
    assert complete("history", "--since", "yesterday", "dr") == ["drifter"]
    assert len(complete("revert", "done", "")) == 8
    daemon.stop()
    assert complete("pause", "st") == []


def test_a_daemon_that_hangs_does_not_hang_the_shell(complete, daemon):
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        assert complete("list", "st", timeout=15) == []  # less than the bus's own patience
    finally:
        daemon.process.send_signal(signal.SIGCONT)


def test_columns(complete, ctl):
    known = re.findall(r"^  ([A-Z/]+) ", ctl("list", "-o", "help").out, re.M)
    assert known[9:] == ["UNIT", "FINGERPRINT", "HOST", "NRESTARTS", "FLAGS", "READY", "TRAFFIC/DAY"] and complete("list", "-o", "") == [name.lower() for name in known]
    assert complete("list", "-o", "rel") == ["relay"]
    assert complete("-o", "rel") == ["relay"]
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


# A widget that lists what fits and says when it has.
ZSH = """
PS1=; fpath=({folder} $fpath); autoload -Uz compinit; compinit -u -d {folder}/dump; setopt no_beep no_list_beep
zstyle ':completion:*' list-separator '#'; stty cols 200 rows 100
show() {{ zle list-choices; zle -R; print -n "\\a" >/dev/tty }}; zle -N show; bindkey '^X' show; print -n "\\a"
"""


@pytest.fixture
def complete_zsh(ctl, fleet, tmp_path):
    folder = tmp_path / "zsh"
    folder.mkdir()
    shutil.copy(REPO / "units/completion/zsh", folder / "_relayallocctl")
    env = {**ctl.environment, "PATH": f"{BUILD}:{os.environ['PATH']}", "TERM": "xterm", "ZDOTDIR": str(folder)}

    def run(typed):
        leader, follower = pty.openpty()
        process = subprocess.Popen(["zsh", "-f", "-i"], stdin=follower, stdout=follower, stderr=follower, env=env,
                                   cwd=tmp_path, start_new_session=True,
                                   preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(follower)

        def until_bell():
            out = b""
            while b"\a" not in out:
                out += os.read(leader, 65536)
            return out.decode().split("\a")[0]

        try:
            os.write(leader, ZSH.format(folder=folder).encode())
            until_bell()
            os.write(leader, typed.encode() + b"\x18")
            shown = until_bell()
        finally:
            process.kill()
            process.wait()
            os.close(leader)
        # The list stands below the line: zsh clears what is there, and goes back up behind it.
        below = re.search(r"\033\[J([^\033]*(?:\033\[K[^\033]*)*)\033\[\d*A", shown)
        lines = below[1].replace("\033[K", "").splitlines() if below else []
        return {word for line in lines for word in re.split(r" *# ", line)[0].split()}

    return run


def test_zsh(complete_zsh, daemon):
    assert complete_zsh("relayallocctl re") == {"reload", "resume", "restart", "revert", "report", "recommend"}
    assert complete_zsh("relayallocctl list st") == {"starter", "stands"}
    assert complete_zsh("relayallocctl list --state=dr") == {"drifted"}
    assert "verify" in complete_zsh("relayallocctl help v")
    assert complete_zsh("relayallocctl --json=short status d") == {"done", "drifter"}
    assert complete_zsh("relayallocctl history --si") <= {"--since", "--since="}
    assert complete_zsh("relayallocctl list -o r") == {"relay", "running", "rss", "ready"}
    assert {"A", "B"} <= complete_zsh("relayallocctl report --baseline ")
    daemon.stop()
    assert not {"starter", "stands"} & complete_zsh("relayallocctl pause st")


OF_VERBS = dict(re.findall(r'^    \[(\w+)\]="(-[^"]*)"', (REPO / "units/completion/bash").read_text(), re.M))


@pytest.mark.parametrize("verb", OF_VERBS)
def test_both_shells_offer_a_verb_the_same_options(complete_zsh, verb):
    long = lambda words: {word.rstrip("=") for word in words if word.startswith("--")}
    everywhere = long(complete_zsh("relayallocctl groups --"))
    assert "--json" in everywhere
    assert long(complete_zsh(f"relayallocctl {verb} --")) - everywhere == long(OF_VERBS[verb].split())


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_syntax(shell):
    done = subprocess.run([shell, "-n", REPO / "units/completion" / shell], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
