"""A rollout that goes wrong: who fails at which gate is put back, and nobody else is touched. FLEET says of how many
relays (at least 6)."""

import json
import os

import pytest

RELAYS = int(os.environ.get("FLEET", "6"))
BROKEN = "/usr/local/lib/relay-test/libbroken.so"


@pytest.fixture
def broken(fresh):
    def put(path=BROKEN):
        fresh.install_library("broken-malloc.c", path)
    put()
    yield fresh, put
    fresh.sh("rm -rf /usr/local/lib/relay-test /home/relay-test")


def conf(m, how, library=BROKEN, **options):
    return (f'allocators = {{ broken = {{ library = "{library}"; environment = {{ BROKEN = "{how}"; }}; }}; }};\n'
            + m.settings([("A", "broken", 'relays = [ "*" ]')], canary=1, **options))


def assert_put_back(m, before):
    """One relay was tried and is back as it was; the others were never touched."""
    m.wait_event("rollout-halted", timeout=90)
    m.wait_event("relay-put-back", timeout=90)
    tried = {e["RELAYALLOC_RELAY"] for e in m.events("relay-failed")}
    assert len(tried) == 1, tried
    victim = tried.pop()
    after = m.invocations()
    assert {r for r in m.names if after[r] != before[r]} == {victim}
    assert all(m.is_active(m.unit(r)) for r in m.names)
    assert m.drop_in_times() == {}
    assert m.allocator_in_maps(victim) == "glibc" and BROKEN not in m.proc(victim, "maps")
    listing = m.listing()
    assert listing[victim]["state"] == "failed", listing[victim]
    assert m.run("relayallocctl list").returncode == 3
    return victim


@pytest.mark.parametrize("how, settle", [("start", 0), ("soon", 4)], ids=["does not start", "dies while it settles"])
def test_canary_that_fails_is_put_back_and_the_rollout_halts(broken, how, settle):
    m, _ = broken
    before = m.invocations()
    m.write_conf(conf(m, how, parallel=4, settle=settle))
    m.start_daemon()
    victim = assert_put_back(m, before)
    halted = m.events("rollout-halted")[-1]
    assert int(halted["PRIORITY"]) <= 3
    assert m.events("relay-failed", relay=victim)[0]["RELAYALLOC_REASON"]


def test_failed_combination_is_not_tried_again_until_something_changes(broken):
    m, put = broken
    before = m.invocations()
    m.write_conf(conf(m, "start"))
    m.start_daemon()
    victim = assert_put_back(m, before)
    m.mark()
    m.systemctl("restart", "relayallocd")
    m.wait_event("daemon-started")
    m.wait_event("sample-relay", relay=victim, count=3)
    assert m.starts(victim) == 0, "the same relay, allocator and library were tried again"
    assert m.listing()[victim]["state"] == "failed"
    # a file that says otherwise is a new chance
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')], parallel=4))
    m.wait_all("ok", timeout=90)
    assert {m.allocator_in_maps(r) for r in m.names} == {"jemalloc"}


def test_library_that_the_units_sandbox_hides_is_refused_before_anybody_is_restarted(broken):
    m, put = broken
    # tor@.service has ProtectHome=yes
    hidden = "/home/relay-test/libhidden.so"
    put(hidden)
    before = m.invocations()
    m.write_conf(conf(m, "none", library=hidden))
    m.start_daemon()
    m.wait_event("preflight-failed", "library-refused", timeout=60)
    said = m.events("preflight-failed", "library-refused")[0]
    assert "ProtectHome" in said["MESSAGE"] or hidden in said["MESSAGE"]
    assert "sandbox" in said["MESSAGE"]
    m.wait_event("sample-relay", count=3 * RELAYS)
    assert len(m.events("rollout-started")) <= 1, "what was refused is tried again and again"
    assert set(m.states().values()) <= {"failed", "pending"}
    assert m.invocations() == before
    assert m.drop_in_times() == {}


def harden(m, relay, *lines):
    """A drop-in of its operator, loaded but not in force yet: systemd sets a sandbox up at the next start."""
    m.write(f"/etc/systemd/system/{m.unit(relay)}.d/99-hardening.conf", "\n".join(["[Service]", *lines, ""]))
    m.systemctl("daemon-reload")


