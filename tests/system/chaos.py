"""Rounds of chaos: what is done to a host with relayallocd, drawn from a seed, and carried out on a machine.

draw() makes a round of a seed: configurations and acts with their times, the same for ever. Host carries them out, keeps
what follows from them (who is wanted up, which file counts, how many restarts are explained), and lets oracle.py judge
the machine at rest. Every act is one that happens on hosts: an operator, a package upgrade, a full disk, a crash."""

import dataclasses
import json
import os
import queue
import random
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import oracle
from machine import DROPIN, REPO, CommandFailed

LIBRARIES = "/usr/local/lib/relay-test"
CONTROL = "/run/relay-test/faults"
REST = 120       # seconds after which all must be true, …
LOOKS = 60       # …and so many looks: where one takes longer than a second or two, everything does
MOST_BROKEN = 5  # rounds, after which no more are begun

# What is not done at present, and why: acts in whose line all these words stand. They are drawn all the same, so that a
# seed stays what it is.
EXCLUDED = {}


def excluded(words):
    """Why what these words describe is not done at present."""
    return next((why for key, why in EXCLUDED.items() if set(key.split()) <= set(words.split())), None)


# ---- a round, drawn ----


@dataclass(frozen=True)
class Conf:
    number: int
    groups: tuple = ()        # dicts for oracle.assign()
    rollout: tuple = ()       # (name, value)
    style: str = "good"       # what draw_conf() made
    damage: str = ""          # "syntax", "unknown" or "empty": no valid file

    def __str__(self):
        return f"{self.style} file {self.number}"

    def text(self):
        if self.damage == "empty":
            return ""
        rows = []
        for g in self.groups:
            row = f'name = "{g["name"]}"; allocator = "{g["allocator"]}"; '
            if "relays" in g:
                row += "relays = [ " + ", ".join(f'"{r}"' for r in g["relays"]) + " ]; "
            row += "".join(f"{k} = {g[k]}; " for k in ("size", "share") if k in g)
            row += f'seed = "{g["seed"]}"; ' if "seed" in g else ""
            rows.append("  { " + row + "}")
        rollout = " ".join(f"{k} = {v};" for k, v in self.rollout)
        text = (f"# number {self.number}\nallocators = {{\n"
                f'  late = {{ library = "{LIBRARIES}/liblate.so"; environment = {{ BROKEN = "soon"; }}; }};\n'
                f'  never = {{ library = "{LIBRARIES}/libnever.so"; environment = {{ BROKEN = "start"; }}; }};\n'
                f'  ghost = {{ library = "{LIBRARIES}/libghost.so"; }};\n}};\n'
                f"groups = (\n" + ",\n".join(rows) + f"\n);\nrollout = {{ {rollout} }};\nsample = {{ interval = 1; }};\n")
        return text + {"": "", "syntax": "groups = ( { name = ;\n", "unknown": "sampel = { };\n"}[self.damage]


@dataclass(frozen=True)
class Act:
    at: float
    name: str
    arguments: tuple = ()

    def __str__(self):
        return f"{self.at:5.1f} {self.name} {' '.join(map(str, self.arguments))}".rstrip()


@dataclass(frozen=True)
class Round:
    seed: int
    first: Conf
    acts: tuple
    heal: Conf


KINDS = ("OPEN", "READ", "WRITE", "SYNC", "NAME", "LIST", "STAT", "PROCESS", "BUS", "EVENT")  # of inject-faults.c

# How often each is drawn.
WEIGHTS = {
    "save": 26, "kill daemon": 9, "restart daemon": 6, "freeze daemon": 6, "stop daemon": 3, "reload daemon": 2,
    "fill": 8, "read only": 3, "faults": 9, "reloads": 5, "reexecs": 3, "stop": 4, "start": 3, "restart": 4, "kill": 5,
    "restart tor": 2, "stop tor": 2, "foreign": 5, "systemctl revert": 2, "pause": 2, "resume": 4, "abort": 1,
    "revert": 2, "verify": 1, "stray": 3, "replace": 2, "mask": 2, "delete ours": 2, "restart bus": 2, "restart journald": 1,
    "crash in stop": 3, "resets": 3, "remove library": 2, "take away": 2,
}


