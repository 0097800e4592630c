"""One trial from the boot of its machine to the report: who does what when. All that it starts ends with it."""

import contextlib
import csv
import dataclasses
import datetime
import http.client
import json
import os
import re
import subprocess
import time

import authorities
import churn
import consensus
import descriptors
import host
import inside
import kept
import keys
import libraries
import live
import load
import namespaces
import population
import progress
import relays
import result
import samples
import stream
import workers
from machine import REPO, Machine

MOST_WAVES_SECONDS = 35
MOST_TIMES = 3
# Until something is given up: beside what it takes by itself what a machine that has other work needs for it.
BUSY_SECONDS = 300
CACHE = REPO / "build/cache/lab"


class Refused(Exception):
    """The trial cannot go on; a sentence that says why."""


class Trial:
    def __init__(self, settings, folder, ctl, say, enough=None):
        """folder: where results go; ctl: relayallocctl, built for this host; say: a progress.Progress; enough(trial): may the load
        end when its time is over? Else it goes on, MOST_TIMES as long at most."""
        if not os.access(ctl, os.X_OK):
            raise Refused(f"{ctl} is missing, with which the report is drawn")
        self.settings = settings
        self.folder = folder
        self.ctl = ctl
        self.say = say
        self.enough = enough
        self.samples = []
        self.told = set()
        self.in_consensus = 0
        self.had_directory = {}

    def run(self):
        """The rows of the summary."""
        if self.settings.huge_pages and host.huge_pages() == "none":
            raise Refused("LAB_HUGE_PAGES is set, and this kernel has no transparent huge pages")
        self.keys = keys.load(CACHE / "keys.jsonl", self.most_relays(),
                              lambda done, of: self.say.part(f"Making keys, which are kept: {done} of {of}"))
        with host.with_huge_pages(self.settings.huge_pages), self._machine() as m, contextlib.ExitStack() as running:
            self.m, self.names = m, m.names
            self.relays = relays.Relays(m, self.settings)
            self.say.line(f"relayallocd moves {len(m.names)} relays")
            self.relays.move()
            namespaces.enter_network_of(m.leader)
            self._start_network(running)
            self._write_relays()
            self._load()
            table = self._results()
            self._ask_allocators()
            return table

    def most_relays(self):
        """With those that will join."""
        intervals = self.settings.seconds / self.settings.interval + 20
        return int(self.settings.network * (1 + population.Churn.join * 1.1 * intervals)) + 50

    @contextlib.contextmanager
    def _machine(self):
        s = self.settings
        self.say.line(f"Booting a machine of {s.release} with {s.relays} relays")
        m = Machine.boot(f"lab-{os.getpid()}", s.release, s.relays)
        try:
            m.install()
            if live.GROUP in s.groups:
                m.install_library(live.SOURCE, live.LIBRARY)
            self.versions = libraries.install(m, s.libraries)
            yield m
        finally:
            m.stop()

    # --- the network ---

    def _start_network(self, running):
        s = self.settings
        people = population.Population(s.seed, [descriptors.fingerprint(k) for k in self.keys], s.network,
                                       self._tor_version())
        publisher = churn.Publisher(self.keys, people)
        self.authorities = authorities.Authorities(self.m, s.interval)
        self.authorities.start(people.bandwidth_file(time.time()))
        self.m.wait_until(lambda: all(authorities.answers(authorities.dirport(n)) for n in (1, 2, 3)), BUSY_SECONDS, "the authorities")
        lost = publisher.publish_all(lambda done, of: self.say.part(f"Descriptors posted: {done} of {of}"))
        if lost:
            raise Refused(f"an authority does not take descriptors: {lost[0]}")
        # Not before: tor takes no diff that makes several times as many lines of a small consensus (0.4.9.15).
        self._wait_listed(s.network + authorities.COUNT)
        self.say.line("The relays under test join the network")
        self.relays.join_network()
        self.churner = workers.child(churn.run, publisher, s.interval, self.authorities.write_bandwidth, self.folder / "churn.log")
        running.callback(self.churner.kill)
        self._wait_listed(s.network + authorities.COUNT + s.relays)
        self._wait(self._all_have_the_directory, "every relay to have the directory",
                   lambda: sum(self.had_directory.values()), 10 * s.interval + BUSY_SECONDS)

    def _wait_listed(self, wanted):
        self._wait(lambda: self._listed() >= wanted, f"{wanted} relays in the consensus", self._listed,
                   4 * self.settings.interval + BUSY_SECONDS)

    def _all_have_the_directory(self):
        for name in self.names:
            if not self.had_directory.get(name):
                self.had_directory[name] = self.relays.has_directory(name)
        return all(self.had_directory.values())

    def _tor_version(self):
        return re.match(r"Tor version ([\w.-]+?)\.?$", self.m.sh("tor --version"), re.M)[1]

    def _listed(self):
        try:
            status, _, body = authorities.fetch(authorities.dirport(1), "/tor/status-vote/current/consensus-microdesc")
        except (OSError, http.client.HTTPException):
            return 0
        self.in_consensus = len(consensus.fingerprints(body.decode())) if status == 200 else 0
        return self.in_consensus

    def _wait(self, condition, what, how_far, timeout):
        deadline = time.monotonic() + timeout
        while not condition():
            self.say.part(f"Waiting for {what}: {how_far()} so far")
            if time.monotonic() > deadline:
                raise Refused(f"waited {timeout:.0f} s in vain for {what}: {how_far()} so far")
            time.sleep(1)

    # --- the load ---

    def _write_relays(self):
        """Who runs what: by the daemon's word and the kernel's."""
        self.relays.wait_proved()
        self.processes = self.relays.processes()
        self.proof = self.relays.proof()
        self._write_csv("relays.csv", ("relay", "group", "proved", "state", "mapped", "orport", "dirport", "version", "environment"),
                        [[*row, *self.relays.ports[row[0]], *self._library(row[0])] for row in self.proof])
        self._write_settings()
        wrong = [row for row in self.proof if row[3] != "ok"]
        if wrong:
            raise Refused(f"not as assigned: {', '.join(row[0] for row in wrong)}; see relays.csv")
        (self.folder / "relayalloc.conf").write_text(self.m.read("/etc/relayalloc.conf"))

    def _library(self, name):
        """(version, settings in its environment)"""
        return (libraries.version(self.m, self.m.proc(name, "maps"), self.versions), kept.environment_in(self.m.proc(name, "environ")))

    def _write_settings(self):
        s = dataclasses.asdict(self.settings)
        del s["allocators"]  # relayalloc.conf has them
        text = json.dumps({**s, **host.facts(), "date": f"{datetime.date.today()}", "tor": self._tor_version(), "interval_s": s["interval"],
                           "counted_from_s": self.counted_from()}, indent=1)
        (self.folder / "settings.json").write_text(text + "\n")

    def _load(self):
        s = self.settings
        shape = stream.Shape(s.clients, min(MOST_WAVES_SECONDS, max(5, s.seconds / 20)), kept=s.consensuses)
        self.since = self.m.sh("date '+%F %T'").strip()
        self.table = self.folder / "load.csv"
        counter = live.Counter(self.m).read if live.GROUP in s.groups else lambda pid: None
        self._write_csv("samples.csv", samples.COLUMNS, [])
        self._write_csv("host.csv", host.COLUMNS, [])
        self.host = host.Host(self.m.path("/var/lib"))
        began = time.monotonic()
        longest = s.seconds * (MOST_TIMES if self.enough else 1)
        loader = workers.child(load.run, self.relays.dirports(), s.seed, shape, longest, s.interval, self.table)
        try:
            while loader.is_alive():
                passed = time.monotonic() - began
                if self.enough and passed >= s.seconds and self.enough(self):
                    break
                rows = samples.sample(self.m, self.processes, passed, counter)
                self.samples += rows
                # Added, never written anew: of hours it is much, and it cannot be had again.
                load.add_to_csv(self.folder / "samples.csv", rows)
                self._tell_who_ended({row[1] for row in rows}, passed)
                self._watch(passed)
                self.say.time_left(passed, s.seconds, self._asked())
                loader.join(relays.SAMPLED_EVERY)
            else:
                if loader.exitcode:
                    raise Refused(f"the load ended early, with status {loader.exitcode}")
        finally:
            loader.kill()

    def _ask_allocators(self):
        """What each says of itself, when all else is written. One that cannot be asked takes nothing with it."""
        folder = self.folder / "statistics"
        folder.mkdir()
        pids = inside.host_pids(self.m.leader)
        rows = []
        for (name, group, pid), (*_, mapped) in zip(self.processes, self.proof):
            self.say.part(f"Asking allocators for their statistics: {len(rows)} of {len(self.processes)}")
            try:
                rows.append(inside.asked(self.m.root, pids[pid], name, group, mapped, f"/var/lib/tor-instances/{name}/statistics", folder))
            except (OSError, LookupError, ValueError, subprocess.SubprocessError) as why:
                self.say.line(f"{name} of {group} says nothing of its memory: {why}")
        self._write_csv("inside.csv", inside.COLUMNS, rows)

    def _watch(self, passed):
        """What disturbs all relays alike is told, and the trial goes on: keep can cut it there."""
        row = self.host.row(passed)
        if row:
            load.add_to_csv(self.folder / "host.csv", [row])
            self._tell_once(host.lacks(row), "little is left", passed)
        if not self.churner.is_alive():
            self._tell_once(f"the network changes no more, as its churn ended with status {self.churner.exitcode}", "no churn", passed)

    def _tell_once(self, sentence, key, passed):
        if sentence and key not in self.told:
            self.told.add(key)
            self.say.line(f"{progress.clock(passed)}: {sentence}")

    def _tell_who_ended(self, sampled, passed):
        """And what systemd has started in the place of one is sampled from then on."""
        for i, (name, group, pid) in enumerate(self.processes):
            if name not in sampled:
                self._tell_once(f"{name} of {group} has ended, and counts for nothing", name, passed)
                with contextlib.suppress(AssertionError, ValueError, subprocess.TimeoutExpired):  # later, on a busy machine
                    self.processes[i] = name, group, self.m.pid(name) or pid

    def _asked(self):
        rows = self.load_rows()
        return f"{sum(int(r['requests']) for r in rows)} requests, {sum(int(r['bytes']) for r in rows) / 1024**2:.0f} MiB served"

    def load_rows(self):
        return self.read_csv(self.table.name)

    def consensuses(self):
        return len(self.read_csv("consensuses.csv"))

    def read_csv(self, name):
        try:
            with (self.folder / name).open() as file:
                return list(csv.DictReader(file))
        except FileNotFoundError:
            return []

    # --- what comes of it ---

    def counted_from(self):
        """The work itself grows until the caches hold as many consensuses as they keep; of a short trial, half."""
        return min(self.settings.ramp, self.settings.seconds / 2)

    def _results(self):
        rows = [dict(zip(samples.COLUMNS, row)) for row in self.samples]
        table = result.summary(self.relays.members, rows, self.load_rows(), self.read_csv("served.csv"), self.counted_from())
        self._write_csv("summary.csv", result.COLUMNS, [[row[c] for c in result.COLUMNS] for row in table])
        (self.folder / "summary.txt").write_text(result.as_text(table))
        try:
            self._report()
        except (AssertionError, OSError, LookupError, StopIteration, subprocess.SubprocessError) as why:
            self.say.line(f"lab: no report: {str(why) or type(why).__name__}")
        return table

    def _report(self):
        options = ["--by=group", f"--since={self.since}", "--warmup=0"]
        text = self.m.sh(["relayallocctl", "--no-pager", "report", *options], timeout=BUSY_SECONDS)
        (self.folder / "report.txt").write_text(text)
        self.m.sh("journalctl --sync; journalctl --flush 2>/dev/null; true")
        journal = next(p for p in (self.m.path("/var/log/journal"), self.m.path("/run/log/journal")) if any(p.glob("*/*.journal")))
        for kind in ("html", "svg"):
            with (self.folder / f"report.{kind}").open("w") as file:
                subprocess.run([self.ctl, "report", *options, "-D", journal, f"--format={kind}"], check=True,
                               stdout=file, stdin=subprocess.DEVNULL)

    def _write_csv(self, name, columns, rows):
        with (self.folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