@pytest.mark.parametrize("lines, code, hint", [
    (["ProtectSystem=strict", "ReadWritePaths=/srv/tor/relay1"], "226/NAMESPACE", "/srv/tor/relay1: No such file"),
    (["NoExecPaths=/"], "203/EXEC", "ExecPaths=/usr"),
], ids=["path that is missing", "nothing may be executed"])
@pytest.mark.parametrize("victim", ["relay1", "relay4"])
def test_broken_sandbox_of_one_relay_holds_up_nobody_else(fresh, victim, lines, code, hint):
    m = fresh
    harden(m, victim, *lines)
    before = m.invocations()
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')], parallel=2, canary=1))
    m.start_daemon()
    m.wait_event("rollout-finished", timeout=90)
    assert m.invocation(victim) == before[victim] and m.is_active(m.unit(victim)) and m.drop_in(victim) is None
    others = [r for r in m.names if r != victim]
    m.wait_all("ok", others)
    assert {m.allocator_in_maps(r) for r in others} == {"jemalloc"}
    row = m.listing()[victim]
    assert row["state"] == "failed" and m.run("relayallocctl list").returncode == 3
    said = m.run(["relayallocctl", "status", victim]).stdout
    assert code in said and hint in " ".join(said.split()), said
    refused = m.events("relay-refused", relay=victim)
    assert len(refused) == 1 and code in refused[0]["RELAYALLOC_REASON"] and hint in refused[0]["RELAYALLOC_REASON"]
    assert m.events("preflight-failed") == [], "the allocator itself was refused"
    assert "relayalloc-preflight" not in m.systemctl("list-units", "--all"), "left over"
    # put right and reloaded, it is moved as the others were
    m.sh(f"rm /etc/systemd/system/{m.unit(victim)}.d/99-hardening.conf; systemctl daemon-reload; "
         "systemctl reload relayallocd")
    m.wait_all("ok")
    assert m.allocator_in_maps(victim) == "jemalloc" and m.starts(victim) == 1


@pytest.mark.not_sanitized
def test_what_is_missing_is_named_by_a_journald_that_is_late(fresh):
    """It reads what systemd's child complained of when the child is gone, and no longer finds of which unit it was."""
    m = fresh
    harden(m, "relay1", "ProtectSystem=strict", "ReadWritePaths=/srv/tor/relay1")
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1" ]')]))
    m.sh("kill -STOP $(systemctl show -P MainPID systemd-journald)")
    m.start_daemon()
    m.wait_until(lambda: "failed" in m.systemctl("list-units", "--all", "--plain", "--no-legend", "relayalloc-preflight*"), 30,
                 "the preflight to fail")
    m.sh("kill -CONT $(systemctl show -P MainPID systemd-journald)")
    refused = m.wait_event("preflight-failed")[0]
    assert "/srv/tor/relay1: No such file" in refused["RELAYALLOC_REASON"]


def test_one_broken_group_does_not_reach_the_others_relays(broken):
    m, _ = broken
    before = m.invocations()
    m.write_conf('allocators = { broken = { library = "' + BROKEN + '"; environment = { BROKEN = "start"; }; }; };\n'
                 + m.settings([("A", "broken", 'relays = [ "relay1", "relay2", "relay3" ]'),
                               ("B", "jemalloc", 'relays = [ "*" ]')], parallel=4, canary=1))
    m.start_daemon()
    m.wait_event("rollout-halted", "rollout-finished", timeout=90)
    assert all(m.is_active(m.unit(r)) for r in m.names)
    after = m.invocations()
    touched = {r for r in ("relay1", "relay2", "relay3") if after[r] != before[r]}
    assert len(touched) == 1
    for relay in ("relay1", "relay2", "relay3"):
        assert m.allocator_in_maps(relay) == "glibc" and m.drop_in(relay) is None


