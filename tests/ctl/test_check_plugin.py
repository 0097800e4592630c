"""packaging/monitoring/check_relayalloc: the exit statuses and the lines that monitors expect."""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

from conftest import CTL, REPO, relay

PLUGIN = REPO / "packaging/monitoring/check_relayalloc"
PERFDATA = r"relays=\d+;;;0( [a-z]+=\d+;0?;0?;0;\d+){8}"


@pytest.fixture
def check(ctl, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "relayallocctl").symlink_to(CTL)
    environment = {**ctl.environment, "PATH": f"{folder}:/usr/bin:/bin"}

    def run(*arguments, path=None):
        done = subprocess.run([PLUGIN, *arguments], capture_output=True, text=True, timeout=60,
                              env={**environment, **({"PATH": path} if path else {})})
        assert done.stderr == "" and done.stdout.count("\n") == 1, done
        return done.returncode, done.stdout.rstrip("\n")

    run.folder = folder
    return run


def says(check, *arguments):
    """The status and the text of a line for Nagios, whose performance data is as it should be."""
    status, line = check(*arguments)
    word = {0: "OK", 1: "WARNING", 2: "CRITICAL", 3: "UNKNOWN"}[status]
    text, _, perfdata = line.partition(" | ")
    assert text.startswith(f"RELAYALLOC {word} - ")
    assert not perfdata or re.fullmatch(PERFDATA, perfdata), line
    return status, text.split(" - ", 1)[1]


@pytest.mark.parametrize("properties, status, text", [
    ({"RelaysOk": 3}, 0, "3 relays: 3 ok"),
    ({"RelaysOk": 2, "RelaysStopped": 1}, 0, "3 relays: 2 ok, 1 stopped"),
    ({"RelaysOk": 1, "RelaysPending": 1, "RelaysBusy": 1, "Rollout": "running", "RolloutDone": 1, "RolloutTotal": 3}, 0,
     "3 relays: 1 ok, 1 pending, 1 busy, rollout running: 1 of 3 done"),
    ({"RelaysOk": 2, "RelaysDrifted": 1}, 1, "3 relays: 2 ok, 1 drifted"),
    ({"RelaysOk": 2, "RelaysFailed": 1, "RolloutFailed": 7}, 1, "3 relays: 2 ok, 1 failed"),
    ({"RelaysOk": 3, "Rollout": "paused"}, 1, "3 relays: 3 ok, rollout paused"),
    ({"RelaysOk": 3, "Rollout": "aborted"}, 1, "3 relays: 3 ok, rollout aborted"),
    ({"RelaysOk": 3, "ConfigError": "x:1: no"}, 1, "3 relays: 3 ok, the configuration on disk is invalid and not in force"),
    ({"RelaysOk": 3, "StateError": "No space"}, 1, "3 relays: 3 ok, the state cannot be saved"),
    ({"RelaysOk": 2, "RelaysDown": 1, "RelaysDrifted": 0}, 2, "3 relays: 2 ok, 1 down"),
    ({"RelaysOk": 2, "RelaysFailed": 1, "Rollout": "halted", "RolloutReason": 'b: it said "x|y"'}, 2,
     '3 relays: 2 ok, 1 failed, rollout halted (b: it said "x/y")'),
    # what others wrote is no part of the answer
    ({"RelaysOk": 3, "ConfigWarnings": '"relays":{"down":9} "rollout":{"state":"halted"}'}, 0, "3 relays: 3 ok"),
])
def test_what_is_critical_and_what_is_not(check, daemon, properties, status, text):
    daemon.says([relay("a")], Relays=3, **properties)
    assert says(check) == (status, text)
    code, line = check("--checkmk")
    word = line.split()[3]
    assert code == status and line.startswith(f'{status} "relayalloc" relays=3;;;0|ok=')
    assert line.endswith(f" {word} - {text}") and re.fullmatch(PERFDATA.replace(" ", r"\|"), line.split()[2])


def test_performance_data(check, daemon):
    daemon.says([relay("a")], Relays=5, RelaysOk=2, RelaysDown=1, RelaysDrifted=2)
    assert check()[1].split(" | ")[1] == ("relays=5;;;0 ok=2;;;0;5 pending=0;;;0;5 busy=0;;;0;5 failed=0;0;;0;5 drifted=2;0;;0;5 "
                                          "down=1;;0;0;5 stopped=0;;;0;5 observed=0;;;0;5")


