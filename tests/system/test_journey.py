"""The command blocks of README.md, docs/operators.md and docs/ubuntu.md, taken from there and typed as they stand, one
after the other. A block that is changed is tried as changed; one that no test knows fails."""

import re

import pytest

from machine import REPO

RELAYS = 7  # the guide speaks of relay7
pytestmark = pytest.mark.release("last")  # of two that share the tests: "first" has the network of test_bootstrap
BROKEN = "/usr/local/lib/relay-test/libbroken.so"

# What a machine without network, compiler and terminal cannot do: why, and who tries it.
ELSEWHERE = {
    r"apt update ": "no network; tests/demo/on-new-host types it in a new Debian",
    r"apt (install|remove|purge) ": "no network; tests/packaging does it with the package on booted hosts",
    r"make( demo| check)?$": "no compiler; make demo: tests/demo/on-new-host; make check is what runs this; make: each machine",
    r"make && make install ": "likewise",
    r"make (un)?install ": "no compiler; each machine is installed so (machine install), tests/ctl/test_install.py does both",
    r"make (deb|repo)\b": "tests/packaging makes and serves the packages",
    r"/usr/local/lib/mimalloc/\S+ mr,$": "a line for AppArmor, which needs a kernel of its own: tests/vm",
    r"relayallocctl -H ": "no second host; tests/ctl/test_usage.py does it through an ssh of its own",
    r"systemctl start relayalloc-alert@": "no mail; tests/ctl/test_alert_examples.py runs the examples",
    r"systemctl edit ": "no terminal; its lines are written as it would",
}
# Commands that may end so, too; with 3 relayallocctl says that something is not as assigned yet.
STATUSES = {
    "relayallocctl status": {0, 3},
    "relayallocctl list": {0, 3},
    "relayallocctl doctor": {0, 1},  # with findings
    "relayallocctl list --state=drifted --no-legend -o RELAY": {0, 3},
    "relayallocctl abort": {0, 1},  # "if the rollout is still in progress"
    "systemctl status tor@relay7": {0, 3},
    "systemctl status relayalloc-gate": {3},  # it failed
    "relayallocctl recommend": {1},  # nothing yet: the first 48 hours do not count
    "relayallocctl experiment adopt": {1},  # likewise
}


def blocks(document):
    """(heading, [lines]) of each indented block."""
    heading, block, found = "", [], []
    for line in [*(REPO / document).read_text().splitlines(), "end"]:
        if line.startswith("    "):
            block.append(line[4:])
            continue
        screen = bool(block) and block[0].startswith("$ ")
        if block and (line or not screen):  # what a screen shows has empty lines
            found.append((heading, block))
            block = []
        if line.startswith("#"):
            heading = line.lstrip("# ")
    return found


def is_shown(block):
    """What a screen shows, with or without its command."""
    return block[0].startswith("$ ") or bool(re.match(r"[A-Z]+ {2,}|[A-Z]+ [A-Z]+ ", block[0]))


def without_remark(line):
    return re.sub(r"\s{2,}#.*", "", line)


def is_setting(line):
    return bool(re.match(r"\w+ = [({]", line))


class Journey:
    """One operator at one machine, document by document."""

    def __init__(self, m):
        self.m = m
        m.write("/root/editor", '#!/bin/sh\ncp /root/draft "$1"\n', 0o755)

    def settings(self, text):
        """A block that is (a part of) the configuration: valid as it stands, and what the next command means."""
        self.m.write("/root/draft", text)
        self.m.sh("relayallocctl check /root/draft")

    def type(self, line):
        command = without_remark(line)
        if any(re.match(pattern, command) for pattern in ELSEWHERE):
            return
        follows = command.endswith(" -f")
        if command.startswith("relayallocctl history"):
            self.m.wait_until(lambda: self.m.run(command).returncode == 0, 90, "its first sample")
        environment = "cd /root; export EDITOR=/root/editor; "
        done = self.m.run(environment + (f"timeout 2 {command}" if follows else f"printf 'y\\n' | {command}"))
        said = f"{command}\nstatus {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode in ({124} if follows else STATUSES.get(command, {0})), said
        assert done.stdout or not follows, said
        if command.startswith("cp ") and command.endswith(" new.conf"):  # "and change it"
            self.m.sh("cp /root/draft /root/new.conf")
        self.settle(command)

    def settle(self, command):
        """What a command sets going is waited for where the next says nothing without it."""
        m = self.m
        if command == "systemctl enable --now relayallocd":
            m.wait_all("observed")
        elif command.startswith("relayallocctl revert"):
            relays = [r for r in m.names if r in command.split()] or m.names
            m.wait_until(lambda: all(m.drop_in(r) is None for r in relays), 60, "all to be taken back")

    def read(self, document, before, after):
        """before, after: by heading, what its text presupposes and what it promises."""
        known = set()
        found = blocks(document)
        assert found, document
        for number, (heading, block) in enumerate(found):
            if is_shown(block):
                continue
            if heading not in known and heading in before:
                before[heading]()
            known.add(heading)
            if is_setting(block[0]):
                self.settings("\n".join(block) + "\n")
            else:
                for line in block:
                    if not line.startswith("  "):  # what is typed into an editor
                        self.type(line)
            if heading in after and heading not in {h for h, b in found[number + 1:] if not is_shown(b)}:
                after[heading]()
        assert set(before) | set(after) <= known, "a heading that is not there any more"


