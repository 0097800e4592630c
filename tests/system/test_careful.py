"""Nobody is left down, and nobody is restarted for nothing: what happens on hosts beside a rollout that goes well."""

import re

import pytest

RELAYS = 4
BROKEN = "/usr/local/lib/relay-test/libbroken.so"


@pytest.fixture
def host(fresh):
    m = fresh
    m.install_library("broken-malloc.c", BROKEN)
    torrc = m.read("/etc/tor/instances/relay1/torrc")
    yield m
    m.write("/etc/tor/instances/relay1/torrc", torrc)
    m.sh("rm -rf /usr/local/lib/relay-test /etc/tor/instances/notes /etc/tor/instances/relay1.bak "
         "/run/systemd/system/tor@relay1.service.d")


def broken(m, how, relays="*", after=1, **options):
    return (f'allocators = {{ broken = {{ library = "{BROKEN}"; environment = {{ BROKEN = "{how}"; AFTER = "{after}"; }}; }}; }};\n'
            + m.settings([("A", "broken", f'relays = [ "{relays}" ]')], **options))


def on_jemalloc(m, **options):
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')], **{"parallel": 4, **options}))
    m.start_daemon()
    m.wait_all("ok", timeout=90)


def all_up(m):
    return all(m.is_active(m.unit(r)) for r in m.names)


def stop_all(m):
    m.systemctl("stop", "tor.service")
    # One that was being started has failed by it, in systemd's words.
    m.wait_until(lambda: set(m.states().values()) <= {"stopped", "down"}, 60, "the stop")


def samples(m, count=3):
    m.mark()
    m.wait_event("sample-relay", count=count * RELAYS)


def test_daemon_started_again_while_a_relay_settles(host):
    """It dies a second after it is ready, and who has restarted it is not there to see that."""
    m = host
    before = m.invocations()
    m.write_conf(broken(m, "soon", settle=20))
    m.start_daemon()
    tried = m.wait_event("relay-restarting", timeout=60)[0]["RELAYALLOC_RELAY"]
    m.systemctl("restart", "relayallocd")
    m.wait_event("relay-put-back", relay=tried, timeout=90)
    m.wait_event("rollout-halted")
    assert all_up(m) and m.drop_in_times() == {} and m.allocator_in_maps(tried) == "glibc"
    assert {r for r in m.names if m.invocation(r) != before[r]} == {tried}
    assert m.states(tried) == {tried: "failed"} and m.run("relayallocctl list").returncode == 3


def test_relay_that_crashes_again_and_again_is_moved_off_its_library(host):
    m = host
    m.write("/run/systemd/system/tor@relay1.service.d/again.conf", "[Unit]\nStartLimitIntervalSec=0\n")  # and again
    m.systemctl("daemon-reload")
    m.write_conf(broken(m, "soon", "relay1", after=4))  # settle = 0: nobody waits for its end
    m.start_daemon()
    m.wait_until(lambda: int(m.prop(m.unit("relay1"), "NRestarts")) > 0, 30, "its first crash")
    on_jemalloc(m)
    assert m.allocator_in_maps("relay1") == "jemalloc" and all_up(m)
    assert not m.events("rollout-halted", "relay-lost")


def test_directory_that_is_no_relay_takes_no_place(host):
    m = host
    m.write_conf(m.settings([("A", "jemalloc", "size = 2"), ("B", "glibc", 'relays = [ "*" ]')], parallel=4))
    m.start_daemon()
    m.wait_all("ok", timeout=90)
    before, files = m.invocations(), [m.drop_in(r) for r in m.names]
    m.sh("mkdir /etc/tor/instances/notes; cp -r /etc/tor/instances/relay1 /etc/tor/instances/relay1.bak; "
         "systemctl daemon-reload")
    samples(m)
    assert m.invocations() == before and [m.drop_in(r) for r in m.names] == files
    assert "notes" not in m.listing()


def test_fleet_that_is_stopped_in_mid_rollout(host):
    """Nothing is written ahead, so that it does not come up on a new allocator all at once."""
    m = host
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "*" ]')], settle=5))
    m.start_daemon()
    m.wait_event("relay-restarting", timeout=60)
    stop_all(m)
    m.run("relayallocctl verify")  # which plans anew
    settled = {e["RELAYALLOC_RELAY"] for e in m.events("relay-moved")}
    written = {r for r in m.names if m.drop_in(r) is not None}
    assert len(settled) < RELAYS and len(written - settled) <= 1, "the one that was to settle"
    m.systemctl("start", "tor.service")
    m.wait_all("ok", timeout=120)
    assert {m.allocator_in_maps(r) for r in m.names} == {"jemalloc"}


def test_fleet_that_is_stopped_gets_no_file_of_what_nobody_has_proved(host):
    m = host
    on_jemalloc(m)
    stop_all(m)
    m.mark()
    m.write_conf(broken(m, "start"))
    m.wait_event("config-loaded")
    m.run("relayallocctl verify")
    assert all("allocator jemalloc" in m.drop_in(r) for r in m.names)
    assert "no relay of this host has settled with broken yet" in m.run("relayallocctl status relay1").stdout
    m.mark()
    m.systemctl("start", "tor.service")
    m.wait_event("rollout-halted", timeout=90)  # with the first that is tried
    assert all_up(m) and {m.allocator_in_maps(r) for r in m.names} == {"jemalloc"}


