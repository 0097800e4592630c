"""Journals of two hosts on one of them: west and east send theirs with systemd-journal-upload to systemd-journal-remote on east, over
TLS, with the very commands and files of docs/fleets.md."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
import textwrap

import pytest

from conftest import REPO

REMOTE = "/var/log/journal/remote"
ADDRESSES = {"west": "10.99.0.1", "east": "10.99.0.2"}
# The names that the guide has, of the two hosts and of the collector, which is east.
NAMES = {"west": "a.example.org", "east": "b.example.org"}
COLLECTOR = "collector.example.org"


def connect(hosts):
    """A cable between the two."""
    ends = {name: f"{name[0]}{os.getpid()}" for name in hosts}
    subprocess.run(["ip", "link", "add", ends["west"], "netns", str(hosts["west"].leader), "type", "veth", "peer", "name", ends["east"],
                    "netns", str(hosts["east"].leader)], check=True)
    for name, m in hosts.items():
        m.sh(f"ip address add {ADDRESSES[name]}/24 dev {ends[name]} && ip link set {ends[name]} up && ip link set lo up")


def guide(has):
    """The indented block of the guide's "Setting it up" that has this word."""
    section = (REPO / "docs/fleets.md").read_text().split("### Setting it up\n")[1].split("\n### ")[0]
    (block,) = (b for b in re.split(r"\n\n+", section) if b.startswith("    ") and has in b)
    return textwrap.dedent(block)


def certificates(folder):
    subprocess.run(["bash", "-ec", guide("openssl req -x509")], cwd=folder, check=True, capture_output=True)
    return folder


def set_up(m, name, files, service):
    """As the guide does it on the collector, or on a host; `files`: the folder of certificates."""
    shutil.copytree(files, m.path("/root/tls"), dirs_exist_ok=True)
    of_collector = service == "systemd-journal-remote"
    conf = guide("[Remote]" if of_collector else "[Upload]")
    path = re.match(r"# (/etc/systemd/\S+)\n", conf)[1]
    commands = guide(COLLECTOR + ".key /etc" if of_collector else "a.example.org.key /etc")
    # east is a host and the collector: its two keys do not lie in one place
    where = f"/etc/journal-tls-{service}"
    m.sh("cd /root/tls && set -e\n" + commands.replace("a.example.org", NAMES[name]).replace("/etc/journal-tls", where))
    m.write(path, conf.replace("/etc/journal-tls", where))


def history(m, *arguments):
    return json.loads(m.sh("relayallocctl --json=short history relay1 -n 100000 " + " ".join(arguments)))


def in_gathered(m, host, *arguments):
    return history(m, f"--directory={REMOTE}", f"--host={host}", *arguments)


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def gathered(hosts, tls):
    """Both have moved relay1 and taken samples, each second, and east has all of it; the daemons are stopped then. On west relay1 is on
    jemalloc, on east on tcmalloc."""
    connect(hosts)
    east = hosts["east"]
    for name, m in hosts.items():
        m.install_deb()
        m.reset()  # other tests may have used them
        m.start_daemon()
        m.write_conf(m.settings([("control", "glibc", 'relays = [ "relay2" ]'),
                                 ("A", "jemalloc" if name == "west" else "tcmalloc", 'relays = [ "relay1" ]')]))
        m.sh("relayallocctl reload --wait -q")
        m.wait_all("ok")
    set_up(east, "east", tls, "systemd-journal-remote")
    east.sh(guide("systemctl enable --now systemd-journal-remote.socket"))
    for name, m in hosts.items():
        m.sh(f"echo {ADDRESSES['east']} {COLLECTOR} >>/etc/hosts")
        set_up(m, name, tls, "systemd-journal-upload")
        # what docs/fleets.md advises, but for the time
        m.write("/etc/systemd/system/systemd-journal-upload.service.d/again.conf",
                "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=1\n")
        m.sh("systemctl daemon-reload")
        m.sh(guide("systemctl enable --now systemd-journal-upload"))
    for name, m in hosts.items():
        m.wait_until(lambda m=m: len(history(m)) >= 10, 120, f"ten samples on {name}")
        m.systemctl("stop", "relayallocd")
        m.sh("journalctl --sync")
        wait_for_the_last(hosts, name)
    return hosts


def events(m, *arguments):
    return json.loads(m.sh("relayallocctl --json=short events -n 100000 " + " ".join(arguments)))


def wait_for_the_last(hosts, name):
    """Until east has the last sample of that host, and that its daemon has stopped after it."""
    east, m = hosts["east"], hosts[name]
    east.wait_until(lambda: in_gathered(east, name)[-1]["time"] == history(m)[-1]["time"] and
                    events(east, f"--directory={REMOTE}", f"--host={name}")[-1]["time"] == events(m)[-1]["time"],
                    120, f"the last sample and event of {name} on east",
                    lambda: east.sh("journalctl -u systemd-journal-remote -u systemd-journal-upload -n 30 --no-pager 2>&1; "
                                    f"ls -l {REMOTE}; true"))


def without_host(rows):
    return [{k: v for k, v in row.items() if k != "host"} for row in rows]


def test_history_keeps_relays_of_one_name_apart(gathered):
    """What east has of west's relay1 is what west has, sample for sample, and nothing of its own."""
    east = gathered["east"]
    for name, m in gathered.items():
        rows = in_gathered(east, name)
        assert rows == history(m) and len(rows) >= 10
    both = history(east, f"--directory={REMOTE}")
    assert {row["host"] for row in both} == {"west", "east"}
    for name in gathered:
        assert without_host(row for row in both if row["host"] == name) == in_gathered(east, name)
    table = east.sh(f"relayallocctl history relay1 --directory={REMOTE} --no-pager").splitlines()
    assert table[0].split()[0] == "HOST"


