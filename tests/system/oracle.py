"""What must be true of a host with relayallocd at rest, whatever was done to it before: judged from what systemd, /proc
and the file system say, and from what was asked for, against what relayallocctl says. Written from the manual, with no
line of the daemon's in mind; pure, so that it is tested with worlds that never were (test_oracle.py).

observe() of chaos.py makes a World of a machine; the acts of a round make its Wanted."""

import fnmatch
import re
from collections import namedtuple
from dataclasses import dataclass, field

Broken = namedtuple("Broken", "rule relay what")

# ---- what is ----


@dataclass
class Unit:
    """As `systemctl show` tells."""
    active: str = "active"
    sub: str = "running"
    result: str = "success"
    pid: int = 0
    invocation: str = ""
    n_restarts: int = 0
    job: bool = False
    drop_ins: tuple = ()  # paths, in systemd's order

    @property
    def up(self):
        return self.active in ("active", "reloading") and self.pid > 0

    def __str__(self):
        return f"{self.active} ({self.sub}), result {self.result}, pid {self.pid}" + (", with a job" if self.job else "")


@dataclass
class Process:
    maps: str
    environ: dict


@dataclass
class World:
    units: dict                                     # {relay: Unit}, of all that systemd knows
    processes: dict                                 # {relay: Process}, of those with a main process
    drop_ins: dict = field(default_factory=dict)    # {relay: text of our drop-in}
    litter: tuple = ()                              # other files beside them under names like ours
    foreign: dict = field(default_factory=dict)     # {path: text} of the drop-ins of others
    state: str = ""                                 # the daemon's own file; None: there is none
    rows: dict = field(default_factory=dict)        # {relay: row} of `relayallocctl list --json=short`
    words: frozenset = frozenset()                  # all states in it, also of what is in no row here
    list_status: int = 0                            # its exit status
    reasons: dict = field(default_factory=dict)     # {relay: reason}, of `relayallocctl status RELAY`
    rollout: str = "idle"                           # word of `relayallocctl status`
    not_back: tuple = ()                            # relays that it says it could not put back yet
    refused: str = ""                               # what it says of a file on disk that is not in force
    daemon: bool = True
    samples: dict = field(default_factory=dict)     # {(relay, when its process began): libraries that samples tell of}


# ---- what was asked for ----


@dataclass(frozen=True)
class Allocator:
    library: str = ""          # as preloaded; "" for glibc
    realpath: str = ""
    environment: tuple = ()    # ((name, value), …)
    good: bool = True          # tor lives on it


@dataclass
class Wanted:
    allocators: dict                                 # {name: Allocator}
    assigned: dict                                   # {relay: (group, allocator)} by the file; others are observed
    relays: tuple                                    # all there are
    up: dict                                         # {relay: True, False: its operator stopped it, None: either}
    texts: dict = field(default_factory=dict)        # {relay: {(group, allocator)}} that any file of the round asked for
    reverted: dict = field(default_factory=dict)     # {relay: True, None: either}
    holds: frozenset = frozenset({"idle"})           # what the rollout's word may be at rest
    foreign: dict = field(default_factory=dict)      # {path: text} that others have put there
    overridden: frozenset = frozenset()              # relays of which another file may decide a variable of ours
    replaced: frozenset = frozenset()                # realpaths of libraries that were replaced on disk
    disturbed: frozenset = frozenset()               # relays that something else than the daemon may have made fail
    valid: bool = True                               # the file on disk is
    starts: dict = field(default_factory=dict)       # {relay: starts that somebody asked systemd for}
    explained: dict = field(default_factory=dict)    # {relay: how many the acts and the files explain}


# ---- what a process runs ----

ALLOCATOR_FILES = re.compile(r"/lib(?:jemalloc|mimalloc|tcmalloc|tcmalloc_minimal|hoard|snmalloc|scudo)[^/]*\.so")
ALLOCATOR_VARIABLES = re.compile(r"(?:MALLOC_|MIMALLOC_|TCMALLOC_).*|GLIBC_TUNABLES|BROKEN")


def mapped(process):
    """{path: deleted} of the files that it may execute code of."""
    files = {}
    for line in process.maps.splitlines():
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and "x" in parts[1] and parts[5].startswith("/"):
            path = parts[5].removesuffix(" (deleted)")
            files[path] = files.get(path, False) or path != parts[5]
    return files


def serving(process, allocators):
    """{path: deleted} of the allocators among them; none means glibc."""
    known = {a.realpath for a in allocators.values() if a.realpath}
    return {p: d for p, d in mapped(process).items() if p in known or ALLOCATOR_FILES.search(p)}


def names_of(process, allocators):
    """What the process may be said to run: all names whose library it has, those whose variables fit first."""
    paths = set(serving(process, allocators))
    names = {n for n, a in allocators.items() if paths == ({a.realpath} if a.realpath else set())}
    fits = {n for n in names if all(process.environ.get(k) == v for k, v in allocators[n].environment)}
    return fits or names