def test_one_library_broken_on_purpose_in_a_whole_fleet(broken, figures):
    """As an operator meets it: a rollout to several groups, watched by reload --wait, one group's library broken."""
    m, _ = broken
    m.start_daemon()
    m.wait_all("observed")
    half = ", ".join(f'"{r}"' for r in m.names[::2])
    m.write_conf('allocators = { broken = { library = "' + BROKEN + '"; environment = { BROKEN = "start"; }; }; };\n'
                 + m.settings([("A", "jemalloc", f"relays = [ {half} ]"), ("B", "broken", 'relays = [ "*" ]')],
                              parallel=4, settle=1, canary=1))
    before = m.invocations()
    watched = m.run("relayallocctl reload --wait", timeout=300)
    said = watched.stdout + watched.stderr
    victims = {e["RELAYALLOC_RELAY"] for e in m.events("relay-failed")}
    assert len(victims) == 1, victims
    victim = victims.pop()
    assert victim not in m.names[::2], "the group whose library is sound failed"
    # the exit status and what was printed say why
    assert watched.returncode == 1, (watched.returncode, said)
    assert victim in said and "halted" in said, said
    # the canary is back as it was, with all others
    m.wait_event("relay-put-back", relay=victim)
    assert all(m.is_active(m.unit(r)) for r in m.names)
    assert m.allocator_in_maps(victim) == "glibc" and m.drop_in(victim) is None
    assert m.starts(victim) == 1, "the start that put it back"
    after = m.invocations()
    moved = {r for r in m.names if after[r] != before[r]} - {victim}
    assert moved == {m.names[0]}, "the canary of the sound group, and nobody else"
    assert all(m.allocator_in_maps(r) == "glibc" for r in m.names if r not in moved)
    # and so does each way to ask later
    status = m.run("relayallocctl status")
    assert status.returncode == 3 and "halted" in status.stdout and victim in status.stdout, status.stdout
    rows = m.listing()
    assert rows[victim]["state"] == "failed" and m.run("relayallocctl list").returncode == 3
    figures(f"{RELAYS} relays, one of two groups with a broken library ({m.release}): canary {victim} put back, "
            f"{len(moved)} moved, all {RELAYS} active; reload --wait ended with {watched.returncode} and:")
    figures("\n".join("    " + line for line in said.strip().splitlines()[-4:]))


def test_relay_that_ignores_its_stop_signal_is_waited_for(fresh):
    m = fresh
    m.write("/etc/systemd/system/tor@relay1.service.d/20-slow.conf",
            "[Service]\nKillSignal=SIGWINCH\nTimeoutStopSec=4\n")
    m.systemctl("daemon-reload")
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1", "relay2" ]')]))
    m.start_daemon()
    m.wait_all("ok", ["relay1", "relay2"], timeout=90)
    assert m.allocator_in_maps("relay1") == "jemalloc"
    assert m.starts("relay1") == 1
    assert m.events("relay-failed") == []


@pytest.fixture
def small_etc(broken):
    """relay1 runs jemalloc by our drop-in, and its unit files lie on a file system of their own, which can be filled."""
    m, _ = broken
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    m.wait_all("ok", ["relay1"])
    m.sh("""systemctl stop relayallocd
            mkdir -p /run/small && mount -t tmpfs -o size=512k,mode=755 tmpfs /run/small
            cp -a /etc/systemd/system/. /run/small && mount --bind /run/small /etc/systemd/system""")
    m.mark()
    yield m
    m.sh("systemctl stop relayallocd; umount /etc/systemd/system /run/small")


FILL = "dd if=/dev/zero of=/run/small/filler bs=4k 2>/dev/null"


def test_disk_that_is_full_at_the_put_back(small_etc):
    m = small_etc
    text = m.drop_in("relay1")
    m.write_conf(conf(m, "soon", settle=8))
    m.start_daemon()
    m.wait_event("relay-restarting", relay="relay1")
    m.sh(f"{FILL}; true")
    m.wait_event("rollout-halted", timeout=90)
    assert m.is_active("tor@relay1") and m.allocator_in_maps("relay1") == "jemalloc"
    assert m.drop_in("relay1") == text
    assert m.events("relay-put-back", relay="relay1") and not m.events("relay-lost")
    assert m.sh("ls /etc/systemd/system/tor@relay1.service.d").split() == ["zz-relayalloc.conf"]


def test_disk_that_is_full_at_the_put_back_and_nothing_is_kept(small_etc):
    m = small_etc
    m.write_conf(conf(m, "soon", settle=8))
    m.start_daemon()
    m.wait_event("relay-restarting", relay="relay1")
    m.sh(f"rm /etc/systemd/system/tor@relay1.service.d/*.previous; {FILL}; true")
    m.wait_event("rollout-halted", timeout=90)
    # Better on what it has without us than down.
    assert m.is_active("tor@relay1") and m.allocator_in_maps("relay1") == "glibc" and m.drop_in("relay1") is None
    reason = m.events("relay-lost", relay="relay1")[0]["RELAYALLOC_REASON"]
    assert "no space left on the device that holds /etc/systemd/system" in reason and "removed instead" in reason, reason


def test_read_only_etc_halts_and_nothing_is_restarted(fresh):
    m = fresh
    before = m.invocations()
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')]))
    m.sh("mkdir -p /etc/systemd/system && mount --bind /etc/systemd/system /etc/systemd/system && "
         "mount -o remount,bind,ro /etc/systemd/system")
    try:
        m.start_daemon()
        m.wait_event("rollout-halted", timeout=60)
        said = json.dumps(m.events("relay-failed", "rollout-halted"))
        assert "ead-only" in said, said
        assert m.invocations() == before
    finally:
        m.sh("systemctl stop relayallocd; umount /etc/systemd/system")
    assert m.drop_in_times() == {}