def test_own_journal_is_read_without_the_others(gathered):
    """--merge takes both: east's own one, and what has been sent to it."""
    east = gathered["east"]
    own = history(east)
    assert own == in_gathered(east, "east") and own[-1]["allocator"] == "tcmalloc"
    assert {row["host"] for row in history(east, "--merge")} == {"west", "east"}


def test_events_of_both(gathered):
    east = gathered["east"]
    moved = [e for e in events(east, "relay1", f"--directory={REMOTE}", "-o HOST,EVENT,RELAY,ALLOCATOR") if e["event"] == "relay-moved"]
    last = {e["host"]: e["allocator"] for e in moved}
    assert last == {"west": "jemalloc", "east": "tcmalloc"}
    of_west = events(east, f"--directory={REMOTE}", "--host=west")
    assert len(of_west) > 3 and of_west == events(gathered["west"])


def test_report_by_host(gathered):
    """Two relays of each, from their last samples; --host= leaves one."""
    east = gathered["east"]

    def report(*arguments):
        rows = json.loads(east.run("relayallocctl report --format=json --warmup=0 " + " ".join(arguments)).stdout)
        return rows

    since = f"--since=@{gathered['west'].since:.0f}"
    both = report(f"--directory={REMOTE}", "--by=host", since)
    hosts = {row["host"]: row for row in both["rows"] if row.get("host")}
    assert set(hosts) == {"west", "east"}, both
    one = report(f"--directory={REMOTE}", "--by=host", "--host=west", since)
    assert {row["host"] for row in one["rows"] if row.get("host")} == {"west"}
    by_allocator = report(f"--directory={REMOTE}", since)
    relays = {row["allocator"]: row["relays"] for row in by_allocator["rows"]}
    assert relays["glibc"] == 2 and relays["jemalloc"] == relays["tcmalloc"] == 1, by_allocator


def test_export_says_whose_it_is(gathered):
    table = csv.DictReader(io.StringIO(gathered["east"].sh(f"relayallocctl export --directory={REMOTE}")))
    servers = {}
    for row in (row for row in table if row["nickname"]):  # and not the sums of a host
        servers.setdefault(row["server"], set()).add(row["nickname"])
    assert servers == {"west": {"relay1", "relay2"}, "east": {"relay1", "relay2"}}


def test_a_file_for_each_host(gathered):
    """Which is what retention works on: what has been archived of each is removed by its age."""
    east = gathered["east"]
    files = [name for name in east.sh(f"ls {REMOTE}").split() if name.endswith(".journal")]
    assert sorted(name.split("@")[0].removesuffix(".journal") for name in files) == \
        [f"remote-{address}" for address in sorted(ADDRESSES.values())], files


SEND = """
import http.client, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.check_hostname = False  # it is asked by its address here
connection = http.client.HTTPSConnection(sys.argv[2], 19532, context=context, timeout=60)
connection.request("POST", "/upload", b"", {"Content-Type": "application/vnd.fdo.journal"})
print(connection.getresponse().status)
"""


def test_who_sends_is_checked_by_systemd_with_gnutls_alone(gathered, tls):
    """As the guide warns: in Debian's, whoever reaches the port is let in."""
    answer = subprocess.run(["nsenter", "-t", str(gathered["west"].leader), "-n", "/usr/bin/python3", "-c", SEND, tls / "ca.pem",
                             ADDRESSES["east"]], capture_output=True, text=True)
    checks = "+GNUTLS" in gathered["east"].sh("systemctl --version")
    assert answer.stdout.strip() == ("401" if checks else "202"), answer


def test_nothing_is_sent_to_a_collector_of_another_authority(gathered, tmp_path):
    west = gathered["west"]
    conf = west.read("/etc/systemd/journal-upload.conf")
    shutil.copy(certificates(tmp_path) / "ca.pem", west.path("/etc/other-ca.pem"))
    west.write("/etc/systemd/journal-upload.conf", conf + "TrustedCertificateFile=/etc/other-ca.pem\n")
    west.mark()
    west.systemctl("restart", "systemd-journal-upload")
    west.wait_until(lambda: "certificate" in west.sh("journalctl -u systemd-journal-upload -q -o cat --since=@%f" % west.since), 60,
                    "it to refuse the collector")
    west.write("/etc/systemd/journal-upload.conf", conf)
    west.systemctl("restart", "systemd-journal-upload")


def test_collector_that_was_away_gets_what_it_missed(gathered):
    west, east = gathered["west"], gathered["east"]
    before = history(west)
    east.systemctl("stop", "systemd-journal-remote.socket", "systemd-journal-remote.service")
    west.systemctl("start", "relayallocd")
    west.wait_until(lambda: len(history(west)) >= len(before) + 5, 120, "five more samples")
    west.wait_until(lambda: int(west.prop("systemd-journal-upload", "NRestarts")) > 5, 120, "more failures than systemd lets others have")
    west.systemctl("stop", "relayallocd")
    west.sh("journalctl --sync")
    assert in_gathered(east, "west")[-1]["time"] == before[-1]["time"]
    east.systemctl("start", "systemd-journal-remote.socket")
    wait_for_the_last(gathered, "west")
    assert in_gathered(east, "west") == history(west)
