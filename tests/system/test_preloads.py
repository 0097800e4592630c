"""What others preload besides an allocator, as Debian's mptcpize does: kept behind ours, and forgotten with its file."""

import subprocess

import pytest

from machine import REPO

RELAYS = 3
WRAP = "/usr/local/lib/relay-test/libwrap.so"


@pytest.fixture
def wrapped(fresh):
    """relay1 and relay2 preload a library that is no allocator, by a drop-in of their operator; loaded, and in force."""
    m = fresh
    built = REPO / "build/tests/libwrap.so"
    built.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o", built, "-"], input="int wrapped(void) { return 1; }",
                   text=True, check=True)
    m.path(WRAP).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    m.path(WRAP).write_bytes(built.read_bytes())
    m.path(WRAP).chmod(0o644)
    for relay in ("relay1", "relay2"):
        m.write(f"/etc/systemd/system/{m.unit(relay)}.d/10-mptcp.conf", f"[Service]\nEnvironment=LD_PRELOAD={WRAP}\n")
    m.systemctl("daemon-reload")
    m.systemctl("restart", m.unit("relay1"), m.unit("relay2"))
    m.mark()
    yield m
    m.sh("rm -rf /usr/local/lib/relay-test")


def preloads(m, relay):
    return next(line for line in m.drop_in(relay).splitlines() if line.startswith('Environment="LD_PRELOAD='))


def test_preload_that_is_no_allocator_is_kept(wrapped):
    m = wrapped
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1" ]'), ("G", "glibc", 'relays = [ "relay2" ]'),
                             ("B", "jemalloc", 'relays = [ "relay3" ]')], parallel=3))
    assert WRAP in m.proc("relay1", "maps")
    m.start_daemon()
    m.wait_all("ok")
    assert preloads(m, "relay1").endswith(f'/libjemalloc.so.2:{WRAP}"')
    assert preloads(m, "relay2") == f'Environment="LD_PRELOAD={WRAP}"'
    assert WRAP not in preloads(m, "relay3")
    for relay, allocator in (("relay1", "jemalloc"), ("relay2", "glibc")):
        assert m.allocator_in_maps(relay) == allocator and WRAP in m.proc(relay, "maps")
        said = " ".join(m.run(["relayallocctl", "status", relay]).stdout.split())
        assert f"10-mptcp.conf preloads {WRAP}" in said, said
    assert [m.starts(r) for r in ("relay1", "relay2", "relay3")] == [1, 0, 1], "relay2 runs as it should"
    assert len(m.events("preload-kept", relay="relay1")) == 1 and m.events("dropin-conflict") == []
    assert m.run("relayallocctl doctor").stdout.count("10-mptcp.conf sets LD_PRELOAD") == 0

    # without the daemon the same is found: nothing to do
    m.systemctl("stop", "relayallocd")
    assert "Nothing to do" in m.run("relayallocctl plan").stdout
    m.systemctl("start", "relayallocd")
    m.wait_all("ok")

    # it is forgotten when its file goes, and nobody is restarted for that
    m.mark()
    m.sh(f"rm /etc/systemd/system/{m.unit('relay1')}.d/10-mptcp.conf; systemctl daemon-reload")
    m.wait_until(lambda: WRAP not in preloads(m, "relay1"), 30, "the drop-in to forget it", m.journal_text)
    m.wait_all("ok")
    assert m.starts("relay1") == 0

    # and a revert leaves what is not ours
    m.sh("relayallocctl revert relay2 --wait")
    assert m.drop_in("relay2") is None and m.starts("relay2") == 0 and WRAP in m.proc("relay2", "maps")