def all_run(m, allocator, relays=None):
    relays = relays or m.names
    m.wait_all("ok", relays)
    assert {m.allocator_in_maps(r) for r in relays} == {allocator}


def stop_daemon(m):
    m.systemctl("disable", "--now", "relayallocd")
    m.reset()


def test_readme(fresh):
    m = fresh
    journey = Journey(m)

    def edited():
        m.wait_all("reverted")
        assert {m.allocator_in_maps(r) for r in m.names} == {"glibc"} and all(m.is_active(m.unit(r)) for r in m.names)
        assert {e["RELAYALLOC_RELAY"] for e in m.events("relay-moved")} == set(m.names), "edit and the file moved them"

    original = journey.settle

    def settle(command):
        if command == "relayallocctl edit":
            all_run(m, "jemalloc")
        original(command)

    journey.settle = settle
    m.write("/etc/relayalloc.conf", "# nothing yet\n")
    try:
        # the settle time of the default would only be waited for
        m.write("/root/fast", "rollout = { parallel = 4; settle = 0; canary = 0; };\n")
        m.write("/root/editor", '#!/bin/sh\ncat /root/draft /root/fast >"$1"\n', 0o755)
        journey.read("README.md", {}, {"On a real host": edited})
        journey.read("docs/ubuntu.md", {}, {})
    finally:
        stop_daemon(m)


def test_guide(fresh):
    m = fresh
    journey = Journey(m)
    m.install_library("broken-malloc.c", BROKEN)

    def observed():
        assert m.states() == {r: "observed" for r in m.names}

    def tried():
        m.wait_all("ok", ["relay1"], timeout=120)
        assert m.allocator_in_maps("relay1") == "jemalloc" and m.allocator_in_maps("relay2") == "glibc"

    def broken(on_failure):
        return (f'allocators = {{ broken = {{ library = "{BROKEN}"; environment = {{ BROKEN = "start"; }}; }}; }};\n'
                'groups = ( { name = "B"; allocator = "broken"; relays = [ "relay7" ]; } );\n'
                f'rollout = {{ settle = 0; canary = 0; on_failure = "{on_failure}"; }};\n')

    def halted():
        m.write_conf(broken("rollback"))
        m.wait_event("rollout-halted", timeout=90)

    def down():
        m.sh("relayallocctl resume; true")
        m.write_conf(broken("stop"))
        m.wait_event("relay-lost", timeout=90)
        m.sh(f"rm {BROKEN}")  # which was the cause

    def up():
        assert m.is_active("tor@relay7.service")

    def gate_failed():
        m.write("/etc/systemd/system/relayalloc-gate.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n")
        m.sh("systemctl daemon-reload; systemctl start relayalloc-gate || true")

    def told():
        m.sh("systemctl cat relayalloc-alert@down-test.service && test -x /usr/local/lib/relayalloc-alert-mail")
        m.sh("rm /etc/systemd/system/relayalloc-alert@.service /usr/local/lib/relayalloc-alert-mail "
             "/etc/systemd/system/relayalloc-gate.service; systemctl daemon-reload; systemctl reset-failed relayalloc-gate")

    def moved():
        m.write_conf(m.settings([("all", "jemalloc", 'relays = [ "*" ]')], parallel=4))
        m.sh("relayallocctl resume; true")
        all_run(m, "jemalloc")

    def removed():
        assert not m.exists("/etc/relayalloc.conf") and all(m.is_active(m.unit(r)) for r in m.names)
        assert {m.allocator_in_maps(r) for r in m.names} == {"glibc"}
        m.write_conf("# no groups\n")
        m.start_daemon()

    def metrics():
        m.sh("mkdir -p /srv/metrics")
        m.write("/etc/systemd/system/relayallocd.service.d/override.conf", "[Service]\nReadWritePaths=/srv/metrics\n")
        m.systemctl("daemon-reload")

    def restarted():
        assert m.is_active("relayallocd.service")
        m.sh("rm -r /etc/systemd/system/relayallocd.service.d/override.conf")
        m.systemctl("daemon-reload")

    m.start_daemon()  # as its package does
    m.wait_all("observed")
    try:
        journey.read("docs/operators.md",
                     {"A rollout has halted": halted, "A relay is down": down, "A rollout waits for its gate": gate_failed,
                      "Taking it back": moved, "Several hosts": metrics},
                     {"Try it first": observed, "The first rollout": tried, "A relay is down": up, "Being told": told,
                      "Removing it": removed, "Several hosts": restarted})
    finally:
        m.sh("rm -rf /usr/local/lib/relay-test")
        stop_daemon(m)


def test_every_line_elsewhere_is_still_there():
    """What is left out here stands in one of the documents."""
    lines = [line for document in ("README.md", "docs/operators.md", "docs/ubuntu.md") for _, block in blocks(document)
             if not is_shown(block) for line in block]
    for pattern in ELSEWHERE:
        assert any(re.match(pattern, without_remark(line.strip())) for line in lines), pattern
