"""A booted machine as the tests see it: commands, units, journal, relays, files, and waiting for conditions."""

import json
import os
import pathlib
import re
import subprocess
import time

from journal import Journal

HERE = pathlib.Path(__file__).resolve().parent
REPO = HERE.parent.parent
DROPIN = "/etc/systemd/system/tor@{}.service.d/zz-relayalloc.conf"

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "TERM": "dumb",
    "LANG": "C.UTF-8",
    "SYSTEMD_PAGER": "",
}


def message_ids():
    """{"relay-moved": "8fb1…"}, from the one place where they are written."""
    text = (REPO / "daemon/core/messages.c").read_text()
    ids = {name: ident for ident, name in re.findall(r'\{ *"([0-9a-f]{32})", *"([a-z-]+)"', text)}
    assert ids, "no message ids found in daemon/core/messages.c"
    return ids


class CommandFailed(AssertionError):
    pass


class Machine:
    MESSAGES = message_ids()

    def __init__(self, name, release, relays, sanitize):
        self.name = name
        self.release = release
        self.sanitize = sanitize
        self.names = [f"relay{i}" for i in range(1, relays + 1)]
        self.leader = int(self._tool("leader", name).strip())
        self.root = pathlib.Path(f"/proc/{self.leader}/root")
        self.journald = Journal(self.leader)
        self.since = time.time()
        # The built-in allocator that takes the mimalloc that this release ships.
        has_3 = any(self.path("/usr/lib").glob("*/libmimalloc.so.3"))
        self.mimalloc = "mimalloc3" if has_3 else "mimalloc"

    # --- life ---

    @staticmethod
    def host_release():
        return subprocess.run(
            ["sh", "-c", '. /etc/os-release && echo "$VERSION_CODENAME"'],
            check=True, capture_output=True, text=True).stdout.strip()

    @classmethod
    def boot(cls, name, release, relays, sanitize=False, kind="relays"):
        # It goes when this process goes, however that ends.
        cls._tool("boot", name, "--release", release, "--relays", str(relays), "--kind", kind, "--owner", str(os.getpid()))
        return cls(name, release, relays, sanitize)

    @staticmethod
    def _tool(*arguments, environment=None):
        done = subprocess.run([HERE / "machine", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=900, env={**os.environ, **(environment or {})})
        assert done.returncode == 0, f"machine {' '.join(arguments)} failed:\n{(done.stdout + done.stderr)[-4000:]}"
        return done.stdout

    def install(self):
        self._tool("install", self.name, environment={"SANITIZE": "1" if self.sanitize else ""})
        if self.sanitize:
            # Reports go to files, which no journal rate limit or rotation can lose.
            self.write("/etc/systemd/system/relayallocd.service.d/90-sanitizer.conf",
                       "[Service]\nEnvironment=ASAN_OPTIONS=log_path=/run/sanitizer/report:detect_leaks=1\n"
                       "Environment=UBSAN_OPTIONS=log_path=/run/sanitizer/report:print_stacktrace=1\n"
                       "ExecStartPre=+/bin/sh -c 'mkdir -p -m 1777 /run/sanitizer'\n"
                       # ASan reserves terabytes of address space and reads /proc/self; LSan uses ptrace.
                       "MemoryMax=infinity\nMemoryDenyWriteExecute=no\nReadWritePaths=-/run/sanitizer\n"
                       "SystemCallFilter=\nLimitAS=infinity\nWatchdogSec=0\nLimitCORE=0\n")
            self.systemctl("daemon-reload")

    def stop(self):
        self._tool("stop", self.name)
        self.journald.close()

    def is_running(self):
        return os.path.exists(f"/proc/{self.leader}")

    def reset(self):
        """Installed, the daemon not started and without state, no drop-in of anybody's, every relay that the
        machine was booted with running on glibc, no others."""
        keep = " ".join(self.names)
        self.sh(f"""
            systemctl stop relayallocd 2>/dev/null || true
            systemctl reset-failed
            rm -rf /var/lib/relayalloc /run/sanitizer /run/systemd/system/tor@*.d /etc/systemd/system/tor@*.d
            rm -rf /etc/systemd/system/tor@default.service.d /etc/relay-test /etc/tor/torrc
            find /etc/systemd/system -maxdepth 1 -name 'tor@*' -type l -lname /dev/null -delete
            keep=" {keep} "
            for unit in $(systemctl list-units --all --plain --no-legend 'tor@*' | cut -d' ' -f1); do
                name=${{unit#tor@}}; name=${{name%.service}}
                case "$keep" in *" $name "*) ;; *) systemctl stop "$unit" ;; esac
            done
            for dir in /etc/tor/instances/*; do
                case "$keep" in *" ${{dir##*/}} "*) ;; *) rm -rf "$dir" ;; esac
            done
            systemctl daemon-reload
            systemctl reset-failed
            set --
            for name in $keep; do
                pid=$(systemctl show -P MainPID "tor@$name")
                if [ "$pid" = 0 ] || tr '\\0' '\\n' <"/proc/$pid/environ" | grep -q '^LD_PRELOAD=\\|^MALLOC\\|^MIMALLOC'; then
                    set -- "$@" "tor@$name"
                fi
            done
            [ $# = 0 ] || systemctl restart "$@"
            # one that was just being restarted is waited for, or its start would count as the next test's
            set --
            for name in $keep; do set -- "$@" "tor@$name"; done
            [ $# = 0 ] || systemctl start "$@"
        """)
        self.write_conf("# no groups\n")
        self.mark()

    # --- commands and files ---

    def command(self, command):
        """What runs it from here, with ENVIRONMENT as its environment."""
        argv = ["sh", "-c", command] if isinstance(command, str) else command
        return ["nsenter", "-t", str(self.leader), "-a", "--", *argv]

    def run(self, command, timeout=120):
        """A shell command in the machine, or a program with its arguments; the CompletedProcess, whatever its status."""
        return subprocess.run(self.command(command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=timeout, env=ENVIRONMENT)

    def start(self, command):
        """One that runs beside the test; its Popen."""
        return subprocess.Popen(self.command(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, env=ENVIRONMENT)

    def sh(self, command, timeout=120):
        """Its standard output; a failed command fails the test."""
        done = self.run(command, timeout)
        if done.returncode != 0:
            raise CommandFailed(f"status {done.returncode}: {command}\n{done.stdout}{done.stderr}")
        return done.stdout

    def path(self, path):
        return self.root / str(path).lstrip("/")

    def read(self, path):
        return self.path(path).read_text()

    def write(self, path, text, mode=0o644):
        """As a careful editor saves: a new file, renamed over the old one."""
        where = self.path(path)
        where.parent.mkdir(parents=True, exist_ok=True)
        temporary = where.with_name("." + where.name + ".new")
        temporary.write_text(text)
        temporary.chmod(mode)
        temporary.rename(where)

    def install_library(self, source, path):
        """Compiles a library of the tests' own for the machine; path: where it goes."""
        built = REPO / "build/tests" / pathlib.Path(path).name
        built.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-Werror", "-fno-builtin", "-Wno-nonnull-compare", "-shared", "-fPIC",
                        "-D_GNU_SOURCE", "-o", f"{built}.{os.getpid()}", HERE / source], check=True)
        os.rename(f"{built}.{os.getpid()}", built)
        self.path(path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        self.path(path + ".new").write_bytes(built.read_bytes())
        self.path(path + ".new").chmod(0o644)
        self.path(path + ".new").rename(self.path(path))

    def exists(self, path):
        return os.path.lexists(self.path(path))

    def write_conf(self, text):
        self.write("/etc/relayalloc.conf", text)

    # --- units ---

    def systemctl(self, *arguments, timeout=120):
        return self.sh(["systemctl", *arguments], timeout)

    def show(self, unit, *properties):
        out = self.systemctl("show", unit, "-p", ",".join(properties))
        return dict(line.split("=", 1) for line in out.splitlines() if "=" in line)

    def prop(self, unit, name):
        return self.sh(["systemctl", "show", "-P", name, unit]).strip()

    def show_all(self, units, *properties):
        """One {property: value} for each of the units."""
        out = self.systemctl("show", "-p", ",".join(properties), *units)
        return [dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
                for block in out.strip().split("\n\n")]

    def is_active(self, unit):
        return self.run(["systemctl", "is-active", "-q", unit]).returncode == 0

    def start_daemon(self):
        self.systemctl("start", "relayallocd")

    def settings(self, groups, parallel=1, settle=0, interval=1, entry="relay", canary=0):
        """A configuration for tests: groups is [(name, allocator, "relays = [...]")]. No canaries if not asked
        for, because they go one after the other."""
        rows = ",\n".join(f'  {{ name = "{n}"; allocator = "{a}"; {rest}; }}' for n, a, rest in groups)
        return (f"groups = (\n{rows}\n);\n"
                f"rollout = {{ parallel = {parallel}; settle = {settle}; canary = {canary}; }};\n"
                f'sample = {{ interval = {interval}; entry = "{entry}"; }};\n')

    # --- relays ---

    @staticmethod
    def unit(relay):
        return f"tor@{relay}.service"

    def pid(self, relay):
        return int(self.prop(self.unit(relay), "MainPID"))

    def invocation(self, relay):
        return self.prop(self.unit(relay), "InvocationID")

    def starts(self, relay):
        """How often systemd has started the relay since the mark, whoever asked for it."""
        return len(self.journal("_PID=1", "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf", f"UNIT={self.unit(relay)}"))

    def asked_starts(self):
        """{relay: how often since the mark somebody had systemd start it}: all starts, those that failed as well, but
        those that Restart= brought about."""
        counts = dict.fromkeys(self.names, 0)
        started, failed, scheduled = ("39f53479d3a045ac8e11786248231fbf", "be02cf6855d2428ba40df7e9d022f03d",
                                      "5eb03494b6584870a536b337290809b3")
        for e in self.journal("_PID=1", *(f"MESSAGE_ID={i}" for i in (started, failed, scheduled))):
            relay = e.get("UNIT", "").removeprefix("tor@").removesuffix(".service")
            if relay in counts:
                counts[relay] += -1 if e["MESSAGE_ID"] == scheduled else 1
        return counts

    def invocations(self):
        return {name: self.invocation(name) for name in self.names}

    def proc(self, relay, file):
        pid = self.pid(relay)
        assert pid > 0, f"{relay} does not run"
        return self.read(f"/proc/{pid}/{file}")

    def allocator_in_maps(self, relay):
        """The allocator that the kernel says is mapped; the tests' own proof, independent of the daemon's."""
        maps = self.proc(relay, "maps")
        found = set(re.findall(r"/lib(jemalloc|mimalloc|tcmalloc)[^/\s]*\.so", maps))
        assert len(found) <= 1, f"{relay} maps several allocators: {found}"
        return found.pop() if found else "glibc"

    def drop_in(self, relay):
        path = self.path(DROPIN.format(relay))
        try:
            return path.read_text()
        except FileNotFoundError:
            return None

    def drop_in_times(self):
        """{path: mtime in ns} of all of our drop-ins."""
        base = self.path("/etc/systemd/system")
        return {str(p.relative_to(base)): p.stat().st_mtime_ns for p in base.glob("*/zz-relayalloc.conf")}

    def listing(self):
        """{relay: row} of `relayallocctl list`; status 3 only says that something is not as assigned."""
        done = self.run("relayallocctl list --json=short")
        if done.returncode not in (0, 3):
            raise CommandFailed(f"relayallocctl list: status {done.returncode}\n{done.stdout}{done.stderr}")
        rows = json.loads(done.stdout)
        return {row["relay"]: row for row in rows}

    def states(self, *relays):
        listing = self.listing()
        return {name: listing.get(name, {}).get("state") for name in relays or self.names}

    def wait_all(self, state="ok", relays=None, timeout=60):
        relays = relays or self.names
        return self.wait_until(lambda: set(self.states(*relays).values()) == {state}, timeout,
                               f"{', '.join(relays)} to be {state}",
                               lambda: json.dumps(self.listing(), indent=1))

    # --- the journal ---

    def mark(self):
        """What journal() and events() tell begins here. A time and not a cursor, because journalctl's
        --after-cursor passes over the first entry when there are matches, too."""
        self._sync_journal()
        self.since = time.time()

    def _sync_journal(self):
        try:
            self.journald.sync(timeout=120)
        except OSError as error:
            raise CommandFailed(str(error)) from error

    def journal_options(self):
        return ["--no-pager", "-q", "--all", f"--since=@{self.since:.6f}"]

    def journal(self, *matches):
        """Entries since the mark as dicts, oldest first. What is no FIELD=VALUE is an option of journalctl's."""
        self._sync_journal()
        if any(match.startswith("-") for match in matches):
            out = self.sh(["journalctl", "-o", "json", *self.journal_options(), *matches])
            entries = [json.loads(line) for line in out.splitlines()]
        else:
            entries = self.journald.entries(self.since, matches)
        # --sync does not wait for what still lies in journald's socket, so what was said before the mark can be
        # received after it.
        return [e for e in entries if int(e.get("_SOURCE_REALTIME_TIMESTAMP", 1 << 62)) >= self.since * 1e6]

    def events(self, *names, relay=None):
        """Entries of these kinds ("relay-moved") since the mark."""
        matches = [f"MESSAGE_ID={self.MESSAGES[name]}" for name in names]
        if relay:
            matches.append(f"RELAYALLOC_RELAY={relay}")
        return self.journal(*matches)

    def wait_event(self, *names, relay=None, count=1, timeout=30):
        self.wait_until(lambda: len(self.events(*names, relay=relay)) >= count, timeout,
                        f"{count} × {' or '.join(names)}" + (f" of {relay}" if relay else ""),
                        self.journal_text)
        return self.events(*names, relay=relay)

    def journal_text(self, most=150):
        """What the daemon and systemd said about it since the mark, without the samples."""
        samples = {self.MESSAGES["sample-relay"], self.MESSAGES["sample-fleet"]}
        lines = []
        for e in self.journal("-u", "relayallocd"):
            if e.get("MESSAGE_ID") not in samples:
                second = int(e["__REALTIME_TIMESTAMP"]) / 1e6
                reason = f"  [{e['RELAYALLOC_REASON']}]" if e.get("RELAYALLOC_REASON") else ""
                lines.append(f"{second % 1000:7.3f} {e.get('SYSLOG_IDENTIFIER')}: {e['MESSAGE']}{reason}")
        return "\n".join(lines[-most:])

    # --- waiting ---

    @staticmethod
    def wait_until(condition, timeout=30, what="", explain=lambda: ""):
        """The first true value of condition(); fails the test after timeout seconds. Commands that fail while
        it is not there yet count as "not yet"."""
        deadline = time.monotonic() + timeout
        last = None
        while True:
            try:
                value = condition()
                if value:
                    return value
                last = None
            except (AssertionError, OSError, ValueError, LookupError) as error:
                last = error
            if time.monotonic() >= deadline:
                raise AssertionError(f"waited {timeout} s in vain for {what or condition}"
                                     + (f"; last: {last}" if last else "") + f"\n{explain()}")
            time.sleep(0.15)

    def sanitizer_reports(self):
        """What ASan and UBSan wrote about the daemon or relayallocctl since the reset."""
        reports = []
        for where in sorted(self.path("/run/sanitizer").glob("*")):
            reports.append(where.read_text(errors="replace")[:8000])
        for entry in self.journal("_SYSTEMD_UNIT=relayallocd.service"):
            message = entry.get("MESSAGE") or ""
            if isinstance(message, str) and re.search(
                    r"ERROR: (Address|Leak)Sanitizer|runtime error:|AddressSanitizer:DEADLYSIGNAL", message):
                reports.append(message)
        return reports

    def crashes(self):
        """Ends of the daemon by a signal that no test sent, or by an assertion."""
        return [entry["MESSAGE"] for entry in self.journal("_PID=1", "UNIT=relayallocd.service")
                if isinstance(entry.get("MESSAGE"), str)
                and re.search(r"Main process exited, code=(dumped|killed, status=(6|8|11)/)", entry["MESSAGE"])]
