"""What the unit grants the daemon is needed: each right is taken away in turn, and something breaks.

(CAP_CHECKPOINT_RESTORE has no effect in a container; test_proof.py shows what it is for where it has one.)"""

import re

import pytest

RELAYS = 2
METRICS = "/var/lib/prometheus/node-exporter"
LIBRARY = "/home/relay-test/libmine.so"
CAPABILITIES = re.compile(r"^CapabilityBoundingSet=(.*)$", re.M)


@pytest.fixture
def host(fresh):
    """A relay to be moved, one more whose allocator is in a home, an environment file of another user, a metrics file."""
    m = fresh
    m.sh(f"""
        mkdir -p {METRICS} /etc/relay-test {LIBRARY.rsplit('/', 1)[0]}
        chown -R 65534 /var/lib/prometheus
        cp /usr/lib/*/libjemalloc.so.2 {LIBRARY}
        echo "LD_PRELOAD=libjemalloc.so.2" >/etc/relay-test/environment
        chown -R 65534 /etc/relay-test
        chmod 0700 /etc/relay-test
    """)
    m.write("/etc/systemd/system/tor@relay2.service.d/environment.conf",
            "[Service]\nEnvironmentFile=/etc/relay-test/environment\n")
    m.write_conf(f'allocators = {{ mine = {{ library = "{LIBRARY}"; }}; }};\n'
                 + m.settings([("A", "jemalloc", 'relays = [ "relay1" ]'), ("B", "glibc", 'relays = [ "relay2" ]'),
                               ("C", "mine", 'relays = [ "nobody" ]')])
                 + f'metrics = {{ textfile = "{METRICS}/relayalloc.prom"; }};\n')
    yield m
    m.systemctl("stop", "relayallocd")
    m.sh("rm -rf /etc/systemd/system/relayallocd.service.d/zz.conf /home/relay-test /var/lib/prometheus")
    m.systemctl("daemon-reload")
    m.systemctl("reset-failed")


def without(m, capability):
    have = CAPABILITIES.search(m.sh("systemctl cat relayallocd"))[1].split()
    assert capability in have
    return "CapabilityBoundingSet=\nCapabilityBoundingSet=" + " ".join(c for c in have if c != capability)


NO_PROBE = r"libjemalloc\.so\.2 cannot be looked up: \S+ cannot be run: Operation not permitted"
# The right, the lines that take it away (or the capability), and what is said then.
RIGHTS = [
    ("nothing", "", None),
    # nothing is known of them then, so nothing is done to them
    ("to read relays", "CAP_SYS_PTRACE", r"(?s)^(?!.*relay1: (wrote|restarting)).*relay1: the files of process \d+ in /proc cannot be read"),
    ("to become nobody", "CAP_SETUID", NO_PROBE),
    ("to take nobody's group", "CAP_SETGID", NO_PROBE),
    ("setresuid", "SystemCallFilter=~setresuid", NO_PROBE),
    ("setresgid", "SystemCallFilter=~setresgid", NO_PROBE),
    ("setgroups", "SystemCallFilter=~setgroups", NO_PROBE),
    ("files of others", "SystemCallFilter=~setfsuid", r"cannot write \S+relayalloc\.prom: Permission denied"),
    # a path that must not be executed is writable, too, for systemd, so both go
    ("to write drop-ins", f"NoExecPaths=\nReadWritePaths=\nReadWritePaths={METRICS}",
     r"cannot write \S+/zz-relayalloc\.conf: Read-only"),
    ("to write metrics", "NoExecPaths=\nReadWritePaths=\nReadWritePaths=/etc/systemd/system",
     r"cannot write \S+relayalloc\.prom: .* its sandbox does not let it write there"),
    ("a state", "NoExecPaths=\nStateDirectory=", r"/var/lib/relayalloc\S* cannot be written|Cannot save /var/lib/relayalloc"),
    ("sockets of the bus", "RestrictAddressFamilies=none", r"relayallocd\.service: Failed with result"),
    ("to see homes", "ProtectHome=yes", r"Allocator mine is refused"),
    ("users of the host", "PrivateUsers=yes", NO_PROBE),
    ("root", "User=daemon", r"is not allowed to own the service"),
]


@pytest.mark.parametrize(("lines", "said"), [right[1:] for right in RIGHTS], ids=[right[0].replace(" ", "-") for right in RIGHTS])
def test_what_breaks_without(host, lines, said):
    m = host
    if m.sanitize and lines:
        return  # its unit grants more
    if lines:
        if lines.startswith("CAP_"):
            lines = without(m, lines)
        m.write("/etc/systemd/system/relayallocd.service.d/zz.conf", f"[Service]\nRestart=no\n{lines}\n")
        m.systemctl("daemon-reload")
    m.run("systemctl start relayallocd")
    if said:
        m.wait_until(lambda: re.search(said, m.journal_text()), 20, said, m.journal_text)
        return
    m.wait_all("ok")
    m.wait_until(lambda: m.exists(f"{METRICS}/relayalloc.prom"), 15, "the metrics")
    written = m.path(f"{METRICS}/relayalloc.prom").stat()
    assert (written.st_mode & 0o777, written.st_uid) == (0o644, 65534), "as the exporter's own user"
    # What is private to other users: a relay's control socket, the environment file.
    assert re.search(r"relay1 was not bootstrapped before its restart, 0 %", m.journal_text()), "its socket was not reached"
    m.wait_until(lambda: "relay2: /etc/relay-test/environment sets LD_PRELOAD" in m.journal_text(), 20, "the environment file")
    assert {relay: m.allocator_in_maps(relay) for relay in m.names} == {"relay1": "jemalloc", "relay2": "glibc"}
    for right in RIGHTS[1:]:
        assert not re.search(right[2], m.journal_text()), right[0]


@pytest.mark.not_sanitized
def test_the_unit_grants_nothing_else(fresh):
    """A new capability or path comes with a line in RIGHTS."""
    text = fresh.sh("systemctl cat relayallocd")
    tried = {right[1] for right in RIGHTS if right[1].startswith("CAP_")}
    assert set(CAPABILITIES.search(text)[1].split()) == tried | {"CAP_CHECKPOINT_RESTORE"}
    assert re.findall(r"^ReadWritePaths=(.*)$", text, re.M) == [f"/etc/systemd/system -{METRICS}"]
    granted = re.findall(r"^SystemCallFilter=([^@~].*)$", text, re.M)
    assert granted == ["setresuid setresgid setgroups setfsuid"]


@pytest.mark.not_sanitized
def test_exposure(fresh, figures):
    """As systemd judges it; what may not be granted here lets a daemon with a hole do little."""
    judged = fresh.run("systemd-analyze security --no-pager relayallocd").stdout
    figure = float(re.search(r"Overall exposure level for relayallocd.service: (\S+)", judged)[1])
    figures(f"{fresh.release}: systemd-analyze security relayallocd: {figure}")
    assert figure <= 1.5, judged
