"""-H a,b,c: the daemons of several hosts at once. An `ssh` of the test's own leads to a bus for each host."""

import subprocess
import time

import pytest

from conftest import BUS_CONF, Ctl, Daemon, relay

SSH = """#!/bin/sh
# ssh -xT … HOST systemd-stdio-bridge
while [ $# -gt 1 ] && [ "$1" != -- ]; do shift; done
host=$2
echo "$host" >>{folder}/asked
case $host in
slow*) exec sleep 600 ;;
gone*) echo "ssh: connect to host gone port 22: No route to host" >&2; exit 255 ;;
esac
exec systemd-stdio-bridge --bus-path=unix:path={folder}/$host/socket
"""


class Hosts:
    def __init__(self, folder):
        self.folder, self.daemons, self.buses = folder, {}, []
        (folder / "bin").mkdir()
        ssh = folder / "bin/ssh"
        ssh.write_text(SSH.format(folder=folder))
        ssh.chmod(0o755)
        self.ctl = Ctl(f"unix:path={folder}/none", folder)
        self.ctl.environment["PATH"] = f"{folder}/bin:{self.ctl.environment['PATH']}"

    def add(self, name):
        folder = self.folder / name
        folder.mkdir()
        (folder / "bus.conf").write_text(BUS_CONF.format(socket=folder / "socket", services=folder))
        bus = subprocess.Popen(["dbus-daemon", f"--config-file={folder}/bus.conf", "--nofork", "--print-address"],
                               stdout=subprocess.PIPE, text=True)
        assert bus.stdout.readline()
        self.buses.append(bus)
        self.daemons[name] = Daemon(f"unix:path={folder}/socket", folder)
        return self.daemons[name]

    def __call__(self, *arguments, **environment):
        return self.ctl(*arguments, **environment)


@pytest.fixture
def hosts(tmp_path):
    hosts = Hosts(tmp_path)
    hosts.add("a").says([relay("relay1"), relay("relay2")], Relays=2, RelaysOk=2)
    hosts.add("b").says([relay("relay1", "observed", group="", assigned="", running="glibc")], Relays=1, RelaysObserved=1)
    yield hosts
    for daemon in hosts.daemons.values():
        daemon.stop()
    for bus in hosts.buses:
        bus.terminate()
        bus.wait(timeout=10)


def test_list_has_a_host_column(hosts):
    done = hosts("list", "-H", "b,a")
    lines = [line.split() for line in done.out.splitlines()]
    assert done.status == 0 and done.err == "", done
    assert lines[0][:4] == ["HOST", "RELAY", "GROUP", "ASSIGNED"]
    assert [line[:2] for line in lines[1:4]] == [["b", "relay1"], ["a", "relay1"], ["a", "relay2"]]
    assert lines[-1][:2] == ["3", "relays"]
    rows = hosts("list", "-Ha,b", "--json=short").json
    assert [(row["host"], row["relay"]) for row in rows] == [("a", "relay1"), ("a", "relay2"), ("b", "relay1")]
    assert set(hosts("list", "-Ha,b", "-o", "relay,state", "--json=short").json[0]) == {"relay", "state"}
    assert list(hosts("list", "-Ha,b", "-o", "+nrestarts", "--json=short").json[0])[0] == "host"
    assert "host" not in hosts("list", "-Ha", "--json=short").json[0]
    assert hosts("list", "-Ha", "-o", "host,relay", "--json=short").json[0] == {"host": "a", "relay": "relay1"}


def test_traffic_is_not_asked_of_other_hosts(hosts):
    """It is in no answer on the bus; why the column is empty is said, and only when it is asked for."""
    done = hosts("list", "-Ha,b", "-o", "relay,traffic/day", "--json=short")
    assert done.status == 0 and {row["traffic/day"] for row in done.json} == {None}
    assert done.err == "TRAFFIC/DAY stays empty: it is in the journals of those hosts alone, which -H and -M do not read.\n"
    assert hosts("list", "-Ha,b").err == ""


def test_patterns_choose_on_all_hosts(hosts):
    rows = hosts("list", "relay1", "-Ha,b", "--json=short").json
    assert [row["host"] for row in rows] == ["a", "b"]
    done = hosts("list", "relay2", "-Ha,b", "--json=short")
    assert done.status == 0 and [row["host"] for row in done.json] == ["a"]
    assert hosts("list", "relay9", "-Ha,b").status == 4


def test_a_relay_that_is_not_as_assigned(hosts):
    hosts.daemons["b"].says([relay("relay1", "drifted")], Relays=1, RelaysDrifted=1)
    assert hosts("list", "-Ha,b").status == 3
    assert hosts("status", "-Ha,b").status == 3


@pytest.mark.parametrize("dead, why", [
    ("gone", 'gone: cannot be reached: "ssh gone" ended before relayallocd answered'),
    ("slow", "slow: no answer within 2s"),
    ("silent", "silent: relayallocd is not running there"),
])
@pytest.mark.parametrize("verb", ["list", "groups", "status"])
def test_one_that_is_dead_costs_its_line_and_the_exit_status(hosts, verb, dead, why):
    hosts.add("silent")  # a bus without a daemon
    done = hosts(verb, "-H", f"a,{dead},b", "--json=short", RELAYALLOC_HOSTS_TIMEOUT="2" if dead == "slow" else "60")
    assert done.status == 1 and f"relayallocctl: {why}" in done.err
    assert {row["host"] for row in done.json} == {"a", "b"}