def difference(process, allocator, allocators, foreign):
    """Why the process does not run the allocator as assigned; "" when it does."""
    paths = serving(process, allocators)
    if set(paths) != ({allocator.realpath} if allocator.realpath else set()):
        return f"has {', '.join(sorted(paths)) or 'glibc'}"
    if any(paths.values()):
        return "has a library that was replaced on disk"
    for name, value in allocator.environment:
        if process.environ.get(name) != value:
            return f"has {name}={process.environ.get(name)}"
    ours = dict(allocator.environment)
    for name in process.environ:
        if ALLOCATOR_VARIABLES.fullmatch(name) and name not in ours and not any(name in t for t in foreign.values()):
            return f"has {name}, which nobody sets"
    return ""


# ---- files ----

DROP_IN = re.compile(r"# relayalloc: written from /etc/relayalloc\.conf, group (\S+), allocator (\S+); "
                     r"changes made here are lost\n\[Service\]\n((?:Environment=\"[^\"\n]*\"\n)+)")


def read_drop_in(text):
    """(group, allocator, {name: value}) of a whole drop-in of ours; None: it is not one."""
    match = DROP_IN.fullmatch(text)
    if not match:
        return None
    values = [line[len('Environment="'):-1].replace("%%", "%").split("=", 1) for line in match[3].splitlines()]
    return (match[1], match[2], dict(values)) if all(len(v) == 2 for v in values) else None


def text_is_right(text, allocators, allowed):
    """Is it a whole drop-in of ours that one of these (group, allocator) asks for?"""
    found = read_drop_in(text)
    if not found or (found[0], found[1]) not in allowed or found[1] not in allocators:
        return False
    allocator, values = allocators[found[1]], dict(found[2])
    preload = re.split("[ :]", values.pop("LD_PRELOAD", "missing"))
    return preload[0] == allocator.library and values == dict(allocator.environment)


TOKEN = re.compile(r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?\d+L*)|(?P<name>[A-Za-z_*][\w-]*)|(?P<mark>[={}()\[\];,:]))')


