"""Whatever fails around a rollout, or kills the daemon in the middle of it: relays stay up, files stay whole, and
the rollout ends where the file says. KILLS says at how many random moments the daemon is killed."""

import collections
import os
import random
import time

RELAYS = 12
KILLS = int(os.environ.get("KILLS", "8"))


def conf(m, allocator, **options):
    return m.settings([("A", allocator, 'relays = [ "*" ]')], parallel=6, **options)


def assert_files_whole(m):
    for path in m.drop_in_times():
        text = m.read("/etc/systemd/system/" + path)
        assert text.startswith("# relayalloc: written from ") and text.endswith("\n"), (path, text)
        assert "[Service]\n" in text and "LD_PRELOAD=" in text, (path, text)
    leftover = m.sh("find /etc/systemd/system -path '*tor@*' -type f ! -name zz-relayalloc.conf")
    assert leftover == "", f"temporary files stayed behind: {leftover}"


def assert_nobody_down(m):
    """Each relay runs, or systemd has a job that brings it up: between the two halves of a restart it is down."""
    shown = m.sh("systemctl show -p ActiveState,Job " + " ".join(m.unit(r) for r in m.names))
    units = [dict(line.split("=", 1) for line in block.splitlines()) for block in shown.strip().split("\n\n")]
    assert len(units) == len(m.names), shown
    for relay, unit in zip(m.names, units):
        assert unit["ActiveState"] in ("active", "activating") or unit.get("Job", "0") not in ("", "0"), (relay, unit)


def killed_once(m, allocator, moment):
    """A rollout to the allocator, killed at the moment and begun again; the starts of each relay."""
    m.systemctl("stop", "relayallocd")
    m.mark()
    m.write_conf(conf(m, allocator))
    began = time.monotonic()
    m.systemctl("start", "--no-block", "relayallocd")
    m.wait_until(lambda: time.monotonic() - began >= moment, moment + 5, "the moment to come")
    m.run("systemctl kill -s KILL relayallocd")
    assert_nobody_down(m)
    m.sh("systemctl reset-failed relayallocd 2>/dev/null || true; systemctl start relayallocd")
    m.wait_until(lambda: {m.allocator_in_maps(r) for r in m.names} == {allocator}, 120, f"all to run {allocator}",
                 m.journal_text)
    m.wait_all("ok")
    assert_files_whole(m)
    starts = [m.starts(r) for r in m.names]
    assert max(starts) <= 2, f"starts of {m.names}: {starts}"
    return starts


def test_killed_at_random_moments(fresh, figures):
    m = fresh
    seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
    chance = random.Random(seed)
    extra = collections.Counter()
    tried, broken = 0, None
    # how long a rollout takes here, so that the moments cover it whole
    m.write_conf(conf(m, "jemalloc"))
    began = time.monotonic()
    m.start_daemon()
    m.wait_event("rollout-finished", timeout=120)
    length = time.monotonic() - began
    m.wait_all("ok")
    while tried < KILLS and not broken:
        moment = chance.uniform(0, length * 1.1)
        try:
            starts = killed_once(m, ("tcmalloc", "jemalloc")[tried % 2], moment)
            extra.update(n - 1 for n in starts)
        except AssertionError as error:
            broken = f"killed at {moment:.3f} s of {length:.3f} s (attempt {tried}, SEED={seed}): {error}"
        tried += 1
    figures(f"Killed at random moments of a rollout of {RELAYS} relays that takes {length:.1f} s ({m.release}, SEED={seed}): "
            f"moments tried {tried}, invariants broken {int(bool(broken))}, restarts more than needed: "
            + ", ".join(f"{n}: {count} times" for n, count in sorted(extra.items())))
    assert not broken, broken
    # A moment at which nothing was lost costs nothing: most relays need no second restart.
    assert extra[0] >= extra[1]


def rollout_with(m, disturb, timeout=120):
    """A rollout that disturb() disturbs when the second relay has been moved."""
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')], parallel=2))
    m.start_daemon()
    m.wait_event("relay-moved", count=2, timeout=60)
    disturb()
    m.wait_until(lambda: {m.allocator_in_maps(r) for r in m.names} == {"jemalloc"}, timeout, "all to run jemalloc",
                 m.journal_text)
    m.wait_all("ok", timeout=timeout)
    assert_files_whole(m)