def test_file_that_was_written_before_the_daemon_went_is_not_left(host):
    """Written, not restarted, and then the rollout is paused: what nobody has proved must not wait for the next start."""
    m = host
    m.write_conf(broken(m, "start"))
    m.sh("systemctl start relayallocd && for i in $(seq 200); do ls /etc/systemd/system/tor@*.d/zz-relayalloc.conf "
         "2>/dev/null && break; sleep 0.02; done; systemctl show -P MainPID relayallocd >/run/killed; "
         "systemctl kill -s KILL relayallocd")
    killed = m.read("/run/killed").strip()  # systemd may not have seen yet that it is gone
    m.wait_until(lambda: m.prop("relayallocd", "MainPID") not in ("0", killed) and m.is_active("relayallocd"), 60,
                 "the next daemon")
    m.sh("relayallocctl pause")
    m.wait_until(lambda: m.drop_in_times() == {}, 60, "the way back")
    m.systemctl("restart", "tor.service")
    m.wait_until(lambda: all_up(m), 60, "all to be up")
    samples(m)
    assert all_up(m) and {m.allocator_in_maps(r) for r in m.names} == {"glibc"}


def test_purge_and_a_new_installation_restart_nobody(host):
    m = host
    on_jemalloc(m)
    before, files = m.invocations(), m.drop_in_times()
    m.sh("systemctl stop relayallocd && rm -rf /var/lib/relayalloc")
    m.write_conf(m.settings([], parallel=4))
    m.start_daemon()
    samples(m)
    assert m.invocations() == before and m.drop_in_times() == files
    assert "left over" in m.run("relayallocctl status relay1").stdout
    m.sh("relayallocctl revert")
    m.wait_until(lambda: m.drop_in_times() == {}, 90, "the drop-ins to go")


def test_crashed_relay_is_not_as_assigned(host):
    m = host
    on_jemalloc(m)
    m.write("/etc/tor/instances/relay1/torrc", m.read("/etc/tor/instances/relay1/torrc") + "OptionOfTheFuture 1\n")
    m.run("systemctl restart tor@relay1")
    m.wait_until(lambda: m.states("relay1") == {"relay1": "down"}, 60, "its state")
    assert m.run("relayallocctl list").returncode == 3 and m.run("relayallocctl verify").returncode == 3
    m.wait_until(lambda: "exit-code" in m.run("relayallocctl status relay1").stdout, 60, "the result, between two tries")


def test_reload_by_somebody_else_is_followed(host):
    """Our file is deleted and systemd told so: it is written again, which costs no restart."""
    m = host
    on_jemalloc(m)
    before = m.invocations()
    m.sh("rm /etc/systemd/system/tor@relay1.service.d/zz-relayalloc.conf && systemctl daemon-reload")
    m.wait_until(lambda: m.drop_in("relay1"), 30, "the file")
    m.wait_all("ok")
    assert m.invocations() == before


@pytest.mark.not_sanitized  # which has a drop-in that gives it more
def test_exposure_of_the_unit(host):
    """systemd's own measure, lower is better."""
    told = host.sh("systemd-analyze security --no-pager relayallocd.service")
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", told)[1]) <= 2.0


def test_process_that_cannot_be_opened_is_not_called_ok(host):
    """No descriptor is left while relay1 is restarted by hand: what it runs is not known, and is found out later."""
    m = host
    on_jemalloc(m)
    daemon = m.prop("relayallocd", "MainPID")
    limits = m.sh(f"prlimit --noheadings --output=SOFT,HARD --nofile --pid {daemon}").split()
    m.sh(f"prlimit --pid {daemon} --nofile=3:{limits[1]}")
    m.systemctl("restart", m.unit("relay1"))
    m.wait_until(lambda: f"relay1: cannot inspect process {m.pid('relay1')}: Too many open files" in m.journal_text(), 60,
                 "it to be tried", m.journal_text)
    row = m.listing()["relay1"]
    assert row["state"] != "ok" and not row["running"], row
    m.sh(f"prlimit --pid {daemon} --nofile={limits[0]}:{limits[1]}")
    m.wait_all("ok")
    assert m.listing()["relay1"]["running"] == "jemalloc" and m.prop("relayallocd", "MainPID") == daemon


@pytest.mark.not_sanitized
def test_relay_that_failed_while_the_daemon_was_away_is_told(host):
    m = host
    on_jemalloc(m)
    m.systemctl("stop", "relayallocd")
    m.write("/etc/tor/instances/relay1/torrc", m.read("/etc/tor/instances/relay1/torrc") + "OptionOfTheFuture 1\n")
    m.run("systemctl restart tor@relay1")
    m.wait_until(lambda: m.prop(m.unit("relay1"), "ActiveState") == "failed", 60, "its start limit")
    m.mark()
    m.start_daemon()
    m.wait_until(lambda: "relay1 is down, failed" in m.journal_text(), 60, "it to be told", m.journal_text)
    assert m.states("relay1", "relay2") == {"relay1": "down", "relay2": "ok"}


@pytest.mark.not_sanitized
def test_file_that_others_can_change_is_refused(host):
    m = host
    on_jemalloc(m)
    before, files = m.invocations(), m.drop_in_times()
    m.write_conf(m.settings([("A", "glibc", 'relays = [ "*" ]')]))
    m.sh("chmod 666 /etc/relayalloc.conf")
    refused = m.run("systemctl reload relayallocd; relayallocctl reload")
    assert refused.returncode != 0 and "can be changed by users other than root" in refused.stderr + m.journal_text()
    m.systemctl("stop", "relayallocd")
    m.run("systemctl start relayallocd")
    assert m.prop("relayallocd", "ExecMainStatus") == "78"
    assert m.invocations() == before and m.drop_in_times() == files