def parse_settings(text):
    """What libconfig would read: {name: value}. ValueError with the place when it is none of its files."""
    tokens, at = [], 0
    while text[at:].strip():
        match = TOKEN.match(text, at)
        if not match:
            raise ValueError(f"at {at}: {text[at:at + 20]!r}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    tokens.append(("end", ""))

    def take(*marks):
        kind, word = tokens[0]
        if kind == "end" or (marks and word not in marks):
            raise ValueError(f"{word!r} where {' or '.join(marks)} was to come" if word else "it ends too early")
        return tokens.pop(0)

    def members(end):
        values = {}
        while tokens[0][1] != end:
            kind, name = take()
            if kind != "name":
                raise ValueError(f"{name!r} is no name")
            take("=", ":")
            values[name] = value()
            if tokens[0][1] in (";", ","):
                take()
        return values

    def listed(end):
        values = []
        while tokens[0][1] != end:
            values.append(value())
            if tokens[0][1] != end:
                take(",")
        take(end)
        return values

    def value():
        kind, word = take()
        if kind == "string":
            while tokens[0][0] == "string":  # those beside each other are one
                word = word[:-1] + take()[1][1:]
            return word[1:-1]
        if kind == "number":
            return int(word.rstrip("L"))
        if word == "{":
            values = members("}")
            take("}")
            return values
        if word in "([":
            return listed({"(": ")", "[": "]"}[word])
        if word in ("true", "false"):
            return word == "true"
        raise ValueError(f"{word!r} is no value")

    return members("")


# ---- the assignment, as the manual says ----

def score(seed, group, relay):
    mask = (1 << 64) - 1
    value = 0xcbf29ce484222325
    for byte in f"{seed}\0{group}\0{relay}".encode():
        value = (value ^ byte) * 0x100000001b3 & mask
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9 & mask
    value = (value ^ value >> 27) * 0x94d049bb133111eb & mask
    return value ^ value >> 31


def assign(groups, relays):
    """{relay: (group, allocator)}. A group: {"name", "allocator", "relays", "size" or "share" or neither, "seed"}."""
    assigned = {}
    for group in groups:
        patterns = group.get("relays") or ["*"]
        free = [r for r in relays if r not in assigned and any(fnmatch.fnmatchcase(r, p) for p in patterns)]
        quota = len(free)
        if "size" in group:
            quota = group["size"]
        elif "share" in group:
            quota = int(group["share"] * len(free) / 100 + 0.5)
        free.sort(key=lambda r: (-score(group.get("seed", ""), group["name"], r), r))
        for relay in free[:quota]:
            assigned[relay] = (group["name"], group["allocator"])
    return assigned


# ---- the judgement ----

NOT_AS_ASSIGNED = {"failed", "drifted", "down"}
AS_ASSIGNED = {"ok", "stopped", "observed", "reverted"}
NEVER_AT_REST = {"restarting", "settling"}


class Judge:
    def __init__(self, world, wanted):
        self.world, self.wanted, self.broken = world, wanted, []

    def object(self, rule, relay, what):
        self.broken.append(Broken(rule, relay, what))

    def all(self):
        if not self.world.daemon:
            self.object("daemon", "", "relayallocd does not run")
        self.listed()
        for relay in self.wanted.relays:
            self.up(relay)
            self.restarts(relay)
            row = self.world.rows.get(relay)
            if row:
                self.assigned(relay, row)
                self.running(relay, row)
                self.word(relay, row)
                self.moved(relay, row)
                self.said(relay, row)
        self.files()
        self.steered()
        self.sampled()
        return self.broken

    def listed(self):
        words = self.world.words | {row["state"] for row in self.world.rows.values()}
        for relay in set(self.wanted.relays) ^ set(self.world.rows):
            self.object("listed", relay, "is a relay, and not listed" if relay in self.wanted.relays
                        else "is listed, and no relay")
        if words & NOT_AS_ASSIGNED and self.world.list_status != 3:
            self.object("exit", "", f"list ends with {self.world.list_status}, and lists {', '.join(sorted(words))}")
        if words <= AS_ASSIGNED and self.world.list_status != 0:
            self.object("exit", "", f"list ends with {self.world.list_status}, and all are as assigned")

    def unit(self, relay):
        return self.world.units.get(relay, Unit("inactive", "dead"))

    def up(self, relay):
        unit, will = self.unit(relay), self.wanted.up.get(relay)
        if will is True and not unit.up:
            self.object("up", relay, f"is not up, and nobody stopped it: {unit}")
        if will is True and unit.up and relay not in self.world.processes:
            self.object("up", relay, f"has no process: {unit}")
        if will is False and (unit.up or unit.active == "activating"):
            self.object("stopped", relay, f"was stopped by its operator, and is up: {unit}")

    def restarts(self, relay):
        most = self.wanted.explained.get(relay, 0) + 1
        starts = self.wanted.starts.get(relay, 0)
        if starts > most:
            self.object("restarts", relay, f"{starts} starts were asked for, at most {most} are explained")

    def target(self, relay):
        """(group, allocator) or None, or ... where a revert may count or not."""
        reverted = self.wanted.reverted.get(relay, False)
        if reverted is None:
            return ...
        return None if reverted else self.wanted.assigned.get(relay)

    def assigned(self, relay, row):
        """The last valid file is in force. A reverted relay may show its group."""
        want = self.wanted.assigned.get(relay)
        have = (row["group"], row["assigned"]) if row["assigned"] else None
        if have != want and not (have is None and self.wanted.reverted.get(relay, False) is not False):
            self.object("save", relay, f"the file says {want}, the list {have}")

    def running(self, relay, row):
        process = self.world.processes.get(relay) if self.unit(relay).up else None
        names = names_of(process, self.wanted.allocators) if process else set()
        if process and names and row["running"] not in names:
            self.object("running", relay, f"runs {' or '.join(sorted(names))}, and is listed with {row['running']}")
        if not process and row["running"]:
            self.object("running", relay, f"has no process, and is listed with {row['running']}")

    def is_refused(self, relay):
        """Nobody is moved to what cannot be used, and who has never run it waits for it."""
        target = self.target(relay)
        if target is ...:  # then it may be what the file says
            target = self.wanted.assigned.get(relay)
        return target is not None and not self.wanted.allocators[target[1]].good

    def wrong(self, relay):
        """What keeps it from being as assigned, "" when nothing does."""
        unit, target, process = self.unit(relay), self.target(relay), self.world.processes.get(relay)
        text = self.world.drop_ins.get(relay)
        if not unit.up or not process:
            return f"it is not up: {unit}"
        if target is ...:
            return ""
        if target is None:
            return "it still has a drop-in of ours" if text is not None else ""
        allocator = self.wanted.allocators[target[1]]
        why = difference(process, allocator, self.wanted.allocators, self.wanted.foreign)
        if why:
            return f"its process {why}"
        if text is None or not text_is_right(text, self.wanted.allocators, {target}):
            return "its drop-in says otherwise" if text else "it has no drop-in"
        if not any(p.endswith("/zz-relayalloc.conf") for p in unit.drop_ins):
            return "systemd has not loaded its drop-in"
        return ""

    def word(self, relay, row):
        word, unit, target = row["state"], self.unit(relay), self.target(relay)
        wrong = self.wrong(relay)
        false = ""
        if word == "ok" and (wrong or not row["running"]):
            false = wrong or "nothing was read of its process"
        elif word == "ok" and target is None:
            false = "no group takes it"
        elif word in ("observed", "reverted"):
            if not unit.up:
                false = f"it is {unit}"
            elif target not in (None, ...):
                false = f"it is assigned {target}"
            elif target is None:
                false = wrong
        elif word == "stopped" and unit.active != "inactive":  # of a failure the result stays when it is stopped before its restart
            false = f"it is {unit}"
        elif word == "down" and unit.up:
            false = f"it is {unit}"
        elif word == "drifted" and (not unit.up or not wrong and target is not ...):
            false = f"it is {unit}" if not unit.up else "it is as assigned"
        elif word == "failed" and not wrong and target is not ...:
            false = "it is as assigned"
        elif word == "pending" and self.world.rollout == "idle" and not self.is_refused(relay):
            false = "nothing holds it"
        elif word in NEVER_AT_REST:
            false = "it does not rest"
        elif word not in NOT_AS_ASSIGNED | AS_ASSIGNED | NEVER_AT_REST | {"pending"}:
            false = "there is no such state"
        if false:
            self.object("word", relay, f"{word}, and {false}")

    def moved(self, relay, row):
        """Nothing stands in its way, so it was moved."""
        target = self.target(relay)
        if target in (None, ...) or row["state"] not in ("failed", "drifted"):
            return
        allocator = self.wanted.allocators[target[1]]
        if not allocator.good or relay in self.wanted.overridden or relay in self.wanted.disturbed:
            return
        if row["state"] == "drifted" and (allocator.realpath in self.wanted.replaced or self.runs_older(relay, allocator)):
            return
        self.object("moved", relay, f"{row['state']}, and nothing stands in its way: {self.world.reasons.get(relay)}")

    def runs_older(self, relay, allocator):
        """What it is assigned, from a file that was replaced since: only an operator's restart changes that."""
        process = self.world.processes.get(relay)
        return process is not None and serving(process, self.wanted.allocators) == {allocator.realpath: True}

    def said(self, relay, row):
        if row["state"] in NOT_AS_ASSIGNED and not self.world.reasons.get(relay):
            self.object("said", relay, f"{row['state']} without a reason")

    def files(self):
        for relay, text in self.world.drop_ins.items():
            if not text_is_right(text, self.wanted.allocators, self.wanted.texts.get(relay, set())):
                self.object("torn", relay, f"its drop-in is none that anybody asked for: {text!r}")
        for path in self.world.litter:
            self.object("litter", "", f"{path} was left behind")
        for path, text in self.wanted.foreign.items():
            if self.world.foreign.get(path) != text:
                self.object("foreign", "", f"{path} was {text!r}, and is {self.world.foreign.get(path)!r}")
        if self.world.state is not None:
            try:
                state = parse_settings(self.world.state)
                if state.get("flights") and self.world.rollout == "idle":
                    self.object("state", "", f"flights at rest: {state['flights']}")
            except ValueError as error:
                self.object("state", "", f"its state file is damaged: {error}")

    def steered(self):
        if self.world.rollout not in self.wanted.holds:
            self.object("hold", "", f"the rollout is {self.world.rollout}, and can only be "
                        + " or ".join(sorted(self.wanted.holds)))
        for relay in self.world.not_back:
            self.object("back", relay, "still waits to be put back, and nothing is in the way of that")
        if not self.wanted.valid and not self.world.refused:
            self.object("save", "", "the file on disk is not valid, and nothing says so")
        if self.wanted.valid and self.world.refused:
            self.object("save", "", f"the file on disk is valid, and refused: {self.world.refused}")

    def sampled(self):
        """A process has one allocator from its beginning to its end, so all its samples name the same."""
        for (relay, since), libraries in self.world.samples.items():
            if len(libraries) > 1:
                self.object("sample", relay, f"one process, since {since}, was sampled with {sorted(libraries)}")


def compare(rows, others, gone=()):
    """What two lists of a host at rest tell otherwise, one of them with the daemon and one without it: [Broken]. One of them
    may not know the version of relays whose library is gone from the disk."""
    keys = ("group", "assigned", "running", "version", "state")
    told = [{(relay, key): row[key] for relay, row in some.items() for key in keys} for some in (rows, others)]
    return [Broken("offline", relay, f"{key} is {told[0].get((relay, key))}, and {told[1].get((relay, key))} without the daemon")
            for relay, key in sorted({*told[0], *told[1]}) if told[0].get((relay, key)) != told[1].get((relay, key))
            and not (key == "version" and relay in gone and None in (told[0].get((relay, key)), told[1].get((relay, key))))]


def judge(world, wanted):
    """All that is not as it must be: [Broken]."""
    return Judge(world, wanted).all()