def test_they_are_asked_at_once(hosts):
    """Ten that do not answer take as long as one."""
    begun = time.monotonic()
    done = hosts("list", "-H", "a," + ",".join(f"slow{i}" for i in range(10)), "--json=short", RELAYALLOC_HOSTS_TIMEOUT="3")
    assert time.monotonic() - begun < 20
    assert done.status == 1 and len(done.json) == 2 and done.err.count("no answer") == 10
    assert (hosts.folder / "asked").read_text().count("slow") == 10


def test_one_that_is_named_twice_is_asked_once(hosts):
    rows = hosts("list", "-H", "a,b,a,root@a", "--json=short").json
    assert [(row["host"], row["relay"]) for row in rows] == [("a", "relay1"), ("a", "relay2"), ("b", "relay1")]
    assert sorted((hosts.folder / "asked").read_text().split()) == ["a", "b"]


@pytest.mark.parametrize("names, bad", [("a, b", " b"), ("a b", "a b"), ("-oProxyCommand=x,b", "-oProxyCommand=x"), ("root@-x", "root@-x"),
                                        ("", ""), (",", ""), ("a,,b", ""), ("a,b,", ""), ("root@", "root@"), ("a\tb", "a?b")])
def test_what_is_no_host_is_not_asked(hosts, names, bad):
    for verb in (["list"], [], ["status"]):
        done = hosts(*verb, f"--host={names}")
        assert done.status == 2 and f'"{bad}" is not the name of a host' in done.err and not done.out, done
    assert not (hosts.folder / "asked").exists()


def test_nobody_answers(hosts):
    """No number of relays is told that nobody knows."""
    done = hosts("list", "-Hgone,gone2")
    assert done.status == 1 and done.out == "" and hosts("list", "-Hgone,gone2", "--json=short").json == []


@pytest.mark.parametrize("verb", [["list"], ["status"], ["status", "relay1"], ["groups"], ["verify"], ["pause"], ["plan"], ["allocators"]])
@pytest.mark.parametrize("host, why", [("gone", 'gone: cannot be reached: "ssh gone" ended before relayallocd answered'),
                                       ("slow", "slow: no answer within 1s")])
def test_a_host_alone_that_is_dead(hosts, verb, host, why):
    """Nothing waits for ever, and what is said names the host."""
    done = hosts(*verb, "-H", host, RELAYALLOC_HOSTS_TIMEOUT="1" if host == "slow" else "60", timeout=40)
    assert done.status == 1 and f"relayallocctl: {why}\n" in done.err and done.err.count("relayallocctl:") == 1, done


def test_nobody_is_asked_for_a_password(hosts):
    """Several would ask at once; of one host alone ssh may ask who is there."""
    ssh = hosts.folder / "bin/ssh"
    ssh.write_text(ssh.read_text().replace('host=$2\n', f'host=$2\necho "$SSH_ASKPASS_REQUIRE $SSH_ASKPASS" >>{hosts.folder}/how\n'))
    assert hosts("list", "-Ha,b").status == 0 and hosts("list", "-Ha").status == 0
    assert hosts("list", "-Ha,b", SSH_ASKPASS="/bin/mine", SSH_ASKPASS_REQUIRE="prefer").status == 0
    assert (hosts.folder / "how").read_text().splitlines() == ["force /bin/false"] * 2 + [" "] + ["prefer /bin/mine"] * 2


def test_groups_of_several_hosts(hosts):
    rows = hosts("groups", "-Ha,b", "--json=short").json
    assert [(row["host"], row["group"], row["relays"]) for row in rows] == [("a", "A", 2), ("b", None, 1)]
    hosts.daemons["b"].says([relay("relay1")], Relays=1)
    rows = hosts("groups", "-Ha,b", "--json=short").json
    assert [(row["host"], row["group"], row["relays"]) for row in rows] == [("a", "A", 2), ("b", "A", 1)]


def test_status_is_a_line_a_host(hosts):
    hosts.daemons["b"].says([relay("relay1", "failed")], Relays=1, RelaysFailed=1, Rollout="halted", RolloutID=4,
                            RolloutReason="relay1: it crashed", ConfigError="x.conf:1: no")
    done = hosts("status", "-Ha,b")
    lines = [line.split() for line in done.out.splitlines()]
    assert done.status == 3 and lines[0][0] == "HOST" and lines[1][0] == "a" and lines[2][:3] == ["b", "0.1.0", "refused"]
    assert "halted" in lines[2] and done.out.splitlines()[2].endswith("relay1: it crashed")
    both = hosts("status", "-Ha,b", "--json=short").json
    assert both[1]["host"] == "b" and both[1]["rollout"]["state"] == "halted" and both[0]["relays"]["ok"] == 2


def test_other_verbs_take_one(hosts):
    for verb in (["verify"], ["pause"], ["status", "relay1"], ["plan"], ["top"]):
        done = hosts(*verb, "-Ha,b")
        assert done.status == 2 and "takes one host with -H" in done.err, verb
    assert not (hosts.folder / "asked").exists()