@pytest.mark.parametrize("said", [
    """echo 'relayallocd is not running; this is what files and systemd show.' >&2
       echo '{"version":null,"config":"/etc/relayalloc.conf","relays":{"total":2},"rollout":null}'; exit 1""",
    """echo 'relayallocd is not running; this is what files and systemd show.' >&2; echo 'x.conf:1: no' >&2; exit 2""",
    """echo 'relayallocctl: relayallocd is not running on b' >&2; exit 1""",
])
def test_the_daemon_is_not_running(check, said):
    (check.folder / "relayallocctl").unlink()
    (check.folder / "relayallocctl").write_text(f"#!/bin/sh\n{said}\n")
    (check.folder / "relayallocctl").chmod(0o755)
    assert check() == (2, "RELAYALLOC CRITICAL - relayallocd is not running")
    assert check("--checkmk") == (2, '2 "relayalloc" - CRITICAL - relayallocd is not running')


def test_what_cannot_be_known(check, daemon, tmp_path):
    daemon.says([relay("a")], errors=[("GetRelays", "org.example.Odd", "something odd | here")])
    assert says(check) == (3, "relayallocctl: GetRelays failed: something odd / here")
    assert says(check, "--nonsense")[0] == 3 and says(check, "-t")[0] == 3 and says(check, "-t", "x")[0] == 3
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("sh", "env"):
        (empty / name).symlink_to(f"/usr/bin/{name}")
    status, line = check(path=str(empty))
    assert status == 3 and "relayallocctl is not installed" in line
    (check.folder / "relayallocctl").unlink()
    (check.folder / "relayallocctl").write_text("#!/bin/sh\nexec sleep 60\n")
    (check.folder / "relayallocctl").chmod(0o755)
    assert says(check, "-t", "1") == (3, "no answer within 1 s")
    (check.folder / "relayallocctl").write_text('#!/bin/sh\necho "$@" >&2\n')
    assert says(check, "-H", "root@b")[1] == "--host=root@b --json=short status"


def test_no_rights(check, daemon):
    """Reading is open to everybody as shipped. Where a site has closed its bus, or the monitor must not log in, nothing is known, and it
    is never taken for a daemon that does not run."""
    denied = ("org.freedesktop.DBus.Error.AccessDenied", "Sender is not authorized to send message")
    for call in ("GetAll", "GetRelays"):
        daemon.says([relay("a")], errors=[(call, *denied)])
        status, text = says(check)
        assert (status, text) == (3, f"relayallocctl: the policy of the system bus does not let this user ask relayallocd ({call})")
    (check.folder / "relayallocctl").unlink()
    (check.folder / "relayallocctl").write_text("#!/bin/sh\necho 'icinga@b: Permission denied (publickey).' >&2\n"
                                                "echo 'relayallocctl: b: cannot log in' >&2\nexit 1\n")
    (check.folder / "relayallocctl").chmod(0o755)
    assert says(check, "-H", "b") == (3, "icinga@b: Permission denied (publickey).")


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_user_who_does_not_reach_the_bus(ctl, daemon):
    """The directory of its socket is open to nobody but its owner."""
    daemon.says([relay("a")], Relays=1, RelaysOk=1)
    with tempfile.TemporaryDirectory() as folder:
        where = pathlib.Path(folder)
        where.chmod(0o755)
        shutil.copy(CTL, where / "relayallocctl")
        shutil.copy(PLUGIN, where)
        pathlib.Path(ctl.environment["DBUS_SYSTEM_BUS_ADDRESS"].removeprefix("unix:path=")).parent.chmod(0o700)
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", where / PLUGIN.name], capture_output=True,
                              text=True, timeout=60, env={**ctl.environment, "HOME": "/nonexistent", "PATH": f"{where}:/usr/bin:/bin"})
    assert (done.returncode, done.stdout) == (3, "RELAYALLOC UNKNOWN - relayallocctl: this user is not allowed to connect to the system bus\n")


def test_help(check):
    done = subprocess.run([PLUGIN, "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--checkmk" in done.stdout
