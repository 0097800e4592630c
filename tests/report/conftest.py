"""Fixtures of the tests of report, export, experiment and recommend: the program of the build (BUILD, default build/),
journals made from export format by systemd-journal-remote, and fleets whose numbers are known. No root, no network."""

import json
import os
import pathlib
import random
import shutil
import subprocess

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("BUILD") or REPO / "build").resolve()
CTL = BUILD / "relayallocctl"
REMOTE = "/lib/systemd/systemd-journal-remote"

START = 1767225600  # 2026-01-01T00:00:00Z
HOUR = 3600
DAY = 86400
KIB = 1024
MIB = 1048576
GIB = 1 << 30

SAMPLE_RELAY = "203773fd171b4d36af6d59909d19de37"
SAMPLE_FLEET = "5b76f9e833554684ac60789877ea8811"
RELAY_TRAFFIC = "98918f14488d46edab6d284904201b52"
RELAY_FAILED = "8971e7188c2e4e8ba6a71380817712e0"

COLUMNS = ("timestamp,server,type,fingerprint,nickname,group,rss_kb,vmsize_kb,hwm_kb,frag_ratio,count,total_kb,avg_kb,"
           "min_kb,max_kb")


class Done:
    """What a command printed and how it ended."""

    def __init__(self, status, out, err):
        self.status, self.raw, self.out, self.err = status, out, out.decode(errors="replace"), err.decode()

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"<status {self.status}>\n{self.out}\n{self.err}"


class Ctl:
    def __init__(self, home):
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TZ": "UTC",
                            "ASAN_OPTIONS": "detect_leaks=1:exitcode=99"}

    def __call__(self, *arguments, stdin=b"", timeout=120, **environment):
        done = subprocess.run([CTL, *map(str, arguments)], input=stdin, capture_output=True, timeout=timeout,
                              env={**self.environment, **environment})
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def ctl(tmp_path):
    return Ctl(tmp_path)


class Relay:
    """A relay whose memory is level + per_day · days since its start, KiB, and what it runs."""

    def __init__(self, name, group, allocator, level, per_day=0.0, version="1.0", begin=START, end=None,
                 started=START - 30 * DAY, noise=0.0, seed=0):
        self.name, self.group, self.allocator, self.version = name, group, allocator, version
        self.level, self.per_day, self.begin, self.end, self.started = level, per_day, begin, end, started
        self.noise, self.random = noise, random.Random(f"{name}{seed}")

    def kib(self, time):
        days = (time - self.begin) / DAY
        return int(self.level + self.per_day * days + self.noise * self.random.uniform(-1, 1))