@pytest.fixture
def units(broken):
    """A gate that is open while a file is there, and an alert that writes what it is told into another."""
    m, _ = broken
    m.write("/etc/systemd/system/my-gate.service", "[Service]\nType=oneshot\nExecStart=/usr/bin/test -e /run/gate-open\n")
    m.write("/etc/systemd/system/relayalloc-alert@.service",
            "[Service]\nType=oneshot\nExecStart=/bin/sh -c 'echo \"$0 $1\" >>/run/alerts; sleep 600' %i %I\n")
    m.systemctl("daemon-reload")
    yield m
    m.sh("systemctl stop 'relayalloc-alert@*'; rm -f /run/gate-open /run/alerts /etc/systemd/system/my-gate.service "
         "/etc/systemd/system/relayalloc-alert@.service; systemctl daemon-reload; systemctl reset-failed")


@pytest.mark.not_sanitized
def test_gate_of_the_operators_holds_the_rollout_and_the_halt_is_told(units):
    m = units
    before = m.invocations()
    text = conf(m, "start", parallel=2)
    m.write("/tmp/none.conf", text.replace("rollout = {", 'rollout = { gate = "no-gate.service";'))
    assert "rollout.gate: warning: no rollout begins: no-gate.service does not exist" in m.run("relayallocctl check /tmp/none.conf").stderr
    m.write("/tmp/wrong.conf", text.replace("rollout = {", 'rollout = { gate = "tor@relay1.service";'))
    assert "tor@relay1.service is not run: a gate is a service with Type=oneshot" in m.run("relayallocctl check /tmp/wrong.conf").stderr
    m.write_conf(text.replace("rollout = {", 'rollout = { gate = "my-gate.service";'))
    assert "gate" not in m.run("relayallocctl check").stderr
    m.start_daemon()
    m.wait_event("gate-shut", timeout=60)
    assert "waiting for the gate my-gate.service: it failed (exit status 1); tried again in" in m.sh("relayallocctl status || true")
    assert m.invocations() == before and m.drop_in_times() == {}
    m.sh("touch /run/gate-open; relayallocctl pause; relayallocctl resume")
    m.wait_event("gate-open", timeout=60)
    victim = assert_put_back(m, before)
    m.wait_until(lambda: m.exists("/run/alerts") and m.read("/run/alerts").endswith("\n"), 60, "the alert")
    assert m.read("/run/alerts") == f"halted-{victim} halted/{victim}\n"
    assert m.prop(f"relayalloc-alert@halted-{victim}.service", "ActiveState") == "activating", "nobody waits for it"


@pytest.mark.not_sanitized
def test_way_back_over_a_read_only_etc(broken):
    """The daemon is started anew while it is read-only, so its own mounts stay so: it ends, is started again, and puts back
    what it could not."""
    m, _ = broken
    etc = "/etc/systemd/system"
    m.write_conf(conf(m, "soon", settle=60))
    m.sh(f"mount --bind {etc} {etc}")
    try:
        m.start_daemon()
        tried = m.wait_event("relay-restarting", timeout=60)[0]["RELAYALLOC_RELAY"]
        m.sh(f"mount -o remount,bind,ro {etc}; systemctl kill -s KILL relayallocd")
        lost = m.wait_event("relay-lost", relay=tried, timeout=120)[0]
        assert "Read-only file system" in lost["RELAYALLOC_REASON"] and "tried again with each sample" in lost["MESSAGE"]
        m.wait_event("rollout-halted", timeout=60)
        assert f"Not back: {tried}: " in m.run("relayallocctl status").stdout
        m.sh(f"mount -o remount,bind,rw {etc}")
        m.wait_event("relay-put-back", relay=tried, timeout=120)
        m.wait_until(lambda: all(m.is_active(m.unit(r)) for r in m.names), 60, "all to be up", m.journal_text)
        assert f"{etc} was read-only for relayallocd when it started. It is writable on the host now" in m.journal_text()
        assert m.show("relayallocd", "NRestarts", "Result") == {"NRestarts": "2", "Result": "success"}
        assert m.drop_in_times() == {} and {m.allocator_in_maps(r) for r in m.names} == {"glibc"}
        assert "Not back" not in m.run("relayallocctl status").stdout
    finally:
        m.sh(f"systemctl stop relayallocd; umount {etc}")
