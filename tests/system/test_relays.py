"""Relays that come, go, stop and start while the daemon runs, and the daemon's own life as a unit."""

RELAYS = 4


def everything(m, allocator="jemalloc", **options):
    return m.settings([("A", allocator, 'relays = [ "*" ]')], parallel=4, **options)


def started(m, **options):
    m.write_conf(everything(m, **options))
    m.start_daemon()
    m.wait_all("ok")
    m.wait_event("rollout-finished")
    m.mark()


def test_stopped_relay_stays_stopped(fresh):
    m = fresh
    m.systemctl("stop", "tor@relay2")
    m.write_conf(everything(m))
    m.start_daemon()
    m.wait_all("ok", ["relay1", "relay3", "relay4"])
    m.wait_event("rollout-finished")
    assert not m.is_active("tor@relay2.service")
    assert m.starts("relay2") == 0
    assert m.states("relay2") == {"relay2": "stopped"}
    # its operator starts it: it comes to what it is assigned, at most one restart later
    m.systemctl("start", "tor@relay2")
    m.wait_all("ok", ["relay2"])
    assert m.allocator_in_maps("relay2") == "jemalloc"
    assert m.starts("relay2") <= 2


def test_relay_that_goes_down_is_told_once(fresh):
    m = fresh
    started(m)
    m.systemctl("stop", "tor@relay1")
    m.wait_event("relay-down", relay="relay1")
    # five more samples of the others, none of this one, and no second event
    m.wait_event("sample-relay", relay="relay2", count=5)
    down = m.events("relay-down", relay="relay1")
    assert len(down) == 1
    later = [e for e in m.events("sample-relay", relay="relay1")
             if int(e["__REALTIME_TIMESTAMP"]) > int(down[0]["__REALTIME_TIMESTAMP"])]
    assert later == []
    m.systemctl("start", "tor@relay1")
    m.wait_event("sample-relay", relay="relay1")
    m.wait_all("ok")


def test_new_relay_is_found_and_moved(fresh):
    m = fresh
    started(m)
    before = m.invocations()
    # relay9 has no instance in a machine of four
    m.sh("tor-instance-create relay9 && cp /usr/lib/relayalloc-tests/instances/relay9/torrc "
         "/etc/tor/instances/relay9/torrc && systemctl start tor@relay9")
    m.wait_event("relay-appeared", relay="relay9")
    m.wait_all("ok", ["relay9"])
    assert m.allocator_in_maps("relay9") == "jemalloc"
    assert m.starts("relay9") <= 2
    assert m.invocations() == before
    # and it goes again
    m.sh("systemctl stop tor@relay9; rm -r /etc/tor/instances/relay9; systemctl daemon-reload")
    m.wait_event("relay-vanished", relay="relay9")
    m.wait_until(lambda: "relay9" not in m.listing(), 30, "relay9 to leave the list")


def test_relay_restarted_by_hand_is_proved_again(fresh):
    m = fresh
    started(m)
    before = m.invocations()
    m.systemctl("restart", "tor@relay1")
    m.wait_event("relay-verified", relay="relay1")
    m.wait_all("ok")
    after = m.invocations()
    assert after["relay1"] != before.pop("relay1")
    assert {r: after[r] for r in before} == before
    assert m.starts("relay1") == 1, "the operator's restart and none of ours"
    assert m.allocator_in_maps("relay1") == "jemalloc"


def test_killed_relay_is_proved_again(fresh):
    m = fresh
    started(m)
    pid = m.pid("relay1")
    m.sh(f"kill -KILL {pid}")
    m.wait_until(lambda: m.pid("relay1") not in (0, pid), 30, "systemd to start relay1 again")
    m.wait_event("relay-verified", relay="relay1")
    m.wait_all("ok")
    assert m.allocator_in_maps("relay1") == "jemalloc"


def test_default_instance(fresh):
    m = fresh
    m.write("/etc/tor/torrc", "SocksPort 0\nDisableNetwork 1\nShutdownWaitLength 1\n")
    m.sh("systemctl daemon-reload; systemctl start tor@default")
    m.write_conf(m.settings([("D", "tcmalloc", 'relays = [ "default" ]')]))
    m.start_daemon()
    m.wait_all("ok", ["default"])
    assert m.allocator_in_maps("default") == "tcmalloc"
    assert m.drop_in("default").splitlines()[0].startswith("# relayalloc: written from /etc/relayalloc.conf, group D")
    assert set(m.states().values()) == {"observed"}


def test_reload_restart_and_stop_leave_the_relays_alone(fresh):
    m = fresh
    started(m)
    before, times = m.invocations(), m.drop_in_times()
    daemon = m.prop("relayallocd", "MainPID")
    m.systemctl("reload", "relayallocd")
    assert m.prop("relayallocd", "MainPID") == daemon
    assert m.prop("relayallocd", "ActiveState") == "active"
    m.wait_event("config-loaded")
    m.systemctl("stop", "relayallocd")
    assert m.prop("relayallocd", "Result") == "success"
    assert m.prop("relayallocd", "ExecMainStatus") == "0"
    assert all(m.is_active(m.unit(r)) for r in m.names)
    assert m.invocations() == before
    assert m.drop_in_times() == times
    assert m.events("relay-restarting") == []


def test_unit_is_a_notify_service_with_a_watchdog(fresh):
    m = fresh
    started(m)
    shown = m.show("relayallocd", "Type", "NotifyAccess", "WatchdogUSec", "NRestarts")
    assert shown["Type"] == "notify"
    m.wait_until(lambda: m.prop("relayallocd", "StatusText") == "5 relays: 4 ok, 1 stopped", what="what systemd is told")
    assert shown["NRestarts"] == "0"
    if not m.sanitize:
        assert shown["WatchdogUSec"] not in ("0", "infinity")


def test_check_and_plan_change_nothing(fresh):
    m = fresh
    before = m.invocations()
    m.write("/etc/relay-test/good.conf", everything(m))
    m.write("/etc/relay-test/bad.conf", 'groups = ( { name = "A"; allocator = "jemaloc"; relays = [ "*" ]; } );\n')
    assert m.run("relayallocctl check /etc/relay-test/good.conf").returncode == 0
    bad = m.run("relayallocctl check /etc/relay-test/bad.conf")
    assert bad.returncode == 2
    assert '/etc/relay-test/bad.conf:1: groups[0].allocator: no allocator named "jemaloc"' in bad.stdout + bad.stderr
    plan = m.sh("relayallocctl plan /etc/relay-test/good.conf")
    assert all(relay in plan for relay in m.names)
    assert m.invocations() == before
    assert m.drop_in_times() == {}


def test_installing_enables_and_starts_nothing(fresh):
    m = fresh
    assert m.run("systemctl is-enabled relayallocd").stdout.strip() == "disabled"
    assert not m.is_active("relayallocd")