class Fleet:
    """Samples of relays, every `step` seconds; the same ones as a table, or as entries of either kind."""

    def __init__(self, relays, days, step=600):
        self.samples = []  # (time, relay, KiB)
        for time in range(START, START + int(days * DAY), step):
            for relay in relays:
                if relay.begin <= time and (relay.end is None or time < relay.end):
                    self.samples.append((time, relay, relay.kib(time)))

    def collections(self):
        rows, last = [], None
        for time, relay, kib in self.samples:
            if rows and time != last:
                yield last, rows
                rows = []
            rows.append((relay, kib))
            last = time
        if rows:
            yield last, rows

    def csv(self, stamp=None, header=COLUMNS, newline="\n"):
        import datetime
        stamp = stamp or (lambda t: datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S"))
        lines = [header]
        for time, rows in self.collections():
            total = sum(kib for _, kib in rows)
            lines.append(f"{stamp(time)},co,aggregate,,,,,,,,{len(rows)},{total},{total // len(rows)},,")
            for relay, kib in rows:
                lines.append(f"{stamp(time)},co,relay,,{relay.name},{relay.group or ''},{kib},{2 * kib},{kib},2.0,,,,,")
        return newline.join(lines) + newline


class Journal:
    """Entries in export format, then a journal file."""

    def __init__(self, directory, host="hosta", machine="a" * 32):
        self.directory, self.host, self.machine, self.entries, self.sequence = directory, host, machine, [], 0
        directory.mkdir(exist_ok=True)

    def add(self, time, fields, uid="0"):
        """time in s, or µs when it is large."""
        usec = int(time * 1000000) if time < 10 ** 12 else int(time)
        text = [f"__CURSOR=x={self.sequence}", f"__REALTIME_TIMESTAMP={usec}",
                f"__MONOTONIC_TIMESTAMP={usec - START * 1000000 + 10 ** 12}", "_BOOT_ID=" + "0123456789abcdef" * 2,
                f"_MACHINE_ID={self.machine}", f"_HOSTNAME={self.host}", f"_UID={uid}"]
        data = "\n".join(text).encode() + b"\n"
        for name, value in fields.items():
            value = value if isinstance(value, bytes) else str(value).encode()
            if b"\n" in value:
                data += name.encode() + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
            else:
                data += name.encode() + b"=" + value + b"\n"
        self.entries.append(data + b"\n")
        self.sequence += 1

    def sample(self, time, relay, kib, offset=0, uid="0", flags=None, fingerprint=None):
        self.add(time * 1000000 + offset, {
            "MESSAGE_ID": SAMPLE_RELAY, "MESSAGE": f"{relay.name}: a sentence", "RELAYALLOC_RELAY": relay.name,
            **({"RELAYALLOC_GROUP": relay.group} if relay.group else {}),
            **({"RELAYALLOC_ALLOCATOR": relay.allocator} if relay.allocator else {}),
            **({"RELAYALLOC_VERSION": relay.version} if relay.version else {}),
            "RELAYALLOC_RSS": kib * KIB, "RELAYALLOC_ANON": kib * KIB, "RELAYALLOC_SWAP": 0,
            "RELAYALLOC_HWM": kib * KIB, "RELAYALLOC_SINCE": relay.started * 1000000,
            **({"RELAYALLOC_BOOTSTRAP": 100, "RELAYALLOC_FLAGS": flags} if flags is not None else {}),
            **({"RELAYALLOC_FINGERPRINT": fingerprint} if fingerprint else {})}, uid)

    def day(self, until, relay, moved, hours=24, fingerprint=None):
        """What it read and wrote together in the hours before `until`."""
        self.add(until, {
            "MESSAGE_ID": RELAY_TRAFFIC, "MESSAGE": f"{relay.name}: a day", "RELAYALLOC_RELAY": relay.name,
            "RELAYALLOC_READ": moved // 2, "RELAYALLOC_WRITTEN": moved - moved // 2,
            "RELAYALLOC_SINCE": int((until - hours * HOUR) * 1000000), "RELAYALLOC_UNTIL": int(until * 1000000),
            **({"RELAYALLOC_FINGERPRINT": fingerprint} if fingerprint else {})})

    def fleet(self, fleet):
        for time, rows in fleet.collections():
            text = "".join("\t".join(map(str, (r.name, r.group or "-", r.allocator or "-", r.version or "-",
                                               r.started * 1000000, kib * KIB, kib * KIB, 0, kib * KIB))) + "\n"
                           for r, kib in rows)
            self.add(time, {"MESSAGE_ID": SAMPLE_FLEET, "MESSAGE": "a fleet", "RELAYALLOC_FLEET": text})

    def relays(self, fleet):
        for time, rows in fleet.collections():
            for i, (relay, kib) in enumerate(rows):
                self.sample(time, relay, kib, offset=i * 70)

    def write(self, name="system.journal"):
        path = self.directory / name
        subprocess.run([REMOTE, f"--output={path}", "-"], input=b"".join(self.entries), check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.entries = []
        return path


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


@pytest.fixture
def another_journal(tmp_path):
    return lambda directory, **how: Journal(tmp_path / directory, **how)


def four_groups(size=5, days=6.0, noise=2000):
    """jemalloc 70 % and mimalloc 80 % below glibc, and mimalloc3 that begins low and grows."""
    generator = random.Random(7)
    relays = []
    for group, allocator, level, per_day in (("A", "jemalloc", 300000, 0), ("B", "mimalloc", 200000, 0),
                                             ("I", "mimalloc3", 150000, 60000), ("Z", "glibc", 1000000, 1000)):
        for i in range(size):
            relays.append(Relay(f"{group.lower()}{i}", group, allocator, level * generator.uniform(0.9, 1.1), per_day,
                                noise=noise))
    return relays, days


@pytest.fixture(scope="session")
def fleet():
    relays, days = four_groups()
    return Fleet(relays, days)


@pytest.fixture
def table(tmp_path):
    """Writes a table, and tells where."""

    def write(text, name="measurements.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "relayalloc.conf"
    path.write_text('groups = ( { name = "A"; allocator = "jemalloc"; relays = [ "a*" ]; },\n'
                    '           { name = "B"; allocator = "mimalloc"; relays = [ "b*" ]; },\n'
                    '           { name = "I"; allocator = "mimalloc3"; relays = [ "i*" ]; },\n'
                    '           { name = "Z"; allocator = "glibc"; relays = [ "z*" ]; } );\n')
    return path


# Chromium is a snap there, which a test has no business to install.
ON_UBUNTU = "ID=ubuntu" in pathlib.Path("/etc/os-release").read_text().splitlines()
collect_ignore = ["test_page.py"] if ON_UBUNTU else []


def pytest_terminal_summary(terminalreporter):
    if ON_UBUNTU:
        terminalreporter.write_line("Ubuntu: no Chromium from apt, so the page was not looked at")


def pytest_configure(config):
    for program in (CTL, pathlib.Path(REMOTE)):
        if not program.exists() and not shutil.which(str(program)):
            pytest.exit(f"{program} is missing", returncode=2)
