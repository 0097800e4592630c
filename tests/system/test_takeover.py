"""Relays that have an allocator of their operator's own before a group takes them: taken over, and given back."""

from test_faults import SETTINGS_DIR, all_in, library

RELAYS = 6


def begin(m, files, restart):
    """Files of others that set jemalloc, and relays that run by them."""
    for path in files:
        m.write(path, f"[Service]\nEnvironment=\"LD_PRELOAD={library(m, 'libjemalloc.so.2')}\"\n")
    m.systemctl("daemon-reload")
    m.systemctl("restart", *(m.unit(r) for r in restart))
    assert {m.allocator_in_maps(r) for r in restart} == {"jemalloc"}
    m.mark()


def test_revert_of_relays_that_were_taken_over(fresh):
    """What their own settings say once our drop-in is gone is what is wanted: nobody is restarted, nothing halts."""
    m = fresh
    own = SETTINGS_DIR.format("relay3", "override.conf")
    begin(m, [SETTINGS_DIR.format("", "override.conf"), own], m.names)
    m.write_conf(all_in(m, "jemalloc"))
    m.start_daemon()
    m.wait_all("ok")
    assert m.drop_in("relay1") and m.drop_in("relay3") and m.starts("relay1") == 0
    m.sh("relayallocctl revert relay3")
    m.wait_until(lambda: m.drop_in("relay3") is None, 60, "its drop-in to go", m.journal_text)
    m.wait_all("reverted", ["relay3"])
    m.write_conf(m.settings([("A", "jemalloc", 'relays = [ "relay2" ]')]))
    m.wait_all("observed", ["relay1", "relay3"])
    m.wait_all("ok", ["relay2"])
    assert m.drop_in("relay1") is None and m.drop_in("relay3") is None
    assert [m.starts(r) for r in m.names] == [0] * RELAYS and m.events("rollout-halted") == []
    row = m.listing()["relay1"]
    assert (row["running"], row["assigned"]) == ("jemalloc", None)
    m.sh("relayallocctl revert --yes")
    m.wait_until(lambda: m.drop_in_times() == {}, 60, "all drop-ins to go", m.journal_text)
    m.wait_all("reverted", ["relay2"])
    assert m.starts("relay2") == 0 and m.drop_in_times() == {} and m.read(own).startswith("[Service]")


def test_revert_to_an_allocator_of_its_own_settings(fresh):
    """Our drop-in kept it off what its own settings ask for: it goes back to that, by one restart."""
    m = fresh
    begin(m, [SETTINGS_DIR.format("", "override.conf")], ["relay1"])
    m.write_conf(m.settings([("control", "glibc", 'relays = [ "relay1" ]')]))
    m.start_daemon()
    m.wait_all("ok", ["relay1"])
    assert m.allocator_in_maps("relay1") == "glibc" and m.starts("relay1") == 1
    m.sh("relayallocctl revert relay1")
    m.wait_until(lambda: m.starts("relay1") == 2, 60, "its restart", m.journal_text)
    m.wait_all("reverted", ["relay1"])
    assert m.allocator_in_maps("relay1") == "jemalloc" and m.starts("relay1") == 2
    assert m.drop_in("relay1") is None and m.events("rollout-halted") == []


# ---- adopt ----


def write_settings(m, path, text):
    m.write(path, f"[Service]\n{text}\n")


def test_adopt_describes_a_hand_made_fleet_and_saving_it_restarts_nobody(fresh):
    """override.conf, 1AEO's allocator.conf, a drop-in of the template, an EnvironmentFile, a typo, and one with nothing."""
    m = fresh
    jemalloc, tcmalloc = library(m, "libjemalloc.so.2"), library(m, "libtcmalloc.so.4")
    write_settings(m, SETTINGS_DIR.format("", "10-all.conf"), f"Environment=LD_PRELOAD={tcmalloc}")
    write_settings(m, SETTINGS_DIR.format("relay1", "override.conf"), f'Environment="LD_PRELOAD={jemalloc}"')
    write_settings(m, SETTINGS_DIR.format("relay2", "allocator.conf"),
                   f'Environment="LD_PRELOAD={jemalloc}"\nEnvironment="MALLOC_CONF=dirty_decay_ms:1000"')
    write_settings(m, SETTINGS_DIR.format("relay4", "env.conf"), "EnvironmentFile=/etc/relay-test/env")
    m.write("/etc/relay-test/env", f"LD_PRELOAD={jemalloc}\n")
    write_settings(m, SETTINGS_DIR.format("relay5", "override.conf"), "Environment=LD_PRELOAD=/usr/lib/libjemaloc.so.2")
    write_settings(m, SETTINGS_DIR.format("relay6", "override.conf"), "Environment=LD_PRELOAD=")
    m.systemctl("daemon-reload")
    m.systemctl("restart", *(m.unit(r) for r in m.names))
    ran = {r: m.allocator_in_maps(r) for r in m.names}
    assert ran == {"relay1": "jemalloc", "relay2": "jemalloc", "relay3": "tcmalloc", "relay4": "jemalloc", "relay5": "glibc",
                   "relay6": "glibc"}
    m.sh("relayallocctl adopt >/root/adopted.conf")
    text = m.read("/root/adopted.conf")
    assert "relay5: its LD_PRELOAD names /usr/lib/libjemaloc.so.2, which it has not loaded: it runs glibc" in text
    assert f"{SETTINGS_DIR.format('relay2', 'allocator.conf')} sets LD_PRELOAD: our drop-in overrides it, so you can remove it" in text
    assert "/etc/relay-test/env sets LD_PRELOAD and is read after our drop-in: remove it" in text
    assert 'MALLOC_CONF = "dirty_decay_ms:1000"' in text
    m.mark()
    m.start_daemon()
    m.write_conf(text)
    m.sh("relayallocctl reload --wait")
    m.wait_all("ok", ["relay1", "relay2", "relay3", "relay4", "relay6"])
    assert [m.starts(r) for r in m.names] == [0] * len(m.names) and m.events("rollout-halted") == []
    rows = m.listing()
    assert {r: rows[r]["running"] for r in m.names if r != "relay5"} == {r: rows[r]["assigned"] for r in m.names if r != "relay5"}
    assert m.drop_in("relay1") and m.drop_in("relay2") and m.drop_in("relay6")
    # What can go, goes, and nothing changes with the next restart.
    m.sh(f"rm {SETTINGS_DIR.format('relay1', 'override.conf')} {SETTINGS_DIR.format('relay2', 'allocator.conf')}; "
         "systemctl daemon-reload; systemctl restart tor@relay1 tor@relay2")
    m.wait_all("ok", ["relay1", "relay2"])
    assert m.allocator_in_maps("relay1") == m.allocator_in_maps("relay2") == "jemalloc"
    assert "MALLOC_CONF=dirty_decay_ms:1000" in m.proc("relay2", "environ").split("\0")