def draw_conf(chance, number, relays, sound):
    shuffled = list(relays)
    chance.shuffle(shuffled)
    style = chance.choices(("lists", "sizes", "one", "late", "never", "ghost", "none", "damaged"),
                           (7, 4, 3, 4, 3, 1, 1, 1))[0]
    good = chance.sample(sound, 3)
    late = style == "late"
    rollout = (("parallel", max(1, len(relays) // chance.choice((8, 4, 2, 1)))), ("settle", 3 if late else chance.choice((0, 0, 1, 2))),
               ("canary", chance.choice((0, 1))), ("max_failed", chance.choice((1, 1, 1, 1, 1, 3))))
    cut = sorted(chance.sample(range(1, len(relays)), 2))
    parts = [sorted(shuffled[a:b]) for a, b in zip([0, *cut], [*cut, len(relays)])]
    if style == "damaged":
        return Conf(number, style=style, damage=chance.choice(("syntax", "unknown", "empty")))
    if style == "none":
        return Conf(number, (), rollout, style)
    if style == "one":
        return Conf(number, ({"name": "all", "allocator": good[0], "relays": ["*"]},), rollout, style)
    if style == "sizes":
        return Conf(number, ({"name": "A", "allocator": good[0], "size": chance.randint(1, len(relays) // 2)},
                             {"name": "B", "allocator": good[1], "share": chance.choice((25, 50)), "seed": "s"},
                             {"name": "C", "allocator": good[2], "relays": ["relay*"]}), rollout, style)
    names = [style, *good[:2]] if style in ("late", "never", "ghost") else good
    if style in ("late", "never", "ghost"):
        chance.shuffle(names)
    groups = tuple({"name": n, "allocator": a, "relays": part} for n, a, part in zip("ABC", names, parts))
    return Conf(number, groups[:chance.choice((2, 3, 3))], rollout, style)


def draw_act(chance, name, number, relays, sound):
    """What the act is done to, and for how long."""
    relay = chance.choice(relays)
    short, long = round(chance.uniform(0.05, 1), 2), round(chance.uniform(0.5, 5), 2)
    return {
        "save": lambda: (draw_conf(chance, number, relays, sound),),
        "freeze daemon": lambda: (long,),
        "stop daemon": lambda: (long,),
        "fill": lambda: (chance.choice(("/etc/systemd/system", "/var/lib/relayalloc")), chance.choice((0, 0, 1, 2, 3)), long),
        "read only": lambda: (chance.choice(("/etc/systemd/system", "/var/lib/relayalloc")), long),
        "faults": lambda: (*chance.choice((KINDS, ("OPEN", "PROCESS"), ("WRITE", "SYNC", "NAME"), ("READ", "LIST", "STAT"),
                                           ("BUS", "EVENT"))), chance.choice((200, 500, 500, 2000)), long),
        "reloads": lambda: (short, long),
        "reexecs": lambda: (short, long),
        "stop": lambda: (relay,), "start": lambda: (relay,), "restart": lambda: (relay,),
        "kill": lambda: (relay, chance.choice(("KILL", "SEGV", "ABRT"))),
        "stop tor": lambda: (long,),
        "foreign": lambda: (relay, chance.choice(("harmless", "earlier", "later", "empty", "unset", "file")),
                            chance.choice(("/etc", "/run"))),
        "systemctl revert": lambda: (relay,), "delete ours": lambda: (relay,), "mask": lambda: (relay, long),
        "verify": lambda: (short, long),
        "revert": lambda: tuple(sorted(chance.sample(relays, chance.choice((1, 2, len(relays)))))),
        "stray": lambda: (chance.choice(("notes", "relay1.bak", "backup")),),
        "replace": lambda: (chance.choice(sound[:3]),), "remove library": lambda: (chance.choice(sound[:3]), long),
        "crash in stop": lambda: (relay,), "resets": lambda: (short, long), "take away": lambda: (relay, long),
    }.get(name, tuple)()


def draw(seed, relays, sound):
    """The round of a seed, for relays of these names; sound: allocators that tor lives on, three with a library first."""
    chance = random.Random(seed)
    first, number = draw_conf(chance, 1, relays, sound), 1
    while first.style in ("damaged", "late", "never"):
        first = draw_conf(chance, 1, relays, sound)
    at, acts, touched = 0.0, [], {}
    most, gap = chance.choice(((11, 1.1), (11, 1.1), (20, 0.4)))  # some are dense
    for number in range(2, chance.randint(most // 2, most) + 2):
        at += min(chance.expovariate(1 / gap), 4)
        name = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        arguments = draw_act(chance, name, number, relays, sound)
        # systemd gives up on a unit that starts five times in ten seconds; who brings that about is not judged here
        who = (arguments[0] if name in ("start", "restart", "kill", "take away")
               else "all" if name in ("restart tor", "stop tor") else "")
        touched[who] = touched.get(who, 0) + 1
        if not who or (touched[who] <= 2 and touched.get("all", 0) <= 1):
            acts.append(Act(round(at, 2), name, arguments))
    pair = chance.sample(sound[:4], 2)
    groups = tuple({"name": n, "allocator": a, "relays": sorted(relays)[i::2]} for i, (n, a) in enumerate(zip("XY", pair)))
    heal = Conf(number + 1, groups, (("parallel", len(relays)), ("settle", 0), ("canary", 0)))
    return Round(seed, first, tuple(acts), heal)


# ---- a round, carried out ----

FOREIGN = {  # kind: (file, text); which library, the machine says
    "harmless": ("10-mine.conf", "[Service]\nEnvironment=MINE=1\n"),
    "earlier": ("override.conf", "[Service]\nEnvironment=LD_PRELOAD={library}\n"),
    "later": ("zzz-mine.conf", "[Service]\nEnvironment=LD_PRELOAD={library}\n"),
    "empty": ("zzz-mine.conf", "[Service]\nEnvironment=\n"),
    "unset": ("zzz-mine.conf", "[Service]\nUnsetEnvironment=LD_PRELOAD\n"),
    "file": ("10-mine.conf", "[Service]\nEnvironmentFile=/etc/relay-test/env\n"),
}
HARMLESS = ("harmless", "earlier")


@dataclass(frozen=True)
class Revert:
    """It lasts until a file that is read gives the relay something else: of those but the last nobody knows whether they were."""
    sure: bool | None  # None: whether it counts, and for which file, nobody knows
    target: tuple | None
    last: tuple | None = ...
    others: bool = False

    def after(self, target):
        return dataclasses.replace(self, last=target, others=self.others or target != self.target)

    def counts(self):
        """True or False, or None where nobody knows."""
        if self.sure and self.last not in (..., self.target):
            return False
        return None if self.others else self.sure


class Host:
    """A machine, what was done to it in this round, and what follows."""

    def __init__(self, machine):
        self.m = machine
        self.prepare()
        self.allocators = self.find_allocators()
        self.sound = ("jemalloc", machine.mimalloc, "tcmalloc", "glibc", "jemalloc-tuned")

    # --- once a machine ---

    def prepare(self):
        """Small file systems under the files that the daemon writes, libraries, and faults on demand."""
        m = self.m
        m.sh(f"""set -e
            mkdir -p {LIBRARIES} /run/relay-test /var/lib/relayalloc /run/units
            mount -t tmpfs -o size=1m,mode=755 units /run/units
            cp -a /etc/systemd/system/. /run/units/
            mount --bind /run/units /etc/systemd/system
            umount /run/units
            mount -t tmpfs -o size=64k,mode=700 state /var/lib/relayalloc
        """)
        for name in ("liblate.so", "libnever.so"):
            m.install_library("broken-malloc.c", f"{LIBRARIES}/{name}")
        unit = "[Service]\nRestartSec=1s\n"
        if not m.sanitize:  # ASan wants to be the first of all libraries
            m.install_library("inject-faults.c", f"{LIBRARIES}/libfaults.so")
            unit += (f"Environment=LD_PRELOAD={LIBRARIES}/libfaults.so RELAY_TEST_FAULTS={CONTROL}\n"
                     "ReadWritePaths=/run/relay-test\n")
        m.path(CONTROL).write_bytes(bytes(4096))
        m.write("/run/systemd/system/relayallocd.service.d/50-chaos.conf", unit)
        m.systemctl("daemon-reload")

    def find_allocators(self):
        m, found = self.m, {"glibc": oracle.Allocator()}
        cache = [line.split() for line in m.sh("ldconfig -p").splitlines()]
        sonames = {"jemalloc": "libjemalloc.so.2", "tcmalloc": "libtcmalloc.so.4",
                   m.mimalloc: {"mimalloc": "libmimalloc.so.2", "mimalloc3": "libmimalloc.so.3"}[m.mimalloc]}
        for name, soname in sonames.items():
            path = next(words[-1] for words in cache if words[:1] == [soname])
            if path.startswith("/lib/"):  # a link to /usr/lib
                path = "/usr" + path
            found[name] = oracle.Allocator(path, m.sh(["readlink", "-f", path]).strip())
        tuned = found["jemalloc"]
        found["jemalloc-tuned"] = oracle.Allocator(tuned.library, tuned.realpath,
                                                   (("MALLOC_CONF", "background_thread:true"),))
        for name, how in (("late", "soon"), ("never", "start")):
            path = f"{LIBRARIES}/lib{name}.so"
            found[name] = oracle.Allocator(path, path, (("BROKEN", how),), good=False)
        found["ghost"] = oracle.Allocator(f"{LIBRARIES}/libghost.so", f"{LIBRARIES}/libghost.so", good=False)
        return found

    # --- what is known of this round ---

    def begin(self, drawn):
        m = self.m
        m.reset()
        m.sh("find /etc/systemd/system /var/lib/relayalloc -maxdepth 1 -type f -name '.*' -delete; "
             "mkdir -p /etc/relay-test")
        self.began, self.log, self.done, self.later = time.monotonic(), [], [], []
        self.running = {}                                   # loops: {Popen: when they are to end}
        self.relays = tuple(m.names)
        self.up = {r: True for r in self.relays}
        self.asked = {r: ("", ()) for r in self.relays}     # library and settings that were asked for last
        self.explained = {r: 0 for r in self.relays}
        self.texts = {r: set() for r in self.relays}
        self.reverted, self.holds = {}, {"idle"}
        self.foreign, self.kinds, self.replaced = {}, {}, set()
        self.disturbed, self.strays, self.masked, self.away = set(), set(), set(), set()
        self.conf = self.valid = None
        self.killed = set()
        self.read_only, self.were_read_only = {}, []        # since when; (from, to), monotonic
        self.m.write("/etc/relay-test/env", f"LD_PRELOAD={self.allocators['tcmalloc'].library}\n")
        self.do_save(drawn.first)
        m.start_daemon()

    def say(self, text):
        self.log.append(f"{time.monotonic() - self.began:6.2f} {text}")

    def targets(self, conf):
        return oracle.assign(conf.groups, self.relays)

    def explain(self, relays, key=None):
        """One more restart of each is explained; key: if that is not what was asked for last."""
        for relay in relays:
            if key is None or self.asked[relay] != key:
                self.explained[relay] += 1
            self.asked[relay] = key

    # --- acts: each returns what is worth a word ---

    def systemctl(self, *arguments):
        return self.m.run(["timeout", "90", "systemctl", *arguments]).returncode

    def after(self, seconds, act, *arguments):
        self.later.append((time.monotonic() - self.began + seconds, act, arguments))

    def is_read(self):
        """Is the file that was saved last the one in force?"""
        told = self.m.run("timeout 10 relayallocctl status --json=short").stdout
        return bool(told) and (json.loads(told).get("loaded") or 0) >= self.saved

    def do_save(self, conf):
        if conf.damage and not self.is_read():
            return "not done: whether the file before it counts, nobody would know"
        self.conf = conf
        if not conf.damage:
            targets = self.targets(conf)
            self.valid = conf
            for relay in self.relays:
                group, name = targets.get(relay, ("", "glibc"))
                allocator = self.allocators[name]
                self.explain([relay], (allocator.library, allocator.environment))
            self.allow_texts()
            self.reverted = {r: revert.after(targets.get(r)) for r, revert in self.reverted.items()}
            if "paused" not in self.holds:
                self.holds |= {"idle"}
        self.m.write_conf(conf.text())
        self.saved = time.time() * 1e6  # what is loaded later than that is this one
        return conf.damage or ", ".join(f"{g['name']} {g['allocator']}" for g in conf.groups)

    def allow_texts(self):
        """Of the file in force, for the relays that there are, and for all of them."""
        for relays in (self.relays, [r for r in self.relays if r not in self.away]):
            for relay, target in oracle.assign(self.valid.groups, relays).items():
                self.texts[relay].add(target)

    def do_kill_daemon(self):
        process = self.m.run("systemctl show -P MainPID relayallocd").stdout.strip()
        status = self.m.run("systemctl kill -s KILL relayallocd").returncode
        if status == 0:  # not while systemd is executed again, say
            self.killed |= {process} - {"", "0"}
        return status

    def do_restart_daemon(self):
        return self.systemctl("restart", "--no-block", "relayallocd")

    def do_reload_daemon(self):
        return self.systemctl("reload", "--no-block", "relayallocd")

    def do_stop_daemon(self, seconds):
        self.after(seconds, "start daemon")
        return self.systemctl("stop", "--no-block", "relayallocd")

    def do_start_daemon(self):
        """What has stopped it has to start it again: asked until systemd, which may just execute itself anew, takes it."""
        for _ in range(100):
            status = self.systemctl("start", "--no-block", "relayallocd")
            if status == 0:
                break
            time.sleep(0.1)
        return status

    def do_freeze_daemon(self, seconds):
        pid = int(self.m.run("systemctl show -P MainPID relayallocd").stdout.strip() or 0)
        if pid:
            self.m.run(f"kill -STOP {pid}")
            self.after(seconds, "thaw daemon", pid)
        return pid

    def do_thaw_daemon(self, pid):
        return self.m.run(f"kill -CONT {pid}").returncode

    def do_fill(self, folder, pages, seconds):
        """Full but for some pages."""
        self.disturbed |= set(self.relays)
        self.after(seconds, "empty", folder)
        try:
            with (self.m.path(folder) / ".chaos-full").open("ab", 0) as f:
                try:
                    while True:
                        f.write(bytes(4096))
                except OSError:
                    f.truncate(max(0, f.tell() - 4096 * pages))
        except OSError as error:  # read-only
            return error.strerror

    def do_empty(self, folder):
        try:
            (self.m.path(folder) / ".chaos-full").unlink(missing_ok=True)
        except OSError as error:
            self.after(0.5, "empty", folder)
            return error.strerror

    def do_read_only(self, folder, seconds):
        self.disturbed |= set(self.relays)
        self.after(seconds, "read write", folder)
        self.read_only.setdefault(folder, time.monotonic())
        return self.m.run(f"mount -o remount,ro {folder}").returncode

    def do_read_write(self, folder):
        status = self.m.run(f"mount -o remount,rw {folder}").returncode
        if status == 0 and folder in self.read_only:
            self.were_read_only.append((self.read_only.pop(folder), time.monotonic()))
        return status

    def has_old_mounts(self):
        """The daemon started while a disk was read-only that is writable by now: it is going to start again for that."""
        started = int(self.m.show("relayallocd", "ExecMainStartTimestampMonotonic")["ExecMainStartTimestampMonotonic"]) / 1e6
        return any(since <= started <= until for since, until in self.were_read_only)

    def do_faults(self, *arguments):
        *kinds, rate, seconds = arguments
        self.disturbed |= set(self.relays)
        self.set_faults(kinds, rate)
        self.after(seconds, "no faults")

    def do_no_faults(self):
        hits = self.faults_hit()
        self.set_faults((), 0)
        return hits

    def set_faults(self, kinds, rate):
        data = struct.pack(f"<Q{len(KINDS)}I", self.seed, *(rate if k in kinds else 0 for k in KINDS))
        with self.m.path(CONTROL).open("r+b", 0) as f:
            f.write(data)

    def faults_hit(self):
        data = self.m.path(CONTROL).read_bytes()
        return sum(struct.unpack_from(f"<{len(KINDS)}I", data, 8 + 4 * len(KINDS)))

    def loop(self, command, pause, seconds):
        self.running[self.m.start(f"timeout {seconds} sh -c 'while :; do {command}; sleep {pause}; done'")] = seconds

    def do_reloads(self, pause, seconds):
        self.loop("systemctl daemon-reload", pause, seconds)

    def do_reexecs(self, pause, seconds):
        self.loop("systemctl daemon-reexec", pause, seconds)

    def do_resets(self, pause, seconds):
        """Nobody is stopped by that, whatever had failed."""
        self.loop("systemctl reset-failed 'tor@*'", pause, seconds)

    def reload_systemd(self):
        if self.systemctl("daemon-reload"):
            self.systemctl("daemon-reload")

    def touch(self, relays):
        self.disturbed |= set(relays)
        self.explain(relays)

    def asked_of_systemd(self, relays, up, *arguments):
        """While systemd re-executes itself, it may be asked and give no answer: an operator asks again."""
        self.touch(relays)
        status = self.systemctl(*arguments)
        if status and not self.masked & set(relays):
            self.touch(relays)
            status = self.systemctl(*arguments)
        self.up.update(dict.fromkeys(relays, None if status else up))
        self.up.update(dict.fromkeys(self.masked & set(relays)))
        return status

    def do_stop(self, relay):
        return self.asked_of_systemd([relay], False, "stop", self.m.unit(relay))

    def do_crash_in_stop(self, relay):
        """As with a library that does not survive exit(3): systemd calls the relay failed, and it is stopped all the same."""
        path = self.m.path(f"/run/systemd/system/tor@{relay}.service.d/20-crash.conf")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("[Service]\nExecStop=-sh -c 'kill -SEGV $MAINPID'\n")
        self.reload_systemd()
        status = self.do_stop(relay)
        path.unlink(missing_ok=True)
        self.reload_systemd()
        return status

    def do_take_away(self, relay, seconds):
        """Its instance, for a while: groups of a size or a share take others for it, and give them back."""
        if relay in self.away:
            return "not done: it is not there"
        status = self.do_stop(relay)
        self.away.add(relay)
        self.allow_texts()
        self.explain(self.relays)
        self.m.run(f"mv /etc/tor/instances/{relay} /etc/relay-test/")
        self.reload_systemd()
        self.after(seconds, "bring back", relay)
        return status

    def do_bring_back(self, relay):
        self.m.run(f"mv /etc/relay-test/{relay} /etc/tor/instances/")
        self.away.discard(relay)
        self.explain(self.relays)
        self.reload_systemd()
        self.m.run(f"systemctl reset-failed {self.m.unit(relay)}")
        return self.do_start(relay)

    def do_start(self, relay):
        return self.asked_of_systemd([relay], True, "start", self.m.unit(relay))

    def do_restart(self, relay):
        return self.asked_of_systemd([relay], True, "restart", self.m.unit(relay))

    def do_kill(self, relay, signal):
        self.disturbed.add(relay)
        if relay in self.masked:
            self.up[relay] = None
        return self.m.run(f"systemctl kill -s {signal} {self.m.unit(relay)}").returncode

    def do_restart_tor(self):
        return self.asked_of_systemd(self.relays, True, "restart", "tor.service")

    def do_stop_tor(self, seconds):
        self.after(seconds, "start tor")
        return self.asked_of_systemd(self.relays, False, "stop", "tor.service")

    def do_start_tor(self):
        return self.asked_of_systemd(self.relays, True, "start", "tor.service")

    def do_foreign(self, relay, kind, where):
        """Put there, or taken away again."""
        name, text = FOREIGN[kind]
        path = f"{where}/systemd/system/tor@{relay}.service.d/{name}"
        self.touch([relay])
        if path in self.foreign:
            del self.foreign[path], self.kinds[path]
            self.m.path(path).unlink(missing_ok=True)
            what = "removed"
        else:
            text = text.format(library=self.allocators["tcmalloc"].library)
            try:
                self.m.path(path).parent.mkdir(exist_ok=True)
                self.m.path(path).write_text(text)
            except OSError as error:  # full, or read-only
                self.m.run(["rm", "-f", path])
                return error.strerror
            self.foreign[path], self.kinds[path] = text, (relay, kind)
            what = "added"
        self.reload_systemd()
        return what

    def do_systemctl_revert(self, relay):
        self.touch([relay])
        for path in [p for p, (r, _) in self.kinds.items() if r == relay]:
            del self.foreign[path], self.kinds[path]
        return self.systemctl("revert", self.m.unit(relay))

    def ctl(self, *arguments):
        """An operator's command. When it fails nobody knows whether it counts: no answer, or done and not saved."""
        return self.m.run(["timeout", "10", "relayallocctl", *arguments]).returncode

    def do_pause(self):
        done = self.ctl("pause")
        self.holds = (self.holds - {"idle"} if done == 0 else self.holds) | {"paused"}
        return done

    def do_resume(self):
        done = self.ctl("resume")
        self.holds = {"idle"} if done == 0 else self.holds | {"idle"}
        self.explain(self.relays)
        return done

    def do_abort(self):
        read = self.is_read()  # else it is read after it, and ends the abort
        done = self.ctl("abort")
        self.holds = (self.holds & {"paused"} if done == 0 and read else self.holds) | {"aborted"}
        return done

    def do_revert(self, *relays):
        read = self.is_read()  # else the file may be read after it
        done = self.ctl("revert", *relays)
        sure = True if done == 0 and read else None
        targets = self.targets(self.valid)
        self.reverted.update({r: Revert(sure, targets.get(r)) for r in relays})
        self.explain(relays)
        return done

    def do_verify(self, pause, seconds):
        """As monitoring does."""
        self.loop("timeout 10 relayallocctl verify", pause, seconds)

    def do_delete_ours(self, relay):
        self.touch([relay])
        return self.m.run(["rm", "-f", DROPIN.format(relay)]).returncode

    def do_mask(self, relay, seconds):
        """A process that is killed while its unit is masked is not started again; nor is one that is just starting: its
        start task is gone, and systemd takes it to be starting without end, so that who unmasks it has to restart it."""
        self.touch([relay])
        self.masked.add(relay)
        self.after(seconds, "unmask", relay)
        active = self.m.is_active(self.m.unit(relay))
        status = self.systemctl("mask", self.m.unit(relay))
        # Where it was starting, meanwhile too, its start is forgotten, with all that its unit file says.
        if not active or not self.m.is_active(self.m.unit(relay)):
            self.up[relay] = None
        return status

    def do_unmask(self, relay):
        status = self.systemctl("unmask", self.m.unit(relay))
        active = self.m.run(["systemctl", "show", "-P", "ActiveState", self.m.unit(relay)]).stdout.strip()
        if status or not active:  # read-only, or systemd gives no answer
            self.after(0.5, "unmask", relay)
        else:
            self.masked.discard(relay)
            if active == "activating":
                return self.do_restart(relay)
        return status

    def do_restart_bus(self):
        """As a package upgrade that goes wrong does."""
        return self.m.run("kill -KILL $(systemctl show -P MainPID dbus); systemctl reset-failed dbus; "
                          "systemctl start dbus").returncode

    def do_restart_journald(self):
        return self.systemctl("restart", "systemd-journald")

    def do_stray(self, name):
        """A folder among the instances that is no relay; a copy of one when it has a dot in its name."""
        self.strays.add(name)
        self.m.run(f"mkdir -p /etc/tor/instances/{name}")
        if "." in name:
            self.m.run(f"cp /etc/tor/instances/relay1/torrc /etc/tor/instances/{name}/")

    def do_replace(self, name):
        """As a package upgrade does."""
        path = self.allocators[name].realpath
        self.replaced.add(path)
        self.holds |= {"idle"}
        self.explain(self.relays)
        return self.m.run(f"cp -p {path} {path}.new && mv {path}.new {path}").returncode

    def do_remove_library(self, name, seconds):
        """And installed again: who starts in between comes up without it, and is restarted for that."""
        path = self.allocators[name].realpath
        self.replaced.add(path)
        self.disturbed |= set(self.relays)
        self.holds |= {"idle"}
        self.explain(self.relays)
        self.after(seconds, "install library", path)
        return self.m.run(f"test -e {path} && cp -p {path} {path}.kept && rm {path}").returncode

    def do_install_library(self, path):
        self.explain(self.relays)
        return self.m.run(f"test -e {path} || mv {path}.kept {path}").returncode

    # --- the round ---

    def run(self, drawn):
        """Carries it out; what is broken at its end, and after everything was put in order again."""
        self.seed = drawn.seed
        self.begin(drawn)
        for act in drawn.acts:
            self.pass_time(act.at)
            self.carry_out(act.name, act.arguments)
        self.calm()
        broken = self.rest()
        if not broken:
            broken = self.offline()
        if not broken:
            self.heal(drawn.heal)
            broken = self.rest()
        self.took = time.monotonic() - self.began
        return broken

    def carry_out(self, name, arguments):
        words = " ".join(map(str, arguments))
        if why := excluded(f"{name} {words}"):
            self.say(f"not done: {name} {words}: {why}")
            return
        self.done.append(name)
        note = getattr(self, "do_" + name.replace(" ", "_"))(*arguments)
        self.say(f"{name} {words}".rstrip() + (f": {note}" if note not in (None, 0) else ""))

    def pass_time(self, until):
        """Up to a moment of the round, with what is due before it."""
        while True:
            due = min(self.later, default=None, key=lambda l: l[0])
            if due and due[0] <= until:
                self.later.remove(due)
            moment = due[0] if due and due[0] <= until else until
            time.sleep(max(0, self.began + moment - time.monotonic()))
            if moment == until and not (due and due[0] <= until):
                return
            self.carry_out(due[1], due[2])

    def calm(self):
        """Nothing is done to the host any more, and all that holds the daemon up is over."""
        while self.later:  # what could not be undone is tried again
            self.pass_time(max(l[0] for l in self.later))
        for process in self.running:
            process.wait()
        self.m.wait_until(self.daemon_stands, 180, f"systemd to be done with relayallocd (seed {self.seed})", self.how_it_hangs)
        if not self.m.is_active("relayallocd"):
            if self.conf.damage:
                self.do_save(self.valid)
            self.m.run("systemctl reset-failed relayallocd; timeout 90 systemctl start relayallocd")
        self.say("rest")

    def daemon_stands(self):
        """It runs, or will not by itself: what was asked of systemd is done, and it has seen that what was killed is gone."""
        shown = self.m.show("relayallocd", "ActiveState", "MainPID", "Job")
        return (shown["ActiveState"] in ("active", "inactive", "failed") and shown.get("Job", "0") in ("", "0")
                and shown["MainPID"] not in self.killed)

    def how_it_hangs(self):
        """What the round did, and what systemd and the daemon say."""
        said = self.m.run("systemctl status --no-pager relayallocd; systemctl list-jobs").stdout
        return "\n".join((*self.log, f"killed: {self.killed}", said, self.m.journal_text()))

    def heal(self, conf):
        m = self.m
        for path in list(self.foreign):
            m.path(path).unlink(missing_ok=True)
        self.foreign, self.kinds = {}, {}
        for name in self.strays:
            m.run(f"rm -rf /etc/tor/instances/{name}")
        m.run("systemctl daemon-reload; systemctl reset-failed 'tor@*'")
        self.replaced = set()
        for relay in self.relays:
            m.run(f"systemctl start {m.unit(relay)}")
        self.up = {r: True for r in self.relays}
        self.explain(self.relays)
        self.explain(self.relays)
        self.do_save(conf)
        m.run("systemctl reload relayallocd")
        # Else it tells who resumes that it may be lost. A daemon that started just when the disk became writable waits for ten minutes.
        m.wait_until(self.is_saved, 720, f"the state to be saved (seed {self.seed})", self.how_it_hangs)
        m.run("timeout 30 relayallocctl resume; timeout 30 relayallocctl resume '*'")
        self.reverted, self.holds, self.disturbed = {}, {"idle"}, set()
        self.say("healed")

    def is_saved(self):
        """Also by a daemon that has started again, because only so it can write. (Between the two status says nothing of it.)"""
        told = self.m.run("timeout 10 relayallocctl status --json=short").stdout
        return bool(told) and not json.loads(told).get("unsaved") and self.m.is_active("relayallocd")

    # --- judging ---

    def wanted(self):
        failed = {}
        for e in self.m.events("relay-failed"):
            failed[e["RELAYALLOC_RELAY"]] = failed.get(e["RELAYALLOC_RELAY"], 0) + 1
        halted = {"halted"} if failed or self.disturbed else set()
        explained = {r: n + min(failed.get(r, 0), n) for r, n in self.explained.items()}
        return oracle.Wanted(
            allocators=self.allocators, assigned=self.targets(self.valid), relays=self.relays,
            up=dict(self.up), texts=self.texts, reverted={r: revert.counts() for r, revert in self.reverted.items()},
            holds=frozenset(self.holds | halted), foreign=self.foreign,
            overridden=frozenset(r for r, kind in self.kinds.values() if kind not in HARMLESS),
            replaced=frozenset(self.replaced), disturbed=frozenset(self.disturbed), valid=not self.conf.damage,
            starts=self.m.asked_starts(), explained=explained)

    def observe(self):
        """The machine as it is in one moment: again, when something moved while it was looked at."""
        m = self.m
        for _ in range(5):
            units = self.units()
            listed = m.run("timeout 30 relayallocctl list --json=short")
            status = m.run("timeout 30 relayallocctl status --json=short")
            rows = {row["relay"]: row for row in json.loads(listed.stdout or "[]")}
            about = json.loads(status.stdout or "{}")
            ill = [r for r, row in rows.items() if row["state"] in oracle.NOT_AS_ASSIGNED]
            reasons = {}
            if ill:
                told = m.run(["timeout", "30", "relayallocctl", "status", "--json=short", *ill]).stdout
                reasons = {one["relay"]: one["reason"] for one in json.loads(told or "[]")}
            processes = {r: p for r, u in units.items() if u.pid and (p := self.process(u.pid))}
            if units == self.units():
                break
        base = m.path("/etc/systemd/system")
        ours = {p.parent.name.removeprefix("tor@").removesuffix(".service.d"): p.read_text(errors="replace")
                for p in base.glob("tor@*.d/zz-relayalloc.conf")}
        state = m.path("/var/lib/relayalloc/state")
        extra = {"default", *self.strays}
        return oracle.World(
            units=units, processes=processes, drop_ins={r: t for r, t in ours.items() if r not in extra},
            litter=tuple(str(p.relative_to(base)) for p in base.glob("tor@*.d/.*")),
            foreign={p: m.read(p) for p in self.foreign if m.exists(p)},
            state=state.read_text(errors="replace") if state.exists() else None,
            rows={r: row for r, row in rows.items() if r not in extra},
            words=frozenset(row["state"] for row in rows.values()), list_status=listed.returncode, reasons=reasons,
            rollout=(about.get("rollout") or {}).get("state", "?"), not_back=tuple(about.get("not_put_back") or ()),
            refused=about.get("refused") or ("not read" if about.get("unread") else ""),
            daemon=m.is_active("relayallocd"), samples=self.samples())

    def samples(self):
        told = {}
        for e in self.m.events("sample-relay"):
            if not e.get("RELAYALLOC_ALLOCATOR"):  # its process could not be read: the sample says that it is not known
                continue
            key = (e["RELAYALLOC_RELAY"], e.get("RELAYALLOC_SINCE"))
            told.setdefault(key, set()).add(e.get("RELAYALLOC_LIBRARY", ""))
        return told

    def rows(self):
        return {row["relay"]: row for row in json.loads(self.m.run("timeout 30 relayallocctl list --json=short").stdout or "[]")}

    def offline(self):
        """The list without the daemon against the list with it; and its stop and start move nobody. Which version a process
        has whose library was replaced since, only a daemon knows that saw it before: nobody can ask that file any more."""
        m = self.m
        about = json.loads(m.run("timeout 30 relayallocctl status --json=short").stdout or "{}")
        if self.conf.damage or about.get("unsaved"):  # it would not start, or forget what it says that it could not save
            return []
        if self.has_old_mounts():  # and who waits for that moves then
            m.wait_until(lambda: not self.has_old_mounts(), 60, "its start for new mounts", self.how_it_hangs)
            if broken := self.rest():
                return broken
        rows, units = self.rows(), self.units()
        gone = {r for r, u in units.items() if u.pid and (p := self.process(u.pid))
                and any(oracle.serving(p, self.allocators).values())}
        m.run("systemctl stop relayallocd")
        broken = oracle.compare(rows, self.rows(), gone)
        m.run("timeout 90 systemctl start relayallocd")
        deadline = time.monotonic() + 30
        while (after := oracle.compare(self.rows(), rows, gone)) and time.monotonic() < deadline:
            time.sleep(0.5)
        # (What is still to be written for those that are down waits for a while after a failure; a start does not know of that.)
        if any(u != units[r] if u.up else dataclasses.replace(u, drop_ins=units[r].drop_ins) != units[r] for r, u in self.units().items()):
            broken.append(oracle.Broken("offline", "", "stopping and starting the daemon moved a relay"))
        return broken + after

    def units(self):
        shown = self.m.show_all([self.m.unit(r) for r in self.relays], "Id", "ActiveState", "SubState", "Result", "MainPID",
                                "InvocationID", "NRestarts", "Job", "DropInPaths")
        return {u["Id"].removeprefix("tor@").removesuffix(".service"): oracle.Unit(
            u["ActiveState"], u["SubState"], u["Result"], int(u["MainPID"]), u["InvocationID"], int(u["NRestarts"]),
            u.get("Job", "0") not in ("", "0"), tuple(u["DropInPaths"].split())) for u in shown}

    def process(self, pid):
        try:
            environ = self.m.path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
            return oracle.Process(self.m.read(f"/proc/{pid}/maps"),
                                  dict(e.split("=", 1) for e in environ.split("\0") if "=" in e))
        except OSError:
            return None

    def rest(self):
        """What is still broken after two minutes; nothing, as soon as two looks apart find nothing and nothing moved."""
        deadline, looks, good = time.monotonic() + REST, 0, None
        while True:
            looks += 1
            try:
                world = self.observe()
                broken = oracle.judge(world, self.wanted())
            except (CommandFailed, ValueError) as error:  # no answer, or half of one
                broken = [oracle.Broken("answer", "", str(error))]
            now = time.monotonic()
            over = now >= deadline and looks >= LOOKS
            if broken:
                good = None
                if over:
                    return broken
            elif good and good[1] == world.units:
                if now - good[0] >= 3:
                    self.say(f"at rest since {good[0] - self.began:.1f}")
                    return []
            else:
                good = (now, world.units)
                if over:
                    return [oracle.Broken("rest", "", "it does not come to rest")]
            time.sleep(0.5)

    def story(self, drawn, broken):
        """All that somebody needs who looks for the reason."""
        return "\n".join((
            f"seed {drawn.seed}", "broken:", *(f"  broken {b.rule}: {b.relay}: {b.what}" for b in broken),
            "acts:", *("  " + line for line in self.log),
            "units:", *(f"  {relay}: {unit}" for relay, unit in self.units().items()),
            "files:", *(f"  {c.number}: {c.damage or c.groups} {dict(c.rollout)}" for c in
                        [drawn.first, *(x for a in drawn.acts for x in a.arguments if isinstance(x, Conf)), drawn.heal]),
            "list:", self.m.run("timeout 30 relayallocctl list; timeout 30 relayallocctl status").stdout,
            "journal:", self.m.journal_text(600)))


def first_seed(otherwise):
    asked = os.environ.get("CHAOS_SEED") or otherwise
    return random.randrange(1 << 32) if asked == "random" else int(asked)


class Tally:
    """What came of the rounds so far; each is told at once in a file of its own."""

    def __init__(self, machines, report):
        self.lock, self.report = threading.Lock(), report
        self.stories, self.tried, self.acts, self.broken = [], 0, 0, 0
        m = machines[0]
        self.title = f"Chaos with {len(m.names)} relays ({m.release})"

    @property
    def enough(self):
        return len(self.stories) >= MOST_BROKEN

    def add(self, host, drawn, broken):
        story = host.story(drawn, broken) if broken else ""
        with self.lock:
            self.tried, self.acts, self.broken = self.tried + 1, self.acts + len(host.done), self.broken + len(broken)
            self.stories += [story] if broken else []
            self.report.write(f"round {self.tried}, seed {drawn.seed}, acts {len(host.done)}, {host.took:.0f} s: "
                              + (f"broken\n{story}\n" if broken else "nothing broken\n"))


def run_some(host, seeds, tally):
    """Rounds on this host, until there are no more seeds."""
    for seed in seeds:
        if tally.enough:
            break
        drawn = draw(seed, host.m.names, host.sound)
        broken = host.run(drawn)
        broken += [oracle.Broken("crash", "", text) for text in host.m.crashes() + host.m.sanitizer_reports()]
        tally.add(host, drawn, broken)


def run_rounds(machines, first, rounds):
    """The stories of the rounds that broke something, and figures. Most of a round is waiting, so each of the machines has
    one of its own at the same time."""
    chance = random.Random(first)
    seeds = queue.SimpleQueue()
    for seed in [first] + [chance.randrange(1 << 32) for _ in range(rounds - 1)]:
        seeds.put(seed)
    m, folder = machines[0], REPO / "build/results"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"chaos-{m.release}{'-asan' if m.sanitize else ''}-{len(m.names)}.txt"
    hosts = [Host(m) for m in machines]

    def left():
        while not seeds.empty():
            try:
                yield seeds.get_nowait()
            except queue.Empty:
                return

    with (folder / name).open("w", buffering=1) as report, ThreadPoolExecutor(len(hosts)) as pool:
        tally = Tally(machines, report)
        for done in [pool.submit(run_some, host, left(), tally) for host in hosts]:
            done.result()
    return tally.stories, f"{tally.title}: rounds {tally.tried}, acts {tally.acts}, invariants broken {tally.broken}, seed {first}"