def test_systemd_reexecuted_in_mid_rollout(fresh):
    m = fresh
    daemon_before = []

    def disturb():
        daemon_before.append(m.prop("relayallocd", "MainPID"))
        m.systemctl("daemon-reexec")

    rollout_with(m, disturb)
    assert m.prop("relayallocd", "MainPID") == daemon_before[0]
    assert max(m.starts(r) for r in m.names) == 1


def test_journald_restarted_in_mid_rollout(fresh):
    m = fresh
    rollout_with(m, lambda: m.systemctl("restart", "systemd-journald"))


def test_bus_restarted_in_mid_rollout(fresh):
    m = fresh
    # Debian forbids a restart of dbus by itself; a package upgrade that goes wrong does it all the same.
    rollout_with(m, lambda: m.sh("kill -KILL $(systemctl show -P MainPID dbus); "
                                 "systemctl reset-failed dbus; systemctl start dbus"))


def test_all_relays_restarted_by_a_package_upgrade_in_mid_rollout(fresh):
    m = fresh
    rollout_with(m, lambda: m.systemctl("restart", "tor.service"))
    # once by the upgrade, once to be moved; never more
    assert max(m.starts(r) for r in m.names) <= 2


def test_relay_stopped_by_its_operator_in_mid_rollout_stays_stopped(fresh):
    m = fresh
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')], parallel=1))
    m.start_daemon()
    m.wait_event("relay-moved", count=1, timeout=60)
    # in the order of the rollout, which is that of the names
    last = m.wait_until(lambda: sorted(r for r, s in m.states().items() if s == "pending"), 30, "a pending relay")[-1]
    m.systemctl("stop", f"tor@{last}")
    others = [r for r in m.names if r != last]
    m.wait_all("ok", others, timeout=120)
    m.wait_all("stopped", [last])
    assert m.starts(last) == 0
    m.systemctl("start", f"tor@{last}")
    m.wait_all("ok", timeout=60)


def test_relay_that_is_stopped_in_its_pre_start_while_the_daemon_is_killed_stays_stopped(fresh):
    """The stop kills the pre-start command, and systemd calls the unit failed: nobody but its operator has done that."""
    m = fresh
    first = sorted(m.names)[0]
    slow = f"/etc/systemd/system/{m.unit(first)}.d/slow.conf"
    m.sh(f"mkdir -p {slow.rpartition('/')[0]}")
    m.write(slow, "[Service]\nExecStartPre=/bin/sleep 50\n")
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')], parallel=1))
    m.start_daemon()
    m.wait_until(lambda: m.prop(m.unit(first), "SubState") == "start-pre", 60, f"{first} to start")
    m.sh(f"systemctl kill -s KILL relayallocd; systemctl stop {m.unit(first)}")
    assert m.prop(m.unit(first), "Result") == "signal"
    others = [r for r in m.names if r != first]
    m.wait_all("ok", others, timeout=120)
    m.wait_event("rollout-finished", timeout=60)
    assert m.prop(m.unit(first), "ActiveState") == "failed" and m.starts(first) == 0
    m.sh(f"rm {slow} && systemctl daemon-reload && systemctl start {m.unit(first)}")
    m.wait_all("ok", timeout=60)


def test_relay_that_is_stopped_and_killed_for_taking_too_long_while_the_daemon_is_killed_stays_stopped(fresh):
    """systemd calls it failed, as one that nobody stopped."""
    m = fresh
    m.write("/etc/systemd/system/tor@relay1.service.d/20-slow.conf", "[Service]\nKillSignal=SIGWINCH\nTimeoutStopSec=4\n")
    m.systemctl("daemon-reload")
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay1", "relay2" ]')], settle=10))
    m.start_daemon()
    m.wait_until(lambda: m.states()["relay1"] == "settling", 60, "relay1 to settle")
    m.sh("systemctl kill -s KILL relayallocd; systemctl stop tor@relay1")
    assert m.prop("tor@relay1.service", "Result") == "timeout"
    m.wait_all("ok", ["relay2"], timeout=120)
    m.wait_event("rollout-finished", timeout=60)
    assert m.prop("tor@relay1.service", "ActiveState") == "failed" and m.starts("relay1") == 1
    assert m.events("relay-failed") == []


def test_file_edited_in_mid_rollout_is_replanned(fresh):
    m = fresh
    rollout_with(m, lambda: m.write_conf(
        m.settings([("A", "jemalloc", 'relays = [ "*" ]')], parallel=6)))
    assert max(m.starts(r) for r in m.names) == 1
