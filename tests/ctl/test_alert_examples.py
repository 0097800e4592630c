"""The examples of packaging/alert, with stand-ins for what they call."""
import json
import os
import pathlib
import subprocess

import pytest

ALERT = pathlib.Path(__file__).parent.parent.parent / "packaging/alert"


@pytest.fixture
def run(tmp_path):
    """Runs an example with programs that do as they are told; what they were given is in tmp_path."""
    def put(name, text):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    put("sendmail", f'printf "%s\\n" "$@" >{tmp_path}/arguments; cat >{tmp_path}/mail')
    put("relayallocctl", 'echo "ctl $*"; exit 3')
    put("journalctl", 'echo "the journal"')
    put("uname", "echo host1")

    def go(name, *arguments, curl="exit 0", **environment):
        put("curl", f'printf "%s\\n" "$@" >{tmp_path}/arguments; {curl}')
        return subprocess.run([ALERT / name, *arguments], capture_output=True, text=True,
                              env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **environment})
    return go


def test_mail(run, tmp_path):
    done = run("relayalloc-alert-mail", r"down-my\x2drelay", MAILTO="me@example.org")
    assert (done.returncode, done.stderr) == (0, "")
    head, body = (tmp_path / "mail").read_text().split("\n\n", 1)
    assert head.splitlines()[:2] == ["To: me@example.org", "Subject: relayalloc on host1: my-relay: is down"]
    assert "ctl status\n" in body and "ctl status -- my-relay\n" in body and "the journal\n" in body
    assert (tmp_path / "arguments").read_text() == "-i\n-t\n"


def test_webhook(run, tmp_path):
    name = r'a "b\c'
    instance = subprocess.run(["systemd-escape", "--", f"lost/{name}"], check=True, capture_output=True, text=True).stdout.strip()
    done = run("relayalloc-alert-webhook", instance, curl=f"cat >{tmp_path}/posted", URL="https://example.org/hook")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads((tmp_path / "posted").read_text()) == {"host": "host1", "event": "lost", "relay": name,
                                                           "text": f"relayalloc on host1: lost, relay {name}"}
    assert "https://example.org/hook" in (tmp_path / "arguments").read_text().split()
    assert run("relayalloc-alert-webhook", "lost-a", curl="exit 22", URL="https://example.org/hook").returncode != 0


@pytest.mark.parametrize("curl, status", [
    ("""echo '{"status":"success","data":{"resultType":"vector","result":[]}}'""", 0),
    ("""echo '{"status":"success","data":{"resultType":"vector","result":[{"metric":{"alertname":"Disk"},"value":[1,"1"]}]}}'""", 1),
    ("""echo '{"status":"error","error":"no"}'""", 1),
    ("""echo '<html>'""", 1),
    ("exit 7", 7)])
def test_gate(run, tmp_path, curl, status):
    done = run("relayalloc-gate", curl=curl, PROMETHEUS="http://localhost:9090", ALERTS="ALERTS{}")
    assert done.returncode == status, done.stderr
    assert ("Disk" in done.stderr) == ("Disk" in curl)
    assert "query=ALERTS{}\nhttp://localhost:9090/api/v1/query" in (tmp_path / "arguments").read_text()


@pytest.mark.parametrize("unit", sorted(ALERT.glob("*.service")), ids=lambda p: p.name)
def test_units(unit):
    """Type=oneshot, and what they run is what lies beside them and is installed where they look for it."""
    lines = unit.read_text().splitlines()
    assert "Type=oneshot" in lines and not any(line.startswith("RemainAfterExit") for line in lines)
    program, = (line.partition("=")[2].split()[0] for line in lines if line.startswith("ExecStart="))
    assert pathlib.Path(program).parent == pathlib.Path("/usr/local/lib")
    beside = ALERT / pathlib.Path(program).name
    assert os.access(beside, os.X_OK)
    assert f"#   install -m 0755 {beside.name} /usr/local/lib/" in lines
