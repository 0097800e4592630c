"""history and events, against real journal files that are made for the test."""

import os
import re
import select
import subprocess
import time

import pytest

from conftest import REPO

REMOTE = "/lib/systemd/systemd-journal-remote"
T0 = 1_767_852_000_000_000  # 2026-01-08 06:00:00 UTC
MINUTE = 60_000_000


def message_ids():
    text = (REPO / "daemon/core/messages.c").read_text()
    return {name: number for number, name in re.findall(r'\{ "([0-9a-f]{32})", "([a-z-]+)"', text)}


IDS = message_ids()


def entry(time, uid=0, **fields):
    """In the journal's export format; a value with a newline has its length in front."""
    fields = {"_BOOT_ID": "0" * 31 + "1", "_UID": uid, **fields}
    out = f"__REALTIME_TIMESTAMP={time}\n__MONOTONIC_TIMESTAMP={time - T0 + 1}\n".encode()
    for name, value in fields.items():
        value = str(value).encode()
        if b"\n" in value:
            out += name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
        else:
            out += name.encode() + b"=" + value + b"\n"
    return out + b"\n"


def sample(time, relay, rss, group="B", **more):
    return entry(time, MESSAGE_ID=IDS["sample-relay"], MESSAGE=f"{relay}: …", RELAYALLOC_RELAY=relay,
                 RELAYALLOC_GROUP=group, RELAYALLOC_ALLOCATOR="mimalloc", RELAYALLOC_VERSION="2.0.9",
                 RELAYALLOC_RSS=rss, RELAYALLOC_ANON=rss - 1, RELAYALLOC_SWAP=0, RELAYALLOC_HWM=rss + 1,
                 RELAYALLOC_SINCE=T0 - MINUTE, **more)


def fleet(time, **rss):
    rows = "".join(f"{relay}\tB\tjemalloc\t5.3.0\t{T0}\t{v}\t{v}\t7\t{v}\n" for relay, v in rss.items())
    return entry(time, MESSAGE_ID=IDS["sample-fleet"], MESSAGE="fleet", RELAYALLOC_FLEET=rows)


def event(time, kind, message, relay=None, **more):
    named = {"RELAYALLOC_RELAY": relay} if relay else {}
    return entry(time, MESSAGE_ID=IDS[kind], MESSAGE=message, PRIORITY=6, **named, **more)


