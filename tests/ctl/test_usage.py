"""The command line itself: options in all places, help, wrong usage."""

import re
import subprocess

import pytest

from conftest import CTL, relay


def test_help_names_every_verb_and_option(ctl):
    done = ctl("--help")
    assert done.status == 0 and done.err == ""
    for verb in ("list status groups allocators check plan edit pause resume abort verify revert top history events "
                 "report export reload doctor").split():
        assert re.search(rf"^  {verb} ", done.out, re.M), verb
    for option in ("--json", "--no-pager", "--no-legend", "-q", "-o", "-H", "-M", "--help", "--version"):
        assert re.search(rf"^ .*{option}\b", done.out, re.M), option
    assert all(len(line) <= 100 for line in done.out.splitlines())
    assert ctl("-h").out == ctl("help").out == done.out


def test_help_of_a_verb_is_what_the_manual_says(ctl):
    verbs = re.findall(r"^  ([a-z]+) ", ctl("--help").out, re.M)
    for verb in verbs:
        done = ctl("help", verb)
        assert done.status == 0 and done.err == "" and done.out.startswith(f"relayallocctl {verb}"), done
        assert len(done.out.splitlines()) > 4 and "*" not in done.out.replace("MALLOC_*", ""), done
        assert ctl(verb, "--help").out == ctl("-h", verb).out == done.out
    assert "--state=STATE,..." in ctl("help", "list").out and "relay_config.csv" not in ctl("help", "list").out
    assert all(len(line) <= 60 for line in ctl.on_terminal("help", "doctor", columns=60).out.splitlines())
    unknown = ctl("help", "lst")
    assert unknown.status == 2 and 'did you mean "list"?' in unknown.err and unknown.out == ""


def test_version(ctl):
    assert re.fullmatch(r"relayallocctl \d+\.\d+\.\d+\n", ctl("--version").out)


@pytest.mark.parametrize("arguments, message", [
    (["lst"], 'unknown verb "lst" (did you mean "list"?)'),
    (["xyzzy"], 'unknown verb "xyzzy"'),
    (["--frobnicate"], 'unknown option "--frobnicate"'),
    (["-x", "list"], 'unknown option "-x"'),
    (["help", "list", "plan"], "help takes at most 1 operand"),
    (["list", "--frobnicate"], 'list: unknown option "--frobnicate"'),
    (["status", "-qx"], 'status: unknown option "-qx"'),
    (["--json=long"], '"short", "pretty" or "off"'),
    (["list", "-o"], 'option "-o" needs an argument'),
    (["--machine"], 'option "--machine" needs an argument'),
    (["-H", "a", "-M", "b"], "cannot be combined"),
    (["groups", "x"], "groups takes no operand"),
    (["check", "a", "b"], "check takes at most 1 operand"),
    (["check", "-M", "m", "f"], "only on files of this host"),
    (["plan", "-H", "h", "f"], "only on files of this host"),
    (["edit", "-M", "m"], "only on the file of this host"),
    (["pause", "now"], "pause takes no operand"),
    (["top"], "top needs a terminal"),
])
def test_wrong_usage(ctl, arguments, message):
    done = ctl(*arguments)
    assert done.status == 2 and message in done.err and done.out == ""


@pytest.mark.parametrize("verb, column", [
    (["list"], "FINGERPRINT"), (["groups"], "DIFFER"), (["allocators"], "EVIDENCE"), (["verify"], "REASON"), (["plan"], "WAVE"),
    (["history"], "ANON"), (["events"], "PRIORITY"), (["report"], "LEFTOUT"), (["experiment"], "BEFORE"),
    (["-H", "a,b", "status"], "ROLLOUT"), (["doctor", "--self-test"], "SANDBOX"),
])
def test_columns_are_told_before_anything_is_read(no_bus, verb, column):
    """Whoever asks has often no daemon and no samples yet; it is an answer and no error, so it goes through a pipe."""
    done = no_bus(*verb, "-o", "help")
    assert done.status == 0 and done.err == "" and f"\n  {column} " in done.out, done


def test_options_before_and_after_the_verb(ctl, daemon):
    daemon.says([relay("a"), relay("-b"), relay("--json=short")])
    same = ctl("list", "a", "--json", "short", "-orelay").out
    assert same == '[{"relay":"a"}]\n'
    for arguments in (["--json=short", "-o", "relay", "list", "a"], ["-qorelay", "--json=short", "list", "a"],
                      ["list", "-q", "-o", "relay", "a", "--json=short"], ["--js=short", "list", "a", "--col=relay"],
                      ["list", "--json=pretty", "--json=short", "-o=x", "-orelay", "a"]):
        assert ctl(*arguments).out == same, arguments
    # After "--" everything is a name.
    assert ctl("list", "-o", "relay", "--no-legend", "--", "-b", "--json=short").out == "-b\n--json=short\n"


def test_a_full_disk_is_a_failure(ctl, daemon):
    daemon.says([relay("a")])
    for what in (["list"], ["--version"]):
        with open("/dev/full", "w") as full:
            done = subprocess.run([CTL, *what], stdout=full, stderr=subprocess.PIPE, text=True, env=ctl.environment)
        assert done.returncode == 1 and "cannot write" in done.stderr, what


def test_host_that_cannot_be_reached(ctl, tmp_path):
    (tmp_path / "ssh").write_text("#!/bin/sh\nexit 255\n")
    (tmp_path / "ssh").chmod(0o755)
    done = ctl("-H", "nowhere", "list", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.status == 1 and done.err.startswith("relayallocctl: ") and done.out == ""
    assert ctl("-M", "no-such-machine", "list").status == 1


def test_host_by_ssh(ctl, daemon, tmp_path):
    """-H runs systemd-stdio-bridge over ssh; here "ssh" is a bridge to the same private bus."""
    daemon.says([relay("a")])
    address = ctl.environment["DBUS_SYSTEM_BUS_ADDRESS"]
    (tmp_path / "ssh").write_text(f"#!/bin/sh\nexec systemd-stdio-bridge -p {address}\n")
    (tmp_path / "ssh").chmod(0o755)
    done = ctl("-H", "root@there", "list", "--json=short", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.status == 0 and [row["relay"] for row in done.json] == ["a"]
    stopped = ctl("-H", "there", "groups", "--json=short", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert stopped.json[0]["relays"] == 1
    daemon.stop()
    for verb in ("list", "status", "plan", "groups"):
        done = ctl("-H", "there", verb, PATH=f"{tmp_path}:/usr/bin:/bin")
        assert done.status == 1 and "relayallocd is not running on there" in done.err and done.out == ""