class Journal:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        self.writer = None

    def write(self, *entries):
        self.add_file("test", *entries)

    def add_file(self, name, *entries):
        subprocess.run([REMOTE, "-o", self.folder / f"{name}.journal", "-"], input=b"".join(entries), check=True,
                       capture_output=True)

    def open(self):
        """To add entries one by one."""
        self.writer = subprocess.Popen([REMOTE, "-o", self.folder / "live.journal", "-"], stdin=subprocess.PIPE,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def add(self, what):
        self.writer.stdin.write(what)
        self.writer.stdin.flush()

    def close(self):
        if self.writer:
            self.writer.stdin.close()
            self.writer.wait(timeout=10)


@pytest.fixture
def journal(tmp_path):
    j = Journal(tmp_path / "journal")
    yield j
    j.close()


@pytest.fixture
def run(no_bus, journal):
    return lambda verb, *rest, **more: no_bus(verb, f"--directory={journal.folder}", *rest, **more)


# ---- history ----

def test_history_of_both_kinds_of_entries(run, journal):
    journal.write(sample(T0, "relay1", 1000), sample(T0, "relay10", 5), fleet(T0 + MINUTE, relay10=6, relay2=9, relay1=2000),
                  fleet(T0 + 2 * MINUTE, relay10=7), fleet(T0 + 3 * MINUTE, relay=4))
    rows = run("history", "relay1", "--json=short", "-o", "+group,since").json
    assert rows == [
        {"time": T0, "rss": 1000, "anon": 999, "swap": 0, "peak": 1001, "allocator": "mimalloc", "version": "2.0.9",
         "group": "B", "since": T0 - MINUTE},
        {"time": T0 + MINUTE, "rss": 2000, "anon": 2000, "swap": 7, "peak": 2000, "allocator": "jemalloc",
         "version": "5.3.0", "group": "B", "since": T0},
    ]
    assert [row["rss"] for row in run("history", "relay10", "--json=short").json] == [5, 6, 7]
    assert run("history", "tor@relay10.service").out == run("history", "relay10.service").out == run("history", "relay10").out
    text = run("history", "relay1").out.splitlines()
    assert text[0].split() == "TIME RSS ANON SWAP PEAK ALLOCATOR VERSION".split()
    assert text[2].split() == "2026-01-08 06:01:00 1.95 KiB 1.95 KiB 7 B 1.95 KiB jemalloc 5.3.0".split()


def test_history_shows_an_hour_unless_asked_for_more(run, journal):
    journal.write(*(sample(T0 + i * MINUTE, "r", 1000 + i) for i in range(100)))

    def shown(*options):
        return [row["rss"] - 1000 for row in run("history", "r", "--json=short", *options).json]

    assert shown() == list(range(40, 100))
    assert shown("-n", "3") == [97, 98, 99]
    assert shown("--lines=all") == list(range(100))
    assert shown("--since=2026-01-08 06:10", "--until", "2026-01-08 06:12") == [10, 11, 12]
    assert shown("--until=2026-01-08 06:12", "-n2") == [11, 12]
    assert shown("--since=2026-01-08 07:30") == list(range(90, 100))


def test_history_of_nobody(run, journal):
    journal.write(sample(T0, "relay1", 1), fleet(T0, relay10=2))
    done = run("history", "relay")
    assert done.status == 4 and 'no samples of a relay named "relay"' in done.err and done.out == ""
    done = run("history", "relay1", "--since=now")
    assert done.status == 4 and "in that time" in done.err


def test_history_in_the_first_minute(ctl, fleet):
    """The daemon knows the relay, the journal does not yet: that is no spelling mistake."""
    done = ctl("history", "settler")
    assert done.status == 1 and done.out == "", done
    assert "there is no sample of settler yet; relayallocd takes the first of a relay within a minute" in done.err
    done = ctl("history", "setler")
    assert done.status == 4 and 'no relay is named "setler" (did you mean "settler"?)' in done.err, done
    done = ctl("history", "xyzzy")
    assert done.status == 4 and '"relayallocctl list" shows what relays there are' in done.err, done


def test_history_without_a_daemon(ctl):
    done = ctl("history", "nobody")
    assert done.status == 4 and "relayallocd, which logs them, is not running" in done.err, done


def test_only_root_is_believed(run, journal):
    journal.write(sample(T0, "r", 1),
                  entry(T0 + 1, uid=1000, MESSAGE_ID=IDS["sample-relay"], RELAYALLOC_RELAY="r", RELAYALLOC_RSS=666),
                  entry(T0 + 2, uid=1000, MESSAGE_ID=IDS["relay-failed"], MESSAGE="no", RELAYALLOC_RELAY="r"),
                  event(T0 + 3, "relay-moved", "yes", "r"))
    assert [row["rss"] for row in run("history", "r", "--json=short").json] == [1]
    assert [row["message"] for row in run("events", "--json=short").json] == ["yes"]


def test_malformed_samples(run, journal):
    journal.write(entry(T0, MESSAGE_ID=IDS["sample-fleet"], RELAYALLOC_FLEET="garbage\nr\tB\tx\t1\t1\t2\t3\t4\t5\n"),
                  entry(T0 + 1, MESSAGE_ID=IDS["sample-fleet"], MESSAGE="no rows"),
                  entry(T0 + 2, MESSAGE_ID=IDS["sample-relay"], RELAYALLOC_RELAY="r", RELAYALLOC_RSS="-1"))
    done = run("history", "r", "--json=short")
    assert [row["rss"] for row in done.json] == [2]
    assert "test.journal: 3 entries are incomplete or malformed, and not counted" in done.err


def test_rows_of_earlier_versions_and_of_this_one(run, journal):
    def rows(time, amounts):
        return entry(time, MESSAGE_ID=IDS["sample-fleet"], MESSAGE="fleet",
                     RELAYALLOC_FLEET=f"r\tB\tx\t1\t{T0}\t{amounts}\nother\tB\tx\t1\t{T0}\t1k\t-1k\t0\t+0k\n")
    journal.write(rows(T0, "13631488\t7180288\t4096\t13754368"), rows(T0 + MINUTE, "13312k\t-6300k\t4k\t+120k"))
    found = run("history", "r", "--json=short")
    assert [[row[name] for name in ("rss", "anon", "swap", "peak")] for row in found.json] == \
        2 * [[13631488, 7180288, 4096, 13754368]], found
    assert "malformed" not in found.err
    assert [row["rss"] for row in run("history", "other", "--json=short").json] == [1024, 1024]


# ---- events ----

@pytest.fixture
def events(journal):
    journal.write(event(T0, "rollout-started", "Rollout 7 has started", RELAYALLOC_ROLLOUT=7),
                  sample(T0 + 1, "relay1", 1),
                  event(T0 + 2, "relay-moved", "relay1 runs jemalloc", "relay1", RELAYALLOC_ROLLOUT=7,
                        RELAYALLOC_WAVE=1, RELAYALLOC_GROUP="A"),
                  entry(T0 + 3, MESSAGE="of somebody else", MESSAGE_ID="0" * 32),
                  event(T0 + 4, "relay-failed", "relay2 failed\nto move\x1b[31m", "relay2",
                        RELAYALLOC_REASON="it crashed"),
                  event(T0 + MINUTE, "rollout-halted", "Rollout 7 has halted"))


def test_events(run, events):
    rows = run("events", "--json=short").json
    assert [(row["time"] - T0, row["event"], row["relay"]) for row in rows] == [
        (0, "rollout-started", None), (2, "relay-moved", "relay1"), (4, "relay-failed", "relay2"),
        (MINUTE, "rollout-halted", None)]
    assert list(rows[0]) == ["time", "event", "relay", "message"]
    # What was logged cannot steer the terminal.
    assert rows[2]["message"] == "relay2 failed to move [31m"
    text = run("events").out.splitlines()
    assert text[0].split() == ["TIME", "EVENT", "RELAY", "MESSAGE"]
    assert text[2].split(None, 4) == ["2026-01-08", "06:00:00", "relay-moved", "relay1", "relay1 runs jemalloc"]


def test_events_of_some(run, events):
    def names(*options):
        return [row["event"] for row in run("events", "--json=short", *options).json]

    assert names("relay1") == ["relay-moved"]
    assert names("relay*", "-n1") == ["relay-failed"]
    assert names("tor@relay1.service") == names("relay1.service") == names("tor@relay1") == ["relay-moved"]
    assert names("nobody") == []
    assert names("-n", "2") == ["relay-failed", "rollout-halted"]
    assert names("-n0") == []
    assert names("--since=2026-01-08 06:01") == ["rollout-halted"]
    assert names("--until=2026-01-08 06:00") == ["rollout-started"]


def test_events_of_a_name_that_no_relay_has(ctl, fleet):
    """Nothing looks like a quiet relay, and is a typo; a relay to whom nothing has happened is none."""
    for options in ([], ["-f"], ["--since=yesterday"]):
        done = ctl("events", "setler", *options, timeout=10)
        assert done.status == 4 and 'no relay is named "setler" (did you mean "settler"?)' in done.err, done
    assert ctl("events", "setler", "--json=short").out == "[]\n"
    for name in ("settler", "tor@settler.service", "set*", "x*"):
        assert ctl("events", name).status == 0, name


def test_events_with_columns(run, events):
    rows = run("events", "--json=short", "-o", "event,rollout,wave,group,reason,priority").json
    assert rows[1] == {"event": "relay-moved", "rollout": 7, "wave": 1, "group": "A", "reason": None, "priority": 6}
    assert rows[2]["reason"] == "it crashed"


def test_events_in_an_empty_journal(run, journal):
    done = run("events", "--json=short")
    assert done.status == 0 and done.json == [] and done.err == ""


class Follower:
    def __init__(self, process):
        self.process = process
        self.buffer = b""

    def more(self, timeout):
        out = self.process.stdout
        if not select.select([out], [], [], timeout)[0]:
            return False
        piece = os.read(out.fileno(), 65536)
        assert piece, "it has exited"
        self.buffer += piece
        return True

    def line(self):
        while b"\n" not in self.buffer:
            assert self.more(20), "nothing came"
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode()

    def quiet(self):
        return not self.buffer and not self.more(0.5)


@pytest.fixture
def follow(no_bus, journal):
    started = []

    def start(*options):
        process = no_bus.start("events", "-f", f"--directory={journal.folder}", *options)
        started.append(process)
        return Follower(process)

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_follow(follow, journal, events):
    f = follow("-n2")
    assert "relay-failed" in f.line()
    assert f.line() == "unknown 2026-01-08 06:01:00 rollout-halted    Rollout 7 has halted"  # gathered ones: whose it is
    assert f.quiet()
    journal.open()
    now = int(time.time() * 1_000_000)
    journal.add(sample(now, "relay1", 1))
    journal.add(event(now + 1, "relay-moved", "relay3 runs mimalloc", "relay3"))
    assert f.line().endswith("relay-moved       relay3 runs mimalloc")
    journal.add(event(now + 2, "rollout-finished", "done"))
    assert f.line().endswith("rollout-finished  done")
    assert f.quiet()


def test_follow_from_an_empty_journal_as_json(follow, journal):
    f = follow("--json=short", "relay3")
    assert f.quiet()
    journal.open()
    now = int(time.time() * 1_000_000)
    journal.add(event(now, "relay-moved", "not this one", "relay1"))
    journal.add(event(now + 1, "relay-moved", "this one", "relay3"))
    assert f.line() == f'{{"host":"unknown","time":{now + 1},"event":"relay-moved","relay":"relay3","message":"this one"}}'


def test_follow_shows_nothing_old_when_asked_for_none(follow, journal, events):
    journal.write(sample(T0 + 600 * MINUTE, "relay1", 1))  # the events are long past
    for options in (["-n0"], ["--since=now"], ["nobody"]):
        f = follow(*options)
        assert f.quiet(), options


# ---- damage ----

def test_a_damaged_file_is_named_and_the_others_are_shown(run, journal):
    (journal.folder / "noise.journal").write_bytes(bytes(range(256)) * 4000)
    journal.write(sample(T0, "r", 1), event(T0 + 1, "relay-moved", "yes", "r"))
    for verb in (["history", "r"], ["events"]):
        done = run(*verb, "--json=short")
        assert done.status == 0 and len(done.json) == 1
        assert done.err == f"relayallocctl: {journal.folder}/noise.journal: damaged; not read\n"


def test_files_that_overlap(run, journal):
    """Two hosts, or a file that was rotated while it was read: rows stand in order of time."""
    journal.write(*(event(T0 + 2 * i * MINUTE, "relay-moved", f"a{i}", "r") for i in range(4)))
    journal.add_file("more", *(event(T0 + (2 * i + 1) * MINUTE, "relay-moved", f"b{i}", "r") for i in range(4)))
    assert [row["message"] for row in run("events", "--json=short").json] == "a0 b0 a1 b1 a2 b2 a3 b3".split()
    assert [row["message"] for row in run("events", "--json=short", "-n3").json] == "b2 a3 b3".split()


# ---- usage ----

@pytest.mark.parametrize("arguments", [
    ["history"], ["history", "a", "b"], ["history", "a", "-f"], ["history", "a", "--since=someday"],
    ["history", "a", "-n", "x"], ["history", "a", "-n"], ["history", "a", "-o", "nonsense"], ["events", "--nonsense"],
    ["events", "-f", "--until=now"], ["events", "-f", "-o", "time"], ["events", "-o", "nonsense"],
    ["-M", "machine", "events"],
])
def test_wrong_usage(run, journal, arguments, no_bus):
    journal.write(sample(T0, "a", 1))
    done = no_bus(*arguments, f"--directory={journal.folder}")
    assert done.status == 2 and done.out == "" and done.err


def test_no_such_journal(no_bus):
    done = no_bus("events", "--directory=/no/such/folder")
    assert done.status == 1 and "/no/such/folder" in done.err
    for verb in (["events"], ["history", "a"], ["report"]):
        done = no_bus("-M", "no-such-machine", *verb)
        assert done.status == 1 and done.err == "relayallocctl: no-such-machine: there is no container with this name\n"


# ---- journals of several hosts ----

def on(host, what):
    return what.rstrip(b"\n") + f"\n_HOSTNAME={host}\n_MACHINE_ID={ord(host[0]):032x}\n\n".encode()


@pytest.fixture
def gathered(run, journal):
    """Both hosts have a relay of that name."""
    journal.add_file("a", on("alpha", sample(T0, "r", 1000)), on("alpha", event(T0, "relay-moved", "r runs x", "r")))
    journal.add_file("b", on("beta", sample(T0 + MINUTE, "r", 2000)), on("beta", event(T0 + MINUTE, "relay-down", "r is down", "r")))
    return run


def test_history_says_whose_relay_it_is(gathered):
    rows = gathered("history", "r", "--json=short").json
    assert [(row["host"], row["rss"]) for row in rows] == [("alpha", 1000), ("beta", 2000)]
    assert gathered("history", "r").out.split()[:2] == ["HOST", "TIME"]
    rows = gathered("history", "r", "--host=beta", "--json=short").json
    assert [row["rss"] for row in rows] == [2000] and "host" not in rows[0]
    assert len(gathered("history", "r", "--host=beta,alpha", "--json=short").json) == 2
    assert gathered("history", "r", "-H", "beta", "-o", "host,rss", "--json=short").json == [{"host": "beta", "rss": 2000}]
    done = gathered("history", "r", "--host=gamma")
    assert done.status == 4 and "no samples of a relay named \"r\"" in done.err


def test_events_say_of_which_host_they_are(gathered):
    rows = gathered("events", "--json=short").json
    assert [(row["host"], row["event"]) for row in rows] == [("alpha", "relay-moved"), ("beta", "relay-down")]
    rows = gathered("events", "r", "--host=alpha", "--json=short").json
    assert [row["event"] for row in rows] == ["relay-moved"]
    assert gathered("events", "--host=gamma", "--json=short").json == []
    assert gathered("events", "-n1", "--host=alpha", "-o", "host,event").out.split() == ["HOST", "EVENT", "alpha", "relay-moved"]


def test_two_hosts_of_one_name_are_told_apart(run, journal):
    second = on("beta", sample(T0 + MINUTE, "r", 2000)).replace(b"_HOSTNAME=beta", b"_HOSTNAME=alpha")
    journal.write(on("alpha", sample(T0, "r", 1000)), second)
    hosts = [row["host"] for row in run("history", "r", "--json=short").json]
    assert hosts[0] == "alpha" and hosts[1].startswith("alpha-0000")
    assert [row["rss"] for row in run("history", "r", f"--host={hosts[1]}", "--json=short").json] == [2000]
    assert len(run("history", "r", "--host=alpha", "--json=short").json) == 2  # both call themselves so


def test_another_host_has_to_be_gathered_first(ctl):
    for verb in (["history", "r"], ["events"], ["report"]):
        done = ctl(*verb, "--host=beta")
        assert done.status == 2 and "--directory=DIR --host=NAME" in done.err
